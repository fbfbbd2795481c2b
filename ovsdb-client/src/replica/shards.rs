//! A map that is cheap to copy while it changes.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use uuid::Uuid;

use crate::value::Datum;

/// Number of groups of a map, and of parts of a group.
const FAN: usize = 64;

/// A map in 64 groups of 64 parts, each of which is shared until it changes.
///
/// A copy costs nothing. The first change after it costs two lists of 64 pointers and the part that
/// the key is in: of 50,000 rows about 12. So a reader may keep a state of the table for as long
/// as it likes, and the writer hardly notices.
#[derive(Debug, Clone)]
pub(super) struct Shards<K, V>(Arc<Vec<Group<K, V>>>);

type Group<K, V> = Arc<Vec<Arc<BTreeMap<K, V>>>>;

/// A key that knows its part of the map; keys should spread evenly.
pub(super) trait ShardKey: Ord + Clone {
    /// A number of which 12 bits tell the part.
    fn shard(&self) -> u16;
}

/// By the first bits, so that the parts one after another are in the order of the UUIDs.
impl ShardKey for Uuid {
    fn shard(&self) -> u16 {
        let [first, second, ..] = *self.as_bytes();
        u16::from_be_bytes([first, second]) >> 4
    }
}

impl ShardKey for Vec<Datum> {
    fn shard(&self) -> u16 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        let [first, second, ..] = hasher.finish().to_le_bytes();
        u16::from_le_bytes([first, second])
    }
}

/// Places of a key's group and of its part there.
fn places(key: &impl ShardKey) -> (usize, usize) {
    let shard = usize::from(key.shard());
    (shard / FAN % FAN, shard % FAN)
}

impl<K: ShardKey, V: Clone> Shards<K, V> {
    pub(super) fn new() -> Self {
        // What is empty is shared as well.
        let part = Arc::new(BTreeMap::new());
        let group: Group<K, V> = Arc::new((0..FAN).map(|_| Arc::clone(&part)).collect());
        Self(Arc::new((0..FAN).map(|_| Arc::clone(&group)).collect()))
    }

    /// The part that a key belongs to, to be looked into.
    pub(super) fn shard(&self, key: &K) -> &BTreeMap<K, V> {
        let (group, part) = places(key);
        &self.0[group][part]
    }

    /// The part that a key belongs to, to be changed.
    pub(super) fn shard_mut(&mut self, key: &K) -> &mut BTreeMap<K, V> {
        let (group, part) = places(key);
        let group = Arc::make_mut(&mut Arc::make_mut(&mut self.0)[group]);
        Arc::make_mut(&mut group[part])
    }

    /// All entries, in the order of the parts and of the keys within each.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let shards = self.0.iter().flat_map(|group| group.iter());
        shards.flat_map(|shard| shard.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_stays_as_it_was() {
        let mut map = Shards::new();
        let key = |n: u8| Uuid::from_bytes([n; 16]);
        for n in [9, 3, 200] {
            map.shard_mut(&key(n)).insert(key(n), n);
        }
        let copy = map.clone();
        map.shard_mut(&key(3)).remove(&key(3));
        map.shard_mut(&key(9)).insert(key(9), 10);
        let values = |map: &Shards<Uuid, u8>| map.iter().map(|(_, n)| *n).collect::<Vec<_>>();
        assert_eq!(values(&copy), [3, 9, 200]);
        assert_eq!(values(&map), [10, 200]);
    }
}
