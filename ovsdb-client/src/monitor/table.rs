//! What a monitor follows.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::MonitorError;
use crate::schema::{ColumnType, Schema};
use crate::transaction::Condition;

/// A table to follow: all its columns and rows, unless restricted.
///
/// ```
/// # use ovsdb_client::{Condition, MonitorTable};
/// MonitorTable::new("Interface").columns(["name", "ofport"]).condition(Condition::eq("type", "geneve"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct MonitorTable {
    table: String,
    columns: Option<Vec<String>>,
    conditions: Vec<Condition>,
}

impl MonitorTable {
    /// Follows a table.
    pub fn new(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            columns: None,
            conditions: Vec::new(),
        }
    }

    /// Follows only these columns.
    #[must_use]
    pub fn columns<C: Into<String>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.columns = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Follows rows that meet this condition. Of several conditions a row must meet **one**
    /// (ovsdb-server(7) §4.1.12), unlike in the operations of a transaction.
    #[must_use]
    pub fn condition(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }
}

/// The columns of each monitored table.
pub(super) type Columns = BTreeMap<Arc<str>, BTreeMap<Arc<str>, ColumnType>>;

/// The third parameter of `monitor_cond_since`: one or more requests per table.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct MonitorRequests(BTreeMap<String, Vec<MonitorRequest>>);

#[derive(Debug, Serialize)]
struct MonitorRequest {
    /// Always listed: left out, the server adds the `_version` of each row.
    columns: Vec<String>,
    #[serde(rename = "where", skip_serializing_if = "Vec::is_empty")]
    conditions: Vec<Condition>,
}

impl MonitorRequests {
    /// Works out what to ask for, and the types of what will come.
    pub(super) fn plan(
        schema: &Schema,
        tables: &[MonitorTable],
    ) -> Result<(Self, Columns), MonitorError> {
        let mut requests: BTreeMap<String, Vec<MonitorRequest>> = BTreeMap::new();
        let mut columns = Columns::new();
        for MonitorTable {
            table,
            columns: wanted,
            conditions,
        } in tables
        {
            let Some(table_schema) = schema.table(table) else {
                return Err(MonitorError::UnknownTable {
                    database: schema.name().to_owned(),
                    table: table.clone(),
                });
            };
            let wanted = match wanted {
                Some(wanted) => wanted.clone(),
                None => table_schema
                    .columns()
                    .map(|(name, _)| name.to_owned())
                    .collect(),
            };
            let types = columns.entry(table.as_str().into()).or_default();
            for name in &wanted {
                let Some(column) = table_schema.column(name) else {
                    return Err(MonitorError::UnknownColumn {
                        database: schema.name().to_owned(),
                        table: table.clone(),
                        column: name.clone(),
                    });
                };
                types.insert(name.as_str().into(), column.column_type().clone());
            }
            let request = MonitorRequest {
                columns: wanted,
                conditions: conditions.clone(),
            };
            requests.entry(table.clone()).or_default().push(request);
        }
        Ok((Self(requests), columns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        Schema::parse(
            r#"{"name":"P","version":"1.0.0","tables":
                {"Cat":{"columns":{"name":{"type":"string"},"age":{"type":"integer"}}}}}"#,
        )
        .unwrap()
    }

    #[test]
    fn requests_list_their_columns() {
        let tables = [
            MonitorTable::new("Cat").condition(Condition::eq("age", 1)),
            MonitorTable::new("Cat").columns(["name"]),
        ];
        let (requests, columns) = MonitorRequests::plan(&schema(), &tables).unwrap();
        assert_eq!(
            serde_json::to_string(&requests).unwrap(),
            r#"{"Cat":[{"columns":["age","name"],"where":[["age","==",1]]},{"columns":["name"]}]}"#
        );
        assert_eq!(columns["Cat"].len(), 2);
    }

    #[test]
    fn what_the_schema_lacks_is_named() {
        let plan = |table| {
            MonitorRequests::plan(&schema(), &[table])
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            plan(MonitorTable::new("Dog")),
            "database P has no table Dog"
        );
        assert_eq!(
            plan(MonitorTable::new("Cat").columns(["fur"])),
            "table Cat of database P has no column fur"
        );
    }
}
