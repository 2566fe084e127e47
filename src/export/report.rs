//! What a lane says to people: its status, and log lines when something changes, not at every attempt.

use std::sync::Arc;
use std::time::Duration;

use super::batch::Batch;
use super::client::{Partial, SendError};
use super::refused::{Sample, escaped};
use super::schedule::Outage;
use super::status::{LaneCell, State};
use crate::telemetry::logs::Seldom;
use crate::time::Clock;

/// The least time between two log lines of one kind from one lane.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// A lane's voice.
#[derive(Debug)]
pub(super) struct Report {
    cell: Arc<LaneCell>,
    clock: Arc<dyn Clock>,
    exporter: String,
    signal: &'static str,
    partial: Seldom,
    refused: Seldom,
    unreadable: Seldom,
}

impl Report {
    pub(super) fn new(cell: Arc<LaneCell>, clock: Arc<dyn Clock>) -> Self {
        let (exporter, signal) = cell.update(|s| (s.exporter.clone(), s.signal));
        let limit = || Seldom::every(LOG_INTERVAL);
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

    /// The destination's configured name.
    pub(super) fn exporter(&self) -> &str {
        &self.exporter
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
        if let Some(more) = self.partial.pass_at(self.clock.monotonic()) {
            let (exporter, signal, rejected) = (&self.exporter, self.signal, partial.rejected);
            let message = escaped(&partial.message);
            tracing::warn!(exporter, signal, rejected, message, more, "partial success");
        }
    }

    pub(super) fn refused(&self, error: &SendError, batch: &Batch) {
        if let Some(more) = self.refused.pass_at(self.clock.monotonic()) {
            let (exporter, signal, items) = (&self.exporter, self.signal, batch.items());
            let reason = escaped(&error.chain());
            tracing::warn!(exporter, signal, items, reason, more, "dropped");
        }
    }

    pub(super) fn unreadable(&self, why: &str) {
        self.cell.note_error(self.clock.unix_nano(), &escaped(why));
        if let Some(more) = self.unreadable.pass_at(self.clock.monotonic()) {
            let (exporter, signal) = (&self.exporter, self.signal);
            tracing::error!(exporter, signal, why, more, "cannot read the journal");
        }
    }

    pub(super) fn sample(&self, sample: Sample) {
        self.cell.refused.push(sample);
    }

    #[cfg(test)]
    pub(super) fn samples(&self) -> Vec<Sample> {
        self.cell.refused.list()
    }

    pub(super) fn stopped(&self) {
        self.cell.update(|status| {
            status.state = State::Stopped;
            status.in_flight = 0;
        });
    }
}
