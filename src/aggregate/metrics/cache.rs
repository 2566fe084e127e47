//! Finds what was made for the same bytes before: the steady state builds no strings.
//!
//! One map per level: resource, scope, metric, point. A key is the slot of the level above and the bytes that make the
//! difference, compared in full, so that no hash, chosen or not, gives a point to another's series. Keys are as
//! written: the same attributes in another order are another entry for the same series.
//!
//! Limits: entries and bytes of a level; what would pass them empties all levels, counted, and they fill again.
//! Cost: one hash and one comparison of the key; about 60 B an entry and its key.

use std::hash::{BuildHasher as _, Hasher as _};

use hashbrown::{DefaultHashBuilder, HashTable};

/// The slot of an entry within its level.
pub(in crate::aggregate) type Slot = u32;

/// The level above the highest.
pub(in crate::aggregate) const ROOT: Slot = Slot::MAX;

/// One level: values by the bytes that they were made from.
#[derive(Debug)]
pub(in crate::aggregate) struct Level<T> {
    hasher: DefaultHashBuilder,
    index: HashTable<Slot>,
    entries: Vec<Entry<T>>,
    bytes: usize,
    entries_max: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Entry<T> {
    hash: u64,
    parent: Slot,
    part: u64,
    key: Box<[u8]>,
    value: T,
}

/// What an entry takes: itself, its place in the index, and a key of so many bytes.
const fn cost<T>(key_bytes: usize) -> usize {
    size_of::<Entry<T>>() + 24 + key_bytes
}

/// Where a key was looked for.
#[derive(Clone, Copy, Debug)]
pub(in crate::aggregate) struct Place(u64);

impl<T> Level<T> {
    pub(in crate::aggregate) fn new(entries_max: usize, bytes_max: usize) -> Self {
        Self {
            hasher: DefaultHashBuilder::default(),
            index: HashTable::new(),
            entries: Vec::new(),
            bytes: 0,
            entries_max,
            bytes_max,
        }
    }

    /// The slot of a key, or where to insert it. `part` tells apart what shares its bytes.
    #[inline]
    pub(in crate::aggregate) fn find(
        &self,
        parent: Slot,
        part: u64,
        key: &[u8],
    ) -> Result<Slot, Place> {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u32(parent);
        hasher.write_u64(part);
        hasher.write(key);
        let hash = hasher.finish();
        let is = |&slot: &Slot| {
            self.entries.get(slot as usize).is_some_and(|entry| {
                entry.parent == parent && entry.part == part && *entry.key == *key
            })
        };
        self.index.find(hash, is).copied().ok_or(Place(hash))
    }

    /// Whether a key of so many bytes has room. The first always has: whoever empties a level for a key would do so for ever.
    pub(in crate::aggregate) fn has_room(&self, key_bytes: usize) -> bool {
        let fits = self.bytes + cost::<T>(key_bytes) <= self.bytes_max;
        self.entries.is_empty() || self.entries.len() < self.entries_max && fits
    }

    /// Adds what [`Level::find`] did not find.
    pub(in crate::aggregate) fn insert(
        &mut self,
        Place(hash): Place,
        (parent, part, key): (Slot, u64, &[u8]),
        value: T,
    ) -> Slot {
        let slot = Slot::try_from(self.entries.len()).unwrap_or(ROOT);
        self.bytes += cost::<T>(key.len());
        self.entries.push(Entry { hash, parent, part, key: key.into(), value });
        let entries = &self.entries;
        let rehash = |&slot: &Slot| entries.get(slot as usize).map_or(0, |entry| entry.hash);
        self.index.insert_unique(hash, slot, rehash);
        slot
    }

    pub(in crate::aggregate) fn get(&self, slot: Slot) -> Option<&T> {
        self.entries.get(slot as usize).map(|entry| &entry.value)
    }

    pub(in crate::aggregate) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.entries.get_mut(slot as usize).map(|entry| &mut entry.value)
    }

    pub(in crate::aggregate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(in crate::aggregate) fn clear(&mut self) {
        self.index.clear();
        self.entries.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(level: &mut Level<u8>, parent: Slot, part: u64, key: &[u8], value: u8) -> Slot {
        let place = level.find(parent, part, key).unwrap_err();
        level.insert(place, (parent, part, key), value)
    }

    #[test]
    fn keys_differ_by_parent_part_and_bytes() {
        let mut level = Level::new(10, 1_000);
        let a = add(&mut level, 1, 0, b"k", 1);
        let b = add(&mut level, 2, 0, b"k", 2);
        let c = add(&mut level, 1, 7, b"k", 3);
        let d = add(&mut level, 1, 0, b"kk", 4);
        for (parent, part, key, slot) in
            [(1, 0, &b"k"[..], a), (2, 0, b"k", b), (1, 7, b"k", c), (1, 0, b"kk", d)]
        {
            assert_eq!(level.find(parent, part, key).unwrap(), slot);
        }
        assert_eq!([a, b, c, d].map(|slot| *level.get(slot).unwrap()), [1, 2, 3, 4]);
    }

    #[test]
    fn a_level_is_bounded_by_entries_and_by_bytes() {
        let mut level = Level::new(2, cost::<u8>(0) * 2 + 10);
        assert!(level.has_room(1_000), "however long the first is");
        add(&mut level, ROOT, 0, b"12345678", 0);
        assert!(level.has_room(2) && !level.has_room(3));
        add(&mut level, ROOT, 0, b"", 0);
        assert!(!level.has_room(0));
        level.clear();
        assert!(level.has_room(1_000) && level.find(ROOT, 0, b"").is_err());
    }
}
