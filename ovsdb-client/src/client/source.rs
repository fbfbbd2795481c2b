//! Where the current connection is to be found.

use tokio::sync::watch;

use super::Client;

/// The connection that a monitor or a lock works on at the moment.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// Always the same.
    Fixed(Client),
    /// One after another, with none in between.
    Following(watch::Receiver<Option<Client>>),
}

impl Source {
    /// The connection, if there is one.
    pub(crate) fn current(&self) -> Option<Client> {
        match self {
            Self::Fixed(client) => Some(client.clone()),
            Self::Following(current) => current.borrow().clone(),
        }
    }
}
