//! What a cluster needs of its databases, in rows that somebody else has made.

use std::collections::{BTreeSet, HashMap, HashSet};

use ovsdb_client::Schema;
use ovsdb_client::file::{Contents, InvalidRows, Problem};
use ovsdb_client::schema::{Reference, Table};
use ovsdb_client::value::{Atom, Datum, Row};
use thiserror::Error;
use uuid::Uuid;

use super::told;
use crate::topology::TableRow;

/// Columns that say how far northd and the controllers have come.
const PROGRESS: [&str; 6] = [
    "nb_cfg",
    "nb_cfg_timestamp",
    "sb_cfg",
    "sb_cfg_timestamp",
    "hv_cfg",
    "hv_cfg_timestamp",
];

/// References from a port binding to the chassis that have it.
const BOUND_TO: [&str; 2] = ["chassis", "additional_chassis"];

/// Tables whose rows are what one chassis has learnt or seen. IGMP groups of several chassis would be equal in an index
/// without these.
const OF_ONE_CHASSIS: [&str; 2] = ["IGMP_Group", "Controller_Event"];

/// The rows of a database and what the cluster needs do not fit together.
#[derive(Debug, Error)]
pub(crate) enum MergeProblem {
    /// A row does not fit the schema.
    #[error("{database} has no place for what the cluster needs: {problem}")]
    Row {
        /// Name of the database.
        database: String,
        /// What does not fit.
        problem: Box<Problem>,
    },
    /// Rows contradict each other.
    #[error("{database} contradicts what the cluster needs: {}", told(rows))]
    Rows {
        /// Name of the database.
        database: String,
        /// In what way.
        rows: InvalidRows,
    },
}

impl MergeProblem {
    fn row(database: &str, problem: Problem) -> Self {
        Self::Row {
            database: database.to_owned(),
            problem: Box::new(problem),
        }
    }
}

/// What becomes of a row where the database has one that stands for the same.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// It replaces all that are there.
    Replace,
    /// Its columns are put over those that are there, and its pairs into maps.
    Overlay,
    /// The other row counts.
    Yield,
}

impl Rule {
    fn of(table: &str) -> Self {
        match table {
            "Connection" | "SSL" | "Encap" => Self::Replace,
            "Chassis" => Self::Overlay,
            _ if table.ends_with("_Global") => Self::Overlay,
            _ => Self::Yield,
        }
    }
}

/// Whether no row of a table outlasts [`merge`].
pub(super) fn is_replaced(table: &str) -> bool {
    matches!(table, "Connection" | "SSL" | "Chassis_Private")
}

/// Puts the rows that a cluster needs into a database, and makes it begin anew.
///
/// - The row of `NB_Global` or `SB_Global`, and a chassis of the same name, keep what is not set in `rows`, and the
///   pairs in their maps. Connections, TLS and the encapsulations of such a chassis become those in `rows`.
/// - Any other row is inserted, unless there is one with the same UUID, the same name or the same values in an index:
///   then that one counts, and gets the new ports and the like that the other one would have had.
/// - What was acknowledged or is up was so in another cluster: counters become 0, ports are not up, and there is no
///   row of `Chassis_Private`, which would say that a controller has registered.
///
/// # Errors
/// [`MergeProblem`]; the contents may be half changed then.
pub(crate) fn merge(contents: &mut Contents, rows: Vec<TableRow>) -> Result<(), MergeProblem> {
    let database = contents.schema().name().to_owned();
    put(contents, rows)
        .and_then(|()| begin_anew(contents))
        .map_err(|problem| MergeProblem::row(&database, problem))?;
    contents
        .check()
        .map_err(|rows| MergeProblem::Rows { database, rows })
}

fn put(contents: &mut Contents, rows: Vec<TableRow>) -> Result<(), Problem> {
    let schema = contents.schema().clone();
    let same = same_rows(contents, &schema, &rows);
    for (table, uuid, row) in rows {
        let rule = Rule::of(table);
        let there = same.get(&uuid).copied();
        match there.and_then(|there| Some((there, contents.row(table, there)?))) {
            Some((there, _)) if rule == Rule::Replace => {
                contents.remove(table, there)?;
                contents.insert_as(table, uuid, row)?;
            }
            Some((there, old)) if rule == Rule::Overlay => {
                let columns = schema.table(table);
                let has_tls = columns.is_some_and(|columns| columns.column("ssl").is_some());
                let mut new = overlay(&old, row);
                if has_tls && new.get("ssl").is_none() {
                    new.insert("ssl", Datum::empty());
                }
                contents.update(table, there, new)?;
            }
            Some((there, old)) => {
                let adopted = adopt(&schema, table, &old, row, &same);
                contents.update(table, there, adopted)?;
            }
            None => {
                let row = redirect(&schema, table, row, &same);
                contents.insert_as(table, uuid, row)?;
            }
        }
    }
    contents.settle();
    Ok(())
}

/// Which rows stand for the same: those that are there, by the UUIDs of those that are to come.
fn same_rows(contents: &Contents, schema: &Schema, rows: &[TableRow]) -> HashMap<Uuid, Uuid> {
    let mut known: HashMap<&str, Known> = HashMap::new();
    let mut same = HashMap::new();
    for (table, uuid, row) in rows {
        let Some(columns) = schema.table(table) else {
            continue;
        };
        let there = if contents.row(table, *uuid).is_some() {
            Some(*uuid)
        } else if Rule::of(table) == Rule::Replace {
            None
        } else {
            let known = known
                .entry(table)
                .or_insert_with(|| Known::new(contents, table, columns));
            known.find(columns, row)
        };
        same.extend(there.map(|there| (*uuid, there)));
    }
    same
}

/// The rows of a table by what tells them apart.
struct Known {
    /// The columns of each index, and the name.
    keys: Vec<Vec<String>>,
    /// By the number of a key and the values in its columns.
    rows: HashMap<(usize, Vec<Datum>), Uuid>,
    /// The only row that the table may have.
    only: Option<Uuid>,
}

impl Known {
    fn new(contents: &Contents, table: &str, columns: &Table) -> Self {
        let mut keys = columns.indexes().to_vec();
        let name = vec!["name".to_owned()];
        if columns.column("name").is_some() && !keys.contains(&name) {
            keys.push(name);
        }
        let mut known = Self {
            keys,
            rows: HashMap::new(),
            only: None,
        };
        for (uuid, row) in contents.rows(table) {
            for key in known.keys_of(columns, &row) {
                known.rows.entry(key).or_insert(uuid);
            }
            known.only = known.only.or(Some(uuid));
        }
        known.only = known.only.filter(|_| columns.max_rows() == Some(1));
        known
    }

    fn find(&self, columns: &Table, row: &Row) -> Option<Uuid> {
        let keys = self.keys_of(columns, row);
        let mut found = keys.iter().filter_map(|key| self.rows.get(key)).copied();
        self.only.or_else(|| found.next())
    }

    /// The values of a row in each key, by the key's number. A row without a name is not known by it.
    fn keys_of(&self, columns: &Table, row: &Row) -> Vec<(usize, Vec<Datum>)> {
        let value = |column: &String| {
            let ty = columns.column(column)?.column_type();
            let given = row.get(column).cloned();
            Some(given.map_or_else(|| ty.default_datum(), |datum| ty.canonical(datum)))
        };
        let values = |key: &Vec<String>| key.iter().filter_map(value).collect();
        let indexes = columns.indexes().len();
        let keys = self.keys.iter().map(values).enumerate();
        keys.filter(|(number, values): &(usize, Vec<Datum>)| {
            let named = |datum: &Datum| datum.as_str().is_some_and(|name| !name.is_empty());
            *number < indexes || values.iter().all(named)
        })
        .collect()
    }
}

/// New columns of a row: of maps those that it had with others put over them.
fn overlay(old: &Row, row: Row) -> Row {
    row.into_iter()
        .map(|(column, datum)| {
            let datum = match (old.get(&column), datum) {
                (Some(Datum::Map(before)), Datum::Map(pairs)) => {
                    let mut merged = before.clone();
                    merged.extend(pairs);
                    Datum::Map(merged)
                }
                (_, datum) => datum,
            };
            (column, datum)
        })
        .collect()
}

/// Columns of a row that was there already, with references to the new rows that live by these references alone.
fn adopt(schema: &Schema, table: &str, old: &Row, row: Row, same: &HashMap<Uuid, Uuid>) -> Row {
    let columns = row.into_iter().filter_map(|(column, datum)| {
        let to = reference(schema, table, &column)?;
        if !to.strong || schema.is_root(&to.table) {
            return None;
        }
        let new: Vec<Atom> = datum
            .set_iter()
            .filter(|atom| atom.as_uuid().is_some_and(|uuid| !same.contains_key(&uuid)))
            .cloned()
            .collect();
        if new.is_empty() {
            return None;
        }
        let before = old.get(&column).into_iter().flat_map(Datum::set_iter);
        let all = Datum::set(before.cloned().chain(new));
        Some((column, all))
    });
    columns.collect()
}

/// A new row whose references lead to the rows that were there already. A port or the like stays with who has it.
fn redirect(schema: &Schema, table: &str, row: Row, same: &HashMap<Uuid, Uuid>) -> Row {
    row.into_iter()
        .map(|(column, datum)| {
            let datum = match (reference(schema, table, &column), datum) {
                (Some(to), datum @ (Datum::Atom(_) | Datum::Set(_))) => {
                    let shared = schema.is_root(&to.table) || Rule::of(&to.table) == Rule::Replace;
                    let atoms = datum.set_iter().filter_map(|atom| {
                        let uuid = atom.as_uuid()?;
                        match same.get(&uuid) {
                            Some(there) => shared.then_some(*there),
                            None => Some(uuid),
                        }
                    });
                    Datum::set(atoms)
                }
                (_, datum) => datum,
            };
            (column, datum)
        })
        .collect()
}

/// Where the elements of a column lead.
fn reference<'a>(schema: &'a Schema, table: &str, column: &str) -> Option<&'a Reference> {
    let column = schema.table(table)?.column(column)?;
    column.column_type().key.reference.as_ref()
}

/// Forgets what was acknowledged and what was up.
fn begin_anew(contents: &mut Contents) -> Result<(), Problem> {
    let schema = contents.schema().clone();
    for (table, columns) in schema.tables() {
        if table == "Chassis" || table.ends_with("_Global") {
            let counters = PROGRESS
                .into_iter()
                .filter(|column| columns.column(column).is_some());
            let zeros: Row = counters.map(|column| (column, 0)).collect();
            for uuid in uuids(contents, table, |_| true) {
                contents.update(table, uuid, zeros.clone())?;
            }
        }
    }
    for uuid in uuids(contents, "Chassis_Private", |_| true) {
        contents.remove("Chassis_Private", uuid)?;
    }
    let is_up = |row: &Row| row.bool("up") == Some(true);
    for uuid in uuids(contents, "Logical_Switch_Port", is_up) {
        let down = Row::new().set("up", false);
        contents.update("Logical_Switch_Port", uuid, down)?;
    }
    // What is up without a chassis is so because northd says it, and no controller would say it again.
    unbind(contents, |_| true)
}

/// Takes the chassis away that will not exist, so that no tunnels are made to them: all but those of the given names.
/// What refers to them goes with them or does without them.
///
/// # Errors
/// [`MergeProblem`]; the contents may be half changed then.
pub(crate) fn evict_chassis(
    contents: &mut Contents,
    kept: &BTreeSet<&str>,
) -> Result<(), MergeProblem> {
    let database = contents.schema().name().to_owned();
    evict(contents, kept).map_err(|problem| MergeProblem::row(&database, problem))
}

fn evict(contents: &mut Contents, kept: &BTreeSet<&str>) -> Result<(), Problem> {
    let stale = |row: &Row| row.str("name").is_none_or(|name| !kept.contains(name));
    let gone: HashSet<Uuid> = uuids(contents, "Chassis", stale).into_iter().collect();
    unbind(contents, |chassis| gone.contains(&chassis))?;
    for table in OF_ONE_CHASSIS {
        let theirs = |row: &Row| row.uuids("chassis").any(|chassis| gone.contains(&chassis));
        for uuid in uuids(contents, table, theirs) {
            contents.remove(table, uuid)?;
        }
    }
    for uuid in uuids(contents, "Chassis_Private", stale) {
        contents.remove("Chassis_Private", uuid)?;
    }
    for uuid in gone {
        contents.remove("Chassis", uuid)?;
    }
    contents.settle();
    Ok(())
}

/// Says of ports that a chassis has that they are not up, which nobody would say while it is not there.
fn unbind(contents: &mut Contents, by: impl Fn(Uuid) -> bool) -> Result<(), Problem> {
    let bound = |row: &Row| {
        let mut chassis = BOUND_TO.into_iter().flat_map(|column| row.uuids(column));
        row.bool("up") == Some(true) && chassis.any(&by)
    };
    for uuid in uuids(contents, "Port_Binding", bound) {
        contents.update("Port_Binding", uuid, Row::new().set("up", false))?;
    }
    Ok(())
}

fn uuids(contents: &Contents, table: &str, which: impl Fn(&Row) -> bool) -> Vec<Uuid> {
    let rows = contents.rows(table).filter(|(_, row)| which(row));
    rows.map(|(uuid, _)| uuid).collect()
}

#[cfg(test)]
mod tests;
