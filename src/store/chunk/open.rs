//! A chunk that takes more: of whichever kind, and when it is full.

use std::sync::Arc;

use sidelight_promql::Histogram;
use sidelight_promql::source::{STALE_BITS, is_stale};

use super::bits::BitWriter;
use super::classic::ClassicChunk;
use super::float::FloatChunk;
use super::native::NativeChunk;
use super::{Chunk, Encoding};
use crate::store::samples::same_bounds;
use crate::store::{Classic, Kind};

/// A chunk is cut at this many samples …
const SAMPLES_MAX: u16 = 120;
/// … or this many bytes of numbers …
const FLOAT_BYTES_MAX: usize = 512;
/// … or of histograms …
const HISTOGRAM_BYTES_MAX: usize = 2 << 10;
/// … or this long after its first sample.
pub(super) const SPAN_MS_MAX: i64 = 2 * 60 * 60 * 1_000;

/// A sample on its way into a chunk.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) enum Sample<'a> {
    Float(f64),
    Native(&'a Histogram),
    Classic(&'a Classic<'a>),
    /// The series ended; of a kind that has no number for it.
    Ended(Kind),
}

impl Sample<'_> {
    /// What says that a series of `kind` ended.
    pub(in crate::store) fn ended(kind: Kind) -> Self {
        match kind {
            Kind::Float => Self::Float(f64::from_bits(STALE_BITS)),
            Kind::Native | Kind::Classic => Self::Ended(kind),
        }
    }

    pub(in crate::store) fn kind(&self) -> Kind {
        match self {
            Self::Float(_) => Kind::Float,
            Self::Native(_) => Kind::Native,
            Self::Classic(_) => Kind::Classic,
            Self::Ended(kind) => *kind,
        }
    }

    /// Whether it says that the series ended.
    pub(in crate::store) fn is_stale(&self) -> bool {
        match self {
            Self::Float(value) => is_stale(*value),
            Self::Native(histogram) => is_stale(histogram.sum),
            Self::Classic(_) => false,
            Self::Ended(_) => true,
        }
    }
}

/// A chunk that takes more.
#[derive(Clone, Debug)]
pub(in crate::store) struct OpenChunk {
    start_ms: i64,
    end_ms: i64,
    samples: u16,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    Float(FloatChunk),
    Native(Box<NativeChunk>),
    Classic(Box<ClassicChunk>),
}

impl OpenChunk {
    /// A chunk that begins with a sample. `bounds`: those of the series before, shared if the same.
    pub(in crate::store) fn new(
        time: i64,
        sample: &Sample<'_>,
        bounds: Option<&Arc<[f64]>>,
    ) -> Self {
        let native = |histogram: &Histogram| Body::Native(Box::new(NativeChunk::new(histogram)));
        let classic = |bounds, has_sum| Body::Classic(Box::new(ClassicChunk::new(bounds, has_sum)));
        let body = match sample {
            Sample::Float(value) => Body::Float(FloatChunk::new(*value)),
            Sample::Native(histogram) => native(histogram),
            Sample::Classic(histogram) => {
                let known = bounds.filter(|known| same_bounds(known, histogram.bounds));
                let bounds = known.map_or_else(|| histogram.bounds.into(), Arc::clone);
                classic(bounds, histogram.sum.is_some())
            }
            Sample::Ended(Kind::Classic) => {
                classic(bounds.map_or_else(|| [].into(), Arc::clone), true)
            }
            Sample::Ended(_) => native(&Histogram::default()),
        };
        let mut chunk = Self { start_ms: time, end_ms: time, samples: 0, body };
        chunk.write(time, sample);
        chunk
    }

    /// Adds a sample after all others; false, and nothing done, if it belongs into the next chunk. One that is
    /// `span_ms_max` after the first does.
    #[inline]
    pub(super) fn push(&mut self, time: i64, sample: &Sample<'_>, span_ms_max: i64) -> bool {
        let bytes_max = match self.body {
            Body::Float(_) => FLOAT_BYTES_MAX,
            Body::Native(_) | Body::Classic(_) => HISTOGRAM_BYTES_MAX,
        };
        let takes = match (&self.body, sample) {
            (Body::Native(chunk), Sample::Native(histogram)) => chunk.takes(histogram),
            (Body::Classic(chunk), Sample::Classic(histogram)) => chunk.takes(histogram),
            _ => true,
        };
        let fits = self.samples < SAMPLES_MAX
            && self.bits().len() < bytes_max
            && time.saturating_sub(self.start_ms) < span_ms_max;
        if takes && fits {
            self.write(time, sample);
        }
        takes && fits
    }

    #[inline]
    fn write(&mut self, time: i64, sample: &Sample<'_>) {
        match (&mut self.body, sample) {
            (Body::Float(chunk), Sample::Float(value)) => chunk.push(self.samples, time, *value),
            (Body::Native(chunk), Sample::Native(value)) => chunk.push(self.samples, time, value),
            (Body::Native(chunk), Sample::Ended(_)) => {
                let sum = f64::from_bits(STALE_BITS);
                chunk.push(self.samples, time, &Histogram { sum, ..Histogram::default() });
            }
            (Body::Classic(chunk), Sample::Classic(value)) => chunk.push(time, Some(value)),
            (Body::Classic(chunk), Sample::Ended(_)) => chunk.push(time, None),
            // A series has one kind; the head refuses others.
            _ => return,
        }
        self.samples += 1;
        self.end_ms = time;
    }

    fn bits(&self) -> &BitWriter {
        match &self.body {
            Body::Float(chunk) => chunk.bits(),
            Body::Native(chunk) => chunk.bits(),
            Body::Classic(chunk) => chunk.bits(),
        }
    }

    pub(in crate::store) fn encoding(&self) -> Encoding {
        match &self.body {
            Body::Float(chunk) => chunk.encoding(),
            Body::Native(chunk) => chunk.encoding(),
            Body::Classic(chunk) => chunk.encoding(),
        }
    }

    pub(in crate::store) fn start_ms(&self) -> i64 {
        self.start_ms
    }

    /// Whether it takes nothing that comes at `now` or later.
    pub(in crate::store) fn is_over(&self, now: i64) -> bool {
        now.saturating_sub(self.start_ms) >= SPAN_MS_MAX
    }

    /// The bounds of a chunk of histograms that have some.
    pub(in crate::store) fn bounds(&self) -> Option<&Arc<[f64]>> {
        match &self.body {
            Body::Classic(chunk) => Some(chunk.bounds()),
            Body::Float(_) | Body::Native(_) => None,
        }
    }

    /// Whether it is of histograms that have bounds and sums.
    pub(in crate::store) fn has_sum(&self) -> bool {
        matches!(&self.body, Body::Classic(chunk) if chunk.has_sum())
    }

    /// Bytes as a chunk.
    pub(in crate::store) fn len(&self) -> usize {
        2 + self.bits().len()
    }

    /// Memory held beyond the struct.
    pub(in crate::store) fn heap_bytes(&self) -> usize {
        let body = match &self.body {
            Body::Float(_) => 0,
            Body::Native(chunk) => size_of::<NativeChunk>() + chunk.heap_bytes(),
            Body::Classic(chunk) => size_of::<ClassicChunk>() + chunk.heap_bytes(),
        };
        self.bits().heap_bytes() + body
    }

    /// Appends its bytes to `out`: those of a chunk.
    pub(in crate::store) fn copy_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.samples.to_le_bytes());
        self.bits().copy_to(out);
    }

    /// The chunk as it is, never to change again.
    pub(in crate::store) fn seal(&self) -> Chunk {
        let mut bytes = Vec::with_capacity(self.len());
        self.copy_to(&mut bytes);
        Chunk {
            start_ms: self.start_ms,
            end_ms: self.end_ms,
            samples: self.samples,
            encoding: self.encoding() as u8,
            bytes: bytes.into(),
        }
    }
}
