//! Tables as Rust types.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{Assignment, Column, ColumnValue, Ref, Shape};
use crate::value::{Datum, Row};

/// A Rust type that is a row of one table.
///
/// The package `ovsdb-codegen` generates such types from a schema, and `ovsdb-models` has them for
/// the databases of Open vSwitch and OVN. Beside this trait each has a [`Column`] constant per
/// column, and `UUID` for the implicit `_uuid`.
///
/// The constants of the trait are for generic code. Where a column is named `table` the constant of
/// the type hides that of the trait, which is then `<T as Table>::TABLE`.
pub trait Table: Sized + 'static {
    /// Name of the database, such as `OVN_Northbound`.
    const DATABASE: &'static str;
    /// Name of the table, such as `Logical_Switch`.
    const TABLE: &'static str;
    /// The columns that the type has, in order of their names.
    const COLUMNS: &'static [ColumnSpec];

    /// Reads a row. Callers use [`from_row`](Self::from_row) or a
    /// [`SchemaView`](super::SchemaView).
    ///
    /// # Errors
    ///
    /// [`DecodeError`], as [`RowReader::read`].
    fn decode(uuid: Uuid, row: &RowReader<'_>) -> Result<Self, DecodeError>;

    /// UUID of the row.
    fn uuid(&self) -> Uuid;

    /// Sets every column to what this row holds.
    fn assignments(&self) -> Vec<Assignment<Self>>;

    /// Reads a row that has all columns of the type.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for the first column that is not there or has a value of another type.
    fn from_row(uuid: Uuid, row: &Row) -> Result<Self, DecodeError> {
        Self::decode(uuid, &RowReader::strict(row))
    }

    /// A reference to this row.
    fn reference(&self) -> Ref<Self> {
        Ref::new(self.uuid())
    }
}

/// Name and type of a column that a Rust type has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnSpec {
    /// Name in the schema.
    pub name: &'static str,
    /// What the Rust type holds.
    pub shape: Shape,
}

/// Why a row cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("column {column} of table {table} cannot be read")]
pub struct DecodeError {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// Why not.
    pub source: ValueError,
}

/// Why a value cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ValueError {
    /// The row lacks the column. A monitor or a select that names its columns did not name it, or
    /// the server's schema does not have it; for the second see [`Skew`](super::Skew).
    #[error("the row does not have it; was it asked for, and does the server's schema have it?")]
    Absent,
    /// The value is of another type.
    #[error("{datum} is not of the type {expected}")]
    Type {
        /// The value.
        datum: Datum,
        /// The type.
        expected: Box<Shape>,
    },
}

/// A row being read into a [`Table`] type.
#[derive(Debug, Clone, Copy)]
pub struct RowReader<'a> {
    row: &'a Row,
    /// Columns that may be absent, and have their default then.
    lacking: Option<&'a BTreeSet<&'static str>>,
}

impl<'a> RowReader<'a> {
    pub(super) fn strict(row: &'a Row) -> Self {
        Self { row, lacking: None }
    }

    pub(super) fn lenient(row: &'a Row, lacking: &'a BTreeSet<&'static str>) -> Self {
        Self {
            row,
            lacking: Some(lacking),
        }
    }

    /// Reads a column; one that the server is known to lack has its default.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the column is not there though it should be, or has a value of another
    /// type.
    pub fn read<T: Table, V: ColumnValue>(&self, column: Column<T, V>) -> Result<V, DecodeError> {
        let name = column.name();
        let lacking = || self.lacking.is_some_and(|lacking| lacking.contains(name));
        let default;
        let datum = match self.row.get(name) {
            Some(datum) => datum,
            None if lacking() => {
                default = V::SHAPE.default_datum();
                &default
            }
            None => return Err(error(column, ValueError::Absent)),
        };
        V::from_datum(datum).ok_or_else(|| {
            let datum = datum.clone();
            let expected = Box::new(V::SHAPE);
            error(column, ValueError::Type { datum, expected })
        })
    }
}

fn error<T: Table, V: ColumnValue>(column: Column<T, V>, source: ValueError) -> DecodeError {
    DecodeError {
        table: T::TABLE,
        column: column.name(),
        source,
    }
}

impl Row {
    /// Reads one column and leaves the others alone.
    ///
    /// ```
    /// # mod pets { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/typed/pets.rs")); }
    /// # use pets::*;
    /// use ovsdb_client::value::Row;
    ///
    /// let row = Row::new().set("name", "Tom").set("chip", 7);
    /// assert_eq!(row.read(Cat::CHIP)?, Some(7));
    /// assert!(row.read(Cat::LIVES).is_err());
    /// # Ok::<(), ovsdb_client::typed::DecodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the column is not there or has a value of another type.
    pub fn read<T: Table, V: ColumnValue>(&self, column: Column<T, V>) -> Result<V, DecodeError> {
        RowReader::strict(self).read(column)
    }
}
