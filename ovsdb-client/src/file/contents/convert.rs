//! Rows under another schema.

use std::sync::Arc;

use super::{At, Contents, default_of, put, rows_mut};
use crate::file::problem::InvalidRows;
use crate::schema::{ColumnType, Schema, Table};
use crate::value::{Datum, Row};

pub(super) fn convert(old: &Contents, schema: Arc<Schema>) -> Result<Contents, InvalidRows> {
    let mut new = Contents::new(Arc::clone(&schema));
    let mut problems = Vec::new();
    for (table, rows) in old.stored() {
        let (Some(before), Some(after)) = (old.schema().table(table), schema.table(table)) else {
            continue;
        };
        let columns = shared(before, after);
        for (&uuid, row) in rows {
            let at = At { table, uuid };
            let mut converted = Row::new();
            for (name, ty, default) in &columns {
                let Some(datum) = row.get(name).or(default.as_ref()) else {
                    continue;
                };
                match at.check(name, ty, datum) {
                    Ok(()) => put(&mut converted, (*name).to_owned(), ty, datum.clone()),
                    Err(problem) => problems.push(problem),
                }
            }
            rows_mut(&mut new.tables, table).insert(uuid, Arc::new(converted));
        }
    }
    if !problems.is_empty() {
        return Err(InvalidRows { problems });
    }
    new.settle_loaded()?;
    Ok(new)
}

/// The columns that both have, with their new type, and with the old default if it is not the
/// default of the new type: then a row that does not mention the column has to from now on.
fn shared<'a>(
    before: &'a Table,
    after: &'a Table,
) -> Vec<(&'a str, &'a ColumnType, Option<Datum>)> {
    before
        .columns()
        .filter_map(|(name, column)| {
            let old = default_of(column.column_type());
            let ty = after.column(name)?.column_type();
            let same = ty.check(&old).is_ok() && ty.canonical(old.clone()) == default_of(ty);
            Some((name, ty, (!same).then_some(old)))
        })
        .collect()
}
