//! What is checked and settled when all operations have succeeded: `ovsdb_txn_precommit` of
//! ovsdb/transaction.c.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use super::{Execute, RowDelta};
use crate::server::database::RowKey;
use crate::server::failure::Failure;
use crate::value::{Datum, Row};

/// How many strong references there are to the rows whose number changes.
type Counts = HashMap<RowKey, usize>;

/// Which keys leave one index of a table and which enter it.
struct IndexChange {
    place: usize,
    number: usize,
    old_keys: Vec<Vec<Datum>>,
    new_keys: BTreeMap<Vec<Datum>, Uuid>,
}

impl Execute<'_> {
    /// Settles references, collects garbage, checks limits and indexes, and returns what changed.
    pub(super) fn commit(&mut self) -> Result<Vec<RowDelta>, Failure> {
        let database = &*self.database;
        self.before
            .retain(|&key, old| old.as_ref() != database.row(key));
        let mut counts = self.count_references()?;
        self.collect_garbage(&mut counts);
        self.check_max_rows()?;
        self.drop_weak_references()?;
        let index_changes = self.check_indexes()?;

        for (key, count) in counts {
            match count {
                0 => drop(self.database.references.remove(&key)),
                count => drop(self.database.references.insert(key, count)),
            }
        }
        for change in index_changes {
            let rows = &mut self.database.tables[change.place].indexes[change.number].rows;
            for key in change.old_keys {
                rows.remove(&key);
            }
            rows.extend(change.new_keys);
        }
        Ok(self.deltas())
    }

    /// Adds up the strong references that come and go.
    fn count_references(&self) -> Result<Counts, Failure> {
        let database = &*self.database;
        let mut counts = Counts::new();
        for (&key, old) in &self.before {
            for target in self.strong(key, old.as_ref()) {
                // What was referred to was counted.
                let count = self.count(&mut counts, target);
                *count = count.saturating_sub(1);
            }
        }
        // In two rounds, so that no number is below zero in between.
        for &key in self.before.keys() {
            for target in self.strong(key, database.row(key)) {
                *self.count(&mut counts, target) += 1;
            }
        }
        let dangling = counts
            .iter()
            .find(|&(&target, &count)| count > 0 && database.row(target).is_none());
        let remaining = self.before.keys().find(|&&key| {
            let count = counts.get(&key).or_else(|| database.references.get(&key));
            database.row(key).is_none() && count.is_some_and(|&count| count > 0)
        });
        match dangling.map(|(target, _)| target).or(remaining) {
            Some(&(place, uuid)) => Err(Failure::referential(format!(
                "a row refers to {uuid}, which is no row of table {}",
                database.tables[place].name
            ))),
            None => Ok(counts),
        }
    }

    fn count<'c>(&self, counts: &'c mut Counts, target: RowKey) -> &'c mut usize {
        let before = || self.database.references.get(&target).copied().unwrap_or(0);
        counts.entry(target).or_insert_with(before)
    }

    /// Where the strong references of a row point, itself left out. Like the server this takes a row
    /// of another table for itself if it has the same UUID, which only a client can bring about that
    /// chooses UUIDs.
    fn strong(&self, key: RowKey, row: Option<&Arc<Row>>) -> Vec<RowKey> {
        let table = &self.database.tables[key.0];
        let references = row.into_iter().flat_map(|row| table.references(row));
        references
            .filter(|&((_, target), strong)| strong && target != key.1)
            .map(|(target, _)| target)
            .collect()
    }

    /// Deletes rows that are no roots and that nothing refers to, and what only they referred to.
    fn collect_garbage(&mut self, counts: &mut Counts) {
        let mut suspects: Vec<RowKey> = self.before.keys().chain(counts.keys()).copied().collect();
        while let Some(key) = suspects.pop() {
            let count = counts
                .get(&key)
                .or_else(|| self.database.references.get(&key));
            if self.database.tables[key.0].is_root || count.is_some_and(|&count| count > 0) {
                continue;
            }
            let Some(row) = self.database.row(key).cloned() else {
                continue;
            };
            self.before
                .entry(key)
                .or_insert_with(|| Some(Arc::clone(&row)));
            self.database.tables[key.0].rows.remove(&key.1);
            for target in self.strong(key, Some(&row)) {
                let count = self.count(counts, target);
                *count = count.saturating_sub(1);
                suspects.push(target);
            }
        }
    }

    fn check_max_rows(&self) -> Result<(), Failure> {
        let touched: BTreeSet<usize> = self.before.keys().map(|&(place, _)| place).collect();
        for place in touched {
            let table = &self.database.tables[place];
            let count = table.rows.len();
            if let Some(max) = table.max_rows.filter(|&max| count as u64 > max) {
                return Err(Failure::constraint(format!(
                    "table {} would have {count} rows, {max} are allowed",
                    table.name
                )));
            }
        }
        Ok(())
    }

    /// Removes weak references to rows that are gone, or never were, wherever they may be.
    fn drop_weak_references(&mut self) -> Result<(), Failure> {
        let database = &*self.database;
        let mut suspects: BTreeSet<RowKey> = self.before.keys().copied().collect();
        let losers: BTreeSet<usize> = self
            .before
            .iter()
            .filter(|&(&key, old)| old.is_some() && database.row(key).is_none())
            .map(|(&(place, _), _)| place)
            .collect();
        for (place, table) in database.tables.iter().enumerate() {
            let mut columns = table.columns.values();
            if columns.any(|column| losers.iter().any(|&loser| column.refers_weakly_to(loser))) {
                suspects.extend(table.rows.keys().map(|&uuid| (place, uuid)));
            }
        }
        for key in suspects {
            let table = &self.database.tables[key.0];
            let Some(row) = table.rows.get(&key.1) else {
                continue;
            };
            let mut changed: Option<Row> = None;
            for (name, column) in &table.columns {
                let exists = |target| self.database.row(target).is_some();
                let kept = row
                    .get(name)
                    .and_then(|datum| column.without_dangling(datum, exists));
                let Some(kept) = kept else {
                    continue;
                };
                if kept.len() < column.ty.min {
                    return Err(Failure::constraint(format!(
                        "column {name} of row {} of table {} may not be empty, but what it refers \
                         to is no row",
                        key.1, table.name
                    )));
                }
                changed
                    .get_or_insert_with(|| Row::clone(row))
                    .insert(name, kept);
            }
            if let Some(row) = changed {
                let table = &mut self.database.tables[key.0];
                let old = table.rows.insert(key.1, Arc::new(row));
                self.before.entry(key).or_insert(old);
            }
        }
        Ok(())
    }

    /// Checks that no two rows share the value of an index, and returns what becomes of them.
    fn check_indexes(&self) -> Result<Vec<IndexChange>, Failure> {
        let mut changes = Vec::new();
        for (place, table) in self.database.tables.iter().enumerate() {
            for (number, index) in table.indexes.iter().enumerate() {
                let mut old_keys = Vec::new();
                let mut new_keys = BTreeMap::new();
                let rows = self
                    .before
                    .range((place, Uuid::nil())..=(place, Uuid::max()));
                for (&(_, uuid), old) in rows {
                    old_keys.extend(old.as_ref().map(|old| index.key(old)));
                    let Some(row) = table.rows.get(&uuid) else {
                        continue;
                    };
                    let key = index.key(row);
                    // A row that this transaction changes is compared by its new value.
                    let settled = index
                        .rows
                        .get(&key)
                        .filter(|&&other| !self.before.contains_key(&(place, other)));
                    if let Some(other) = settled.copied().or_else(|| new_keys.insert(key, uuid)) {
                        return Err(Failure::constraint(format!(
                            "rows {uuid} and {other} of table {} have the same {}",
                            table.name,
                            index.columns.join(", ")
                        )));
                    }
                }
                if !old_keys.is_empty() || !new_keys.is_empty() {
                    changes.push(IndexChange {
                        place,
                        number,
                        old_keys,
                        new_keys,
                    });
                }
            }
        }
        Ok(changes)
    }

    /// What the transaction changed; each row that it left gets a new version.
    fn deltas(&mut self) -> Vec<RowDelta> {
        let mut deltas = Vec::with_capacity(self.before.len());
        for (key, old) in std::mem::take(&mut self.before) {
            let rows = &mut self.database.tables[key.0].rows;
            if let (Some(_), Some(row)) = (&old, rows.get_mut(&key.1)) {
                Arc::make_mut(row).insert("_version", Uuid::new_v4());
            }
            let new = rows.get(&key.1).cloned();
            if old.is_some() || new.is_some() {
                deltas.push(RowDelta { key, old, new });
            }
        }
        deltas
    }
}
