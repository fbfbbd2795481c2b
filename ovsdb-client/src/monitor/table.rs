//! What a monitor follows.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::MonitorError;
use crate::replica::{IndexKey, Layout, Layouts};
use crate::schema::Schema;
use crate::transaction::Condition;

/// A table to follow: all its columns and rows, unless restricted. Of several for one table the
/// columns, and the rows, of all of them are followed.
///
/// ```
/// # use ovsdb_client::{Condition, MonitorTable};
/// MonitorTable::new("Interface")
///     .columns(["name", "ofport", "external_ids"])
///     .condition(Condition::eq("type", "geneve"))
///     .index_key("external_ids", "iface-id");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct MonitorTable {
    table: String,
    columns: Option<Vec<String>>,
    conditions: Vec<Condition>,
    indexes: Vec<IndexKey>,
    optional: bool,
}

impl MonitorTable {
    /// Follows a table.
    pub fn new(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            columns: None,
            conditions: Vec::new(),
            indexes: Vec::new(),
            optional: false,
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

    /// Lets [`Snapshot::find`](crate::Snapshot::find) look up these columns without a search. The
    /// indexes of the schema are there without asking.
    #[must_use]
    pub fn index<C: Into<String>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        let columns = columns.into_iter().map(Into::into).collect();
        self.indexes.push(IndexKey::Columns(columns));
        self
    }

    /// Lets [`Snapshot::find_key`](crate::Snapshot::find_key) look up the value under a key of a map
    /// column without a search.
    #[must_use]
    pub fn index_key(mut self, column: impl Into<String>, key: impl Into<String>) -> Self {
        self.indexes.push(IndexKey::MapKey {
            column: column.into(),
            key: key.into(),
        });
        self
    }

    /// Does without the table, or any of its columns, where the server's schema lacks them; by
    /// default that is an error.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Name of the table.
    pub fn name(&self) -> &str {
        &self.table
    }

    pub(super) fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    pub(super) fn set_conditions(&mut self, conditions: &[Condition]) {
        self.conditions = conditions.to_vec();
    }
}

/// What is asked of the server: one request per table. It takes several only for different columns,
/// and then leaves it to chance whose conditions count.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct MonitorRequests(BTreeMap<String, [MonitorRequest; 1]>);

#[derive(Debug, Serialize)]
struct MonitorRequest {
    /// Always listed: left out, the server adds the `_version` of each row.
    columns: BTreeSet<String>,
    #[serde(rename = "where", skip_serializing_if = "Vec::is_empty")]
    conditions: Vec<Condition>,
}

impl MonitorRequests {
    /// Works out what to ask for, and what the rows that will come look like.
    pub(super) fn plan(
        schema: &Schema,
        tables: &[MonitorTable],
    ) -> Result<(Self, Layouts), MonitorError> {
        let mut requests: BTreeMap<String, [MonitorRequest; 1]> = BTreeMap::new();
        let mut columns: BTreeMap<&str, BTreeMap<_, _>> = BTreeMap::new();
        for wanted in tables {
            let name = &wanted.table;
            let Some(table) = schema.table(name) else {
                if wanted.optional {
                    continue;
                }
                return Err(MonitorError::UnknownTable {
                    database: schema.name().to_owned(),
                    table: name.clone(),
                });
            };
            let names: Vec<_> = match &wanted.columns {
                Some(names) => names.iter().map(String::as_str).collect(),
                None => table.columns().map(|(name, _)| name).collect(),
            };
            let types = columns.entry(name).or_default();
            for column in names {
                match table.column(column) {
                    Some(known) => drop(types.insert(column, known.column_type())),
                    None if wanted.optional => {}
                    None => {
                        return Err(MonitorError::UnknownColumn {
                            database: schema.name().to_owned(),
                            table: name.clone(),
                            column: column.to_owned(),
                        });
                    }
                }
            }
            let present = types.keys().map(|&column| column.to_owned()).collect();
            match requests.entry(name.clone()) {
                Entry::Vacant(entry) => {
                    entry.insert([MonitorRequest {
                        columns: present,
                        conditions: wanted.conditions.clone(),
                    }]);
                }
                Entry::Occupied(mut entry) => {
                    let [request] = entry.get_mut();
                    request.columns = present;
                    request.admit(&wanted.conditions);
                }
            }
        }
        let layouts = columns.into_iter().map(|(name, columns)| {
            let of_schema = schema
                .table(name)
                .into_iter()
                .flat_map(|table| table.indexes());
            let of_schema = of_schema.map(|columns| IndexKey::Columns(columns.clone()));
            let asked_for = tables.iter().filter(|wanted| wanted.table == name);
            let asked_for = asked_for.flat_map(|wanted| wanted.indexes.iter().cloned());
            let layout = Layout::new(columns, of_schema.chain(asked_for));
            (name.into(), Arc::new(layout))
        });
        let layouts = layouts.collect();
        Ok((Self(requests), layouts))
    }

    /// The third parameter of `monitor_cond_change`: other conditions for a table.
    pub(super) fn change<'a>(
        table: &'a str,
        conditions: &'a [Condition],
    ) -> impl Serialize + 'a + use<'a> {
        #[derive(Serialize)]
        struct Where<'a> {
            r#where: &'a [Condition],
        }

        BTreeMap::from([(
            table,
            [Where {
                r#where: conditions,
            }],
        )])
    }

    /// Whether some rows are to be left out.
    pub(super) fn have_conditions(&self) -> bool {
        let mut requests = self.0.values().flatten();
        requests.any(|request| !request.conditions.is_empty())
    }
}

impl MonitorRequest {
    /// Lets in the rows of another request as well; no conditions let in all.
    fn admit(&mut self, conditions: &[Condition]) {
        if conditions.is_empty() {
            self.conditions.clear();
        } else if !self.conditions.is_empty() {
            self.conditions.extend_from_slice(conditions);
        }
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
    fn a_request_lists_its_columns_and_lets_in_the_rows_of_all_that_ask() {
        let cat = || MonitorTable::new("Cat");
        let old = || cat().columns(["age"]).condition(Condition::ge("age", 9));
        let tom = || {
            cat()
                .columns(["name"])
                .condition(Condition::eq("name", "Tom"))
        };
        let cases = [
            (
                vec![old()],
                r#"{"Cat":[{"columns":["age"],"where":[["age",">=",9]]}]}"#,
            ),
            (
                vec![old(), tom()],
                r#"{"Cat":[{"columns":["age","name"],"where":[["age",">=",9],["name","==","Tom"]]}]}"#,
            ),
            (
                vec![old(), cat()],
                r#"{"Cat":[{"columns":["age","name"]}]}"#,
            ),
            (
                vec![cat(), old()],
                r#"{"Cat":[{"columns":["age","name"]}]}"#,
            ),
        ];
        for (tables, wanted) in cases {
            let (requests, layouts) = MonitorRequests::plan(&schema(), &tables).unwrap();
            assert_eq!(serde_json::to_string(&requests).unwrap(), wanted);
            assert_eq!(layouts.len(), 1);
            assert_eq!(requests.have_conditions(), wanted.contains("where"));
        }
    }

    #[test]
    fn what_the_schema_lacks_is_named_or_left_out() {
        let plan = |table| MonitorRequests::plan(&schema(), &[table]);
        let error = |table| plan(table).unwrap_err().to_string();
        assert_eq!(
            error(MonitorTable::new("Dog")),
            "database P has no table Dog"
        );
        assert_eq!(
            error(MonitorTable::new("Cat").columns(["fur"])),
            "table Cat of database P has no column fur"
        );
        let (requests, _) = plan(MonitorTable::new("Dog").optional()).unwrap();
        assert_eq!(serde_json::to_string(&requests).unwrap(), "{}");
        let some = MonitorTable::new("Cat").columns(["fur", "name"]).optional();
        let (requests, _) = plan(some).unwrap();
        assert_eq!(
            serde_json::to_string(&requests).unwrap(),
            r#"{"Cat":[{"columns":["name"]}]}"#
        );
    }
}
