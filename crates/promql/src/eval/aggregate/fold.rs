//! Aggregations that make one sample of a group's: `sum`, `avg`, `min`, `max`, `count`, `group`, `stddev`, `stdvar`,
//! `quantile`.
//!
//! Cost: a pass over the columns of a group; quantile gathers the values of each step.

use super::super::bits::Bits;
use super::super::column::Column;
use super::super::context::Context;
use super::super::quantile::quantile;
use super::grouping::{Group, Groups};
use super::{Aggregation, histograms};
use crate::ast::AggregateOp;
use crate::error::QueryError;
use crate::kahan::{Mean, Sum};
use crate::value::SampleValue;

/// One column per group.
pub(super) fn apply(
    aggregation: &Aggregation<'_>,
    columns: &[Column],
    len: usize,
    context: &Context<'_>,
) -> Result<Vec<Column>, QueryError> {
    let grouped = Groups::of(aggregation.grouping, aggregation.without, columns);
    context.budget.take(grouped.groups.len().saturating_mul(len))?;
    let mut members = Vec::new();
    let fold = |group: &Group| {
        members.clear();
        members.extend(grouped.members(group).iter().filter_map(|at| columns.get(*at)));
        let mut column = Column::empty(group.labels.clone(), len);
        column.drop_name = group.drop_name;
        floats(aggregation, &members, &mut column);
        with_histograms(aggregation, &members, &mut column, context);
        column
    };
    Ok(grouped.groups.iter().map(fold).collect())
}

/// Sets the result of the floats.
fn floats(aggregation: &Aggregation<'_>, members: &[&Column], column: &mut Column) {
    match aggregation.op {
        AggregateOp::Sum => each(members, column, Sum::of, Sum::add, Sum::total),
        AggregateOp::Avg => each(members, column, Mean::of, Mean::add, Mean::mean),
        AggregateOp::Min => {
            let smaller = |min: &mut f64, value: f64| {
                if *min > value || min.is_nan() {
                    *min = value;
                }
            };
            each(members, column, |value| value, smaller, |min| min);
        }
        AggregateOp::Max => {
            let larger = |max: &mut f64, value: f64| {
                if *max < value || max.is_nan() {
                    *max = value;
                }
            };
            each(members, column, |value| value, larger, |max| max);
        }
        AggregateOp::Stddev => {
            each(members, column, Welford::of, Welford::add, |spread| spread.variance().sqrt());
        }
        AggregateOp::Stdvar => {
            each(members, column, Welford::of, Welford::add, Welford::variance);
        }
        AggregateOp::Quantile => quantiles(aggregation, members, column),
        AggregateOp::Group => {
            for member in members {
                column.present.union(&member.present);
            }
            column.values.fill(1.0);
        }
        _ => {
            for member in members {
                column.present.union(&member.present);
                for step in member.present.ones() {
                    if let Some(count) = column.values.get_mut(step) {
                        *count += 1.0;
                    }
                }
            }
        }
    }
}

/// Folds the floats of `members` at each step.
fn each<A: Copy>(
    members: &[&Column],
    column: &mut Column,
    first: impl Fn(f64) -> A,
    add: impl Fn(&mut A, f64),
    result: impl Fn(A) -> f64,
) {
    if let [only] = members
        && only.histograms.is_empty()
    {
        column.present = only.present.clone();
        for (value, of) in column.values.iter_mut().zip(&only.values) {
            *value = result(first(*of));
        }
        return;
    }
    let mut folds = vec![first(0.0); column.len()];
    for member in members {
        if member.histograms.is_empty() && member.present.is_full() && column.present.is_full() {
            for (fold, value) in folds.iter_mut().zip(&member.values) {
                add(fold, *value);
            }
            continue;
        }
        for step in member.present.ones() {
            let (Some(fold), Some(value)) = (folds.get_mut(step), member.float(step)) else {
                continue;
            };
            if column.present.get(step) {
                add(fold, value);
            } else {
                column.present.set(step);
                *fold = first(value);
            }
        }
    }
    for (value, fold) in column.values.iter_mut().zip(folds) {
        *value = result(fold);
    }
}

/// Mean and squared distance from it, in plain arithmetic as Prometheus has it in aggregations.
#[derive(Clone, Copy)]
struct Welford {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Welford {
    fn of(value: f64) -> Self {
        let squares = if value.is_finite() { 0.0 } else { f64::NAN };
        Self { count: 1.0, mean: value, squares }
    }

    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }

    fn variance(self) -> f64 {
        self.squares / self.count
    }
}

fn quantiles(aggregation: &Aggregation<'_>, members: &[&Column], column: &mut Column) {
    let mut values = Vec::with_capacity(members.len());
    for (step, q) in aggregation.param.iter().enumerate() {
        values.clear();
        values.extend(members.iter().filter_map(|member| member.float(step)));
        if !values.is_empty() {
            column.set_float(step, quantile(*q, &mut values));
        }
    }
}

/// Adds what the histograms of a group make.
fn with_histograms(
    aggregation: &Aggregation<'_>,
    members: &[&Column],
    column: &mut Column,
    context: &Context<'_>,
) {
    let mut steps = Bits::none(column.len());
    for member in members.iter().filter(|member| !member.histograms.is_empty()) {
        member
            .present
            .ones()
            .filter(|step| member.histogram(*step).is_some())
            .for_each(|step| steps.set(step));
    }
    if !steps.any() {
        return;
    }
    match aggregation.op {
        AggregateOp::Group | AggregateOp::Count => {}
        AggregateOp::Sum | AggregateOp::Avg => {
            for step in steps.ones() {
                column.present.clear(step);
                if let Some(histogram) = histograms::fold(aggregation, members, step, context) {
                    column.set(step, SampleValue::Histogram(histogram));
                }
            }
        }
        _ => aggregation.ignored_histogram(context),
    }
}
