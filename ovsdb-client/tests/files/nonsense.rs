//! Records that are intact and make no sense, or make more of it than others.

use std::error::Error;

use ovsdb_client::Schema;
use ovsdb_client::file::{self, BadClusterRecord, Contents, Entries, Log, LogError, ProblemKind};
use ovsdb_client::value::Row;
use proptest::prelude::*;

use crate::damage::{cat, clustered, schema};
use crate::{intact, record};

fn names(contents: &Contents) -> Vec<String> {
    let name = |(_, row): (_, Row)| row.str("name").unwrap().to_owned();
    let mut names: Vec<_> = contents.rows("Cat").map(name).collect();
    names.sort();
    names
}

/// The message of an error and of all that is behind it.
fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

#[test]
fn entries_are_overwritten_and_committed_as_the_log_says() {
    let Log::Clustered(log) = file::read(clustered().as_bytes()).unwrap() else {
        panic!("a clustered log")
    };
    assert_eq!((log.term, log.commit_index, log.last_index()), (3, 3, 4));
    let committed = log.contents(Entries::Committed).unwrap();
    assert_eq!(names(&committed), ["first", "second"]);
    let all = log.contents(Entries::All).unwrap();
    assert_eq!(names(&all), ["first", "second", "uncommitted"]);
    let servers: Vec<_> = log
        .servers()
        .map(|(_, address)| address.to_string())
        .collect();
    assert_eq!(servers, ["ssl:[::1]:2"]);
    assert_eq!(log.election_timer().unwrap().as_millis(), 5000);
    assert!(!log.has_left);
}

#[test]
fn clustered_records_that_make_no_sense_are_told() {
    let cases = [
        (
            r#"{"commit_index":2}"#,
            "index 2 is committed, but 3 already is and 4 is the last one",
        ),
        (
            r#"{"commit_index":5}"#,
            "index 5 is committed, but 3 already is and 4 is the last one",
        ),
        (
            r#"{"term":3,"index":6}"#,
            "entry 6 does not fit between the committed 3 and the next 5",
        ),
        (
            r#"{"term":3,"index":2}"#,
            "entry 2 does not fit between the committed 3 and the next 5",
        ),
        (
            r#"{"term":2,"index":5}"#,
            "entry 5 has term 2, older than 3 of the one before it",
        ),
        (r#"{"index":5}"#, "term is missing"),
        (r#"{"term":3,"index":5,"data":[null,{}]}"#, "eid is missing"),
        (
            r#"{"term":"x"}"#,
            "a member is missing or of the wrong type",
        ),
    ];
    for (json, expected) in cases {
        let text = clustered() + &record("CLUSTER", json);
        let error = file::read(text.as_bytes()).unwrap_err();
        assert!(
            matches!(error, LogError::ClusterRecord { record: 10, .. }),
            "{error:?}"
        );
        assert!(
            chain(&error).contains(expected),
            "{json}: {}",
            chain(&error)
        );
    }
    let eid = "00000000-0000-0000-0000-0000000000ee";
    let cases = [
        ("[]".to_owned(), "not a pair"),
        (r#"[{"name":"P"},null]"#.to_owned(), "its schema is invalid"),
        (
            format!("[{},null]", schema().replace("Pets", "Dogs")),
            "is named Dogs, the database Pets",
        ),
        (
            r#"[null,{"Dog":{}}]"#.to_owned(),
            "the schema has no table Dog",
        ),
    ];
    for (data, expected) in cases {
        let json = format!(r#"{{"term":3,"index":5,"eid":"{eid}","data":{data}}}"#);
        let text = clustered() + &record("CLUSTER", &json);
        let Ok(Log::Clustered(log)) = file::read(text.as_bytes()) else {
            panic!("{text}")
        };
        let error = log.contents(Entries::All).unwrap_err();
        assert!(
            matches!(error, LogError::Entry { index: 5, .. }),
            "{error:?}"
        );
        assert!(
            chain(&error).contains(expected),
            "{data}: {}",
            chain(&error)
        );
        log.contents(Entries::Committed).unwrap();
    }
    let headers = [
        ("\"cluster_id\"", "\"cluster-id\"", "cluster_id is missing"),
        ("\"prev_servers\"", "\"servers\"", "prev_servers is missing"),
        ("\"prev_eid\"", "\"eid\"", "prev_eid is missing"),
        ("tcp:1.2.3.4:1", "tcp:1.2.3.4", "wrong type"),
        (
            "\"prev_servers\"",
            "\"remote_addresses\":[\"tcp:1.2.3.4:1\"],\"x\"",
            "no remote address",
        ),
    ];
    let header = clustered().lines().nth(1).unwrap().to_owned();
    for (from, to, expected) in headers {
        let error =
            file::read(record("CLUSTER", &header.replace(from, to)).as_bytes()).unwrap_err();
        assert!(
            matches!(&error, LogError::ClusterHeader { source } if !matches!(source, BadClusterRecord::Index { .. })),
            "{error:?}"
        );
        assert!(chain(&error).contains(expected), "{to}: {}", chain(&error));
    }
}

#[test]
fn a_new_schema_among_the_entries_converts_the_rows_or_replaces_them() {
    let eid = "00000000-0000-0000-0000-0000000000ee";
    let newer = schema()
        .replace("\"color\":{", "\"shape\":{")
        .replace("1.0.0", "2.0.0");
    for (transaction, expected) in [
        ("null".to_owned(), vec!["first", "second", "uncommitted"]),
        (cat("only"), vec!["only"]),
    ] {
        let json =
            format!(r#"{{"term":3,"index":5,"eid":"{eid}","data":[{newer},{transaction}]}}"#);
        let text = clustered() + &record("CLUSTER", &json);
        let contents = intact(file::read(text.as_bytes()).unwrap());
        assert_eq!(contents.schema().version(), "2.0.0");
        assert_eq!(names(&contents), expected);
    }
}

#[test]
fn transactions_that_do_not_fit_end_the_readable_part() {
    let good = record("JSON", &schema()) + &record("JSON", &cat("Tom"));
    let tom = "00000000-0000-0000-0000-000000000003";
    let cases = [
        (r#"{"Dog":{}}"#.to_owned(), "the schema has no table Dog"),
        (
            r#"{"_date":"now"}"#.to_owned(),
            "the schema has no table _date",
        ),
        (
            r#"{"Cat":[]}"#.to_owned(),
            "what it says of table Cat are not rows",
        ),
        (
            r#"{"Cat":{"x":{}}}"#.to_owned(),
            "what it says of table Cat are not rows",
        ),
        (
            format!(r#"{{"Cat":{{"{tom}":{{"fur":1}}}}}}"#),
            "there is no column fur",
        ),
        (
            format!(r#"{{"Cat":{{"{tom}":{{"name":1}}}}}}"#),
            "1 is of type integer, not string",
        ),
        (
            format!(r#"{{"Cat":{{"{eid}":null}}}}"#, eid = tom.replace('3', "9")),
            "no such row",
        ),
        (
            format!(r#"{{"_is_diff":true,"Cat":{{"{tom}":{{"friends":["map",[]]}}}}}}"#),
            "is a map",
        ),
        (
            format!(r#"{{"Cat":{{"{tom}":{{"toy":["named-uuid","row0"]}}}}}}"#),
            "cannot refer to row0 by name",
        ),
        ("{\"Cat\":".to_owned(), "the record is not JSON"),
    ];
    for (json, expected) in cases {
        let text = good.clone() + &record("JSON", &json) + &record("JSON", &cat("later"));
        let Ok(Log::Standalone(log)) = file::read(text.as_bytes()) else {
            panic!("{text}")
        };
        assert_eq!(names(&log.contents), ["Tom"]);
        let tail = log.tail.unwrap();
        assert_eq!((tail.record, tail.offset), (2, good.len() as u64));
        assert!(!tail.is_torn());
        assert_eq!(tail.transaction().is_some(), !expected.contains("JSON"));
        assert!(chain(&tail).contains(expected), "{json}: {}", chain(&tail));
    }
}

#[test]
fn rows_that_contradict_each_other_are_an_error() {
    let rows = |rows: &str| record("JSON", &schema()) + &record("JSON", rows);
    let dangling = r#"{"Cat":{"00000000-0000-0000-0000-000000000001":
        {"toy":["uuid","00000000-0000-0000-0000-000000000002"]}}}"#;
    let twice = r#"{"Cat":{"00000000-0000-0000-0000-000000000001":{"name":"a"},
        "00000000-0000-0000-0000-000000000002":{"name":"a"}}}"#;
    for (json, expected) in [
        (dangling, "is not a row of table Toy"),
        (twice, "has the same name"),
    ] {
        let error = file::read(rows(json).as_bytes()).unwrap_err();
        assert!(matches!(error, LogError::Inconsistent { .. }), "{error:?}");
        assert!(chain(&error).contains(expected), "{}", chain(&error));
    }
    // These are what a server mends: a toy that nobody has, a friend who is gone.
    let mended = r#"{"Toy":{"00000000-0000-0000-0000-000000000003":{"color":"red"}},
        "Cat":{"00000000-0000-0000-0000-000000000001":
        {"name":"a","friends":["uuid","00000000-0000-0000-0000-000000000002"]}}}"#;
    let contents = intact(file::read(rows(mended).as_bytes()).unwrap());
    assert!(contents.is_empty("Toy"));
    assert_eq!(
        contents
            .rows("Cat")
            .next()
            .unwrap()
            .1
            .uuids("friends")
            .count(),
        0
    );
}

#[test]
fn a_string_that_servers_cannot_read_is_refused() {
    let mut contents = Contents::new(Schema::parse(&schema()).unwrap());
    let error = contents
        .insert("Cat", Row::new().set("name", "a\0b"))
        .unwrap_err();
    assert!(matches!(error.kind, ProblemKind::Nul { .. }), "{error}");
}

/// Puts pieces of JSON into a record, and frames it so that its hash is right.
fn altered(text: &str, magic: &str, number: usize, at: usize, cut: usize, piece: &str) -> String {
    let mut records: Vec<String> = text.lines().skip(1).step_by(2).map(str::to_owned).collect();
    let index = number % records.len();
    let json = &mut records[index];
    // All of it is ASCII.
    let start = at % json.len();
    let end = (start + cut).min(json.len());
    json.replace_range(start..end, piece);
    records.iter().map(|json| record(magic, json)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever a record says under a right hash, it is read, or refused by type.
    #[test]
    fn no_record_makes_the_reader_panic(
        is_cluster: bool,
        (number, at, cut) in (0..10_usize, 0..1_000_usize, 0..40_usize),
        piece in proptest::sample::select(vec![
            "", "0", "-1", "18446744073709551615", "1e999", "null", "true", "[]", "{}", "\"", ",", "}",
            "{\"Cat\":{}}", "[\"set\",[]]", "[\"map\",[]]", "\"_is_diff\":true,", "\"term\":2,",
            "\"index\":3,", "\"min\":2", "\"max\":0", "\"type\":\"real\"", "\"value\":\"uuid\",",
        ]),
    ) {
        let plain = record("JSON", &schema()) + &record("JSON", &cat("Tom")) + &record("JSON", &cat("Timothy"));
        let text = match is_cluster {
            true => altered(&clustered(), "CLUSTER", number, at, cut, piece),
            false => altered(&plain, "JSON", number, at, cut, piece),
        };
        match file::read(text.as_bytes()) {
            Ok(Log::Standalone(log)) => prop_assert!(log.contents.len("Cat") <= 2),
            Ok(Log::Clustered(log)) => {
                for entries in [Entries::Committed, Entries::All] {
                    if let Ok(contents) = log.contents(entries) {
                        prop_assert!(contents.len("Cat") <= 4);
                    }
                }
            }
            Err(error) => prop_assert!(!chain(&error).is_empty()),
        }
    }
}
