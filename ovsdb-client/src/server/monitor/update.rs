//! Changes as they are told: `<table-updates>` of RFC 7047 §4.1.6 and `<table-updates2>` of
//! ovsdb-server(7).

use serde_json::{Map, Value, json};

use super::{Dialect, Watched};
use crate::schema::ColumnType;
use crate::server::condition::Filter;
use crate::server::database::Table;
use crate::value::{Atom, Datum, Row};

/// The kind of a change, which a condition may turn into another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Initial,
    Insert,
    Delete,
    Modify,
}

/// A row to be told of: what happened, and the row before and after.
pub(super) type Told<'a> = (Change, Option<&'a Row>, Option<&'a Row>);

impl Watched {
    /// What a change of the database is to this monitor.
    pub(super) fn change<'a>(
        &self,
        old: Option<&'a Row>,
        new: Option<&'a Row>,
    ) -> Option<Told<'a>> {
        let seen = |row: Option<&Row>| row.is_some_and(|row| self.filter.any(row));
        let change = match (seen(old), seen(new)) {
            (false, false) => return None,
            (false, true) => Change::Insert,
            (true, false) => Change::Delete,
            (true, true) => Change::Modify,
        };
        self.follow((change, old, new))
    }

    /// What a row is to a monitor that begins.
    pub(super) fn beginning<'a>(&self, row: &'a Row) -> Option<Told<'a>> {
        let seen = self.filter.any(row);
        seen.then(|| self.follow((Change::Initial, None, Some(row))))?
    }

    /// What a row is to a monitor whose conditions change.
    pub(super) fn turn<'a>(&self, old_filter: &Filter, row: &'a Row) -> Option<Told<'a>> {
        let change = match (old_filter.any(row), self.filter.any(row)) {
            (false, true) => Change::Insert,
            (true, false) => Change::Delete,
            _ => return None,
        };
        self.follow((change, Some(row), Some(row)))
    }

    fn follow<'a>(&self, told: Told<'a>) -> Option<Told<'a>> {
        let (change, old, new) = told;
        let differs = |column: &String| match (old, new) {
            (Some(old), Some(new)) => old.get(column) != new.get(column),
            _ => true,
        };
        let told_of = self.select.has(change)
            && (change != Change::Modify
                || self.columns.keys().any(differs)
                || self.examined.iter().any(differs));
        told_of.then_some(told)
    }

    /// Writes a change down.
    pub(super) fn describe(&self, table: &Table, dialect: Dialect, told: Told<'_>) -> Value {
        match dialect {
            Dialect::Update => self.before_and_after(told),
            Dialect::Update2 | Dialect::Update3 => self.difference(table, told),
        }
    }

    fn before_and_after(&self, (change, old, new): Told<'_>) -> Value {
        let mut members = Map::new();
        let columns = || {
            self.columns
                .iter()
                .filter(|(_, select)| select.has(change))
                .map(|(column, _)| column)
        };
        if let (Change::Delete | Change::Modify, Some(old)) = (change, old) {
            let told = columns().filter(|column| {
                change == Change::Delete || new.and_then(|new| new.get(column)) != old.get(column)
            });
            members.insert("old".to_owned(), columns_of(old, told));
        }
        if let (Change::Initial | Change::Insert | Change::Modify, Some(new)) = (change, new) {
            members.insert("new".to_owned(), columns_of(new, columns()));
        }
        Value::Object(members)
    }

    fn difference(&self, table: &Table, (change, old, new): Told<'_>) -> Value {
        let name = match change {
            Change::Delete => return json!({"delete": null}),
            Change::Initial => "initial",
            Change::Insert => "insert",
            Change::Modify => "modify",
        };
        let mut members = Map::new();
        for (column, _) in self.columns.iter().filter(|(_, select)| select.has(change)) {
            let (Some(schema), Some(new)) = (
                table.columns.get(column),
                new.and_then(|new| new.get(column)),
            ) else {
                continue;
            };
            let told = match old.and_then(|old| old.get(column)) {
                Some(old) if change == Change::Modify => {
                    (old != new).then(|| json_of(&difference_of(&schema.ty, old, new)))
                }
                _ => (*new != schema.default_datum()).then(|| json_of(new)),
            };
            members.extend(told.map(|told| (column.clone(), told)));
        }
        json!({name: members})
    }
}

fn columns_of<'a>(row: &Row, columns: impl Iterator<Item = &'a String>) -> Value {
    columns
        .filter_map(|column| Some((column.clone(), json_of(row.get(column)?))))
        .collect()
}

/// What turns one canonical value into another: for sets the elements in one of them, for maps the
/// pairs that come, change or go, for anything else the new value.
fn difference_of(ty: &ColumnType, old: &Datum, new: &Datum) -> Datum {
    if !ty.is_composite() {
        return new.clone();
    }
    match (old, new) {
        (Datum::Map(old), Datum::Map(new)) => {
            let gone = old.iter().filter(|(key, _)| !new.contains_key(key));
            let come = new
                .iter()
                .filter(|(key, value)| old.get(key) != Some(value));
            Datum::map(gone.chain(come).map(|(k, v)| (k.clone(), v.clone())))
        }
        _ => {
            let gone = old.set_iter().filter(|atom| !new.has(atom));
            let come = new.set_iter().filter(|atom| !old.has(atom));
            let mut toggled: Vec<Atom> = gone.chain(come).cloned().collect();
            toggled.sort_unstable();
            Datum::Set(toggled)
        }
    }
}

/// A value as the server writes it: a set of one element as that element, whole reals without a
/// fraction.
pub(in crate::server) fn json_of(datum: &Datum) -> Value {
    match datum {
        Datum::Map(map) => {
            let pairs: Vec<_> = map
                .iter()
                .map(|(key, value)| [json_of_atom(key), json_of_atom(value)])
                .collect();
            json!(["map", pairs])
        }
        datum => match datum.as_atom() {
            Some(atom) => json_of_atom(atom),
            None => json!([
                "set",
                datum.set_iter().map(json_of_atom).collect::<Vec<_>>()
            ]),
        },
    }
}

fn json_of_atom(atom: &Atom) -> Value {
    /// All whole numbers up to this are written without an exponent.
    const PLAIN: f64 = 1e15;
    match atom {
        Atom::Real(real) if real.fract() == 0.0 && real.abs() < PLAIN => json!(*real as i64),
        atom => json!(atom),
    }
}
