//! How often a series turns: `changes`, `resets`.

use super::super::histograms;
use super::super::window::Window;
use super::Call;
use crate::value::SampleValue;

#[expect(clippy::float_cmp, reason = "any other value is a change")]
pub(super) fn changes(window: &Window<'_>, _: &Call<'_>) -> Option<SampleValue> {
    if !window.histograms.is_empty() {
        let turns = histograms::turns(window.floats, window.histograms);
        return Some(SampleValue::Float(f64::from(turns.changes)));
    }
    Some(count(window, |before, after| before != after && !(before.is_nan() && after.is_nan())))
}

pub(super) fn resets(window: &Window<'_>, _: &Call<'_>) -> Option<SampleValue> {
    if !window.histograms.is_empty() {
        let turns = histograms::turns(window.floats, window.histograms);
        return Some(SampleValue::Float(f64::from(turns.resets)));
    }
    Some(count(window, |before, after| after < before))
}

fn count(window: &Window<'_>, turn: impl Fn(f64, f64) -> bool) -> SampleValue {
    let pairs = window.floats.iter().zip(window.floats.iter().skip(1));
    let turns = pairs.filter(|((_, before), (_, after))| turn(*before, *after)).count();
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 samples")]
    SampleValue::Float(turns as f64)
}
