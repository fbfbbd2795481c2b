//! What can be wrong with a transaction.

use std::fmt;

use crate::schema::{ColumnType, Violation};

/// A transaction that a server would refuse.
#[derive(Debug, Clone, PartialEq)]
pub struct InvalidTransaction {
    /// All that is wrong, in the order of the operations.
    pub problems: Vec<OperationProblem>,
}

impl std::error::Error for InvalidTransaction {}

impl fmt::Display for InvalidTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for problem in &self.problems {
            write!(f, "{separator}{problem}")?;
            separator = "; ";
        }
        Ok(())
    }
}

/// Something wrong with one operation.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("operation {index} ({operation}): {kind}")]
pub struct OperationProblem {
    /// Index of the operation, from 0.
    pub index: usize,
    /// What the operation is: `insert into Bridge`.
    pub operation: String,
    /// What is wrong with it.
    pub kind: OperationProblemKind,
}

/// What can be wrong with an operation.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OperationProblemKind {
    /// The schema has no such table.
    #[error("there is no such table")]
    UnknownTable,
    /// The table has no such column.
    #[error("there is no column {column}")]
    UnknownColumn {
        /// The column.
        column: String,
    },
    /// A column is listed twice.
    #[error("column {column} is listed twice")]
    RepeatedColumn {
        /// The column.
        column: String,
    },
    /// A value does not fit its column; or a column that an insert leaves out has to be set, since
    /// its default does not fit.
    #[error("column {column}: {violation}")]
    Value {
        /// The column.
        column: String,
        /// In what way it does not fit.
        violation: Violation,
    },
    /// A column that never changes after its row was inserted, or that the server sets.
    #[error("column {column} cannot be changed")]
    Immutable {
        /// The column.
        column: String,
    },
    /// A comparison that the column's type does not have.
    #[error("column {column} cannot be compared for less or more: it is {ty}")]
    Comparison {
        /// The column.
        column: String,
        /// Its type.
        ty: Box<ColumnType>,
    },
    /// A mutation that the column's type does not have.
    #[error("column {column} cannot be changed in this way: it is {ty}")]
    Mutation {
        /// The column.
        column: String,
        /// Its type.
        ty: Box<ColumnType>,
    },
    /// A reference by a name that no insert of the transaction gives to its row. A server makes up
    /// a UUID for it, which dangles when a row takes it.
    #[error("column {column}: no insert makes a row named {name}")]
    UnknownName {
        /// The column.
        column: String,
        /// The name.
        name: String,
    },
    /// A reference by name to a row that the transaction inserts into another table.
    #[error("column {column}: {name} is a row of table {found}, not {expected}")]
    OtherTable {
        /// The column.
        column: String,
        /// The name.
        name: String,
        /// The table that the row is inserted into.
        found: String,
        /// The table that the column refers to.
        expected: String,
    },
    /// Two inserts give their rows the same name.
    #[error("the name {name} is taken by another insert")]
    RepeatedName {
        /// The name.
        name: String,
    },
}
