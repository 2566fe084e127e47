//! Requests of real clients to the series derived from them, and what small requests of our own say.

mod attempts;
mod calls;
mod clients;
mod http;
mod limits;
mod requests;
mod restart;
mod sources;

use bytes::Bytes;
use expect_test::{Expect, expect};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1 as logs;
use opentelemetry_proto::tonic::metrics::v1 as otlp;
use opentelemetry_proto::tonic::resource::v1;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

use super::*;
use crate::aggregate::metrics::tests::Kept;
use crate::signal::{Flags, Meta};

const START: u64 = 1_700_000_000_000;

fn domain(registry: &Registry) -> Domain<usize> {
    let metrics = metrics::Config::default();
    Domain::new(
        Config { metrics, ttl_ms: 900_000, user_key: Some([3; 16]), entries: Default::default() },
        registry,
    )
}

fn record(signal: Signal, payload: impl Into<Bytes>) -> Record {
    let (flags, meta) = (Flags::default(), Meta::default());
    Record { signal, items: 1, flags, meta, payload: payload.into() }
}

/// Requests at seconds after the start.
struct Seen {
    domain: Domain<usize>,
    registry: Registry,
    kept: Kept,
}

impl Seen {
    fn new() -> Self {
        let registry = Registry::default();
        Self { domain: domain(&registry), registry, kept: Kept::default() }
    }

    fn at(&mut self, seconds: u64, signal: Signal, payload: impl Into<Bytes>) {
        let received = UnixNano((START + seconds * 1_000) * 1_000_000);
        self.domain.observe(&mut self.kept, &record(signal, payload), received);
    }

    /// What was sampled last of the families that begin so, without what all have in common.
    fn check(&mut self, after: u64, families: &[&str], expected: &Expect) {
        self.at(after, Signal::Metrics, Bytes::new());
        let shown = self.kept.show();
        let wanted = shown.lines().filter(|line| families.iter().any(|f| line.starts_with(f)));
        let last = wanted.map(|line| {
            let (labels, samples) = line.split_once("} ").unwrap();
            let value = samples.rsplit_once('@').unwrap().0;
            // Of a histogram the count, of a number all.
            let number = match value.rfind("(n") {
                Some(at) => value[at + 2..].split(' ').next().unwrap().to_owned() + " recorded",
                None => value.rsplit(' ').next().unwrap().to_owned(),
            };
            let common = ["instance=", "job=", "service_name="];
            let (name, labels) = labels.split_once('{').unwrap();
            let own = labels.split(',').filter(|l| !common.iter().any(|c| l.starts_with(c)));
            format!("{name}{{{}}} {number}", own.collect::<Vec<_>>().join(","))
        });
        expected.assert_eq(&last.collect::<Vec<_>>().join("\n"));
    }

    fn suppressed(&self, family: &str) -> u64 {
        self.registry.counter(&desc::AGGREGATE_SOURCE_SUPPRESSED, &[family]).get()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.to_owned()))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn resource(instance: &str) -> Option<v1::Resource> {
    let attributes = vec![text("service.name", "shop"), text("service.instance.id", instance)];
    Some(v1::Resource { attributes, ..v1::Resource::default() })
}

fn spans(instance: &str, spans: Vec<Span>) -> Vec<u8> {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let of = ResourceSpans { resource: resource(instance), scope_spans, ..Default::default() };
    ExportTraceServiceRequest { resource_spans: vec![of] }.encode_to_vec()
}

fn span(id: u8, parent: u8, kind: i32, attributes: Vec<KeyValue>) -> Span {
    Span {
        trace_id: vec![7; 16],
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
        name: "work".to_owned(),
        kind,
        start_time_unix_nano: START * 1_000_000,
        end_time_unix_nano: START * 1_000_000 + 20_000_000,
        attributes,
        ..Span::default()
    }
}

fn lookup(id: u8, parent: u8) -> Span {
    let result = text("sidelight.cache.result", "hit");
    span(id, parent, 1, vec![text("sidelight.cache.name", "users"), result])
}

fn served(id: u8, route: &str) -> Span {
    span(id, 0, 2, vec![text("http.route", route), text("http.request.method", "GET")])
}

/// A request that was limited, with that state of its trace.
fn limited(id: u8, route: &str, trace_state: &str) -> Span {
    let mut span = served(id, route);
    span.attributes.push(attribute("http.status_code", any_value::Value::IntValue(429)));
    Span { trace_state: trace_state.to_owned(), ..span }
}

fn metrics_of(instance: &str, metrics: Vec<otlp::Metric>) -> Vec<u8> {
    let scope_metrics = vec![otlp::ScopeMetrics { metrics, ..Default::default() }];
    let of = otlp::ResourceMetrics {
        resource: resource(instance),
        scope_metrics,
        ..otlp::ResourceMetrics::default()
    };
    ExportMetricsServiceRequest { resource_metrics: vec![of] }.encode_to_vec()
}

fn gauge(name: &str, value: f64, attributes: Vec<KeyValue>) -> otlp::Metric {
    let point = otlp::NumberDataPoint {
        attributes,
        time_unix_nano: START * 1_000_000,
        value: Some(otlp::number_data_point::Value::AsDouble(value)),
        ..otlp::NumberDataPoint::default()
    };
    let data = otlp::metric::Data::Gauge(otlp::Gauge { data_points: vec![point] });
    otlp::Metric { name: name.to_owned(), data: Some(data), ..otlp::Metric::default() }
}

/// A histogram of the older conventions with points of a scheme, a start in seconds, and a count.
fn older(points: &[(&str, u64, u64)]) -> otlp::Metric {
    let point = |&(scheme, start, count): &(&str, u64, u64)| otlp::HistogramDataPoint {
        count,
        sum: Some(count as f64),
        explicit_bounds: vec![10.0],
        bucket_counts: vec![count, 0],
        start_time_unix_nano: (START + start * 1_000) * 1_000_000,
        attributes: vec![
            text("http.route", "/a"),
            text("http.scheme", scheme),
            attribute("http.status_code", any_value::Value::IntValue(429)),
        ],
        ..otlp::HistogramDataPoint::default()
    };
    let data_points = points.iter().map(point).collect();
    let histogram = otlp::Histogram { data_points, aggregation_temporality: 2 };
    let data = Some(otlp::metric::Data::Histogram(histogram));
    let name = "http.server.duration".to_owned();
    otlp::Metric { name, unit: "ms".to_owned(), data, ..otlp::Metric::default() }
}
