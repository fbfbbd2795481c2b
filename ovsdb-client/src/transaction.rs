//! Transactions: a list of operations that happen together or not at all (RFC 7047 §4.1.3, §5.2).

mod condition;
mod kind;
mod mutation;
mod operation;
mod outcome;
mod validation;

use std::time::Duration;

use uuid::Uuid;

use crate::value::{Atom, Datum, Row};

pub use condition::Condition;
pub use kind::TransactErrorKind;
pub use mutation::Mutation;
pub use operation::Until;
pub use outcome::{TransactError, TransactionOutcome};
pub use validation::{InvalidTransaction, OperationProblem, OperationProblemKind};

pub(crate) use condition::{Clause, Function};
pub(crate) use mutation::Mutator;
pub(crate) use operation::Operation;

/// A transaction being put together.
///
/// Operations run in the order in which they are added. Each method returns a small handle, with
/// which [`TransactionOutcome`] gives out what that operation returned; the handle of an insert
/// also stands for the new row in the values of other operations, earlier ones included. Handles
/// mean nothing to other transactions.
///
/// ```
/// # use ovsdb_client::{Condition, Transaction, value::Row};
/// let mut txn = Transaction::new();
/// let port = txn.insert("Logical_Switch_Port", Row::new().set("name", "sw0-p1"));
/// txn.insert("Logical_Switch", Row::new().set("name", "sw0").set("ports", [port]));
/// txn.delete("Logical_Switch", [Condition::eq("name", "old")]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Transaction {
    operations: Vec<Operation>,
}

/// The row that an [`insert`](Transaction::insert) will make.
///
/// As a value it is a `named-uuid`, which the server replaces by the UUID of the new row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InsertRef(usize);

/// A [`select`](Transaction::select) whose rows are to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelectRef(usize);

/// An update, mutation or deletion, which will report how many rows it met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountRef(usize);

impl InsertRef {
    fn uuid_name(self) -> String {
        format!("row{}", self.0)
    }
}

impl From<InsertRef> for Atom {
    fn from(insert: InsertRef) -> Self {
        Self::NamedUuid(insert.uuid_name())
    }
}

impl From<InsertRef> for Datum {
    fn from(insert: InsertRef) -> Self {
        Self::Atom(insert.into())
    }
}

impl Transaction {
    /// Makes a transaction without operations.
    pub const fn new() -> Self {
        Self {
            operations: Vec::new(),
        }
    }

    /// Number of operations.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there are no operations.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Inserts a row. Columns that it lacks get their defaults.
    pub fn insert(&mut self, table: impl Into<String>, row: Row) -> InsertRef {
        let insert = InsertRef(self.operations.len());
        self.push(Operation::Insert {
            table: table.into(),
            row,
            uuid_name: Some(insert.uuid_name()),
            uuid: None,
        });
        insert
    }

    /// Inserts a row under a UUID of the caller's choice; servers older than 2.13 refuse it.
    pub fn insert_as(&mut self, table: impl Into<String>, uuid: Uuid, row: Row) {
        self.push(Operation::Insert {
            table: table.into(),
            row,
            uuid_name: None,
            uuid: Some(uuid),
        });
    }

    /// Reads the rows that meet all conditions; no columns means every column.
    pub fn select<C: Into<String>>(
        &mut self,
        table: impl Into<String>,
        conditions: impl IntoIterator<Item = Condition>,
        columns: impl IntoIterator<Item = C>,
    ) -> SelectRef {
        let columns: Vec<_> = columns.into_iter().map(Into::into).collect();
        SelectRef(self.push(Operation::Select {
            table: table.into(),
            conditions: conditions.into_iter().collect(),
            columns: (!columns.is_empty()).then_some(columns),
        }))
    }

    /// Sets the columns of `row` in the rows that meet all conditions.
    pub fn update(
        &mut self,
        table: impl Into<String>,
        conditions: impl IntoIterator<Item = Condition>,
        row: Row,
    ) -> CountRef {
        CountRef(self.push(Operation::Update {
            table: table.into(),
            conditions: conditions.into_iter().collect(),
            row,
        }))
    }

    /// Changes columns of the rows that meet all conditions, relative to what they hold.
    pub fn mutate(
        &mut self,
        table: impl Into<String>,
        conditions: impl IntoIterator<Item = Condition>,
        mutations: impl IntoIterator<Item = Mutation>,
    ) -> CountRef {
        CountRef(self.push(Operation::Mutate {
            table: table.into(),
            conditions: conditions.into_iter().collect(),
            mutations: mutations.into_iter().collect(),
        }))
    }

    /// Deletes the rows that meet all conditions; without conditions, all rows of the table.
    pub fn delete(
        &mut self,
        table: impl Into<String>,
        conditions: impl IntoIterator<Item = Condition>,
    ) -> CountRef {
        CountRef(self.push(Operation::Delete {
            table: table.into(),
            conditions: conditions.into_iter().collect(),
        }))
    }

    /// Holds the transaction back until the rows that meet all conditions do, or do not, equal
    /// `rows` in the given columns; it fails after `timeout`.
    ///
    /// The timeout counts on the server in whole milliseconds, zero meaning to try just once. It
    /// must be shorter than the deadline of the call, else the caller has gone when it ends.
    pub fn wait<C: Into<String>>(
        &mut self,
        table: impl Into<String>,
        conditions: impl IntoIterator<Item = Condition>,
        columns: impl IntoIterator<Item = C>,
        until: Until,
        rows: impl IntoIterator<Item = Row>,
        timeout: Duration,
    ) {
        self.push(Operation::Wait {
            timeout: Some(timeout.as_millis().try_into().unwrap_or(i64::MAX)),
            table: table.into(),
            conditions: conditions.into_iter().collect(),
            columns: Some(columns.into_iter().map(Into::into).collect()),
            until,
            rows: rows.into_iter().collect(),
        });
    }

    /// Lets the transaction fail with [`TransactErrorKind::TimedOut`] unless the row still holds
    /// what `known` says in the given columns: optimistic concurrency, as the IDLs of Open vSwitch
    /// do it.
    ///
    /// `known` is the row as it was last seen, whole or in part; a column that it lacks is taken to
    /// hold its default. A row that is gone fails too. Put it before what depends on it.
    ///
    /// ```
    /// # use ovsdb_client::{Condition, Transaction, value::Row};
    /// # let (uuid, seen) = (uuid::Uuid::from_u128(1), Row::new().set("nb_cfg", 7));
    /// let mut txn = Transaction::new();
    /// txn.verify("NB_Global", uuid, ["nb_cfg"], &seen);
    /// txn.update("NB_Global", [Condition::uuid(uuid)], Row::new().set("nb_cfg", 8));
    /// ```
    pub fn verify<C: AsRef<str>>(
        &mut self,
        table: impl Into<String>,
        uuid: Uuid,
        columns: impl IntoIterator<Item = C>,
        known: &Row,
    ) {
        let mut names = Vec::new();
        let mut row = Row::new();
        for column in columns {
            let column = column.as_ref();
            if let Some(datum) = known.get(column) {
                row.insert(column, datum.clone());
            }
            names.push(column.to_owned());
        }
        let this_row = [Condition::uuid(uuid)];
        self.wait(table, this_row, names, Until::Equal, [row], Duration::ZERO);
    }

    /// Lets the transaction fail with [`TransactErrorKind::NotOwner`] unless the connection holds
    /// the lock at that moment (RFC 7047 §5.2.10).
    pub fn assert_lock(&mut self, lock: impl Into<String>) {
        self.push(Operation::Assert { lock: lock.into() });
    }

    /// Asks for the commit to be on disk before the reply, if `durable`; else does nothing
    /// (RFC 7047 §5.2.7).
    pub fn commit(&mut self, durable: bool) {
        self.push(Operation::Commit { durable });
    }

    /// Leaves a remark in the database file.
    pub fn comment(&mut self, comment: impl Into<String>) {
        self.push(Operation::Comment {
            comment: comment.into(),
        });
    }

    /// Lets the transaction fail with [`TransactErrorKind::Aborted`] when it comes to this
    /// operation: a way to try the ones before it.
    pub fn abort(&mut self) {
        self.push(Operation::Abort {});
    }

    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Adds an operation and returns its index.
    fn push(&mut self, operation: Operation) -> usize {
        self.operations.push(operation);
        self.operations.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn operations_are_written_as_in_the_rfc() {
        let uuid = Uuid::from_u128(1);
        let mut txn = Transaction::new();
        let port = txn.insert("Port", Row::new().set("name", "p"));
        txn.insert_as("Bridge", uuid, Row::new().set("ports", [port]));
        txn.select("Port", [], ["name"]);
        txn.select::<&str>("Port", [Condition::uuid(uuid)], []);
        txn.update("Port", [Condition::ne("tag", 1)], Row::new().set("tag", 2));
        txn.mutate(
            "Bridge",
            [],
            [Mutation::insert("ports", port), Mutation::add("n", 1)],
        );
        txn.delete(
            "Port",
            [Condition::includes("ids", Datum::map([("k", "v")]))],
        );
        txn.wait(
            "Port",
            [],
            ["name"],
            Until::Equal,
            [Row::new()],
            Duration::from_secs(1),
        );
        txn.verify(
            "Port",
            uuid,
            ["tag", "name"],
            &Row::new().set("tag", 2).set("n", 1),
        );
        txn.assert_lock("l");
        txn.commit(true);
        txn.comment("why");
        txn.abort();

        let zero_one = "00000000-0000-0000-0000-000000000001";
        let written = serde_json::to_value(txn.operations()).unwrap();
        assert_eq!(
            written,
            json!([
                {"op": "insert", "table": "Port", "row": {"name": "p"}, "uuid-name": "row0"},
                {"op": "insert", "table": "Bridge", "uuid": zero_one,
                 "row": {"ports": ["set", [["named-uuid", "row0"]]]}},
                {"op": "select", "table": "Port", "where": [], "columns": ["name"]},
                {"op": "select", "table": "Port", "where": [["_uuid", "==", ["uuid", zero_one]]]},
                {"op": "update", "table": "Port", "where": [["tag", "!=", 1]], "row": {"tag": 2}},
                {"op": "mutate", "table": "Bridge", "where": [],
                 "mutations": [["ports", "insert", ["named-uuid", "row0"]], ["n", "+=", 1]]},
                {"op": "delete", "table": "Port",
                 "where": [["ids", "includes", ["map", [["k", "v"]]]]]},
                {"op": "wait", "timeout": 1000, "table": "Port", "where": [], "columns": ["name"],
                 "until": "==", "rows": [{}]},
                {"op": "wait", "timeout": 0, "table": "Port",
                 "where": [["_uuid", "==", ["uuid", zero_one]]], "columns": ["tag", "name"],
                 "until": "==", "rows": [{"tag": 2}]},
                {"op": "assert", "lock": "l"},
                {"op": "commit", "durable": true},
                {"op": "comment", "comment": "why"},
                {"op": "abort"},
            ])
        );
        let read: Vec<Operation> = serde_json::from_value(written).unwrap();
        assert_eq!(read, txn.operations());
    }
}
