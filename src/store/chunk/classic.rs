//! Chunks of histograms with explicit bounds: the bounds once, then per sample how each count grew.
//!
//! ```text
//! samples u16 LE │ bounds, whether there are sums │ per sample:
//!   time │ 1 ended, or: 0 │ per bucket its growth │ count less the buckets │ sum as bits
//! ```

use std::sync::Arc;

use super::bits::{BitReader, BitWriter};
use super::decimal::{get_bound, put_bound};
use super::time::Times;
use super::xor::Xor;
use super::{Corrupt, Encoding};
use crate::store::Classic;
use crate::store::samples::{ClassicRow, Classics, same_bounds};

/// The most bounds that are believed.
const BOUNDS_MAX: i64 = 1 << 16;

/// A chunk of histograms that takes more.
#[derive(Clone, Debug)]
pub(in crate::store) struct ClassicChunk {
    bits: BitWriter,
    times: Times,
    bounds: Arc<[f64]>,
    has_sum: bool,
    sum: Xor,
    /// The buckets of the last sample.
    last: Vec<u64>,
}

impl ClassicChunk {
    /// A chunk of histograms with these bounds.
    pub(super) fn new(bounds: Arc<[f64]>, has_sum: bool) -> Self {
        let mut bits = BitWriter::default();
        bits.put_small(bounds.len() as i64);
        bounds.iter().for_each(|&bound| put_bound(bound, &mut bits));
        bits.put_bit(has_sum);
        let last = vec![0; bounds.len() + 1];
        Self { bits, times: Times::default(), bounds, has_sum, sum: Xor::default(), last }
    }

    #[expect(clippy::unused_self, reason = "the other chunks have more than one")]
    pub(super) fn encoding(&self) -> Encoding {
        Encoding::Classic
    }

    pub(super) fn bits(&self) -> &BitWriter {
        &self.bits
    }

    /// Memory held beyond the struct, its bits and the bounds.
    pub(super) fn heap_bytes(&self) -> usize {
        self.last.capacity() * 8
    }

    /// The bounds of every sample.
    pub(in crate::store) fn bounds(&self) -> &Arc<[f64]> {
        &self.bounds
    }

    /// Whether its samples have sums.
    pub(super) const fn has_sum(&self) -> bool {
        self.has_sum
    }

    /// Whether `histogram` may be in this chunk.
    pub(super) fn takes(&self, histogram: &Classic<'_>) -> bool {
        self.has_sum == histogram.sum.is_some() && same_bounds(&self.bounds, histogram.bounds)
    }

    /// Writes a sample; `None`: the series ended.
    pub(super) fn push(&mut self, time: i64, histogram: Option<&Classic<'_>>) {
        self.times.put(time, &mut self.bits);
        self.bits.put_bit(histogram.is_none());
        let Some(histogram) = histogram else { return };
        let mut total = 0_u64;
        for (last, &count) in self.last.iter_mut().zip(histogram.counts) {
            self.bits.put_small(count.wrapping_sub(*last).cast_signed());
            total = total.wrapping_add(count);
            *last = count;
        }
        self.bits.put_small(histogram.count.wrapping_sub(total).cast_signed());
        if self.has_sum {
            self.sum.put(histogram.sum.unwrap_or(f64::NAN), &mut self.bits);
        }
    }
}

/// Appends the samples of a chunk of histograms with explicit bounds.
pub(super) fn decode(
    bits: &mut BitReader<'_>,
    samples: u16,
    into: &mut Classics,
) -> Result<(), Corrupt> {
    let count = bits.get_small()?;
    if !(0..=BOUNDS_MAX).contains(&count) {
        return Err(Corrupt("too many bounds"));
    }
    let bounds = (0..count).map(|_| get_bound(bits)).collect::<Result<Vec<_>, _>>()?;
    let has_sum = bits.get_bit()?;
    let mut last = vec![0_u64; bounds.len() + 1];
    let bounds = into.bounds_index(&bounds);
    let (mut times, mut sums) = (Times::default(), Xor::default());
    into.rows.reserve(usize::from(samples));
    for _ in 0..samples {
        let time_ms = times.get(bits)?;
        let counts = u32::try_from(into.cumulative.len()).map_err(|_| Corrupt("too large"))?;
        if bits.get_bit()? {
            // No counts: whoever looks for them finds those of another row, and that they are of no meaning.
            let row = ClassicRow { time_ms, bounds, counts, count: 0, sum: None, stale: true };
            into.rows.push(row);
            continue;
        }
        let mut total = 0_u64;
        for last in &mut last {
            *last = last.wrapping_add(bits.get_small()?.cast_unsigned());
            total = total.wrapping_add(*last);
            into.cumulative.push(total);
        }
        into.cumulative.pop();
        let count = total.wrapping_add(bits.get_small()?.cast_unsigned());
        let sum = if has_sum { Some(sums.get(bits)?) } else { None };
        into.rows.push(ClassicRow { time_ms, bounds, counts, count, sum, stale: false });
    }
    Ok(())
}
