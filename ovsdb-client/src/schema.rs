//! Database schemas: RFC 7047 §3.2, and the `.ovsschema` files that are written in it.

mod column;
mod describe;
mod error;
mod member;
mod read;
mod violation;
mod write;

use std::collections::BTreeMap;

use serde_json::value::RawValue;

pub use column::{BaseType, Column, ColumnType, Reference};
pub use error::{SchemaError, SchemaProblem};
pub use violation::Violation;

/// The schema of one database.
///
/// The JSON that it was read from is kept ([`json`](Self::json)), so that a database file made from
/// it carries the very same schema. Serialized, a schema is written in the normal form in which
/// servers hold it: defaults left out, tables and columns sorted. Two schemas are equal when their
/// normal forms are.
///
/// ```
/// # use ovsdb_client::Schema;
/// let schema = Schema::parse(r#"{
///     "name": "Pets", "version": "1.0.0",
///     "tables": {"Cat": {"columns": {"name": {"type": "string"}}, "isRoot": true}}
/// }"#)?;
/// assert!(schema.table("Cat").is_some_and(|cat| cat.column("name").is_some()));
///
/// let error = Schema::parse(r#"{
///     "name": "Pets", "version": "1.0.0",
///     "tables": {"Cat": {"columns": {"name": {"type": "text"}}}}
/// }"#).unwrap_err();
/// assert_eq!(error.to_string(), "table Cat, column name: text is not an atomic type");
/// # Ok::<(), ovsdb_client::SchemaError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Schema {
    name: String,
    version: String,
    cksum: Option<String>,
    tables: BTreeMap<String, Table>,
    json: Box<RawValue>,
}

impl Schema {
    /// Parses the contents of an `.ovsschema` file.
    ///
    /// Accepts what `ovsdb-tool create` of Open vSwitch accepts, with one exception: an index over
    /// the implicit column `_uuid`, which can never be violated. A schema that a *server* sends
    /// (`get_schema`, or anything else that is deserialized) may have members that are not known
    /// here; a newer server has found them good.
    ///
    /// # Errors
    ///
    /// [`SchemaError`], with the place in the text or in the schema.
    pub fn parse(json: &str) -> Result<Self, SchemaError> {
        let raw: Box<RawValue> =
            serde_json::from_str(json).map_err(|source| SchemaError::Json { source })?;
        read::schema(raw, read::Unknown::Refused)
    }

    /// Name of the database, such as `OVN_Northbound`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Version of the schema, such as `7.18.0`; empty in schemas from before there were versions.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Checksum that the schema carries, if any; servers do not look at it.
    pub fn cksum(&self) -> Option<&str> {
        self.cksum.as_deref()
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
        self.table(table).is_some_and(|table| table.is_root)
    }

    /// The JSON that the schema was read from, unchanged.
    pub fn json(&self) -> &str {
        self.json.get()
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.version == other.version
            && self.cksum == other.cksum
            && self.tables == other.tables
    }
}

/// One table of a [`Schema`].
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    columns: BTreeMap<String, Column>,
    is_root: bool,
    mutable: bool,
    max_rows: Option<u64>,
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
        let schema = Schema::parse(json).unwrap();
        assert_eq!(schema.json(), json);
        assert_eq!(schema.cksum(), Some("1 2"));
    }

    #[test]
    fn without_any_root_every_table_is_one() {
        let schema = |root: &str| {
            Schema::parse(&format!(
                r#"{{"name":"P","version":"1.0.0","tables":{{
                    "A":{{"columns":{{"a":{{"type":"string"}}}}{root}}},
                    "B":{{"columns":{{"b":{{"type":"string"}}}}}}}}}}"#
            ))
            .unwrap()
        };
        let (all, one) = (schema(""), schema(r#","isRoot":true"#));
        assert!(all.is_root("A") && all.is_root("B") && !all.is_root("C"));
        assert!(one.is_root("A") && !one.is_root("B"));
    }
}
