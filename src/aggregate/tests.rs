//! The table against requests made by a foreign encoder, and against a naive model.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use expect_test::expect;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::prelude::*;
use prost::Message as _;

use super::derived::Derived;
use super::metrics::tests::Kept;
use super::*;
use crate::journal;
use crate::journal::fs::RealFs;
use crate::journal::{Deps, Durability, Journal};
use crate::signal::{Flags, Meta, Record, Signal};
use crate::telemetry::exposition::Format;
use crate::telemetry::{Exposition, Registry};
use crate::time::{ManualClock, UnixNano};

const START: UnixNano = UnixNano(1_700_000_000_000_000_000);

fn at(seconds: u64) -> UnixNano {
    UnixNano(START.0 + seconds * 1_000_000_000)
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn span(name: &str, kind: i32, nanos: i64, attributes: &[(&str, &str)]) -> Span {
    Span {
        name: name.to_owned(),
        kind,
        start_time_unix_nano: START.0,
        end_time_unix_nano: START.0.wrapping_add_signed(nanos),
        attributes: attributes.iter().map(|(k, v)| attribute(k, v)).collect(),
        ..Span::default()
    }
}

fn request(service: &str, spans: Vec<Span>) -> Vec<u8> {
    let attributes = vec![attribute("host.name", "a"), attribute("service.name", service)];
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let resource_spans = ResourceSpans { resource, scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
}

fn table(change: impl FnOnce(&mut Config)) -> Table {
    let mut config = Config::default();
    change(&mut config);
    Table::new(config, START)
}

fn metrics(table: &Table, format: Format) -> String {
    let mut out = Exposition::new(format);
    table.snapshot().expose(&mut out);
    out.finish()
}

#[test]
fn a_request_becomes_calls_latency_and_quantiles_on_metrics() {
    let mut table = table(|_| {});
    let labels = [("http.request.method", "GET"), ("http.route", "/cart/{id}")];
    let mut failed = span("GET /cart/{id}", 2, 300_000_000, &labels);
    failed.status = Some(Status { code: 2, ..Status::default() });
    let fine = (0..3).map(|_| span("GET /cart/{id}", 2, 4_000_000, &labels));
    table.observe(&request("shop", fine.chain([failed]).collect()), at(1));
    let text = metrics(&table, Format::OpenMetrics);
    let calls = text.lines().filter(|line| line.contains("_calls") || line.contains("_size"));
    let calls: Vec<_> = calls.filter(|line| !line.contains("_created")).collect();
    expect![[r##"
        # HELP traces_spanmetrics_calls Spans received; a sampled one counts as many as its tracestate says that it stands for. Stored as a series as well.
        # TYPE traces_spanmetrics_calls counter
        traces_spanmetrics_calls_total{service="shop",span_name="GET /cart/{id}",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_UNSET",http_route="/cart/{id}",http_request_method="GET",job="shop",service_name="shop"} 3
        traces_spanmetrics_calls_total{service="shop",span_name="GET /cart/{id}",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_ERROR",http_route="/cart/{id}",http_request_method="GET",job="shop",service_name="shop"} 1
        # HELP traces_spanmetrics_size Bytes of the spans received, encoded, each once. Stored as a series as well.
        # TYPE traces_spanmetrics_size counter
        traces_spanmetrics_size_total{service="shop",span_name="GET /cart/{id}",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_UNSET",http_route="/cart/{id}",http_request_method="GET",job="shop",service_name="shop"} 282
        traces_spanmetrics_size_total{service="shop",span_name="GET /cart/{id}",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_ERROR",http_route="/cart/{id}",http_request_method="GET",job="shop",service_name="shop"} 98"##]].assert_eq(&calls.join("\n"));
    let bounds: Vec<_> = text
        .lines()
        .filter(|line| line.contains("_bucket") && line.contains("UNSET"))
        .filter_map(|line| line.split_once("le=")?.1.split_once('}'))
        .map(|(bound, count)| format!("{bound}{count}"))
        .collect();
    expect![[r#""0.002" 0, "0.004" 3, "0.008" 3, "0.016" 3, "0.032" 3, "0.064" 3, "0.128" 3, "0.256" 3, "0.512" 3, "1.024" 3, "2.048" 3, "4.096" 3, "8.192" 3, "16.384" 3, "+Inf" 3"#]]
    .assert_eq(&bounds.join(", "));
    assert!(text.contains(r#"quantile="0.99"} 0.3"#), "{text}");
}

#[test]
fn classic_buckets_are_exact_at_every_bound() {
    let mut table = table(|_| {});
    let nanos = (0..14).flat_map(|n| [-1, 0, 1].map(|near| (2_000_000_i64 << n) + near));
    let spans = nanos.map(|nanos| span("x", 1, nanos, &[])).collect();
    table.observe(&request("shop", spans), at(1));
    let text = metrics(&table, Format::Text);
    let counts = text.lines().filter(|line| line.contains("_bucket"));
    let counts = counts.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap());
    // Below and at the bound are within it, the one above is in the next.
    let expected = (0..14).map(|n| 3 * n + 2).chain([42]);
    assert!(counts.eq(expected), "{text}");
}

#[test]
fn spans_past_a_limit_count_in_the_overflow_row() {
    let mut table = table(|config| {
        config.series_max = 3;
        config.series_per_service_max = 2;
    });
    let many = |n: usize| (0..n).map(|i| span(&format!("op-{i}"), 2, 1_000_000, &[])).collect();
    table.observe(&request("a", many(5)), at(1));
    table.observe(&request("b", many(5)), at(1));
    table.observe(&request("a", many(2)), at(2));
    let totals = table.totals();
    assert_eq!((table.series(), totals.spans), (3, 12));
    assert_eq!((totals.overflow_service, totals.overflow_series), (3, 4));
    let text = metrics(&table, Format::Text);
    assert!(text.contains("traces_spanmetrics_calls_total{otel_metric_overflow=\"true\"} 7\n"));
    let calls = table.snapshot().series.iter().map(|series| series.figures.calls).sum::<u64>();
    assert_eq!(calls + 7, 12);
}

#[test]
fn a_series_without_spans_ends_and_begins_anew_after_its_end() {
    let mut table = table(|config| config.series_ttl = Duration::from_secs(60));
    let one = |name| request("shop", vec![span(name, 2, 1_000_000, &[])]);
    table.observe(&one("old"), at(0));
    table.observe(&one("new"), at(59));
    table.expire();
    assert_eq!(table.series(), 2);
    table.observe(&one("new"), at(64));
    table.expire();
    assert_eq!((table.series(), table.totals().expired), (1, 1));
    table.observe(&one("old"), at(65));
    table.observe(&one("new"), at(65));
    let created: Vec<_> =
        table.snapshot().series.iter().map(|s| (s.figures.calls, s.created)).collect();
    assert_eq!(created, [(3, START), (1, at(64))]);
}

#[test]
fn odd_spans_are_calls_without_a_latency() {
    let mut table = table(|_| {});
    let spans = vec![span("x", 99, -1, &[]), span("x", 0, 0, &[]), span("x", 0, 5, &[])];
    table.observe(&request("", spans), at(1));
    let snapshot = table.snapshot();
    let series = &snapshot.series[0];
    assert_eq!(series.labels.service(), "unknown_service");
    assert_eq!(series.labels.span_kind(), "SPAN_KIND_UNSPECIFIED");
    assert_eq!((series.figures.calls, series.figures.count()), (3, 2));
    assert_eq!(snapshot.totals.odd_spans, 1);
}

#[test]
fn the_method_is_found_under_its_old_name_and_inventions_are_other() {
    let mut table = table(|_| {});
    let spans = vec![
        span("x", 2, 1, &[("http.method", "POST")]),
        span("x", 2, 1, &[("http.method", "POST"), ("http.request.method", "PUT")]),
        span("x", 2, 1, &[("http.request.method", "BREW")]),
        span("x", 2, 1, &[("http.request.method", "POST")]),
    ];
    table.observe(&request("shop", spans), at(1));
    let snapshot = table.snapshot();
    let methods: Vec<_> =
        snapshot.series.iter().map(|s| (s.labels.http_request_method(), s.figures.calls)).collect();
    assert_eq!(methods, [("POST", 2), ("PUT", 1), ("_OTHER", 1)]);
}

#[test]
fn long_label_values_are_cut() {
    let mut table = table(|config| config.label_value_bytes_max = 8);
    let long = "é".repeat(100);
    table.observe(&request(&long, vec![span(&long, 2, 1, &[("http.route", &long)])]), at(1));
    let labels = &table.snapshot().series[0].labels;
    assert_eq!((labels.service(), labels.http_route()), ("éééé".into(), "éééé".into()));
}

#[test]
fn the_document_has_the_agreed_shape() {
    let mut table = table(|_| {});
    table.observe(&request("shop", vec![span("x", 1, 1_000_000_000, &[])]), at(1));
    expect![[r#"{"schema_version":1,"started_unix_seconds":1700000000.0,"routes":[{"service":"shop","span_name":"x","span_kind":"SPAN_KIND_INTERNAL","status_code":"STATUS_CODE_UNSET","http_route":"","http_request_method":"","http_response_status_code":"","labels":{"job":"shop","service_name":"shop"},"calls":1,"latency_seconds":{"sum":1.0,"min":1.0,"max":1.0,"p50":1.0,"p95":1.0,"p99":1.0}}],"overflow":null}"#]]
    .assert_eq(&table.snapshot().to_json());
}

#[tokio::test]
async fn what_the_journal_accepts_is_counted_and_settled() {
    let config = journal::Config { durability: Durability::Memory, ..journal::Config::default() };
    let registry = Registry::default();
    let clock = Arc::new(ManualClock::at(START));
    let deps = Deps { fs: Arc::new(RealFs), clock, registry: registry.clone() };
    let (journal, _) = Journal::open(config, vec![reader_config(false)], deps).unwrap();
    let aggregate = Aggregate::new(Config::default(), START, None, &registry);
    let (_stop, stopping) = stop();
    let reading = tokio::spawn({
        let (aggregate, reader) = (aggregate.clone(), journal.reader(READER).unwrap());
        async move { aggregate.run(reader, None, stopping).await }
    });
    for _ in 0..10 {
        let payload = request("shop", vec![span("x", 2, 1_000_000, &[]); 7]).into();
        let (flags, meta) = (Flags::default(), Meta::default());
        let record = Record { signal: Signal::Traces, items: 7, flags, meta, payload };
        journal.append(record).await.unwrap();
    }
    let counted = async {
        while aggregate.snapshot().totals.spans < 70 || journal.status().readers[0].queued.items > 0
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), counted).await.unwrap();
    let mut out = Exposition::new(Format::Text);
    registry.write(&mut out);
    assert!(out.finish().contains("\nsidelight_aggregate_spans_total 70\n"));
    journal.close().await;
    tokio::time::timeout(Duration::from_secs(10), reading).await.unwrap().unwrap();
}

/// Samples the table into `kept`, when that is due, before a request is observed.
fn step(
    (derived, kept): (&mut Derived<usize>, &mut Kept),
    table: &mut Table,
    received: UnixNano,
    request: &[u8],
) {
    let received_ms = i64::try_from(received.0 / 1_000_000).unwrap();
    if derived.is_due(received_ms) {
        derived.sample(kept, table, received_ms, &mut |_, _| true);
    }
    table.observe(request, received);
    table.expire();
}

/// The samples of series whose names begin so.
fn only(kept: &mut Kept, name: &str) -> String {
    kept.ids.retain(|labels, _| labels.starts_with(name));
    kept.show().replace(&format!("{}", START.0 / 1_000_000_000 / 1_000), "")
}

#[test]
fn the_store_gets_the_table_as_it_was_at_each_multiple_of_5_seconds() {
    let mut table = table(|_| {});
    let (mut derived, mut kept) = (Derived::default(), Kept::default());
    // The last three: unchanged, and said again after a minute.
    for (seconds, spans) in [(0, 2), (4, 1), (6, 4), (21, 0), (51, 0), (82, 0)] {
        let request = request("shop", vec![span("x", 1, 3_000_000, &[]); spans]);
        step((&mut derived, &mut kept), &mut table, at(seconds), &request);
    }
    expect![[r#"
        traces_spanmetrics_calls_total{job=shop,service=shop,service_name=shop,span_kind=SPAN_KIND_INTERNAL,span_name=x,status_code=STATUS_CODE_UNSET} 0@000000 3@005000 7@020000 7@080000
        traces_spanmetrics_latency{job=shop,service=shop,service_name=shop,span_kind=SPAN_KIND_INTERNAL,span_name=x,status_code=STATUS_CODE_UNSET} Classic (n0 sumSome(0.0) [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384] [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@000000 (n3 sumSome(0.009000000000000001) [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384] [0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@005000 (n7 sumSome(0.021) [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384] [0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@020000 (n7 sumSome(0.021) [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384] [0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@080000
        traces_spanmetrics_size_total{job=shop,service=shop,service_name=shop,span_kind=SPAN_KIND_INTERNAL,span_name=x,status_code=STATUS_CODE_UNSET} 0@000000 69@005000 161@020000 161@080000
    "#]].assert_eq(&only(&mut kept, "traces_"));
}

#[test]
fn a_series_that_the_table_lets_go_ends_in_the_store_and_begins_again() {
    let mut table = table(|config| config.series_ttl = Duration::from_secs(30));
    let (mut derived, mut kept) = (Derived::default(), Kept::default());
    for (seconds, name) in [(10, "a"), (20, "b"), (50, "b"), (80, "b"), (90, "a"), (110, "b")] {
        let request = request("shop", vec![span(name, 1, 3_000_000, &[])]);
        step((&mut derived, &mut kept), &mut table, at(seconds), &request);
    }
    expect![[r#"
        traces_spanmetrics_calls_total{job=shop,service=shop,service_name=shop,span_kind=SPAN_KIND_INTERNAL,span_name=a,status_code=STATUS_CODE_UNSET} 0@015000 1@020000 stale@080000 0@105000 1@110000
        traces_spanmetrics_calls_total{job=shop,service=shop,service_name=shop,span_kind=SPAN_KIND_INTERNAL,span_name=b,status_code=STATUS_CODE_UNSET} 0@045000 1@050000 2@080000 3@090000
    "#]].assert_eq(&only(&mut kept, "traces_spanmetrics_calls"));
}

#[test]
fn the_table_goes_on_where_a_checkpoint_left_it() {
    let config = Config { series_max: 3, ..Config::default() };
    let mut whole = Table::new(config.clone(), START);
    let mut first = Table::new(config.clone(), START);
    let requests = |from: u64, to: u64| {
        (from..to).map(|i| {
            let status = ["a", "b", "c", "d", "e"][i as usize % 5];
            let spans = vec![span(status, 2, i64::try_from(i * i).unwrap() * 1_000_003, &[])];
            (request("shop", spans), at(i))
        })
    };
    requests(0, 40).for_each(|(bytes, received)| whole.observe(&bytes, received));
    requests(0, 23).for_each(|(bytes, received)| first.observe(&bytes, received));
    let mut state = Vec::new();
    first.encode(&mut state);
    let mut second = Table::decode(config.clone(), &state).unwrap();
    requests(23, 40).for_each(|(bytes, received)| second.observe(&bytes, received));
    assert_eq!(metrics(&second, Format::Text), metrics(&whole, Format::Text));
    for cut in 0..state.len() {
        assert!(Table::decode(config.clone(), &state[..cut]).is_none(), "{cut} of {}", state.len());
    }
    // With fewer series allowed, what has no row any more is in the overflow.
    let fewer =
        Table::decode(Config { series_max: 1, ..config.clone() }, &state).unwrap().snapshot();
    let calls: u64 = fewer.series.iter().map(|series| series.figures.calls).sum();
    assert_eq!((fewer.series.len(), calls + fewer.overflow.unwrap().calls), (1, 23));
}

/// Spans drawn from few enough labels that series repeat.
fn any_span() -> impl Strategy<Value = Span> {
    let nanos = prop_oneof![0..50_000_000_i64, 0..20_000_000_000_i64, -5..5_i64];
    let status = prop::option::of(0..4_i32);
    ("[ab]{0,2}", 0..7_i32, nanos, status, prop::option::of("/[xy]"), any::<bool>()).prop_map(
        |(name, kind, nanos, status, route, reversed)| {
            let mut span = span(&name, kind, nanos, &[("a", "1"), ("http.request.method", "GET")]);
            span.attributes.extend(route.map(|route| attribute("http.route", &route)));
            if reversed {
                span.attributes.reverse();
            }
            span.status = status.map(|code| Status { code, ..Status::default() });
            span
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_table_equals_a_naive_count_however_requests_are_cut(
        spans in prop::collection::vec(("[st]{1,2}", any_span()), 0..80),
        together in any::<bool>(),
    ) {
        let mut table = table(|_| {});
        let requests: Vec<_> =
            spans.iter().map(|(service, span)| request(service, vec![span.clone()])).collect();
        if together {
            table.observe(&requests.concat(), at(1));
        } else {
            requests.iter().for_each(|request| table.observe(request, at(1)));
        }
        let mut model = BTreeMap::<_, (u64, u64, f64)>::new();
        for (service, span) in &spans {
            let route = span.attributes.iter().find(|a| a.key == "http.route");
            let route = route.map(|a| a.value.clone().unwrap().value.unwrap());
            let Some(any_value::Value::StringValue(route)) =
                route.or(Some(any_value::Value::StringValue(String::new()))) else { panic!() };
            let kind = if (0..6).contains(&span.kind) { span.kind } else { 0 };
            let status = span.status.as_ref().map_or(0, |s| s.code);
            let status = if (0..3).contains(&status) { status } else { 0 };
            let row = model.entry((service.clone(), span.name.clone(), route, kind, status));
            let (calls, count, max) = row.or_default();
            *calls += 1;
            if let Some(nanos) = span.end_time_unix_nano.checked_sub(span.start_time_unix_nano) {
                *count += 1;
                *max = max.max(nanos as f64 / 1e9);
            }
        }
        let snapshot = table.snapshot();
        prop_assert_eq!(snapshot.series.len(), model.len());
        for (series, ((service, name, route, ..), (calls, count, max))) in
            snapshot.series.iter().zip(&model)
        {
            prop_assert_eq!(series.labels.service(), service.as_str());
            prop_assert_eq!(series.labels.span_name(), name.as_str());
            prop_assert_eq!(series.labels.http_route(), route.as_str());
            prop_assert_eq!((series.figures.calls, series.figures.count()), (*calls, *count));
            if *count > 0 {
                let shown = series.figures.latency.max.unwrap();
                prop_assert!((shown - max).abs() <= 1e-12 * max.max(1.0), "{} {}", shown, max);
            }
        }
    }

    #[test]
    fn bytes_that_are_no_request_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut table = table(|_| {});
        table.observe(&bytes, at(1));
        prop_assert!(!table.snapshot().to_json().is_empty());
    }
}

#[test]
fn series_carry_the_labels_of_their_resource_and_of_configured_dimensions() {
    let mut table = table(|config| {
        config.dimensions =
            ["tenant", "host.name", "retry", "http.route", "tenant"].map(str::to_owned).into();
    });
    let resource = |instance: &str, spans: Vec<Span>| {
        let attributes = [
            ("service.name", "shop"),
            ("service.namespace", "eu"),
            ("service.instance.id", instance),
            ("deployment.environment.name", "prod"),
            ("host.name", "node-7"),
            ("tenant", "none"),
        ];
        let attributes = attributes.map(|(key, value)| attribute(key, value)).into();
        let resource_spans = ResourceSpans {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        };
        ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
    };
    let mut tenant = span("x", 1, 1, &[("tenant", "acme")]);
    let retry = AnyValue { value: Some(any_value::Value::IntValue(3)) };
    tenant.attributes.push(KeyValue {
        key: "retry".to_owned(),
        value: Some(retry),
        ..KeyValue::default()
    });
    let mut status = span("x", 3, 1, &[("http.status_code", "404")]);
    status.name = "y".to_owned();
    table.observe(&resource("a", vec![tenant, span("x", 1, 1, &[]), status]), at(1));
    table.observe(&resource("b", vec![span("x", 1, 1, &[])]), at(1));
    let text = metrics(&table, Format::Text);
    let calls: Vec<_> = text.lines().filter(|line| line.contains("_calls_total{")).collect();
    expect![[r#"
        traces_spanmetrics_calls_total{service="shop",span_name="x",span_kind="SPAN_KIND_INTERNAL",status_code="STATUS_CODE_UNSET",tenant="acme",host_name="node-7",retry="3",deployment_environment_name="prod",instance="a",job="eu/shop",service_name="shop"} 1
        traces_spanmetrics_calls_total{service="shop",span_name="x",span_kind="SPAN_KIND_INTERNAL",status_code="STATUS_CODE_UNSET",tenant="none",host_name="node-7",deployment_environment_name="prod",instance="a",job="eu/shop",service_name="shop"} 1
        traces_spanmetrics_calls_total{service="shop",span_name="y",span_kind="SPAN_KIND_CLIENT",status_code="STATUS_CODE_UNSET",http_response_status_code="404",tenant="none",host_name="node-7",deployment_environment_name="prod",instance="a",job="eu/shop",service_name="shop"} 1
        traces_spanmetrics_calls_total{service="shop",span_name="x",span_kind="SPAN_KIND_INTERNAL",status_code="STATUS_CODE_UNSET",tenant="none",host_name="node-7",deployment_environment_name="prod",instance="b",job="eu/shop",service_name="shop"} 1"#]].assert_eq(&calls.join("\n"));
}

#[test]
fn replicas_that_differ_only_in_a_dimension_share_their_operation_and_http_series() {
    let mut table = table(|config| config.dimensions = vec!["host.name".to_owned()]);
    let (mut derived, mut kept) = (Derived::default(), Kept::default());
    let of_host = |host: &str, spans: Vec<Span>| {
        let attributes = vec![attribute("host.name", host), attribute("service.name", "shop")];
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        let resource = Some(Resource { attributes, ..Resource::default() });
        let of = ResourceSpans { resource, scope_spans, ..ResourceSpans::default() };
        ExportTraceServiceRequest { resource_spans: vec![of] }.encode_to_vec()
    };
    table.observe(&of_host("a", vec![http("/pay", "200", 1_000_000); 2]), at(1));
    table.observe(&of_host("b", vec![http("/pay", "200", 1_000_000); 3]), at(1));
    let text = metrics(&table, Format::Text);
    let mut series: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    series.iter_mut().for_each(|line| *line = line.rsplit_once(' ').unwrap().0);
    let all = series.len();
    series.sort_unstable();
    series.dedup();
    assert_eq!(series.len(), all, "{text}");
    assert_eq!(table.series(), 2, "series of spans are told apart by the dimension");
    step((&mut derived, &mut kept), &mut table, at(6), &[]);
    let shown = only(&mut kept, "");
    for family in ["http_server", "sidelight_operation_duration_seconds"] {
        let of: Vec<_> = shown.lines().filter(|line| line.starts_with(family)).collect();
        assert!(matches!(of[..], [line] if line.contains("(n5 ")), "{shown}");
    }
}

#[test]
fn a_sampled_span_counts_as_many_as_it_stands_for() {
    let mut table = table(|_| {});
    let mut sampled = span("x", 1, 4_000_000, &[]);
    sampled.trace_state = "a=b,ot=th:e;rv:123".to_owned();
    let mut third = span("x", 1, 4_000_000, &[]);
    third.trace_state = "ot=th:8aaaaaaaaaaaaa".to_owned();
    let size = (sampled.encoded_len() * 2 + third.encoded_len() * 10) as u64;
    let spans = [vec![sampled; 2], vec![third; 10]].concat();
    table.observe(&request("shop", spans), at(1));
    let series = &table.snapshot().series[0];
    // 2 x 8, and 10 x 2.18.
    assert_eq!((series.figures.calls, series.figures.count()), (37, 37));
    assert_eq!((series.figures.size, table.totals().spans), (size, 12));
}

fn http(route: &str, status: &str, nanos: i64) -> Span {
    let attributes = [("http.route", route), ("http.request.method", "GET")];
    let mut span = span(&format!("GET {route}"), 2, nanos, &attributes);
    span.attributes.push(attribute("http.response.status_code", status));
    span.trace_id = vec![1; 16];
    span.span_id = nanos.to_be_bytes().to_vec();
    span
}

#[test]
fn operations_have_outcomes_thresholds_and_windows() {
    let mut table = table(|config| {
        let threshold = Duration::from_millis(300);
        let (service, operation) = ("shop".to_owned(), "/pay".to_owned());
        config.thresholds.operations = vec![config::Threshold { service, operation, threshold }];
    });
    let (mut derived, mut kept) = (Derived::default(), Kept::default());
    let mut internal = http("/pay", "500", 9_000_000_000);
    internal.kind = 1;
    let mut grpc = span("pkg.Shop/Buy", 2, 2_000_000_001, &[("rpc.method", "pkg.Shop/Buy")]);
    grpc.attributes.push(attribute("rpc.grpc.status_code", "14"));
    let spans = vec![
        http("/pay", "200", 300_000_000),
        http("/pay", "404", 301_000_000),
        http("/pay", "503", 700_000_000),
        http("/healthz", "200", 1_000_000),
        internal,
        grpc,
    ];
    step((&mut derived, &mut kept), &mut table, at(1), &request("shop", spans));
    let one = request("shop", vec![http("/pay", "200", 20_000_000)]);
    step((&mut derived, &mut kept), &mut table, at(6), &one);
    step((&mut derived, &mut kept), &mut table, at(11), &request("shop", Vec::new()));
    let text = metrics(&table, Format::Text);
    let exceeded = r#"sidelight_operation_threshold_exceeded_total{job="shop",service_name="shop",operation_name="/pay",threshold="0.3"} 2"#;
    assert!(text.contains(exceeded), "{text}");
    assert!(text.contains("sidelight_route_excluded{http_route=\"/healthz\"} 1"), "{text}");
    assert!(!text.contains(r#"operation_name="/healthz",threshold"#), "{text}");
    expect![[r#"
        sidelight_operation_duration_max_seconds{job=shop,operation_name=/healthz,service_name=shop} 0.001@005000
        sidelight_operation_duration_max_seconds{job=shop,operation_name=/pay,service_name=shop} 0.7000000000000001@005000 0.02@010000
        sidelight_operation_duration_max_seconds{job=shop,operation_name=pkg.Shop/Buy,service_name=shop} 2.000000001@005000
        sidelight_operation_duration_min_seconds{job=shop,operation_name=/healthz,service_name=shop} 0.001@005000
        sidelight_operation_duration_min_seconds{job=shop,operation_name=/pay,service_name=shop} 0.3@005000 0.02@010000
        sidelight_operation_duration_min_seconds{job=shop,operation_name=pkg.Shop/Buy,service_name=shop} 2.000000001@005000
        sidelight_operation_duration_seconds{job=shop,operation_name=/healthz,outcome=ok,service_name=shop} Classic (n0 sumSome(0.0) [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0] [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@000000 (n1 sumSome(0.001) [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0] [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@005000
        sidelight_operation_duration_seconds{job=shop,operation_name=/pay,outcome=error,service_name=shop} Classic (n0 sumSome(0.0) [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0] [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@000000 (n1 sumSome(0.7000000000000001) [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0] [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0])@005000
        sidelight_operation_duration_seconds{job=shop,operation_name=/pay,outcome=ok,service_name=shop} Classic (n0 sumSome(0.0) [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0] [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@000000 (n2 sumSome(0.601) [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0] [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0])@005000 (n3 sumSome(0.621) [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0] [0, 0, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0])@010000
        sidelight_operation_duration_seconds{job=shop,operation_name=pkg.Shop/Buy,outcome=error,service_name=shop} Classic (n0 sumSome(0.0) [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0] [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@000000 (n1 sumSome(2.000000001) [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0] [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0])@005000
        sidelight_operation_threshold_exceeded_total{job=shop,operation_name=/pay,service_name=shop,threshold=0.3} 0@000000 2@005000
        sidelight_operation_threshold_exceeded_total{job=shop,operation_name=pkg.Shop/Buy,service_name=shop,threshold=2} 0@000000 1@005000
    "#]].assert_eq(&only(&mut kept, "sidelight_operation"));
}

#[test]
fn http_metrics_are_made_of_spans_unless_another_source_has_them() {
    let mut table = table(|_| {});
    let (mut derived, mut kept) = (Derived::default(), Kept::default());
    let spans = vec![http("/pay", "200", 300_000_000), http("/pay", "200", 40_000_000)];
    table.observe(&request("shop", spans), at(1));
    for (second, admitted) in [(5, true), (10, false)] {
        let received_ms = i64::try_from(at(second).0 / 1_000_000).unwrap();
        derived.sample(&mut kept, &mut table, received_ms, &mut |family, resource| {
            assert_eq!(resource.service(), b"shop");
            family != super::derived::Family::Http || admitted
        });
    }
    expect![[r#"
        http_server_request_duration_seconds{http_request_method=GET,http_response_status_code=200,http_route=/pay,job=shop,service_name=shop} Classic (n0 sumSome(0.0) [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0] [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@000000 (n2 sumSome(0.34) [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0] [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])@005000 stale@010000
    "#]].assert_eq(&only(&mut kept, "http_server"));
}

#[test]
fn exemplars_of_a_window_are_few_and_have_the_slowest_and_a_failed_one() {
    let mut table = table(|_| {});
    let (mut derived, mut kept) = (Derived::default(), Kept::default());
    let spans = (1..100).map(|i| http("/pay", "200", i * 37 % 100 * 1_000_000)).collect();
    step((&mut derived, &mut kept), &mut table, at(1), &request("shop", spans));
    for seconds in [6, 11, 16] {
        step((&mut derived, &mut kept), &mut table, at(seconds), &request("shop", Vec::new()));
    }
    let shown = only(&mut kept, "traces_spanmetrics_latency");
    let exemplars: Vec<_> = shown.lines().filter(|line| line.starts_with("  #")).collect();
    assert_eq!(exemplars.len(), 3, "{shown}");
    assert!(exemplars[0].contains(&"01".repeat(16)) && exemplars[0].contains("0.099"), "{shown}");
}

#[test]
fn what_another_source_said_meanwhile_is_not_said_when_spans_are_the_source_again() {
    let mut table = table(|_| {});
    let (mut derived, mut kept) = (Derived::default(), Kept::default());
    let rounds = [(6, 2, true), (11, 50, false), (16, 50, false), (21, 1, true), (26, 0, true)];
    for (seconds, spans, admitted) in rounds {
        let spans = vec![http("/pay", "200", 9_000_000_000); spans];
        table.observe(&request("shop", spans), at(seconds - 2));
        let received_ms = i64::try_from(at(seconds).0 / 1_000_000).unwrap();
        derived.sample(&mut kept, &mut table, received_ms, &mut |_, _| admitted);
        // A restart between any two says no more.
        let (mut rows, mut sampled) = (Vec::new(), Vec::new());
        table.encode(&mut rows);
        derived.encode(&mut sampled);
        table = Table::decode(Config::default(), &rows).unwrap();
        if !admitted {
            derived = Derived::decode(&sampled);
        }
    }
    let shown = only(&mut kept, "");
    for family in ["http_server", "sidelight_operation_duration_seconds"] {
        let of = shown.lines().find(|line| line.starts_with(family)).unwrap();
        let counts: Vec<_> = of.match_indices("(n").map(|(at, _)| &of[at + 2..at + 4]).collect();
        assert_eq!(counts, ["0 ", "2 ", "0 ", "1 "], "{of}");
    }
    let exceeded = shown.lines().find(|line| line.contains("_exceeded_total")).unwrap();
    assert!(exceeded.ends_with("0@015000 1@020000"), "{exceeded}");
    assert!(metrics(&table, Format::Text).contains("outcome=\"ok\"} 103"));
}

#[test]
fn a_sample_that_the_store_refuses_is_counted() {
    let mut kept = Kept::default();
    for (seconds, expected) in [(100, 0), (50, 3)] {
        let mut table = table(|config| config.routes_exclude = Default::default());
        let mut derived = Derived::default();
        table.observe(&request("shop", vec![span("x", 1, 1_000_000, &[])]), at(1));
        step((&mut derived, &mut kept), &mut table, at(seconds), &[]);
        let refused = derived.take_refused();
        let samples: u64 = refused.iter().map(|(_, samples)| samples).sum();
        assert_eq!(samples, expected, "{refused:?}");
    }
}

#[test]
fn every_series_has_an_exemplar_before_any_has_two_and_each_its_turn() {
    let mut table = table(|_| {});
    let mut first = Vec::new();
    for window in 0..4 {
        let spans = ["/a", "/b", "/c"]
            .map(|route| [5, 9, 7].map(|millis| http(route, "200", millis * 1_000_000)).to_vec());
        table.observe(&request("shop", spans.concat()), at(1));
        let mut taken = Vec::new();
        let max = if window == 3 { 4 } else { 2 };
        table.take_exemplars((window, max), |row, exemplar| taken.push((row, exemplar.nanos)));
        assert_eq!(taken.len(), max);
        assert!(taken.iter().take(3).all(|(_, nanos)| *nanos == 9_000_000), "{taken:?}");
        first.push(taken[0].0);
    }
    assert_eq!(first, [1, 3, 2, 1]);
}

#[test]
fn a_table_without_a_beginning_begins_at_its_first_record() {
    let mut table = Table::new(Config::default(), UnixNano(0));
    table.observe(&request("shop", vec![span("x", 1, 1, &[])]), at(5));
    table.observe(&request("shop", vec![span("x", 1, 1, &[])]), at(9));
    assert_eq!((table.started(), table.snapshot().series[0].created), (at(5), at(5)));
}

#[test]
fn a_flood_of_distinct_labels_stays_within_the_limits() {
    let mut table = table(|config| config.dimensions = vec!["d".to_owned()]);
    for i in 0..2_000_u64 {
        let label = format!("{i}-{}", "x".repeat(300));
        let spans = (0..10)
            .map(|kind| {
                let mut span =
                    span(&label, kind % 6, 1, &[("d", &label), ("peer.service", &label)]);
                span.trace_id = [i.to_be_bytes(), [kind as u8 + 1; 8]].concat();
                span.span_id = vec![1; 8];
                span.parent_span_id = vec![2; 8];
                span
            })
            .collect();
        // Every service once; the clock stands still, so nothing expires.
        table.observe(&request(&label, spans), at(1));
    }
    let totals = table.totals();
    assert_eq!((table.series(), totals.spans), (5_000, 20_000));
    // Six series each of 833 services and two more, which have four of their ten spans.
    assert_eq!((totals.overflow_series, totals.overflow_service), (11_666, 0));
    assert_eq!((table.graph().waiting(), table.graph().totals().early), (10_000, 2_000));
}

#[test]
fn a_checkpoint_of_the_first_version_gives_its_totals() {
    let mut bytes = vec![1];
    for number in [START.0, START.0, at(9).0, START.0, 12, 1, 2, 3, 4] {
        codec::put(&mut bytes, number);
    }
    bytes.extend_from_slice(b"rows without a resource");
    let table = Table::decode(Config::default(), &bytes).unwrap();
    assert_eq!((table.started(), table.series()), (START, 0));
    assert_eq!((table.totals().spans, table.totals().expired), (12, 4));
    let mut derived = Vec::new();
    codec::put(&mut derived, at(9).0 / 1_000_000);
    let derived: Derived<usize> = Derived::decode(&derived);
    assert!(!derived.is_due(i64::try_from(at(9).0 / 1_000_000).unwrap()));
}

/// A few services that call each other, with samples and other things in between.
fn any_traffic() -> Vec<(Vec<u8>, UnixNano)> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut waiting: Vec<Span> = Vec::new();
    (0..300_u64)
        .map(|i| {
            let trace = i.to_be_bytes().repeat(2);
            let mut client = http("/out", "200", random.i64(1..3_000_000_000));
            (client.kind, client.trace_id) = (3, trace.iter().map(|byte| byte ^ 0x55).collect());
            client.attributes.push(attribute("server.address", &format!("host-{}", i % 7)));
            client.trace_state = ["", "ot=th:aaaaaaaaaaaaa"][random.usize(0..2)].to_owned();
            let mut server = http("/in", ["200", "500"][random.usize(0..2)], 5_000_000);
            server.trace_id.clone_from(&client.trace_id);
            server.parent_span_id.clone_from(&client.span_id);
            waiting.push(server);
            let ready = if random.bool() { std::mem::take(&mut waiting) } else { Vec::new() };
            let both = [request("front", vec![client]), request("back", ready)].concat();
            (both, at(i * 7 / 10))
        })
        .collect()
}

#[test]
fn a_process_killed_between_checkpoints_samples_the_same_when_it_reads_again() {
    let traffic = any_traffic();
    let run = |checkpoint: usize, killed: usize| {
        let mut table = table(|_| {});
        let (mut derived, mut kept) = (Derived::default(), Kept::default());
        let mut state = (Vec::new(), Vec::new());
        let mut live = traffic.iter().enumerate();
        for (at, (bytes, received)) in live.by_ref().take(killed) {
            if at == checkpoint {
                table.encode(&mut state.0);
                derived.encode(&mut state.1);
            }
            step((&mut derived, &mut kept), &mut table, *received, bytes);
        }
        if !state.0.is_empty() {
            table = Table::decode(Config::default(), &state.0).unwrap();
            derived = Derived::decode(&state.1);
            live = traffic.iter().enumerate();
            live.by_ref().take(checkpoint).for_each(drop);
        }
        for (_, (bytes, received)) in live {
            step((&mut derived, &mut kept), &mut table, *received, bytes);
        }
        only(&mut kept, "")
            .lines()
            .filter(|line| !line.starts_with("  #"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let whole = run(usize::MAX, traffic.len());
    assert!(whole.contains("traces_service_graph_request_total{client=front,server=back}"));
    for (checkpoint, killed) in [(1, 2), (40, 41), (57, 140), (200, 299)] {
        assert!(run(checkpoint, killed) == whole, "{checkpoint} {killed}");
    }
}
