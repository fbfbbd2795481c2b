//! Why there is no monitor.

use crate::error::CallError;
use crate::replica::MonitorEnded;

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
    /// The server is so old that it knows no conditions.
    #[error("the server knows no method of monitoring with conditions")]
    ConditionsUnsupported,
    /// The initial contents contradict the schema or themselves, or the connection was lost.
    #[error("the monitor has ended")]
    Ended {
        /// In what way.
        #[from]
        source: MonitorEnded,
    },
}
