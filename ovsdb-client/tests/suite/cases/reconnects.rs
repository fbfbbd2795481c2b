//! Monitors of a database whose connection is lost and made again.

use std::sync::Arc;

use ovsdb_client::value::Row;
use ovsdb_client::{
    Client, Condition, Database, Event, MonitorEnded, MonitorError, MonitorTable, Subscription,
    Transaction,
};

use crate::case::{Case, Fixture, case, soon};
use crate::cases::monitors::{insert, names};
use crate::cases::reconnects;
use crate::proxy::Proxy;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(reconnects::subscribers_see_exactly_what_changed_meanwhile).both_layers(),
        case!(reconnects::two_monitors_are_both_resumed),
        case!(reconnects::too_much_to_resume_is_caught_up_with_all_the_same),
        case!(reconnects::conditions_may_change_without_a_connection),
        case!(reconnects::conditions_may_change_during_a_reconnection),
        case!(reconnects::conditions_may_turn_out_to_be_wrong),
        case!(reconnects::a_monitor_that_was_given_up_is_not_asked_for_again),
    ]
}

/// A database behind a proxy, which may be any member of a cluster.
pub(super) async fn behind(fixture: &Fixture, proxy: &Proxy) -> Database {
    let builder = fixture.builder_at(proxy.remote()).leader_only(false);
    builder.open().await.unwrap()
}

pub(super) async fn disconnected(database: &Database) {
    let none = database.wait_status(soon(), |status| status.connected.is_none().then_some(()));
    none.await.unwrap();
}

/// Waits for a connection other than the one of a session.
pub(super) async fn reconnected(database: &Database, session: u64) {
    let newer = database.wait_status(soon(), |status| {
        (status.session > session && status.connected.is_some()).then_some(())
    });
    newer.await.unwrap();
}

/// The changes that are here, as `-old` and `+new` names and numbers.
pub(super) fn changes(subscription: &mut Subscription) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some(event) = subscription.try_next() {
        let Event::Changes(change) = event else {
            panic!("there is room for all")
        };
        let text = |sign: char, row: &Option<Arc<Row>>| {
            let row = row.as_ref()?;
            Some(format!("{sign}{} {}", row.str("name")?, row.i64("number")?))
        };
        for row in &change.rows {
            seen.extend(text('-', &row.old));
            seen.extend(text('+', &row.new));
        }
    }
    seen.sort();
    seen
}

/// A row for the sake of its size: a server forgets the oldest transactions when the rows that they
/// changed are larger than its database (`ovsdb_txn_history_run` of `ovsdb/transaction.c`).
pub(super) async fn ballast(fixture: &Fixture, client: &Client) {
    let numbers: Vec<i64> = (0..1000).collect();
    let row = Row::new().set("name", "ballast").set("number", 1);
    let mut txn = Transaction::new();
    txn.insert("Thing", row.set("numbers", numbers));
    client.transact(&fixture.name, txn).await.unwrap();
    // That one is soon forgotten for its size, so nobody should have to resume after it.
    let mut txn = Transaction::new();
    txn.insert("Counter", Row::new());
    client.transact(&fixture.name, txn).await.unwrap();
}

async fn subscribers_see_exactly_what_changed_meanwhile(fixture: Fixture) {
    let other = fixture.client().await;
    ballast(&fixture, &other).await;
    for name in ["kept", "changed", "deleted"] {
        insert(&fixture, &other, name, 1).await;
    }
    let proxy = fixture.proxy().await;
    let database = behind(&fixture, &proxy).await;
    let monitor = database
        .monitor(&[MonitorTable::new("Thing")])
        .await
        .unwrap();
    let (_, mut seen) = monitor.subscribe();
    for round in 1..=3 {
        proxy.close();
        disconnected(&database).await;
        assert!(!monitor.is_live());
        assert_eq!(
            names(&monitor).len(),
            4,
            "the rows stay while there is no connection"
        );

        let session = database.status().session;
        let mut txn = Transaction::new();
        txn.update(
            "Thing",
            [Condition::eq("name", "changed")],
            Row::new().set("number", round + 1),
        );
        txn.delete("Thing", [Condition::eq("name", "deleted")]);
        other.transact(&fixture.name, txn).await.unwrap();
        // Under the same name, yet another row.
        insert(&fixture, &other, "deleted", round + 1).await;
        insert(&fixture, &other, "short-lived", 1).await;
        let mut txn = Transaction::new();
        txn.delete("Thing", [Condition::eq("name", "short-lived")]);
        other.transact(&fixture.name, txn).await.unwrap();

        proxy.open();
        reconnected(&database, session).await;
        let (before, after) = (round, round + 1);
        assert_eq!(
            changes(&mut seen),
            [
                format!("+changed {after}"),
                format!("+deleted {after}"),
                format!("-changed {before}"),
                format!("-deleted {before}"),
            ]
        );
        let statistics = monitor.statistics();
        let rounds = u64::try_from(round).unwrap();
        assert_eq!(statistics.sessions, rounds + 1);
        let resumed = if fixture.backend.resumes() { rounds } else { 0 };
        assert_eq!(statistics.resumed, resumed);
    }
    insert(&fixture, &other, "live again", 1).await;
    let live = monitor.wait_until(soon(), |rows| (rows.len("Thing") == 5).then_some(()));
    live.await.unwrap();
}

async fn two_monitors_are_both_resumed(fixture: Fixture) {
    let other = fixture.client().await;
    ballast(&fixture, &other).await;
    let proxy = fixture.proxy().await;
    let database = behind(&fixture, &proxy).await;
    let things = database
        .monitor(&[MonitorTable::new("Thing")])
        .await
        .unwrap();
    let some = MonitorTable::new("Thing").condition(Condition::lt("number", 5));
    let some = database
        .monitor(&[some, MonitorTable::new("Counter")])
        .await
        .unwrap();
    let resumes = u64::from(fixture.backend.resumes());
    for round in 1..=3_u64 {
        let session = database.status().session;
        proxy.close();
        disconnected(&database).await;
        let number = i64::try_from(round).unwrap() * 2;
        insert(&fixture, &other, &format!("thing {number}"), number).await;
        proxy.open();
        reconnected(&database, session).await;
        for monitor in [&things, &some] {
            let statistics = monitor.statistics();
            assert_eq!(statistics.sessions, round + 1);
            assert_eq!(statistics.resumed, resumes * round);
        }
    }
    assert_eq!(names(&things), ["ballast", "thing 2", "thing 4", "thing 6"]);
    assert_eq!(names(&some), ["ballast", "thing 2", "thing 4"]);
}

/// The history of a server has 100 transactions (`ovsdb/transaction.c`).
async fn too_much_to_resume_is_caught_up_with_all_the_same(fixture: Fixture) {
    let other = fixture.client().await;
    let proxy = fixture.proxy().await;
    let database = behind(&fixture, &proxy).await;
    let monitor = database
        .monitor(&[MonitorTable::new("Thing")])
        .await
        .unwrap();
    insert(&fixture, &other, "first", 0).await;
    let first = monitor.wait_until(soon(), |rows| (rows.len("Thing") == 1).then_some(()));
    first.await.unwrap();
    let session = database.status().session;
    proxy.close();
    disconnected(&database).await;
    let writes = (1..=150).map(async |number| {
        insert(&fixture, &other, &format!("thing {number}"), number).await;
    });
    futures::future::join_all(writes).await;
    proxy.open();
    reconnected(&database, session).await;
    assert_eq!(monitor.statistics().resumed, 0);
    assert_eq!(monitor.snapshot().len("Thing"), 151);
}

async fn conditions_may_change_without_a_connection(fixture: Fixture) {
    let other = fixture.client().await;
    for number in 0..4 {
        insert(&fixture, &other, &format!("thing {number}"), number).await;
    }
    let proxy = fixture.proxy().await;
    let database = behind(&fixture, &proxy).await;
    let table = MonitorTable::new("Thing").condition(Condition::lt("number", 1));
    let monitor = database.monitor(&[table]).await.unwrap();
    assert_eq!(names(&monitor), ["thing 0"]);
    proxy.close();
    disconnected(&database).await;
    let change = monitor.set_conditions("Thing", [Condition::gt("number", 1)]);
    let open = async {
        proxy.open();
    };
    let (changed, ()) = tokio::join!(change, open);
    changed.unwrap();
    assert_eq!(names(&monitor), ["thing 2", "thing 3"]);
}

/// The server of the next session will have none of it.
async fn conditions_may_turn_out_to_be_wrong(fixture: Fixture) {
    let proxy = fixture.proxy().await;
    let database = behind(&fixture, &proxy).await;
    let monitor = database
        .monitor(&[MonitorTable::new("Thing")])
        .await
        .unwrap();
    let kept = database
        .monitor(&[MonitorTable::new("Counter")])
        .await
        .unwrap();
    proxy.close();
    disconnected(&database).await;
    let change = monitor.set_conditions("Thing", [Condition::eq("number", "seven")]);
    let open = async { proxy.open() };
    let (changed, ()) = tokio::join!(tokio::time::timeout_at(soon(), change), open);
    let refused = changed.expect("there is an answer").unwrap_err();
    match refused {
        MonitorError::Ended {
            source: MonitorEnded::Refused { reason },
        } => {
            assert!(!reason.is_empty());
        }
        other => panic!("{other:?}"),
    }
    database.transact(Transaction::new()).await.unwrap();
    assert!(kept.is_live());
}

/// The request for the monitor has left with the old conditions when they change.
async fn conditions_may_change_during_a_reconnection(fixture: Fixture) {
    let other = fixture.client().await;
    for number in 0..4 {
        insert(&fixture, &other, &format!("thing {number}"), number).await;
    }
    let proxy = fixture.proxy().await;
    let database = behind(&fixture, &proxy).await;
    let table = MonitorTable::new("Thing").condition(Condition::lt("number", 1));
    let monitor = database.monitor(&[table]).await.unwrap();
    let cut = async { proxy.cut() };
    tokio::join!(proxy.hold_after("monitor_cond_since", "Thing"), cut);
    let change = monitor.set_conditions("Thing", [Condition::gt("number", 1)]);
    let release = async {
        // The change has been asked for when this is polled.
        proxy.release();
    };
    let changed = async { tokio::join!(change, release).0 };
    let changed = tokio::time::timeout_at(soon(), changed).await;
    changed
        .expect("the new conditions are acknowledged")
        .unwrap();
    assert_eq!(names(&monitor), ["thing 2", "thing 3"]);
}

async fn a_monitor_that_was_given_up_is_not_asked_for_again(fixture: Fixture) {
    let proxy = fixture.proxy().await;
    let database = behind(&fixture, &proxy).await;
    let kept = database
        .monitor(&[MonitorTable::new("Counter")])
        .await
        .unwrap();
    let canceled = database
        .monitor(&[MonitorTable::new("Thing")])
        .await
        .unwrap();
    let handle = canceled.clone();
    canceled.cancel().await.unwrap();
    let dropped = database
        .monitor(&[MonitorTable::new("Part")])
        .await
        .unwrap();
    drop(dropped);
    for round in 2..4 {
        let session = database.status().session;
        proxy.cut();
        reconnected(&database, session).await;
        let asked =
            ["Counter", "Thing", "Part"].map(|table| proxy.count("monitor_cond_since", table));
        assert_eq!(asked, [round, 1, 1]);
    }
    assert!(kept.is_live());
    assert!(matches!(handle.ended(), Some(MonitorEnded::Dropped)));
}
