//! The clients that are connected, and what each of them has asked for.

use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use super::message;
use super::monitor::Monitor;

/// Which connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SessionId(pub(super) u64);

/// One connection. Dropping it closes the connection when what was queued has been written.
#[derive(Debug)]
pub(super) struct Session {
    /// Unbounded, for the engine must not wait for a client that does not read.
    outbox: UnboundedSender<String>,
    pub(super) monitors: Vec<Monitor>,
    /// Whether the client follows `_Server`, so that it need not be disconnected when databases
    /// come and go (ovsdb-server(7) §4.1.17).
    pub(super) db_change_aware: bool,
}

impl Session {
    pub(super) fn new(outbox: UnboundedSender<String>) -> Self {
        Self {
            outbox,
            monitors: Vec::new(),
            db_change_aware: false,
        }
    }

    pub(super) fn send(&self, message: String) {
        // The connection may be gone already; its session follows.
        let _ = self.outbox.send(message);
    }

    pub(super) fn notify(&self, method: &str, params: Value) {
        self.send(message::notification(method, params));
    }

    /// The place of a monitor.
    pub(super) fn monitor(&self, id: &Value) -> Option<usize> {
        self.monitors.iter().position(|monitor| monitor.id == *id)
    }
}
