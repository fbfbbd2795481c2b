//! What "the same" means for two servers that choose UUIDs and words of their own.

use std::collections::{BTreeMap, BTreeSet};

use ovsdb_client::Schema;
use serde_json::{Map, Value};
use uuid::Uuid;

/// Knows which UUIDs of the in-process server stand for which of the real one.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    uuids: BTreeMap<String, String>,
}

impl Comparison {
    /// Learns from a reply which rows are the same though their UUIDs differ.
    pub(crate) fn learn(&mut self, real: &Value, ours: &Value) {
        let uuid = |result: &Value| Some(result.get("uuid")?.get(1)?.as_str()?.to_owned());
        let (Some(real), Some(ours)) = (real["result"].as_array(), ours["result"].as_array())
        else {
            return;
        };
        for (real, ours) in real.iter().zip(ours) {
            if let (Some(real), Some(ours)) = (uuid(real), uuid(ours))
                && real != ours
            {
                self.uuids.insert(ours, real);
            }
        }
    }

    /// Fails when the two differ.
    pub(crate) fn check(
        &self,
        what: &str,
        method: &str,
        params: &Value,
        real: &Value,
        ours: &Value,
    ) {
        let of_real = |uuid: &str| {
            self.uuids
                .values()
                .any(|known| known == uuid)
                .then(|| uuid.to_owned())
        };
        let of_ours = |uuid: &str| self.uuids.get(uuid).cloned();
        let (real, ours) = (normal(real, &of_real), normal(ours, &of_ours));
        assert!(
            equal(&real, &ours),
            "{what} of {method} {params}\nreal: {real}\nours: {ours}"
        );
    }

    fn name<'a>(&'a self, uuid: &'a str) -> &'a str {
        self.uuids.get(uuid).map_or(uuid, String::as_str)
    }
}

/// A value without what may differ: details of errors, versions of rows, and the order of what has
/// none.
fn normal(value: &Value, known: &impl Fn(&str) -> Option<String>) -> Value {
    // A UUID that no client chose: that of a row, or one for a name that no row was given.
    let text = |text: &String| match Uuid::parse_str(text) {
        Ok(uuid) if !uuid.is_nil() && !text.starts_with("10000000-") => {
            known(text).unwrap_or_else(|| "random".to_owned())
        }
        _ => text.clone(),
    };
    match value {
        Value::String(string) => Value::String(text(string)),
        Value::Array(elements) => {
            let mut elements: Vec<_> = elements.iter().map(|e| normal(e, known)).collect();
            // Sets are sorted by UUID, which the names just changed; rows come in any order.
            match elements.as_mut_slice() {
                [Value::String(tag), Value::Array(inner)] if tag == "set" || tag == "map" => {
                    inner.sort_by_key(Value::to_string);
                }
                _ => {}
            }
            Value::Array(elements)
        }
        Value::Object(members) => {
            let mut normalized = Map::new();
            for (name, value) in members {
                let mut value = normal(value, known);
                if let ("rows", Value::Array(rows)) = (name.as_str(), &mut value) {
                    rows.sort_by_key(Value::to_string);
                }
                if !["details", "syntax", "_version"].contains(&name.as_str()) {
                    normalized.insert(text(name), value);
                }
            }
            Value::Object(normalized)
        }
        // The in-process server knows no negative zero.
        Value::Number(number) if number.as_f64() == Some(0.0) => Value::from(0),
        value => value.clone(),
    }
}

/// Equality, in which reals may differ in the last digits: the real server writes only fifteen.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= a.abs() * 1e-12
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, a)| b.get(name).is_some_and(|b| equal(a, b)))
        }
        (a, b) => a == b,
    }
}

/// Whether a row holds a weak reference to a row that is not there; `dump` is the reply to a select
/// of everything in each of the tables.
pub(crate) fn has_dangling(schema: &Schema, tables: &[&str], dump: &Value) -> bool {
    let rows = |table: &str| {
        let place = tables.iter().position(|name| *name == table).unwrap();
        dump["result"][place]["rows"].as_array().unwrap()
    };
    let holds = |table: &str, text: &str| rows(table).iter().any(|row| row["_uuid"][1] == text);
    let weak_columns = tables.iter().flat_map(|table| {
        let columns = schema.table(table).unwrap().columns();
        columns.flat_map(move |(name, column)| {
            let ty = column.column_type();
            let bases = [Some(&ty.key), ty.value.as_ref()].into_iter().flatten();
            let weak = bases.filter_map(|base| base.reference.as_ref().filter(|to| !to.strong));
            weak.map(move |to| (*table, name, to.table.as_str()))
        })
    });
    weak_columns.into_iter().any(|(table, column, target)| {
        let mut uuids = Vec::new();
        for row in rows(table) {
            collect_uuids(&row[column], &mut uuids);
        }
        uuids.iter().any(|uuid| !holds(target, uuid))
    })
}

fn collect_uuids<'a>(value: &'a Value, uuids: &mut Vec<&'a str>) {
    match value.as_array().map(Vec::as_slice) {
        Some([Value::String(tag), Value::String(uuid)]) if tag == "uuid" => uuids.push(uuid),
        Some(elements) => elements
            .iter()
            .for_each(|value| collect_uuids(value, uuids)),
        None => {}
    }
}

/// The versions of all rows when they were last looked at.
#[derive(Debug, Default)]
pub(crate) struct Dumps {
    real: BTreeMap<String, String>,
    ours: BTreeMap<String, String>,
}

impl Dumps {
    /// The rows of either server whose version is another one than last time.
    pub(crate) fn versions(
        &mut self,
        real: &Value,
        ours: &Value,
        comparison: &Comparison,
    ) -> (BTreeSet<String>, BTreeSet<String>) {
        let versions = |reply: &Value| -> BTreeMap<String, String> {
            let tables = reply["result"].as_array().unwrap().iter();
            let rows = tables.flat_map(|table| table["rows"].as_array().unwrap());
            rows.map(|row| {
                let text = |column: &str| row[column][1].as_str().unwrap();
                let uuid = comparison.name(text("_uuid")).to_owned();
                (uuid, text("_version").to_owned())
            })
            .collect()
        };
        let changed = |new: &BTreeMap<String, String>, old: &BTreeMap<String, String>| {
            let rows = new
                .iter()
                .filter(|(uuid, version)| old.get(*uuid) != Some(version));
            rows.map(|(uuid, _)| uuid.clone()).collect()
        };
        let (new_real, new_ours) = (versions(real), versions(ours));
        let result = (
            changed(&new_real, &self.real),
            changed(&new_ours, &self.ours),
        );
        (self.real, self.ours) = (new_real, new_ours);
        result
    }
}
