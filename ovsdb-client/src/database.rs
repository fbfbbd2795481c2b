//! A database that stays connected, whatever becomes of its servers.
//!
//! A task connects to one server after another until one will do: it has the database, belongs to
//! the cluster, is connected to it, is its leader if that is wanted, and is not behind what was seen
//! before. Then it provides the monitors and locks anew, the monitors from the last transaction that
//! they know where the server still has what came after. It leaves the server when that says that it
//! will do no more, when it no longer answers, and when the schema changes.
//!
//! # What happens to transactions
//!
//! One that has not been sent waits for the next connection, until its deadline. One that was sent
//! and not answered fails with [`TransactError::Uncertain`]: nobody can know whether it happened, and
//! it is never repeated.

mod backoff;
mod builder;
mod driver;
mod fitness;
mod options;
mod verified;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::client::{Client, Current, Source};
use crate::error::{CallError, ConnectError, Disconnect};
use crate::listener::AcceptError;
use crate::lock::{Lock, LockError, Request};
use crate::monitor::{Monitor, MonitorError, MonitorTable};
use crate::schema::Schema;
use crate::transaction::{TransactError, Transaction, TransactionOutcome};
use driver::{Command, Ends};

pub use builder::DatabaseBuilder;
pub use fitness::Unfit;
pub use options::Endpoint;

/// A handle on one database of a server, or of the servers of a cluster.
///
/// Clones share the connection. It is given up when the last of them, and the last monitor and lock
/// made by them, is gone.
///
/// ```no_run
/// # use ovsdb_client::{Database, MonitorTable, Remotes, Transaction, value::Row};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let remotes: Remotes = "tcp:192.0.2.1:6641,tcp:192.0.2.2:6641,tcp:192.0.2.3:6641".parse()?;
/// let nb = Database::builder("OVN_Northbound", remotes).open().await?;
/// let switches = nb.monitor(&[MonitorTable::new("Logical_Switch")]).await?;
///
/// let mut txn = Transaction::new();
/// txn.insert("Logical_Switch", Row::new().set("name", "sw0"));
/// nb.transact(txn).await?;
/// assert!(switches.snapshot().rows("Logical_Switch").any(|(_, row)| row.str("name") == Some("sw0")));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Database {
    name: Arc<str>,
    deadline: Duration,
    current: Current,
    ends: Arc<Ends>,
}

/// How the connection of a [`Database`] stands.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Number of sessions so far, the current one included.
    pub session: u64,
    /// The remote of the current session; none while there is no session.
    pub connected: Option<String>,
    /// The schema, as the current or last server has it.
    pub schema: Option<Arc<Schema>>,
    /// Why there is no session, or why the last attempt to begin one failed.
    pub failure: Option<Arc<SessionError>>,
}

/// Why a session did not begin, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// No connection was made.
    #[error("no connection")]
    Connect {
        /// Why not.
        #[from]
        source: ConnectError,
    },
    /// No server dialed in.
    #[error("no connection from a server")]
    Accept {
        /// Why not.
        #[from]
        source: AcceptError,
    },
    /// The server will not do.
    #[error("the server will not do")]
    Unfit {
        /// Why not.
        source: Unfit,
    },
    /// The server could not be asked for something.
    #[error("the session could not begin")]
    Call {
        /// What happened.
        #[from]
        source: CallError,
    },
    /// A monitor could not be provided.
    #[error("a monitor could not be provided")]
    Monitor {
        /// What happened.
        #[from]
        source: MonitorError,
    },
    /// A lock could not be asked for.
    #[error("a lock could not be asked for")]
    Lock {
        /// What happened.
        #[from]
        source: LockError,
    },
    /// The session ended.
    #[error("the session ended")]
    Ended {
        /// Why.
        source: Disconnect,
    },
}

/// A database has no connection.
#[derive(Debug, thiserror::Error)]
#[error("database {database} has no connection after {waited:?}")]
pub struct OpenError {
    /// Name of the database.
    pub database: String,
    /// How long it was waited for.
    pub waited: Duration,
    /// The last failure.
    pub source: Option<Arc<SessionError>>,
}

impl Database {
    /// Starts the description of a database.
    pub fn builder(name: &str, endpoint: impl Into<Endpoint>) -> DatabaseBuilder {
        DatabaseBuilder::new(name, endpoint.into())
    }

    fn new(name: String, deadline: Duration, ends: Ends) -> Self {
        Self {
            name: name.into(),
            deadline,
            current: Current::new(ends.client.clone(), Arc::clone(&ends.alive)),
            ends: Arc::new(ends),
        }
    }

    /// Name of the database.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the connection stands.
    pub fn status(&self) -> Status {
        self.ends.status.borrow().clone()
    }

    /// Waits until the connection stands so that `seen` finds what it looks for, and returns that.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when `deadline` has passed.
    pub async fn wait_status<T>(
        &self,
        deadline: Instant,
        mut seen: impl FnMut(&Status) -> Option<T>,
    ) -> Result<T, OpenError> {
        let began = Instant::now();
        let mut status = self.ends.status.clone();
        let mut found = None;
        let wait = status.wait_for(|status| {
            found = seen(status);
            found.is_some()
        });
        // The task lives as long as this handle.
        drop(tokio::time::timeout_at(deadline, wait).await);
        found.ok_or_else(|| OpenError {
            database: self.name.to_string(),
            waited: began.elapsed(),
            source: self.status().failure,
        })
    }

    /// Waits until there is a connection.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when `deadline` has passed.
    pub async fn wait_connected(&self, deadline: Instant) -> Result<(), OpenError> {
        self.wait_status(deadline, |status| status.connected.as_ref().map(drop))
            .await
    }

    /// The connection of the moment, for calls that this type does not offer.
    pub fn client(&self) -> Option<Client> {
        self.current.client()
    }

    /// Carries out a transaction, when there is a connection. It is first
    /// [validated](Transaction::validate) against the server's schema.
    ///
    /// What it changed is in the monitors of this database when it returns.
    ///
    /// # Errors
    ///
    /// [`TransactError`]. [`TransactError::Uncertain`] if the connection was lost, or the deadline
    /// passed, between the request and its reply; with any other, nothing has changed.
    pub async fn transact(
        &self,
        transaction: Transaction,
    ) -> Result<TransactionOutcome, TransactError> {
        let method = "transact";
        let deadline = Instant::now() + self.deadline;
        loop {
            let connected = tokio::time::timeout_at(deadline, self.current.connected());
            let Ok(Some(client)) = connected.await else {
                let source = self.unconnected(method);
                return Err(TransactError::Call { source });
            };
            if let Some(schema) = self.status().schema {
                let valid = transaction.validate(&schema);
                valid.map_err(|source| TransactError::Invalid { source })?;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let client = client.with_deadline(left);
            match client.transact(&self.name, transaction.clone()).await {
                // It ended a moment ago, before it got to know of the transaction.
                Err(TransactError::Call {
                    source: CallError::NotSent { .. },
                }) => {}
                result => return result,
            }
        }
    }

    /// Follows tables of the database, across connections.
    ///
    /// # Errors
    ///
    /// [`MonitorError`], when the server refuses, the schema lacks something that is not
    /// [optional](MonitorTable::optional), or there is no connection by the deadline.
    pub async fn monitor(&self, tables: &[MonitorTable]) -> Result<Monitor, MonitorError> {
        let source = Source::Following(self.current.clone());
        let monitor = Monitor::new(&self.name, tables, source, Some(self.ends.troubles.clone()));
        let (reply, started) = oneshot::channel();
        self.send(Command::Monitor(monitor.clone(), reply));
        match tokio::time::timeout(self.deadline, started).await {
            Ok(Ok(started)) => started.map(|()| monitor),
            Ok(Err(_)) | Err(_) => Err(self.unconnected("monitor").into()),
        }
    }

    /// Asks for a lock, which is asked for again after each reconnection.
    ///
    /// # Errors
    ///
    /// [`LockError`].
    pub async fn lock(&self, name: &str) -> Result<Lock, LockError> {
        self.ask_for_lock(name, Request::Lock).await
    }

    /// Takes a lock away from its owner. After a reconnection it is asked for, not taken.
    ///
    /// # Errors
    ///
    /// [`LockError`].
    pub async fn steal(&self, name: &str) -> Result<Lock, LockError> {
        self.ask_for_lock(name, Request::Steal).await
    }

    async fn ask_for_lock(&self, name: &str, request: Request) -> Result<Lock, LockError> {
        let lock = Lock::new(name, Source::Following(self.current.clone()));
        let (reply, started) = oneshot::channel();
        self.send(Command::Lock(lock.clone(), request, reply));
        match tokio::time::timeout(self.deadline, started).await {
            Ok(Ok(started)) => started.map(|()| lock),
            Ok(Err(_)) | Err(_) => Err(LockError::Call {
                name: name.to_owned(),
                source: self.unconnected("lock"),
            }),
        }
    }

    fn send(&self, command: Command) {
        // The task lives as long as this handle; without it the reply will not come either.
        drop(self.ends.commands.send(command));
    }

    /// That there was no connection for a call, and why.
    fn unconnected(&self, method: &'static str) -> CallError {
        let reason = match self.status().failure {
            Some(failure) => chain(&failure),
            None => "none was made yet".to_owned(),
        };
        CallError::NotSent {
            method,
            source: Disconnect::Left { reason },
        }
    }
}

/// A failure with its sources.
fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<_> = sources.map(ToString::to_string).collect();
    texts.join(": ")
}
