//! How fast a series grows: `rate`, `increase`, `delta`, `irate`, `idelta`.

use std::sync::Arc;

use super::super::histograms;
use super::super::window::Window;
use super::Call;
use crate::steps::seconds;
use crate::value::SampleValue;

pub(super) fn rate(window: &Window<'_>, call: &Call<'_>) -> Option<SampleValue> {
    extrapolated(window, call, true, true)
}

pub(super) fn increase(window: &Window<'_>, call: &Call<'_>) -> Option<SampleValue> {
    if call.context.options.counts && window.histograms.is_empty() {
        return counted(window).map(SampleValue::Float);
    }
    extrapolated(window, call, true, false)
}

/// What a counter counted from sample to sample.
fn counted(window: &Window<'_>) -> Option<f64> {
    let (_, last) = window.floats.last()?;
    let (_, first) = window.floats.first()?;
    match window.earlier {
        None if window.floats.len() < 2 => None,
        None => Some(last - first + lost_in_resets(window.floats)),
        Some((_, earlier)) => {
            let reset = if *first < earlier { earlier } else { 0.0 };
            Some(last - earlier + reset + lost_in_resets(window.floats))
        }
    }
}

pub(super) fn delta(window: &Window<'_>, call: &Call<'_>) -> Option<SampleValue> {
    extrapolated(window, call, false, false)
}

pub(super) fn irate(window: &Window<'_>, call: &Call<'_>) -> Option<SampleValue> {
    of_last_two(window, call, true)
}

pub(super) fn idelta(window: &Window<'_>, call: &Call<'_>) -> Option<SampleValue> {
    of_last_two(window, call, false)
}

/// The change within the window, as if the samples reached from edge to edge.
fn extrapolated(
    window: &Window<'_>,
    call: &Call<'_>,
    counter: bool,
    per_second: bool,
) -> Option<SampleValue> {
    if !window.floats.is_empty() && !window.histograms.is_empty() {
        histograms::mixed_samples(call.about, call.context);
        return None;
    }
    if let [(first_time, first), .., (last_time, last)] = window.floats {
        let mut change = last - first;
        if counter {
            change += lost_in_resets(window.floats);
        }
        let growth = (counter && change > 0.0 && *first >= 0.0).then(|| first / change);
        let sampled = Sampled { times: (*first_time, *last_time), samples: window.floats.len() };
        let factor = sampled.factor(window, growth, counter, per_second);
        return Some(SampleValue::Float(change * factor));
    }
    if let [(first_time, first), .., (last_time, _)] = window.histograms {
        let points = window.histograms;
        let mut change = histograms::change(points, counter, call.about, call.context)?;
        let growth = (counter && change.count > 0.0 && first.count >= 0.0)
            .then(|| first.count / change.count);
        let sampled = Sampled { times: (*first_time, *last_time), samples: points.len() };
        change.multiply(sampled.factor(window, growth, counter, per_second));
        return Some(SampleValue::Histogram(Arc::new(change)));
    }
    None
}

/// What a counter had counted each time that it was reset.
fn lost_in_resets(floats: &[(i64, f64)]) -> f64 {
    let pairs = floats.iter().zip(floats.iter().skip(1));
    pairs.filter(|((_, before), (_, after))| after < before).map(|((_, before), _)| before).sum()
}

/// The samples that a change was taken of.
struct Sampled {
    /// Of the first and the last.
    times: (i64, i64),
    samples: usize,
}

impl Sampled {
    /// What to multiply the change with. `growth` is what the first sample is of the change: a counter did not
    /// begin below zero.
    fn factor(
        &self,
        window: &Window<'_>,
        growth: Option<f64>,
        counter: bool,
        per_second: bool,
    ) -> f64 {
        let (first, last) = self.times;
        let sampled = seconds(last - first);
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 samples")]
        let between = sampled / (self.samples - 1) as f64;
        // Farther than this from an edge the series began or ended within the window.
        let threshold = between * 1.1;
        let mut before = seconds(first - window.start);
        if before >= threshold {
            before = between / 2.0;
        }
        if let (true, Some(growth)) = (counter, growth) {
            let to_zero = sampled * growth;
            if to_zero < before {
                before = to_zero;
            }
        }
        let mut after = seconds(window.end - last);
        if after >= threshold {
            after = between / 2.0;
        }
        let factor = (sampled + before + after) / sampled;
        if per_second { factor / seconds(window.end - window.start) } else { factor }
    }
}

/// The change between the last two samples.
fn of_last_two(window: &Window<'_>, call: &Call<'_>, rate: bool) -> Option<SampleValue> {
    let (floats, histograms) = window.last(2);
    match (floats, histograms) {
        ([(before, previous), (at, last)], []) => {
            let interval = at - before;
            let reset = rate && last < previous;
            let change = if reset { *last } else { last - previous };
            let change = if rate { change / seconds(interval) } else { change };
            (interval != 0).then_some(SampleValue::Float(change))
        }
        ([], [(before, previous), (at, last)]) => {
            let pair = (&**previous, &**last);
            let mut change = histograms::last_change(pair, rate, call.about, call.context)?;
            if rate {
                change.divide(seconds(at - before));
            }
            (at != before).then(|| SampleValue::Histogram(Arc::new(change)))
        }
        ([_], [_]) => {
            histograms::mixed_samples(call.about, call.context);
            None
        }
        _ => None,
    }
}
