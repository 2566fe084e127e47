//! Which metrics ask for more series than there may be.

use std::collections::HashMap;

use crate::store::stats::Offender;

/// Counts by metric name for the names that were refused most, at most [`NAMES_MAX`]: a new name takes the
/// place, and the count, of the least (space-saving, Metwally et al. 2005), so that a count is never too low.
#[derive(Debug, Default)]
pub(super) struct Offenders(HashMap<String, u64>);

const NAMES_MAX: usize = 64;
const SHOWN_MAX: usize = 20;

impl Offenders {
    /// Counts a series of `metric` that was refused.
    pub(super) fn refused(&mut self, metric: &str) {
        if let Some(count) = self.0.get_mut(metric) {
            *count += 1;
            return;
        }
        let mut count = 0;
        if self.0.len() >= NAMES_MAX
            && let Some((least, &of)) = self.0.iter().min_by_key(|(_, count)| **count)
        {
            let least = least.clone();
            count = of;
            self.0.remove(&least);
        }
        self.0.insert(metric.to_owned(), count + 1);
    }

    /// The metrics with the most series, live and refused.
    pub(super) fn loudest(&self, live: impl Iterator<Item = Offender>) -> Vec<Offender> {
        let mut by_name: HashMap<String, Offender> = HashMap::new();
        for offender in live {
            let known = by_name.entry(offender.metric.clone());
            let known = known.or_insert_with(|| Offender { series: 0, ..offender.clone() });
            known.series += offender.series;
        }
        for (metric, &refused) in &self.0 {
            let known = by_name.entry(metric.clone());
            known
                .or_insert_with(|| Offender { metric: metric.clone(), series: 0, refused: 0 })
                .refused = refused;
        }
        let mut all: Vec<Offender> = by_name.into_values().collect();
        all.sort_by(|a, b| {
            let cost = |of: &Offender| of.refused.saturating_add(of.series as u64);
            cost(b).cmp(&cost(a)).then_with(|| a.metric.cmp(&b.metric))
        });
        all.truncate(SHOWN_MAX);
        all
    }
}
