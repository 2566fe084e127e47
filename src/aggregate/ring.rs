//! What waits in the order of receipt, found by a hash.
//!
//! ```text
//! ring    value │ value │ value │ …   appended behind, taken in front
//! index   hash ─▶ number of the value; its place is the number less that of the front
//! ```
//! The ring is written and read in order, the index has 5 B per value: both stay in the cache while ids are spread over
//! all of memory. A value costs one insertion, one removal, and a probe for each search. The bound is the caller's.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hash};

use hashbrown::{DefaultHashBuilder, HashTable};

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Ring<T> {
    values: VecDeque<(u64, T)>,
    index: HashTable<u32>,
    /// The number of the front; numbers wrap.
    front: u32,
    /// Where [`Ring::each_mut`] goes; kept for its memory.
    places: Vec<u32>,
    hasher: DefaultHashBuilder,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        let (values, index) = (VecDeque::new(), HashTable::new());
        let (places, hasher) = (Vec::new(), DefaultHashBuilder::default());
        Self { values, index, front: 0, places, hasher }
    }
}

impl<T> Ring<T> {
    /// The hash of what values are found by.
    #[inline]
    pub(super) fn hash(&self, key: impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The one that waits longest.
    pub(super) fn front(&self) -> Option<&T> {
        self.values.front().map(|(_, value)| value)
    }

    pub(super) fn push(&mut self, hash: u64, value: T) {
        #[expect(clippy::cast_possible_truncation, reason = "numbers wrap; no ring is 2^32 long")]
        let number = self.front.wrapping_add(self.values.len() as u32);
        self.values.push_back((hash, value));
        let (values, front) = (&self.values, self.front);
        let rehash = |&number: &u32| {
            values.get(number.wrapping_sub(front) as usize).map_or(0, |(hash, _)| *hash)
        };
        self.index.insert_unique(hash, number, rehash);
    }

    /// Takes the front.
    pub(super) fn pop(&mut self) -> Option<T> {
        let (hash, value) = self.values.pop_front()?;
        let front = self.front;
        if let Ok(entry) = self.index.find_entry(hash, |&number| number == front) {
            entry.remove();
        }
        self.front = front.wrapping_add(1);
        Some(value)
    }

    /// One with this hash that `is` it; of several any, so the caller keeps one of a kind.
    #[inline]
    pub(super) fn find(&self, hash: u64, is: impl Fn(&T) -> bool) -> Option<&T> {
        self.position(hash, is).and_then(|place| self.at(place))
    }

    /// The same, to change it.
    #[inline]
    pub(super) fn find_mut(&mut self, hash: u64, is: impl Fn(&T) -> bool) -> Option<&mut T> {
        let place = self.position(hash, is)?;
        self.values.get_mut(place).map(|(_, value)| value)
    }

    #[inline]
    fn position(&self, hash: u64, is: impl Fn(&T) -> bool) -> Option<usize> {
        let place = |number: &u32| number.wrapping_sub(self.front) as usize;
        let matches = |number: &u32| {
            let value = self.values.get(place(number));
            value.is_some_and(|(of, value)| *of == hash && is(value))
        };
        self.index.find(hash, matches).map(place)
    }

    fn at(&self, place: usize) -> Option<&T> {
        self.values.get(place).map(|(_, value)| value)
    }

    /// Changes each with this hash, the oldest first.
    pub(super) fn each_mut(&mut self, hash: u64, mut change: impl FnMut(&mut T)) {
        let of_hash = self.index.iter_hash(hash).map(|number| number.wrapping_sub(self.front));
        self.places.clear();
        self.places.extend(of_hash);
        self.places.sort_unstable();
        for &place in &self.places {
            if let Some((of, value)) = self.values.get_mut(place as usize)
                && *of == hash
            {
                change(value);
            }
        }
    }

    /// All of them, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.values.iter().map(|(_, value)| value)
    }

    /// All of them, the oldest first, each gone.
    pub(super) fn into_values(self) -> impl Iterator<Item = T> {
        self.values.into_iter().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pushed_is_found_until_it_is_popped() {
        let mut ring = Ring::default();
        for round in 0..3_u32 {
            for value in 0..100 {
                ring.push(ring.hash(value % 7), (round, value));
            }
            for value in 0..100 {
                let hash = ring.hash(value % 7);
                assert_eq!(ring.find(hash, |of| of.1 == value), Some(&(round, value)));
                assert!(ring.find(ring.hash(8), |_| true).is_none());
            }
            ring.find_mut(ring.hash(3), |of| of.1 == 10).unwrap().0 = 9;
            let mut alike = Vec::new();
            ring.each_mut(ring.hash(5), |of| alike.push(of.1));
            assert!(alike.iter().copied().eq((5..100).step_by(7)), "{alike:?}");
            for value in 0..100 {
                assert_eq!(ring.pop(), Some((if value == 10 { 9 } else { round }, value)));
                assert!(ring.find(ring.hash(value % 7), |of| of.1 == value).is_none());
            }
            assert!(ring.is_empty() && ring.front().is_none());
        }
    }
}
