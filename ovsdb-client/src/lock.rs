//! Locks: a name that one client at a time owns (RFC 7047 §4.1.8 to §4.1.10).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::Instant;

use crate::client::{Client, Source};
use crate::error::CallError;
use crate::ownership::Ownership;
use crate::transport::{Route, Service};

pub use crate::ownership::LockState;

/// A lock that was asked for; made by [`Client::lock`], [`Client::steal`] or
/// [`Database::lock`](crate::Database::lock).
///
/// It may be ours at once, later, and not any more later still: ask, wait, and above all put
/// [`Transaction::assert_lock`](crate::Transaction::assert_lock) into every transaction that must
/// only happen while it is. Clones share the lock. When the last one is dropped the server is told.
#[derive(Debug, Clone)]
pub struct Lock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    source: Source,
    ownership: Ownership,
    route: Mutex<Option<Route>>,
    /// Whether it was given back, so that no later session asks for it.
    given_back: AtomicBool,
}

/// Why a lock was not even asked for.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The connection has asked for the lock already, and the server takes no second request.
    #[error("lock {name} was asked for before on this connection; drop or unlock it first")]
    Requested {
        /// Name of the lock.
        name: String,
    },
    /// The server could not be asked, or refused.
    #[error("lock {name} cannot be asked for")]
    Call {
        /// Name of the lock.
        name: String,
        /// What happened.
        source: CallError,
    },
}

/// The two ways to ask.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Request {
    /// After those who asked before.
    Lock,
    /// Before everybody, the owner included.
    Steal,
}

impl Client {
    /// Asks for a lock. It is ours when those who asked before have given it back.
    ///
    /// # Errors
    ///
    /// [`LockError`].
    pub async fn lock(&self, name: &str) -> Result<Lock, LockError> {
        self.ask_for_lock(name, Request::Lock).await
    }

    /// Takes a lock away from its owner, who is queued again before all others.
    ///
    /// # Errors
    ///
    /// [`LockError`].
    pub async fn steal(&self, name: &str) -> Result<Lock, LockError> {
        self.ask_for_lock(name, Request::Steal).await
    }

    async fn ask_for_lock(&self, name: &str, request: Request) -> Result<Lock, LockError> {
        let lock = Lock::new(name, Source::Fixed(self.clone()));
        lock.start(self, request).await?;
        Ok(lock)
    }
}

impl Lock {
    /// Makes a lock that waits to be [asked for](Self::start).
    pub(crate) fn new(name: &str, source: Source) -> Self {
        Self(Arc::new(Inner {
            name: name.to_owned(),
            source,
            ownership: Ownership::new(),
            route: Mutex::new(None),
            given_back: AtomicBool::new(false),
        }))
    }

    /// Asks for the lock on a connection.
    pub(crate) async fn start(&self, client: &Client, request: Request) -> Result<(), LockError> {
        #[derive(Deserialize)]
        struct Reply {
            locked: bool,
        }

        let Inner {
            name, ownership, ..
        } = &*self.0;
        let routes = &client.wire().routes;
        let route = routes
            .open_lock(name, ownership.clone())
            .ok_or_else(|| LockError::Requested { name: name.clone() })?;
        ownership.request();
        let method = match request {
            Request::Lock => "lock",
            Request::Steal => "steal",
        };
        match client.call(method, &[name]).await {
            Ok(Reply { locked }) => {
                ownership.reply(locked);
                *self.route() = Some(route);
                Ok(())
            }
            Err(source) => {
                ownership.lost();
                let name = name.clone();
                Err(LockError::Call { name, source })
            }
        }
    }

    /// Name of the lock.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether the lock is ours now, as far as is known.
    pub fn state(&self) -> LockState {
        self.0.ownership.state()
    }

    /// Waits until the lock is ours; false when it is not by the `deadline`.
    pub async fn wait_owned(&self, deadline: Instant) -> bool {
        let owned = self.0.ownership.wait_for(|state| state == LockState::Owned);
        tokio::time::timeout_at(deadline, owned).await.is_ok()
    }

    /// Waits until the state is another one than `known`, and returns it. Of several changes that
    /// follow each other closely only the last may be seen.
    pub async fn changed(&self, known: LockState) -> LockState {
        self.0.ownership.wait_for(|state| state != known).await
    }

    /// Gives the lock, or the place in the queue, back.
    ///
    /// # Errors
    ///
    /// [`CallError`], as for every call; the lock is gone all the same, unless the server did not
    /// get to know.
    pub async fn unlock(self) -> Result<(), CallError> {
        self.0.given_back.store(true, Ordering::Relaxed);
        self.0.ownership.lost();
        let route = self.route().take();
        if let (Some(client), Some(route)) = (self.0.source.current(), route) {
            client.call::<IgnoredAny>("unlock", &[route.id()]).await?;
        }
        Ok(())
    }

    /// A handle that does not keep the lock.
    pub(crate) fn downgrade(&self) -> WeakLock {
        WeakLock(Arc::downgrade(&self.0))
    }

    fn route(&self) -> MutexGuard<'_, Option<Route>> {
        self.0.route.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle that does not keep the lock, and is empty once it was given back.
#[derive(Debug, Clone)]
pub(crate) struct WeakLock(std::sync::Weak<Inner>);

impl WeakLock {
    pub(crate) fn upgrade(&self) -> Option<Lock> {
        let wanted = |inner: &Arc<Inner>| !inner.given_back.load(Ordering::Relaxed);
        self.0.upgrade().filter(wanted).map(Lock)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let route = self.route.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let (Some(client), Some(route)) = (self.source.current(), route.take()) {
            // Where the connection is gone the lock is as well.
            drop(
                client
                    .wire()
                    .ask(Service::Farewell, "unlock", &[route.id()]),
            );
        }
    }
}
