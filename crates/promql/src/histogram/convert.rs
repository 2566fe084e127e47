//! From OTLP points and from cumulative or explicit-bounds buckets.
//!
//! ```text
//! OTLP          bucket i counts (base^i, base^(i+1)]     so ours is i + 1
//! this module   bucket i counts (base^(i-1), base^i]
//! ```

use std::sync::Arc;

use sidelight_exphist::Parts;

use super::{Buckets, CUSTOM_BUCKETS, Histogram, MAX_SCHEMA, MIN_SCHEMA, ResetHint};

/// The width of a zero bucket that does not name one, as Prometheus takes it.
pub const ZERO_THRESHOLD: f64 = 1e-128;

/// The highest scale that OpenTelemetry SDKs write.
const OTLP_MAX_SCALE: i32 = 20;

/// A point that no native histogram can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The scale is below -4 or above 20.
    Scale,
    /// The count is not the sum of the buckets.
    Count,
    /// A bucket lies beyond every finite value.
    Index,
    /// The zero bucket's width is negative or not finite.
    ZeroThreshold,
    /// The bounds do not ascend or are not finite, or there is not one bucket more than bounds.
    Bounds,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Scale => "the scale is not within -4 to 20",
            Self::Count => "the count is not the sum of the buckets",
            Self::Index => "a bucket lies beyond every finite value",
            Self::ZeroThreshold => "the zero threshold is negative or not finite",
            Self::Bounds => "the bounds do not ascend, are not finite or do not fit the buckets",
        })
    }
}

impl std::error::Error for Refused {}

impl Histogram {
    /// The histogram of an OTLP exponential point. A scale above 8 is brought down to it; a zero
    /// threshold of 0 becomes [`ZERO_THRESHOLD`]; a missing sum is 0.
    ///
    /// # Errors
    /// [`Refused`]: drop and count the point.
    pub fn from_exponential(parts: &Parts<'_>) -> Result<Self, Refused> {
        if !(MIN_SCHEMA..=OTLP_MAX_SCALE).contains(&parts.scale) {
            return Err(Refused::Scale);
        }
        if !(parts.zero_threshold >= 0.0 && parts.zero_threshold.is_finite()) {
            return Err(Refused::ZeroThreshold);
        }
        let sides = [parts.positive.1, parts.negative.1];
        let total = sides
            .into_iter()
            .flatten()
            .try_fold(parts.zero_count, |total, &count| total.checked_add(count));
        if total != Some(parts.count) {
            return Err(Refused::Count);
        }
        Ok(Self {
            schema: parts.scale.min(MAX_SCHEMA),
            count: float(parts.count),
            sum: parts.sum.unwrap_or(0.0),
            zero_threshold: if parts.zero_threshold == 0.0 {
                ZERO_THRESHOLD
            } else {
                parts.zero_threshold
            },
            zero_count: float(parts.zero_count),
            positive: side(parts.scale, parts.positive)?,
            negative: side(parts.scale, parts.negative)?,
            custom_bounds: None,
            reset_hint: ResetHint::Unknown,
        })
    }

    /// The histogram with custom buckets of one with explicit bounds; `counts` are those of each
    /// bucket, not cumulative, the last that of +Inf. `count` is their sum unless it is told otherwise.
    ///
    /// # Errors
    /// [`Refused`]: drop and count the point.
    pub fn from_explicit(
        bounds: Arc<[f64]>,
        counts: impl IntoIterator<Item = f64>,
        sum: f64,
        count: Option<f64>,
    ) -> Result<Self, Refused> {
        let ascend = bounds.is_sorted_by(|a, b| a < b);
        if !ascend || !bounds.iter().all(|bound| bound.is_finite()) {
            return Err(Refused::Bounds);
        }
        let counts: Vec<f64> = counts.into_iter().take(bounds.len() + 2).collect();
        if counts.len() != bounds.len() + 1 {
            return Err(Refused::Bounds);
        }
        let total = counts.iter().sum();
        let positive = (0..).zip(counts).filter(|&(_, count)| count != 0.0).collect();
        Ok(Self {
            schema: CUSTOM_BUCKETS,
            count: count.unwrap_or(total),
            sum,
            positive: Buckets(positive),
            custom_bounds: Some(bounds),
            ..Self::default()
        })
    }
}

fn side(scale: i32, (first, counts): (i32, &[u64])) -> Result<Buckets, Refused> {
    let by = u32::try_from(scale - MAX_SCHEMA).unwrap_or(0);
    let last = if scale < 0 { 1024 >> scale.unsigned_abs() } else { 1024_i64 << scale };
    let reach = -last - (last >> 3)..=last;
    let mut buckets: Vec<(i32, f64)> = Vec::new();
    for (index, &count) in (i64::from(first)..).zip(counts).filter(|(_, count)| **count > 0) {
        if !reach.contains(&index) {
            return Err(Refused::Index);
        }
        let index = i32::try_from((index >> by) + 1).map_err(|_| Refused::Index)?;
        match buckets.last_mut() {
            Some((known, sum)) if *known == index => *sum += float(count),
            _ => buckets.push((index, float(count))),
        }
    }
    Ok(Buckets(buckets))
}

#[expect(clippy::cast_precision_loss, reason = "counts of native histograms are f64")]
const fn float(count: u64) -> f64 {
    count as f64
}
