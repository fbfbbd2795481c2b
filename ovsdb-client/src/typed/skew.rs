//! Types that are older or newer than the server's schema.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use uuid::Uuid;

use super::{Column, ColumnSpec, ColumnValue, DecodeError, RowReader, SelectedRows, Shape, Table};
use crate::monitor::MonitorTable;
use crate::schema::{ColumnType, Schema};
use crate::transaction::TransactionOutcome;
use crate::value::Row;

/// What to do when the server's schema lacks tables or columns that the types have.
///
/// What the server has beyond the types never matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Skew {
    /// Refuse.
    #[default]
    Strict,
    /// Go on with what both sides have. An absent column reads as its default
    /// ([`SchemaView::has`] tells it from one that holds its default), an absent table has no rows.
    Intersect,
}

/// A table that a program uses: all columns of its type, or some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSpec {
    /// Name of the database.
    pub database: &'static str,
    /// Name of the table.
    pub table: &'static str,
    /// The columns.
    pub columns: Cow<'static, [ColumnSpec]>,
}

impl TableSpec {
    /// A table with all columns of its type.
    pub const fn of<T: Table>() -> Self {
        Self {
            database: T::DATABASE,
            table: T::TABLE,
            columns: Cow::Borrowed(T::COLUMNS),
        }
    }

    /// A table with some columns: `TableSpec::some::<Cat>([Cat::NAME.spec(), Cat::CHIP.spec()])`.
    pub fn some<T: Table>(columns: impl IntoIterator<Item = ColumnSpec>) -> Self {
        Self {
            columns: columns.into_iter().collect(),
            ..Self::of::<T>()
        }
    }
}

/// How a server's schema falls short of the types.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Difference {
    /// The schema is that of another database.
    #[error("table {table} belongs to database {wanted}, not {found}")]
    Database {
        /// The table.
        table: &'static str,
        /// Its database.
        wanted: &'static str,
        /// The database that the schema describes.
        found: String,
    },
    /// A table is missing.
    #[error("there is no table {table}")]
    Table {
        /// The table.
        table: &'static str,
    },
    /// A column is missing.
    #[error("table {table} has no column {column}")]
    Column {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// A column may hold values that its Rust type cannot.
    #[error("column {column} of table {table} is {found}, which does not fit into {wanted}")]
    Type {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What the Rust type holds.
        wanted: Shape,
        /// What the server's column holds.
        found: Box<ColumnType>,
    },
}

/// The server's schema is not one that the types can be used with.
#[derive(Debug, Clone, PartialEq)]
pub struct SchemaMismatch {
    /// Name of the database.
    pub database: String,
    /// Version of the server's schema.
    pub version: String,
    /// All the ways in which it falls short.
    pub differences: Vec<Difference>,
}

impl std::error::Error for SchemaMismatch {}

impl fmt::Display for SchemaMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (database, version) = (&self.database, &self.version);
        write!(f, "schema {database} {version} of the server does not fit")?;
        let mut separator = ": ";
        for difference in &self.differences {
            write!(f, "{separator}{difference}")?;
            separator = "; ";
        }
        Ok(())
    }
}

/// What a program's types and a server's schema have in common.
///
/// ```
/// # mod pets { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/typed/pets.rs")); }
/// # use pets::*;
/// use ovsdb_client::Schema;
/// use ovsdb_client::typed::{SchemaView, Skew, Table, TableSpec};
/// use ovsdb_client::value::Row;
///
/// // A server from before cats had chips, moods and all the rest.
/// let old = Schema::parse(r#"{"name": "Pets", "version": "0.1.0", "tables":
///     {"Cat": {"columns": {"name": {"type": "string"}}}}}"#)?;
/// let view = SchemaView::new(&old, [TableSpec::of::<Cat>()], Skew::Intersect)?;
/// assert!(view.has(Cat::NAME) && !view.has(Cat::CHIP));
///
/// let tom = view.decode::<Cat>(uuid::Uuid::from_u128(1), &Row::new().set("name", "Tom"))?;
/// assert_eq!((tom.name.as_str(), tom.chip), ("Tom", None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SchemaView {
    tables: BTreeMap<&'static str, TableView>,
    differences: Vec<Difference>,
}

/// The columns of a table, by whether the server has them.
#[derive(Debug, Clone, PartialEq, Default)]
struct TableView {
    present: BTreeSet<&'static str>,
    lacking: BTreeSet<&'static str>,
    /// Whether the server has the table.
    there: bool,
}

impl SchemaView {
    /// Compares tables with the schema of a server.
    ///
    /// # Errors
    ///
    /// [`SchemaMismatch`] for any difference with [`Skew::Strict`], and for a table of another
    /// database with either.
    pub fn new(
        schema: &Schema,
        tables: impl IntoIterator<Item = TableSpec>,
        skew: Skew,
    ) -> Result<Self, SchemaMismatch> {
        let mut view = Self {
            tables: BTreeMap::new(),
            differences: Vec::new(),
        };
        for spec in tables {
            view.compare(schema, &spec);
        }
        let fatal = view.differences.iter().any(|difference| match difference {
            Difference::Database { .. } => true,
            _ => skew == Skew::Strict,
        });
        if fatal {
            return Err(SchemaMismatch {
                database: schema.name().to_owned(),
                version: schema.version().to_owned(),
                differences: view.differences,
            });
        }
        Ok(view)
    }

    fn compare(&mut self, schema: &Schema, spec: &TableSpec) {
        let table = spec.table;
        if spec.database != schema.name() {
            self.differences.push(Difference::Database {
                table,
                wanted: spec.database,
                found: schema.name().to_owned(),
            });
            return;
        }
        let view = self.tables.entry(table).or_default();
        let Some(found) = schema.table(table) else {
            view.lacking
                .extend(spec.columns.iter().map(|column| column.name));
            self.differences.push(Difference::Table { table });
            return;
        };
        view.there = true;
        for ColumnSpec { name, shape } in spec.columns.iter().copied() {
            let difference = match found.column(name) {
                Some(column) if shape.admits(column.column_type()) => {
                    view.present.insert(name);
                    continue;
                }
                Some(column) => Difference::Type {
                    table,
                    column: name,
                    wanted: shape,
                    found: Box::new(column.column_type().clone()),
                },
                None => Difference::Column {
                    table,
                    column: name,
                },
            };
            view.lacking.insert(name);
            self.differences.push(difference);
        }
    }

    /// Whether the server has a column, with a type that fits; false for one that
    /// [`new`](Self::new) was not given.
    pub fn has<T: Table, V: ColumnValue>(&self, column: Column<T, V>) -> bool {
        self.tables
            .get(T::TABLE)
            .is_some_and(|table| table.present.contains(column.name()))
    }

    /// Whether the server has a table; false for one that [`new`](Self::new) was not given.
    pub fn has_table<T: Table>(&self) -> bool {
        self.tables.get(T::TABLE).is_some_and(|table| table.there)
    }

    /// How the server's schema falls short; nothing with [`Skew::Strict`].
    pub fn differences(&self) -> &[Difference] {
        &self.differences
    }

    /// Follows a table with the columns that the server has; nothing if it lacks the table.
    pub fn monitor_table<T: Table>(&self) -> Option<MonitorTable> {
        let (table, view) = self.tables.get_key_value(T::TABLE)?;
        view.monitor(table)
    }

    /// Follows every table that the server has.
    pub fn monitor_tables(&self) -> Vec<MonitorTable> {
        self.tables
            .iter()
            .filter_map(|(table, view)| view.monitor(table))
            .collect()
    }

    /// Reads a row; columns that the server lacks have their defaults.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when a column is not there that the server does have, or has a value of
    /// another type.
    pub fn decode<T: Table>(&self, uuid: Uuid, row: &Row) -> Result<T, DecodeError> {
        T::decode(uuid, &self.reader::<T>(row))
    }

    /// The rows that a select has found; as
    /// [`TransactionOutcome::selected`], but columns that the server lacks have their defaults.
    pub fn selected<'a, T: Table>(
        &'a self,
        outcome: &'a TransactionOutcome,
        rows: SelectedRows<T>,
    ) -> impl Iterator<Item = Result<T, DecodeError>> + use<'a, T> {
        outcome.selected_by(rows, |row| self.reader::<T>(row))
    }

    fn reader<'a, T: Table>(&'a self, row: &'a Row) -> RowReader<'a> {
        match self.tables.get(T::TABLE) {
            Some(table) => RowReader::lenient(row, &table.lacking),
            None => RowReader::strict(row),
        }
    }
}

impl TableView {
    fn monitor(&self, table: &str) -> Option<MonitorTable> {
        let columns = self.present.iter().copied();
        self.there
            .then(|| MonitorTable::new(table).columns(columns))
    }
}

impl MonitorTable {
    /// Follows a table with all columns of its type; a [`SchemaView`] makes allowances for what the
    /// server lacks.
    pub fn of<T: Table>() -> Self {
        Self::new(T::TABLE).columns(T::COLUMNS.iter().map(|column| column.name))
    }
}
