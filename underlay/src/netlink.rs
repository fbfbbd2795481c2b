//! A route netlink socket in some namespace.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use futures::StreamExt as _;
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_proto::{Connection, ConnectionHandle};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{AsyncSocket as _, SocketAddr};
use ofm_netns::Namespaces;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::batch::{Batch, Request};
use crate::error::{BatchError, OpenError, RequestError};
use crate::ext_ack::explanation;

/// Requests per send. The kernel answers them all before the send returns, into a receive buffer whose default size
/// holds the answers to about 200; those that do not fit are lost. A message larger than the send buffer is refused as
/// a whole.
const CHUNK: usize = 128;
const RECEIVE_BUFFER: u32 = 8 << 20;

/// A route netlink socket in some namespace. It closes on drop.
#[derive(Debug)]
pub struct Netlink {
    handle: ConnectionHandle<RouteNetlinkMessage>,
    connection: JoinHandle<()>,
}

impl Netlink {
    /// Opens a socket in the network namespace of `namespaces`. Must be called inside a tokio runtime with I/O and time
    /// enabled; blocks until a thread has been in the namespaces and back.
    ///
    /// # Errors
    /// Without a runtime, or when the namespaces cannot be entered or the socket not be made.
    pub fn open(namespaces: &Namespaces) -> Result<Self, OpenError> {
        let runtime = Handle::try_current().map_err(OpenError::Runtime)?;
        namespaces.run(|| {
            let _inside = runtime.enter();
            Self::open_here()
        })?
    }

    /// Opens a socket in the network namespace of the calling thread, which has to be in a runtime ([`Handle::enter`]) and may
    /// end afterwards.
    ///
    /// # Errors
    /// Without a runtime, or when the socket cannot be made.
    pub fn open_here() -> Result<Self, OpenError> {
        let runtime = Handle::try_current().map_err(OpenError::Runtime)?;
        let (connection, handle) = connect().map_err(OpenError::Socket)?;
        let connection = runtime.spawn(connection);
        Ok(Self { handle, connection })
    }

    /// Sends the requests in their order and waits until the kernel has acknowledged each.
    ///
    /// Requests are sent in groups; a refusal does not stop the rest of its group, but the groups after it.
    ///
    /// # Errors
    /// When requests are refused or not answered, or the whole takes longer than `deadline`.
    pub async fn apply(&self, batch: Batch, deadline: Duration) -> Result<(), BatchError> {
        let (requests, _namespaces) = batch.into_parts()?;
        let end = Instant::now() + deadline;
        let mut requests = requests.into_iter();
        loop {
            let (messages, descriptions): (Vec<_>, Vec<_>) = requests
                .by_ref()
                .take(CHUNK)
                .map(Request::into_message)
                .unzip();
            let Some(first) = descriptions.first().cloned() else {
                return Ok(());
            };
            // A timer is rounded up; what is too late already must not be sent.
            if Instant::now() >= end {
                return Err(BatchError::Deadline { deadline, first });
            }
            timeout_at(end, self.send(messages, descriptions))
                .await
                .map_err(|_| BatchError::Deadline { deadline, first })??;
        }
    }

    async fn send(
        &self,
        messages: Vec<NetlinkMessage<RouteNetlinkMessage>>,
        descriptions: Vec<String>,
    ) -> Result<(), BatchError> {
        // Sequence numbers are given in order, so that the nth lowest is that of the nth request, once all are there.
        let mut answers = BTreeMap::new();
        if let Ok(mut replies) = self.handle.request_batch(messages, SocketAddr::new(0, 0)) {
            while let Some(reply) = replies.next().await {
                if let NetlinkPayload::Error(error) = reply.payload {
                    let refusal = (error.code.is_some()).then(|| {
                        let source =
                            io::Error::from_raw_os_error(error.raw_code().saturating_abs());
                        (source, explanation(reply.header.flags, &error.header))
                    });
                    answers.insert(reply.header.sequence_number, refusal);
                }
            }
        }
        if answers.len() != descriptions.len() {
            return Err(BatchError::Incomplete {
                answered: answers.len(),
                requests: descriptions.len(),
                first: descriptions.into_iter().next().unwrap_or_default(),
            });
        }
        let mut refusals =
            answers
                .into_values()
                .zip(descriptions)
                .filter_map(|(refusal, description)| {
                    refusal.map(|(source, explanation)| RequestError {
                        description,
                        explanation,
                        source,
                    })
                });
        match refusals.next() {
            None => Ok(()),
            Some(first) => Err(BatchError::Refused {
                first: Box::new(first),
                others: refusals.collect(),
            }),
        }
    }
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

fn connect() -> io::Result<(
    Connection<RouteNetlinkMessage>,
    ConnectionHandle<RouteNetlinkMessage>,
)> {
    let (mut connection, handle, _) = netlink_proto::new_connection(NETLINK_ROUTE)?;
    // Without this, the acknowledgement of a request and the end of the connection look the same.
    connection.set_forward_ack(true);
    let socket = connection.socket_mut().socket_mut();
    socket.set_netlink_get_strict_chk(true)?;
    socket.set_ext_ack(true)?;
    socket.set_cap_ack(true)?;
    if let Err(error) = socket.set_rx_buf_sz(RECEIVE_BUFFER) {
        tracing::debug!(%error, "the netlink receive buffer stays at its default size");
    }
    Ok((connection, handle))
}
