//! What can be set of the store, and its defaults; in parentheses the option, where there is one.

use std::path::PathBuf;
use std::time::Duration;

use crate::memory::StoreBudget;

const DAY: Duration = Duration::from_hours(24);

/// `store` in the configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where its files are (`directory`).
    pub directory: PathBuf,
    /// The most series in the head (`series_max`), and three eighths of it beside for the agent's own
    /// ([`Rank`](super::Rank)). Default 20,000; about 1 KiB each.
    pub series_max: usize,
    /// A series without a sample for this long leaves the head, and no older sample is taken
    /// (`series_ttl`). Default 1 h.
    pub series_ttl: Duration,
    /// Samples further ahead of the time of receipt are refused. 10 min.
    pub future_max: Duration,
    /// The longest time between two checkpoints (`checkpoint_interval`). Default 5 min.
    pub checkpoint_interval: Duration,
    /// The most bytes of the journal between two checkpoints. 128 MiB; less where the journal has no room for that
    /// ([`Writer::checkpoint_within`](super::Writer::checkpoint_within)).
    pub checkpoint_bytes: u64,
    /// What its parts may hold in memory, from `limits.memory`. Series past it are refused as those past
    /// `series_max` are; of sealed chunks that no checkpoint takes the oldest of a series are dropped, counted.
    pub memory: StoreBudget,
    /// The most metric families with metadata. 5,000.
    pub families_max: usize,
    /// The most exemplars in all: four times `aggregate.exemplars_max`. Default 2,000.
    pub exemplars_max: usize,
    /// How long samples are kept as they came (`raw`). Default 48 h.
    pub retention: Duration,
    /// How long rollups of 5 min are kept (`rollup_5m`). Default 14 d.
    pub retention_5m: Duration,
    /// How long rollups of 1 h are kept (`rollup_1h`). Default 90 d.
    pub retention_1h: Duration,
    /// The most bytes of files (`max_size`); wins over the ages. Default 1 GiB.
    pub max_size: u64,
}

impl Config {
    /// The defaults for a store in `directory`.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            series_max: 20_000,
            series_ttl: Duration::from_hours(1),
            future_max: Duration::from_mins(10),
            checkpoint_interval: Duration::from_mins(5),
            checkpoint_bytes: 128 << 20,
            memory: StoreBudget::default(),
            families_max: 5_000,
            exemplars_max: 2_000,
            retention: 2 * DAY,
            retention_5m: 14 * DAY,
            retention_1h: 90 * DAY,
            max_size: 1 << 30,
        }
    }
}
