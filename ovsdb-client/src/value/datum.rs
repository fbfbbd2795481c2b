//! The value of one column.

use std::collections::BTreeMap;
use std::fmt;
use std::slice;

use serde::de::{self, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::Atom;
use super::atom::{AtomVisitor, Tag, next};

/// The value of a column: RFC 7047 §5.1 `<value>`.
///
/// The protocol lets a set of one element be written as the bare element, so the accessors treat
/// the two alike: `as_str` answers for `"a"` and for `["set",["a"]]`, and `set_iter` walks both.
///
/// ```
/// # use ovsdb_client::value::Datum;
/// let datum: Datum = serde_json::from_str(r#"["map",[["k","v"]]]"#)?;
/// assert_eq!(datum.map_get("k"), Some("v"));
/// assert_eq!(datum, Datum::map([("k", "v")]));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Datum {
    /// Exactly one atom.
    Atom(Atom),
    /// Any number of atoms, in no particular order. An optional column is a set of at most one.
    Set(Vec<Atom>),
    /// Pairs of atoms with distinct keys.
    Map(BTreeMap<Atom, Atom>),
}

impl Datum {
    /// Makes a set.
    pub fn set<T: Into<Atom>>(elements: impl IntoIterator<Item = T>) -> Self {
        Self::Set(elements.into_iter().map(Into::into).collect())
    }

    /// Makes a map; of equal keys the last one counts.
    pub fn map<K: Into<Atom>, V: Into<Atom>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Map(
            pairs
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }

    /// The empty set, which is how an optional column is cleared.
    pub const fn empty() -> Self {
        Self::Set(Vec::new())
    }

    /// The only atom of a scalar or of a set of one element.
    pub fn as_atom(&self) -> Option<&Atom> {
        match self.atoms() {
            [atom] => Some(atom),
            _ => None,
        }
    }

    /// The string, if this is a single one.
    pub fn as_str(&self) -> Option<&str> {
        self.as_atom()?.as_str()
    }

    /// The integer, if this is a single one.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_atom()?.as_i64()
    }

    /// The real, if this is a single number.
    pub fn as_f64(&self) -> Option<f64> {
        self.as_atom()?.as_f64()
    }

    /// The boolean, if this is a single one.
    pub fn as_bool(&self) -> Option<bool> {
        self.as_atom()?.as_bool()
    }

    /// The UUID, if this is a single one.
    pub fn as_uuid(&self) -> Option<Uuid> {
        self.as_atom()?.as_uuid()
    }

    /// The elements of a set, or the scalar; nothing for a map.
    pub fn set_iter(&self) -> slice::Iter<'_, Atom> {
        self.atoms().iter()
    }

    /// The pairs of a map in key order; nothing for anything else.
    pub fn map_iter(&self) -> impl Iterator<Item = (&Atom, &Atom)> {
        let map = match self {
            Self::Map(map) => Some(map),
            _ => None,
        };
        map.into_iter().flatten()
    }

    /// The string under a string key of a map.
    pub fn map_get(&self, key: &str) -> Option<&str> {
        match self {
            Self::Map(map) => map.get(&Atom::from(key))?.as_str(),
            _ => None,
        }
    }

    /// Number of elements or pairs; 1 for a scalar.
    pub fn len(&self) -> usize {
        match self {
            Self::Map(map) => map.len(),
            _ => self.atoms().len(),
        }
    }

    /// Whether this is a set or a map without elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a canonical set, or scalar, has this element.
    #[cfg(feature = "server")]
    pub(crate) fn has(&self, atom: &Atom) -> bool {
        self.atoms().binary_search(atom).is_ok()
    }

    fn atoms(&self) -> &[Atom] {
        match self {
            Self::Atom(atom) => slice::from_ref(atom),
            Self::Set(atoms) => atoms,
            Self::Map(_) => &[],
        }
    }
}

impl fmt::Display for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        match self {
            Self::Atom(atom) => atom.fmt(f),
            Self::Set(atoms) => {
                f.write_str("[")?;
                for atom in atoms {
                    write!(f, "{separator}{atom}")?;
                    separator = ", ";
                }
                f.write_str("]")
            }
            Self::Map(map) => {
                f.write_str("{")?;
                for (key, value) in map {
                    write!(f, "{separator}{key}={value}")?;
                    separator = ", ";
                }
                f.write_str("}")
            }
        }
    }
}

macro_rules! datum_from_atom {
    ($($source:ty),* $(,)?) => {$(
        impl From<$source> for Datum {
            fn from(value: $source) -> Self {
                Self::Atom(value.into())
            }
        }
    )*};
}

// One by one, because a blanket `From<T: Into<Atom>>` would forbid the impls for `Option` and
// `Vec` below.
datum_from_atom!(
    Atom, i64, i32, u32, u16, f64, bool, &str, &String, String, Uuid
);

impl<T: Into<Atom>> From<Option<T>> for Datum {
    fn from(value: Option<T>) -> Self {
        Self::set(value)
    }
}

impl<T: Into<Atom>> From<Vec<T>> for Datum {
    fn from(values: Vec<T>) -> Self {
        Self::set(values)
    }
}

impl<T: Into<Atom>, const N: usize> From<[T; N]> for Datum {
    fn from(values: [T; N]) -> Self {
        Self::set(values)
    }
}

impl<K: Into<Atom>, V: Into<Atom>> From<BTreeMap<K, V>> for Datum {
    fn from(pairs: BTreeMap<K, V>) -> Self {
        Self::map(pairs)
    }
}

impl Serialize for Datum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Atom(atom) => atom.serialize(serializer),
            Self::Set(atoms) => ("set", atoms).serialize(serializer),
            Self::Map(map) => {
                let mut tagged = serializer.serialize_tuple(2)?;
                tagged.serialize_element("map")?;
                tagged.serialize_element(&Pairs(map))?;
                tagged.end()
            }
        }
    }
}

/// A map written as an array of pairs.
struct Pairs<'a>(&'a BTreeMap<Atom, Atom>);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0)
    }
}

impl<'de> Deserialize<'de> for Datum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DatumVisitor)
    }
}

struct DatumVisitor;

impl<'de> Visitor<'de> for DatumVisitor {
    type Value = Datum;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an atom, [\"set\", [..]] or [\"map\", [..]]")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Datum, E> {
        AtomVisitor.visit_bool(value).map(Datum::Atom)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Datum, E> {
        AtomVisitor.visit_i64(value).map(Datum::Atom)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Datum, E> {
        AtomVisitor.visit_u64(value).map(Datum::Atom)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Datum, E> {
        AtomVisitor.visit_f64(value).map(Datum::Atom)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Datum, E> {
        AtomVisitor.visit_str(value).map(Datum::Atom)
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Datum, E> {
        AtomVisitor.visit_string(value).map(Datum::Atom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Datum, A::Error> {
        match next(&mut elements)? {
            Tag::Uuid => next(&mut elements).map(|uuid| Datum::Atom(Atom::Uuid(uuid))),
            Tag::NamedUuid => next(&mut elements).map(|name| Datum::Atom(Atom::NamedUuid(name))),
            Tag::Set => next(&mut elements).map(Datum::Set),
            Tag::Map => {
                let pairs: Vec<(Atom, Atom)> = next(&mut elements)?;
                let count = pairs.len();
                let map: BTreeMap<_, _> = pairs.into_iter().collect();
                if map.len() < count {
                    return Err(de::Error::custom("a map with a key that occurs twice"));
                }
                Ok(Datum::Map(map))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn atom() -> impl Strategy<Value = Atom> {
        prop_oneof![
            any::<i64>().prop_map(Atom::from),
            prop::num::f64::NORMAL.prop_map(Atom::from),
            any::<bool>().prop_map(Atom::from),
            ".{0,6}".prop_map(Atom::from),
            any::<u128>().prop_map(|bits| Atom::from(Uuid::from_u128(bits))),
            "[a-z_]{1,6}".prop_map(Atom::NamedUuid),
        ]
    }

    proptest! {
        #[test]
        fn every_datum_survives_the_wire(datum in prop_oneof![
            atom().prop_map(Datum::Atom),
            prop::collection::vec(atom(), 0..4).prop_map(Datum::Set),
            prop::collection::btree_map(atom(), atom(), 0..4).prop_map(Datum::Map),
        ]) {
            let json = serde_json::to_string(&datum).unwrap();
            prop_assert_eq!(serde_json::from_str::<Datum>(&json).unwrap(), datum);
        }
    }

    #[test]
    fn data_are_written_as_in_the_rfc() {
        let cases = [
            (Datum::from("a"), r#""a""#),
            (Datum::empty(), r#"["set",[]]"#),
            (Datum::from(["a", "b"]), r#"["set",["a","b"]]"#),
            (Datum::from(Some(3)), r#"["set",[3]]"#),
            (Datum::from(None::<i64>), r#"["set",[]]"#),
            (
                Datum::map([("k", 1), ("a", 2)]),
                r#"["map",[["a",2],["k",1]]]"#,
            ),
        ];
        for (datum, json) in cases {
            assert_eq!(serde_json::to_string(&datum).unwrap(), json);
        }
    }

    #[test]
    fn a_key_that_occurs_twice_is_refused() {
        let map = serde_json::from_str::<Datum>;
        assert!(map(r#"["map",[["a",1],["b",1]]]"#).is_ok());
        assert!(map(r#"["map",[["a",1],["a",2]]]"#).is_err());
    }

    #[test]
    fn a_scalar_and_a_set_of_one_read_alike() {
        for datum in [Datum::from("a"), Datum::from(["a"])] {
            assert_eq!(datum.as_str(), Some("a"));
            assert_eq!(
                datum
                    .set_iter()
                    .filter_map(Atom::as_str)
                    .collect::<Vec<_>>(),
                ["a"]
            );
            assert_eq!(datum.len(), 1);
        }
        assert_eq!(Datum::from(["a", "b"]).as_str(), None);
        assert_eq!(Datum::empty().as_str(), None);
    }
}
