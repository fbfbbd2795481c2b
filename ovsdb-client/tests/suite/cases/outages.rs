//! What becomes of transactions, locks and clients while there is no connection.

use std::error::Error;
use std::time::Duration;

use ovsdb_client::value::Row;
use ovsdb_client::{
    CallError, LockState, MonitorTable, Remote, TransactError, TransactErrorKind, Transaction,
    Until,
};
use tokio::time::Instant;

use crate::case::{Case, Fixture, case, soon};
use crate::cases::monitors::{insert, names};
use crate::cases::outages;
use crate::cases::reconnects::{behind, changes, disconnected, reconnected};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(outages::a_lock_is_asked_for_again),
        case!(outages::a_transaction_in_flight_is_uncertain).both_layers(),
        case!(outages::a_transaction_waits_for_a_connection),
        case!(outages::a_monitor_and_a_lock_wait_for_a_connection),
        case!(outages::a_server_that_drops_its_clients_is_not_stormed),
        case!(outages::nobody_at_all_is_an_error_with_reasons),
        case!(outages::everything_survives_the_death_of_all_servers).own_servers(),
    ]
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
