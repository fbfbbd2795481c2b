//! What a monitored table looks like.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::schema::ColumnType;
use crate::value::{ColumnNames, Datum, Row};

/// The monitored columns of one table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Layout {
    /// In order.
    pub(super) names: ColumnNames,
    /// One for each name.
    pub(super) types: Vec<ColumnType>,
    /// One for each name: the value where none was sent.
    defaults: Vec<Datum>,
    /// What may be looked up: the schema's indexes and those that were asked for.
    pub(super) indexes: Vec<IndexKey>,
}

/// The monitored tables of a database.
pub(crate) type Layouts = BTreeMap<Arc<str>, Arc<Layout>>;

/// The columns, or one key of a map column, by which rows are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IndexKey {
    /// Values of some columns together.
    Columns(Vec<String>),
    /// The value under one key of a map column.
    MapKey {
        /// The map column.
        column: String,
        /// The key.
        key: String,
    },
}

impl Layout {
    /// Lays columns out. Indexes of columns that are not among them are left out.
    pub(crate) fn new(
        columns: BTreeMap<&str, &ColumnType>,
        indexes: impl IntoIterator<Item = IndexKey>,
    ) -> Self {
        let names: Vec<Arc<str>> = columns.keys().map(|&name| name.into()).collect();
        let types: Vec<_> = columns.into_values().cloned().collect();
        let mut layout = Self {
            names: Arc::new(names),
            defaults: types.iter().map(ColumnType::default_datum).collect(),
            types,
            indexes: Vec::new(),
        };
        for index in indexes {
            let present = match &index {
                IndexKey::Columns(columns) => columns
                    .iter()
                    .all(|column| layout.position(column).is_some()),
                IndexKey::MapKey { column, .. } => layout.position(column).is_some(),
            };
            if present && !layout.indexes.contains(&index) {
                layout.indexes.push(index);
            }
        }
        layout
    }

    /// Place of a column in the rows.
    pub(super) fn position(&self, column: &str) -> Option<usize> {
        self.names
            .binary_search_by(|name| (**name).cmp(column))
            .ok()
    }

    /// The values of a row of which nothing was sent.
    pub(super) fn defaults(&self) -> Vec<Datum> {
        self.defaults.clone()
    }

    /// A row of these values, one for each column.
    pub(super) fn row(&self, values: Vec<Datum>) -> Row {
        Row::from_parts(Arc::clone(&self.names), values)
    }
}
