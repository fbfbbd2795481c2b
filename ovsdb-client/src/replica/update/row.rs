//! What an update says of one row.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::{Name, RowUpdate, Values};
use crate::replica::layout::Layout;

/// Reads a row update of `update2` and `update3`: one member that says what happened.
pub(super) struct Tagged<'a>(pub(super) &'a Layout);

/// What happened.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Initial,
    Insert,
    Modify,
    Delete,
}

impl<'de> DeserializeSeed<'de> for Tagged<'_> {
    type Value = RowUpdate;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<RowUpdate, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Tagged<'_> {
    type Value = RowUpdate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with one of initial, insert, modify and delete")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<RowUpdate, A::Error> {
        let kind = members
            .next_key()?
            .ok_or_else(|| Error::invalid_length(0, &self))?;
        let update = match kind {
            Kind::Initial | Kind::Insert => {
                RowUpdate::Insert(members.next_value_seed(ValuesSeed(self.0))?)
            }
            Kind::Modify => RowUpdate::Modify(members.next_value_seed(ValuesSeed(self.0))?),
            Kind::Delete => {
                members.next_value::<IgnoredAny>()?;
                RowUpdate::Delete
            }
        };
        match members.next_key::<IgnoredAny>()? {
            None => Ok(update),
            Some(_) => Err(Error::invalid_length(2, &self)),
        }
    }
}

/// Reads a row update of `update`: the row before, the row after, or both.
pub(super) struct OldAndNew<'a>(pub(super) &'a Layout);

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Side {
    Old,
    New,
}

impl<'de> DeserializeSeed<'de> for OldAndNew<'_> {
    type Value = RowUpdate;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<RowUpdate, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OldAndNew<'_> {
    type Value = RowUpdate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with old, new, or both")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<RowUpdate, A::Error> {
        let (mut old, mut new) = (false, None);
        while let Some(side) = members.next_key()? {
            match side {
                Side::Old => {
                    members.next_value::<IgnoredAny>()?;
                    old = true;
                }
                Side::New => new = Some(members.next_value_seed(ValuesSeed(self.0))?),
            }
        }
        match (old, new) {
            (false, Some(row)) => Ok(RowUpdate::Insert(row)),
            (true, Some(row)) => Ok(RowUpdate::Replace(row)),
            (true, None) => Ok(RowUpdate::Delete),
            (false, None) => Err(Error::invalid_length(0, &self)),
        }
    }
}

/// Reads a row into places and canonical values.
struct ValuesSeed<'a>(&'a Layout);

impl<'de> DeserializeSeed<'de> for ValuesSeed<'_> {
    type Value = Values;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Values, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ValuesSeed<'_> {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a value for each column")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut columns: A) -> Result<Values, A::Error> {
        let mut values = Values::new();
        while let Some(Name(column)) = columns.next_key()? {
            let Some(position) = self.0.position(&column) else {
                return Err(Error::custom(format_args!(
                    "column {column} is not monitored"
                )));
            };
            let datum = self.0.types[position].canonical(columns.next_value()?);
            values.push((position, datum));
        }
        Ok(values)
    }
}
