//! Operations and their failures.

use std::time::Duration;

use ovsdb_client::value::{Datum, Row};
use ovsdb_client::{
    CallError, Condition, Mutation, TransactError, TransactErrorKind, Transaction, Until,
};
use uuid::Uuid;

use super::northbound;

#[tokio::test]
async fn operations_do_what_their_names_say() {
    let Some((_server, client)) = northbound().await else {
        return;
    };
    let db = "OVN_Northbound";
    let chosen = Uuid::from_u128(0x2f77b348_9768_4866_b761_89d5177ecdab);

    let mut txn = Transaction::new();
    let switch = txn.insert("Logical_Switch", Row::new().set("name", "sw0"));
    txn.insert_as("Logical_Switch", chosen, Row::new().set("name", "sw1"));
    let port = txn.insert("Logical_Switch_Port", Row::new().set("name", "p0"));
    let mutated = txn.mutate(
        "Logical_Switch",
        [Condition::eq("name", "sw0")],
        [
            Mutation::insert("ports", port),
            Mutation::insert("other_config", Datum::map([("a", "1"), ("b", "2")])),
        ],
    );
    txn.comment("two switches");
    let outcome = client.transact(db, txn).await.unwrap();
    let (switch, port) = (outcome.uuid(switch).unwrap(), outcome.uuid(port).unwrap());
    assert_eq!(outcome.count(mutated), Some(1));

    let mut txn = Transaction::new();
    txn.wait(
        "Logical_Switch",
        [Condition::uuid(switch)],
        ["name"],
        Until::Equal,
        [Row::new().set("name", "sw0")],
        Duration::ZERO,
    );
    txn.mutate(
        "Logical_Switch",
        [Condition::uuid(switch)],
        [Mutation::delete("other_config", ["a"])],
    );
    let updated = txn.update(
        "Logical_Switch",
        [Condition::uuid(chosen)],
        Row::new().set("name", "sw2"),
    );
    let rows = txn.select(
        "Logical_Switch",
        [Condition::uuid(switch)],
        ["ports", "other_config"],
    );
    let deleted = txn.delete("Logical_Switch", [Condition::eq("name", "sw2")]);
    let gone = txn.select("Logical_Switch", [Condition::uuid(chosen)], ["name"]);
    let outcome = client.transact(db, txn).await.unwrap();
    assert_eq!(
        (outcome.count(updated), outcome.count(deleted)),
        (Some(1), Some(1))
    );
    let [row] = outcome.rows(rows).unwrap() else {
        panic!("{outcome:?}")
    };
    assert_eq!(row.uuid("ports"), Some(port));
    assert_eq!(row.get("other_config"), Some(&Datum::map([("b", "2")])));
    assert_eq!(outcome.rows(gone).unwrap(), []);
}

#[tokio::test]
async fn failures_say_what_failed() {
    let Some((_server, client)) = northbound().await else {
        return;
    };
    let db = "OVN_Northbound";

    let mut txn = Transaction::new();
    txn.comment("first");
    txn.insert("Logical_Switch", Row::new().set("name", 7));
    txn.comment("never reached");
    match client.transact(db, txn).await.unwrap_err() {
        TransactError::Operation {
            index, operation, ..
        } => {
            assert_eq!(
                (index, operation.as_str()),
                (1, "insert into Logical_Switch")
            );
        }
        other => panic!("{other:?}"),
    }

    let mut txn = Transaction::new();
    txn.insert(
        "Logical_Switch",
        Row::new().set("ports", Uuid::from_u128(1)),
    );
    match client.transact(db, txn).await.unwrap_err() {
        TransactError::Commit { error, .. } => assert_eq!(error, "referential integrity violation"),
        other => panic!("{other:?}"),
    }

    let mut txn = Transaction::new();
    let never = [Row::new().set("name", "never")];
    txn.wait(
        "Logical_Switch",
        [],
        ["name"],
        Until::Equal,
        never,
        Duration::from_millis(20),
    );
    match client.transact(db, txn).await.unwrap_err() {
        TransactError::Operation { error, .. } => assert_eq!(error, "timed out"),
        other => panic!("{other:?}"),
    }

    match client
        .transact("Nowhere", Transaction::new())
        .await
        .unwrap_err()
    {
        TransactError::Call {
            source: CallError::Rpc { source, .. },
        } => assert_eq!(source.error, "unknown database"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        client.get_schema("Nowhere").await,
        Err(CallError::Rpc { .. })
    ));
    client.echo().await.unwrap();
}

#[tokio::test]
async fn a_transaction_can_depend_on_what_its_author_saw_and_holds() {
    let Some((_server, client)) = northbound().await else {
        return;
    };
    let db = "OVN_Northbound";
    let mut txn = Transaction::new();
    let global = txn.insert("NB_Global", Row::new().set("nb_cfg", 7));
    txn.commit(true);
    let outcome = client.transact(db, txn).await.unwrap();
    let global = outcome.uuid(global).unwrap();

    let next_of = |seen: i64| {
        let mut txn = Transaction::new();
        let seen_row = Row::new().set("nb_cfg", seen).set("name", "not looked at");
        txn.verify("NB_Global", global, ["nb_cfg", "ipsec"], &seen_row);
        txn.update(
            "NB_Global",
            [Condition::uuid(global)],
            Row::new().set("nb_cfg", seen + 1),
        );
        txn
    };
    client.transact(db, next_of(7)).await.unwrap();
    let too_late = client.transact(db, next_of(7)).await.unwrap_err();
    assert_eq!(too_late.kind(), TransactErrorKind::TimedOut);
    client.transact(db, next_of(8)).await.unwrap();

    let failed = |operate: fn(&mut Transaction)| {
        let mut txn = next_of(9);
        operate(&mut txn);
        let client = &client;
        async move { client.transact(db, txn).await.unwrap_err().kind() }
    };
    assert_eq!(
        failed(|txn| txn.assert_lock("nobodys")).await,
        TransactErrorKind::NotOwner
    );
    assert_eq!(failed(Transaction::abort).await, TransactErrorKind::Aborted);
    client.transact(db, next_of(9)).await.unwrap();
}
