//! Rows of one schema version brought to another.

use std::collections::BTreeMap;

use ovsdb_client::Schema;
use ovsdb_client::file::{Contents, InvalidRows};
use ovsdb_client::schema::Table;
use ovsdb_client::value::Row;
use thiserror::Error;

use super::merge::is_replaced;
use super::told;

/// A database cannot be brought to another schema.
#[derive(Debug, Error)]
pub(crate) enum ConversionProblem {
    /// The schema is that of another database.
    #[error("{found} cannot become {expected}")]
    OtherDatabase {
        /// Name of the database.
        found: String,
        /// Name in the schema.
        expected: String,
    },
    /// A value or a reference does not fit the other schema.
    #[error(
        "{database} does not fit when its schema goes from {from} to {to}: {}",
        told(rows)
    )]
    Misfit {
        /// Name of the database.
        database: String,
        /// Its schema version.
        from: String,
        /// The other version.
        to: String,
        /// What does not fit.
        rows: InvalidRows,
    },
    /// The other schema has no place for something.
    #[error("{database} would lose when its schema goes from {from} to {to}: {}", lost.join(", "))]
    Loss {
        /// Name of the database.
        database: String,
        /// Its schema version.
        from: String,
        /// The other version.
        to: String,
        /// What would be lost: tables, columns and rows.
        lost: Vec<String>,
    },
}

/// Brings rows to the schema of the server that is to have them, newer or older, as `ovsdb-tool convert` does; but what
/// that would drop without a word is an error here.
///
/// What a database says of connections and of TLS may get lost, because [`merge`](super::merge()) replaces it.
///
/// # Errors
/// [`ConversionProblem`]
pub(crate) fn convert(contents: Contents, schema: &Schema) -> Result<Contents, ConversionProblem> {
    let before = contents.schema();
    if before == schema {
        return Ok(contents);
    }
    let database = before.name().to_owned();
    if database != schema.name() {
        return Err(ConversionProblem::OtherDatabase {
            found: database,
            expected: schema.name().to_owned(),
        });
    }
    let (from, to) = (before.version().to_owned(), schema.version().to_owned());
    let converted = contents
        .convert(schema.clone())
        .and_then(|rows| rows.check().map(|()| rows));
    let converted = match converted {
        Ok(converted) => converted,
        Err(rows) => {
            return Err(ConversionProblem::Misfit {
                database,
                from,
                to,
                rows,
            });
        }
    };
    let lost = losses(&contents, &converted);
    if lost.is_empty() {
        Ok(converted)
    } else {
        Err(ConversionProblem::Loss {
            database,
            from,
            to,
            lost,
        })
    }
}

/// What the rows before had and the rows after have not.
fn losses(before: &Contents, after: &Contents) -> Vec<String> {
    let mut losses = Vec::new();
    for (name, columns) in before.schema().tables() {
        if is_replaced(name) || before.is_empty(name) {
            continue;
        }
        let Some(new_columns) = after.schema().table(name) else {
            losses.push(format!("table {name} ({})", rows(before.len(name))));
            continue;
        };
        let mut gone = 0;
        let mut changed: BTreeMap<&str, usize> = BTreeMap::new();
        for (uuid, row) in before.rows(name) {
            match after.row(name, uuid) {
                None => gone += 1,
                Some(new_row) => {
                    for column in changes(columns, &row, new_columns, &new_row) {
                        *changed.entry(column).or_default() += 1;
                    }
                }
            }
        }
        if gone > 0 {
            losses.push(format!("{} of table {name}", rows(gone)));
        }
        let changed = changed.into_iter();
        losses.extend(changed.map(|(column, n)| format!("column {name}.{column} ({})", rows(n))));
    }
    losses
}

/// The columns of a row whose value is not there after the conversion, or is another.
fn changes<'a>(
    columns: &'a Table,
    row: &Row,
    new_columns: &Table,
    new_row: &Row,
) -> impl Iterator<Item = &'a str> {
    columns.columns().filter_map(|(name, column)| {
        let datum = row.get(name)?;
        let kept = match new_columns.column(name) {
            None => *datum == column.column_type().default_datum(),
            Some(new) => new_row.get(name) == Some(&new.column_type().canonical(datum.clone())),
        };
        (!kept).then_some(name)
    })
}

fn rows(count: usize) -> String {
    match count {
        1 => "1 row".to_owned(),
        _ => format!("{count} rows"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"{"name": "OVN_Northbound", "version": "7.0.0", "tables": {
        "Logical_Switch": {"isRoot": true, "columns": {
            "name": {"type": "string"},
            "ports": {"type": {"key": {"type": "uuid", "refTable": "Logical_Switch_Port"},
                               "min": 0, "max": "unlimited"}}}},
        "Logical_Switch_Port": {"columns": {
            "name": {"type": "string"},
            "tag": {"type": "integer"}}},
        "SSL": {"columns": {"certificate": {"type": "string"}}}}}"#;

    /// Has another table and other columns, `tag` optional, and `SSL` with more in it.
    fn new() -> Schema {
        let json = OLD
            .replace("7.0.0", "7.18.0")
            .replace(
                r#""tag": {"type": "integer"}"#,
                r#""tag": {"type": {"key": "integer", "min": 0}},
                   "peer": {"type": {"key": "string", "min": 0}},
                   "mirrors": {"type": {"key": {"type": "uuid", "refTable": "Mirror"},
                                        "min": 0, "max": "unlimited"}}"#,
            )
            .replace(
                r#""SSL": {"columns": {"#,
                r#""Mirror": {"isRoot": true, "columns": {"name": {"type": "string"}}},
                   "SSL": {"columns": {"ciphers": {"type": "string"}, "#,
            );
        Schema::parse(&json).unwrap()
    }

    fn old() -> Schema {
        Schema::parse(OLD).unwrap()
    }

    /// A switch with a port.
    fn contents(schema: Schema, port: Row) -> Contents {
        let mut contents = Contents::new(schema);
        let port = contents.insert("Logical_Switch_Port", port).unwrap();
        let switch = Row::new().set("name", "sw0").set("ports", [port]);
        contents.insert("Logical_Switch", switch).unwrap();
        contents
    }

    fn message(contents: Contents, schema: &Schema) -> String {
        convert(contents, schema).unwrap_err().to_string()
    }

    #[test]
    fn rows_go_to_a_newer_schema_and_back() {
        let port = Row::new().set("name", "p").set("tag", 7);
        let before = contents(old(), port);
        let newer = convert(before.clone(), &new()).unwrap();
        assert_eq!(newer.schema(), &new());
        let (_, port) = newer.rows("Logical_Switch_Port").next().unwrap();
        assert_eq!((port.str("name"), port.i64("tag")), (Some("p"), Some(7)));
        let back = convert(newer, &old()).unwrap();
        assert!(back.same_rows(&before));
        assert_eq!(back.schema(), &old());
    }

    #[test]
    fn all_that_an_older_schema_has_no_place_for_is_told() {
        let mut rows = contents(new(), Row::new().set("tag", 7).set("peer", "q"));
        for name in ["m1", "m2"] {
            rows.insert("Mirror", Row::new().set("name", name)).unwrap();
        }
        assert_eq!(
            message(rows, &old()),
            "OVN_Northbound would lose when its schema goes from 7.18.0 to 7.0.0: \
             column Logical_Switch_Port.peer (1 row), table Mirror (2 rows)"
        );
    }

    #[test]
    fn rows_that_the_other_schema_would_collect_are_told() {
        let root = r#""Logical_Switch_Port": {"isRoot": true, "#;
        let json = OLD.replace(r#""Logical_Switch_Port": {"#, root);
        let mut rows = contents(Schema::parse(&json).unwrap(), Row::new());
        rows.insert("Logical_Switch_Port", Row::new()).unwrap();
        let message = message(rows, &old());
        assert!(
            message.ends_with(": 1 row of table Logical_Switch_Port"),
            "{message}"
        );
    }

    #[test]
    fn a_value_that_does_not_fit_is_told() {
        let rows = contents(new(), Row::new().set("name", "p"));
        let message = message(rows, &old());
        assert!(
            message.starts_with(
                "OVN_Northbound does not fit when its schema goes from 7.18.0 to 7.0.0: row "
            ),
            "{message}"
        );
        assert!(
            message.contains("column tag: 0 elements where 1 are allowed"),
            "{message}"
        );
    }

    #[test]
    fn what_is_replaced_may_be_lost() {
        let json = OLD.replace(r#""SSL": {"#, r#""SSL": {"isRoot": true, "#);
        let older = Schema::parse(&json).unwrap();
        let json = new()
            .json()
            .replace(r#""SSL": {"#, r#""SSL": {"isRoot": true, "#);
        let mut rows = Contents::new(Schema::parse(&json).unwrap());
        rows.insert("SSL", Row::new().set("ciphers", "all"))
            .unwrap();
        convert(rows, &older).unwrap();
    }

    #[test]
    fn one_database_does_not_become_another() {
        let other = Schema::parse(&OLD.replace("North", "South")).unwrap();
        assert_eq!(
            message(contents(old(), Row::new()), &other),
            "OVN_Northbound cannot become OVN_Southbound"
        );
    }
}
