//! Rows, and differences of rows, read straight into the layout of their table.

use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use super::{Name, Values};
use crate::replica::layout::Layout;
use crate::value::{Datum, Row};

/// Reads a whole row. Columns that hold their defaults may be missing.
pub(super) struct RowSeed<'a>(pub(super) &'a Layout);

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = Arc<Row>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Arc<Row>, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_> {
    type Value = Arc<Row>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(A_ROW)
    }

    fn visit_map<A: MapAccess<'de>>(self, columns: A) -> Result<Arc<Row>, A::Error> {
        let mut values = self.0.defaults();
        read_columns(self.0, columns, |position, datum| values[position] = datum)?;
        Ok(Arc::new(self.0.row(values)))
    }
}

/// Reads some columns into places and canonical values.
pub(super) struct ValuesSeed<'a>(pub(super) &'a Layout);

impl<'de> DeserializeSeed<'de> for ValuesSeed<'_> {
    type Value = Values;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Values, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ValuesSeed<'_> {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(A_ROW)
    }

    fn visit_map<A: MapAccess<'de>>(self, columns: A) -> Result<Values, A::Error> {
        let mut values = Values::new();
        read_columns(self.0, columns, |position, datum| {
            values.push((position, datum))
        })?;
        Ok(values)
    }
}

/// What a row is written as.
const A_ROW: &str = "an object with a value for each column";

/// Hands on the values of columns, in canonical form, with their places.
fn read_columns<'de, A: MapAccess<'de>>(
    layout: &Layout,
    mut columns: A,
    mut take: impl FnMut(usize, Datum),
) -> Result<(), A::Error> {
    while let Some(Name(column)) = columns.next_key()? {
        let Some(position) = layout.position(&column) else {
            return Err(Error::custom(format_args!(
                "column {column} is not monitored"
            )));
        };
        take(
            position,
            layout.types[position].canonical(columns.next_value()?),
        );
    }
    Ok(())
}
