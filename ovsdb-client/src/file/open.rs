//! Standalone databases that are changed in place, while no server has them.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::contents::Contents;
use super::disk::{self, Durability};
use super::error::FileError;
use super::lock::{FileLock, LockError, follow_links};
use super::log::{Magic, compact, record};
use super::standalone::{StandaloneLog, to_bytes};
use super::transaction::{self, Annotation};
use super::{Log, RECORD_LIMIT, Tail, read_from};

/// A standalone database file, held under the lock that servers respect, until it is dropped.
///
/// ```
/// # use ovsdb_client::{Schema, file::{Annotation, DatabaseFile, Durability, StandaloneFile}, value::Row};
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("pets.db");
/// # let schema = Schema::parse(r#"{
/// #     "name": "Pets", "version": "1.0.0",
/// #     "tables": {"Cat": {"columns": {"name": {"type": "string"}}}}
/// # }"#)?;
/// # DatabaseFile::new(&schema).create(&path, Durability::Process)?;
/// let mut file = StandaloneFile::open(&path)?;
/// let mut pets = file.contents().clone();
/// pets.insert("Cat", Row::new().set("name", "Tom"))?;
/// file.append(pets, &Annotation::default())?;
/// file.compact(&Annotation::default())?;
/// assert_eq!(file.contents().len("Cat"), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct StandaloneFile {
    /// With symbolic links followed: a rename must not replace a link.
    path: PathBuf,
    file: File,
    contents: Contents,
    history: Vec<Annotation>,
    /// Length of the readable part, behind which the next record goes.
    end: u64,
    tail: Option<Arc<Tail>>,
    /// Declared last, so that the file is closed before it is unlocked.
    _lock: FileLock,
}

impl StandaloneFile {
    /// Locks and reads a file.
    ///
    /// # Errors
    ///
    /// [`FileError::Held`] if a server or another process has it, [`FileError::Clustered`],
    /// [`FileError::Open`] and [`FileError::Log`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = follow_links(path.as_ref());
        let failed = |source| FileError::Open {
            path: path.clone(),
            source,
        };
        // First of all, so that no lock file is made beside a database that is not there.
        let probe = OpenOptions::new().read(true).write(true).open(&path);
        drop(probe.map_err(failed)?);
        let lock = FileLock::acquire(&path).map_err(|error| match error {
            LockError::Held(pid) => FileError::Held {
                path: path.clone(),
                pid,
            },
            LockError::Io(source) => failed(source),
        })?;
        // Only now, because whoever had the lock may have put another file in its place.
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.map_err(failed)?;
        let log = match read_from(BufReader::new(&file), RECORD_LIMIT) {
            Ok(Log::Standalone(log)) => log,
            Ok(Log::Clustered(_)) => return Err(FileError::Clustered { path }),
            Err(source) => {
                let source = Box::new(source);
                return Err(FileError::Log { path, source });
            }
        };
        let StandaloneLog {
            contents,
            history,
            tail,
            end,
        } = log;
        Ok(Self {
            path,
            file,
            contents,
            history,
            end,
            tail: tail.map(Arc::new),
            _lock: lock,
        })
    }

    /// The rows in the file.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// What the transactions in the file say about themselves.
    pub fn history(&self) -> &[Annotation] {
        &self.history
    }

    /// The first record that was not usable when the file was opened.
    ///
    /// A torn one is overwritten by [`StandaloneFile::append`]; anything else is only given up by
    /// [`StandaloneFile::replace`].
    pub fn tail(&self) -> Option<&Tail> {
        self.tail.as_deref()
    }

    /// Appends a transaction that leads from the rows in the file to `next`, and flushes it to the
    /// disk. Nothing is written if they are equal.
    ///
    /// # Errors
    ///
    /// [`FileError::Rows`] and [`FileError::Schema`]; [`FileError::Damaged`] if there is more than
    /// a torn record behind the readable part; [`FileError::Write`]. The file is as it was then.
    pub fn append(&mut self, next: Contents, annotation: &Annotation) -> Result<(), FileError> {
        self.check(&next)?;
        let schema = |contents: &Contents| compact(contents.schema().json());
        if schema(&next) != schema(&self.contents) {
            let path = self.path.clone();
            return Err(FileError::Schema { path });
        }
        if let Some(tail) = self.tail.as_ref().filter(|tail| !tail.is_torn()) {
            let (path, source) = (self.path.clone(), Arc::clone(tail));
            return Err(FileError::Damaged { path, source });
        }
        if let Some(json) = transaction::difference(&self.contents, &next, annotation) {
            let record = record(Magic::Standalone, &json);
            self.write(&record).map_err(|source| FileError::Write {
                path: self.path.clone(),
                source,
            })?;
            self.end += record.len() as u64;
            self.history.push(annotation.clone());
            self.tail = None;
        }
        self.contents = next;
        Ok(())
    }

    /// Rewrites the file with a single transaction that makes all of its rows.
    ///
    /// # Errors
    ///
    /// [`FileError::Rows`], [`FileError::Write`]; the file is as it was then.
    pub fn compact(&mut self, annotation: &Annotation) -> Result<(), FileError> {
        self.replace(self.contents.clone(), annotation)
    }

    /// Rewrites the file with other rows, or with another schema: see [`Contents::convert`].
    ///
    /// The new file takes the place, the owner and the mode of the old one in a single step, after
    /// it was flushed to the disk.
    ///
    /// # Errors
    ///
    /// [`FileError::Rows`], [`FileError::Write`]; the file is as it was then.
    pub fn replace(&mut self, next: Contents, annotation: &Annotation) -> Result<(), FileError> {
        self.check(&next)?;
        let bytes = to_bytes(&next, annotation);
        let replaced = disk::replace(&self.path, &bytes, Durability::Disk);
        self.file = replaced.map_err(|source| FileError::Write {
            path: self.path.clone(),
            source,
        })?;
        self.end = bytes.len() as u64;
        self.history = vec![annotation.clone()];
        self.tail = None;
        self.contents = next;
        Ok(())
    }

    fn check(&self, next: &Contents) -> Result<(), FileError> {
        next.check().map_err(|source| FileError::Rows {
            path: self.path.clone(),
            source,
        })
    }

    /// Writes behind the readable part, or leaves the file as it is.
    fn write(&mut self, record: &[u8]) -> std::io::Result<()> {
        self.file.set_len(self.end)?;
        self.file.seek(SeekFrom::Start(self.end))?;
        let written = self.file.write_all(record);
        if let Err(error) = written.and_then(|()| self.file.sync_data()) {
            // Half a record is what readers expect of a crash, so a failure here does no harm.
            let _ = self.file.set_len(self.end);
            return Err(error);
        }
        Ok(())
    }
}
