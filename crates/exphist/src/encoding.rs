//! A histogram in few bytes: 60 to 200 for a latency over a thousandfold range at scale 5.
//!
//! ```text
//! histogram  version 1 (u8) │ scale (zigzag) │ max_buckets │ zero_count │ flags (u8)
//!            [zero_threshold f64 if flags & 1] [sum f64, min f64, max f64 if flags & 2]
//!            │ positive side │ negative side
//! side       runs │ run …
//! run        the first: its index (zigzag); others: how many empty buckets before it, at least 1
//!            │ length, at least 1 │ length × count, at least 1
//! ```
//! Whole numbers are LEB128 varints, floats little-endian. The count of all values is not written:
//! it is the sum of the buckets. One histogram has one encoding.
//! Limits: [`MAX_BUCKETS_ENCODED`] buckets a side; anything else that no histogram can be is an error.

use super::buckets::Buckets;
use super::parts::finite_indexes;
use super::{Histogram, LEAST_BUCKETS, MAX_SCALE, MIN_SCALE};

/// The most buckets a side that are read back.
pub const MAX_BUCKETS_ENCODED: u32 = 1 << 16;

const VERSION: u8 = 1;
const HAS_ZERO_THRESHOLD: u8 = 1;
const HAS_VALUES: u8 = 2;

/// Bytes that are not a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

impl std::fmt::Display for Corrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("these bytes are not an exponential histogram")
    }
}

impl std::error::Error for Corrupt {}

impl Histogram {
    /// Appends the encoding to `out`. A limit above [`MAX_BUCKETS_ENCODED`] is written as that, and the
    /// resolution falls as far as the buckets need it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if self.max_buckets > MAX_BUCKETS_ENCODED {
            let mut limited = Self::new(self.scale, MAX_BUCKETS_ENCODED);
            limited.widen_zero(self.zero_threshold);
            limited.merge(self);
            return limited.encode(out);
        }
        out.push(VERSION);
        put(out, zigzag(self.scale));
        put(out, u64::from(self.max_buckets));
        put(out, self.zero_count);
        let values = self.count > 0;
        let wide = self.zero_threshold != 0.0;
        out.push(u8::from(wide) * HAS_ZERO_THRESHOLD + u8::from(values) * HAS_VALUES);
        if wide {
            out.extend_from_slice(&self.zero_threshold.to_le_bytes());
        }
        if values {
            for value in [self.sum, self.min, self.max] {
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
        put_side(out, &self.positive);
        put_side(out, &self.negative);
    }

    /// Takes a histogram from the front of `bytes`.
    ///
    /// # Errors
    /// [`Corrupt`]: the bytes are not one; how much of them was taken is not said.
    pub fn decode(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
        if byte(bytes)? != VERSION {
            return Err(Corrupt);
        }
        let scale = unzigzag(take(bytes)?)?;
        let max_buckets = u32::try_from(take(bytes)?).map_err(|_| Corrupt)?;
        let limits = LEAST_BUCKETS..=MAX_BUCKETS_ENCODED;
        if !(MIN_SCALE..=MAX_SCALE).contains(&scale) || !limits.contains(&max_buckets) {
            return Err(Corrupt);
        }
        let mut made = Self::new(scale, max_buckets);
        made.zero_count = take(bytes)?;
        let flags = byte(bytes)?;
        if flags & !(HAS_ZERO_THRESHOLD | HAS_VALUES) != 0 {
            return Err(Corrupt);
        }
        if flags & HAS_ZERO_THRESHOLD != 0 {
            made.zero_threshold = float(bytes)?;
            if !(made.zero_threshold > 0.0 && made.zero_threshold.is_finite()) {
                return Err(Corrupt);
            }
        }
        if flags & HAS_VALUES != 0 {
            (made.sum, made.min, made.max) = (float(bytes)?, float(bytes)?, float(bytes)?);
        }
        made.positive = take_side(bytes, scale, max_buckets)?;
        made.negative = take_side(bytes, scale, max_buckets)?;
        let sides = [made.positive.checked_total(), made.negative.checked_total()];
        made.count = sides
            .into_iter()
            .try_fold(made.zero_count, |sum, side| sum.checked_add(side?))
            .ok_or(Corrupt)?;
        let values = flags & HAS_VALUES != 0;
        let ordered = !values || made.min <= made.max;
        if values == (made.count > 0) && ordered { Ok(made) } else { Err(Corrupt) }
    }
}

fn put_side(out: &mut Vec<u8>, side: &Buckets) {
    let in_use = || side.iter().filter(|&(_, count)| count > 0);
    let follows = |a: i32, b: i32| i64::from(b) == i64::from(a) + 1;
    let starts = in_use().zip(in_use().skip(1)).filter(|(a, b)| !follows(a.0, b.0)).count();
    let runs = if in_use().next().is_some() { starts + 1 } else { 0 };
    put(out, runs as u64);
    let mut rest = in_use().peekable();
    let mut end = None;
    while let Some(&(first, _)) = rest.peek() {
        put(out, end.map_or(zigzag(first), |end: i32| u64::from(first.abs_diff(end)) - 1));
        let mut counts = Vec::new();
        let mut last = first;
        while let Some((index, count)) =
            rest.next_if(|&(index, _)| index == first || follows(last, index))
        {
            last = index;
            counts.push(count);
        }
        put(out, counts.len() as u64);
        counts.into_iter().for_each(|count| put(out, count));
        end = Some(last);
    }
}

fn take_side(bytes: &mut &[u8], scale: i32, max_buckets: u32) -> Result<Buckets, Corrupt> {
    let runs = take(bytes)?;
    if runs > u64::from(max_buckets) {
        return Err(Corrupt);
    }
    let mut first = 0;
    let mut counts: Vec<u64> = Vec::new();
    let fits = |counts: &[u64], more: u64| {
        more <= u64::from(max_buckets) && counts.len() as u64 + more <= u64::from(max_buckets)
    };
    for run in 0..runs {
        let lead = take(bytes)?;
        if run == 0 {
            first = unzigzag(lead)?;
        } else if lead == 0 || !fits(&counts, lead) {
            return Err(Corrupt);
        } else {
            counts.extend(std::iter::repeat_n(0, usize::try_from(lead).map_err(|_| Corrupt)?));
        }
        let length = take(bytes)?;
        if length == 0 || !fits(&counts, length) {
            return Err(Corrupt);
        }
        for _ in 0..length {
            counts.push(Some(take(bytes)?).filter(|&count| count > 0).ok_or(Corrupt)?);
        }
    }
    let last = i64::from(first) + counts.len() as i64 - 1;
    let finite = finite_indexes(scale);
    if runs > 0 && !(finite.contains(&i64::from(first)) && finite.contains(&last)) {
        return Err(Corrupt);
    }
    Ok(Buckets::trimmed(first, &counts))
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Refuses what is longer than it needs to be: one value has one encoding.
fn take(bytes: &mut &[u8]) -> Result<u64, Corrupt> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let next = byte(bytes)?;
        let bits = u64::from(next & 0x7f);
        if bits << shift >> shift != bits || (next == 0 && shift > 0) {
            return Err(Corrupt);
        }
        value |= bits << shift;
        if next < 0x80 {
            return Ok(value);
        }
    }
    Err(Corrupt)
}

fn byte(bytes: &mut &[u8]) -> Result<u8, Corrupt> {
    let (&first, rest) = bytes.split_first().ok_or(Corrupt)?;
    *bytes = rest;
    Ok(first)
}

fn float(bytes: &mut &[u8]) -> Result<f64, Corrupt> {
    let (first, rest) = bytes.split_first_chunk().ok_or(Corrupt)?;
    *bytes = rest;
    Ok(f64::from_le_bytes(*first))
}

fn zigzag(value: i32) -> u64 {
    u64::from(((value << 1) ^ (value >> 31)) as u32)
}

fn unzigzag(value: u64) -> Result<i32, Corrupt> {
    let value = u32::try_from(value).map_err(|_| Corrupt)?;
    Ok((value >> 1) as i32 ^ -((value & 1) as i32))
}
