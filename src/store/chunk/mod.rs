//! Chunks: the samples of one series over some time, as bytes.
//!
//! A chunk stands for itself: its bytes say how many samples of what they hold. It is cut at 120 samples,
//! 512 B (histograms 2 KiB, since one stands for many series) or 2 h. Any bits of a number come
//! back as they were. `float.rs`, `native.rs` and `classic.rs` draw the bytes.

mod bits;
mod classic;
mod decimal;
mod float;
mod native;
mod open;
mod time;
mod xor;

use std::sync::Arc;

use bits::BitReader;
use open::SPAN_MS_MAX;
pub(super) use open::{OpenChunk, Sample};

use super::Classic;
use super::samples::{Classics, Samples};

/// Samples in one piece, never changed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The time of the first sample, in milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// The time of the last one.
    pub end_ms: i64,
    /// How many there are; at least 1.
    pub samples: u16,
    /// How `bytes` are to be read: an [`Encoding`].
    pub encoding: u8,
    /// The samples.
    pub bytes: Arc<[u8]>,
}

/// How the bytes of a chunk are to be read. A number here is never used for anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// Numbers with few decimal places.
    Decimal = 1,
    /// Any numbers.
    Xor = 2,
    /// Native histograms with whole counts.
    NativeWhole = 3,
    /// Native histograms with any counts.
    NativeFloat = 4,
    /// Histograms with explicit bounds.
    Classic = 5,
}

impl Encoding {
    /// Every encoding.
    pub const ALL: [Self; 5] =
        [Self::Decimal, Self::Xor, Self::NativeWhole, Self::NativeFloat, Self::Classic];

    /// The encoding with discriminant `code`, or `None` for a code this version does not know.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|&encoding| encoding as u8 == code)
    }
}

/// Bytes that are no chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chunk is corrupt: {0}")]
pub struct Corrupt(pub &'static str);

/// Appends the samples in `bytes` to `into`. What was appended before an error stays.
///
/// # Errors
/// [`Corrupt`]: the bytes end early, or the encoding is unknown.
pub fn decode(encoding: u8, bytes: &[u8], into: &mut Samples) -> Result<(), Corrupt> {
    let encoding = Encoding::from_code(encoding).ok_or(Corrupt("an unknown encoding"))?;
    let (samples, bits) = bytes.split_first_chunk().ok_or(Corrupt("it ends early"))?;
    let samples = u16::from_le_bytes(*samples);
    let bits = &mut BitReader::new(bits);
    match encoding {
        Encoding::Decimal | Encoding::Xor => {
            float::decode(encoding, bits, samples, &mut into.points.floats)
        }
        Encoding::NativeWhole | Encoding::NativeFloat => {
            native::decode(encoding, bits, samples, &mut into.points.histograms)
        }
        Encoding::Classic => classic::decode(bits, samples, &mut into.classics),
    }
}

/// Encodes samples of a day anew, for rollups: each list of `samples` in as few chunks as the limits of samples
/// and bytes allow.
#[must_use]
pub fn encode_day(samples: &Samples) -> Vec<Chunk> {
    encode_within(samples, i64::MAX)
}

/// Encodes samples as the head would.
#[must_use]
pub fn encode(samples: &Samples) -> Vec<Chunk> {
    encode_within(samples, SPAN_MS_MAX)
}

fn encode_within(samples: &Samples, span_ms_max: i64) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut open = None;
    let whole = (span_ms_max, None);
    for &(time, value) in &samples.points.floats {
        put_shared(time, &Sample::Float(value), whole, &mut open, &mut chunks);
    }
    chunks.extend(open.take().map(|open| open.seal()));
    for (time, histogram) in &samples.points.histograms {
        put_shared(*time, &Sample::Native(histogram), whole, &mut open, &mut chunks);
    }
    chunks.extend(open.take().map(|open| open.seal()));
    samples.classics.for_each(|time, histogram| {
        let sample = histogram.map_or(Sample::Ended(super::Kind::Classic), Sample::Classic);
        put_shared(time, &sample, whole, &mut open, &mut chunks);
    });
    chunks.extend(open.map(|open| open.seal()));
    chunks
}

/// Appends a chunk without samples to `out`, for its bounds.
pub(super) fn put_bounds(bounds: &Arc<[f64]>, out: &mut Vec<u8>) {
    out.extend_from_slice(&0_u16.to_le_bytes());
    classic::ClassicChunk::new(Arc::clone(bounds), true).bits().copy_to(out);
}

/// Adds a sample to `open`; when that is full it goes to `sealed` and another begins. `bounds`: those of the
/// series, to be shared; without them those of `open`.
#[inline]
pub(super) fn put(
    time: i64,
    sample: &Sample<'_>,
    bounds: Option<&Arc<[f64]>>,
    open: &mut Option<OpenChunk>,
    sealed: &mut Vec<Chunk>,
) {
    put_shared(time, sample, (SPAN_MS_MAX, bounds), open, sealed);
}

/// The same for chunks of `span_ms_max`.
#[inline]
fn put_shared(
    time: i64,
    sample: &Sample<'_>,
    (span_ms_max, bounds): (i64, Option<&Arc<[f64]>>),
    open: &mut Option<OpenChunk>,
    sealed: &mut Vec<Chunk>,
) {
    if let Some(chunk) = open
        && chunk.push(time, sample, span_ms_max)
    {
        return;
    }
    let bounds = bounds.or_else(|| open.as_ref().and_then(OpenChunk::bounds));
    let next = OpenChunk::new(time, sample, bounds);
    sealed.extend(open.replace(next).map(|full| full.seal()));
}

impl Classics {
    /// Every sample as it was taken, in order; `None`: the series ended.
    pub(super) fn for_each(&self, mut each: impl FnMut(i64, Option<&Classic<'_>>)) {
        let mut counts = Vec::new();
        for row in &self.rows {
            if row.stale {
                each(row.time_ms, None);
                continue;
            }
            let (bounds, cumulative) = self.buckets(row);
            let mut before = 0_u64;
            counts.clear();
            counts.extend(cumulative.iter().chain([&row.count]).map(|&total| {
                let count = total.wrapping_sub(before);
                before = total;
                count
            }));
            let (sum, count) = (row.sum, row.count);
            each(row.time_ms, Some(&Classic { bounds, counts: &counts, sum, count }));
        }
    }
}

#[cfg(test)]
mod tests;
