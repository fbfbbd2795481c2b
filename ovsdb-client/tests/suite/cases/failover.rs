//! Which server of several will do, and when it is left.

use std::time::Duration;

use ovsdb_client::database::Unfit;
use ovsdb_client::value::Row;
use ovsdb_client::{
    Database, Disconnect, MonitorEnded, MonitorTable, Remote, Remotes, SessionError,
    TransactErrorKind, Transaction, WaitError,
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::backend::Backend;
use crate::case::{Case, Fixture, case, soon};
use crate::cases::monitors::names;
use crate::cases::{failover, sessions};

pub(crate) fn cases() -> Vec<Case> {
    let clustered = &[Backend::Cluster];
    let processes = &[Backend::Standalone, Backend::Cluster];
    let in_process = &[Backend::InProcess];
    vec![
        case!(failover::followers_are_passed_over_for_the_leader).on(clustered),
        case!(failover::a_new_leader_is_followed)
            .on(clustered)
            .own_servers(),
        case!(failover::a_dead_leader_is_replaced)
            .on(clustered)
            .own_servers(),
        case!(failover::a_server_that_hangs_is_left)
            .on(processes)
            .own_servers(),
        case!(failover::a_server_that_lost_its_cluster_is_left)
            .on(clustered)
            .own_servers(),
        case!(failover::another_cluster_is_refused).on(&[Backend::Cluster, Backend::InProcess]),
        case!(failover::a_new_schema_is_taken_up).on(processes),
        case!(failover::a_leader_is_left_when_it_leads_no_more)
            .on(in_process)
            .own_servers(),
        case!(failover::a_server_that_is_behind_is_refused)
            .on(in_process)
            .own_servers(),
    ]
}

async fn followers_are_passed_over_for_the_leader(fixture: Fixture) {
    let leader = fixture.leader().await;
    let followers = fixture.followers().await;
    assert_eq!(followers.len(), 2);
    let remotes = Remotes::new(followers[0].clone(), [followers[1].clone(), leader.clone()]);
    let builder = fixture.builder_at(remotes.clone()).shuffle(false);
    let database = builder.open().await.unwrap();
    assert_eq!(database.status().connected, Some(leader.to_string()));
    let any = fixture
        .builder_at(remotes)
        .shuffle(false)
        .leader_only(false);
    let any = any.open().await.unwrap();
    assert_eq!(any.status().connected, Some(followers[0].to_string()));
    // A follower passes writes on, and shows them when they are done.
    let monitor = any.monitor(&[MonitorTable::new("Thing")]).await.unwrap();
    for round in 0..20 {
        let mut txn = Transaction::new();
        txn.insert("Thing", Row::new().set("name", round.to_string()));
        any.transact(txn).await.unwrap();
        assert_eq!(monitor.snapshot().len("Thing"), round + 1);
    }
    // Nobody else is asked, so it waits until that one leads.
    let only = fixture.builder_at(followers[0].clone());
    let failure = only
        .deadline(Duration::from_millis(300))
        .open()
        .await
        .unwrap_err();
    let source = failure.source.expect("the follower has answered");
    assert!(
        matches!(
            &*source,
            SessionError::Unfit {
                source: Unfit::NotLeader { .. }
            }
        ),
        "{source:?}"
    );
}

/// Index of the process behind a remote.
fn process_of(fixture: &Fixture, remote: &Remote) -> usize {
    let processes = fixture.servers.processes();
    let found = processes
        .iter()
        .position(|process| process.remote() == *remote);
    found.unwrap()
}

/// Where a database is connected.
fn connected(database: &Database) -> Option<Remote> {
    let connected = database.status().connected?;
    Some(connected.parse().unwrap())
}

async fn a_new_leader_is_followed(fixture: Fixture) {
    let database = fixture.open().await;
    let monitor = database
        .monitor(&[MonitorTable::new("Thing")])
        .await
        .unwrap();
    let old = connected(&database).unwrap();
    let leader = &fixture.servers.processes()[process_of(&fixture, &old)];
    leader
        .control_with(&["cluster/failure-test", "transfer-leadership"])
        .await;
    let moved = database.wait_status(soon(), |status| {
        let elsewhere = status.connected.as_ref()?;
        (*elsewhere != old.to_string()).then_some(())
    });
    moved.await.unwrap();
    let mut txn = Transaction::new();
    txn.insert("Thing", Row::new().set("name", "to the new leader"));
    database.transact(txn).await.unwrap();
    assert_eq!(names(&monitor), ["to the new leader"]);
    assert_eq!(
        monitor.statistics().sessions,
        monitor.statistics().resumed + 1
    );
}

async fn a_dead_leader_is_replaced(fixture: Fixture) {
    let database = fixture.open().await;
    let monitor = database
        .monitor(&[MonitorTable::new("Thing")])
        .await
        .unwrap();
    for round in 0..2 {
        let dead = connected(&database).unwrap();
        let process = &fixture.servers.processes()[process_of(&fixture, &dead)];
        process.kill();
        let mut txn = Transaction::new();
        let uuid = Uuid::from_u128(round);
        txn.insert_as("Thing", uuid, Row::new().set("name", round.to_string()));
        // The end of the connection is known by then or not.
        while let Err(failure) = database.transact(txn.clone()).await {
            match failure.kind() {
                TransactErrorKind::Undecided => {}
                TransactErrorKind::DuplicateUuid => break,
                _ => panic!("{failure}"),
            }
        }
        assert_ne!(connected(&database), Some(dead));
        assert_eq!(names(&monitor).len(), usize::try_from(round).unwrap() + 1);
        process.start().await;
    }
}

async fn a_server_that_hangs_is_left(fixture: Fixture) {
    let probe = Duration::from_millis(500);
    let database = fixture
        .builder()
        .probe_interval(Some(probe))
        .open()
        .await
        .unwrap();
    let stopped = connected(&database).unwrap();
    let process = &fixture.servers.processes()[process_of(&fixture, &stopped)];
    process.stop();
    let began = Instant::now();
    let left = database.wait_status(soon(), |status| {
        status.connected.is_none().then(|| status.failure.clone())
    });
    let failure = left.await.unwrap().expect("the session ended for a reason");
    let took = began.elapsed();
    process.cont();
    match &*failure {
        SessionError::Ended {
            source: Disconnect::Unresponsive { silence },
        } => assert!(*silence >= probe),
        other => panic!("{other:?}"),
    }
    // It may have spoken up to the moment in which it was stopped; the rest is for a busy machine.
    assert!(took <= 2 * probe + Duration::from_millis(500), "{took:?}");
    database.transact(Transaction::new()).await.unwrap();
}

/// A follower that hears nothing from the others says so.
async fn a_server_that_lost_its_cluster_is_left(fixture: Fixture) {
    let database = fixture.builder().leader_only(false).open().await.unwrap();
    let session = database.status().session;
    let here = connected(&database).unwrap();
    let mine = process_of(&fixture, &here);
    let processes = fixture.servers.processes();
    for (index, process) in processes.iter().enumerate() {
        if index != mine {
            process.kill();
        }
    }
    let failure = database.wait_status(soon(), |status| {
        match (&status.connected, &status.failure) {
            (None, Some(failure)) => Some(failure.clone()),
            _ => None,
        }
    });
    let failure = failure.await.unwrap();
    assert!(
        matches!(
            &*failure,
            SessionError::Ended { .. } | SessionError::Unfit { .. } | SessionError::Connect { .. }
        ),
        "{failure:?}"
    );
    for (index, process) in processes.iter().enumerate() {
        if index != mine {
            process.start().await;
        }
    }
    let again = database.wait_status(soon(), |status| {
        (status.session > session && status.connected.is_some()).then_some(())
    });
    again.await.unwrap();
    database.transact(Transaction::new()).await.unwrap();
}

async fn another_cluster_is_refused(fixture: Fixture) {
    let client = fixture.client().await;
    let of_server = MonitorTable::new("Database").columns(["name", "cid"]);
    let server = client.monitor("_Server", &[of_server]).await.unwrap();
    let rows = server.snapshot();
    let mut rows = rows.find("Database", &["name"], &[fixture.name.as_str().into()]);
    let (_, row) = rows.next().unwrap();
    let remotes = fixture.servers.remotes();
    let cluster = row.uuid("cid");
    if let Some(cluster) = cluster {
        let right = fixture.builder_at(remotes.clone().with_cluster_id(cluster));
        right.open().await.unwrap();
    }
    let wrong = fixture.builder_at(remotes.with_cluster_id(Uuid::from_u128(1)));
    let failure = wrong
        .deadline(Duration::from_millis(500))
        .open()
        .await
        .unwrap_err();
    let source = failure.source.expect("a server has answered");
    match &*source {
        SessionError::Unfit {
            source: Unfit::OtherCluster { found, .. },
        } => {
            assert_eq!(*found, cluster.unwrap_or_default());
        }
        other => panic!("{other:?}"),
    }
}

async fn a_new_schema_is_taken_up(fixture: Fixture) {
    let database = fixture.open().await;
    let things = database
        .monitor(&[MonitorTable::new("Thing")])
        .await
        .unwrap();
    let added = MonitorTable::new("Added").optional();
    let added = database.monitor(&[added]).await.unwrap();
    let mut txn = Transaction::new();
    txn.insert("Thing", Row::new().set("name", "before"));
    database.transact(txn).await.unwrap();
    let new = sessions::converted(&fixture.name);
    let client = fixture.client().await;
    client.convert(&fixture.name, &new).await.unwrap();
    let taken_up = database.wait_status(soon(), |status| {
        let schema = status.schema.as_ref()?;
        (status.connected.is_some() && schema.version() == "1.1.0").then_some(())
    });
    taken_up.await.unwrap();
    let mut txn = Transaction::new();
    txn.insert("Added", Row::new().set("name", "after"));
    txn.insert("Thing", Row::new().set("name", "after"));
    database.transact(txn).await.unwrap();
    assert_eq!(names(&things), ["after", "before"]);
    assert_eq!(added.snapshot().len("Added"), 1);

    // And back: what is no longer there ends, unless it is optional.
    let strict = database
        .monitor(&[MonitorTable::new("Added")])
        .await
        .unwrap();
    let old = crate::case::schema(&fixture.name);
    client.convert(&fixture.name, &old).await.unwrap();
    let ended = strict.wait_until(soon(), |_| None::<()>).await.unwrap_err();
    match ended {
        WaitError::Ended {
            source: MonitorEnded::Refused { reason },
        } => {
            assert!(reason.contains("Added"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    let gone = added.wait_until(soon(), |rows| rows.is_empty("Added").then_some(()));
    gone.await.unwrap();
    assert_eq!(names(&things), ["after", "before"]);
}

async fn a_leader_is_left_when_it_leads_no_more(fixture: Fixture) {
    let server = fixture.servers.in_process();
    let database = fixture.open().await;
    server.set_leader(&fixture.name, false);
    let left = database.wait_status(soon(), |status| match status.failure.as_deref()? {
        SessionError::Unfit {
            source: Unfit::NotLeader { .. },
        } => Some(()),
        _ => None,
    });
    left.await.unwrap();
    server.set_leader(&fixture.name, true);
    database.wait_connected(soon()).await.unwrap();
}

async fn a_server_that_is_behind_is_refused(fixture: Fixture) {
    let server = fixture.servers.in_process();
    server.set_cluster(
        &fixture.name,
        Some(Uuid::from_u128(1)),
        Some(Uuid::from_u128(2)),
    );
    server.set_index(&fixture.name, 100);
    let database = fixture.open().await;
    server.disconnect_all();
    server.set_index(&fixture.name, 99);
    let refused = database.wait_status(soon(), |status| match status.failure.as_deref()? {
        SessionError::Unfit {
            source:
                Unfit::Stale {
                    index: 99,
                    seen: 100,
                    ..
                },
        } => Some(()),
        _ => None,
    });
    refused.await.unwrap();
    assert_eq!(database.status().connected, None);
    server.set_index(&fixture.name, 100);
    database.wait_connected(soon()).await.unwrap();
}
