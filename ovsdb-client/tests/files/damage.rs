//! Files that are cut off, altered or never made sense.

use ovsdb_client::Schema;
use ovsdb_client::file::{
    self, Annotation, Contents, DatabaseFile, Durability, Entries, FileError, Log, LogError,
    RecordError, StandaloneFile,
};
use ovsdb_client::value::Row;

use crate::{intact, record, remark};

const SCHEMA: &str = r#"{"name":"Pets","version":"1.0.0","tables":{
    "Cat":{"isRoot":true,"indexes":[["name"]],"columns":{"name":{"type":"string"},
        "friends":{"type":{"key":{"type":"uuid","refTable":"Cat","refType":"weak"},"min":0,"max":"unlimited"}},
        "toy":{"type":{"key":{"type":"uuid","refTable":"Toy"},"min":0}}}},
    "Toy":{"columns":{"color":{"type":"string"}}}}}"#;

pub(crate) fn schema() -> String {
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
pub(crate) fn clustered() -> String {
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
pub(crate) fn cat(name: &str) -> String {
    let uuid = format!("00000000-0000-0000-0000-{:012x}", name.len());
    format!(r#"{{"_date":1,"Cat":{{"{uuid}":{{"name":"{name}"}}}}}}"#)
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
