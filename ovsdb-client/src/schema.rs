//! Database schemas: RFC 7047 §3.2, and the `.ovsschema` files that are written in it.

mod column;
mod json;
mod violation;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

pub use column::{BaseType, Column, ColumnType, Reference};
pub use violation::Violation;

/// The schema of one database.
///
/// The JSON that it was read from is kept, so that a database file made from it carries the very
/// same schema, members that this library does not know included.
///
/// ```
/// # use ovsdb_client::Schema;
/// let schema = Schema::parse(r#"{
///     "name": "Pets", "version": "1.0.0",
///     "tables": {"Cat": {"columns": {"name": {"type": "string"}}, "isRoot": true}}
/// }"#)?;
/// assert!(schema.table("Cat").is_some_and(|cat| cat.column("name").is_some()));
/// # Ok::<(), ovsdb_client::SchemaError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Schema {
    name: String,
    version: String,
    tables: BTreeMap<String, Table>,
    json: Box<RawValue>,
}

/// A text is not a schema.
#[derive(Debug, thiserror::Error)]
#[error("not a database schema")]
pub struct SchemaError {
    source: serde_json::Error,
}

#[derive(Deserialize)]
struct SchemaJson {
    name: String,
    version: String,
    tables: BTreeMap<String, Table>,
}

impl Schema {
    /// Parses the contents of an `.ovsschema` file.
    ///
    /// # Errors
    ///
    /// [`SchemaError`], with the place in the text as its source.
    pub fn parse(json: &str) -> Result<Self, SchemaError> {
        serde_json::from_str(json).map_err(|source| SchemaError { source })
    }

    /// Name of the database, such as `OVN_Northbound`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Version of the schema, such as `7.18.0`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The table of that name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(name)
    }

    /// All tables in order of their names.
    pub fn tables(&self) -> impl Iterator<Item = (&str, &Table)> {
        self.tables
            .iter()
            .map(|(name, table)| (name.as_str(), table))
    }

    /// Whether rows of a table live without being referred to.
    ///
    /// In a schema that marks no table as root every table is (RFC 7047 §3.2, `isRoot`).
    pub fn is_root(&self, table: &str) -> bool {
        let any_root = self.tables.values().any(|table| table.is_root);
        self.table(table)
            .is_some_and(|table| table.is_root || !any_root)
    }

    /// The JSON that the schema was read from, unchanged.
    pub fn json(&self) -> &str {
        self.json.get()
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        let parsed = serde_json::from_str(json.get()).map_err(serde::de::Error::custom)?;
        let SchemaJson {
            name,
            version,
            tables,
        } = parsed;
        Ok(Self {
            name,
            version,
            tables,
            json,
        })
    }
}

/// One table of a [`Schema`].
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    columns: BTreeMap<String, Column>,
    #[serde(default)]
    is_root: bool,
    #[serde(default)]
    max_rows: Option<u64>,
    #[serde(default)]
    indexes: Vec<Vec<String>>,
}

impl Table {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.get(name)
    }

    /// All columns in order of their names.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &Column)> {
        self.columns
            .iter()
            .map(|(name, column)| (name.as_str(), column))
    }

    /// Largest number of rows, if there is one.
    pub fn max_rows(&self) -> Option<u64> {
        self.max_rows
    }

    /// Groups of columns whose values together differ between any two rows.
    pub fn indexes(&self) -> &[Vec<String>] {
        &self.indexes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_is_kept_to_the_byte() {
        let json = "{ \"name\":\"P\", \"version\" : \"1.0.0\",\n\"tables\":{}, \"cksum\": \"1 2\"}";
        assert_eq!(Schema::parse(json).unwrap().json(), json);
    }

    #[test]
    fn without_any_root_every_table_is_one() {
        let schema = |root: &str| {
            Schema::parse(&format!(
                r#"{{"name":"P","version":"1.0.0","tables":{{"A":{{"columns":{{}}{root}}},"B":{{"columns":{{}}}}}}}}"#
            ))
            .unwrap()
        };
        let (all, one) = (schema(""), schema(r#","isRoot":true"#));
        assert!(all.is_root("A") && all.is_root("B") && !all.is_root("C"));
        assert!(one.is_root("A") && !one.is_root("B"));
    }

    #[test]
    fn what_is_not_a_schema_is_refused() {
        for json in [
            "",
            "[]",
            "{}",
            r#"{"name":"P","version":"1","tables":{"A":{}}}"#,
        ] {
            assert!(Schema::parse(json).is_err(), "{json}");
        }
    }
}
