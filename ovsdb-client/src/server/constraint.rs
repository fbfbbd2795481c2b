//! Values as clients write them, read against the type of their column.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::failure::{DUPLICATE, Failure};
use crate::schema::{BaseType, ColumnType, Violation};
use crate::value::{Atom, AtomType, Datum};

/// The rows that a transaction calls by a name of its own.
///
/// A name may be used before the row is inserted, so each gets its UUID when it is first seen.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<String, Name>);

#[derive(Debug)]
struct Name {
    uuid: Uuid,
    given: bool,
}

impl Names {
    /// The UUID that a name stands for.
    fn resolve(&mut self, name: &str) -> Result<Uuid, Failure> {
        check_id("named-uuid", name)?;
        let name = self.0.entry(name.to_owned()).or_insert_with(|| Name {
            uuid: Uuid::new_v4(),
            given: false,
        });
        Ok(name.uuid)
    }

    /// Gives a name to the row being inserted, and returns the row's UUID: that chosen by the
    /// client, or one that earlier operations know already.
    ///
    /// A chosen UUID comes too late for operations that used the name before, as in the server.
    pub(super) fn give(&mut self, name: &str, chosen: Option<Uuid>) -> Result<Uuid, Failure> {
        self.resolve(name)?;
        let Some(entry) = self.0.get_mut(name).filter(|entry| !entry.given) else {
            return Err(Failure::new(
                "duplicate uuid-name",
                format!("{name} is the name of another row of this transaction"),
            ));
        };
        entry.given = true;
        entry.uuid = chosen.unwrap_or(entry.uuid);
        Ok(entry.uuid)
    }
}

/// Checks that a name is an `<id>` of RFC 7047 §3.1.
pub(super) fn check_id(what: &str, id: &str) -> Result<(), Failure> {
    let mut letters = id.bytes();
    let first = letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
    if first && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_') {
        return Ok(());
    }
    Err(Failure::syntax(format!("{what} {id:?} is not an <id>")))
}

/// Reads a value of a column and puts it into canonical form.
///
/// Without `names`, as in the conditions of monitors, a `named-uuid` is an error.
pub(super) fn read(
    column: &str,
    ty: &ColumnType,
    datum: &Datum,
    mut names: Option<&mut Names>,
) -> Result<Datum, Failure> {
    let count = datum.len();
    if count < ty.min || ty.max.is_some_and(|max| count > max) {
        let (min, max) = (ty.min, ty.max);
        return Err(Failure::value(
            column,
            &Violation::Count { count, min, max },
        ));
    }
    let mut atom = |base: &BaseType, atom: &Atom| read_atom(base, atom, names.as_deref_mut());
    let datum = match (datum, &ty.value) {
        (Datum::Map(map), Some(value)) => {
            let pairs = map
                .iter()
                .map(|(k, v)| Ok((atom(&ty.key, k)?, atom(value, v)?)));
            let read: BTreeMap<Atom, Atom> = pairs.collect::<Result<_, Failure>>()?;
            if read.len() < map.len() {
                // A name and the UUID that it stands for, say.
                let details = format!("column {column}: {datum} has two keys that are the same");
                return Err(Failure::new(DUPLICATE, details));
            }
            Datum::Map(read)
        }
        // The server does not take ["set",[]] for an empty map.
        (Datum::Map(_), None) | (Datum::Atom(_) | Datum::Set(_), Some(_)) => {
            let wanted = if ty.value.is_some() {
                "a map"
            } else {
                "no map"
            };
            return Err(Failure::syntax(format!(
                "column {column}: {datum} where {wanted} is expected"
            )));
        }
        (Datum::Atom(scalar), None) => Datum::Atom(atom(&ty.key, scalar)?),
        (Datum::Set(atoms), None) => {
            let atoms = atoms.iter().map(|element| atom(&ty.key, element));
            Datum::Set(atoms.collect::<Result<_, _>>()?)
        }
    };
    ty.check(&datum)
        .map_err(|violation| Failure::value(column, &violation))?;
    Ok(ty.canonical(datum))
}

/// Settles what JSON leaves open: whole reals, and rows called by name.
fn read_atom(base: &BaseType, atom: &Atom, names: Option<&mut Names>) -> Result<Atom, Failure> {
    /// The largest integers that a double holds exactly lie within this.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    Ok(match (base.atom_type, atom) {
        (AtomType::Integer, Atom::Real(real)) if real.fract() == 0.0 && real.abs() <= EXACT => {
            Atom::Integer(*real as i64)
        }
        // Zero has one sign only, else equal values would differ.
        (AtomType::Real, Atom::Real(real)) => Atom::Real(real + 0.0),
        (AtomType::Uuid, Atom::NamedUuid(name)) => match names {
            Some(names) => Atom::Uuid(names.resolve(name)?),
            None => {
                return Err(Failure::syntax(format!("no row can be called {name} here")));
            }
        },
        (AtomType::Real, Atom::Integer(whole)) => Atom::Real(*whole as f64),
        (_, atom) => atom.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ty(json: &str) -> ColumnType {
        serde_json::from_str(json).unwrap()
    }

    fn read(json: &str, datum: impl Into<Datum>) -> Result<Datum, &'static str> {
        let mut names = Names::default();
        super::read("c", &ty(json), &datum.into(), Some(&mut names)).map_err(|failure| failure.name)
    }

    #[test]
    fn values_are_read_by_type() {
        let set = r#"{"key":"integer","min":0,"max":3}"#;
        let map = r#"{"key":"string","value":"integer","min":0,"max":2}"#;
        assert_eq!(read(set, [3, 1]), Ok(Datum::from([1, 3])));
        assert_eq!(read(set, 1.0), Ok(Datum::from([1])));
        assert_eq!(read(r#""real""#, -0.0), Ok(Datum::from(0.0)));
        assert_eq!(read(r#""integer""#, 0.5), Err("syntax error"));
        assert_eq!(read(set, [1, 1]), Err("ovsdb error"));
        assert_eq!(read(set, [1, 2, 3, 4]), Err("syntax error"));
        let few = r#"{"key":{"type":"integer","maxInteger":1}}"#;
        assert_eq!(
            read(few, [1, 2, 3]),
            Err("syntax error"),
            "its number is looked at first"
        );
        assert_eq!(read(map, Datum::empty()), Err("syntax error"));
        assert_eq!(read(set, Datum::map([(1, 1)])), Err("syntax error"));
        let enumeration = r#"{"key":{"type":"string","enum":["set",["a"]]}}"#;
        assert_eq!(read(enumeration, "b"), Err("constraint violation"));
    }

    #[test]
    fn a_name_means_the_same_row_before_and_after_it_is_given() {
        let mut names = Names::default();
        let named = Datum::Atom(Atom::NamedUuid("a".into()));
        let early = super::read("c", &ty(r#""uuid""#), &named, Some(&mut names)).unwrap();
        let uuid = names.give("a", None).unwrap();
        assert_eq!(early, Datum::from(uuid));
        let twice = Datum::map([(Atom::NamedUuid("a".into()), 1), (uuid.into(), 2)]);
        let map = ty(r#"{"key":"uuid","value":"integer","min":0,"max":9}"#);
        let failure = super::read("c", &map, &twice, Some(&mut names)).unwrap_err();
        assert_eq!(failure.name, "ovsdb error");
        assert_eq!(
            names.give("a", None).unwrap_err().name,
            "duplicate uuid-name"
        );
        assert_eq!(names.give("a-b", None).unwrap_err().name, "syntax error");
        assert!(super::read("c", &ty(r#""uuid""#), &named, None).is_err());
    }
}
