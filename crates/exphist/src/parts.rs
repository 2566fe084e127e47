//! To and from the fields of an OTLP `ExponentialHistogramDataPoint`.

use super::buckets::Buckets;
use super::{Histogram, LEAST_BUCKETS, MAX_SCALE, MIN_SCALE};

/// The highest scale that OpenTelemetry SDKs write.
const OTLP_MAX_SCALE: i32 = 20;

/// The fields of an OTLP point.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The scale, -10 to 20.
    pub scale: i32,
    /// Values within the zero bucket.
    pub zero_count: u64,
    /// The largest magnitude that counts as zero.
    pub zero_threshold: f64,
    /// Index of the first bucket of positive values, and the counts.
    pub positive: (i32, &'a [u64]),
    /// The same of negative values, by magnitude.
    pub negative: (i32, &'a [u64]),
    /// The number of values.
    pub count: u64,
    /// Their sum, where it was recorded.
    pub sum: Option<f64>,
    /// The smallest, where it was recorded.
    pub min: Option<f64>,
    /// The largest, where it was recorded.
    pub max: Option<f64>,
}

/// A point that contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartsError {
    /// The scale is not within -10 to 20.
    Scale,
    /// A bucket lies beyond every finite value.
    Index,
    /// `count` is not the sum of the zero bucket and both sides.
    Count,
    /// The zero bucket's width is negative or not a number.
    ZeroThreshold,
}

impl std::fmt::Display for PartsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Scale => "the scale is not within -10 to 20",
            Self::Index => "a bucket lies beyond every finite value",
            Self::Count => "the count is not the sum of the buckets",
            Self::ZeroThreshold => "the zero threshold is negative or not a number",
        })
    }
}

impl std::error::Error for PartsError {}

impl Histogram {
    /// The histogram of an OTLP point, with at most `max_buckets` a side. A scale above
    /// [`MAX_SCALE`] is brought down to it; otherwise the point is kept as it is where it fits.
    ///
    /// # Errors
    /// [`PartsError`]: the point contradicts itself; drop and count it.
    pub fn from_parts(parts: &Parts<'_>, max_buckets: u32) -> Result<Self, PartsError> {
        if !(MIN_SCALE..=OTLP_MAX_SCALE).contains(&parts.scale) {
            return Err(PartsError::Scale);
        }
        if !(parts.zero_threshold >= 0.0 && parts.zero_threshold.is_finite()) {
            return Err(PartsError::ZeroThreshold);
        }
        let down = u32::try_from(parts.scale - MAX_SCALE).unwrap_or(0);
        let positive = side(parts.scale, parts.positive)?;
        let negative = side(parts.scale, parts.negative)?;
        let sides = positive.total().checked_add(negative.total());
        if sides.and_then(|n| n.checked_add(parts.zero_count)) != Some(parts.count) {
            return Err(PartsError::Count);
        }
        let mut made = Self::new(parts.scale.min(MAX_SCALE), max_buckets);
        let max = max_buckets.max(LEAST_BUCKETS);
        let empty = Buckets::default();
        let shift = empty
            .shift_to_join(&positive, down, max)
            .max(empty.shift_to_join(&negative, down, max));
        made.downscale(shift);
        made.positive.join(&positive, down + shift);
        made.negative.join(&negative, down + shift);
        (made.count, made.zero_count) = (parts.count, parts.zero_count);
        made.zero_threshold = parts.zero_threshold;
        made.sum = parts.sum.unwrap_or(0.0);
        // A smallest value above the largest says nothing: the buckets do.
        let told = parts.min.zip(parts.max).is_none_or(|(min, max)| min <= max);
        let (least, greatest) = (made.least(), made.greatest());
        made.min = parts.min.filter(|min| told && *min <= greatest).unwrap_or(least);
        made.max = parts.max.filter(|max| told && *max >= made.min).unwrap_or(greatest);
        Ok(made)
    }

    /// The fields of an OTLP point.
    #[must_use]
    pub fn to_parts(&self) -> Parts<'_> {
        Parts {
            scale: self.scale,
            zero_count: self.zero_count,
            zero_threshold: self.zero_threshold,
            positive: self.positive(),
            negative: self.negative(),
            count: self.count,
            sum: (self.count > 0 || self.sum != 0.0).then_some(self.sum),
            min: self.min(),
            max: self.max(),
        }
    }

    /// A lower bound of all values, from the buckets.
    fn least(&self) -> f64 {
        let largest_negative = self.negative.iter().next_back();
        match (largest_negative, self.positive.iter().next()) {
            (Some((index, _)), _) => {
                -super::lower_bound(index.saturating_add(1), self.scale).min(f64::MAX)
            }
            (None, _) if self.zero_count > 0 => 0.0,
            (None, Some((index, _))) => super::lower_bound(index, self.scale),
            (None, None) => f64::INFINITY,
        }
    }

    /// An upper bound of all values, from the buckets.
    fn greatest(&self) -> f64 {
        match (self.positive.iter().next_back(), self.negative.iter().next()) {
            (Some((index, _)), _) => {
                super::lower_bound(index.saturating_add(1), self.scale).min(f64::MAX)
            }
            (None, _) if self.zero_count > 0 => 0.0,
            (None, Some((index, _))) => -super::lower_bound(index, self.scale),
            (None, None) => f64::NEG_INFINITY,
        }
    }
}

/// One side, when all of it lies within what finite values can reach: 2^-1074 to 2^1024.
fn side(scale: i32, (first, counts): (i32, &[u64])) -> Result<Buckets, PartsError> {
    let total = counts.iter().try_fold(0_u64, |sum, &n| sum.checked_add(n));
    let side = Buckets::trimmed(first, counts);
    let finite = finite_indexes(scale);
    let reached = side.iter().next().into_iter().chain(side.iter().next_back());
    match total {
        None => Err(PartsError::Count),
        Some(_) if reached.map(|(i, _)| i64::from(i)).all(|i| finite.contains(&i)) => Ok(side),
        Some(_) => Err(PartsError::Index),
    }
}

/// The buckets that finite values reach.
pub(crate) fn finite_indexes(scale: i32) -> std::ops::RangeInclusive<i64> {
    let at_scale = |exponent: i64| {
        if scale < 0 { exponent >> scale.unsigned_abs() } else { exponent << scale }
    };
    at_scale(-1075)..=at_scale(1024) - i64::from(scale >= 0)
}
