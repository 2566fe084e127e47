//! What those who read the store share with its writer: the head behind its lock, the files, and what is counted.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::config::Config;
use super::disk::Disk;
use super::exemplars::Ring;
use super::head::{Full, Head};
use crate::telemetry::{Counter, Registry, desc};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) metrics: Metrics,
    pub(super) disk: Disk,
    pub(super) head: RwLock<Head>,
}

#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) overflow: Counter,
    /// By [`Full`].
    refused: [Counter; Full::ALL.len()],
    pub(super) dropped_chunks: Counter,
    pub(super) dropped_families: Counter,
}

impl Metrics {
    fn new(registry: &Registry) -> Self {
        let counter = |desc| registry.counter(desc, &[]);
        Self {
            overflow: counter(&desc::STORE_OVERFLOW_SAMPLES),
            refused: Full::ALL
                .map(|full| registry.counter(&desc::STORE_REFUSED_SERIES, &[full.name()])),
            dropped_chunks: counter(&desc::STORE_UNWRITTEN_CHUNKS),
            dropped_families: counter(&desc::STORE_DROPPED_FAMILIES),
        }
    }

    /// Counts a series that was not made.
    pub(super) fn refused(&self, full: Full) {
        if let Some(counter) = self.refused.get(full as usize) {
            counter.add(1);
        }
    }
}

impl Shared {
    pub(super) fn new(config: Config, disk: Disk, registry: &Registry) -> Self {
        let metrics = Metrics::new(registry);
        let ring = Ring::new(config.exemplars_max, config.memory.exemplars);
        let head = RwLock::new(Head::new(config.series_max, config.memory, ring));
        Self { config, metrics, disk, head }
    }

    /// The head, to read. A panic elsewhere ends the process, so a poisoned lock is not looked at.
    pub(super) fn head(&self) -> RwLockReadGuard<'_, Head> {
        self.head.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The head, to write: the writer only.
    pub(super) fn head_mut(&self) -> RwLockWriteGuard<'_, Head> {
        self.head.write().unwrap_or_else(PoisonError::into_inner)
    }
}
