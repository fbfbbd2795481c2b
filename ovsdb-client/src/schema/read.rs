//! Schemas as they are written, read by the rules of RFC 7047 §3.2 and of the server's parsers
//! (`ovsdb/ovsdb.c`, `table.c`, `column.c` and `lib/ovsdb-types.c` of Open vSwitch).

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::column::{BaseType, Column, ColumnType, Reference};
use super::error::{SchemaError, SchemaProblem};
use super::member::{
    ARRAY, BOOLEAN, IDENTIFIER, INTEGER, LENGTH, Members, NAMES, NUMBER, OBJECT, STRING, TYPE,
    integer, is_identifier,
};
use super::{Schema, Table};
use crate::value::{Atom, AtomType, Datum};

/// What servers take for "unlimited" and for "not given" in numbers of rows, elements, characters.
const UNLIMITED: i64 = u32::MAX as i64;

/// What to do about members that are not known.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Unknown {
    Refused,
    Ignored,
}

pub(super) fn schema(json: Box<RawValue>, unknown: Unknown) -> Result<Schema, SchemaError> {
    let value = serde_json::from_str(json.get()).map_err(|source| SchemaError::Json { source })?;
    let mut members = Members::of(value)?;
    let name = members.required("name", IDENTIFIER)?;
    let version = members.optional("version", STRING)?;
    let cksum = members.optional("cksum", STRING)?;
    let tables = members.required("tables", OBJECT)?;
    unknown.finish(members)?;
    if let Some(version) = version.as_ref().filter(|version| !is_version(version)) {
        let version = version.clone();
        return Err(SchemaError::new(SchemaProblem::Version { version }));
    }
    let mut tables = named(tables, "table", |json| unknown.table(json))?;
    // Schemas from before there were roots.
    if !tables.values().any(|table| table.is_root) {
        tables.values_mut().for_each(|table| table.is_root = true);
    }
    check_references(&mut tables)?;
    Ok(Schema {
        name,
        version: version.unwrap_or_default(),
        cksum: cksum.filter(|cksum| !cksum.is_empty()),
        tables,
        json,
    })
}

/// Three decimal numbers.
fn is_version(version: &str) -> bool {
    let numbers: Vec<_> = version.split('.').collect();
    numbers.len() == 3
        && numbers
            .iter()
            .all(|number| !number.is_empty() && number.chars().all(|c| c.is_ascii_digit()))
}

/// The tables of a schema, or the columns of a table.
fn named<T>(
    members: Map<String, Value>,
    what: &str,
    read: impl Fn(Value) -> Result<T, SchemaError>,
) -> Result<BTreeMap<String, T>, SchemaError> {
    let mut all = BTreeMap::new();
    for (name, json) in members {
        if name.starts_with('_') {
            return Err(SchemaError::new(SchemaProblem::Reserved { name }));
        }
        if !is_identifier(&name) {
            return Err(SchemaError::new(SchemaProblem::Identifier { name }));
        }
        let read = read(json).map_err(|error| error.within(format!("{what} {name}")))?;
        all.insert(name, read);
    }
    Ok(all)
}

/// Looks for references to nowhere, and keeps what a server would not let go.
fn check_references(tables: &mut BTreeMap<String, Table>) -> Result<(), SchemaError> {
    let roots: BTreeMap<String, bool> = tables
        .iter()
        .map(|(name, table)| (name.clone(), table.is_root))
        .collect();
    for (table_name, table) in tables {
        for (name, column) in &mut table.columns {
            let value = column.ty.value.as_ref();
            let bases = [("key", Some(&column.ty.key)), ("value", value)];
            for (which, base) in bases {
                let Some(reference) = base.and_then(|base| base.reference.as_ref()) else {
                    continue;
                };
                let Some(is_root) = roots.get(&reference.table) else {
                    let table = reference.table.clone();
                    return Err(SchemaError::new(SchemaProblem::UndefinedTable { table })
                        .within(which)
                        .within(format!("column {name}"))
                        .within(format!("table {table_name}")));
                };
                if reference.strong && !is_root {
                    column.ephemeral = false;
                }
            }
        }
    }
    Ok(())
}

impl Unknown {
    fn finish(self, members: Members) -> Result<(), SchemaError> {
        match self {
            Self::Refused => members.none_left(),
            Self::Ignored => Ok(()),
        }
    }

    fn table(self, json: Value) -> Result<Table, SchemaError> {
        let mut members = Members::of(json)?;
        let columns = members.required("columns", OBJECT)?;
        let mutable = members.optional("mutable", BOOLEAN)?;
        let max_rows = members.optional("maxRows", INTEGER)?;
        let is_root = members.optional("isRoot", BOOLEAN)?;
        let indexes = members.optional("indexes", ARRAY)?;
        self.finish(members)?;
        if let Some(max_rows) = max_rows.filter(|max_rows| *max_rows < 1) {
            return Err(SchemaError::new(SchemaProblem::MaxRows { max_rows }));
        }
        if columns.is_empty() {
            return Err(SchemaError::new(SchemaProblem::NoColumns));
        }
        let columns = named(columns, "column", |json| self.column(json))?;
        let indexes = indexes.unwrap_or_default().into_iter();
        Ok(Table {
            indexes: indexes
                .map(|index| read_index(index, &columns))
                .collect::<Result<_, _>>()?,
            columns,
            is_root: is_root.unwrap_or(false),
            mutable: mutable.unwrap_or(true),
            max_rows: max_rows
                .filter(|max_rows| *max_rows < UNLIMITED)
                .map(i64::unsigned_abs),
        })
    }

    fn column(self, json: Value) -> Result<Column, SchemaError> {
        let mut members = Members::of(json)?;
        let mutable = members.optional("mutable", BOOLEAN)?;
        let ephemeral = members.optional("ephemeral", BOOLEAN)?;
        let ty = members.required("type", TYPE)?;
        self.finish(members)?;
        let ty = self.column_type(ty)?;
        let weak = |base: &BaseType| base.reference.as_ref().is_some_and(|to| !to.strong);
        Ok(Column {
            mutable: mutable.unwrap_or(true)
                || weak(&ty.key)
                || ty.value.as_ref().is_some_and(weak),
            ephemeral: ephemeral.unwrap_or(false),
            ty,
        })
    }

    fn column_type(self, json: Value) -> Result<ColumnType, SchemaError> {
        if let Value::String(name) = json {
            return Ok(ColumnType::scalar(read_atom_type(name)?));
        }
        let mut members = Members::of(json)?;
        let key = members.required("key", TYPE)?;
        let value = members.any("value");
        let min = members.optional("min", INTEGER)?;
        let max = members.any("max");
        self.finish(members)?;
        let base = |json, which| {
            self.base_type(json)
                .map_err(|error: SchemaError| error.within(which))
        };
        let (key, value) = (
            base(key, "key")?,
            value.map(|value| base(value, "value")).transpose()?,
        );
        let cardinality = || SchemaError::new(SchemaProblem::Cardinality);
        let min = match min.unwrap_or(1) {
            0 => 0,
            1 => 1,
            _ => return Err(cardinality()),
        };
        let max = match max {
            None => Some(1),
            Some(Value::String(unlimited)) if unlimited == "unlimited" => None,
            Some(max) => {
                let count = integer(&max).filter(|max| (1..UNLIMITED).contains(max));
                let count = count.and_then(|max| usize::try_from(max).ok());
                Some(count.ok_or_else(cardinality)?)
            }
        };
        Ok(ColumnType {
            key,
            value,
            min,
            max,
        })
    }

    fn base_type(self, json: Value) -> Result<BaseType, SchemaError> {
        if let Value::String(name) = json {
            return Ok(BaseType::plain(read_atom_type(name)?));
        }
        let mut members = Members::of(json)?;
        let mut base = BaseType::plain(read_atom_type(members.required("type", STRING)?)?);
        match (members.any("enum"), base.atom_type) {
            // An enumeration rules out every other constraint.
            (Some(values), _) => base.allowed = Some(read_enumeration(&base, values)?),
            (None, AtomType::Integer) => {
                base.min = members.optional("minInteger", INTEGER)?.map(Atom::Integer);
                base.max = members.optional("maxInteger", INTEGER)?.map(Atom::Integer);
                in_order(&base.min, &base.max, "minInteger", "maxInteger")?;
                base.drop_idle_bounds(Atom::Integer(i64::MIN), Atom::Integer(i64::MAX));
            }
            (None, AtomType::Real) => {
                base.min = members.optional("minReal", NUMBER)?.map(Atom::Real);
                base.max = members.optional("maxReal", NUMBER)?.map(Atom::Real);
                in_order(&base.min, &base.max, "minReal", "maxReal")?;
                base.drop_idle_bounds(Atom::Real(f64::MIN), Atom::Real(f64::MAX));
            }
            (None, AtomType::String) => {
                let min = members.optional("minLength", LENGTH)?;
                let max = members.optional("maxLength", LENGTH)?;
                in_order(&min, &max, "minLength", "maxLength")?;
                base.min_length = min.unwrap_or(0);
                base.max_length = max.filter(|max| *max < UNLIMITED as usize);
            }
            (None, AtomType::Uuid) => {
                if let Some(table) = members.optional("refTable", IDENTIFIER)? {
                    let strong = match members.optional("refType", STRING)?.as_deref() {
                        None | Some("strong") => true,
                        Some("weak") => false,
                        Some(name) => {
                            let name = name.to_owned();
                            return Err(SchemaError::new(SchemaProblem::ReferenceType { name }));
                        }
                    };
                    base.reference = Some(Reference { table, strong });
                }
            }
            (None, AtomType::Boolean) => {}
        }
        self.finish(members)?;
        Ok(base)
    }
}

impl BaseType {
    /// Forgets bounds that every number keeps.
    fn drop_idle_bounds(&mut self, least: Atom, largest: Atom) {
        self.min.take_if(|min| *min == least);
        self.max.take_if(|max| *max == largest);
    }
}

fn read_atom_type(name: String) -> Result<AtomType, SchemaError> {
    match name.as_str() {
        "integer" => Ok(AtomType::Integer),
        "real" => Ok(AtomType::Real),
        "boolean" => Ok(AtomType::Boolean),
        "string" => Ok(AtomType::String),
        "uuid" => Ok(AtomType::Uuid),
        _ => Err(SchemaError::new(SchemaProblem::AtomicType { name })),
    }
}

fn in_order<T: PartialOrd>(
    low: &Option<T>,
    high: &Option<T>,
    min: &'static str,
    max: &'static str,
) -> Result<(), SchemaError> {
    match (low, high) {
        (Some(low), Some(high)) if low > high => {
            Err(SchemaError::new(SchemaProblem::Bounds { min, max }))
        }
        _ => Ok(()),
    }
}

fn read_enumeration(base: &BaseType, values: Value) -> Result<Vec<Atom>, SchemaError> {
    let values: Datum = serde_json::from_value(values)
        .map_err(|_| SchemaError::new(SchemaProblem::EnumerationForm))?;
    let set = ColumnType {
        key: base.clone(),
        value: None,
        min: 1,
        max: None,
    };
    set.check(&values)
        .map_err(|violation| SchemaError::new(SchemaProblem::Enumeration { violation }))?;
    Ok(set.canonical(values).set_iter().cloned().collect())
}

fn read_index(json: Value, columns: &BTreeMap<String, Column>) -> Result<Vec<String>, SchemaError> {
    let names = NAMES.read(json).ok_or_else(|| {
        SchemaError::new(SchemaProblem::Member {
            member: "indexes",
            expected: "an array of arrays of names",
        })
    })?;
    if names.is_empty() {
        return Err(SchemaError::new(SchemaProblem::EmptyIndex));
    }
    for (position, column) in names.iter().enumerate() {
        let name = || column.clone();
        let problem = match columns.get(column) {
            None => SchemaProblem::IndexedUnknown { column: name() },
            Some(_) if names[..position].contains(column) => {
                SchemaProblem::IndexedTwice { column: name() }
            }
            Some(found) if found.ephemeral => SchemaProblem::IndexedEphemeral { column: name() },
            Some(_) => continue,
        };
        return Err(SchemaError::new(problem));
    }
    Ok(names)
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        schema(json, Unknown::Ignored).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for ColumnType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Value::deserialize(deserializer)?;
        Unknown::Refused
            .column_type(json)
            .map_err(de::Error::custom)
    }
}
