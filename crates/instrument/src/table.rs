//! A table that only grows and is read without a lock: what is bound to labels, texts that are kept.
//!
//! Invariant: an entry stays where it is for as long as the table lives, so what was found may be held.
//! Limits: the number of entries that whoever adds one allows. Cost: to find an entry a hash and one load for each entry
//! before it in its chain, of two on average in a full table; to add one a lock that readers never wait for.

use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use foldhash::fast::RandomState;

/// Entries by key.
pub(crate) struct Table<K, V> {
    chains: Box<[Link<K, V>]>,
    length: AtomicUsize,
    /// Held by whoever adds.
    adding: Mutex<()>,
    hasher: RandomState,
}

type Link<K, V> = OnceLock<Box<Entry<K, V>>>;

struct Entry<K, V> {
    hash: u64,
    key: K,
    value: V,
    next: Link<K, V>,
}

impl<K, V> Table<K, V> {
    /// One for about `entries`.
    pub(crate) fn new(entries: usize) -> Self {
        let chains = (entries / 2).next_power_of_two();
        Self {
            chains: std::iter::repeat_with(OnceLock::new).take(chains).collect(),
            length: AtomicUsize::new(0),
            adding: Mutex::new(()),
            hasher: RandomState::default(),
        }
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.length.load(Ordering::Relaxed)
    }

    /// The hash of a key, by which it is found and added.
    #[inline]
    pub(crate) fn hash(&self, key: &impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }

    #[inline]
    fn chain(&self, hash: u64) -> Option<&Link<K, V>> {
        self.chains.get(hash as usize & (self.chains.len() - 1))
    }

    /// The entry of the key that has this hash and `is` it.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is: impl Fn(&K) -> bool) -> Option<&V> {
        let mut next = self.chain(hash)?.get();
        while let Some(entry) = next {
            if entry.hash == hash && is(&entry.key) {
                return Some(&entry.value);
            }
            next = entry.next.get();
        }
        None
    }

    /// Gives all values to `then`, in no order.
    #[cfg(feature = "http")]
    pub(crate) fn each(&self, then: &mut dyn FnMut(&V)) {
        for chain in &self.chains {
            let mut next = chain.get();
            while let Some(entry) = next {
                then(&entry.value);
                next = entry.next.get();
            }
        }
    }

    /// The entry of `key`, added if there is none and fewer than `max`; `make` is told how many there are, and runs with the
    /// table locked for whoever else adds.
    #[cold]
    pub(crate) fn add(
        &self,
        hash: u64,
        key: K,
        max: usize,
        make: impl FnOnce(usize, &K) -> V,
    ) -> Option<&V>
    where
        K: PartialEq,
    {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut link = self.chain(hash)?;
        while let Some(entry) = link.get() {
            if entry.hash == hash && entry.key == key {
                return Some(&entry.value);
            }
            link = &entry.next;
        }
        let length = self.len();
        if length >= max {
            return None;
        }
        let value = make(length, &key);
        self.length.store(length + 1, Ordering::Relaxed);
        let entry = Box::new(Entry { hash, key, value, next: OnceLock::new() });
        Some(&link.get_or_init(|| entry).value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_found_and_nothing_past_the_limit_is_added() {
        let table = Table::<u32, u32>::new(10);
        for key in 0..100 {
            let hash = table.hash(&key);
            assert_eq!(table.find(hash, |other| *other == key), None);
            let added =
                table.add(hash, key, 60, |before, key| key + u32::try_from(before).unwrap());
            assert_eq!(added.copied(), (key < 60).then_some(2 * key));
        }
        let found =
            (0..100).filter(|key| table.find(table.hash(key), |other| other == key).is_some());
        assert_eq!((found.count(), table.len()), (60, 60));
        assert_eq!(table.add(table.hash(&7), 7, 0, |_, _| 0), Some(&14), "it is there");
    }

    #[test]
    fn two_threads_that_add_the_same_get_the_same() {
        let table = Table::<u32, usize>::new(64);
        let all =
            || (0..1000).map(|key| *table.add(table.hash(&key), key, 1000, |at, _| at).unwrap());
        let (one, other) = std::thread::scope(|scope| {
            let other = scope.spawn(|| all().collect::<Vec<_>>());
            (all().collect::<Vec<_>>(), other.join().unwrap())
        });
        assert_eq!(one, other);
        assert_eq!(table.len(), 1000);
    }

    #[test]
    fn a_table_in_which_making_panicked_goes_on() {
        let table = Table::<u32, u32>::new(4);
        let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            table.add(1, 1, 4, |_, _| panic!("no"));
        }));
        assert!(panics.is_err());
        assert_eq!((table.add(1, 1, 4, |_, _| 7), table.len()), (Some(&7), 1));
    }
}
