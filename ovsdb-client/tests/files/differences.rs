//! Records with differences, applied here and by the server.

use std::fmt::Write;

use ovsdb_client::Schema;
use ovsdb_client::file::{self, Annotation, Log, StandaloneLog};
use ovsdb_client::value::Row;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::json;
use uuid::Uuid;

use crate::daemon::{self, Server, served};
use crate::record;
use crate::rows::{self, plain_columns};

/// Databases that one server loads.
const DATABASES: usize = 40;

/// A record that changes, inserts or deletes some of ten trees.
fn change() -> impl Strategy<Value = String> {
    let row = (
        1..=10_u128,
        proptest::option::weighted(0.99, plain_columns()),
    );
    (any::<bool>(), vec(row, 1..6)).prop_map(|(is_diff, rows)| {
        let rows: serde_json::Map<_, _> = rows
            .into_iter()
            .map(|(uuid, row)| (Uuid::from_u128(uuid).to_string(), json!(row.map(readable))))
            .collect();
        json!({"_date": 1_700_000_000_000_u64, "_is_diff": is_diff, "Tree": rows}).to_string()
    })
}

/// Leaves out the sets that must have an element: servers before 3.1.3 take the difference of one
/// that holds its default for its new value.
fn readable(row: Row) -> Row {
    row.into_iter()
        .filter(|(name, _)| !name.ends_with("_some"))
        .collect()
}

/// Some of the records cannot be applied: a difference leaves a set too small or too large, or a
/// row is deleted that is not there. The file ends with the first of these, and neither side may
/// have anything of it.
#[tokio::test]
async fn the_server_makes_the_same_rows_of_random_records() {
    let Some(directory) = daemon::directory() else {
        return;
    };
    let mut runner = TestRunner::deterministic();
    let (mut files, mut ours) = (Vec::new(), Vec::new());
    let (mut stopped, mut applied) = (0, 0);
    for number in 0..DATABASES {
        let schema = rows::schema(&format!("Any{number}"));
        let json: serde_json::Value = serde_json::from_str(schema.json()).unwrap();
        let mut text = record("JSON", &json.to_string());
        let mut log = read(&text);
        for json in vec(change(), 1..24)
            .new_tree(&mut runner)
            .unwrap()
            .current()
        {
            write!(text, "{}", record("JSON", &json)).unwrap();
            log = read(&text);
            if log.tail.is_some() {
                break;
            }
        }
        stopped += usize::from(log.tail.is_some());
        applied += log.history.len();
        let path = directory.path().join(format!("any{number}.db"));
        std::fs::write(&path, text).unwrap();
        files.push(path);
        ours.push((schema, log.contents));
    }
    assert!(
        applied > 4 * DATABASES && stopped > 5,
        "{applied} {stopped}"
    );
    let server = Server::start(directory.path(), "db", &files).await;
    let client = server.connect().await;
    for (schema, contents) in ours {
        let theirs = served(&client, &schema).await;
        crate::assert_same(&contents, &theirs);
    }
}

fn read(text: &str) -> StandaloneLog {
    match file::read(text.as_bytes()).unwrap() {
        Log::Standalone(log) => log,
        Log::Clustered(_) => panic!("{text}"),
    }
}

/// Rows with references, and what we append to lead from one state to the next.
#[tokio::test]
async fn the_server_serves_what_was_appended() {
    let Some(directory) = daemon::directory() else {
        return;
    };
    let mut runner = TestRunner::deterministic();
    let (mut files, mut ours) = (Vec::new(), Vec::new());
    for number in 0..DATABASES {
        let states = vec(rows::contents(), 1..5);
        let states = states.new_tree(&mut runner).unwrap().current();
        let name = format!("Any{number}");
        let schema: Schema = rows::schema(&name);
        let path = directory.path().join(format!("{name}.db"));
        file::Contents::new(schema.clone())
            .create_standalone(&path, &Annotation::default(), file::Durability::Process)
            .unwrap();
        let mut file = file::StandaloneFile::open(&path).unwrap();
        for state in states {
            let state = state.convert(schema.clone()).unwrap();
            file.append(state, &crate::remark("next")).unwrap();
        }
        ours.push((schema, file.contents().clone()));
        files.push(path);
    }
    let server = Server::start(directory.path(), "db", &files).await;
    let client = server.connect().await;
    for (schema, contents) in ours {
        let theirs = served(&client, &schema).await;
        crate::assert_same(&contents, &theirs);
    }
}

/// What becomes of rows that only refer to themselves or to each other, and of weak references.
#[tokio::test]
async fn the_server_drops_the_same_rows() {
    let Some(directory) = daemon::directory() else {
        return;
    };
    let reference = |table: &str, kind: &str| {
        json!({"type": {"min": 0, "max": "unlimited",
            "key": {"type": "uuid", "refTable": table, "refType": kind}}})
    };
    let schema = json!({"name": "Net", "version": "1.0.0", "tables": {
        "Root": {"isRoot": true, "columns": {
            "a": reference("A", "strong"), "weak_a": reference("A", "weak")}},
        "A": {"columns": {"b": reference("B", "strong"), "a": reference("A", "strong")}},
        "B": {"columns": {"a": reference("A", "strong")}}}});
    let uuid = |number: u128| Uuid::from_u128(number).to_string();
    let to = |number: u128| json!(["uuid", uuid(number)]);
    let rows = json!({
        "Root": {uuid(1): {"a": to(10), "weak_a": ["set", [to(10), to(11), to(12), to(99)]]}},
        "A": {
            uuid(10): {"b": to(20)}, // held by the root
            uuid(11): {"a": to(11)}, // holds itself, which does not count
            uuid(12): {"b": to(22)}, // in a circle
            uuid(13): {"b": to(23)}, // held by nobody, takes 23 along
        },
        "B": {uuid(20): {}, uuid(22): {"a": to(12)}, uuid(23): {}},
    });
    let text = record("JSON", &schema.to_string()) + &record("JSON", &rows.to_string());
    let ours = read(&text).contents;
    assert_eq!((ours.len("A"), ours.len("B")), (2, 2));
    let path = directory.path().join("net.db");
    std::fs::write(&path, text).unwrap();
    let server = Server::start(directory.path(), "db", &[path]).await;
    let client = server.connect().await;
    let theirs = served(&client, ours.schema()).await;
    crate::assert_same(&ours, &theirs);
    ours.check().unwrap();
}
