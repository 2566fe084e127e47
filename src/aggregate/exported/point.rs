//! One exported series, and requests of many.
//!
//! Labels are written into an attribute list once, when the series is first seen. Limit: [`POINTS_MAX`] points of a
//! request.

use std::collections::BTreeMap;

use crate::signal::protobuf::Fields;
use crate::store::{Classic, Kind, Metadata, MetricKind};

/// The label that holds a metric's name.
pub(super) const NAME: &str = "__name__";
/// The most data points of a request.
const POINTS_MAX: usize = 1_000;
/// `NO_RECORDED_VALUE` of data point flags.
const NO_VALUE: u64 = 1;
const CUMULATIVE: u64 = 2;
const MS: u64 = 1_000_000;

/// What of a series' labels is its resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Origin {
    /// `service.namespace/service.name`.
    pub(in super::super) job: String,
    /// `service.instance.id`.
    pub(in super::super) instance: String,
}

/// The newest value of a series.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(f64),
    Buckets {
        bounds: Box<[f64]>,
        counts: Box<[u64]>,
        sum: Option<f64>,
        count: u64,
    },
    /// The series is no more.
    Ended,
}

impl Value {
    pub(super) fn of(histogram: &Classic<'_>) -> Self {
        let Classic { bounds, counts, sum, count } = *histogram;
        Self::Buckets { bounds: bounds.into(), counts: counts.into(), sum, count }
    }

    /// What only grows as long as it is not begun anew.
    #[expect(clippy::cast_precision_loss, reason = "only compared")]
    fn total(&self) -> f64 {
        match self {
            Self::Number(value) => *value,
            Self::Buckets { count, .. } => *count as f64,
            Self::Ended => 0.0,
        }
    }

    fn has_other_bounds(&self, newer: &Self) -> bool {
        match (self, newer) {
            (Self::Buckets { bounds, .. }, Self::Buckets { bounds: newer, .. }) => bounds != newer,
            _ => false,
        }
    }
}

/// An exported series.
#[derive(Debug)]
pub(super) struct Point {
    origin: Origin,
    name: String,
    is_histogram: bool,
    fingerprint: Option<u64>,
    /// Attributes as the fields of its kind of data point.
    attributes: Box<[u8]>,
    /// Since when it counts; `None` before the first value.
    start_ms: Option<i64>,
    /// When it had its newest value.
    time_ms: i64,
    value: Option<Value>,
}

impl Point {
    pub(super) fn new(
        labels: &[(&str, &str)],
        kind: Kind,
        own: &Origin,
        fingerprint: Option<u64>,
        start_ms: Option<i64>,
    ) -> Self {
        let is_histogram = kind == Kind::Classic;
        let field = if is_histogram { 9 } else { 7 };
        let label = |wanted| labels.iter().find(|(name, _)| *name == wanted).map(|label| label.1);
        let origin = match label("job") {
            Some(job) => {
                let instance = label("instance").unwrap_or_default().to_owned();
                Origin { job: job.to_owned(), instance }
            }
            None => own.clone(),
        };
        let mut attributes = Fields::default();
        let others = labels.iter().filter(|(name, _)| ![NAME, "job", "instance"].contains(name));
        others.for_each(|(name, value)| attributes.attribute(field, name, value));
        Self {
            origin,
            name: label(NAME).unwrap_or_default().to_owned(),
            is_histogram,
            fingerprint,
            attributes: attributes.0.into(),
            start_ms,
            time_ms: 0,
            value: None,
        }
    }

    pub(super) fn set(&mut self, time_ms: i64, value: Value) {
        if value == Value::Ended && self.value.is_none() {
            return;
        }
        if let Some(before) = &self.value
            && value != Value::Ended
            && (value.total() < before.total() || before.has_other_bounds(&value))
        {
            // It began anew after what was said last.
            self.start_ms = Some(self.time_ms);
        }
        self.start_ms.get_or_insert(time_ms);
        (self.time_ms, self.value) = (time_ms, Some(value));
    }

    pub(super) fn key(&self) -> (&Origin, &str) {
        (&self.origin, &self.name)
    }

    /// Fingerprint and start, for those who go on counting after a restart.
    pub(super) fn began(&self) -> Option<(u64, i64)> {
        self.value.as_ref().filter(|value| **value != Value::Ended)?;
        Some((self.fingerprint?, self.start_ms?))
    }

    pub(super) fn has_ended(&self) -> bool {
        self.value == Some(Value::Ended)
    }

    /// Whether it has something to say at `at_ms`, after it was asked at `before_ms`: a count always, a level while it has
    /// values.
    pub(super) fn is_due(&self, before_ms: i64, at_ms: i64) -> bool {
        let is_count = self.is_histogram || self.name.ends_with("_total");
        self.value.is_some() && self.time_ms <= at_ms && (is_count || self.time_ms > before_ms)
    }

    fn write(&self, to: &mut Fields, at_ms: i64) {
        let nanos = |ms: i64| ms.unsigned_abs() * MS;
        to.fixed64(2, nanos(self.start_ms.unwrap_or(at_ms)));
        to.fixed64(3, nanos(at_ms));
        let flags = if self.is_histogram { 10 } else { 8 };
        match &self.value {
            Some(Value::Number(value)) => to.double(4, *value),
            Some(Value::Buckets { bounds, counts, sum, count }) => {
                to.fixed64(4, *count);
                if let Some(sum) = sum {
                    to.double(5, *sum);
                }
                to.packed(6, counts.iter().copied());
                to.packed(7, bounds.iter().map(|bound| bound.to_bits()));
            }
            Some(Value::Ended) | None => to.varint(flags, NO_VALUE),
        }
        to.0.extend_from_slice(&self.attributes);
    }
}

/// A request and its data points.
pub(in super::super) type Request = (u32, Vec<u8>);

/// Requests of points at one instant, in the order of [`Point::key`].
pub(super) fn requests(
    points: &[&Point],
    at_ms: i64,
    described: &BTreeMap<String, Metadata>,
) -> Vec<Request> {
    points.chunks(POINTS_MAX).map(|points| request(points, at_ms, described)).collect()
}

fn request(points: &[&Point], at_ms: i64, described: &BTreeMap<String, Metadata>) -> Request {
    let mut request = Fields::default();
    for of_resource in points.chunk_by(|a, b| a.origin == b.origin) {
        let mut scope = Fields::default();
        scope.nested(1, |scope| {
            scope.text(1, "sidelight.aggregate");
            scope.text(2, env!("CARGO_PKG_VERSION"));
        });
        for of_metric in of_resource.chunk_by(|a, b| a.name == b.name) {
            let Some(first) = of_metric.first() else { continue };
            let known = described.get(&first.name);
            scope.nested(2, |to| metric(to, first, known, of_metric, at_ms));
        }
        request.nested(1, |resource_metrics| {
            if let Some(first) = of_resource.first() {
                resource_metrics.nested(1, |to| resource(to, &first.origin));
            }
            resource_metrics.bytes(2, &scope.0);
        });
    }
    (u32::try_from(points.len()).unwrap_or(u32::MAX), request.0)
}

fn resource(to: &mut Fields, origin: &Origin) {
    let (namespace, name) = origin.job.split_once('/').unwrap_or(("", &origin.job));
    for (key, value) in [
        ("service.name", name),
        ("service.namespace", namespace),
        ("service.instance.id", &*origin.instance),
    ] {
        if !value.is_empty() {
            to.attribute(1, key, value);
        }
    }
}

fn metric(to: &mut Fields, first: &Point, known: Option<&Metadata>, points: &[&Point], at_ms: i64) {
    to.text(1, &first.name);
    if let Some(known) = known {
        to.text(2, &known.help);
    }
    // Only one that the name says already: receivers add others to it.
    let bare = first.name.strip_suffix("_total").unwrap_or(&first.name);
    let units = [("_seconds", "s"), ("_bytes", "By")];
    if let Some((_, unit)) = units.iter().find(|(suffix, _)| bare.ends_with(suffix)) {
        to.text(3, unit);
    }
    let is_gauge = known.is_some_and(|known| known.kind == MetricKind::Gauge);
    let is_count = first.name.ends_with("_total");
    let (field, is_sum) = match (first.is_histogram, is_count) {
        (true, _) => (9, false),
        (false, true) if !is_gauge => (7, true),
        _ => (5, false),
    };
    to.nested(field, |data| {
        for point in points {
            data.nested(1, |to| point.write(to, at_ms));
        }
        if field != 5 {
            data.varint(2, CUMULATIVE);
        }
        if is_sum {
            data.varint(3, 1);
        }
    });
}
