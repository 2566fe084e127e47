//! Series held in memory, for tests and benches.

use sidelight_promql::{Each, Labels, Points, Queryable, Selection, SourceError, Warnings};

/// Every sample of some series; a selection is given all of them, whatever its times.
#[derive(Debug, Default)]
pub(crate) struct Held(pub(crate) Vec<(Labels, Points)>);

impl Queryable for Held {
    fn select(&self, selection: &Selection<'_>, each: Each<'_>) -> Result<Warnings, SourceError> {
        for (labels, points) in &self.0 {
            let wanted = |m: &sidelight_promql::ast::Matcher| m.matches(labels.get(&m.name));
            if selection.matchers.iter().all(wanted) && each(labels, points).is_break() {
                break;
            }
        }
        Ok(Vec::new())
    }
}
