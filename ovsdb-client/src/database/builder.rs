//! How a database is opened.

use std::time::Duration;

use tokio::time::Instant;

use super::driver::Driver;
use super::options::{Endpoint, Options};
use super::{Database, OpenError};
use crate::client::{Client, RpcLayer};
use crate::stream::StreamOptions;

/// The description of a database to be opened; see [`Database::builder`].
#[derive(Debug)]
pub struct DatabaseBuilder(Options);

impl DatabaseBuilder {
    pub(super) fn new(name: &str, endpoint: Endpoint) -> Self {
        let probe = Duration::from_secs(5);
        Self(Options {
            name: name.to_owned(),
            endpoint,
            client: Client::builder().probe_interval(Some(probe)),
            deadline: Duration::from_secs(30),
            leader_only: true,
            shuffle: true,
            backoff: (Duration::from_millis(100), Duration::from_secs(8)),
        })
    }

    /// Sets how long opening, and each transaction after it, may take, waiting for a connection
    /// included. Default: 30 seconds.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.0.deadline = deadline;
        self
    }

    /// Sets whether only the leader of a cluster will do, or any member that is connected to it.
    /// What another client wrote is seen at once on the leader only. Default: only the leader.
    #[must_use]
    pub fn leader_only(mut self, leader_only: bool) -> Self {
        self.0.leader_only = leader_only;
        self
    }

    /// Sets whether the remotes are tried in an order of chance, so that many clients spread over
    /// them. Default: yes.
    #[must_use]
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.0.shuffle = shuffle;
        self
    }

    /// Asks the server for a sign of life whenever nothing came from it for this long, and leaves
    /// it if nothing comes for as long again. Default: 5 seconds. `None` never asks.
    #[must_use]
    pub fn probe_interval(mut self, interval: Option<Duration>) -> Self {
        self.0.client = self.0.client.probe_interval(interval);
        self
    }

    /// Sets the pauses between rounds of attempts to connect: the first, which doubles with each
    /// round, and the longest. Default: 100 ms and 8 seconds.
    #[must_use]
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.0.backoff = (first, longest);
        self
    }

    /// Sets how long a single connection may take to be made, and an answer to a question of the
    /// session's own. Default: 30 seconds, as with [`ClientBuilder::deadline`](crate::ClientBuilder::deadline).
    #[must_use]
    pub fn connect_deadline(mut self, deadline: Duration) -> Self {
        self.0.client = self.0.client.deadline(deadline);
        self
    }

    /// Sets the largest message accepted, as [`ClientBuilder::message_limit`](crate::ClientBuilder::message_limit).
    #[must_use]
    pub fn message_limit(mut self, limit: usize) -> Self {
        self.0.client = self.0.client.message_limit(limit);
        self
    }

    /// Sets how streams are opened, TLS included, as [`ClientBuilder::stream`](crate::ClientBuilder::stream).
    #[must_use]
    pub fn stream(mut self, options: StreamOptions) -> Self {
        self.0.client = self.0.client.stream(options);
        self
    }

    /// Chooses what matches replies to requests, as [`ClientBuilder::rpc_layer`](crate::ClientBuilder::rpc_layer).
    #[must_use]
    pub fn rpc_layer(mut self, layer: RpcLayer) -> Self {
        self.0.client = self.0.client.rpc_layer(layer);
        self
    }

    /// Begins to connect, and waits for the first connection.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when there is none by the deadline, with the last failure.
    pub async fn open(self) -> Result<Database, OpenError> {
        let deadline = Instant::now() + self.0.deadline;
        let database = self.start();
        database.wait_connected(deadline).await?;
        Ok(database)
    }

    /// Begins to connect and does not wait.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    pub fn start(self) -> Database {
        let deadline = self.0.deadline;
        let name = self.0.name.clone();
        let (driver, ends) = Driver::new(self.0);
        tokio::spawn(driver.run());
        Database::new(name, deadline, ends)
    }
}
