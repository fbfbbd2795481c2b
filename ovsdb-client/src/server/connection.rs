//! The byte streams: each connection has a task, and one more watches the time.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Shared;
use super::session::SessionId;
use crate::frame::Framer;

/// Bytes asked of a stream at a time.
const READ_SIZE: usize = 64 * 1024;

/// Serves one connection until either side has enough of it.
///
/// The state of the server is borrowed for one message at a time, so that a connection does not
/// keep a server alive that nobody holds.
pub(super) async fn serve<S: AsyncRead + AsyncWrite>(
    shared: Weak<Shared>,
    session: SessionId,
    mut outbox: mpsc::UnboundedReceiver<String>,
    stream: S,
) {
    let (mut read, mut write) = tokio::io::split(stream);
    let mut framer = Framer::default();
    loop {
        tokio::select! {
            // First what is to be sent: updates and replies that are due must not wait for a client
            // that keeps asking.
            biased;
            message = outbox.recv() => {
                let Some(message) = message else { break };
                if write.write_all(message.as_bytes()).await.is_err() {
                    break;
                }
            }
            frame = next_frame(&mut read, &mut framer) => {
                let (Some(frame), Some(shared)) = (frame, shared.upgrade()) else { break };
                let received = shared.hub().receive(session, &frame, Instant::now());
                shared.deadlines_changed.notify_one();
                if received.is_err() {
                    break;
                }
            }
        }
    }
    // The client sees the end only after this: an error means that it has gone already.
    let _ = write.shutdown().await;
    if let Some(shared) = shared.upgrade() {
        shared.hub().disconnect(session);
    }
}

/// The next message; `None` at the end of the stream, or when it is no sequence of messages.
///
/// Cancel safe: what was read stays in the framer.
async fn next_frame<S: AsyncRead + AsyncWrite>(
    read: &mut ReadHalf<S>,
    framer: &mut Framer,
) -> Option<Vec<u8>> {
    loop {
        if let Some(frame) = framer.next_frame().ok()? {
            return Some(frame);
        }
        let room = framer.room();
        room.reserve(READ_SIZE);
        match read.read_buf(room).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// Ends waits in time.
pub(super) async fn watch_time(shared: Weak<Shared>) {
    loop {
        let Some((changed, deadline)) = shared.upgrade().map(|shared| {
            let deadline = shared.hub().next_deadline();
            (Arc::clone(&shared.deadlines_changed), deadline)
        }) else {
            return;
        };
        match deadline {
            None => changed.notified().await,
            Some(deadline) => {
                // Either way there is something to look at again.
                let _ = tokio::time::timeout_at(deadline, changed.notified()).await;
            }
        }
        if let Some(shared) = shared.upgrade() {
            shared.hub().expire(Instant::now());
        }
    }
}

/// The socket of a listener; it vanishes with the listener.
pub(super) struct SocketFile(pub(super) PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Who removed it earlier wanted it gone.
        let _ = std::fs::remove_file(&self.0);
    }
}

pub(super) async fn accept_unix(shared: Weak<Shared>, listener: UnixListener, _file: SocketFile) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let Some(shared) = shared.upgrade() else {
                    return;
                };
                shared.serve(stream);
            }
            Err(error) => return report(&error),
        }
    }
}

pub(super) async fn accept_tcp(shared: Weak<Shared>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let Some(shared) = shared.upgrade() else {
                    return;
                };
                // Replies are small and each is waited for. Without it they are slower, no worse.
                let _ = stream.set_nodelay(true);
                shared.serve(stream);
            }
            Err(error) => return report(&error),
        }
    }
}

fn report(error: &io::Error) {
    tracing::warn!(%error, "a listener of the in-process server ended");
}
