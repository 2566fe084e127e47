//! What the journal counts of itself, but for what becomes of rejected records ([`super::rejected`]); how full it is shows
//! [`super::status`]. Names are in [`crate::telemetry::desc`].

use std::time::Duration;

use crate::telemetry::{Counter, Registry, desc};

#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) groups: Counter,
    fsyncs: Counter,
    fsync_microseconds: Counter,
    pub(super) poisoned: Counter,
    pub(super) quarantined: Counter,
    pub(super) lost: Counter,
    pub(super) missing: Counter,
    pub(super) shed: Counter,
    pub(super) compacted: Counter,
    pub(super) refused: Counter,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let counter = |desc| registry.counter(desc, &[]);
        Self {
            groups: counter(&desc::JOURNAL_GROUPS),
            fsyncs: counter(&desc::JOURNAL_FSYNCS),
            fsync_microseconds: counter(&desc::JOURNAL_FSYNC_MICROSECONDS),
            poisoned: counter(&desc::JOURNAL_POISONED),
            quarantined: counter(&desc::JOURNAL_QUARANTINED),
            lost: counter(&desc::JOURNAL_LOST_RECORDS),
            missing: counter(&desc::JOURNAL_MISSING_RECORDS),
            shed: counter(&desc::JOURNAL_SHED),
            compacted: counter(&desc::JOURNAL_COMPACTED),
            refused: counter(&desc::JOURNAL_REFUSED),
        }
    }

    pub(super) fn synced(&self, took: Duration) {
        self.fsyncs.add(1);
        self.fsync_microseconds.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }
}
