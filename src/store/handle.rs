//! [`Store`]: what the agent holds to read.

use std::sync::Arc;

use super::config::Config;
use super::disk::Disk;
use super::metadata::Metadata;
use super::shared::Shared;
use super::stats::{Cardinality, Stats};
use super::{Deps, OpenError, Opened, Writer};
use crate::telemetry::desc;

/// Reads the store. Cloning shares it. Every call may block on disk.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) shared: Arc<Shared>,
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
        let shared = Arc::new(Shared::new(config, disk, registry));
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

    /// That files of it are damaged, in a sentence, where some are.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.shared.disk.trouble()
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
