//! Schemas in the normal form in which servers hold them and write them to files: what equals its
//! default is left out, an unconstrained type is a bare name.

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::column::{BaseType, Column, ColumnType};
use super::{Schema, Table};
use crate::value::{Atom, AtomType, Datum};

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        put(&mut object, "cksum", self.cksum.as_ref())?;
        object.serialize_entry("name", &self.name)?;
        // Where every table is a root, none says so: older readers know no roots.
        let default_root = self.tables.values().all(|table| table.is_root);
        let tables: BTreeMap<_, _> = self
            .tables
            .iter()
            .map(|(name, table)| (name, NormalTable(table, default_root)))
            .collect();
        object.serialize_entry("tables", &tables)?;
        put(
            &mut object,
            "version",
            Some(&self.version).filter(|version| !version.is_empty()),
        )?;
        object.end()
    }
}

/// Writes a member unless it is left out.
fn put<M: SerializeMap, T: Serialize>(
    object: &mut M,
    member: &'static str,
    value: Option<T>,
) -> Result<(), M::Error> {
    match value {
        Some(value) => object.serialize_entry(member, &value),
        None => Ok(()),
    }
}

/// Writes a member unless it has its default.
fn put_unless<M: SerializeMap, T: Serialize + PartialEq>(
    object: &mut M,
    member: &'static str,
    value: T,
    default: T,
) -> Result<(), M::Error> {
    put(
        object,
        member,
        Some(value).filter(|value| *value != default),
    )
}

/// A table, and whether tables are roots that do not say.
struct NormalTable<'a>(&'a Table, bool);

impl Serialize for NormalTable<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(table, default_root) = self;
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("columns", &table.columns)?;
        let indexes = Some(&table.indexes).filter(|indexes| !indexes.is_empty());
        put(&mut object, "indexes", indexes)?;
        put_unless(&mut object, "isRoot", table.is_root, *default_root)?;
        put(&mut object, "maxRows", table.max_rows)?;
        put_unless(&mut object, "mutable", table.mutable, true)?;
        object.end()
    }
}

impl Serialize for Column {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        put_unless(&mut object, "ephemeral", self.ephemeral, false)?;
        put_unless(&mut object, "mutable", self.mutable, true)?;
        object.serialize_entry("type", &self.ty)?;
        object.end()
    }
}

impl Serialize for ColumnType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_scalar() && self.key.is_plain() {
            return self.key.serialize(serializer);
        }
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("key", &self.key)?;
        match self.max {
            Some(max) => put_unless(&mut object, "max", max, 1)?,
            None => object.serialize_entry("max", "unlimited")?,
        }
        put_unless(&mut object, "min", self.min, 1)?;
        put(&mut object, "value", self.value.as_ref())?;
        object.end()
    }
}

impl BaseType {
    fn is_plain(&self) -> bool {
        *self == Self::plain(self.atom_type)
    }
}

impl Serialize for BaseType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = self.atom_type.to_string();
        if self.is_plain() {
            return name.serialize(serializer);
        }
        let mut object = serializer.serialize_map(None)?;
        put(
            &mut object,
            "enum",
            self.allowed.as_deref().map(enumeration),
        )?;
        let (min, max) = match self.atom_type {
            AtomType::Real => ("minReal", "maxReal"),
            _ => ("minInteger", "maxInteger"),
        };
        put(&mut object, max, self.max.as_ref())?;
        put(&mut object, "maxLength", self.max_length)?;
        put(&mut object, min, self.min.as_ref())?;
        put_unless(&mut object, "minLength", self.min_length, 0)?;
        if let Some(reference) = &self.reference {
            object.serialize_entry("refTable", &reference.table)?;
            put(
                &mut object,
                "refType",
                (!reference.strong).then_some("weak"),
            )?;
        }
        object.serialize_entry("type", &name)?;
        object.end()
    }
}

/// A single value stands without its set.
fn enumeration(allowed: &[Atom]) -> Datum {
    match allowed {
        [single] => Datum::Atom(single.clone()),
        several => Datum::Set(several.to_vec()),
    }
}
