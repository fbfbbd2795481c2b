//! Values as OVSDB knows them: atoms, sets and maps of atoms, and rows of these (RFC 7047 §5.1).

mod atom;
mod datum;
mod difference;
mod row;

pub use atom::{Atom, AtomType};
pub use datum::Datum;
pub use row::Row;
