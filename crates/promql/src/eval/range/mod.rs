//! Functions of windows: one series at a time, each of its windows to one sample.

mod extreme;
mod over_time;
mod rate;
mod regression;
mod turns;

use extreme::Extreme;

use super::bits::Bits;
use super::column::Column;
use super::context::Context;
use super::histograms::{About, ignored_in_range};
use super::quantile::invalid_quantile;
use super::window::{Samples, SeriesSamples, Window};
use crate::Labels;
use crate::ast::Span;
use crate::error::QueryError;
use crate::functions::{Function, Id};
use crate::plan;
use crate::source::Reads;
use crate::steps::Steps;
use crate::value::SampleValue;

/// The query may be ended after so many samples.
const SAMPLES_BETWEEN_CHECKS: usize = 1 << 18;

/// A function of windows. `None`: there is no sample at this step.
#[derive(Clone, Copy)]
enum RangeFunction {
    /// Of each by itself.
    Each(fn(&Window<'_>, &Call<'_>) -> Option<SampleValue>),
    /// The best sample of each.
    Best(extreme::Better),
}

/// What is called for each window of one series, in order.
enum OfWindow {
    Each(fn(&Window<'_>, &Call<'_>) -> Option<SampleValue>),
    Best(Extreme),
}

impl OfWindow {
    fn of(&mut self, window: &Window<'_>, call: &Call<'_>) -> Option<SampleValue> {
        match self {
            Self::Each(function) => function(window, call),
            Self::Best(extreme) => extreme.of(window, call),
        }
    }
}

/// What a function of a window is given beside the window.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    /// The other arguments at this step.
    pub(crate) params: [f64; 2],
    /// Whose samples these are, and where the window stands in the text.
    pub(crate) about: About<'a>,
    pub(crate) context: &'a Context<'a>,
}

/// The floats of a window for a function that leaves histograms out; `None` if there are none.
fn floats<'a>(window: &Window<'a>, call: &Call<'_>) -> Option<&'a [(i64, f64)]> {
    if window.floats.is_empty() {
        return None;
    }
    if !window.histograms.is_empty() {
        ignored_in_range(call.about, call.context);
    }
    Some(window.floats)
}

/// A call of a function of windows.
pub(crate) struct OverTime<'a> {
    pub(crate) function: &'static Function,
    /// The other arguments: at each step, and where they stand.
    pub(crate) params: Vec<(Vec<f64>, Span)>,
    /// The labels of `absent_over_time`.
    pub(crate) absent: &'a Labels,
    /// Where the window stands.
    pub(crate) span: Span,
}

impl OverTime<'_> {
    /// A column for each series, sorted by labels.
    ///
    /// # Errors
    /// As [`OverTime::each`], or a limit is reached.
    pub(crate) fn apply(
        &self,
        samples: Samples<'_>,
        steps: Steps,
        context: &Context<'_>,
    ) -> Result<Vec<Column>, QueryError> {
        let mut columns = Vec::new();
        self.each(samples, steps, context, &mut |column| {
            context.budget.take(column.samples())?;
            columns.push(column);
            Ok(())
        })?;
        columns.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(columns)
    }

    /// Hands a column for each series to `each`.
    ///
    /// # Errors
    /// The store cannot answer, a parameter makes no sense, or what `each` says.
    pub(crate) fn each(
        &self,
        samples: Samples<'_>,
        steps: Steps,
        context: &Context<'_>,
        each: &mut dyn FnMut(Column) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let Some(function) = find(self.function.id) else {
            return each(self.absent(samples, steps, context)?);
        };
        let mut checked = false;
        samples.each(steps, context, &mut |series| {
            // A quantile is looked at only where there is something to take it of.
            if !checked && self.function.id != Id::QuantileOverTime {
                self.check(context)?;
                checked = true;
            }
            let column = self.column(function, series, steps, context)?;
            if !column.present.any() {
                return Ok(());
            }
            if !checked {
                self.check(context)?;
                checked = true;
            }
            self.might_not_be_a_counter(&column, context);
            each(column)
        })
    }

    fn column(
        &self,
        function: RangeFunction,
        series: &SeriesSamples<'_>,
        steps: Steps,
        context: &Context<'_>,
    ) -> Result<Column, QueryError> {
        let mut column = Column::empty(series.labels.clone(), steps.len);
        column.drop_name = series.drop_name || !keeps_name(self.function.id);
        // Prometheus speaks of the first argument, which is the window but for this one.
        let first = self.params.first().filter(|_| self.function.id == Id::QuantileOverTime);
        let span = first.map_or(self.span, |(_, span)| *span);
        let about = About { metric: series.labels.metric_name(), span };
        let mut call = Call { params: [0.0; 2], about, context };
        let mut of_window = match function {
            RangeFunction::Each(function) => OfWindow::Each(function),
            RangeFunction::Best(better) => OfWindow::Best(Extreme::new(better)),
        };
        let mut looked_at = 0;
        // Other functions are given what they ask for.
        let lost = plan::reads(self.function.id) == Reads::Every && series.lost();
        for (step, window) in series.windows(steps).enumerate() {
            if window.floats.is_empty() && window.histograms.is_empty() {
                continue;
            }
            // Long windows that overlap make one series a lot of work.
            looked_at += window.floats.len() + window.histograms.len();
            if looked_at > SAMPLES_BETWEEN_CHECKS {
                looked_at = 0;
                context.proceed()?;
            }
            if lost && window.lost() {
                let name = self.function.name;
                let message = "needs every sample, and of a part of the time only rows are kept";
                context.info(format_args!("{name:?} {message}"), self.span);
                continue;
            }
            for (param, (values, _)) in call.params.iter_mut().zip(&self.params) {
                *param = values.get(step).copied().unwrap_or(f64::NAN);
            }
            if let Some(value) = of_window.of(&window, &call) {
                column.set(step, value);
            }
        }
        Ok(column)
    }

    /// 1 at the steps at which no series has a sample in its window.
    fn absent(
        &self,
        samples: Samples<'_>,
        steps: Steps,
        context: &Context<'_>,
    ) -> Result<Column, QueryError> {
        let mut present = Bits::none(steps.len);
        samples.each(steps, context, &mut |series| {
            for (step, window) in series.windows(steps).enumerate() {
                if !window.floats.is_empty() || !window.histograms.is_empty() {
                    present.set(step);
                }
            }
            Ok(())
        })?;
        present.invert();
        let mut column = Column::of_scalar(vec![1.0; steps.len]);
        column.labels = self.absent.clone();
        column.present = present;
        Ok(column)
    }

    /// Looks at the parameters, once there is a series to use them for.
    fn check(&self, context: &Context<'_>) -> Result<(), QueryError> {
        match self.function.id {
            Id::QuantileOverTime => {
                for (values, span) in &self.params {
                    let invalid = values.iter().filter(|q| !(0.0..=1.0).contains(*q));
                    invalid.for_each(|q| context.warn(invalid_quantile(*q), *span));
                }
            }
            Id::DoubleExponentialSmoothing => {
                for ((values, _), (name, letter)) in
                    self.params.iter().zip([("smoothing", "s"), ("trend", "t")])
                {
                    let valid = |factor: &f64| *factor > 0.0 && *factor < 1.0;
                    if let Some(factor) = values.iter().find(|factor| !valid(factor)) {
                        return Err(QueryError::Execution(format!(
                            "invalid {name} factor. Expected: 0 < {letter}f < 1, got: {factor:.6}"
                        )));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Notes that a rate was taken of what does not look like a counter.
    fn might_not_be_a_counter(&self, column: &Column, context: &Context<'_>) {
        if !matches!(self.function.id, Id::Rate | Id::Increase) {
            return;
        }
        let name = column.labels.metric_name();
        let floats = || column.present.ones().any(|step| column.histogram(step).is_none());
        if name.is_empty() || !floats() {
            return;
        }
        if context.options.type_and_unit_labels {
            let kind = column.labels.get("__type__");
            if !["counter", "histogram"].contains(&kind) {
                let message = "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got";
                context.info(format_args!("{message} {kind:?}: {name:?}"), self.span);
            }
        } else if !["_total", "_sum", "_count", "_bucket"].iter().any(|end| name.ends_with(end)) {
            let message =
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:";
            context.info(format_args!("{message} {name:?}"), self.span);
        }
    }
}

/// Whether a function gives a sample as it is, so that the metric is the same.
const fn keeps_name(function: Id) -> bool {
    matches!(function, Id::LastOverTime | Id::FirstOverTime)
}

/// The function; none for `absent_over_time`, which is of all series together.
fn find(function: Id) -> Option<RangeFunction> {
    Some(RangeFunction::Each(match function {
        Id::Rate => rate::rate,
        Id::Increase => rate::increase,
        Id::Delta => rate::delta,
        Id::Irate => rate::irate,
        Id::Idelta => rate::idelta,
        Id::Changes => turns::changes,
        Id::Resets => turns::resets,
        Id::Deriv => regression::deriv,
        Id::PredictLinear => regression::predict_linear,
        Id::DoubleExponentialSmoothing => regression::double_exponential_smoothing,
        Id::SumOverTime => over_time::sum,
        Id::AvgOverTime => over_time::avg,
        Id::MinOverTime => return Some(RangeFunction::Best(|value, min| value < min)),
        Id::MaxOverTime => return Some(RangeFunction::Best(|value, max| value > max)),
        Id::CountOverTime => over_time::count,
        Id::LastOverTime => over_time::last,
        Id::FirstOverTime => over_time::first,
        Id::PresentOverTime => over_time::present,
        Id::QuantileOverTime => over_time::quantile,
        Id::StddevOverTime => over_time::stddev,
        Id::StdvarOverTime => over_time::stdvar,
        Id::MadOverTime => over_time::mad,
        Id::TsOfFirstOverTime => over_time::time_of_first,
        Id::TsOfLastOverTime => over_time::time_of_last,
        Id::TsOfMaxOverTime => over_time::time_of_max,
        Id::TsOfMinOverTime => over_time::time_of_min,
        _ => return None,
    }))
}
