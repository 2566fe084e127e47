//! What lanes say about themselves, for readiness and the admin listener.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::refused::{Refused, Sample};
use crate::signal::Signal;
use crate::time::{UnixNano, rfc3339};

/// Failed probes, or requests refused for good in a row, after which they are a reason to look.
pub const WORTH_SAYING: u32 = 3;

/// So long from the beginning of an outage to its next attempt is a reason to look, however few attempts failed.
const WAIT_WORTH_SAYING: Duration = Duration::from_secs(30);

/// What one lane does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LaneStatus {
    /// The destination's name.
    pub exporter: String,
    /// The signal's name.
    pub signal: &'static str,
    /// What it is up to.
    #[serde(flatten)]
    pub state: State,
    /// Requests that wait for their answer.
    pub in_flight: usize,
    /// Requests that wait to be sent again.
    pub waiting: usize,
    /// When the destination last took something, in nanoseconds since 1970.
    pub last_success_unix_nano: Option<u64>,
    /// The last attempt that failed.
    pub last_error: Option<LastError>,
}

/// What a lane is up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// The destination takes what comes.
    Sending,
    /// The destination takes nothing and is probed.
    BackingOff {
        /// Since when, in nanoseconds since 1970.
        since_unix_nano: u64,
        /// Probes that failed.
        failures: u32,
        /// When the next one goes out, in nanoseconds since 1970.
        next_attempt_unix_nano: u64,
    },
    /// The destination's answers condemn the configuration: probed every `max_interval`.
    Held {
        /// Since when, in nanoseconds since 1970.
        since_unix_nano: u64,
        /// The answer, escaped.
        reason: String,
    },
    /// The lane ended.
    Stopped,
}

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastError {
    /// When, in nanoseconds since 1970.
    pub at_unix_nano: u64,
    /// What happened, escaped.
    pub message: String,
}

/// The records that a lane's destination refused for good.
#[derive(Clone, Debug, Serialize)]
pub struct LaneRefused {
    /// The destination's name.
    pub exporter: String,
    /// The signal's name.
    pub signal: &'static str,
    /// The last ones, oldest first.
    pub samples: Vec<Sample>,
}

/// Where a lane writes its status.
#[derive(Debug)]
pub(super) struct LaneCell {
    status: Mutex<LaneStatus>,
    pub(super) refused: Refused,
    /// What the log said last of an outage that is not over; empty when it began before a reload.
    said: Mutex<Option<String>>,
    /// Requests refused for good since the destination last took one.
    refused_in_a_row: AtomicU64,
    /// Whether those are kept.
    keeps: bool,
}

impl LaneCell {
    /// A lane of `exporter`; what it refuses for good is kept, or not.
    pub(super) fn new(exporter: &str, signal: Signal, keeps: bool) -> Self {
        let status = LaneStatus {
            exporter: exporter.to_owned(),
            signal: signal.name(),
            state: State::Sending,
            in_flight: 0,
            waiting: 0,
            last_success_unix_nano: None,
            last_error: None,
        };
        Self {
            status: Mutex::new(status),
            refused: Refused::default(),
            said: Mutex::default(),
            refused_in_a_row: AtomicU64::new(0),
            keeps,
        }
    }

    pub(super) fn update<T>(&self, change: impl FnOnce(&mut LaneStatus) -> T) -> T {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the log said last of an outage that is not over.
    pub(super) fn said(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The destination took something.
    pub(super) fn note_taken(&self) {
        self.refused_in_a_row.store(0, Ordering::Relaxed);
    }

    /// The destination refused so many requests for good.
    pub(super) fn note_refused(&self, requests: usize) {
        self.refused_in_a_row.fetch_add(requests as u64, Ordering::Relaxed);
    }

    /// That nothing is taken for good, where it is so.
    fn refuses(&self) -> Option<String> {
        let refused = self.refused_in_a_row.load(Ordering::Relaxed);
        (refused >= WORTH_SAYING.into()).then(|| {
            self.update(|status| {
                let why = status.last_error.as_ref().map(|error| error.message.as_str());
                let cure = if self.keeps {
                    "`sidelight journal rejected ls` lists what is kept, `resend` sends it again"
                } else {
                    "dropped, since with journal.durability memory nothing is kept"
                };
                format!(
                    "{} {}: refuses what it is sent, {}; {refused} requests since it last took one: {cure}",
                    status.exporter,
                    status.signal,
                    why.unwrap_or_default()
                )
            })
        })
    }

    pub(super) fn note_error(&self, at: UnixNano, message: &str) {
        let last_error = LastError { at_unix_nano: at.0, message: message.to_owned() };
        self.update(|status| status.last_error = Some(last_error));
    }
}

/// Looks at every lane. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Handle {
    lanes: Arc<Mutex<Vec<Arc<LaneCell>>>>,
}

impl Handle {
    pub(super) fn set(&self, lanes: Vec<Arc<LaneCell>>) {
        *self.lanes.lock().unwrap_or_else(PoisonError::into_inner) = lanes;
    }

    /// Where a lane writes its status that takes the place of the one of the same name, if there is one: an outage of that
    /// one is over when this one delivers.
    pub(super) fn successor(&self, exporter: &str, signal: Signal, keeps: bool) -> LaneCell {
        let cell = LaneCell::new(exporter, signal, keeps);
        let same = |old: &Arc<LaneCell>| {
            old.update(|status| status.exporter == exporter && status.signal == signal.name())
        };
        let before = self.cells().into_iter().find(same);
        if before.is_some_and(|old| old.said().is_some()) {
            *cell.said() = Some(String::new());
        }
        cell
    }

    fn cells(&self) -> Vec<Arc<LaneCell>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The status of every lane, in the order of the configuration.
    #[must_use]
    pub fn lanes(&self) -> Vec<LaneStatus> {
        self.cells().iter().map(|cell| cell.update(|status| status.clone())).collect()
    }

    /// What every destination refused for good, the last
    /// [`SAMPLES_MAX`](super::refused::SAMPLES_MAX) records per lane.
    #[must_use]
    pub fn refused(&self) -> Vec<LaneRefused> {
        let of = |cell: &Arc<LaneCell>| {
            let (exporter, signal) = cell.update(|s| (s.exporter.clone(), s.signal));
            LaneRefused { exporter, signal, samples: cell.refused.list() }
        };
        self.cells().iter().map(of).collect()
    }

    /// Why not everything is well: one reason for a lane that is held, or backs off for [`WORTH_SAYING`] failures or
    /// [`WAIT_WORTH_SAYING`], and one where that many requests in a row were refused for good.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let reason = |lane: LaneStatus| {
            let said = match lane.state {
                State::Held { reason, .. } => format!("held, {reason}"),
                State::BackingOff { since_unix_nano, failures, next_attempt_unix_nano } => {
                    let lasts = next_attempt_unix_nano.saturating_sub(since_unix_nano);
                    if failures < WORTH_SAYING && u128::from(lasts) <= WAIT_WORTH_SAYING.as_nanos()
                    {
                        return None;
                    }
                    let why = lane.last_error.map(|error| error.message).unwrap_or_default();
                    let next = rfc3339(UnixNano(next_attempt_unix_nano));
                    format!("backing off, {why}; next attempt at {next}")
                }
                State::Sending | State::Stopped => return None,
            };
            Some(format!("{} {}: {said}", lane.exporter, lane.signal))
        };
        let mut reasons: Vec<_> = self.lanes().into_iter().filter_map(reason).collect();
        reasons.extend(self.cells().iter().filter_map(|cell| cell.refuses()));
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(keeps: bool) -> (Handle, Arc<LaneCell>) {
        let (handle, cell) = (Handle::default(), Arc::new(LaneCell::new("a", Signal::Logs, keeps)));
        handle.set(vec![Arc::clone(&cell)]);
        (handle, cell)
    }

    #[test]
    fn a_destination_that_refuses_everything_for_good_is_a_reason_until_it_takes_something() {
        let (handle, cell) = handle(true);
        cell.note_error(UnixNano(1), "HTTP 400: no");
        cell.note_refused(2);
        assert!(handle.reasons().is_empty());
        cell.note_refused(1);
        let reasons = handle.reasons();
        let expected = "a logs: refuses what it is sent, HTTP 400: no; 3 requests since it last took one: \
                        `sidelight journal rejected ls`";
        assert!(matches!(&reasons[..], [said] if said.starts_with(expected)), "{reasons:?}");
        cell.note_taken();
        assert!(handle.reasons().is_empty());
    }

    #[test]
    fn a_lane_that_waits_long_is_a_reason_after_one_failure() {
        let (handle, cell) = handle(true);
        cell.note_error(UnixNano(0), "HTTP 429: later");
        let backs_off = |failures, seconds: u64| {
            let next_attempt_unix_nano = seconds * 1_000_000_000;
            let state = State::BackingOff { since_unix_nano: 0, failures, next_attempt_unix_nano };
            cell.update(|status| status.state = state);
            handle.reasons()
        };
        assert!(backs_off(2, 30).is_empty());
        let expected = "a logs: backing off, HTTP 429: later; next attempt at 1970-01-01T00:10:00";
        let reasons = backs_off(1, 600);
        assert!(matches!(&reasons[..], [said] if said.starts_with(expected)), "{reasons:?}");
        assert_eq!(backs_off(WORTH_SAYING, 3).len(), 1);
    }

    #[test]
    fn with_a_journal_in_memory_what_is_refused_for_good_is_said_to_be_dropped() {
        let (handle, cell) = handle(false);
        cell.note_error(UnixNano(1), "HTTP 400: no");
        cell.note_refused(3);
        let said = handle.reasons().join(" ");
        assert!(
            said.ends_with("dropped, since with journal.durability memory nothing is kept"),
            "{said}"
        );
    }

    #[test]
    fn a_lane_that_a_reload_replaced_knows_that_an_outage_is_not_over() {
        let (handle, cell) = handle(true);
        assert_eq!(*handle.successor("a", Signal::Logs, true).said(), None);
        *cell.said() = Some("Connection refused".to_owned());
        assert_eq!(handle.successor("a", Signal::Logs, true).said().take(), Some(String::new()));
        assert_eq!(*handle.successor("a", Signal::Traces, true).said(), None, "another lane");
    }
}
