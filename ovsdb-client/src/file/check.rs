//! What a server would object to in the rows of a file.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use uuid::Uuid;

use super::InitialRow;
use super::problem::{InvalidRows, Problem, ProblemKind};
use crate::schema::{Reference, Schema, Table};
use crate::value::{Atom, Datum};

/// Reports everything that a server would refuse, drop or change on loading the rows.
pub(super) fn check(schema: &Schema, rows: &[InitialRow]) -> Result<(), InvalidRows> {
    let database = Database::index(schema, rows);
    let mut problems = Vec::new();
    let mut seen = HashSet::new();
    for row in rows {
        if !seen.insert(row.uuid) {
            problems.push(row.problem(ProblemKind::DuplicateUuid));
        }
        match schema.table(&row.table) {
            None => problems.push(row.problem(ProblemKind::UnknownTable)),
            Some(table) => check_columns(&database, table, row, &mut problems),
        }
    }
    for (name, rows) in &database.tables {
        if let Some(table) = schema.table(name) {
            check_indexes(table, rows, &mut problems);
            check_count(table, rows, &mut problems);
        }
    }
    let reachable = database.reachable();
    let lost = rows
        .iter()
        .filter(|row| schema.table(&row.table).is_some() && !reachable.contains(&row.uuid));
    problems.extend(lost.map(|row| row.problem(ProblemKind::Unreferenced)));
    if problems.is_empty() {
        Ok(())
    } else {
        Err(InvalidRows { problems })
    }
}

impl InitialRow {
    fn problem(&self, kind: ProblemKind) -> Problem {
        Problem {
            table: self.table.clone(),
            uuid: self.uuid,
            kind,
        }
    }
}

/// The rows, found by table and by UUID.
struct Database<'a> {
    schema: &'a Schema,
    tables: BTreeMap<&'a str, Vec<&'a InitialRow>>,
    by_uuid: HashMap<Uuid, &'a InitialRow>,
}

impl<'a> Database<'a> {
    fn index(schema: &'a Schema, rows: &'a [InitialRow]) -> Self {
        let mut tables: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for row in rows {
            tables.entry(&row.table).or_default().push(row);
        }
        let by_uuid = rows.iter().map(|row| (row.uuid, row)).collect();
        Self {
            schema,
            tables,
            by_uuid,
        }
    }

    fn contains(&self, table: &str, uuid: Uuid) -> bool {
        self.by_uuid
            .get(&uuid)
            .is_some_and(|row| row.table == table)
    }

    /// Rows that stay: those of root tables, and what they refer to strongly, step by step.
    fn reachable(&self) -> HashSet<Uuid> {
        let roots = self
            .by_uuid
            .values()
            .filter(|row| self.schema.is_root(&row.table));
        let mut pending: Vec<_> = roots.map(|row| row.uuid).collect();
        let mut reached = HashSet::new();
        while let Some(uuid) = pending.pop() {
            if reached.insert(uuid) {
                let row = self.by_uuid.get(&uuid).copied();
                let references = row.into_iter().flat_map(|row| self.references(row));
                pending.extend(
                    references
                        .filter(|(_, to, _)| to.strong)
                        .map(|(_, _, target)| target),
                );
            }
        }
        reached
    }

    /// Every reference that a row holds: its column, where it points, and to whom.
    fn references(
        &self,
        row: &'a InitialRow,
    ) -> impl Iterator<Item = (&'a str, &'a Reference, Uuid)> {
        let table = self.schema.table(&row.table);
        row.row.iter().flat_map(move |(name, datum)| {
            let column = table
                .and_then(|table| table.column(name))
                .map(|column| column.column_type());
            let keys = column.and_then(|ty| ty.key.reference.as_ref());
            let values = column.and_then(|ty| ty.value.as_ref()?.reference.as_ref());
            let from_keys = keys.into_iter().flat_map(|to| {
                let atoms = datum.set_iter().chain(datum.map_iter().map(|(key, _)| key));
                atoms
                    .filter_map(Atom::as_uuid)
                    .map(move |target| (to, target))
            });
            let from_values = values.into_iter().flat_map(|to| {
                datum
                    .map_iter()
                    .filter_map(|(_, value)| value.as_uuid())
                    .map(move |target| (to, target))
            });
            from_keys
                .chain(from_values)
                .map(move |(to, target)| (name, to, target))
        })
    }
}

fn check_columns(
    database: &Database<'_>,
    table: &Table,
    row: &InitialRow,
    problems: &mut Vec<Problem>,
) {
    for (name, datum) in row.row.iter() {
        let column = name.to_owned();
        let Some(schema) = table.column(name) else {
            problems.push(row.problem(ProblemKind::UnknownColumn { column }));
            continue;
        };
        let atoms = datum
            .set_iter()
            .chain(datum.map_iter().flat_map(|(key, value)| [key, value]));
        let names = atoms.filter_map(|atom| match atom {
            Atom::NamedUuid(name) => Some(name.clone()),
            _ => None,
        });
        problems.extend(names.map(|name| {
            row.problem(ProblemKind::NamedUuid {
                column: column.clone(),
                name,
            })
        }));
        if let Err(violation) = schema.column_type().check(datum) {
            problems.push(row.problem(ProblemKind::Value { column, violation }));
        }
    }
    let omitted = table
        .columns()
        .filter(|(name, _)| row.row.get(name).is_none());
    for (name, column) in omitted {
        if let Err(violation) = column
            .column_type()
            .check(&column.column_type().default_datum())
        {
            let column = name.to_owned();
            problems.push(row.problem(ProblemKind::Value { column, violation }));
        }
    }
    for (column, to, target) in database.references(row) {
        if !database.contains(&to.table, target) {
            let (column, table) = (column.to_owned(), to.table.clone());
            problems.push(row.problem(ProblemKind::Dangling {
                column,
                table,
                target,
            }));
        }
    }
}

fn check_indexes(table: &Table, rows: &[&InitialRow], problems: &mut Vec<Problem>) {
    for columns in table.indexes() {
        let mut seen: BTreeMap<Vec<Option<Datum>>, Uuid> = BTreeMap::new();
        for row in rows {
            let value = |column: &String| {
                let ty = table.column(column)?.column_type();
                let datum = row.row.get(column).cloned();
                Some(ty.canonical(datum.unwrap_or_else(|| ty.default_datum())))
            };
            match seen.entry(columns.iter().map(value).collect()) {
                Entry::Vacant(entry) => drop(entry.insert(row.uuid)),
                Entry::Occupied(entry) => problems.push(row.problem(ProblemKind::Duplicate {
                    columns: columns.clone(),
                    other: *entry.get(),
                })),
            }
        }
    }
}

fn check_count(table: &Table, rows: &[&InitialRow], problems: &mut Vec<Problem>) {
    let count = rows.len();
    if let (Some(max), Some(last)) = (table.max_rows(), rows.last())
        && count as u64 > max
    {
        problems.push(last.problem(ProblemKind::TooMany { count, max }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Row;

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
        match check(&Schema::parse(SCHEMA).unwrap(), rows) {
            Ok(()) => Vec::new(),
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
            ["the UUID is taken by another row"]
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
