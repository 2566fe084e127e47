//! One series in the head: its newest samples, and what is needed to judge the next one.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use sidelight_promql::{Label, Labels};

use super::symbols::Symbol;
use crate::store::chunk::{self, Chunk, Corrupt, Encoding, OpenChunk, Sample};
use crate::store::samples::{Samples, same_bounds};
use crate::store::{Fingerprint, Kind, Rank, Refused, Stream};

/// A series. About 250 B, its labels at 8 B each, and its chunks.
#[derive(Debug)]
pub(in crate::store) struct Series {
    pub(in crate::store) fingerprint: Fingerprint,
    pub(in crate::store) kind: Kind,
    /// Whether the newest sample says that the series ended.
    pub(in crate::store) ended: bool,
    /// Whether there is something that no checkpoint has.
    pub(in crate::store) changed: bool,
    /// In the order of names.
    pub(super) labels: Box<[(Symbol, Symbol)]>,
    /// The same as queries want them, if one asked and there was room.
    pub(super) shared: OnceLock<Labels>,
    /// Whether one asked for them since the last checkpoint.
    pub(super) asked: AtomicBool,
    /// The time of the newest sample; `None` before the first.
    pub(in crate::store) last_ms: Option<i64>,
    /// How many were made before, and it.
    pub(super) born: u32,
    /// Where it is from, as who asked for it last said.
    pub(super) rank: Rank,
    /// When it was made: without a sample it leaves as well.
    pub(super) made_ms: i64,
    /// Tells the newest sample from another of the same time.
    mark: u64,
    /// The bounds of the newest histogram that has some, shared with other series.
    pub(super) bounds: Option<Arc<[f64]>>,
    open: Option<OpenChunk>,
    /// Chunks that take no more, oldest first.
    pub(in crate::store) sealed: Vec<Chunk>,
    /// Whether a checkpoint has the first of them, and no other.
    kept: bool,
}

/// The mark of a sample of which only the time is known: a NaN that no one sends.
const MARK_UNKNOWN: u64 = u64::MAX - 1;

/// The layout of [`Series::state`].
const VERSION: u8 = 1;

impl Series {
    pub(super) fn new(
        fingerprint: Fingerprint,
        kind: Kind,
        labels: Box<[(Symbol, Symbol)]>,
        made_ms: i64,
    ) -> Self {
        Self {
            fingerprint,
            kind,
            ended: false,
            changed: true,
            labels,
            shared: OnceLock::new(),
            asked: AtomicBool::new(false),
            last_ms: None,
            born: 0,
            rank: Rank::Received,
            made_ms,
            mark: 0,
            bounds: None,
            open: None,
            sealed: Vec::new(),
            kept: false,
        }
    }

    /// Takes no sample up to `end`: those are on disk.
    pub(super) fn go_on_after(&mut self, end: i64) {
        (self.last_ms, self.mark) = (Some(end), MARK_UNKNOWN);
    }

    /// Whether a sample may be next; what tells it from others.
    #[inline]
    pub(super) fn check(&self, time: i64, sample: &Sample<'_>) -> Result<u64, Refused> {
        if sample.kind() != self.kind {
            return Err(Refused::Malformed);
        }
        let mark = mark(sample);
        match self.last_ms {
            Some(last) if time < last => Err(Refused::OutOfOrder),
            Some(last) if time == last && [mark, MARK_UNKNOWN].contains(&self.mark) => {
                Err(Refused::Duplicate)
            }
            Some(last) if time == last => Err(Refused::Conflict),
            _ => Ok(mark),
        }
    }

    /// Adds a sample that [`Series::check`] let pass, after its bounds were put into `bounds`. Returns the
    /// bytes of what that sealed.
    #[inline]
    pub(super) fn append(&mut self, time: i64, sample: &Sample<'_>, mark: u64) -> usize {
        self.last_ms = Some(time);
        self.mark = mark;
        self.ended = sample.is_stale();
        self.changed = true;
        let before = self.sealed.len();
        chunk::put(time, sample, self.bounds.as_ref(), &mut self.open, &mut self.sealed);
        self.sealed.iter().skip(before).map(|chunk| chunk.bytes.len()).sum()
    }

    /// When it was last of use.
    pub(in crate::store) fn used_ms(&self) -> i64 {
        self.last_ms.unwrap_or(self.made_ms).max(self.made_ms)
    }

    /// Whether the next sample would begin another chunk, as far as time goes.
    pub(in crate::store) fn is_over(&self, now: i64) -> bool {
        self.open.as_ref().is_some_and(|open| open.is_over(now))
    }

    /// Moves the open chunk to those that are sealed; its bytes.
    pub(super) fn seal(&mut self) -> usize {
        let Some(open) = self.open.take() else { return 0 };
        self.changed = true;
        let chunk = open.seal();
        let bytes = chunk.bytes.len();
        self.sealed.push(chunk);
        bytes
    }

    /// Memory that the open chunk holds.
    #[inline]
    pub(in crate::store) fn open_bytes(&self) -> usize {
        self.open.as_ref().map_or(0, OpenChunk::heap_bytes)
    }

    /// Sealed chunks that no checkpoint has.
    pub(in crate::store) fn pending(&self) -> &[Chunk] {
        self.sealed.get(usize::from(self.kept)..).unwrap_or_default()
    }

    /// Their bytes.
    pub(super) fn pending_bytes(&self) -> usize {
        self.pending().iter().map(|chunk| chunk.bytes.len()).sum()
    }

    /// Bytes of the sealed chunk that a checkpoint has.
    pub(super) fn kept_bytes(&self) -> usize {
        self.sealed.first().filter(|_| self.kept).map_or(0, |chunk| chunk.bytes.len())
    }

    /// Drops the oldest sealed chunk that no checkpoint has; its bytes.
    pub(super) fn drop_oldest(&mut self) -> Option<usize> {
        let at = usize::from(self.kept);
        (at < self.sealed.len()).then(|| self.sealed.remove(at).bytes.len())
    }

    /// Says that a checkpoint has all sealed chunks. Of them the last stays, if it takes no more than `room` and what
    /// is open begins after `after_ms`: who looks back a little need not look on disk. Its bytes.
    pub(super) fn written(&mut self, after_ms: i64, room: usize) -> usize {
        self.changed = false;
        let begun = self.open.as_ref().is_some_and(|open| open.start_ms() <= after_ms);
        let last = self
            .sealed
            .pop()
            .filter(|last| !begun && last.end_ms > after_ms && last.bytes.len() <= room);
        self.kept = last.is_some();
        self.sealed = last.into_iter().collect();
        self.kept_bytes()
    }

    /// The time of the oldest sample that is here: the disk has those before.
    pub(in crate::store) fn first_ms(&self) -> Option<i64> {
        let sealed = self.sealed.first().map(|chunk| chunk.start_ms);
        sealed.or_else(|| self.open.as_ref().map(OpenChunk::start_ms))
    }

    /// Whether the newest histograms have sums; `None` when only the disk knows.
    pub(in crate::store) fn has_sum(&self) -> Option<bool> {
        self.open.as_ref().map(OpenChunk::has_sum)
    }

    /// The bounds of the newest sample of a histogram that has some.
    pub(in crate::store) fn bounds(&self) -> Option<&Arc<[f64]>> {
        self.bounds.as_ref()
    }

    /// Whether these are the bounds of the newest histogram.
    #[inline]
    pub(super) fn has_bounds(&self, bounds: &[f64]) -> bool {
        self.bounds.as_ref().is_some_and(|known| same_bounds(known, bounds))
    }

    /// Appends the bytes of the open chunk to `out`; its encoding.
    pub(in crate::store) fn copy_open(&self, out: &mut Vec<u8>) -> Option<u8> {
        let open = self.open.as_ref()?;
        open.copy_to(out);
        Some(open.encoding() as u8)
    }

    pub(super) fn chunks(&self) -> usize {
        self.sealed.len() + usize::from(self.open.is_some())
    }

    pub(super) fn chunk_bytes(&self) -> usize {
        self.pending_bytes() + self.kept_bytes() + self.open.as_ref().map_or(0, OpenChunk::len)
    }

    /// What [`Series::shared`] takes.
    pub(super) fn shared_bytes(&self) -> usize {
        self.shared.get().map_or(0, Self::shared_bytes_of)
    }

    /// What `labels` take there.
    pub(super) fn shared_bytes_of(labels: &Labels) -> usize {
        16 + labels.len() * size_of::<Label>()
    }

    /// Lets go of [`Series::shared`] if no query asked for them since this was called; the bytes.
    pub(super) fn forget_labels(&mut self) -> usize {
        let bytes = self.shared_bytes();
        if std::mem::take(self.asked.get_mut()) {
            return 0;
        }
        self.shared.take();
        bytes
    }

    /// Memory held, the struct included.
    pub(super) fn heap_bytes(&self) -> usize {
        let sealed: usize = self.sealed.iter().map(|chunk| chunk.bytes.len() + 16).sum();
        size_of::<Self>()
            + self.labels.len() * size_of::<(Symbol, Symbol)>()
            + self.shared_bytes()
            + self.sealed.capacity() * size_of::<Chunk>()
            + sealed
            + self.open_bytes()
    }

    /// Appends what a restart needs to `out`, numbers little-endian:
    ///
    /// ```text
    /// version u8 │ made i64 │ start u64, last u64, total f64 of the stream │ has a sample u8, and then:
    /// last i64 │ mark u64 │ ended u8 │ encoding u8 │ bytes of the open chunk
    /// ```
    /// Where the last chunk is sealed, one without samples says which bounds the series has.
    pub(in crate::store) fn state(&self, stream: &Stream, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend(self.made_ms.to_le_bytes());
        out.extend(stream.start_unix_nano.to_le_bytes());
        out.extend(stream.last_unix_nano.to_le_bytes());
        out.extend(stream.total.to_le_bytes());
        out.push(u8::from(self.last_ms.is_some()));
        if let Some(last) = self.last_ms {
            out.extend(last.to_le_bytes());
            out.extend(self.mark.to_le_bytes());
            out.push(u8::from(self.ended));
            match (&self.open, &self.bounds) {
                (None, Some(bounds)) => {
                    out.push(Encoding::Classic as u8);
                    chunk::put_bounds(bounds, out);
                }
                (open, _) => {
                    out.push(open.as_ref().map_or(0, |open| open.encoding() as u8));
                    self.copy_open(out);
                }
            }
        }
    }

    /// Takes what [`Series::state`] wrote. Samples are encoded anew, which gives the same chunk. `share` gives bounds
    /// that equal others', or `None` when there is no room.
    pub(super) fn restore(
        &mut self,
        state: &[u8],
        share: impl FnOnce(&[f64]) -> Option<Arc<[f64]>>,
    ) -> Result<Stream, Corrupt> {
        let mut state = Fields(state);
        if state.byte()? != VERSION {
            return Err(Corrupt("a series of another version"));
        }
        self.made_ms = state.word()?.cast_signed();
        let start_unix_nano = state.word()?;
        let last_unix_nano = state.word()?;
        let total = f64::from_bits(state.word()?);
        let stream = Stream { start_unix_nano, last_unix_nano, total };
        self.changed = false;
        if state.byte()? == 0 {
            return Ok(stream);
        }
        let last = state.word()?.cast_signed();
        let mark = state.word()?;
        let ended = state.byte()? != 0;
        let encoding = state.byte()?;
        if !state.0.is_empty() {
            self.reopen(encoding, state.0, share)?;
        }
        (self.last_ms, self.mark, self.ended) = (Some(last), mark, ended);
        Ok(stream)
    }

    fn reopen(
        &mut self,
        encoding: u8,
        bytes: &[u8],
        share: impl FnOnce(&[f64]) -> Option<Arc<[f64]>>,
    ) -> Result<(), Corrupt> {
        let mut samples = Samples::default();
        chunk::decode(encoding, bytes, &mut samples)?;
        if let Some(bounds) = samples.classics.bounds.first() {
            self.bounds = Some(share(bounds).ok_or(Corrupt("no room for its bounds"))?);
        }
        let (bounds, open, sealed) = (self.bounds.as_ref(), &mut self.open, &mut self.sealed);
        for &(time, value) in &samples.points.floats {
            chunk::put(time, &Sample::Float(value), None, open, sealed);
        }
        for (time, histogram) in &samples.points.histograms {
            chunk::put(*time, &Sample::Native(histogram), None, open, sealed);
        }
        // A chunk that begins with an end has the bounds of the chunk before it, which is not here.
        let classics = &samples.classics;
        let ended = classics.rows.first().filter(|row| row.stale);
        if let Some(row) = ended {
            let sample = Sample::ended(Kind::Classic);
            *open = Some(OpenChunk::new(row.time_ms, &sample, bounds));
        }
        let mut begun = ended.is_some();
        classics.for_each(|time, histogram| {
            let sample = histogram.map_or(Sample::ended(Kind::Classic), Sample::Classic);
            if !std::mem::take(&mut begun) {
                chunk::put(time, &sample, bounds, open, sealed);
            }
        });
        Ok(())
    }
}

/// Tells a sample from another of the same series and time.
#[inline]
fn mark(sample: &Sample<'_>) -> u64 {
    match sample {
        Sample::Float(value) => value.to_bits(),
        Sample::Native(histogram) => {
            histogram.sum.to_bits() ^ histogram.count.to_bits().rotate_left(32)
        }
        Sample::Classic(histogram) => {
            histogram.sum.map_or(1, f64::to_bits) ^ histogram.count.rotate_left(32)
        }
        Sample::Ended(_) => u64::MAX,
    }
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Corrupt> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Corrupt("a series ends early"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Corrupt> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn word(&mut self) -> Result<u64, Corrupt> {
        self.take().map(u64::from_le_bytes)
    }
}
