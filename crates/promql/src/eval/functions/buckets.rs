//! Functions of histograms: quantile and fraction of classic ones, which are series of counts by the label `le`, and
//! everything of native ones.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Display, Formatter};

use super::super::bits::Bits;
use super::super::column::Column;
use super::super::context::Context;
use super::super::histograms::{self, About, OfMetric};
use super::super::names::{self, Union};
use super::super::output::Output;
use super::super::quantile::invalid_quantile;
use super::Args;
use super::bucket_quantile::{self, Bucket, Decrease};
use super::calendar;
use crate::ast::Span;
use crate::error::QueryError;
use crate::functions::Id;
use crate::histogram::Shortest;
use crate::plan;
use crate::steps::Steps;
use crate::value::Number;
use crate::{Histogram, Labels};

const LE: &str = "le";

/// The values of one of these functions.
///
/// # Errors
/// A limit is reached.
pub(super) fn call(
    call: &plan::Call<'_>,
    args: &mut Args,
    steps: Steps,
    context: &Context<'_>,
) -> Result<Vec<Column>, QueryError> {
    let span = |at: usize| call.arg_spans.get(at).copied().unwrap_or(call.span);
    match call.function.id {
        Id::HistogramQuantile => {
            let q = args.scalar();
            check_quantiles(&q, span(0), context);
            let columns = args.columns();
            let of = Of { span: span(1), context };
            of.each(&columns, steps, &mut Quantile { q: &q })
        }
        Id::HistogramQuantiles => {
            let columns = args.columns();
            let label = args.text();
            let of = Of { span: span(0), context };
            let mut all = Vec::new();
            let mut at = 2;
            while let Some(q) = args.next().map(Output::into_scalar) {
                check_quantiles(&q, span(at), context);
                at += 1;
                let value = openmetrics(q.first().copied().unwrap_or(f64::NAN));
                for mut column in of.each(&columns, steps, &mut Quantile { q: &q })? {
                    column.labels = names::with(&column.labels, label.as_str(), value.as_str());
                    all.push(column);
                }
            }
            Ok(all)
        }
        Id::HistogramFraction => {
            let (lower, upper) = (args.scalar(), args.scalar());
            let columns = args.columns();
            let of = Of { span: span(2), context };
            of.each(&columns, steps, &mut Fraction { lower: &lower, upper: &upper })
        }
        id => {
            let mut columns = args.columns();
            histograms::of_each(&mut columns, |histogram| match id {
                Id::HistogramCount => histogram.count,
                Id::HistogramSum => histogram.sum,
                Id::HistogramAvg => histogram.mean(),
                Id::HistogramStdvar => histogram.variance(),
                _ => histogram.variance().sqrt(),
            });
            Ok(columns)
        }
    }
}

/// A number as OpenMetrics writes it: with a point or an exponent.
fn openmetrics(value: f64) -> String {
    let written = Shortest(value).to_string();
    let plain = value.is_finite() && !written.contains(['.', 'e']);
    if plain { written + ".0" } else { written }
}

fn value(values: &[f64], step: usize) -> f64 {
    values.get(step).copied().unwrap_or(f64::NAN)
}

fn check_quantiles(values: &[f64], span: Span, context: &Context<'_>) {
    for q in values.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
        context.warn(invalid_quantile(*q), span);
    }
}

/// What a function makes of a histogram.
trait OfHistogram {
    /// Of the buckets of a classic one at `step`, sorted by bound.
    fn classic(&mut self, step: usize, buckets: &mut Vec<Bucket>) -> (f64, Option<Decrease>);

    /// Of a native one at `step`.
    fn native(
        &mut self,
        step: usize,
        histogram: &Histogram,
        about: About<'_>,
        context: &Context<'_>,
    ) -> f64;
}

struct Quantile<'a> {
    q: &'a [f64],
}

impl OfHistogram for Quantile<'_> {
    fn classic(&mut self, step: usize, buckets: &mut Vec<Bucket>) -> (f64, Option<Decrease>) {
        bucket_quantile::quantile(value(self.q, step), buckets)
    }

    fn native(
        &mut self,
        step: usize,
        histogram: &Histogram,
        about: About<'_>,
        context: &Context<'_>,
    ) -> f64 {
        histograms::quantile(value(self.q, step), histogram, about, context)
    }
}

struct Fraction<'a> {
    lower: &'a [f64],
    upper: &'a [f64],
}

impl OfHistogram for Fraction<'_> {
    fn classic(&mut self, step: usize, buckets: &mut Vec<Bucket>) -> (f64, Option<Decrease>) {
        let (lower, upper) = (value(self.lower, step), value(self.upper, step));
        (bucket_quantile::fraction(lower, upper, buckets), None)
    }

    fn native(
        &mut self,
        step: usize,
        histogram: &Histogram,
        about: About<'_>,
        context: &Context<'_>,
    ) -> f64 {
        let between = (value(self.lower, step), value(self.upper, step));
        histograms::fraction(between, histogram, about, context)
    }
}

/// The series of one histogram.
struct Series {
    labels: Labels,
    /// Bounds and positions, sorted by bound.
    buckets: Vec<(f64, usize)>,
}

/// A call on histograms.
struct Of<'a> {
    /// Where the histograms stand.
    span: Span,
    context: &'a Context<'a>,
}

impl Of<'_> {
    /// Applies `f` to each histogram at each step; where there are a classic and a native one of the same
    /// labels, to neither.
    fn each(
        &self,
        columns: &[Column],
        steps: Steps,
        f: &mut impl OfHistogram,
    ) -> Result<Vec<Column>, QueryError> {
        let mut results = Union::default();
        let mut natives: HashMap<Labels, Bits> = HashMap::new();
        for column in columns.iter().filter(|column| !column.histograms.is_empty()) {
            let steps = natives.entry(without_le(column)).or_insert(Bits::none(steps.len));
            let native = |step: &usize| column.histogram(*step).is_some();
            column.present.ones().filter(native).for_each(|step| steps.set(step));
        }
        let mut mixed: HashMap<Labels, Bits> = HashMap::new();
        let mut told: BTreeMap<String, Told> = BTreeMap::new();
        for series in self.series(columns) {
            self.context.budget.take(steps.len)?;
            let native = natives.get(&series.labels);
            let mut column = Column::empty(series.labels, steps.len);
            column.drop_name = true;
            let mut buckets = Vec::with_capacity(series.buckets.len());
            for (step, time) in steps.times().enumerate() {
                buckets.clear();
                buckets.extend(series.buckets.iter().filter_map(|(upper, at)| {
                    let count = columns.get(*at)?.float(step)?;
                    Some(Bucket { upper: *upper, count })
                }));
                if buckets.is_empty() {
                    continue;
                }
                if native.is_some_and(|native| native.get(step)) {
                    self.mixed(&column.labels);
                    let labels = column.labels.clone();
                    mixed.entry(labels).or_insert(Bits::none(steps.len)).set(step);
                    continue;
                }
                let (value, decrease) = f.classic(step, &mut buckets);
                column.set_float(step, value);
                if let Some(decrease) = decrease {
                    let of = self.shown_name(&column.labels);
                    told.entry(of).or_insert(Told::new(decrease, time)).add(decrease, time);
                }
            }
            results.add(column)?;
        }
        told.iter().for_each(|(of, told)| self.tell(of, told));
        for column in columns.iter().filter(|column| !column.histograms.is_empty()) {
            results.add(self.natives(column, mixed.get(&without_le(column)), f)?)?;
        }
        Ok(results.columns)
    }

    /// Applies `f` to each native histogram of `column` but at the steps `mixed`.
    fn natives(
        &self,
        column: &Column,
        mixed: Option<&Bits>,
        f: &mut impl OfHistogram,
    ) -> Result<Column, QueryError> {
        self.context.budget.take(column.len())?;
        let mut result = Column::empty(column.labels.clone(), column.len());
        result.drop_name = true;
        let about = About { metric: column.labels.metric_name(), span: self.span };
        for step in column.present.ones() {
            let Some(histogram) = column.histogram(step) else { continue };
            if !mixed.is_some_and(|mixed| mixed.get(step)) {
                result.set_float(step, f.native(step, histogram, about, self.context));
            }
        }
        Ok(result)
    }

    fn mixed(&self, labels: &Labels) {
        let name = of_metric(labels);
        let message = "vector contains a mix of classic and native histograms";
        self.context.warn(format_args!("{message}{name}"), self.span);
    }

    /// Finds the series that are buckets of one histogram.
    fn series(&self, columns: &[Column]) -> Vec<Series> {
        let mut known: HashMap<Labels, usize> = HashMap::new();
        let mut all: Vec<Series> = Vec::new();
        for (at, column) in columns.iter().enumerate() {
            let le = column.labels.get(LE);
            let Ok(upper) = le.parse::<f64>() else {
                if column.present.ones().any(|step| column.float(step).is_some()) {
                    self.bad_bound(le, &column.labels);
                }
                continue;
            };
            let labels = without_le(column);
            let series = *known.entry(labels).or_insert_with_key(|labels| {
                all.push(Series { labels: labels.clone(), buckets: Vec::new() });
                all.len() - 1
            });
            if let Some(series) = all.get_mut(series) {
                series.buckets.push((upper, at));
            }
        }
        for series in &mut all {
            series.buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        }
        all
    }

    fn bad_bound(&self, le: &str, labels: &Labels) {
        let name = self.shown_name(labels);
        let message = "bucket label \"le\" is missing or has a malformed value";
        self.context.warn(format_args!("{message} of {le:?}{name}"), self.span);
    }

    /// The name that is told of; none where it went with the first function.
    fn shown_name(&self, labels: &Labels) -> String {
        if self.context.options.delayed_name_removal { of_metric(labels) } else { String::new() }
    }

    /// Notes what had to be removed from the counts of all histograms of one name.
    fn tell(&self, name: &str, told: &Told) {
        let Decrease { lowest, highest, difference } = told.decrease;
        self.context.info(
            format_args!(
                "input to histogram_quantile needed to be fixed for monotonicity \
                 (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)\
                 {name}, from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
                Shortest(lowest),
                Shortest(highest),
                TwoDigits(difference),
                told.samples,
                calendar::Rfc3339(told.first),
                calendar::Rfc3339(told.last),
            ),
            self.span,
        );
    }
}

fn without_le(column: &Column) -> Labels {
    names::without(&column.labels, |name| name == LE)
}

/// ` for metric name "x"`, or nothing if there is no name.
fn of_metric(labels: &Labels) -> String {
    OfMetric(labels.metric_name()).to_string()
}

/// What was removed over all steps.
struct Told {
    decrease: Decrease,
    /// How many samples had a decrease, and when the first and the last.
    samples: usize,
    first: i64,
    last: i64,
}

impl Told {
    const fn new(decrease: Decrease, time: i64) -> Self {
        Self { decrease, samples: 0, first: time, last: time }
    }

    fn add(&mut self, next: Decrease, time: i64) {
        self.first = self.first.min(time);
        self.last = self.last.max(time);
        self.samples += 1;
        let known = &mut self.decrease;
        known.lowest = known.lowest.min(next.lowest);
        known.highest = known.highest.max(next.highest);
        known.difference = known.difference.max(next.difference);
    }
}

/// A number with two digits, and an exponent below 1e-4 and from 100 on.
struct TwoDigits(f64);

impl Display for TwoDigits {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let written = format!("{:.1e}", self.0);
        let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
        let digits = digits.strip_suffix(".0").unwrap_or(digits);
        let power: i32 = exponent.parse().unwrap_or(0);
        if (-4..2).contains(&power) {
            return Number(written.parse().unwrap_or(self.0)).fmt(f);
        }
        let sign = if power < 0 { '-' } else { '+' };
        write!(f, "{digits}e{sign}{:02}", power.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::TwoDigits;

    #[test]
    fn differences_are_written_with_two_digits() {
        let written =
            [10.0, 7.5, 0.0123, 123.0, 3.0, 1e-7].map(|value| TwoDigits(value).to_string());
        assert_eq!(written, ["10", "7.5", "0.012", "1.2e+02", "3", "1e-07"]);
    }
}
