//! The bounds of histograms, each set once, however many series have it.
//!
//! A set that no series has goes when there is no room for another, and at every checkpoint. Looking for them
//! costs a pass over all; it is made when half as many sets came since the last, so that who sends other bounds each time
//! pays for no more than one step.

use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::store::samples::same_bounds;

/// What a set costs besides its numbers.
const SET_BYTES: usize = 64;

/// Sets of bounds.
#[derive(Debug, Default)]
pub(super) struct BoundSets {
    hasher: DefaultHashBuilder,
    sets: HashTable<Arc<[f64]>>,
    bytes: usize,
    /// Sets that came since unused ones were looked for.
    added: usize,
}

const fn cost(bounds: &[f64]) -> usize {
    SET_BYTES + size_of_val(bounds)
}

impl BoundSets {
    /// The set of these bounds; `None` when a new one needs more than `room` bytes.
    pub(super) fn intern(&mut self, bounds: &[f64], room: usize) -> Option<Arc<[f64]>> {
        let hash = hash(&self.hasher, bounds);
        if let Some(known) = self.sets.find(hash, |known| same_bounds(known, bounds)) {
            return Some(Arc::clone(known));
        }
        let mut room = room;
        if cost(bounds) > room && self.added * 2 >= self.sets.len() {
            room += self.sweep();
        }
        if cost(bounds) > room {
            return None;
        }
        let set: Arc<[f64]> = bounds.into();
        self.bytes += cost(bounds);
        self.added += 1;
        let hasher = &self.hasher;
        self.sets.insert_unique(hash, Arc::clone(&set), |set| self::hash(hasher, set));
        Some(set)
    }

    /// Lets go of sets that nobody has; the bytes that they took.
    pub(super) fn sweep(&mut self) -> usize {
        let before = self.bytes;
        let bytes = &mut self.bytes;
        self.sets.retain(|set| {
            let used = Arc::strong_count(set) > 1;
            if !used {
                *bytes -= cost(set);
            }
            used
        });
        self.added = 0;
        before - self.bytes
    }

    /// Memory held, estimated.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.sets.len()
    }
}

fn hash(hasher: &DefaultHashBuilder, bounds: &[f64]) -> u64 {
    let mut hasher = hasher.build_hasher();
    bounds.iter().for_each(|bound| hasher.write_u64(bound.to_bits()));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bounds_are_one_set_as_long_as_somebody_has_it() {
        let mut sets = BoundSets::default();
        let a = sets.intern(&[1.0, 2.0], 1_000).unwrap();
        let b = sets.intern(&[1.0, 2.0], 0).unwrap();
        assert!(Arc::ptr_eq(&a, &b));
        // Zero has two signs, and a set comes back bit by bit.
        assert!(!Arc::ptr_eq(
            &sets.intern(&[0.0], 100).unwrap(),
            &sets.intern(&[-0.0], 100).unwrap()
        ));
        assert_eq!(sets.sweep(), 2 * (SET_BYTES + 8));
        assert_eq!((sets.len(), sets.bytes()), (1, SET_BYTES + 16));
    }

    #[test]
    fn unused_sets_make_room_and_used_ones_do_not() {
        let mut sets = BoundSets::default();
        let room = 10 * (SET_BYTES + 8);
        for i in 0..10_000 {
            let left = room - sets.bytes();
            assert!(sets.intern(&[f64::from(i)], left).is_some(), "{i}");
        }
        assert!(sets.bytes() <= room);
        sets.sweep();
        let kept: Vec<_> = (0..20)
            .filter_map(|i| {
                let left = room - sets.bytes();
                sets.intern(&[f64::from(i)], left)
            })
            .collect();
        assert_eq!(kept.len(), 10);
    }
}
