//! Updates as they arrive, read straight into the layout of their tables.
//!
//! Three generations of the protocol are in use: `update` with whole rows (RFC 7047 §4.1.6), `update2`
//! with differences, `update3` with the transaction besides (ovsdb-server(7) §4.1.12 to §4.1.15).

mod row;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::layout::{Layout, Layouts};
use crate::value::{Datum, Row};
use row::{RowSeed, ValuesSeed};

/// How a monitor was asked for, hence how it is kept up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// `monitor` and `update`: no conditions.
    Monitor,
    /// `monitor_cond` and `update2`.
    MonitorCond,
    /// `monitor_cond_since` and `update3`: resumes where an earlier session ended.
    MonitorCondSince,
}

impl Protocol {
    /// The method that begins a monitor.
    pub(crate) fn request(self) -> &'static str {
        match self {
            Self::Monitor => "monitor",
            Self::MonitorCond => "monitor_cond",
            Self::MonitorCondSince => "monitor_cond_since",
        }
    }

    /// The protocol whose updates have this method.
    pub(crate) fn of_update(method: &str) -> Option<Self> {
        match method {
            "update" => Some(Self::Monitor),
            "update2" => Some(Self::MonitorCond),
            "update3" => Some(Self::MonitorCondSince),
            _ => None,
        }
    }

    /// The one before, for servers that do not know this one.
    pub(crate) fn older(self) -> Option<Self> {
        match self {
            Self::Monitor => None,
            Self::MonitorCond => Some(Self::Monitor),
            Self::MonitorCondSince => Some(Self::MonitorCond),
        }
    }
}

/// The changes of one transaction.
pub(super) type Updates = Vec<TableUpdate>;

/// The changes of one table.
#[derive(Debug)]
pub(super) struct TableUpdate {
    pub(super) table: Arc<str>,
    pub(super) rows: Vec<(Uuid, RowUpdate)>,
}

/// What happened to one row. Values are canonical.
#[derive(Debug, PartialEq)]
pub(super) enum RowUpdate {
    /// It was there when the monitor began, is new, or meets the conditions now.
    Insert(Arc<Row>),
    /// It changed: for sets and maps the difference, for other columns the new value.
    Modify(Values),
    /// It changed, and this is all of it.
    Replace(Arc<Row>),
    /// It is gone, or no longer meets the conditions.
    Delete,
}

/// Values with their places in the row.
pub(super) type Values = Vec<(usize, Datum)>;

/// The answer to a request for a monitor.
#[derive(Debug)]
pub(super) struct Initial {
    /// Whether the contents are what changed since the transaction that was named.
    pub(super) resumed: bool,
    /// The last transaction that the contents include; nil when the server counts none.
    pub(super) transaction: Uuid,
    /// The contents.
    pub(super) updates: Updates,
}

/// Reads the result of a request for a monitor.
pub(super) fn initial(
    layouts: &Layouts,
    protocol: Protocol,
    result: &RawValue,
) -> serde_json::Result<Initial> {
    let updates = TableUpdatesSeed { layouts, protocol };
    let mut json = serde_json::Deserializer::from_str(result.get());
    match protocol {
        Protocol::MonitorCondSince => {
            let (resumed, transaction, updates) =
                json.deserialize_seq(Elements::<bool, Uuid>::before(updates))?;
            Ok(Initial {
                resumed,
                transaction,
                updates,
            })
        }
        Protocol::Monitor | Protocol::MonitorCond => Ok(Initial {
            resumed: false,
            transaction: Uuid::nil(),
            updates: updates.deserialize(&mut json)?,
        }),
    }
}

/// Reads the parameters of an update; the transaction is nil where the protocol does not tell it.
pub(super) fn update(
    layouts: &Layouts,
    protocol: Protocol,
    params: &RawValue,
) -> serde_json::Result<(Uuid, Updates)> {
    let updates = TableUpdatesSeed { layouts, protocol };
    let mut json = serde_json::Deserializer::from_str(params.get());
    match protocol {
        Protocol::MonitorCondSince => {
            let elements = Elements::<IgnoredAny, Uuid>::before(updates);
            let (_monitor, transaction, updates) = json.deserialize_seq(elements)?;
            Ok((transaction, updates))
        }
        Protocol::Monitor | Protocol::MonitorCond => {
            let elements = Elements::<IgnoredAny, Absent>::before(updates);
            let (_monitor, Absent, updates) = json.deserialize_seq(elements)?;
            Ok((Uuid::nil(), updates))
        }
    }
}

/// An array of two leading elements and the updates.
struct Elements<'a, A, B> {
    updates: TableUpdatesSeed<'a>,
    leading: std::marker::PhantomData<(A, B)>,
}

impl<'a, A, B> Elements<'a, A, B> {
    fn before(updates: TableUpdatesSeed<'a>) -> Self {
        Self {
            updates,
            leading: std::marker::PhantomData,
        }
    }
}

/// A leading element that may not be there.
trait Leading: Sized {
    fn read<'de, S: SeqAccess<'de>>(elements: &mut S) -> Result<Self, S::Error>;
}

/// The element that older updates lack.
struct Absent;

impl Leading for Absent {
    fn read<'de, S: SeqAccess<'de>>(_: &mut S) -> Result<Self, S::Error> {
        Ok(Self)
    }
}

macro_rules! leading {
    ($($element:ty),*) => {$(
        impl Leading for $element {
            fn read<'de, S: SeqAccess<'de>>(elements: &mut S) -> Result<Self, S::Error> {
                elements.next_element()?.ok_or_else(too_short)
            }
        }
    )*};
}

leading!(bool, IgnoredAny, Uuid);

fn too_short<E: Error>() -> E {
    E::custom("an array ends too early")
}

impl<'de, A: Leading, B: Leading> Visitor<'de> for Elements<'_, A, B> {
    type Value = (A, B, Updates);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array that ends with updates of tables")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut elements: S) -> Result<Self::Value, S::Error> {
        let (first, second) = (A::read(&mut elements)?, B::read(&mut elements)?);
        let updates = elements
            .next_element_seed(self.updates)?
            .ok_or_else(too_short)?;
        Ok((first, second, updates))
    }
}

/// Reads `{table: {uuid: update}}`.
#[derive(Clone, Copy)]
struct TableUpdatesSeed<'a> {
    layouts: &'a Layouts,
    protocol: Protocol,
}

impl<'de> DeserializeSeed<'de> for TableUpdatesSeed<'_> {
    type Value = Updates;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Updates, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TableUpdatesSeed<'_> {
    type Value = Updates;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the updates of each table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut tables: A) -> Result<Updates, A::Error> {
        let mut updates = Updates::new();
        while let Some(Name(table)) = tables.next_key()? {
            let Some((name, layout)) = self.layouts.get_key_value(&*table) else {
                return Err(Error::custom(format_args!(
                    "table {table} is not monitored"
                )));
            };
            let rows = tables.next_value_seed(RowsSeed {
                layout,
                protocol: self.protocol,
            })?;
            updates.push(TableUpdate {
                table: Arc::clone(name),
                rows,
            });
        }
        Ok(updates)
    }
}

/// A member's name, borrowed from the text where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads `{uuid: update}`.
#[derive(Clone, Copy)]
struct RowsSeed<'a> {
    layout: &'a Layout,
    protocol: Protocol,
}

impl<'de> DeserializeSeed<'de> for RowsSeed<'_> {
    type Value = Vec<(Uuid, RowUpdate)>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowsSeed<'_> {
    type Value = Vec<(Uuid, RowUpdate)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the update of each row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut rows = Vec::new();
        while let Some(uuid) = entries.next_key()? {
            let update = match self.protocol {
                Protocol::Monitor => entries.next_value_seed(OldAndNew(self.layout))?,
                _ => entries.next_value_seed(Tagged(self.layout))?,
            };
            rows.push((uuid, update));
        }
        Ok(rows)
    }
}

/// Reads a row update of `update2` and `update3`: one member that says what happened.
struct Tagged<'a>(&'a Layout);

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
                RowUpdate::Insert(members.next_value_seed(RowSeed(self.0))?)
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
struct OldAndNew<'a>(&'a Layout);

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
                Side::New => new = Some(members.next_value_seed(RowSeed(self.0))?),
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
