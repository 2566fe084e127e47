//! Requests made by a foreign encoder, to the samples that they become.

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

mod hostile;

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

#[test]
fn a_point_becomes_a_sample_of_its_series() {
    let mut world = World::new();
    let mut point = number(0, 500, 1.5);
    point.attributes = vec![text("pool.name", "a"), text("job", "mine")];
    let int = otlp::NumberDataPoint {
        value: Some(otlp::number_data_point::Value::AsInt(-3)),
        ..number(0, 600, 0.0)
    };
    world.metric("pool.size", "{connection}", gauge_of(vec![point, int]));
    world.shows(&expect![[r#"
        pool_size{job=shop,pool_name=a,service_name=shop} 1.5@500
        pool_size{job=shop,service_name=shop} -3@600
    "#]]);
    assert_eq!(world.kept.described, [r#"pool_size Gauge "Help." """#]);
    assert_eq!(world.count(desc::STORE_POINTS.name), 2);
}

#[test]
fn target_info_goes_with_the_samples_of_a_resource() {
    let mut world = World::new();
    let resource =
        [("service.name", "shop"), ("host.name", "node-7"), ("service.instance.id", "i")];
    let metric = |times: &[u64]| otlp::Metric {
        name: "up".to_owned(),
        data: Some(gauge_of(times.iter().map(|&time| number(0, time, 1.0)).collect())),
        ..otlp::Metric::default()
    };
    world.send(vec![resource_metrics(&resource, None, vec![metric(&[100, 50])])]);
    world.received = UnixNano(nanos(400_000));
    world.send(vec![resource_metrics(&resource, None, vec![metric(&[200, 350_200])])]);
    // Nothing was stored, so there is nothing to describe.
    world.send(vec![resource_metrics(&resource, None, vec![metric(&[200])])]);
    world.shows(&expect![[r#"
        target_info{host_name=node-7,instance=i,job=shop} 1@100 1@200 1@150200 1@300200 1@350200
        up{instance=i,job=shop,service_name=shop} 1@100 1@200 1@350200
        dropped 2 out_of_order
    "#]]);
}

#[test]
fn a_counter_that_is_born_has_a_zero_before_it() {
    let mut world = World::new();
    // The process started long ago and another counter was exported: until 10,000 this one was zero.
    let early = sum(CUMULATIVE, true, vec![number(1_000, 10_000, 7.0)]);
    world.metric("requests", "", early);
    let counter = |points| sum(CUMULATIVE, true, points);
    world.metric("errors", "", counter(vec![number(1_000, 20_000, 1.0)]));
    world.metric("errors", "", counter(vec![number(1_000, 30_000, 3.0)]));
    // The process starts again: the value grew, and yet it was reset.
    world.metric("errors", "", counter(vec![number(35_000, 40_000, 5.0)]));
    world.shows(&expect![[r#"
        errors_total{job=shop,service_name=shop} 0@10000 1@20000 3@30000 0@35000 5@40000
        requests_total{job=shop,service_name=shop} 0@1000 7@10000
    "#]]);
}

#[test]
fn a_start_that_says_nothing_makes_no_zero() {
    let mut world = World::new();
    let counter = |points| sum(CUMULATIVE, true, points);
    world.metric("unknown", "", counter(vec![number(0, 10_000, 7.0)]));
    world.metric("same", "", counter(vec![number(11_000, 11_000, 7.0)]));
    world.metric("after", "", counter(vec![number(13_000, 12_000, 7.0)]));
    world.metric("not.monotonic", "", sum(CUMULATIVE, false, vec![number(1_000, 13_000, 7.0)]));
    world.received = UnixNano(nanos(5_000_000));
    let mut old = World::new();
    old.received = world.received;
    old.metric("long.ago", "", counter(vec![number(1_000, 3_700_000, 7.0)]));
    world.shows(&expect![[r#"
        after_total{job=shop,service_name=shop} 7@12000
        not_monotonic{job=shop,service_name=shop} 7@13000
        same_total{job=shop,service_name=shop} 7@11000
        unknown_total{job=shop,service_name=shop} 7@10000
    "#]]);
    old.shows(&expect![[r#"
        long_ago_total{job=shop,service_name=shop} 7@3700000
    "#]]);
}

#[test]
fn two_writers_on_one_counter_are_counted_and_stored() {
    let mut world = World::new();
    for (start, time, value) in
        [(1_000, 10_000, 5.0), (4_000, 11_000, 1.0), (1_000, 12_000, 6.0), (1_000, 13_000, 7.0)]
    {
        world.metric("c", "", sum(CUMULATIVE, true, vec![number(start, time, value)]));
    }
    world.shows(&expect![[r#"
        c_total{job=shop,service_name=shop} 0@1000 5@10000 1@11000 6@12000 7@13000
    "#]]);
    assert_eq!(world.count(desc::STORE_CONFLICTING_POINTS.name), 2);
}

#[test]
fn deltas_become_totals() {
    let mut world = World::new();
    for (start, time, value) in [
        (10_000, 20_000, 5.0),
        (20_000, 30_000, 2.0),
        (20_000, 30_000, 2.0), // again
        (5_000, 15_000, 9.0),  // late
        (25_000, 35_000, 4.0), // overlaps
        (0, 40_000, 1.0),      // start unknown
        (50_000, 60_000, 3.0), // a gap
        (60_000, 70_000, f64::NAN),
        (60_000, 70_000, -1.0),
        (60_000, 70_000, 1.0),
    ] {
        world.metric("c", "", sum(DELTA, true, vec![number(start, time, value)]));
    }
    world.shows(&expect![[r#"
        c_total{job=shop,service_name=shop} 0@10000 5@20000 7@30000 8@40000 0@50000 3@60000 4@70000
        dropped 2 delta_late
        dropped 1 delta_overlap
        dropped 2 delta_value
    "#]]);
    assert_eq!(world.count(desc::STORE_CONFLICTING_POINTS.name), 1);
}

#[test]
fn deltas_of_what_goes_up_and_down_survive_a_gap() {
    let mut world = World::new();
    for (start, time, value) in [(10_000, 20_000, 5.0), (50_000, 60_000, -2.0)] {
        world.metric("queue", "", sum(DELTA, false, vec![number(start, time, value)]));
    }
    world.shows(&expect![[r#"
        queue{job=shop,service_name=shop} 5@20000 3@60000
    "#]]);
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

#[test]
fn histograms_are_one_series_each() {
    let mut world = World::new();
    world.metric("cumulative", "s", histogram(2, buckets(1_000, 9_000, &[1, 2, 3], Some(9.5))));
    world.metric("cumulative", "s", histogram(2, buckets(1_000, 10_000, &[1, 3, 3], None)));
    for (start, time) in [(1_000, 9_000), (9_000, 10_000), (9_500, 11_000), (20_000, 30_000)] {
        world.metric("delta", "s", histogram(1, buckets(start, time, &[1, 2, 3], Some(9.5))));
    }
    let mut odd = buckets(30_000, 31_000, &[1, 2, 3], None);
    odd.count = 99;
    world.metric("delta", "s", histogram(1, odd));
    let other = otlp::HistogramDataPoint {
        explicit_bounds: vec![2.0, 5.0],
        ..buckets(30_000, 40_000, &[1, 0, 0], None)
    };
    world.metric("delta", "s", histogram(1, other));
    world.shows(&expect![[r#"
        cumulative_seconds{job=shop,service_name=shop} Classic (n0 sumSome(0.0) [1.0, 5.0] [0, 0, 0])@1000 (n6 sumSome(9.5) [1.0, 5.0] [1, 2, 3])@9000 (n7 sumNone [1.0, 5.0] [1, 3, 3])@10000
        delta_seconds{job=shop,service_name=shop} Classic (n0 sumSome(0.0) [1.0, 5.0] [0, 0, 0])@1000 (n6 sumSome(9.5) [1.0, 5.0] [1, 2, 3])@9000 (n12 sumSome(19.0) [1.0, 5.0] [2, 4, 6])@10000 (n0 sumSome(0.0) [1.0, 5.0] [0, 0, 0])@20000 (n6 sumSome(9.5) [1.0, 5.0] [1, 2, 3])@30000 (n1 sumNone [2.0, 5.0] [1, 0, 0])@40000
        dropped 1 delta_overlap
        dropped 1 histogram_counts
    "#]]);
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

#[test]
fn exponential_histograms_are_native_and_their_deltas_merge_across_scales() {
    let mut world = World::new();
    let send = |world: &mut World, name: &str, temporality: i32, point| {
        let data = otlp::ExponentialHistogram {
            data_points: vec![point],
            aggregation_temporality: temporality,
        };
        world.metric(name, "", Data::ExponentialHistogram(data));
    };
    send(&mut world, "cumulative", 2, exponential(1_000, 9_000, 3, 7, &[1, 2]));
    send(&mut world, "cumulative", 2, exponential(1_000, 9_500, -5, 7, &[1, 2]));
    send(&mut world, "delta", 1, exponential(1_000, 9_000, 1, 2, &[1, 2]));
    send(&mut world, "delta", 1, exponential(9_000, 10_000, 0, 1, &[4]));
    send(&mut world, "delta", 1, exponential(9_000, 10_000, 0, 1, &[4]));
    world.shows(&expect![[r#"
        cumulative{job=shop,service_name=shop} Native (s3 n0 sum0 z0 [])@1000 (s3 n3 sum1 z0 [(8, 1.0), (9, 2.0)])@9000
        delta{job=shop,service_name=shop} Native (s1 n0 sum0 z0 [])@1000 (s1 n3 sum1 z0 [(3, 1.0), (4, 2.0)])@9000 (s0 n7 sum2 z0 [(2, 7.0)])@10000
        dropped 1 delta_late
        dropped 1 histogram_scale
    "#]]);
}

#[test]
fn a_summary_is_a_series_for_each_of_its_numbers() {
    let mut world = World::new();
    let at = |quantile, value| otlp::summary_data_point::ValueAtQuantile { quantile, value };
    let mut point = otlp::SummaryDataPoint {
        time_unix_nano: nanos(5_000),
        count: 10,
        sum: 2.5,
        quantile_values: vec![at(0.5, 0.2), at(0.99, 0.9), at(1.0, 1.0)],
        attributes: vec![text("quantile", "mine")],
        ..Default::default()
    };
    let data = |point: &otlp::SummaryDataPoint| {
        Data::Summary(otlp::Summary { data_points: vec![point.clone()] })
    };
    world.metric("rpc.latency", "ms", data(&point));
    (point.time_unix_nano, point.flags) = (nanos(6_000), 1);
    world.metric("rpc.latency", "ms", data(&point));
    world.shows(&expect![[r#"
        rpc_latency_milliseconds_count{job=shop,quantile=mine,service_name=shop} 10@5000 stale@6000
        rpc_latency_milliseconds_sum{job=shop,quantile=mine,service_name=shop} 2.5@5000 stale@6000
        rpc_latency_milliseconds{job=shop,quantile=0.5,service_name=shop} 0.2@5000 stale@6000
        rpc_latency_milliseconds{job=shop,quantile=0.99,service_name=shop} 0.9@5000 stale@6000
        rpc_latency_milliseconds{job=shop,quantile=1,service_name=shop} 1@5000 stale@6000
    "#]]);
}

#[test]
fn a_point_without_a_recorded_value_ends_its_series() {
    let mut world = World::new();
    let stale = otlp::NumberDataPoint { flags: 1, value: None, ..number(1_000, 20_000, 0.0) };
    world.metric("g", "", gauge_of(vec![number(0, 10_000, 1.0), stale.clone()]));
    world.metric("c", "", sum(CUMULATIVE, true, vec![number(1_000, 10_000, 1.0), stale]));
    let mut gone = buckets(1_000, 20_000, &[], None);
    gone.flags = 1;
    world.metric("h", "", histogram(2, gone));
    world.shows(&expect![[r#"
        c_total{job=shop,service_name=shop} 0@1000 1@10000 stale@20000
        g{job=shop,service_name=shop} 1@10000 stale@20000
        h{job=shop,service_name=shop} Classic stale@20000
    "#]]);
}

#[test]
fn odd_numbers_are_stored_and_a_senders_nan_ends_nothing() {
    let mut world = World::new();
    let stale = f64::from_bits(sidelight_promql::source::STALE_BITS);
    let values = [f64::NAN, stale, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MAX];
    let points = (1_000..).step_by(1_000).zip(values).map(|(t, value)| number(0, t, value));
    world.metric("g", "", gauge_of(points.collect()));
    world.shows(&expect![[r#"
        g{job=shop,service_name=shop} NaN@1000 NaN@2000 inf@3000 -inf@4000 -0@5000 179769313486231570000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000@6000
    "#]]);
}

#[test]
fn what_is_bad_is_dropped_with_a_reason_and_what_is_good_is_kept() {
    let mut world = World::new();
    world.metric("日本", "", gauge_of(vec![number(0, 1, 1.0), number(0, 2, 1.0)]));
    world.metric("sum", "", sum(0, true, vec![number(0, 1, 1.0)]));
    let empty = otlp::NumberDataPoint { value: None, ..number(0, 2, 0.0) };
    let mut timeless = number(0, 3, 0.0);
    timeless.time_unix_nano = 0;
    let mut unnamed = number(0, 4, 0.0);
    unnamed.attributes = vec![text("", "v")];
    let mut many = number(0, 5, 0.0);
    many.attributes = (0..300).map(|i| text(&format!("k{i}"), "v")).collect();
    let mut huge = number(0, 5, 0.0);
    huge.attributes = vec![text("k", &"v".repeat(70_000))];
    let future = number(0, 100_000 + 600_001, 0.0);
    let points =
        vec![empty, timeless, unnamed, many, huge, future, number(0, 7, 1.0), number(0, 7, 2.0)];
    world.metric("good", "", gauge_of(points));
    world.metric("good", "", gauge_of(vec![number(0, 6, 3.0), number(0, 8, 4.0)]));
    world.kept.series_max = Some(1);
    world.metric("another", "", gauge_of(vec![number(0, 6, 3.0)]));
    world.send(vec![resource_metrics(
        &[("service.name", "shop"), ("k", &"v".repeat(70_000))],
        None,
        vec![otlp::Metric { data: Some(gauge_of(vec![number(0, 1, 1.0)])), ..Default::default() }],
    )]);
    world.shows(&expect![[r#"
        good{job=shop,service_name=shop} 1@7 4@8
        dropped 3 attributes
        dropped 1 duplicate
        dropped 1 far_future
        dropped 1 label_name
        dropped 2 metric_name
        dropped 1 no_time
        dropped 1 no_value
        dropped 1 out_of_order
        dropped 1 overflow
        dropped 1 temporality
    "#]]);
}

#[test]
fn the_steady_state_asks_for_no_series() {
    let mut world = World::new();
    for round in 1..=3 {
        for service in ["a", "b"] {
            let mut point = number(0, round * 10_000, 1.0);
            point.attributes = vec![text("pool", "p"), text("host", "h")];
            let metric = otlp::Metric {
                name: "m".to_owned(),
                data: Some(gauge_of(vec![point.clone(), number(0, round * 10_000, 2.0)])),
                ..otlp::Metric::default()
            };
            world.send(vec![resource_metrics(&[("service.name", service)], None, vec![metric])]);
        }
    }
    assert_eq!((world.kept.asked, world.kept.series.len()), (4, 4));
    assert_eq!(world.translator.entries(), [2, 2, 2, 4]);
    // The same attributes in another order are the same series.
    let mut point = number(0, 60_000, 1.0);
    point.attributes = vec![text("host", "h"), text("pool", "p")];
    let metric = otlp::Metric {
        name: "m".to_owned(),
        data: Some(gauge_of(vec![point])),
        ..otlp::Metric::default()
    };
    world.send(vec![resource_metrics(&[("service.name", "a")], None, vec![metric])]);
    assert_eq!((world.kept.asked, world.kept.series.len()), (5, 4));
}

#[test]
fn what_is_remembered_of_points_is_bounded() {
    let mut world = World::with(Config { series_max: 10, ..Config::default() });
    for round in 0..30 {
        let points = (0..10).map(|i| {
            let mut point = number(0, round * 1_000 + 1, 1.0);
            point.attributes = vec![text("k", &format!("{round}-{i}"))];
            point
        });
        world.metric("m", "", gauge_of(points.collect()));
        assert!(world.translator.entries()[3] <= 20);
    }
    assert_eq!(world.kept.series.len(), 300);
    assert!(world.count(desc::STORE_CACHE_RESETS.name) > 5);
}

#[test]
fn scopes_are_labels_only_when_asked_for() {
    let scope = || {
        Some(InstrumentationScope {
            name: "lib".to_owned(),
            version: "2".to_owned(),
            ..InstrumentationScope::default()
        })
    };
    let metric = || {
        let data = Some(gauge_of(vec![number(0, 1, 1.0)]));
        vec![otlp::Metric { name: "m".to_owned(), data, ..otlp::Metric::default() }]
    };
    for (scope_labels, expected) in [
        (false, "m{job=shop,service_name=shop} 1@1\n"),
        (true, "m{job=shop,otel_scope_name=lib,otel_scope_version=2,service_name=shop} 1@1\n"),
    ] {
        let mut world = World::with(Config { scope_labels, ..Config::default() });
        world.send(vec![resource_metrics(&[("service.name", "shop")], scope(), metric())]);
        assert_eq!(world.kept.show(), expected);
    }
}

#[test]
fn a_scope_with_an_endless_name_is_refused_and_its_neighbours_are_not() {
    let named = |len| InstrumentationScope { name: "s".repeat(len), ..Default::default() };
    let metric = |name: &str| otlp::Metric {
        name: name.to_owned(),
        data: Some(gauge_of(vec![number(0, 1, 1.0)])),
        ..otlp::Metric::default()
    };
    let mut world = World::new();
    let resource = [("service.name", "shop")];
    world.send(vec![
        resource_metrics(&resource, Some(named(5 << 20)), vec![metric("lost")]),
        resource_metrics(&resource, Some(named(5)), vec![metric("kept")]),
    ]);
    assert_eq!(world.kept.show(), "kept{job=shop,service_name=shop} 1@1\n");
    assert_eq!(world.dropped().values().sum::<u64>(), 1);
}

#[test]
fn a_point_from_the_future_does_not_end_the_zeros_of_its_scope() {
    let counter = |start, time, value| sum(CUMULATIVE, true, vec![number(start, time, value)]);
    let mut world = World::new();
    world.metric("first_total", "", counter(1, 1 << 40, 1.0));
    for time in [10_000, 25_000] {
        world.metric("first_total", "", counter(1_000, time, 1.0));
    }
    world.metric("born_total", "", counter(1_000, 40_000, 1.0));
    let shown = world.kept.show();
    assert!(shown.contains("born_total{job=shop,service_name=shop} 0@25000 1@40000"), "{shown}");
}

#[test]
fn bytes_that_are_no_request_do_no_harm() {
    let mut world = World::new();
    world.metric("m", "", gauge_of(vec![number(0, 1, 1.0)]));
    let metric = otlp::Metric {
        name: "m".to_owned(),
        data: Some(histogram(1, buckets(1, 2, &[1, 2, 3], Some(1.0)))),
        ..otlp::Metric::default()
    };
    let resource_metrics = vec![resource_metrics(&[("service.name", "shop")], None, vec![metric])];
    let bytes = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec();
    for cut in 0..bytes.len() {
        world.translator.observe(&mut world.kept, &bytes[..cut], world.received);
        let mut flipped = bytes.clone();
        flipped[cut] ^= 0x55;
        world.translator.observe(&mut world.kept, &flipped, world.received);
    }
}

#[test]
fn a_series_that_left_the_store_is_found_again() {
    let mut world = World::new();
    world.metric("m", "", gauge_of(vec![number(0, 10_000, 1.0)]));
    // The store lets the series go and makes another under the same labels.
    world.kept.series[0].gone = true;
    world.kept.ids.clear();
    world.metric("m", "", gauge_of(vec![number(0, 20_000, 2.0), number(0, 30_000, 3.0)]));
    world.shows(&expect![[r#"
        m{job=shop,service_name=shop} 2@20000 3@30000
    "#]]);
}

#[test]
fn after_a_restart_the_same_requests_give_the_same_samples() {
    let histograms = |world: &mut World, from: u64, to: u64| {
        for at in (from..to).map(|n| n * 10_000) {
            let bounds = buckets(at, at + 10_000, &[1, 2, 3], Some(1.0));
            world.metric("h", "s", histogram(DELTA, bounds));
            let data_points = vec![exponential(at, at + 10_000, 2, 3, &[1, 2])];
            let data = otlp::ExponentialHistogram { data_points, aggregation_temporality: DELTA };
            world.metric("e", "s", Data::ExponentialHistogram(data));
            world.metric("c", "", sum(DELTA, true, vec![number(at, at + 10_000, 2.0)]));
            if at > 40_000 {
                let born = number(1_000, at + 10_000, 1.0);
                world.metric("born", "", sum(CUMULATIVE, true, vec![born]));
            }
        }
    };
    let mut whole = World::new();
    histograms(&mut whole, 0, 7);
    let mut first = World::new();
    histograms(&mut first, 0, 5);
    first.translator.forget(&mut first.kept);
    let mut state: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    let mut put = |name: &str, piece: &[u8]| {
        state.entry(name.to_owned()).or_default().push(piece.to_vec());
        Ok(())
    };
    first.translator.encode(&first.kept, &mut put).unwrap();
    let mut second = World { kept: first.kept, ..World::new() };
    second.translator.restore(|name| state[name].clone(), &mut second.kept);
    // The last requests before the checkpoint come once more.
    histograms(&mut second, 3, 7);
    assert_eq!(second.kept.show(), whole.kept.show());
    second.shows(&expect![[r#"
        born_total{job=shop,service_name=shop} 0@50000 1@60000 1@70000
        c_total{job=shop,service_name=shop} 2@10000 4@20000 6@30000 8@40000 10@50000 12@60000 14@70000
        e_seconds{job=shop,service_name=shop} Native (s2 n3 sum1 z0 [(4, 1.0), (5, 2.0)])@10000 (s2 n6 sum2 z0 [(4, 2.0), (5, 4.0)])@20000 (s2 n9 sum3 z0 [(4, 3.0), (5, 6.0)])@30000 (s2 n12 sum4 z0 [(4, 4.0), (5, 8.0)])@40000 (s2 n15 sum5 z0 [(4, 5.0), (5, 10.0)])@50000 (s2 n18 sum6 z0 [(4, 6.0), (5, 12.0)])@60000 (s2 n21 sum7 z0 [(4, 7.0), (5, 14.0)])@70000
        h_seconds{job=shop,service_name=shop} Classic (n6 sumSome(1.0) [1.0, 5.0] [1, 2, 3])@10000 (n12 sumSome(2.0) [1.0, 5.0] [2, 4, 6])@20000 (n18 sumSome(3.0) [1.0, 5.0] [3, 6, 9])@30000 (n24 sumSome(4.0) [1.0, 5.0] [4, 8, 12])@40000 (n30 sumSome(5.0) [1.0, 5.0] [5, 10, 15])@50000 (n36 sumSome(6.0) [1.0, 5.0] [6, 12, 18])@60000 (n42 sumSome(7.0) [1.0, 5.0] [7, 14, 21])@70000
        dropped 6 delta_late
    "#]]);
    let longest = state.values().flatten().map(Vec::len).max().unwrap();
    for cut in 0..longest {
        let mut world = World::new();
        let piece =
            |name: &str| state[name].iter().map(|p| p[..cut.min(p.len())].to_vec()).collect();
        world.translator.restore(piece, &mut world.kept);
    }
}
