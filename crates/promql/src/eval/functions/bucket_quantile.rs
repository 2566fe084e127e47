//! Quantiles and fractions of classic histograms: counts below bounds.

/// Differences of counts up to this share of them are of rounding.
const TOLERANCE: f64 = 1e-12;

/// How many observations there are up to a bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    pub(super) upper: f64,
    /// Of all observations up to `upper`.
    pub(super) count: f64,
}

/// Counts that were less than those of a smaller bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Decrease {
    /// The smallest of their bounds.
    pub(super) lowest: f64,
    /// The largest of their bounds.
    pub(super) highest: f64,
    /// The largest difference.
    pub(super) difference: f64,
}

/// The `q` quantile, interpolated within its bucket, and what decrease had to be removed for it. `buckets` are
/// sorted by bound.
pub(super) fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, Option<Decrease>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if !is_complete(buckets) {
        return (f64::NAN, None);
    }
    coalesce(buckets);
    let decrease = make_monotonic(buckets);
    (at(q, buckets), decrease)
}

/// The quantile in buckets of which the last is that of +Inf.
fn at(q: f64, buckets: &[Bucket]) -> f64 {
    let Some((all, finite)) = buckets.split_last() else { return f64::NAN };
    let (Some(first), Some(largest)) = (finite.first(), finite.last()) else { return f64::NAN };
    if all.count == 0.0 {
        return f64::NAN;
    }
    let rank = q * all.count;
    let found = finite.partition_point(|bucket| bucket.count < rank || bucket.count.is_nan());
    let Some(bucket) = finite.get(found) else { return largest.upper };
    if found == 0 && first.upper <= 0.0 {
        return first.upper;
    }
    let below = found.checked_sub(1).and_then(|below| finite.get(below));
    let below = below.copied().unwrap_or(Bucket { upper: 0.0, count: 0.0 });
    let share = (rank - below.count) / (bucket.count - below.count);
    below.upper + (bucket.upper - below.upper) * share
}

/// The share of observations between two values. `buckets` are sorted by bound.
pub(super) fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if !is_complete(buckets) {
        return f64::NAN;
    }
    coalesce(buckets);
    let count = buckets.last().map_or(0.0, |bucket| bucket.count);
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank(upper, buckets).min(count) - rank(lower, buckets).min(count)) / count
}

/// How many observations there are up to `value`, interpolated within its bucket.
fn rank(value: f64, buckets: &[Bucket]) -> f64 {
    let positive = buckets.first().is_some_and(|first| first.upper > 0.0);
    let mut below = Bucket { upper: if positive { 0.0 } else { f64::NEG_INFINITY }, count: 0.0 };
    for bucket in buckets {
        if below.upper >= value {
            return below.count;
        }
        if bucket.upper > value {
            if below.upper == f64::NEG_INFINITY {
                return bucket.count;
            }
            let share = (value - below.upper) / (bucket.upper - below.upper);
            return below.count + (bucket.count - below.count) * share;
        }
        below = *bucket;
    }
    f64::INFINITY
}

fn is_complete(buckets: &[Bucket]) -> bool {
    buckets.last().is_some_and(|last| last.upper == f64::INFINITY)
}

/// Adds up buckets of the same bound.
fn coalesce(buckets: &mut Vec<Bucket>) {
    buckets.dedup_by(|next, bucket| {
        #[expect(clippy::float_cmp, reason = "the same bound written in another way")]
        let same = next.upper == bucket.upper;
        if same {
            bucket.count += next.count;
        }
        same
    });
}

/// Removes decreases from one bucket to the next, and differences that are of rounding.
#[expect(clippy::float_cmp, reason = "equal counts need no change")]
fn make_monotonic(buckets: &mut [Bucket]) -> Option<Decrease> {
    let mut decrease: Option<Decrease> = None;
    let (first, rest) = buckets.split_first_mut()?;
    let mut before = first.count;
    for bucket in rest {
        let count = bucket.count;
        if count == before {
            continue;
        }
        if almost_equal(before, count) {
            bucket.count = before;
        } else if count < before {
            bucket.count = before;
            let upper = bucket.upper;
            let known =
                decrease.get_or_insert(Decrease { lowest: upper, highest: upper, difference: 0.0 });
            known.lowest = known.lowest.min(upper);
            known.highest = known.highest.max(upper);
            known.difference = known.difference.max(before - count);
        } else {
            before = count;
        }
    }
    decrease
}

fn almost_equal(a: f64, b: f64) -> bool {
    if a.is_nan() && b.is_nan() {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(counts: &[(f64, f64)]) -> Vec<Bucket> {
        counts.iter().map(|(upper, count)| Bucket { upper: *upper, count: *count }).collect()
    }

    #[test]
    fn quantiles_are_interpolated_within_a_bucket() {
        let of = |q, counts: &[(f64, f64)]| quantile(q, &mut buckets(counts)).0;
        let counts = [(1.0, 2.0), (2.0, 6.0), (f64::INFINITY, 8.0)];
        assert_eq!(of(0.5, &counts), 1.5);
        assert_eq!(of(0.125, &counts), 0.5);
        assert_eq!(of(0.9, &counts), 2.0);
        assert_eq!(of(1.0, &counts), 2.0);
        assert!(of(0.5, &[(1.0, 2.0), (2.0, 6.0)]).is_nan());
        assert!(of(0.5, &[(f64::INFINITY, 6.0)]).is_nan());
        assert_eq!(of(0.5, &[(-1.0, 5.0), (f64::INFINITY, 6.0)]), -1.0);
        assert_eq!(of(0.5, &[(2.0, 6.0), (f64::INFINITY, 6.0)]), 1.0);
    }

    #[test]
    fn decreases_are_removed_and_told() {
        let counts = [(1.0, 4.0), (2.0, 3.0), (4.0, 1.0), (f64::INFINITY, 8.0)];
        let (_, decrease) = quantile(0.5, &mut buckets(&counts));
        let told = Decrease { lowest: 2.0, highest: 4.0, difference: 3.0 };
        assert_eq!(decrease, Some(told));
        let counts = [(1.0, 4.0), (2.0, 4.0 - 1e-13), (f64::INFINITY, 8.0)];
        assert_eq!(quantile(0.5, &mut buckets(&counts)).1, None);
    }

    #[test]
    fn fractions_are_interpolated_within_a_bucket() {
        let of = |from, to| {
            let counts = [(1.0, 2.0), (2.0, 6.0), (f64::INFINITY, 8.0)];
            fraction(from, to, &mut buckets(&counts))
        };
        assert_eq!(of(0.0, 1.0), 0.25);
        assert_eq!(of(1.0, 1.5), 0.25);
        assert_eq!(of(f64::NEG_INFINITY, f64::INFINITY), 1.0);
        assert_eq!(of(2.0, 1.0), 0.0);
        assert!(of(f64::NAN, 1.0).is_nan());
    }
}
