//! The rows of a database, apart from the file that holds them.

mod check;
mod convert;
mod references;

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::problem::{InvalidRows, Problem, ProblemKind};
use crate::schema::{Column, ColumnType, Schema, Table};
use crate::value::{Datum, Row};

/// The rows of a database and their schema: what is read from a file, and what a file is made of.
///
/// Every value fits its column and is in canonical form ([`ColumnType::canonical`]); what holds
/// between rows is looked at by [`Contents::check`]. Clones share their rows until one changes.
///
/// ```
/// # use ovsdb_client::{Schema, file::Contents, value::Row};
/// # let schema = Schema::parse(r#"{
/// #     "name": "Pets", "version": "1.0.0",
/// #     "tables": {"Cat": {"columns": {"name": {"type": "string"}, "lives": {"type": "integer"}}}}
/// # }"#)?;
/// let mut pets = Contents::new(schema);
/// let tom = pets.insert("Cat", Row::new().set("name", "Tom"))?;
/// pets.update("Cat", tom, Row::new().set("lives", 9))?;
/// assert_eq!(pets.row("Cat", tom), Some(Row::new().set("name", "Tom").set("lives", 9)));
/// assert!(pets.insert("Dog", Row::new()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Contents {
    schema: Arc<Schema>,
    /// Tables with at least one row. A row has the columns that differ from their defaults, so
    /// that it takes as much memory as it takes space in a file.
    tables: Tables,
}

type Tables = BTreeMap<String, BTreeMap<Uuid, Arc<Row>>>;

impl Contents {
    /// Starts with an empty database.
    pub fn new(schema: impl Into<Arc<Schema>>) -> Self {
        Self {
            schema: schema.into(),
            tables: Tables::new(),
        }
    }

    /// The schema.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The rows of a table in order of their UUIDs, each with all of its columns.
    pub fn rows(&self, table: &str) -> impl Iterator<Item = (Uuid, Row)> {
        let columns = self.schema.table(table);
        let rows = columns.and_then(|columns| Some((columns, self.tables.get(table)?)));
        rows.into_iter()
            .flat_map(|(columns, rows)| rows.iter().map(|(uuid, row)| (*uuid, all(columns, row))))
    }

    /// One row with all of its columns.
    pub fn row(&self, table: &str, uuid: Uuid) -> Option<Row> {
        let row = self.tables.get(table)?.get(&uuid)?;
        Some(all(self.schema.table(table)?, row))
    }

    /// Number of rows of a table.
    pub fn len(&self, table: &str) -> usize {
        self.tables.get(table).map_or(0, BTreeMap::len)
    }

    /// Whether a table has no rows.
    pub fn is_empty(&self, table: &str) -> bool {
        self.len(table) == 0
    }

    /// Whether both have the same rows with the same values, whatever their schemas are.
    pub fn same_rows(&self, other: &Self) -> bool {
        self.tables == other.tables
    }

    /// Adds a row under a random UUID, which is returned for other rows to refer to.
    ///
    /// # Errors
    ///
    /// The first [`Problem`] of the row by itself.
    pub fn insert(&mut self, table: &str, row: Row) -> Result<Uuid, Problem> {
        let uuid = Uuid::new_v4();
        self.insert_as(table, uuid, row)?;
        Ok(uuid)
    }

    /// Adds a row under a UUID of the caller's choice.
    ///
    /// # Errors
    ///
    /// The first [`Problem`] of the row by itself.
    pub fn insert_as(&mut self, table: &str, uuid: Uuid, row: Row) -> Result<(), Problem> {
        let mut problems = self.try_insert(table, uuid, row).into_iter();
        problems.next().map_or(Ok(()), Err)
    }

    /// Adds a row, or returns all that is wrong with it by itself.
    pub(super) fn try_insert(&mut self, table: &str, uuid: Uuid, row: Row) -> Vec<Problem> {
        let at = At { table, uuid };
        let columns = match at.columns(&self.schema) {
            Ok(columns) => columns,
            Err(problem) => return vec![problem],
        };
        let mut inserted = Row::new();
        let mut problems = Vec::new();
        for (name, datum) in row {
            let column = at.column(columns, &name).and_then(|column| {
                let ty = column.column_type();
                at.check(&name, ty, &datum).map(|()| ty)
            });
            match column {
                Ok(ty) => put(&mut inserted, name, ty, datum),
                Err(problem) => problems.push(problem),
            }
        }
        if self.stored_row(table, uuid).is_some() {
            problems.push(at.problem(ProblemKind::DuplicateUuid));
        }
        if problems.is_empty() {
            rows_mut(&mut self.tables, table).insert(uuid, Arc::new(inserted));
        }
        problems
    }

    /// Sets columns of a row; the others stay. A column that never changes once its row is there
    /// ([`Column::is_mutable`]) can be set too: files know no such thing.
    ///
    /// # Errors
    ///
    /// The first [`Problem`] of the row by itself; the row is as it was then.
    pub fn update(&mut self, table: &str, uuid: Uuid, columns: Row) -> Result<(), Problem> {
        let at = At { table, uuid };
        let known = at.columns(&self.schema)?;
        for (name, datum) in columns.iter() {
            at.check(name, at.column(known, name)?.column_type(), datum)?;
        }
        let row = at.row_mut(&mut self.tables)?;
        for (name, datum) in columns {
            if let Some(column) = known.column(&name) {
                put(row, name, column.column_type(), datum);
            }
        }
        Ok(())
    }

    /// Removes a row. References to it stay; [`Contents::settle`] drops the weak ones.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if there is no such row.
    pub fn remove(&mut self, table: &str, uuid: Uuid) -> Result<(), Problem> {
        let at = At { table, uuid };
        at.columns(&self.schema)?;
        let rows = self.tables.get_mut(table);
        let left = rows.and_then(|rows| rows.remove(&uuid).map(|_| rows.len()));
        match left {
            None => return Err(at.problem(ProblemKind::UnknownRow)),
            Some(0) => drop(self.tables.remove(table)),
            Some(_) => {}
        }
        Ok(())
    }

    /// Does what a server does at the end of a transaction: drops the rows that live by being
    /// referred to and are not any more, and weak references to rows that are gone (RFC 7047
    /// §3.2, `isRoot` and `refType`).
    ///
    /// As in servers, rows that refer to each other in a circle keep each other alive.
    pub fn settle(&mut self) {
        references::drop_unreferenced(self);
        references::drop_dangling_weak(self);
    }

    /// Checks what holds between rows, and that columns which were not given may have their
    /// defaults: all that a server would refuse, drop or change on loading them.
    ///
    /// # Errors
    ///
    /// [`InvalidRows`], which lists all that is wrong.
    pub fn check(&self) -> Result<(), InvalidRows> {
        check::check(self)
    }

    /// Settles rows that were read from a file, as the server that reads it does.
    pub(super) fn settle_loaded(&mut self) -> Result<(), InvalidRows> {
        check::check_strong_references(self)?;
        self.settle();
        check::check_uniqueness(self)
    }

    /// Rewrites the rows for another schema, older or newer, as a server does: tables and columns
    /// that it does not have are left out, then [`Contents::settle`].
    ///
    /// A column keeps its value where its default changes. `ovsdb-tool convert` gives it the new
    /// default there if it had the old one.
    ///
    /// # Errors
    ///
    /// [`InvalidRows`] if a value does not fit its new column, or the new schema's references and
    /// indexes do not hold.
    pub fn convert(&self, schema: impl Into<Arc<Schema>>) -> Result<Self, InvalidRows> {
        convert::convert(self, schema.into())
    }

    /// The rows as a file has them: without the columns that hold their default.
    pub(super) fn stored(&self) -> impl Iterator<Item = (&str, &BTreeMap<Uuid, Arc<Row>>)> {
        self.tables
            .iter()
            .map(|(table, rows)| (table.as_str(), rows))
    }

    pub(super) fn stored_row(&self, table: &str, uuid: Uuid) -> Option<&Row> {
        self.tables.get(table)?.get(&uuid).map(|row| &**row)
    }

    pub(super) fn stored_uuids(&self, table: &str) -> impl Iterator<Item = Uuid> {
        self.tables
            .get(table)
            .into_iter()
            .flat_map(BTreeMap::keys)
            .copied()
    }

    /// The schema and the rows, to be changed together.
    pub(super) fn parts(&mut self) -> (&Schema, &mut Tables) {
        (&self.schema, &mut self.tables)
    }
}

/// The row that a problem is about.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) table: &'a str,
    pub(super) uuid: Uuid,
}

impl At<'_> {
    pub(super) fn problem(self, kind: ProblemKind) -> Problem {
        Problem {
            table: self.table.to_owned(),
            uuid: self.uuid,
            kind,
        }
    }

    pub(super) fn columns(self, schema: &Schema) -> Result<&Table, Problem> {
        schema
            .table(self.table)
            .ok_or_else(|| self.problem(ProblemKind::UnknownTable))
    }

    pub(super) fn column<'t>(self, table: &'t Table, name: &str) -> Result<&'t Column, Problem> {
        table.column(name).ok_or_else(|| {
            self.problem(ProblemKind::UnknownColumn {
                column: name.to_owned(),
            })
        })
    }

    /// Checks one value by itself.
    pub(super) fn check(self, name: &str, ty: &ColumnType, datum: &Datum) -> Result<(), Problem> {
        check::check_value(name, ty, datum).map_err(|kind| self.problem(kind))
    }

    pub(super) fn row_mut(self, tables: &mut Tables) -> Result<&mut Row, Problem> {
        tables
            .get_mut(self.table)
            .and_then(|rows| rows.get_mut(&self.uuid))
            .map(Arc::make_mut)
            .ok_or_else(|| self.problem(ProblemKind::UnknownRow))
    }
}

/// The rows of a table that may not have any yet.
pub(super) fn rows_mut<'a>(
    tables: &'a mut Tables,
    table: &str,
) -> &'a mut BTreeMap<Uuid, Arc<Row>> {
    // Not `entry`, which would copy the name for each row.
    if !tables.contains_key(table) {
        tables.insert(table.to_owned(), BTreeMap::new());
    }
    tables.get_mut(table).expect("the table was just inserted")
}

/// The canonical form of a column's default.
pub(super) fn default_of(ty: &ColumnType) -> Datum {
    ty.canonical(ty.default_datum())
}

/// Sets a column of a stored row.
pub(super) fn put(row: &mut Row, name: String, ty: &ColumnType, datum: Datum) {
    let datum = ty.canonical(datum);
    if datum != default_of(ty) {
        row.insert(name, datum);
    } else if row.get(&name).is_some() {
        let others = std::mem::take(row).into_iter();
        *row = others.filter(|(other, _)| *other != name).collect();
    }
}

/// A stored row with the defaults of its other columns.
fn all(table: &Table, row: &Row) -> Row {
    table
        .columns()
        .map(|(name, column)| {
            let given = row.get(name).cloned();
            (
                name,
                given.unwrap_or_else(|| default_of(column.column_type())),
            )
        })
        .collect()
}
