//! Aggregations that choose among a group's samples: `topk`, `bottomk`, `limitk`, `limit_ratio`.
//!
//! Cost: `topk` and `bottomk` a pass over each group per step, and k log k for the chosen.

use std::cmp::Ordering;

use super::super::column::Column;
use super::super::context::Context;
use super::super::quantile::{ascending_nan_last, descending_nan_last};
use super::grouping::Groups;
use super::{Aggregation, xxhash};
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
    let (mut order, mut ranked) = (Vec::new(), Vec::new());
    let grouped = Groups::of(aggregation.grouping, aggregation.without, &columns);
    for group in &grouped.groups {
        let members = grouped.members(group);
        for step in 0..len {
            let k = count(aggregation.param.get(step).copied().unwrap_or(0.0));
            rank(aggregation.op, &columns, members, step, k, &mut ranked);
            for (_, at) in ranked.iter().skip(k) {
                if let Some(column) = columns.get_mut(*at) {
                    column.present.clear(step);
                }
            }
            if len == 1 {
                order.extend(ranked.iter().take(k).map(|(_, at)| *at));
            }
        }
    }
    if len > 1 {
        return columns;
    }
    let mut columns: Vec<Option<Column>> = columns.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| columns.get_mut(at)?.take()).collect()
}

/// The members with a sample at `step` and its value: first the `k` to be chosen, in their order, then the others.
fn rank(
    op: AggregateOp,
    columns: &[Column],
    members: &[usize],
    step: usize,
    k: usize,
    ranked: &mut Vec<(f64, usize)>,
) {
    let value = |at: usize| {
        let column = columns.get(at).filter(|column| column.present.get(step))?;
        Some((column.float(step).unwrap_or(f64::NAN), at))
    };
    ranked.clear();
    ranked.extend(members.iter().filter_map(|at| value(*at)));
    match op {
        AggregateOp::Topk => choose(ranked, k, descending_nan_last),
        AggregateOp::Bottomk => choose(ranked, k, ascending_nan_last),
        _ => {}
    }
}

/// Puts the first `k` by `order` in front, sorted; of equal ones the first stays the first.
fn choose(ranked: &mut [(f64, usize)], k: usize, order: fn(f64, f64) -> Ordering) {
    let by = |a: &(f64, usize), b: &(f64, usize)| order(a.0, b.0).then(a.1.cmp(&b.1));
    let last = k.checked_sub(1).filter(|last| *last < ranked.len());
    if let Some(last) = last {
        ranked.select_nth_unstable_by(last, by);
    }
    let chosen = k.min(ranked.len());
    ranked.split_at_mut(chosen).0.sort_unstable_by(by);
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
