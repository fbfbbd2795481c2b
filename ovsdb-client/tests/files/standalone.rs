//! Standalone files of ours at the server and its tools, and theirs here.

use std::path::Path;

use ovsdb_client::file::{
    self, Annotation, Contents, CreateError, DatabaseFile, Durability, FileError, Log,
    StandaloneFile,
};
use ovsdb_client::value::{Datum, Row};
use ovsdb_client::{Client, Condition, Mutation, Schema, Transaction};

use crate::daemon::{self, Server, ovsdb_tool, served};
use crate::{NB, assert_same, intact, remark};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A switch with two ports, and a group of ports that knows one of them weakly.
fn some_rows(schema: &Schema) -> Contents {
    let mut rows = Contents::new(schema.clone());
    let ports = ["p0", "p1"].map(|name| {
        let row = Row::new()
            .set("name", name)
            .set(
                "options",
                Datum::map([("requested-chassis", "ch\"1\""), ("é", "")]),
            )
            .set("tag", 7);
        rows.insert("Logical_Switch_Port", row).unwrap()
    });
    let switch = Row::new().set("name", "sw0").set("ports", ports);
    rows.insert("Logical_Switch", switch).unwrap();
    let group = Row::new().set("name", "group").set("ports", [ports[0]]);
    rows.insert("Port_Group", group).unwrap();
    rows
}

/// Changes of every kind, so that the server writes differences of every kind.
async fn work(client: &Client, round: usize) {
    let db = "OVN_Northbound";
    let name = format!("sw{round}");
    let mut txn = Transaction::new();
    let ports = [0, 1, 2].map(|port| {
        let row = Row::new()
            .set("name", format!("{name}p{port}"))
            .set("up", true);
        txn.insert("Logical_Switch_Port", row)
    });
    let row = Row::new().set("name", &name).set("ports", ports).set(
        "other_config",
        Datum::map([("subnet", "10.0.0.0/24"), ("a", "b")]),
    );
    let switch = txn.insert("Logical_Switch", row);
    let outcome = client.transact(db, txn).await.unwrap();
    let ports = ports.map(|port| outcome.uuid(port).unwrap());
    let switch = Condition::uuid(outcome.uuid(switch).unwrap());

    let mut txn = Transaction::new();
    txn.comment("group");
    let group = Row::new()
        .set("name", format!("group{round}"))
        .set("ports", ports);
    txn.insert("Port_Group", group);
    let changes = [
        Mutation::delete("other_config", ["a"]),
        Mutation::insert("other_config", Datum::map([("c", "d")])),
    ];
    txn.mutate("Logical_Switch", [switch.clone()], changes);
    client.transact(db, txn).await.unwrap();

    // The last port is dropped by the server, and so is the weak reference to it.
    let mut txn = Transaction::new();
    txn.mutate(
        "Logical_Switch",
        [switch.clone()],
        [Mutation::delete("ports", ports[2])],
    );
    let row = Row::new().set("up", None::<bool>).set("tag", 3);
    txn.update("Logical_Switch_Port", [Condition::uuid(ports[0])], row);
    client.transact(db, txn).await.unwrap();
    if round % 2 == 1 {
        let mut txn = Transaction::new();
        txn.delete("Logical_Switch", [switch]);
        client.transact(db, txn).await.unwrap();
    }
}

#[tokio::test]
async fn the_tools_and_the_server_take_what_was_made_and_changed_here() {
    let Some(directory) = daemon::directory() else {
        return;
    };
    let path = directory.path().join("nb.db");
    let schema = daemon::schema(NB);
    let rows = some_rows(&schema);
    rows.create_standalone(&path, &remark("first rows"), Durability::Disk)
        .unwrap();
    let version = ovsdb_tool(&["db-version", text(&path)]).unwrap();
    assert_eq!(version.trim(), schema.version());
    let log = ovsdb_tool(&["show-log", "-mm", text(&path)]).unwrap();
    assert!(
        log.contains("\"first rows\"") && log.contains("insert row"),
        "{log}"
    );

    let mut file = StandaloneFile::open(&path).unwrap();
    let mut next = file.contents().clone();
    let (switch, row) = next.rows("Logical_Switch").next().unwrap();
    let kept = row.uuids("ports").next().unwrap();
    next.update("Logical_Switch", switch, Row::new().set("ports", kept))
        .unwrap();
    let invalid = file.append(next.clone(), &remark("never")).unwrap_err();
    assert!(matches!(invalid, FileError::Rows { .. }), "{invalid:?}");
    next.settle();
    assert_eq!(next.len("Logical_Switch_Port"), 1);
    file.append(next.clone(), &remark("one port less")).unwrap();
    drop(file);
    let log = ovsdb_tool(&["show-log", "-m", text(&path)]).unwrap();
    assert!(
        log.contains("\"one port less\"") && log.contains("delete row"),
        "{log}"
    );

    let server = Server::start(directory.path(), "nb", std::slice::from_ref(&path)).await;
    let client = server.connect().await;
    assert_same(&next, &served(&client, &schema).await);
}

#[tokio::test]
async fn what_the_server_wrote_is_read_to_the_same_rows() {
    let Some(directory) = daemon::directory() else {
        return;
    };
    let path = directory.path().join("nb.db");
    let schema = daemon::schema(NB);
    DatabaseFile::new(&schema)
        .create(&path, Durability::Process)
        .unwrap();
    let server = Server::start(directory.path(), "nb", std::slice::from_ref(&path)).await;
    let client = server.connect().await;
    for round in 0..5 {
        work(&client, round).await;
    }
    let before = served(&client, &schema).await;
    assert_same(&intact(file::load(&path).unwrap()), &before);

    server.control(&["ovsdb-server/compact"]);
    assert_same(&intact(file::load(&path).unwrap()), &before);
    for round in 5..10 {
        work(&client, round).await;
    }
    let after = served(&client, &schema).await;
    assert_eq!(after.len("Logical_Switch"), 5);
    let Log::Standalone(log) = file::load(&path).unwrap() else {
        panic!("a standalone file")
    };
    assert_same(&log.contents, &after);
    let comments = log
        .history
        .iter()
        .filter_map(|annotation| annotation.comment.as_deref());
    assert_eq!(comments.filter(|comment| *comment == "group").count(), 5);
    assert!(
        log.history
            .iter()
            .all(|annotation| annotation.date.is_some())
    );
    server.stop();

    // Our compaction, then the server's reading of it.
    let mut file = StandaloneFile::open(&path).unwrap();
    let length = std::fs::metadata(&path).unwrap().len();
    file.compact(&Annotation::default()).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < length);
    drop(file);
    let server = Server::start(directory.path(), "nb", std::slice::from_ref(&path)).await;
    let client = server.connect().await;
    assert_same(&after, &served(&client, &schema).await);
}

#[tokio::test]
async fn a_file_that_a_server_holds_is_refused() {
    let Some(directory) = daemon::directory() else {
        return;
    };
    let path = directory.path().join("nb.db");
    let link = directory.path().join("link.db");
    std::os::unix::fs::symlink("nb.db", &link).unwrap();
    let schema = daemon::schema(NB);
    let rows = some_rows(&schema);
    rows.create_standalone(&path, &Annotation::default(), Durability::Process)
        .unwrap();
    let server = Server::start(directory.path(), "nb", std::slice::from_ref(&path)).await;
    for name in [&path, &link] {
        match StandaloneFile::open(name).unwrap_err() {
            FileError::Held { path: held, pid } => {
                assert_eq!((held, pid), (path.clone(), Some(server.id())));
            }
            other => panic!("{other:?}"),
        }
    }
    // The server would write over a new file when it compacts the one that it has open.
    std::fs::rename(&path, directory.path().join("moved.db")).unwrap();
    let error = rows.create_standalone(&path, &Annotation::default(), Durability::Process);
    assert!(matches!(error, Err(CreateError::Held { .. })), "{error:?}");
    std::fs::rename(directory.path().join("moved.db"), &path).unwrap();
    server.stop();

    let file = StandaloneFile::open(&link).unwrap();
    let refused = ovsdb_tool(&["compact", text(&path)]).unwrap_err();
    assert!(refused.contains("failed to lock"), "{refused}");
    drop(file);
    ovsdb_tool(&["compact", text(&path)]).unwrap();
    let mut file = StandaloneFile::open(&link).unwrap();
    file.compact(&Annotation::default()).unwrap();
    assert!(link.is_symlink(), "the file was replaced, not the link");
    assert_same(file.contents(), &rows);
}

/// An older schema, made by leaving out what a newer one has.
#[tokio::test]
async fn rows_are_converted_as_the_server_converts_them() {
    let Some(directory) = daemon::directory() else {
        return;
    };
    let schema = daemon::schema(NB);
    let mut json: serde_json::Value = serde_json::from_str(schema.json()).unwrap();
    json["version"] = "0.1.0".into();
    json["tables"].as_object_mut().unwrap().remove("Port_Group");
    json["tables"]["Meter"]["columns"]["bands"]["type"]["key"] = "string".into();
    let ports = &mut json["tables"]["Logical_Switch_Port"]["columns"];
    ports.as_object_mut().unwrap().remove("tag");
    ports["name"]["type"] = serde_json::json!({"key": "string", "min": 0, "max": "unlimited"});
    // Its row has the default of a string, which is not that of a set.
    json["tables"]["NB_Global"]["columns"]["name"]["type"] =
        serde_json::json!({"key": "string", "min": 0, "max": "unlimited"});
    let references = &mut json["tables"]["Logical_Switch"]["columns"]["ports"]["type"]["key"];
    references["refType"] = "weak".into();
    let older = Schema::parse(&json.to_string()).unwrap();

    let (ours, theirs) = (
        directory.path().join("ours.db"),
        directory.path().join("theirs.db"),
    );
    let mut rows = some_rows(&schema);
    rows.insert("NB_Global", Row::new()).unwrap();
    for path in [&ours, &theirs] {
        rows.create_standalone(path, &Annotation::default(), Durability::Process)
            .unwrap();
    }
    let schema_file = directory.path().join("older.ovsschema");
    std::fs::write(&schema_file, older.json()).unwrap();
    let server = Server::start(directory.path(), "nb", std::slice::from_ref(&theirs)).await;
    server.convert(text(&schema_file));
    server.stop();
    let mut file = StandaloneFile::open(&ours).unwrap();
    let converted = file.contents().convert(older).unwrap();
    // Nobody holds the ports any more.
    assert!(converted.is_empty("Logical_Switch_Port"));
    assert_eq!(converted.len("Logical_Switch"), 1);
    assert!(matches!(
        file.append(converted.clone(), &Annotation::default()),
        Err(FileError::Schema { .. })
    ));
    file.replace(converted, &Annotation::default()).unwrap();
    drop(file);
    assert_eq!(
        ovsdb_tool(&["db-version", text(&ours)]).unwrap().trim(),
        "0.1.0"
    );
    assert_same(
        &intact(file::load(&ours).unwrap()),
        &intact(file::load(&theirs).unwrap()),
    );
}

/// A server that is not root must find nothing of root's in its way.
#[test]
fn files_of_another_user_stay_that_users() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nb.db");
    let schema = Schema::parse(r#"{"name": "P", "version": "1.0.0", "tables": {}}"#).unwrap();
    DatabaseFile::new(&schema)
        .create(&path, Durability::Process)
        .unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o604)).unwrap();
    if chown(&path, Some(65534), Some(65534)).is_err() {
        daemon::skip("only root can give files to another user");
        return;
    }
    let mut file = StandaloneFile::open(&path).unwrap();
    file.compact(&Annotation::default()).unwrap();
    drop(file);
    for name in ["nb.db", ".nb.db.~lock~"] {
        let metadata = std::fs::metadata(directory.path().join(name)).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (65534, 65534), "{name}");
    }
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o604);
}
