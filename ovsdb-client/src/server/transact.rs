//! Operations carried out: RFC 7047 §5.2, as ovsdb/execution.c does it.

mod commit;
mod operation;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::constraint::Names;
use super::database::{Database, RowKey};
use super::failure::Failure;
use crate::transaction::{Function, Mutator, Operation};
use crate::value::Row;

/// What came of a transaction.
#[derive(Debug)]
pub(super) enum Execution {
    /// It is over: the results of its operations, and what it changed.
    Done {
        results: Vec<Value>,
        changes: Vec<RowDelta>,
    },
    /// A wait is not satisfied yet. It fails when the transaction is this old.
    Blocked { until: Option<Duration> },
}

/// One row that a transaction changed.
#[derive(Debug, Clone)]
pub(super) struct RowDelta {
    pub(super) key: RowKey,
    pub(super) old: Option<Arc<Row>>,
    pub(super) new: Option<Arc<Row>>,
}

/// What the world outside of the database contributes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances<'a> {
    /// The locks that the client owns.
    pub(super) locks: &'a [String],
    /// How long ago the client asked.
    pub(super) age: Duration,
    /// Whether operations that could change something are refused.
    pub(super) read_only: bool,
}

/// A transaction under way.
///
/// It changes the database in place and remembers what was there, so that a transaction costs what
/// it touches and not what the database holds.
struct Execute<'a> {
    database: &'a mut Database,
    /// What each row was before, if it was.
    before: BTreeMap<RowKey, Option<Arc<Row>>>,
    names: Names,
    circumstances: Circumstances<'a>,
}

/// Why an operation has no result.
enum Stop {
    Failed(Failure),
    Blocked { until: Option<Duration> },
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Database {
    /// Carries out a transaction, or nothing of it.
    pub(super) fn execute(
        &mut self,
        operations: &[Value],
        circumstances: Circumstances<'_>,
    ) -> Execution {
        let mut execute = Execute {
            database: self,
            before: BTreeMap::new(),
            names: Names::default(),
            circumstances,
        };
        let mut results = Vec::with_capacity(operations.len() + 1);
        for operation in operations {
            match execute.operation(operation) {
                Ok(result) => results.push(result),
                Err(Stop::Blocked { until }) => {
                    execute.roll_back();
                    return Execution::Blocked { until };
                }
                Err(Stop::Failed(failure)) => {
                    execute.roll_back();
                    results.push(json!(failure));
                    results.resize(operations.len(), Value::Null);
                    return Execution::Done {
                        results,
                        changes: Vec::new(),
                    };
                }
            }
        }
        let changes = match execute.commit() {
            Ok(changes) => changes,
            Err(failure) => {
                execute.roll_back();
                results.push(json!(failure));
                Vec::new()
            }
        };
        Execution::Done { results, changes }
    }
}

impl Execute<'_> {
    /// Carries out one operation and returns its result.
    fn operation(&mut self, json: &Value) -> Result<Value, Stop> {
        let operation = Operation::deserialize(json)
            .map_err(|error| Failure::new(name_of_error(self.database, json), error.to_string()))?;
        let changes = !matches!(
            operation,
            Operation::Select { .. }
                | Operation::Wait { .. }
                | Operation::Abort {}
                | Operation::Comment { .. }
                | Operation::Assert { .. }
        );
        let result = self.carry_out(operation)?;
        if changes && self.circumstances.read_only {
            return Err(Failure::new("not allowed", "the database is read-only").into());
        }
        Ok(result)
    }

    fn table(&self, name: &str) -> Result<usize, Failure> {
        self.database
            .place(name)
            .ok_or_else(|| Failure::syntax(format!("there is no table {name}")))
    }

    /// Puts a row in its place, or takes it away, and remembers what was there.
    fn put(&mut self, key @ (place, uuid): RowKey, row: Option<Arc<Row>>) {
        let rows = &mut self.database.tables[place].rows;
        let old = match row {
            Some(row) => rows.insert(uuid, row),
            None => rows.remove(&uuid),
        };
        let first = self.before.entry(key).or_insert(old);
        // A row that came and went leaves no trace: its UUID may be used again.
        if first.is_none() && self.database.row(key).is_none() {
            self.before.remove(&key);
        }
    }

    /// Undoes everything.
    fn roll_back(&mut self) {
        for ((place, uuid), old) in std::mem::take(&mut self.before) {
            let rows = &mut self.database.tables[place].rows;
            match old {
                Some(old) => drop(rows.insert(uuid, old)),
                None => drop(rows.remove(&uuid)),
            }
        }
    }
}

/// The name of the error that an operation is which cannot be read.
fn name_of_error(database: &Database, operation: &Value) -> &'static str {
    let table = operation.get("table").and_then(Value::as_str);
    let Some(place) = table.and_then(|table| database.place(table)) else {
        return "syntax error";
    };
    let columns = &database.tables[place].columns;
    type Known = fn(&Value) -> bool;
    let members: [(&str, Known, &'static str); 2] = [
        (
            "mutations",
            |name| Mutator::deserialize(name).is_ok(),
            "unknown mutator",
        ),
        (
            "where",
            |name| Function::deserialize(name).is_ok(),
            "unknown function",
        ),
    ];
    for (member, known, unknown) in members {
        let elements = operation.get(member).and_then(Value::as_array);
        for element in elements.into_iter().flatten() {
            match element.as_array().map(Vec::as_slice) {
                Some([Value::String(column), name @ Value::String(_), _]) => {
                    if !columns.contains_key(column) {
                        return "unknown column";
                    } else if !known(name) {
                        return unknown;
                    }
                }
                _ if element.is_boolean() => {}
                _ => return "syntax error",
            }
        }
    }
    "syntax error"
}
