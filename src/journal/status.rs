//! [`Status`]: how full the journal is and how each reader does; for /readyz, metrics and the CLI.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::ledger::Count;
use super::shared::Shared;
use super::state::State;
use super::{Durability, ReaderConfig};
use crate::telemetry::{Desc, desc};

/// The journal at one instant.
#[derive(Clone, Debug)]
pub struct Status {
    /// Where it is; `None` in memory.
    pub directory: Option<PathBuf>,
    /// What an acknowledgement means.
    pub durability: Durability,
    /// Bytes in use: allocated on disk, or held in memory.
    pub size: u64,
    /// The cap on `size` in bytes.
    pub max_size: u64,
    /// Segments kept.
    pub segments: usize,
    /// The sequence that the next record gets, unless some wait for the disk.
    pub next_seq: u64,
    /// Whether an append was refused for want of room under the cap that still is not there.
    pub full: bool,
    /// Why the disk did not take the last write, where it did not, and what to do about it.
    pub failure: Option<String>,
    /// At the rate of the last minute, and when nothing is delivered meanwhile, how long until the
    /// cap is reached; `None` when nothing arrives or there is no destination. A lower bound: when the cap presses, segments
    /// are compressed before anything is refused.
    pub time_left: Option<Duration>,
    /// Segments given up after a failed write or fsync.
    pub poisoned: u64,
    /// Records that cannot be read.
    pub lost_records: u64,
    /// What the start found in no file, and not noted as delivered either.
    pub missing_records: u64,
    /// The newest file, which the start set aside: nothing says how many acknowledged records are in it.
    pub uncounted: Option<PathBuf>,
    /// Since the last durable append; compare with `waiting`.
    pub since_append: Duration,
    /// How long the oldest append has been waiting for the disk; `None` when none is.
    pub waiting: Option<Duration>,
    /// Bytes of the newest records held in memory.
    pub tail_size: usize,
    /// Per reader.
    pub readers: Vec<ReaderStatus>,
}

/// One reader at one instant.
#[derive(Clone, Debug)]
pub struct ReaderStatus {
    /// What it was given.
    pub config: ReaderConfig,
    /// Requests and items not settled.
    pub queued: Count,
    /// Payload bytes not settled; an upper bound for segments that were partly settled at the start.
    pub queued_bytes: u64,
    /// How long ago its oldest unsettled record was received; `None` when there is none.
    pub oldest_age: Option<Duration>,
    /// Since it last settled a record, or since the start.
    pub since_progress: Duration,
    /// The first sequence it has not settled.
    pub watermark: u64,
}

impl Status {
    pub(super) fn of(shared: &Shared) -> Self {
        let (now, wall) = (shared.deps.clock.monotonic(), shared.deps.clock.unix_nano());
        let state = shared.lock();
        let readers = state.lanes.values().map(|lane| ReaderStatus {
            config: lane.config.clone(),
            queued: state.queued(lane),
            queued_bytes: lane.queued_bytes(),
            oldest_age: state.oldest(lane).map(|received| wall.since(received)),
            since_progress: now.saturating_sub(lane.progress),
            watermark: lane.acks.watermark(),
        });
        Self {
            directory: (shared.config.durability != Durability::Memory)
                .then(|| shared.config.directory.clone()),
            durability: shared.config.durability,
            size: state.size(),
            max_size: shared.max_size,
            segments: state.segments.len(),
            next_seq: state.next_seq,
            full: state.is_full(shared.max_size, shared.segment_size),
            failure: state.failure.clone(),
            time_left: time_left(shared, &state),
            poisoned: state.poisoned,
            lost_records: state.lost_records,
            missing_records: state.missing_records,
            uncounted: state.uncounted.clone(),
            since_append: now.saturating_sub(state.progress),
            waiting: shared.inbox.waiting_since().map(|since| now.saturating_sub(since)),
            tail_size: state.tail.bytes(),
            readers: readers.collect(),
        }
    }
}

fn time_left(shared: &Shared, state: &State) -> Option<Duration> {
    state.time_left(shared.max_size, shared.segment_size, shared.deps.clock.monotonic())
}

/// Shows how full the journal is, whatever keeps it, as it is when somebody asks.
#[expect(clippy::cast_precision_loss, reason = "shown values; exact to 2^53 bytes")]
pub(super) fn expose(shared: &Arc<Shared>) {
    let gauge = |desc: &Desc, read: fn(&Shared, &State) -> f64| {
        // The journal has the registry: what is in it must not keep the journal.
        let weak = Arc::downgrade(shared);
        let level = move || weak.upgrade().map_or(0.0, |shared| read(&shared, &shared.lock()));
        shared.deps.registry.observe(desc, &[], level);
    };
    gauge(&desc::JOURNAL_BYTES, |_, state| state.size() as f64);
    gauge(&desc::JOURNAL_CAPACITY_BYTES, |shared, _| shared.max_size as f64);
    gauge(&desc::JOURNAL_UNDELIVERED_BYTES, |_, state| state.undelivered() as f64);
    gauge(&desc::JOURNAL_SEGMENTS, |_, state| state.segments.len() as f64);
    gauge(&desc::JOURNAL_TAIL_BYTES, |_, state| state.tail.bytes() as f64);
    gauge(&desc::JOURNAL_REJECTED_FILES, |shared, _| shared.rejected.kept().0 as f64);
    gauge(&desc::JOURNAL_REJECTED_BYTES, |shared, _| shared.rejected.kept().1 as f64);
    gauge(&desc::JOURNAL_SECONDS_LEFT, |shared, state| {
        time_left(shared, state).map_or(f64::INFINITY, |left| left.as_secs_f64())
    });
}
