//! Where a series is going: `deriv`, `predict_linear`, `double_exponential_smoothing`.

use super::super::window::Window;
use super::{Call, floats};
use crate::kahan::Sum;
use crate::steps::seconds;
use crate::value::SampleValue;

pub(super) fn deriv(window: &Window<'_>, call: &Call<'_>) -> Option<SampleValue> {
    let floats = floats(window, call)?;
    let [(first, _), _, ..] = floats else { return None };
    Some(SampleValue::Float(Line::through(floats, *first).slope))
}

pub(super) fn predict_linear(window: &Window<'_>, call: &Call<'_>) -> Option<SampleValue> {
    let floats = floats(window, call)?;
    let [_, _, ..] = floats else { return None };
    let line = Line::through(floats, window.time);
    let [ahead, _] = call.params;
    Some(SampleValue::Float(line.slope * ahead + line.intercept))
}

/// Smooths values and their trend. Source: Holt, 1957.
pub(super) fn double_exponential_smoothing(
    window: &Window<'_>,
    call: &Call<'_>,
) -> Option<SampleValue> {
    let floats = floats(window, call)?;
    let [(_, first), (_, second), ..] = floats else { return None };
    let [smoothing, trending] = call.params;
    let (mut before, mut smoothed, mut trend) = (0.0, *first, second - first);
    for (at, (_, value)) in floats.iter().skip(1).enumerate() {
        if at > 0 {
            trend = trending * (smoothed - before) + (1.0 - trending) * trend;
        }
        let next = smoothing * value + (1.0 - smoothing) * (smoothed + trend);
        before = std::mem::replace(&mut smoothed, next);
    }
    Some(SampleValue::Float(smoothed))
}

/// The line closest to some points by least squares.
struct Line {
    /// Per second.
    slope: f64,
    /// The value at the time that was asked for.
    intercept: f64,
}

impl Line {
    #[expect(clippy::float_cmp, reason = "only points that are all equal are on a level line")]
    fn through(points: &[(i64, f64)], intercept_at: i64) -> Self {
        let first = points.first().map_or(f64::NAN, |(_, value)| *value);
        if points.iter().all(|(_, value)| *value == first) {
            if first.is_infinite() {
                return Self { slope: f64::NAN, intercept: f64::NAN };
            }
            return Self { slope: 0.0, intercept: first };
        }
        let [mut x, mut y, mut xy, mut xx] = [Sum::default(); 4];
        for (time, value) in points {
            let at = seconds(time - intercept_at);
            x.add(at);
            y.add(*value);
            xy.add(at * value);
            xx.add(at * at);
        }
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 samples")]
        let count = points.len() as f64;
        let [x, y, xy, xx] = [x, y, xy, xx].map(Sum::total);
        let slope = (xy - x * y / count) / (xx - x * x / count);
        Self { slope, intercept: y / count - slope * x / count }
    }
}
