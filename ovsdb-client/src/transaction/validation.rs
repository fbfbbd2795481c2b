//! Transactions checked against a schema before they are sent.

mod operation;
mod problem;

use crate::schema::Schema;
use crate::transaction::Transaction;

pub use problem::{InvalidTransaction, OperationProblem, OperationProblemKind};

impl Transaction {
    /// Checks all operations against a schema: their tables and columns, the values, what is
    /// asked of a column's type, and the rows referred to by name.
    ///
    /// The server checks the same and more: only it knows what rows there are. What it answers
    /// names the first fault and undoes the transaction; this names all of them and sends nothing.
    ///
    /// ```
    /// # use ovsdb_client::{Condition, Schema, Transaction, value::Row};
    /// let schema = Schema::parse(r#"{"name": "Pets", "version": "1.0.0", "tables":
    ///     {"Cat": {"columns": {"name": {"type": "string"}}}}}"#)?;
    /// let mut txn = Transaction::new();
    /// txn.insert("Cat", Row::new().set("name", "Tom"));
    /// assert!(txn.validate(&schema).is_ok());
    ///
    /// txn.update("Cat", [Condition::eq("fur", "red")], Row::new().set("name", 7));
    /// let invalid = txn.validate(&schema).unwrap_err();
    /// assert_eq!(invalid.problems.len(), 2);
    /// assert_eq!(
    ///     invalid.problems[0].to_string(),
    ///     "operation 1 (update of Cat): there is no column fur"
    /// );
    /// # Ok::<(), ovsdb_client::SchemaError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidTransaction`], which lists all that is wrong.
    pub fn validate(&self, schema: &Schema) -> Result<(), InvalidTransaction> {
        let problems = operation::problems(schema, self.operations());
        if problems.is_empty() {
            Ok(())
        } else {
            Err(InvalidTransaction { problems })
        }
    }
}
