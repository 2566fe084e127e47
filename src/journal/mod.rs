//! The journal: one append-only log of validated requests, many readers with cursors.
//!
//! ```text
//! append ─▶ writer (one OS thread): group ─▶ one vectored write ─▶ one fdatasync ─▶ State ─▶ waiters
//!                                                                                   │
//!   Reader::wait / next ◀── tail in memory, or segments on disk ◀───────────────────┤
//!   Settler::settle ──▶ ranges, watermark, ledger ──▶ ack records on the next group ─┘
//! ```
//!
//! Read [`config`](Config) for what can be set, `docs/journal-format.md` and `format.rs` for the
//! bytes, `state.rs` for the truth in memory, `writer.rs` for the path of a group, `recovery.rs` for
//! the start, `retention.rs` for what is deleted when. Rules that hold everywhere:
//!
//! - One source of truth on disk. Stale acknowledgements can only cause duplicates.
//! - A sequence is given out when its record is durable, without gaps, and never again.
//! - Delete last, after the state that allows it is durable. Sync the file, then the directory.
//! - A failed write or fsync poisons the segment; it is never written to again.
//! - One bad record or file never blocks the start; what is lost is counted.

mod acks;
mod compact;
mod config;
mod departed;
mod disk;
mod format;
pub mod fs;
#[doc(hidden)]
pub mod fuzz;
mod group;
mod handle;
mod inbox;
pub mod inspect;
mod lane;
mod ledger;
mod log;
mod memory;
mod metrics;
mod rate;
mod reader;
mod recovery;
mod rejected;
mod retention;
mod room;
mod rotate;
mod scan;
mod segment;
mod shared;
mod snapshot;
mod state;
mod status;
mod tail;
mod unsynced;
mod walk;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

pub use config::{Class, Config, Durability, ReaderConfig, SignalSet, Start, WhenFull, is_lane};
pub use departed::Removed;
pub use format::Identity;
pub use handle::{Journal, LOCK, Reconfigured};
pub use ledger::{Count, Ledger, PerSignal, ReaderLedger};
pub use reader::{Reader, Settler, Waited};
pub use recovery::Recovery;
pub use rejected::{REJECTED, REJECTED_BYTES_MAX, REJECTED_FILES_MAX, Rejected, RejectedFile};
pub use status::{ReaderStatus, Status};
#[doc(hidden)]
pub use writer::Stepper;

use crate::signal::Record;
use crate::telemetry::Registry;
use crate::time::{Clock, UnixNano};

/// What the journal is given.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The disk.
    pub fs: Arc<dyn fs::Fs>,
    /// Received times, ages and progress.
    pub clock: Arc<dyn Clock>,
    /// Self-metrics.
    pub registry: Registry,
}

/// A record as a reader gets it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its sequence number: never reused, increasing.
    pub seq: u64,
    /// When it was received. Never decreases within a journal, unless the clock went back by more than an hour: then it was
    /// wrong before.
    pub received: UnixNano,
    /// Whether it may have been delivered before the last start: goes first, and with others only where those cannot suffer.
    pub redelivered: bool,
    /// The record.
    pub record: Record,
}

impl Entry {
    /// What the API and the commands tell of it beside its payload.
    #[must_use]
    pub fn document(&self) -> serde_json::Value {
        let headers: Vec<_> = self.record.meta.headers().map(|(name, _)| name).collect();
        serde_json::json!({
            "seq": self.seq,
            "received_unix_seconds": self.received.as_seconds_f64(),
            "signal": self.record.signal.name(),
            "items": self.record.items,
            "bytes": self.record.payload.len(),
            "headers": headers.join(" "),
        })
    }
}

/// Why items were dropped on the way to one reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum DropReason {
    /// The destination refused them for good.
    Permanent = 1,
    /// The destination took the request and rejected these items (partial success).
    PartialSuccess = 2,
    /// A single item is larger than the destination's limit.
    TooLarge = 3,
    /// Retries went on for longer than `max_elapsed_time`.
    Expired = 4,
    /// Failed again and again while its lane delivered others; kept in `journal/rejected/`.
    Rejected = 5,
    /// The disk cap with `drop_oldest`.
    QueueFull = 6,
    /// The destination left the configuration.
    Removed = 7,
    /// Unreadable on disk.
    Corrupt = 8,
}

impl DropReason {
    /// Every reason, in the order of the discriminants.
    pub const ALL: [Self; 8] = [
        Self::Permanent,
        Self::PartialSuccess,
        Self::TooLarge,
        Self::Expired,
        Self::Rejected,
        Self::QueueFull,
        Self::Removed,
        Self::Corrupt,
    ];

    /// The name used in labels and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::PartialSuccess => "partial_success",
            Self::TooLarge => "too_large",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::QueueFull => "queue_full",
            Self::Removed => "removed",
            Self::Corrupt => "corrupt",
        }
    }

    /// The reason with discriminant `code`, or `None` for a code this version does not know.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|&reason| reason as u8 == code)
    }
}

/// How one record ended for one reader.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The record.
    pub seq: u64,
    /// Items delivered. What neither this nor `dropped` names counts as delivered.
    pub delivered_items: u32,
    /// Items not delivered, by reason; empty when all were.
    pub dropped: Vec<(DropReason, u32)>,
}

/// An append that did not become durable.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The disk cap is reached and a reader with [`WhenFull::Reject`] needs what is there. Retryable.
    #[error("the journal is full")]
    Full,
    /// The disk refused. Retryable: a new segment is tried.
    #[error("the journal cannot write: {0}")]
    Disk(Arc<std::io::Error>),
    /// The journal is closing. Retryable, elsewhere or later.
    #[error("the journal is closing")]
    Closing,
    /// A sender's record that would be written and not made durable: a defect of the caller.
    #[error("a sender's record has to be durable")]
    NotLocal,
    /// Larger than any segment may be; refused at ingress, so this is a defect of the caller.
    #[error("a record of {bytes} bytes is above the limit of {max}")]
    TooLarge {
        /// Its encoded size.
        bytes: usize,
        /// The largest possible.
        max: usize,
    },
}

/// A read that did not give records.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// The journal is closed, or the reader left the configuration. Stop.
    #[error("the journal is closed")]
    Closed,
    /// The disk failed. Nothing was skipped; try again after a while.
    #[error("the journal cannot read: {0}")]
    Disk(Arc<std::io::Error>),
}

/// A journal that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "the journal in {} is in use by another process: stop that one, or give this agent a \
         directory of its own (journal.directory)",
        directory.display()
    )]
    InUse {
        /// The journal's directory.
        directory: PathBuf,
    },
    /// Written by a newer version. Nothing was changed.
    #[error(
        "{} has journal format {version}, this agent knows {known}: run the newer agent, or give \
         this one another directory (journal.directory)",
        path.display()
    )]
    Newer {
        /// The segment.
        path: PathBuf,
        /// Its format.
        version: u16,
        /// The newest format this agent reads.
        known: u16,
    },
    /// Two readers share a name, or one is longer than 255 bytes.
    #[error("the reader name `{0}` is used twice or longer than 255 bytes")]
    ReaderName(String),
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
}

#[cfg(test)]
mod tests;
