//! The metric store: the newest samples in memory, older ones in day files, one view over both.
//!
//! ```text
//! aggregate ─▶ Writer ─▶ head: series, open chunks ─ full ─▶ sealed chunks ─ checkpoint ─▶ disk
//!                          │                                      │                        │
//! PromQL ◀── Store::select ┴──────────────── merged per series ───┴────────────────────────┘
//! ```
//!
//! Read `head/` for what is in memory, `chunk/` for the bytes of samples, `select.rs` for a query,
//! `disk/` for the files. Rules that hold everywhere:
//!
//! - One [`Writer`]; any number of [`Store`]s that read. A reader holds the head's lock for one
//!   series at a time, never for a query.
//! - The samples of a series have ascending times. What would break that is refused with a reason.
//! - The journal is the write-ahead log: a checkpoint says from which record on to read again, and
//!   holds all that the same records need to give the same head. The only clock is the received time of
//!   records ([`Writer::set_now`]).
//! - A histogram with explicit bounds is one series; `_bucket`, `_sum` and `_count` are made of it when
//!   they are asked for.
//!
//! Limits: [`Config`]. Cost: 1 KiB per series, 2 B per sample, below 100 ns per append.

mod checkpoint;
pub mod chunk;
mod config;
mod disk;
mod exemplars;
mod fingerprint;
mod handle;
mod head;
mod inbox;
mod labels;
mod metadata;
mod samples;
mod select;
mod shared;
mod state;
mod stats;
mod virtual_series;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

pub use chunk::Chunk;
pub use config::Config;
pub use disk::offline;
pub use exemplars::{Exemplar, SeriesExemplars};
pub use fingerprint::Fingerprint;
pub use handle::Store;
pub use inbox::{ApplyError, Batch, Inbox, Outlet, inbox};
pub use labels::Listing;
pub use metadata::{Metadata, MetricKind};
pub use samples::{ClassicRow, Classics, Samples};
pub use select::Reading;
pub use stats::{Cardinality, FileSize, Offender, Stats};
pub use writer::{PutState, Writer};

use crate::telemetry::Registry;
use crate::time::Clock;

/// What the store is given.
#[derive(Clone, Debug)]
pub struct Deps {
    /// For progress and ages that are shown; never for what is kept.
    pub clock: Arc<dyn Clock>,
    /// Self-metrics.
    pub registry: Registry,
}

/// What the samples of a series are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Numbers.
    Float = 0,
    /// Native histograms.
    Native = 1,
    /// Histograms with explicit bounds, under their base name.
    Classic = 2,
}

impl Kind {
    /// Every kind, in the order of the discriminants.
    pub const ALL: [Self; 3] = [Self::Float, Self::Native, Self::Classic];

    /// The kind with discriminant `code`, or `None` for a code this version does not know.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|&kind| kind as u8 == code)
    }
}

/// Where a series is from. Each rank has an eighth of [`Config::series_max`] and of the memory for series that those
/// before it cannot take: whoever floods the agent with series takes neither what is derived nor the alerts about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// A data point that came.
    Received = 0,
    /// What the agent makes of spans, logs and data points.
    Derived = 1,
    /// What recording rules and the host reader make.
    Recorded = 2,
    /// Alerts, and what they compare with.
    Judged = 3,
}

impl Rank {
    /// What there may be of everything when a series of this rank is made, where received ones stop at `whole`.
    const fn limit(self, whole: usize) -> usize {
        whole.saturating_add((whole / 8).saturating_mul(self as usize))
    }
}

/// A series in the head. Stays good until the series leaves the head; then appends say
/// [`Refused::Gone`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId {
    index: u32,
    generation: u32,
}

impl SeriesId {
    /// Stands for every series past the limit: what is appended to it is counted, not kept.
    pub const OVERFLOW: Self = Self { index: u32::MAX, generation: u32::MAX };

    /// Whether this is [`SeriesId::OVERFLOW`].
    #[must_use]
    pub fn is_overflow(self) -> bool {
        self == Self::OVERFLOW
    }
}

/// What the conversion of a stream of points needs to know of those before; kept by checkpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stream {
    /// The start time of the points that make up the total; 0 when unknown.
    pub start_unix_nano: u64,
    /// The time of the last point taken; 0 when there is none.
    pub last_unix_nano: u64,
    /// The running total of a delta stream.
    pub total: f64,
}

/// A histogram with explicit bounds, as OTLP has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Classic<'a> {
    /// Upper bounds, ascending, without +Inf.
    pub bounds: &'a [f64],
    /// Observations per bucket, one more than bounds; not cumulative.
    pub counts: &'a [u64],
    /// The sum of observations, if the sender keeps one.
    pub sum: Option<f64>,
    /// How many observations there are. Shown as it is, also where `counts` add up to another.
    pub count: u64,
}

/// Why a sample was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Refused {
    /// Older than the newest sample of its series.
    #[error("older than the newest sample of its series")]
    OutOfOrder,
    /// The same time and value as the newest sample of its series.
    #[error("the same as the newest sample of its series")]
    Duplicate,
    /// The same time as the newest sample of its series, with another value: two writers.
    #[error("another value at the time of the newest sample of its series")]
    Conflict,
    /// Further ahead of the time of receipt than [`Config::future_max`].
    #[error("too far in the future")]
    FarFuture,
    /// Older than the time of receipt by more than [`Config::series_ttl`].
    #[error("too old")]
    TooOld,
    /// Its series is past [`Config::series_max`]; counted in the overflow series.
    #[error("past the limit of series")]
    Overflow,
    /// Its bounds have no room: `limits.memory` is what it comes from.
    #[error("no room for its bounds")]
    Memory,
    /// Of another kind than its series, or with bounds and counts that do not fit each other.
    #[error("malformed")]
    Malformed,
    /// Its series left the head: ask [`Writer::series`] again.
    #[error("its series is gone")]
    Gone,
}

impl Refused {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::OutOfOrder,
        Self::Duplicate,
        Self::Conflict,
        Self::FarFuture,
        Self::TooOld,
        Self::Overflow,
        Self::Memory,
        Self::Malformed,
        Self::Gone,
    ];

    /// The name used in labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OutOfOrder => "out_of_order",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
            Self::FarFuture => "far_future",
            Self::TooOld => "too_old",
            Self::Overflow => "overflow",
            Self::Memory => "memory",
            Self::Malformed => "malformed",
            Self::Gone => "gone",
        }
    }
}

/// What a start found.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    /// The last record of the journal that the store has seen: reading goes on after it. `None` when
    /// there is no checkpoint.
    pub journal_seq: Option<u64>,
    /// Series in the head.
    pub series: usize,
    /// Series of the checkpoint that cannot be read.
    pub lost_series: usize,
    /// Those that can, but for which memory has no room.
    pub refused_series: usize,
    /// Files set aside as `.corrupt`.
    pub quarantined: Vec<PathBuf>,
}

/// A store that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system refused.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Another process has it open.
    #[error("another process uses the store: cannot lock {}", path.display())]
    InUse {
        /// What it holds.
        path: PathBuf,
    },
    /// A later version wrote it.
    #[error("{} has schema {found}, and this version knows {known}: run the version that wrote it, or \
             name another `store.directory`", path.display())]
    Newer {
        /// The first such file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// The disk's part.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OpenError {
    /// Whether it may be opened later though nobody mends it: the disk is full, or another process has it.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        if matches!(self, Self::InUse { .. }) {
            return true;
        }
        let mut cause: Option<&(dyn std::error::Error + 'static)> = match self {
            // An `Arc` of an error does not give the error itself as a source.
            Self::Store(StoreError::File { source, .. }) => Some(&**source),
            other => Some(other),
        };
        while let Some(error) = cause {
            if is_full(error) {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    let of_system = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    let of_sqlite = error.downcast_ref::<rusqlite::Error>().and_then(|it| it.sqlite_error_code());
    matches!(of_system, Some(StorageFull | QuotaExceeded))
        || of_sqlite == Some(rusqlite::ErrorCode::DiskFull)
}

/// A store that cannot read or write. Nothing that was there is lost: try again later.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Who asked does not wait any more.
    #[error("stopped before it was read")]
    Stopped,
    /// The selector matches more series than one may.
    #[error("the selector matches more than {0} series")]
    TooMany(usize),
    /// A file refused.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

#[cfg(test)]
mod tests;
