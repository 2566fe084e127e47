//! `count_values`: how many series of a group have the same value.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::column::Column;
use super::super::context::Context;
use super::super::names;
use super::{Aggregation, grouping};
use crate::Labels;
use crate::error::QueryError;
use crate::value::{Number, SampleValue};

/// A column per group and value, which is a label.
pub(super) fn apply(
    aggregation: &Aggregation<'_>,
    columns: &[Column],
    len: usize,
    context: &Context<'_>,
) -> Result<Vec<Column>, QueryError> {
    let label = aggregation.label.as_str();
    let mut kept: Vec<&str> = aggregation.grouping.to_vec();
    if !aggregation.without
        && let Err(at) = kept.binary_search(&label)
    {
        kept.insert(at, label);
    }
    let mut known: HashMap<Labels, usize> = HashMap::new();
    let mut counts: Vec<Column> = Vec::new();
    for column in columns {
        // A series mostly keeps its value from step to step.
        let mut last: Option<(SampleValue, usize)> = None;
        for step in column.present.ones() {
            let Some(value) = column.get(step) else { continue };
            let at = match &last {
                Some((known, at)) if is_written_alike(known, &value) => *at,
                _ => {
                    let labels = names::with(&column.labels, label, written(&value));
                    let labels = grouping::labels(&kept, aggregation.without, &labels);
                    if let Some(at) = known.get(&labels) {
                        *at
                    } else {
                        context.budget.take(len)?;
                        let mut count = Column::empty(labels.clone(), len);
                        count.drop_name = column.drop_name;
                        counts.push(count);
                        known.insert(labels, counts.len() - 1);
                        counts.len() - 1
                    }
                }
            };
            if let Some(count) = counts.get_mut(at) {
                let before = count.float(step).unwrap_or(0.0);
                count.set_float(step, before + 1.0);
            }
            last = Some((value, at));
        }
    }
    Ok(counts)
}

/// Whether two values are certainly written as one: 0 and -0 are equal, and are not.
fn is_written_alike(a: &SampleValue, b: &SampleValue) -> bool {
    matches!((a, b), (SampleValue::Float(a), SampleValue::Float(b)) if a.to_bits() == b.to_bits())
}

fn written(value: &SampleValue) -> Arc<str> {
    match value {
        SampleValue::Float(value) => Number(*value).to_string().into(),
        SampleValue::Histogram(histogram) => histogram.to_string().into(),
    }
}
