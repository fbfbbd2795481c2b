//! How the server says no.

use serde::Serialize;

use crate::schema::Violation;

/// The name of the error that a set with equal elements is, or a map with equal keys: the server
/// gives it no name of its own (`ovsdb_datum_sort` in lib/ovsdb-data.c).
pub(super) const DUPLICATE: &str = "ovsdb error";

/// An error as it stands in a reply: RFC 7047 §3.1 `<error>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Failure {
    #[serde(rename = "error")]
    pub(super) name: &'static str,
    pub(super) details: String,
}

impl Failure {
    pub(super) fn new(name: &'static str, details: impl Into<String>) -> Self {
        Self {
            name,
            details: details.into(),
        }
    }

    pub(super) fn syntax(details: impl Into<String>) -> Self {
        Self::new("syntax error", details)
    }

    pub(super) fn constraint(details: impl Into<String>) -> Self {
        Self::new("constraint violation", details)
    }

    pub(super) fn referential(details: impl Into<String>) -> Self {
        Self::new("referential integrity violation", details)
    }

    pub(super) fn unknown_column(table: &str, column: &str) -> Self {
        Self::new(
            "unknown column",
            format!("table {table} has no column {column}"),
        )
    }

    /// A value that does not fit its column.
    pub(super) fn value(column: &str, violation: &Violation) -> Self {
        let name = match violation {
            Violation::Constraint { .. } => "constraint violation",
            Violation::Duplicate { .. } => DUPLICATE,
            Violation::Type { .. } | Violation::Shape { .. } | Violation::Count { .. } => {
                "syntax error"
            }
        };
        Self::new(name, format!("column {column}: {violation}"))
    }
}
