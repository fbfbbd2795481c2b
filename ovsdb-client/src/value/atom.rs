//! One scalar.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
use uuid::Uuid;

/// A scalar value: RFC 7047 §5.1 `<atom>`.
///
/// Atoms are totally ordered, reals included (`f64::total_cmp`), so that they can be map keys.
#[derive(Debug, Clone)]
pub enum Atom {
    /// A signed 64-bit integer.
    Integer(i64),
    /// A double. Servers write whole reals without a fraction, so one may arrive as an `Integer`.
    Real(f64),
    /// A boolean.
    Boolean(bool),
    /// A Unicode string.
    String(String),
    /// A reference to a row, or a UUID without meaning to the database.
    Uuid(Uuid),
    /// A reference to a row that the same transaction inserts under this `uuid-name`.
    NamedUuid(String),
}

/// The type of an atom, as schemas spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AtomType {
    /// A signed 64-bit integer.
    Integer,
    /// A double.
    Real,
    /// A boolean.
    Boolean,
    /// A Unicode string.
    String,
    /// A UUID, often a reference.
    Uuid,
}

impl AtomType {
    /// The value of a column that was never set: zero, false, the empty string (RFC 7047 §5.2.1).
    pub fn default_atom(self) -> Atom {
        match self {
            Self::Integer => Atom::Integer(0),
            Self::Real => Atom::Real(0.0),
            Self::Boolean => Atom::Boolean(false),
            Self::String => Atom::String(String::new()),
            Self::Uuid => Atom::Uuid(Uuid::nil()),
        }
    }
}

impl fmt::Display for AtomType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Integer => "integer",
            Self::Real => "real",
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Uuid => "uuid",
        })
    }
}

impl Atom {
    /// The type of this atom; a named UUID is a UUID.
    pub fn atom_type(&self) -> AtomType {
        match self {
            Self::Integer(_) => AtomType::Integer,
            Self::Real(_) => AtomType::Real,
            Self::Boolean(_) => AtomType::Boolean,
            Self::String(_) => AtomType::String,
            Self::Uuid(_) | Self::NamedUuid(_) => AtomType::Uuid,
        }
    }

    /// The string, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(string) => Some(string),
            _ => None,
        }
    }

    /// The integer, if this is one.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Integer(integer) => Some(*integer),
            _ => None,
        }
    }

    /// The real, or the integer that a whole real arrives as.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Real(real) => Some(*real),
            Self::Integer(integer) => Some(*integer as f64),
            _ => None,
        }
    }

    /// The boolean, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Boolean(boolean) => Some(*boolean),
            _ => None,
        }
    }

    /// The UUID, if this is one and not a name for one.
    pub fn as_uuid(&self) -> Option<Uuid> {
        match self {
            Self::Uuid(uuid) => Some(*uuid),
            _ => None,
        }
    }

    /// Position of the variant, the major key of the order.
    fn rank(&self) -> u8 {
        match self {
            Self::Integer(_) => 0,
            Self::Real(_) => 1,
            Self::Boolean(_) => 2,
            Self::String(_) => 3,
            Self::Uuid(_) => 4,
            Self::NamedUuid(_) => 5,
        }
    }
}

impl Ord for Atom {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Real(a), Self::Real(b)) => a.total_cmp(b),
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) | (Self::NamedUuid(a), Self::NamedUuid(b)) => {
                a.cmp(b)
            }
            (Self::Uuid(a), Self::Uuid(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Atom {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Atom {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Atom {}

impl Hash for Atom {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Self::Integer(integer) => integer.hash(state),
            // `f64::total_cmp` calls two reals equal when their bits are.
            Self::Real(real) => real.to_bits().hash(state),
            Self::Boolean(boolean) => boolean.hash(state),
            Self::String(string) | Self::NamedUuid(string) => string.hash(state),
            Self::Uuid(uuid) => uuid.hash(state),
        }
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(integer) => integer.fmt(f),
            Self::Real(real) => real.fmt(f),
            Self::Boolean(boolean) => boolean.fmt(f),
            Self::String(string) => write!(f, "{string:?}"),
            Self::Uuid(uuid) => uuid.fmt(f),
            Self::NamedUuid(name) => f.write_str(name),
        }
    }
}

macro_rules! atom_from {
    ($($source:ty => |$value:ident| $atom:expr;)*) => {$(
        impl From<$source> for Atom {
            fn from($value: $source) -> Self {
                $atom
            }
        }
    )*};
}

atom_from! {
    i64 => |value| Self::Integer(value);
    i32 => |value| Self::Integer(value.into());
    u32 => |value| Self::Integer(value.into());
    u16 => |value| Self::Integer(value.into());
    f64 => |value| Self::Real(value);
    bool => |value| Self::Boolean(value);
    &str => |value| Self::String(value.to_owned());
    &String => |value| Self::String(value.clone());
    String => |value| Self::String(value);
    Uuid => |value| Self::Uuid(value);
}

impl Serialize for Atom {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(integer) => serializer.serialize_i64(*integer),
            Self::Real(real) if real.is_finite() => serializer.serialize_f64(*real),
            // JSON has no form for it, and serde_json would write a null.
            Self::Real(real) => Err(ser::Error::custom(format_args!("{real} is no JSON number"))),
            Self::Boolean(boolean) => serializer.serialize_bool(*boolean),
            Self::String(string) => serializer.serialize_str(string),
            Self::Uuid(uuid) => ("uuid", uuid).serialize(serializer),
            Self::NamedUuid(name) => ("named-uuid", name).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Atom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AtomVisitor)
    }
}

/// The first element of an array that stands for a value.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Tag {
    Uuid,
    NamedUuid,
    Set,
    Map,
}

/// Reads the scalars; [`super::Datum`] leans on it for everything that is not an array.
pub(super) struct AtomVisitor;

impl<'de> Visitor<'de> for AtomVisitor {
    type Value = Atom;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a boolean, a string, [\"uuid\", ..] or [\"named-uuid\", ..]")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Atom, E> {
        Ok(Atom::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Atom, E> {
        Ok(Atom::Integer(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Atom, E> {
        let range = de::Unexpected::Unsigned(value);
        value
            .try_into()
            .map(Atom::Integer)
            .map_err(|_| E::invalid_value(range, &"a signed 64-bit integer"))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Atom, E> {
        Ok(Atom::Real(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Atom, E> {
        Ok(Atom::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Atom, E> {
        Ok(Atom::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Atom, A::Error> {
        match next(&mut elements)? {
            Tag::Uuid => next(&mut elements).map(Atom::Uuid),
            Tag::NamedUuid => next(&mut elements).map(Atom::NamedUuid),
            Tag::Set | Tag::Map => Err(de::Error::custom(
                "a set or a map where an atom is expected",
            )),
        }
    }
}

/// The next element of an array that must have one.
pub(super) fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(
    elements: &mut A,
) -> Result<T, A::Error> {
    elements
        .next_element()?
        .ok_or_else(|| de::Error::custom("an array ends too early"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: Uuid = Uuid::from_u128(0x2f77b348_9768_4866_b761_89d5177ecdab);

    #[test]
    fn atoms_are_written_as_in_the_rfc() {
        let cases = [
            (Atom::from(-7), "-7"),
            (Atom::from(0.5), "0.5"),
            (Atom::from(true), "true"),
            (Atom::from("a \"b\""), r#""a \"b\"""#),
            (
                Atom::from(UUID),
                r#"["uuid","2f77b348-9768-4866-b761-89d5177ecdab"]"#,
            ),
            (Atom::NamedUuid("row0".into()), r#"["named-uuid","row0"]"#),
        ];
        for (atom, json) in cases {
            assert_eq!(serde_json::to_string(&atom).unwrap(), json);
            assert_eq!(serde_json::from_str::<Atom>(json).unwrap(), atom);
        }
    }

    #[test]
    fn a_real_that_json_cannot_write_is_an_error() {
        assert!(serde_json::to_string(&Atom::from(f64::NAN)).is_err());
    }

    #[test]
    fn what_is_not_an_atom_is_refused() {
        for json in [
            "null",
            "{}",
            "[]",
            r#"["uuid"]"#,
            r#"["uuid","x"]"#,
            r#"["set",[]]"#,
            "9223372036854775808",
            r#"["uuid","2f77b348-9768-4866-b761-89d5177ecdab",1]"#,
        ] {
            assert!(serde_json::from_str::<Atom>(json).is_err(), "{json}");
        }
    }
}
