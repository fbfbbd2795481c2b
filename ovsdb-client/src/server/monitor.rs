//! What clients follow: `monitor` of RFC 7047 §4.1.5, `monitor_cond` and `monitor_cond_since` of
//! ovsdb-server(7).

#[cfg(test)]
mod tests;
mod update;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::condition::Filter;
use super::database::{Database, Table};
use super::failure::Failure;
use super::transact::RowDelta;
use crate::transaction::Condition;

pub(super) use update::json_of;
use update::{Change, Told};

/// The dialect in which a monitor is told of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `update`: rows before and after.
    Update,
    /// `update2`: differences.
    Update2,
    /// `update3`: differences, and after which transaction.
    Update3,
}

impl Dialect {
    pub(super) fn of_request(method: &str) -> Option<Self> {
        match method {
            "monitor" => Some(Self::Update),
            "monitor_cond" => Some(Self::Update2),
            "monitor_cond_since" => Some(Self::Update3),
            _ => None,
        }
    }

    pub(super) fn notification(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Update2 => "update2",
            Self::Update3 => "update3",
        }
    }
}

/// One monitor of one session.
#[derive(Debug)]
pub(super) struct Monitor {
    pub(super) id: Value,
    pub(super) database: String,
    pub(super) dialect: Dialect,
    tables: BTreeMap<usize, Watched>,
}

/// What is followed of one table.
#[derive(Debug)]
struct Watched {
    columns: BTreeMap<String, Select>,
    /// What is followed of any column.
    select: Select,
    filter: Filter,
    /// Columns that conditions look at. A change of one is a modification, though an empty one when
    /// the column itself is not followed; the server remembers those of former conditions too.
    examined: BTreeSet<String>,
}

/// The kinds of change that are followed: RFC 7047 §4.1.5 `<monitor-select>`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Select {
    initial: bool,
    insert: bool,
    delete: bool,
    modify: bool,
}

impl Default for Select {
    fn default() -> Self {
        Self {
            initial: true,
            insert: true,
            delete: true,
            modify: true,
        }
    }
}

impl Select {
    const NOTHING: Self = Self {
        initial: false,
        insert: false,
        delete: false,
        modify: false,
    };

    fn or(self, other: Self) -> Self {
        Self {
            initial: self.initial | other.initial,
            insert: self.insert | other.insert,
            delete: self.delete | other.delete,
            modify: self.modify | other.modify,
        }
    }

    fn has(self, change: Change) -> bool {
        match change {
            Change::Initial => self.initial,
            Change::Insert => self.insert,
            Change::Delete => self.delete,
            Change::Modify => self.modify,
        }
    }
}

/// `<monitor-request>`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    columns: Option<Vec<String>>,
    #[serde(default)]
    select: Select,
    #[serde(rename = "where")]
    conditions: Option<Vec<Condition>>,
}

fn parse<'de, T: Deserialize<'de>>(json: &'de Value) -> Result<T, Failure> {
    T::deserialize(json).map_err(|error| Failure::syntax(error.to_string()))
}

impl Monitor {
    /// Reads the requests of a new monitor.
    pub(super) fn new(
        database: &Database,
        dialect: Dialect,
        id: Value,
        requests: &Value,
    ) -> Result<Self, Failure> {
        let Value::Object(requests) = requests else {
            return Err(Failure::syntax("the monitor requests are no object"));
        };
        let mut tables = BTreeMap::new();
        for (name, requests) in requests {
            let Some(place) = database.place(name) else {
                return Err(Failure::syntax(format!("there is no table {name}")));
            };
            let table = &database.tables[place];
            let mut watched = Watched {
                columns: BTreeMap::new(),
                select: Select::NOTHING,
                filter: Filter::default(),
                examined: BTreeSet::new(),
            };
            let requests = match requests {
                Value::Array(requests) => requests.as_slice(),
                request => std::slice::from_ref(request),
            };
            for (number, request) in requests.iter().enumerate() {
                let request: Request = parse(request)?;
                if dialect == Dialect::Update && request.conditions.is_some() {
                    return Err(Failure::syntax("a plain monitor takes no conditions"));
                }
                let conditions = request.conditions.as_deref().unwrap_or_default();
                let filter = Filter::read(table, conditions, None)?;
                watched.watch(table, request.columns, request.select)?;
                // The conditions of one table's requests are not kept apart: those of the first
                // count, for all columns.
                if number == 0 {
                    watched.set_filter(filter);
                }
            }
            tables.insert(place, watched);
        }
        Ok(Self {
            id,
            database: database.schema.name().to_owned(),
            dialect,
            tables,
        })
    }

    /// The parameters of a notification.
    pub(super) fn params(&self, update: Map<String, Value>, last_transaction: Uuid) -> Value {
        match self.dialect {
            Dialect::Update | Dialect::Update2 => json!([self.id, update]),
            Dialect::Update3 => json!([self.id, last_transaction, update]),
        }
    }

    /// The rows that are there now.
    pub(super) fn initial(&self, database: &Database) -> Map<String, Value> {
        self.compose(database, |watched, table, _| {
            let rows = table.rows.iter();
            rows.filter_map(|(uuid, row)| Some((*uuid, watched.beginning(row)?)))
                .collect()
        })
    }

    /// What changed.
    pub(super) fn update(&self, database: &Database, deltas: &[RowDelta]) -> Map<String, Value> {
        self.compose(database, |watched, _, place| {
            let deltas = deltas.iter().filter(|delta| delta.key.0 == place);
            let told = deltas.filter_map(|RowDelta { key, old, new }| {
                Some((key.1, watched.change(old.as_deref(), new.as_deref())?))
            });
            told.collect()
        })
    }

    /// Changes conditions, and returns which rows come and go by that.
    pub(super) fn change_conditions(
        &mut self,
        database: &Database,
        requests: &Value,
    ) -> Result<Map<String, Value>, Failure> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Request {
            #[serde(rename = "where")]
            conditions: Vec<Condition>,
        }

        let Value::Object(requests) = requests else {
            return Err(Failure::syntax("the requests are no object"));
        };
        let mut filters = BTreeMap::new();
        for (name, requests) in requests {
            let place = database
                .place(name)
                .filter(|place| self.tables.contains_key(place));
            let (Some(place), Value::Array(requests)) = (place, requests) else {
                return Err(Failure::syntax(format!(
                    "{name} is no monitored table, or comes without an array"
                )));
            };
            for request in requests {
                let request: Request = parse(request)?;
                let table = &database.tables[place];
                filters.insert(place, Filter::read(table, &request.conditions, None)?);
            }
        }
        if self.dialect == Dialect::Update {
            return Ok(Map::new());
        }
        let mut old_filters = BTreeMap::new();
        for (place, filter) in filters {
            if let Some(watched) = self.tables.get_mut(&place)
                && watched.filter != filter
            {
                old_filters.insert(place, watched.set_filter(filter));
            }
        }
        Ok(self.compose(database, |watched, table, place| {
            let Some(old_filter) = old_filters.get(&place) else {
                return Vec::new();
            };
            let rows = table.rows.iter();
            rows.filter_map(|(uuid, row)| Some((*uuid, watched.turn(old_filter, row)?)))
                .collect()
        }))
    }

    /// Writes down what `rows` finds in each table. Tables without rows are left out.
    fn compose<'a>(
        &'a self,
        database: &'a Database,
        rows: impl Fn(&'a Watched, &'a Table, usize) -> Vec<(Uuid, Told<'a>)>,
    ) -> Map<String, Value> {
        let mut tables = Map::new();
        for (&place, watched) in &self.tables {
            let table = &database.tables[place];
            let rows: Map<String, Value> = rows(watched, table, place)
                .into_iter()
                .map(|(uuid, told)| {
                    let change = watched.describe(table, self.dialect, told);
                    (uuid.to_string(), change)
                })
                .collect();
            if !rows.is_empty() {
                tables.insert(table.name.to_string(), Value::Object(rows));
            }
        }
        tables
    }
}

impl Watched {
    /// Adds what one request asks for.
    fn watch(
        &mut self,
        table: &Table,
        columns: Option<Vec<String>>,
        select: Select,
    ) -> Result<(), Failure> {
        self.select = self.select.or(select);
        let all = || {
            table
                .columns
                .keys()
                .filter(|name| *name != "_uuid")
                .cloned()
        };
        for column in columns.unwrap_or_else(|| all().collect()) {
            if !table.columns.contains_key(&column) {
                return Err(Failure::syntax(format!("there is no column {column}")));
            }
            if self.columns.insert(column, select).is_some() {
                return Err(Failure::syntax("a column is mentioned more than once"));
            }
        }
        Ok(())
    }

    /// Changes the conditions and returns the old ones.
    fn set_filter(&mut self, filter: Filter) -> Filter {
        self.examined.extend(filter.columns().map(str::to_owned));
        std::mem::replace(&mut self.filter, filter)
    }
}
