//! A store in memory for tests of queries and rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ast::Matcher;
use crate::value::SampleValue;
use crate::{Each, Histogram, Labels, Points, Queryable, Selection, SourceError, Warnings};

/// Series with their samples by time in milliseconds since the Unix epoch. Every selection looks at every series.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    series: BTreeMap<Labels, BTreeMap<i64, SampleValue>>,
}

impl Memory {
    /// Keeps a sample in place of one of the same series and time.
    pub fn insert(&mut self, labels: &Labels, time: i64, value: SampleValue) {
        if let Some(samples) = self.series.get_mut(labels) {
            samples.insert(time, value);
        } else {
            self.series.entry(labels.clone()).or_default().insert(time, value);
        }
    }

    /// Says of each native histogram of a series whether there is a reset before it, as a store does when it is written.
    pub fn settle(&mut self, labels: &Labels) {
        let Some(samples) = self.series.get_mut(labels) else { return };
        let mut previous: Option<Arc<Histogram>> = None;
        for value in samples.values_mut() {
            match value {
                SampleValue::Float(_) => previous = None,
                SampleValue::Histogram(histogram) => {
                    Arc::make_mut(histogram).settle_hint(previous.as_deref());
                    previous = Some(histogram.clone());
                }
            }
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.series.clear();
    }

    /// Every series with its samples.
    pub fn iter(&self) -> impl Iterator<Item = (&Labels, &BTreeMap<i64, SampleValue>)> {
        self.series.iter()
    }
}

impl Queryable for Memory {
    fn select(&self, selection: &Selection<'_>, each: Each<'_>) -> Result<Warnings, SourceError> {
        let mut points = Points::default();
        for (labels, samples) in &self.series {
            let meets = |matcher: &Matcher| matcher.matches(labels.get(&matcher.name));
            if !selection.matchers.iter().all(meets) || selection.after >= selection.until {
                continue;
            }
            points.clear();
            for (time, value) in samples.range(selection.after + 1..=selection.until) {
                match value {
                    SampleValue::Float(value) => points.floats.push((*time, *value)),
                    SampleValue::Histogram(histogram) => {
                        points.histograms.push((*time, histogram.clone()));
                    }
                }
            }
            let some = !points.histograms.is_empty() || !points.floats.is_empty();
            if some && each(labels, &points).is_break() {
                break;
            }
        }
        Ok(Vec::new())
    }
}
