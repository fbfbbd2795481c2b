//! The end of a connection.

use std::sync::Arc;

use tokio::sync::watch;

use crate::error::Disconnect;

/// Why a connection ended, once it has: the first cause counts, later ones are its echoes.
///
/// All parts of a connection share one, so that whatever notices the end first ends the others.
#[derive(Debug, Clone)]
pub(crate) struct Fate(Arc<watch::Sender<Option<Disconnect>>>);

impl Fate {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// Ends the connection, if it has not ended already, and returns the cause that counts.
    pub(crate) fn seal(&self, cause: Disconnect) -> Disconnect {
        self.0.send_if_modified(|sealed| {
            let first = sealed.is_none();
            if first {
                *sealed = Some(cause.clone());
            }
            first
        });
        self.cause().unwrap_or(cause)
    }

    /// The cause, if the connection has ended.
    pub(crate) fn cause(&self) -> Option<Disconnect> {
        self.0.borrow().clone()
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self) -> Disconnect {
        let mut sealed = self.0.subscribe();
        // The sender lives in `self`.
        let cause = sealed.wait_for(Option::is_some).await;
        cause
            .ok()
            .and_then(|cause| cause.clone())
            .unwrap_or(Disconnect::Closed)
    }
}
