//! Situations into which the real server is hard to bring.

use std::net::Ipv4Addr;
use std::time::Duration;

use ovsdb_client::server::{AddError, Server};
use ovsdb_client::value::Row;
use ovsdb_client::{
    Client, Condition, Disconnect, MonitorError, MonitorTable, TransactErrorKind, Transaction,
    Until,
};
use serde_json::json;
use tokio::time::timeout_at;

use crate::link::Link;
use crate::{pets, soon};

fn cat(name: &str) -> Transaction {
    let mut txn = Transaction::new();
    txn.insert("Cat", Row::new().set("name", name));
    txn
}

#[tokio::test]
async fn rows_come_from_the_servers_owner_too() {
    let server = Server::new();
    server.add(pets()).unwrap();
    server.transact("Pets", &cat("Tom")).unwrap();
    let client = Client::from_stream(server.connect());
    let monitor = client
        .monitor("Pets", &[MonitorTable::new("Cat")])
        .await
        .unwrap();
    assert_eq!(monitor.snapshot().len("Cat"), 1);

    let waiting = client.clone();
    let waiting = tokio::spawn(async move {
        let mut txn = Transaction::new();
        let tim = [Condition::eq("name", "Tim")];
        let expected = [Row::new().set("name", "Tim")];
        txn.wait(
            "Cat",
            tim,
            ["name"],
            Until::Equal,
            expected,
            Duration::from_secs(10),
        );
        waiting.transact("Pets", txn).await
    });
    client.echo().await.unwrap();
    server.transact("Pets", &cat("Tim")).unwrap();
    waiting.await.unwrap().unwrap();
    let seen = monitor.wait_until(soon(), |view| (view.rows("Cat").count() == 2).then_some(()));
    seen.await.unwrap();

    let rows = server.rows("Pets", "Cat").unwrap();
    assert!(rows.iter().all(|row| row.uuid("_version").is_some()));
    assert!(server.rows("Pets", "Dog").is_none() && server.rows("Zoo", "Cat").is_none());
    let mut never = Transaction::new();
    never.wait(
        "Cat",
        [],
        ["name"],
        Until::Equal,
        [],
        Duration::from_secs(1000),
    );
    let error = server.transact("Pets", &never).unwrap_err();
    assert_eq!(error.kind(), TransactErrorKind::TimedOut);
    let error = server.transact("Zoo", &never).unwrap_err();
    assert_eq!(error.kind(), TransactErrorKind::UnknownDatabase);
}

#[tokio::test]
async fn a_leader_is_lost_and_its_index_grows() {
    let server = Server::new();
    server.add_clustered(pets()).unwrap();
    let client = Client::from_stream(server.connect());
    let table = MonitorTable::new("Database").condition(Condition::eq("name", "Pets"));
    let monitor = client.monitor("_Server", &[table]).await.unwrap();
    let status = |monitor: &ovsdb_client::Monitor| {
        let snapshot = monitor.snapshot();
        let (_, row) = snapshot.rows("Database").next().unwrap();
        (row.bool("leader").unwrap(), row.i64("index").unwrap())
    };
    assert_eq!(status(&monitor), (true, 2));
    client.transact("Pets", cat("Tom")).await.unwrap();
    assert_eq!(status(&monitor), (true, 3));
    server.set_leader("Pets", false);
    server.set_index("Pets", 99);
    let lost = monitor.wait_until(soon(), |view| {
        let (_, row) = view.rows("Database").next()?;
        (row.bool("leader") == Some(false) && row.i64("index") == Some(99)).then_some(())
    });
    lost.await.unwrap();

    let error = client.transact("_Server", cat("Tom")).await.unwrap_err();
    assert_eq!(error.kind(), TransactErrorKind::Syntax);
    let mut forbidden = Transaction::new();
    forbidden.delete("Database", []);
    let error = client.transact("_Server", forbidden).await.unwrap_err();
    assert_eq!(error.kind(), TransactErrorKind::NotAllowed);
}

#[tokio::test]
async fn connections_break_and_are_refused() {
    let server = Server::new();
    server.add(pets()).unwrap();
    let clients = [(); 2].map(|()| Client::from_stream(server.connect()));
    for client in &clients {
        client.echo().await.unwrap();
    }
    server.disconnect_all();
    for client in &clients {
        let closed = timeout_at(soon(), client.closed()).await.unwrap();
        assert!(matches!(closed, Disconnect::Closed), "{closed:?}");
    }
    assert_eq!(server.connections(), 0);
    server.set_accepting(false);
    let client = Client::from_stream(server.connect());
    timeout_at(soon(), client.closed()).await.unwrap();
    server.set_accepting(true);
    Client::from_stream(server.connect()).echo().await.unwrap();
}

#[tokio::test]
async fn the_end_of_the_server_is_the_end_of_its_sockets() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db.sock");
    let server = Server::new();
    server.listen_unix(&path).unwrap();
    assert!(server.listen_unix(&path).is_err());
    let address = (Ipv4Addr::LOCALHOST, 0).into();
    let address = server.listen_tcp(address).await.unwrap();
    let clients = [
        Client::connect_unix(&path).await.unwrap(),
        Client::connect_tcp(address).await.unwrap(),
        Client::from_stream(server.clone().connect()),
    ];
    for client in &clients {
        assert_eq!(client.list_dbs().await.unwrap(), ["_Server"]);
    }
    drop(server);
    for client in &clients {
        timeout_at(soon(), client.closed()).await.unwrap();
    }
    // The task of the listener ends when the runtime comes to it, with its socket file.
    timeout_at(soon(), async {
        while path.exists() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_old_server_is_played() {
    let server = Server::new();
    server.add(pets()).unwrap();
    let client = Client::from_stream(server.connect());
    let all = [MonitorTable::new("Cat")];
    let toms = [MonitorTable::new("Cat").condition(Condition::eq("name", "Tom"))];
    for newer in ["monitor_cond_since", "monitor_cond"] {
        client.monitor("Pets", &toms).await.unwrap();
        server.refuse(newer, "unknown method");
        let monitor = client.monitor("Pets", &all).await.unwrap();
        client.transact("Pets", cat(newer)).await.unwrap();
        let rows = monitor.snapshot();
        let mut found = rows.find("Cat", &["name"], &[newer.into()]);
        assert!(found.next().is_some(), "without {newer}");
    }
    let refused = client.monitor("Pets", &toms).await.unwrap_err();
    assert!(
        matches!(refused, MonitorError::ConditionsUnsupported),
        "{refused:?}"
    );
    server.permit("monitor_cond");
    client.monitor("Pets", &toms).await.unwrap();
}

#[tokio::test]
async fn a_removed_database_cancels_what_depends_on_it() {
    let server = Server::new();
    server.add(pets()).unwrap();
    let (mut aware, mut unaware) = (Link::new(server.connect()), Link::new(server.connect()));
    aware.call("set_db_change_aware", &json!([true])).await;
    aware
        .call("monitor", &json!(["Pets", "m", {"Cat": {}}]))
        .await;
    let wait = json!({"op": "wait", "table": "Cat", "where": [], "until": "!=", "rows": []});
    let wait = json!({"method": "transact", "params": ["Pets", wait], "id": "w"});
    aware.send(&wait).await;
    unaware.call("echo", &json!([])).await;
    assert_eq!(
        server.add(pets()),
        Err(AddError::Taken {
            name: "Pets".into()
        })
    );
    aware.call("echo", &json!([])).await;

    assert!(server.remove("Pets") && !server.remove("Pets"));
    assert_eq!(unaware.receive().await, None);
    let answer = aware.call("list_dbs", &json!([])).await;
    assert_eq!(answer.reply["result"], json!(["_Server"]));
    let canceled = [
        json!({"id": "w", "error": "canceled"}),
        json!({"id": null, "method": "monitor_canceled", "params": ["m"]}),
    ];
    assert_eq!(answer.notifications, canceled);
}

#[tokio::test]
async fn a_lost_connection_gives_up_its_locks_and_waits() {
    let server = Server::new();
    server.add(pets()).unwrap();
    let (mut owner, mut next) = (Link::new(server.connect()), Link::new(server.connect()));
    owner.call("lock", &json!(["l"])).await;
    let answer = next.call("lock", &json!(["l"])).await;
    assert_eq!(answer.reply["result"], json!({"locked": false}));
    drop(owner);
    let told = next.receive().await;
    assert_eq!(
        told,
        Some(json!({"id": null, "method": "locked", "params": ["l"]}))
    );
    assert_eq!(server.connections(), 1);
}
