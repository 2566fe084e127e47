//! [`Reader`] hands out records, [`Settler`] takes back how they ended.
//!
//! A reader that keeps up gets clones of the tail's `Bytes`; one that does not reads segments off
//! the async threads with bounded buffers.

use std::sync::Arc;
use std::time::Duration;

use super::disk::{self, Batch, Place, Wanted};
use super::shared::Shared;
use super::state::{LaneId, Taken};
use super::{Durability, Entry, ReadError, Rejected, Settled};
use crate::blocking;

/// One reader's way in. Exists once per name.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    id: LaneId,
    /// Where it reads on disk.
    place: Option<Place>,
    /// When reads began to fail, if the last one did, and how many have since.
    failing: Option<(Duration, u32)>,
}

/// After so many failures in a row, over at least so long, what cannot be read is given up, counted: a disk that comes
/// back, as one on a network may, costs nothing.
const FAILURES_MAX: u32 = 5;
const FAILING_MIN: Duration = Duration::from_secs(120);

/// Why [`Reader::wait`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// Enough is unread, or the time is over (then perhaps nothing is).
    Ready,
    /// The journal is closed, or the reader left the configuration. Stop.
    Closed,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, id: LaneId) -> Self {
        Self { shared, id, place: None, failing: None }
    }

    /// How many bytes of the newest records are kept in memory: a reader that is not further behind never reads from disk.
    #[must_use]
    pub fn in_memory_max(&self) -> usize {
        let config = &self.shared.config;
        match config.durability {
            Durability::Memory => config.memory_size,
            Durability::Fsync | Durability::Os => config.tail_size,
        }
    }

    /// Waits until `min_bytes` of payload are unread (at least one record) or `max_wait` is over.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn wait(&mut self, min_bytes: usize, max_wait: Duration) -> Waited {
        let asleep = async {
            loop {
                let bell = {
                    let mut state = self.shared.lock();
                    if state.closed {
                        return Waited::Closed;
                    }
                    match state.lanes.get_mut(&self.id) {
                        None => return Waited::Closed,
                        Some(lane) if lane.is_ready(min_bytes) => return Waited::Ready,
                        Some(lane) => lane.want(min_bytes),
                    }
                };
                bell.notified().await;
            }
        };
        tokio::time::timeout(max_wait, asleep).await.unwrap_or(Waited::Ready)
    }

    /// The next records, in order: at most `max_records` and, but for a single larger record,
    /// `max_bytes` of payload. Empty when nothing is unread, or when older records must be settled
    /// first (16,384 runs of settled records with records in flight between them).
    ///
    /// # Errors
    /// [`ReadError::Closed`]: stop. [`ReadError::Disk`]: try again later; nothing was skipped.
    ///
    /// # Cancel safety
    /// Cancel safe: records are handed out when it returns, or not at all.
    pub async fn next(
        &mut self,
        max_bytes: usize,
        max_records: usize,
    ) -> Result<Vec<Entry>, ReadError> {
        loop {
            let taken = {
                let mut state = self.shared.lock();
                if state.closed {
                    return Err(ReadError::Closed);
                }
                state.take(self.id, max_bytes, max_records)
            };
            let wanted = match taken {
                None => return Err(ReadError::Closed),
                Some(Taken::Entries(entries)) => {
                    // It has caught up: the file may be deleted, and its window is memory.
                    self.place = None;
                    return Ok(entries);
                }
                Some(Taken::Disk { seq, signals, segment }) => {
                    let give_up = self.has_failed_enough();
                    Wanted { signals, segment, seq, max_bytes, max_records, give_up }
                }
            };
            let seq = wanted.seq;
            let Batch { entries, passed, .. } = self.read(wanted).await?;
            let mut state = self.shared.lock();
            match state.take_read(self.id, entries, passed) {
                None => return Err(ReadError::Closed),
                Some(entries) if entries.is_empty() && passed > seq => {}
                Some(entries) => return Ok(entries),
            }
        }
    }

    fn has_failed_enough(&self) -> bool {
        let now = self.shared.deps.clock.monotonic();
        let for_long = |since| now.saturating_sub(since) >= FAILING_MIN;
        self.failing.is_some_and(|(since, n)| n >= FAILURES_MAX && for_long(since))
    }

    /// Reads from disk where that may block.
    async fn read(&mut self, wanted: Wanted) -> Result<Batch, ReadError> {
        let (shared, place) = (Arc::clone(&self.shared), self.place.take());
        let read = on_disk(&self.shared, move || disk::read(&shared, &wanted, place)).await;
        match read.ok_or(ReadError::Closed)? {
            Ok(mut batch) => {
                self.failing = None;
                self.place = batch.place.take();
                Ok(batch)
            }
            Err(error) => {
                let now = self.shared.deps.clock.monotonic();
                self.failing.get_or_insert((now, 0)).1 += 1;
                Err(ReadError::Disk(Arc::new(error)))
            }
        }
    }

    /// Like [`Journal::keep_rejected`](super::Journal::keep_rejected), where it may block.
    ///
    /// # Cancel safety
    /// The record may or may not be kept.
    pub fn keep_rejected(
        &self,
        rejected: Rejected,
    ) -> impl Future<Output = ()> + Send + 'static + use<> {
        let shared = Arc::clone(&self.shared);
        async move {
            let keeping = Arc::clone(&shared);
            let keep = move || keeping.rejected.keep(&rejected);
            // One that shuts down keeps nothing more.
            on_disk(&shared, keep).await.unwrap_or_default();
        }
    }

    /// Whether rejected records can be kept: not where the journal is in memory.
    #[must_use]
    pub fn keeps_rejected(&self) -> bool {
        self.shared.config.durability != Durability::Memory
    }

    /// Counts rejected records that are not kept.
    pub fn not_kept(&self, records: usize) {
        self.shared.rejected.not_kept(records);
    }

    /// A way to settle this reader's records, from any task.
    #[must_use]
    pub fn settler(&self) -> Settler {
        Settler { shared: Arc::clone(&self.shared), id: self.id }
    }
}

/// Runs what may block where that holds up nobody; `None` when the runtime has shut down. A reader may be a thread's, which
/// does not end with it.
async fn on_disk<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    if shared.deps.fs.blocks() { blocking::unless_ended(work).await } else { Some(work()) }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(lane) = self.shared.lock().lanes.get_mut(&self.id) {
            lane.release();
        }
    }
}

/// Takes back how records ended. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Settler {
    shared: Arc<Shared>,
    id: LaneId,
}

impl Settler {
    /// Settles records in any order. One that is not in flight (settled before) is ignored; one whose segment the cap took
    /// meanwhile counts as it ended. Durable with a later group; lost at a crash, it comes again.
    pub fn settle(&self, settled: impl IntoIterator<Item = Settled>) {
        let now = self.shared.deps.clock.monotonic();
        let bell = self.shared.lock().settle(self.id, settled, now);
        if let Some(bell) = bell {
            bell.notify_one();
        }
    }
}
