//! [`Store`]: what the agent holds to read, and what it shares with the writer.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::config::Config;
use super::disk::Disk;
use super::exemplars::Ring;
use super::head::{Full, Head};
use super::metadata::Metadata;
use super::stats::{Cardinality, Stats};
use super::{OpenError, Opened, Writer};
use crate::telemetry::{Counter, Registry, desc};
use crate::time::Clock;

/// What the store is given.
#[derive(Clone, Debug)]
pub struct Deps {
    /// For progress and ages that are shown; never for what is kept.
    pub clock: Arc<dyn Clock>,
    /// Self-metrics.
    pub registry: Registry,
}

/// Reads the store. Cloning shares it. Every call may block on disk.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) shared: Arc<Shared>,
}

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
    /// Counts a series that was not made.
    pub(super) fn refused(&self, full: Full) {
        if let Some(counter) = self.refused.get(full as usize) {
            counter.add(1);
        }
    }
}

impl Shared {
    /// The head, to read. A panic elsewhere ends the process, so a poisoned lock is not looked at.
    pub(super) fn head(&self) -> RwLockReadGuard<'_, Head> {
        self.head.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The head, to write: the writer only.
    pub(super) fn head_mut(&self) -> RwLockWriteGuard<'_, Head> {
        self.head.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Opens or makes the store. Blocks on disk.
    ///
    /// # Errors
    /// [`OpenError`]: the directory cannot be used. A file that cannot be read is no reason: it is set
    /// aside.
    #[expect(clippy::needless_pass_by_value, reason = "what is given is kept")]
    pub fn open(config: Config, deps: Deps) -> Result<(Self, Writer, Opened), OpenError> {
        let (disk, mut restored) = Disk::open(&config, &deps)?;
        let registry = &deps.registry;
        let metrics = Metrics {
            overflow: registry.counter(&desc::STORE_OVERFLOW_SAMPLES, &[]),
            refused: Full::ALL
                .map(|full| registry.counter(&desc::STORE_REFUSED_SERIES, &[full.name()])),
            dropped_chunks: registry.counter(&desc::STORE_UNWRITTEN_CHUNKS, &[]),
            dropped_families: registry.counter(&desc::STORE_DROPPED_FAMILIES, &[]),
        };
        let ring = Ring::new(
            config.exemplars_max,
            config.exemplars_per_series_max,
            config.memory.exemplars,
        );
        let head = RwLock::new(Head::new(config.series_max, config.memory, ring));
        let shared = Arc::new(Shared { config, metrics, disk, head });
        let weak = Arc::downgrade(&shared);
        registry.observe(&desc::STORE_SERIES, &[], move || {
            weak.upgrade().map_or(0.0, |shared| shared.head().len() as f64)
        });
        let limits = [
            (&desc::STORE_SERIES_LIMIT, shared.config.series_max as f64),
            (&desc::STORE_DISK_LIMIT_BYTES, shared.config.max_size as f64),
        ];
        for (limit, value) in limits {
            registry.gauge(limit, &[]).set(value);
        }
        let weak = Arc::downgrade(&shared);
        registry.observe(&desc::STORE_HEAD_BYTES, &[], move || {
            weak.upgrade().map_or(0.0, |shared| shared.head().heap_bytes() as f64)
        });
        let mut writer = Writer::new(Arc::clone(&shared));
        let (series, [lost_series, refused_series]) = writer.restore(&mut restored)?;
        let (journal_seq, quarantined) = (restored.journal_seq, restored.quarantined);
        let opened = Opened { journal_seq, series, lost_series, refused_series, quarantined };
        Ok((Self { shared }, writer, opened))
    }

    /// What is known of `family`, or of every family; by name, at most `limit`.
    #[must_use]
    pub fn metadata(&self, family: Option<&str>, limit: usize) -> Vec<(String, Metadata)> {
        let head = self.shared.head();
        let known = |(name, known): (&String, &Metadata)| (name.clone(), known.clone());
        match family {
            Some(name) => head.families.get(name).map(known).into_iter().take(limit).collect(),
            None => head.families.iter().map(known).take(limit).collect(),
        }
    }

    /// Does a slice of what is to be done in the background: rolls up days that are over, lets go of files.
    /// Whether there is more. Blocks on disk, and a checkpoint waits for it: some tens of milliseconds.
    #[must_use]
    pub fn tend(&self) -> bool {
        self.shared.disk.tend()
    }

    /// Its limits.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// What labels cost in the head, the `top` of each list.
    #[must_use]
    pub fn cardinality(&self, top: usize) -> Cardinality {
        self.shared.head().cardinality(top)
    }

    /// What the store holds.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = Stats { files: self.shared.disk.files(), ..Stats::default() };
        self.shared.head().stats(&mut stats);
        stats
    }
}
