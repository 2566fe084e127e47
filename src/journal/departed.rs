//! Readers that left the configuration: their part of the ledger, so that what they did not deliver stays counted.
//!
//! Invariant: accepted = delivered + dropped in every row; nothing is queued. A reader that comes back goes on
//! counting where it stopped. Limits: [`ROWS_MAX`] rows; older ones are summed in one that is named
//! [`OLDER`]. Rows travel in state and ack records and so outlive restarts.

use std::collections::VecDeque;

use super::ledger::{Count, PerSignal, ReaderLedger, Totals};
use super::{Class, SignalSet};
use crate::signal::Signal;

/// Rows kept by name.
pub(super) const ROWS_MAX: usize = 32;
/// The row that sums all older ones; no destination can have this name.
pub(super) const OLDER: &str = "removed:older";

/// A reader that left the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Its name.
    pub reader: String,
    /// What it had not delivered, now dropped with [`super::DropReason::Removed`].
    pub dropped: Count,
}

#[derive(Debug, Default)]
pub(super) struct Departed {
    /// The longest gone first.
    pub(super) rows: VecDeque<Row>,
    /// Changed since a record on disk said it.
    pub(super) dirty: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) signals: SignalSet,
    pub(super) totals: [Totals; 5],
}

impl Departed {
    pub(super) fn push(&mut self, row: Row) {
        self.dirty = true;
        self.rows.push_back(row);
        let mut named = self.rows.iter().enumerate().filter(|(_, row)| row.name != OLDER);
        let oldest = named.next().map(|(at, _)| at).filter(|_| named.count() >= ROWS_MAX);
        let Some(oldest) = oldest.and_then(|at| self.rows.remove(at)) else { return };
        match self.rows.iter_mut().find(|row| row.name == OLDER) {
            Some(older) => older.add(&oldest),
            None => self.rows.push_front(Row { name: OLDER.to_owned(), ..oldest }),
        }
    }

    /// The totals of a reader that comes back, to go on from: of everything accepted, `before` is what
    /// does not concern it from here on. Totals of zero for one that was never there, or that
    /// reads again what it had let go of.
    pub(super) fn take(
        &mut self,
        name: &str,
        signals: SignalSet,
        before: &PerSignal,
    ) -> [Totals; 5] {
        let at = self.rows.iter().position(|row| row.name == name && row.signals == signals);
        let row = at.and_then(|at| self.rows.remove(at));
        self.dirty |= row.is_some();
        let fits = |row: &Row| {
            signals.classes().all(|s| row.of(s).ended().min(before.get(s)) == row.of(s).ended())
        };
        let row = row.filter(fits).unwrap_or_default();
        Class::ALL.map(|class| {
            let totals = row.of(class);
            Totals { before: before.get(class).minus(totals.ended()), ..totals }
        })
    }

    pub(super) fn ledger(&self) -> impl Iterator<Item = ReaderLedger> {
        self.rows.iter().flat_map(|row| row.signals.iter().map(|signal| row.ledger(signal)))
    }
}

impl Row {
    fn of(&self, class: impl Into<Class>) -> Totals {
        self.totals.get(class.into().index()).cloned().unwrap_or_default()
    }

    fn add(&mut self, other: &Self) {
        for (signal, (mine, theirs)) in self.totals.iter_mut().zip(&other.totals).enumerate() {
            mine.delivered.add(theirs.delivered);
            mine.dropped_requests += theirs.dropped_requests;
            for (&reason, items) in &theirs.dropped {
                *mine.dropped.entry(reason).or_default() += items;
            }
            if let Some(has) = self.signals.0.get_mut(signal) {
                *has |= other.signals.0.get(signal).is_some_and(|&has| has);
            }
        }
    }

    fn ledger(&self, signal: Signal) -> ReaderLedger {
        let totals = self.of(signal);
        let exporter = self.name.rsplit_once(':').map_or(self.name.as_str(), |(name, _)| name);
        ReaderLedger {
            reader: self.name.clone(),
            exporter: exporter.to_owned(),
            signal,
            accepted: totals.ended(),
            delivered: totals.delivered,
            queued: Count::default(),
            dropped_requests: totals.dropped_requests,
            dropped: totals.dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::DropReason;

    fn row(name: &str, signal: Signal, items: u64) -> Row {
        let mut row =
            Row { name: name.to_owned(), signals: SignalSet::only(signal), ..Row::default() };
        row.totals[signal.index()].drop_all(DropReason::Removed, Count { requests: 1, items });
        row
    }

    #[test]
    fn what_is_beyond_the_limit_is_summed_and_not_forgotten() {
        let mut departed = Departed::default();
        for n in 0..100 {
            let signal = if n % 2 == 0 { Signal::Traces } else { Signal::Logs };
            departed.push(row(&format!("d{n}:x"), signal, 10));
        }
        assert_eq!(departed.rows.len(), ROWS_MAX + 1);
        let rows: Vec<_> = departed.ledger().collect();
        assert!(rows.iter().all(ReaderLedger::balances), "{rows:?}");
        assert_eq!(rows.iter().map(|row| row.dropped[&DropReason::Removed]).sum::<u64>(), 1000);
        let older: Vec<_> = rows.iter().filter(|row| row.reader == OLDER).collect();
        assert_eq!(older.len(), 2, "one per signal");
        assert_eq!(older[0].exporter, "removed");
    }

    #[test]
    fn a_reader_that_comes_back_goes_on_counting_unless_it_reads_again() {
        let signals = SignalSet::only(Signal::Traces);
        for (accepted_before, before, dropped) in [(25, 15, 10), (4, 4, 0)] {
            let mut departed = Departed::default();
            departed.push(row("a:traces", Signal::Traces, 10));
            let mut accepted = PerSignal::default();
            accepted.0[0] = Count { requests: 5, items: accepted_before };
            let totals = departed.take("a:traces", signals, &accepted);
            assert_eq!(totals[0].before.items, before);
            assert_eq!(totals[0].dropped.values().sum::<u64>(), dropped);
            assert!(departed.rows.is_empty());
        }
    }
}
