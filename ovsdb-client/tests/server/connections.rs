//! How connections live and end.

use ovsdb_client::file::{DatabaseFile, Durability};
use ovsdb_client::value::Row;
use ovsdb_client::{CallError, Client, Disconnect, MonitorEnded, MonitorTable, Schema};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::process::{self, Server};
use super::{NB, northbound, soon};

/// A server that gets no answer to a probe hangs up instead of sending a second one.
#[tokio::test]
async fn probes_of_a_tcp_listener_are_answered() {
    let Some(directory) = process::directory() else {
        return;
    };
    let schema = Schema::parse(&process::schema(NB)).unwrap();
    let mut file = DatabaseFile::new(&schema);
    let listener = Row::new()
        .set("target", "ptcp:0:127.0.0.1")
        .set("inactivity_probe", 1000);
    let listener = file.insert("Connection", listener);
    file.insert("NB_Global", Row::new().set("connections", listener));
    file.create(directory.path().join("nb.db"), Durability::Process)
        .unwrap();
    let remote = "db:OVN_Northbound,NB_Global,connections";
    let server = Server::start(directory, "nb.db", Some(remote)).await;

    let (ours, wire) = tokio::io::duplex(4096);
    let client = Client::from_stream(ours);
    let (mut from_client, mut to_client) = tokio::io::split(wire);
    let (from_server, mut to_server) = TcpStream::connect(server.tcp()).await.unwrap().into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let (probed, mut probes) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut from_server = BufReader::new(from_server);
        let mut message = Vec::new();
        // No brace nests in what this test makes the server send.
        while from_server.read_until(b'}', &mut message).await.unwrap() > 0 {
            if message
                .windows(15)
                .any(|window| window == br#""method":"echo""#)
            {
                let _ = probed.send(());
            }
            to_client.write_all(&message).await.unwrap();
            message.clear();
        }
    });

    for _ in 0..2 {
        tokio::time::timeout_at(soon(), probes.recv())
            .await
            .unwrap()
            .expect("the server keeps the connection");
    }
    client.echo().await.unwrap();
}

#[tokio::test]
async fn a_tcp_port_is_as_good_as_a_socket() {
    let Some(directory) = process::directory() else {
        return;
    };
    let schema = Schema::parse(&process::schema(NB)).unwrap();
    DatabaseFile::new(&schema)
        .create(directory.path().join("nb.db"), Durability::Process)
        .unwrap();
    let server = Server::start(directory, "nb.db", Some("ptcp:0:127.0.0.1")).await;
    let client = Client::connect_tcp(server.tcp()).await.unwrap();
    assert_eq!(
        client.list_dbs().await.unwrap(),
        ["OVN_Northbound", "_Server"]
    );
}

#[tokio::test]
async fn the_end_of_the_server_is_noticed_by_all() {
    let Some((server, client)) = northbound().await else {
        return;
    };
    let mut monitor = client
        .monitor("OVN_Northbound", &[MonitorTable::new("NB_Global")])
        .await
        .unwrap();
    monitor.next().await.unwrap();
    drop(server);
    for _ in 0..2 {
        let ended = tokio::time::timeout_at(soon(), monitor.next())
            .await
            .unwrap();
        assert!(
            matches!(
                ended,
                Err(MonitorEnded::Disconnected {
                    source: Disconnect::Closed
                })
            ),
            "{ended:?}"
        );
    }
    assert!(matches!(client.closed().await, Disconnect::Closed));
    assert!(matches!(
        client.echo().await,
        Err(CallError::Disconnected { method: "echo", .. })
    ));
}
