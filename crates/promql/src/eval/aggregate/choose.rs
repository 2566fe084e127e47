//! Aggregations that choose among a group's samples: `topk`, `bottomk`, `limitk`, `limit_ratio`.
//!
//! Cost: `topk` and `bottomk` n log n per group and step.

use super::super::column::Column;
use super::super::context::Context;
use super::super::quantile::{ascending_nan_last, descending_nan_last};
use super::{Aggregation, grouping, xxhash};
use crate::Labels;
use crate::ast::AggregateOp;

/// The chosen samples. At a single step the columns are in the order of their values.
pub(super) fn apply(
    aggregation: &Aggregation<'_>,
    mut columns: Vec<Column>,
    len: usize,
    context: &Context<'_>,
) -> Vec<Column> {
    if aggregation.op == AggregateOp::LimitRatio {
        by_ratio(aggregation, &mut columns);
        return columns;
    }
    if aggregation.op != AggregateOp::Limitk {
        let dropped = columns.iter_mut().fold(false, |any, column| column.drop_histograms() | any);
        if dropped {
            aggregation.ignored_histogram(context);
        }
    }
    let mut order = Vec::new();
    for group in grouping::groups(aggregation.grouping, aggregation.without, &columns) {
        for step in 0..len {
            let ranked = ranked(aggregation.op, &columns, &group.members, step);
            let k = count(aggregation.param.get(step).copied().unwrap_or(0.0));
            for at in ranked.iter().skip(k) {
                if let Some(column) = columns.get_mut(*at) {
                    column.present.clear(step);
                }
            }
            if len == 1 {
                order.extend(ranked.into_iter().take(k));
            }
        }
    }
    if len > 1 {
        return columns;
    }
    let mut columns: Vec<Option<Column>> = columns.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| columns.get_mut(at)?.take()).collect()
}

/// The members with a sample at `step`, first those to be chosen first.
fn ranked(op: AggregateOp, columns: &[Column], members: &[usize], step: usize) -> Vec<usize> {
    let column = |at: usize| columns.get(at);
    let present = |at: &usize| column(*at).is_some_and(|column| column.present.get(step));
    let mut ranked: Vec<usize> = members.iter().copied().filter(present).collect();
    let value = |at: usize| column(at).and_then(|column| column.float(step)).unwrap_or(f64::NAN);
    match op {
        AggregateOp::Topk => ranked.sort_by(|a, b| descending_nan_last(value(*a), value(*b))),
        AggregateOp::Bottomk => ranked.sort_by(|a, b| ascending_nan_last(value(*a), value(*b))),
        _ => {}
    }
    ranked
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float stays within the bounds of the integer"
)]
fn count(k: f64) -> usize {
    k as usize
}

/// Keeps each series or not by the hash of its labels, so that it is the same choice every time, and that a ratio
/// of r and one of r-1 together are everything.
fn by_ratio(aggregation: &Aggregation<'_>, columns: &mut [Column]) {
    for column in columns {
        let place = place(&column.labels);
        for (step, ratio) in aggregation.param.iter().enumerate() {
            let ratio = ratio.clamp(-1.0, 1.0);
            let chosen = if ratio >= 0.0 { place < ratio } else { place >= 1.0 + ratio };
            if !chosen {
                column.present.clear(step);
            }
        }
    }
}

/// Where `labels` lie in [0, 1].
#[expect(clippy::cast_precision_loss, reason = "Prometheus rounds them so, too")]
fn place(labels: &Labels) -> f64 {
    xxhash::of_labels(labels) as f64 / u64::MAX as f64
}
