//! Views kept equal to the database.

use std::time::Duration;

use ovsdb_client::value::{Datum, Row};
use ovsdb_client::{Condition, MonitorTable, Mutation, Transaction, WaitError};
use tokio::time::Instant;

use super::{northbound, soon};

#[tokio::test]
async fn a_monitor_shows_what_a_transaction_did_as_soon_as_it_returns() {
    let Some((_server, client)) = northbound().await else {
        return;
    };
    let db = "OVN_Northbound";
    let mut monitor = client
        .monitor(db, &[MonitorTable::new("Logical_Switch")])
        .await
        .unwrap();
    assert_eq!(
        monitor.catch_up(),
        [Default::default()],
        "the initial contents are empty"
    );

    for round in 0..50 {
        let name = format!("sw{round}");
        let mut txn = Transaction::new();
        let switch = txn.insert("Logical_Switch", Row::new().set("name", &name));
        let outcome = client.transact(db, txn).await.unwrap();
        let [changes] = &monitor.catch_up()[..] else {
            panic!("one transaction, one batch")
        };
        assert_eq!(changes.rows[0].uuid, outcome.uuid(switch).unwrap());
        assert_eq!(
            monitor
                .view()
                .row("Logical_Switch", changes.rows[0].uuid)
                .unwrap()
                .str("name"),
            Some(&*name)
        );
    }
    assert_eq!(monitor.rows("Logical_Switch").count(), 50);
    monitor.cancel().await.unwrap();
    client.echo().await.unwrap();
}

/// Two views of the same tables, one that saw every change and one that came last, must agree.
#[tokio::test]
async fn differences_add_up_to_what_a_new_monitor_sees() {
    let Some((_server, client)) = northbound().await else {
        return;
    };
    let db = "OVN_Northbound";
    let tables = [
        MonitorTable::new("Logical_Switch"),
        MonitorTable::new("Logical_Switch_Port"),
    ];
    let mut monitor = client.monitor(db, &tables).await.unwrap();

    let mut txn = Transaction::new();
    let ports = ["p0", "p1", "p2"]
        .map(|name| txn.insert("Logical_Switch_Port", Row::new().set("name", name)));
    let ids = Datum::map([("k", "v"), ("l", "w")]);
    let row = Row::new()
        .set("name", "sw0")
        .set("ports", ports)
        .set("external_ids", ids);
    let switch = txn.insert("Logical_Switch", row);
    let outcome = client.transact(db, txn).await.unwrap();
    let switch = Condition::uuid(outcome.uuid(switch).unwrap());
    let ports = ports.map(|port| outcome.uuid(port).unwrap());

    let transactions = [
        vec![Mutation::delete("ports", [ports[0], ports[1]])],
        vec![
            Mutation::delete("external_ids", ["k"]),
            Mutation::insert("external_ids", Datum::map([("m", "x")])),
        ],
        vec![
            Mutation::delete("ports", ports[2]),
            Mutation::delete("external_ids", ["l", "m"]),
        ],
    ];
    for mutations in transactions {
        let mut txn = Transaction::new();
        txn.mutate("Logical_Switch", [switch.clone()], mutations);
        client.transact(db, txn).await.unwrap();
        monitor.catch_up();
        let fresh = client.monitor(db, &tables).await.unwrap();
        for table in ["Logical_Switch", "Logical_Switch_Port"] {
            assert!(monitor.rows(table).eq(fresh.rows(table)));
        }
    }
    assert!(monitor.view().is_empty("Logical_Switch_Port"));
}

#[tokio::test]
async fn a_wait_sees_the_change_of_another_connection() {
    let Some((server, client)) = northbound().await else {
        return;
    };
    let db = "OVN_Northbound";
    let table = MonitorTable::new("NB_Global").columns(["nb_cfg"]);
    let mut monitor = client.monitor(db, &[table]).await.unwrap();

    let other = server.connect().await;
    let writer = tokio::spawn(async move {
        let mut txn = Transaction::new();
        txn.insert("NB_Global", Row::new());
        other.transact(db, txn).await.unwrap();
        for _ in 0..3 {
            let mut txn = Transaction::new();
            txn.mutate("NB_Global", [], [Mutation::add("nb_cfg", 1)]);
            other.transact(db, txn).await.unwrap();
        }
    });
    let cfg = monitor
        .wait_until(soon(), |view| {
            view.rows("NB_Global")
                .find_map(|(_, row)| row.i64("nb_cfg").filter(|&cfg| cfg >= 3))
        })
        .await
        .unwrap();
    assert_eq!(cfg, 3);
    writer.await.unwrap();

    let passed = Instant::now() + Duration::from_millis(20);
    let error = monitor
        .wait_until(passed, |_| None::<()>)
        .await
        .unwrap_err();
    assert!(matches!(error, WaitError::Timeout { .. }));
}

#[tokio::test]
async fn a_condition_lets_rows_in_and_out() {
    let Some((_server, client)) = northbound().await else {
        return;
    };
    let db = "OVN_Northbound";
    let table = MonitorTable::new("Logical_Switch").condition(Condition::eq("name", "seen"));
    let mut monitor = client.monitor(db, &[table]).await.unwrap();
    monitor.catch_up();
    let rename = |from: &str, to: &str| {
        let mut txn = Transaction::new();
        txn.update(
            "Logical_Switch",
            [Condition::eq("name", from)],
            Row::new().set("name", to),
        );
        txn
    };
    let mut txn = Transaction::new();
    txn.insert("Logical_Switch", Row::new().set("name", "hidden"));
    client.transact(db, txn).await.unwrap();
    assert_eq!(monitor.catch_up(), []);
    client.transact(db, rename("hidden", "seen")).await.unwrap();
    assert!(monitor.catch_up()[0].rows[0].old.is_none());
    client.transact(db, rename("seen", "hidden")).await.unwrap();
    assert!(monitor.catch_up()[0].rows[0].new.is_none());
}
