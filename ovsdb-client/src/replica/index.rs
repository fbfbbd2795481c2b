//! Rows found by the values of columns.

use uuid::Uuid;

use super::layout::{IndexKey, Layout};
use super::shards::Shards;
use crate::value::{Atom, Datum, Row};

/// The rows of a table by the values of some columns, or of one key of a map.
#[derive(Debug, Clone)]
pub(super) struct Index {
    key: IndexKey,
    rows: Shards<Vec<Datum>, Vec<Uuid>>,
}

impl Index {
    pub(super) fn new(key: IndexKey) -> Self {
        Self {
            key,
            rows: Shards::new(),
        }
    }

    /// What rows are found by.
    pub(super) fn key(&self) -> &IndexKey {
        &self.key
    }

    /// The rows with these values, which must be canonical.
    pub(super) fn find(&self, values: &Vec<Datum>) -> &[Uuid] {
        self.rows
            .shard(values)
            .get(values)
            .map_or(&[], Vec::as_slice)
    }

    pub(super) fn insert(&mut self, uuid: Uuid, row: &Row) {
        if let Some(values) = self.values(row) {
            self.rows
                .shard_mut(&values)
                .entry(values)
                // Most indexes are of unique values.
                .or_insert_with(|| Vec::with_capacity(1))
                .push(uuid);
        }
    }

    pub(super) fn remove(&mut self, uuid: Uuid, row: &Row) {
        let Some(values) = self.values(row) else {
            return;
        };
        let shard = self.rows.shard_mut(&values);
        if let Some(rows) = shard.get_mut(&values) {
            rows.retain(|other| *other != uuid);
            if rows.is_empty() {
                shard.remove(&values);
            }
        }
    }

    /// Moves a row whose values may have changed.
    pub(super) fn update(&mut self, uuid: Uuid, old: &Row, new: &Row) {
        if self.values(old) != self.values(new) {
            self.remove(uuid, old);
            self.insert(uuid, new);
        }
    }

    /// Whether rows are found by a column, or by a part of it.
    pub(super) fn concerns(&self, column: &str) -> bool {
        match &self.key {
            IndexKey::Columns(columns) => columns.iter().any(|indexed| indexed == column),
            IndexKey::MapKey { column: map, .. } => map == column,
        }
    }

    /// The values of a row; none if it lacks the map key and so is not found here.
    fn values(&self, row: &Row) -> Option<Vec<Datum>> {
        match &self.key {
            IndexKey::Columns(columns) => columns
                .iter()
                .map(|column| row.get(column).cloned())
                .collect(),
            IndexKey::MapKey { column, key } => match row.get(column)? {
                Datum::Map(map) => Some(vec![map.get(&Atom::from(key))?.clone().into()]),
                _ => None,
            },
        }
    }
}

/// Puts the values of a look-up into the form in which rows hold them.
pub(super) fn canonical(layout: &Layout, columns: &[&str], values: &[Datum]) -> Vec<Datum> {
    let types = columns.iter().map(|column| {
        layout
            .position(column)
            .map(|position| &layout.types[position])
    });
    types
        .zip(values)
        .map(|(ty, value)| match ty {
            Some(ty) => ty.canonical(value.clone()),
            None => value.clone(),
        })
        .collect()
}
