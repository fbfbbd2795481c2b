//! Where the current connection is to be found.

use std::sync::Arc;

use tokio::sync::watch;

use super::Client;

/// The connection that a monitor or a lock works on at the moment.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// Always the same.
    Fixed(Client),
    /// One after another, with none in between.
    Following(Current),
}

/// The connections of a task that stays connected, one after another.
#[derive(Debug, Clone)]
pub(crate) struct Current {
    client: watch::Receiver<Option<Client>>,
    /// The task runs as long as somebody holds this.
    _alive: Arc<watch::Sender<()>>,
}

impl Current {
    pub(crate) fn new(
        client: watch::Receiver<Option<Client>>,
        alive: Arc<watch::Sender<()>>,
    ) -> Self {
        Self {
            client,
            _alive: alive,
        }
    }

    /// The connection, if there is one.
    pub(crate) fn client(&self) -> Option<Client> {
        self.client.borrow().clone()
    }

    /// Waits for a connection that works, as far as is known.
    pub(crate) async fn connected(&self) -> Option<Client> {
        let mut client = self.client.clone();
        let works = |client: &Option<Client>| client.as_ref().is_some_and(Client::is_connected);
        let connected = client.wait_for(works).await;
        connected.ok().and_then(|client| client.clone())
    }
}

impl Source {
    /// The connection, if there is one.
    pub(crate) fn current(&self) -> Option<Client> {
        match self {
            Self::Fixed(client) => Some(client.clone()),
            Self::Following(current) => current.client(),
        }
    }
}
