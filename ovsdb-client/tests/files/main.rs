//! Database files, against the real server and `ovsdb-tool`, and against damage.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod cluster;
mod daemon;
mod damage;
mod differences;
mod nonsense;
mod rows;
mod standalone;

use ovsdb_client::file::{Annotation, Contents, Entries, Log};
use sha1::{Digest, Sha1};

const NB: &str = "/usr/share/ovn/ovn-nb.ovsschema";

/// The remark that the files of these tests carry.
fn remark(comment: &str) -> Annotation {
    Annotation {
        date: None,
        comment: Some(comment.to_owned()),
    }
}

/// Frames a record, apart from the code under test.
fn record(magic: &str, json: &str) -> String {
    let digest = Sha1::digest(format!("{json}\n"));
    format!("OVSDB {magic} {} {digest:x}\n{json}\n", json.len() + 1)
}

/// All rows of a log that has no damage.
fn intact(log: Log) -> Contents {
    match log {
        Log::Standalone(log) => {
            assert!(log.tail.is_none(), "{:?}", log.tail);
            log.contents
        }
        Log::Clustered(log) => {
            assert!(log.tail.is_none(), "{:?}", log.tail);
            log.contents(Entries::All).unwrap()
        }
    }
}

/// Fails with the columns that differ.
fn assert_same(ours: &Contents, theirs: &Contents) {
    let mut differences = Vec::new();
    for (table, columns) in theirs.schema().tables() {
        let uuids = |contents: &Contents| contents.rows(table).map(|(uuid, _)| uuid).collect();
        let (left, right): (Vec<_>, Vec<_>) = (uuids(ours), uuids(theirs));
        if left != right {
            differences.push(format!("rows of {table}: {left:?} and {right:?}"));
            continue;
        }
        for (uuid, row) in ours.rows(table) {
            let other = theirs.row(table, uuid).unwrap();
            for (name, _) in columns.columns() {
                let (left, right) = (row.get(name), other.get(name));
                if left != right {
                    differences.push(format!("{table} {uuid} {name}: {left:?} and {right:?}"));
                }
            }
        }
    }
    let database = theirs.schema().name();
    assert!(
        differences.is_empty(),
        "{database}:\n{}",
        differences.join("\n")
    );
    assert!(ours.same_rows(theirs));
}
