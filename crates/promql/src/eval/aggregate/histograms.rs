//! Sums and means of native histograms.

use std::sync::Arc;

use super::super::column::Column;
use super::super::context::Context;
use super::super::histograms::{About, mixed_layouts, say_added};
use super::Aggregation;
use crate::Histogram;
use crate::ast::AggregateOp;
use crate::histogram::Incompatible;
use crate::histogram::total::Total;

/// The sum or the mean of the histograms of one group at `step`; `None` if they do not go together, which is noted.
pub(super) fn fold(
    aggregation: &Aggregation<'_>,
    members: &[&Column],
    step: usize,
    context: &Context<'_>,
) -> Option<Arc<Histogram>> {
    let mut total: Option<Total> = None;
    for member in members.iter().filter(|member| member.present.get(step)) {
        let Some(histogram) = member.histogram(step) else { continue };
        match &mut total {
            None => total = Some(Total::new(histogram, aggregation.op == AggregateOp::Avg)),
            Some(total) => {
                if total.add(histogram) == Err(Incompatible) {
                    let metric = member.labels.metric_name();
                    mixed_layouts(About { metric, span: aggregation.node_span }, context);
                    return None;
                }
            }
        }
    }
    let (mut histogram, added) = total?.finish();
    say_added(added, aggregation.node_span, context);
    histogram.compact();
    Some(Arc::new(histogram))
}
