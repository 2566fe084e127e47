//! What lanes say about themselves, for readiness and the admin listener.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::refused::{Refused, Sample};
use crate::signal::Signal;
use crate::time::UnixNano;

/// Failed probes after which an outage is a reason to look.
pub const WORTH_SAYING: u32 = 3;

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
}

impl LaneCell {
    pub(super) fn new(exporter: &str, signal: Signal) -> Self {
        let status = LaneStatus {
            exporter: exporter.to_owned(),
            signal: signal.name(),
            state: State::Sending,
            in_flight: 0,
            waiting: 0,
            last_success_unix_nano: None,
            last_error: None,
        };
        Self { status: Mutex::new(status), refused: Refused::default() }
    }

    pub(super) fn update<T>(&self, change: impl FnOnce(&mut LaneStatus) -> T) -> T {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner))
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

    /// Why not everything is well, one reason a lane that is held or has been backing off for
    /// [`WORTH_SAYING`] failures; empty when none is.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let reason = |lane: LaneStatus| {
            let (what, why) = match lane.state {
                State::Held { reason, .. } => ("held", reason),
                State::BackingOff { failures, .. } if failures >= WORTH_SAYING => {
                    ("backing off", lane.last_error.map(|error| error.message).unwrap_or_default())
                }
                _ => return None,
            };
            Some(format!("{} {}: {what}, {why}", lane.exporter, lane.signal))
        };
        self.lanes().into_iter().filter_map(reason).collect()
    }
}
