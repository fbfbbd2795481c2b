//! The laws of the replica; see [`crate::fuzzing`].

use std::sync::Arc;

use serde_json::value::RawValue;

use super::layout::{Layout, Layouts};
use super::snapshot::Snapshot;
use super::update::{self, Protocol};
use crate::schema::Schema;

const SCHEMA: &str = r#"{"name": "P", "version": "1.0.0", "tables": {"T": {"columns": {
    "name": {"type": "string"},
    "load": {"type": "real"},
    "tag": {"type": {"key": "integer", "min": 0}},
    "trunks": {"type": {"key": "integer", "min": 0, "max": 4}},
    "rates": {"type": {"key": "real", "min": 0, "max": "unlimited"}},
    "ids": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}}}}}"#;

/// Whatever updates come, each is applied or refused, and what is held is complete and canonical.
///
/// One `<table-updates2>` on each line.
pub fn replica(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let schema = Schema::parse(SCHEMA).expect("the schema is one");
    let layouts: Layouts = schema
        .tables()
        .map(|(name, table)| {
            let columns = table.columns();
            let columns = columns.map(|(name, column)| (name, column.column_type()));
            (name.into(), Arc::new(Layout::new(columns.collect(), [])))
        })
        .collect();
    let mut replica = Snapshot::new(&layouts);
    for line in text.lines() {
        let Ok(line) = serde_json::from_str::<&RawValue>(line) else {
            continue;
        };
        let Ok(initial) = update::initial(&layouts, Protocol::MonitorCond, line) else {
            continue;
        };
        let before = replica.len("T");
        let Ok(changes) = replica.apply(initial.updates, true) else {
            // The monitor ends here; what was known stays readable.
            check(&schema, &replica);
            return;
        };
        let mut expected = before;
        for change in &changes.rows {
            let new = change.new.as_deref();
            let row = replica.row(&change.table, change.uuid);
            assert_eq!(row.map(|row| &**row), new);
            expected = expected + usize::from(new.is_some()) - usize::from(change.old.is_some());
        }
        assert_eq!(replica.len("T"), expected);
        check(&schema, &replica);
    }
}

fn check(schema: &Schema, replica: &Snapshot) {
    for (name, table) in schema.tables() {
        for (_, row) in replica.rows(name) {
            assert_eq!(row.len(), table.columns().count());
            for (name, column) in table.columns() {
                let datum = row.get(name).expect("a row holds every column");
                assert_eq!(&column.column_type().canonical(datum.clone()), datum);
            }
        }
    }
}
