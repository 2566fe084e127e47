//! What the samples of a window amount to: `sum_over_time` and its like.

use std::sync::Arc;

use super::super::histograms;
use super::super::quantile as ranked;
use super::super::window::Window;
use super::{Call, floats};
use crate::kahan::{Mean, Spread, Sum};
use crate::steps::seconds;
use crate::value::SampleValue;

pub(super) fn sum(window: &Window<'_>, call: &Call<'_>) -> Option<SampleValue> {
    total(window, call, false, |floats| {
        let mut sum = Sum::default();
        floats.iter().for_each(|(_, value)| sum.add(*value));
        sum.total()
    })
}

pub(super) fn avg(window: &Window<'_>, call: &Call<'_>) -> Option<SampleValue> {
    total(window, call, true, |floats| {
        let Some(((_, first), rest)) = floats.split_first() else { return f64::NAN };
        let mut mean = Mean::of(*first);
        rest.iter().for_each(|(_, value)| mean.add(*value));
        mean.mean()
    })
}

fn total(
    window: &Window<'_>,
    call: &Call<'_>,
    average: bool,
    of_floats: impl Fn(&[(i64, f64)]) -> f64,
) -> Option<SampleValue> {
    match (window.floats.is_empty(), window.histograms.is_empty()) {
        (false, false) => {
            histograms::mixed_samples(call.about, call.context);
            None
        }
        (false, true) => Some(SampleValue::Float(of_floats(window.floats))),
        (true, _) => {
            let total = histograms::total(window.histograms, average, call.about, call.context)?;
            Some(SampleValue::Histogram(Arc::new(total)))
        }
    }
}

pub(super) fn time_of_min(window: &Window<'_>, call: &Call<'_>) -> Option<SampleValue> {
    time(extreme(window, call, |value, min| value <= min).map(|(time, _)| time))
}

pub(super) fn time_of_max(window: &Window<'_>, call: &Call<'_>) -> Option<SampleValue> {
    time(extreme(window, call, |value, max| value >= max).map(|(time, _)| time))
}

/// The sample that no other one is before, by `better`; a NaN only if there is nothing else.
fn extreme(
    window: &Window<'_>,
    call: &Call<'_>,
    better: impl Fn(f64, f64) -> bool,
) -> Option<(i64, f64)> {
    let mut floats = floats(window, call)?.iter().copied();
    let first = floats.next()?;
    Some(floats.fold(
        first,
        |best, next| {
            if better(next.1, best.1) || best.1.is_nan() { next } else { best }
        },
    ))
}

#[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 samples")]
pub(super) fn count(window: &Window<'_>, _: &Call<'_>) -> Option<SampleValue> {
    Some(SampleValue::Float((window.floats.len() + window.histograms.len()) as f64))
}

pub(super) fn present(_: &Window<'_>, _: &Call<'_>) -> Option<SampleValue> {
    Some(SampleValue::Float(1.0))
}

pub(super) fn last(window: &Window<'_>, _: &Call<'_>) -> Option<SampleValue> {
    match window.last(1) {
        ([(_, value)], _) => Some(SampleValue::Float(*value)),
        (_, [(_, histogram)]) => Some(SampleValue::Histogram(Arc::clone(histogram))),
        _ => None,
    }
}

pub(super) fn first(window: &Window<'_>, _: &Call<'_>) -> Option<SampleValue> {
    match (window.floats.first(), window.histograms.first()) {
        (Some((time, _)), Some((earlier, histogram))) if earlier < time => {
            Some(SampleValue::Histogram(Arc::clone(histogram)))
        }
        (Some((_, value)), _) => Some(SampleValue::Float(*value)),
        (None, histogram) => {
            histogram.map(|(_, histogram)| SampleValue::Histogram(Arc::clone(histogram)))
        }
    }
}

pub(super) fn time_of_first(window: &Window<'_>, _: &Call<'_>) -> Option<SampleValue> {
    let float = window.floats.first().map(|(time, _)| *time);
    let histogram = window.histograms.first().map(|(time, _)| *time);
    time(float.into_iter().chain(histogram).min())
}

pub(super) fn time_of_last(window: &Window<'_>, _: &Call<'_>) -> Option<SampleValue> {
    let float = window.floats.last().map(|(time, _)| *time);
    let histogram = window.histograms.last().map(|(time, _)| *time);
    time(float.into_iter().chain(histogram).max())
}

fn time(time: Option<i64>) -> Option<SampleValue> {
    time.map(|time| SampleValue::Float(seconds(time)))
}

pub(super) fn quantile(window: &Window<'_>, call: &Call<'_>) -> Option<SampleValue> {
    let mut values: Vec<f64> = floats(window, call)?.iter().map(|(_, value)| *value).collect();
    let [q, _] = call.params;
    Some(SampleValue::Float(ranked::quantile(q, &mut values)))
}

/// The median of the distances from the median; NaN if any value is.
pub(super) fn mad(window: &Window<'_>, call: &Call<'_>) -> Option<SampleValue> {
    let mut values: Vec<f64> = floats(window, call)?.iter().map(|(_, value)| *value).collect();
    if values.iter().any(|value| value.is_nan()) {
        return Some(SampleValue::Float(f64::NAN));
    }
    let median = ranked::quantile(0.5, &mut values);
    for value in &mut values {
        *value = (*value - median).abs();
    }
    Some(SampleValue::Float(ranked::quantile(0.5, &mut values)))
}

pub(super) fn stddev(window: &Window<'_>, call: &Call<'_>) -> Option<SampleValue> {
    Some(SampleValue::Float(variance(window, call)?.sqrt()))
}

pub(super) fn stdvar(window: &Window<'_>, call: &Call<'_>) -> Option<SampleValue> {
    Some(SampleValue::Float(variance(window, call)?))
}

fn variance(window: &Window<'_>, call: &Call<'_>) -> Option<f64> {
    let mut spread = Spread::default();
    floats(window, call)?.iter().for_each(|(_, value)| spread.add(*value));
    Some(spread.variance())
}
