//! Series that a view's rules made, before those of the store.

use std::collections::HashMap;

use sidelight_promql::ast::{MatchOp, Matcher};
use sidelight_promql::labels::NAME;
use sidelight_promql::{Each, Labels, Points, Queryable, Selection, SourceError, Value, Warnings};

use super::definitions::Definition;

/// A name that was defined is selected from what its rules gave, any other from `below`.
pub(super) struct Overlay<'a> {
    below: &'a dyn Queryable,
    made: HashMap<String, Vec<(Labels, Points)>>,
}

impl<'a> Overlay<'a> {
    pub(super) fn over(below: &'a dyn Queryable) -> Self {
        Self { below, made: HashMap::new() }
    }

    /// Adds what the rule gave; a scalar gives nothing.
    pub(super) fn add(&mut self, definition: &Definition, value: Value) {
        let made = self.made.entry(definition.record.clone()).or_default();
        let named = |labels: &Labels| {
            let own = labels.iter().map(|label| (label.name.clone(), label.value.clone()));
            let given =
                definition.labels.iter().map(|(n, v)| (n.as_str().into(), v.as_str().into()));
            Labels::new(own.chain(given).chain([(NAME.into(), definition.record.as_str().into())]))
        };
        match value {
            Value::Vector(samples) => {
                made.extend(samples.into_iter().filter_map(|sample| {
                    let sidelight_promql::SampleValue::Float(value) = sample.value else {
                        return None;
                    };
                    let floats = vec![(sample.time, value)];
                    Some((named(&sample.labels), Points { floats, ..Points::default() }))
                }));
            }
            Value::Matrix(series) => made.extend(series.into_iter().map(|series| {
                let points = Points { floats: series.floats, ..Points::default() };
                (named(&series.labels), points)
            })),
            Value::Scalar(_) | Value::String(_) => {}
        }
    }
}

impl Queryable for Overlay<'_> {
    fn select(&self, selection: &Selection<'_>, each: Each<'_>) -> Result<Warnings, SourceError> {
        let by_name = |m: &&Matcher| m.name == NAME && m.op == MatchOp::Equal;
        let name = selection.matchers.iter().find(by_name);
        let Some(made) = name.and_then(|name| self.made.get(&name.value)) else {
            return self.below.select(selection, each);
        };
        for (labels, points) in made {
            let wanted = |matcher: &Matcher| matcher.matches(labels.get(&matcher.name));
            if selection.matchers.iter().all(wanted) && each(labels, points).is_break() {
                break;
            }
        }
        Ok(Vec::new())
    }
}
