//! A transaction in a record: ovsdb(5), "Transaction Records".

mod json;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::value::RawValue;
use uuid::Uuid;

use super::contents::{At, Contents, default_of, put, rows_mut};
use super::problem::{Problem, ProblemKind};
use crate::schema::{ColumnType, Violation};
use crate::value::{Datum, Row};

pub(super) use json::{difference, whole};

/// What a transaction says about itself. It means nothing to the rows; `ovsdb-tool show-log`
/// shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotation {
    /// When it was made, to the millisecond.
    pub date: Option<SystemTime>,
    /// A remark.
    pub comment: Option<String>,
}

/// Why a transaction cannot be applied to the rows before it.
#[derive(Debug, thiserror::Error)]
pub enum BadTransaction {
    /// A member has another type than a transaction gives it.
    #[error("not a transaction")]
    Json {
        /// Where.
        source: serde_json::Error,
    },
    /// The rows of a table are not rows.
    #[error("what it says of table {table} are not rows")]
    Table {
        /// The table.
        table: String,
        /// Where.
        source: serde_json::Error,
    },
    /// The schema has no such table.
    #[error("the schema has no table {table}")]
    UnknownTable {
        /// The table.
        table: String,
    },
    /// One row does not fit the schema or the rows before.
    #[error("a row does not fit")]
    Row {
        /// What is wrong with it.
        source: Box<Problem>,
    },
}

impl From<Problem> for BadTransaction {
    fn from(problem: Problem) -> Self {
        let source = Box::new(problem);
        Self::Row { source }
    }
}

/// The rows of one table: a row with columns, or nothing for one that is deleted.
type ChangedRows = BTreeMap<Uuid, Option<Row>>;

impl Contents {
    /// Applies the transaction of a record, wholly or not at all. What holds between rows is not
    /// looked at.
    pub(super) fn apply(&mut self, json: &[u8]) -> Result<Annotation, BadTransaction> {
        let members: BTreeMap<String, &RawValue> =
            serde_json::from_slice(json).map_err(|source| BadTransaction::Json { source })?;
        let member = |name: &str| members.get(name).map(|raw| raw.get());
        let is_diff = member("_is_diff") == Some("true");
        let annotation = Annotation {
            date: member("_date").and_then(date),
            comment: member("_comment").and_then(|json| serde_json::from_str(json).ok()),
        };
        let mut steps = Vec::new();
        for (table, rows) in &members {
            if self.schema().table(table).is_none() {
                if is_annotation(table, rows.get()) {
                    continue;
                }
                let table = table.clone();
                return Err(BadTransaction::UnknownTable { table });
            }
            let rows: ChangedRows =
                serde_json::from_str(rows.get()).map_err(|source| BadTransaction::Table {
                    table: table.clone(),
                    source,
                })?;
            for (uuid, row) in rows {
                let at = At { table, uuid };
                steps.push((at, self.prepare(at, row, is_diff)?));
            }
        }
        for (at, step) in steps {
            self.carry_out(at, step);
        }
        Ok(annotation)
    }

    /// Finds out what a changed row comes to, so that nothing can fail later.
    fn prepare(&self, at: At<'_>, row: Option<Row>, is_diff: bool) -> Result<Step, Problem> {
        let columns = at.columns(self.schema())?;
        let old = self.stored_row(at.table, at.uuid);
        let Some(row) = row else {
            let delete = old.map(|_| Step::Delete);
            return delete.ok_or_else(|| at.problem(ProblemKind::UnknownRow));
        };
        let mut inserted = Row::new();
        let mut edits = Vec::new();
        for (name, datum) in row {
            let ty = at.column(columns, &name)?.column_type();
            match old {
                None => {
                    at.check(&name, ty, &datum)?;
                    put(&mut inserted, name, ty, datum);
                }
                Some(old) if is_diff && ty.is_composite() => {
                    let difference = check_difference(at, &name, ty, old.get(&name), datum)?;
                    edits.push(Edit::Combine(name, difference));
                }
                Some(_) => {
                    at.check(&name, ty, &datum)?;
                    edits.push(Edit::Replace(name, datum));
                }
            }
        }
        Ok(match old {
            None => Step::Insert(inserted),
            Some(_) => Step::Modify(edits),
        })
    }

    fn carry_out(&mut self, at: At<'_>, step: Step) {
        let (schema, tables) = self.parts();
        match step {
            Step::Insert(row) => drop(rows_mut(tables, at.table).insert(at.uuid, Arc::new(row))),
            Step::Delete => {
                let rows = rows_mut(tables, at.table);
                rows.remove(&at.uuid);
                if rows.is_empty() {
                    tables.remove(at.table);
                }
            }
            Step::Modify(edits) => {
                let (Ok(row), Ok(columns)) = (at.row_mut(tables), at.columns(schema)) else {
                    return;
                };
                for edit in edits {
                    let name = match &edit {
                        Edit::Replace(name, _) | Edit::Combine(name, _) => name,
                    };
                    if let Some(column) = columns.column(name) {
                        edit.carry_out(row, column.column_type());
                    }
                }
            }
        }
    }
}

/// What a record does to one row.
enum Step {
    Insert(Row),
    Modify(Vec<Edit>),
    Delete,
}

/// What a record does to one column.
enum Edit {
    Replace(String, Datum),
    Combine(String, Datum),
}

impl Edit {
    fn carry_out(self, row: &mut Row, ty: &ColumnType) {
        match self {
            Self::Replace(name, datum) => put(row, name, ty, datum),
            Self::Combine(name, difference) => match row.get_mut(&name) {
                // In place: the set may be large and the difference small.
                Some(datum) => {
                    let fits = datum.combine(difference);
                    debug_assert!(fits.is_some(), "the difference was checked");
                    if *datum == default_of(ty) {
                        let default = default_of(ty);
                        put(row, name, ty, default);
                    }
                }
                None => {
                    let mut datum = default_of(ty);
                    let fits = datum.combine(difference);
                    debug_assert!(fits.is_some(), "the difference was checked");
                    put(row, name, ty, datum);
                }
            },
        }
    }
}

/// Checks a difference: its atoms by the type, the number of elements by what it leads to.
fn check_difference(
    at: At<'_>,
    name: &str,
    ty: &ColumnType,
    old: Option<&Datum>,
    datum: Datum,
) -> Result<Datum, Problem> {
    let any_number = ColumnType {
        min: 0,
        max: None,
        ..ty.clone()
    };
    at.check(name, &any_number, &datum)?;
    let difference = ty.canonical(datum);
    let count = match old {
        Some(old) => old.combined_len(&difference),
        None => default_of(ty).combined_len(&difference),
    };
    let violation = match count {
        None => Violation::Shape {
            map: matches!(difference, Datum::Map(_)),
            datum: difference,
        },
        Some(count) if count < ty.min || ty.max.is_some_and(|max| count > max) => {
            let (min, max) = (ty.min, ty.max);
            Violation::Count { count, min, max }
        }
        Some(_) => return Ok(difference),
    };
    let column = name.to_owned();
    Err(at.problem(ProblemKind::Value { column, violation }))
}

/// Whether a member that is not a table may be there, by the rules of `ovsdb/file.c`.
fn is_annotation(name: &str, json: &str) -> bool {
    match name {
        "_comment" => true,
        "_date" => json.parse::<i64>().is_ok(),
        "_is_diff" => matches!(json, "true" | "false"),
        _ => false,
    }
}

/// Reads a date: milliseconds, or seconds if it is small, as old servers wrote it.
fn date(json: &str) -> Option<SystemTime> {
    let number: u64 = json.parse().ok()?;
    let since_epoch = if number < i32::MAX as u64 {
        Duration::from_secs(number)
    } else {
        Duration::from_millis(number)
    };
    SystemTime::UNIX_EPOCH.checked_add(since_epoch)
}
