//! What a lane says to people: its status, and log lines when something changes, not at every attempt.

use std::sync::Arc;
use std::time::Duration;

use super::batch::{Batch, Piece, Planned};
use super::client::{Partial, SendError};
use super::refused::{SAMPLES_MAX, Sample, escaped, payload_head};
use super::schedule::Outage;
use super::status::{LaneCell, State};
use crate::telemetry::logs::Seldom;
use crate::time::Clock;

/// The least time between two log lines of one kind from one lane.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The least time between two log lines about what became of one outage.
const CHANGE_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// What becomes of a batch that is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes to `journal/rejected/`.
    Kept,
    /// Nobody can send it again: the journal is in memory.
    Gone,
    /// It was left too long, or its parts are judged alone.
    Left,
}

impl Fate {
    /// Of one that is refused for good.
    pub(super) const fn of(keeps: bool) -> Self {
        if keeps { Self::Kept } else { Self::Gone }
    }
}

/// A lane's voice.
#[derive(Debug)]
pub(super) struct Report {
    cell: Arc<LaneCell>,
    clock: Arc<dyn Clock>,
    exporter: String,
    signal: &'static str,
    partial: Seldom,
    refused: Seldom,
    too_large: Seldom,
    unreadable: Seldom,
    changed: Seldom,
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
            too_large: limit(),
            unreadable: limit(),
            changed: Seldom::every(CHANGE_INTERVAL),
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
        self.cell.update(|status| {
            status.last_success_unix_nano = Some(now);
            status.state = State::Sending;
        });
        self.cell.note_taken();
        if self.cell.said().take().is_some() {
            tracing::info!(exporter = self.exporter, signal = self.signal, "delivering again");
        }
    }

    /// The destination answered: an outage is over, though it took nothing.
    pub(super) fn reached(&self) {
        self.cell.update(|status| status.state = State::Sending);
    }

    pub(super) fn failed(&self, error: &SendError) {
        self.cell.note_error(self.clock.unix_nano(), &escaped(&error.chain()));
    }

    /// An outage began, went on, or became another: the log says the first and the last.
    pub(super) fn outage(&self, outage: &Outage, error: &SendError) {
        let at = self.clock.unix_nano();
        let (now, next_attempt_unix_nano) = (at.0, at.after(outage.wait()).0);
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
                State::BackingOff { since_unix_nano, failures, next_attempt_unix_nano }
            };
            std::mem::replace(&mut status.state, state)
        });
        let same = match before {
            State::Held { .. } => outage.held,
            State::BackingOff { .. } => !outage.held,
            State::Sending | State::Stopped => false,
        };
        let mut said = self.cell.said();
        let other = said.as_ref() != Some(&reason);
        if same && !(other && self.changed.pass_at(self.clock.monotonic()).is_some()) {
            return;
        }
        if outage.held {
            tracing::error!(
                exporter,
                signal,
                reason,
                "held: the destination refuses the configuration; nothing is lost while the journal \
                 has room"
            );
        } else {
            tracing::warn!(exporter, signal, reason, "backing off");
        }
        *said = Some(reason);
    }

    pub(super) fn partial(&self, partial: &Partial) {
        if let Some(more) = self.partial.pass_at(self.clock.monotonic()) {
            let (exporter, signal, rejected) = (&self.exporter, self.signal, partial.rejected);
            let message = escaped(&partial.message);
            tracing::warn!(exporter, signal, rejected, message, more, "partial success");
        }
    }

    /// A batch is given up.
    pub(super) fn refused(&self, error: &SendError, batch: &Batch, fate: Fate) {
        if fate != Fate::Left {
            self.cell.note_refused(batch.pieces.len());
        }
        if let Some(more) = self.refused.pass_at(self.clock.monotonic()) {
            let (exporter, signal, items) = (&self.exporter, self.signal, batch.items());
            let reason = escaped(&error.chain());
            let said = match fate {
                Fate::Kept => {
                    "refused for good: kept while journal/rejected has room; `sidelight journal rejected ls` lists it, \
                     `resend` sends it again"
                }
                Fate::Gone => {
                    "refused for good and dropped: with journal.durability memory nothing is kept"
                }
                Fate::Left => "dropped",
            };
            tracing::warn!(exporter, signal, items, reason, more, "{said}");
        }
    }

    pub(super) fn unreadable(&self, why: &str) {
        self.cell.note_error(self.clock.unix_nano(), &escaped(why));
        if let Some(more) = self.unreadable.pass_at(self.clock.monotonic()) {
            let (exporter, signal) = (&self.exporter, self.signal);
            tracing::error!(exporter, signal, why, more, "cannot read the journal");
        }
    }

    /// Items of `planned`, if any, are left out of every request: alone they are above this limit.
    pub(super) fn too_large(&self, planned: Planned, limit: &str) {
        let Planned { seq, too_large: items, payload, .. } = planned;
        let (exporter, signal) = (&self.exporter, self.signal);
        if items == 0 {
            return;
        }
        let why =
            format!("{items} items that no request can hold, each with what is around it: {limit}");
        self.sample([&Piece { seq, items, payload }], "too large", &why);
        if let Some(more) = self.too_large.pass_at(self.clock.monotonic()) {
            tracing::warn!(exporter, signal, items, reason = why, more, "too large, dropped");
        }
    }

    /// Keeps what was given up, for people who ask.
    pub(super) fn sample<'a>(
        &self,
        pieces: impl IntoIterator<Item = &'a Piece>,
        status: &str,
        message: &str,
    ) {
        for piece in pieces.into_iter().take(SAMPLES_MAX) {
            self.cell.refused.push(Sample {
                at_unix_nano: self.clock.unix_nano().0,
                seq: piece.seq,
                items: piece.items,
                status: status.to_owned(),
                message: escaped(message),
                payload_bytes: piece.payload.len(),
                payload_head: payload_head(&piece.payload),
            });
        }
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
