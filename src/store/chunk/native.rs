//! Chunks of native histograms: schema and buckets once, then per sample how each count grew.
//!
//! ```text
//! samples u16 LE │ schema, gauge, zero threshold, bounds, indexes │ per sample:
//!   time │ 1 ended, or: 0 │ sum as bits │ count, zero count, buckets: growth, or bits (float chunks)
//! ```
//!
//! A histogram with buckets that the chunk does not have rewrites the chunk; one of another schema begins
//! the next.

use std::sync::Arc;

use sidelight_promql::histogram::{Buckets, Histogram, ResetHint};
use sidelight_promql::source::{STALE_BITS, is_stale};

use super::bits::{BitReader, BitWriter};
use super::decimal::{EXACT, get_bound, put_bound};
use super::time::Times;
use super::xor::Xor;
use super::{Corrupt, Encoding};

/// The most buckets, or bounds, that are believed.
const BUCKETS_MAX: u64 = 1 << 16;

/// A chunk of native histograms that takes more.
#[derive(Clone, Debug)]
pub(in crate::store) struct NativeChunk {
    bits: BitWriter,
    times: Times,
    layout: Layout,
    whole: bool,
    sum: Xor,
    /// Count, zero count and every bucket of the last sample: whole numbers, or bits.
    last: Vec<u64>,
}

/// What all histograms of a chunk share.
#[derive(Clone, Debug, Default, PartialEq)]
struct Layout {
    schema: i32,
    zero_threshold: f64,
    gauge: bool,
    bounds: Option<Arc<[f64]>>,
    positive: Vec<i32>,
    negative: Vec<i32>,
}

impl Layout {
    fn of(histogram: &Histogram) -> Self {
        let indexes = |buckets: &Buckets| {
            let filled = buckets.0.iter().filter(|bucket| bucket.1 != 0.0);
            filled.map(|&(index, _)| index).collect()
        };
        Self {
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            gauge: histogram.reset_hint == ResetHint::Gauge,
            bounds: histogram.custom_bounds.clone(),
            positive: indexes(&histogram.positive),
            negative: indexes(&histogram.negative),
        }
    }

    /// Whether both can be in one chunk.
    fn joins(&self, other: &Self) -> bool {
        self.schema == other.schema
            && self.zero_threshold.to_bits() == other.zero_threshold.to_bits()
            && self.gauge == other.gauge
            && self.bounds == other.bounds
    }

    /// The buckets of both; `None` when `self` has them all.
    fn joined(&self, other: &Self) -> Option<Self> {
        let union = |a: &[i32], b: &[i32]| {
            let mut all = [a, b].concat();
            all.sort_unstable();
            all.dedup();
            all
        };
        let positive = union(&self.positive, &other.positive);
        let negative = union(&self.negative, &other.negative);
        let same = positive.len() == self.positive.len() && negative.len() == self.negative.len();
        (!same).then(|| Self { positive, negative, ..self.clone() })
    }

    /// Count, zero count and the buckets of `histogram` in order.
    fn fields(&self, histogram: &Histogram) -> impl Iterator<Item = f64> {
        let counts = |indexes: &[i32], buckets: &Buckets| {
            let mut rest = buckets.0.iter().filter(|bucket| bucket.1 != 0.0).peekable();
            let count =
                |index: &i32| rest.next_if(|bucket| bucket.0 == *index).map_or(0.0, |b| b.1);
            indexes.iter().map(count).collect::<Vec<_>>()
        };
        let positive = counts(&self.positive, &histogram.positive);
        let negative = counts(&self.negative, &histogram.negative);
        [histogram.count, histogram.zero_count].into_iter().chain(positive).chain(negative)
    }

    fn put(&self, bits: &mut BitWriter) {
        bits.put_small(self.schema.into());
        bits.put_bit(self.gauge);
        put_bound(self.zero_threshold, bits);
        bits.put_bit(self.bounds.is_some());
        if let Some(bounds) = &self.bounds {
            bits.put_small(bounds.len() as i64);
            bounds.iter().for_each(|&bound| put_bound(bound, bits));
        }
        for indexes in [&self.positive, &self.negative] {
            bits.put_small(indexes.len() as i64);
            let mut next = 0;
            for &index in indexes {
                bits.put_small(i64::from(index) - next);
                next = i64::from(index) + 1;
            }
        }
    }

    fn get(bits: &mut BitReader<'_>) -> Result<Self, Corrupt> {
        let schema = i32::try_from(bits.get_small()?).map_err(|_| Corrupt("no such schema"))?;
        let gauge = bits.get_bit()?;
        let zero_threshold = get_bound(bits)?;
        let bounds = if bits.get_bit()? {
            let count = get_count(bits)?;
            Some((0..count).map(|_| get_bound(bits)).collect::<Result<Arc<[f64]>, _>>()?)
        } else {
            None
        };
        let positive = get_indexes(bits)?;
        let negative = get_indexes(bits)?;
        Ok(Self { schema, zero_threshold, gauge, bounds, positive, negative })
    }

    fn buckets(&self) -> usize {
        self.positive.len() + self.negative.len()
    }
}

fn get_count(bits: &mut BitReader<'_>) -> Result<u64, Corrupt> {
    let count = u64::try_from(bits.get_small()?).ok().filter(|&count| count <= BUCKETS_MAX);
    count.ok_or(Corrupt("too many buckets"))
}

fn get_indexes(bits: &mut BitReader<'_>) -> Result<Vec<i32>, Corrupt> {
    let mut next = 0_i64;
    let mut index = |bits: &mut BitReader<'_>| {
        let index = next.wrapping_add(bits.get_small()?);
        next = index.wrapping_add(1);
        i32::try_from(index).map_err(|_| Corrupt("no such bucket"))
    };
    let count = get_count(bits)?;
    (0..count).map(|_| index(bits)).collect()
}

/// Whether every count can be written as a whole number.
fn are_whole(histogram: &Histogram) -> bool {
    let Histogram { count, zero_count, positive, negative, .. } = histogram;
    let buckets = positive.0.iter().chain(&negative.0).map(|bucket| bucket.1);
    [*count, *zero_count].into_iter().chain(buckets).all(is_whole)
}

fn is_whole(count: f64) -> bool {
    (count as i64 as f64).to_bits() == count.to_bits() && count.abs() < EXACT
}

impl NativeChunk {
    /// A chunk that is to begin with `first`.
    pub(super) fn new(first: &Histogram) -> Self {
        let layout = Layout::of(first);
        Self::with(layout, are_whole(first))
    }

    fn with(layout: Layout, whole: bool) -> Self {
        let mut bits = BitWriter::default();
        layout.put(&mut bits);
        let last = vec![0; layout.buckets() + 2];
        Self { bits, times: Times::default(), layout, whole, sum: Xor::default(), last }
    }

    pub(super) fn encoding(&self) -> Encoding {
        if self.whole { Encoding::NativeWhole } else { Encoding::NativeFloat }
    }

    pub(super) fn bits(&self) -> &BitWriter {
        &self.bits
    }

    /// Memory held beyond the struct and its bits.
    pub(super) fn heap_bytes(&self) -> usize {
        let indexes = self.layout.positive.capacity() + self.layout.negative.capacity();
        self.last.capacity() * 8 + indexes * 4
    }

    /// Whether `histogram` may be in this chunk.
    pub(super) fn takes(&self, histogram: &Histogram) -> bool {
        is_stale(histogram.sum) || self.layout.joins(&Layout::of(histogram))
    }

    /// Writes a sample after the `samples` that are there. One that the chunk does not take is written as
    /// if it had the chunk's schema: ask first.
    pub(super) fn push(&mut self, samples: u16, time: i64, histogram: &Histogram) {
        if !is_stale(histogram.sum) {
            let joined = self.layout.joined(&Layout::of(histogram));
            let whole = self.whole && are_whole(histogram);
            if joined.is_some() || whole != self.whole {
                self.rewrite(samples, joined, whole);
            }
        }
        self.write(time, histogram);
    }

    fn write(&mut self, time: i64, histogram: &Histogram) {
        self.times.put(time, &mut self.bits);
        self.bits.put_bit(is_stale(histogram.sum));
        if is_stale(histogram.sum) {
            return;
        }
        self.sum.put(histogram.sum, &mut self.bits);
        for (last, count) in self.last.iter_mut().zip(self.layout.fields(histogram)) {
            if self.whole {
                let count = (count as i64).cast_unsigned();
                self.bits.put_small(count.wrapping_sub(*last).cast_signed());
                *last = count;
            } else {
                put_bits(count.to_bits() ^ *last, &mut self.bits);
                *last = count.to_bits();
            }
        }
    }

    /// Starts anew with more buckets, or with counts that are not whole.
    #[cold]
    fn rewrite(&mut self, samples: u16, layout: Option<Layout>, whole: bool) {
        let mut bytes = Vec::with_capacity(self.bits.len());
        self.bits.copy_to(&mut bytes);
        let mut written = Vec::with_capacity(usize::from(samples));
        let read = decode(self.encoding(), &mut BitReader::new(&bytes), samples, &mut written);
        debug_assert!(read.is_ok(), "{read:?}");
        let layout = layout.unwrap_or_else(|| std::mem::take(&mut self.layout));
        *self = Self::with(layout, whole);
        for (time, histogram) in written {
            self.write(time, &histogram);
        }
    }
}

/// Bits that are mostly zero in front and behind.
fn put_bits(differs: u64, bits: &mut BitWriter) {
    bits.put_bit(differs != 0);
    if differs != 0 {
        let (leading, trailing) = (differs.leading_zeros(), differs.trailing_zeros());
        let width = 64 - leading - trailing;
        bits.put(u64::from(leading) << 6 | u64::from(width - 1), 12);
        bits.put(differs >> trailing, width);
    }
}

fn get_bits(bits: &mut BitReader<'_>) -> Result<u64, Corrupt> {
    if !bits.get_bit()? {
        return Ok(0);
    }
    let (leading, width) = (bits.get(6)? as u32, bits.get(6)? as u32 + 1);
    let end = 64_u32.checked_sub(leading + width);
    let end = end.ok_or(Corrupt("a count has more than 64 bits"))?;
    Ok(bits.get(width)? << end)
}

/// Appends the samples of a chunk of native histograms.
pub(super) fn decode(
    encoding: Encoding,
    bits: &mut BitReader<'_>,
    samples: u16,
    into: &mut Vec<(i64, Arc<Histogram>)>,
) -> Result<(), Corrupt> {
    let layout = Layout::get(bits)?;
    let (mut times, mut sum) = (Times::default(), Xor::default());
    let mut last = vec![0_u64; layout.buckets() + 2];
    let whole = encoding == Encoding::NativeWhole;
    into.reserve(usize::from(samples));
    for _ in 0..samples {
        let time = times.get(bits)?;
        if bits.get_bit()? {
            let sum = f64::from_bits(STALE_BITS);
            into.push((time, Arc::new(Histogram { sum, ..Histogram::default() })));
            continue;
        }
        let sum = sum.get(bits)?;
        for last in &mut last {
            *last = if whole {
                last.wrapping_add(bits.get_small()?.cast_unsigned())
            } else {
                *last ^ get_bits(bits)?
            };
        }
        into.push((time, Arc::new(layout.histogram(sum, &last, whole))));
    }
    Ok(())
}

impl Layout {
    fn histogram(&self, sum: f64, fields: &[u64], whole: bool) -> Histogram {
        let count = |bits: &u64| {
            if whole { bits.cast_signed() as f64 } else { f64::from_bits(*bits) }
        };
        let mut fields = fields.iter().map(count);
        let (count, zero_count) = (fields.next().unwrap_or(0.0), fields.next().unwrap_or(0.0));
        let mut buckets = |indexes: &[i32]| {
            let filled = indexes.iter().copied().zip(fields.by_ref().take(indexes.len()));
            Buckets(filled.filter(|bucket| bucket.1 != 0.0).collect())
        };
        Histogram {
            schema: self.schema,
            count,
            sum,
            zero_threshold: self.zero_threshold,
            zero_count,
            positive: buckets(&self.positive),
            negative: buckets(&self.negative),
            custom_bounds: self.bounds.clone(),
            reset_hint: if self.gauge { ResetHint::Gauge } else { ResetHint::Unknown },
        }
    }
}
