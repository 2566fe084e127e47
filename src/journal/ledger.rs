//! The conservation ledger: accepted = delivered + queued + dropped{reason}, per signal and reader,
//! at every instant.
//!
//! `queued` is counted from what segments hold and readers have not settled, independently of the
//! other three, so the equation can fail and a test would see it. All counts are cumulative over
//! restarts: they travel in state and ack records.

use std::collections::BTreeMap;

use super::{Class, DropReason, SignalSet};
use crate::signal::Signal;

/// Requests and the items (spans, data points, log records, profiles) in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Export requests.
    pub requests: u64,
    /// Items in them.
    pub items: u64,
}

impl Count {
    pub(super) fn add(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.items = self.items.saturating_add(other.items);
    }

    pub(super) fn add_one(&mut self, items: u32) {
        self.add(Self { requests: 1, items: items.into() });
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(other.requests),
            items: self.items.saturating_sub(other.items),
        }
    }

    pub(super) fn min(self, other: Self) -> Self {
        Self { requests: self.requests.min(other.requests), items: self.items.min(other.items) }
    }

    pub(super) fn plus(mut self, other: Self) -> Self {
        self.add(other);
        self
    }
}

/// One count per signal, and one, shown nowhere, of the agent's own records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerSignal(pub [Count; 5]);

impl PerSignal {
    /// The count of one signal.
    #[must_use]
    pub fn get(&self, class: impl Into<Class>) -> Count {
        self.0.get(class.into().index()).copied().unwrap_or_default()
    }

    /// The sum over the signals of a set.
    #[must_use]
    pub fn sum(&self, signals: SignalSet) -> Count {
        signals.classes().fold(Count::default(), |sum, class| sum.plus(self.get(class)))
    }

    /// The sum over everything.
    pub(super) fn total(&self) -> Count {
        self.0.into_iter().fold(Count::default(), Count::plus)
    }

    pub(super) fn get_mut(&mut self, class: impl Into<Class>) -> &mut Count {
        slot(&mut self.0, class.into())
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| a.add(b));
    }

    pub(super) fn minus(&self, other: &Self) -> Self {
        Self(Class::ALL.map(|class| self.get(class).minus(other.get(class))))
    }
}

/// The one of a class.
pub(super) fn slot<T>(of: &mut [T; 5], class: Class) -> &mut T {
    let [traces, metrics, logs, profiles, local] = of;
    match class {
        Class::Signal(Signal::Traces) => traces,
        Class::Signal(Signal::Metrics) => metrics,
        Class::Signal(Signal::Logs) => logs,
        Class::Signal(Signal::Profiles) => profiles,
        Class::Local => local,
    }
}

/// The whole ledger at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Accepted since the journal was made, per signal.
    pub accepted: PerSignal,
    /// One entry per reader and signal it reads, in the order of the configuration; then those that left it, the
    /// last 32 by name and the older ones summed as `removed:older`, with nothing queued.
    pub readers: Vec<ReaderLedger>,
}

/// What became of one signal's records on the way to one reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderLedger {
    /// The reader's name.
    pub reader: String,
    /// The name before the last `:`, for a lane the destination's name.
    pub exporter: String,
    /// The signal.
    pub signal: Signal,
    /// Accepted since this reader began.
    pub accepted: Count,
    /// Settled with at least one item delivered, and the items delivered.
    pub delivered: Count,
    /// Kept and not settled.
    pub queued: Count,
    /// Settled with no item delivered.
    pub dropped_requests: u64,
    /// Items not delivered, by reason.
    pub dropped: BTreeMap<DropReason, u64>,
}

impl ReaderLedger {
    /// Whether accepted = delivered + queued + dropped, in requests and in items.
    #[must_use]
    pub fn balances(&self) -> bool {
        let dropped: u64 = self.dropped.values().sum();
        self.accepted.requests
            == self.delivered.requests + self.queued.requests + self.dropped_requests
            && self.accepted.items == self.delivered.items + self.queued.items + dropped
    }
}

/// One reader's cumulative counts of one signal; what state and ack records carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Accepted before the reader began.
    pub(super) before: Count,
    pub(super) delivered: Count,
    pub(super) dropped_requests: u64,
    pub(super) dropped: BTreeMap<DropReason, u64>,
}

impl Totals {
    /// Counts a settled record. What is neither delivered nor dropped by the caller's account is
    /// counted as delivered, and drops beyond its items are cut: the ledger always balances.
    pub(super) fn settle(&mut self, items: u32, dropped: &[(DropReason, u32)]) {
        let mut left = items;
        for &(reason, count) in dropped {
            let count = count.min(left);
            left -= count;
            if count > 0 {
                *self.dropped.entry(reason).or_default() += u64::from(count);
            }
        }
        if left > 0 || dropped.is_empty() {
            self.delivered.add_one(left);
        } else {
            self.dropped_requests += 1;
        }
    }

    /// Settled: delivered or dropped.
    pub(super) fn ended(&self) -> Count {
        let items = self.dropped.values().sum();
        self.delivered.plus(Count { requests: self.dropped_requests, items })
    }

    /// Counts whole records as dropped.
    pub(super) fn drop_all(&mut self, reason: DropReason, count: Count) {
        self.dropped_requests += count.requests;
        if count.items > 0 {
            *self.dropped.entry(reason).or_default() += count.items;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_settled_with_more_drops_than_items_still_balances() {
        let mut totals = Totals::default();
        totals.settle(10, &[(DropReason::PartialSuccess, 4), (DropReason::TooLarge, 9)]);
        totals.settle(10, &[]);
        totals.settle(10, &[(DropReason::PartialSuccess, 3)]);
        let row = ReaderLedger {
            reader: "a:traces".into(),
            exporter: "a".into(),
            signal: Signal::Traces,
            accepted: Count { requests: 3, items: 30 },
            delivered: totals.delivered,
            queued: Count::default(),
            dropped_requests: totals.dropped_requests,
            dropped: totals.dropped,
        };
        assert!(row.balances(), "{row:?}");
    }
}
