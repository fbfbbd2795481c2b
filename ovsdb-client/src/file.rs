//! Database files, read and written without `ovsdb-tool`: standalone and clustered ones (ovsdb(5)).
//!
//! - [`read`] and [`load`] turn a file into [`Contents`], its rows.
//! - [`DatabaseFile`] makes a standalone file with first rows; [`Contents::create_standalone`]
//!   makes one of rows that were read, from a clustered file perhaps.
//! - [`NewCluster`] makes the files of a cluster's first servers, [`ClusteredFile::join`] those of
//!   later ones.
//! - [`StandaloneFile`] appends to a standalone file, compacts it or converts it.
//!
//! A server that loads a wrong transaction logs a line and goes on without the rows, so whatever it
//! would object to is looked for before anything is written. A file that a server has open is
//! refused.
//!
//! ```no_run
//! use ovsdb_client::file::{self, Annotation, Durability, Entries, Log};
//!
//! let rows = match file::load("/var/lib/ovn/ovnnb_db.db")? {
//!     Log::Standalone(log) => log.contents,
//!     Log::Clustered(log) => log.contents(Entries::Committed)?,
//! };
//! for (uuid, switch) in rows.rows("Logical_Switch") {
//!     println!("{uuid} {}", switch.str("name").unwrap_or_default());
//! }
//! rows.create_standalone("rescued.db", &Annotation::default(), Durability::Disk)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cluster;
mod contents;
mod disk;
mod draft;
mod error;
mod lock;
mod log;
mod open;
mod problem;
mod standalone;
mod transaction;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::schema::Schema;

pub use cluster::{
    BadClusterRecord, BadEntry, ClusteredFile, ClusteredLog, Entries, NewCluster, NewClusterError,
    ParseServerAddressError, ServerAddress,
};
pub use contents::Contents;
pub use disk::Durability;
pub use draft::{DatabaseFile, InitialRow};
pub use error::{CreateError, FileError, LogError, Tail};
pub use log::RecordError;
pub use open::StandaloneFile;
pub use problem::{InvalidRows, Problem, ProblemKind};
pub use standalone::StandaloneLog;
pub use transaction::{Annotation, BadTransaction};

/// The longest record that [`read`] and [`load`] take: 4 GiB.
pub const RECORD_LIMIT: u64 = 4 << 30;

/// A database file that was read.
#[derive(Debug)]
pub enum Log {
    /// Of a server that stands alone.
    Standalone(StandaloneLog),
    /// Of a server that belongs to a cluster.
    Clustered(ClusteredLog),
}

/// Reads a database file that is in memory.
///
/// Memory stays within a fixed multiple of the bytes, whatever they are.
///
/// # Errors
///
/// [`LogError`]. A record that is unreadable is no error unless it is the first: the rows before it
/// are given, and the record as the log's tail.
pub fn read(bytes: &[u8]) -> Result<Log, LogError> {
    read_from(bytes, RECORD_LIMIT)
}

/// Reads a database file from a stream, holding one of its records at a time beside the rows.
///
/// Records of more than `record_limit` bytes are refused before they are read.
///
/// # Errors
///
/// As [`read`], and [`LogError::Read`].
pub fn read_from(input: impl BufRead, record_limit: u64) -> Result<Log, LogError> {
    let mut records = log::Records::new(input, record_limit);
    let json = match records.next()? {
        None => return Err(LogError::Empty),
        Some(Err(source)) => return Err(LogError::First { source }),
        Some(Ok(json)) => json.to_owned(),
    };
    match records.magic() {
        Some(log::Magic::Clustered) => ClusteredLog::read(&json, &mut records).map(Log::Clustered),
        _ => {
            let schema: Schema =
                serde_json::from_slice(&json).map_err(|source| LogError::Schema { source })?;
            StandaloneLog::read(schema, &mut records).map(Log::Standalone)
        }
    }
}

/// Reads a database file. It is not locked: while a server has it open, its last record may be
/// torn.
///
/// # Errors
///
/// [`FileError::Open`] and [`FileError::Log`].
pub fn load(path: impl AsRef<Path>) -> Result<Log, FileError> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|source| FileError::Open {
        path: path.to_owned(),
        source,
    })?;
    read_from(BufReader::new(file), RECORD_LIMIT).map_err(|source| FileError::Log {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

impl Contents {
    /// The whole standalone file of the rows, for a caller who writes it where this process cannot.
    ///
    /// # Errors
    ///
    /// As [`Contents::check`].
    pub fn to_standalone(&self, annotation: &Annotation) -> Result<Vec<u8>, InvalidRows> {
        self.check()?;
        Ok(standalone::to_bytes(self, annotation))
    }

    /// Makes a standalone file of the rows, as [`DatabaseFile::create`] does.
    ///
    /// # Errors
    ///
    /// [`CreateError`]; an existing file is never touched.
    pub fn create_standalone(
        &self,
        path: impl AsRef<Path>,
        annotation: &Annotation,
        durability: Durability,
    ) -> Result<(), CreateError> {
        let path = path.as_ref();
        let bytes = self.to_standalone(annotation);
        let bytes = bytes.map_err(|source| CreateError::Rows {
            path: path.to_owned(),
            source,
        })?;
        disk::create(path, &bytes, durability)
    }
}
