//! Bytes of the aggregator's state in a checkpoint: numbers, texts, histograms.
//!
//! ```text
//! number     LEB128, at most 10 bytes          text      number of bytes, bytes
//! float      8 bytes, little-endian            side      first index (zigzag), number of counts, counts
//! histogram  scale (zigzag), zero count, zero threshold, positive side, negative side, sum, min, max
//! ```
//! Reading never panics: what is cut short or contradicts itself is `None`, and the state is begun anew.

use sidelight_exphist::{Histogram, Parts};

/// The most counts of a side that are read.
const COUNTS_MAX: u64 = 1 << 14;

/// Writes a number.
pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes a number that may be negative.
pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, (value << 1 ^ value >> 63).cast_unsigned());
}

/// Writes a float.
pub(super) fn put_float(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

/// Writes bytes after their number.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes a histogram.
pub(super) fn put_histogram(out: &mut Vec<u8>, histogram: &Histogram) {
    put_signed(out, histogram.scale().into());
    put(out, histogram.zero_count());
    put_float(out, histogram.zero_threshold());
    for (first, counts) in [histogram.positive(), histogram.negative()] {
        put_signed(out, first.into());
        put(out, counts.len() as u64);
        counts.iter().for_each(|&count| put(out, count));
    }
    put_float(out, histogram.sum());
    put_float(out, histogram.min().unwrap_or(f64::INFINITY));
    put_float(out, histogram.max().unwrap_or(f64::NEG_INFINITY));
}

/// Reads what was written, in the same order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read<'a>(pub(super) &'a [u8]);

impl<'a> Read<'a> {
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    pub(super) fn signed(&mut self) -> Option<i64> {
        let value = self.number()?;
        Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    pub(super) fn float(&mut self) -> Option<f64> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(f64::from_bits(u64::from_le_bytes(*bytes)))
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    /// A text, unless it is not UTF-8.
    pub(super) fn text(&mut self) -> Option<String> {
        Some(std::str::from_utf8(self.bytes()?).ok()?.to_owned())
    }

    fn side(&mut self) -> Option<(i32, Vec<u64>)> {
        let first = i32::try_from(self.signed()?).ok()?;
        let len = self.number().filter(|&len| len <= COUNTS_MAX)?;
        Some((first, (0..len).map(|_| self.number()).collect::<Option<_>>()?))
    }

    /// A histogram with at most `max_buckets` a side.
    pub(super) fn histogram(&mut self, max_buckets: u32) -> Option<Histogram> {
        let scale = i32::try_from(self.signed()?).ok()?;
        let (zero_count, zero_threshold) = (self.number()?, self.float()?);
        let (positive, negative) = (self.side()?, self.side()?);
        let (sum, min, max) = (self.float()?, self.float()?, self.float()?);
        let counts = positive.1.iter().chain(&negative.1);
        let count = counts.fold(zero_count, |sum, count| sum.saturating_add(*count));
        if count == 0 {
            return Some(Histogram::new(scale, max_buckets));
        }
        let parts = Parts {
            scale,
            zero_count,
            zero_threshold,
            positive: (positive.0, &positive.1),
            negative: (negative.0, &negative.1),
            count,
            sum: Some(sum),
            min: Some(min),
            max: Some(max),
        };
        Histogram::from_parts(&parts, max_buckets).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_texts_and_floats_read_back() {
        let mut out = Vec::new();
        for value in [0, 1, 127, 128, u64::MAX] {
            put(&mut out, value);
        }
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            put_signed(&mut out, value);
        }
        put_float(&mut out, -0.0);
        put_bytes(&mut out, "é".as_bytes());
        let mut read = Read(&out);
        assert_eq!([(); 5].map(|()| read.number().unwrap()), [0, 1, 127, 128, u64::MAX]);
        assert_eq!([(); 5].map(|()| read.signed().unwrap()), [0, -1, 1, i64::MIN, i64::MAX]);
        assert_eq!(read.float().unwrap().to_bits(), (-0.0_f64).to_bits());
        assert_eq!(read.text().unwrap(), "é");
        assert_eq!((read.number(), read.0.len()), (None, 0));
    }

    #[test]
    fn histograms_read_back_and_every_cut_is_none() {
        let mut histogram = Histogram::new(5, 160);
        for value in [0.0, -3.0, 0.25, 17.0, 17.5, 1e6] {
            histogram.record(value);
        }
        let mut out = Vec::new();
        put_histogram(&mut out, &histogram);
        assert_eq!(Read(&out).histogram(160).unwrap(), histogram);
        for cut in 0..out.len() {
            assert_eq!(Read(&out[..cut]).histogram(160), None);
        }
        out.clear();
        put_histogram(&mut out, &Histogram::new(5, 160));
        assert_eq!(Read(&out).histogram(160).unwrap(), Histogram::new(5, 160));
    }

    #[test]
    fn no_bytes_make_it_panic_or_take_much_memory() {
        for seed in 0..2_000_u64 {
            let mut random = fastrand::Rng::with_seed(seed);
            let bytes: Vec<u8> = (0..random.usize(0..60)).map(|_| random.u8(..)).collect();
            let _ = Read(&bytes).histogram(160);
            let _ = Read(&bytes).text();
        }
    }
}
