//! The series that a histogram with explicit bounds is seen as: `_bucket` by `le`, `_sum` and `_count`.
//!
//! A bound is written as Prometheus' OTLP ingestion does: the shortest decimal that is the number, without
//! an exponent (`0.005`, `1`, `+Inf`).

use std::collections::HashMap;
use std::sync::Arc;

use sidelight_promql::Labels;
use sidelight_promql::ast::Matcher;
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

/// The only names of series that one of the conditions lets through, if one says so; the fewest, in order, each once.
pub(super) fn named(matchers: &[Matcher]) -> Option<&[String]> {
    let says = |m: &&Matcher| m.name == NAME && !m.matches("") && !m.op.is_negative();
    matchers.iter().filter(says).filter_map(Matcher::named).min_by_key(|names| names.len())
}

fn le(bound: f64) -> String {
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

/// The most bounds that are remembered: as many as a histogram has.
const BOUNDS_MAX: usize = 1_024;

/// The labels of virtual series, their texts made once: a histogram has as many series as bounds.
#[derive(Debug)]
pub(super) struct Texts {
    name: Arc<str>,
    le: Arc<str>,
    bounds: HashMap<u64, Arc<str>>,
    /// A metric, and what its series are called.
    metric: Arc<str>,
    suffixed: [Arc<str>; 3],
}

impl Default for Texts {
    fn default() -> Self {
        let suffixed = Suffix::ALL.map(|suffix| suffix.text().into());
        let (name, le) = (NAME.into(), LE.into());
        Self { name, le, bounds: HashMap::new(), metric: "".into(), suffixed }
    }
}

impl Texts {
    /// A bound as a label.
    pub(super) fn bound(&mut self, bound: f64) -> Arc<str> {
        if self.bounds.len() >= BOUNDS_MAX {
            self.bounds.clear();
        }
        self.bounds.entry(bound.to_bits()).or_insert_with(|| le(bound).into()).clone()
    }

    /// The labels of a bucket.
    pub(super) fn bucket(&mut self, stored: &Labels, bound: &Arc<str>) -> Labels {
        let bound = (self.le.clone(), bound.clone());
        Labels::new(self.named(stored, Suffix::Bucket).chain([bound]))
    }

    /// The labels of `_sum` or `_count`.
    pub(super) fn whole(&mut self, stored: &Labels, suffix: Suffix) -> Labels {
        Labels::new(self.named(stored, suffix))
    }

    fn named<'l>(
        &mut self,
        stored: &'l Labels,
        suffix: Suffix,
    ) -> impl Iterator<Item = (Arc<str>, Arc<str>)> + use<'l> {
        let metric = stored.metric_name();
        if *self.metric != *metric {
            self.metric = metric.into();
            self.suffixed = Suffix::ALL.map(|suffix| suffixed(metric, suffix).into());
        }
        let [bucket, sum, count] = &self.suffixed;
        let name = match suffix {
            Suffix::Bucket => bucket,
            Suffix::Sum => sum,
            Suffix::Count => count,
        };
        let kept = stored.iter().map(|label| (label.name.clone(), label.value.clone()));
        kept.chain([(self.name.clone(), name.clone())])
    }
}

/// The samples of the bucket up to `bound`, appended to `into`.
pub(super) fn bucket(classics: &Classics, bound: f64, into: &mut Vec<(i64, f64)>) {
    let place =
        |bounds: &Arc<[f64]>| bounds.iter().position(|known| known.to_bits() == bound.to_bits());
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
    fn what_series_of_a_query_have_in_common_is_there_once() {
        let mut texts = Texts::default();
        let stored = |metric: &str| Labels::new([(NAME, metric), ("job", "x"), ("zone", "z")]);
        let (a, b) = (stored("a"), stored("b"));
        let half = texts.bound(0.5);
        let buckets = [texts.bucket(&a, &half), texts.bucket(&a, &half)];
        let expected =
            Labels::new([(NAME, "a_bucket"), ("job", "x"), ("le", "0.5"), ("zone", "z")]);
        assert_eq!(buckets, [expected.clone(), expected]);
        for (one, other) in buckets[0].iter().zip(buckets[1].iter()) {
            assert!(Arc::ptr_eq(&one.name, &other.name) && Arc::ptr_eq(&one.value, &other.value));
        }
        assert!(Arc::ptr_eq(&half, &texts.bound(0.5)));
        assert_eq!(texts.whole(&b, Suffix::Sum), stored("b_sum"));
        assert_eq!(texts.whole(&a, Suffix::Count), stored("a_count"));
    }

    #[test]
    fn the_base_of_a_name_is_what_is_before_its_suffix() {
        assert_eq!(base("a_bucket"), Some("a"));
        assert_eq!(base("a_sum_count"), Some("a_sum"));
        assert_eq!(base("a"), None);
    }
}
