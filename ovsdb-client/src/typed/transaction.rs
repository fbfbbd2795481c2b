//! Operations on typed tables, and their results.

use std::fmt;
use std::marker::PhantomData;

use uuid::Uuid;

use super::{Column, DecodeError, NewRow, Ref, RowReader, Table};
use crate::transaction::{
    Condition, CountRef, Mutation, SelectRef, Transaction, TransactionOutcome,
};
use crate::value::{Datum, Row};

/// Makes a type that ties an untyped part of an operation to its table.
macro_rules! tied_to_table {
    ($(#[$doc:meta])* $name:ident($untyped:ty)) => {
        $(#[$doc])*
        pub struct $name<T> {
            untyped: $untyped,
            table: PhantomData<fn() -> T>,
        }

        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                self.untyped.clone().into()
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.untyped.fmt(f)
            }
        }

        impl<T> PartialEq for $name<T> {
            fn eq(&self, other: &Self) -> bool {
                self.untyped == other.untyped
            }
        }

        impl<T> From<$untyped> for $name<T> {
            fn from(untyped: $untyped) -> Self {
                Self {
                    untyped,
                    table: PhantomData,
                }
            }
        }

        impl<T> From<$name<T>> for $untyped {
            fn from(typed: $name<T>) -> Self {
                typed.untyped
            }
        }
    };
}

tied_to_table! {
    /// A condition on a column of table `T`; made by the methods of [`Column`].
    TableCondition(Condition)
}

tied_to_table! {
    /// A mutation of a column of table `T`; made by the methods of [`Column`].
    TableMutation(Mutation)
}

tied_to_table! {
    /// A column of table `T` and the value it is to have; made by [`Column::set`] and
    /// [`Column::clear`].
    Assignment((&'static str, Datum))
}

impl<T: Table> Assignment<T> {
    pub(super) fn new(column: &'static str, value: Datum) -> Self {
        (column, value).into()
    }

    /// Name of the column.
    pub fn column(&self) -> &'static str {
        self.untyped.0
    }

    /// The value.
    pub fn value(&self) -> &Datum {
        &self.untyped.1
    }
}

/// Which rows of table `T` an operation is about: the one of a [`Ref`], or those that meet all of a
/// list of conditions, an empty one meaning all rows.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which rows of `{T}` are meant",
    note = "that takes a `Ref` or a list of conditions, such as `[Port::NAME.eq(\"p0\")]`"
)]
pub trait Rows<T> {
    /// The conditions.
    fn into_conditions(self) -> Vec<Condition>;
}

impl<T: Table> Rows<T> for Ref<T> {
    fn into_conditions(self) -> Vec<Condition> {
        vec![Condition::uuid(self.uuid())]
    }
}

impl<T: Table, I: IntoIterator<Item = TableCondition<T>>> Rows<T> for I {
    fn into_conditions(self) -> Vec<Condition> {
        self.into_iter().map(Condition::from).collect()
    }
}

/// A [`select_rows`](Transaction::select_rows) whose rows are to come.
#[derive(Debug)]
pub struct SelectedRows<T> {
    select: SelectRef,
    table: PhantomData<fn() -> T>,
}

impl<T> Clone for SelectedRows<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for SelectedRows<T> {}

fn row<T>(columns: impl IntoIterator<Item = Assignment<T>>) -> Row {
    columns.into_iter().map(|set| set.untyped).collect()
}

/// Operations on typed tables: see [`typed`](crate::typed).
///
/// A column that a list of assignments does not name is left alone, or has its default in a new
/// row; of a column that it names twice the last value counts.
impl Transaction {
    /// Inserts a row.
    pub fn insert_row<T: Table>(
        &mut self,
        columns: impl IntoIterator<Item = Assignment<T>>,
    ) -> NewRow<T> {
        NewRow::new(self.insert(T::TABLE, row(columns)))
    }

    /// Inserts a row under a UUID of the caller's choice; servers older than 2.13 refuse it.
    pub fn insert_row_as<T: Table>(
        &mut self,
        uuid: Uuid,
        columns: impl IntoIterator<Item = Assignment<T>>,
    ) -> Ref<T> {
        self.insert_as(T::TABLE, uuid, row(columns));
        Ref::new(uuid)
    }

    /// Sets columns of rows.
    pub fn update_rows<T: Table>(
        &mut self,
        rows: impl Rows<T>,
        columns: impl IntoIterator<Item = Assignment<T>>,
    ) -> CountRef {
        self.update(T::TABLE, rows.into_conditions(), row(columns))
    }

    /// Changes columns of rows relative to what they hold; mutations take effect in order.
    pub fn mutate_rows<T: Table>(
        &mut self,
        rows: impl Rows<T>,
        mutations: impl IntoIterator<Item = TableMutation<T>>,
    ) -> CountRef {
        let mutations = mutations.into_iter().map(Mutation::from);
        self.mutate(T::TABLE, rows.into_conditions(), mutations)
    }

    /// Lets the transaction fail with [`TransactErrorKind::TimedOut`] unless the row still holds
    /// these values; see [`verify`](Self::verify).
    ///
    /// [`TransactErrorKind::TimedOut`]: crate::TransactErrorKind::TimedOut
    pub fn verify_row<T: Table>(
        &mut self,
        known: Ref<T>,
        columns: impl IntoIterator<Item = Assignment<T>>,
    ) {
        let row = row(columns);
        let names: Vec<_> = row.iter().map(|(name, _)| name).collect();
        self.verify(T::TABLE, known.uuid(), names, &row);
    }

    /// Deletes rows.
    pub fn delete_rows<T: Table>(&mut self, rows: impl Rows<T>) -> CountRef {
        self.delete(T::TABLE, rows.into_conditions())
    }

    /// Reads rows: all columns that the server has, so that a type with more columns than the
    /// server's schema can be read through a [`SchemaView`](super::SchemaView).
    pub fn select_rows<T: Table>(&mut self, rows: impl Rows<T>) -> SelectedRows<T> {
        SelectedRows {
            select: self.select::<&str>(T::TABLE, rows.into_conditions(), []),
            table: PhantomData,
        }
    }
}

/// Results of operations on typed tables.
impl TransactionOutcome {
    /// The row that an insert has made; `None` for a handle of another transaction.
    pub fn row<T>(&self, row: NewRow<T>) -> Option<Ref<T>> {
        self.uuid(row.insert()).map(Ref::new)
    }

    /// The rows that a select has found; none for a handle of another transaction.
    ///
    /// Each is an error that lacks a column of the type or has a value of another type.
    pub fn selected<T: Table>(
        &self,
        rows: SelectedRows<T>,
    ) -> impl Iterator<Item = Result<T, DecodeError>> {
        self.selected_by(rows, RowReader::strict)
    }

    pub(super) fn selected_by<'a, T: Table>(
        &'a self,
        rows: SelectedRows<T>,
        reader: impl Fn(&'a Row) -> RowReader<'a>,
    ) -> impl Iterator<Item = Result<T, DecodeError>> {
        let rows = self.rows(rows.select).unwrap_or_default();
        rows.iter().map(move |row| {
            let uuid: Uuid = row.read(Column::<T, Uuid>::new("_uuid"))?;
            T::decode(uuid, &reader(row))
        })
    }
}
