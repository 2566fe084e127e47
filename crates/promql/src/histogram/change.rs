//! How histograms change over time: what rate, increase, delta, irate and idelta begin with.

use std::sync::Arc;

use super::{Histogram, ResetHint};

/// Histograms with their times, ascending.
pub(crate) type Points = [(i64, Arc<Histogram>)];

/// A change, and what there is to say about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Change {
    /// By how much; none where the layouts do not go together.
    pub(crate) by: Option<Histogram>,
    /// A counter was asked for and some sample is a gauge.
    pub(crate) not_counter: bool,
    /// A gauge was asked for and the first or the last sample is none.
    pub(crate) not_gauge: bool,
    /// Exponential and custom buckets are mixed.
    pub(crate) mixed: bool,
    /// Bounds were brought together in a subtraction.
    pub(crate) subtraction_reconciled: bool,
    /// Bounds were brought together in an addition.
    pub(crate) addition_reconciled: bool,
}

impl Change {
    fn mixed() -> Self {
        Self { mixed: true, ..Self::default() }
    }
}

/// The change from the first of `points` to the last; of a counter with what was lost in resets.
/// Nothing with fewer than two points.
pub(crate) fn change(points: &Points, counter: bool) -> Change {
    let [(_, first), (_, second), ..] = points else { return Change::default() };
    let Some((_, last)) = points.last() else { return Change::default() };
    let mut change = Change::default();
    let gauge = |h: &Histogram| h.reset_hint == ResetHint::Gauge;
    change.not_counter = counter && (gauge(first) || gauge(last));
    let mut before = Arc::clone(first);
    if counter && second.is_reset_after(first) {
        // What the first sample holds is of no matter, so neither is its layout.
        before = Arc::new(Histogram {
            schema: second.schema,
            custom_bounds: second.custom_bounds.clone(),
            ..Histogram::default()
        });
    }
    if last.is_custom() != before.is_custom() {
        change.mixed = true;
        return change;
    }
    let mut schema = last.schema.min(before.schema);
    let within = points.get(1..points.len() - 1).unwrap_or_default();
    for (_, point) in within.iter().filter(|_| counter) {
        if point.is_custom() != before.is_custom() {
            return Change::mixed();
        }
        change.not_counter |= gauge(point);
        schema = schema.min(point.schema);
    }
    let mut by = (**last).clone();
    by.reduce(schema);
    let Ok(added) = by.subtract(&before) else { return Change::mixed() };
    change.subtraction_reconciled = added.bounds_reconciled;
    if counter {
        for (_, point) in points.iter().skip(1) {
            if point.is_reset_after(&before) {
                let Ok(added) = by.add(&before) else { return Change::mixed() };
                change.addition_reconciled |= added.bounds_reconciled;
            }
            before = Arc::clone(point);
        }
    } else {
        change.not_gauge = !gauge(first) || !gauge(last);
    }
    by.reset_hint = ResetHint::Gauge;
    by.compact();
    change.by = Some(by);
    change
}

/// The change from `previous` to `last`, the two last samples: of a counter after a reset all of `last`.
pub(crate) fn last_change(previous: &Histogram, last: &Histogram, counter: bool) -> Change {
    let mut change = Change::default();
    let gauges = [previous, last].map(|h| h.reset_hint == ResetHint::Gauge);
    change.not_counter = counter && gauges.contains(&true);
    change.not_gauge = !counter && gauges.contains(&false);
    let mut by = last.clone();
    if !counter || !last.is_reset_after(previous) {
        let Ok(added) = by.subtract(previous) else {
            change.mixed = true;
            return change;
        };
        change.subtraction_reconciled = added.bounds_reconciled;
    }
    by.reset_hint = ResetHint::Gauge;
    by.compact();
    change.by = Some(by);
    change
}
