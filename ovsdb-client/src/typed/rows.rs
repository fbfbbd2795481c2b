//! What monitors show, as Rust types.

use std::sync::Arc;

use uuid::Uuid;

use super::{DecodeError, Ref, SchemaView, Table};
use crate::replica::{Changes, RowChange, Snapshot};
use crate::value::Row;

impl Snapshot {
    /// The rows of a table, each read when the iterator comes to it. For rows of a server whose
    /// schema may lack some columns see [`SchemaView::table`].
    ///
    /// ```no_run
    /// # mod pets { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/typed/pets.rs")); }
    /// # use pets::*;
    /// # use ovsdb_client::{Database, MonitorTable};
    /// # async fn example(db: Database) -> Result<(), Box<dyn std::error::Error>> {
    /// let cats = db.monitor(&[MonitorTable::of::<Cat>()]).await?;
    /// for cat in cats.snapshot().table::<Cat>() {
    ///     println!("{}", cat?.name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn table<T: Table>(&self) -> impl Iterator<Item = Result<T, DecodeError>> {
        self.rows(T::TABLE)
            .map(|(uuid, row)| T::from_row(uuid, row))
    }

    /// The row that is referred to; nothing if it is not there.
    pub fn get<T: Table>(&self, row: Ref<T>) -> Option<Result<T, DecodeError>> {
        let uuid = row.uuid();
        self.row(T::TABLE, uuid).map(|row| T::from_row(uuid, row))
    }
}

impl SchemaView {
    /// The rows of a table; columns that the server lacks have their defaults.
    pub fn table<'a, T: Table>(
        &'a self,
        snapshot: &'a Snapshot,
    ) -> impl Iterator<Item = Result<T, DecodeError>> + use<'a, T> {
        let rows = snapshot.rows(T::TABLE);
        rows.map(|(uuid, row)| self.decode(uuid, row))
    }
}

/// A [`RowChange`] as a Rust type: inserted without `old`, deleted without `new`, else modified.
#[derive(Debug, Clone, PartialEq)]
pub struct TypedChange<T> {
    /// The row before.
    pub old: Option<T>,
    /// The row after.
    pub new: Option<T>,
}

impl Changes {
    /// The changed rows of one table.
    pub fn table<T: Table>(&self) -> impl Iterator<Item = Result<TypedChange<T>, DecodeError>> {
        self.of(T::TABLE).map(RowChange::decode)
    }
}

impl RowChange {
    /// Reads both states of the row.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], as [`Table::from_row`].
    pub fn decode<T: Table>(&self) -> Result<TypedChange<T>, DecodeError> {
        let read = |uuid: Uuid, row: &Option<Arc<Row>>| {
            let row = row.as_deref();
            row.map(|row| T::from_row(uuid, row)).transpose()
        };
        Ok(TypedChange {
            old: read(self.uuid, &self.old)?,
            new: read(self.uuid, &self.new)?,
        })
    }
}
