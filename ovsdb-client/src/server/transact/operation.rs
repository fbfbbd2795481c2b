//! Each operation.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Execute, Stop};
use crate::server::condition::Filter;
use crate::server::constraint;
use crate::server::database::Table;
use crate::server::failure::Failure;
use crate::server::monitor::json_of;
use crate::server::mutation::Change;
use crate::transaction::{Condition, Mutation, Operation, Until};
use crate::value::{Datum, Row};

impl Execute<'_> {
    pub(super) fn carry_out(&mut self, operation: Operation) -> Result<Value, Stop> {
        Ok(match operation {
            Operation::Insert {
                table,
                row,
                uuid_name,
                uuid,
            } => self.insert(&table, &row, uuid_name, uuid)?,
            Operation::Select {
                table,
                conditions,
                columns,
            } => self.select(&table, &conditions, columns)?,
            Operation::Update {
                table,
                conditions,
                row,
            } => self.update(&table, &conditions, &row)?,
            Operation::Mutate {
                table,
                conditions,
                mutations,
            } => self.mutate(&table, &conditions, &mutations)?,
            Operation::Delete { table, conditions } => self.delete(&table, &conditions)?,
            Operation::Wait {
                timeout,
                table,
                conditions,
                columns,
                until,
                rows,
            } => self.wait(&table, &conditions, columns, until, &rows, timeout)?,
            Operation::Commit { .. } | Operation::Comment { .. } => json!({}),
            Operation::Abort {} => {
                return Err(Failure::new("aborted", "aborted by request").into());
            }
            Operation::Assert { lock } => self.assert(&lock)?,
        })
    }

    fn insert(
        &mut self,
        table: &str,
        given: &Row,
        name: Option<String>,
        chosen: Option<Uuid>,
    ) -> Result<Value, Failure> {
        let place = self.table(table)?;
        if let Some(uuid) = chosen {
            let key = (place, uuid);
            if self.database.row(key).is_some() || self.before.contains_key(&key) {
                return Err(Failure::new(
                    "duplicate uuid",
                    format!("table {table} has or had a row {uuid}"),
                ));
            }
        }
        let uuid = match name {
            Some(name) => {
                constraint::check_id("uuid-name", &name)?;
                self.names.give(&name, chosen)?
            }
            None => chosen.unwrap_or_else(Uuid::new_v4),
        };
        let given = self.read_row(place, given)?;
        let table = &self.database.tables[place];
        let mut row = table.default_row();
        let omitted = table
            .columns
            .iter()
            .filter(|(name, _)| given.get(name).is_none());
        for (name, column) in omitted {
            if let Some(default) = row.get(name) {
                column
                    .ty
                    .check(default)
                    .map_err(|violation| Failure::value(name, &violation))?;
            }
        }
        for (column, datum) in given {
            row.insert(column, datum);
        }
        row.insert("_uuid", uuid);
        row.insert("_version", Uuid::new_v4());
        self.put((place, uuid), Some(Arc::new(row)));
        Ok(json!({"uuid": ["uuid", uuid]}))
    }

    fn select(
        &mut self,
        table: &str,
        conditions: &[Condition],
        columns: Option<Vec<String>>,
    ) -> Result<Value, Failure> {
        let place = self.table(table)?;
        let table = &self.database.tables[place];
        let filter = Filter::read(table, conditions, Some(&mut self.names))?;
        let columns = columns_of(table, columns)?;
        // Without _uuid two rows may look the same; they are one then.
        let mut rows = BTreeSet::new();
        let mut found = Vec::new();
        for (_, row) in matching(table, &filter) {
            let values = project(row, &columns);
            if rows.insert(values.clone()) {
                let members = columns
                    .iter()
                    .zip(values)
                    .map(|(column, datum)| (column.clone(), json_of(&datum)));
                found.push(Value::Object(members.collect()));
            }
        }
        Ok(json!({"rows": found}))
    }

    fn update(
        &mut self,
        table: &str,
        conditions: &[Condition],
        given: &Row,
    ) -> Result<Value, Failure> {
        let place = self.table(table)?;
        let given = self.read_row(place, given)?;
        let table = &self.database.tables[place];
        let immutable = given.iter().find(|(name, _)| {
            table
                .columns
                .get(*name)
                .is_some_and(|column| !column.mutable)
        });
        if let Some((column, _)) = immutable {
            return Err(Failure::constraint(format!(
                "column {column} of table {} is immutable",
                table.name
            )));
        }
        let filter = Filter::read(table, conditions, Some(&mut self.names))?;
        let rows = changed(table, &filter, |row| {
            for (column, datum) in given.iter() {
                row.insert(column, datum.clone());
            }
            Ok(())
        })?;
        Ok(self.put_all(place, rows))
    }

    fn mutate(
        &mut self,
        table: &str,
        conditions: &[Condition],
        mutations: &[Mutation],
    ) -> Result<Value, Failure> {
        let place = self.table(table)?;
        let table = &self.database.tables[place];
        let changes: Vec<_> = mutations
            .iter()
            .map(|mutation| Change::read(table, mutation, &mut self.names))
            .collect::<Result<_, _>>()?;
        let filter = Filter::read(table, conditions, Some(&mut self.names))?;
        let rows = changed(table, &filter, |row| {
            changes.iter().try_for_each(|change| change.apply(row))
        })?;
        Ok(self.put_all(place, rows))
    }

    fn delete(&mut self, table: &str, conditions: &[Condition]) -> Result<Value, Failure> {
        let place = self.table(table)?;
        let table = &self.database.tables[place];
        let filter = Filter::read(table, conditions, Some(&mut self.names))?;
        let rows: Vec<_> = matching(table, &filter)
            .map(|(uuid, _)| (uuid, None))
            .collect();
        Ok(self.put_all(place, rows))
    }

    fn wait(
        &mut self,
        table: &str,
        conditions: &[Condition],
        columns: Option<Vec<String>>,
        until: Until,
        rows: &[Row],
        timeout: Option<i64>,
    ) -> Result<Value, Stop> {
        let place = self.table(table)?;
        let table = &self.database.tables[place];
        let filter = Filter::read(table, conditions, Some(&mut self.names))?;
        let columns = columns_of(table, columns)?;
        let timeout = timeout
            .map(u64::try_from)
            .transpose()
            .map_err(|_| Failure::syntax("the timeout is negative"))?
            .map(Duration::from_millis);
        let mut expected = BTreeSet::new();
        for row in rows {
            let mut whole = self.database.tables[place].default_row();
            for (column, datum) in self.read_row(place, row)? {
                whole.insert(column, datum);
            }
            expected.insert(project(&whole, &columns));
        }
        let found: BTreeSet<_> = matching(&self.database.tables[place], &filter)
            .map(|(_, row)| project(row, &columns))
            .collect();
        let age = self.circumstances.age;
        if (found == expected) == (until == Until::Equal) {
            Ok(json!({}))
        } else if timeout.is_some_and(|timeout| age >= timeout) {
            let details = format!("a wait was not satisfied within {age:?}");
            Err(Failure::new("timed out", details).into())
        } else {
            Err(Stop::Blocked { until: timeout })
        }
    }

    fn assert(&self, lock: &str) -> Result<Value, Failure> {
        constraint::check_id("lock", lock)?;
        if self.circumstances.locks.iter().any(|held| held == lock) {
            return Ok(json!({}));
        }
        Err(Failure::new(
            "not owner",
            format!("lock {lock} is not held"),
        ))
    }

    /// Reads the columns of a row that a client gives.
    fn read_row(&mut self, place: usize, row: &Row) -> Result<Row, Failure> {
        let table = &self.database.tables[place];
        let mut read = Row::new();
        for (name, datum) in row.iter() {
            let Some(column) = table.columns.get(name) else {
                return Err(Failure::unknown_column(&table.name, name));
            };
            let datum = constraint::read(name, &column.ty, datum, Some(&mut self.names))?;
            read.insert(name, datum);
        }
        Ok(read)
    }

    /// Puts rows in place and counts them.
    fn put_all(&mut self, place: usize, rows: Vec<(Uuid, Option<Row>)>) -> Value {
        let count = rows.len();
        for (uuid, row) in rows {
            self.put((place, uuid), row.map(Arc::new));
        }
        json!({"count": count})
    }
}

/// The rows that meet every condition.
fn matching<'a>(
    table: &'a Table,
    filter: &'a Filter,
) -> impl Iterator<Item = (Uuid, &'a Arc<Row>)> {
    let range = match filter.uuid() {
        Some(uuid) => table.rows.range(uuid..=uuid),
        None => table.rows.range(..),
    };
    range
        .filter(|(_, row)| filter.all(row))
        .map(|(uuid, row)| (*uuid, row))
}

/// The rows that meet every condition, changed.
fn changed(
    table: &Table,
    filter: &Filter,
    change: impl Fn(&mut Row) -> Result<(), Failure>,
) -> Result<Vec<(Uuid, Option<Row>)>, Failure> {
    matching(table, filter)
        .map(|(uuid, row)| {
            let mut row = Row::clone(row);
            change(&mut row)?;
            Ok((uuid, Some(row)))
        })
        .collect()
}

/// The columns that an operation looks at: those it lists, else all of them.
fn columns_of(table: &Table, columns: Option<Vec<String>>) -> Result<Vec<String>, Failure> {
    let Some(columns) = columns else {
        return Ok(table.columns.keys().cloned().collect());
    };
    let mut seen = BTreeSet::new();
    for column in &columns {
        if !table.columns.contains_key(column) || !seen.insert(column) {
            return Err(Failure::syntax(format!(
                "{column} is no column of table {}, or listed twice",
                table.name
            )));
        }
    }
    Ok(columns)
}

fn project(row: &Row, columns: &[String]) -> Vec<Datum> {
    columns
        .iter()
        .filter_map(|column| row.get(column).cloned())
        .collect()
}
