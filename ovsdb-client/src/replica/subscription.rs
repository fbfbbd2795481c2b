//! Changes for those who want each of them, and the truth for those who are too slow.

use std::collections::{BTreeMap, VecDeque};

use tokio::sync::watch;

use super::{Changes, MonitorEnded, Replica, Snapshot, Stage};

/// What a subscriber is told.
#[derive(Debug, Clone)]
pub enum Event {
    /// A transaction changed some rows.
    Changes(Changes),
    /// More had happened than the subscription may hold, so the changes since the last event were
    /// given up. These are the rows now; the next event continues from here.
    Resync(Snapshot),
}

/// The changes of a monitor, one transaction after another; made by
/// [`Monitor::subscribe`](crate::Monitor::subscribe).
///
/// What is not taken yet waits here, up to the capacity that was given. A subscriber that falls
/// further behind gets an [`Event::Resync`], so it never misses something without knowing, and never
/// makes anybody else wait.
#[derive(Debug)]
pub struct Subscription {
    replica: Replica,
    number: u64,
    version: watch::Receiver<u64>,
}

/// The queues of all subscribers of a replica.
#[derive(Debug, Default)]
pub(super) struct Queues {
    next: u64,
    queues: BTreeMap<u64, Queue>,
}

#[derive(Debug)]
struct Queue {
    /// Most row changes that may wait.
    capacity: usize,
    /// Row changes that wait.
    held: usize,
    changes: VecDeque<Changes>,
    /// Whether changes were given up.
    lost: bool,
}

impl Queues {
    /// Whether anybody wants to know what changes.
    pub(super) fn any(&self) -> bool {
        !self.queues.is_empty()
    }

    /// Hands changes to all subscribers.
    pub(super) fn push(&mut self, changes: Changes) {
        if changes.is_empty() {
            return;
        }
        for queue in self.queues.values_mut() {
            queue.push(changes.clone());
        }
    }
}

impl Queue {
    fn push(&mut self, changes: Changes) {
        if self.lost {
            return;
        }
        self.held += changes.rows.len();
        // A single transaction is taken whatever its size.
        if self.held > self.capacity && !self.changes.is_empty() {
            self.lost = true;
            self.changes.clear();
            return;
        }
        self.changes.push_back(changes);
    }

    /// The next event, if there is one; `now` is the state after all that was pushed.
    fn pop(&mut self, now: &Snapshot) -> Option<Event> {
        if std::mem::take(&mut self.lost) {
            self.held = 0;
            return Some(Event::Resync(now.clone()));
        }
        let changes = self.changes.pop_front()?;
        self.held -= changes.rows.len();
        Some(Event::Changes(changes))
    }
}

impl Replica {
    /// Follows the changes that come after the snapshot that is returned with it.
    pub(crate) fn subscribe(&self, capacity: usize) -> (Snapshot, Subscription) {
        let mut state = self.state();
        let number = state.queues.next;
        state.queues.next += 1;
        let queue = Queue {
            capacity,
            held: 0,
            changes: VecDeque::new(),
            lost: false,
        };
        state.queues.queues.insert(number, queue);
        let snapshot = state.snapshot.clone();
        drop(state);
        let subscription = Subscription {
            replica: self.clone(),
            number,
            version: self.0.version.subscribe(),
        };
        (snapshot, subscription)
    }
}

impl Subscription {
    /// Waits for the next event.
    ///
    /// Cancel safe: no event is lost when the future is dropped.
    ///
    /// # Errors
    ///
    /// [`MonitorEnded`] once all events before the end were taken, and again on each later call.
    pub async fn next(&mut self) -> Result<Event, MonitorEnded> {
        loop {
            self.version.mark_unchanged();
            // In this order: what came before the end is in the queue then.
            let ended = self.replica.ended();
            if let Some(event) = self.try_next() {
                return Ok(event);
            }
            if let Some(ended) = ended {
                return Err(ended);
            }
            // The sender lives in the replica, of which this holds a handle.
            drop(self.version.changed().await);
        }
    }

    /// The next event if it is here already.
    pub fn try_next(&mut self) -> Option<Event> {
        let mut state = self.replica.state();
        let state = &mut *state;
        let queue = state.queues.queues.get_mut(&self.number)?;
        queue.pop(&state.snapshot)
    }

    /// Whether the rows follow a server at the moment, rather than wait for a new connection.
    pub fn is_live(&self) -> bool {
        matches!(self.replica.state().stage, Stage::Live)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.replica.state().queues.queues.remove(&self.number);
    }
}
