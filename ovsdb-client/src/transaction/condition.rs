//! Which rows an operation or a monitor is about.

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::value::Datum;

/// A test of one column: RFC 7047 §5.1 `<condition>`, or the constants that ovsdb-server(7) §4.1.12
/// adds to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition(pub(crate) Clause);

/// What a condition says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Clause {
    Constant(bool),
    Test {
        column: String,
        function: Function,
        value: Datum,
    },
}

/// How a test compares: RFC 7047 §5.1 `<function>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Function {
    #[serde(rename = "==")]
    Equal,
    #[serde(rename = "!=")]
    NotEqual,
    #[serde(rename = "<")]
    Less,
    #[serde(rename = "<=")]
    LessOrEqual,
    #[serde(rename = ">")]
    Greater,
    #[serde(rename = ">=")]
    GreaterOrEqual,
    Includes,
    Excludes,
}

impl Condition {
    fn new(column: impl Into<String>, function: Function, value: impl Into<Datum>) -> Self {
        Self(Clause::Test {
            column: column.into(),
            function,
            value: value.into(),
        })
    }

    /// Every row.
    pub const fn every_row() -> Self {
        Self(Clause::Constant(true))
    }

    /// No row: what a monitor begins with that learns later what it is to follow.
    pub const fn no_row() -> Self {
        Self(Clause::Constant(false))
    }

    /// The row with this UUID.
    pub fn uuid(uuid: Uuid) -> Self {
        Self::eq("_uuid", uuid)
    }

    /// The column equals the value.
    pub fn eq(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, Function::Equal, value)
    }

    /// The column differs from the value.
    pub fn ne(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, Function::NotEqual, value)
    }

    /// The column contains every element, or pair, of the value.
    pub fn includes(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, Function::Includes, value)
    }

    /// The column contains no element, or pair, of the value.
    pub fn excludes(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, Function::Excludes, value)
    }

    /// The number in the column is less than the value.
    pub fn lt(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, Function::Less, value)
    }

    /// The number in the column is at most the value.
    pub fn le(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, Function::LessOrEqual, value)
    }

    /// The number in the column is greater than the value.
    pub fn gt(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, Function::Greater, value)
    }

    /// The number in the column is at least the value.
    pub fn ge(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, Function::GreaterOrEqual, value)
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Clause::Constant(constant) => constant.serialize(serializer),
            Clause::Test {
                column,
                function,
                value,
            } => (column, function, value).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ConditionVisitor)
    }
}

struct ConditionVisitor;

impl<'de> Visitor<'de> for ConditionVisitor {
    type Value = Condition;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[column, function, value], true or false")
    }

    fn visit_bool<E: de::Error>(self, constant: bool) -> Result<Condition, E> {
        Ok(Condition(Clause::Constant(constant)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<Condition, A::Error> {
        let parts = de::value::SeqAccessDeserializer::new(elements);
        let (column, function, value) = Deserialize::deserialize(parts)?;
        Ok(Condition(Clause::Test {
            column,
            function,
            value,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_read_as_they_are_written() {
        let conditions = [
            Condition::every_row(),
            Condition::no_row(),
            Condition::uuid(Uuid::from_u128(1)),
            Condition::ne("a", Some(1)),
            Condition::includes("a", Datum::map([("k", "v")])),
            Condition::excludes("a", Datum::empty()),
            Condition::lt("a", 1),
            Condition::le("a", 1),
            Condition::gt("a", 0.5),
            Condition::ge("a", 0.5),
        ];
        let json = serde_json::to_string(&conditions).unwrap();
        assert_eq!(
            serde_json::from_str::<Vec<Condition>>(&json).unwrap(),
            conditions
        );
        assert!(json.starts_with(r#"[true,false,["_uuid","==",["uuid","#));
    }

    #[test]
    fn what_is_not_a_condition_is_refused() {
        for json in [
            "1",
            "[]",
            r#"["a","=="]"#,
            r#"["a","~",1]"#,
            r#"["a","==",1,2]"#,
            r#"["a","==",null]"#,
        ] {
            assert!(serde_json::from_str::<Condition>(json).is_err(), "{json}");
        }
    }
}
