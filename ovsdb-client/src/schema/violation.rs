//! What is wrong with a value.

use std::fmt;

use crate::value::{Atom, AtomType, Datum};

/// Why a value does not fit a column.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Violation {
    /// An atom of another type.
    #[error("{atom} is of type {found}, not {expected}")]
    Type {
        /// The offending atom.
        atom: Atom,
        /// Its type.
        found: AtomType,
        /// The type that the column has.
        expected: AtomType,
    },
    /// A map in a column of atoms, or atoms in a column of maps.
    #[error("{datum} is {}", if *.map { "a map" } else { "not a map" })]
    Shape {
        /// The offending value.
        datum: Datum,
        /// Whether it is a map.
        map: bool,
    },
    /// Too few or too many elements.
    #[error("{count} elements where {} are allowed", Range(.min, .max))]
    Count {
        /// How many there are.
        count: usize,
        /// Least number allowed.
        min: usize,
        /// Largest number allowed; `None` is unlimited.
        max: Option<usize>,
    },
    /// The same element twice in a set.
    #[error("{atom} occurs twice")]
    Duplicate {
        /// The element.
        atom: Atom,
    },
    /// A value outside the column's list, range or length.
    #[error("{atom} is outside of what the schema allows")]
    Constraint {
        /// The offending atom.
        atom: Atom,
    },
}

/// "2", "at least 1" or "0 to 5".
struct Range<'a>(&'a usize, &'a Option<usize>);

impl fmt::Display for Range<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(max) if max == self.0 => max.fmt(f),
            Some(max) => write!(f, "{} to {max}", self.0),
            None => write!(f, "at least {}", self.0),
        }
    }
}
