use std::io::BufReader;

use sha1::{Digest, Sha1};

use super::texts;
use crate::file::{self, Annotation, Contents, Entries, Log, RECORD_LIMIT, StandaloneLog};

/// Whatever a file holds, it reads the same in pieces, rubbish at its end takes nothing away, and
/// its rows, if a file can be made of them, are those of that file.
///
/// Either the bytes of a file, or, after a line `JSON` or `CLUSTER`, the records of one: a line of
/// JSON each, without the headers, in which no fuzzer would get the hash right.
pub fn file(data: &[u8]) {
    let Some((kind, records)) = texts::<1>(data).and_then(|[text]| text.split_once('\n')) else {
        return read(data);
    };
    match kind {
        "JSON" | "CLUSTER" => read(&records.lines().fold(Vec::new(), |mut file, json| {
            let hash = Sha1::digest(format!("{json}\n"));
            let length = json.len() + 1;
            file.extend(format!("OVSDB {kind} {length} {hash:x}\n{json}\n").bytes());
            file
        })),
        _ => read(data),
    }
}

fn read(bytes: &[u8]) {
    let log = file::read(bytes);
    let pieces = file::read_from(BufReader::with_capacity(3, bytes), RECORD_LIMIT);
    match (&log, &pieces) {
        (Ok(_), Ok(_)) => {}
        (Err(error), Err(pieces)) => assert_eq!(error.to_string(), pieces.to_string()),
        _ => panic!("{log:?} is {pieces:?} in pieces"),
    }
    match (log, pieces) {
        (Ok(Log::Standalone(log)), Ok(Log::Standalone(pieces))) => {
            same(&log, &pieces);
            rewrite(&log.contents);
            if log.tail.is_none() {
                let longer = [bytes, b"OVSDB JSON 7"].concat();
                let Ok(Log::Standalone(longer)) = file::read(&longer) else {
                    panic!("what follows the last record changes the kind of the file");
                };
                assert!(longer.contents.same_rows(&log.contents));
                assert_eq!(longer.history, log.history);
                assert!(longer.tail.is_some());
            }
        }
        (Ok(Log::Clustered(log)), Ok(Log::Clustered(pieces))) => {
            assert_eq!(format!("{log:?}"), format!("{pieces:?}"));
            assert!(log.servers().count() > 0 || !log.remote_addresses.is_empty());
            for entries in [Entries::Committed, Entries::All] {
                if let Ok(contents) = log.contents(entries) {
                    rewrite(&contents);
                }
            }
        }
        _ => {}
    }
}

fn same(log: &StandaloneLog, pieces: &StandaloneLog) {
    assert!(log.contents.same_rows(&pieces.contents));
    assert_eq!(log.history, pieces.history);
    assert_eq!(log.tail.is_some(), pieces.tail.is_some());
}

fn rewrite(contents: &Contents) {
    let Ok(bytes) = contents.to_standalone(&Annotation::default()) else {
        return;
    };
    match file::read(&bytes) {
        Ok(Log::Standalone(again)) => {
            assert!(again.tail.is_none(), "{:?}", again.tail);
            assert!(again.contents.same_rows(contents));
        }
        other => panic!("a file that was written reads as {other:?}"),
    }
}
