//! Adding and subtracting histograms of any layout.
//!
//! Exponential: both come to the lower schema and to a zero bucket that contains both and ends at a
//! bucket's bound where the bucket is in use; buckets that the lower schema joins across that end
//! count in full on its outer side as well, as in Prometheus. Custom: both come to the bounds that they share.

use std::sync::Arc;

use super::bounds::bound;
use super::buckets::{Tally, join, reduced};
use super::{Buckets, Histogram, ResetHint};
use crate::kahan;

/// Exponential and custom buckets have no common layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incompatible;

impl std::fmt::Display for Incompatible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("exponential and custom buckets cannot be combined")
    }
}

impl std::error::Error for Incompatible {}

/// What an addition or subtraction has to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// One side comes with a counter reset, the other without: the result knows nothing of resets.
    pub reset_collision: bool,
    /// The custom bounds differ: the result has those that both share.
    pub bounds_reconciled: bool,
}

impl Histogram {
    /// Adds `other`. Buckets that end up with 0 stay: see [`Histogram::compact`].
    ///
    /// # Errors
    /// [`Incompatible`]: one has custom buckets, the other exponential ones; nothing has changed.
    pub fn add(&mut self, other: &Self) -> Result<Added, Incompatible> {
        self.combine(other, 1.0)
    }

    /// Subtracts `other`. The hint is that of an addition; a difference that is shown is a gauge.
    ///
    /// # Errors
    /// [`Incompatible`]: one has custom buckets, the other exponential ones; nothing has changed.
    pub fn subtract(&mut self, other: &Self) -> Result<Added, Incompatible> {
        self.combine(other, -1.0)
    }

    fn combine(&mut self, other: &Self, sign: f64) -> Result<Added, Incompatible> {
        if self.is_custom() != other.is_custom() {
            return Err(Incompatible);
        }
        let mut sum = Sum::new(self);
        let said = sum.combine(other, sign)?;
        *self = sum.total();
        Ok(said)
    }
}

/// A sum of histograms that loses nothing to rounding until it is asked for (Kahan, Neumaier).
#[derive(Clone, Debug)]
pub struct Sum {
    schema: i32,
    custom_bounds: Option<Arc<[f64]>>,
    reset_hint: ResetHint,
    zero_threshold: f64,
    count: kahan::Sum,
    sum: kahan::Sum,
    zero_count: kahan::Sum,
    positive: Vec<(i32, kahan::Sum)>,
    negative: Vec<(i32, kahan::Sum)>,
}

impl Sum {
    /// The sum of `first` alone.
    #[must_use]
    pub fn new(first: &Histogram) -> Self {
        let side = |side: &Buckets| side.0.iter().map(|&(i, n)| (i, kahan::Sum::of(n))).collect();
        Self {
            schema: first.schema,
            custom_bounds: first.custom_bounds.clone(),
            reset_hint: first.reset_hint,
            zero_threshold: first.zero_threshold,
            count: kahan::Sum::of(first.count),
            sum: kahan::Sum::of(first.sum),
            zero_count: kahan::Sum::of(first.zero_count),
            positive: side(&first.positive),
            negative: side(&first.negative),
        }
    }

    /// Adds `other`.
    ///
    /// # Errors
    /// [`Incompatible`]: one has custom buckets, the other exponential ones; nothing has changed.
    pub fn add(&mut self, other: &Histogram) -> Result<Added, Incompatible> {
        self.combine(other, 1.0)
    }

    /// The sum so far.
    #[must_use]
    pub fn total(&self) -> Histogram {
        let side = |side: &[(i32, kahan::Sum)]| {
            Buckets(side.iter().map(|&(i, n)| (i, n.total())).collect())
        };
        Histogram {
            schema: self.schema,
            count: self.count.total(),
            sum: self.sum.total(),
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count.total(),
            positive: side(&self.positive),
            negative: side(&self.negative),
            custom_bounds: self.custom_bounds.clone(),
            reset_hint: self.reset_hint,
        }
    }

    /// Multiplies by a factor that is not negative: for means.
    pub fn multiply(&mut self, factor: f64) {
        self.map(|value| value * factor);
    }

    /// Divides by a divisor above 0: for means.
    pub fn divide(&mut self, divisor: f64) {
        self.map(|value| value / divisor);
    }

    fn map(&mut self, f: impl Fn(f64) -> f64 + Copy) {
        let sides = self.positive.iter_mut().chain(&mut self.negative).map(|(_, n)| n);
        let heads = [&mut self.count, &mut self.sum, &mut self.zero_count];
        for value in sides.chain(heads) {
            *value = value.map(f);
        }
    }

    /// Whether the count or the sum would be infinite with `other`.
    #[must_use]
    pub fn overflows_with(&self, other: &Histogram) -> bool {
        (self.sum.value + other.sum).is_infinite() || (self.count.value + other.count).is_infinite()
    }

    const fn is_custom(&self) -> bool {
        self.schema == super::CUSTOM_BUCKETS
    }

    fn combine(&mut self, other: &Histogram, sign: f64) -> Result<Added, Incompatible> {
        if self.is_custom() != other.is_custom() {
            return Err(Incompatible);
        }
        let reset_collision = self.join_hints(other.reset_hint);
        self.count.add(sign * other.count);
        self.sum.add(sign * other.sum);
        let bounds_reconciled = if self.is_custom() {
            self.join_custom(other, sign)
        } else {
            self.join_exponential(other, sign);
            false
        };
        Ok(Added { reset_collision, bounds_reconciled })
    }

    /// A gauge makes a gauge; otherwise what is unknown of one is unknown of both. Returns whether
    /// the two contradict each other.
    fn join_hints(&mut self, other: ResetHint) -> bool {
        use ResetHint::{Gauge, Unknown};
        let (own, joined) = (self.reset_hint, &mut self.reset_hint);
        if own == other {
            return false;
        }
        *joined = if own == Gauge || other == Gauge { Gauge } else { Unknown };
        *joined == Unknown && own != Unknown && other != Unknown
    }

    fn join_exponential(&mut self, other: &Histogram, sign: f64) {
        let zero = self.join_zero_buckets(other);
        self.zero_count.add(sign * zero);
        if other.schema < self.schema {
            let by = self.schema.abs_diff(other.schema);
            self.positive = reduced(&self.positive, by).collect();
            self.negative = reduced(&self.negative, by).collect();
            self.schema = other.schema;
        }
        let (schema, threshold) = (self.schema, self.zero_threshold);
        let by = other.schema.abs_diff(schema);
        for (own, other) in
            [(&mut self.positive, &other.positive.0), (&mut self.negative, &other.negative.0)]
        {
            let outside = reduced(other, by).skip_while(|&(i, _)| bound(i, schema) <= threshold);
            join(own, outside.map(|(i, n)| (i, kahan::Sum::of(sign * n))));
        }
    }

    /// Widens the zero bucket until it contains that of `other` as well and ends in no bucket that is
    /// in use. Returns the count that the zero bucket of `other` has at that width.
    fn join_zero_buckets(&mut self, other: &Histogram) -> f64 {
        let (mut zero, mut threshold) = (other.zero_count, other.zero_threshold);
        loop {
            if self.zero_threshold > threshold {
                (zero, threshold) = other.zero_count_at(self.zero_threshold);
            }
            if threshold > self.zero_threshold {
                self.widen_zero(threshold);
            } else {
                return zero;
            }
        }
    }

    fn widen_zero(&mut self, threshold: f64) {
        let (positive, negative) = (&self.positive, &self.negative);
        let zero = (self.zero_count, threshold);
        let (count, threshold) = zero_at(zero, positive, negative, self.schema);
        (self.zero_count, self.zero_threshold) = (count, threshold);
        let schema = self.schema;
        let outside = |&(index, count): &(i32, kahan::Sum)| {
            count.value != 0.0 && bound(index.saturating_sub(1), schema) >= threshold
        };
        self.positive.retain(outside);
        self.negative.retain(outside);
    }

    /// Returns whether the bounds differ.
    fn join_custom(&mut self, other: &Histogram, sign: f64) -> bool {
        let own = self.custom_bounds.as_deref().unwrap_or_default();
        if own == other.bounds() {
            let negated = other.positive.0.iter().map(|&(i, n)| (i, kahan::Sum::of(sign * n)));
            join(&mut self.positive, negated);
            return false;
        }
        let shared = shared_bounds(own, other.bounds());
        let mut positive: Vec<_> = onto(&self.positive, own, &shared).collect();
        let others = onto(&other.positive.0, other.bounds(), &shared);
        join(&mut positive, others.map(|(i, n)| (i, kahan::Sum::of(sign * n))));
        positive.retain(|(_, count)| count.total() != 0.0);
        self.positive = positive;
        self.custom_bounds = Some(shared.into());
        true
    }
}

impl Histogram {
    /// The count of the zero bucket if it were as wide as `threshold`, which is not below its own, and
    /// where it would have to end: see [`zero_at`].
    pub(super) fn zero_count_at(&self, threshold: f64) -> (f64, f64) {
        if threshold == self.zero_threshold {
            return (self.zero_count, threshold);
        }
        let zero = (self.zero_count, threshold);
        zero_at(zero, &self.positive.0, &self.negative.0, self.schema)
    }
}

/// Widens a zero bucket of some count to a threshold, and further to the end of the bucket in
/// which that falls where it is in use.
fn zero_at<C: Tally + Count>(
    (zero, mut threshold): (C, f64),
    positive: &[(i32, C)],
    negative: &[(i32, C)],
    schema: i32,
) -> (C, f64) {
    loop {
        let (mut count, from) = (zero, threshold);
        threshold = swallow(&mut count, positive, schema, threshold);
        let after_positive = threshold;
        threshold = swallow(&mut count, negative, schema, threshold);
        // The negative side moved the end into the positive one: what was swallowed there is too little.
        if threshold == after_positive || threshold <= from {
            return (count, threshold);
        }
    }
}

/// Adds to `zero` the buckets of a side that begin below `threshold`; returns the end of the last
/// where that is beyond it and the bucket is in use.
fn swallow<C: Tally + Count>(zero: &mut C, side: &[(i32, C)], schema: i32, threshold: f64) -> f64 {
    for &(index, count) in side {
        if bound(index.saturating_sub(1), schema) >= threshold {
            break;
        }
        zero.join(count);
        let upper = bound(index, schema);
        if upper > threshold {
            return if count.is_zero() { threshold } else { upper };
        }
    }
    threshold
}

/// Tells a bucket that is in use.
trait Count {
    fn is_zero(&self) -> bool;
}

impl Count for f64 {
    fn is_zero(&self) -> bool {
        *self == 0.0
    }
}

impl Count for kahan::Sum {
    fn is_zero(&self) -> bool {
        self.value == 0.0
    }
}

/// The bounds that two ascending lists share.
pub(super) fn shared_bounds(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut rest = b.iter().peekable();
    let mut shared = Vec::new();
    for bound in a {
        while rest.next_if(|other| *other < bound).is_some() {}
        if rest.next_if(|other| *other == bound).is_some() {
            shared.push(*bound);
        }
    }
    shared
}

/// Custom buckets by `bounds` as buckets by `shared`, which are some of them.
pub(super) fn onto<C: Tally>(
    buckets: &[(i32, C)],
    bounds: &[f64],
    shared: &[f64],
) -> impl Iterator<Item = (i32, C)> {
    let last = i32::try_from(shared.len()).unwrap_or(i32::MAX);
    let mut onto: Vec<(i32, C)> = Vec::new();
    for &(index, count) in buckets {
        let upper = usize::try_from(index).ok().and_then(|index| bounds.get(index));
        let at = upper.map(|upper| shared.partition_point(|bound| bound < upper));
        let at = at.and_then(|at| i32::try_from(at).ok()).unwrap_or(last);
        match onto.last_mut() {
            Some((known, sum)) if *known == at => sum.join(count),
            _ => onto.push((at, count)),
        }
    }
    onto.into_iter()
}
