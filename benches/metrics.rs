//! Data points to samples of known series, against decoding with prost and building labels, on the same request of
//! 1,000 points with five attributes each, in one run. `cargo bench --bench metrics`.
//!
//! Budget: 2 million points a second on one core, with the store.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]

use std::collections::HashMap;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1 as otlp;
use opentelemetry_proto::tonic::resource::v1::Resource;
use otlp::metric::Data;
use otlp::number_data_point::Value;
use prost::Message as _;
use sidelight_agent::aggregate::metrics::sink::Sink;
use sidelight_agent::aggregate::metrics::{Config, Translator};
use sidelight_agent::store;
use sidelight_agent::store::{Classic, Exemplar, Kind, Metadata, Rank, Refused, Stream};
use sidelight_agent::telemetry::Registry;
use sidelight_agent::time::{ManualClock, UnixNano};

const METRICS: usize = 10;
const POINTS: usize = 1_000;
const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_700_000_000 * SECOND;

fn main() {
    divan::main();
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn attributes(i: usize) -> Vec<KeyValue> {
    vec![
        text("http.request.method", ["GET", "POST"][i % 2]),
        text("http.route", &format!("/api/v2/orders/{{id}}/kind-{i}")),
        text("http.response.status_code", ["200", "404", "500"][i % 3]),
        text("network.protocol.version", "1.1"),
        text("url.scheme", "https"),
    ]
}

fn gauge(i: usize) -> Data {
    let point = |n: usize| otlp::NumberDataPoint {
        attributes: attributes(n),
        start_time_unix_nano: START,
        time_unix_nano: START + SECOND,
        value: Some(Value::AsDouble((i * n) as f64 * 0.37)),
        ..Default::default()
    };
    Data::Gauge(otlp::Gauge { data_points: (0..POINTS / METRICS).map(point).collect() })
}

fn counter(i: usize) -> Data {
    let Data::Gauge(otlp::Gauge { mut data_points }) = gauge(i) else { unreachable!() };
    for (n, point) in data_points.iter_mut().enumerate() {
        point.value = Some(Value::AsInt((i * n) as i64));
    }
    Data::Sum(otlp::Sum { data_points, aggregation_temporality: 2, is_monotonic: true })
}

fn histogram(i: usize) -> Data {
    let bounds = [5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0];
    let point = |n: usize| otlp::HistogramDataPoint {
        attributes: attributes(n),
        start_time_unix_nano: START,
        time_unix_nano: START + SECOND,
        count: 12 * (i + n) as u64,
        sum: Some(3.5),
        bucket_counts: vec![(i + n) as u64; 12],
        explicit_bounds: bounds.to_vec(),
        ..Default::default()
    };
    let data_points = (0..POINTS / METRICS).map(point).collect();
    Data::Histogram(otlp::Histogram { data_points, aggregation_temporality: 2 })
}

fn request(data: fn(usize) -> Data) -> Vec<u8> {
    let metrics = (0..METRICS).map(|i| otlp::Metric {
        name: format!("http.server.measure.{i}"),
        unit: "ms".to_owned(),
        description: "Something that the server measures.".to_owned(),
        data: Some(data(i)),
        ..Default::default()
    });
    let attributes = vec![
        text("service.name", "shop"),
        text("service.version", "1.2.3"),
        text("service.instance.id", "627cc493-f310-47de-96bd-71410b7dec09"),
        text("telemetry.sdk.language", "rust"),
    ];
    let scope_metrics =
        vec![otlp::ScopeMetrics { metrics: metrics.collect(), ..Default::default() }];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let resource_metrics =
        vec![otlp::ResourceMetrics { resource, scope_metrics, ..Default::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

/// The requests of successive exports: the same bytes but for the time.
struct Exports {
    bytes: Vec<u8>,
    places: Vec<usize>,
    time: u64,
}

impl Exports {
    fn new(data: fn(usize) -> Data) -> Self {
        let (bytes, time) = (request(data), START + SECOND);
        let wanted = time.to_le_bytes();
        let places = (0..bytes.len() - 8).filter(|&at| bytes[at..at + 8] == wanted).collect();
        Self { bytes, places, time }
    }

    fn next(&mut self) -> (&[u8], UnixNano) {
        self.time += 15 * SECOND;
        for &at in &self.places {
            self.bytes[at..at + 8].copy_from_slice(&self.time.to_le_bytes());
        }
        (&self.bytes, UnixNano(self.time))
    }
}

/// Finds series and forgets samples.
#[derive(Default)]
struct Nowhere {
    streams: Vec<Stream>,
    samples: u64,
}

impl Sink for Nowhere {
    type Id = usize;

    fn set_now(&mut self, _: i64) {}

    fn series(&mut self, _: Rank, _: &[(&str, &str)], _: Kind) -> Option<usize> {
        self.streams.push(Stream::default());
        Some(self.streams.len() - 1)
    }

    fn fingerprint(&self, id: usize) -> Option<u64> {
        Some(id as u64)
    }

    fn by_fingerprint(&self, _: u64) -> Option<usize> {
        None
    }

    fn append(&mut self, _: usize, _: i64, _: f64) -> Result<(), Refused> {
        self.samples += 1;
        Ok(())
    }

    fn append_native(
        &mut self,
        _: usize,
        _: i64,
        _: &sidelight_promql::Histogram,
    ) -> Result<(), Refused> {
        self.samples += 1;
        Ok(())
    }

    fn append_classic(&mut self, _: usize, _: i64, _: &Classic<'_>) -> Result<(), Refused> {
        self.samples += 1;
        Ok(())
    }

    fn stale(&mut self, _: usize, _: i64) {}

    fn stream(&mut self, id: usize) -> &mut Stream {
        &mut self.streams[id]
    }

    fn describe(&mut self, _: &str, _: Metadata) {}

    fn exemplar(&mut self, _: usize, _: Exemplar) {}
}

type Make = fn(usize) -> Data;

const KINDS: [(&str, Make); 3] =
    [("gauges", gauge), ("counters", counter), ("histograms", histogram)];

fn data_of(kind: &str) -> fn(usize) -> Data {
    KINDS.into_iter().find(|(name, _)| *name == kind).unwrap().1
}

#[divan::bench(args = KINDS.map(|(name, _)| name))]
fn translate_1000_points(bencher: Bencher<'_, '_>, kind: &str) {
    let mut exports = Exports::new(data_of(kind));
    let mut translator = Translator::new(Config::default(), &Registry::default());
    let mut nowhere = Nowhere::default();
    bencher.counter(ItemsCount::new(POINTS)).bench_local(|| {
        let (bytes, received) = exports.next();
        translator.observe(&mut nowhere, black_box(bytes), received);
    });
    assert!(nowhere.samples >= POINTS as u64);
}

#[divan::bench(args = KINDS.map(|(name, _)| name))]
fn translate_and_store_1000_points(bencher: Bencher<'_, '_>, kind: &str) {
    let mut exports = Exports::new(data_of(kind));
    let registry = Registry::default();
    let mut translator = Translator::new(Config::default(), &registry);
    let directory = tempfile::tempdir().unwrap();
    let config = store::Config::new(directory.path().join("store"));
    let clock = std::sync::Arc::new(ManualClock::at(UnixNano(START)));
    let (_store, mut writer, _) =
        store::Store::open(config, store::Deps { clock, registry }).unwrap();
    let mut rounds = 0_u64;
    bencher.counter(ItemsCount::new(POINTS)).bench_local(|| {
        let (bytes, received) = exports.next();
        translator.observe(&mut writer, black_box(bytes), received);
        rounds += 1;
        if rounds.is_multiple_of(1_000) {
            writer.checkpoint(rounds).unwrap();
        }
    });
}

/// What a receiver would do that decodes requests and knows series by their labels.
#[divan::bench]
fn prost_and_a_map_of_labels_1000_points(bencher: Bencher<'_, '_>) {
    let mut exports = Exports::new(gauge);
    let mut series: HashMap<Vec<(String, String)>, (u64, f64)> = HashMap::new();
    bencher.counter(ItemsCount::new(POINTS)).bench_local(|| {
        let (bytes, _) = exports.next();
        let request = ExportMetricsServiceRequest::decode(black_box(bytes)).unwrap();
        for resource in request.resource_metrics {
            for scope in resource.scope_metrics {
                for metric in scope.metrics {
                    let Some(Data::Gauge(gauge)) = metric.data else { continue };
                    for point in gauge.data_points {
                        let mut labels: Vec<(String, String)> = point
                            .attributes
                            .into_iter()
                            .map(|attribute| {
                                let value = attribute.value.and_then(|value| value.value);
                                let Some(any_value::Value::StringValue(text)) = value else {
                                    return (attribute.key, String::new());
                                };
                                (attribute.key.replace('.', "_"), text)
                            })
                            .collect();
                        labels.push(("__name__".to_owned(), metric.name.replace('.', "_")));
                        labels.sort_unstable();
                        let Some(Value::AsDouble(value)) = point.value else { continue };
                        series.insert(labels, (point.time_unix_nano, value));
                    }
                }
            }
        }
    });
}
