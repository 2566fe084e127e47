//! Instant selectors: the last sample of each series within the lookback, at every step.
//!
//! Cost: one pass over the samples of a series and the steps. One series is decoded at a time.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::column::Column;
use super::context::Context;
use super::histograms::without_buckets;
use crate::error::QueryError;
use crate::limits::SERIES_SAMPLES;
use crate::marker::is_stale;
use crate::plan::Selector;
use crate::source::{Points, Selection};
use crate::steps::{Steps, seconds};
use crate::value::SampleValue;
use crate::{Histogram, Labels};

/// What is taken of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Take {
    /// Its value.
    Value,
    /// Its time, in seconds.
    Time,
}

/// The columns of `selector`, sorted by labels.
///
/// # Errors
/// The store cannot answer, or a limit is reached.
pub(crate) fn instant(
    selector: &Selector<'_>,
    take: Take,
    steps: Steps,
    context: &Context<'_>,
) -> Result<Vec<Column>, QueryError> {
    let mut columns = Vec::new();
    each_instant(selector, take, steps, context, &mut |column| {
        context.budget.take(column.samples())?;
        columns.push(column);
        Ok(())
    })?;
    columns.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(columns)
}

/// Hands the columns of `selector` to `each`.
///
/// # Errors
/// The store cannot answer, a limit is reached, or what `each` says.
pub(crate) fn each_instant(
    selector: &Selector<'_>,
    take: Take,
    steps: Steps,
    context: &Context<'_>,
    each: &mut dyn FnMut(Column) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    let lookback = context.options.lookback;
    select(selector, 0, lookback, steps, context, &mut |labels, points| {
        context.budget.fits(SERIES_SAMPLES + steps.len)?;
        let column = column(labels, points, selector, take, steps, lookback);
        if column.present.any() { each(column) } else { Ok(()) }
    })
}

/// Hands each series of `selector` to `each`, with the samples that any step needs.
///
/// # Errors
/// The store cannot answer, or what `each` says.
pub(crate) fn select(
    selector: &Selector<'_>,
    range: i64,
    lookback: i64,
    steps: Steps,
    context: &Context<'_>,
    each: &mut dyn FnMut(&Labels, &Points) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    let first = selector.reference(steps.start);
    let selection = Selection {
        matchers: selector.matchers,
        after: first.saturating_sub(range).saturating_sub(lookback),
        until: selector.reference(steps.end()),
        step: steps.step,
        range,
        lookback,
        reads: selector.reads,
    };
    let mut failed = Ok(());
    let mut scratch = Points::default();
    let selected = context.source.select(&selection, &mut |labels, points| {
        let bare = !selector.buckets && !points.histograms.is_empty();
        let points = if bare { without_buckets(points, &mut scratch) } else { points };
        failed = context.proceed().and_then(|()| each(labels, points));
        if failed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    failed?;
    context.lack(selected.map_err(QueryError::Source)?);
    Ok(())
}

fn column(
    labels: &Labels,
    points: &Points,
    selector: &Selector<'_>,
    take: Take,
    steps: Steps,
    lookback: i64,
) -> Column {
    let mut column = Column::empty(labels.clone(), steps.len);
    let mut floats = Last::new(&points.floats);
    let mut histograms = Last::new(&points.histograms);
    for step in 0..steps.len {
        let reference = selector.reference(steps.time(step));
        let oldest = reference.saturating_sub(lookback);
        let float = floats.until(reference).filter(|(time, _)| *time > oldest);
        let histogram = histograms.until(reference).filter(|(time, _)| *time > oldest);
        let (time, value) = match (float, histogram) {
            (Some((time, _)), Some((later, histogram))) if later > time => {
                (*later, of_histogram(histogram))
            }
            (Some((time, float)), _) => {
                (*time, (!is_stale(*float)).then_some(SampleValue::Float(*float)))
            }
            (None, Some((time, histogram))) => (*time, of_histogram(histogram)),
            (None, None) => continue,
        };
        match (take, value) {
            (Take::Value, Some(value)) => column.set(step, value),
            (Take::Time, Some(_)) => column.set_float(step, seconds(time)),
            (_, None) => {}
        }
    }
    column.drop_name = take == Take::Time;
    column
}

fn of_histogram(histogram: &Arc<Histogram>) -> Option<SampleValue> {
    (!is_stale(histogram.sum)).then(|| SampleValue::Histogram(Arc::clone(histogram)))
}

/// Finds the last sample up to a time that only grows.
struct Last<'a, T> {
    points: &'a [(i64, T)],
    next: usize,
}

impl<'a, T> Last<'a, T> {
    const fn new(points: &'a [(i64, T)]) -> Self {
        Self { points, next: 0 }
    }

    fn until(&mut self, time: i64) -> Option<&'a (i64, T)> {
        while self.points.get(self.next).is_some_and(|(at, _)| *at <= time) {
            self.next += 1;
        }
        self.points.get(self.next.checked_sub(1)?)
    }
}
