//! Differences of sets and maps, as updates and database files carry them.
//!
//! A set's difference is the symmetric one. In a map's, a pair whose key is absent is added, one
//! that is there already is removed, and one with another value replaces it (ovsdb-server(7)
//! §4.1.14; ovsdb(5), `_is_diff`). All data here are canonical, so that sets are sorted.

use std::cmp::Ordering;
use std::collections::btree_map::Entry;

use super::{Atom, Datum};

/// Up to this many elements are moved one by one; for more a merge of the two sets is cheaper.
const FEW: usize = 8;

impl Datum {
    /// Applies a difference; `None`, and no change, when one is a set and the other a map.
    pub(crate) fn combine(&mut self, difference: Self) -> Option<()> {
        match (self, difference) {
            (Self::Set(atoms), Self::Set(toggled)) if toggled.len() <= FEW => {
                for atom in toggled {
                    match atoms.binary_search(&atom) {
                        Ok(index) => drop(atoms.remove(index)),
                        Err(index) => atoms.insert(index, atom),
                    }
                }
            }
            (Self::Set(atoms), Self::Set(toggled)) => {
                *atoms = symmetric_difference(std::mem::take(atoms), toggled);
            }
            (Self::Map(map), Self::Map(difference)) => {
                for (key, value) in difference {
                    match map.entry(key) {
                        Entry::Occupied(entry) if *entry.get() == value => drop(entry.remove()),
                        Entry::Occupied(mut entry) => drop(entry.insert(value)),
                        Entry::Vacant(entry) => drop(entry.insert(value)),
                    }
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// Number of elements that [`Datum::combine`] would leave; `None` where it would fail.
    pub(crate) fn combined_len(&self, difference: &Self) -> Option<usize> {
        let common = match (self, difference) {
            (Self::Set(atoms), Self::Set(toggled)) => {
                let present = |atom: &&Atom| atoms.binary_search(atom).is_ok();
                2 * toggled.iter().filter(present).count()
            }
            (Self::Map(map), Self::Map(difference)) => difference
                .iter()
                .map(|(key, value)| match map.get(key) {
                    None => 0,
                    Some(old) if old == value => 2,
                    Some(_) => 1,
                })
                .sum(),
            _ => return None,
        };
        Some(self.len() + difference.len() - common)
    }

    /// What [`Datum::combine`] needs to make `new` of this; `None` for two of different kinds.
    pub(crate) fn difference(&self, new: &Self) -> Option<Self> {
        match (self, new) {
            (Self::Set(old), Self::Set(new)) => {
                Some(Self::Set(symmetric_difference(old.clone(), new.clone())))
            }
            (Self::Map(old), Self::Map(new)) => {
                let removed = old.iter().filter(|(key, _)| !new.contains_key(key));
                let changed = new
                    .iter()
                    .filter(|(key, value)| old.get(key) != Some(value));
                let pairs = removed.chain(changed);
                Some(Self::Map(
                    pairs.map(|(k, v)| (k.clone(), v.clone())).collect(),
                ))
            }
            _ => None,
        }
    }
}

/// The atoms that are in one of two sorted sets but not in both, sorted.
fn symmetric_difference(left: Vec<Atom>, right: Vec<Atom>) -> Vec<Atom> {
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        match a.cmp(b) {
            Ordering::Less => merged.extend(left.next()),
            Ordering::Greater => merged.extend(right.next()),
            Ordering::Equal => drop((left.next(), right.next())),
        }
    }
    merged.extend(left);
    merged.extend(right);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_map, btree_set};
    use proptest::prelude::*;

    fn set() -> impl Strategy<Value = Datum> {
        btree_set(0..24_i64, 0..16).prop_map(Datum::set)
    }

    fn map() -> impl Strategy<Value = Datum> {
        btree_map(0..8_i64, 0..3_i64, 0..6).prop_map(Datum::map)
    }

    proptest! {
        #[test]
        fn a_difference_leads_from_old_to_new((old, new) in prop_oneof![(set(), set()), (map(), map())]) {
            let difference = old.difference(&new).unwrap();
            prop_assert_eq!(old.combined_len(&difference), Some(new.len()));
            let mut combined = old.clone();
            combined.combine(difference).unwrap();
            prop_assert_eq!(&combined, &new);
            prop_assert!(new.difference(&new).unwrap().is_empty());
        }
    }

    #[test]
    fn a_set_and_a_map_do_not_combine() {
        let (mut set, map) = (Datum::from([1, 2]), Datum::map([(1, 2)]));
        assert_eq!(set.difference(&map), None);
        assert_eq!(set.combined_len(&map), None);
        assert_eq!(set.combine(map), None);
        assert_eq!(set, Datum::from([1, 2]));
    }
}
