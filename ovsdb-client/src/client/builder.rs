//! How a connection is made.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::rpc::{Rpc, RpcLayer};
use super::{Client, Connection};
use crate::error::ConnectError;
use crate::frame::DEFAULT_MESSAGE_LIMIT;
use crate::remote::Remote;
use crate::stream::{Stream, StreamOptions};
use crate::transport::Wire;

/// The description of a connection; see [`Client::builder`].
#[derive(Debug, Clone)]
pub struct ClientBuilder {
    deadline: Duration,
    message_limit: usize,
    probe_interval: Option<Duration>,
    rpc_layer: RpcLayer,
    stream: StreamOptions,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(30),
            message_limit: DEFAULT_MESSAGE_LIMIT,
            probe_interval: None,
            rpc_layer: RpcLayer::default(),
            stream: StreamOptions::default(),
        }
    }
}

impl ClientBuilder {
    /// Sets how long connecting, and each call after it, may take. Default: 30 seconds.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the largest message accepted from the server, in bytes; a larger one ends the
    /// connection. Default: [`DEFAULT_MESSAGE_LIMIT`].
    #[must_use]
    pub fn message_limit(mut self, limit: usize) -> Self {
        self.message_limit = limit;
        self
    }

    /// Asks the server for a sign of life whenever nothing came from it for this long, and ends the
    /// connection if nothing comes for as long again. `None`, the default, asks never; the server's
    /// own probes are always answered.
    #[must_use]
    pub fn probe_interval(mut self, interval: Option<Duration>) -> Self {
        self.probe_interval = interval;
        self
    }

    /// Chooses what matches replies to requests. Default: [`RpcLayer::Jsonrpsee`].
    #[must_use]
    pub fn rpc_layer(mut self, layer: RpcLayer) -> Self {
        self.rpc_layer = layer;
        self
    }

    /// Sets how the stream to the server is opened, TLS included. Default:
    /// [`StreamOptions::default`].
    #[must_use]
    pub fn stream(mut self, options: StreamOptions) -> Self {
        self.stream = options;
        self
    }

    /// Connects to a server, and waits until it has spoken.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`].
    pub async fn connect(self, remote: &Remote) -> Result<Client, ConnectError> {
        let deadline = self.deadline;
        let connected = tokio::time::timeout(deadline, self.open(remote)).await;
        connected.unwrap_or_else(|_| {
            Err(ConnectError::Timeout {
                remote: remote.clone(),
                deadline,
            })
        })
    }

    async fn open(self, remote: &Remote) -> Result<Client, ConnectError> {
        let stream = Stream::connect(remote, &self.stream).await?;
        let client = self.from_stream(stream);
        let remote = remote.clone();
        match client.connection.wire.greeted().await {
            Ok(()) => Ok(client),
            // With TLS 1.3 a server that refuses our certificate says so only now.
            Err(source) => Err(match source.tls() {
                Some(source) => ConnectError::Tls { remote, source },
                None => ConnectError::Silent { remote, source },
            }),
        }
    }

    /// Speaks over a stream that is connected already.
    ///
    /// # Panics
    ///
    /// As [`Client::from_stream`].
    pub fn from_stream<S>(self, stream: S) -> Client
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (wire, receiver) = Wire::open(stream, self.message_limit);
        let rpc = Rpc::start(self.rpc_layer, &wire, receiver);
        if let Some(interval) = self.probe_interval {
            tokio::spawn(wire.clone().probe(interval));
        }
        Client {
            connection: Arc::new(Connection { rpc, wire }),
            deadline: self.deadline,
        }
    }
}
