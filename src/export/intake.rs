//! Where a lane's records come from and where it says what became of them: a journal reader, or a test.

use std::future::Future;
use std::time::Duration;

use crate::journal::{Entry, ReadError, Reader, Rejected, Settled, Waited};

/// A source of records that wants to know what became of each.
pub trait Intake: Send + 'static {
    /// Waits until `min_bytes` are there or `max_wait` has passed. `false` when there will be nothing
    /// more.
    ///
    /// # Cancel safety
    /// Safe.
    fn wait(&mut self, min_bytes: usize, max_wait: Duration) -> impl Future<Output = bool> + Send;

    /// The next records: at most `max_bytes` of payload, but one at least when there is one.
    ///
    /// # Errors
    /// What the disk said, in words; it is tried again.
    fn next(
        &mut self,
        max_bytes: usize,
        max_records: usize,
    ) -> impl Future<Output = Result<Vec<Entry>, String>> + Send;

    /// Says what became of records, in any order.
    fn settle(&self, settled: Vec<Settled>);

    /// Keeps what is given up, for people. Says itself when it cannot; the record is settled after.
    fn keep_rejected(&self, rejected: Rejected) -> impl Future<Output = ()> + Send + 'static;

    /// Counts records that are given up and not kept, since too many are.
    fn not_kept(&self, records: usize);

    /// Whether records that are given up can be kept.
    fn keeps_rejected(&self) -> bool {
        true
    }
}

impl Intake for Reader {
    async fn wait(&mut self, min_bytes: usize, max_wait: Duration) -> bool {
        Self::wait(self, min_bytes, max_wait).await == Waited::Ready
    }

    async fn next(&mut self, max_bytes: usize, max_records: usize) -> Result<Vec<Entry>, String> {
        match Self::next(self, max_bytes, max_records).await {
            Ok(entries) => Ok(entries),
            // The next wait says so.
            Err(ReadError::Closed) => Ok(Vec::new()),
            Err(error @ ReadError::Disk(_)) => Err(error.to_string()),
        }
    }

    fn settle(&self, settled: Vec<Settled>) {
        self.settler().settle(settled);
    }

    fn keep_rejected(&self, rejected: Rejected) -> impl Future<Output = ()> + Send + 'static {
        Self::keep_rejected(self, rejected)
    }

    fn not_kept(&self, records: usize) {
        Self::not_kept(self, records);
    }

    fn keeps_rejected(&self) -> bool {
        Self::keeps_rejected(self)
    }
}
