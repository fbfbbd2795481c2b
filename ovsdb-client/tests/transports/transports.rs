//! Every way to reach a server, and to be reached by one.

use std::path::Path;
use std::process::Command;

use ovsdb_client::file::{DatabaseFile, Durability};
use ovsdb_client::listener::Peer;
use ovsdb_client::tls::{Pem, Tls};
use ovsdb_client::value::Row;
use ovsdb_client::{
    Client, ConnectError, Database, Listener, MonitorTable, PassiveRemote, Remote, Schema, Stream,
    StreamOptions, Transaction,
};
use tokio::time::timeout_at;

use super::pki::{Authority, Identity, Valid};
use super::process::{self, Server};
use super::{NB, soon};

/// A directory with an empty northbound database, or nothing when there is no server to run.
pub(super) fn database() -> Option<tempfile::TempDir> {
    let directory = process::directory()?;
    let schema = Schema::parse(&process::schema(NB)).unwrap();
    DatabaseFile::new(&schema)
        .create(directory.path().join("nb.db"), Durability::Process)
        .unwrap();
    Some(directory)
}

/// What makes a server show a certificate and trust a CA; the files go into `directory`.
pub(super) fn tls_arguments(identity: &Identity, ca: &Authority, directory: &Path) -> Vec<String> {
    let file = |option: &str, name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        format!("--{option}={}", path.display())
    };
    vec![
        file("ca-cert", "cacert.pem", &ca.certificate()),
        file("certificate", "cert.pem", &identity.certificate),
        file("private-key", "privkey.pem", &identity.key),
    ]
}

async fn assert_served(client: &Client) {
    assert_eq!(
        client.list_dbs().await.unwrap(),
        ["OVN_Northbound", "_Server"]
    );
}

async fn assert_reached(remote: &Remote, options: &StreamOptions) {
    let builder = Client::builder().stream(options.clone());
    assert_served(&builder.connect(remote).await.unwrap()).await;
}

#[tokio::test]
async fn a_server_is_reached_over_both_families_of_addresses_and_by_name() {
    for (listener, host) in [
        ("ptcp:0:127.0.0.1", "127.0.0.1"),
        ("ptcp:0:[::1]", "[::1]"),
        ("ptcp:0:[::1]", "[::1%lo]"),
        // One of the two addresses that the name may have refuses.
        ("ptcp:0:127.0.0.1", "localhost"),
    ] {
        let Some(directory) = database() else {
            return;
        };
        let server = Server::start(directory, "nb.db", Some(listener)).await;
        let remote = format!("tcp:{host}:{}", server.tcp().port());
        assert_reached(&remote.parse().unwrap(), &StreamOptions::default()).await;
        let remote = Remote::Unix(server.socket());
        assert_reached(&remote, &StreamOptions::default()).await;
    }
}

#[tokio::test]
async fn a_server_is_reached_over_tls() {
    for version in ["TLSv1.2", "TLSv1.3"] {
        let Some(directory) = database() else {
            return;
        };
        let ca = Authority::new("ca");
        let mut arguments = tls_arguments(&ca.sign(Valid::Now), &ca, directory.path());
        arguments.push("--remote=pssl:0:127.0.0.1".to_owned());
        arguments.push(format!("--ssl-protocols={version}"));
        let server = Server::start_with(directory, "nb.db", arguments).await;
        let options = StreamOptions::default().tls(ca.sign(Valid::Now).trusting(&ca));
        assert_reached(&Remote::ssl(server.tcp()), &options).await;
    }
}

const OVS_PKI: &str = "/usr/bin/ovs-pki";

fn run_ovs_pki(directory: &Path, arguments: &[&str]) {
    #[expect(
        clippy::disallowed_methods,
        reason = "certificates of Open vSwitch's own making"
    )]
    let output = Command::new(OVS_PKI)
        .current_dir(directory)
        .arg(format!("--dir={}", directory.join("pki").display()))
        .arg(format!("--log={}", directory.join("pki.log").display()))
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn certificates_of_ovs_pki_are_good() {
    let signed_by_ca: &[&[&str]] = &[&["init"], &["req+sign", "nb", "switch"]];
    let signed_by_itself: &[&[&str]] = &[&["req", "nb"], &["self-sign", "nb"]];
    for (commands, ca) in [
        (signed_by_ca, "pki/switchca/cacert.pem"),
        (signed_by_itself, "nb-cert.pem"),
    ] {
        let Some(directory) = database() else {
            return;
        };
        if !process::installed(OVS_PKI) {
            return;
        }
        for command in commands {
            run_ovs_pki(directory.path(), command);
        }
        let file = |name: &str| directory.path().join(name);
        let (certificate, key) = (file("nb-cert.pem"), file("nb-privkey.pem"));
        let arguments = [
            "--remote=pssl:0:127.0.0.1".to_owned(),
            format!("--ca-cert={}", file(ca).display()),
            format!("--certificate={}", certificate.display()),
            format!("--private-key={}", key.display()),
        ];
        let tls = Tls::builder()
            .ca(Pem::file(file(ca)))
            .identity(Pem::file(certificate), Pem::file(key))
            .build()
            .unwrap();
        let server = Server::start_with(directory, "nb.db", arguments).await;
        let options = StreamOptions::default().tls(tls);
        assert_reached(&Remote::ssl(server.tcp()), &options).await;
    }
}

/// Starts a server that dials `remote` with `arguments`, and speaks to it.
async fn assert_dials_in(
    directory: tempfile::TempDir,
    mut listener: Listener,
    remote: String,
    mut arguments: Vec<String>,
) -> Peer {
    arguments.push(format!("--remote={remote}"));
    let _server = Server::start_with(directory, "nb.db", arguments).await;
    let accepted = timeout_at(soon(), listener.accept()).await.unwrap();
    let (stream, peer) = accepted.unwrap();
    assert_served(&Client::from_stream(stream)).await;
    peer
}

fn port(listener: &Listener) -> u16 {
    match listener.local_remote() {
        PassiveRemote::Tcp { port, .. } | PassiveRemote::Ssl { port, .. } => *port,
        PassiveRemote::Unix(path) => panic!("{path:?} has no port"),
    }
}

#[tokio::test]
async fn a_server_dials_in() {
    let options = StreamOptions::default();
    for (host, address) in [
        ("127.0.0.1", "127.0.0.1"),
        ("[::]", "[::1]"),
        ("[::]", "127.0.0.1"),
    ] {
        let Some(directory) = database() else {
            return;
        };
        let remote = format!("ptcp:0:{host}").parse().unwrap();
        let listener = Listener::bind(&remote, &options).await.unwrap();
        let remote = format!("tcp:{address}:{}", port(&listener));
        let peer = assert_dials_in(directory, listener, remote, vec![]).await;
        assert!(
            matches!(peer, Peer::Tcp(address) if address.port() > 0),
            "{peer}"
        );
    }

    let Some(directory) = database() else {
        return;
    };
    let path = directory.path().join("dialed.sock");
    let remote = PassiveRemote::Unix(path.clone());
    let listener = Listener::bind(&remote, &options).await.unwrap();
    let remote = format!("unix:{}", path.display());
    let peer = assert_dials_in(directory, listener, remote, vec![]).await;
    assert!(matches!(peer, Peer::Unix { pid: Some(_) }), "{peer}");
}

#[tokio::test]
async fn a_server_dials_in_over_tls() {
    let Some(directory) = database() else {
        return;
    };
    let ca = Authority::new("ca");
    let options = StreamOptions::default().tls(ca.sign(Valid::Now).trusting(&ca));
    let remote = "pssl:0:127.0.0.1".parse().unwrap();
    let listener = Listener::bind(&remote, &options).await.unwrap();
    let remote = format!("ssl:127.0.0.1:{}", port(&listener));
    let arguments = tls_arguments(&ca.sign(Valid::Now), &ca, directory.path());
    let peer = assert_dials_in(directory, listener, remote, arguments).await;
    assert!(matches!(peer, Peer::Ssl(_)), "{peer}");
}

/// The first server goes, and another one takes its place on the same listener.
#[tokio::test]
async fn a_database_follows_the_servers_that_dial_in() {
    let remote = "ptcp:0:127.0.0.1".parse().unwrap();
    let options = StreamOptions::default();
    let listener = Listener::bind(&remote, &options).await.unwrap();
    let arguments = [format!("--remote=tcp:127.0.0.1:{}", port(&listener))];
    let nb = Database::builder("OVN_Northbound", listener).start();
    let switch = |name: &str| {
        let mut txn = Transaction::new();
        txn.insert("Logical_Switch", Row::new().set("name", name));
        txn
    };
    let mut switches = None;
    for name in ["first", "second"] {
        let Some(directory) = database() else {
            return;
        };
        let server = Server::start_with(directory, "nb.db", arguments.clone()).await;
        nb.wait_connected(soon()).await.unwrap();
        let tables = [MonitorTable::new("Logical_Switch")];
        let monitor = match &switches {
            Some(monitor) => monitor,
            None => switches.insert(nb.monitor(&tables).await.unwrap()),
        };
        nb.transact(switch(name)).await.unwrap();
        let snapshot = monitor.snapshot();
        let names: Vec<_> = snapshot
            .rows("Logical_Switch")
            .map(|(_, row)| row.str("name"))
            .collect();
        assert_eq!(names, [Some(name)], "only what this server has");
        let session = nb.status().session;
        drop(server);
        let ended = nb.wait_status(soon(), |status| {
            (status.session == session && status.connected.is_none()).then_some(())
        });
        ended.await.unwrap();
    }
}

/// A port of this host on which nobody listens.
async fn dead_port() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn whoever_is_not_there_is_named() {
    let options = StreamOptions::default();
    let connect = async |remote: &str| {
        let remote = remote.parse().unwrap();
        Stream::connect(&remote, &options).await.unwrap_err()
    };
    let port = dead_port().await;

    let error = connect(&format!("tcp:127.0.0.1:{port}")).await;
    assert!(matches!(error, ConnectError::Refused { .. }), "{error:?}");

    let error = connect(&format!("tcp:localhost:{port}")).await;
    let ConnectError::Unreachable { attempts, .. } = &error else {
        panic!("{error:?}");
    };
    let address = ([127, 0, 0, 1], port).into();
    assert!(attempts.iter().any(|(tried, _)| *tried == address));
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("cannot connect to tcp:localhost:{port}: "))
            && text.contains(&format!("127.0.0.1:{port}: Connection refused")),
        "{text}"
    );

    let error = connect("tcp:[fe80::1%nosuchdevice]:1").await;
    assert_eq!(
        error.to_string(),
        "cannot find the host of tcp:[fe80::1%nosuchdevice]:1"
    );

    let error = connect("ssl:127.0.0.1:1").await;
    assert_eq!(
        error.to_string(),
        "cannot connect to ssl:127.0.0.1:1 without a configuration of TLS"
    );

    let error = connect("unix:/nonexistent/db.sock").await;
    assert_eq!(
        error.to_string(),
        "cannot connect to unix:/nonexistent/db.sock"
    );
}
