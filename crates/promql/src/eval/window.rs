//! Windows: the samples of a series in a stretch of time before each step, one series at a time.
//!
//! Cost: the samples of a series are looked at once to find the windows of all steps.

use std::sync::Arc;

use super::column::Column;
use super::context::Context;
use super::selector;
use crate::error::QueryError;
use crate::histogram::ResetHint;
use crate::histogram::change;
use crate::marker::{LOST_BITS, is_stale};
use crate::plan::{Selector, Subquery};
use crate::source::Points;
use crate::steps::Steps;
use crate::{Histogram, Labels};

/// Where the samples come from.
pub(crate) enum Samples<'a> {
    /// The store.
    Selector { selector: &'a Selector<'a>, range: i64, before: i64 },
    /// An expression, evaluated at the steps `inner`.
    Subquery { subquery: &'a Subquery<'a>, columns: Vec<Column>, inner: Steps, range: i64 },
}

impl Samples<'_> {
    /// Hands each series to `each`.
    ///
    /// # Errors
    /// The store cannot answer, a limit is reached, or what `each` says.
    pub(crate) fn each(
        self,
        steps: Steps,
        context: &Context<'_>,
        each: &mut dyn FnMut(&SeriesSamples<'_>) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        match self {
            Self::Selector { selector, range, before } => {
                let mut live = Points::default();
                selector::select(selector, range, before, steps, context, &mut |labels, points| {
                    let base = context.budget.used();
                    context
                        .budget
                        .take(points.floats.len() + histogram_samples(&points.histograms))?;
                    let points = without_stale(points, &mut live);
                    let reference = |time| selector.reference(time);
                    context.budget.settle(base, 0)?;
                    let lengths = (range, before);
                    each(&SeriesSamples::new(labels, false, points, lengths, &reference))
                })
            }
            Self::Subquery { subquery, columns, inner, range } => {
                for column in columns {
                    context.proceed()?;
                    let drop_name = column.drop_name;
                    let mut series = column.into_series(inner);
                    forget_resets(&mut series.histograms);
                    let points = Points { floats: series.floats, histograms: series.histograms };
                    let reference = |time| subquery.reference(time);
                    let labels = &series.labels;
                    let lengths = (range, 0);
                    each(&SeriesSamples::new(labels, drop_name, &points, lengths, &reference))?;
                }
                Ok(())
            }
        }
    }
}

/// How many samples' memory histograms take.
pub(crate) fn histogram_samples(points: &[(i64, Arc<Histogram>)]) -> usize {
    points.iter().map(|(_, histogram)| histogram.samples()).sum()
}

/// Forgets what is known of resets: the sample before was another one.
fn forget_resets(histograms: &mut [(i64, Arc<Histogram>)]) {
    for (_, histogram) in histograms {
        if matches!(histogram.reset_hint, ResetHint::Reset | ResetHint::NotReset) {
            Arc::make_mut(histogram).reset_hint = ResetHint::Unknown;
        }
    }
}

/// `points`, or a copy in `live` without the staleness markers if there are any.
fn without_stale<'p>(points: &'p Points, live: &'p mut Points) -> &'p Points {
    let stale = points.floats.iter().any(|(_, value)| is_stale(*value))
        || points.histograms.iter().any(|(_, histogram)| is_stale(histogram.sum));
    if !stale {
        return points;
    }
    live.clear();
    live.floats.extend(points.floats.iter().filter(|(_, value)| !is_stale(*value)));
    let histograms = points.histograms.iter().filter(|(_, histogram)| !is_stale(histogram.sum));
    live.histograms.extend(histograms.cloned());
    live
}

/// The samples of one series.
pub(crate) struct SeriesSamples<'a> {
    pub(crate) labels: &'a Labels,
    /// Whether the metric's name goes at the end of the query.
    pub(crate) drop_name: bool,
    points: &'a Points,
    range: i64,
    before: i64,
    reference: &'a dyn Fn(i64) -> i64,
}

/// The samples of one series before one step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    /// The floats, in ascending time.
    pub(crate) floats: &'a [(i64, f64)],
    /// The position of the first among all floats of the series.
    pub(crate) first_float: usize,
    /// The float before them, if it was looked for.
    pub(crate) earlier: Option<(i64, f64)>,
    /// The native histograms, in ascending time.
    pub(crate) histograms: &'a [(i64, Arc<Histogram>)],
    /// Samples are after this …
    pub(crate) start: i64,
    /// … up to and with this.
    pub(crate) end: i64,
    /// The time of the step.
    pub(crate) time: i64,
}

impl<'a> SeriesSamples<'a> {
    const fn new(
        labels: &'a Labels,
        drop_name: bool,
        points: &'a Points,
        (range, before): (i64, i64),
        reference: &'a dyn Fn(i64) -> i64,
    ) -> Self {
        Self { labels, drop_name, points, range, before, reference }
    }

    /// Whether there were samples of which only aggregates are kept.
    pub(crate) fn lost(&self) -> bool {
        self.points.floats.iter().any(|(_, value)| value.to_bits() == LOST_BITS)
    }

    /// The window of each step; some hold nothing.
    pub(crate) fn windows(&self, steps: Steps) -> impl Iterator<Item = Window<'a>> {
        let mut floats = Slide::new(&self.points.floats);
        let mut histograms = Slide::new(&self.points.histograms);
        let (reference, range, before) = (self.reference, self.range, self.before);
        steps.times().map(move |time| {
            let end = reference(time);
            let start = end.saturating_sub(range);
            let within = floats.window(start, end);
            let after = start.saturating_sub(before);
            Window {
                floats: within,
                first_float: floats.first,
                earlier: floats.earlier().filter(|(at, _)| *at > after),
                histograms: histograms.window(start, end),
                start,
                end,
                time,
            }
        })
    }
}

impl<'a> Window<'a> {
    /// Whether there were samples of which only aggregates are kept.
    pub(crate) fn lost(&self) -> bool {
        self.floats.iter().any(|(_, value)| value.to_bits() == LOST_BITS)
    }

    /// The last `count` samples, of either kind.
    pub(crate) fn last(&self, count: usize) -> (&'a [(i64, f64)], &'a change::Points) {
        let (mut floats, mut histograms) = (self.floats.len(), self.histograms.len());
        for _ in 0..count {
            let float = floats.checked_sub(1).and_then(|at| self.floats.get(at));
            let histogram = histograms.checked_sub(1).and_then(|at| self.histograms.get(at));
            match (float, histogram) {
                (Some((time, _)), Some((later, _))) if later > time => histograms -= 1,
                (Some(_), _) => floats -= 1,
                (None, Some(_)) => histograms -= 1,
                (None, None) => break,
            }
        }
        (
            self.floats.get(floats..).unwrap_or_default(),
            self.histograms.get(histograms..).unwrap_or_default(),
        )
    }
}

/// A window over samples whose two ends only grow.
struct Slide<'a, T> {
    points: &'a [(i64, T)],
    first: usize,
    next: usize,
}

impl<T: Copy> Slide<'_, T> {
    /// The point before the window.
    fn earlier(&self) -> Option<(i64, T)> {
        self.first.checked_sub(1).and_then(|at| self.points.get(at).copied())
    }
}

impl<'a, T> Slide<'a, T> {
    const fn new(points: &'a [(i64, T)]) -> Self {
        Self { points, first: 0, next: 0 }
    }

    fn window(&mut self, start: i64, end: i64) -> &'a [(i64, T)] {
        // Of an instant query nothing is after the window.
        if self.points.last().is_some_and(|(at, _)| *at <= end) {
            self.next = self.points.len();
        }
        while self.points.get(self.next).is_some_and(|(at, _)| *at <= end) {
            self.next += 1;
        }
        while self.first < self.next
            && self.points.get(self.first).is_some_and(|(at, _)| *at <= start)
        {
            self.first += 1;
        }
        self.points.get(self.first..self.next).unwrap_or_default()
    }
}
