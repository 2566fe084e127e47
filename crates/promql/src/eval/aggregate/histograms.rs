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

/// The sum or the mean of the histograms of one group at `step`; `None` if they do not go together or there are
/// floats as well, which is noted. Nothing is looked at behind histograms that do not go together, nor are
/// histograms added up that come after a float: Prometheus then has nothing to say of them.
pub(super) fn fold(
    aggregation: &Aggregation<'_>,
    members: &[Column],
    step: usize,
    context: &Context<'_>,
) -> Option<Arc<Histogram>> {
    let mut total: Option<Total> = None;
    let (mut floats, mut histograms, mut fits) = (false, false, true);
    for member in members.iter().filter(|member| member.present.get(step)) {
        let Some(histogram) = member.histogram(step) else {
            floats = true;
            continue;
        };
        histograms = true;
        match &mut total {
            None if floats => {}
            None => total = Some(Total::new(histogram, aggregation.op == AggregateOp::Avg)),
            Some(total) => fits = total.add(histogram) != Err(Incompatible),
        }
        if !fits {
            let metric = member.labels.metric_name();
            mixed_layouts(About { metric, span: aggregation.node_span }, context);
            break;
        }
    }
    let (mut histogram, added) = total.map(Total::finish).unwrap_or_default();
    say_added(added, aggregation.node_span, context);
    if floats && histograms {
        let mixed = "encountered a mix of histograms and floats for aggregation";
        context.warn(mixed, aggregation.node_span);
        return None;
    }
    histogram.compact();
    fits.then(|| Arc::new(histogram))
}
