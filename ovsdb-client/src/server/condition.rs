//! Which rows meet conditions.

use uuid::Uuid;

use super::constraint::{self, Names};
use super::database::Table;
use super::failure::Failure;
use crate::schema::ColumnType;
use crate::transaction::{Clause, Condition, Function};
use crate::value::{AtomType, Datum, Row};

/// Conditions whose values have been read.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Filter(Vec<Test>);

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Constant(bool),
    Column {
        column: String,
        function: Function,
        value: Datum,
    },
}

impl Filter {
    /// Reads conditions on the rows of a table.
    pub(super) fn read(
        table: &Table,
        conditions: &[Condition],
        mut names: Option<&mut Names>,
    ) -> Result<Self, Failure> {
        let tests = conditions
            .iter()
            .map(|condition| Test::read(table, condition, names.as_deref_mut()));
        Ok(Self(tests.collect::<Result<_, _>>()?))
    }

    /// Whether a row meets every condition, as the operations of a transaction want it.
    pub(super) fn all(&self, row: &Row) -> bool {
        self.0.iter().all(|test| test.passes(row))
    }

    /// Whether a row meets one condition, or there is none, as monitors want it.
    pub(super) fn any(&self, row: &Row) -> bool {
        self.0.is_empty() || self.0.iter().any(|test| test.passes(row))
    }

    /// The row that is asked for by its UUID, which saves a search.
    pub(super) fn uuid(&self) -> Option<Uuid> {
        self.0.iter().find_map(|test| match test {
            Test::Column {
                column,
                function: Function::Equal,
                value,
            } if column == "_uuid" => value.as_uuid(),
            _ => None,
        })
    }

    /// The columns that are looked at.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|test| match test {
            Test::Column { column, .. } => Some(column.as_str()),
            Test::Constant(_) => None,
        })
    }
}

impl Test {
    fn read(
        table: &Table,
        Condition(clause): &Condition,
        names: Option<&mut Names>,
    ) -> Result<Self, Failure> {
        let (name, function, value) = match clause {
            Clause::Constant(constant) => return Ok(Self::Constant(*constant)),
            Clause::Test {
                column,
                function,
                value,
            } => (column, *function, value),
        };
        let Some(column) = table.columns.get(name) else {
            return Err(Failure::unknown_column(&table.name, name));
        };
        let mut ty = column.ty.clone();
        relax(name, &mut ty, function)?;
        let value = constraint::read(name, &ty, value, names)?;
        Ok(Self::Column {
            column: name.clone(),
            function,
            value,
        })
    }

    fn passes(&self, row: &Row) -> bool {
        let (column, function, value) = match self {
            Self::Constant(constant) => return *constant,
            Self::Column {
                column,
                function,
                value,
            } => (column, function, value),
        };
        let Some(held) = row.get(column) else {
            return false;
        };
        match function {
            Function::Equal => held == value,
            Function::NotEqual => held != value,
            Function::Includes => includes(held, value),
            Function::Excludes => excludes(held, value),
            // An empty optional column is neither less nor greater than anything.
            Function::Less => held
                .as_atom()
                .is_some_and(|held| Some(held) < value.as_atom()),
            Function::LessOrEqual => held
                .as_atom()
                .is_some_and(|held| Some(held) <= value.as_atom()),
            Function::Greater => held
                .as_atom()
                .is_some_and(|held| Some(held) > value.as_atom()),
            Function::GreaterOrEqual => held
                .as_atom()
                .is_some_and(|held| Some(held) >= value.as_atom()),
        }
    }
}

/// Changes a column's type into that of the value it is compared with (RFC 7047 §5.1
/// `<condition>`; `ovsdb_clause_from_json` in ovsdb/condition.c).
fn relax(column: &str, ty: &mut ColumnType, function: Function) -> Result<(), Failure> {
    let scalar = ty.value.is_none() && (ty.min, ty.max) == (1, Some(1));
    match function {
        Function::Equal | Function::NotEqual => {}
        Function::Includes if scalar => {}
        Function::Includes => ty.min = 0,
        Function::Excludes if scalar => {}
        Function::Excludes => (ty.min, ty.max) = (0, None),
        Function::Less | Function::LessOrEqual | Function::Greater | Function::GreaterOrEqual => {
            let ordered = matches!(ty.key.atom_type, AtomType::Integer | AtomType::Real);
            if !ordered || ty.value.is_some() || ty.max != Some(1) {
                return Err(Failure::syntax(format!(
                    "column {column} holds no number that could be less or greater"
                )));
            }
            ty.min = 1;
        }
    }
    Ok(())
}

/// Whether every element, or pair, of `value` is in `held`.
fn includes(held: &Datum, value: &Datum) -> bool {
    match (held, value) {
        (Datum::Map(held), Datum::Map(value)) => value
            .iter()
            .all(|(key, value)| held.get(key) == Some(value)),
        _ => value.set_iter().all(|atom| held.has(atom)),
    }
}

/// Whether no element, or pair, of `value` is in `held`.
fn excludes(held: &Datum, value: &Datum) -> bool {
    match (held, value) {
        (Datum::Map(held), Datum::Map(value)) => value
            .iter()
            .all(|(key, value)| held.get(key) != Some(value)),
        _ => !value.set_iter().any(|atom| held.has(atom)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schema;
    use crate::server::database::Database;

    fn database() -> Database {
        let schema = r#"{"name": "P", "version": "1.0.0", "tables": {"T": {"columns": {
            "name": {"type": "string"},
            "tag": {"type": {"key": {"type": "integer", "maxInteger": 9}, "min": 0}},
            "trunks": {"type": {"key": "integer", "min": 0, "max": 2}},
            "ids": {"type": {"key": "string", "value": "string", "min": 0, "max": 2}}}}}}"#;
        Database::new(Schema::parse(schema).unwrap())
    }

    fn read(condition: Condition) -> Result<Filter, &'static str> {
        let table = &database().tables[0];
        Filter::read(table, &[condition], None).map_err(|failure| failure.name)
    }

    #[test]
    fn rows_are_compared_by_the_kind_of_the_column() {
        let tagged = Row::new()
            .set("name", "a")
            .set("tag", 5)
            .set("trunks", [1, 2])
            .set("ids", Datum::map([("k", "v"), ("l", "w")]));
        let plain = Row::new()
            .set("name", "a")
            .set("tag", Datum::empty())
            .set("trunks", Datum::empty())
            .set("ids", Datum::Map(Default::default()));
        let ids = |key: &str, value: &str| Datum::map([(key, value)]);
        let cases = [
            (Condition::every_row(), true, true),
            (Condition::no_row(), false, false),
            (Condition::eq("name", "a"), true, true),
            (Condition::ne("name", "a"), false, false),
            (Condition::includes("name", "a"), true, true),
            (Condition::lt("tag", 6), true, false),
            (Condition::le("tag", 5), true, false),
            (Condition::gt("tag", 5), false, false),
            (Condition::ge("tag", 5), true, false),
            (Condition::ne("tag", 6), true, true),
            (Condition::eq("tag", Datum::empty()), false, true),
            (Condition::eq("trunks", [2, 1]), true, false),
            (Condition::includes("trunks", 2), true, false),
            (Condition::includes("trunks", Datum::empty()), true, true),
            (Condition::excludes("trunks", [2, 3, 4]), false, true),
            (Condition::includes("ids", ids("k", "v")), true, false),
            (Condition::includes("ids", ids("k", "w")), false, false),
            (Condition::excludes("ids", ids("k", "w")), true, true),
        ];
        for (condition, of_tagged, of_plain) in cases {
            let filter = read(condition.clone()).unwrap();
            let passes = (filter.all(&tagged), filter.all(&plain));
            assert_eq!(passes, (of_tagged, of_plain), "{condition:?}");
        }
    }

    #[test]
    fn values_must_suit_the_column() {
        let cases = [
            (Condition::eq("fur", 1), "unknown column"),
            (Condition::eq("name", 1), "syntax error"),
            (Condition::lt("name", "a"), "syntax error"),
            (Condition::lt("trunks", 1), "syntax error"),
            (Condition::lt("tag", Datum::empty()), "syntax error"),
            (Condition::eq("tag", 10), "constraint violation"),
            (Condition::includes("trunks", [1, 2, 3]), "syntax error"),
        ];
        for (condition, error) in cases {
            assert_eq!(read(condition.clone()), Err(error), "{condition:?}");
        }
    }

    #[test]
    fn operations_want_every_condition_and_monitors_one() {
        let table = &database().tables[0];
        let row = Row::new().set("name", "a");
        let filter = |conditions: &[Condition]| Filter::read(table, conditions, None).unwrap();
        let both = filter(&[Condition::eq("name", "a"), Condition::eq("name", "b")]);
        assert!(!both.all(&row) && both.any(&row));
        assert!(filter(&[]).all(&row) && filter(&[]).any(&row));
        let none = filter(&[Condition::no_row()]);
        assert!(!none.any(&row));
    }
}
