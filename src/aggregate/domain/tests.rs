//! Requests of real clients to the series derived from them, and what small requests of our own say.

use std::collections::BTreeMap;

use bytes::Bytes;
use expect_test::{Expect, expect};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
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

#[test]
fn flask_without_code_of_ours_has_routes_and_errors_in_seconds() {
    let mut seen = Seen::new();
    seen.at(0, Signal::Metrics, &include_bytes!("testdata/flask-stock-metrics.pb")[..]);
    seen.check(5, &["http_", "sidelight_"], &expect![[r#"
        http_server_request_duration_seconds{http_request_method=GET,http_response_status_code=200,http_route=/healthz} 1 recorded
        http_server_request_duration_seconds{http_request_method=GET,http_response_status_code=200,http_route=/products/<int:product_id>} 16 recorded
        http_server_request_duration_seconds{http_request_method=GET,http_response_status_code=200,http_route=/search} 5 recorded
        http_server_request_duration_seconds{http_request_method=GET,http_response_status_code=404,http_route=/products/<int:product_id>} 8 recorded
        http_server_request_duration_seconds{http_request_method=GET,http_response_status_code=429,http_route=/limited} 1 recorded
        http_server_request_duration_seconds{http_request_method=GET,http_response_status_code=500,http_route=/broken} 2 recorded
        http_server_request_duration_seconds{http_request_method=POST,http_response_status_code=200,http_route=/orders} 3 recorded
        sidelight_http_rate_limited_total{http_route=/limited} 1
        sidelight_resource_last_seen_timestamp_seconds{} 1700000000"#]]);
}

#[test]
fn fastapi_with_signals_on_its_spans_has_every_family_that_spans_can_say() {
    let mut seen = Seen::new();
    seen.at(0, Signal::Traces, &include_bytes!("testdata/fastapi-traces.pb")[..]);
    seen.check(5, &["http_", "sidelight_"], &expect![[r#"
        sidelight_cache_request_duration_seconds{cache_name=products,cache_result=hit,cache_type=application} 22 recorded
        sidelight_cache_request_duration_seconds{cache_name=products,cache_result=miss,cache_type=application} 1 recorded
        sidelight_cache_requests_total{cache_name=products,cache_result=hit,cache_type=application,http_route=/products/{product_id}} 22
        sidelight_cache_requests_total{cache_name=products,cache_result=miss,cache_type=application,http_route=/products/{product_id}} 1
        sidelight_feature_use_duration_seconds{feature_name=checkout,outcome=ok} 7 recorded
        sidelight_feature_use_duration_seconds{feature_name=search,outcome=ok} 9 recorded
        sidelight_feature_uses_total{feature_name=checkout,feature_type=flag,outcome=ok,usage_pattern=direct} 7
        sidelight_feature_uses_total{feature_name=search,feature_type=flag,outcome=ok,usage_pattern=direct} 9
        sidelight_http_rate_limited_total{http_route=/limited} 1
        sidelight_intent_detections_total{confidence=high,intent_type=browse} 1
        sidelight_intent_detections_total{confidence=low,intent_type=browse} 3
        sidelight_intent_detections_total{confidence=low,intent_type=buy} 2
        sidelight_intent_detections_total{confidence=medium,intent_type=browse} 2
        sidelight_intent_detections_total{confidence=medium,intent_type=buy} 1
        sidelight_resource_last_seen_timestamp_seconds{} 1700000000
        sidelight_retry_attempts_total{attempt_result=success,operation_name=pay} 16
        sidelight_retry_operation_retries{operation_name=pay,outcome=ok} 16 recorded"#]]);
}

#[test]
fn flask_with_signals_as_metrics_is_counted_once() {
    let mut seen = Seen::new();
    seen.at(0, Signal::Metrics, &include_bytes!("testdata/flask-metrics.pb")[..]);
    seen.at(1, Signal::Traces, &include_bytes!("testdata/flask-traces.pb")[..]);
    seen.at(2, Signal::Logs, &include_bytes!("testdata/flask-logs.pb")[..]);
    seen.check(5, &["http_", "sidelight_"], &expect![[r#"
        http_server_request_duration_seconds{http_request_method=GET,http_response_status_code=200,http_route=/healthz} 3 recorded
        http_server_request_duration_seconds{http_request_method=GET,http_response_status_code=200,http_route=/products/<int:product_id>} 21 recorded
        http_server_request_duration_seconds{http_request_method=GET,http_response_status_code=200,http_route=/search} 6 recorded
        http_server_request_duration_seconds{http_request_method=GET,http_response_status_code=200,http_route=/summary} 4 recorded
        http_server_request_duration_seconds{http_request_method=GET,http_response_status_code=404,http_route=/products/<int:product_id>} 4 recorded
        http_server_request_duration_seconds{http_request_method=GET,http_response_status_code=404} 1 recorded
        http_server_request_duration_seconds{http_request_method=GET,http_response_status_code=429,http_route=/limited} 1 recorded
        http_server_request_duration_seconds{http_request_method=GET,http_response_status_code=500,http_route=/broken} 1 recorded
        http_server_request_duration_seconds{http_request_method=POST,http_response_status_code=200,http_route=/orders} 5 recorded
        http_server_request_duration_seconds{http_request_method=POST,http_response_status_code=500,http_route=/orders} 2 recorded
        sidelight_http_rate_limited_total{http_route=/limited} 1
        sidelight_log_records_total{severity=error} 1
        sidelight_log_records_total{severity=info} 12
        sidelight_queue_overflows_total{queue_name=mails,queue_type=task} 0
        sidelight_resource_last_seen_timestamp_seconds{} 1700000002"#]]);
    assert!(seen.suppressed("feature") > 0);
}

#[test]
fn a_lookup_has_the_route_of_the_server_span_that_is_sent_after_it() {
    let mut seen = Seen::new();
    let inner = span(3, 9, 1, Vec::new());
    seen.at(0, Signal::Traces, spans("a", vec![lookup(1, 3), inner]));
    seen.at(2, Signal::Traces, spans("a", vec![lookup(2, 9), served(9, "/cart")]));
    // Nothing is known above these: one is of another instance, one has no parent.
    seen.at(2, Signal::Traces, spans("b", vec![lookup(4, 9)]));
    seen.at(2, Signal::Traces, spans("a", vec![lookup(5, 0)]));
    seen.at(13, Signal::Traces, spans("a", Vec::new()));
    seen.check(
        15,
        &["sidelight_cache_requests"],
        &expect![[r#"
        sidelight_cache_requests_total{cache_name=users,cache_result=hit,http_route=/cart} 2
        sidelight_cache_requests_total{cache_name=users,cache_result=hit} 1
        sidelight_cache_requests_total{cache_name=users,cache_result=hit} 1"#]],
    );
}

#[test]
fn stable_metrics_take_over_from_spans_and_what_these_counted_is_not_counted_again() {
    let mut seen = Seen::new();
    let http = |count| {
        let point = otlp::HistogramDataPoint {
            count,
            bucket_counts: vec![count],
            time_unix_nano: START * 1_000_000,
            ..otlp::HistogramDataPoint::default()
        };
        let histogram = otlp::Histogram { data_points: vec![point], aggregation_temporality: 2 };
        let data = Some(otlp::metric::Data::Histogram(histogram));
        let name = "http.server.request.duration".to_owned();
        otlp::Metric { name, unit: "s".to_owned(), data, ..otlp::Metric::default() }
    };
    let admits = |seen: &mut Seen, instance: &str| {
        let labels = [("job", "shop"), ("instance", instance)];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        seen.domain.admits(SpanFamily::Http, &labels)
    };
    for instance in ["a", "b"] {
        seen.at(0, Signal::Traces, spans(instance, vec![served(1, "/a")]));
        assert!(admits(&mut seen, instance));
    }
    seen.at(60, Signal::Metrics, metrics_of("a", vec![http(1)]));
    assert_eq!(seen.domain.took_over(), [(0, "http.server.request.duration")]);
    assert!(!admits(&mut seen, "a") && admits(&mut seen, "b") && admits(&mut seen, "unknown"));
    seen.at(80, Signal::Metrics, metrics_of("a", vec![http(2)]));
    assert_eq!(seen.domain.took_over(), []);
    assert_eq!(seen.suppressed("http"), 1);
    // Of a request for two only the one that spans were the source of.
    let both = ["a", "b"].map(|instance| metrics_of(instance, vec![http(3)])).concat();
    seen.at(90, Signal::Metrics, both);
    assert_eq!(seen.domain.took_over(), [(1, "http.server.request.duration")]);
}

#[test]
fn older_metrics_go_on_where_spans_were() {
    let mut seen = Seen::new();
    let served = |n: u8| {
        let mut span = served(n, "/a");
        span.attributes.push(attribute("http.status_code", any_value::Value::IntValue(200)));
        span
    };
    let duration = |count| {
        let point = otlp::HistogramDataPoint {
            count,
            sum: Some(count as f64 * 20.0),
            explicit_bounds: vec![0.0, 10.0, 50.0],
            bucket_counts: vec![0, 0, count, 0],
            time_unix_nano: START * 1_000_000,
            start_time_unix_nano: START * 1_000_000,
            attributes: vec![
                text("http.target", "/a"),
                text("http.method", "GET"),
                attribute("http.status_code", any_value::Value::IntValue(200)),
            ],
            ..otlp::HistogramDataPoint::default()
        };
        let histogram = otlp::Histogram { data_points: vec![point], aggregation_temporality: 2 };
        let data = Some(otlp::metric::Data::Histogram(histogram));
        let metric = otlp::Metric {
            name: "http.server.duration".to_owned(),
            unit: "ms".to_owned(),
            data,
            ..otlp::Metric::default()
        };
        let scope = InstrumentationScope {
            name: "opentelemetry.instrumentation.flask".to_owned(),
            ..InstrumentationScope::default()
        };
        let scope_metrics = vec![otlp::ScopeMetrics {
            scope: Some(scope),
            metrics: vec![metric],
            ..otlp::ScopeMetrics::default()
        }];
        let of = otlp::ResourceMetrics {
            resource: resource("a"),
            scope_metrics,
            ..otlp::ResourceMetrics::default()
        };
        ExportMetricsServiceRequest { resource_metrics: vec![of] }.encode_to_vec()
    };
    seen.at(0, Signal::Traces, spans("a", vec![served(1)]));
    let labels = [("job".to_owned(), "shop".to_owned()), ("instance".to_owned(), "a".to_owned())];
    assert!(seen.domain.admits(SpanFamily::Http, &labels));
    // The process was there long before the agent, and spans have said what it does since.
    seen.at(10, Signal::Metrics, duration(1_000));
    seen.at(20, Signal::Metrics, duration(1_002));
    seen.at(30, Signal::Metrics, duration(4));
    seen.at(40, Signal::Metrics, Bytes::new());
    let shown = seen.kept.show();
    let line = shown.lines().find(|line| line.starts_with("http_server")).unwrap();
    let counts = line.split("(n").skip(1).map(|s| s.split(' ').next().unwrap());
    expect!["0 0 2 6"].assert_eq(&counts.collect::<Vec<_>>().join(" "));
}

#[test]
fn a_queue_that_fills_up_overflows_once() {
    let mut seen = Seen::new();
    let named = || vec![text("queue.name", "mails"), text("queue.type", "task")];
    for (at, size) in [(0, 1.0), (10, 19.0), (20, 18.0), (30, 2.0), (40, 20.0)] {
        let size = gauge("sidelight.queue.size", size, named());
        let capacity = gauge("sidelight.queue.capacity", 20.0, named());
        seen.at(at, Signal::Metrics, metrics_of("a", vec![capacity, size]));
    }
    seen.check(
        45,
        &["sidelight_queue"],
        &expect!["sidelight_queue_overflows_total{queue_name=mails,queue_type=task} 2"],
    );
}

#[test]
fn sampled_spans_count_for_those_that_were_not() {
    let mut seen = Seen::new();
    let mut one_of_four = served(1, "/a");
    one_of_four.attributes.push(attribute("http.status_code", any_value::Value::IntValue(429)));
    one_of_four.trace_state = "ot=th:c".to_owned();
    seen.at(0, Signal::Traces, spans("a", vec![one_of_four]));
    seen.check(
        80,
        &["http_", "sidelight_http"],
        &expect!["sidelight_http_rate_limited_total{http_route=/a} 4"],
    );
}

#[test]
fn events_of_logs_are_counted_and_sketches_are_merged_only_when_a_request_says_that_it_is_one() {
    let mut seen = Seen::new();
    let event = |name: &str, attributes| logs::LogRecord {
        event_name: name.to_owned(),
        severity_number: 9,
        attributes,
        ..logs::LogRecord::default()
    };
    let mut sketch = sketch::Sketch::default();
    (0..50_u64).for_each(|user| sketch.insert(siphash::hash(&[9; 16], &user.to_le_bytes())));
    let mut bytes = Vec::new();
    sketch.encode(77, &mut bytes);
    let mut carrier = event("sidelight.feature.sketch", vec![text("feature.name", "export")]);
    carrier.body = Some(AnyValue { value: Some(any_value::Value::BytesValue(bytes)) });
    let request = |log_records| {
        let scope_logs = vec![logs::ScopeLogs { log_records, ..logs::ScopeLogs::default() }];
        let of = logs::ResourceLogs {
            resource: resource("a"),
            scope_logs,
            ..logs::ResourceLogs::default()
        };
        ExportLogsServiceRequest { resource_logs: vec![of] }.encode_to_vec()
    };
    let flag = vec![text("feature_flag.key", "search"), text("user.id", "u1")];
    let intent = vec![
        text("intent.type", "buy"),
        attribute("confidence", any_value::Value::DoubleValue(0.83)),
    ];
    let records = vec![
        event("feature_flag.evaluation", flag),
        event("sidelight.intent", intent),
        carrier.clone(),
    ];
    seen.at(0, Signal::Logs, request(records));
    let record = Record { flags: Flags::LOCAL, ..record(Signal::Logs, request(vec![carrier])) };
    seen.domain.observe(&mut seen.kept, &record, UnixNano((START + 1_000) * 1_000_000));
    seen.check(40, &["sidelight_"], &expect![[r#"
        sidelight_feature_user_estimate{feature_name=export,window=1d} 50
        sidelight_feature_user_estimate{feature_name=export,window=1h} 50
        sidelight_feature_user_estimate{feature_name=search,window=1d} 1
        sidelight_feature_user_estimate{feature_name=search,window=1h} 1
        sidelight_feature_uses_total{feature_name=search,feature_type=flag,outcome=ok,usage_pattern=direct} 1
        sidelight_intent_detections_total{confidence=high,intent_type=buy} 1
        sidelight_log_records_total{severity=info} 3
        sidelight_resource_last_seen_timestamp_seconds{} 1700000001"#]]);
}

#[test]
fn a_sample_that_another_source_was_before_is_tried_again() {
    let mut seen = Seen::new();
    let logs = &include_bytes!("testdata/flask-logs.pb")[..];
    seen.at(0, Signal::Logs, logs);
    seen.at(5, Signal::Logs, logs);
    let at_ms = i64::try_from(START).unwrap() + 10_000;
    for id in seen.kept.ids.values().copied().collect::<Vec<_>>() {
        seen.kept.stale(id, at_ms);
    }
    seen.at(10, Signal::Metrics, Bytes::new());
    seen.check(
        15,
        &["sidelight_log"],
        &expect![[r#"
        sidelight_log_records_total{severity=error} 2
        sidelight_log_records_total{severity=info} 24"#]],
    );
}

#[test]
fn series_past_the_limit_are_one_and_every_use_is_in_it() {
    let mut seen = Seen::new();
    let many = board::SERIES_MAX + 30;
    let route = |n: usize| {
        let status = attribute("http.status_code", any_value::Value::IntValue(429));
        let mut span = served(1, &format!("/{n}"));
        span.attributes.push(status);
        span
    };
    seen.at(0, Signal::Traces, spans("a", (0..many).map(route).collect()));
    seen.at(80, Signal::Metrics, Bytes::new());
    let shown = seen.kept.show();
    let limited = || shown.lines().filter(|line| line.starts_with("sidelight_http_rate_limited"));
    assert_eq!(limited().count(), board::SERIES_MAX + 1);
    let overflow = limited().find(|line| line.contains("otel_metric_overflow=true")).unwrap();
    assert!(overflow.contains(" 30@"), "{overflow}");
}

#[test]
fn instances_past_the_limit_are_refused_and_counted() {
    let mut seen = Seen::new();
    for n in 0..resources::INSTANCES_MAX + 5 {
        seen.at(0, Signal::Traces, spans(&n.to_string(), vec![served(1, "/")]));
    }
    assert_eq!(seen.registry.counter(&desc::AGGREGATE_REFUSED_RESOURCES, &[]).get(), 5);
}

/// What a run gives that is stopped after `cut` records, its state put back into another.
fn replayed(cut: usize) -> BTreeMap<String, String> {
    let requests: Vec<(Signal, &[u8])> = vec![
        (Signal::Traces, include_bytes!("testdata/fastapi-traces.pb")),
        (Signal::Metrics, include_bytes!("testdata/fastapi-metrics.pb")),
        (Signal::Logs, include_bytes!("testdata/flask-logs.pb")),
        (Signal::Metrics, include_bytes!("testdata/flask-metrics.pb")),
        (Signal::Traces, include_bytes!("testdata/flask-traces.pb")),
        (Signal::Metrics, include_bytes!("testdata/flask-metrics.pb")),
        (Signal::Traces, include_bytes!("testdata/fastapi-traces.pb")),
        (Signal::Metrics, b""),
    ];
    let mut seen = Seen::new();
    for (at, (signal, payload)) in requests.into_iter().enumerate() {
        // A checkpoint after every record, and a crash after one of them.
        let state = seen.domain.encode();
        if at == cut {
            seen.domain = domain(&Registry::default());
            seen.domain.restore(&state);
        }
        seen.at(at as u64 * 7, signal, payload);
    }
    let shown = seen.kept.show();
    shown
        .lines()
        .map(|line| line.split_once("} ").unwrap())
        .map(|(l, s)| (l.into(), s.into()))
        .collect()
}

#[test]
fn a_restart_at_any_record_gives_the_same_samples() {
    let whole = replayed(usize::MAX);
    assert!(whole.len() > 40, "{}", whole.len());
    for cut in 1..8 {
        assert_eq!(replayed(cut), whole, "after {cut}");
    }
}

#[test]
fn no_state_makes_a_restart_panic() {
    let mut seen = Seen::new();
    seen.at(0, Signal::Traces, &include_bytes!("testdata/fastapi-traces.pb")[..]);
    let state = seen.domain.encode();
    for cut in (0..state.len()).step_by(state.len() / 50) {
        domain(&Registry::default()).restore(&state[..cut]);
    }
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

#[test]
fn points_that_share_a_series_are_each_counted_from_their_own_last_total() {
    let mut seen = Seen::new();
    let exports = [
        vec![("http", 0, 100), ("https", 0, 5)],
        vec![("http", 0, 110), ("https", 0, 6)],
        // Another scheme of the same process, a worker that starts again, and one that nobody had seen.
        vec![("http", 0, 111), ("https", 0, 6), ("h2", 0, 3), ("http", 15, 2)],
    ];
    for (at, points) in exports.iter().enumerate() {
        seen.at(1 + at as u64 * 10, Signal::Metrics, metrics_of("a", vec![older(points)]));
    }
    seen.check(
        25,
        &["http_server", "sidelight_http"],
        &expect![[r#"
        http_server_request_duration_seconds{http_response_status_code=429,http_route=/a} 122 recorded
        sidelight_http_rate_limited_total{http_route=/a} 122"#]],
    );
    let state = seen.domain.encode();
    seen.domain = domain(&Registry::default());
    seen.domain.restore(&state);
    seen.at(
        31,
        Signal::Metrics,
        metrics_of("a", vec![older(&[("https", 0, 7), ("http", 0, 112)])]),
    );
    seen.check(
        35,
        &["sidelight_http"],
        &expect!["sidelight_http_rate_limited_total{http_route=/a} 124"],
    );
}

#[test]
fn a_process_that_was_there_before_its_series_does_not_count_at_once_what_nobody_saw() {
    let mut seen = Seen::new();
    seen.at(11, Signal::Metrics, metrics_of("a", vec![older(&[("http", 1, 10)])]));
    seen.at(21, Signal::Metrics, metrics_of("a", vec![older(&[("http", 2, 5_000)])]));
    seen.at(31, Signal::Metrics, metrics_of("a", vec![older(&[("http", 2, 5_001)])]));
    seen.check(
        35,
        &["sidelight_http"],
        &expect!["sidelight_http_rate_limited_total{http_route=/a} 11"],
    );
}

#[test]
fn counters_past_the_limit_are_left_out_and_counted() {
    let mut seen = Seen::new();
    let starts: Vec<_> = (0..board::COUNTERS_MAX as u64 / 2 + 3).map(|n| ("http", n, 1)).collect();
    seen.at(1, Signal::Metrics, metrics_of("a", vec![older(&starts)]));
    let refused = seen.registry.counter(&desc::AGGREGATE_REFUSED_STATES, &["counters"]).get();
    // A point is in two series.
    assert_eq!(refused, 6);
}

#[test]
fn the_greatest_threshold_of_a_sampler_counts_as_the_span_metrics_count_it() {
    let mut seen = Seen::new();
    let mut rare = served(1, "/a");
    rare.attributes.push(attribute("http.status_code", any_value::Value::IntValue(429)));
    rare.trace_state = "ot=th:ffffffffffffff".to_owned();
    seen.at(0, Signal::Traces, spans("a", vec![rare]));
    seen.check(
        80,
        &["sidelight_http"],
        &expect!["sidelight_http_rate_limited_total{http_route=/a} 1000000"],
    );
}

#[test]
fn a_resource_without_an_instance_ends_only_what_spans_said_of_it() {
    let mut seen = Seen::new();
    let asked = || vec![lookup(1, 0)];
    let nameless = |resource: &mut Option<v1::Resource>| {
        let attributes = &mut resource.as_mut().unwrap().attributes;
        attributes.retain(|attribute| attribute.key != "service.instance.id");
    };
    seen.at(0, Signal::Traces, spans("a", asked()));
    let mut traces = ExportTraceServiceRequest::decode(&*spans("", asked())).unwrap();
    traces.resource_spans.iter_mut().for_each(|of| nameless(&mut of.resource));
    seen.at(0, Signal::Traces, traces.encode_to_vec());
    seen.at(5, Signal::Metrics, Bytes::new());
    let bytes = metrics_of("", vec![gauge("sidelight.cache.requests", 1.0, Vec::new())]);
    let mut metrics = ExportMetricsServiceRequest::decode(&*bytes).unwrap();
    metrics.resource_metrics.iter_mut().for_each(|of| nameless(&mut of.resource));
    seen.at(7, Signal::Metrics, metrics.encode_to_vec());
    let shown = seen.kept.show();
    let ended = |line: &&str| line.contains("stale@");
    let of_spans = |line: &&str| line.starts_with("sidelight_cache_request_duration");
    let asked: Vec<_> = shown.lines().filter(of_spans).collect();
    assert_eq!(asked.len(), 2, "{shown}");
    let with = asked.iter().find(|line| line.contains("instance=a")).unwrap();
    let without = asked.iter().find(|line| !line.contains("instance=")).unwrap();
    assert!(!ended(with) && ended(without), "{shown}");
}

#[test]
fn an_instance_in_the_place_of_another_has_nothing_of_it() {
    let mut seen = Seen::new();
    let full = |instance: &str| {
        let named = || vec![text("queue.name", "mails"), text("queue.type", "task")];
        let size = gauge("sidelight.queue.size", 9.0, named());
        let capacity = gauge("sidelight.queue.capacity", 10.0, named());
        metrics_of(instance, vec![capacity, size])
    };
    seen.at(0, Signal::Metrics, full("first"));
    for n in 1..resources::INSTANCES_MAX {
        seen.at(901, Signal::Traces, spans(&n.to_string(), Vec::new()));
    }
    // The first was silent for the TTL: the last is in its place, and there is none when it comes back.
    seen.at(902, Signal::Metrics, full("last"));
    seen.at(1_000, Signal::Metrics, full("first"));
    let labels = [("job", "shop"), ("instance", "last")];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let last = seen.domain.resources.by_labels(&labels).unwrap().exported_ms;
    assert_eq!(last, i64::try_from(START).unwrap() + 902_000);
    assert_eq!(seen.registry.counter(&desc::AGGREGATE_REFUSED_RESOURCES, &[]).get(), 1);
    let shown = seen.kept.show();
    let of_last = |line: &&str| line.starts_with("sidelight_queue") && line.contains("=last");
    let overflows = shown.lines().find(of_last).unwrap();
    assert!(overflows.contains(" 1@"), "{overflows}");
}

#[test]
fn where_series_never_end_no_instance_is_in_the_place_of_another() {
    let mut seen = Seen::new();
    let metrics = metrics::Config::default();
    let entries = Default::default();
    let config = Config { metrics, ttl_ms: 0, user_key: Some([3; 16]), entries };
    seen.domain = Domain::new(config, &seen.registry);
    for n in 0..resources::INSTANCES_MAX {
        seen.at(0, Signal::Traces, spans(&n.to_string(), Vec::new()));
    }
    seen.at(90_000, Signal::Traces, spans("last", Vec::new()));
    assert_eq!(seen.registry.counter(&desc::AGGREGATE_REFUSED_RESOURCES, &[]).get(), 1);
}

#[test]
fn a_checkpoint_that_is_cut_anywhere_is_taken_up_as_nothing() {
    let mut seen = Seen::new();
    let asked = [("cache.name", "users"), ("sidelight.cache.result", "hit")];
    let attributes = asked.map(|(key, value)| text(key, value)).to_vec();
    let of = |id: u8| Span {
        trace_id: vec![id; 16],
        span_id: vec![id; 8],
        attributes: attributes.clone(),
        ..Span::default()
    };
    seen.at(0, Signal::Traces, spans("a", vec![of(1), of(2)]));
    let whole = seen.domain.encode();
    let registry = Registry::default();
    let again = |bytes: &[u8]| {
        let mut domain = domain(&registry);
        domain.restore(bytes);
        domain.encode()
    };
    assert_eq!(again(&whole), whole);
    let nothing = again(&[]);
    for end in 0..whole.len() {
        assert_eq!(again(&whole[..end]), nothing, "cut at {end} of {}", whole.len());
    }
}

/// They are in checkpoints: another may be added at the end, none may change.
#[test]
fn the_codes_of_sources_families_and_instruments_stay_as_they_are() {
    let sources = families::Source::ALL.map(|source| format!("{source:?}")).join(" ");
    let families = Family::ALL.map(|family| family.name()).join(" ");
    let instruments = Instrument::ALL.iter().map(|of| format!("{of:?}")).collect::<Vec<_>>();
    let of = [sources, families, instruments.join("\n")].join("\n");
    expect![[r#"
        Sidelight Stable Old Spans
        operation http http_rate_limited cache queue connection retry feature intent gen_ai
        HttpDuration
        HttpRequestSize
        HttpResponseSize
        RateLimited
        CacheRequests
        CacheDuration
        QueueOverflows
        RetryAttempts
        RetryRetries
        FeatureUses
        FeatureDuration
        FeatureUsers
        Intents
        LlmTokens
        LlmRequests
        LlmLastCall
        LogRecords
        LastSeen"#]]
    .assert_eq(&of);
}
