//! The tables of one database and the rows in them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use crate::schema::{BaseType, ColumnType, Reference, Schema};
use crate::value::{Atom, AtomType, Datum, Row};

/// A row by its table's place in [`Database::tables`] and its UUID.
pub(super) type RowKey = (usize, Uuid);

/// One database.
///
/// Rows are complete and canonical ([`ColumnType::canonical`]), and hold `_uuid` and `_version` like
/// any column. Between transactions every strong reference finds its row, every row of a table that
/// is no root is referred to, and no two rows share the value of an index.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) schema: Schema,
    pub(super) tables: Vec<Table>,
    /// How many strong references there are to a row, those from itself not counted.
    pub(super) references: HashMap<RowKey, usize>,
}

/// One table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: Arc<str>,
    pub(super) columns: BTreeMap<String, Column>,
    /// Whether rows live without being referred to.
    pub(super) is_root: bool,
    pub(super) max_rows: Option<u64>,
    pub(super) indexes: Vec<Index>,
    pub(super) rows: BTreeMap<Uuid, Arc<Row>>,
}

/// One column.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) ty: ColumnType,
    pub(super) mutable: bool,
    /// Where the atoms, or the keys of a map, point.
    key_target: Option<Target>,
    /// Where the values of a map point.
    value_target: Option<Target>,
}

/// The table that references point to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) table: usize,
    pub(super) strong: bool,
}

/// Columns whose values together belong to one row.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) columns: Vec<String>,
    pub(super) rows: BTreeMap<Vec<Datum>, Uuid>,
}

impl Index {
    pub(super) fn key(&self, row: &Row) -> Vec<Datum> {
        self.columns
            .iter()
            .filter_map(|column| row.get(column).cloned())
            .collect()
    }
}

impl Database {
    /// Makes a database without rows.
    pub(super) fn new(schema: Schema) -> Self {
        let places: HashMap<&str, usize> = schema
            .tables()
            .enumerate()
            .map(|(place, (name, _))| (name, place))
            .collect();
        let mut tables = Vec::with_capacity(places.len());
        for (name, table) in schema.tables() {
            let target = |reference: &Reference| Target {
                // The reader of schemas refuses one that refers to other tables.
                table: places[&*reference.table],
                strong: reference.strong,
            };
            let mut columns = BTreeMap::new();
            for (column, schema) in table.columns() {
                let ty = schema.column_type().clone();
                let key_target = ty.key.reference.as_ref().map(target);
                let value_reference = ty.value.as_ref().and_then(|value| value.reference.as_ref());
                let value_target = value_reference.map(target);
                let weak = [key_target, value_target]
                    .iter()
                    .flatten()
                    .any(|target| !target.strong);
                let column_of_rows = Column {
                    // A weak reference changes with its target, whatever the schema says.
                    mutable: schema.is_mutable() || weak,
                    ty,
                    key_target,
                    value_target,
                };
                columns.insert(column.to_owned(), column_of_rows);
            }
            for column in ["_uuid", "_version"] {
                columns.insert(column.to_owned(), Column::own_uuid());
            }
            tables.push(Table {
                name: name.into(),
                columns,
                is_root: schema.is_root(name),
                max_rows: table.max_rows(),
                indexes: table
                    .indexes()
                    .iter()
                    .map(|columns| Index {
                        columns: columns.clone(),
                        rows: BTreeMap::new(),
                    })
                    .collect(),
                rows: BTreeMap::new(),
            });
        }
        Self {
            schema,
            tables,
            references: HashMap::new(),
        }
    }

    /// The place of a table in [`tables`](Self::tables).
    pub(super) fn place(&self, table: &str) -> Option<usize> {
        self.tables
            .binary_search_by(|probe| (*probe.name).cmp(table))
            .ok()
    }

    pub(super) fn row(&self, (table, uuid): RowKey) -> Option<&Arc<Row>> {
        self.tables[table].rows.get(&uuid)
    }
}

impl Table {
    /// A row in which nothing was set.
    pub(super) fn default_row(&self) -> Row {
        self.columns
            .iter()
            .map(|(name, column)| (name.clone(), column.default_datum()))
            .collect()
    }

    /// Every reference in a row: where it points, and whether it is strong.
    pub(super) fn references<'a>(
        &'a self,
        row: &'a Row,
    ) -> impl Iterator<Item = (RowKey, bool)> + 'a {
        self.columns
            .iter()
            .filter(|(_, column)| column.refers())
            .filter_map(|(name, column)| Some((column, row.get(name)?)))
            .flat_map(|(column, datum)| column.references(datum))
    }
}

impl Column {
    /// `_uuid` or `_version`.
    fn own_uuid() -> Self {
        Self {
            ty: ColumnType {
                key: BaseType {
                    atom_type: AtomType::Uuid,
                    allowed: None,
                    min: None,
                    max: None,
                    min_length: 0,
                    max_length: None,
                    reference: None,
                },
                value: None,
                min: 1,
                max: Some(1),
            },
            mutable: false,
            key_target: None,
            value_target: None,
        }
    }

    /// The canonical form of the default.
    pub(super) fn default_datum(&self) -> Datum {
        self.ty.canonical(self.ty.default_datum())
    }

    fn refers(&self) -> bool {
        self.key_target.is_some() || self.value_target.is_some()
    }

    /// Whether there are weak references to that table in this column.
    pub(super) fn refers_weakly_to(&self, table: usize) -> bool {
        let target = Target {
            table,
            strong: false,
        };
        self.key_target == Some(target) || self.value_target == Some(target)
    }

    fn references<'a>(&self, datum: &'a Datum) -> impl Iterator<Item = (RowKey, bool)> + 'a {
        let (key_target, value_target) = (self.key_target, self.value_target);
        let point = |target: Option<Target>, atom: &Atom| {
            let target = target?;
            Some(((target.table, atom.as_uuid()?), target.strong))
        };
        let of_atoms = datum
            .set_iter()
            .filter_map(move |atom| point(key_target, atom));
        let of_pairs = datum
            .map_iter()
            .flat_map(move |(key, value)| [point(key_target, key), point(value_target, value)]);
        of_atoms.chain(of_pairs.flatten())
    }

    /// The value without the elements, or pairs, that hold a weak reference to a row that `exists`
    /// denies; `None` when there are no such.
    pub(super) fn without_dangling(
        &self,
        datum: &Datum,
        exists: impl Fn(RowKey) -> bool,
    ) -> Option<Datum> {
        let holds = |target: Option<Target>, atom: &Atom| match (target, atom.as_uuid()) {
            (
                Some(Target {
                    table,
                    strong: false,
                }),
                Some(uuid),
            ) => exists((table, uuid)),
            _ => true,
        };
        let kept = match datum {
            Datum::Map(map) => Datum::Map(
                map.iter()
                    .filter(|(key, value)| {
                        holds(self.key_target, key) && holds(self.value_target, value)
                    })
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect(),
            ),
            _ => Datum::Set(
                datum
                    .set_iter()
                    .filter(|atom| holds(self.key_target, atom))
                    .cloned()
                    .collect(),
            ),
        };
        (kept.len() < datum.len()).then(|| self.ty.canonical(kept))
    }
}
