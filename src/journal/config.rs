//! What the journal is told: its own resolved configuration and its readers'.

use std::path::PathBuf;
use std::time::Duration;

use crate::signal::{Flags, Signal};

/// How the journal keeps records and for how long.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where segments live; made with mode 0700 when absent. Unused by [`Durability::Memory`].
    pub directory: PathBuf,
    /// What an acknowledgement means.
    pub durability: Durability,
    /// The least time between two fsync starts.
    pub group_window: Duration,
    /// The disk cap in bytes; `None` = min(512 MiB, 10 % of the free disk), at least 32 MiB and what the journal has already.
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

impl Default for Config {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("journal"),
            durability: Durability::Fsync,
            group_window: Duration::from_millis(4),
            max_size: None,
            retention_age: Duration::from_hours(24),
            retention_size: 256 << 20,
            tail_size: 16 << 20,
            memory_size: 32 << 20,
        }
    }
}

/// The largest record, encoded. A segment is made as large as one record needs.
pub(super) const RECORD_MAX: usize = 128 << 20;
/// Bytes beyond the records that a segment has room for: ack records and the seal.
pub(super) const SLACK: u64 = 64 << 10;

/// The largest record of which two fit under the cap, each in a segment of its own: the newest
/// segment is never deleted, so one more must always find room.
pub(super) fn record_bytes_max(max_size: u64) -> usize {
    let half = (max_size / 2).saturating_sub(2 * SLACK);
    RECORD_MAX.min(usize::try_from(half).unwrap_or(usize::MAX))
}

impl Config {
    /// The largest record that a configured cap has room for; `None` without one.
    #[must_use]
    pub fn record_bytes_max(&self) -> Option<usize> {
        self.max_size.map(record_bytes_max)
    }
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

impl Durability {
    /// The name used in configuration and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fsync => "fsync",
            Self::Os => "os",
            Self::Memory => "memory",
        }
    }
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

/// What a record is counted as, and who reads it: its signal, or, whatever that is, the agent's own
/// ([`Flags::LOCAL`]), which is in no ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// What a sender sent.
    Signal(Signal),
    /// What the agent made for its own readers.
    Local,
}

impl Class {
    /// Every class, in the order of [`Class::index`].
    pub const ALL: [Self; 5] = [
        Self::Signal(Signal::Traces),
        Self::Signal(Signal::Metrics),
        Self::Signal(Signal::Logs),
        Self::Signal(Signal::Profiles),
        Self::Local,
    ];

    /// The class of a record.
    #[must_use]
    pub const fn of(signal: Signal, flags: Flags) -> Self {
        if flags.contains(Flags::LOCAL) { Self::Local } else { Self::Signal(signal) }
    }

    /// A dense index: signals by theirs, then `Local`.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Signal(signal) => signal.index(),
            Self::Local => 4,
        }
    }
}

impl From<Signal> for Class {
    fn from(signal: Signal) -> Self {
        Self::Signal(signal)
    }
}

/// A set of signals, and whether the agent's own records are in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalSet(pub(super) [bool; 5]);

impl SignalSet {
    /// Every signal that is sent.
    pub const ALL: Self = Self([true, true, true, true, false]);

    /// The signals for which `contains` says so.
    #[must_use]
    pub fn of(contains: impl Fn(Signal) -> bool) -> Self {
        Self(Class::ALL.map(|class| match class {
            Class::Signal(signal) => contains(signal),
            Class::Local => false,
        }))
    }

    /// The set of one signal.
    #[must_use]
    pub fn only(signal: Signal) -> Self {
        Self::of(|s| s == signal)
    }

    /// The same with the agent's own records.
    #[must_use]
    pub const fn with_local(self) -> Self {
        let Self([traces, metrics, logs, profiles, _]) = self;
        Self([traces, metrics, logs, profiles, true])
    }

    /// Whether a signal, or a class of records, is in the set.
    #[must_use]
    pub fn contains(self, class: impl Into<Class>) -> bool {
        self.0.get(class.into().index()).copied().unwrap_or(false)
    }

    /// The signals in the set.
    pub fn iter(self) -> impl Iterator<Item = Signal> {
        Signal::ALL.into_iter().filter(move |&s| self.contains(s))
    }

    /// The classes of records in the set.
    pub(super) fn classes(self) -> impl Iterator<Item = Class> {
        Class::ALL.into_iter().filter(move |&class| self.contains(class))
    }
}

/// A reader: a name with a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderConfig {
    /// Stable identity, `<exporter>:<signal>` for a lane, for example `otlp_grpc/tempo:traces`. At
    /// most 255 bytes.
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

impl ReaderConfig {
    /// Whether it delivers to a destination: a local reader, which has no signal in its name, delivers to nobody.
    #[must_use]
    pub fn is_lane(&self) -> bool {
        is_lane(&self.name)
    }
}

/// Whether the reader of that name delivers to a destination.
#[must_use]
pub fn is_lane(reader: &str) -> bool {
    reader.contains(':')
}
