//! What waits in the order of receipt, found by a hash.
//!
//! ```text
//! ring    value │ value │ value │ …   appended behind, taken in front; each says the number of the one before with its hash
//! index   hash ─▶ number of its last value; the place of a value is its number less that of the front
//! ```
//! The ring is written and read in order, the index has 5 B per hash: both stay in the cache while ids are spread over
//! all of memory. A value costs one insertion, one removal, and a probe for each search, however many have its hash. The
//! bound is the caller's.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hash};

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Ring<T> {
    values: VecDeque<Slot<T>>,
    index: HashTable<u32>,
    /// The number of the front; numbers wrap.
    front: u32,
    /// Where [`Ring::each_mut`] goes; kept for its memory.
    places: Vec<usize>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Slot<T> {
    hash: u64,
    /// The number of the one before with this hash; of none, or of one that is gone, it is not in the ring.
    before: u32,
    value: T,
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
        self.values.front().map(|slot| &slot.value)
    }

    pub(super) fn push(&mut self, hash: u64, value: T) {
        #[expect(clippy::cast_possible_truncation, reason = "numbers wrap; no ring is 2^32 long")]
        let number = self.front.wrapping_add(self.values.len() as u32);
        let (values, front) = (&self.values, self.front);
        let of = |&number: &u32| {
            values.get(number.wrapping_sub(front) as usize).map_or(0, |slot| slot.hash)
        };
        let before = match self.index.entry(hash, |number| of(number) == hash, of) {
            Entry::Occupied(mut last) => std::mem::replace(last.get_mut(), number),
            Entry::Vacant(place) => {
                place.insert(number);
                front.wrapping_sub(1)
            }
        };
        self.values.push_back(Slot { hash, before, value });
    }

    /// Takes the front.
    pub(super) fn pop(&mut self) -> Option<T> {
        let Slot { hash, value, .. } = self.values.pop_front()?;
        let front = self.front;
        // It is the first with its hash. If it is the last as well, there is none now.
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
        self.values.get_mut(place).map(|slot| &mut slot.value)
    }

    #[inline]
    fn position(&self, hash: u64, is: impl Fn(&T) -> bool) -> Option<usize> {
        let mut of_hash = self.places(hash);
        of_hash.find(|&place| self.at(place).is_some_and(&is))
    }

    /// The places of those with this hash, the newest first.
    #[inline]
    fn places(&self, hash: u64) -> impl Iterator<Item = usize> {
        let place = |number: u32| number.wrapping_sub(self.front) as usize;
        let is = move |&number: &u32| {
            self.values.get(place(number)).is_some_and(|slot| slot.hash == hash)
        };
        let last = self.index.find(hash, is).map(|&number| place(number));
        let before = move |&at: &usize| self.values.get(at).map(|slot| place(slot.before));
        std::iter::successors(last, before).take_while(|&at| at < self.values.len())
    }

    fn at(&self, place: usize) -> Option<&T> {
        self.values.get(place).map(|slot| &slot.value)
    }

    /// Changes each with this hash, the oldest first.
    pub(super) fn each_mut(&mut self, hash: u64, mut change: impl FnMut(&mut T)) {
        let mut places = std::mem::take(&mut self.places);
        places.clear();
        places.extend(self.places(hash));
        for &place in places.iter().rev() {
            if let Some(slot) = self.values.get_mut(place) {
                change(&mut slot.value);
            }
        }
        self.places = places;
    }

    /// All of them, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.values.iter().map(|slot| &slot.value)
    }

    /// All of them, the oldest first, each gone.
    pub(super) fn into_values(self) -> impl Iterator<Item = T> {
        self.values.into_iter().map(|slot| slot.value)
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
