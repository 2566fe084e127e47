//! Native histograms: exponential buckets, or custom ones, with counts that need not be whole.
//!
//! A bucket that is absent holds nothing; one that is there may hold 0, which only a comparison
//! of layouts sees. Counts of a counter are not negative; those of a difference may be.
//! Invariants, checked by [`Histogram::check`]: indexes ascend, custom bounds ascend and are finite.
//! Whatever breaks them gives a wrong number, never a panic or more memory than it came with.
//! Cost: 16 B per bucket; adding is one pass over both.
//! Source: Prometheus native histogram specification 1.0; Prometheus 3.15 for what it leaves open.

mod arithmetic;
mod bounds;
mod buckets;
pub(crate) mod change;
mod convert;
mod notation;
mod quantile;
mod reset;
mod text;
pub(crate) mod total;
pub(crate) mod trim;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use arithmetic::{Added, Incompatible, Sum};
pub use bounds::{Bucket, bound};
pub use convert::{Refused, ZERO_THRESHOLD};
pub use notation::NotationError;
pub use quantile::{Fraction, Nans, Quantile};
pub use text::Shortest;

/// The schema of a histogram with custom bounds.
pub const CUSTOM_BUCKETS: i32 = -53;
/// The coarsest exponential schema: a bucket per factor of 65,536.
pub const MIN_SCHEMA: i32 = -4;
/// The finest exponential schema: 256 buckets per power of two.
pub const MAX_SCHEMA: i32 = 8;

/// What is known of a counter reset before a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResetHint {
    /// To be found by comparison with the sample before.
    #[default]
    Unknown,
    /// It is there.
    Reset,
    /// It is not.
    NotReset,
    /// The histogram is a gauge.
    Gauge,
}

/// A native histogram.
///
/// Equality is that of every field, the hint included: see [`Histogram::same`] for PromQL's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// -4 to 8: the bounds are powers of 2^(2^-schema); or [`CUSTOM_BUCKETS`].
    pub schema: i32,
    /// How many observations there are, NaN included.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// The largest magnitude in the zero bucket.
    pub zero_threshold: f64,
    /// How many are in the zero bucket.
    pub zero_count: f64,
    /// Buckets of positive values, or the custom ones: index `i` counts (bound(i-1), bound(i)].
    pub positive: Buckets,
    /// Buckets of negative values by magnitude.
    pub negative: Buckets,
    /// The upper bounds of custom buckets but for the last, which is +Inf.
    pub custom_bounds: Option<Arc<[f64]>>,
    /// What is known of a reset.
    pub reset_hint: ResetHint,
}

/// Counts by index, ascending; buckets that are absent hold nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets(pub Vec<(i32, f64)>);

/// A histogram that contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// The schema is neither -4 to 8 nor that of custom buckets.
    Schema,
    /// Bucket indexes do not ascend, or lie outside of the custom bounds.
    Index,
    /// A count is negative.
    Negative,
    /// The zero threshold is negative, infinite or not a number, or custom buckets have one.
    ZeroThreshold,
    /// The custom bounds do not ascend or are not finite, or exponential buckets have some.
    Bounds,
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Schema => "the schema is neither -4 to 8 nor -53",
            Self::Index => "bucket indexes do not ascend or lie outside of the bounds",
            Self::Negative => "a count is negative",
            Self::ZeroThreshold => "the zero threshold is negative, not finite or out of place",
            Self::Bounds => "the custom bounds do not ascend, are not finite or are out of place",
        })
    }
}

impl std::error::Error for Invalid {}

impl Histogram {
    /// Whether it has custom bounds instead of exponential buckets.
    #[must_use]
    pub const fn is_custom(&self) -> bool {
        self.schema == CUSTOM_BUCKETS
    }

    /// Whether it marks the end of its series.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        crate::marker::is_stale(self.sum)
    }

    /// The custom bounds; none for exponential buckets.
    #[must_use]
    pub fn bounds(&self) -> &[f64] {
        self.custom_bounds.as_deref().unwrap_or_default()
    }

    /// Whether both hold the same, bucket by bucket and bit by bit; hints do not matter. What
    /// PromQL's `==` compares.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        let numbers = |h: &Self| [h.count, h.sum, h.zero_count].map(f64::to_bits);
        self.schema == other.schema
            && numbers(self) == numbers(other)
            && self.bounds() == other.bounds()
            && self.zero_threshold == other.zero_threshold
            && self.positive.same(&other.positive)
            && self.negative.same(&other.negative)
    }

    /// How many floats with their times take as much memory.
    #[must_use]
    pub const fn samples(&self) -> usize {
        size_of::<Self>() / 16 + self.positive.0.len() + self.negative.0.len()
    }

    /// Drops the buckets that hold nothing.
    pub fn compact(&mut self) {
        self.positive.0.retain(|&(_, count)| count != 0.0);
        self.negative.0.retain(|&(_, count)| count != 0.0);
    }

    /// Brings exponential buckets down to `schema`, at least [`MIN_SCHEMA`]. Custom ones and a
    /// higher schema stay as they are.
    pub fn reduce(&mut self, schema: i32) {
        if self.is_custom() || schema >= self.schema {
            return;
        }
        let target = schema.max(MIN_SCHEMA);
        let by = u32::try_from(self.schema.saturating_sub(target)).unwrap_or(0);
        self.positive = Buckets(buckets::reduced(&self.positive.0, by).collect());
        self.negative = Buckets(buckets::reduced(&self.negative.0, by).collect());
        self.schema = target;
    }

    /// Multiplies every count and the sum. A negative factor makes it a gauge.
    pub fn multiply(&mut self, factor: f64) {
        self.scale(|count| count * factor);
        if factor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
    }

    /// Divides every count and the sum. A negative divisor makes it a gauge; 0 leaves no buckets.
    pub fn divide(&mut self, divisor: f64) {
        if divisor == 0.0 {
            self.positive.0.clear();
            self.negative.0.clear();
        }
        self.scale(|count| count / divisor);
        if divisor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
    }

    fn scale(&mut self, by: impl Fn(f64) -> f64) {
        self.count = by(self.count);
        self.sum = by(self.sum);
        self.zero_count = by(self.zero_count);
        for (_, count) in self.positive.0.iter_mut().chain(&mut self.negative.0) {
            *count = by(*count);
        }
    }

    /// Whether it may be stored as a sample of a counter.
    ///
    /// # Errors
    /// [`Invalid`]: it contradicts itself; drop and count it.
    pub fn check(&self) -> Result<(), Invalid> {
        let bounds = self.bounds();
        if self.is_custom() {
            if self.zero_threshold != 0.0 || self.zero_count != 0.0 || !self.negative.0.is_empty() {
                return Err(Invalid::ZeroThreshold);
            }
            let ascend = bounds.is_sorted_by(|a, b| a < b);
            if !ascend || !bounds.iter().all(|bound| bound.is_finite()) {
                return Err(Invalid::Bounds);
            }
            let last = i32::try_from(bounds.len()).map_err(|_| Invalid::Bounds)?;
            if !self.positive.0.iter().all(|(index, _)| (0..=last).contains(index)) {
                return Err(Invalid::Index);
            }
        } else if !(MIN_SCHEMA..=MAX_SCHEMA).contains(&self.schema) {
            return Err(Invalid::Schema);
        } else if self.custom_bounds.is_some() {
            return Err(Invalid::Bounds);
        } else if !(self.zero_threshold >= 0.0 && self.zero_threshold.is_finite()) {
            return Err(Invalid::ZeroThreshold);
        }
        let sides = [&self.positive.0, &self.negative.0];
        if !sides.iter().all(|side| side.is_sorted_by(|a, b| a.0 < b.0)) {
            return Err(Invalid::Index);
        }
        let counts = sides.into_iter().flatten().map(|&(_, count)| count);
        let negative = counts.chain([self.count, self.zero_count]).any(|count| count < 0.0);
        if negative { Err(Invalid::Negative) } else { Ok(()) }
    }
}
