//! Control sockets of the real daemons.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod daemon;

use std::collections::BTreeSet;
use std::time::Duration;

use daemon::Daemon;
use ovsdb_client::Schema;
use ovsdb_client::file::{DatabaseFile, Durability};
use ovsdb_client::unixctl::{
    ClusterServer, ClusterStatus, ConnectionStatus, MemberStatus, Role, ServerName, Unixctl,
    UnixctlError, find_socket,
};
use ovsdb_client::value::{Datum, Row};

const SERVER: &str = "/usr/sbin/ovsdb-server";
const TOOL: &str = "/usr/bin/ovsdb-tool";
const VSWITCHD: &str = "/usr/sbin/ovs-vswitchd";
const CONTROLLER: &str = "/usr/bin/ovn-controller";
const NB: &str = "/usr/share/ovn/ovn-nb.ovsschema";
const SB: &str = "/usr/share/ovn/ovn-sb.ovsschema";
const VSWITCH: &str = "/usr/share/openvswitch/vswitch.ovsschema";

fn schema(path: &str) -> Schema {
    Schema::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test]
async fn a_standalone_server_answers_and_refuses() {
    let Some(rundir) = daemon::rundir(&[SERVER]) else {
        return;
    };
    let path = rundir.path().join("nb.db");
    DatabaseFile::new(&schema(NB))
        .create(&path, Durability::Process)
        .unwrap();
    let arguments = [
        path.to_str().unwrap(),
        "--remote=punix:nb.sock",
        "--pidfile",
    ];
    let mut server = Daemon::start(&rundir, SERVER, &arguments);
    let mut unixctl = server.connect().await;

    let version = unixctl.version().await.unwrap();
    assert_eq!(version.program, "ovsdb-server");
    assert_eq!(version.version, version.open_vswitch);
    let commands = unixctl.list_commands().await.unwrap();
    let usage = |command: &str| {
        let found = commands.iter().find(|found| found.command == command);
        found.map(|found| found.usage.as_str())
    };
    assert_eq!(usage("version"), Some(""));
    assert_eq!(usage("ovsdb-server/add-db"), Some("DB"));
    assert_eq!(
        unixctl.call("ovsdb-server/list-dbs", &[]).await.unwrap(),
        "OVN_Northbound\n_Server\n"
    );

    unixctl.vlog_set("jsonrpc:file:dbg").await.unwrap();
    let levels = unixctl.call("vlog/list", &[]).await.unwrap();
    let line = levels.lines().find(|line| line.starts_with("jsonrpc "));
    assert!(line.unwrap().ends_with("DBG"), "{levels}");

    let size = || std::fs::metadata(&path).unwrap().len();
    let before = size();
    unixctl.compact("OVN_Northbound").await.unwrap();
    assert_ne!(size(), before, "the server writes a shorter schema");

    let error = unixctl.call("reboot", &[]).await.unwrap_err();
    assert!(matches!(error, UnixctlError::UnknownCommand { command } if command == "reboot"));
    let error = unixctl.call("version", &["x"]).await.unwrap_err();
    assert!(matches!(error, UnixctlError::Arguments { .. }), "{error:?}");
    let error = unixctl.call("ovsdb-server/add-db", &[]).await.unwrap_err();
    assert!(matches!(error, UnixctlError::Arguments { .. }), "{error:?}");
    let error = unixctl.vlog_set("x:y:z").await.unwrap_err();
    assert!(matches!(error, UnixctlError::Refused { .. }), "{error:?}");
    let error = unixctl.compact("Nowhere").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "ovsdb-server/compact: no database by that name"
    );
    let error = unixctl.cluster_status("OVN_Northbound").await.unwrap_err();
    assert!(
        matches!(error, UnixctlError::UnknownCommand { .. }),
        "{error:?}"
    );

    // The server cannot take a zero byte in an argument, and hangs up.
    let error = unixctl.call("vlog/set", &["a\0b"]).await.unwrap_err();
    assert!(
        matches!(error, UnixctlError::Disconnected { .. }),
        "{error:?}"
    );

    let mut other = server.connect().await;
    other.version().await.unwrap();
    server.connect().await.exit().await.unwrap();
    assert!(server.wait().success());
    let error = other.version().await.unwrap_err();
    assert!(
        matches!(error, UnixctlError::Disconnected { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_daemon_that_hangs_runs_into_the_deadline() {
    let Some(rundir) = daemon::rundir(&[SERVER]) else {
        return;
    };
    let server = Daemon::start(&rundir, SERVER, &["--no-db", "--pidfile"]);
    let mut unixctl = server.connect().await;
    unixctl.version().await.unwrap();
    server.stop();
    unixctl.set_deadline(Duration::from_millis(50));
    let error = unixctl.version().await.unwrap_err();
    assert_eq!(error.to_string(), "version: no reply within 50ms");

    server.resume();
    unixctl.set_deadline(daemon::DEADLINE);
    let dbs = unixctl.call("ovsdb-server/list-dbs", &[]).await.unwrap();
    assert_eq!(dbs, "_Server\n", "not the late version");
}

/// Whether all are in one cluster, connected with each other, and follow one leader.
fn agreed(statuses: &[ClusterStatus]) -> bool {
    let term = statuses[0].term;
    statuses.iter().all(|status| {
        status.status == MemberStatus::Member
            && status.term == term
            && status.leader != ServerName::Unknown
            && status.servers.len() == statuses.len()
            && status
                .connections
                .iter()
                .all(|connection| connection.connected)
    })
}

/// Who is in the cluster, by every name that there is.
fn names(status: &ClusterStatus) -> BTreeSet<[&str; 3]> {
    let servers = status.servers.iter();
    servers
        .map(|server| [&*server.nickname, &*server.short_id, &*server.address])
        .collect()
}

#[tokio::test]
async fn three_servers_agree_on_who_leads() {
    let Some(rundir) = daemon::rundir(&[SERVER, TOOL]) else {
        return;
    };
    let database = "OVN_Northbound";
    let path = |name: String| rundir.path().join(name).to_str().unwrap().to_owned();
    let file = |n| path(format!("s{n}.db"));
    let address = |n| format!("unix:{}", path(format!("s{n}.raft")));
    daemon::run(TOOL, &["create-cluster", &file(1), NB, &address(1)]);
    let mut servers = Vec::new();
    for n in 1..=3 {
        if n > 1 {
            let (file, own, first) = (file(n), address(n), address(1));
            daemon::run(TOOL, &["join-cluster", &file, database, &own, &first]);
        }
        let pidfile = format!("--pidfile={}", path(format!("s{n}.pid")));
        let unixctl = format!("--unixctl={}", path(format!("s{n}.ctl")));
        let server = Daemon::start(&rundir, SERVER, &[&file(n), &pidfile, &unixctl]);
        servers.push(server.named(format!("s{n}")));
    }

    let mut connections = Vec::new();
    for server in &servers {
        connections.push(server.connect().await);
    }
    let mut statuses = Vec::new();
    daemon::until(async || {
        statuses.clear();
        for unixctl in &mut connections {
            statuses.push(unixctl.cluster_status(database).await.unwrap());
        }
        agreed(&statuses)
    })
    .await;
    let leads = |status: &ClusterStatus| status.role == Role::Leader;
    let position = statuses.iter().position(leads).unwrap();
    let leader = &statuses[position];
    assert_eq!(leader.database, database);
    for (n, status) in (1..).zip(&statuses) {
        assert_eq!(
            (&status.nickname, &status.address),
            (&format!("s{n}"), &address(n))
        );
        assert!(status.cluster_id.is_some() && status.cluster_id == leader.cluster_id);
        assert_eq!(names(status), names(leader));
        let mut own = status.servers.iter().filter(|server| server.is_self);
        let short = &own.next().unwrap().short_id;
        assert!(status.server_id.to_string().starts_with(short));
        assert_eq!(own.next(), None);
        let name = match leads(status) {
            true => ServerName::Itself,
            false => ServerName::Other(leader.nickname.clone()),
        };
        assert_eq!(status.leader, name);
        let known = |server: &ClusterServer| server.match_index.is_some();
        assert_eq!(status.servers.iter().all(known), leads(status));
    }

    // Without the leader another one takes over, in a later term.
    let term = leader.term;
    connections.remove(position).exit().await.unwrap();
    assert!(servers[position].wait().success());
    let unixctl = &mut connections[0];
    daemon::until(async || {
        let status = unixctl.cluster_status(database).await.unwrap();
        status.term > term && status.leader != ServerName::Unknown
    })
    .await;
    let error = unixctl.cluster_status("Nowhere").await.unwrap_err();
    assert_eq!(error.to_string(), "cluster/status: unknown cluster");
}

#[tokio::test]
async fn the_switch_is_found_by_its_pid_file() {
    let Some(rundir) = daemon::rundir(&[SERVER, VSWITCHD, CONTROLLER]) else {
        return;
    };
    let path = |name: &str| rundir.path().join(name).to_str().unwrap().to_owned();
    let socket = format!("unix:{}", path("db.sock"));
    let (vswitch, sb) = (schema(VSWITCH), schema(SB));
    let mut switch = DatabaseFile::new(&vswitch);
    let ids = [
        ("system-id", "chassis-1"),
        ("ovn-remote", &socket),
        ("ovn-encap-type", "geneve"),
        ("ovn-encap-ip", "127.0.0.1"),
    ];
    switch.insert(
        "Open_vSwitch",
        Row::new().set("external_ids", Datum::map(ids)),
    );
    switch.create(path("conf.db"), Durability::Process).unwrap();
    let mut southbound = DatabaseFile::new(&sb);
    southbound.insert("SB_Global", Row::new());
    southbound
        .create(path("sb.db"), Durability::Process)
        .unwrap();
    let listen = format!("--remote=p{socket}");
    let server = [&path("conf.db"), &path("sb.db"), &listen, "--pidfile"];
    let server = Daemon::start(&rundir, SERVER, &server);
    server.connect().await;

    let switch = Daemon::start(
        &rundir,
        VSWITCHD,
        &[&socket, "--pidfile", "--disable-system"],
    );
    let version = switch.connect().await.version().await.unwrap();
    assert_eq!(version.program, "ovs-vswitchd");

    let controller = Daemon::start(&rundir, CONTROLLER, &[&socket, "--pidfile"]);
    let mut unixctl = controller.connect().await;
    let version = unixctl.version().await.unwrap();
    assert_eq!(version.program, "ovn-controller");
    assert_ne!(version.version, version.open_vswitch);
    daemon::until(async || {
        unixctl.connection_status().await.unwrap() == ConnectionStatus::Connected
    })
    .await;
    drop(server);
    daemon::until(async || {
        unixctl.connection_status().await.unwrap() == ConnectionStatus::NotConnected
    })
    .await;
    unixctl.exit_with(&["--restart"]).await.unwrap();

    // A daemon that was killed leaves its socket behind.
    let left = find_socket(rundir.path(), "ovs-vswitchd").unwrap();
    drop(switch);
    let error = Unixctl::connect(&left).await.unwrap_err();
    assert!(matches!(error, UnixctlError::Connect { .. }), "{error:?}");
}
