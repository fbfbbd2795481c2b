//! Whether a lock is ours.

use std::sync::Arc;

use tokio::sync::watch;

/// Whether a lock is ours at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockState {
    /// It was asked for; others are before us.
    Waiting,
    /// It is ours.
    Owned,
    /// It was ours, until another client stole it. We are in the queue again.
    Stolen,
    /// There is no connection, and the server has forgotten us.
    Disconnected,
}

/// The state of one lock: written by the connection, read by its holder.
#[derive(Debug, Clone)]
pub(crate) struct Ownership(Arc<watch::Sender<Known>>);

#[derive(Debug, Clone, Copy)]
struct Known {
    state: LockState,
    /// Whether the server has said something since the request. The reply to that is read by the
    /// caller, who may come to it after notifications that followed it.
    notified: bool,
}

impl Ownership {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Known {
            state: LockState::Disconnected,
            notified: false,
        })))
    }

    /// The state now.
    pub(crate) fn state(&self) -> LockState {
        self.0.borrow().state
    }

    /// Waits until the state is one of those that `wanted` accepts.
    pub(crate) async fn wait_for(&self, wanted: impl Fn(LockState) -> bool) -> LockState {
        let mut known = self.0.subscribe();
        let found = known.wait_for(|known| wanted(known.state)).await;
        // The sender lives in `self`.
        found.map_or(LockState::Disconnected, |known| known.state)
    }

    /// Begins to wait: the lock is about to be asked for.
    pub(crate) fn request(&self) {
        self.set(LockState::Waiting, false);
    }

    /// Takes the reply to the request.
    pub(crate) fn reply(&self, locked: bool) {
        self.0.send_if_modified(|known| {
            let newer = locked && !known.notified && known.state == LockState::Waiting;
            if newer {
                known.state = LockState::Owned;
            }
            newer
        });
    }

    /// The server gave us the lock.
    pub(crate) fn locked(&self) {
        self.set(LockState::Owned, true);
    }

    /// The server gave the lock to somebody else.
    pub(crate) fn stolen(&self) {
        self.set(LockState::Stolen, true);
    }

    /// The connection is gone, and the lock with it.
    pub(crate) fn lost(&self) {
        self.set(LockState::Disconnected, false);
    }

    fn set(&self, state: LockState, notified: bool) {
        self.0.send_replace(Known { state, notified });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_that_is_read_late_changes_nothing() {
        let lock = Ownership::new();
        lock.request();
        lock.reply(false);
        assert_eq!(lock.state(), LockState::Waiting);
        lock.locked();
        lock.reply(false);
        assert_eq!(lock.state(), LockState::Owned);

        lock.request();
        lock.stolen();
        lock.reply(true);
        assert_eq!(lock.state(), LockState::Stolen);

        lock.request();
        lock.lost();
        lock.reply(true);
        assert_eq!(lock.state(), LockState::Disconnected);
    }
}
