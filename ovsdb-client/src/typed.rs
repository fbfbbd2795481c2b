//! Tables as Rust types: rows as structs, columns as tokens, references that know their table.
//!
//! `ovsdb-codegen` generates the types from a schema; `ovsdb-models` has them for the databases of
//! Open vSwitch and OVN. Here they are those of a small database of cats and their owners:
//!
//! ```
//! # mod pets { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/typed/pets.rs")); }
//! # use pets::*;
//! use ovsdb_client::Transaction;
//! use ovsdb_client::typed::Table;
//! use ovsdb_client::value::Row;
//!
//! // A write is a list of columns that are set or cleared. Nothing is inferred from a value.
//! let mut txn = Transaction::new();
//! let tom = txn.insert_row([Cat::NAME.set("Tom"), Cat::MOOD.set(CatMood::Playful)]);
//! txn.insert_row([Owner::NAME.set("Ann"), Owner::CATS.set([tom])]);
//! txn.update_rows([Cat::NAME.eq("Tim")], [Cat::CHIP.clear(), Cat::NOTES.set([("food", "fish")])]);
//! txn.mutate_rows([Cat::LIVES.ge(2)], [Cat::LIVES.subtract(1)]);
//! txn.delete_rows([Owner::CATS.is_empty()]);
//!
//! // A row comes whole, or by the column.
//! # let uuid = uuid::Uuid::from_u128(1);
//! # let row = Row::new().set("name", "Tom").set("born", 2020).set("chip", None::<i64>).set("lives", 9).set("weight", 4)
//! #     .set("mood", "hungry").set("notes", ovsdb_client::value::Datum::map::<&str, &str>([]));
//! let cat = Cat::from_row(uuid, &row)?;
//! assert_eq!(cat.chip, None);
//! assert_eq!(cat.mood, CatMood::Unknown("hungry".to_owned()));
//! assert_eq!(row.read(Cat::LIVES)?, 9);
//! # Ok::<(), ovsdb_client::typed::DecodeError>(())
//! ```
//!
//! - [`Column`] makes assignments, conditions and mutations; what a column's type rules out does
//!   not compile.
//! - [`SchemaView`] deals with servers whose schema is older or newer than the types.
//! - [`Transaction::validate`](crate::Transaction::validate) finds all faults of a transaction
//!   before it is sent, a column that the server lacks among them.

mod column;
mod conversion;
mod reference;
mod rows;
mod skew;
mod table;
mod transaction;
mod value;

#[cfg(test)]
#[rustfmt::skip]
#[expect(dead_code, unreachable_pub, reason = "generated for others to use, all of it public")]
mod pets;
#[cfg(test)]
mod tests;

pub use column::Column;
pub use conversion::{IntoAtom, IntoValue};
pub use reference::{NewRow, Ref, RowRef};
pub use rows::TypedChange;
pub use skew::{Difference, SchemaMismatch, SchemaView, Skew, TableSpec};
pub use table::{ColumnSpec, DecodeError, RowReader, Table, ValueError};
pub use transaction::{Assignment, Rows, SelectedRows, TableCondition, TableMutation};
pub use value::{
    AtomShape, AtomValue, Clearable, ColumnValue, Comparable, Integral, Numeric, Real, Shape,
};
