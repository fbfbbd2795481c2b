//! What a server would object to in the rows of a file.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use uuid::Uuid;

use super::references::{links, unreferenced};
use super::{At, Contents, default_of};
use crate::file::problem::{InvalidRows, Problem, ProblemKind};
use crate::schema::{ColumnType, Reference, Table, Violation};
use crate::value::{Atom, Datum, Row};

type Rows = BTreeMap<Uuid, Arc<Row>>;

/// Checks one value by itself.
pub(super) fn check_value(name: &str, ty: &ColumnType, datum: &Datum) -> Result<(), ProblemKind> {
    let column = || name.to_owned();
    let pairs = datum.map_iter().flat_map(|(key, value)| [key, value]);
    for atom in datum.set_iter().chain(pairs) {
        match atom {
            Atom::NamedUuid(name) => {
                let (column, name) = (column(), name.clone());
                return Err(ProblemKind::NamedUuid { column, name });
            }
            Atom::String(string) if string.contains('\0') => {
                let (column, string) = (column(), string.clone());
                return Err(ProblemKind::Nul { column, string });
            }
            _ => {}
        }
    }
    ty.check(datum).map_err(|violation| ProblemKind::Value {
        column: column(),
        violation,
    })
}

/// Reports everything that a server would refuse, drop or change on loading the rows.
pub(super) fn check(contents: &Contents) -> Result<(), InvalidRows> {
    let mut problems = dangling(contents, |_| true);
    let lost = unreferenced(contents).into_iter();
    problems
        .extend(lost.map(|(table, uuid)| At { table, uuid }.problem(ProblemKind::Unreferenced)));
    for (table, rows) in contents.stored() {
        if let Some(columns) = contents.schema().table(table) {
            check_defaults(table, columns, rows, &mut problems);
        }
    }
    problems.extend(not_unique(contents));
    none(problems)
}

/// Looks for strong references to rows that are not there: what a server refuses first.
pub(super) fn check_strong_references(contents: &Contents) -> Result<(), InvalidRows> {
    none(dangling(contents, |to| to.strong))
}

/// Looks for rows that are equal in an index, too many rows, and too few references left.
pub(super) fn check_uniqueness(contents: &Contents) -> Result<(), InvalidRows> {
    none(not_unique(contents))
}

fn none(problems: Vec<Problem>) -> Result<(), InvalidRows> {
    if problems.is_empty() {
        Ok(())
    } else {
        Err(InvalidRows { problems })
    }
}

/// References to rows that are not there, of those that `counts`.
fn dangling(contents: &Contents, counts: impl Fn(&Reference) -> bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (table, rows) in contents.stored() {
        let Some(columns) = contents.schema().table(table) else {
            continue;
        };
        for (&uuid, row) in rows {
            let links = links(columns, row).filter(|link| counts(link.to));
            problems.extend(links.filter_map(|link| {
                let targets = contents.tables.get(&link.to.table);
                let there = targets.is_some_and(|rows| rows.contains_key(&link.target));
                let kind = ProblemKind::Dangling {
                    column: link.column.to_owned(),
                    table: link.to.table.clone(),
                    target: link.target,
                };
                (!there).then(|| At { table, uuid }.problem(kind))
            }));
        }
    }
    problems
}

/// Not every default is allowed: a list of values may lack the empty string.
fn check_defaults(table: &str, columns: &Table, rows: &Rows, problems: &mut Vec<Problem>) {
    let forbidden: Vec<(&str, Violation)> = columns
        .columns()
        .filter_map(|(name, column)| {
            let ty = column.column_type();
            Some((name, ty.check(&default_of(ty)).err()?))
        })
        .collect();
    for (&uuid, row) in rows {
        let omitted = forbidden.iter().filter(|(name, _)| row.get(name).is_none());
        problems.extend(omitted.map(|(name, violation)| {
            let (column, violation) = ((*name).to_owned(), violation.clone());
            At { table, uuid }.problem(ProblemKind::Value { column, violation })
        }));
    }
}

fn not_unique(contents: &Contents) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (table, rows) in contents.stored() {
        if let Some(columns) = contents.schema().table(table) {
            check_count(table, columns, rows, &mut problems);
            check_pruned(table, columns, rows, &mut problems);
            check_indexes(table, columns, rows, &mut problems);
        }
    }
    problems
}

fn check_count(table: &str, columns: &Table, rows: &Rows, problems: &mut Vec<Problem>) {
    let count = rows.len();
    if let (Some(max), Some((&uuid, _))) = (columns.max_rows(), rows.last_key_value())
        && count as u64 > max
    {
        problems.push(At { table, uuid }.problem(ProblemKind::TooMany { count, max }));
    }
}

/// A column that must have an element may have lost it when weak references were dropped.
fn check_pruned(table: &str, columns: &Table, rows: &Rows, problems: &mut Vec<Problem>) {
    let demanding = columns
        .columns()
        .map(|(name, column)| (name, column.column_type()))
        .filter(|(_, ty)| ty.min > 0 && ty.key.reference.is_some());
    for (name, ty) in demanding {
        for (&uuid, row) in rows {
            if let Some(datum) = row.get(name)
                && let Err(kind) = check_value(name, ty, datum)
            {
                problems.push(At { table, uuid }.problem(kind));
            }
        }
    }
}

fn check_indexes(table: &str, columns: &Table, rows: &Rows, problems: &mut Vec<Problem>) {
    for index in columns.indexes() {
        let mut seen: HashMap<Key<'_>, Uuid> = HashMap::with_capacity(rows.len());
        for (&uuid, row) in rows {
            let key = index.iter().map(|column| row.get(column)).collect();
            match seen.entry(Key(key)) {
                Entry::Vacant(entry) => drop(entry.insert(uuid)),
                Entry::Occupied(entry) => {
                    let (columns, other) = (index.clone(), *entry.get());
                    problems.push(
                        At { table, uuid }.problem(ProblemKind::Duplicate { columns, other }),
                    );
                }
            }
        }
    }
}

/// The values of a row in the columns of an index. A column that is not there holds its default,
/// whatever that is.
#[derive(PartialEq, Eq)]
struct Key<'a>(Vec<Option<&'a Datum>>);

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for datum in self.0.iter().flatten() {
            let pairs = datum.map_iter().flat_map(|(key, value)| [key, value]);
            for atom in datum.set_iter().chain(pairs) {
                match atom {
                    Atom::Integer(integer) => integer.hash(state),
                    Atom::Real(real) => real.to_bits().hash(state),
                    Atom::Boolean(boolean) => boolean.hash(state),
                    Atom::String(string) | Atom::NamedUuid(string) => string.hash(state),
                    Atom::Uuid(uuid) => uuid.hash(state),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{DatabaseFile, InitialRow};
    use crate::schema::Schema;

    const SCHEMA: &str = r#"{"name": "Net", "version": "1.0.0", "tables": {
        "Switch": {"isRoot": true, "indexes": [["name"]], "columns": {
            "name": {"type": "string"},
            "kind": {"type": {"key": {"type": "string", "enum": ["set", ["", "a"]]}, "min": 0}},
            "ports": {"type": {"key": {"type": "uuid", "refTable": "Port"},
                               "min": 0, "max": "unlimited"}},
            "by_name": {"type": {"key": "string", "value": {"type": "uuid", "refTable": "Port"},
                                 "min": 0, "max": "unlimited"}},
            "last": {"type": {"key": {"type": "uuid", "refTable": "Port", "refType": "weak"},
                              "min": 0}}}},
        "Port": {"columns": {"tag": {"type": {"key": "integer", "min": 0}}}},
        "Global": {"isRoot": true, "maxRows": 1, "columns": {
            "level": {"type": {"key": {"type": "integer", "minInteger": 1}}}}}}}"#;

    fn row(table: &str, uuid: u128, row: Row) -> InitialRow {
        InitialRow {
            table: table.to_owned(),
            uuid: Uuid::from_u128(uuid),
            row,
        }
    }

    fn switch(columns: Row) -> InitialRow {
        row("Switch", 1, columns)
    }

    fn problems(rows: &[InitialRow]) -> Vec<String> {
        let schema = Schema::parse(SCHEMA).unwrap();
        let mut file = DatabaseFile::new(&schema);
        for InitialRow { table, uuid, row } in rows.iter().cloned() {
            file.insert_as(table, uuid, row);
        }
        match file.contents() {
            Ok(_) => Vec::new(),
            Err(InvalidRows { problems }) => problems
                .into_iter()
                .map(|problem| problem.kind.to_string())
                .collect(),
        }
    }

    #[test]
    fn references_hold_rows_through_sets_and_maps() {
        let port = |uuid| row("Port", uuid, Row::new());
        let [p2, p3] = [2, 3].map(Uuid::from_u128);
        let columns = Row::new()
            .set("ports", [p2])
            .set("by_name", Datum::map([("p", p3)]))
            .set("last", p2);
        assert_eq!(problems(&[port(2), switch(columns), port(3)]), [""; 0]);
    }

    #[test]
    fn each_problem_is_found() {
        let nowhere = Uuid::from_u128(9);
        let dangling = format!("{nowhere} is not a row of table Port");
        let cases = [
            (
                row("Router", 1, Row::new()),
                "there is no such table".to_owned(),
            ),
            (
                switch(Row::new().set("mtu", 1)),
                "there is no column mtu".to_owned(),
            ),
            (
                switch(Row::new().set("name", 1)),
                "column name: 1 is of type integer, not string".to_owned(),
            ),
            (
                switch(Row::new().set("kind", "b")),
                "column kind: \"b\" is outside of what the schema allows".to_owned(),
            ),
            (
                switch(Row::new().set("ports", Atom::NamedUuid("row0".into()))),
                "column ports: a file cannot refer to row0 by name".to_owned(),
            ),
            (
                switch(Row::new().set("ports", nowhere)),
                format!("column ports: {dangling}"),
            ),
            (
                switch(Row::new().set("last", nowhere)),
                format!("column last: {dangling}"),
            ),
            (
                switch(Row::new().set("by_name", Datum::map([("p", nowhere)]))),
                format!("column by_name: {dangling}"),
            ),
            (
                row("Port", 1, Row::new()),
                "no row refers to it, so it would be dropped".to_owned(),
            ),
            (
                row("Global", 1, Row::new()),
                "column level: 0 is outside of what the schema allows".to_owned(),
            ),
        ];
        for (row, problem) in cases {
            assert_eq!(problems(&[row]), [problem]);
        }
    }

    #[test]
    fn all_problems_of_all_rows_are_found() {
        let rows = [
            switch(Row::new().set("name", 1).set("mtu", 1)),
            row("Router", 2, Row::new()),
        ];
        assert_eq!(problems(&rows).len(), 3);
    }

    #[test]
    fn problems_between_rows_are_found() {
        let named = |uuid, name: &str| row("Switch", uuid, Row::new().set("name", name));
        assert_eq!(problems(&[named(1, "a"), named(2, "b")]), [""; 0]);
        let other = Uuid::from_u128(1);
        let same_name = format!("row {other} has the same name");
        assert_eq!(
            problems(&[named(1, "a"), named(2, "a")]),
            std::slice::from_ref(&same_name)
        );
        assert_eq!(
            problems(&[row("Switch", 1, Row::new()), named(2, "")]),
            [same_name]
        );
        assert_eq!(
            problems(&[named(1, "a"), named(1, "b")]),
            ["the UUID is taken by another row of the table"]
        );
        let global = |uuid| row("Global", uuid, Row::new().set("level", 1));
        assert_eq!(
            problems(&[global(1), global(2)]),
            ["the table has 2 rows where at most 1 are allowed"]
        );
    }

    #[test]
    fn a_weak_reference_and_a_row_that_is_lost_itself_hold_nothing() {
        let weakly = Row::new().set("last", Uuid::from_u128(2));
        let unreferenced = "no row refers to it, so it would be dropped";
        assert_eq!(
            problems(&[switch(weakly), row("Port", 2, Row::new())]),
            [unreferenced]
        );
    }

    #[test]
    fn a_dangling_reference_to_a_row_of_another_table_is_found() {
        let rows = [
            switch(Row::new().set("ports", Uuid::from_u128(2))),
            row("Global", 2, Row::new().set("level", 1)),
        ];
        assert_eq!(problems(&rows).len(), 1);
    }
}
