//! [`Writer`]: the one that puts samples into the store.

use std::sync::Arc;

use sidelight_promql::Histogram;

use super::exemplars::Exemplar;
use super::handle::Shared;
use super::metadata::Metadata;
use super::{Classic, Kind, Refused, StoreError};

/// A series in the head. Stays good until the series leaves the head; then appends say
/// [`Refused::Gone`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// Puts samples into the store. There is exactly one.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    now_ms: i64,
    /// Of what is past the limit.
    overflow: Stream,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, now_ms: i64::MIN, overflow: Stream::default() }
    }

    /// Says when the samples that follow were received, in milliseconds since the Unix epoch: what is
    /// too old or too far ahead is measured against it, and nothing is before it is said. Call it
    /// for each record of the journal.
    pub fn set_now(&mut self, received_ms: i64) {
        self.now_ms = self.now_ms.max(received_ms);
    }

    /// Finds or makes a series. `labels` in the order of names, `__name__` among them; empty values are
    /// left out. Past the limit the answer is [`SeriesId::OVERFLOW`], counted by metric.
    pub fn series(&mut self, labels: &[(&str, &str)], kind: Kind) -> SeriesId {
        let _ = (labels, kind);
        SeriesId::OVERFLOW
    }

    /// Appends a number.
    ///
    /// # Errors
    /// [`Refused`]: the sample is not in the store.
    pub fn append(&mut self, series: SeriesId, time_ms: i64, value: f64) -> Result<(), Refused> {
        let _ = (series, time_ms, value);
        Err(Refused::Overflow)
    }

    /// Appends a native histogram.
    ///
    /// # Errors
    /// [`Refused`]: the sample is not in the store.
    pub fn append_native(
        &mut self,
        series: SeriesId,
        time_ms: i64,
        histogram: &Histogram,
    ) -> Result<(), Refused> {
        let _ = (series, time_ms, histogram);
        Err(Refused::Overflow)
    }

    /// Appends a histogram with explicit bounds.
    ///
    /// # Errors
    /// [`Refused`]: the sample is not in the store.
    pub fn append_classic(
        &mut self,
        series: SeriesId,
        time_ms: i64,
        histogram: &Classic<'_>,
    ) -> Result<(), Refused> {
        let _ = (series, time_ms, histogram);
        Err(Refused::Overflow)
    }

    /// Says that a series ended at `time_ms`, unless it has ended already.
    pub fn stale(&mut self, series: SeriesId, time_ms: i64) {
        let _ = (series, time_ms);
    }

    /// What is kept for the conversion of this series' points. That of a series past the limit, or gone,
    /// is shared and means nothing.
    pub fn stream(&mut self, series: SeriesId) -> &mut Stream {
        let _ = series;
        self.overflow = Stream::default();
        &mut self.overflow
    }

    /// Keeps what is known of a family. The last word holds; past the limit of families it is dropped.
    pub fn describe(&mut self, family: &str, metadata: Metadata) {
        let _ = (family, metadata);
    }

    /// Keeps an exemplar; the oldest of its series, or of all, goes for it.
    pub fn exemplar(&mut self, series: SeriesId, exemplar: Exemplar) {
        let _ = (series, exemplar);
    }

    /// Keeps `bytes` under `key` with the next checkpoint.
    pub fn set_state(&mut self, key: &str, bytes: Vec<u8>) {
        let _ = (key, bytes);
    }

    /// What [`Writer::set_state`] was last given, before or after a restart.
    #[must_use]
    pub fn state(&self, key: &str) -> Option<&[u8]> {
        let _ = key;
        None
    }

    /// Whether it is time for a checkpoint: by received time, or by what was read of the journal since
    /// the last.
    #[must_use]
    pub fn checkpoint_due(&self, journal_bytes_since: u64) -> bool {
        journal_bytes_since >= self.shared.config.checkpoint_bytes
    }

    /// Writes everything that records up to `journal_seq` gave, lets series that are dead leave, and
    /// returns when it is durable. Blocks on disk.
    ///
    /// # Errors
    /// [`StoreError`]: nothing is lost, the next one writes it too.
    pub fn checkpoint(&mut self, journal_seq: u64) -> Result<(), StoreError> {
        self.shared.disk.begin(journal_seq, self.now_ms)?.finish()
    }
}
