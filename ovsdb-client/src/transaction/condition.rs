//! Which rows an operation or a monitor is about.

use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::value::Datum;

/// A test of one column: RFC 7047 §5.1 `<condition>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    column: String,
    function: &'static str,
    value: Datum,
}

impl Condition {
    fn new(column: impl Into<String>, function: &'static str, value: impl Into<Datum>) -> Self {
        Self {
            column: column.into(),
            function,
            value: value.into(),
        }
    }

    /// The row with this UUID.
    pub fn uuid(uuid: Uuid) -> Self {
        Self::eq("_uuid", uuid)
    }

    /// The column equals the value.
    pub fn eq(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, "==", value)
    }

    /// The column differs from the value.
    pub fn ne(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, "!=", value)
    }

    /// The column contains every element, or pair, of the value.
    pub fn includes(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, "includes", value)
    }

    /// The column contains no element, or pair, of the value.
    pub fn excludes(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, "excludes", value)
    }

    /// The number in the column is less than the value.
    pub fn lt(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, "<", value)
    }

    /// The number in the column is at most the value.
    pub fn le(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, "<=", value)
    }

    /// The number in the column is greater than the value.
    pub fn gt(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, ">", value)
    }

    /// The number in the column is at least the value.
    pub fn ge(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, ">=", value)
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.column, self.function, &self.value).serialize(serializer)
    }
}
