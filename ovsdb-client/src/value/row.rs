//! Columns by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Datum;

/// A row, or some columns of one.
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Row(BTreeMap<String, Datum>);

impl Row {
    /// Makes a row without columns.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Sets a column and gives the row back.
    #[must_use]
    pub fn set(mut self, column: impl Into<String>, value: impl Into<Datum>) -> Self {
        self.insert(column, value);
        self
    }

    /// Sets a column and returns what was there.
    pub fn insert(&mut self, column: impl Into<String>, value: impl Into<Datum>) -> Option<Datum> {
        self.0.insert(column.into(), value.into())
    }

    /// The value of a column.
    pub fn get(&self, column: &str) -> Option<&Datum> {
        self.0.get(column)
    }

    /// The value of a column, to be changed in place.
    pub(crate) fn get_mut(&mut self, column: &str) -> Option<&mut Datum> {
        self.0.get_mut(column)
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
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Datum)> {
        self.0
            .iter()
            .map(|(column, datum)| (column.as_str(), datum))
    }

    /// Number of columns.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no columns.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<C: Into<String>, D: Into<Datum>> FromIterator<(C, D)> for Row {
    fn from_iter<I: IntoIterator<Item = (C, D)>>(columns: I) -> Self {
        Self(
            columns
                .into_iter()
                .map(|(column, datum)| (column.into(), datum.into()))
                .collect(),
        )
    }
}

impl IntoIterator for Row {
    type Item = (String, Datum);
    type IntoIter = std::collections::btree_map::IntoIter<String, Datum>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
