//! How a connection is made.

use std::sync::Arc;
use std::time::Duration;

use jsonrpsee::core::client::ClientBuilder as RpcClientBuilder;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Client, Connection};
use crate::error::ConnectError;
use crate::frame::DEFAULT_MESSAGE_LIMIT;
use crate::remote::Remote;
use crate::stream::{Stream, StreamOptions};
use crate::transport::{self, Fate, Routes};

/// Bounds what the JSON-RPC client waits for on its own. It has one timeout for all calls while
/// ours have one each, so its own is out of reach: a year.
const BEYOND_ALL_DEADLINES: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The description of a connection; see [`Client::builder`].
#[derive(Debug, Clone)]
pub struct ClientBuilder {
    deadline: Duration,
    message_limit: usize,
    stream: StreamOptions,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(30),
            message_limit: DEFAULT_MESSAGE_LIMIT,
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

    /// Sets how the stream to the server is opened, TLS included. Default:
    /// [`StreamOptions::default`].
    #[must_use]
    pub fn stream(mut self, options: StreamOptions) -> Self {
        self.stream = options;
        self
    }

    /// Connects to a server.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`].
    pub async fn connect(self, remote: &Remote) -> Result<Client, ConnectError> {
        let deadline = self.deadline;
        let opened = Stream::connect(remote, &self.stream);
        match tokio::time::timeout(deadline, opened).await {
            Ok(stream) => Ok(self.from_stream(stream?)),
            Err(_) => Err(ConnectError::Timeout {
                remote: remote.clone(),
                deadline,
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
        let (routes, fate) = (Routes::default(), Fate::default());
        let (sender, receiver) =
            transport::split(stream, self.message_limit, routes.clone(), fate.clone());
        let rpc = RpcClientBuilder::new()
            .request_timeout(BEYOND_ALL_DEADLINES)
            .build_with_tokio(sender, receiver);
        Client {
            connection: Arc::new(Connection { rpc, routes, fate }),
            deadline: self.deadline,
        }
    }
}
