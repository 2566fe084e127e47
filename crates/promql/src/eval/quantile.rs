//! The quantile of a set of numbers, what is said of one that there cannot be, and the order of numbers.

use std::cmp::Ordering;

use crate::histogram::Shortest;

/// The `q` quantile of `values`, interpolated between neighbours; a NaN is the smallest. The order of
/// `values` is lost. Cost: linear.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let last = values.len() - 1;
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 values")]
    let rank = q * last as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the number of values"
    )]
    let below = (rank.floor() as usize).min(last);
    let (_, lower, rest) = values.select_nth_unstable_by(below, |a, b| ascending(*a, *b));
    let lower = *lower;
    let upper = rest.iter().copied().min_by(|a, b| ascending(*a, *b)).unwrap_or(lower);
    let weight = rank - rank.floor();
    lower * (1.0 - weight) + upper * weight
}

/// What is said of a quantile that is none.
pub(crate) fn invalid_quantile(value: f64) -> String {
    format!("quantile value should be between 0 and 1, got {}", Shortest(value))
}

/// Ascending, NaN first.
pub(crate) fn ascending(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// Ascending, NaN last.
pub(crate) fn ascending_nan_last(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Descending, NaN last.
pub(crate) fn descending_nan_last(a: f64, b: f64) -> Ordering {
    b.partial_cmp(&a).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_interpolated() {
        let of = |q: f64, values: &[f64]| quantile(q, &mut values.to_vec());
        assert!((of(0.8, &[4.0, 0.0, 1.0]) - 2.8).abs() < 1e-12);
        assert_eq!(of(1.0, &[4.0, 0.0, 1.0]), 4.0);
        assert_eq!(of(0.0, &[4.0, 0.0, 1.0]), 0.0);
        assert!((of(0.8, &[0.0, 1.0, f64::NAN]) - 0.6).abs() < 1e-12);
        assert!(of(0.2, &[0.0, 1.0, f64::NAN]).is_nan());
        assert_eq!(of(-0.1, &[1.0]), f64::NEG_INFINITY);
        assert_eq!(of(1.1, &[1.0]), f64::INFINITY);
        assert!(of(f64::NAN, &[1.0]).is_nan());
        assert!(of(0.5, &[]).is_nan());
    }
}
