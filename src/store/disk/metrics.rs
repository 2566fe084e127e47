//! The self-metrics of the store's files; their names are in [`crate::telemetry::desc`].

use std::time::Duration;

use super::layout::Tier;
use super::retention::Reason;
use crate::telemetry::{Counter, Gauge, Registry, desc};

#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    bytes: [(Option<Tier>, Gauge); 4],
    pinned: Gauge,
    pub(super) commits: Counter,
    commit_microseconds: Counter,
    pub(super) quarantined: Counter,
    pub(super) corrupt: Counter,
    pub(super) dropped_chunks: Counter,
    pub(super) rolled_days: Counter,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let counter = |desc| registry.counter(desc, &[]);
        let tiers = [Some(Tier::Raw), Some(Tier::FiveMinutes), Some(Tier::OneHour), None];
        let bytes = tiers.map(|tier| {
            let name = tier.map_or("state", Tier::name);
            (tier, registry.gauge(&desc::STORE_DISK_BYTES, &[name]))
        });
        Self {
            registry: registry.clone(),
            bytes,
            pinned: registry.gauge(&desc::STORE_DISK_PINNED_BYTES, &[]),
            commits: counter(&desc::STORE_COMMITS),
            commit_microseconds: counter(&desc::STORE_COMMIT_MICROSECONDS),
            quarantined: counter(&desc::STORE_QUARANTINED_FILES),
            corrupt: counter(&desc::STORE_CORRUPT_CHUNKS),
            dropped_chunks: counter(&desc::STORE_DROPPED_CHUNKS),
            rolled_days: counter(&desc::STORE_ROLLED_DAYS),
        }
    }

    pub(super) fn committed(&self, took: Duration) {
        self.commits.add(1);
        self.commit_microseconds.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    pub(super) fn dropped_file(&self, tier: Tier, reason: Reason) {
        let labels = [tier.name(), reason.name()];
        self.registry.counter(&desc::STORE_DROPPED_FILES, &labels).add(1);
    }

    /// Shows the bytes of a tier's files, or of the head's.
    #[expect(clippy::cast_precision_loss, reason = "a shown value; exact to 2^53 bytes")]
    pub(super) fn show_bytes(&self, tier: Option<Tier>, bytes: u64) {
        for (_, gauge) in self.bytes.iter().filter(|(shown, _)| *shown == tier) {
            gauge.set(bytes as f64);
        }
    }

    /// Shows the bytes of files that retention cannot drop.
    #[expect(clippy::cast_precision_loss, reason = "a shown value; exact to 2^53 bytes")]
    pub(super) fn show_pinned(&self, bytes: u64) {
        self.pinned.set(bytes as f64);
    }
}
