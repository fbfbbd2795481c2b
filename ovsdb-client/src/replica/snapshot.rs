//! The rows at one moment.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use super::change::{Changes, Inconsistency, RowChange};
use super::index::{self, Index};
use super::layout::{IndexKey, Layout, Layouts};
use super::shards::Shards;
use super::update::{RowUpdate, TableUpdate, Updates, Values};
use crate::value::{Datum, Row};

/// The monitored rows as they were after one transaction of the database.
///
/// It never changes, is cheap to clone and to keep, and may be read from any thread without a
/// lock. Rows hold every monitored column, those that were never set as well, in canonical form
/// ([`ColumnType::canonical`](crate::schema::ColumnType::canonical)).
#[derive(Clone, Default)]
pub struct Snapshot {
    tables: Arc<BTreeMap<Arc<str>, Rows>>,
    version: u64,
}

/// Tells how many rows there are; they themselves would fill pages.
impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.tables.iter().map(|(name, rows)| (name, rows.count));
        f.debug_map().entries(counts).finish()
    }
}

/// The rows of one table.
#[derive(Debug, Clone)]
struct Rows {
    layout: Arc<Layout>,
    rows: Shards<Uuid, Arc<Row>>,
    count: usize,
    indexes: Vec<Index>,
}

impl Snapshot {
    /// Empty tables.
    pub(super) fn new(layouts: &Layouts) -> Self {
        let tables = layouts
            .iter()
            .map(|(name, layout)| (Arc::clone(name), Rows::new(layout)));
        Self {
            tables: Arc::new(tables.collect()),
            version: 0,
        }
    }

    /// How many transactions, and resynchronisations, the replica had seen; of two snapshots of
    /// one monitor the one with the larger number is the later one.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The monitored tables.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(|name| &**name)
    }

    /// The rows of a table in order of their UUIDs; none if it is not monitored.
    pub fn rows<'a>(&'a self, table: &str) -> impl Iterator<Item = (Uuid, &'a Arc<Row>)> + use<'a> {
        let rows = self.tables.get(table).into_iter();
        rows.flat_map(|table| table.rows.iter())
            .map(|(uuid, row)| (*uuid, row))
    }

    /// One row.
    pub fn row(&self, table: &str, uuid: Uuid) -> Option<&Arc<Row>> {
        self.tables.get(table)?.rows.shard(&uuid).get(&uuid)
    }

    /// Number of rows of a table.
    pub fn len(&self, table: &str) -> usize {
        self.tables.get(table).map_or(0, |table| table.count)
    }

    /// Whether a table has no rows.
    pub fn is_empty(&self, table: &str) -> bool {
        self.len(table) == 0
    }

    /// The rows whose `columns` hold `values`, by an index if there is one: those of the schema,
    /// and those that were asked for with [`MonitorTable::index`](crate::MonitorTable::index).
    /// Without one every row of the table is looked at.
    ///
    /// ```no_run
    /// # fn example(snapshot: &ovsdb_client::Snapshot) {
    /// for (uuid, port) in snapshot.find("Logical_Switch_Port", &["name"], &["sw0-p1".into()]) {
    ///     println!("{uuid} is {:?}", port.str("type"));
    /// }
    /// # }
    /// ```
    pub fn find<'a>(
        &'a self,
        table: &str,
        columns: &[&str],
        values: &[Datum],
    ) -> impl Iterator<Item = (Uuid, &'a Arc<Row>)> + use<'a> {
        let found = self.tables.get(table).map(|rows| {
            let values = index::canonical(&rows.layout, columns, values);
            rows.find(columns, &values)
        });
        found.into_iter().flatten()
    }

    /// The rows whose map `column` holds `value` under `key`, by an index if
    /// [`MonitorTable::index_key`](crate::MonitorTable::index_key) asked for one.
    pub fn find_key<'a>(
        &'a self,
        table: &str,
        column: &str,
        key: &str,
        value: &str,
    ) -> impl Iterator<Item = (Uuid, &'a Arc<Row>)> + use<'a> {
        let found = self
            .tables
            .get(table)
            .map(|rows| rows.find_key(column, key, value));
        found.into_iter().flatten()
    }

    /// Applies the changes of one transaction, and returns them if `record` is set.
    pub(super) fn apply(
        &mut self,
        updates: Updates,
        record: bool,
    ) -> Result<Changes, Inconsistency> {
        let mut changes = Changes::default();
        let tables = Arc::make_mut(&mut self.tables);
        for TableUpdate { table, rows } in updates {
            // The decoder knows no other tables.
            let Some(known) = tables.get_mut(&table) else {
                continue;
            };
            for (uuid, update) in rows {
                let change = known.apply(&table, uuid, update, record)?;
                changes.rows.extend(change);
            }
        }
        self.version += 1;
        Ok(changes)
    }

    /// Takes over the contents of another snapshot, and returns in what the two differ.
    pub(super) fn become_like(&mut self, other: Self) -> Changes {
        let mut changes = Changes::default();
        let nothing = Rows::new(&Arc::new(Layout::new(BTreeMap::new(), [])));
        let names = self.tables.keys().chain(other.tables.keys());
        let names: std::collections::BTreeSet<_> = names.cloned().collect();
        for table in names {
            let before = self.tables.get(&table).unwrap_or(&nothing);
            let after = other.tables.get(&table).unwrap_or(&nothing);
            changes.rows.extend(before.differences(after, &table));
        }
        self.tables = other.tables;
        self.version += 1;
        changes
    }
}

impl Rows {
    fn new(layout: &Arc<Layout>) -> Self {
        Self {
            layout: Arc::clone(layout),
            rows: Shards::new(),
            count: 0,
            indexes: layout.indexes.iter().cloned().map(Index::new).collect(),
        }
    }

    fn find(&self, columns: &[&str], values: &Vec<Datum>) -> Vec<(Uuid, &Arc<Row>)> {
        let index = self.indexes.iter().find(
            |index| matches!(index.key(), IndexKey::Columns(indexed) if indexed.iter().eq(columns)),
        );
        match index {
            Some(index) => self.by_uuid(index.find(values)),
            None => {
                let positions = columns.iter().map(|column| self.layout.position(column));
                let Some(positions) = positions.collect::<Option<Vec<_>>>() else {
                    return Vec::new();
                };
                self.scan(|row| {
                    let mut pairs = positions.iter().zip(values);
                    pairs.all(|(position, value)| row.values()[*position] == *value)
                })
            }
        }
    }

    fn find_key(&self, column: &str, key: &str, value: &str) -> Vec<(Uuid, &Arc<Row>)> {
        let wanted = IndexKey::MapKey {
            column: column.to_owned(),
            key: key.to_owned(),
        };
        match self.indexes.iter().find(|index| *index.key() == wanted) {
            Some(index) => self.by_uuid(index.find(&vec![value.into()])),
            None => self.scan(|row| row.map_get(column, key) == Some(value)),
        }
    }

    fn by_uuid(&self, uuids: &[Uuid]) -> Vec<(Uuid, &Arc<Row>)> {
        let rows = uuids
            .iter()
            .filter_map(|uuid| self.rows.shard(uuid).get_key_value(uuid));
        rows.map(|(uuid, row)| (*uuid, row)).collect()
    }

    fn scan(&self, meets: impl Fn(&Row) -> bool) -> Vec<(Uuid, &Arc<Row>)> {
        let rows = self.rows.iter().filter(|(_, row)| meets(row));
        rows.map(|(uuid, row)| (*uuid, row)).collect()
    }

    fn apply(
        &mut self,
        table: &Arc<str>,
        uuid: Uuid,
        update: RowUpdate,
        record: bool,
    ) -> Result<Option<RowChange>, Inconsistency> {
        let entry = self.rows.shard_mut(&uuid).entry(uuid);
        let (old, new) = match (entry, update) {
            (Entry::Vacant(entry), RowUpdate::Insert(row)) => {
                self.indexes
                    .iter_mut()
                    .for_each(|index| index.insert(uuid, &row));
                self.count += 1;
                (None, Some(Arc::clone(entry.insert(row))))
            }
            (
                Entry::Occupied(mut entry),
                update @ (RowUpdate::Modify(_) | RowUpdate::Replace(_)),
            ) => {
                // Where nobody needs the row as it was, it is changed in place.
                let old = (record || moves(&self.indexes, &self.layout, &update))
                    .then(|| Arc::clone(entry.get()));
                match update {
                    RowUpdate::Modify(difference) => {
                        let row = Arc::make_mut(entry.get_mut());
                        modify(&self.layout, row, difference).map_err(|column| {
                            Inconsistency::Shape {
                                table: Arc::clone(table),
                                column,
                            }
                        })?;
                    }
                    RowUpdate::Replace(row) => drop(entry.insert(row)),
                    RowUpdate::Insert(_) | RowUpdate::Delete => {}
                }
                let new = entry.get();
                if let Some(old) = &old {
                    let indexes = self.indexes.iter_mut();
                    indexes.for_each(|index| index.update(uuid, old, new));
                }
                (old, Some(Arc::clone(new)))
            }
            (Entry::Occupied(entry), RowUpdate::Delete) => {
                let row = entry.remove();
                self.indexes
                    .iter_mut()
                    .for_each(|index| index.remove(uuid, &row));
                self.count -= 1;
                (Some(row), None)
            }
            (Entry::Occupied(_), RowUpdate::Insert(_)) => {
                return Err(Inconsistency::DuplicateRow {
                    table: Arc::clone(table),
                    uuid,
                });
            }
            (Entry::Vacant(_), _) => {
                return Err(Inconsistency::UnknownRow {
                    table: Arc::clone(table),
                    uuid,
                });
            }
        };
        Ok(record.then(|| RowChange {
            table: Arc::clone(table),
            uuid,
            old,
            new,
        }))
    }

    /// What turns this table into another one.
    fn differences(&self, other: &Self, table: &Arc<str>) -> Vec<RowChange> {
        let change = |uuid: &Uuid, old: Option<&Arc<Row>>, new: Option<&Arc<Row>>| RowChange {
            table: Arc::clone(table),
            uuid: *uuid,
            old: old.cloned(),
            new: new.cloned(),
        };
        let mut changes = Vec::new();
        for (uuid, old) in self.rows.iter() {
            match other.rows.shard(uuid).get(uuid) {
                None => changes.push(change(uuid, Some(old), None)),
                Some(new) if old != new => changes.push(change(uuid, Some(old), Some(new))),
                Some(_) => {}
            }
        }
        let added = other
            .rows
            .iter()
            .filter(|(uuid, _)| !self.rows.shard(uuid).contains_key(uuid));
        changes.extend(added.map(|(uuid, new)| change(uuid, None, Some(new))));
        changes
    }
}

/// Whether rows may have to be found elsewhere after an update.
fn moves(indexes: &[Index], layout: &Layout, update: &RowUpdate) -> bool {
    indexes.iter().any(|index| match update {
        RowUpdate::Modify(difference) => difference
            .iter()
            .any(|(position, _)| index.concerns(&layout.names[*position])),
        _ => true,
    })
}

/// Applies the differences of some columns; fails with the column whose difference does not fit.
fn modify(layout: &Layout, row: &mut Row, difference: Values) -> Result<(), Arc<str>> {
    let values = row.values_mut();
    for (position, difference) in difference {
        if layout.types[position].is_composite() {
            values[position]
                .combine(difference)
                .ok_or_else(|| Arc::clone(&layout.names[position]))?;
        } else {
            values[position] = difference;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::update::{Protocol, update};
    use super::*;
    use crate::schema::ColumnType;
    use serde_json::json;
    use serde_json::value::to_raw_value;

    const CAT: Uuid = Uuid::from_u128(7);

    /// A table with an index of each kind, and columns that are in none.
    fn layouts() -> Layouts {
        let column_type = |json| serde_json::from_value::<ColumnType>(json).unwrap();
        let text = column_type(json!("string"));
        let map =
            column_type(json!({"key": "string", "value": "string", "min": 0, "max": "unlimited"}));
        let columns = [("name", &text), ("fur", &text), ("ids", &map)];
        let name = IndexKey::Columns(vec!["name".into()]);
        let chip = IndexKey::MapKey {
            column: "ids".into(),
            key: "chip".into(),
        };
        let layout = Layout::new(columns.into(), [name, chip]);
        [("Cat".into(), Arc::new(layout))].into()
    }

    /// A snapshot to which updates are applied as the wire brings them.
    struct Cats(Layouts, Snapshot);

    impl Cats {
        fn new() -> Self {
            let (layouts, row) = (
                layouts(),
                json!({"name": "Tom", "ids": ["map", [["chip", "1"]]]}),
            );
            let mut cats = Self(layouts.clone(), Snapshot::new(&layouts));
            cats.apply(&json!({ "insert": row }));
            cats
        }

        fn apply(&mut self, change: &serde_json::Value) {
            let row = std::collections::HashMap::from([(CAT, change)]);
            let params = to_raw_value(&json!(["m", { "Cat": row }])).unwrap();
            let (_, updates) = update(&self.0, Protocol::MonitorCond, &params).unwrap();
            self.1.apply(updates, false).unwrap();
        }

        /// How many are found by a name and by a chip.
        fn found(&self, name: &str, chip: &str) -> (usize, usize) {
            let by_name = self.1.find("Cat", &["name"], &[name.into()]);
            let by_chip = self.1.find_key("Cat", "ids", "chip", chip);
            (by_name.count(), by_chip.count())
        }

        fn address(&self) -> *const Row {
            Arc::as_ptr(self.1.row("Cat", CAT).unwrap())
        }
    }

    #[test]
    fn rows_are_found_by_what_they_hold_now() {
        let mut cats = Cats::new();
        assert_eq!(cats.found("Tom", "1"), (1, 1));
        cats.apply(&json!({"modify": {"name": "Tim"}}));
        assert_eq!(
            (cats.found("Tom", "1"), cats.found("Tim", "1")),
            ((0, 1), (1, 1))
        );
        cats.apply(&json!({"modify": {"ids": ["map", [["chip", "2"]]]}}));
        assert_eq!(
            (cats.found("Tim", "1"), cats.found("Tim", "2")),
            ((1, 0), (1, 1))
        );
        cats.apply(&json!({"modify": {"ids": ["map", [["chip", "2"]]]}}));
        assert_eq!(cats.found("Tim", "2"), (1, 0));
        cats.apply(&json!({"modify": {"fur": "red"}}));
        assert_eq!(cats.found("Tim", "2"), (1, 0));
        cats.apply(&json!({"delete": null}));
        assert_eq!(cats.found("Tim", "2"), (0, 0));
    }

    #[test]
    fn a_row_is_copied_only_where_somebody_needs_it_as_it_was() {
        let mut cats = Cats::new();
        let before = cats.address();
        cats.apply(&json!({"modify": {"fur": "red"}}));
        assert_eq!(cats.address(), before, "changed in place");
        let kept = cats.1.clone();
        cats.apply(&json!({"modify": {"fur": "grey"}}));
        assert_ne!(cats.address(), before);
        let fur = |snapshot: &Snapshot| {
            snapshot
                .row("Cat", CAT)
                .and_then(|row| row.str("fur").map(str::to_owned))
        };
        assert_eq!(fur(&kept).as_deref(), Some("red"));
        assert_eq!(fur(&cats.1).as_deref(), Some("grey"));
    }
}
