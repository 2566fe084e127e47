//! Detailed recent entries: the last operations, lookups, calls and failures of each family, one by one.
//!
//! ```text
//! spans, events, log records ─ classify ─▶ Kept: a queue per family ─▶ Entries::list, stats, cleanup
//!                                            └ in the store's checkpoint; the journal's records after it are read again
//! ```
//! The oldest goes first: past the cap of a family, past its part of the bytes, or past its time, which is looked at
//! every cleanup interval of received time and on demand. A list never shows what is past its time. What names a user is a
//! hash. Limits: [`Config`], [`ATTRIBUTES_MAX`] attributes, texts cut to [`TEXT_BYTES_MAX`] bytes.
//! Cost: about 1 µs and 500 B per entry.

mod classify;
mod codec;
mod filter;
mod kept;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use filter::{Filter, FilterError};
pub use kept::{FamilyStats, Stats};

use crate::signal::{Flags, Record, Signal};
use crate::telemetry::{Registry, desc};
use crate::time::UnixNano;
use classify::Looking;
use kept::Kept;

use super::domain::siphash;
use super::walk::walk;

/// The most attributes of an entry.
pub const ATTRIBUTES_MAX: usize = 16;
/// The most bytes of a name, key or value.
pub const TEXT_BYTES_MAX: usize = 256;
/// Above this share of a cap a family is nearly full.
pub const WARNING_UTILIZATION: f64 = 0.8;

/// What is kept (`store.entries_max`, `entries_ttl`, `cleanup_interval`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The most entries of a family. Default 1,000.
    pub entries_max: usize,
    /// How long an entry is kept. Default 24 h.
    pub ttl: Duration,
    /// How often what is past its time goes. Default 1 h.
    pub cleanup_interval: Duration,
    /// The most bytes of a family. Default 1 MiB.
    pub bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            entries_max: 1_000,
            ttl: Duration::from_hours(24),
            cleanup_interval: Duration::from_hours(1),
            bytes_max: 1 << 20,
        }
    }
}

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Family {
    /// A request to an HTTP server.
    Http = 0,
    /// Anything else that was done.
    Operation = 1,
    /// A call of a language model.
    Llm = 2,
    /// An attempt after one that failed.
    Retry = 3,
    /// A lookup in a cache.
    Cache = 4,
    /// A message sent or taken.
    Queue = 5,
    /// A connection that was made.
    Connection = 6,
    /// The use of a feature.
    Feature = 7,
    /// A failure, beside what failed.
    Error = 8,
    /// An alert that fired or ended.
    Alert = 9,
}

impl Family {
    /// Every family, in the order of the discriminants.
    pub const ALL: [Self; 10] = [
        Self::Http,
        Self::Operation,
        Self::Llm,
        Self::Retry,
        Self::Cache,
        Self::Queue,
        Self::Connection,
        Self::Feature,
        Self::Error,
        Self::Alert,
    ];

    /// The name in labels, parameters and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Operation => "operation",
            Self::Llm => "llm",
            Self::Retry => "retry",
            Self::Cache => "cache",
            Self::Queue => "queue",
            Self::Connection => "connection",
            Self::Feature => "feature",
            Self::Error => "error",
            Self::Alert => "alert",
        }
    }

    /// The family of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }
}

/// Something that happened once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it ended.
    pub time: UnixNano,
    /// When the agent got it.
    pub received: UnixNano,
    /// What it is about.
    pub family: Family,
    /// Whose it is.
    pub service: String,
    /// The operation, cache, destination, feature …
    pub name: String,
    /// How long it took, where that is known.
    pub duration: Option<Duration>,
    /// `ok`, `error`, or the family's own word: `hit`, `miss`, `firing` …
    pub outcome: String,
    /// 16 bytes, or none.
    pub trace_id: Option<[u8; 16]>,
    /// By key.
    pub attributes: Vec<(String, String)>,
}

/// The entries, shared with those who show them. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Entries {
    kept: Arc<Mutex<Kept>>,
}

impl Entries {
    /// None yet; shown by `registry` from now on.
    #[must_use]
    pub fn new(config: Config, user_key: Option<siphash::Key>, registry: &Registry) -> Self {
        let entries = Self { kept: Arc::new(Mutex::new(Kept::new(config, user_key))) };
        let shown = entries.clone();
        registry.collect(move |out| {
            let stats = shown.stats();
            let mut each = |desc, value: fn(&FamilyStats) -> f64| {
                let mut family = out.family(desc);
                for of in &stats.families {
                    family.value(&[("family", of.family)], value(of));
                }
            };
            each(&desc::ENTRIES, |of| of.total as f64);
            each(&desc::ENTRIES_UTILIZATION, |of| of.utilization);
            each(&desc::ENTRIES_EVICTED, |of| of.evicted as f64);
            each(&desc::ENTRIES_EXPIRED, |of| of.expired as f64);
            let skipped = shown.lock().skipped();
            out.family(&desc::ENTRIES_SKIPPED).value(&[], skipped as f64);
        });
        entries
    }

    /// The newest entries that a filter lets pass, newest first.
    #[must_use]
    pub fn list(&self, filter: &Filter) -> Vec<Entry> {
        self.lock().list(filter)
    }

    /// How full they are.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.lock().stats()
    }

    /// Lets what is past its time go now; how many that were.
    pub fn cleanup(&self) -> u64 {
        self.lock().cleanup()
    }

    /// Takes in what a record holds.
    pub(super) fn observe(&self, record: &Record, received: UnixNano) {
        let mut kept = self.lock();
        kept.set_now(received);
        match record.signal {
            _ if record.flags.contains(Flags::LOCAL) => {}
            Signal::Traces => walk(&record.payload, &mut Looking::new(kept, received)),
            Signal::Logs => classify::logs(&record.payload, received, &mut kept),
            Signal::Metrics | Signal::Profiles => {}
        }
    }

    /// Who takes in the spans of a request.
    pub(super) fn looking(&self, received: UnixNano) -> Looking<'_, '_> {
        let mut kept = self.lock();
        kept.set_now(received);
        Looking::new(kept, received)
    }

    /// Everything, for the checkpoint.
    pub(super) fn encode(&self) -> Vec<u8> {
        self.lock().encode()
    }

    /// What [`Entries::encode`] wrote, up to what cannot be read.
    pub(super) fn restore(&self, bytes: &[u8]) {
        self.lock().restore(bytes);
    }

    /// A panic while it is held ends the process.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
