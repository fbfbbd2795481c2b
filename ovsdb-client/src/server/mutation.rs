//! Columns changed relative to what they hold.

use super::constraint::{self, Names};
use super::database::{Column, Table};
use super::failure::Failure;
use crate::schema::ColumnType;
use crate::transaction::{Mutation, Mutator};
use crate::value::{Atom, AtomType, Datum, Row};

/// A mutation whose value has been read.
#[derive(Debug)]
pub(super) struct Change<'a> {
    column: &'a str,
    ty: &'a ColumnType,
    mutator: Mutator,
    value: Datum,
}

impl<'a> Change<'a> {
    /// Reads a mutation of the rows of a table (`ovsdb_mutation_from_json` in ovsdb/mutation.c).
    pub(super) fn read(
        table: &'a Table,
        mutation: &'a Mutation,
        names: &mut Names,
    ) -> Result<Self, Failure> {
        let Mutation {
            column,
            mutator,
            value,
        } = mutation;
        let Some(Column { ty, mutable, .. }) = table.columns.get(column) else {
            return Err(Failure::unknown_column(&table.name, column));
        };
        if !mutable {
            return Err(Failure::constraint(format!(
                "column {column} of table {} is immutable",
                table.name
            )));
        }
        let value = match mutator {
            Mutator::Insert | Mutator::Delete => read_elements(column, ty, *mutator, value, names)?,
            _ => read_number(column, ty, *mutator, value, names)?,
        };
        Ok(Self {
            column,
            ty,
            mutator: *mutator,
            value,
        })
    }

    /// Changes a row.
    pub(super) fn apply(&self, row: &mut Row) -> Result<(), Failure> {
        let Some(datum) = row.get_mut(self.column) else {
            return Ok(());
        };
        let changed = match self.mutator {
            Mutator::Insert => union(datum, &self.value),
            Mutator::Delete => difference(datum, &self.value),
            _ => self.calculate(datum)?,
        };
        self.ty.check(&changed).map_err(|violation| {
            Failure::constraint(format!("column {}: {violation}", self.column))
        })?;
        *datum = self.ty.canonical(changed);
        Ok(())
    }

    /// Applies the operator to each element.
    fn calculate(&self, datum: &Datum) -> Result<Datum, Failure> {
        let number = self.value.as_atom();
        let results = datum.set_iter().map(|atom| match (atom, number) {
            (Atom::Integer(x), Some(Atom::Integer(y))) => self.integer(*x, *y).map(Atom::Integer),
            (Atom::Real(x), Some(Atom::Real(y))) => self.real(*x, *y).map(Atom::Real),
            _ => Ok(atom.clone()),
        });
        Ok(Datum::Set(results.collect::<Result<_, _>>()?))
    }

    fn integer(&self, x: i64, y: i64) -> Result<i64, Failure> {
        let result = match self.mutator {
            Mutator::Add => x.checked_add(y),
            Mutator::Subtract => x.checked_sub(y),
            Mutator::Multiply => x.checked_mul(y),
            _ if y == 0 => return Err(division_by_zero()),
            Mutator::Remainder => x.checked_rem(y),
            _ => x.checked_div(y),
        };
        result.ok_or_else(|| self.out_of_range())
    }

    fn real(&self, x: f64, y: f64) -> Result<f64, Failure> {
        let result = match self.mutator {
            Mutator::Add => x + y,
            Mutator::Subtract => x - y,
            Mutator::Multiply => x * y,
            _ if y == 0.0 => return Err(division_by_zero()),
            _ => x / y,
        };
        if !result.is_finite() {
            return Err(self.out_of_range());
        }
        Ok(result + 0.0)
    }

    fn out_of_range(&self) -> Failure {
        Failure::new(
            "range error",
            format!("column {}: the result is too large", self.column),
        )
    }
}

fn division_by_zero() -> Failure {
    Failure::new("domain error", "division by zero")
}

/// Reads what is to be inserted or deleted: fewer elements than the column must have are fine, and
/// a deletion may name more than it can have, or only the keys of a map.
fn read_elements(
    column: &str,
    ty: &ColumnType,
    mutator: Mutator,
    value: &Datum,
    names: &mut Names,
) -> Result<Datum, Failure> {
    if ty.value.is_none() && (ty.min, ty.max) == (1, Some(1)) {
        return Err(type_mismatch(column, "is neither a set nor a map"));
    }
    let mut ty = ColumnType {
        min: 0,
        ..ty.clone()
    };
    if mutator == Mutator::Insert {
        return constraint::read(column, &ty, value, Some(names));
    }
    ty.max = None;
    constraint::read(column, &ty, value, Some(&mut *names)).or_else(|failure| {
        if ty.value.take().is_none() {
            return Err(failure);
        }
        constraint::read(column, &ty, value, Some(names))
    })
}

/// Reads the right-hand side of an arithmetic operator: one number, not bound to what the column
/// may hold.
fn read_number(
    column: &str,
    ty: &ColumnType,
    mutator: Mutator,
    value: &Datum,
    names: &mut Names,
) -> Result<Datum, Failure> {
    let fits = match ty.key.atom_type {
        AtomType::Integer => true,
        AtomType::Real => mutator != Mutator::Remainder,
        _ => false,
    };
    if !fits || ty.value.is_some() {
        return Err(type_mismatch(column, "does not hold such numbers"));
    }
    let mut ty = ColumnType {
        min: 1,
        max: Some(1),
        ..ty.clone()
    };
    (ty.key.allowed, ty.key.min, ty.key.max) = (None, None, None);
    constraint::read(column, &ty, value, Some(names))
}

fn type_mismatch(column: &str, why: &str) -> Failure {
    Failure::syntax(format!("the mutator does not apply: column {column} {why}"))
}

/// What is in either; of two pairs with the same key, that in `held`.
fn union(held: &Datum, value: &Datum) -> Datum {
    match (held, value) {
        (Datum::Map(held), Datum::Map(value)) => {
            let mut union = value.clone();
            union.extend(held.iter().map(|(key, value)| (key.clone(), value.clone())));
            Datum::Map(union)
        }
        _ => {
            let mut union: Vec<Atom> = held.set_iter().chain(value.set_iter()).cloned().collect();
            union.sort_unstable();
            union.dedup();
            Datum::Set(union)
        }
    }
}

/// What is in `held` and not in `value`, which for a map holds pairs or keys.
fn difference(held: &Datum, value: &Datum) -> Datum {
    match (held, value) {
        (Datum::Map(held), Datum::Map(pairs)) => {
            let mut left = held.clone();
            left.retain(|key, value| pairs.get(key) != Some(value));
            Datum::Map(left)
        }
        (Datum::Map(held), keys) => {
            let mut left = held.clone();
            for key in keys.set_iter() {
                left.remove(key);
            }
            Datum::Map(left)
        }
        (held, value) => Datum::Set(
            held.set_iter()
                .filter(|atom| !value.has(atom))
                .cloned()
                .collect(),
        ),
    }
}
