//! The spellings of a type: RFC 7047 §3.2 `<type>` and `<base-type>`.

use serde::Deserialize;

use super::column::{BaseType, ColumnType, Reference};
use crate::value::{Atom, AtomType, Datum};

/// A column's type as it is written: the name of a scalar type, or an object.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum ColumnTypeJson {
    Atom(AtomType),
    Full(Box<FullType>),
}

#[derive(Deserialize)]
pub(super) struct FullType {
    key: BaseType,
    value: Option<BaseType>,
    min: Option<usize>,
    max: Option<Max>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Max {
    Count(usize),
    Unlimited(Unlimited),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Unlimited {
    Unlimited,
}

impl From<ColumnTypeJson> for ColumnType {
    fn from(json: ColumnTypeJson) -> Self {
        match json {
            ColumnTypeJson::Atom(atom_type) => Self {
                key: BaseType::plain(atom_type),
                value: None,
                min: 1,
                max: Some(1),
            },
            ColumnTypeJson::Full(full) => Self {
                key: full.key,
                value: full.value,
                min: full.min.unwrap_or(1),
                max: match full.max {
                    None => Some(1),
                    Some(Max::Count(count)) => Some(count),
                    Some(Max::Unlimited(Unlimited::Unlimited)) => None,
                },
            },
        }
    }
}

/// A base type as it is written: the name of a type, or an object.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum BaseTypeJson {
    Atom(AtomType),
    Full(Box<FullBaseType>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FullBaseType {
    r#type: AtomType,
    r#enum: Option<Datum>,
    #[serde(alias = "minInteger", alias = "minReal")]
    min: Option<Atom>,
    #[serde(alias = "maxInteger", alias = "maxReal")]
    max: Option<Atom>,
    #[serde(default)]
    min_length: usize,
    max_length: Option<usize>,
    ref_table: Option<String>,
    #[serde(default)]
    ref_type: ReferenceType,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "lowercase")]
enum ReferenceType {
    #[default]
    Strong,
    Weak,
}

impl From<BaseTypeJson> for BaseType {
    fn from(json: BaseTypeJson) -> Self {
        let full = match json {
            BaseTypeJson::Atom(atom_type) => return Self::plain(atom_type),
            BaseTypeJson::Full(full) => *full,
        };
        let plain = Self::plain(full.r#type);
        let canonical = |atom: Atom| plain.canonical(atom);
        Self {
            allowed: full
                .r#enum
                .map(|values| values.set_iter().cloned().map(canonical).collect()),
            min: full.min.map(canonical),
            max: full.max.map(canonical),
            min_length: full.min_length,
            max_length: full.max_length,
            reference: full.ref_table.map(|table| Reference {
                table,
                strong: full.ref_type == ReferenceType::Strong,
            }),
            ..plain
        }
    }
}
