//! Values of columns as Rust types.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use uuid::Uuid;

use crate::schema::{BaseType, ColumnType};
use crate::value::{Atom, AtomType, Datum};

/// A Rust type for atoms: `bool`, `i64`, `f64`, [`Real`], `String`, [`Uuid`],
/// [`Ref`](super::Ref), and the enumerations that are generated from a schema.
pub trait AtomValue: Sized {
    /// Which atoms the type is for.
    const ATOM: AtomShape;

    /// Reads an atom; nothing if it is of another type.
    fn from_atom(atom: &Atom) -> Option<Self>;

    /// Writes the atom.
    fn into_atom(self) -> Atom;
}

/// A Rust type for whole columns: an [`AtomValue`] for exactly one atom, an `Option` of it for one
/// or none, a `BTreeSet` for a set, a `BTreeMap` for a map.
pub trait ColumnValue: Sized {
    /// Which columns the type is for.
    const SHAPE: Shape;

    /// Reads a value; nothing if it does not have the shape.
    fn from_datum(datum: &Datum) -> Option<Self>;
}

/// A column type that has an empty value, so that a column of it can be cleared.
#[diagnostic::on_unimplemented(
    message = "a column of `{Self}` always holds a value and cannot be cleared"
)]
pub trait Clearable: ColumnValue {
    /// The empty value.
    fn empty() -> Datum;
}

/// A column type that can be calculated with (RFC 7047 §5.1 `<mutation>`): a number, or each of a
/// set of numbers.
#[diagnostic::on_unimplemented(message = "a column of `{Self}` holds no numbers")]
pub trait Numeric: ColumnValue {
    /// What is added, subtracted, …: an integer or a real.
    type Number: AtomValue;
}

/// A column type with at most one number, which can be compared with others.
#[diagnostic::on_unimplemented(message = "a column of `{Self}` is not one number")]
pub trait Comparable: Numeric {}

/// A column type of integers only, which have remainders.
#[diagnostic::on_unimplemented(message = "a column of `{Self}` holds no integers")]
pub trait Integral: Numeric<Number = i64> {}

/// The type of the atoms that an [`AtomValue`] is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtomShape {
    /// Type of the atoms.
    pub atom_type: AtomType,
    /// The table that they refer to, if they are references.
    pub references: Option<&'static str>,
}

impl AtomShape {
    /// Atoms that are no references.
    pub const fn of(atom_type: AtomType) -> Self {
        Self {
            atom_type,
            references: None,
        }
    }

    fn admits(&self, base: &BaseType) -> bool {
        let target = base.reference.as_ref().map(|to| to.table.as_str());
        self.atom_type == base.atom_type && (self.references.is_none() || self.references == target)
    }
}

/// The type of the columns that a [`ColumnValue`] is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Type of the atom, of the elements or of the keys.
    pub key: AtomShape,
    /// Type of a map's values.
    pub value: Option<AtomShape>,
    /// Least number of elements.
    pub min: usize,
    /// Largest number of elements; `None` is unlimited.
    pub max: Option<usize>,
}

impl Shape {
    const fn new(key: AtomShape, value: Option<AtomShape>, min: usize, max: Option<usize>) -> Self {
        Self {
            key,
            value,
            min,
            max,
        }
    }

    /// Whether every value that a column may hold has this shape.
    pub fn admits(&self, ty: &ColumnType) -> bool {
        let values = match (&self.value, &ty.value) {
            (Some(shape), Some(base)) => shape.admits(base),
            (shape, base) => shape.is_none() && base.is_none(),
        };
        let count = ty.min >= self.min
            && match (self.max, ty.max) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(mine), Some(theirs)) => theirs <= mine,
            };
        self.key.admits(&ty.key) && values && count
    }

    /// The value of a column that was never set (RFC 7047 §5.2.1).
    pub fn default_datum(&self) -> Datum {
        match (self.min, self.value) {
            (0, None) => Datum::empty(),
            (0, Some(_)) => Datum::Map(BTreeMap::new()),
            (_, None) => Datum::Atom(self.key.atom_type.default_atom()),
            (_, Some(value)) => Datum::map([(
                self.key.atom_type.default_atom(),
                value.atom_type.default_atom(),
            )]),
        }
    }
}

impl fmt::Display for AtomShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.references {
            Some(table) => write!(f, "reference to {table}"),
            None => self.atom_type.fmt(f),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.value, self.min, self.max) {
            (Some(value), ..) => write!(f, "map of {} to {value}", self.key),
            (None, 1, Some(1)) => self.key.fmt(f),
            (None, 0, Some(1)) => write!(f, "optional {}", self.key),
            (None, ..) => write!(f, "set of {}", self.key),
        }
    }
}

/// A real with a total order, as sets and keys of maps need it; plain columns use `f64`.
#[derive(Debug, Clone, Copy)]
pub struct Real(pub f64);

impl From<f64> for Real {
    fn from(real: f64) -> Self {
        Self(real)
    }
}

impl From<Real> for f64 {
    fn from(real: Real) -> Self {
        real.0
    }
}

impl Ord for Real {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Real {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Real {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Real {}

impl std::hash::Hash for Real {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

macro_rules! atom_values {
    ($($ty:ty: $atom_type:ident, |$atom:ident| $read:expr;)*) => {$(
        impl AtomValue for $ty {
            const ATOM: AtomShape = AtomShape::of(AtomType::$atom_type);

            fn from_atom($atom: &Atom) -> Option<Self> {
                $read
            }

            fn into_atom(self) -> Atom {
                Atom::from(self)
            }
        }
    )*};
}

atom_values! {
    bool: Boolean, |atom| atom.as_bool();
    i64: Integer, |atom| atom.as_i64();
    f64: Real, |atom| atom.as_f64();
    String: String, |atom| atom.as_str().map(str::to_owned);
    Uuid: Uuid, |atom| atom.as_uuid();
}

impl AtomValue for Real {
    const ATOM: AtomShape = AtomShape::of(AtomType::Real);

    fn from_atom(atom: &Atom) -> Option<Self> {
        atom.as_f64().map(Self)
    }

    fn into_atom(self) -> Atom {
        Atom::Real(self.0)
    }
}

impl<A: AtomValue> ColumnValue for A {
    const SHAPE: Shape = Shape::new(A::ATOM, None, 1, Some(1));

    fn from_datum(datum: &Datum) -> Option<Self> {
        A::from_atom(datum.as_atom()?)
    }
}

impl<A: AtomValue> ColumnValue for Option<A> {
    const SHAPE: Shape = Shape::new(A::ATOM, None, 0, Some(1));

    fn from_datum(datum: &Datum) -> Option<Self> {
        match datum.as_atom() {
            Some(atom) => A::from_atom(atom).map(Some),
            None => datum.is_empty().then_some(None),
        }
    }
}

impl<A: AtomValue + Ord> ColumnValue for BTreeSet<A> {
    const SHAPE: Shape = Shape::new(A::ATOM, None, 0, None);

    fn from_datum(datum: &Datum) -> Option<Self> {
        match datum {
            Datum::Map(map) => map.is_empty().then(Self::new),
            _ => datum.set_iter().map(A::from_atom).collect(),
        }
    }
}

impl<K: AtomValue + Ord, V: AtomValue> ColumnValue for BTreeMap<K, V> {
    const SHAPE: Shape = Shape::new(K::ATOM, Some(V::ATOM), 0, None);

    fn from_datum(datum: &Datum) -> Option<Self> {
        match datum {
            Datum::Map(map) => map
                .iter()
                .map(|(key, value)| Some((K::from_atom(key)?, V::from_atom(value)?)))
                .collect(),
            // An empty map may be written as an empty set.
            _ => datum.is_empty().then(Self::new),
        }
    }
}

impl<A: AtomValue> Clearable for Option<A> {
    fn empty() -> Datum {
        Datum::empty()
    }
}

impl<A: AtomValue + Ord> Clearable for BTreeSet<A> {
    fn empty() -> Datum {
        Datum::empty()
    }
}

impl<K: AtomValue + Ord, V: AtomValue> Clearable for BTreeMap<K, V> {
    fn empty() -> Datum {
        Datum::Map(BTreeMap::new())
    }
}

macro_rules! numeric {
    ($($marker:ident: $($ty:ty),*;)*) => {$($(impl $marker for $ty {})*)*};
    ($($ty:ty => $number:ty),* $(,)?) => {$(
        impl Numeric for $ty {
            type Number = $number;
        }
    )*};
}

numeric! {
    i64 => i64, Option<i64> => i64, BTreeSet<i64> => i64,
    f64 => f64, Option<f64> => f64, BTreeSet<Real> => f64,
}

numeric! {
    Comparable: i64, Option<i64>, f64, Option<f64>;
    Integral: i64, Option<i64>, BTreeSet<i64>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column_type(json: &str) -> ColumnType {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn values_are_read_in_every_form_that_servers_send() {
        assert_eq!(i64::from_datum(&Datum::from([7])), Some(7));
        assert_eq!(f64::from_datum(&Datum::from(7)), Some(7.0));
        assert_eq!(Option::from_datum(&Datum::empty()), Some(None::<bool>));
        assert_eq!(Option::from_datum(&Datum::from(true)), Some(Some(true)));
        assert_eq!(
            BTreeSet::from_datum(&Datum::from("a")),
            Some(BTreeSet::from(["a".to_owned()]))
        );
        assert_eq!(
            BTreeMap::<String, i64>::from_datum(&Datum::empty()),
            Some(BTreeMap::new())
        );
    }

    #[test]
    fn what_has_another_shape_is_not_read() {
        assert_eq!(i64::from_datum(&Datum::empty()), None);
        assert_eq!(i64::from_datum(&Datum::from([1, 2])), None);
        assert_eq!(i64::from_datum(&Datum::from("1")), None);
        assert_eq!(Option::<i64>::from_datum(&Datum::from([1, 2])), None);
        assert_eq!(Option::<i64>::from_datum(&Datum::from("a")), None);
        let map = Datum::map([("a", 1)]);
        assert_eq!(Option::<String>::from_datum(&map), None);
        assert_eq!(BTreeSet::<String>::from_datum(&map), None);
        assert_eq!(BTreeMap::<String, String>::from_datum(&map), None);
        assert_eq!(BTreeMap::<String, i64>::from_datum(&Datum::from(1)), None);
        assert_eq!(Uuid::from_datum(&Atom::NamedUuid("r".into()).into()), None);
    }

    #[test]
    fn a_shape_admits_columns_whose_values_all_fit() {
        let cases = [
            (i64::SHAPE, r#""integer""#, true),
            (i64::SHAPE, r#""real""#, false),
            (i64::SHAPE, r#"{"key":"integer","min":0}"#, false),
            (i64::SHAPE, r#"{"key":"integer","max":2}"#, false),
            (Option::<i64>::SHAPE, r#""integer""#, true),
            (Option::<i64>::SHAPE, r#"{"key":"integer","min":0}"#, true),
            (BTreeSet::<i64>::SHAPE, r#""integer""#, true),
            (
                BTreeSet::<i64>::SHAPE,
                r#"{"key":"integer","max":"unlimited"}"#,
                true,
            ),
            (
                BTreeSet::<i64>::SHAPE,
                r#"{"key":"integer","value":"integer"}"#,
                false,
            ),
            (
                BTreeMap::<i64, String>::SHAPE,
                r#"{"key":"integer","value":"string"}"#,
                true,
            ),
            (
                BTreeMap::<i64, String>::SHAPE,
                r#"{"key":"integer","value":"real"}"#,
                false,
            ),
            (BTreeMap::<i64, String>::SHAPE, r#""integer""#, false),
        ];
        for (shape, json, admits) in cases {
            assert_eq!(shape.admits(&column_type(json)), admits, "{shape}: {json}");
        }
    }

    #[test]
    fn a_reference_keeps_its_table() {
        let to = |table| AtomShape {
            atom_type: AtomType::Uuid,
            references: Some(table),
        };
        let ports = column_type(r#"{"key":{"type":"uuid","refTable":"Port"}}"#);
        assert!(to("Port").admits(&ports.key) && !to("Bridge").admits(&ports.key));
        assert!(Uuid::SHAPE.admits(&ports));
        assert!(!to("Port").admits(&column_type(r#""uuid""#).key));
    }
}
