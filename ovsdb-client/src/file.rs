//! Standalone database files, written without `ovsdb-tool` and with their first rows inside.
//!
//! The format is that of ovsdb(5): a record with the schema, then one with a transaction. A server
//! that loads a file in which that transaction is wrong logs a line and starts with empty tables,
//! so everything it would object to is looked for here.

mod check;
mod problem;
mod record;

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use uuid::Uuid;

use crate::schema::Schema;
use crate::value::Row;

pub use problem::{InvalidRows, Problem, ProblemKind};

/// The contents of a database file to be.
///
/// ```
/// use ovsdb_client::{Schema, file::DatabaseFile, value::Row};
///
/// let schema = Schema::parse(r#"{
///     "name": "Pets", "version": "1.0.0",
///     "tables": {"Cat": {"columns": {"name": {"type": "string"}}, "isRoot": true}}
/// }"#)?;
/// let mut file = DatabaseFile::new(&schema);
/// file.insert("Cat", Row::new().set("name", "Tom"));
/// assert!(file.to_bytes()?.starts_with(b"OVSDB JSON "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct DatabaseFile<'a> {
    schema: &'a Schema,
    rows: Vec<InitialRow>,
    date: Option<SystemTime>,
    comment: Option<String>,
}

/// A row that a database begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct InitialRow {
    /// Table of the row.
    pub table: String,
    /// UUID of the row.
    pub uuid: Uuid,
    /// The columns that differ from their defaults.
    pub row: Row,
}

/// What a new file has to survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A crash of this process: another process sees the whole file or none.
    Process,
    /// A loss of power: the file and its directory are flushed to the disk as well.
    Disk,
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
    /// The operating system refused.
    #[error("cannot write {path}")]
    Write {
        /// The file that was to be made.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
}

/// The transaction in a record: ovsdb(5), "Standalone Transaction Record".
#[derive(Serialize)]
struct TransactionRecord<'a> {
    #[serde(rename = "_date", skip_serializing_if = "Option::is_none")]
    date: Option<u64>,
    #[serde(rename = "_comment", skip_serializing_if = "Option::is_none")]
    comment: Option<&'a str>,
    #[serde(flatten)]
    tables: BTreeMap<&'a str, BTreeMap<Uuid, &'a Row>>,
}

impl<'a> DatabaseFile<'a> {
    /// Starts with an empty database.
    pub fn new(schema: &'a Schema) -> Self {
        Self {
            schema,
            rows: Vec::new(),
            date: None,
            comment: None,
        }
    }

    /// Adds a row under a random UUID, which is returned for other rows to refer to.
    pub fn insert(&mut self, table: impl Into<String>, row: Row) -> Uuid {
        let uuid = Uuid::new_v4();
        self.insert_as(table, uuid, row);
        uuid
    }

    /// Adds a row under a UUID of the caller's choice, so that equal input makes equal files.
    pub fn insert_as(&mut self, table: impl Into<String>, uuid: Uuid, row: Row) {
        self.rows.push(InitialRow {
            table: table.into(),
            uuid,
            row,
        });
    }

    /// Dates the rows. A server only logs it; without it files do not depend on the clock.
    pub fn date(&mut self, date: SystemTime) {
        self.date = Some(date);
    }

    /// Leaves a remark beside the rows, which `ovsdb-tool show-log` shows.
    pub fn comment(&mut self, comment: impl Into<String>) {
        self.comment = Some(comment.into());
    }

    /// The whole file, for a caller who writes it where this process cannot.
    ///
    /// # Errors
    ///
    /// [`InvalidRows`], which lists all that is wrong.
    pub fn to_bytes(&self) -> Result<Vec<u8>, InvalidRows> {
        check::check(self.schema, &self.rows)?;
        let mut bytes = record::record(&record::compact(self.schema.json()));
        if !self.rows.is_empty() {
            bytes.extend(record::record(&self.transaction()));
        }
        Ok(bytes)
    }

    /// Makes the file, readable to its owner and group.
    ///
    /// It is written under another name in the same directory and then given its own, so it is
    /// never seen unfinished.
    ///
    /// # Errors
    ///
    /// [`CreateError`]; an existing file is never touched.
    pub fn create(
        &self,
        path: impl AsRef<Path>,
        durability: Durability,
    ) -> Result<(), CreateError> {
        let path = path.as_ref();
        let bytes = self.to_bytes().map_err(|source| CreateError::Rows {
            path: path.to_owned(),
            source,
        })?;
        write_new(path, &bytes, durability).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => CreateError::Exists {
                path: path.to_owned(),
            },
            _ => CreateError::Write {
                path: path.to_owned(),
                source,
            },
        })
    }

    fn transaction(&self) -> String {
        let mut tables: BTreeMap<&str, BTreeMap<Uuid, &Row>> = BTreeMap::new();
        for InitialRow { table, uuid, row } in &self.rows {
            tables.entry(table).or_default().insert(*uuid, row);
        }
        let since_epoch = self.date.map(|date| {
            date.duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default()
        });
        let transaction = TransactionRecord {
            date: since_epoch.map(|elapsed| elapsed.as_millis().try_into().unwrap_or(u64::MAX)),
            comment: self.comment.as_deref(),
            tables,
        };
        serde_json::to_string(&transaction).expect("rows of checked values have a JSON form")
    }
}

/// Makes a standalone database file: the short way for rows that are at hand as a list.
///
/// # Errors
///
/// As [`DatabaseFile::create`].
pub fn create_standalone(
    path: impl AsRef<Path>,
    schema: &Schema,
    rows: &[InitialRow],
    durability: Durability,
) -> Result<(), CreateError> {
    let mut file = DatabaseFile::new(schema);
    file.rows = rows.to_vec();
    file.create(path, durability)
}

/// Writes a file that must not exist yet.
fn write_new(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(".ovsdb-")
        // The mode that ovsdb-server gives its files.
        .permissions(Permissions::from_mode(0o640))
        .tempfile_in(directory)?;
    file.write_all(bytes)?;
    if durability == Durability::Disk {
        file.as_file().sync_all()?;
    }
    file.persist_noclobber(path)?;
    if durability == Durability::Disk {
        std::fs::File::open(directory)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn schema() -> Schema {
        Schema::parse(
            r#"{"name": "Pets", "version": "1.0.0", "tables":
                {"Cat": {"columns": {"name": {"type": "string"}}}}}"#,
        )
        .unwrap()
    }

    #[test]
    fn equal_input_makes_equal_bytes() {
        let schema = schema();
        let mut file = DatabaseFile::new(&schema);
        file.insert_as("Cat", Uuid::from_u128(1), Row::new().set("name", "Tom"));
        file.date(SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_000));
        file.comment("first");
        let text = String::from_utf8(file.to_bytes().unwrap()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[1],
            r#"{"name":"Pets","version":"1.0.0","tables":{"Cat":{"columns":{"name":{"type":"string"}}}}}"#
        );
        assert_eq!(
            lines[3],
            concat!(
                r#"{"_date":1700000000000,"_comment":"first","#,
                r#""Cat":{"00000000-0000-0000-0000-000000000001":{"name":"Tom"}}}"#
            )
        );
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn an_existing_file_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pets.db");
        let schema = schema();
        create_standalone(&path, &schema, &[], Durability::Disk).unwrap();
        let before = std::fs::read(&path).unwrap();

        let mut file = DatabaseFile::new(&schema);
        file.insert("Cat", Row::new());
        let error = file.create(&path, Durability::Process).unwrap_err();
        assert!(matches!(error, CreateError::Exists { path: existing } if existing == path));
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert_eq!(
            std::fs::read_dir(&directory).unwrap().count(),
            1,
            "no temporary file is left"
        );
    }

    #[test]
    fn nothing_is_written_for_invalid_rows() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pets.db");
        let schema = schema();
        let mut file = DatabaseFile::new(&schema);
        file.insert("Dog", Row::new());
        let error = file.create(&path, Durability::Process).unwrap_err();
        assert!(matches!(error, CreateError::Rows { .. }));
        assert!(!path.exists());
    }
}
