//! The series that a histogram with explicit bounds is seen as: `_bucket` by `le`, `_sum` and `_count`.
//!
//! A bound is written as Prometheus' OTLP ingestion does: the shortest decimal that is the number, without
//! an exponent (`0.005`, `1`, `+Inf`).

use sidelight_promql::Labels;
use sidelight_promql::labels::NAME;
use sidelight_promql::source::STALE_BITS;

use super::samples::{ClassicRow, Classics};

/// The label that holds a bucket's upper bound.
pub(super) const LE: &str = "le";

/// What follows the name of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suffix {
    Bucket = 0,
    Sum = 1,
    Count = 2,
}

impl Suffix {
    pub(super) const ALL: [Self; 3] = [Self::Bucket, Self::Sum, Self::Count];

    const fn text(self) -> &'static str {
        match self {
            Self::Bucket => "_bucket",
            Self::Sum => "_sum",
            Self::Count => "_count",
        }
    }
}

/// The name of a virtual series.
pub(super) fn suffixed(metric: &str, suffix: Suffix) -> String {
    [metric, suffix.text()].concat()
}

/// The name of the histogram that a virtual series of this name would be of.
pub(super) fn base(name: &str) -> Option<&str> {
    Suffix::ALL.iter().find_map(|suffix| name.strip_suffix(suffix.text()))
}

/// A bound as a label.
pub(super) fn le(bound: f64) -> String {
    if bound.is_nan() {
        "NaN".to_owned()
    } else if bound.is_infinite() {
        if bound > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        bound.to_string()
    }
}

/// The upper bounds of all `sets`, each once, as labels; +Inf is among them.
pub(super) fn bounds<'a>(sets: impl IntoIterator<Item = &'a [f64]>) -> Vec<f64> {
    let mut all: Vec<f64> = sets.into_iter().flatten().copied().collect();
    all.push(f64::INFINITY);
    all.sort_unstable_by(f64::total_cmp);
    all.dedup_by(|a, b| a.to_bits() == b.to_bits());
    all
}

/// The labels of a bucket.
pub(super) fn bucket_labels(stored: &Labels, bound: &str) -> Labels {
    let name = suffixed(stored.metric_name(), Suffix::Bucket);
    let kept = stored.iter().map(|label| (label.name.clone(), label.value.clone()));
    Labels::new(kept.chain([(NAME.into(), name.into()), (LE.into(), bound.into())]))
}

/// The labels of `_sum` or `_count`.
pub(super) fn whole_labels(stored: &Labels, suffix: Suffix) -> Labels {
    let name = suffixed(stored.metric_name(), suffix);
    let kept = stored.iter().map(|label| (label.name.clone(), label.value.clone()));
    Labels::new(kept.chain([(NAME.into(), name.into())]))
}

/// The samples of the bucket up to `bound`, appended to `into`.
pub(super) fn bucket(classics: &Classics, bound: f64, into: &mut Vec<(i64, f64)>) {
    let place = |bounds: &std::sync::Arc<[f64]>| {
        bounds.iter().position(|known| known.to_bits() == bound.to_bits())
    };
    let places: Vec<Option<usize>> = classics.bounds.iter().map(place).collect();
    for row in &classics.rows {
        let place = places.get(row.bounds as usize).copied().flatten();
        if bound == f64::INFINITY {
            into.push((row.time_ms, number(row, row.count as f64)));
        } else if let Some(place) = place {
            let (_, cumulative) = classics.buckets(row);
            let count = cumulative.get(place).copied().unwrap_or_default();
            into.push((row.time_ms, number(row, count as f64)));
        }
    }
}

/// The samples of `_sum` or `_count`, appended to `into`.
pub(super) fn whole(classics: &Classics, suffix: Suffix, into: &mut Vec<(i64, f64)>) {
    into.extend(classics.rows.iter().filter_map(|row| {
        let value = match suffix {
            Suffix::Sum if row.stale => Some(0.0),
            Suffix::Sum => row.sum,
            Suffix::Bucket | Suffix::Count => Some(row.count as f64),
        };
        value.map(|value| (row.time_ms, number(row, value)))
    }));
}

fn number(row: &ClassicRow, value: f64) -> f64 {
    if row.stale { f64::from_bits(STALE_BITS) } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_written_as_prometheus_writes_those_of_otlp() {
        let bounds = [0.005, 0.25, 1.0, 2.5, 10.0, 1e21, 1e-7, -1.0, f64::INFINITY, 0.1 + 0.2];
        let expected = [
            "0.005",
            "0.25",
            "1",
            "2.5",
            "10",
            "1000000000000000000000",
            "0.0000001",
            "-1",
            "+Inf",
            "0.30000000000000004",
        ];
        assert_eq!(bounds.map(le), expected);
    }

    #[test]
    fn the_base_of_a_name_is_what_is_before_its_suffix() {
        assert_eq!(base("a_bucket"), Some("a"));
        assert_eq!(base("a_sum_count"), Some("a_sum"));
        assert_eq!(base("a"), None);
    }
}
