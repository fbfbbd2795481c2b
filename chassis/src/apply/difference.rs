//! From the rows that a database has of us to those that it shall have.

use std::collections::{BTreeMap, BTreeSet};

use ovsdb_client::schema::{ColumnType, Schema};
use ovsdb_client::value::{Atom, Datum, Row};
use ovsdb_client::{Condition, Mutation, Transaction};
use uuid::Uuid;

use crate::topology::TableRow;

/// A change of one row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RowChange {
    pub(crate) table: &'static str,
    pub(crate) uuid: Uuid,
    pub(crate) kind: ChangeKind,
}

/// What is changed of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ChangeKind {
    /// It is new.
    Insert(Row),
    /// Columns with one value are replaced, and of those with many the differences are put in and taken out, so that what
    /// others have added to them stays.
    Change { replace: Row, many: Vec<ManyChange> },
    /// It goes, which only rows of root tables have to be told.
    Delete,
}

/// A change of a column that has many values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ManyChange {
    pub(crate) column: String,
    /// Elements, or pairs.
    pub(crate) insert: Datum,
    /// Elements, or keys.
    pub(crate) delete: Datum,
}

/// The least that has to be done for a database with the rows `old` to have `new` in their place: insertions, then changes, then
/// deletions.
///
/// Rows are the same that have the same UUID. A column that is only in `old` gets its default. Rows that are not in a root
/// table go with the last reference to them, and columns and tables that the schema lacks are passed over.
pub(crate) fn difference(schema: &Schema, old: &[TableRow], new: &[TableRow]) -> Vec<RowChange> {
    let by_uuid = |rows: &'_ [TableRow]| -> BTreeMap<(&'static str, Uuid), usize> {
        let keys = rows.iter().map(|(table, uuid, _)| (*table, *uuid));
        keys.zip(0..).collect()
    };
    let (were, are) = (by_uuid(old), by_uuid(new));
    let mut inserted = Vec::new();
    let mut changed = Vec::new();
    for (table, uuid, row) in new {
        let (table, uuid) = (*table, *uuid);
        let Some(&before) = were.get(&(table, uuid)) else {
            let kind = ChangeKind::Insert(row.clone());
            inserted.push(RowChange { table, uuid, kind });
            continue;
        };
        if let Some(kind) = change(schema, table, &old[before].2, row) {
            changed.push(RowChange { table, uuid, kind });
        }
    }
    let gone = old
        .iter()
        .filter(|(table, uuid, _)| schema.is_root(table) && !are.contains_key(&(*table, *uuid)));
    let deleted = gone.map(|(table, uuid, _)| RowChange {
        table,
        uuid: *uuid,
        kind: ChangeKind::Delete,
    });
    inserted.into_iter().chain(changed).chain(deleted).collect()
}

/// What has to be done for a row to be like another one, if anything.
fn change(schema: &Schema, table: &str, old: &Row, new: &Row) -> Option<ChangeKind> {
    let columns = schema.table(table)?;
    let mut replace = Row::new();
    let mut many = Vec::new();
    let names: BTreeSet<&str> = old.iter().chain(new.iter()).map(|(name, _)| name).collect();
    for name in names {
        let Some(column) = columns.column(name) else {
            continue;
        };
        let kind = column.column_type();
        let value = |row: &Row| match row.get(name) {
            Some(value) => kind.canonical(value.clone()),
            None => kind.default_datum(),
        };
        let (before, after) = (value(old), value(new));
        if before == after {
            continue;
        }
        if kind.max.is_some() {
            replace.insert(name, after);
        } else {
            many.push(many_change(name, kind, &before, &after));
        }
    }
    let nothing = replace.is_empty() && many.is_empty();
    (!nothing).then_some(ChangeKind::Change { replace, many })
}

fn many_change(column: &str, kind: &ColumnType, before: &Datum, after: &Datum) -> ManyChange {
    let (insert, delete) = if kind.is_map() {
        let pairs = |datum: &Datum| -> BTreeSet<(Atom, Atom)> {
            let pairs = datum.map_iter();
            pairs.map(|(k, v)| (k.clone(), v.clone())).collect()
        };
        let (before, after) = (pairs(before), pairs(after));
        let keys = before.difference(&after).map(|(key, _)| key.clone());
        (
            Datum::map(after.difference(&before).cloned()),
            Datum::set(keys),
        )
    } else {
        let elements = |datum: &Datum| -> BTreeSet<Atom> { datum.set_iter().cloned().collect() };
        let (before, after) = (elements(before), elements(after));
        (
            Datum::set(after.difference(&before).cloned()),
            Datum::set(before.difference(&after).cloned()),
        )
    };
    ManyChange {
        column: column.to_owned(),
        insert,
        delete,
    }
}

/// All changes in one transaction.
pub(crate) fn transaction(changes: &[RowChange]) -> Transaction {
    let mut transaction = Transaction::new();
    for RowChange { table, uuid, kind } in changes {
        let table = *table;
        let own = || [Condition::eq("_uuid", *uuid)];
        match kind {
            ChangeKind::Insert(row) => transaction.insert_as(table, *uuid, row.clone()),
            ChangeKind::Change { replace, many } => {
                if !replace.is_empty() {
                    transaction.update(table, own(), replace.clone());
                }
                if !many.is_empty() {
                    transaction.mutate(table, own(), many.iter().flat_map(mutations));
                }
            }
            ChangeKind::Delete => {
                transaction.delete(table, own());
            }
        }
    }
    transaction
}

/// Each mutation has to leave the column valid: so elements come before others go, as a column may have to have one, and keys
/// go before they come back with other values.
fn mutations(change: &ManyChange) -> Vec<Mutation> {
    let insert = (!change.insert.is_empty())
        .then(|| Mutation::insert(&change.column, change.insert.clone()));
    let delete = (!change.delete.is_empty())
        .then(|| Mutation::delete(&change.column, change.delete.clone()));
    if matches!(change.insert, Datum::Map(_)) {
        delete.into_iter().chain(insert).collect()
    } else {
        insert.into_iter().chain(delete).collect()
    }
}

#[cfg(test)]
mod tests;
