//! What a lane says to people: its status, and log lines when something changes, not at every attempt.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::batch::Batch;
use super::client::{Partial, SendError};
use super::refused::{Sample, escaped};
use super::schedule::Outage;
use super::status::{LaneCell, State};
use crate::time::{Clock, UnixNano};

/// The least time between two log lines of one kind from one lane.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// A lane's voice.
#[derive(Debug)]
pub(super) struct Report {
    cell: Arc<LaneCell>,
    clock: Arc<dyn Clock>,
    exporter: String,
    signal: &'static str,
    partial: RateLimit,
    refused: RateLimit,
    unreadable: RateLimit,
}

impl Report {
    pub(super) fn new(cell: Arc<LaneCell>, clock: Arc<dyn Clock>) -> Self {
        let (exporter, signal) = cell.update(|s| (s.exporter.clone(), s.signal));
        let limit = RateLimit::default;
        Self {
            cell,
            clock,
            exporter,
            signal,
            partial: limit(),
            refused: limit(),
            unreadable: limit(),
        }
    }

    pub(super) fn show(&self, in_flight: usize, waiting: usize) {
        self.cell.update(|status| {
            status.in_flight = in_flight;
            status.waiting = waiting;
        });
    }

    pub(super) fn delivered(&self) {
        let now = self.clock.unix_nano().0;
        let before = self.cell.update(|status| {
            status.last_success_unix_nano = Some(now);
            std::mem::replace(&mut status.state, State::Sending)
        });
        if before != State::Sending {
            tracing::info!(exporter = self.exporter, signal = self.signal, "delivering again");
        }
    }

    pub(super) fn failed(&self, error: &SendError) {
        self.cell.note_error(self.clock.unix_nano(), &escaped(&error.chain()));
    }

    /// An outage began, went on, or became another.
    pub(super) fn outage(&self, outage: &Outage, error: &SendError) {
        let now = self.clock.unix_nano().0;
        let reason = escaped(&error.chain());
        let (exporter, signal) = (&self.exporter, self.signal);
        let failures = outage.failures;
        let before = self.cell.update(|status| {
            let since_unix_nano = match &status.state {
                State::BackingOff { since_unix_nano, .. } | State::Held { since_unix_nano, .. } => {
                    *since_unix_nano
                }
                State::Sending | State::Stopped => now,
            };
            let state = if outage.held {
                State::Held { since_unix_nano, reason: reason.clone() }
            } else {
                State::BackingOff { since_unix_nano, failures }
            };
            std::mem::replace(&mut status.state, state)
        });
        match before {
            State::Held { .. } if outage.held => {}
            _ if outage.held => tracing::error!(
                exporter,
                signal,
                reason,
                "held: the destination refuses the configuration; nothing is lost while the journal \
                 has room"
            ),
            State::BackingOff { .. } => {}
            _ => tracing::warn!(exporter, signal, reason, "backing off"),
        }
    }

    pub(super) fn partial(&self, partial: &Partial) {
        if let Some(more) = self.partial.pass(self.clock.monotonic()) {
            let (exporter, signal, rejected) = (&self.exporter, self.signal, partial.rejected);
            let message = escaped(&partial.message);
            tracing::warn!(exporter, signal, rejected, message, more, "partial success");
        }
    }

    pub(super) fn refused(&self, error: &SendError, batch: &Batch) {
        if let Some(more) = self.refused.pass(self.clock.monotonic()) {
            let (exporter, signal, items) = (&self.exporter, self.signal, batch.items());
            let reason = escaped(&error.chain());
            tracing::warn!(exporter, signal, items, reason, more, "dropped");
        }
    }

    pub(super) fn unreadable(&self, why: &str) {
        self.cell.note_error(self.clock.unix_nano(), &escaped(why));
        if let Some(more) = self.unreadable.pass(self.clock.monotonic()) {
            let (exporter, signal) = (&self.exporter, self.signal);
            tracing::error!(exporter, signal, why, more, "cannot read the journal");
        }
    }

    pub(super) fn sample(&self, sample: Sample) {
        self.cell.refused.push(sample);
    }

    pub(super) fn stopped(&self) {
        self.cell.update(|status| {
            status.state = State::Stopped;
            status.in_flight = 0;
        });
    }
}

/// Lets one line pass per [`LOG_INTERVAL`].
#[derive(Debug, Default)]
struct RateLimit {
    next: AtomicU64,
    suppressed: AtomicU64,
}

impl RateLimit {
    /// How many were held back since the last one that passed, or `None` when this one is held back too.
    fn pass(&self, now: Duration) -> Option<u64> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        if now < self.next.load(Ordering::Relaxed) {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let next = UnixNano(now).0.saturating_add(10_u64.pow(9) * LOG_INTERVAL.as_secs());
        self.next.store(next, Ordering::Relaxed);
        Some(self.suppressed.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_passes_at_a_time_and_says_how_many_did_not() {
        let limit = RateLimit::default();
        let at = Duration::from_secs;
        let passed: Vec<_> = [1, 2, 3, 12, 13, 30].map(|s| limit.pass(at(s))).into();
        assert_eq!(passed, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
