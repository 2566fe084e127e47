//! [`Reader`] hands out records, [`Settler`] takes back how they ended.
//!
//! A reader that keeps up gets clones of the tail's `Bytes`; one that does not reads segments off
//! the async threads with bounded buffers.

use std::sync::Arc;
use std::time::Duration;

use super::handle::Shared;
use super::state::{LaneId, Taken};
use super::{Entry, ReadError, Settled};

/// One reader's way in. Exists once per name.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    id: LaneId,
}

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
        Self { shared, id }
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
    /// first (16,384 separate runs of settled records).
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
        let taken = {
            let mut state = self.shared.lock();
            if state.closed {
                return Err(ReadError::Closed);
            }
            state.take(self.id, max_bytes, max_records)
        };
        match taken {
            None => Err(ReadError::Closed),
            Some(Taken::Entries(entries)) => Ok(entries),
            Some(Taken::Disk { .. }) => Ok(Vec::new()),
        }
    }

    /// A way to settle this reader's records, from any task.
    #[must_use]
    pub fn settler(&self) -> Settler {
        Settler { shared: Arc::clone(&self.shared), id: self.id }
    }
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
    /// Settles records in any order. One that is not in flight (settled before, or dropped at the
    /// cap meanwhile) is ignored. Durable with a later group; lost at a crash, it comes again.
    pub fn settle(&self, settled: impl IntoIterator<Item = Settled>) {
        let now = self.shared.deps.clock.monotonic();
        let bell = self.shared.lock().settle(self.id, settled, now);
        if let Some(bell) = bell {
            bell.notify_one();
        }
    }
}
