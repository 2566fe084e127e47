//! A range query in parts: a query that would hold too many samples at once is evaluated for half of its steps
//! after the other, and so on, since no step depends on another.
//!
//! Cost: what is held stays within the limit; what an attempt did that was too much is done again, at most
//! as often as the steps can be halved.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::context::Context;
use super::names;
use super::output::Output;
use crate::Labels;
use crate::error::QueryError;
use crate::limits;
use crate::plan::Node;
use crate::steps::Steps;
use crate::value::Series;

/// The values of a range query.
#[derive(Debug, Default)]
pub(crate) struct Ranged {
    /// Those of a number.
    pub(crate) scalar: Option<Vec<(i64, f64)>>,
    /// Those of series, in any order; some have no sample.
    pub(crate) series: Vec<Series>,
    /// Whether it is a text, which is not asked for over a range.
    pub(crate) text: bool,
    by_labels: HashMap<Labels, usize>,
}

impl Ranged {
    /// Adds the values of `node` at `steps`, which are after those that are there.
    ///
    /// # Errors
    /// [`QueryError`]: why there are none.
    pub(crate) fn evaluate(
        &mut self,
        node: &Node<'_>,
        steps: Steps,
        context: &Context<'_>,
    ) -> Result<(), QueryError> {
        let base = context.budget.used();
        let said = context.annotations.borrow().clone();
        match super::evaluate(node, steps, context) {
            Ok(output) => self.add(output, steps, context),
            Err(error) if steps.len > 1 && limits::is_too_many(&error) => {
                context.budget.settle(base, 0)?;
                context.annotations.replace(said);
                let (first, second) = steps.halves();
                self.evaluate(node, first, context)?;
                self.evaluate(node, second, context)
            }
            Err(error) => Err(error),
        }
    }

    fn add(
        &mut self,
        output: Output,
        steps: Steps,
        context: &Context<'_>,
    ) -> Result<(), QueryError> {
        match output {
            Output::Scalar(values) => {
                let points = self.scalar.get_or_insert_default();
                points.extend(steps.times().zip(values));
            }
            Output::Text(_) => self.text = true,
            Output::Columns(columns) => {
                for column in names::finish(columns, context.options)? {
                    self.add_series(column.into_series(steps));
                }
            }
        }
        Ok(())
    }

    fn add_series(&mut self, series: Series) {
        match self.by_labels.entry(series.labels.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(self.series.len());
                self.series.push(series);
            }
            Entry::Occupied(entry) => {
                if let Some(known) = self.series.get_mut(*entry.get()) {
                    known.floats.extend(series.floats);
                    known.histograms.extend(series.histograms);
                }
            }
        }
    }
}
