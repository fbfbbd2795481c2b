//! Monitors of some rows only, and conditions that change while they run.

use ovsdb_client::value::Row;
use ovsdb_client::{Client, Condition, Event, Monitor, MonitorError, MonitorTable, Transaction};

use crate::case::{Case, Fixture, case};
use crate::cases::conditions;
use crate::cases::monitors::names;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(conditions::rows_come_and_go_with_their_values).both_layers(),
        case!(conditions::rows_come_and_go_with_the_conditions).both_layers(),
        case!(conditions::conditions_change_while_another_client_writes),
        case!(conditions::a_condition_that_is_wrong_is_refused),
    ]
}

async fn with_levels(fixture: &Fixture, client: &Client, levels: std::ops::Range<i64>) {
    let mut txn = Transaction::new();
    for level in levels {
        let row = Row::new()
            .set("name", format!("level {level}"))
            .set("number", level);
        txn.insert("Thing", row);
    }
    client.transact(&fixture.name, txn).await.unwrap();
}

async fn rows_come_and_go_with_their_values(fixture: Fixture) {
    let client = fixture.client().await;
    let seen = MonitorTable::new("Thing").condition(Condition::eq("name", "seen"));
    let monitor = client.monitor(&fixture.name, &[seen]).await.unwrap();
    let (_, mut changes) = monitor.subscribe();
    let rename = |from: &str, to: &str| {
        let mut txn = Transaction::new();
        let row = Row::new().set("name", to);
        txn.update("Thing", [Condition::eq("name", from)], row);
        client.transact(&fixture.name, txn)
    };
    let mut txn = Transaction::new();
    txn.insert("Thing", Row::new().set("name", "hidden").set("number", 5));
    client.transact(&fixture.name, txn).await.unwrap();
    assert!(changes.try_next().is_none());

    rename("hidden", "seen").await.unwrap();
    let Some(Event::Changes(entered)) = changes.try_next() else {
        panic!("the row came in")
    };
    assert!(entered.rows[0].old.is_none());
    let new = entered.rows[0].new.as_ref().unwrap();
    assert_eq!(
        new.i64("number"),
        Some(5),
        "whole, although one column changed"
    );

    rename("seen", "hidden").await.unwrap();
    let Some(Event::Changes(left)) = changes.try_next() else {
        panic!("the row went out")
    };
    assert!(left.rows[0].new.is_none() && left.rows[0].old.is_some());
    assert!(monitor.snapshot().is_empty("Thing"));
}

/// Sets conditions, and sees that the rows are there when that returns.
async fn expect(monitor: &Monitor, conditions: Vec<Condition>, levels: &[i64]) {
    monitor.set_conditions("Thing", conditions).await.unwrap();
    let wanted: Vec<_> = levels
        .iter()
        .map(|level| format!("level {level}"))
        .collect();
    assert_eq!(names(monitor), wanted);
}

async fn rows_come_and_go_with_the_conditions(fixture: Fixture) {
    let client = fixture.client().await;
    with_levels(&fixture, &client, 0..6).await;
    let none = MonitorTable::new("Thing").condition(Condition::no_row());
    let monitor = client.monitor(&fixture.name, &[none]).await.unwrap();
    let (before, mut changes) = monitor.subscribe();
    assert!(before.is_empty("Thing"));
    for _ in 0..3 {
        expect(&monitor, vec![Condition::lt("number", 2)], &[0, 1]).await;
        // A row must meet one of them.
        let either = [Condition::lt("number", 1), Condition::eq("number", 4)];
        expect(&monitor, either.to_vec(), &[0, 4]).await;
        let Some(Event::Changes(first)) = changes.try_next() else {
            panic!("two rows came")
        };
        assert!(first.rows.len() == 2 && first.rows.iter().all(|row| row.old.is_none()));
        let Some(Event::Changes(second)) = changes.try_next() else {
            panic!("a row came and a row went")
        };
        let gone = second.rows.iter().filter(|row| row.new.is_none());
        assert_eq!((second.rows.len(), gone.count()), (2, 1));
        expect(&monitor, vec![], &[0, 1, 2, 3, 4, 5]).await;
        expect(&monitor, vec![Condition::every_row()], &[0, 1, 2, 3, 4, 5]).await;
        expect(&monitor, vec![Condition::no_row()], &[]).await;
        while changes.try_next().is_some() {}
    }
}

async fn conditions_change_while_another_client_writes(fixture: Fixture) {
    let (client, other) = (fixture.client().await, fixture.client().await);
    with_levels(&fixture, &client, 0..10).await;
    let none = MonitorTable::new("Thing").condition(Condition::no_row());
    let monitor = client.monitor(&fixture.name, &[none]).await.unwrap();
    let writing = async {
        for step in 0.. {
            let mut txn = Transaction::new();
            let row = Row::new().set("real", f64::from(step));
            txn.update("Thing", [Condition::eq("number", step % 10)], row);
            other.transact(&fixture.name, txn).await.unwrap();
        }
    };
    let changing = async {
        for limit in (0..=10).cycle().take(66) {
            monitor
                .set_conditions("Thing", [Condition::lt("number", limit)])
                .await
                .unwrap();
            let rows = monitor.snapshot();
            let mut numbers: Vec<_> = rows
                .rows("Thing")
                .filter_map(|(_, row)| row.i64("number"))
                .collect();
            numbers.sort_unstable();
            assert_eq!(numbers, (0..limit).collect::<Vec<_>>());
        }
    };
    tokio::select! {
        () = changing => {}
        () = writing => unreachable!("it has no end"),
    }
}

async fn a_condition_that_is_wrong_is_refused(fixture: Fixture) {
    let client = fixture.client().await;
    with_levels(&fixture, &client, 0..1).await;
    let monitor = fixture.things(&client).await;
    let unknown = monitor.set_conditions("Gone", []).await.unwrap_err();
    assert!(
        matches!(unknown, MonitorError::UnknownTable { .. }),
        "{unknown:?}"
    );
    let wrong = [Condition::eq("number", "seven")];
    let wrong = monitor.set_conditions("Thing", wrong).await.unwrap_err();
    assert!(matches!(wrong, MonitorError::Call { .. }), "{wrong:?}");
    expect(&monitor, vec![], &[0]).await;
}
