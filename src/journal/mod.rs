//! The journal: one append-only log of validated requests, many readers with cursors.

use std::path::PathBuf;
use std::time::Duration;

use crate::signal::{Record, Signal};
use crate::time::UnixNano;

/// How the journal keeps records and for how long.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where segments live; made with mode 0700 when absent. Unused by [`Durability::Memory`].
    pub directory: PathBuf,
    /// What an acknowledgement means.
    pub durability: Durability,
    /// The least time between two fsync starts.
    pub group_window: Duration,
    /// The disk cap in bytes; `None` = min(512 MiB, 10 % of the free disk).
    pub max_size: Option<u64>,
    /// Delivered records are kept for local search at most this long …
    pub retention_age: Duration,
    /// … and at most this many bytes of segments.
    pub retention_size: u64,
    /// Bytes of the newest records kept in memory for readers that keep up.
    pub tail_size: usize,
    /// Bytes of the ring when the durability is [`Durability::Memory`].
    pub memory_size: usize,
}

/// What an acknowledgement means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On disk: survives power loss.
    Fsync,
    /// With the operating system: survives SIGKILL.
    Os,
    /// In memory: survives nothing.
    Memory,
}

/// What happens to senders and the oldest records when a reader holds too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// New requests are refused, retryable.
    Reject,
    /// The reader's oldest records are dropped, counted.
    DropOldest,
}

/// Where a reader that the journal does not know yet begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the next record.
    End,
    /// With the oldest record kept.
    Oldest,
}

/// A set of signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalSet(pub [bool; 4]);

impl SignalSet {
    /// The set of one signal.
    #[must_use]
    pub fn only(signal: Signal) -> Self {
        Self(Signal::ALL.map(|s| s == signal))
    }

    /// Whether `signal` is in the set.
    #[must_use]
    pub fn contains(self, signal: Signal) -> bool {
        Signal::ALL.iter().zip(self.0).any(|(&s, member)| s == signal && member)
    }
}

/// A reader: a name with a cursor.
#[derive(Clone, Debug)]
pub struct ReaderConfig {
    /// Stable identity, for example `otlp_grpc/tempo`; with the signal it names a lane.
    pub name: String,
    /// Records of other signals are not its own: never returned, never held.
    pub signals: SignalSet,
    /// A durable reader's cursor survives restarts and holds segments; a volatile one begins at the
    /// end and holds nothing.
    pub durable: bool,
    /// Where it begins when the journal does not know it.
    pub start: Start,
    /// Whether it may block ingest.
    pub when_full: WhenFull,
}

/// A record as a reader gets it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its sequence number: never reused, increasing.
    pub seq: u64,
    /// When it was received. Never decreases within a journal.
    pub received: UnixNano,
    /// Whether it may have been delivered before the last start: goes first, unmerged.
    pub redelivered: bool,
    /// The record.
    pub record: Record,
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

/// How one record ended for one reader.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The record.
    pub seq: u64,
    /// Items delivered.
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
    Disk(std::sync::Arc<std::io::Error>),
    /// The journal is closing. Retryable, elsewhere or later.
    #[error("the journal is closing")]
    Closing,
    /// Larger than any segment may be; refused at ingress, so this is a defect of the caller.
    #[error("a record of {bytes} bytes is above the limit of {max}")]
    TooLarge {
        /// Its encoded size.
        bytes: usize,
        /// The largest possible.
        max: usize,
    },
}
