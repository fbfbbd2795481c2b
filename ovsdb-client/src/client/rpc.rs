//! Who matches replies to requests.

use jsonrpsee::core::client::{
    Client as RpcClient, ClientBuilder as RpcClientBuilder, ClientT, Error as RpcClientError,
};
use jsonrpsee::core::traits::ToRpcParams;
use serde_json::value::RawValue;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::{CallError, Disconnect, RpcError};
use crate::transport::{Id, Receiver, Reply, Sender, Wire, request, tagged};

/// Bounds what `jsonrpsee` waits for on its own. It has one timeout for all calls while ours have
/// one each, so its own is out of reach: a year.
const BEYOND_ALL_DEADLINES: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Which code matches replies to requests. Both behave alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RpcLayer {
    /// The JSON-RPC client of the `jsonrpsee` crate.
    #[default]
    Jsonrpsee,
    /// A task of our own, which costs less than half of the processor time per call.
    Direct,
}

/// The requests and replies of one connection.
#[derive(Debug)]
pub(super) enum Rpc {
    Jsonrpsee(RpcClient),
    Direct,
}

/// Parameters that are JSON already.
struct Params<'a>(&'a RawValue);

impl ToRpcParams for Params<'_> {
    fn to_rpc_params(self) -> Result<Option<Box<RawValue>>, serde_json::Error> {
        Ok(Some(self.0.to_owned()))
    }
}

impl Rpc {
    /// Starts what reads the connection.
    pub(super) fn start<S>(layer: RpcLayer, wire: &Wire, receiver: Receiver<S>) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        match layer {
            RpcLayer::Jsonrpsee => Self::Jsonrpsee(
                RpcClientBuilder::new()
                    .request_timeout(BEYOND_ALL_DEADLINES)
                    .build_with_tokio(Sender(wire.clone()), receiver),
            ),
            RpcLayer::Direct => {
                tokio::spawn(receiver.serve());
                Self::Direct
            }
        }
    }

    /// Makes a request and waits for its reply.
    ///
    /// When the future of a `transact` is dropped before, the server is asked to give it up. Other
    /// requests it answers at once.
    pub(super) async fn request(
        &self,
        wire: &Wire,
        method: &'static str,
        params: &RawValue,
    ) -> Result<Reply, CallError> {
        if let Some(source) = wire.fate.cause() {
            return Err(CallError::NotSent { method, source });
        }
        match self {
            Self::Jsonrpsee(rpc) => {
                let pending = Pending::tagged(wire, method);
                let tagged = tagged(method, pending.number);
                let reply = rpc.request(&tagged, Params(params)).await;
                pending.done();
                explain(wire, method, reply).await
            }
            Self::Direct => {
                let not_sent = |source| CallError::NotSent { method, source };
                let room = wire.outbox.room().await.map_err(not_sent)?;
                let (pending, reply) = Pending::direct(wire, method);
                let text = request(Id::Call(pending.number), method, params);
                wire.outbox.send(text, room).map_err(not_sent)?;
                let reply = reply.await;
                pending.done();
                match reply {
                    Ok(reply) => Ok(reply),
                    Err(_) => Err(CallError::Disconnected {
                        method,
                        source: wire.fate.ended().await,
                    }),
                }
            }
        }
    }
}

/// A request whose caller waits. A transaction that is dropped without [`done`](Self::done) is
/// canceled.
struct Pending<'a> {
    wire: &'a Wire,
    /// The id of the request, or our number of it.
    number: u64,
    is_id: bool,
    done: bool,
}

impl<'a> Pending<'a> {
    fn tagged(wire: &'a Wire, method: &str) -> Self {
        Self {
            wire,
            number: wire.calls.tag(),
            is_id: false,
            done: method != "transact",
        }
    }

    fn direct(wire: &'a Wire, method: &str) -> (Self, tokio::sync::oneshot::Receiver<Reply>) {
        let (number, reply) = wire.calls.register();
        let pending = Self {
            wire,
            number,
            is_id: true,
            done: method != "transact",
        };
        (pending, reply)
    }

    fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let id = if self.is_id {
            self.wire.calls.waits(self.number).then_some(self.number)
        } else {
            self.wire.calls.give_up(self.number)
        };
        if let Some(id) = id {
            // A connection that has ended needs no cancellation.
            drop(self.wire.cancel(id));
        }
    }
}

/// Puts a reply of `jsonrpsee` into our terms.
async fn explain(
    wire: &Wire,
    method: &'static str,
    reply: Result<Box<RawValue>, RpcClientError>,
) -> Result<Reply, CallError> {
    match reply {
        Ok(result) => Ok(Ok(result)),
        Err(RpcClientError::Call(object)) => {
            let original = object
                .data()
                .map(|data| serde_json::from_str::<RpcError>(data.get()));
            Ok(Err(original.and_then(Result::ok).unwrap_or_else(|| {
                RpcError {
                    error: object.message().to_owned(),
                    details: None,
                    syntax: None,
                }
            })))
        }
        Err(error) => {
            // Its tasks end with the transport, which knows why; or with their runtime.
            let source = wire.fate.seal(Disconnect::Abandoned {
                reason: error.to_string(),
            });
            Err(CallError::Disconnected { method, source })
        }
    }
}
