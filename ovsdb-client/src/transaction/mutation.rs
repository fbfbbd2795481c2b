//! How an operation changes a column relative to what it holds.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::value::Datum;

/// A change of one column relative to what it holds: RFC 7047 §5.1 `<mutation>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    pub(crate) column: String,
    pub(crate) mutator: Mutator,
    pub(crate) value: Datum,
}

/// The kind of a change: RFC 7047 §5.1 `<mutator>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mutator {
    Insert,
    Delete,
    #[serde(rename = "+=")]
    Add,
    #[serde(rename = "-=")]
    Subtract,
    #[serde(rename = "*=")]
    Multiply,
    #[serde(rename = "/=")]
    Divide,
    #[serde(rename = "%=")]
    Remainder,
}

impl Mutation {
    fn new(column: impl Into<String>, mutator: Mutator, value: impl Into<Datum>) -> Self {
        Self {
            column: column.into(),
            mutator,
            value: value.into(),
        }
    }

    /// Adds elements to a set, or pairs to a map. A pair whose key is there already is left out.
    pub fn insert(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, Mutator::Insert, value)
    }

    /// Removes elements from a set, or from a map: pairs given as a map, or keys given as a set.
    pub fn delete(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, Mutator::Delete, value)
    }

    /// Adds a number.
    pub fn add(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, Mutator::Add, value)
    }

    /// Subtracts a number.
    pub fn subtract(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, Mutator::Subtract, value)
    }

    /// Multiplies by a number.
    pub fn multiply(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, Mutator::Multiply, value)
    }

    /// Divides by a number.
    pub fn divide(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, Mutator::Divide, value)
    }

    /// Leaves the remainder of an integer division.
    pub fn remainder(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, Mutator::Remainder, value)
    }
}

impl Serialize for Mutation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.column, self.mutator, &self.value).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Mutation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (column, mutator, value) = Deserialize::deserialize(deserializer)?;
        Ok(Self {
            column,
            mutator,
            value,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutations_read_as_they_are_written() {
        let mutations = [
            Mutation::insert("a", Datum::map([("k", "v")])),
            Mutation::delete("a", ["k"]),
            Mutation::add("a", 1),
            Mutation::subtract("a", 1),
            Mutation::multiply("a", 0.5),
            Mutation::divide("a", 2),
            Mutation::remainder("a", 2),
        ];
        let json = serde_json::to_string(&mutations).unwrap();
        assert_eq!(
            serde_json::from_str::<Vec<Mutation>>(&json).unwrap(),
            mutations
        );
        for json in [r#"["a","+="]"#, r#"["a","^=",1]"#, r#"["a","+=",1,1]"#] {
            assert!(serde_json::from_str::<Mutation>(json).is_err(), "{json}");
        }
    }
}
