//! Updates as they arrive: `<table-updates2>` of ovsdb-server(7) §4.1.14.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use uuid::Uuid;

use crate::value::Row;

/// The changes of one transaction.
pub(super) type TableUpdates = BTreeMap<String, BTreeMap<Uuid, RowUpdate>>;

/// What happened to one row.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RowUpdate {
    /// It was there when the monitor began. Columns that hold their default are left out.
    Initial(Row),
    /// It is new, or meets the conditions now. Columns that hold their default are left out.
    Insert(Row),
    /// It changed: for sets and maps the difference, for other columns the new value.
    Modify(Row),
    /// It is gone, or no longer meets the conditions.
    Delete(IgnoredAny),
}
