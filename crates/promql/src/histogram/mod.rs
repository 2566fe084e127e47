//! Native histograms: exponential buckets, or custom ones, with counts that need not be whole.
//!
//! Source: Prometheus native histogram specification 1.0.

use std::sync::Arc;

/// The schema of a histogram with custom bounds.
pub const CUSTOM_BUCKETS: i32 = -53;

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
