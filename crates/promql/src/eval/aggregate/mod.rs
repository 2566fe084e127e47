//! Aggregations: which columns form a group is found once per query, then each group is folded, chosen from or
//! counted over all steps.
//!
//! Histograms: `histograms.rs` has the sums and means of native ones; the other aggregations count
//! them or leave them out.

mod choose;
mod count_values;
mod fold;
mod grouping;
mod histograms;
mod quantiles;
mod xxhash;

pub(crate) use fold::Fold;

use super::column::Column;
use super::context::Context;
use super::histograms::ignored_in_aggregation;
use super::quantile::invalid_quantile;
use crate::ast::{AggregateOp, Span};
use crate::error::QueryError;
use crate::histogram::Shortest;

/// An aggregation and its parameter.
pub(crate) struct Aggregation<'a> {
    pub(crate) op: AggregateOp,
    /// Sorted.
    pub(crate) grouping: &'a [&'a str],
    pub(crate) without: bool,
    /// The numeric parameter at each step; empty if there is none.
    pub(crate) param: Vec<f64>,
    /// The label of `count_values`.
    pub(crate) label: String,
    pub(crate) param_span: Span,
    /// Where the aggregation stands.
    pub(crate) span: Span,
    /// Where the aggregated expression stands.
    pub(crate) node_span: Span,
}

impl Aggregation<'_> {
    /// Aggregates `columns`.
    ///
    /// # Errors
    /// The parameter makes no sense, or a limit is reached.
    pub(crate) fn apply(
        &self,
        columns: Vec<Column>,
        len: usize,
        context: &Context<'_>,
    ) -> Result<Vec<Column>, QueryError> {
        match self.op {
            AggregateOp::CountValues => count_values::apply(self, &columns, len, context),
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk => {
                if !self.counts_are_whole()? {
                    return Ok(Vec::new());
                }
                Ok(choose::apply(self, columns, len, context))
            }
            AggregateOp::LimitRatio => {
                if !self.ratios_are_valid(context)? {
                    return Ok(Vec::new());
                }
                Ok(choose::apply(self, columns, len, context))
            }
            AggregateOp::Quantile => {
                self.check_quantiles(context);
                quantiles::apply(self, &columns, len, context)
            }
            _ => {
                let base = context.budget.used();
                let mut fold = Fold::new(self, len);
                for column in columns {
                    fold.add(column);
                    // What is added goes.
                    context.budget.settle(base, fold.groups().saturating_mul(len))?;
                }
                Ok(fold.finish(context))
            }
        }
    }

    /// Whether columns can be added to a [`Fold`] one after the other, so that they need not be there together.
    pub(crate) const fn folds(&self) -> bool {
        use AggregateOp::{Avg, Count, Group, Max, Min, Stddev, Stdvar, Sum};
        matches!(self.op, Sum | Avg | Count | Min | Max | Group | Stddev | Stdvar)
    }

    fn bounds(&self) -> (f64, f64) {
        let fold =
            |f: fn(f64, f64) -> f64| self.param.iter().copied().reduce(f).unwrap_or(f64::NAN);
        (fold(f64::min), fold(f64::max))
    }

    fn has_nan(&self) -> bool {
        self.param.iter().any(|value| value.is_nan())
    }

    /// Whether any step asks for at least one.
    fn counts_are_whole(&self) -> Result<bool, QueryError> {
        const LIMIT: f64 = 9_223_372_036_854_775_808.0;
        let (min, max) = self.bounds();
        if self.has_nan() {
            return Err(QueryError::Execution("Parameter value is NaN".into()));
        }
        if max < 1.0 {
            return Ok(false);
        }
        for (beyond, value, how) in [(min <= -LIMIT, min, "under"), (max >= LIMIT, max, "over")] {
            if beyond {
                let value = Shortest(value);
                let message = format!("Scalar value {value} {how}flows int64");
                return Err(QueryError::Execution(message));
            }
        }
        Ok(true)
    }

    /// Whether any step asks for anything.
    fn ratios_are_valid(&self, context: &Context<'_>) -> Result<bool, QueryError> {
        if self.has_nan() {
            return Err(QueryError::Execution("Ratio value is NaN".into()));
        }
        let (min, max) = self.bounds();
        for (beyond, value, limit) in [(max > 1.0, max, "1"), (min < -1.0, min, "-1")] {
            if beyond {
                let message = format!(
                    "ratio value should be between -1 and 1, got {}, capping to {limit}",
                    Shortest(value)
                );
                context.warn(message, self.param_span);
            }
        }
        Ok(min < 0.0 || max > 0.0)
    }

    fn check_quantiles(&self, context: &Context<'_>) {
        let (min, max) = self.bounds();
        let nan = self.has_nan().then_some(f64::NAN);
        let low = (min < 0.0).then_some(min);
        let high = (max > 1.0).then_some(max);
        for value in [nan, low, high].into_iter().flatten() {
            context.warn(invalid_quantile(value), self.param_span);
        }
    }

    /// Says that histograms were left out.
    fn ignored_histogram(&self, context: &Context<'_>) {
        let whole = matches!(self.op, AggregateOp::Topk | AggregateOp::Bottomk);
        let span = if whole { self.span } else { self.node_span };
        ignored_in_aggregation(self.op.name(), span, context);
    }
}
