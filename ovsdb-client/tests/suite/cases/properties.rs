//! What holds after any series of transactions.

use ovsdb_client::value::Row;
use ovsdb_client::{Condition, MonitorTable, Schema, Transaction};

use crate::case::{Case, Fixture, case};
use crate::cases::properties;
use crate::cases::random::Random;
use crate::cases::reconnects::{ballast, behind, disconnected, reconnected};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(properties::differences_add_up_to_what_a_new_monitor_and_a_select_see),
        case!(properties::a_resumed_monitor_shows_what_a_new_one_does),
    ]
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

async fn a_resumed_monitor_shows_what_a_new_one_does(fixture: Fixture) {
    let other = fixture.client().await;
    ballast(&fixture, &other).await;
    let proxy = fixture.proxy().await;
    let database = behind(&fixture, &proxy).await;
    let all = [MonitorTable::new("Thing"), MonitorTable::new("Part")];
    // Rows come in and go out while nobody looks.
    let some = [MonitorTable::new("Thing")
        .condition(Condition::gt("number", 1))
        .condition(Condition::eq("flag", true))];
    let (all_followed, some_followed) = (
        database.monitor(&all).await.unwrap(),
        database.monitor(&some).await.unwrap(),
    );
    let mut random = Random::new();
    for round in 0..12 {
        let session = database.status().session;
        proxy.close();
        disconnected(&database).await;
        for _ in 0..4 {
            random.step(&fixture, &other).await;
        }
        proxy.open();
        reconnected(&database, session).await;
        let blame = random.blame(round);
        for (tables, followed) in [(&all[..], &all_followed), (&some, &some_followed)] {
            let fresh = other.monitor(&fixture.name, tables).await.unwrap();
            let (fresh, followed) = (fresh.snapshot(), followed.snapshot());
            for table in fresh.tables() {
                assert!(
                    followed.rows(table).eq(fresh.rows(table)),
                    "{table}: {blame}"
                );
            }
        }
    }
    let resumed = if fixture.backend.resumes() { 12 } else { 0 };
    assert_eq!(all_followed.statistics().resumed, resumed);
    assert_eq!(some_followed.statistics().resumed, resumed);
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
