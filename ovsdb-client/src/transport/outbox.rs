//! What is to be written.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Fate;
use crate::error::Disconnect;

/// Requests that may wait to be written before the next caller has to wait.
const ROOM: usize = 64;

/// Bytes that are gathered for one write.
const WRITE_SIZE: usize = 64 * 1024;

/// How long the end of a connection may wait for a peer that does not read.
const FAREWELL: Duration = Duration::from_secs(1);

/// Messages on their way to the server, in the order in which they were put in.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    /// Unbounded, because the receiver puts answers in and must not wait for the writer: a server
    /// that has a backlog for us does not read, so a large request can only leave while we go on
    /// reading. The server paces its probes itself, and requests wait for room.
    queue: mpsc::UnboundedSender<Message>,
    room: Arc<Semaphore>,
    fate: Fate,
}

#[derive(Debug)]
struct Message {
    text: String,
    /// Given back when the message is written.
    _room: Option<Room>,
}

/// Room for one request.
#[derive(Debug)]
pub(crate) struct Room(
    #[expect(dead_code, reason = "held until it is dropped")] OwnedSemaphorePermit,
);

impl Outbox {
    /// Starts the task that writes.
    pub(super) fn open<S>(write: WriteHalf<S>, fate: Fate) -> Self
    where
        S: AsyncWrite + Send + 'static,
    {
        let (queue, messages) = mpsc::unbounded_channel();
        tokio::spawn(write_all(write, messages, fate.clone()));
        Self {
            queue,
            room: Arc::new(Semaphore::new(ROOM)),
            fate,
        }
    }

    /// Puts in a small message that must not wait: an answer, a probe, a cancellation.
    pub(crate) fn push(&self, text: String) -> Result<(), Disconnect> {
        self.put(Message { text, _room: None })
    }

    /// Waits for room for a request.
    pub(crate) async fn room(&self) -> Result<Room, Disconnect> {
        tokio::select! {
            room = Arc::clone(&self.room).acquire_owned() => match room {
                Ok(room) => Ok(Room(room)),
                // The semaphore is never closed.
                Err(_) => Err(self.fate.seal(Disconnect::Closed)),
            },
            cause = self.fate.ended() => Err(cause),
        }
    }

    /// Puts in a request that there is room for.
    pub(crate) fn send(&self, text: String, room: Room) -> Result<(), Disconnect> {
        self.put(Message {
            text,
            _room: Some(room),
        })
    }

    fn put(&self, message: Message) -> Result<(), Disconnect> {
        if let Some(cause) = self.fate.cause() {
            return Err(cause);
        }
        let put = self.queue.send(message);
        put.map_err(|_| self.fate.seal(Disconnect::Closed))
    }
}

/// Writes what is put in until nobody can put in more, or the connection ends.
async fn write_all<S: AsyncWrite>(
    mut write: WriteHalf<S>,
    mut messages: mpsc::UnboundedReceiver<Message>,
    fate: Fate,
) {
    let writing = async {
        let mut gathered = Vec::new();
        while let Some(message) = messages.recv().await {
            let mut bytes = message.text.into_bytes();
            // Small messages that wait together leave together.
            gathered.clear();
            while bytes.len() < WRITE_SIZE
                && let Ok(next) = messages.try_recv()
            {
                bytes.extend_from_slice(next.text.as_bytes());
                gathered.push(next._room);
            }
            write.write_all(&bytes).await?;
            write.flush().await?;
        }
        Ok(())
    };
    let written: io::Result<()> = tokio::select! {
        written = writing => written,
        _ = fate.ended() => Ok(()),
    };
    if let Err(error) = written {
        fate.seal(Disconnect::Write {
            source: Arc::new(error),
        });
    }
    // A peer behind TLS wants to be told that this is the end; one that does not read is not worth
    // waiting for.
    drop(tokio::time::timeout(FAREWELL, write.shutdown()).await);
}
