//! `quantile`: the one aggregation of numbers that needs all of a group's at once.
//!
//! Cost: gathers the values of each step.

use super::super::column::Column;
use super::super::context::Context;
use super::super::quantile::quantile;
use super::Aggregation;
use super::grouping::{Group, Groups};
use crate::error::QueryError;

/// One column per group.
pub(super) fn apply(
    aggregation: &Aggregation<'_>,
    columns: &[Column],
    len: usize,
    context: &Context<'_>,
) -> Result<Vec<Column>, QueryError> {
    let grouped = Groups::of(aggregation.grouping, aggregation.without, columns);
    context.budget.take(grouped.groups.len().saturating_mul(len))?;
    if columns.iter().any(|column| column.present.ones().any(|at| column.histogram(at).is_some())) {
        aggregation.ignored_histogram(context);
    }
    let mut values = Vec::new();
    let of = |group: &Group| {
        let mut column = Column::empty(group.labels.clone(), len);
        column.drop_name = group.drop_name;
        let members = grouped.members(group);
        for (step, q) in aggregation.param.iter().enumerate() {
            let value = |at: &usize| columns.get(*at)?.float(step);
            values.clear();
            values.extend(members.iter().filter_map(value));
            if !values.is_empty() {
                column.set_float(step, quantile(*q, &mut values));
            }
        }
        column
    };
    Ok(grouped.groups.iter().map(of).collect())
}
