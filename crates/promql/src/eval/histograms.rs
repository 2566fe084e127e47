//! Native histograms in windows and groups: what comes out, and what there is to say about it.

use std::fmt::Display;
use std::sync::Arc;

use super::column::Column;
use super::context::Context;
use crate::Histogram;
use crate::ast::Span;
use crate::histogram::change::{self, Change, Points};
use crate::histogram::total::Total;
use crate::histogram::{Added, Incompatible, Nans, ResetHint};
use crate::quote::quote;
use crate::source::Points as PointsOfSeries;

/// Whom an annotation speaks of, and where.
#[derive(Clone, Copy)]
pub(crate) struct About<'a> {
    /// The metric's name; may be empty.
    pub(crate) metric: &'a str,
    /// The place.
    pub(crate) span: Span,
}

/// The change over a window of two or more histograms, as rate, increase and delta take it.
pub(crate) fn change(
    points: &Points,
    counter: bool,
    about: About<'_>,
    context: &Context<'_>,
) -> Option<Histogram> {
    said(change::change(points, counter), about, context)
}

/// The change between the two last histograms, as irate and idelta take it.
pub(crate) fn last_change(
    (previous, last): (&Histogram, &Histogram),
    counter: bool,
    about: About<'_>,
    context: &Context<'_>,
) -> Option<Histogram> {
    said(change::last_change(previous, last, counter), about, context)
}

fn said(change: Change, about: About<'_>, context: &Context<'_>) -> Option<Histogram> {
    let name = quote(about.metric);
    if change.not_counter {
        let message = "this native histogram metric is not a counter:";
        context.warn(format_args!("{message} {name}"), about.span);
    }
    if change.not_gauge {
        let message = "this native histogram metric is not a gauge:";
        context.warn(format_args!("{message} {name}"), about.span);
    }
    if change.mixed {
        mixed_layouts(about, context);
    }
    if change.subtraction_reconciled {
        reconciled("subtraction", about.span, context);
    }
    if change.addition_reconciled {
        reconciled("addition", about.span, context);
    }
    change.by
}

/// The sum or the average of the histograms of a window.
pub(crate) fn total(
    points: &Points,
    average: bool,
    about: About<'_>,
    context: &Context<'_>,
) -> Option<Histogram> {
    let ((_, first), rest) = points.split_first()?;
    let mut total = Total::new(first, average);
    for (_, point) in rest {
        if total.add(point) == Err(Incompatible) {
            mixed_layouts(about, context);
            return None;
        }
    }
    let (histogram, added) = total.finish();
    say_added(added, about.span, context);
    Some(histogram)
}

/// What an aggregation of histograms has to say.
pub(crate) fn say_added(added: Added, span: Span, context: &Context<'_>) {
    if added.reset_collision {
        context.warn("conflicting counter resets during histogram aggregation", span);
    }
    if added.bounds_reconciled {
        reconciled("aggregation", span, context);
    }
}

fn reconciled(operation: impl Display, span: Span, context: &Context<'_>) {
    let message = "mismatched custom buckets were reconciled during";
    context.info(format_args!("{message} {operation}"), span);
}

/// Warns that exponential and custom buckets do not go together.
pub(crate) fn mixed_layouts(about: About<'_>, context: &Context<'_>) {
    let name = quote(about.metric);
    context.warn(
        format_args!(
            "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {name}"
        ),
        about.span,
    );
}

/// Warns that a window holds floats and histograms.
pub(crate) fn mixed_samples(about: About<'_>, context: &Context<'_>) {
    let name = quote(about.metric);
    context.warn(
        format_args!("encountered a mix of histograms and floats for metric name {name}"),
        about.span,
    );
}

/// Notes that the histograms of a window that has floats too were left out.
pub(crate) fn ignored_in_range(about: About<'_>, context: &Context<'_>) {
    let name = quote(about.metric);
    context.info(
        format_args!(
            "ignored histograms in a range containing both floats and histograms for metric name {name}"
        ),
        about.span,
    );
}

/// Notes that an aggregation left histograms out.
pub(crate) fn ignored_in_aggregation(name: &str, span: Span, context: &Context<'_>) {
    context.info(format_args!("ignored histogram in {name} aggregation"), span);
}

/// How often the samples of a window change, and how often they are reset: in the order of time,
/// between a float and a histogram always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turns {
    /// Samples that differ from the one before.
    pub(crate) changes: u32,
    /// Samples that show a reset of a counter.
    pub(crate) resets: u32,
}

/// Counts the [`Turns`] of a window.
pub(crate) fn turns(floats: &[(i64, f64)], histograms: &Points) -> Turns {
    let mut turns = Turns::default();
    let (mut floats, mut histograms) = (floats.iter().peekable(), histograms.iter().peekable());
    let mut before: Option<(Option<f64>, Option<&Arc<Histogram>>)> = None;
    loop {
        let float_next = match (floats.peek(), histograms.peek()) {
            (Some((float, _)), Some((histogram, _))) => float < histogram,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return turns,
        };
        let now = if float_next {
            (floats.next().map(|(_, value)| *value), None)
        } else {
            (None, histograms.next().map(|(_, histogram)| histogram))
        };
        let (changed, reset) = match (before, now) {
            (None, _) => (false, false),
            (Some((Some(a), _)), (Some(b), _)) => (a != b && !(a.is_nan() && b.is_nan()), b < a),
            (Some((_, Some(a))), (_, Some(b))) => (!b.same(a), b.is_reset_after(a)),
            _ => (true, true),
        };
        turns.changes += u32::from(changed);
        turns.resets += u32::from(reset);
        before = Some(now);
    }
}

/// What `f` gives of each histogram; floats have none. The metric's name goes.
pub(crate) fn of_each(columns: &mut [Column], f: impl Fn(&Histogram) -> f64) {
    for column in columns {
        let histograms = std::mem::take(&mut column.histograms);
        for (step, value) in column.values.iter_mut().enumerate() {
            match histograms.get(step).and_then(Option::as_ref) {
                Some(histogram) => *value = f(histogram),
                None => column.present.clear(step),
            }
        }
        column.drop_name = true;
    }
}

/// The `q`-quantile of a histogram.
pub(crate) fn quantile(
    q: f64,
    histogram: &Histogram,
    about: About<'_>,
    context: &Context<'_>,
) -> f64 {
    let quantile = histogram.quantile(q);
    let result = match quantile.nans {
        Nans::None => return quantile.value,
        Nans::Result => "result is NaN",
        Nans::Skew => "result is skewed higher",
    };
    let of = OfMetric(about.metric);
    let message = "input to histogram_quantile has NaN observations,";
    context.info(format_args!("{message} {result}{of}"), about.span);
    quantile.value
}

/// The share of a histogram's observations between `lower` and `upper`.
pub(crate) fn fraction(
    (lower, upper): (f64, f64),
    histogram: &Histogram,
    about: About<'_>,
    context: &Context<'_>,
) -> f64 {
    let fraction = histogram.fraction(lower, upper);
    if fraction.nans {
        let of = OfMetric(about.metric);
        let message = "input to histogram_fraction has NaN observations, which are excluded from all fractions";
        context.info(format_args!("{message}{of}"), about.span);
    }
    fraction.value
}

/// ` for metric name "x"`, or nothing when it has none.
pub(crate) struct OfMetric<'a>(pub(crate) &'a str);

impl Display for OfMetric<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " for metric name {}", quote(self.0)) }
    }
}

/// `points` with the counts and sums of the histograms alone, and what they tell of resets, in `scratch`: nobody
/// looks at their buckets. As Prometheus has it, bounds do not differ then and hints are known.
pub(crate) fn without_buckets<'p>(
    points: &PointsOfSeries,
    scratch: &'p mut PointsOfSeries,
) -> &'p PointsOfSeries {
    scratch.clear();
    scratch.floats.extend_from_slice(&points.floats);
    let mut before: Option<&Histogram> = None;
    for (time, histogram) in &points.histograms {
        let reset_hint = match (histogram.reset_hint, before) {
            (ResetHint::Unknown, Some(before)) if before.is_stale() => ResetHint::Unknown,
            (ResetHint::Unknown, Some(before)) if histogram.is_reset_after(before) => {
                ResetHint::Reset
            }
            (ResetHint::Unknown, Some(_)) => ResetHint::NotReset,
            (hint, _) => hint,
        };
        let bare = Histogram {
            schema: histogram.schema,
            count: histogram.count,
            sum: histogram.sum,
            reset_hint,
            ..Histogram::default()
        };
        scratch.histograms.push((*time, Arc::new(bare)));
        before = Some(histogram);
    }
    scratch
}
