//! The journal's self-metrics; their names are in [`crate::telemetry::desc`].

use std::time::Duration;

use super::state::State;
use crate::telemetry::{Counter, Gauge, Registry, desc};

#[derive(Debug)]
pub(super) struct Metrics {
    bytes: Gauge,
    capacity: Gauge,
    seconds_left: Gauge,
    segments: Gauge,
    tail: Gauge,
    pub(super) groups: Counter,
    fsyncs: Counter,
    fsync_microseconds: Counter,
    pub(super) poisoned: Counter,
    pub(super) quarantined: Counter,
    pub(super) lost: Counter,
    pub(super) shed: Counter,
    pub(super) compacted: Counter,
    pub(super) refused: Counter,
    pub(super) rejected_kept: Counter,
    pub(super) rejected_evicted: Counter,
    pub(super) rejected_not_kept: Counter,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let counter = |desc| registry.counter(desc, &[]);
        let gauge = |desc| registry.gauge(desc, &[]);
        Self {
            bytes: gauge(&desc::JOURNAL_BYTES),
            capacity: gauge(&desc::JOURNAL_CAPACITY_BYTES),
            seconds_left: gauge(&desc::JOURNAL_SECONDS_LEFT),
            segments: gauge(&desc::JOURNAL_SEGMENTS),
            tail: gauge(&desc::JOURNAL_TAIL_BYTES),
            groups: counter(&desc::JOURNAL_GROUPS),
            fsyncs: counter(&desc::JOURNAL_FSYNCS),
            fsync_microseconds: counter(&desc::JOURNAL_FSYNC_MICROSECONDS),
            poisoned: counter(&desc::JOURNAL_POISONED),
            quarantined: counter(&desc::JOURNAL_QUARANTINED),
            lost: counter(&desc::JOURNAL_LOST_RECORDS),
            shed: counter(&desc::JOURNAL_SHED),
            compacted: counter(&desc::JOURNAL_COMPACTED),
            refused: counter(&desc::JOURNAL_REFUSED),
            rejected_kept: counter(&desc::JOURNAL_REJECTED_KEPT),
            rejected_evicted: counter(&desc::JOURNAL_REJECTED_EVICTED),
            rejected_not_kept: counter(&desc::JOURNAL_REJECTED_NOT_KEPT),
        }
    }

    pub(super) fn synced(&self, took: Duration) {
        self.fsyncs.add(1);
        self.fsync_microseconds.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// Shows how full the journal is.
    #[expect(clippy::cast_precision_loss, reason = "shown values; exact to 2^53 bytes")]
    pub(super) fn show(&self, state: &State, max_size: u64, now: Duration) {
        self.bytes.set(state.size() as f64);
        self.capacity.set(max_size as f64);
        self.segments.set(state.segments.len() as f64);
        self.tail.set(state.tail.bytes() as f64);
        let left = state.rate.time_left(max_size.saturating_sub(state.held()), now);
        self.seconds_left.set(left.map_or(f64::INFINITY, |left| left.as_secs_f64()));
    }
}
