//! A database whose connection is lost and made again.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use ovsdb_client::value::Row;
use ovsdb_client::{
    CallError, Client, Condition, Database, Event, LockState, MonitorEnded, MonitorError,
    MonitorTable, Remote, Subscription, TransactError, TransactErrorKind, Transaction, Until,
};
use tokio::time::Instant;

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
        case!(reconnects::a_lock_is_asked_for_again),
        case!(reconnects::a_monitor_that_was_given_up_is_not_asked_for_again),
        case!(reconnects::a_transaction_in_flight_is_uncertain).both_layers(),
        case!(reconnects::a_transaction_waits_for_a_connection),
        case!(reconnects::a_monitor_and_a_lock_wait_for_a_connection),
        case!(reconnects::a_server_that_drops_its_clients_is_not_stormed),
        case!(reconnects::nobody_at_all_is_an_error_with_reasons),
        case!(reconnects::everything_survives_the_death_of_all_servers).own_servers(),
    ]
}

/// A database behind a proxy, which may be any member of a cluster.
async fn behind(fixture: &Fixture, proxy: &Proxy) -> Database {
    let builder = fixture.builder_at(proxy.remote()).leader_only(false);
    builder.open().await.unwrap()
}

async fn disconnected(database: &Database) {
    let none = database.wait_status(soon(), |status| status.connected.is_none().then_some(()));
    none.await.unwrap();
}

/// Waits for a connection other than the one of a session.
async fn reconnected(database: &Database, session: u64) {
    let newer = database.wait_status(soon(), |status| {
        (status.session > session && status.connected.is_some()).then_some(())
    });
    newer.await.unwrap();
}

/// The changes that are here, as `-old` and `+new` names and numbers.
fn changes(subscription: &mut Subscription) -> Vec<String> {
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

/// Rows for the sake of their size: a server remembers no more than its database is large
/// (`ovsdb_txn_history_run` of `ovsdb/transaction.c`).
async fn ballast(fixture: &Fixture, client: &Client) {
    let mut txn = Transaction::new();
    let row = Row::new().set("numbers", (0..1000).collect::<Vec<i64>>());
    let ballast = txn.insert("Part", Row::new());
    txn.insert(
        "Thing",
        row.set("name", "ballast")
            .set("parts", ballast)
            .set("number", 1),
    );
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

async fn a_lock_is_asked_for_again(fixture: Fixture) {
    let proxy = fixture.proxy().await;
    let database = behind(&fixture, &proxy).await;
    let lock = database.lock(&fixture.lock_name()).await.unwrap();
    assert!(lock.wait_owned(soon()).await);
    let session = database.status().session;
    proxy.close();
    assert_eq!(
        lock.changed(LockState::Owned).await,
        LockState::Disconnected
    );
    proxy.open();
    reconnected(&database, session).await;
    assert!(lock.wait_owned(soon()).await);
    let mut txn = Transaction::new();
    txn.assert_lock(fixture.lock_name());
    database.transact(txn).await.unwrap();

    // What was given back is not asked for again, whoever holds a handle on it still.
    let handle = lock.clone();
    lock.unlock().await.unwrap();
    let session = database.status().session;
    proxy.cut();
    reconnected(&database, session).await;
    let other = database.client().unwrap();
    let taken = other.lock(&fixture.lock_name()).await.unwrap();
    assert!(taken.wait_owned(soon()).await);
    assert_eq!(handle.state(), LockState::Disconnected);
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

fn hanging() -> Transaction {
    let mut txn = Transaction::new();
    let never = [Row::new().set("name", "never")];
    let minute = Duration::from_secs(60);
    txn.wait("Thing", [], ["name"], Until::Equal, never, minute);
    txn.insert("Thing", Row::new().set("name", "late"));
    txn
}

async fn a_transaction_in_flight_is_uncertain(fixture: Fixture) {
    let proxy = fixture.proxy().await;
    let database = behind(&fixture, &proxy).await;
    let client = database.client().unwrap();
    let session = database.status().session;
    let cut = async {
        // The server has the transaction when it answers what came after.
        client.echo().await.unwrap();
        proxy.cut();
    };
    let (outcome, ()) = tokio::join!(database.transact(hanging()), cut);
    let failure = outcome.unwrap_err();
    assert_eq!(failure.kind(), TransactErrorKind::Undecided);
    match failure {
        TransactError::Uncertain {
            source: CallError::Disconnected { .. },
        } => {}
        other => panic!("{other:?}"),
    }
    reconnected(&database, session).await;
    database.transact(Transaction::new()).await.unwrap();
}

async fn a_transaction_waits_for_a_connection(fixture: Fixture) {
    let proxy = fixture.proxy().await;
    let database = behind(&fixture, &proxy).await;
    let monitor = database
        .monitor(&[MonitorTable::new("Thing")])
        .await
        .unwrap();
    proxy.close();
    disconnected(&database).await;
    let mut txn = Transaction::new();
    txn.insert("Thing", Row::new().set("name", "patient"));
    let open = async { proxy.open() };
    let (outcome, ()) = tokio::join!(database.transact(txn), open);
    outcome.unwrap();
    assert_eq!(names(&monitor), ["patient"]);

    // Not for ever; and a transaction that was never sent is not uncertain.
    let hasty = fixture.builder_at(proxy.remote()).leader_only(false);
    let hasty = hasty
        .deadline(Duration::from_millis(300))
        .open()
        .await
        .unwrap();
    proxy.close();
    disconnected(&hasty).await;
    let failure = hasty.transact(Transaction::new()).await.unwrap_err();
    assert_ne!(failure.kind(), TransactErrorKind::Undecided);
    assert!(matches!(failure, TransactError::Call { .. }), "{failure:?}");
}

async fn a_monitor_and_a_lock_wait_for_a_connection(fixture: Fixture) {
    let other = fixture.client().await;
    insert(&fixture, &other, "there", 1).await;
    let proxy = fixture.proxy().await;
    proxy.close();
    let database = fixture
        .builder_at(proxy.remote())
        .leader_only(false)
        .start();
    let things = [MonitorTable::new("Thing")];
    let name = fixture.lock_name();
    let open = async { proxy.open() };
    let (monitor, lock, ()) = tokio::join!(database.monitor(&things), database.lock(&name), open);
    assert_eq!(names(&monitor.unwrap()), ["there"]);
    assert!(lock.unwrap().wait_owned(soon()).await);
}

/// Every session begins well and ends at once.
async fn a_server_that_drops_its_clients_is_not_stormed(fixture: Fixture) {
    let proxy = fixture.proxy().await;
    let pause = Duration::from_millis(100);
    let builder = fixture.builder_at(proxy.remote()).leader_only(false);
    let database = builder.backoff(pause, pause).open().await.unwrap();
    let began = Instant::now();
    const SESSIONS: u32 = 5;
    for _ in 0..SESSIONS {
        let session = database.status().session;
        proxy.cut();
        reconnected(&database, session).await;
    }
    // Up to a quarter is taken off of each pause; the first end came after a while, perhaps.
    let shortest = (SESSIONS - 1) * pause.mul_f64(0.75);
    assert!(began.elapsed() >= shortest, "{:?}", began.elapsed());
}

async fn nobody_at_all_is_an_error_with_reasons(fixture: Fixture) {
    let nowhere = fixture.servers.path(&format!("{}.nobody", fixture.name));
    let began = Instant::now();
    let builder = fixture.builder_at(Remote::Unix(nowhere.clone()));
    let deadline = Duration::from_millis(300);
    let failure = builder.deadline(deadline).open().await.unwrap_err();
    assert!(began.elapsed() >= deadline);
    let first: &dyn Error = &failure;
    let chain = std::iter::successors(Some(first), |&error| error.source());
    let chain: Vec<_> = chain.map(ToString::to_string).collect();
    let [database, session, connection, system] = &chain[..] else {
        panic!("{chain:?}")
    };
    assert!(database.starts_with(&format!(
        "database {} has no connection after",
        fixture.name
    )));
    assert_eq!(session, "no connection");
    assert_eq!(
        *connection,
        format!("cannot connect to unix:{}", nowhere.display())
    );
    assert!(system.starts_with("No such file"), "{system}");
}

/// Real servers lose what they had in memory, and show what they had on disk.
async fn everything_survives_the_death_of_all_servers(fixture: Fixture) {
    let database = fixture.open().await;
    let monitor = database
        .monitor(&[MonitorTable::new("Thing")])
        .await
        .unwrap();
    let lock = database.lock(&fixture.lock_name()).await.unwrap();
    let mut txn = Transaction::new();
    txn.insert("Thing", Row::new().set("name", "durable"));
    txn.commit(true);
    database.transact(txn).await.unwrap();
    let (_, mut seen) = monitor.subscribe();
    let client = database.client().unwrap();
    let session = database.status().session;
    let kill = async {
        client.echo().await.unwrap();
        fixture.servers.kill();
    };
    let (outcome, ()) = tokio::join!(database.transact(hanging()), kill);
    assert_eq!(outcome.unwrap_err().kind(), TransactErrorKind::Undecided);
    disconnected(&database).await;
    assert_eq!(names(&monitor), ["durable"]);
    assert_eq!(lock.state(), LockState::Disconnected);

    fixture.servers.restart().await;
    reconnected(&database, session).await;
    assert_eq!(changes(&mut seen), [""; 0], "nothing has changed");
    assert!(lock.wait_owned(soon()).await);
    let mut txn = Transaction::new();
    txn.insert("Thing", Row::new().set("name", "after"));
    database.transact(txn).await.unwrap();
    assert_eq!(names(&monitor), ["after", "durable"]);
    assert_eq!(changes(&mut seen), ["+after 0"]);
}
