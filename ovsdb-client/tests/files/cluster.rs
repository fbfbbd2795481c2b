//! Clustered files of ours at real servers and their tools, and theirs here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ovsdb_client::file::{
    self, Annotation, ClusteredFile, ClusteredLog, Contents, DatabaseFile, Durability, Entries,
    FileError, Log, NewCluster, NewClusterError, ServerAddress, StandaloneFile,
};
use ovsdb_client::value::{Datum, Row};
use ovsdb_client::{Client, Condition, Mutation, Schema, Transaction};
use uuid::Uuid;

use crate::daemon::{self, Server, ovsdb_tool, served};
use crate::{NB, assert_same, intact, remark};

const DB: &str = "OVN_Northbound";

fn address(place: &Path, name: &str) -> ServerAddress {
    format!("unix:{}", place.join(format!("{name}.raft")).display())
        .parse()
        .unwrap()
}

fn clustered(path: &Path) -> ClusteredLog {
    match file::load(path).unwrap() {
        Log::Clustered(log) => log,
        Log::Standalone(_) => panic!("{} is standalone", path.display()),
    }
}

fn first_rows(schema: &Schema) -> Contents {
    let mut rows = Contents::new(schema.clone());
    // An ephemeral column, which clusters keep like any other.
    let connection = Row::new()
        .set("target", "ptcp:6641")
        .set("is_connected", true);
    let connection = rows.insert("Connection", connection).unwrap();
    let global = Row::new()
        .set("connections", [connection])
        .set("name", "first");
    rows.insert("NB_Global", global).unwrap();
    rows
}

/// Adds a switch and changes what is there already.
async fn work(client: &Client, round: usize) {
    let mut txn = Transaction::new();
    let port = Row::new().set("name", format!("p{round}"));
    let port = txn.insert("Logical_Switch_Port", port);
    let ids = Datum::map([("round", round.to_string())]);
    let switch = Row::new()
        .set("name", format!("sw{round}"))
        .set("ports", [port])
        .set("external_ids", ids);
    txn.insert("Logical_Switch", switch);
    txn.mutate("NB_Global", [], [Mutation::add("nb_cfg", 1)]);
    client.transact(DB, txn).await.unwrap();
    if round % 3 == 2 {
        let mut txn = Transaction::new();
        txn.delete(
            "Logical_Switch",
            [Condition::eq("name", format!("sw{}", round - 1))],
        );
        client.transact(DB, txn).await.unwrap();
    }
}

/// The rows of a file as `ovsdb-tool` converts them.
fn converted_by_the_tool(path: &Path) -> Contents {
    let standalone = path.with_extension("standalone");
    let (from, to) = (path.to_str().unwrap(), standalone.to_str().unwrap());
    ovsdb_tool(&["cluster-to-standalone", to, from]).unwrap();
    let rows = intact(file::load(&standalone).unwrap());
    std::fs::remove_file(standalone).unwrap();
    rows
}

#[tokio::test]
async fn one_server_and_two_that_join_form_a_cluster() {
    let Some(directory) = daemon::directory() else {
        return;
    };
    let place = directory.path();
    let path = |name: &str| place.join(format!("{name}.db"));
    let schema = daemon::schema(NB);
    let rows = first_rows(&schema);
    let mut cluster = NewCluster::new(rows.clone());
    let cluster_id = Uuid::from_u128(0x1234);
    cluster.cluster_id(cluster_id);
    cluster.election_timer(Duration::from_millis(700));
    cluster.annotate(remark("first rows"));
    let first = cluster.server(address(place, "s1"));
    let files = cluster.files().unwrap();
    files[0].create(path("s1"), Durability::Disk).unwrap();
    for (name, id) in [("s2", None), ("s3", Some(cluster_id))] {
        ClusteredFile::join(DB, address(place, name), [address(place, "s1")], id)
            .unwrap()
            .create(path(name), Durability::Disk)
            .unwrap();
        let log = clustered(&path(name));
        assert_eq!((log.cluster_id, log.remote_addresses.len()), (id, 1));
        assert!(matches!(
            log.contents(Entries::All),
            Err(file::LogError::Joining)
        ));
    }
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    assert_eq!(
        ovsdb_tool(&["db-cid", &text(&path("s1"))]).unwrap().trim(),
        cluster_id.to_string()
    );
    assert_eq!(
        ovsdb_tool(&["db-sid", &text(&path("s1"))]).unwrap().trim(),
        first.to_string()
    );
    let shown = ovsdb_tool(&["show-log", &text(&path("s1"))]).unwrap();
    assert!(
        shown.contains("prev_index: 1") && shown.contains("s1.raft"),
        "{shown}"
    );

    let mut servers = Vec::new();
    for name in ["s1", "s2", "s3"] {
        servers.push(Server::start(place, name, &[path(name)]).await);
        servers.last().unwrap().joined(DB, name == "s1").await;
    }
    let status = servers[0].control(&["cluster/status", DB]);
    assert!(status.contains("Election timer: 700"), "{status}");
    let client = servers[0].connect().await;
    assert_same(
        &intact(file::load(path("s1")).unwrap()),
        &served(&client, &schema).await,
    );
    for round in 0..4 {
        work(&client, round).await;
    }
    servers[0].control(&["ovsdb-server/compact"]);
    work(&client, 4).await;

    // The leader goes; the two others elect one of them.
    servers.remove(0).stop();
    for server in &servers {
        server.joined(DB, false).await;
    }
    let client = servers[1].connect().await;
    for round in 5..8 {
        work(&client, round).await;
    }
    let last = served(&client, &schema).await;
    assert!(last.len("Connection") == 1 && last.len("Logical_Switch") == 6);
    let log = clustered(&path("s3"));
    assert!(log.term > 1, "there was an election");
    assert_eq!(log.servers().count(), 3);
    assert_eq!(log.election_timer(), Some(Duration::from_millis(700)));
    assert_same(&log.contents(Entries::All).unwrap(), &last);
    for server in servers {
        server.stop();
    }
    for name in ["s1", "s2", "s3"] {
        let ours = clustered(&path(name)).contents(Entries::All).unwrap();
        assert!(
            ours.same_rows(&converted_by_the_tool(&path(name))),
            "{name}"
        );
        let error = StandaloneFile::open(path(name)).unwrap_err();
        assert!(matches!(error, FileError::Clustered { .. }), "{error:?}");
    }
    // The first one was told nothing since it left.
    let old = clustered(&path("s1")).contents(Entries::Committed).unwrap();
    assert!(old.len("Logical_Switch") <= 4);
    let all = ["s1", "s2", "s3"].map(|name| text(&path(name)));
    ovsdb_tool(&["check-cluster", &all[0], &all[1], &all[2]]).unwrap();
}

#[tokio::test]
async fn three_files_made_together_form_a_cluster_in_any_order() {
    let Some(directory) = daemon::directory() else {
        return;
    };
    let place = directory.path();
    let schema = daemon::schema(NB);
    let mut cluster = NewCluster::new(first_rows(&schema));
    cluster.election_timer(Duration::from_millis(300));
    let names = ["s1", "s2", "s3"];
    for name in names {
        cluster.server(address(place, name));
    }
    let paths = names.map(|name| place.join(format!("{name}.db")));
    for (file, path) in cluster.files().unwrap().iter().zip(&paths) {
        file.create(path, Durability::Disk).unwrap();
    }
    let texts = paths.each_ref().map(|path| path.to_str().unwrap());

    let mut servers = Vec::new();
    for (name, path) in names.iter().zip(&paths).rev() {
        servers.push(Server::start(place, name, std::slice::from_ref(path)).await);
    }
    for server in &servers {
        server.joined(DB, false).await;
    }
    let client = servers[0].connect().await;
    for round in 0..3 {
        work(&client, round).await;
    }
    let rows = served(&client, &schema).await;
    drop(servers);
    ovsdb_tool(&["check-cluster", texts[0], texts[1], texts[2]]).unwrap();
    // A majority has each transaction, whatever a server knows of its being committed.
    let logs = paths.each_ref().map(|path| clustered(path));
    let all = logs
        .each_ref()
        .map(|log| log.contents(Entries::All).unwrap());
    assert!(all.iter().filter(|all| all.same_rows(&rows)).count() >= 2);
    for log in &logs {
        log.contents(Entries::Committed).unwrap();
        assert!(log.commit_index <= log.last_index());
    }
}

/// Clustered to standalone and back, each served.
#[tokio::test]
async fn a_database_moves_between_the_formats() {
    let Some(directory) = daemon::directory() else {
        return;
    };
    let place = directory.path();
    let at = |name: &str| -> PathBuf { place.join(name) };
    let schema = daemon::schema(NB);
    DatabaseFile::new(&schema)
        .create(at("1.db"), Durability::Process)
        .unwrap();
    let mut expected = None;
    for step in 1..=3 {
        let path = at(&format!("{step}.db"));
        let server = Server::start(place, &step.to_string(), std::slice::from_ref(&path)).await;
        if step == 2 {
            server.joined(DB, true).await;
        }
        let client = server.connect().await;
        if let Some(expected) = &expected {
            assert_same(expected, &served(&client, &schema).await);
        }
        work(&client, step).await;
        let rows = served(&client, &schema).await;
        server.stop();
        let read = intact(file::load(&path).unwrap());
        assert!(read.same_rows(&rows));
        if step == 1 {
            let mut cluster = NewCluster::new(read);
            cluster.server(address(place, "only"));
            let files = cluster.files().unwrap();
            files[0].create(at("2.db"), Durability::Process).unwrap();
        } else if step == 2 {
            read.create_standalone(at("3.db"), &Annotation::default(), Durability::Process)
                .unwrap();
        }
        expected = Some(rows);
    }
}

#[test]
fn what_no_server_would_take_is_refused() {
    let schema = Schema::parse(
        r#"{"name": "P", "version": "1.0.0", "tables":
            {"T": {"columns": {"level": {"type": {"key": {"type": "integer", "minInteger": 1}}}}}}}"#,
    )
    .unwrap();
    let cluster = || NewCluster::new(Contents::new(schema.clone()));
    let one: ServerAddress = "tcp:10.0.0.1:6643".parse().unwrap();
    let two: ServerAddress = "tcp:10.0.0.2:6643".parse().unwrap();
    assert!(matches!(cluster().files(), Err(NewClusterError::NoServers)));
    let mut twice = cluster();
    twice.server(one.clone());
    twice.server(one.clone());
    assert!(matches!(
        twice.files(),
        Err(NewClusterError::Duplicate { .. })
    ));
    let mut twice = cluster();
    twice.server_as(Uuid::from_u128(1), one.clone());
    twice.server_as(Uuid::from_u128(1), two.clone());
    assert!(matches!(
        twice.files(),
        Err(NewClusterError::Duplicate { .. })
    ));
    for milliseconds in [99, 600_001] {
        let mut cluster = cluster();
        cluster.server(one.clone());
        cluster.election_timer(Duration::from_millis(milliseconds));
        assert!(matches!(
            cluster.files(),
            Err(NewClusterError::ElectionTimer { .. })
        ));
    }
    let mut nil = cluster();
    nil.server(one.clone());
    nil.cluster_id(Uuid::nil());
    assert!(matches!(nil.files(), Err(NewClusterError::NilId)));
    let mut rows = Contents::new(schema.clone());
    rows.insert("T", Row::new()).unwrap();
    let mut invalid = NewCluster::new(rows);
    invalid.server(one.clone());
    assert!(matches!(invalid.files(), Err(NewClusterError::Rows { .. })));
    for remotes in [vec![], vec![one.clone()], vec![two.clone(), one.clone()]] {
        let error = ClusteredFile::join("P", one.clone(), remotes, None).unwrap_err();
        assert!(matches!(error, NewClusterError::NoRemote { .. }));
    }
    let nil = ClusteredFile::join("P", one, [two], Some(Uuid::nil()));
    assert!(matches!(nil, Err(NewClusterError::NilId)));
}
