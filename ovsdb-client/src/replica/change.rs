//! What changed, and how a change can contradict what is known.

use std::sync::Arc;

use uuid::Uuid;

use crate::value::Row;

/// What one transaction changed, in the order in which the server listed it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// The rows.
    pub rows: Vec<RowChange>,
}

/// What happened to one row: inserted without `old`, deleted without `new`, else modified.
///
/// A row that begins or ceases to meet the conditions of its monitor counts as inserted or deleted.
#[derive(Debug, Clone, PartialEq)]
pub struct RowChange {
    /// Table of the row.
    pub table: Arc<str>,
    /// UUID of the row.
    pub uuid: Uuid,
    /// The row before.
    pub old: Option<Arc<Row>>,
    /// The row after.
    pub new: Option<Arc<Row>>,
}

impl Changes {
    /// The changed rows of one table.
    pub fn of<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'a RowChange> {
        self.rows
            .iter()
            .filter(move |change| &*change.table == table)
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// How an update contradicts what is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Inconsistency {
    /// A row that is not there was changed or deleted.
    #[error("a change of row {uuid} of table {table}, which is not there")]
    UnknownRow {
        /// The table.
        table: Arc<str>,
        /// The row.
        uuid: Uuid,
    },
    /// A row that is there was inserted.
    #[error("a second insertion of row {uuid} into table {table}")]
    DuplicateRow {
        /// The table.
        table: Arc<str>,
        /// The row.
        uuid: Uuid,
    },
    /// A map changed as if it were a set, or the other way round.
    #[error("a change of column {column} of table {table} that does not fit its type")]
    Shape {
        /// The table.
        table: Arc<str>,
        /// The column.
        column: Arc<str>,
    },
}
