//! The least and the greatest since metrics were last collected.
//!
//! Recording is two loads unless the value is a new extreme. The walk takes the extremes about once a second and keeps them
//! until a collection has seen them, so that one between two collections is not missed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::observe;

#[derive(Debug)]
pub(crate) struct Window {
    least: AtomicU64,
    greatest: AtomicU64,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    collections: u64,
    least: u64,
    greatest: u64,
}

impl Default for Window {
    fn default() -> Self {
        let held = Held { collections: 0, least: u64::MAX, greatest: 0 };
        Self { least: u64::MAX.into(), greatest: 0.into(), held: Mutex::new(held) }
    }
}

impl Window {
    #[inline]
    pub(crate) fn record(&self, value: u64) {
        if value < self.least.load(Ordering::Relaxed) {
            self.least.fetch_min(value, Ordering::Relaxed);
        }
        if value > self.greatest.load(Ordering::Relaxed) {
            self.greatest.fetch_max(value, Ordering::Relaxed);
        }
    }

    /// The extremes since the last collection; `None` without a value.
    pub(crate) fn extremes(&self) -> Option<(u64, u64)> {
        let least = self.least.swap(u64::MAX, Ordering::Relaxed);
        let greatest = self.greatest.swap(0, Ordering::Relaxed);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let collections = observe::collections();
        if held.collections != collections {
            *held = Held { collections, least: u64::MAX, greatest: 0 };
        }
        held.least = held.least.min(least);
        held.greatest = held.greatest.max(greatest);
        // A value between the two swaps is in one of them only.
        (held.least <= held.greatest).then_some((held.least, held.greatest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_are_those_of_all_values_since_the_collection() {
        let window = Window::default();
        assert_eq!(window.extremes(), None);
        [5, 3, 9].iter().for_each(|value| window.record(*value));
        let first = window.extremes();
        window.record(0);
        // Another test may have collected in between.
        assert!(first == Some((3, 9)) && matches!(window.extremes(), Some((0, 0 | 9))));
    }
}
