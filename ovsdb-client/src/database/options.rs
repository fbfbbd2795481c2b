//! What is wanted of the connections of a database.

use std::time::Duration;

use crate::client::ClientBuilder;
use crate::listener::Listener;
use crate::remote::{Remote, Remotes};

/// Where the servers of a database are to be found.
#[derive(Debug)]
pub enum Endpoint {
    /// They listen, at one or more places.
    Remotes(Remotes),
    /// They dial in.
    Listener(Listener),
}

impl From<Remotes> for Endpoint {
    fn from(remotes: Remotes) -> Self {
        Self::Remotes(remotes)
    }
}

impl From<Remote> for Endpoint {
    fn from(remote: Remote) -> Self {
        Self::Remotes(remote.into())
    }
}

impl From<Listener> for Endpoint {
    fn from(listener: Listener) -> Self {
        Self::Listener(listener)
    }
}

/// The description of a database to be opened.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) name: String,
    pub(super) endpoint: Endpoint,
    /// How each connection is made.
    pub(super) client: ClientBuilder,
    /// How long opening, and each transaction, may take.
    pub(super) deadline: Duration,
    pub(super) leader_only: bool,
    pub(super) shuffle: bool,
    /// The first pause between rounds of attempts, and the longest.
    pub(super) backoff: (Duration, Duration),
}
