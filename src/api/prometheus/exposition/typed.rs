//! One family with its type: those of its series that can stand in it.

use std::borrow::Cow;
use std::cmp::Ordering;

use sidelight_promql::Labels;
use sidelight_promql::value::{Sample, SampleValue};

use super::super::written::{Pairs, Written, line, once_each, pairs};
use super::{BUCKET, COUNT, SUM};
use crate::store::{Metadata, MetricKind};
use crate::telemetry::exposition::{Foreign, Format};
use crate::telemetry::{Escaping, Exposition};

const LE: &str = "le";
const QUANTILE: &str = "quantile";

/// Writes the family `name`.
pub(super) fn typed(name: &str, of: &Metadata, samples: &[Sample], out: &mut Exposition) {
    let open_metrics = out.format() == Format::OpenMetrics;
    let escaping = out.escaping();
    let is_native = |sample: &Sample| matches!(sample.value, SampleValue::Histogram(_));
    let classic = || samples.iter().any(|sample| of_family(name, sample) == Some(BUCKET));
    let unknown = if open_metrics { "unknown" } else { "untyped" };
    let written = escaping.metric(name);
    let counter = written.strip_suffix("_total").filter(|base| !base.is_empty());
    let (base, kind) = match (of.kind, counter) {
        // Also those of rules, which have no type.
        _ if samples.iter().all(is_native) => (&*written, "summary"),
        (MetricKind::Counter, Some(base)) => (base, "counter"),
        (MetricKind::Gauge, _) => (&*written, "gauge"),
        (MetricKind::Histogram, _) if samples.iter().any(is_native) && !classic() => {
            (&*written, "summary")
        }
        (MetricKind::Histogram, _) => (&*written, "histogram"),
        (MetricKind::Summary, _) => (&*written, "summary"),
        _ => (&*written, unknown),
    };
    let bounded_by = bounded_by(kind);
    // Floats named as parts of native histograms are another's: those have none.
    let natives = kind == "summary" && of.kind != MetricKind::Summary;
    let belonging = samples
        .iter()
        .filter(|sample| belongs(name, kind, sample) && (!natives || is_native(sample)));
    let mut ordered: Vec<_> =
        belonging.map(|sample| (Order::of(&sample.labels, bounded_by), sample)).collect();
    ordered.sort_by(|(a, _), (b, _)| a.cmp(b));
    let groups: Vec<_> = ordered.chunk_by(|(a, _), (b, _)| a.rest == b.rest).collect();
    let rests = groups.iter().filter_map(|group| group.first()).map(|(order, _)| &order.rest);
    let series: Vec<_> =
        rests.map(|rest| Written::of(name, rest.iter().copied(), escaping)).collect();
    let out = out.foreign(base, kind, &of.help);
    let mut group = Group { family: name, name: &written, open_metrics, escaping, out };
    for ((samples, series), _) in
        groups.iter().zip(&series).zip(once_each(&series)).filter(|(_, kept)| *kept)
    {
        match kind {
            "histogram" => group.histogram(&series.labels, samples),
            "summary" => group.summary(&series.labels, samples),
            _ => group.floats(kind == "counter", samples),
        }
    }
}

/// What orders the series of a family as the formats ask for: those of one label set together, buckets by bound.
struct Order<'a> {
    /// The labels without the bound's.
    rest: Vec<(&'a str, &'a str)>,
    name: &'a str,
    bound: f64,
}

impl<'a> Order<'a> {
    fn of(labels: &'a Labels, bounded_by: Option<&str>) -> Self {
        let rest = pairs(labels).filter(|(name, _)| Some(*name) != bounded_by).collect();
        let bound = bounded_by.and_then(|name| bound(labels.get(name))).unwrap_or(0.0);
        Self { rest, name: labels.metric_name(), bound }
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let labels = (&self.rest, self.name).cmp(&(&other.rest, other.name));
        labels.then_with(|| self.bound.total_cmp(&other.bound))
    }
}

/// The bound that a label's value is: a number, and without an end only as the formats spell that.
fn bound(text: &str) -> Option<f64> {
    let bound: f64 = text.parse().ok()?;
    (bound.is_finite() || matches!(text, "+Inf" | "-Inf")).then_some(bound)
}

/// Writes the samples of one family, those of a label set after another.
struct Group<'a> {
    family: &'a str,
    /// The family as it is written, a counter with its suffix.
    name: &'a str,
    open_metrics: bool,
    escaping: Escaping,
    out: Foreign<'a>,
}

impl Group<'_> {
    fn floats(&mut self, is_counter: bool, samples: &[(Order<'_>, &Sample)]) {
        for (_, sample) in samples {
            if let SampleValue::Float(value) = sample.value
                && (!is_counter || self.is_total(value))
            {
                let written = Written::of(self.family, pairs(&sample.labels), self.escaping);
                self.line("", &written.labels, value);
            }
        }
    }

    fn histogram(&mut self, labels: &Pairs<'_>, samples: &[(Order<'_>, &Sample)]) {
        let mut buckets: Vec<_> = self
            .parts(samples, BUCKET)
            .map(|(order, sample, value)| (order.bound, sample.labels.get(LE), value))
            .collect();
        let native = native(samples);
        let of_parts = |suffix| self.parts(samples, suffix).map(|(.., value)| value).next();
        let all = buckets.last().filter(|(bound, ..)| bound.total_cmp(&f64::INFINITY).is_eq());
        let (all, count, sum) = match (all, native) {
            // Another series of the name may have stood in the count's place.
            (Some((.., all)), _) => (*all, of_parts(COUNT).map(|_| *all), of_parts(SUM)),
            (None, Some((count, sum))) => {
                buckets = vec![(f64::INFINITY, "+Inf", count)];
                (count, Some(count), Some(sum))
            }
            (None, None) => return,
        };
        if all.is_nan() || !self.is_count(all) {
            return;
        }
        let (mut last, mut least, mut first) = (f64::NAN, 0.0, 0.0_f64);
        for (bound, le, value) in buckets {
            let ascends = last.is_nan() || last < bound;
            if ascends && (least..=all).contains(&value) && self.is_count(value) {
                self.line(BUCKET, &with(labels, LE, le), value);
                (last, least, first) = (bound, value, first.min(bound));
            }
        }
        let (count, sum) = match (count, sum) {
            _ if !self.open_metrics => (count, sum),
            (Some(_), Some(total)) if total >= 0.0 && first >= 0.0 => (count, sum),
            // One without the other is refused, and a sum that need not grow.
            _ => (None, None),
        };
        self.totals(labels, count, sum);
    }

    fn summary(&mut self, labels: &Pairs<'_>, samples: &[(Order<'_>, &Sample)]) {
        let quantiles: Vec<_> = self.parts(samples, "").collect();
        for (order, sample, value) in quantiles {
            let is_one = (0.0..=1.0).contains(&order.bound) && (value >= 0.0 || value.is_nan());
            if is_one || !self.open_metrics {
                self.line("", &with(labels, QUANTILE, sample.labels.get(QUANTILE)), value);
            }
        }
        let of_parts = |suffix| self.parts(samples, suffix).map(|(.., value)| value).next();
        let native = native(samples);
        let count = of_parts(COUNT).or(native.map(|(count, _)| count));
        let sum = of_parts(SUM).or(native.map(|(_, sum)| sum));
        let count = count.filter(|count| self.is_count(*count));
        self.totals(labels, count, sum.filter(|sum| self.is_total(*sum)));
    }

    /// The floats of a part, and what they are.
    fn parts<'s>(
        &self,
        samples: &'s [(Order<'s>, &'s Sample)],
        suffix: &'static str,
    ) -> impl Iterator<Item = (&'s Order<'s>, &'s Sample, f64)> {
        let family = self.family;
        samples.iter().filter_map(move |(order, sample)| match sample.value {
            SampleValue::Float(value) if of_family(family, sample) == Some(suffix) => {
                Some((order, *sample, value))
            }
            _ => None,
        })
    }

    /// Whether a value may be that of a counter or a sum.
    fn is_total(&self, value: f64) -> bool {
        !self.open_metrics || value >= 0.0
    }

    /// Whether a value may be a number of observations.
    fn is_count(&self, value: f64) -> bool {
        !self.open_metrics || (value >= 0.0 && value.fract() == 0.0)
    }

    fn totals(&mut self, labels: &Pairs<'_>, count: Option<f64>, sum: Option<f64>) {
        for (suffix, value) in [(COUNT, count), (SUM, sum)] {
            if let Some(value) = value {
                self.line(suffix, labels, value);
            }
        }
    }

    fn line(&mut self, suffix: &str, labels: &Pairs<'_>, value: f64) {
        let name = format!("{}{suffix}", self.name);
        self.out.line(|out| line(out, &name, labels, value));
    }
}

/// Labels with one more, in order.
fn with<'a>(
    labels: &Pairs<'a>,
    name: &'static str,
    value: &'a str,
) -> Vec<(Cow<'a, str>, &'a str)> {
    let mut labels = labels.to_vec();
    let at = labels.partition_point(|(known, _)| &**known < name);
    labels.insert(at, (Cow::Borrowed(name), value));
    labels
}

/// Count and sum of the native histogram among a label set's samples.
fn native(samples: &[(Order<'_>, &Sample)]) -> Option<(f64, f64)> {
    samples.iter().find_map(|(_, sample)| match &sample.value {
        SampleValue::Histogram(histogram) => Some((histogram.count, histogram.sum)),
        SampleValue::Float(_) => None,
    })
}

/// What a sample's name has behind that of its family.
fn of_family<'a>(name: &str, sample: &'a Sample) -> Option<&'a str> {
    sample.labels.metric_name().strip_prefix(name)
}

/// The label that a type keeps for bounds.
fn bounded_by(kind: &str) -> Option<&'static str> {
    match kind {
        "histogram" => Some(LE),
        "summary" => Some(QUANTILE),
        _ => None,
    }
}

/// Whether a sample may stand in a family of its type: one whose own `le` or `quantile` is none makes readers that check
/// refuse the whole page.
fn belongs(name: &str, kind: &str, sample: &Sample) -> bool {
    let Some(label) = bounded_by(kind) else {
        return matches!(sample.value, SampleValue::Float(_));
    };
    let of_sample = sample.labels.get(label);
    match of_family(name, sample) {
        Some(SUM | COUNT) => of_sample.is_empty(),
        Some("") if matches!(sample.value, SampleValue::Histogram(_)) => of_sample.is_empty(),
        Some(BUCKET) if kind == "histogram" => bound(of_sample).is_some(),
        Some("") if kind == "summary" => bound(of_sample).is_some(),
        _ => false,
    }
}
