//! What holds after any series of transactions.

use ovsdb_client::value::Row;
use ovsdb_client::{MonitorTable, Schema, Transaction};

use crate::case::{Case, Fixture, case};
use crate::cases::properties;
use crate::cases::random::Random;

pub(crate) fn cases() -> Vec<Case> {
    vec![case!(
        properties::differences_add_up_to_what_a_new_monitor_and_a_select_see
    )]
}

async fn differences_add_up_to_what_a_new_monitor_and_a_select_see(fixture: Fixture) {
    let (client, other) = (fixture.client().await, fixture.client().await);
    let schema = client.get_schema(&fixture.name).await.unwrap();
    let tables = ["Thing", "Part"].map(MonitorTable::new);
    let monitor = client.monitor_as(&schema, &tables).await.unwrap();
    let mut random = Random::new();
    for round in 0..60 {
        random.step(&fixture, &client).await;
        let fresh = other.monitor_as(&schema, &tables).await.unwrap();
        let mut txn = Transaction::new();
        let selects = ["Thing", "Part"].map(|table| txn.select::<&str>(table, [], []));
        let outcome = other.transact(&fixture.name, txn).await.unwrap();
        let (rows, fresh) = (monitor.snapshot(), fresh.snapshot());
        for (table, select) in ["Thing", "Part"].into_iter().zip(selects) {
            let blame = random.blame(round);
            assert!(rows.rows(table).eq(fresh.rows(table)), "{table}: {blame}");
            let mut selected = outcome.rows(select).unwrap().to_vec();
            selected.sort_by_key(|row| row.uuid("_uuid"));
            let selected = selected.iter().map(|row| canonical(&schema, table, row));
            let shown = rows.rows(table).map(|(_, row)| Row::clone(row));
            assert!(shown.eq(selected), "{table}: {blame}");
        }
    }
}

/// A row of a select in the form in which monitors show it.
fn canonical(schema: &Schema, table: &str, row: &Row) -> Row {
    let columns = schema.table(table).unwrap().columns();
    let values = columns.map(|(name, column)| {
        let value = row.get(name).unwrap().clone();
        (name, column.column_type().canonical(value))
    });
    values.collect()
}
