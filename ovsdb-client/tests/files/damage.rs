//! Files that are cut off, altered or never made sense.

use std::error::Error;

use ovsdb_client::Schema;
use ovsdb_client::file::{
    self, Annotation, BadClusterRecord, Contents, DatabaseFile, Durability, Entries, FileError,
    Log, LogError, ProblemKind, RecordError, StandaloneFile,
};
use ovsdb_client::value::Row;

use crate::{intact, record, remark};

const SCHEMA: &str = r#"{"name":"Pets","version":"1.0.0","tables":{
    "Cat":{"isRoot":true,"indexes":[["name"]],"columns":{"name":{"type":"string"},
        "friends":{"type":{"key":{"type":"uuid","refTable":"Cat","refType":"weak"},"min":0,"max":"unlimited"}},
        "toy":{"type":{"key":{"type":"uuid","refTable":"Toy"},"min":0}}}},
    "Toy":{"columns":{"color":{"type":"string"}}}}}"#;

fn schema() -> String {
    SCHEMA.split_whitespace().collect()
}

/// Three transactions after a schema, with the state after each.
fn standalone() -> (Vec<u8>, Vec<Contents>) {
    let schema = Schema::parse(&schema()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pets.db");
    DatabaseFile::new(&schema)
        .create(&path, Durability::Process)
        .unwrap();
    let mut file = StandaloneFile::open(&path).unwrap();
    let mut states = vec![file.contents().clone()];
    for round in 0..3 {
        let mut next = file.contents().clone();
        let toy = next.insert("Toy", Row::new().set("color", "blue")).unwrap();
        let row = Row::new()
            .set("name", format!("cat{round}"))
            .set("toy", toy);
        let cat = next.insert("Cat", row).unwrap();
        next.update("Cat", cat, Row::new().set("friends", [cat]))
            .unwrap();
        file.append(next.clone(), &remark("cats")).unwrap();
        states.push(next);
    }
    (std::fs::read(&path).unwrap(), states)
}

/// A log in which a later leader overwrites entry 3 with two others, of which one is committed.
fn clustered() -> String {
    let me = "\"server_id\":\"00000000-0000-0000-0000-00000000000a\"";
    let eid = "00000000-0000-0000-0000-0000000000ee";
    let header = format!(
        r#"{{{me},"cluster_id":"{eid}","local_address":"tcp:1.2.3.4:1","name":"Pets",
            "prev_servers":{{"00000000-0000-0000-0000-00000000000a":"tcp:1.2.3.4:1"}},
            "prev_index":1,"prev_term":1,"prev_eid":"{eid}","prev_data":[{},{}]}}"#,
        schema(),
        cat("first"),
    );
    let entry = |term: u32, index: u32, name: &str| {
        let data = cat(name);
        format!(r#"{{"term":{term},"index":{index},"eid":"{eid}","data":[null,{data}]}}"#)
    };
    let records = [
        header.split_whitespace().collect(),
        r#"{"term":1,"vote":"00000000-0000-0000-0000-00000000000a"}"#.to_owned(),
        entry(1, 2, "second"),
        r#"{"commit_index":2}"#.to_owned(),
        entry(1, 3, "overwritten"),
        r#"{"term":3,"leader":"00000000-0000-0000-0000-00000000000b"}"#.to_owned(),
        r#"{"term":3,"index":3,"servers":{"00000000-0000-0000-0000-00000000000b":"ssl:[::1]:2"},"election_timer":5000}"#
            .to_owned(),
        r#"{"commit_index":3}"#.to_owned(),
        entry(3, 4, "uncommitted"),
        r#"{"note":"hello"}"#.to_owned(),
    ];
    records.iter().map(|json| record("CLUSTER", json)).collect()
}

/// A transaction that adds a cat; its UUID is made of the name.
fn cat(name: &str) -> String {
    let uuid = format!("00000000-0000-0000-0000-{:012x}", name.len());
    format!(r#"{{"_date":1,"Cat":{{"{uuid}":{{"name":"{name}"}}}}}}"#)
}

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

/// Where records begin, and the length of the whole.
fn boundaries(bytes: &[u8]) -> Vec<usize> {
    let text = str::from_utf8(bytes).unwrap();
    let starts = text.match_indices("OVSDB ").map(|(start, _)| start);
    starts.chain([bytes.len()]).collect()
}

#[test]
fn a_standalone_file_that_is_cut_off_has_the_transactions_before() {
    let (bytes, states) = standalone();
    let boundaries = boundaries(&bytes);
    for length in 0..bytes.len() {
        let whole = boundaries.iter().filter(|end| **end <= length).count() - 1;
        match file::read(&bytes[..length]) {
            Ok(Log::Standalone(log)) => {
                assert!(log.contents.same_rows(&states[whole - 1]), "{length}");
                let torn = log.tail.map(|tail| {
                    assert!(tail.is_torn(), "{length}: {tail:?}");
                    (tail.record, tail.offset)
                });
                let at = boundaries[whole];
                assert_eq!(torn, (at < length).then_some((whole as u64, at as u64)));
            }
            Err(LogError::Empty) => assert_eq!(length, 0),
            Err(LogError::First {
                source: RecordError::Torn,
            }) => assert_eq!(whole, 0),
            other => panic!("{length}: {other:?}"),
        }
    }
}

#[test]
fn a_byte_that_was_altered_is_noticed() {
    let (bytes, states) = standalone();
    let boundaries = boundaries(&bytes);
    for position in 0..bytes.len() {
        for bit in 0..8 {
            let mut altered = bytes.clone();
            altered[position] ^= 1 << bit;
            let before = boundaries.iter().filter(|end| **end <= position).count() - 1;
            match file::read(&altered) {
                Ok(Log::Standalone(log)) => match log.tail {
                    Some(tail) => {
                        assert_eq!(tail.record, before as u64, "{position} {bit}");
                        assert!(log.contents.same_rows(&states[before - 1]));
                    }
                    // The hash may be in upper case.
                    None => assert!(
                        log.contents.same_rows(&states[3])
                            && bytes[position].is_ascii_hexdigit()
                            && bit == 5
                    ),
                },
                Err(LogError::First { .. }) => assert_eq!(before, 0),
                // A length that grew by a power of two.
                Err(LogError::TooLong { .. }) => {}
                other => panic!("{position} {bit}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_clustered_file_with_damage_never_yields_other_rows() {
    let text = clustered();
    let Log::Clustered(log) = file::read(text.as_bytes()).unwrap() else {
        panic!("a clustered log")
    };
    let good = [Entries::Committed, Entries::All].map(|entries| log.contents(entries).unwrap());
    for position in 0..text.len() {
        for bit in 0..8 {
            let mut altered = text.clone().into_bytes();
            altered[position] ^= 1 << bit;
            if let Ok(Log::Clustered(log)) = file::read(&altered)
                && log.tail.is_none()
            {
                for (entries, good) in [Entries::Committed, Entries::All].iter().zip(&good) {
                    assert!(log.contents(*entries).unwrap().same_rows(good));
                }
            }
        }
        if let Ok(Log::Clustered(log)) = file::read(&text.as_bytes()[..position]) {
            assert_eq!(
                log.tail.is_some(),
                !boundaries(text.as_bytes()).contains(&position)
            );
            log.contents(Entries::Committed).unwrap();
            log.contents(Entries::All).unwrap();
        }
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
fn appending_mends_a_torn_file_and_leaves_a_damaged_one_alone() {
    let (bytes, states) = standalone();
    let boundaries = boundaries(&bytes);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pets.db");
    let open = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        StandaloneFile::open(&path).unwrap()
    };
    let mut file = open(&bytes[..bytes.len() - 7]);
    assert!(file.tail().is_some_and(file::Tail::is_torn));
    let next = states[3].clone();
    file.append(next.clone(), &Annotation::default()).unwrap();
    assert!(file.tail().is_none());
    drop(file);
    assert!(intact(file::load(&path).unwrap()).same_rows(&next));

    let mut damaged = bytes.clone();
    damaged[boundaries[2] + 70] ^= 1;
    let mut file = open(&damaged);
    for _ in 0..2 {
        let error = file
            .append(next.clone(), &Annotation::default())
            .unwrap_err();
        assert!(matches!(error, FileError::Damaged { .. }), "{error:?}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), damaged);
    file.compact(&Annotation::default()).unwrap();
    file.append(next.clone(), &Annotation::default()).unwrap();
    drop(file);
    assert!(intact(file::load(&path).unwrap()).same_rows(&next));
}

#[test]
fn no_record_is_read_beyond_the_limit_and_nothing_is_reserved_for_a_promise() {
    let (bytes, _) = standalone();
    let error = file::read_from(&bytes[..], 64).unwrap_err();
    assert!(
        matches!(error, LogError::TooLong { limit: 64, .. }),
        "{error:?}"
    );
    // Four gigabytes are promised and three bytes are there.
    let promise = format!(
        "OVSDB JSON {} {}\n{{}}\n",
        file::RECORD_LIMIT,
        "0".repeat(40)
    );
    let error = file::read(promise.as_bytes()).unwrap_err();
    assert!(matches!(
        error,
        LogError::First {
            source: RecordError::Torn
        }
    ));
}

#[test]
fn a_database_that_is_not_there_leaves_no_lock_file() {
    let directory = tempfile::tempdir().unwrap();
    let error = StandaloneFile::open(directory.path().join("pets.db")).unwrap_err();
    assert!(matches!(error, FileError::Open { .. }), "{error:?}");
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
}

#[test]
fn a_string_that_servers_cannot_read_is_refused() {
    let mut contents = Contents::new(Schema::parse(&schema()).unwrap());
    let error = contents
        .insert("Cat", Row::new().set("name", "a\0b"))
        .unwrap_err();
    assert!(matches!(error.kind, ProblemKind::Nul { .. }), "{error}");
}
