//! The store in memory, with the samples of a test file.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use sidelight_promql::labels::NAME;
use sidelight_promql::notation::Value;
use sidelight_promql::value::SampleValue;
use sidelight_promql::{Each, Histogram, Labels, Queryable, Selection, SourceError, Warnings};

use super::script::Load;

#[derive(Default)]
pub(crate) struct Memory {
    store: sidelight_promql::memory::Memory,
    /// Whether a native histogram has been read.
    pub(crate) histograms_read: Cell<bool>,
}

impl Memory {
    pub(crate) fn clear(&mut self) {
        self.store.clear();
    }

    pub(crate) fn load(&mut self, load: &Load) {
        for line in &load.series {
            let times = (0..).map(|index| index * load.step);
            for (time, value) in times.zip(&line.values) {
                let value = match value {
                    Some(Value::Float(value)) => SampleValue::Float(*value),
                    Some(Value::Histogram { histogram, .. }) => {
                        SampleValue::Histogram(histogram.clone())
                    }
                    None => continue,
                };
                self.store.insert(&line.labels, time, value);
            }
            self.store.settle(&line.labels);
        }
        if load.with_nhcb {
            self.convert(load);
        }
    }

    /// Stores the native histograms with custom buckets that the classic ones of `load` are.
    fn convert(&mut self, load: &Load) {
        let mut classic: BTreeMap<Labels, BTreeMap<i64, Classic>> = BTreeMap::new();
        for line in &load.series {
            let Some((base, part)) = classic_part(&line.labels) else { continue };
            let times = (0..).map(|index| index * load.step);
            for (time, value) in times.zip(&line.values) {
                let Some(Value::Float(value)) = value else { continue };
                let at = classic.entry(base.clone()).or_default().entry(time).or_default();
                match part {
                    Part::Bucket(bound) => at.buckets.push((bound, *value)),
                    Part::Count => at.count = Some(*value),
                    Part::Sum => at.sum = *value,
                }
            }
        }
        for (labels, times) in classic {
            for (time, classic) in times {
                let Some(histogram) = classic.native() else { continue };
                self.store.insert(&labels, time, SampleValue::Histogram(Arc::new(histogram)));
            }
            self.store.settle(&labels);
        }
    }
}

#[derive(Clone, Copy)]
enum Part {
    Bucket(f64),
    Count,
    Sum,
}

/// The series of the whole histogram that `labels` is a part of.
fn classic_part(labels: &Labels) -> Option<(Labels, Part)> {
    let name = labels.metric_name();
    let (base, part) = if let Some(base) = name.strip_suffix("_bucket") {
        (base, Part::Bucket(labels.get("le").parse().ok()?))
    } else if let Some(base) = name.strip_suffix("_count") {
        (base, Part::Count)
    } else {
        (name.strip_suffix("_sum")?, Part::Sum)
    };
    let others = labels.iter().filter(|label| !matches!(&*label.name, NAME | "le"));
    let others = others.map(|label| (label.name.clone(), label.value.clone()));
    Some((Labels::new(others.chain([(NAME.into(), base.into())])), part))
}

#[derive(Default)]
struct Classic {
    /// Upper bounds and how much is below each.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

impl Classic {
    fn native(mut self) -> Option<Histogram> {
        self.buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        self.buckets.dedup_by_key(|(bound, _)| *bound);
        let last = self.buckets.last().map_or(0.0, |(_, count)| *count);
        let finite = self.buckets.iter().filter(|(bound, _)| bound.is_finite());
        let bounds: Arc<[f64]> = finite.map(|(bound, _)| *bound).collect();
        let count = self.count.unwrap_or(last);
        if bounds.len() == self.buckets.len() {
            self.buckets.push((f64::INFINITY, count));
        }
        let mut below = 0.0;
        let counts = self.buckets.iter().map(|(_, cumulative)| {
            let count = cumulative - below;
            below = *cumulative;
            count
        });
        Histogram::from_explicit(bounds, counts.collect::<Vec<_>>(), self.sum, Some(count)).ok()
    }
}

impl Queryable for Memory {
    fn select(&self, selection: &Selection<'_>, each: Each<'_>) -> Result<Warnings, SourceError> {
        self.store.select(selection, &mut |labels, points| {
            let read = !points.histograms.is_empty();
            self.histograms_read.set(self.histograms_read.get() || read);
            each(labels, points)
        })
    }
}
