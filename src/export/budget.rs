//! The memory that batches hold while they are sent or wait for a retry, shared by every lane.
//!
//! A third is divided evenly: each lane's part is always there for it. A third is for whoever needs more: a destination
//! that is down can fill its own part and the common one, never another lane's. The last third is one more part for each
//! lane of which all that it holds waits for a retry: it takes that without asking ([`Share::take`]), since only what was
//! not tried yet shows whether its destination is down or does not take what is held.
//!
//! Limit: lanes that read one part at a time, and one record at least, hold the budget together and two records each.

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

    /// Bytes that all lanes hold.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.inner.lock().held.values().sum()
    }
}

impl Inner {
    /// What each of `lanes` has for itself.
    fn part(&self, lanes: &Lanes) -> usize {
        (self.total / 3 / lanes.held.len().max(1)).max(1)
    }

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
    /// The most that a lane should read at a time, in bytes: what it always has.
    #[must_use]
    pub fn part(&self) -> usize {
        self.inner.part(&self.inner.lock())
    }

    /// Takes `bytes`, or says that they do not fit at present: await [`Share::freed`].
    #[must_use]
    pub fn try_take(&self, bytes: usize) -> bool {
        let mut lanes = self.inner.lock();
        let own = self.inner.part(&lanes);
        let common = self.inner.total / 3;
        let of_others: usize = lanes
            .held
            .iter()
            .filter(|(lane, _)| **lane != self.lane)
            .map(|(_, held)| held.saturating_sub(own))
            .sum();
        let held = lanes.held.get(&self.lane).copied().unwrap_or(0);
        let wanted = held.saturating_add(bytes);
        let fits = wanted.saturating_sub(own).saturating_add(of_others) <= common;
        if wanted > own && !fits {
            return false;
        }
        lanes.held.insert(self.lane, wanted);
        true
    }

    /// Takes `bytes` whether or not they fit.
    pub fn take(&self, bytes: usize) {
        self.adjust(0, bytes);
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

    #[test]
    fn a_full_lane_leaves_every_other_its_part() {
        let budget = Budget::new(1200);
        let (down, up) = (budget.share(), budget.share());
        while down.try_take(50) {}
        assert_eq!(budget.held(), 600, "its own sixth and the common third");
        assert!(up.try_take(200));
        assert!(!up.try_take(1));
        down.give_back(100);
        assert!(up.try_take(100));
    }

    #[test]
    fn however_much_a_lane_took_it_leaves_every_other_its_part() {
        let budget = Budget::new(60);
        let (a, b) = (budget.share(), budget.share());
        assert_eq!(a.part(), 10);
        assert!(a.try_take(a.part()));
        a.adjust(10, 5000);
        assert!(!a.try_take(1));
        assert!(b.try_take(b.part()));
        assert!(!b.try_take(1));
        a.take(1);
        assert_eq!(budget.held(), 5011);
        drop((a, b));
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn there_is_a_part_for_each_of_more_lanes_than_bytes() {
        let budget = Budget::new(2);
        let shares: Vec<_> = (0..3).map(|_| budget.share()).collect();
        assert!(shares.iter().all(|share| share.try_take(share.part())));
    }
}
