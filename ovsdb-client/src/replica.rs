//! The rows of a database on this side, kept equal to the server's.
//!
//! They are fed by the task that reads a connection, message by message, before that task
//! hands on the reply to a call that follows on the wire. So when a call returns, what it changed
//! can be read here. Whoever reads takes a [`Snapshot`], or follows the changes.

mod change;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod index;
mod layout;
mod shards;
mod snapshot;
mod subscription;
mod update;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::error::Disconnect;
pub use change::{Changes, Inconsistency, RowChange};
pub(crate) use layout::{IndexKey, Layout, Layouts};
pub use snapshot::Snapshot;
use subscription::Queues;
pub use subscription::{Event, Subscription};
pub use update::Protocol;
use update::{Initial, Updates};

/// The reading and the feeding end of the rows of one monitor.
#[derive(Clone)]
pub(crate) struct Replica(Arc<Inner>);

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Replica")
            .field("session", &state.session)
            .field("stage", &state.stage)
            .field("snapshot", &state.snapshot)
            .finish_non_exhaustive()
    }
}

struct Inner {
    state: Mutex<State>,
    /// Version of the newest snapshot; closed never, changed once more when the monitor ends.
    version: watch::Sender<u64>,
    /// Told the session when the rows cannot be kept up to date by it. Without anybody to tell,
    /// the monitor ends.
    trouble: Option<mpsc::UnboundedSender<Trouble>>,
}

struct State {
    snapshot: Snapshot,
    layouts: Arc<Layouts>,
    /// The session whose updates are taken; those of older ones come from a dead connection.
    session: u64,
    stage: Stage,
    /// The last transaction that the rows include, where the server counts them.
    transaction: Uuid,
    queues: Queues,
}

#[derive(Debug)]
enum Stage {
    /// The initial contents are on their way. What overtakes them is kept, as they are applied by
    /// the caller that asked for them, later than the updates that follow them on the wire.
    Loading(VecDeque<(Protocol, Box<RawValue>)>),
    /// The rows follow the server's.
    Live,
    /// There is no session at the moment.
    Waiting,
    /// There will be no more changes.
    Ended(MonitorEnded),
}

/// A session that cannot keep a replica up to date.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// Number of the session.
    pub(crate) session: u64,
    /// What happened.
    pub(crate) reason: MonitorEnded,
}

/// Why a monitor has ended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MonitorEnded {
    /// The connection is gone.
    #[error("the connection of the monitor is gone")]
    Disconnected {
        /// Why.
        source: Disconnect,
    },
    /// The server canceled the monitor, as it does when the database's schema changes.
    #[error("the server canceled the monitor")]
    Canceled,
    /// An update cannot be parsed. The rows are those before it.
    #[error("an update cannot be understood: {reason}")]
    Malformed {
        /// The parser's words.
        reason: String,
    },
    /// An update contradicts the rows.
    #[error("an update does not fit the rows")]
    Inconsistent {
        /// In what way.
        #[from]
        source: Inconsistency,
    },
    /// The server can no longer provide it: its new schema lacks a table or a column.
    #[error("the server provides the monitor no more: {reason}")]
    Refused {
        /// The server's or the schema's reason.
        reason: String,
    },
    /// Its last handle was dropped, or [`Monitor::cancel`](crate::Monitor::cancel) was called.
    #[error("the monitor was given up")]
    Dropped,
}

/// Why a wait ended without what was waited for.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// It did not happen in time.
    #[error("not seen within {waited:?}")]
    Timeout {
        /// How long it was waited for.
        waited: Duration,
    },
    /// It cannot be seen any more.
    #[error("the monitor has ended")]
    Ended {
        /// Why.
        #[from]
        source: MonitorEnded,
    },
}

impl Replica {
    /// Makes a replica without rows that waits for its first session.
    pub(crate) fn new(trouble: Option<mpsc::UnboundedSender<Trouble>>) -> Self {
        Self(Arc::new(Inner {
            state: Mutex::new(State {
                snapshot: Snapshot::default(),
                layouts: Arc::default(),
                session: 0,
                stage: Stage::Waiting,
                transaction: Uuid::nil(),
                queues: Queues::default(),
            }),
            version: watch::Sender::new(0),
            trouble,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic under the lock would be a bug in the application of an update, after which the
        // rows are as suspect as after any other inconsistency; there is none known.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows as they are now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.state().snapshot.clone()
    }

    /// Why there will be no more changes, if so.
    pub(crate) fn ended(&self) -> Option<MonitorEnded> {
        match &self.state().stage {
            Stage::Ended(ended) => Some(ended.clone()),
            _ => None,
        }
    }

    /// Whether a session keeps the rows up to date.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.state().stage, Stage::Live)
    }

    /// Begins a session, whose updates are kept until its initial contents come. Returns the last
    /// transaction that the rows include; nil when all contents must be asked for.
    pub(crate) fn begin(&self, session: u64, layouts: Layouts) -> Uuid {
        let mut state = self.state();
        state.session = session;
        if matches!(state.stage, Stage::Ended(_)) {
            return Uuid::nil();
        }
        state.stage = Stage::Loading(VecDeque::new());
        if *state.layouts != layouts {
            // Rows of another shape cannot be brought up to date by differences.
            state.layouts = Arc::new(layouts);
            state.transaction = Uuid::nil();
        }
        state.transaction
    }

    /// Makes the next session ask for all contents.
    pub(crate) fn forget_transaction(&self) {
        self.state().transaction = Uuid::nil();
    }

    /// Takes the initial contents of a session. Returns whether they were only what had changed.
    pub(crate) fn load(
        &self,
        session: u64,
        protocol: Protocol,
        contents: &RawValue,
    ) -> Result<bool, MonitorEnded> {
        let layouts = Arc::clone(&self.state().layouts);
        let initial = update::initial(&layouts, protocol, contents)
            .map_err(|error| MonitorEnded::malformed(&error))?;
        let resumed = initial.resumed;
        let mut state = self.state();
        if let Stage::Ended(ended) = &state.stage {
            return Err(ended.clone());
        }
        if state.session == session {
            let loaded = state.load(&layouts, initial);
            if let Err(ended) = loaded {
                state.transaction = Uuid::nil();
                return Err(ended);
            }
            self.0.version.send_replace(state.snapshot.version());
        }
        Ok(resumed)
    }

    /// Takes the parameters of an update.
    pub(crate) fn update(&self, session: u64, protocol: Protocol, params: &RawValue) {
        let layouts = {
            let mut state = self.state();
            if state.session != session {
                return;
            }
            match &mut state.stage {
                Stage::Loading(early) => return early.push_back((protocol, params.to_owned())),
                Stage::Live => Arc::clone(&state.layouts),
                Stage::Waiting | Stage::Ended(_) => return,
            }
        };
        // Parsed without the lock, so that readers do not wait for it; nobody else feeds.
        let result = match update::update(&layouts, protocol, params) {
            Err(error) => Err(MonitorEnded::malformed(&error)),
            Ok((transaction, updates)) => {
                let mut state = self.state();
                if state.session != session {
                    return;
                }
                let applied = state.apply(transaction, updates);
                applied.map(|()| {
                    self.0.version.send_replace(state.snapshot.version());
                })
            }
        };
        if let Err(ended) = result {
            self.fail(session, ended);
        }
    }

    /// Notes that a session can feed no more: its connection is gone, or its updates make no sense.
    pub(crate) fn fail(&self, session: u64, reason: MonitorEnded) {
        let mut state = self.state();
        if state.session != session || matches!(state.stage, Stage::Ended(_)) {
            return;
        }
        let lasting = matches!(reason, MonitorEnded::Disconnected { .. });
        if !lasting {
            state.transaction = Uuid::nil();
        }
        match &self.0.trouble {
            Some(trouble) => {
                state.stage = Stage::Waiting;
                // Nobody listens only when the session is being given up anyway.
                drop(trouble.send(Trouble { session, reason }));
            }
            None => self.end_locked(state, reason),
        }
    }

    /// Ends the monitor for good; the first reason counts.
    pub(crate) fn end(&self, reason: MonitorEnded) {
        let state = self.state();
        if !matches!(state.stage, Stage::Ended(_)) {
            self.end_locked(state, reason);
        }
    }

    fn end_locked(&self, mut state: MutexGuard<'_, State>, reason: MonitorEnded) {
        state.stage = Stage::Ended(reason);
        // Wakes everybody who waits for a change.
        self.0.version.send_replace(state.snapshot.version());
    }

    /// Waits until there will be no more changes.
    pub(crate) async fn wait_ended(&self) -> MonitorEnded {
        let mut version = self.0.version.subscribe();
        loop {
            version.mark_unchanged();
            if let Some(ended) = self.ended() {
                return ended;
            }
            // The sender lives in `self`.
            drop(version.changed().await);
        }
    }

    /// Waits until `seen` finds in the rows what it looks for.
    pub(crate) async fn wait_until<T>(
        &self,
        deadline: Instant,
        mut seen: impl FnMut(&Snapshot) -> Option<T>,
    ) -> Result<T, WaitError> {
        let began = Instant::now();
        let mut version = self.0.version.subscribe();
        loop {
            version.mark_unchanged();
            // In this order: what came before the end is in the snapshot then.
            let (ended, snapshot) = (self.ended(), self.snapshot());
            if let Some(found) = seen(&snapshot) {
                return Ok(found);
            }
            if let Some(source) = ended {
                return Err(WaitError::Ended { source });
            }
            if tokio::time::timeout_at(deadline, version.changed())
                .await
                .is_err()
            {
                let waited = began.elapsed();
                return Err(WaitError::Timeout { waited });
            }
        }
    }
}

impl MonitorEnded {
    fn malformed(error: &serde_json::Error) -> Self {
        Self::Malformed {
            reason: error.to_string(),
        }
    }
}

impl State {
    fn load(&mut self, layouts: &Layouts, initial: Initial) -> Result<(), MonitorEnded> {
        let Initial {
            resumed,
            transaction,
            updates,
        } = initial;
        if resumed {
            self.apply(transaction, updates)?;
        } else {
            let mut contents = Snapshot::new(layouts);
            contents.apply(updates, false)?;
            let changes = self.snapshot.become_like(contents);
            self.queues.push(changes);
            self.transaction = transaction;
        }
        let early = match std::mem::replace(&mut self.stage, Stage::Live) {
            Stage::Loading(early) => early,
            _ => VecDeque::new(),
        };
        for (protocol, params) in early {
            let (transaction, updates) = update::update(layouts, protocol, &params)
                .map_err(|error| MonitorEnded::malformed(&error))?;
            self.apply(transaction, updates)?;
        }
        Ok(())
    }

    fn apply(&mut self, transaction: Uuid, updates: Updates) -> Result<(), MonitorEnded> {
        let changes = self.snapshot.apply(updates, self.queues.any())?;
        self.queues.push(changes);
        self.transaction = transaction;
        Ok(())
    }
}
