//! What a histogram says of its observations: quantiles, fractions, mean and variance.
//!
//! Within an exponential bucket observations are taken to be spread evenly over the logarithm, within
//! a custom bucket and the zero bucket evenly over the value.

use super::Histogram;
use super::bounds::Bucket;
use crate::kahan;

/// What observations of NaN, which are in the count but in no bucket, did to an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nans {
    /// There are none, or they make no difference.
    #[default]
    None,
    /// The quantile lies among them: the answer is NaN.
    Result,
    /// They count as greater than all others.
    Skew,
}

/// A quantile and what NaN did to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantile {
    /// The value.
    pub value: f64,
    /// What NaN did to it.
    pub nans: Nans,
}

/// A fraction and whether NaN was left out of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fraction {
    /// The share of all observations, 0 to 1.
    pub value: f64,
    /// Whether there are observations of NaN, which are in no fraction.
    pub nans: bool,
}

impl Histogram {
    /// The mean; NaN when empty.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.sum / self.count
    }

    /// The variance, with every observation at the middle of its bucket: the geometric one of an
    /// exponential bucket, the arithmetic one of a custom one, 0 for the zero bucket.
    #[must_use]
    pub fn variance(&self) -> f64 {
        let mean = self.mean();
        let mut variance = kahan::Sum::default();
        for bucket in self.cut_buckets().filter(|bucket| bucket.count != 0.0) {
            let middle = if self.is_custom() {
                f64::midpoint(bucket.lower, bucket.upper)
            } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
                0.0
            } else {
                (bucket.lower * bucket.upper).sqrt().copysign(bucket.upper)
            };
            let distance = middle - mean;
            variance.add(bucket.count * distance * distance);
        }
        variance.total() / self.count
    }

    /// The `q`-quantile, interpolated within its bucket: -Inf below 0, +Inf above 1, NaN for NaN and
    /// for an empty histogram.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Quantile {
        let plain = |value| Quantile { value, nans: Nans::None };
        if q < 0.0 {
            return plain(f64::NEG_INFINITY);
        }
        if q > 1.0 {
            return plain(f64::INFINITY);
        }
        if self.count == 0.0 || q.is_nan() {
            return plain(f64::NAN);
        }
        // From the nearer end, since that loses less to rounding. NaN is not in the buckets, so that
        // with it only the lower end is known.
        let forward = self.sum.is_nan() || q < 0.5;
        if forward {
            self.quantile_in(self.cut_buckets(), q * self.count, forward)
        } else {
            self.quantile_in(self.cut_buckets().rev(), (1.0 - q) * self.count, forward)
        }
    }

    fn quantile_in(
        &self,
        mut buckets: impl Iterator<Item = Bucket>,
        rank: f64,
        forward: bool,
    ) -> Quantile {
        let plain = |value| Quantile { value, nans: Nans::None };
        let mut found = Bucket {
            lower: 0.0,
            upper: 0.0,
            lower_inclusive: false,
            upper_inclusive: false,
            count: 0.0,
        };
        let mut count = 0.0;
        for bucket in buckets.by_ref() {
            found = bucket;
            count += bucket.count;
            if bucket.count != 0.0 && count >= rank {
                break;
            }
        }
        let mut bounds = (found.lower, found.upper);
        if !self.is_custom() {
            bounds = self.cut_at_zero(bounds);
        } else if found.lower == f64::NEG_INFINITY {
            if found.upper <= 0.0 {
                return plain(found.upper);
            }
            bounds.0 = 0.0;
        } else if found.upper == f64::INFINITY {
            return plain(found.lower);
        }
        let mut count = count.min(self.count);
        if count < rank {
            let nans = if self.sum.is_nan() { Nans::Result } else { Nans::None };
            return Quantile { value: if nans == Nans::None { bounds.1 } else { f64::NAN }, nans };
        }
        let within = if forward { rank - (count - found.count) } else { count - rank };
        let mut nans = Nans::None;
        if self.sum.is_nan() {
            // Infinities of both signs make the sum NaN as well; only NaN is missing in the buckets.
            // Prometheus goes on with the bucket at which its count of them ends, and so do we.
            for bucket in buckets {
                count += bucket.count;
                (found, bounds) = (bucket, (bucket.lower, bucket.upper));
            }
            if count < self.count {
                nans = Nans::Skew;
            }
        }
        Quantile { value: self.interpolate(bounds, within / found.count), nans }
    }

    /// The bounds of a bucket, with 0 in place of the end of the one around 0 that lies on the side
    /// where a histogram has no buckets.
    fn cut_at_zero(&self, (lower, upper): (f64, f64)) -> (f64, f64) {
        if !(lower <= 0.0 && upper >= 0.0) {
            return (lower, upper);
        }
        match (self.negative.0.is_empty(), self.positive.0.is_empty()) {
            (true, false) => (0.0, upper),
            (false, true) => (lower, 0.0),
            _ => (lower, upper),
        }
    }

    fn interpolate(&self, (lower, upper): (f64, f64), share: f64) -> f64 {
        if self.is_custom() || (lower <= 0.0 && upper >= 0.0) {
            return lower + (upper - lower) * share;
        }
        let (low, high) = (lower.abs().log2(), upper.abs().log2());
        if lower > 0.0 {
            (low + (high - low) * share).exp2()
        } else {
            -(high + (low - high) * (1.0 - share)).exp2()
        }
    }

    /// The share of observations between `lower` and `upper`: NaN when empty or for NaN.
    #[must_use]
    pub fn fraction(&self, lower: f64, upper: f64) -> Fraction {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return Fraction { value: f64::NAN, nans: false };
        }
        if lower >= upper {
            return Fraction { value: 0.0, nans: false };
        }
        let mut count = self.count;
        let mut nans = false;
        if self.sum.is_nan() {
            count = self.cut_buckets().map(|bucket| bucket.count).sum();
            nans = count < self.count;
        }
        let below = |value| self.count_below(value).map_or(count, |rank| rank.min(count));
        Fraction { value: (below(upper) - below(lower)) / self.count, nans }
    }

    /// How many observations lie below `value`; `None` when it is beyond all buckets.
    fn count_below(&self, value: f64) -> Option<f64> {
        let mut rank = 0.0;
        for bucket in self.cut_buckets() {
            let (lower, upper) = self.cut_at_zero((bucket.lower, bucket.upper));
            if lower >= value {
                return Some(rank);
            }
            if upper > value {
                return Some(rank + self.count_within(&bucket, lower, upper, value));
            }
            rank += bucket.count;
        }
        None
    }

    fn count_within(&self, bucket: &Bucket, lower: f64, upper: f64, value: f64) -> f64 {
        if lower == f64::NEG_INFINITY {
            return bucket.count;
        }
        if self.is_custom() || (lower <= 0.0 && upper >= 0.0) {
            return bucket.count * (value - lower) / (upper - lower);
        }
        let [low, high, at] = [lower, upper, value].map(|v| v.abs().log2());
        let share =
            if value > 0.0 { (at - low) / (high - low) } else { 1.0 - (at - high) / (low - high) };
        bucket.count * share
    }
}
