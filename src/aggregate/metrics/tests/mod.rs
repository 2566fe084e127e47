//! Requests made by a foreign encoder, to the samples that they become.

mod buckets;
mod counters;
mod histograms;
mod hostile;
mod remembered;
mod samples;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use expect_test::{Expect, expect};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1 as otlp;
use opentelemetry_proto::tonic::resource::v1;
use otlp::metric::Data;
use prost::Message as _;
use sidelight_promql::Histogram as Native;
use sidelight_wire::view;
use sidelight_wire::view::metrics as wire;

use super::sink::Sink;
use super::*;
use crate::store::{Classic, Exemplar, Kind, Metadata, Rank, Refused, Stream};
use crate::telemetry::registry::Value;
use crate::telemetry::{Registry, desc};
use crate::time::UnixNano;

pub(super) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.to_owned()))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn gauge_of(points: Vec<otlp::NumberDataPoint>) -> Data {
    Data::Gauge(otlp::Gauge { data_points: points })
}

/// Calls `look` with the attributes of a point as they lie in a request.
pub(super) fn point_attributes<T>(
    attributes: &[KeyValue],
    look: impl FnOnce(view::Attributes<'_>) -> T,
) -> T {
    let point = otlp::NumberDataPoint { attributes: attributes.to_vec(), ..Default::default() };
    let data = Some(gauge_of(vec![point]));
    let bytes = otlp::Metric { data, ..otlp::Metric::default() }.encode_to_vec();
    let wire::Data::Gauge(points) = wire::Metric::new(&bytes).data else { panic!("no gauge") };
    look(points.numbers().next().unwrap().attributes())
}

fn resource_metrics(
    resource: &[(&str, &str)],
    scope: Option<InstrumentationScope>,
    metrics: Vec<otlp::Metric>,
) -> otlp::ResourceMetrics {
    let attributes = resource.iter().map(|(key, value)| text(key, value)).collect();
    otlp::ResourceMetrics {
        resource: Some(v1::Resource { attributes, ..v1::Resource::default() }),
        scope_metrics: vec![otlp::ScopeMetrics { scope, metrics, ..Default::default() }],
        ..otlp::ResourceMetrics::default()
    }
}

pub(super) fn target_of<T>(
    resource: &[(&str, &str)],
    look: impl FnOnce(view::Resource<'_>) -> T,
) -> T {
    let resource_metrics = vec![resource_metrics(resource, None, Vec::new())];
    let bytes = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec();
    look(wire::Request::new(&bytes).resources().next().unwrap().resource())
}

pub(super) fn scope_of<T>(
    name: &str,
    version: &str,
    attributes: &[(&str, &str)],
    look: impl FnOnce(view::Scope<'_>) -> T,
) -> T {
    let scope = InstrumentationScope {
        name: name.to_owned(),
        version: version.to_owned(),
        attributes: attributes.iter().map(|(key, value)| text(key, value)).collect(),
        ..InstrumentationScope::default()
    };
    let resource_metrics = vec![resource_metrics(&[], Some(scope), Vec::new())];
    let bytes = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec();
    let resource = wire::Request::new(&bytes).resources().next().unwrap();
    look(resource.scope_metrics().next().unwrap().scope())
}

pub(super) fn histogram_point<T>(
    bounds: &[f64],
    counts: &[u64],
    count: u64,
    sum: Option<f64>,
    look: impl FnOnce(wire::HistogramDataPoint<'_>) -> T,
) -> T {
    let point = otlp::HistogramDataPoint {
        explicit_bounds: bounds.to_vec(),
        bucket_counts: counts.to_vec(),
        count,
        sum,
        ..Default::default()
    };
    let histogram = otlp::Histogram { data_points: vec![point], ..Default::default() };
    let data = Some(Data::Histogram(histogram));
    let bytes = otlp::Metric { data, ..otlp::Metric::default() }.encode_to_vec();
    let wire::Data::Histogram(points) = wire::Metric::new(&bytes).data else { panic!("none") };
    look(points.histograms().next().unwrap())
}

pub(super) fn exponential_point<T>(
    point: &otlp::ExponentialHistogramDataPoint,
    look: impl FnOnce(wire::ExponentialHistogramDataPoint<'_>) -> T,
) -> T {
    let histogram =
        otlp::ExponentialHistogram { data_points: vec![point.clone()], ..Default::default() };
    let data = Some(Data::ExponentialHistogram(histogram));
    let bytes = otlp::Metric { data, ..otlp::Metric::default() }.encode_to_vec();
    let wire::Data::ExponentialHistogram(points) = wire::Metric::new(&bytes).data else {
        panic!("none")
    };
    look(points.exponential_histograms().next().unwrap())
}

pub(super) fn exemplar_of<T>(
    exemplar: otlp::Exemplar,
    look: impl FnOnce(wire::Exemplar<'_>) -> T,
) -> T {
    let point = otlp::NumberDataPoint { exemplars: vec![exemplar], ..Default::default() };
    let data = Some(gauge_of(vec![point]));
    let bytes = otlp::Metric { data, ..otlp::Metric::default() }.encode_to_vec();
    let wire::Data::Gauge(points) = wire::Metric::new(&bytes).data else { panic!("no gauge") };
    look(points.numbers().next().unwrap().exemplars().next().unwrap())
}

/// A store that keeps what it is given as text.
#[derive(Debug, Default)]
pub(in crate::aggregate) struct Kept {
    pub(in crate::aggregate) ids: BTreeMap<String, usize>,
    pub(in crate::aggregate) series: Vec<Series>,
    described: Vec<String>,
    series_max: Option<usize>,
    /// Whether there is room for bounds of histograms.
    no_room: bool,
    /// How often a series was asked for by its labels.
    asked: usize,
}

#[derive(Debug, Default)]
pub(in crate::aggregate) struct Series {
    pub(in crate::aggregate) gone: bool,
    samples: Vec<(i64, String)>,
    exemplars: Vec<String>,
    stream: Stream,
}

impl Kept {
    fn add(&mut self, id: usize, time_ms: i64, value: String) -> Result<(), Refused> {
        if self.series[id].gone {
            return Err(Refused::Gone);
        }
        let samples = &mut self.series[id].samples;
        match samples.last() {
            Some((last, _)) if *last > time_ms => Err(Refused::OutOfOrder),
            Some((last, _)) if *last == time_ms => Err(Refused::Duplicate),
            _ => {
                samples.push((time_ms, value));
                Ok(())
            }
        }
    }

    pub(in crate::aggregate) fn show(&self) -> String {
        let mut out = String::new();
        for (labels, &id) in &self.ids {
            let samples = self.series[id].samples.iter().map(|(t, v)| format!("{v}@{t}"));
            writeln!(out, "{labels} {}", samples.collect::<Vec<_>>().join(" ")).unwrap();
            for exemplar in &self.series[id].exemplars {
                writeln!(out, "  # {exemplar}").unwrap();
            }
        }
        out
    }
}

impl Sink for Kept {
    type Id = usize;

    fn series(&mut self, _: Rank, labels: &[(&str, &str)], kind: Kind) -> Option<usize> {
        self.asked += 1;
        assert!(labels.is_sorted(), "labels are sorted: {labels:?}");
        let name = labels.iter().find(|(name, _)| *name == "__name__").unwrap().1;
        let others = labels.iter().filter(|(name, _)| *name != "__name__");
        let others: Vec<_> = others.map(|(name, value)| format!("{name}={value}")).collect();
        let kind = if kind == Kind::Float { String::new() } else { format!(" {kind:?}") };
        let labels = format!("{name}{{{}}}{kind}", others.join(","));
        let known = self.ids.get(&labels).copied();
        if known.is_none() && self.series_max.is_some_and(|max| self.series.len() >= max) {
            return None;
        }
        Some(known.unwrap_or_else(|| {
            self.series.push(Series::default());
            self.ids.insert(labels, self.series.len() - 1);
            self.series.len() - 1
        }))
    }

    fn set_now(&mut self, _: i64) {}

    fn fingerprint(&self, id: usize) -> Option<u64> {
        Some(id as u64 * 7)
    }

    fn by_fingerprint(&self, fingerprint: u64) -> Option<usize> {
        Some(fingerprint as usize / 7).filter(|&id| id < self.series.len())
    }

    fn append(&mut self, id: usize, time_ms: i64, value: f64) -> Result<(), Refused> {
        self.add(id, time_ms, value.to_string())
    }

    fn append_native(&mut self, id: usize, time_ms: i64, value: &Native) -> Result<(), Refused> {
        let Native { schema, count, sum, zero_count, .. } = value;
        let buckets = &value.positive.0;
        let shown = format!("(s{schema} n{count} sum{sum} z{zero_count} {buckets:?})");
        self.add(id, time_ms, shown)
    }

    fn append_classic(
        &mut self,
        id: usize,
        time_ms: i64,
        value: &Classic<'_>,
    ) -> Result<(), Refused> {
        if self.no_room {
            return Err(Refused::Memory);
        }
        let Classic { bounds, counts, sum, count } = value;
        let shown = format!("(n{count} sum{sum:?} {bounds:?} {counts:?})");
        self.add(id, time_ms, shown)
    }

    fn stale(&mut self, id: usize, time_ms: i64) {
        self.add(id, time_ms, "stale".to_owned()).unwrap();
    }

    fn stream(&mut self, id: usize) -> &mut Stream {
        &mut self.series[id].stream
    }

    fn describe(&mut self, family: &str, metadata: Metadata) {
        let Metadata { kind, help, unit } = metadata;
        self.described.push(format!("{family} {kind:?} {help:?} {unit:?}"));
    }

    fn exemplar(&mut self, id: usize, exemplar: Exemplar) {
        let Exemplar { time_ms, value, labels } = exemplar;
        self.series[id].exemplars.push(format!("{value}@{time_ms} {labels:?}"));
    }
}

const fn nanos(ms: u64) -> u64 {
    ms * 1_000_000
}

/// A translator with its store.
struct World {
    translator: Translator<usize>,
    kept: Kept,
    registry: Registry,
    received: UnixNano,
}

impl World {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let registry = Registry::default();
        let translator = Translator::new(config, &registry);
        Self { translator, kept: Kept::default(), registry, received: UnixNano(nanos(100_000)) }
    }

    fn send(&mut self, resource_metrics: Vec<otlp::ResourceMetrics>) {
        let bytes = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec();
        self.translator.observe(&mut self.kept, &bytes, self.received);
    }

    /// Sends a metric of the resource `service.name=shop`.
    fn metric(&mut self, name: &str, unit: &str, data: Data) {
        let metric = otlp::Metric {
            name: name.to_owned(),
            unit: unit.to_owned(),
            description: "Help.".to_owned(),
            data: Some(data),
            ..otlp::Metric::default()
        };
        self.send(vec![resource_metrics(&[("service.name", "shop")], None, vec![metric])]);
    }

    /// What is stored, and what is not.
    fn shows(&self, expected: &Expect) {
        let mut shown = self.kept.show();
        for (reason, count) in self.dropped() {
            writeln!(shown, "dropped {count} {reason}").unwrap();
        }
        expected.assert_eq(&shown);
    }

    fn dropped(&self) -> BTreeMap<String, u64> {
        let family = self.registry.family(desc::STORE_DROPPED_POINTS.name);
        let series = family.map(|(_, series)| series).unwrap_or_default();
        let count = |value| if let Value::Count(count) = value { count } else { 0 };
        series.into_iter().map(|(labels, value)| (labels[0].clone(), count(value))).collect()
    }

    fn count(&self, name: &str) -> u64 {
        match self.registry.family(name).unwrap().1[0].1 {
            Value::Count(count) => count,
            Value::Level(_) => panic!("{name} is a gauge"),
        }
    }
}

fn number(start: u64, time: u64, value: f64) -> otlp::NumberDataPoint {
    otlp::NumberDataPoint {
        start_time_unix_nano: if start == 0 { 0 } else { nanos(start) },
        time_unix_nano: nanos(time),
        value: Some(otlp::number_data_point::Value::AsDouble(value)),
        ..Default::default()
    }
}

const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;

fn sum(temporality: i32, monotonic: bool, points: Vec<otlp::NumberDataPoint>) -> Data {
    Data::Sum(otlp::Sum {
        data_points: points,
        aggregation_temporality: temporality,
        is_monotonic: monotonic,
    })
}

fn buckets(start: u64, time: u64, counts: &[u64], sum: Option<f64>) -> otlp::HistogramDataPoint {
    otlp::HistogramDataPoint {
        start_time_unix_nano: nanos(start),
        time_unix_nano: nanos(time),
        explicit_bounds: vec![1.0, 5.0],
        bucket_counts: counts.to_vec(),
        count: counts.iter().sum(),
        sum,
        ..Default::default()
    }
}

fn histogram(temporality: i32, point: otlp::HistogramDataPoint) -> Data {
    Data::Histogram(otlp::Histogram {
        data_points: vec![point],
        aggregation_temporality: temporality,
    })
}

fn exponential(
    start: u64,
    time: u64,
    scale: i32,
    offset: i32,
    counts: &[u64],
) -> otlp::ExponentialHistogramDataPoint {
    use otlp::exponential_histogram_data_point::Buckets;
    otlp::ExponentialHistogramDataPoint {
        start_time_unix_nano: nanos(start),
        time_unix_nano: nanos(time),
        scale,
        count: counts.iter().sum(),
        sum: Some(1.0),
        positive: Some(Buckets { offset, bucket_counts: counts.to_vec() }),
        ..Default::default()
    }
}
