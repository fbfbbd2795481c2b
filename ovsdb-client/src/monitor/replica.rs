//! The rows on this side, and the arithmetic that keeps them equal to the server's.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use uuid::Uuid;

use super::table::Columns;
use super::update::{RowUpdate, TableUpdates};
use crate::schema::ColumnType;
use crate::value::Row;

/// The monitored rows of a database.
///
/// Rows hold every monitored column, those that were never set as well, in canonical form
/// ([`ColumnType::canonical`]).
#[derive(Debug)]
pub struct Replica {
    columns: Columns,
    tables: BTreeMap<Arc<str>, BTreeMap<Uuid, Arc<Row>>>,
}

/// What one transaction changed, in order of tables and UUIDs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// The rows.
    pub rows: Vec<RowChange>,
}

/// What happened to one row: inserted without `old`, deleted without `new`, else modified.
#[derive(Debug, Clone, PartialEq)]
pub struct RowChange {
    /// Table of the row.
    pub table: Arc<str>,
    /// UUID of the row.
    pub uuid: Uuid,
    /// The row before.
    pub old: Option<Arc<Row>>,
    /// The row after.
    pub new: Option<Arc<Row>>,
}

/// How an update contradicts what is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Inconsistency {
    /// A table that is not monitored.
    #[error("an update of table {table}, which is not monitored")]
    UnknownTable {
        /// The table.
        table: String,
    },
    /// A column that is not monitored.
    #[error("an update of column {column} of table {table}, which is not monitored")]
    UnknownColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// A row that is not there was changed or deleted.
    #[error("a change of row {uuid} of table {table}, which is not there")]
    UnknownRow {
        /// The table.
        table: String,
        /// The row.
        uuid: Uuid,
    },
    /// A row that is there was inserted.
    #[error("a second insertion of row {uuid} into table {table}")]
    DuplicateRow {
        /// The table.
        table: String,
        /// The row.
        uuid: Uuid,
    },
    /// A map changed as if it were a set, or the other way round.
    #[error("a change of column {column} of table {table} that does not fit its type")]
    Shape {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
}

impl Replica {
    pub(super) fn new(columns: Columns) -> Self {
        let tables = columns
            .keys()
            .map(|table| (Arc::clone(table), BTreeMap::new()))
            .collect();
        Self { columns, tables }
    }

    /// The rows of a table in order of their UUIDs; none if it is not monitored.
    pub fn rows(&self, table: &str) -> impl Iterator<Item = (Uuid, &Row)> {
        self.tables
            .get(table)
            .into_iter()
            .flatten()
            .map(|(uuid, row)| (*uuid, &**row))
    }

    /// One row.
    pub fn row(&self, table: &str, uuid: Uuid) -> Option<&Row> {
        self.tables.get(table)?.get(&uuid).map(|row| &**row)
    }

    /// Number of rows of a table.
    pub fn len(&self, table: &str) -> usize {
        self.tables.get(table).map_or(0, BTreeMap::len)
    }

    /// Whether a table has no rows.
    pub fn is_empty(&self, table: &str) -> bool {
        self.len(table) == 0
    }

    /// Applies the changes of one transaction.
    pub(super) fn apply(&mut self, updates: TableUpdates) -> Result<Changes, Inconsistency> {
        let mut changes = Changes::default();
        for (table, updates) in updates {
            let (Some((name, columns)), Some(rows)) = (
                self.columns.get_key_value(table.as_str()),
                self.tables.get_mut(table.as_str()),
            ) else {
                return Err(Inconsistency::UnknownTable { table });
            };
            let table = TableColumns { name, columns };
            for (uuid, update) in updates {
                changes.rows.push(table.apply(rows, uuid, update)?);
            }
        }
        Ok(changes)
    }
}

/// The type of one monitored table.
struct TableColumns<'a> {
    name: &'a Arc<str>,
    columns: &'a BTreeMap<Arc<str>, ColumnType>,
}

impl TableColumns<'_> {
    fn apply(
        &self,
        rows: &mut BTreeMap<Uuid, Arc<Row>>,
        uuid: Uuid,
        update: RowUpdate,
    ) -> Result<RowChange, Inconsistency> {
        let (old, new) = match (rows.entry(uuid), update) {
            (Entry::Vacant(entry), RowUpdate::Initial(row) | RowUpdate::Insert(row)) => (
                None,
                Some(Arc::clone(entry.insert(Arc::new(self.complete(row)?)))),
            ),
            (Entry::Occupied(mut entry), RowUpdate::Modify(difference)) => {
                let new = Arc::new(self.modify(entry.get(), difference)?);
                (Some(entry.insert(Arc::clone(&new))), Some(new))
            }
            (Entry::Occupied(entry), RowUpdate::Delete(_)) => (Some(entry.remove()), None),
            (Entry::Occupied(_), RowUpdate::Initial(_) | RowUpdate::Insert(_)) => {
                return Err(Inconsistency::DuplicateRow {
                    table: self.name.to_string(),
                    uuid,
                });
            }
            (Entry::Vacant(_), RowUpdate::Modify(_) | RowUpdate::Delete(_)) => {
                return Err(Inconsistency::UnknownRow {
                    table: self.name.to_string(),
                    uuid,
                });
            }
        };
        Ok(RowChange {
            table: Arc::clone(self.name),
            uuid,
            old,
            new,
        })
    }

    /// A new row with its defaults filled in.
    fn complete(&self, given: Row) -> Result<Row, Inconsistency> {
        let mut row: Row = self
            .columns
            .iter()
            .map(|(name, ty)| (&**name, ty.default_datum()))
            .collect();
        for (column, datum) in given {
            let datum = self.column_type(&column)?.canonical(datum);
            row.insert(column, datum);
        }
        Ok(row)
    }

    fn modify(&self, old: &Row, difference: Row) -> Result<Row, Inconsistency> {
        let mut row = old.clone();
        for (column, difference) in difference {
            let ty = self.column_type(&column)?;
            let difference = ty.canonical(difference);
            match row.get_mut(&column) {
                Some(datum) if ty.is_composite() => {
                    datum
                        .combine(difference)
                        .ok_or_else(|| Inconsistency::Shape {
                            table: self.name.to_string(),
                            column,
                        })?;
                }
                _ => drop(row.insert(column, difference)),
            }
        }
        Ok(row)
    }

    fn column_type(&self, column: &str) -> Result<&ColumnType, Inconsistency> {
        self.columns
            .get(column)
            .ok_or_else(|| Inconsistency::UnknownColumn {
                table: self.name.to_string(),
                column: column.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schema;
    use crate::value::Datum;

    const SCHEMA: &str = r#"{"name": "P", "version": "1.0.0", "tables": {"T": {"columns": {
        "name": {"type": "string"},
        "tag": {"type": {"key": "integer", "min": 0}},
        "trunks": {"type": {"key": "integer", "min": 0, "max": 4}},
        "ids": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}}}}}"#;

    fn replica() -> Replica {
        let schema = Schema::parse(SCHEMA).unwrap();
        let columns = schema.tables().map(|(name, table)| {
            let types = table
                .columns()
                .map(|(name, column)| (name.into(), column.column_type().clone()));
            (name.into(), types.collect())
        });
        Replica::new(columns.collect())
    }

    const UUID: Uuid = Uuid::from_u128(1);

    /// Applies one update of row 1 of table T.
    fn apply(replica: &mut Replica, update: &str) -> Result<Changes, Inconsistency> {
        let json = format!(r#"{{"T":{{"{UUID}":{update}}}}}"#);
        replica.apply(serde_json::from_str(&json).unwrap())
    }

    #[test]
    fn differences_are_applied_by_the_kind_of_the_column() {
        let mut replica = replica();
        apply(
            &mut replica,
            r#"{"insert":{"name":"a","trunks":["set",[3,1]],"ids":["map",[["k","v"],["l","w"]]]}}"#,
        )
        .unwrap();
        let inserted = Row::new()
            .set("name", "a")
            .set("tag", Datum::empty())
            .set("trunks", [1, 3])
            .set("ids", Datum::map([("k", "v"), ("l", "w")]));
        assert_eq!(replica.row("T", UUID), Some(&inserted));

        let changes = apply(
            &mut replica,
            r#"{"modify":{"name":"b","tag":7,"trunks":["set",[1,2]],
                "ids":["map",[["k","v"],["l","x"],["m","y"]]]}}"#,
        )
        .unwrap();
        let modified = Row::new()
            .set("name", "b")
            .set("tag", 7)
            .set("trunks", [2, 3])
            .set("ids", Datum::map([("l", "x"), ("m", "y")]));
        assert_eq!(replica.row("T", UUID), Some(&modified));
        assert_eq!(changes.rows[0].old.as_deref(), Some(&inserted));
        assert_eq!(changes.rows[0].new.as_deref(), Some(&modified));

        // A single element comes without its "set", an optional value is replaced, not combined.
        apply(&mut replica, r#"{"modify":{"tag":["set",[]],"trunks":2}}"#).unwrap();
        let row = replica.row("T", UUID).unwrap();
        assert_eq!(
            (row.get("tag"), row.get("trunks")),
            (Some(&Datum::empty()), Some(&Datum::from([3])))
        );

        let changes = apply(&mut replica, r#"{"delete":null}"#).unwrap();
        assert!(changes.rows[0].old.is_some() && changes.rows[0].new.is_none());
        assert!(replica.is_empty("T"));
    }

    #[test]
    fn contradictions_are_named() {
        let table = || "T".to_owned();
        let mut replica = replica();
        for update in [r#"{"modify":{}}"#, r#"{"delete":null}"#] {
            let unknown = Inconsistency::UnknownRow {
                table: table(),
                uuid: UUID,
            };
            assert_eq!(apply(&mut replica, update), Err(unknown));
        }
        apply(&mut replica, r#"{"initial":{}}"#).unwrap();
        let cases = [
            (
                r#"{"insert":{}}"#,
                Inconsistency::DuplicateRow {
                    table: table(),
                    uuid: UUID,
                },
            ),
            (
                r#"{"modify":{"fur":1}}"#,
                Inconsistency::UnknownColumn {
                    table: table(),
                    column: "fur".to_owned(),
                },
            ),
            (
                r#"{"modify":{"trunks":["map",[[1,2]]]}}"#,
                Inconsistency::Shape {
                    table: table(),
                    column: "trunks".to_owned(),
                },
            ),
        ];
        for (update, inconsistency) in cases {
            assert_eq!(apply(&mut replica, update), Err(inconsistency));
        }
        let stray = serde_json::from_str(r#"{"U":{}}"#).unwrap();
        assert_eq!(
            replica.apply(stray),
            Err(Inconsistency::UnknownTable {
                table: "U".to_owned()
            })
        );
    }
}
