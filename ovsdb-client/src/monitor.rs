//! Following a database: its rows here, and every change to them in order.
//!
//! The newest method that the server knows is used: `monitor_cond_since`, `monitor_cond` or `monitor`
//! (ovsdb-server(7) §4.1.12 to §4.1.15, RFC 7047 §4.1.5).

mod error;
mod session;
mod table;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::de::IgnoredAny;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::client::{Client, Source};
use crate::error::CallError;
use crate::replica::{MonitorEnded, Replica, Snapshot, Subscription, Trouble, WaitError};
use crate::schema::Schema;
use crate::transaction::Condition;
use crate::transport::{Route, Service};
use table::MonitorRequests;

pub use error::MonitorError;
pub use table::MonitorTable;

/// Row changes that a subscription holds unless told otherwise.
const DEFAULT_CAPACITY: usize = 65_536;

/// A handle on tables being followed; made by [`Client::monitor`] or
/// [`Database::monitor`](crate::Database::monitor).
///
/// The rows are kept up to date whether anybody looks or not, and what a transaction of the same
/// connection changed is here when that returns. Clones share the rows. When the last one is
/// dropped the server is told to stop sending.
#[derive(Debug, Clone)]
pub struct Monitor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    database: String,
    source: Source,
    replica: Replica,
    wanted: Mutex<Wanted>,
    /// The last revision of the conditions that a server has taken.
    acknowledged: watch::Sender<u64>,
}

/// What is followed, and how the current session is known to the server.
#[derive(Debug)]
struct Wanted {
    tables: Vec<MonitorTable>,
    /// Counts the changes of the conditions.
    revision: u64,
    link: Option<Link>,
    statistics: MonitorStatistics,
}

/// The connection that provides a monitor, and the name that it has there.
#[derive(Debug)]
struct Link {
    client: Client,
    route: Route,
}

/// How a monitor has fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MonitorStatistics {
    /// Sessions that have provided it, one after another.
    pub sessions: u64,
    /// Sessions of these that sent only what had changed since the one before.
    pub resumed: u64,
}

impl Client {
    /// Follows tables of a database. Fetches its schema first; see [`Client::monitor_as`].
    ///
    /// # Errors
    ///
    /// [`MonitorError`], when the server refuses or its reply cannot be understood.
    pub async fn monitor(
        &self,
        database: &str,
        tables: &[MonitorTable],
    ) -> Result<Monitor, MonitorError> {
        let schema = self.get_schema(database).await?;
        self.monitor_as(&schema, tables).await
    }

    /// Follows tables of the database that `schema` describes.
    ///
    /// When it returns the initial contents are here. The monitor ends with the connection.
    ///
    /// # Errors
    ///
    /// As [`Client::monitor`].
    pub async fn monitor_as(
        &self,
        schema: &Schema,
        tables: &[MonitorTable],
    ) -> Result<Monitor, MonitorError> {
        let source = Source::Fixed(self.clone());
        let monitor = Monitor::new(schema.name(), tables, source, None);
        monitor.start(self, schema, 1).await?;
        Ok(monitor)
    }
}

impl Monitor {
    /// Makes a monitor that waits to be [started](Self::start).
    pub(crate) fn new(
        database: &str,
        tables: &[MonitorTable],
        source: Source,
        trouble: Option<mpsc::UnboundedSender<Trouble>>,
    ) -> Self {
        Self(Arc::new(Inner {
            database: database.to_owned(),
            source,
            replica: Replica::new(trouble),
            wanted: Mutex::new(Wanted {
                tables: tables.to_vec(),
                revision: 0,
                link: None,
                statistics: MonitorStatistics::default(),
            }),
            acknowledged: watch::Sender::new(0),
        }))
    }

    /// The rows as they are now. Cheap, and without a lock once it is made.
    pub fn snapshot(&self) -> Snapshot {
        self.0.replica.snapshot()
    }

    /// The rows as they are now, and every change from there on.
    pub fn subscribe(&self) -> (Snapshot, Subscription) {
        self.subscribe_with_capacity(DEFAULT_CAPACITY)
    }

    /// As [`subscribe`](Self::subscribe), with the number of row changes that may wait before they
    /// are replaced by an [`Event::Resync`](crate::Event::Resync). Default: 65,536.
    pub fn subscribe_with_capacity(&self, capacity: usize) -> (Snapshot, Subscription) {
        self.0.replica.subscribe(capacity)
    }

    /// Waits until `seen` finds in the rows what it looks for, and returns that.
    ///
    /// The rows are shown to `seen` at once, and again after changes; of several transactions that
    /// follow each other closely only the result may be shown. For each single one
    /// [`subscribe`](Self::subscribe).
    ///
    /// # Errors
    ///
    /// [`WaitError::Timeout`] when `deadline` has passed, [`WaitError::Ended`] when no further
    /// change can come.
    pub async fn wait_until<T>(
        &self,
        deadline: Instant,
        seen: impl FnMut(&Snapshot) -> Option<T>,
    ) -> Result<T, WaitError> {
        self.0.replica.wait_until(deadline, seen).await
    }

    /// Name of the database.
    pub fn database(&self) -> &str {
        &self.0.database
    }

    /// Why there will be no more changes, if so.
    pub fn ended(&self) -> Option<MonitorEnded> {
        self.0.replica.ended()
    }

    /// Whether the rows follow a server at the moment, rather than wait for a new connection.
    pub fn is_live(&self) -> bool {
        self.0.replica.is_live()
    }

    /// How the monitor has fared.
    pub fn statistics(&self) -> MonitorStatistics {
        self.wanted().statistics
    }

    /// Follows other rows of a table from now on: those that meet one of these conditions, or all
    /// if there are none (`monitor_cond_change`, ovsdb-server(7) §4.1.13).
    ///
    /// When it returns the rows are those of the new conditions. While there is no connection it
    /// waits for the next one.
    ///
    /// # Errors
    ///
    /// [`MonitorError`] when the server refuses. The conditions stay wanted, for a next session.
    pub async fn set_conditions(
        &self,
        table: &str,
        conditions: impl IntoIterator<Item = Condition>,
    ) -> Result<(), MonitorError> {
        let conditions: Vec<_> = conditions.into_iter().collect();
        let (revision, link) = {
            let mut wanted = self.wanted();
            let tables = wanted.tables.iter_mut();
            let mut found = tables.filter(|wanted| wanted.name() == table).peekable();
            if found.peek().is_none() {
                return Err(MonitorError::UnknownTable {
                    database: self.0.database.clone(),
                    table: table.to_owned(),
                });
            }
            found.for_each(|wanted| wanted.set_conditions(&conditions));
            wanted.revision += 1;
            let link = wanted.link.as_ref();
            let link = link.map(|link| (link.client.clone(), link.route.id().to_owned()));
            (wanted.revision, link)
        };
        let Some((client, id)) = link else {
            return self.acknowledged(revision).await;
        };
        let change = MonitorRequests::change(table, &conditions);
        match Self::tell(&client, &id, change).await {
            Ok(()) => {
                self.acknowledge(revision);
                Ok(())
            }
            Err(CallError::NotSent { .. } | CallError::Disconnected { .. })
                if matches!(self.0.source, Source::Following(_)) =>
            {
                self.acknowledged(revision).await
            }
            Err(CallError::Rpc { source, .. }) if source.error == "unknown method" => {
                Err(MonitorError::ConditionsUnsupported)
            }
            Err(source) => Err(source.into()),
        }
    }

    /// Tells the server to stop sending, and waits for its word.
    ///
    /// # Errors
    ///
    /// [`CallError`], as for every call; the monitor is gone all the same.
    pub async fn cancel(self) -> Result<(), CallError> {
        self.0.replica.end(MonitorEnded::Dropped);
        let link = self.wanted().link.take();
        if let Some(Link { client, route }) = link {
            client
                .call::<IgnoredAny>("monitor_cancel", &[route.id()])
                .await?;
        }
        Ok(())
    }

    /// Notes that a server has taken the conditions up to a revision.
    fn acknowledge(&self, revision: u64) {
        self.0.acknowledged.send_if_modified(|acknowledged| {
            let newer = revision > *acknowledged;
            *acknowledged = revision.max(*acknowledged);
            newer
        });
    }

    /// Waits until a session has begun with the conditions of a revision.
    async fn acknowledged(&self, revision: u64) -> Result<(), MonitorError> {
        let mut acknowledged = self.0.acknowledged.subscribe();
        tokio::select! {
            // The sender lives in `self`.
            _ = acknowledged.wait_for(|acknowledged| *acknowledged >= revision) => Ok(()),
            // The server of the next session may refuse the very conditions.
            ended = self.0.replica.wait_ended() => Err(ended.into()),
        }
    }

    /// What feeds it, to be told when there is no session.
    pub(crate) fn replica(&self) -> &Replica {
        &self.0.replica
    }

    /// A handle that does not keep the monitor alive.
    pub(crate) fn downgrade(&self) -> WeakMonitor {
        WeakMonitor(Arc::downgrade(&self.0))
    }

    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        // No code that runs under the lock leaves it half-changed.
        self.0.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle that does not keep the monitor alive, and is empty once it has ended.
#[derive(Debug, Clone)]
pub(crate) struct WeakMonitor(std::sync::Weak<Inner>);

impl WeakMonitor {
    pub(crate) fn upgrade(&self) -> Option<Monitor> {
        let monitor = self.0.upgrade().map(Monitor);
        monitor.filter(|monitor| monitor.ended().is_none())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.replica.end(MonitorEnded::Dropped);
        let wanted = self
            .wanted
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(Link { client, route }) = wanted.link.take() {
            // Where the connection is gone the monitor is as well.
            let params = [route.id()];
            drop(
                client
                    .wire()
                    .ask(Service::Farewell, "monitor_cancel", &params),
            );
        }
    }
}
