//! The operations as the server reads them: RFC 7047 §5.2.

use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::Condition;
use crate::value::{Datum, Row};

/// One operation of a transaction.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub(crate) enum Operation {
    Insert {
        table: String,
        row: Row,
        #[serde(rename = "uuid-name", skip_serializing_if = "Option::is_none")]
        uuid_name: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        uuid: Option<Uuid>,
    },
    Select {
        table: String,
        #[serde(rename = "where")]
        conditions: Vec<Condition>,
        #[serde(skip_serializing_if = "Option::is_none")]
        columns: Option<Vec<String>>,
    },
    Update {
        table: String,
        #[serde(rename = "where")]
        conditions: Vec<Condition>,
        row: Row,
    },
    Mutate {
        table: String,
        #[serde(rename = "where")]
        conditions: Vec<Condition>,
        mutations: Vec<Mutation>,
    },
    Delete {
        table: String,
        #[serde(rename = "where")]
        conditions: Vec<Condition>,
    },
    Wait {
        timeout: i64,
        table: String,
        #[serde(rename = "where")]
        conditions: Vec<Condition>,
        columns: Vec<String>,
        until: Until,
        rows: Vec<Row>,
    },
    Comment {
        comment: String,
    },
}

impl Operation {
    /// What the operation does and to which table, for error messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Insert { table, .. } => format!("insert into {table}"),
            Self::Select { table, .. } => format!("select from {table}"),
            Self::Update { table, .. } => format!("update of {table}"),
            Self::Mutate { table, .. } => format!("mutate of {table}"),
            Self::Delete { table, .. } => format!("delete from {table}"),
            Self::Wait { table, .. } => format!("wait for {table}"),
            Self::Comment { .. } => "comment".to_owned(),
        }
    }
}

/// What a wait waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Until {
    /// The rows found equal the rows given.
    #[serde(rename = "==")]
    Equal,
    /// The rows found differ from the rows given.
    #[serde(rename = "!=")]
    NotEqual,
}

/// A change of one column relative to what it holds: RFC 7047 §5.1 `<mutation>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    column: String,
    mutator: &'static str,
    value: Datum,
}

impl Mutation {
    fn new(column: impl Into<String>, mutator: &'static str, value: impl Into<Datum>) -> Self {
        Self {
            column: column.into(),
            mutator,
            value: value.into(),
        }
    }

    /// Adds elements to a set, or pairs to a map. A pair whose key is there already is left out.
    pub fn insert(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, "insert", value)
    }

    /// Removes elements from a set, or from a map: pairs given as a map, or keys given as a set.
    pub fn delete(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, "delete", value)
    }

    /// Adds a number.
    pub fn add(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, "+=", value)
    }

    /// Subtracts a number.
    pub fn subtract(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, "-=", value)
    }

    /// Multiplies by a number.
    pub fn multiply(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, "*=", value)
    }

    /// Divides by a number.
    pub fn divide(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, "/=", value)
    }

    /// Leaves the remainder of an integer division.
    pub fn remainder(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, "%=", value)
    }
}

impl Serialize for Mutation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.column, self.mutator, &self.value).serialize(serializer)
    }
}
