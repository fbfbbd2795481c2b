//! Databases that a cluster begins with, brought along by its user: northbound and southbound ones, of standalone and
//! of clustered servers, of whatever schema version.
//!
//! [`load`] reads one, [`convert`](convert()) brings it to the schema of the node that is to serve it,
//! [`evict_chassis`] and [`merge`](merge()) make it fit the cluster.

mod convert;
mod merge;

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use ovsdb_client::file::{
    Contents, Entries, InvalidRows, Log, LogError, RECORD_LIMIT, RecordError, Tail, read_from,
};
use thiserror::Error;

pub(crate) use convert::convert;
pub(crate) use merge::{evict_chassis, merge};

/// What every record of every database file begins with.
const MAGIC: &[u8] = b"OVSDB ";

/// How many invalid rows a message tells of.
const ROWS_TOLD: usize = 3;

/// How many characters a message shows of a file that is something else.
const CHARACTERS_TOLD: usize = 40;

/// A file cannot be what a cluster begins with.
#[derive(Debug, Error)]
#[error("{} {fault}", path.display())]
pub(crate) struct SourceProblem {
    /// The file.
    pub(crate) path: PathBuf,
    /// What is wrong with it.
    pub(crate) fault: Fault,
}

/// What can be wrong with a file.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    /// The operating system does not give it.
    #[error("cannot be read: {reason}")]
    Unreadable {
        /// Its reason.
        reason: io::Error,
    },
    /// There is nothing in it.
    #[error("is no OVSDB database file: it is empty")]
    Empty,
    /// It is of another kind.
    #[error("is no OVSDB database file{}", beginning(begins))]
    NoDatabase {
        /// Its first characters, as far as it is text.
        begins: String,
    },
    /// It is a database of another name.
    #[error("holds {found}, not {expected}")]
    OtherDatabase {
        /// The name that it has.
        found: String,
        /// The name that it should have.
        expected: String,
    },
    /// It ends too early.
    #[error("ends inside record {record}, which begins at byte {offset}")]
    Torn {
        /// Number of the record, from 0.
        record: u64,
        /// Where the record begins.
        offset: u64,
    },
    /// A record is not what was written, or no server would have written it.
    #[error("is damaged: record {record}{}: {reason}", at(*offset))]
    Damaged {
        /// Number of the record, from 0.
        record: u64,
        /// Where it begins, if that is known.
        offset: Option<u64>,
        /// What is wrong with it.
        reason: String,
    },
    /// It is a server's that has asked to join a cluster and got no answer yet.
    #[error("has no rows: it is of a clustered server that has not joined its cluster yet")]
    Joining,
    /// Its records can be read, but make no database.
    #[error("is no usable database: {reason}")]
    Unusable {
        /// Why not.
        reason: String,
    },
}

fn at(offset: Option<u64>) -> String {
    offset.map_or(String::new(), |offset| format!(" at byte {offset}"))
}

fn beginning(begins: &str) -> String {
    if begins.is_empty() {
        String::new()
    } else {
        format!(": it begins with \"{begins}\"")
    }
}

impl SourceProblem {
    /// What to do about it.
    pub(crate) fn hint(&self) -> String {
        match &self.fault {
            Fault::Unreadable { .. } => "give the path of a file that can be read".into(),
            Fault::Empty | Fault::NoDatabase { .. } => {
                "give the file that ovsdb-server keeps, or what `ovsdb-client backup` writes".into()
            }
            Fault::OtherDatabase { .. } => "give the file of the other database".into(),
            Fault::Torn { offset: 0, .. } => "copy it again, as a whole".into(),
            Fault::Torn { offset, .. } => format!(
                "copy it again, as a whole, or with `ovsdb-client backup` while its server runs; if there is no \
                 better copy, give up that record: truncate --size={offset} FILE"
            ),
            Fault::Damaged { .. } | Fault::Unusable { .. } => {
                "give another copy; `ovsdb-client backup` makes one while the server runs".into()
            }
            Fault::Joining => {
                "give the file of a server that is a member, or what `ovsdb-client backup` writes"
                    .into()
            }
        }
    }
}

/// Reads a file of a standalone or clustered server, of any schema version, and checks all that can be checked before
/// anything starts. `database` is the name that its schema must have, such as `OVN_Northbound`.
///
/// A server that opens a damaged file serves what comes before the damage, and overwrites the rest. Here nothing is
/// lost unsaid, so the file is refused, even if only its last record is torn: that may be a crash's doing, but as well
/// that of a copy which stopped halfway, and after compaction the last record has all rows. `ovsdb-tool compact` refuses
/// such a file too.
///
/// Of a clustered server's log all entries count, as for `ovsdb-tool cluster-to-standalone`: some of the last ones may
/// not have reached a majority.
///
/// # Errors
/// [`SourceProblem`]
pub(crate) fn load(path: &Path, database: &str) -> Result<Contents, SourceProblem> {
    read(path, database).map_err(|fault| SourceProblem {
        path: path.to_owned(),
        fault,
    })
}

fn read(path: &Path, database: &str) -> Result<Contents, Fault> {
    let unreadable = |reason| Fault::Unreadable { reason };
    let mut input = BufReader::new(File::open(path).map_err(unreadable)?);
    let begins = input.fill_buf().map_err(unreadable)?;
    if begins.is_empty() {
        return Err(Fault::Empty);
    }
    if !begins.starts_with(MAGIC) {
        return Err(Fault::NoDatabase {
            begins: first_characters(begins),
        });
    }
    let log = read_from(input, RECORD_LIMIT).map_err(fault)?;
    let (found, tail) = match &log {
        Log::Standalone(log) => (log.contents.schema().name(), &log.tail),
        Log::Clustered(log) => (log.name.as_str(), &log.tail),
    };
    if found != database {
        let (found, expected) = (found.to_owned(), database.to_owned());
        return Err(Fault::OtherDatabase { found, expected });
    }
    if let Some(tail) = tail {
        return Err(tail_fault(tail));
    }
    let contents = match log {
        Log::Standalone(log) => log.contents,
        Log::Clustered(log) => log.contents(Entries::All).map_err(fault)?,
    };
    contents.check().map_err(|rows| Fault::Unusable {
        reason: told(&rows),
    })?;
    Ok(contents)
}

/// As much text as fits into a message.
fn first_characters(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * CHARACTERS_TOLD)]);
    let words: Vec<_> = text.split_whitespace().collect();
    let printable = |c: &char| !c.is_control() && *c != char::REPLACEMENT_CHARACTER;
    let characters = words.join(" ");
    let characters = characters.chars().take(CHARACTERS_TOLD);
    characters.take_while(printable).collect()
}

fn fault(error: LogError) -> Fault {
    match error {
        LogError::Read { source } => Fault::Unreadable { reason: source },
        LogError::Empty => Fault::Empty,
        LogError::First { source } => record_fault(0, 0, &source),
        LogError::Schema { .. } | LogError::ClusterHeader { .. } => Fault::Damaged {
            record: 0,
            offset: Some(0),
            reason: chain(&error),
        },
        LogError::ClusterRecord { record, source } => Fault::Damaged {
            record,
            offset: None,
            reason: chain(&source),
        },
        LogError::Joining => Fault::Joining,
        LogError::TooLong { .. }
        | LogError::Inconsistent { .. }
        | LogError::Entry { .. }
        | LogError::NoSchema => Fault::Unusable {
            reason: chain(&error),
        },
    }
}

fn tail_fault(tail: &Tail) -> Fault {
    record_fault(tail.record, tail.offset, &tail.source)
}

fn record_fault(record: u64, offset: u64, error: &RecordError) -> Fault {
    match error {
        RecordError::Torn => Fault::Torn { record, offset },
        error => Fault::Damaged {
            record,
            offset: Some(offset),
            reason: chain(error),
        },
    }
}

/// An error with its sources, on one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let errors = std::iter::successors(Some(error), |&error| error.source());
    let texts = errors.map(|error| match error.downcast_ref() {
        Some(rows) => told(rows),
        None => error.to_string(),
    });
    texts.collect::<Vec<_>>().join(": ")
}

/// The first of what may be thousands of invalid rows.
fn told(rows: &InvalidRows) -> String {
    let (first, others) = rows.problems.split_at(rows.problems.len().min(ROWS_TOLD));
    let mut texts: Vec<_> = first.iter().map(ToString::to_string).collect();
    if !others.is_empty() {
        texts.push(format!("and {} more", others.len()));
    }
    texts.join("; ")
}

#[cfg(test)]
mod tests;
