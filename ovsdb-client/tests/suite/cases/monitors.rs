//! Rows here, kept equal to the server's.

use std::time::Duration;

use ovsdb_client::value::{Datum, Row};
use ovsdb_client::{
    CallError, Client, Condition, Monitor, MonitorEnded, MonitorError, MonitorTable, Mutation,
    Snapshot, Transaction, WaitError,
};
use tokio::time::Instant;

use crate::case::{Case, Fixture, case, soon};
use crate::cases::monitors;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(monitors::what_a_transaction_did_is_seen_when_it_returns).both_layers(),
        case!(monitors::others_see_what_a_transaction_did).both_layers(),
        case!(monitors::a_monitor_sees_only_what_it_asked_for),
        case!(monitors::a_table_or_column_that_is_missing_is_named),
        case!(monitors::monitors_of_one_connection_do_not_mix),
        case!(monitors::a_monitor_that_is_given_up_gets_no_more),
        case!(monitors::older_methods_do_as_well).both_layers(),
        case!(monitors::the_oldest_method_knows_no_conditions),
        case!(monitors::a_wait_ends_with_what_it_saw_or_its_deadline),
    ]
}

pub(super) async fn insert(fixture: &Fixture, client: &Client, name: &str, number: i64) {
    let mut txn = Transaction::new();
    txn.insert("Thing", Row::new().set("name", name).set("number", number));
    client.transact(&fixture.name, txn).await.unwrap();
}

/// Names of the things that a monitor shows, sorted.
pub(super) fn names(monitor: &Monitor) -> Vec<String> {
    let rows = monitor.snapshot();
    let rows = rows.rows("Thing");
    let mut names: Vec<_> = rows
        .map(|(_, row)| row.str("name").unwrap().to_owned())
        .collect();
    names.sort();
    names
}

async fn what_a_transaction_did_is_seen_when_it_returns(fixture: Fixture) {
    const ROUNDS: i64 = 100;
    let (client, other) = (fixture.client().await, fixture.client().await);
    let monitor = fixture.things(&client).await;
    let writing = async {
        for round in 0..ROUNDS {
            let mut txn = Transaction::new();
            let row = Row::new()
                .set("name", format!("mine {round}"))
                .set("number", round);
            let thing = txn.insert("Thing", row);
            let outcome = client.transact(&fixture.name, txn).await.unwrap();
            let rows = monitor.snapshot();
            let row = rows.row("Thing", outcome.uuid(thing).unwrap());
            assert_eq!(row.and_then(|row| row.i64("number")), Some(round));

            let mut txn = Transaction::new();
            let condition = Condition::eq("name", format!("mine {round}"));
            txn.delete("Thing", [condition]);
            client.transact(&fixture.name, txn).await.unwrap();
            let rows = monitor.snapshot();
            assert!(rows.row("Thing", outcome.uuid(thing).unwrap()).is_none());
        }
    };
    let disturbing = async {
        for round in 0.. {
            insert(&fixture, &other, &format!("other {round}"), round).await;
        }
    };
    tokio::select! {
        () = writing => {}
        () = disturbing => unreachable!("it has no end"),
    }
}

async fn others_see_what_a_transaction_did(fixture: Fixture) {
    let (client, other) = (fixture.client().await, fixture.client().await);
    insert(&fixture, &other, "first", 1).await;
    let monitor = fixture.things(&client).await;
    assert_eq!(names(&monitor), ["first"], "it begins with what is there");
    assert_eq!(monitor.statistics().sessions, 1);
    assert_eq!(monitor.statistics().resumed, 0);
    insert(&fixture, &other, "second", 2).await;
    let mut txn = Transaction::new();
    txn.mutate(
        "Thing",
        [Condition::eq("name", "first")],
        [
            Mutation::add("number", 10),
            Mutation::insert("options", Datum::map([("a", "b")])),
        ],
    );
    other.transact(&fixture.name, txn).await.unwrap();
    let mut txn = Transaction::new();
    txn.delete("Thing", [Condition::eq("name", "second")]);
    other.transact(&fixture.name, txn).await.unwrap();
    insert(&fixture, &other, "third", 3).await;

    let all_seen = |rows: &Snapshot| {
        let mut third = rows.find("Thing", &["name"], &["third".into()]);
        third.next().map(drop)
    };
    monitor.wait_until(soon(), all_seen).await.unwrap();
    assert_eq!(names(&monitor), ["first", "third"]);
    let rows = monitor.snapshot();
    let mut first = rows.find("Thing", &["name"], &["first".into()]);
    let (_, first) = first.next().unwrap();
    assert_eq!(first.i64("number"), Some(11));
    assert_eq!(first.map_get("options", "a"), Some("b"));
}

async fn a_monitor_sees_only_what_it_asked_for(fixture: Fixture) {
    let client = fixture.client().await;
    let tables = [
        MonitorTable::new("Thing").columns(["name", "number"]),
        MonitorTable::new("Gone").optional(),
        MonitorTable::new("Counter")
            .columns(["value", "gone"])
            .optional(),
    ];
    let monitor = client.monitor(&fixture.name, &tables).await.unwrap();
    let (_, mut changes) = monitor.subscribe();
    let mut txn = Transaction::new();
    txn.insert("Thing", Row::new().set("name", "a").set("flag", true));
    txn.insert("Counter", Row::new().set("value", 3));
    client.transact(&fixture.name, txn).await.unwrap();
    let rows = monitor.snapshot();
    assert_eq!(rows.tables().collect::<Vec<_>>(), ["Counter", "Thing"]);
    let (_, thing) = rows.rows("Thing").next().unwrap();
    assert_eq!(
        thing.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        ["name", "number"]
    );
    let (_, counter) = rows.rows("Counter").next().unwrap();
    assert_eq!(counter.len(), 1);
    assert!(changes.try_next().is_some());

    let mut txn = Transaction::new();
    txn.update("Thing", [], Row::new().set("flag", false));
    client.transact(&fixture.name, txn).await.unwrap();
    assert!(changes.try_next().is_none(), "the column is not monitored");
}

async fn a_table_or_column_that_is_missing_is_named(fixture: Fixture) {
    let client = fixture.client().await;
    let tables = [MonitorTable::new("Gone")];
    match client.monitor(&fixture.name, &tables).await.unwrap_err() {
        MonitorError::UnknownTable { table, .. } => assert_eq!(table, "Gone"),
        other => panic!("{other:?}"),
    }
    let tables = [MonitorTable::new("Thing").columns(["gone"])];
    match client.monitor(&fixture.name, &tables).await.unwrap_err() {
        MonitorError::UnknownColumn { table, column, .. } => {
            assert_eq!((&*table, &*column), ("Thing", "gone"));
        }
        other => panic!("{other:?}"),
    }
    match client.monitor("Nowhere", &[]).await.unwrap_err() {
        MonitorError::Call {
            source: CallError::Rpc { source, .. },
        } => {
            assert_eq!(source.error, "unknown database");
        }
        other => panic!("{other:?}"),
    }
}

async fn monitors_of_one_connection_do_not_mix(fixture: Fixture) {
    let client = fixture.client().await;
    let all = fixture.things(&client).await;
    let odd = MonitorTable::new("Thing").condition(Condition::eq("flag", true));
    let odd = client.monitor(&fixture.name, &[odd]).await.unwrap();
    let counter = [MonitorTable::new("Counter")];
    let counter = client.monitor(&fixture.name, &counter).await.unwrap();
    let (_, mut counter_changes) = counter.subscribe();
    for number in 0..20 {
        let mut txn = Transaction::new();
        let row = Row::new()
            .set("name", number.to_string())
            .set("flag", number % 2 == 1);
        txn.insert("Thing", row);
        client.transact(&fixture.name, txn).await.unwrap();
        let counts = [&all, &odd, &counter].map(|monitor| monitor.snapshot().len("Thing"));
        let number = usize::try_from(number).unwrap();
        assert_eq!(counts, [number + 1, number.div_ceil(2), 0]);
    }
    assert!(counter_changes.try_next().is_none());
}

async fn a_monitor_that_is_given_up_gets_no_more(fixture: Fixture) {
    let client = fixture.client().await;
    let (canceled, dropped, kept) = (
        fixture.things(&client).await,
        fixture.things(&client).await,
        fixture.things(&client).await,
    );
    let (_, mut after_cancel) = canceled.subscribe();
    let (_, mut after_drop) = dropped.subscribe();
    let clone = canceled.clone();
    canceled.cancel().await.unwrap();
    drop(dropped);
    insert(&fixture, &client, "a", 1).await;
    assert_eq!(names(&kept), ["a"]);
    assert_eq!(names(&clone), [""; 0]);
    for changes in [&mut after_cancel, &mut after_drop] {
        let ended = changes.next().await.unwrap_err();
        assert!(matches!(ended, MonitorEnded::Dropped), "{ended:?}");
    }
    assert!(matches!(clone.ended(), Some(MonitorEnded::Dropped)));
}

async fn older_methods_do_as_well(fixture: Fixture) {
    let direct = fixture.client().await;
    let newest = fixture.things(&direct).await;
    let proxy = fixture.proxy().await;
    let mut monitors = Vec::new();
    let mut clients = Vec::new();
    for method in ["monitor_cond_since", "monitor_cond"] {
        proxy.deny(method);
        let client = fixture.client_to(&proxy.remote()).await;
        monitors.push(fixture.things(&client).await);
        clients.push(client);
    }
    for (client, name) in clients.iter().zip(["first", "second"]) {
        insert(&fixture, client, name, 1).await;
        let mut txn = Transaction::new();
        txn.mutate(
            "Thing",
            [],
            [
                Mutation::add("number", 1),
                Mutation::insert("words", ["a", "b"]),
                Mutation::insert("options", Datum::map([("k", name)])),
            ],
        );
        txn.insert("Thing", Row::new().set("name", "short-lived"));
        client.transact(&fixture.name, txn).await.unwrap();
        let mut txn = Transaction::new();
        txn.mutate("Thing", [], [Mutation::delete("words", ["a"])]);
        txn.delete("Thing", [Condition::eq("name", "short-lived")]);
        client.transact(&fixture.name, txn).await.unwrap();
    }
    insert(&fixture, &direct, "last", 1).await;
    let rows = newest.snapshot();
    assert_eq!(names(&newest), ["first", "last", "second"]);
    for monitor in &monitors {
        let equal = |now: &Snapshot| now.rows("Thing").eq(rows.rows("Thing")).then_some(());
        monitor.wait_until(soon(), equal).await.unwrap();
    }
}

async fn the_oldest_method_knows_no_conditions(fixture: Fixture) {
    let proxy = fixture.proxy().await;
    for method in ["monitor_cond_since", "monitor_cond", "monitor_cond_change"] {
        proxy.deny(method);
    }
    let client = fixture.client_to(&proxy.remote()).await;
    let some = MonitorTable::new("Thing").condition(Condition::eq("flag", true));
    let refused = client.monitor(&fixture.name, &[some]).await.unwrap_err();
    assert!(
        matches!(refused, MonitorError::ConditionsUnsupported),
        "{refused:?}"
    );
    let monitor = fixture.things(&client).await;
    let refused = monitor.set_conditions("Thing", [Condition::no_row()]).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(refused, MonitorError::ConditionsUnsupported),
        "{refused:?}"
    );
}

async fn a_wait_ends_with_what_it_saw_or_its_deadline(fixture: Fixture) {
    let (client, other) = (fixture.client().await, fixture.client().await);
    let monitor = fixture.things(&client).await;
    let highest = |at_least: i64| {
        move |rows: &Snapshot| {
            let numbers = rows.rows("Thing").filter_map(|(_, row)| row.i64("number"));
            numbers.max().filter(|highest| *highest >= at_least)
        }
    };
    let writing = async {
        for number in 0..=5 {
            insert(&fixture, &other, &number.to_string(), number).await;
        }
    };
    let (seen, ()) = tokio::join!(monitor.wait_until(soon(), highest(5)), writing);
    assert_eq!(seen.unwrap(), 5);
    let deadline = Instant::now() + Duration::from_millis(20);
    let late = monitor.wait_until(deadline, highest(6)).await.unwrap_err();
    assert!(matches!(late, WaitError::Timeout { .. }), "{late:?}");
}
