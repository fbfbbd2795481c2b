//! How ovsdb-server's listeners treat their clients.

use ovsdb_client::Client;
use ovsdb_client::file::{DatabaseFile, Durability};
use ovsdb_client::frame::Framer;
use ovsdb_client::value::Row;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::backend::Backend;
use crate::case::{Case, Fixture, case, soon};
use crate::cases::files::{NB, installed};
use crate::cases::servers;
use crate::process::Server;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(servers::a_tcp_port_is_as_good_as_a_socket)
            .both_layers()
            .on(&[Backend::Standalone]),
        case!(servers::probes_are_answered)
            .both_layers()
            .on(&[Backend::Standalone]),
    ]
}

async fn a_tcp_port_is_as_good_as_a_socket(fixture: Fixture) {
    let port = fixture.servers.processes()[0].port();
    let remote = format!("tcp:127.0.0.1:{port}").parse().unwrap();
    let client = fixture.client_to(&remote).await;
    assert!(client.list_dbs().await.unwrap().contains(&fixture.name));
    let database = fixture.builder_at(remote).open().await.unwrap();
    database.transact(Default::default()).await.unwrap();
}

/// A server that gets no answer to a probe hangs up instead of sending a second one.
async fn probes_are_answered(fixture: Fixture) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("nb.db");
    let schema = installed(NB);
    let mut contents = DatabaseFile::new(&schema);
    let listener = Row::new()
        .set("target", "ptcp:0:127.0.0.1")
        .set("inactivity_probe", 1000);
    let listener = contents.insert("Connection", listener);
    contents.insert("NB_Global", Row::new().set("connections", listener));
    contents.create(&file, Durability::Process).unwrap();
    let server = Server::new(directory.path(), "nb")
        .file(file)
        .remote_option("db:OVN_Northbound,NB_Global,connections");
    server.start().await;

    let (ours, wire) = tokio::io::duplex(4096);
    let builder = Client::builder().rpc_layer(fixture.layer);
    let client = builder.from_stream(ours);
    let (mut from_client, mut to_client) = tokio::io::split(wire);
    let stream = TcpStream::connect(("127.0.0.1", server.port()))
        .await
        .unwrap();
    let (mut from_server, mut to_server) = stream.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let (probed, mut probes) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut framer = Framer::default();
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
            framer.push(&bytes[..count]);
            to_client.write_all(&bytes[..count]).await.unwrap();
            while let Some(frame) = framer.next_frame().unwrap() {
                let message: serde_json::Value = serde_json::from_slice(&frame).unwrap();
                if message["method"] == "echo" {
                    probed.send(()).unwrap();
                }
            }
        }
    });
    for _ in 0..2 {
        let probe = tokio::time::timeout_at(soon(), probes.recv()).await;
        probe.unwrap().expect("the server keeps the connection");
    }
    client.echo().await.unwrap();
}
