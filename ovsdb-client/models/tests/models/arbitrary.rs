//! Random contents for a database.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use ovsdb_client::Schema;
use ovsdb_client::schema::{BaseType, ColumnType};
use ovsdb_client::value::{Atom, AtomType, Datum, Row};
use uuid::Uuid;

/// Rows of every table, each column of each set at random, each reference to a row that is there.
pub(crate) fn rows(schema: &Schema, seed: u64) -> Vec<(String, Uuid, Row)> {
    let mut rng = Rng::with_seed(seed);
    let uuids: BTreeMap<&str, Vec<Uuid>> = schema
        .tables()
        .map(|(name, table)| {
            let count = table.max_rows().unwrap_or(3).min(3);
            let uuids = (0..count).map(|_| Uuid::from_u128(rng.u128(..)));
            (name, uuids.collect())
        })
        .collect();
    let mut arbitrary = Arbitrary {
        rng,
        uuids: &uuids,
        row: 0,
    };
    let mut rows = Vec::new();
    for (name, table) in schema.tables() {
        for (index, uuid) in uuids[name].iter().enumerate() {
            arbitrary.row = index;
            let columns = table.columns();
            let row: Row = columns
                .map(|(name, column)| (name, arbitrary.datum(column.column_type())))
                .collect();
            rows.push((name.to_owned(), *uuid, row));
        }
    }
    rows
}

struct Arbitrary<'a> {
    rng: Rng,
    uuids: &'a BTreeMap<&'a str, Vec<Uuid>>,
    /// Index of the row in its table.
    row: usize,
}

impl Arbitrary<'_> {
    fn datum(&mut self, ty: &ColumnType) -> Datum {
        let count = self.rng.usize(ty.min..=ty.max.unwrap_or(3).min(3));
        // A short list of values may not have so many.
        let attempts = count * 8;
        let mut keys = BTreeSet::new();
        for attempt in 0..attempts {
            if keys.len() < count {
                keys.insert(self.atom(&ty.key, attempt));
            }
        }
        match &ty.value {
            None => Datum::set(keys),
            Some(value) => {
                let keys = keys.into_iter().enumerate();
                Datum::map(keys.map(|(index, key)| (key, self.atom(value, index))))
            }
        }
    }

    fn atom(&mut self, base: &BaseType, index: usize) -> Atom {
        if let Some(allowed) = &base.allowed {
            return self.rng.choice(allowed).unwrap().clone();
        }
        if let Some(reference) = &base.reference {
            let targets = &self.uuids[reference.table.as_str()];
            // Each row begins with another target: some are unique by what they refer to.
            return Atom::Uuid(targets[(self.row + index) % targets.len()]);
        }
        match base.atom_type {
            AtomType::Boolean => Atom::Boolean(self.rng.bool()),
            AtomType::Uuid => Atom::Uuid(Uuid::from_u128(self.rng.u128(..))),
            AtomType::Integer => {
                let bound = |bound: &Option<Atom>, none| {
                    bound.as_ref().map_or(none, |atom| atom.as_i64().unwrap())
                };
                let range = bound(&base.min, i64::MIN)..=bound(&base.max, i64::MAX);
                Atom::Integer(self.rng.i64(range))
            }
            AtomType::Real => {
                let bound = |bound: &Option<Atom>, none| {
                    bound.as_ref().map_or(none, |atom| atom.as_f64().unwrap())
                };
                let (min, max) = (bound(&base.min, -1e12), bound(&base.max, 1e12));
                Atom::Real(min + self.rng.f64() * (max - min))
            }
            AtomType::String => {
                // Long enough to differ in every index.
                let most = base.max_length.unwrap_or(12).min(12);
                let length = self.rng.usize(base.min_length.max(6).min(most)..=most);
                let letters = ['a', 'Z', '0', '"', '\\', '\n', 'é', '語', '😀', ' '];
                let letters = (0..length).map(|_| *self.rng.choice(&letters).unwrap());
                Atom::String(letters.collect())
            }
        }
    }
}
