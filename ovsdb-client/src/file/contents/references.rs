//! References between rows, and what becomes of rows and references without the other.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Contents, put};
use crate::schema::{ColumnType, Reference, Table};
use crate::value::{Atom, Datum, Row};

/// A reference that a row holds.
pub(super) struct Link<'a> {
    pub(super) column: &'a str,
    pub(super) to: &'a Reference,
    pub(super) target: Uuid,
}

/// Every reference of a row.
pub(super) fn links<'a>(table: &'a Table, row: &'a Row) -> impl Iterator<Item = Link<'a>> {
    row.iter().flat_map(move |(column, datum)| {
        let ty = table.column(column).map(|column| column.column_type());
        let keys = ty.and_then(|ty| ty.key.reference.as_ref());
        let values = ty.and_then(|ty| ty.value.as_ref()?.reference.as_ref());
        let from_keys = keys.into_iter().flat_map(|to| {
            let atoms = datum.set_iter().chain(datum.map_iter().map(|(key, _)| key));
            atoms.map(move |atom| (to, atom))
        });
        let from_values = values.into_iter().flat_map(|to| {
            let atoms = datum.map_iter().map(|(_, value)| value);
            atoms.map(move |atom| (to, atom))
        });
        from_keys.chain(from_values).filter_map(move |(to, atom)| {
            let target = atom.as_uuid()?;
            Some(Link { column, to, target })
        })
    })
}

/// The rows that nobody refers to strongly and that need it, and those that go with them.
///
/// References are counted, as `ovsdb/transaction.c` does; those of a row to itself do not count.
pub(super) fn unreferenced(contents: &Contents) -> Vec<(&str, Uuid)> {
    let schema = contents.schema();
    let strong = |table, uuid: Uuid, row| {
        let links = schema.table(table).map(|columns| links(columns, row));
        links
            .into_iter()
            .flatten()
            .filter(move |link| link.to.strong && !(link.to.table == table && link.target == uuid))
            .map(|link| (link.to.table.as_str(), link.target))
    };
    let mut counts: HashMap<(&str, Uuid), usize> = HashMap::new();
    for (table, rows) in contents.stored() {
        for (uuid, row) in rows {
            for target in strong(table, *uuid, row) {
                *counts.entry(target).or_default() += 1;
            }
        }
    }
    let mut lost = Vec::new();
    for (table, rows) in contents
        .stored()
        .filter(|(table, _)| !schema.is_root(table))
    {
        let rows = rows.keys().map(|uuid| (table, *uuid));
        lost.extend(rows.filter(|row| !counts.contains_key(row)));
    }
    let mut followed = 0;
    while let Some(&(table, uuid)) = lost.get(followed) {
        followed += 1;
        let Some(row) = contents.tables.get(table).and_then(|rows| rows.get(&uuid)) else {
            continue;
        };
        for target in strong(table, uuid, row) {
            let Some(count) = counts.get_mut(&target) else {
                continue;
            };
            *count -= 1;
            let there = contents.tables.get(target.0);
            let there = there.is_some_and(|rows| rows.contains_key(&target.1));
            if *count == 0 && there && !schema.is_root(target.0) {
                lost.push(target);
            }
        }
    }
    lost
}

pub(super) fn drop_unreferenced(contents: &mut Contents) {
    let lost: Vec<_> = unreferenced(contents)
        .into_iter()
        .map(|(table, uuid)| (table.to_owned(), uuid))
        .collect();
    for (table, uuid) in lost {
        if let Some(rows) = contents.tables.get_mut(&table) {
            rows.remove(&uuid);
        }
    }
    contents.tables.retain(|_, rows| !rows.is_empty());
}

pub(super) fn drop_dangling_weak(contents: &mut Contents) {
    let there = |to: &Reference, atom: &Atom| {
        let rows = contents.tables.get(&to.table);
        to.strong
            || atom
                .as_uuid()
                .is_none_or(|uuid| rows.is_some_and(|rows| rows.contains_key(&uuid)))
    };
    let mut pruned = Vec::new();
    for (table, rows) in contents.stored() {
        let columns = contents.schema.table(table);
        for (name, column) in columns.into_iter().flat_map(Table::columns) {
            let ty = column.column_type();
            if !has_weak(ty) {
                continue;
            }
            for (uuid, row) in rows {
                let Some(datum) = row.get(name) else { continue };
                let kept = keep(datum, ty, &there);
                if kept.len() < datum.len() {
                    pruned.push((table.to_owned(), *uuid, name.to_owned(), ty.clone(), kept));
                }
            }
        }
    }
    for (table, uuid, name, ty, kept) in pruned {
        let rows = contents.tables.get_mut(&table);
        if let Some(row) = rows.and_then(|rows| rows.get_mut(&uuid)) {
            put(std::sync::Arc::make_mut(row), name, &ty, kept);
        }
    }
}

fn has_weak(ty: &ColumnType) -> bool {
    [Some(&ty.key), ty.value.as_ref()]
        .into_iter()
        .flatten()
        .any(|base| base.reference.as_ref().is_some_and(|to| !to.strong))
}

/// The elements and pairs of which all references point to a row that is there.
fn keep(datum: &Datum, ty: &ColumnType, there: &impl Fn(&Reference, &Atom) -> bool) -> Datum {
    let key = ty.key.reference.as_ref();
    let value = ty.value.as_ref().and_then(|value| value.reference.as_ref());
    let stays = |to: Option<&Reference>, atom: &Atom| to.is_none_or(|to| there(to, atom));
    match datum {
        Datum::Map(map) => Datum::map(
            map.iter()
                .filter(|(k, v)| stays(key, k) && stays(value, v))
                .map(|(k, v)| (k.clone(), v.clone())),
        ),
        _ => Datum::set(datum.set_iter().filter(|atom| stays(key, atom)).cloned()),
    }
}
