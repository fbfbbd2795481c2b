//! The operations as the server reads them: RFC 7047 §5.2.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Condition, Mutation};
use crate::value::Row;

/// One operation of a transaction.
///
/// A member that the RFC does not name is refused on reading, as the server refuses it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
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
        /// Milliseconds; without it the wait has no end.
        #[serde(skip_serializing_if = "Option::is_none")]
        timeout: Option<i64>,
        table: String,
        #[serde(rename = "where")]
        conditions: Vec<Condition>,
        #[serde(skip_serializing_if = "Option::is_none")]
        columns: Option<Vec<String>>,
        until: Until,
        rows: Vec<Row>,
    },
    Commit {
        durable: bool,
    },
    // With braces, because serde lets a variant without fields have any members.
    Abort {},
    Comment {
        comment: String,
    },
    Assert {
        lock: String,
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
            Self::Commit { .. } => "commit".to_owned(),
            Self::Abort {} => "abort".to_owned(),
            Self::Comment { .. } => "comment".to_owned(),
            Self::Assert { lock } => format!("assert of lock {lock}"),
        }
    }
}

/// What a wait waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Until {
    /// The rows found equal the rows given.
    #[serde(rename = "==")]
    Equal,
    /// The rows found differ from the rows given.
    #[serde(rename = "!=")]
    NotEqual,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_an_operation_is_refused() {
        for json in [
            r#"{}"#,
            r#"{"op":"explode"}"#,
            r#"{"op":"abort","why":1}"#,
            r#"{"op":"commit"}"#,
            r#"{"op":"insert","table":"T"}"#,
            r#"{"op":"insert","table":"T","row":{},"rows":[]}"#,
            r#"{"op":"insert","table":"T","row":{"a":null}}"#,
            r#"{"op":"insert","table":"T","row":{},"uuid":"x"}"#,
            r#"{"op":"delete","table":"T"}"#,
            r#"{"op":"wait","table":"T","where":[],"until":"<","rows":[]}"#,
        ] {
            assert!(serde_json::from_str::<Operation>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn members_that_the_rfc_calls_optional_may_be_missing() {
        for json in [
            r#"{"op":"wait","table":"T","where":[],"until":"!=","rows":[]}"#,
            r#"{"op":"select","table":"T","where":[true]}"#,
            r#"{"op":"insert","table":"T","row":{}}"#,
        ] {
            let operation: Operation = serde_json::from_str(json).unwrap();
            let again = serde_json::to_value(&operation).unwrap();
            assert_eq!(
                again,
                serde_json::from_str::<serde_json::Value>(json).unwrap()
            );
        }
    }
}
