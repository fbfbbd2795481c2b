//! One connection, to either server, with nothing between the test and the wire.

use std::time::Duration;

use ovsdb_client::frame::Framer;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

const DEADLINE: Duration = Duration::from_secs(20);

/// A connected client.
pub(crate) struct Link<S> {
    read: ReadHalf<S>,
    write: WriteHalf<S>,
    framer: Framer,
    last_id: u64,
}

/// The reply to a call, and the notifications that came before it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) reply: Value,
    pub(crate) notifications: Vec<Value>,
}

impl<S: AsyncRead + AsyncWrite> Link<S> {
    pub(crate) fn new(stream: S) -> Self {
        let (read, write) = tokio::io::split(stream);
        Self {
            read,
            write,
            framer: Framer::default(),
            last_id: 0,
        }
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        let bytes = message.to_string().into_bytes();
        let written = self.write.write_all(&bytes);
        // Whether the server is still there shows when its answer is read.
        let _ = tokio::time::timeout(DEADLINE, written).await.unwrap();
    }

    /// The next message; `None` when the server has hung up.
    pub(crate) async fn receive(&mut self) -> Option<Value> {
        loop {
            if let Some(frame) = self.framer.next_frame().unwrap() {
                return Some(serde_json::from_slice(&frame).unwrap());
            }
            let mut bytes = vec![0; 64 * 1024];
            let read = self.read.read(&mut bytes);
            match tokio::time::timeout(DEADLINE, read).await.unwrap() {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.framer.push(&bytes[..count]),
            }
        }
    }

    pub(crate) async fn call(&mut self, method: &str, params: &Value) -> Answer {
        self.last_id += 1;
        let id = json!(self.last_id);
        self.send(&json!({"method": method, "params": params, "id": id}))
            .await;
        let mut notifications = Vec::new();
        loop {
            let message = self.receive().await.expect("the server stays");
            if message["id"] == id {
                let reply = message;
                return Answer {
                    reply,
                    notifications,
                };
            }
            notifications.push(message);
        }
    }
}
