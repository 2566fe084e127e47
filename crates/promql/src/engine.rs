//! The engine: an expression and a source of series to an answer.
//!
//! ```text
//! Expr ─▶ plan::build ─▶ Node ─▶ eval::evaluate ─▶ columns ─▶ names dropped, sorted ─▶ Value
//! ```
//!
//! Limits: [`Options`]; the time of a query is bounded by the caller through [`Options::stop`].

use std::cell::RefCell;
use std::fmt;

use crate::eval::column::Column;
use crate::eval::context::{Context, Steps};
use crate::eval::output::Output;
use crate::eval::parts::Ranged;
use crate::limits::Budget;
use crate::value::{Answer, Sample, Series, Value};
use crate::{Annotations, Expr, Labels, Queryable, SourceError, eval, plan};

/// Evaluates expressions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Engine<'a> {
    /// How.
    pub options: Options<'a>,
}

/// How expressions are evaluated. Times in milliseconds.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// How old the sample of an instant selector may be.
    pub lookback: i64,
    /// Samples in memory at once, 16 bytes each; a series counts as 16 more.
    pub samples_max: usize,
    /// Steps of a range query.
    pub steps_max: usize,
    /// Expressions within expressions.
    pub depth: usize,
    /// The step of a subquery that names none.
    pub subquery_step: i64,
    /// Whether the metric's name is removed at the end only, so that `by (__name__)` and
    /// `label_replace` still see it.
    pub delayed_name_removal: bool,
    /// Whether experimental functions and aggregations are allowed.
    pub experimental: bool,
    /// Whether `increase` is what a counter counted, from its last sample before the window or else the first in it,
    /// instead of an estimate for the whole of the window: for bills, where 3 must not become 3.1.
    pub counts: bool,
    /// Whether `__type__` and `__unit__` are kept with each series, and tell what a counter is.
    pub type_and_unit_labels: bool,
    /// The text that the expression was parsed from, for the places in annotations; empty: one line.
    pub text: &'a str,
    /// Asked again and again, at the latest after each series; ends the query.
    pub stop: &'a dyn Fn() -> Option<Stop>,
}

/// Why a query is ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It took too long.
    Timeout,
    /// Nobody waits for the answer.
    Canceled,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            lookback: 300_000,
            samples_max: 1_000_000,
            steps_max: 11_000,
            depth: 256,
            subquery_step: 60_000,
            delayed_name_removal: false,
            experimental: false,
            counts: false,
            type_and_unit_labels: false,
            text: "",
            stop: &|| None,
        }
    }
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("lookback", &self.lookback)
            .field("samples_max", &self.samples_max)
            .field("steps_max", &self.steps_max)
            .field("depth", &self.depth)
            .field("subquery_step", &self.subquery_step)
            .field("delayed_name_removal", &self.delayed_name_removal)
            .field("experimental", &self.experimental)
            .field("counts", &self.counts)
            .field("type_and_unit_labels", &self.type_and_unit_labels)
            .field("text", &self.text)
            .finish_non_exhaustive()
    }
}

/// Why there is no answer. Its words are those of Prometheus.
#[derive(Debug)]
pub enum QueryError {
    /// The query cannot be asked: its times, or what it uses.
    BadData(String),
    /// The query cannot be answered with the series there are.
    Execution(String),
    /// It took too long.
    Timeout,
    /// Nobody waits for the answer.
    Canceled,
    /// The store cannot answer.
    Source(SourceError),
}

impl QueryError {
    /// The `errorType` of the HTTP API.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::BadData(_) => "bad_data",
            Self::Execution(_) => "execution",
            Self::Timeout => "timeout",
            Self::Canceled => "canceled",
            Self::Source(_) => "internal",
        }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadData(message) | Self::Execution(message) => f.write_str(message),
            Self::Timeout => f.write_str("query timed out in expression evaluation"),
            Self::Canceled => f.write_str("query was canceled in expression evaluation"),
            Self::Source(_) => f.write_str("expanding series"),
        }
    }
}

impl std::error::Error for QueryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Source(source) => Some(source),
            _ => None,
        }
    }
}

impl<'a> Engine<'a> {
    /// An engine with these options.
    #[must_use]
    pub const fn new(options: Options<'a>) -> Self {
        Self { options }
    }

    /// Evaluates `expr` at `time`.
    ///
    /// # Errors
    /// [`QueryError`]: why there is no answer.
    pub fn instant(
        &self,
        expr: &Expr,
        time: i64,
        source: &dyn Queryable,
    ) -> Result<Answer, QueryError> {
        let steps = Steps { start: time, step: 0, len: 1 };
        let query = plan::build(expr, steps, time, &self.options)?;
        let context = self.context(source);
        let value = match &query {
            plan::Query::Window(window) => {
                let mut series = eval::window(window, steps, &context)?;
                series.sort_by(|a, b| a.labels.cmp(&b.labels));
                Value::Matrix(series)
            }
            plan::Query::Node(node) => match eval::evaluate(node, steps, &context)? {
                Output::Scalar(values) => {
                    Value::Scalar((time, values.first().copied().unwrap_or(f64::NAN)))
                }
                Output::Text(text) => Value::String(text),
                Output::Columns(columns) => {
                    let columns = eval::names::finish(columns, &self.options)?;
                    Value::Vector(columns.into_iter().filter_map(|c| sample(c, time)).collect())
                }
            },
        };
        Ok(Answer { value, annotations: context.into_annotations() })
    }

    /// Evaluates `expr` at `start` and every `step` after it, up to and with `end`: always a [`Value::Matrix`].
    ///
    /// # Errors
    /// [`QueryError`]: why there is no answer.
    pub fn range(
        &self,
        expr: &Expr,
        start: i64,
        end: i64,
        step: i64,
        source: &dyn Queryable,
    ) -> Result<Answer, QueryError> {
        let steps = self.steps(start, end, step)?;
        let plan::Query::Node(node) = plan::build(expr, steps, end, &self.options)? else {
            return Err(not_over_a_range("range vector"));
        };
        let context = self.context(source);
        let mut ranged = Ranged::default();
        ranged.evaluate(&node, steps, &context)?;
        if ranged.text {
            return Err(not_over_a_range("string"));
        }
        let mut matrix = ranged.series;
        // A number at each step is a series without labels.
        matrix.extend(ranged.scalar.map(|floats| Series { floats, ..Series::default() }));
        matrix.retain(|series| !series.floats.is_empty() || !series.histograms.is_empty());
        matrix.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(Answer { value: Value::Matrix(matrix), annotations: context.into_annotations() })
    }

    fn context<'q>(&'q self, source: &'q dyn Queryable) -> Context<'q> {
        Context {
            options: &self.options,
            source,
            annotations: RefCell::new(Annotations::default()),
            budget: Budget::new(self.options.samples_max),
        }
    }

    fn steps(&self, start: i64, end: i64, step: i64) -> Result<Steps, QueryError> {
        let bad = |message: &str| Err(QueryError::BadData(message.into()));
        if end < start {
            return bad("end timestamp must not be before start time");
        }
        if step <= 0 {
            return bad(
                "zero or negative query resolution step widths are not accepted. Try a positive integer",
            );
        }
        let steps = end.saturating_sub(start) / step;
        match usize::try_from(steps) {
            Ok(steps) if steps <= self.options.steps_max => {
                Ok(Steps { start, step, len: steps + 1 })
            }
            _ => Err(QueryError::BadData(format!(
                "exceeded maximum resolution of {} points per timeseries. Try decreasing the query resolution (?step=XX)",
                thousands(self.options.steps_max)
            ))),
        }
    }
}

fn not_over_a_range(found: &str) -> QueryError {
    QueryError::BadData(format!(
        "invalid expression type \"{found}\" for range query, must be Scalar or instant Vector"
    ))
}

/// `11000` as `11,000`.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut written = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            written.push(',');
        }
        written.push(digit);
    }
    written
}

fn sample(column: Column, time: i64) -> Option<Sample> {
    let value = column.get(0)?;
    let labels: Labels = column.labels;
    Some(Sample { labels, time, value })
}
