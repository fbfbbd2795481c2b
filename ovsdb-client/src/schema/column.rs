//! Column types and what they admit: RFC 7047 §3.2 `<column-schema>`, `<type>`, `<base-type>`.

use super::violation::Violation;
use crate::value::{Atom, AtomType, Datum};

/// One column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub(super) ty: ColumnType,
    pub(super) ephemeral: bool,
    pub(super) mutable: bool,
}

impl Column {
    /// The type of the column's values.
    pub fn column_type(&self) -> &ColumnType {
        &self.ty
    }

    /// Whether the column is kept in memory only, not in the database file.
    ///
    /// A strong reference to a table that is no root is kept whatever its schema says, as servers
    /// do: on loading, the row it refers to would be lost.
    pub fn is_ephemeral(&self) -> bool {
        self.ephemeral
    }

    /// Whether the column may change after its row was inserted.
    ///
    /// A weak reference may, whatever its schema says, as with servers: it vanishes with its
    /// target.
    pub fn is_mutable(&self) -> bool {
        self.mutable
    }
}

/// The type of a column: a scalar, a set or a map, and how many elements it may have.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnType {
    /// Type of a scalar, of a set's elements or of a map's keys.
    pub key: BaseType,
    /// Type of a map's values; present for a map only.
    pub value: Option<BaseType>,
    /// Least number of elements, 0 or 1.
    pub min: usize,
    /// Largest number of elements; `None` is unlimited.
    pub max: Option<usize>,
}

/// The type of an atom and the constraints on it.
#[derive(Debug, Clone, PartialEq)]
pub struct BaseType {
    /// The type.
    pub atom_type: AtomType,
    /// The only values allowed, when there is such a list; sorted.
    pub allowed: Option<Vec<Atom>>,
    /// Least number allowed.
    pub min: Option<Atom>,
    /// Largest number allowed.
    pub max: Option<Atom>,
    /// Least length of a string, in characters.
    pub min_length: usize,
    /// Largest length of a string, in characters.
    pub max_length: Option<usize>,
    /// What a UUID refers to, when it is a reference.
    pub reference: Option<Reference>,
}

/// The target of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The table whose rows are referred to.
    pub table: String,
    /// Whether the reference keeps its target alive. A weak one vanishes with its target.
    pub strong: bool,
}

impl ColumnType {
    /// A single atom without constraints.
    pub(crate) fn scalar(atom_type: AtomType) -> Self {
        Self {
            key: BaseType::plain(atom_type),
            value: None,
            min: 1,
            max: Some(1),
        }
    }

    /// Whether a value is exactly one atom.
    pub fn is_scalar(&self) -> bool {
        self.value.is_none() && self.min == 1 && self.max == Some(1)
    }

    /// Whether a value is one atom or none.
    pub fn is_optional(&self) -> bool {
        self.value.is_none() && self.min == 0 && self.max == Some(1)
    }

    /// Whether a value is made of pairs.
    pub fn is_map(&self) -> bool {
        self.value.is_some()
    }

    /// Whether differences of this column are sent as differences: `ovsdb_type_is_composite` of
    /// Open vSwitch's `lib/ovsdb-types.h`. All other columns are sent whole.
    pub(crate) fn is_composite(&self) -> bool {
        self.max != Some(1)
    }

    /// The value of a column that was never set (RFC 7047 §5.2.1), in [canonical](Self::canonical)
    /// form.
    pub fn default_datum(&self) -> Datum {
        match (self.min, &self.value) {
            (0, None) => Datum::empty(),
            (0, Some(_)) => Datum::Map(Default::default()),
            (_, None) if self.is_composite() => Datum::set([self.key.atom_type.default_atom()]),
            (_, None) => Datum::Atom(self.key.atom_type.default_atom()),
            (_, Some(value)) => Datum::map([(
                self.key.atom_type.default_atom(),
                value.atom_type.default_atom(),
            )]),
        }
    }

    /// Checks that a value fits this type.
    ///
    /// # Errors
    ///
    /// The first [`Violation`] found.
    pub fn check(&self, datum: &Datum) -> Result<(), Violation> {
        let count = datum.len();
        match (datum, &self.value) {
            (Datum::Map(map), Some(value)) => map.iter().try_for_each(|(k, v)| {
                self.key.check(k)?;
                value.check(v)
            })?,
            (Datum::Atom(_) | Datum::Set(_), None) => {
                datum.set_iter().try_for_each(|atom| self.key.check(atom))?
            }
            (datum, _) => {
                let map = matches!(datum, Datum::Map(_));
                return Err(Violation::Shape {
                    datum: datum.clone(),
                    map,
                });
            }
        }
        if count < self.min || self.max.is_some_and(|max| count > max) {
            return Err(Violation::Count {
                count,
                min: self.min,
                max: self.max,
            });
        }
        // In canonical form, because 1 and 1.0 are different integers and the same real.
        let keys = datum.set_iter().chain(datum.map_iter().map(|(key, _)| key));
        let mut sorted: Vec<_> = keys.map(|key| self.key.canonical(key.clone())).collect();
        sorted.sort_unstable();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(Violation::Duplicate {
                atom: pair[0].clone(),
            }),
            None => Ok(()),
        }
    }

    /// Writes a value in the one form that is equal for equal values: a set of at most one element
    /// as an atom or as empty, larger ones sorted, whole reals as reals.
    pub fn canonical(&self, datum: Datum) -> Datum {
        match (datum, &self.value) {
            (Datum::Map(map), Some(value)) if self.key.converts() || value.converts() => {
                Datum::Map(
                    map.into_iter()
                        .map(|(k, v)| (self.key.canonical(k), value.canonical(v)))
                        .collect(),
                )
            }
            (Datum::Set(atoms), Some(_)) if atoms.is_empty() => Datum::Map(Default::default()),
            (datum @ Datum::Map(_), _) => datum,
            (Datum::Atom(atom), _) if self.is_composite() => {
                Datum::Set(vec![self.key.canonical(atom)])
            }
            (Datum::Atom(atom), _) => Datum::Atom(self.key.canonical(atom)),
            (Datum::Set(atoms), _) => {
                let mut atoms: Vec<_> = atoms
                    .into_iter()
                    .map(|atom| self.key.canonical(atom))
                    .collect();
                match atoms.pop() {
                    Some(atom) if atoms.is_empty() && !self.is_composite() => Datum::Atom(atom),
                    last => {
                        atoms.extend(last);
                        atoms.sort_unstable();
                        Datum::Set(atoms)
                    }
                }
            }
        }
    }
}

impl BaseType {
    /// A type without constraints.
    pub(crate) fn plain(atom_type: AtomType) -> Self {
        Self {
            atom_type,
            allowed: None,
            min: None,
            max: None,
            min_length: 0,
            max_length: None,
            reference: None,
        }
    }

    /// Whether an atom of this type may arrive as one of another.
    fn converts(&self) -> bool {
        self.atom_type == AtomType::Real
    }

    pub(super) fn canonical(&self, atom: Atom) -> Atom {
        match (self.atom_type, atom) {
            (AtomType::Real, Atom::Integer(whole)) => Atom::Real(whole as f64),
            (_, atom) => atom,
        }
    }

    fn check(&self, atom: &Atom) -> Result<(), Violation> {
        let found = atom.atom_type();
        let whole_real = self.atom_type == AtomType::Real && found == AtomType::Integer;
        if found != self.atom_type && !whole_real {
            return Err(Violation::Type {
                atom: atom.clone(),
                found,
                expected: self.atom_type,
            });
        }
        let value = self.canonical(atom.clone());
        let written = !matches!(value, Atom::Real(real) if !real.is_finite());
        let length = value.as_str().map(|text| text.chars().count());
        let fits = written
            && self
                .allowed
                .as_ref()
                .is_none_or(|allowed| allowed.contains(&value))
            && self.min.as_ref().is_none_or(|min| value >= *min)
            && self.max.as_ref().is_none_or(|max| value <= *max)
            && length.is_none_or(|length| {
                length >= self.min_length && self.max_length.is_none_or(|max| length <= max)
            });
        if fits {
            Ok(())
        } else {
            Err(Violation::Constraint { atom: value })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column_type(json: &str) -> ColumnType {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn types_are_read_in_both_spellings() {
        assert_eq!(
            column_type(r#""string""#),
            column_type(r#"{"key":{"type":"string"}}"#)
        );
        let references = column_type(
            r#"{"key":{"type":"uuid","refTable":"Port","refType":"weak"},"min":0,"max":"unlimited"}"#,
        );
        assert_eq!(
            references.key.reference,
            Some(Reference {
                table: "Port".into(),
                strong: false
            })
        );
        assert_eq!((references.min, references.max), (0, None));
        assert!(serde_json::from_str::<ColumnType>(r#"{"key":"string","max":"many"}"#).is_err());
    }

    #[test]
    fn a_real_that_json_cannot_write_fits_nowhere() {
        assert!(
            column_type(r#""real""#)
                .check(&Datum::from(f64::NAN))
                .is_err()
        );
    }

    #[test]
    fn a_real_is_the_same_with_and_without_a_fraction() {
        let set = column_type(r#"{"key":"real","max":"unlimited"}"#);
        let twice = [Atom::from(1), Atom::from(1.0)];
        assert!(matches!(
            set.check(&Datum::set(twice.clone())),
            Err(Violation::Duplicate { .. })
        ));
        let map = column_type(r#"{"key":"real","value":"string","max":"unlimited"}"#);
        let twice = Datum::map(twice.into_iter().zip(["a", "b"]));
        assert!(matches!(
            map.check(&twice),
            Err(Violation::Duplicate { .. })
        ));
    }

    #[test]
    fn values_are_checked() {
        let cases = [
            (r#""integer""#, Datum::from(1), true),
            (r#""integer""#, Datum::from([1]), true),
            (r#""integer""#, Datum::from([1, 2]), false),
            (r#""integer""#, Datum::empty(), false),
            (r#""integer""#, Datum::from("1"), false),
            (r#""integer""#, Datum::map([(1, 1)]), false),
            (r#""real""#, Datum::from(1), true),
            (
                r#"{"key":{"type":"integer","minInteger":1,"maxInteger":4}}"#,
                Datum::from(4),
                true,
            ),
            (
                r#"{"key":{"type":"integer","minInteger":1,"maxInteger":4}}"#,
                Datum::from(5),
                false,
            ),
            (
                r#"{"key":{"type":"real","minReal":0.5}}"#,
                Datum::from(0.25),
                false,
            ),
            (
                r#"{"key":{"type":"string","maxLength":2}}"#,
                Datum::from("éé"),
                true,
            ),
            (
                r#"{"key":{"type":"string","minLength":3}}"#,
                Datum::from("éé"),
                false,
            ),
            (
                r#"{"key":{"type":"string","enum":["set",["a","b"]]},"min":0}"#,
                Datum::from("a"),
                true,
            ),
            (
                r#"{"key":{"type":"string","enum":["set",["a","b"]]},"min":0}"#,
                Datum::from("c"),
                false,
            ),
            (
                r#"{"key":{"type":"string","enum":"a"}}"#,
                Datum::from("a"),
                true,
            ),
            (
                r#"{"key":"string","min":0,"max":"unlimited"}"#,
                Datum::from(["a", "b"]),
                true,
            ),
            (
                r#"{"key":"string","min":0,"max":"unlimited"}"#,
                Datum::from(["a", "a"]),
                false,
            ),
            (
                r#"{"key":"string","value":"integer","min":0,"max":2}"#,
                Datum::map([("a", 1)]),
                true,
            ),
            (
                r#"{"key":"string","value":"integer","min":0,"max":2}"#,
                Datum::map([("a", "b")]),
                false,
            ),
            (
                r#"{"key":"string","value":"integer","min":0,"max":2}"#,
                Datum::Map(Default::default()),
                true,
            ),
            // A server refuses an empty set for a map.
            (
                r#"{"key":"string","value":"integer","min":0,"max":2}"#,
                Datum::empty(),
                false,
            ),
            (
                r#"{"key":"string","value":"integer","min":0,"max":2}"#,
                Datum::from("a"),
                false,
            ),
        ];
        for (json, datum, fits) in cases {
            let result = column_type(json).check(&datum);
            assert_eq!(result.is_ok(), fits, "{json} {datum}: {result:?}");
        }
    }

    #[test]
    fn defaults_are_canonical() {
        for json in [
            r#""real""#,
            r#"{"key":"integer","min":0}"#,
            r#"{"key":"integer","min":1,"max":2}"#,
            r#"{"key":"integer","min":0,"max":2}"#,
            r#"{"key":"real","value":"real","min":1,"max":2}"#,
        ] {
            let ty = column_type(json);
            let default = ty.default_datum();
            assert_eq!(ty.canonical(default.clone()), default, "{json}");
        }
    }

    #[test]
    fn equal_values_have_one_canonical_form() {
        let cases = [
            (r#""real""#, Datum::from(1), Datum::from(1.0)),
            (
                r#"{"key":"string","min":0}"#,
                Datum::from(["a"]),
                Datum::from("a"),
            ),
            (
                r#"{"key":"string","min":0}"#,
                Datum::empty(),
                Datum::empty(),
            ),
            (
                r#"{"key":"string","min":0,"max":2}"#,
                Datum::from("a"),
                Datum::from(["a"]),
            ),
            (
                r#"{"key":"string","min":0,"max":2}"#,
                Datum::from(["b", "a"]),
                Datum::from(["a", "b"]),
            ),
            (
                r#"{"key":"string","value":"string","min":0}"#,
                Datum::empty(),
                Datum::map::<&str, &str>([]),
            ),
        ];
        for (json, datum, canonical) in cases {
            assert_eq!(column_type(json).canonical(datum), canonical, "{json}");
        }
    }
}
