//! Whether an answer is the one expected.

use std::collections::BTreeMap;

use sidelight_promql::histogram::ResetHint;
use sidelight_promql::source::is_stale;
use sidelight_promql::value::{Sample, SampleValue, Series};
use sidelight_promql::{Annotations, Histogram, Labels, Value as Answer};

use super::script::{Expected, Message, Range};
use sidelight_promql::notation::Value;

/// How far values may be apart, relative to them.
const EPSILON: f64 = 1e-6;

/// # Errors
/// What is not as expected.
pub(crate) fn annotations(expected: &Expected, found: &Annotations) -> Result<(), String> {
    let warnings: Vec<&str> = found.warnings().collect();
    let infos: Vec<&str> = found.infos().collect();
    for (what, wanted, none, found) in [
        ("warning", &expected.warn, expected.no_warn, warnings),
        ("info", &expected.info, expected.no_info, infos),
    ] {
        if none && !found.is_empty() {
            return Err(format!("no {what} expected, got {found:?}"));
        }
        let is_found = |wanted: &Message| found.iter().any(|found| wanted.is_met(found));
        if let Some(missing) = wanted.iter().find(|wanted| !is_found(wanted)) {
            return Err(format!("{what} expected: {missing:?}, got {found:?}"));
        }
        let is_wanted = |found: &&str| wanted.iter().any(|wanted| wanted.is_met(found));
        if let Some(odd) = found.iter().find(|found| !wanted.is_empty() && !is_wanted(found)) {
            return Err(format!("unexpected {what}: {odd}"));
        }
    }
    Ok(())
}

/// Whether `answer` is as expected; the values of a matrix are at the times of `range`.
///
/// # Errors
/// What is not as expected.
pub(crate) fn answer(
    expected: &Expected,
    range: Option<Range>,
    answer: &Answer,
) -> Result<(), String> {
    match answer {
        Answer::Scalar((_, value)) => scalar(expected, *value),
        Answer::String(text) => match &expected.string {
            Some(wanted) if wanted == text => Ok(()),
            wanted => Err(format!("expected {wanted:?}, got the text {text:?}")),
        },
        Answer::Vector(samples) => vector(expected, samples),
        Answer::Matrix(series) => {
            let range = range.ok_or("a range vector was not expected")?;
            matrix(expected, range, series)
        }
    }
}

fn scalar(expected: &Expected, value: f64) -> Result<(), String> {
    match expected.scalar {
        Some(wanted) if almost_equal(wanted, value) => Ok(()),
        wanted => Err(format!("expected {wanted:?}, got the scalar {value}")),
    }
}

fn vector(expected: &Expected, samples: &[Sample]) -> Result<(), String> {
    if let Some(scalar) = expected.scalar {
        return Err(format!("expected the scalar {scalar}, got a vector"));
    }
    let mut missing: BTreeMap<&Labels, usize> =
        expected.series.iter().enumerate().map(|(at, line)| (&line.labels, at)).collect();
    for (position, sample) in samples.iter().enumerate() {
        let labels = text(&sample.labels);
        let found = show(&sample.value);
        let Some(at) = missing.remove(&sample.labels) else {
            return Err(format!("unexpected {labels} {found}"));
        };
        if expected.ordered && at != position {
            return Err(format!("{labels} is at place {position}, expected at {at}"));
        }
        let wanted = expected.series[at].values.first().and_then(Option::as_ref);
        let Some(wanted) = wanted else { return Err(format!("no value expected for {labels}")) };
        if !same(wanted, &sample.value) {
            return Err(format!("expected {labels} {}, got {found}", show_expected(wanted)));
        }
    }
    match missing.keys().next() {
        Some(labels) => Err(format!("missing: {}", text(labels))),
        None => Ok(()),
    }
}

fn matrix(expected: &Expected, range: Range, series: &[Series]) -> Result<(), String> {
    if expected.ordered || expected.scalar.is_some() {
        return Err("got a matrix".to_owned());
    }
    if !series.is_sorted_by(|one, next| one.labels < next.labels) {
        return Err("series are not sorted by labels".to_owned());
    }
    for line in &expected.series {
        let labels = text(&line.labels);
        let found = series.iter().find(|series| series.labels == line.labels);
        let Some(found) = found else { return Err(format!("missing: {labels}")) };
        let mut points = points(found);
        let times = (0..).map(|index| range.start + index * range.step);
        for (time, wanted) in times.zip(&line.values) {
            let found = points.remove(&time);
            let equal = match (wanted, &found) {
                (None, None) => true,
                (Some(wanted), Some(found)) => same(wanted, found),
                _ => false,
            };
            if !equal {
                let wanted = wanted.as_ref().map(show_expected);
                let found = found.as_ref().map(show);
                return Err(format!("expected {labels} {wanted:?} at {time}, got {found:?}"));
            }
        }
        if let Some((time, value)) = points.first_key_value() {
            return Err(format!("unexpected {labels} {} at {time}", show(value)));
        }
    }
    let wanted = |series: &&Series| expected.series.iter().any(|line| line.labels == series.labels);
    match series.iter().find(|series| !wanted(series)) {
        Some(odd) => Err(format!("unexpected {} {:?}", text(&odd.labels), points(odd))),
        None => Ok(()),
    }
}

/// The samples of `series` by time.
pub(crate) fn points(series: &Series) -> BTreeMap<i64, SampleValue> {
    let floats = series.floats.iter().map(|(time, value)| (*time, SampleValue::Float(*value)));
    let histograms = series.histograms.iter();
    let histograms = histograms.map(|(time, value)| (*time, SampleValue::Histogram(value.clone())));
    floats.chain(histograms).collect()
}

fn same(wanted: &Value, found: &SampleValue) -> bool {
    match (wanted, found) {
        (Value::Float(wanted), SampleValue::Float(found)) => almost_equal(*wanted, *found),
        (Value::Histogram { histogram, hint }, SampleValue::Histogram(found)) => {
            same_histogram(histogram, found) && (!hint || hint_of(histogram) == hint_of(found))
        }
        _ => false,
    }
}

fn hint_of(histogram: &Histogram) -> ResetHint {
    histogram.reset_hint
}

fn same_histogram(wanted: &Histogram, found: &Histogram) -> bool {
    let (mut wanted, mut found) = (wanted.clone(), found.clone());
    wanted.compact();
    found.compact();
    let same_buckets = |wanted: &[(i32, f64)], found: &[(i32, f64)]| {
        let pairs = wanted.iter().zip(found);
        wanted.len() == found.len()
            && pairs
                .into_iter()
                .all(|((i, wanted), (j, found))| i == j && almost_equal(*wanted, *found))
    };
    wanted.schema == found.schema
        && almost_equal(wanted.count, found.count)
        && almost_equal(wanted.sum, found.sum)
        && wanted.bounds() == found.bounds()
        && wanted.zero_threshold == found.zero_threshold
        && almost_equal(wanted.zero_count, found.zero_count)
        && same_buckets(&wanted.positive.0, &found.positive.0)
        && same_buckets(&wanted.negative.0, &found.negative.0)
}

/// Whether two values are as good as equal; any NaN equals another, a stale one only a stale one.
fn almost_equal(one: f64, other: f64) -> bool {
    if is_stale(one) || is_stale(other) {
        return is_stale(one) && is_stale(other);
    }
    if one == other || (one.is_nan() && other.is_nan()) {
        return true;
    }
    let sum = one.abs() + other.abs();
    if one == 0.0 || other == 0.0 || sum < f64::MIN_POSITIVE {
        return (one - other).abs() < EPSILON * f64::MIN_POSITIVE;
    }
    (one - other).abs() / sum.min(f64::MAX) < EPSILON
}

fn show(value: &SampleValue) -> String {
    match value {
        SampleValue::Float(value) => value.to_string(),
        SampleValue::Histogram(histogram) => histogram.notation().to_string(),
    }
}

fn show_expected(value: &Value) -> String {
    match value {
        Value::Float(value) => value.to_string(),
        Value::Histogram { histogram, .. } => histogram.notation().to_string(),
    }
}

fn text(labels: &Labels) -> String {
    let labels: Vec<String> =
        labels.iter().map(|label| format!("{}={:?}", label.name, label.value)).collect();
    format!("{{{}}}", labels.join(", "))
}
