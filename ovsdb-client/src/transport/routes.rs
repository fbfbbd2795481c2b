//! Where the server's notifications go.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::Disconnect;
use crate::ownership::Ownership;
use crate::replica::{MonitorEnded, Protocol, Replica};

/// The monitors and locks of one connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Routes(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next_monitor: AtomicU64,
    targets: Mutex<Targets>,
}

#[derive(Debug, Default)]
struct Targets {
    /// By the id that the monitor gave itself.
    monitors: HashMap<String, Feed>,
    /// By name.
    locks: HashMap<String, Ownership>,
}

/// A replica, and the number of the session under which this connection feeds it.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    pub(crate) replica: Replica,
    pub(crate) session: u64,
}

/// What a route is for.
#[derive(Debug)]
enum Target {
    Monitor(String),
    Lock(String),
}

/// Something that is open for notifications until this is dropped.
#[derive(Debug)]
pub(crate) struct Route {
    target: Target,
    routes: Routes,
}

impl Routes {
    fn targets(&self) -> MutexGuard<'_, Targets> {
        // No code that runs under the lock leaves the maps half-changed.
        self.0
            .targets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the way to a replica under a new id; before the monitor is requested, so that nothing
    /// is missed.
    pub(crate) fn open_monitor(&self, feed: Feed) -> Route {
        let number = self.0.next_monitor.fetch_add(1, Ordering::Relaxed);
        let id = format!("monitor-{number}");
        self.targets().monitors.insert(id.clone(), feed);
        Route {
            target: Target::Monitor(id),
            routes: self.clone(),
        }
    }

    /// Opens the way to a lock; nothing if there is one of that name already.
    pub(crate) fn open_lock(&self, name: &str, ownership: Ownership) -> Option<Route> {
        let mut targets = self.targets();
        if targets.locks.contains_key(name) {
            return None;
        }
        targets.locks.insert(name.to_owned(), ownership);
        Some(Route {
            target: Target::Lock(name.to_owned()),
            routes: self.clone(),
        })
    }

    /// Hands on a notification. One for somebody who is gone is no error: the server does not know
    /// yet.
    pub(super) fn deliver(&self, method: &str, params: &RawValue) {
        let Some(addressee) = addressee(params) else {
            return tracing::debug!(method, "ignored a notification for nobody");
        };
        let targets = self.targets();
        let feed = targets.monitors.get(&addressee).cloned();
        let lock = targets.locks.get(&addressee).cloned();
        drop(targets);
        match (method, Protocol::of_update(method), feed, lock) {
            (_, Some(protocol), Some(Feed { replica, session }), _) => {
                replica.update(session, protocol, params);
            }
            ("monitor_canceled", _, Some(Feed { replica, session }), _) => {
                replica.fail(session, MonitorEnded::Canceled);
            }
            ("locked", _, _, Some(lock)) => lock.locked(),
            ("stolen", _, _, Some(lock)) => lock.stolen(),
            _ => tracing::debug!(method, addressee, "ignored a notification for nobody"),
        }
    }

    /// Tells everybody that nothing will come any more.
    pub(crate) fn close(&self, cause: &Disconnect) {
        // Held throughout, so that whoever comes second returns when all have been told as well.
        let mut targets = self.targets();
        for (_, Feed { replica, session }) in targets.monitors.drain() {
            let source = cause.clone();
            replica.fail(session, MonitorEnded::Disconnected { source });
        }
        for (_, lock) in targets.locks.drain() {
            lock.lost();
        }
    }
}

/// The id or name that the parameters of a notification begin with, if it can be one of ours.
fn addressee(params: &RawValue) -> Option<String> {
    let first = params.get().strip_prefix('[')?;
    // Only the first element is parsed; what follows may be megabytes.
    String::deserialize(&mut serde_json::Deserializer::from_str(first)).ok()
}

impl Route {
    /// The id of the monitor, or the name of the lock.
    pub(crate) fn id(&self) -> &str {
        match &self.target {
            Target::Monitor(id) | Target::Lock(id) => id,
        }
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        let mut targets = self.routes.targets();
        match &self.target {
            Target::Monitor(id) => drop(targets.monitors.remove(id)),
            Target::Lock(name) => drop(targets.locks.remove(name)),
        }
    }
}
