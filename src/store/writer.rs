//! [`Writer`]: the one that puts samples into the store.

mod save;

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use sidelight_promql::Histogram;

use super::checkpoint::Restored;
use super::chunk::Sample;
use super::disk::Attempts;
use super::exemplars::Exemplar;
use super::head::Lost;
use super::metadata::Metadata;
use super::shared::Shared;
use super::state;
use super::{Classic, Fingerprint, Kind, Rank, Refused, SeriesId, StoreError, Stream};
use crate::telemetry::desc;

/// Puts samples into the store. There is exactly one.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    /// The received time; `None` until it is said.
    now_ms: Option<i64>,
    checkpoint_ms: Option<i64>,
    /// The most bytes of the journal between two checkpoints.
    checkpoint_bytes: u64,
    /// The latest of the head's [`Head::ends`](super::head::Head::ends).
    newest_end_ms: Option<i64>,
    streams: Vec<Kept>,
    /// Of what is past the limit.
    spare: Kept,
    /// Series that the last checkpoint has and that were not put back.
    lost: Vec<Fingerprint>,
    /// The series that counts what is past the limit, and its last time.
    overflow_noted_ms: i64,
    /// Pieces of named state that a start found, until they are taken.
    states: BTreeMap<String, Vec<Vec<u8>>>,
    /// How many pieces of named state the last checkpoint has.
    pieces: BTreeMap<String, usize>,
    attempts: Attempts,
}

/// The stream of a slot of the head, and whether it may differ from what a checkpoint has.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    generation: u32,
    changed: bool,
    stream: Stream,
}

/// Takes a piece of named state: its name, and its bytes.
pub type PutState<'a> = &'a mut dyn FnMut(&str, &[u8]) -> Result<(), StoreError>;

/// The name under which exemplars are kept.
const EXEMPLARS: &str = "exemplars";
/// The series that counts what is past the limit gets a sample this often.
const OVERFLOW_INTERVAL_MS: i64 = 10_000;
/// A family's help and unit are cut to this many bytes.
const HELP_BYTES_MAX: usize = 1 << 10;
/// The most bounds of a histogram.
const BOUNDS_MAX: usize = 1 << 10;

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let attempts = Attempts::open(&shared.config.directory);
        let checkpoint_bytes = shared.config.checkpoint_bytes;
        Self {
            shared,
            now_ms: None,
            checkpoint_ms: None,
            checkpoint_bytes,
            newest_end_ms: None,
            streams: Vec::new(),
            spare: Kept::default(),
            lost: Vec::new(),
            overflow_noted_ms: i64::MIN,
            states: BTreeMap::new(),
            pieces: BTreeMap::new(),
            attempts,
        }
    }

    /// Puts back what a checkpoint held. Returns how many series were, cannot be read, and have no room.
    ///
    /// # Errors
    /// [`StoreError`]: the series cannot be read.
    pub(super) fn restore(
        &mut self,
        restored: &mut Restored,
    ) -> Result<(usize, [usize; 2]), StoreError> {
        if restored.journal_seq.is_some() {
            (self.now_ms, self.checkpoint_ms) = (Some(restored.now_ms), Some(restored.now_ms));
        }
        (self.states, self.pieces) = state::sorted(std::mem::take(&mut restored.states));
        let shared = Arc::clone(&self.shared);
        let mut head = shared.head_mut();
        for (name, known) in std::mem::take(&mut restored.families) {
            // What there is no room for is said again by who sends it.
            let _kept = head.describe(&name, known, shared.config.families_max);
        }
        head.families.saved();
        head.ends = std::mem::take(&mut restored.ends);
        head.departed_ms = restored.departed_ms;
        self.newest_end_ms = head.ends.values().copied().max();
        let (mut unreadable, mut refused) = (0, 0);
        shared.disk.each_live(&mut |series| {
            let count = match head.restore(series) {
                Ok((id, stream)) => return self.keep(id).stream = stream,
                Err(Lost::Unreadable) => &mut unreadable,
                Err(Lost::NoRoom) => &mut refused,
            };
            *count += 1;
            self.lost.push(series.fingerprint);
        })?;
        for piece in self.states.remove(EXEMPLARS).unwrap_or_default() {
            head.take_back_exemplars(&piece);
        }
        Ok((head.len(), [unreadable, refused]))
    }

    /// The stream of a series, whichever series had the slot before. For one whose slot another has
    /// by now it means nothing.
    fn keep(&mut self, id: SeriesId) -> &mut Kept {
        let index = id.index as usize;
        if self.streams.len() <= index {
            self.streams.resize(index + 1, Kept::default());
        }
        if self.streams.get(index).is_none_or(|kept| kept.generation > id.generation) {
            self.spare = Kept::default();
            return &mut self.spare;
        }
        let kept = self.streams.get_mut(index).unwrap_or(&mut self.spare);
        if kept.generation != id.generation {
            *kept = Kept { generation: id.generation, ..Kept::default() };
        }
        kept
    }

    /// Says when the samples that follow were received, in milliseconds since the Unix epoch: what is
    /// too old or too far ahead is measured against it, and nothing is before it is said. Call it
    /// for each record of the journal.
    pub fn set_now(&mut self, received_ms: i64) {
        let now = self.now_ms.map_or(received_ms, |now| now.max(received_ms));
        self.now_ms = Some(now);
        self.checkpoint_ms.get_or_insert(now);
        self.forget_ends(now);
        if now.saturating_sub(self.overflow_noted_ms) >= OVERFLOW_INTERVAL_MS {
            self.note_overflow(now);
        }
    }

    /// The time that was said last, or that the last checkpoint has.
    #[must_use]
    pub fn now_ms(&self) -> Option<i64> {
        self.now_ms
    }

    /// Has a checkpoint due after so many bytes of the journal, where it is not before that.
    pub fn checkpoint_within(&mut self, journal_bytes: u64) {
        self.checkpoint_bytes = self.checkpoint_bytes.min(journal_bytes);
    }

    /// Says that the clock was wrong and was set back. Series with samples of then leave with the next checkpoint, which is
    /// due; until that nothing is taken for them.
    pub fn set_back(&mut self, received_ms: i64) {
        self.now_ms = Some(received_ms);
        (self.checkpoint_ms, self.overflow_noted_ms) = (Some(i64::MIN), i64::MIN);
    }

    /// Lets go of what was known of series on disk when a sample of then would be too old anyway.
    fn forget_ends(&mut self, now: i64) {
        if let Some(newest) = self.newest_end_ms
            && newest < now.saturating_sub(millis(self.shared.config.series_ttl))
        {
            self.newest_end_ms = None;
            self.shared.head_mut().ends = HashMap::new();
        }
    }

    /// Shows how much was past the limit as a series of its own, once there is any.
    fn note_overflow(&mut self, now: i64) {
        self.overflow_noted_ms = now;
        let mut head = self.shared.head_mut();
        if head.overflow_samples == 0 {
            return;
        }
        let name = format!("{}_total", desc::STORE_OVERFLOW_SAMPLES.name);
        let labels = [("__name__", &*name), ("otel_metric_overflow", "true")];
        let fingerprint = Fingerprint::of(labels, Kind::Float);
        let count = head.overflow_samples as f64;
        let id = head.series(Rank::Judged, &labels, Kind::Float, now).unwrap_or_else(|_| {
            // Beside the limit: it is how the limit shows.
            head.make(fingerprint, labels.into_iter(), Kind::Float, now)
        });
        let sealed = head.append(id, now, &Sample::Float(count));
        head.pending_bytes += sealed.unwrap_or_default();
    }

    /// Finds or makes a series that is received. `labels` in the order of names, `__name__` among them; empty values are
    /// left out. Past the limit the answer is [`SeriesId::OVERFLOW`], counted by metric.
    pub fn series(&mut self, labels: &[(&str, &str)], kind: Kind) -> SeriesId {
        self.series_of(Rank::Received, labels, kind)
    }

    /// The same for a series of any rank.
    pub fn series_of(&mut self, rank: Rank, labels: &[(&str, &str)], kind: Kind) -> SeriesId {
        let now = self.now_ms.unwrap_or_default();
        let made = self.shared.head_mut().series(rank, labels, kind, now);
        made.unwrap_or_else(|full| {
            self.shared.metrics.refused(full);
            SeriesId::OVERFLOW
        })
    }

    /// Counts a sample that is not stored since its series is past the limit, for the series that shows how many there are.
    pub fn past_limit(&mut self) {
        self.shared.head_mut().overflow_samples += 1;
        self.shared.metrics.overflow.add(1);
    }

    /// The series with these labels, if it is in the head.
    #[must_use]
    pub fn find(&self, labels: &[(&str, &str)], kind: Kind) -> Option<SeriesId> {
        self.shared.head().find_labels(labels, kind)
    }

    /// Appends a number.
    ///
    /// # Errors
    /// [`Refused`]: the sample is not in the store.
    pub fn append(&mut self, series: SeriesId, time_ms: i64, value: f64) -> Result<(), Refused> {
        self.put(series, time_ms, &Sample::Float(value))
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
        self.put(series, time_ms, &Sample::Native(histogram))
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
        let Classic { bounds, counts, .. } = histogram;
        let ascending = bounds.iter().is_sorted_by(|a, b| a < b);
        let finite = bounds.iter().all(|bound| bound.is_finite());
        if !ascending || !finite || counts.len() != bounds.len() + 1 || bounds.len() > BOUNDS_MAX {
            return Err(Refused::Malformed);
        }
        self.put(series, time_ms, &Sample::Classic(histogram))
    }

    /// Says that a series ended at `time_ms`, unless it has ended already.
    pub fn stale(&mut self, series: SeriesId, time_ms: i64) {
        let kind = {
            let head = self.shared.head();
            let of = head.get(series).filter(|of| !of.ended && of.last_ms.is_some());
            let Some(of) = of else { return };
            of.kind
        };
        // A series whose newest sample is later has not ended.
        let _refused = self.put(series, time_ms, &Sample::ended(kind));
    }

    #[inline]
    fn put(&mut self, id: SeriesId, time_ms: i64, sample: &Sample<'_>) -> Result<(), Refused> {
        let config = &self.shared.config;
        let mut head = self.shared.head_mut();
        if id.is_overflow() {
            drop(head);
            self.past_limit();
            return Err(Refused::Overflow);
        }
        if let Some(now) = self.now_ms {
            if time_ms > now.saturating_add(millis(config.future_max)) {
                return Err(Refused::FarFuture);
            }
            if time_ms < now.saturating_sub(millis(config.series_ttl)) {
                return Err(Refused::TooOld);
            }
        }
        let sealed = head.append(id, time_ms, sample)?;
        head.pending_bytes += sealed;
        while sealed > 0 && head.pending_bytes > config.memory.pending {
            let Some(lost) = head.drop_oldest(id) else { break };
            head.pending_bytes -= lost;
            self.shared.metrics.dropped_chunks.add(1);
        }
        head.samples += 1;
        head.newest_ms = head.newest_ms.max(Some(time_ms));
        Ok(())
    }

    /// What is kept for the conversion of this series' points. That of a series past the limit
    /// is shared and means nothing.
    pub fn stream(&mut self, series: SeriesId) -> &mut Stream {
        if series.is_overflow() {
            self.spare = Kept::default();
            return &mut self.spare.stream;
        }
        let kept = self.keep(series);
        kept.changed = true;
        &mut kept.stream
    }

    /// Keeps what is known of a family. The last word holds; past the limit of families or of their bytes it is
    /// dropped, counted.
    pub fn describe(&mut self, family: &str, mut metadata: Metadata) {
        let families_max = self.shared.config.families_max;
        cut(&mut metadata.help);
        cut(&mut metadata.unit);
        if !self.shared.head_mut().describe(family, metadata, families_max) {
            self.shared.metrics.dropped_families.add(1);
        }
    }

    /// Keeps an exemplar, in place of others where there is no room.
    pub fn exemplar(&mut self, series: SeriesId, exemplar: Exemplar) {
        if !series.is_overflow() {
            self.shared.head_mut().exemplars.push(series, exemplar);
        }
    }

    /// Says that a record of the journal is about to be read; false when it is to be passed over, since two processes
    /// died over it.
    pub fn begin_record(&mut self, seq: u64) -> bool {
        self.attempts.begin(seq)
    }

    /// Says that the record was read.
    pub fn end_record(&mut self) {
        self.attempts.end();
    }

    /// The pieces of each named state of the last checkpoint, in order. There once after a start.
    pub fn take_states(&mut self) -> BTreeMap<String, Vec<Vec<u8>>> {
        std::mem::take(&mut self.states)
    }

    /// The identity of a series of the head.
    #[must_use]
    pub fn fingerprint(&self, series: SeriesId) -> Option<Fingerprint> {
        self.shared.head().get(series).map(|series| series.fingerprint)
    }

    /// The series of the head with this identity.
    #[must_use]
    pub fn by_fingerprint(&self, fingerprint: Fingerprint) -> Option<SeriesId> {
        self.shared.head().id(fingerprint)
    }
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(HELP_BYTES_MAX));
    // What is cut off is not kept in memory either.
    text.shrink_to_fit();
}
