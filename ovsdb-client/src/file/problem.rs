//! What can be wrong with the rows of a file.

use std::fmt;

use uuid::Uuid;

use crate::schema::Violation;

/// The rows do not make a valid database.
#[derive(Debug, Clone, PartialEq)]
pub struct InvalidRows {
    /// All that is wrong, in the order of the rows.
    pub problems: Vec<Problem>,
}

impl std::error::Error for InvalidRows {}

impl fmt::Display for InvalidRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for problem in &self.problems {
            write!(f, "{separator}{problem}")?;
            separator = "; ";
        }
        Ok(())
    }
}

/// Something wrong with one row.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("row {uuid} of table {table}: {kind}")]
pub struct Problem {
    /// Table of the row.
    pub table: String,
    /// UUID of the row.
    pub uuid: Uuid,
    /// What is wrong with it.
    pub kind: ProblemKind,
}

/// What can be wrong with a row.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProblemKind {
    /// The schema has no such table.
    #[error("there is no such table")]
    UnknownTable,
    /// The table has no such column.
    #[error("there is no column {column}")]
    UnknownColumn {
        /// The column.
        column: String,
    },
    /// A value does not fit its column.
    #[error("column {column}: {violation}")]
    Value {
        /// The column.
        column: String,
        /// In what way it does not fit.
        violation: Violation,
    },
    /// A named UUID, which has a meaning in transactions only.
    #[error("column {column}: a file cannot refer to {name} by name")]
    NamedUuid {
        /// The column.
        column: String,
        /// The name.
        name: String,
    },
    /// A string with a NUL character: servers refuse JSON that has one.
    #[error("column {column}: {string:?} has a NUL character, which no server reads")]
    Nul {
        /// The column.
        column: String,
        /// The string.
        string: String,
    },
    /// The table has no row of that UUID to change or to remove.
    #[error("there is no such row")]
    UnknownRow,
    /// Another row of the table has the same UUID.
    #[error("the UUID is taken by another row of the table")]
    DuplicateUuid,
    /// A reference to a row that is not there. A server drops the whole transaction for a strong
    /// one, and the reference for a weak one.
    #[error("column {column}: {target} is not a row of table {table}")]
    Dangling {
        /// The column.
        column: String,
        /// Table that the column refers to.
        table: String,
        /// UUID that is not there.
        target: Uuid,
    },
    /// Another row has the same values in the columns of an index.
    #[error("row {other} has the same {}", .columns.join(" and "))]
    Duplicate {
        /// The columns of the index.
        columns: Vec<String>,
        /// The other row.
        other: Uuid,
    },
    /// No row that stays refers to it strongly, and its table is not a root: a server would drop
    /// it on loading.
    #[error("no row refers to it, so it would be dropped")]
    Unreferenced,
    /// The table has more rows than its schema allows; told of its last row.
    #[error("the table has {count} rows where at most {max} are allowed")]
    TooMany {
        /// Number of rows.
        count: usize,
        /// The schema's limit.
        max: u64,
    },
}
