//! Why a file cannot be read or written.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::cluster::{BadClusterRecord, BadEntry};
use super::problem::InvalidRows;
use super::{BadTransaction, RecordError};

/// Why a log has no contents to give.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Reading failed.
    #[error("cannot read the log")]
    Read {
        /// The reason.
        source: io::Error,
    },
    /// A record is longer than the limit that was set. The file may be intact.
    #[error("a record of {length} bytes is over the limit of {limit}")]
    TooLong {
        /// What its header says.
        length: u64,
        /// The limit.
        limit: u64,
    },
    /// There is not a single record.
    #[error("the file is empty, so it is no database")]
    Empty,
    /// The first record is unreadable, and nothing can be made of the others without it.
    #[error("the first record is unreadable, or the file is no database")]
    First {
        /// What is wrong with it.
        source: RecordError,
    },
    /// What should be the schema is not.
    #[error("the log has no valid schema")]
    Schema {
        /// Where.
        source: serde_json::Error,
    },
    /// The rows contradict each other. A server would have stopped before the record that brought
    /// this about.
    #[error("the rows in the log do not make a valid database")]
    Inconsistent {
        /// In what way.
        source: InvalidRows,
    },
    /// The first record of a clustered database lacks something.
    #[error("the header of the clustered database is malformed")]
    ClusterHeader {
        /// What is wrong with it.
        source: BadClusterRecord,
    },
    /// A record of a clustered database makes no sense there. A server refuses such a file.
    #[error("record {record} of the clustered database is malformed")]
    ClusterRecord {
        /// Its number; the header is 0.
        record: u64,
        /// What is wrong with it.
        source: BadClusterRecord,
    },
    /// An entry cannot be applied to those before it. A server logs it and leaves it out.
    #[error("entry {index} of the clustered database cannot be applied")]
    Entry {
        /// Its index.
        index: u64,
        /// Why not.
        source: BadEntry,
    },
    /// The server has not joined its cluster yet, so that its file has no schema and no rows.
    #[error("the file has no rows: its server has not joined the cluster yet")]
    Joining,
    /// None of the entries has a schema.
    #[error("the clustered database has no schema")]
    NoSchema,
}

/// The first record that is not part of what was read.
#[derive(Debug, thiserror::Error)]
#[error("record {record} at byte {offset} is not usable")]
pub struct Tail {
    /// Its number; the first of the file is 0.
    pub record: u64,
    /// Where it begins.
    pub offset: u64,
    /// What is wrong with it.
    pub source: RecordError,
}

impl Tail {
    /// Whether this is what a crash during a write leaves behind: the file just ends.
    ///
    /// Anything else is damage, or was written by something that is not a server.
    pub fn is_torn(&self) -> bool {
        matches!(self.source, RecordError::Torn)
    }

    /// The transaction that could not be applied, when the record itself is intact.
    pub fn transaction(&self) -> Option<&BadTransaction> {
        match &self.source {
            RecordError::Transaction { source } => Some(source),
            _ => None,
        }
    }
}

/// Why a file on the disk was not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A process serves the file or works on it: its lock is taken.
    #[error("{path} is in use by {}; stop that server, or change the database through it", holder(.pid))]
    Held {
        /// The file, with symbolic links followed.
        path: PathBuf,
        /// The process that has the lock; `None` if it is this one, or already gone.
        pid: Option<u32>,
    },
    /// The operating system refused to read or to lock it.
    #[error("cannot open {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// It has no contents to give.
    #[error("{path} is not a usable database")]
    Log {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Box<LogError>,
    },
    /// It is clustered. Only the servers of a cluster may add to their files.
    #[error("{path} is a clustered database, which only its server may change")]
    Clustered {
        /// The file.
        path: PathBuf,
    },
    /// A record is damaged. Nothing was written behind it.
    #[error("{path} is damaged; rewriting it with what is readable (compact) drops the rest")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The first record that is not usable.
        source: Arc<Tail>,
    },
    /// The new rows are not those of a valid database.
    #[error("the new rows of {path} do not make a valid database")]
    Rows {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        source: InvalidRows,
    },
    /// The new rows have another schema, which a transaction cannot change.
    #[error("the new rows have another schema than {path}; rewrite the file instead of appending")]
    Schema {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused to write.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

fn holder(pid: &Option<u32>) -> String {
    pid.map_or("this process".to_owned(), |pid| format!("process {pid}"))
}

/// Why no file was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The rows are not those of a valid database.
    #[error("the rows of {path} do not make a valid database")]
    Rows {
        /// The file that was to be made.
        path: PathBuf,
        /// What is wrong with them.
        source: InvalidRows,
    },
    /// There is a file already, which was left alone: a server may have it open.
    #[error("{path} exists")]
    Exists {
        /// The file that was to be made.
        path: PathBuf,
    },
    /// There is no file, but a server that thinks it has it open.
    #[error("{path} is in use by {}, though it does not exist; stop that server", holder(.pid))]
    Held {
        /// The file that was to be made.
        path: PathBuf,
        /// The process that has its lock; `None` if it is this one, or already gone.
        pid: Option<u32>,
    },
    /// The operating system refused.
    #[error("cannot write {path}")]
    Write {
        /// The file that was to be made.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
}
