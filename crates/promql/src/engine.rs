//! The engine: an expression and a source of series to an answer.
//!
//! ```text
//! Expr ─▶ plan::build ─▶ Node ─▶ eval::evaluate ─▶ columns ─▶ names dropped, sorted ─▶ Value
//! ```
//!
//! Limits: [`Options`]; the time of a query is bounded by the caller through [`Options::stop`].

use std::cell::RefCell;

use crate::eval::column::Column;
use crate::eval::context::Context;
use crate::eval::output::Output;
use crate::eval::parts::Ranged;
use crate::limits::Budget;
use crate::steps::Steps;
use crate::value::{Answer, Sample, Series, Value};
use crate::{Annotations, Expr, Labels, Queryable, eval, plan};

pub use crate::error::QueryError;
pub use crate::options::{Options, Stop};

/// Evaluates expressions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Engine<'a> {
    /// How.
    pub options: Options<'a>,
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
    QueryError::Expression(format!(
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
