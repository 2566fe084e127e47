//! The memory that batches hold while they are sent or wait for a retry, shared by every lane.
//!
//! Half of it is divided evenly and always there for its lane, half is for whoever needs more: a
//! destination that is down can fill its own part and the common one, never another lane's. A lane that
//! holds nothing may always take one read, so a record larger than a lane's part still moves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// The budget of all lanes. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Budget {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    total: usize,
    lanes: Mutex<Lanes>,
    freed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Lanes {
    held: BTreeMap<u64, usize>,
    next: u64,
}

impl Budget {
    /// A budget of `total` bytes.
    #[must_use]
    pub fn new(total: usize) -> Self {
        Self { inner: Arc::new(Inner { total, lanes: Mutex::default(), freed: Arc::default() }) }
    }

    /// One more lane's part.
    #[must_use]
    pub fn share(&self) -> Share {
        let mut lanes = self.inner.lock();
        let lane = lanes.next;
        lanes.next += 1;
        lanes.held.insert(lane, 0);
        Share { inner: Arc::clone(&self.inner), lane }
    }
}

impl Inner {
    fn lock(&self) -> std::sync::MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One lane's claim on the budget.
#[derive(Debug)]
pub struct Share {
    inner: Arc<Inner>,
    lane: u64,
}

impl Share {
    /// Takes `bytes`, or says that they do not fit at present: await [`Share::freed`].
    #[must_use]
    pub fn try_take(&self, bytes: usize) -> bool {
        let mut lanes = self.inner.lock();
        let own = self.inner.total / 2 / lanes.held.len().max(1);
        let held = lanes.held.get(&self.lane).copied().unwrap_or(0);
        let wanted = held.saturating_add(bytes);
        let common = self.inner.total / 2;
        let of_others: usize = lanes
            .held
            .iter()
            .filter(|(lane, _)| **lane != self.lane)
            .map(|(_, held)| held.saturating_sub(own))
            .sum();
        let fits = wanted.saturating_sub(own).saturating_add(of_others) <= common;
        if held > 0 && wanted > own && !fits {
            return false;
        }
        lanes.held.insert(self.lane, wanted);
        true
    }

    /// Replaces `taken` bytes by what they turned out to be.
    pub fn adjust(&self, taken: usize, actual: usize) {
        let mut lanes = self.inner.lock();
        if let Some(held) = lanes.held.get_mut(&self.lane) {
            *held = held.saturating_sub(taken).saturating_add(actual);
        }
        drop(lanes);
        if actual < taken {
            self.inner.freed.notify_waiters();
        }
    }

    /// Gives `bytes` back.
    pub fn give_back(&self, bytes: usize) {
        self.adjust(bytes, 0);
    }

    /// Completes when any lane has given bytes back after this future was made.
    ///
    /// # Cancel safety
    /// Safe: nothing is taken.
    pub fn freed(&self) -> impl Future<Output = ()> + Send + 'static {
        Arc::clone(&self.inner.freed).notified_owned()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.inner.lock().held.remove(&self.lane);
        self.inner.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(budget: &Budget) -> usize {
        budget.inner.lock().held.values().sum()
    }

    #[test]
    fn a_full_lane_leaves_every_other_its_part() {
        let budget = Budget::new(1000);
        let (down, up) = (budget.share(), budget.share());
        while down.try_take(50) {}
        assert_eq!(held(&budget), 750, "its own quarter and the common half");
        assert!(up.try_take(250));
        assert!(!up.try_take(1));
        down.give_back(100);
        assert!(up.try_take(100));
    }

    #[test]
    fn a_lane_that_holds_nothing_may_take_one_read_of_any_size() {
        let budget = Budget::new(100);
        let (a, b) = (budget.share(), budget.share());
        assert!(a.try_take(5000));
        assert!(!a.try_take(1));
        assert!(b.try_take(25), "its own part is there");
        a.adjust(5000, 10);
        drop((a, b));
        assert_eq!(held(&budget), 0);
    }
}
