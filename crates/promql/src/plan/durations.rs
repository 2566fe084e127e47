//! Durations that depend on the query: resolved before anything is evaluated, as Prometheus does.

use crate::arithmetic;
use crate::ast::{BinaryOp, Duration, DurationExpr, DurationKind};
use crate::duration::SECONDS_MAX;
use crate::error::QueryError;
use crate::steps::seconds;

/// What durations are computed from, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// From one step of the query to the next; 0 for an instant query.
    pub(super) step: i64,
    /// From the query's start to its end.
    pub(super) range: i64,
}

impl Times {
    /// The milliseconds of an offset.
    pub(super) fn offset(self, duration: &Duration) -> Result<i64, QueryError> {
        self.milliseconds(duration, true)
    }

    /// The milliseconds of a range or step. 0 only if it is computed and shorter than one.
    pub(super) fn positive(self, duration: &Duration) -> Result<i64, QueryError> {
        self.milliseconds(duration, false)
    }

    fn milliseconds(self, duration: &Duration, any: bool) -> Result<i64, QueryError> {
        let expr = match duration {
            Duration::Fixed(milliseconds) => return Ok(*milliseconds),
            Duration::Computed(expr) => expr,
        };
        let value = self.evaluate(expr)?;
        if !value.is_finite() {
            return failed(expr, "duration is NaN or infinite");
        }
        if value <= 0.0 && !any {
            return failed(expr, "duration must be greater than 0");
        }
        if value.abs() > SECONDS_MAX {
            return failed(expr, "duration is out of range");
        }
        Ok((value * 1000.0) as i64)
    }

    /// In seconds.
    fn evaluate(self, expr: &DurationExpr) -> Result<f64, QueryError> {
        Ok(match &expr.kind {
            DurationKind::Number(literal) => literal.value,
            DurationKind::Step => seconds(self.step),
            DurationKind::Range => seconds(self.range),
            DurationKind::MinOf(sides) => self.both(sides, f64::min)?,
            DurationKind::MaxOf(sides) => self.both(sides, f64::max)?,
            DurationKind::Signed { negative, of } => {
                let value = self.evaluate(of)?;
                if *negative { -value } else { value }
            }
            DurationKind::Binary { op, sides } => {
                let [lhs, rhs] = &**sides;
                let (lhs, rhs) = (self.evaluate(lhs)?, self.evaluate(rhs)?);
                match op {
                    BinaryOp::Div if rhs == 0.0 => return failed(expr, "division by zero"),
                    BinaryOp::Mod if rhs == 0.0 => return failed(expr, "modulo by zero"),
                    op => arithmetic::scalars(*op, lhs, rhs),
                }
            }
        })
    }

    /// The lesser or the greater; NaN if either is.
    fn both(
        self,
        sides: &[DurationExpr; 2],
        choose: impl Fn(f64, f64) -> f64,
    ) -> Result<f64, QueryError> {
        let [lhs, rhs] = sides;
        let (lhs, rhs) = (self.evaluate(lhs)?, self.evaluate(rhs)?);
        Ok(if lhs.is_nan() || rhs.is_nan() { f64::NAN } else { choose(lhs, rhs) })
    }
}

/// With the place in bytes from 0, as Prometheus gives it here.
fn failed<T>(expr: &DurationExpr, why: &str) -> Result<T, QueryError> {
    let span = expr.span;
    Err(QueryError::Expression(format!("{}:{}: {why}", span.start, span.end)))
}
