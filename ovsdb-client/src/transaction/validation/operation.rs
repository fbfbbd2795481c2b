//! Each operation by the rules of the server's parsers: `ovsdb/execution.c`, `condition.c` and
//! `mutation.c` of Open vSwitch.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::problem::{OperationProblem, OperationProblemKind as Kind};
use crate::schema::{BaseType, ColumnType, Schema, Table};
use crate::transaction::{Clause, Condition, Function, Mutation, Mutator, Operation};
use crate::value::{Atom, AtomType, Datum, Row};

pub(super) fn problems(schema: &Schema, operations: &[Operation]) -> Vec<OperationProblem> {
    let names = names(operations);
    let mut problems = Vec::new();
    for (index, operation) in operations.iter().enumerate() {
        let mut check = Check {
            names: &names,
            problems: Vec::new(),
        };
        check.operation(schema, index, operation);
        let kinds = check.problems.into_iter();
        problems.extend(kinds.map(|kind| OperationProblem {
            index,
            operation: operation.describe(),
            kind,
        }));
    }
    problems
}

/// A row that the transaction inserts under a name: the operation, and its table.
type Names<'a> = BTreeMap<&'a str, (usize, &'a str)>;

fn names(operations: &[Operation]) -> Names<'_> {
    let mut names = Names::new();
    for (index, operation) in operations.iter().enumerate() {
        if let Operation::Insert {
            table,
            uuid_name: Some(name),
            ..
        } = operation
        {
            names.entry(name).or_insert((index, table));
        }
    }
    names
}

/// What an operation may do with a column.
struct Field<'a> {
    name: &'a str,
    ty: Cow<'a, ColumnType>,
    mutable: bool,
}

/// The check of one operation.
struct Check<'a> {
    names: &'a Names<'a>,
    problems: Vec<Kind>,
}

impl Check<'_> {
    fn operation(&mut self, schema: &Schema, index: usize, operation: &Operation) {
        let Some(name) = table_of(operation) else {
            return;
        };
        let Some(table) = schema.table(name) else {
            self.problems.push(Kind::UnknownTable);
            return;
        };
        match operation {
            Operation::Insert { row, uuid_name, .. } => {
                let name = uuid_name.as_deref().unwrap_or_default();
                if self
                    .names
                    .get(name)
                    .is_some_and(|(first, _)| *first != index)
                {
                    let name = name.to_owned();
                    self.problems.push(Kind::RepeatedName { name });
                }
                self.row(table, row);
                self.omitted(table, row);
            }
            Operation::Select {
                conditions,
                columns,
                ..
            } => {
                self.conditions(table, conditions);
                self.columns(table, columns.iter().flatten());
            }
            Operation::Update {
                conditions, row, ..
            } => {
                self.conditions(table, conditions);
                self.row(table, row);
                for (name, _) in row.iter() {
                    if table
                        .column(name)
                        .is_some_and(|column| !column.is_mutable())
                    {
                        self.immutable(name);
                    }
                }
            }
            Operation::Mutate {
                conditions,
                mutations,
                ..
            } => {
                self.conditions(table, conditions);
                mutations
                    .iter()
                    .for_each(|mutation| self.mutation(table, mutation));
            }
            Operation::Delete { conditions, .. } => self.conditions(table, conditions),
            Operation::Wait {
                conditions,
                columns,
                rows,
                ..
            } => {
                self.conditions(table, conditions);
                self.columns(table, columns.iter().flatten());
                for (name, datum) in rows.iter().flat_map(Row::iter) {
                    if let Some(field) = self.field(table, name) {
                        self.value(&field, &field.ty, datum);
                    }
                }
            }
            Operation::Commit { .. }
            | Operation::Abort {}
            | Operation::Comment { .. }
            | Operation::Assert { .. } => {}
        }
    }

    /// Finds a column; reports one that is not there.
    fn field<'t>(&mut self, table: &'t Table, name: &'t str) -> Option<Field<'t>> {
        // Every table has these two (RFC 7047 §3.2).
        if matches!(name, "_uuid" | "_version") {
            return Some(Field {
                name,
                ty: Cow::Owned(ColumnType::scalar(AtomType::Uuid)),
                mutable: false,
            });
        }
        let Some(column) = table.column(name) else {
            let column = name.to_owned();
            self.problems.push(Kind::UnknownColumn { column });
            return None;
        };
        Some(Field {
            name,
            ty: Cow::Borrowed(column.column_type()),
            mutable: column.is_mutable(),
        })
    }

    fn immutable(&mut self, name: &str) {
        let column = name.to_owned();
        self.problems.push(Kind::Immutable { column });
    }

    /// The columns that an insert or an update sets.
    fn row(&mut self, table: &Table, row: &Row) {
        for (name, datum) in row.iter() {
            if matches!(name, "_uuid" | "_version") {
                self.immutable(name);
            } else if let Some(field) = self.field(table, name) {
                self.value(&field, &field.ty, datum);
            }
        }
    }

    /// The columns that an insert leaves to their defaults, which need not fit.
    fn omitted(&mut self, table: &Table, row: &Row) {
        for (name, column) in table.columns() {
            if row.get(name).is_none() {
                let ty = column.column_type();
                if let Err(violation) = ty.check(&ty.default_datum()) {
                    let column = name.to_owned();
                    self.problems.push(Kind::Value { column, violation });
                }
            }
        }
    }

    fn columns<'c>(&mut self, table: &Table, columns: impl Iterator<Item = &'c String>) {
        let mut seen = Vec::new();
        for name in columns {
            if seen.contains(&name) {
                let column = name.clone();
                self.problems.push(Kind::RepeatedColumn { column });
            } else {
                self.field(table, name);
            }
            seen.push(name);
        }
    }

    fn conditions(&mut self, table: &Table, conditions: &[Condition]) {
        for condition in conditions {
            let Clause::Test {
                column,
                function,
                value,
            } = &condition.0
            else {
                continue;
            };
            let Some(field) = self.field(table, column) else {
                continue;
            };
            let one = field.ty.is_scalar();
            let mut ty = field.ty.clone();
            match function {
                Function::Equal | Function::NotEqual => {}
                Function::Includes if one => {}
                Function::Includes => ty.to_mut().min = 0,
                Function::Excludes if one => {}
                Function::Excludes => (ty.to_mut().min, ty.to_mut().max) = (0, None),
                Function::Less
                | Function::LessOrEqual
                | Function::Greater
                | Function::GreaterOrEqual => {
                    // The RFC compares scalars only; Open vSwitch an optional number as well.
                    if !is_number(&ty.key) || !(one || ty.is_optional()) {
                        self.problems.push(Kind::Comparison {
                            column: column.clone(),
                            ty: Box::new(ty.into_owned()),
                        });
                        continue;
                    }
                    ty.to_mut().min = 1;
                }
            }
            self.value(&field, &ty, value);
        }
    }

    fn mutation(&mut self, table: &Table, mutation: &Mutation) {
        let Some(field) = self.field(table, &mutation.column) else {
            return;
        };
        if !field.mutable {
            return self.immutable(field.name);
        }
        let value = &mutation.value;
        let ty = &field.ty;
        let applies = match mutation.mutator {
            Mutator::Add | Mutator::Subtract | Mutator::Multiply | Mutator::Divide => {
                !ty.is_map() && is_number(&ty.key)
            }
            Mutator::Remainder => !ty.is_map() && ty.key.atom_type == AtomType::Integer,
            Mutator::Insert | Mutator::Delete => !ty.is_scalar(),
        };
        if !applies {
            self.problems.push(Kind::Mutation {
                column: mutation.column.clone(),
                ty: Box::new(ty.clone().into_owned()),
            });
            return;
        }
        let mut argument = ty.clone().into_owned();
        match mutation.mutator {
            // The range binds the result, not the number.
            Mutator::Add
            | Mutator::Subtract
            | Mutator::Multiply
            | Mutator::Divide
            | Mutator::Remainder => argument = ColumnType::scalar(ty.key.atom_type),
            Mutator::Insert => argument.min = 0,
            Mutator::Delete => {
                (argument.min, argument.max) = (0, None);
                // From a map, keys may be deleted whatever their values.
                argument.value.take_if(|_| !matches!(value, Datum::Map(_)));
            }
        }
        self.value(&field, &argument, value);
    }

    /// A value in the place of a column, and the names in it.
    fn value(&mut self, field: &Field<'_>, ty: &ColumnType, datum: &Datum) {
        if let Err(violation) = ty.check(datum) {
            let column = field.name.to_owned();
            self.problems.push(Kind::Value { column, violation });
        }
        for key in datum.set_iter() {
            self.name(field, &ty.key, key);
        }
        for (key, value) in datum.map_iter() {
            self.name(field, &ty.key, key);
            self.name(field, ty.value.as_ref().unwrap_or(&ty.key), value);
        }
    }

    fn name(&mut self, field: &Field<'_>, base: &BaseType, atom: &Atom) {
        let Atom::NamedUuid(name) = atom else {
            return;
        };
        let (column, name) = (field.name.to_owned(), name.clone());
        let expected = base.reference.as_ref().map(|to| to.table.as_str());
        match (self.names.get(name.as_str()), expected) {
            (None, _) => self.problems.push(Kind::UnknownName { column, name }),
            (Some((_, found)), Some(expected)) if *found != expected => {
                self.problems.push(Kind::OtherTable {
                    column,
                    name,
                    found: (*found).to_owned(),
                    expected: expected.to_owned(),
                });
            }
            _ => {}
        }
    }
}

fn table_of(operation: &Operation) -> Option<&str> {
    match operation {
        Operation::Insert { table, .. }
        | Operation::Select { table, .. }
        | Operation::Update { table, .. }
        | Operation::Mutate { table, .. }
        | Operation::Delete { table, .. }
        | Operation::Wait { table, .. } => Some(table),
        Operation::Commit { .. }
        | Operation::Abort {}
        | Operation::Comment { .. }
        | Operation::Assert { .. } => None,
    }
}

fn is_number(base: &BaseType) -> bool {
    matches!(base.atom_type, AtomType::Integer | AtomType::Real)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_two_inserts_give_is_found() {
        let schema = Schema::parse(
            r#"{"name": "S", "tables": {"T": {"columns": {"s": {"type": "string"}}}}}"#,
        )
        .unwrap();
        let insert = r#"{"op": "insert", "table": "T", "uuid-name": "t", "row": {}}"#;
        let operations: Vec<Operation> =
            serde_json::from_str(&format!("[{insert}, {insert}]")).unwrap();
        let problems = problems(&schema, &operations);
        assert_eq!(
            problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["operation 1 (insert into T): the name t is taken by another insert"]
        );
    }

    #[test]
    fn columns_that_the_server_sets_are_not_for_rows() {
        let schema = Schema::parse(
            r#"{"name": "S", "tables": {"T": {"columns": {"s": {"type": "string"}}}}}"#,
        )
        .unwrap();
        let json = r#"[{"op": "insert", "table": "T", "row": {"_version": "x"}}]"#;
        let operations: Vec<Operation> = serde_json::from_str(json).unwrap();
        assert!(matches!(
            problems(&schema, &operations).as_slice(),
            [OperationProblem {
                kind: Kind::Immutable { .. },
                ..
            }]
        ));
    }
}
