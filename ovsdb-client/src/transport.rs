//! Carries OVSDB's JSON-RPC 1.0 over a byte stream, for a JSON-RPC 2.0 client.
//!
//! `jsonrpsee` matches replies to requests; everything in which OVSDB differs from what it expects
//! is settled here. Messages are rewritten ([`message`]), the server's probes are answered without
//! its knowledge, and updates never reach it: its notification buffers drop when they are full,
//! and a monitor that lost an update is wrong without knowing. They go to [`Routes`] instead, in
//! wire order, before the reply that follows them is handed on.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod message;
mod routes;

use std::sync::{Arc, OnceLock};

use jsonrpsee::core::client::{ReceivedMessage, TransportReceiverT, TransportSenderT};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::error::Disconnect;
use crate::frame::Framer;
use message::Incoming;

pub(crate) use routes::{Event, Route, Routes};

/// Bytes asked of the stream at a time.
const READ_SIZE: usize = 64 * 1024;

/// Why the connection ended, once it has: the first cause counts, later ones are its echoes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fate(Arc<OnceLock<Disconnect>>);

impl Fate {
    /// Records a cause and returns the one that counts.
    fn seal(&self, cause: Disconnect) -> Disconnect {
        self.0.get_or_init(|| cause).clone()
    }

    /// The cause, if the transport saw one.
    pub(crate) fn cause(&self) -> Option<Disconnect> {
        self.0.get().cloned()
    }
}

/// Makes the two ends that `jsonrpsee` drives out of a connected stream.
///
/// Starts a task that owns the writing half, so it must be called on a tokio runtime.
pub(crate) fn split<S>(
    stream: S,
    message_limit: usize,
    routes: Routes,
    fate: Fate,
) -> (Sender, Receiver<S>)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (read, write) = tokio::io::split(stream);
    // One request in hand is enough to keep the socket busy, and makes callers feel its pace.
    let (requests, from_requests) = mpsc::channel(1);
    // Unbounded, because the receiver must not wait for the writer: a server that has a backlog
    // for us does not read, so a big request can only leave while we go on reading. The server
    // paces this queue itself, with a probe every few seconds.
    let (answers, from_answers) = mpsc::unbounded_channel();
    let writer = tokio::spawn(write_all(write, from_requests, from_answers, fate.clone()));
    let sender = Sender {
        requests,
        fate: fate.clone(),
        _writer: Writer(writer.abort_handle()),
    };
    let receiver = Receiver {
        read,
        framer: Framer::with_limit(message_limit),
        answers,
        routes,
        fate,
        _writer: Writer(writer.abort_handle()),
    };
    (sender, receiver)
}

/// Writes what the two queues hold until both are closed or the stream fails.
async fn write_all<S: AsyncWrite>(
    mut write: WriteHalf<S>,
    mut requests: mpsc::Receiver<String>,
    mut answers: mpsc::UnboundedReceiver<String>,
    fate: Fate,
) {
    loop {
        let message = tokio::select! {
            biased;
            Some(answer) = answers.recv() => answer,
            Some(request) = requests.recv() => request,
            else => break,
        };
        let written = async {
            write.write_all(message.as_bytes()).await?;
            write.flush().await
        };
        if let Err(error) = written.await {
            fate.seal(Disconnect::Write {
                source: Arc::new(error),
            });
            break;
        }
    }
}

/// Ends the writer when dropped. Both ends hold one, for the connection is over when either goes.
///
/// The writer may be stuck then, in a write to a peer that does not read, and the sending end
/// behind it: neither would come to notice that the receiving end is gone.
struct Writer(AbortHandle);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The sending end.
pub(crate) struct Sender {
    requests: mpsc::Sender<String>,
    fate: Fate,
    _writer: Writer,
}

impl TransportSenderT for Sender {
    type Error = Disconnect;

    async fn send(&mut self, message: String) -> Result<(), Disconnect> {
        let message = message::outgoing(&message).map_err(|source| Disconnect::Abandoned {
            reason: format!("a request cannot be rewritten: {source}"),
        })?;
        let sent = self.requests.send(message).await;
        sent.map_err(|_| self.fate.seal(Disconnect::Closed))
    }
}

/// The receiving end.
pub(crate) struct Receiver<S> {
    read: ReadHalf<S>,
    framer: Framer,
    answers: mpsc::UnboundedSender<String>,
    routes: Routes,
    fate: Fate,
    _writer: Writer,
}

impl<S> Drop for Receiver<S> {
    fn drop(&mut self) {
        self.routes.close();
    }
}

impl<S: AsyncRead + AsyncWrite> Receiver<S> {
    /// Reads up to the next reply; everything else is dealt with on the way.
    async fn next_reply(&mut self) -> Result<String, Disconnect> {
        loop {
            let frame = self.next_frame().await?;
            let bytes = frame.len();
            let incoming = Incoming::parse(&frame).map_err(|malformed| Disconnect::Malformed {
                bytes,
                source: Arc::new(malformed),
            })?;
            match incoming {
                Incoming::Reply(reply) => return Ok(reply),
                // The writer is gone only when the connection is about to end anyway.
                Incoming::Request { answer } => drop(self.answers.send(answer)),
                Incoming::Notification { method, params } => self.routes.deliver(&method, params),
            }
        }
    }

    async fn next_frame(&mut self) -> Result<Vec<u8>, Disconnect> {
        loop {
            if let Some(frame) = self.framer.next_frame()? {
                return Ok(frame);
            }
            let room = self.framer.room();
            room.reserve(READ_SIZE);
            match self.read.read_buf(room).await {
                Ok(0) => {
                    return Err(match self.framer.unfinished() {
                        0 => Disconnect::Closed,
                        bytes => Disconnect::Truncated { bytes },
                    });
                }
                Ok(_) => {}
                Err(error) => {
                    return Err(Disconnect::Read {
                        source: Arc::new(error),
                    });
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Send + 'static> TransportReceiverT for Receiver<S> {
    type Error = Disconnect;

    async fn receive(&mut self) -> Result<ReceivedMessage, Disconnect> {
        match self.next_reply().await {
            Ok(reply) => Ok(ReceivedMessage::Text(reply)),
            Err(cause) => Err(self.fate.seal(cause)),
        }
    }
}
