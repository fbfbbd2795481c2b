//! A database together with what the server knows of it besides its rows.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::database::{Database, RowKey};
use super::session::SessionId;
use super::transact::RowDelta;
use crate::schema::Schema;
use crate::value::Row;

/// How many transactions are remembered (`ovsdb_txn_history_run` of ovsdb/transaction.c).
const HISTORY: usize = 100;

/// One database that is served.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) database: Database,
    history: Option<History>,
    /// Transactions that wait, the oldest first.
    pub(super) waiting: Vec<Waiting>,
}

/// A transaction that a client has asked for.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) session: SessionId,
    pub(super) id: Value,
    pub(super) operations: Vec<Value>,
    pub(super) since: Instant,
    /// At which age it is to be tried again whatever happens.
    pub(super) until: Option<Duration>,
}

impl Waiting {
    /// When it is to be tried again whatever happens; `None` also for a time that cannot be told.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.since.checked_add(self.until?)
    }
}

/// The last transactions of a clustered database; a standalone one has no history.
#[derive(Debug)]
struct History {
    transactions: VecDeque<(Uuid, Vec<RowDelta>)>,
}

impl Served {
    pub(super) fn new(schema: Schema, clustered: bool) -> Self {
        Self {
            database: Database::new(schema),
            // The transaction that made the database is known too.
            history: clustered.then(|| History {
                transactions: VecDeque::from([(Uuid::new_v4(), Vec::new())]),
            }),
            waiting: Vec::new(),
        }
    }

    pub(super) fn is_clustered(&self) -> bool {
        self.history.is_some()
    }

    /// The last transaction; nil when there is no history.
    pub(super) fn last_transaction(&self) -> Uuid {
        let last = self
            .history
            .as_ref()
            .and_then(|history| history.transactions.back());
        last.map_or(Uuid::nil(), |(id, _)| *id)
    }

    /// Remembers what a transaction changed.
    pub(super) fn record(&mut self, deltas: &[RowDelta]) {
        if let Some(History { transactions }) = &mut self.history {
            transactions.push_back((Uuid::new_v4(), deltas.to_vec()));
            if transactions.len() > HISTORY {
                transactions.pop_front();
            }
        }
    }

    /// What changed after a transaction, if it is still remembered.
    pub(super) fn changes_since(&self, transaction: Uuid) -> Option<Vec<RowDelta>> {
        let transactions = &self.history.as_ref()?.transactions;
        let place = transactions.iter().position(|(id, _)| *id == transaction)?;
        let mut merged = std::collections::BTreeMap::<RowKey, RowDelta>::new();
        for delta in transactions
            .range(place + 1..)
            .flat_map(|(_, deltas)| deltas)
        {
            let first = merged.entry(delta.key).or_insert_with(|| delta.clone());
            first.new = delta.new.clone();
        }
        merged.retain(|_, delta| delta.old.is_some() || delta.new.is_some());
        Some(merged.into_values().collect())
    }

    /// Forgets all transactions but the last one, as a server does that has just started.
    pub(super) fn forget(&mut self) {
        if let Some(History { transactions }) = &mut self.history {
            transactions.drain(..transactions.len().saturating_sub(1));
        }
    }

    /// The rows of a table in order of their UUIDs.
    pub(super) fn rows(&self, table: &str) -> Option<Vec<Arc<Row>>> {
        let table = &self.database.tables[self.database.place(table)?];
        Some(table.rows.values().cloned().collect())
    }
}
