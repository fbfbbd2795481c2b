//! Carries OVSDB's JSON-RPC 1.0 over a byte stream.
//!
//! Requests and their replies are matched either by `jsonrpsee`, to which this is a transport, or
//! by a task of our own ([`Rpc`](crate::client::Rpc)). Everything else is settled here, for both:
//! messages are rewritten ([`message`]), the server's probes are answered, and notifications go to
//! the monitors and locks that they are for ([`Routes`]), in wire order, before the reply that
//! follows them is handed on. `jsonrpsee` never sees them: its notification buffers drop when they
//! are full, and a monitor that lost an update is wrong without knowing.

mod calls;
mod fate;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod message;
mod outbox;
mod routes;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jsonrpsee::core::client::{ReceivedMessage, TransportReceiverT, TransportSenderT};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadHalf};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::error::{Disconnect, MalformedMessage};
use crate::frame::Framer;
use message::Incoming;

pub(crate) use calls::{Calls, Reply};
pub(crate) use fate::Fate;
pub(crate) use message::{Id, Service, request, tagged};
pub(crate) use outbox::Outbox;
pub(crate) use routes::{Feed, Route, Routes};

/// Bytes asked of the stream at a time.
const READ_SIZE: usize = 64 * 1024;

/// What all parts of a connection share.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    pub(crate) outbox: Outbox,
    pub(crate) calls: Calls,
    pub(crate) routes: Routes,
    pub(crate) fate: Fate,
    heard: Heard,
    /// What became of the announcement with which the connection begins.
    greeted: Arc<watch::Sender<bool>>,
}

/// When the last bytes came.
#[derive(Debug, Clone)]
struct Heard {
    began: Instant,
    millis: Arc<AtomicU64>,
}

impl Heard {
    fn now(&self) {
        let millis = self.began.elapsed().as_millis();
        let millis = millis.try_into().unwrap_or(u64::MAX);
        self.millis.store(millis, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.began + Duration::from_millis(self.millis.load(Ordering::Relaxed))
    }
}

impl Wire {
    /// Makes a connection of a stream, and its receiving end for whoever matches replies.
    ///
    /// Starts a task that owns the writing half, so it must be called on a tokio runtime. Its first
    /// message asks the server to announce changes of its databases: without that it would not
    /// answer calls that were canceled (facts of `ovsdb/jsonrpc-server.c`), and close the connection
    /// when a schema changes instead of canceling its monitors.
    pub(crate) fn open<S>(stream: S, message_limit: usize) -> (Self, Receiver<S>)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (read, write) = tokio::io::split(stream);
        let fate = Fate::new();
        let wire = Self {
            outbox: Outbox::open(write, fate.clone()),
            calls: Calls::default(),
            routes: Routes::default(),
            fate,
            heard: Heard {
                began: Instant::now(),
                millis: Arc::default(),
            },
            greeted: Arc::new(watch::Sender::new(false)),
        };
        // The queue was made a moment ago and has no end yet.
        drop(wire.ask(Service::Greeting, "set_db_change_aware", &[true]));
        let receiver = Receiver {
            read,
            framer: Framer::with_limit(message_limit),
            wire: wire.clone(),
        };
        (wire, receiver)
    }

    /// Waits until the server has answered for the first time.
    pub(crate) async fn greeted(&self) -> Result<(), Disconnect> {
        let mut greeted = self.greeted.subscribe();
        tokio::select! {
            biased;
            _ = greeted.wait_for(|greeted| *greeted) => Ok(()),
            cause = self.fate.ended() => Err(cause),
        }
    }

    /// Asks for a sign of life whenever nothing was heard for `interval`, and ends the connection
    /// when nothing is heard for another one.
    pub(crate) async fn probe(self, interval: Duration) {
        let mut probed = None;
        loop {
            let last = self.heard.last();
            let deadline = probed.filter(|probed| *probed > last).unwrap_or(last) + interval;
            if tokio::time::timeout_at(deadline, self.fate.ended())
                .await
                .is_ok()
            {
                return;
            }
            let last = self.heard.last();
            match probed {
                _ if last + interval > Instant::now() => probed = None,
                Some(probed) if probed > last => {
                    let silence = last.elapsed();
                    self.fate.seal(Disconnect::Unresponsive { silence });
                    return;
                }
                _ => {
                    if self.ask(Service::Probe, "echo", &[(); 0]).is_err() {
                        return;
                    }
                    probed = Some(Instant::now());
                }
            }
        }
    }
}

/// The sending end, as `jsonrpsee` drives it.
pub(crate) struct Sender(pub(crate) Wire);

impl TransportSenderT for Sender {
    type Error = Disconnect;

    async fn send(&mut self, message: String) -> Result<(), Disconnect> {
        let Self(wire) = self;
        let outgoing = message::outgoing(&message).ok_or_else(|| Disconnect::Abandoned {
            reason: format!("a request cannot be rewritten: {message}"),
        })?;
        let room = wire.outbox.room().await?;
        let given_up = wire.calls.sent(outgoing.tag, outgoing.id);
        wire.outbox.send(outgoing.text, room)?;
        if given_up {
            wire.cancel(outgoing.id)?;
        }
        Ok(())
    }
}

impl Wire {
    /// Makes a request for whose reply nobody waits.
    pub(crate) fn ask(
        &self,
        service: Service,
        method: &str,
        params: &[impl Serialize],
    ) -> Result<(), Disconnect> {
        self.put(Id::Service(service), method, params)
    }

    /// Asks the server to give up a transaction; it answers the transaction itself then.
    pub(crate) fn cancel(&self, id: u64) -> Result<(), Disconnect> {
        self.put(Id::None, "cancel", &[id])
    }

    fn put(&self, id: Id, method: &str, params: &[impl Serialize]) -> Result<(), Disconnect> {
        let params = to_raw_value(params).expect("names and numbers have a JSON form");
        self.outbox.push(request(id, method, &params))
    }
}

/// The receiving end.
pub(crate) struct Receiver<S> {
    read: ReadHalf<S>,
    framer: Framer,
    wire: Wire,
}

impl<S> Drop for Receiver<S> {
    fn drop(&mut self) {
        let cause = self.wire.fate.seal(Disconnect::Abandoned {
            reason: "its runtime was shut down".to_owned(),
        });
        self.wire.routes.close(&cause);
        self.wire.calls.clear();
    }
}

/// A reply to a call, and its caller if that waits in [`Calls`].
struct Settled<'a> {
    id: u64,
    caller: Option<oneshot::Sender<Reply>>,
    reply: Result<&'a RawValue, &'a RawValue>,
}

impl Wire {
    /// Deals with a message. Only the reply to a call is handed on.
    fn take<'a>(&self, frame: &'a [u8]) -> Result<Option<Settled<'a>>, Disconnect> {
        match Incoming::parse(frame).map_err(|malformed| malformed.of(frame))? {
            Incoming::Reply {
                id: Id::Call(id),
                reply,
            } => match self.calls.settle(id) {
                Some(caller) => return Ok(Some(Settled { id, caller, reply })),
                None => return Err(Disconnect::UnexpectedReply { id }),
            },
            Incoming::Reply {
                id: Id::Service(Service::Greeting),
                ..
            } => {
                // An old server that does not know the request is no worse a server.
                self.greeted.send_replace(true);
            }
            Incoming::Reply { .. } => {}
            // The writer is gone only when the connection is about to end anyway.
            Incoming::Request { answer } => drop(self.outbox.push(answer)),
            Incoming::Notification { method, params } => self.routes.deliver(&method, params),
        }
        Ok(None)
    }
}

impl<S: AsyncRead + AsyncWrite> Receiver<S> {
    /// Hands replies to the callers that wait for them until the connection ends.
    pub(crate) async fn serve(mut self) {
        let cause = loop {
            if let Err(cause) = self.serve_one().await {
                break cause;
            }
        };
        self.wire.fate.seal(cause);
    }

    async fn serve_one(&mut self) -> Result<(), Disconnect> {
        let frame = self.next_frame().await?;
        let Some(Settled { caller, reply, .. }) = self.wire.take(&frame)? else {
            return Ok(());
        };
        let reply = match reply {
            Ok(result) => Ok(result.to_owned()),
            Err(error) => Err(serde_json::from_str(error.get())
                .map_err(|error| MalformedMessage::from(error).of(&frame))?),
        };
        // The caller may have given up.
        drop(caller.map(|caller| caller.send(reply)));
        Ok(())
    }

    /// Reads up to the next reply, which is rewritten for `jsonrpsee`.
    async fn next_reply(&mut self) -> Result<String, Disconnect> {
        loop {
            let frame = self.next_frame().await?;
            if let Some(Settled { id, reply, .. }) = self.wire.take(&frame)? {
                return message::for_jsonrpsee(id, reply)
                    .map_err(|error| MalformedMessage::from(error).of(&frame));
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
            let read = tokio::select! {
                read = self.read.read_buf(room) => read,
                cause = self.wire.fate.ended() => return Err(cause),
            };
            match read {
                Ok(0) => {
                    return Err(match self.framer.unfinished() {
                        0 => Disconnect::Closed,
                        bytes => Disconnect::Truncated { bytes },
                    });
                }
                Ok(_) => self.wire.heard.now(),
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
            Err(cause) => Err(self.wire.fate.seal(cause)),
        }
    }
}

impl MalformedMessage {
    /// The end of the connection on which the message came.
    fn of(self, frame: &[u8]) -> Disconnect {
        Disconnect::Malformed {
            bytes: frame.len(),
            source: Arc::new(self),
        }
    }
}
