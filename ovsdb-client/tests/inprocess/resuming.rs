//! Monitors that resume after a transaction that they have seen.

use ovsdb_client::Transaction;
use ovsdb_client::server::Server;
use ovsdb_client::value::Row;
use serde_json::{Value, json};

use crate::link::Link;
use crate::pets;

/// Starts a monitor after a transaction, on a connection of its own: whether that was found, the
/// last transaction, and the rows.
async fn resume(server: &Server, after: &Value) -> (bool, Value, Value) {
    let params = json!(["Pets", "m", {"Cat": {"columns": ["name"]}}, after]);
    let answer = Link::new(server.connect())
        .call("monitor_cond_since", &params)
        .await;
    let result = &answer.reply["result"];
    (
        result[0].as_bool().unwrap(),
        result[1].clone(),
        result[2].clone(),
    )
}

fn insert(server: &Server, name: &str) -> String {
    let mut txn = Transaction::new();
    let cat = txn.insert("Cat", Row::new().set("name", name));
    let outcome = server.transact("Pets", &txn).unwrap();
    outcome.uuid(cat).unwrap().to_string()
}

fn update(server: &Server, row: Row) {
    let mut txn = Transaction::new();
    txn.update("Cat", [], row);
    server.transact("Pets", &txn).unwrap();
}

#[tokio::test]
async fn a_cluster_sends_only_what_changed_since() {
    let server = Server::new();
    server.add_clustered(pets()).unwrap();
    let nil = json!(uuid::Uuid::nil());
    let (found, first, rows) = resume(&server, &nil).await;
    assert_eq!((found, rows), (false, json!({})));
    assert_ne!(first, nil);

    let tom = insert(&server, "Tom");
    let (_, second, rows) = resume(&server, &nil).await;
    assert_eq!(rows, json!({"Cat": {&tom: {"initial": {"name": "Tom"}}}}));
    update(&server, Row::new().set("name", "Tim"));
    update(&server, Row::new().set("lives", 9));
    let (found, last, rows) = resume(&server, &second).await;
    assert!(found);
    assert_eq!(rows, json!({"Cat": {&tom: {"modify": {"name": "Tim"}}}}));
    let (found, _, rows) = resume(&server, &first).await;
    assert!(found);
    assert_eq!(rows, json!({"Cat": {&tom: {"insert": {"name": "Tim"}}}}));
    assert_eq!(
        resume(&server, &last).await,
        (true, last.clone(), json!({}))
    );

    // What came and went meanwhile is not told of.
    let mut gone = Transaction::new();
    gone.delete("Cat", []);
    server.transact("Pets", &gone).unwrap();
    assert_eq!(resume(&server, &first).await.2, json!({}));
    assert_eq!(
        resume(&server, &second).await.2,
        json!({"Cat": {&tom: {"delete": null}}})
    );
}

#[tokio::test]
async fn what_is_forgotten_is_sent_anew() {
    let server = Server::new();
    server.add_clustered(pets()).unwrap();
    let nil = json!(uuid::Uuid::nil());
    let (_, first, _) = resume(&server, &nil).await;
    for lives in 0..99 {
        insert(&server, &format!("cat {lives}"));
    }
    assert!(resume(&server, &first).await.0);
    insert(&server, "one too many");
    let (found, last, rows) = resume(&server, &first).await;
    assert!(!found);
    assert_eq!(rows["Cat"].as_object().unwrap().len(), 100);

    insert(&server, "another");
    assert!(resume(&server, &last).await.0);
    server.forget_history("Pets");
    assert!(!resume(&server, &last).await.0);
}

#[tokio::test]
async fn a_standalone_database_remembers_nothing() {
    let server = Server::new();
    server.add(pets()).unwrap();
    let tom = insert(&server, "Tom");
    let nil = json!(uuid::Uuid::nil());
    let rows = json!({"Cat": {&tom: {"initial": {"name": "Tom"}}}});
    assert_eq!(resume(&server, &nil).await, (false, nil, rows));
}
