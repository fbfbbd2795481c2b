//! Files of all kinds of health.

use std::fs;

use ovsdb_client::Schema;
use ovsdb_client::file::{
    Annotation, ClusteredFile, DatabaseFile, Durability, NewCluster, StandaloneFile,
};
use ovsdb_client::value::Row;
use tempfile::TempDir;

use super::*;

const NB: &str = "OVN_Northbound";

const SCHEMA: &str = r#"{"name": "OVN_Northbound", "version": "7.0.0", "tables": {
    "Logical_Switch": {"isRoot": true, "columns": {"name": {"type": "string"}}}}}"#;

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Loads a file of these bytes.
fn load_bytes(directory: &TempDir, bytes: &[u8]) -> Result<Contents, SourceProblem> {
    let path = directory.path().join("brought.db");
    fs::write(&path, bytes).unwrap();
    load(&path, NB)
}

fn contents(switches: &[&str]) -> Contents {
    let mut contents = Contents::new(Schema::parse(SCHEMA).unwrap());
    for name in switches {
        let row = Row::new().set("name", *name);
        contents.insert("Logical_Switch", row).unwrap();
    }
    contents
}

/// A standalone file with the schema and a record for each of three switches.
fn standalone(directory: &TempDir) -> Vec<u8> {
    let path = directory.path().join("standalone.db");
    let schema = Schema::parse(SCHEMA).unwrap();
    let file = DatabaseFile::new(&schema);
    file.create(&path, Durability::Process).unwrap();
    let mut file = StandaloneFile::open(&path).unwrap();
    for name in ["a", "b", "c"] {
        let mut next = file.contents().clone();
        let row = Row::new().set("name", name);
        next.insert("Logical_Switch", row).unwrap();
        file.append(next, &Annotation::default()).unwrap();
    }
    fs::read(&path).unwrap()
}

fn clustered(contents: Contents) -> Vec<u8> {
    let mut cluster = NewCluster::new(contents);
    cluster.server("tcp:10.0.0.1:6643".parse().unwrap());
    cluster.files().unwrap()[0].to_bytes().to_vec()
}

/// Where the records of a file begin, and where it ends.
fn boundaries(bytes: &[u8]) -> Vec<usize> {
    let starts = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(MAGIC));
    starts.chain([bytes.len()]).collect()
}

#[test]
fn what_servers_keep_is_read() {
    let directory = directory();
    let rows = load_bytes(&directory, &standalone(&directory)).unwrap();
    assert_eq!(rows.len("Logical_Switch"), 3);

    let rows = contents(&["a", "b"]);
    let loaded = load_bytes(&directory, &clustered(rows.clone())).unwrap();
    assert!(loaded.same_rows(&rows));
}

#[test]
fn a_file_that_ends_anywhere_but_between_records_is_refused() {
    let directory = directory();
    for bytes in [standalone(&directory), clustered(contents(&["a"]))] {
        let boundaries = boundaries(&bytes);
        for end in 0..bytes.len() {
            let loaded = load_bytes(&directory, &bytes[..end]);
            let record = boundaries.iter().rposition(|&start| start <= end).unwrap();
            match loaded.map_err(|problem| problem.fault) {
                Ok(rows) => {
                    assert_eq!(boundaries[record], end, "cut off at {end}");
                    assert_eq!(rows.len("Logical_Switch"), record - 1);
                }
                Err(Fault::Empty) => assert_eq!(end, 0),
                Err(Fault::NoDatabase { .. }) => assert!(end < MAGIC.len(), "cut off at {end}"),
                Err(Fault::Torn { record: n, offset }) => {
                    let expected = (record as u64, boundaries[record] as u64);
                    assert_eq!((n, offset), expected, "cut off at {end}");
                }
                Err(fault) => panic!("cut off at {end}: {fault}"),
            }
        }
    }
}

#[test]
fn a_byte_that_has_changed_is_found_where_it_is() {
    let directory = directory();
    for bytes in [standalone(&directory), clustered(contents(&["a"]))] {
        let boundaries = boundaries(&bytes);
        let whole = load_bytes(&directory, &bytes).unwrap();
        for at in 0..bytes.len() {
            let record = boundaries.iter().rposition(|&start| start <= at).unwrap();
            let expected = (record as u64, boundaries[record] as u64);
            for flipped in [0x01, 0x20, 0x80] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flipped;
                match load_bytes(&directory, &damaged).map_err(|problem| problem.fault) {
                    // Upper case in a hash.
                    Ok(rows) => assert!(rows.same_rows(&whole), "byte {at}"),
                    Err(Fault::Damaged {
                        record: n,
                        offset: Some(offset),
                        ..
                    }) => assert_eq!((n, offset), expected, "byte {at}"),
                    // A length that is larger now.
                    Err(Fault::Torn { record: n, offset }) => {
                        assert_eq!((n, offset), expected, "byte {at}");
                    }
                    Err(Fault::NoDatabase { .. }) => assert!(at < MAGIC.len(), "byte {at}"),
                    Err(fault) => panic!("byte {at}: {fault}"),
                }
            }
        }
    }
}

#[test]
fn every_fault_is_one_line_that_names_the_file() {
    let directory = directory();
    let whole = standalone(&directory);
    let text = String::from_utf8(whole.clone()).unwrap();
    let southbound = |text: &[u8]| {
        let schema = Schema::parse(&SCHEMA.replace("North", "South")).unwrap();
        match text {
            b"clustered" => clustered(Contents::new(schema)),
            _ => DatabaseFile::new(&schema).to_bytes().unwrap(),
        }
    };
    let [local, remote] = ["tcp:10.0.0.2:6643", "tcp:10.0.0.1:6643"].map(|a| a.parse().unwrap());
    let joining = ClusteredFile::join(NB, local, [remote], None).unwrap();
    let start = boundaries(&whole)[2];
    let cases: Vec<(Vec<u8>, String)> = vec![
        (Vec::new(), "is no OVSDB database file: it is empty".into()),
        (
            "# The switches\n# of the lab\n".into(),
            "is no OVSDB database file: it begins with \"# The switches # of the lab\"".into(),
        ),
        (
            b"\x7fELF\x02\x01".into(),
            "is no OVSDB database file".into(),
        ),
        (
            southbound(b""),
            "holds OVN_Southbound, not OVN_Northbound".into(),
        ),
        (
            southbound(b"clustered"),
            "holds OVN_Southbound, not OVN_Northbound".into(),
        ),
        (
            joining.to_bytes().into(),
            "has no rows: it is of a clustered server that has not joined its cluster yet".into(),
        ),
        (
            whole[..whole.len() - 1].into(),
            format!(
                "ends inside record 3, which begins at byte {}",
                boundaries(&whole)[3]
            ),
        ),
        (
            text.replace(r#""b""#, r#""x""#).into(),
            format!("is damaged: record 2 at byte {start}: the SHA-1 of the record is "),
        ),
        (
            [&whole[..start], b"garbage\n"].concat(),
            format!(
                "is damaged: record 2 at byte {start}: \"garbage\" is not the header of a record"
            ),
        ),
    ];
    for (bytes, message) in cases {
        let error = load_bytes(&directory, &bytes).unwrap_err();
        let path = directory.path().join("brought.db");
        let shown = error.to_string();
        let expected = format!("{} {message}", path.display());
        assert!(shown.starts_with(&expected), "{shown}\n{expected}");
        assert!(
            !shown.contains('\n') && !error.hint().contains('\n'),
            "{shown}"
        );
        assert!(Error::source(&error).is_none());
    }
    let error = load(&directory.path().join("missing"), NB).unwrap_err();
    let message = "/missing cannot be read: No such file or directory (os error 2)";
    assert!(error.to_string().ends_with(message), "{error}");
    let error = load(directory.path(), NB).unwrap_err();
    let message = "cannot be read: Is a directory (os error 21)";
    assert!(error.to_string().ends_with(message), "{error}");
}

#[test]
fn a_transaction_that_does_not_fit_is_told_with_its_record() {
    let directory = directory();
    let table = |columns: &str| {
        let schema = SCHEMA.replace(r#""name": {"type": "string"}"#, columns);
        Schema::parse(&schema).unwrap()
    };
    let schema = table(r#""name": {"type": "string"}, "tag": {"type": "integer"}"#);
    let mut rows = Contents::new(schema);
    let row = Row::new().set("tag", 1);
    rows.insert("Logical_Switch", row).unwrap();
    let bytes = rows.to_standalone(&Annotation::default()).unwrap();
    let schema = table(r#""name": {"type": "string"}"#);
    let mut mixed = DatabaseFile::new(&schema).to_bytes().unwrap();
    let start = mixed.len();
    mixed.extend(&bytes[boundaries(&bytes)[1]..]);
    let shown = load_bytes(&directory, &mixed).unwrap_err().to_string();
    let expected = format!(
        "is damaged: record 1 at byte {start}: the transaction in the record cannot be applied: \
         a row does not fit: row "
    );
    assert!(shown.contains(&expected), "{shown}");
    assert!(shown.ends_with("there is no column tag"), "{shown}");
}

#[test]
fn of_many_invalid_rows_the_first_are_told() {
    let mut rows = contents(&[]);
    let problem = rows.remove("Logical_Switch", uuid::Uuid::nil());
    let problem = problem.unwrap_err();
    let all = |count| {
        told(&InvalidRows {
            problems: vec![problem.clone(); count],
        })
    };
    assert_eq!(all(1), problem.to_string());
    assert_eq!(all(3).matches("there is no such row").count(), 3);
    assert!(all(5).ends_with("there is no such row; and 2 more"));
}
