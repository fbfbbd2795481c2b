//! What may be written where a column's type stands: `"a"` for a `String`, a list for a set, a row
//! to be inserted for a reference.

use std::collections::{BTreeMap, BTreeSet};

use super::AtomValue;
use crate::value::{Atom, Datum};

/// A value that is written as an atom of the type [`Atom`](Self::Atom).
///
/// Every [`AtomValue`] is one for itself; beside these `&str` and `&String` for `String`, smaller
/// integers for `i64`, and [`NewRow`](super::NewRow) and [`RowRef`](super::RowRef) for
/// [`Ref`](super::Ref).
#[diagnostic::on_unimplemented(message = "`{Self}` cannot be written as one atom")]
pub trait IntoAtom {
    /// The type of the column, of its elements, keys or values.
    type Atom: AtomValue;

    /// Makes the atom.
    fn into_atom(self) -> Atom;
}

impl<A: AtomValue> IntoAtom for A {
    type Atom = A;

    fn into_atom(self) -> Atom {
        AtomValue::into_atom(self)
    }
}

macro_rules! into_atom {
    ($($source:ty => $atom:ty),* $(,)?) => {$(
        impl IntoAtom for $source {
            type Atom = $atom;

            fn into_atom(self) -> Atom {
                Atom::from(self)
            }
        }
    )*};
}

into_atom!(&str => String, &String => String, i32 => i64, u32 => i64, u16 => i64);

/// A value that can be written to a column of the type `V`.
///
/// For a column of one atom, and for an optional one, anything that is [`IntoAtom`]; for an
/// optional one an `Option` of that as well; for a set anything that can be iterated over, and for
/// a map anything that gives pairs.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be written to a column of `{V}`",
    note = "a set takes a list, such as `[element]`, a map a list of pairs"
)]
pub trait IntoValue<V> {
    /// Makes the value.
    fn into_datum(self) -> Datum;
}

impl<A: AtomValue, X: IntoAtom<Atom = A>> IntoValue<A> for X {
    fn into_datum(self) -> Datum {
        Datum::Atom(self.into_atom())
    }
}

impl<A: AtomValue, X: IntoAtom<Atom = A>> IntoValue<Option<A>> for X {
    fn into_datum(self) -> Datum {
        Datum::Atom(self.into_atom())
    }
}

impl<A: AtomValue, X: IntoAtom<Atom = A>> IntoValue<Option<A>> for Option<X> {
    fn into_datum(self) -> Datum {
        match self {
            Some(value) => Datum::Atom(value.into_atom()),
            None => Datum::empty(),
        }
    }
}

impl<A, I> IntoValue<BTreeSet<A>> for I
where
    A: AtomValue + Ord,
    I: IntoIterator,
    I::Item: IntoAtom<Atom = A>,
{
    fn into_datum(self) -> Datum {
        // Equal elements once: a server refuses a set that repeats one.
        let atoms: BTreeSet<_> = self.into_iter().map(IntoAtom::into_atom).collect();
        Datum::Set(atoms.into_iter().collect())
    }
}

impl<K, V, I, X, Y> IntoValue<BTreeMap<K, V>> for I
where
    K: AtomValue + Ord,
    V: AtomValue,
    I: IntoIterator<Item = (X, Y)>,
    X: IntoAtom<Atom = K>,
    Y: IntoAtom<Atom = V>,
{
    fn into_datum(self) -> Datum {
        let pairs = self.into_iter();
        Datum::Map(
            pairs
                .map(|(key, value)| (key.into_atom(), value.into_atom()))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datum<V>(value: impl IntoValue<V>) -> Datum {
        value.into_datum()
    }

    #[test]
    fn values_are_written_in_the_forms_of_the_rfc() {
        assert_eq!(datum::<String>("a"), Datum::from("a"));
        assert_eq!(datum::<i64>(7), Datum::from(7));
        assert_eq!(datum::<Option<i64>>(7), Datum::from(7));
        assert_eq!(datum::<Option<i64>>(Some(7)), Datum::from(7));
        assert_eq!(datum::<Option<i64>>(None::<i64>), Datum::empty());
        assert_eq!(datum::<Option<String>>(Some("a")), Datum::from("a"));
        assert_eq!(
            datum::<BTreeSet<String>>(["b", "a", "b"]),
            Datum::from(["a", "b"])
        );
        assert_eq!(datum::<BTreeSet<i64>>(vec![1_i64]), Datum::from([1]));
        assert_eq!(
            datum::<BTreeMap<String, i64>>([("k", 1_u16)]),
            Datum::map([("k", 1)])
        );
        let map = BTreeMap::from([("k".to_owned(), true)]);
        assert_eq!(
            datum::<BTreeMap<String, bool>>(map),
            Datum::map([("k", true)])
        );
    }
}
