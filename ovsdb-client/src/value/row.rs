//! Columns by name.

use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::Datum;

/// A row, or some columns of one.
///
/// The names are kept apart from the values, so that the many rows of a table can share them: a
/// row that a monitor holds is little more than its values.
///
/// ```
/// # use ovsdb_client::value::{Datum, Row};
/// let row = Row::new()
///     .set("name", "sw0")
///     .set("external_ids", Datum::map([("owner", "test")]))
///     .set("tag", Some(7));
/// assert_eq!(row.str("name"), Some("sw0"));
/// assert_eq!(row.map_get("external_ids", "owner"), Some("test"));
/// assert_eq!(row.i64("tag"), Some(7));
/// ```
#[derive(Clone, Default)]
pub struct Row {
    /// In order, without duplicates.
    names: ColumnNames,
    /// One for each name.
    values: Vec<Datum>,
}

/// Names of columns in order.
pub(crate) type ColumnNames = Arc<Vec<Arc<str>>>;

impl Row {
    /// Makes a row without columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a row of columns whose names are in order, and of a value for each of them.
    pub(crate) fn from_parts(names: ColumnNames, values: Vec<Datum>) -> Self {
        debug_assert!(names.is_sorted() && names.len() == values.len());
        Self { names, values }
    }

    /// Sets a column and gives the row back.
    #[must_use]
    pub fn set(mut self, column: impl Into<String>, value: impl Into<Datum>) -> Self {
        self.insert(column, value);
        self
    }

    /// Sets a column and returns what was there.
    pub fn insert(&mut self, column: impl Into<String>, value: impl Into<Datum>) -> Option<Datum> {
        let (column, value) = (column.into(), value.into());
        match self.position(&column) {
            Ok(index) => Some(std::mem::replace(&mut self.values[index], value)),
            Err(index) => {
                Arc::make_mut(&mut self.names).insert(index, column.into());
                self.values.insert(index, value);
                None
            }
        }
    }

    /// The value of a column.
    pub fn get(&self, column: &str) -> Option<&Datum> {
        self.position(column).ok().map(|index| &self.values[index])
    }

    /// The value of a column, to be changed in place.
    pub(crate) fn get_mut(&mut self, column: &str) -> Option<&mut Datum> {
        let index = self.position(column).ok()?;
        Some(&mut self.values[index])
    }

    /// All values in the order of their columns.
    pub(crate) fn values(&self) -> &[Datum] {
        &self.values
    }

    /// All values in the order of their columns, to be changed in place.
    pub(crate) fn values_mut(&mut self) -> &mut [Datum] {
        &mut self.values
    }

    fn position(&self, column: &str) -> Result<usize, usize> {
        self.names.binary_search_by(|name| (**name).cmp(column))
    }

    /// The string in a column, if there is a single one.
    pub fn str(&self, column: &str) -> Option<&str> {
        self.get(column)?.as_str()
    }

    /// The integer in a column, if there is a single one.
    pub fn i64(&self, column: &str) -> Option<i64> {
        self.get(column)?.as_i64()
    }

    /// The real in a column, if there is a single number.
    pub fn f64(&self, column: &str) -> Option<f64> {
        self.get(column)?.as_f64()
    }

    /// The boolean in a column, if there is a single one.
    pub fn bool(&self, column: &str) -> Option<bool> {
        self.get(column)?.as_bool()
    }

    /// The UUID in a column, if there is a single one.
    pub fn uuid(&self, column: &str) -> Option<Uuid> {
        self.get(column)?.as_uuid()
    }

    /// The UUIDs in a column of references, any number of them.
    pub fn uuids(&self, column: &str) -> impl Iterator<Item = Uuid> {
        self.get(column)
            .into_iter()
            .flat_map(Datum::set_iter)
            .filter_map(super::Atom::as_uuid)
    }

    /// The string under a key of a map column.
    pub fn map_get(&self, column: &str, key: &str) -> Option<&str> {
        self.get(column)?.map_get(key)
    }

    /// The columns in order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Datum)> {
        self.names.iter().map(|name| &**name).zip(&self.values)
    }

    /// Number of columns.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are no columns.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        // Rows of one replica share their names.
        (Arc::ptr_eq(&self.names, &other.names) || self.names == other.names)
            && self.values == other.values
    }
}

impl Eq for Row {}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Of two values for one column the later one counts.
impl<C: Into<String>, D: Into<Datum>> FromIterator<(C, D)> for Row {
    fn from_iter<I: IntoIterator<Item = (C, D)>>(columns: I) -> Self {
        let mut row = Self::new();
        for (column, datum) in columns {
            row.insert(column, datum);
        }
        row
    }
}

impl IntoIterator for Row {
    type Item = (String, Datum);
    type IntoIter = std::vec::IntoIter<(String, Datum)>;

    fn into_iter(self) -> Self::IntoIter {
        let names = self.names.iter().map(|name| name.to_string());
        names.zip(self.values).collect::<Vec<_>>().into_iter()
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RowVisitor;

        impl<'de> Visitor<'de> for RowVisitor {
            type Value = Row;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a value for each column")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut columns: A) -> Result<Row, A::Error> {
                let mut row = Row::new();
                while let Some((column, datum)) = columns.next_entry::<String, Datum>()? {
                    row.insert(column, datum);
                }
                Ok(row)
            }
        }

        deserializer.deserialize_map(RowVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_setting_does_not_matter() {
        let row = Row::new().set("b", 1).set("a", 2).set("b", 3);
        assert_eq!(row, Row::new().set("a", 2).set("b", 3));
        assert_eq!(row.len(), 2);
        assert_eq!(serde_json::to_string(&row).unwrap(), r#"{"a":2,"b":3}"#);
        let read: Row = serde_json::from_str(r#"{"b":1,"a":2,"b":3}"#).unwrap();
        assert_eq!(read, row);
    }

    #[test]
    fn a_change_of_one_row_leaves_the_rows_that_share_its_names() {
        let row = Row::new().set("a", 1);
        let mut wider = row.clone();
        wider.insert("b", 2);
        assert_eq!((row.len(), wider.len()), (1, 2));
        assert_eq!(row.get("b"), None);
    }
}
