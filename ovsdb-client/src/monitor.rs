//! Following a database: its rows here, and every change to them in order.
//!
//! Speaks `monitor_cond_since` and `update3` (ovsdb-server(7) §4.1.15), in which changed sets and
//! maps arrive as differences, and applies these to a [`Replica`].

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod replica;
mod table;
mod update;

use std::time::Duration;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::time::Instant;
use uuid::Uuid;

use crate::client::Client;
use crate::error::{CallError, Disconnect};
use crate::schema::Schema;
use crate::transport::{Event, Route};
use table::MonitorRequests;
use update::TableUpdates;

pub use replica::{Changes, Inconsistency, Replica, RowChange};
pub use table::MonitorTable;

/// Tables being followed; made by [`Client::monitor`].
///
/// The view changes only inside [`next`](Self::next), [`catch_up`](Self::catch_up) and
/// [`wait_until`](Self::wait_until), one transaction of the database at a time, so it is always a
/// state that the database was in. What these have not taken yet waits in a queue without bound:
/// a monitor that nobody looks at costs memory, never updates.
///
/// A dropped monitor stops listening, but the server goes on sending; [`cancel`](Self::cancel)
/// tells it to stop.
#[derive(Debug)]
pub struct Monitor {
    client: Client,
    route: Route,
    replica: Replica,
    /// The initial contents, until somebody has taken them as changes.
    initial: Option<Changes>,
    /// Why there will be no more changes.
    ended: Option<MonitorEnded>,
}

/// Why no monitor was made.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// The server could not be asked, or refused.
    #[error("the monitor has no contents")]
    Call {
        /// What happened.
        #[from]
        source: CallError,
    },
    /// A table is not in the schema.
    #[error("database {database} has no table {table}")]
    UnknownTable {
        /// The database.
        database: String,
        /// The table that was asked for.
        table: String,
    },
    /// A column is not in the schema.
    #[error("table {table} of database {database} has no column {column}")]
    UnknownColumn {
        /// The database.
        database: String,
        /// The table.
        table: String,
        /// The column that was asked for.
        column: String,
    },
    /// The initial contents contradict the schema or themselves.
    #[error("the initial contents make no sense")]
    Inconsistent {
        /// In what way.
        #[from]
        source: Inconsistency,
    },
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
    /// An update cannot be parsed. The view is that before it.
    #[error("an update cannot be understood: {reason}")]
    Malformed {
        /// The parser's words.
        reason: String,
    },
    /// An update contradicts the view, which can no longer be trusted.
    #[error("an update does not fit the view")]
    Inconsistent {
        /// In what way.
        #[from]
        source: Inconsistency,
    },
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

impl Monitor {
    /// Starts to follow tables of the database that `schema` describes.
    ///
    /// When it returns the view holds the initial contents.
    ///
    /// # Errors
    ///
    /// [`MonitorError`], when the server refuses or its reply cannot be understood.
    pub async fn start(
        client: &Client,
        schema: &Schema,
        tables: &[MonitorTable],
    ) -> Result<Self, MonitorError> {
        let (requests, columns) = MonitorRequests::plan(schema, tables)?;
        let route = client.open_route();
        // No transaction is known yet, so all contents are asked for.
        let params = (schema.name(), route.id(), &requests, Uuid::nil());
        let (_found, _transaction, updates): (IgnoredAny, IgnoredAny, TableUpdates) =
            client.call("monitor_cond_since", &params).await?;
        let mut replica = Replica::new(columns);
        let initial = Some(replica.apply(updates)?);
        Ok(Self {
            client: client.clone(),
            route,
            replica,
            initial,
            ended: None,
        })
    }

    /// The rows as they are now, as far as changes have been taken.
    pub fn view(&self) -> &Replica {
        &self.replica
    }

    /// The rows of a table; the short way to [`Replica::rows`].
    pub fn rows(&self, table: &str) -> impl Iterator<Item = (Uuid, &crate::value::Row)> {
        self.replica.rows(table)
    }

    /// Waits for the next transaction that changed the view. The first one returned is the initial
    /// contents, which the view shows from the start.
    ///
    /// Cancel safe: no change is lost when the future is dropped.
    ///
    /// # Errors
    ///
    /// [`MonitorEnded`], again on each later call.
    pub async fn next(&mut self) -> Result<Changes, MonitorEnded> {
        if let Some(initial) = self.initial.take() {
            return Ok(initial);
        }
        if let Some(ended) = &self.ended {
            return Err(ended.clone());
        }
        let result = match self.route.next().await {
            Some(event) => self.take(event),
            None => Err(MonitorEnded::Disconnected {
                source: self.client.closed().await,
            }),
        };
        result.inspect_err(|ended| self.ended = Some(ended.clone()))
    }

    /// Takes all changes that have arrived, without waiting, and returns them.
    ///
    /// Right after a [`Client::transact`] on the same connection these include its own. That the
    /// monitor has ended is for the next [`next`](Self::next) to say.
    pub fn catch_up(&mut self) -> Vec<Changes> {
        let mut caught: Vec<_> = self.initial.take().into_iter().collect();
        while self.ended.is_none() {
            match self.route.try_next() {
                Ok(event) => match self.take(event) {
                    Ok(changes) => caught.push(changes),
                    Err(ended) => self.ended = Some(ended),
                },
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        caught
    }

    /// Takes changes until `seen` finds in the view what it looks for, and returns that.
    ///
    /// The view is shown to `seen` at once and after each transaction. The changes taken on the way
    /// will not be returned by [`next`](Self::next).
    ///
    /// # Errors
    ///
    /// [`WaitError::Timeout`] when `deadline` has passed, [`WaitError::Ended`] when no further
    /// change can come.
    pub async fn wait_until<T>(
        &mut self,
        deadline: Instant,
        mut seen: impl FnMut(&Replica) -> Option<T>,
    ) -> Result<T, WaitError> {
        let began = Instant::now();
        loop {
            if let Some(found) = seen(&self.replica) {
                return Ok(found);
            }
            // The initial contents are in the view already.
            self.initial = None;
            match tokio::time::timeout_at(deadline, self.next()).await {
                Ok(changes) => drop(changes?),
                Err(_) => {
                    return Err(WaitError::Timeout {
                        waited: began.elapsed(),
                    });
                }
            }
        }
    }

    /// Tells the server to stop sending.
    ///
    /// # Errors
    ///
    /// [`CallError`], as for every call; the monitor is gone all the same.
    pub async fn cancel(self) -> Result<(), CallError> {
        self.client
            .call::<IgnoredAny>("monitor_cancel", &[self.route.id()])
            .await?;
        Ok(())
    }

    fn take(&mut self, event: Event) -> Result<Changes, MonitorEnded> {
        match event {
            Event::Update(params) => {
                let updates = updates_of(&params).map_err(|error| MonitorEnded::Malformed {
                    reason: error.to_string(),
                })?;
                Ok(self.replica.apply(updates)?)
            }
            Event::Canceled => Err(MonitorEnded::Canceled),
        }
    }
}

/// The changes in the parameters of an `update3`: `[monitor, transaction, changes]`.
fn updates_of(params: &RawValue) -> Result<TableUpdates, serde_json::Error> {
    let (_monitor, _transaction, updates): (IgnoredAny, IgnoredAny, TableUpdates) =
        serde_json::from_str(params.get())?;
    Ok(updates)
}
