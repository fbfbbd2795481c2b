//! Transactions as they are written.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use serde::Serialize;
use uuid::Uuid;

use super::Annotation;
use crate::file::contents::{Contents, default_of};
use crate::schema::{ColumnType, Table};
use crate::value::{Datum, Row};

#[derive(Serialize)]
struct TransactionJson<'a> {
    #[serde(rename = "_date", skip_serializing_if = "Option::is_none")]
    date: Option<u64>,
    #[serde(rename = "_comment", skip_serializing_if = "Option::is_none")]
    comment: Option<&'a str>,
    #[serde(rename = "_is_diff", skip_serializing_if = "std::ops::Not::not")]
    is_diff: bool,
    #[serde(flatten)]
    tables: BTreeMap<&'a str, RowsJson<'a>>,
}

/// The rows of one table: with columns, or null where one is deleted.
type RowsJson<'a> = BTreeMap<Uuid, Option<Cow<'a, Row>>>;

impl<'a> TransactionJson<'a> {
    fn new(annotation: &'a Annotation, is_diff: bool) -> Self {
        let since_epoch = annotation.date.map(|date| {
            let elapsed = date.duration_since(SystemTime::UNIX_EPOCH);
            elapsed.unwrap_or_default().as_millis()
        });
        Self {
            date: since_epoch.map(|elapsed| elapsed.try_into().unwrap_or(u64::MAX)),
            comment: annotation.comment.as_deref(),
            is_diff,
            tables: BTreeMap::new(),
        }
    }

    fn json(&self) -> String {
        serde_json::to_string(self).expect("checked values have a JSON form")
    }
}

/// Writes a transaction that makes all rows of an empty database.
pub(in crate::file) fn whole(contents: &Contents, annotation: &Annotation) -> String {
    let mut json = TransactionJson::new(annotation, false);
    for (table, rows) in contents.stored() {
        let rows = rows.iter();
        let rows = rows.map(|(uuid, row)| (*uuid, Some(Cow::Borrowed(&**row))));
        json.tables.insert(table, rows.collect());
    }
    json.json()
}

/// Writes a transaction that leads from some rows to others of the same schema; nothing if they
/// are equal.
///
/// It has differences of sets and maps, as servers write them, unless servers before 3.1.3 would
/// misread one of these.
pub(in crate::file) fn difference(
    old: &Contents,
    new: &Contents,
    annotation: &Annotation,
) -> Option<String> {
    let between = |is_diff| TransactionJson::between(old, new, annotation, is_diff);
    let Ok(json) = between(true).or_else(|Unreadable| between(false)) else {
        unreachable!("new values are readable, because they were checked");
    };
    (!json.tables.is_empty()).then(|| json.json())
}

/// Servers before 3.1.3 write a difference like this, but misread it.
struct Unreadable;

impl<'a> TransactionJson<'a> {
    /// Gathers the rows that differ, with differences or with new values.
    fn between(
        old: &'a Contents,
        new: &'a Contents,
        annotation: &'a Annotation,
        is_diff: bool,
    ) -> Result<Self, Unreadable> {
        let mut json = Self::new(annotation, is_diff);
        let tables: BTreeSet<&str> = [old, new]
            .into_iter()
            .flat_map(|contents| contents.stored().map(|(table, _)| table))
            .collect();
        for table in tables {
            let gone = old
                .stored_uuids(table)
                .filter(|uuid| new.stored_row(table, *uuid).is_none());
            let mut changed: RowsJson<'_> = gone.map(|uuid| (uuid, None)).collect();
            for uuid in new.stored_uuids(table) {
                let (before, after) = (old.stored_row(table, uuid), new.stored_row(table, uuid));
                let row = match (before, after, new.schema().table(table)) {
                    (None, Some(after), _) => Cow::Borrowed(after),
                    (Some(before), Some(after), Some(columns))
                        if !std::ptr::eq(before, after) && before != after =>
                    {
                        Cow::Owned(changed_columns(columns, before, after, is_diff)?)
                    }
                    _ => continue,
                };
                changed.insert(uuid, Some(row));
            }
            if !changed.is_empty() {
                json.tables.insert(table, changed);
            }
        }
        Ok(json)
    }
}

fn changed_columns(
    columns: &Table,
    old: &Row,
    new: &Row,
    is_diff: bool,
) -> Result<Row, Unreadable> {
    let mut changed = Row::new();
    for (name, column) in columns.columns() {
        let (old, new) = (old.get(name), new.get(name));
        if old != new {
            let ty = column.column_type();
            let value = |datum: Option<&Datum>| datum.cloned().unwrap_or_else(|| default_of(ty));
            let datum = match is_diff && ty.is_composite() {
                true => readable_difference(ty, &value(old), &value(new))?,
                false => value(new),
            };
            changed.insert(name, datum);
        }
    }
    Ok(changed)
}

/// Those servers refuse a difference with more elements than the column allows, and take that of a
/// default for the new value, which is wrong where the default is not empty.
fn readable_difference(ty: &ColumnType, old: &Datum, new: &Datum) -> Result<Datum, Unreadable> {
    let difference = old.difference(new).ok_or(Unreadable)?;
    let fits = ty.max.is_none_or(|max| difference.len() <= max);
    match fits && (ty.min == 0 || *old != default_of(ty)) {
        true => Ok(difference),
        false => Err(Unreadable),
    }
}
