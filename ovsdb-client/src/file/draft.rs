//! The contents of a standalone file to be.

use std::path::Path;
use std::time::SystemTime;

use uuid::Uuid;

use super::contents::Contents;
use super::disk::{self, Durability};
use super::error::CreateError;
use super::problem::InvalidRows;
use super::standalone::to_bytes;
use super::transaction::Annotation;
use crate::schema::Schema;
use crate::value::Row;

/// A standalone database file to be: rows are gathered first and checked together.
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
    annotation: Annotation,
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

impl<'a> DatabaseFile<'a> {
    /// Starts with an empty database.
    pub fn new(schema: &'a Schema) -> Self {
        Self {
            schema,
            rows: Vec::new(),
            annotation: Annotation::default(),
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
        self.annotation.date = Some(date);
    }

    /// Leaves a remark beside the rows, which `ovsdb-tool show-log` shows.
    pub fn comment(&mut self, comment: impl Into<String>) {
        self.annotation.comment = Some(comment.into());
    }

    /// The rows as checked contents, which other files can be made of as well.
    ///
    /// # Errors
    ///
    /// [`InvalidRows`], which lists what is wrong with rows by themselves, and if nothing is, all
    /// that is wrong between them.
    pub fn contents(&self) -> Result<Contents, InvalidRows> {
        let mut contents = Contents::new(self.schema.clone());
        let mut problems = Vec::new();
        for InitialRow { table, uuid, row } in &self.rows {
            problems.extend(contents.try_insert(table, *uuid, row.clone()));
        }
        if problems.is_empty() {
            contents.check()?;
            Ok(contents)
        } else {
            Err(InvalidRows { problems })
        }
    }

    /// The whole file, for a caller who writes it where this process cannot.
    ///
    /// # Errors
    ///
    /// As [`DatabaseFile::contents`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, InvalidRows> {
        // Checked by now.
        Ok(to_bytes(&self.contents()?, &self.annotation))
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
        disk::create(path, &bytes, durability)
    }
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
        DatabaseFile::new(&schema)
            .create(&path, Durability::Disk)
            .unwrap();
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
