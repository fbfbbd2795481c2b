//! Our validation of transactions against the judgement of the real server: what one refuses the
//! other refuses.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "server/process.rs"]
#[allow(dead_code, reason = "shared with the other tests, which use all of it")]
mod process;

use std::time::Duration;

use ovsdb_client::file::{DatabaseFile, Durability};
use ovsdb_client::value::{Atom, Datum, Row};
use ovsdb_client::{Condition, Mutation, Schema, Transaction, Until};
use process::Server;
use uuid::Uuid;

const SCHEMA: &str = r#"{"name": "S", "version": "1.0.0", "tables": {
    "T": {"isRoot": true, "columns": {
        "s": {"type": "string"},
        "i": {"type": {"key": {"type": "integer", "minInteger": 0, "maxInteger": 4}}},
        "r": {"type": "real"},
        "oi": {"type": {"key": "integer", "min": 0}},
        "os": {"type": {"key": "string", "min": 0}},
        "si": {"type": {"key": "integer", "min": 0, "max": 3}},
        "sr": {"type": {"key": "real", "min": 0, "max": "unlimited"}},
        "one": {"type": {"key": "integer", "min": 1, "max": 2}},
        "e": {"type": {"key": {"type": "string", "enum": ["set", ["", "a"]]}}},
        "m": {"type": {"key": "string", "value": "integer", "min": 0, "max": "unlimited"}},
        "fix": {"type": "string", "mutable": false},
        "u": {"type": {"key": {"type": "uuid", "refTable": "U"}, "min": 0, "max": "unlimited"}},
        "any": {"type": {"key": "uuid", "min": 0}}}},
    "U": {"isRoot": true, "columns": {
        "must": {"type": {"key": {"type": "string", "enum": ["set", ["x", "y"]]}}}}}}}"#;

type Build = fn(&mut Transaction);

const fn none() -> [Condition; 0] {
    []
}

fn update(txn: &mut Transaction, column: &str, value: impl Into<Datum>) {
    txn.update("T", none(), Row::new().set(column, value));
}

fn find(txn: &mut Transaction, condition: Condition) {
    txn.select("T", [condition], ["s"]);
}

fn mutate(txn: &mut Transaction, mutation: Mutation) {
    txn.mutate("T", none(), [mutation]);
}

fn map() -> Datum {
    Datum::map([("k", 1)])
}

/// Transactions that are good.
const GOOD: &[Build] = &[
    |_| {},
    |txn| {
        txn.insert("T", Row::new());
    },
    |txn| {
        txn.insert("U", Row::new().set("must", "y"));
    },
    |txn| {
        // Forward and backward.
        let t = Row::new().set("u", Atom::NamedUuid("row1".to_owned()));
        txn.insert("T", t);
        let u = txn.insert("U", Row::new().set("must", "x"));
        txn.insert("T", Row::new().set("u", [u]).set("any", u));
        txn.mutate(
            "T",
            [Condition::includes("u", [u])],
            [Mutation::delete("u", [u])],
        );
    },
    |txn| update(txn, "oi", Datum::empty()),
    |txn| update(txn, "r", 1),
    |txn| update(txn, "m", Datum::map::<&str, i64>([])),
    |txn| update(txn, "one", [1, 2]),
    |txn| find(txn, Condition::uuid(Uuid::nil())),
    |txn| find(txn, Condition::eq("_version", Uuid::nil())),
    |txn| find(txn, Condition::lt("i", 3)),
    |txn| find(txn, Condition::ge("r", 3)),
    |txn| find(txn, Condition::le("oi", 3)),
    |txn| find(txn, Condition::eq("oi", Datum::empty())),
    |txn| find(txn, Condition::includes("one", Datum::empty())),
    |txn| find(txn, Condition::includes("s", "x")),
    |txn| find(txn, Condition::excludes("si", [1, 2, 3, 4, 5])),
    |txn| find(txn, Condition::excludes("oi", [1, 2])),
    |txn| find(txn, Condition::includes("m", map())),
    |txn| find(txn, Condition::every_row()),
    |txn| {
        txn.select::<&str>("T", none(), []);
    },
    |txn| {
        txn.select("T", none(), ["_uuid", "_version", "s"]);
    },
    |txn| mutate(txn, Mutation::add("i", 100)),
    |txn| mutate(txn, Mutation::remainder("i", 2)),
    |txn| mutate(txn, Mutation::multiply("sr", 0.5)),
    |txn| mutate(txn, Mutation::divide("oi", 2)),
    |txn| mutate(txn, Mutation::insert("si", [1, 2])),
    |txn| mutate(txn, Mutation::insert("si", Datum::empty())),
    |txn| mutate(txn, Mutation::delete("si", [1, 2, 3, 4])),
    |txn| mutate(txn, Mutation::insert("oi", 1)),
    |txn| mutate(txn, Mutation::insert("m", map())),
    |txn| mutate(txn, Mutation::delete("m", map())),
    |txn| mutate(txn, Mutation::delete("m", ["k", "l"])),
    |txn| {
        txn.delete("T", [Condition::ne("s", "x")]);
    },
    |txn| {
        let rows = [Row::new().set("s", "x")];
        txn.wait("T", none(), ["s"], Until::NotEqual, rows, Duration::ZERO);
    },
    |txn| {
        txn.comment("c");
        txn.commit(false);
    },
];

/// Transactions that are not, and what is wrong with them.
const BAD: &[(Build, &str)] = &[
    (
        |txn| {
            txn.insert("V", Row::new());
        },
        "there is no such table",
    ),
    (
        |txn| {
            txn.delete("V", none());
        },
        "there is no such table",
    ),
    (
        |txn| {
            txn.insert("T", Row::new().set("x", 1));
        },
        "there is no column x",
    ),
    (
        |txn| {
            txn.insert("U", Row::new());
        },
        r#"column must: "" is outside of what the schema allows"#,
    ),
    (|txn| update(txn, "x", 1), "there is no column x"),
    (
        |txn| update(txn, "fix", "a"),
        "column fix cannot be changed",
    ),
    (
        |txn| update(txn, "_uuid", Uuid::nil()),
        "column _uuid cannot be changed",
    ),
    (
        |txn| update(txn, "s", 1),
        "column s: 1 is of type integer, not string",
    ),
    (
        |txn| update(txn, "i", 5),
        "column i: 5 is outside of what the schema allows",
    ),
    (
        |txn| update(txn, "e", "b"),
        r#"column e: "b" is outside of what the schema allows"#,
    ),
    (
        |txn| update(txn, "one", Datum::empty()),
        "column one: 0 elements where 1 to 2 are allowed",
    ),
    (
        |txn| update(txn, "si", [1, 2, 3, 4]),
        "column si: 4 elements where 0 to 3 are allowed",
    ),
    (|txn| update(txn, "si", [1, 1]), "column si: 1 occurs twice"),
    (|txn| update(txn, "m", 1), "column m: 1 is not a map"),
    (
        |txn| update(txn, "m", Datum::empty()),
        "column m: [] is not a map",
    ),
    (
        |txn| {
            let who = Atom::NamedUuid("who".to_owned());
            txn.insert("T", Row::new().set("u", who));
        },
        "column u: no insert makes a row named who",
    ),
    (
        |txn| {
            let t = txn.insert("T", Row::new());
            txn.insert("T", Row::new().set("u", [t]));
        },
        "column u: row0 is a row of table T, not U",
    ),
    (
        |txn| find(txn, Condition::eq("x", 1)),
        "there is no column x",
    ),
    (
        |txn| find(txn, Condition::eq("i", 9)),
        "column i: 9 is outside of what the schema allows",
    ),
    (
        |txn| find(txn, Condition::lt("s", "a")),
        "column s cannot be compared for less or more: it is string",
    ),
    (
        |txn| find(txn, Condition::gt("si", 1)),
        "column si cannot be compared for less or more: it is set of at most 3 integers",
    ),
    (
        |txn| find(txn, Condition::gt("m", 1)),
        "column m cannot be compared for less or more: it is map of strings to integers",
    ),
    (
        |txn| find(txn, Condition::le("oi", Datum::empty())),
        "column oi: 0 elements where 1 are allowed",
    ),
    (
        |txn| find(txn, Condition::includes("si", [1, 2, 3, 4])),
        "column si: 4 elements where 0 to 3 are allowed",
    ),
    (
        |txn| find(txn, Condition::excludes("s", ["a", "b"])),
        "column s: 2 elements where 1 are allowed",
    ),
    (
        |txn| {
            txn.select("T", none(), ["s", "x"]);
        },
        "there is no column x",
    ),
    (
        |txn| {
            txn.select("T", none(), ["s", "s"]);
        },
        "column s is listed twice",
    ),
    (
        |txn| mutate(txn, Mutation::add("x", 1)),
        "there is no column x",
    ),
    (
        |txn| mutate(txn, Mutation::insert("fix", "a")),
        "column fix cannot be changed",
    ),
    (
        |txn| mutate(txn, Mutation::add("s", 1)),
        "column s cannot be changed in this way: it is string",
    ),
    (
        |txn| mutate(txn, Mutation::add("m", 1)),
        "column m cannot be changed in this way: it is map of strings to integers",
    ),
    (
        |txn| mutate(txn, Mutation::remainder("r", 2)),
        "column r cannot be changed in this way: it is real",
    ),
    (
        |txn| mutate(txn, Mutation::add("i", 0.5)),
        "column i: 0.5 is of type real, not integer",
    ),
    (
        |txn| mutate(txn, Mutation::add("si", [1, 2])),
        "column si: 2 elements where 1 are allowed",
    ),
    (
        |txn| mutate(txn, Mutation::insert("s", "a")),
        "column s cannot be changed in this way: it is string",
    ),
    (
        |txn| mutate(txn, Mutation::insert("si", [1, 2, 3, 4])),
        "column si: 4 elements where 0 to 3 are allowed",
    ),
    (
        |txn| mutate(txn, Mutation::insert("m", ["k"])),
        r#"column m: ["k"] is not a map"#,
    ),
    (
        |txn| mutate(txn, Mutation::delete("m", [1])),
        "column m: 1 is of type integer, not string",
    ),
    (
        |txn| {
            let rows = [Row::new().set("s", 1)];
            txn.wait("T", none(), ["s"], Until::NotEqual, rows, Duration::ZERO);
        },
        "column s: 1 is of type integer, not string",
    ),
    (
        |txn| txn.wait("T", none(), ["x"], Until::NotEqual, [], Duration::ZERO),
        "there is no column x",
    ),
];

#[test]
fn each_problem_is_found() {
    let schema = Schema::parse(SCHEMA).unwrap();
    for (index, build) in GOOD.iter().enumerate() {
        let mut txn = Transaction::new();
        build(&mut txn);
        assert_eq!(txn.validate(&schema), Ok(()), "good transaction {index}");
    }
    for (build, problem) in BAD {
        let mut txn = Transaction::new();
        build(&mut txn);
        let invalid = txn.validate(&schema).unwrap_err();
        let [found] = invalid.problems.as_slice() else {
            panic!("{problem}: {invalid}");
        };
        assert_eq!(found.index, txn.len() - 1, "{problem}");
        assert_eq!(found.kind.to_string(), *problem);
    }
}

#[test]
fn all_problems_are_found() {
    let schema = Schema::parse(SCHEMA).unwrap();
    let mut txn = Transaction::new();
    for (build, _) in BAD {
        build(&mut txn);
    }
    let invalid = txn.validate(&schema).unwrap_err();
    assert_eq!(invalid.problems.len(), BAD.len(), "{invalid}");
    assert!(invalid.problems.is_sorted_by_key(|problem| problem.index));
}

#[tokio::test]
async fn the_server_agrees() {
    let Some(directory) = process::directory() else {
        return;
    };
    let schema = Schema::parse(SCHEMA).unwrap();
    DatabaseFile::new(&schema)
        .create(directory.path().join("s.db"), Durability::Process)
        .unwrap();
    let server = Server::start(directory, "s.db", None).await;
    let client = server.connect().await;
    for (index, build) in GOOD.iter().enumerate() {
        let mut txn = Transaction::new();
        build(&mut txn);
        // What was written must not stand in the way of the next, as by arithmetic.
        txn.delete("T", none());
        let result = client.transact("S", txn).await;
        assert!(result.is_ok(), "good transaction {index}: {result:?}");
    }
    for (build, problem) in BAD {
        let mut txn = Transaction::new();
        build(&mut txn);
        let result = client.transact("S", txn).await;
        assert!(
            result.is_err(),
            "the server accepts what we refuse: {problem}"
        );
    }
}
