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
    let calls: Vec<_> = text.lines().filter(|line| line.contains("_calls")).collect();
    expect![[r#"
        # HELP traces_spanmetrics_calls Spans received since the agent started.
        # TYPE traces_spanmetrics_calls counter
        traces_spanmetrics_calls_total{service="shop",span_name="GET /cart/{id}",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_UNSET",http_route="/cart/{id}",http_request_method="GET"} 3
        traces_spanmetrics_calls_created{service="shop",span_name="GET /cart/{id}",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_UNSET",http_route="/cart/{id}",http_request_method="GET"} 1700000000.000000000
        traces_spanmetrics_calls_total{service="shop",span_name="GET /cart/{id}",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_ERROR",http_route="/cart/{id}",http_request_method="GET"} 1
        traces_spanmetrics_calls_created{service="shop",span_name="GET /cart/{id}",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_ERROR",http_route="/cart/{id}",http_request_method="GET"} 1700000000.000000000"#]]
    .assert_eq(&calls.join("\n"));
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
    assert_eq!((series.figures.calls, series.figures.count), (3, 2));
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
    expect![[r#"{"schema_version":1,"started_unix_seconds":1700000000.0,"routes":[{"service":"shop","span_name":"x","span_kind":"SPAN_KIND_INTERNAL","status_code":"STATUS_CODE_UNSET","http_route":"","http_request_method":"","calls":1,"latency_seconds":{"sum":1.0,"min":1.0,"max":1.0,"p50":1.0,"p95":1.0,"p99":1.0}}],"overflow":null}"#]]
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

#[test]
fn the_store_gets_the_table_as_it_was_at_each_multiple_of_15_seconds() {
    let mut table = table(|_| {});
    let (mut derived, mut kept) = (Derived::default(), Kept::default());
    let mut step = |seconds: u64, table: &mut Table, spans: usize| {
        let received_ms = i64::try_from(seconds * 1_000).unwrap();
        if derived.is_due(received_ms) {
            derived.sample(&mut kept, table, received_ms);
        }
        table.observe(&request("shop", vec![span("x", 2, 3_000_000, &[]); spans]), at(seconds));
        (derived.is_due(received_ms), kept.show())
    };
    step(100, &mut table, 2);
    step(104, &mut table, 1);
    step(106, &mut table, 4); // sees 105: three spans
    for unchanged in [121, 140, 151] {
        step(unchanged, &mut table, 0);
    }
    // A minute after the last, the same is said again.
    let (due, shown) = step(185, &mut table, 0);
    assert!(!due);
    expect![[r#"
        traces_spanmetrics_calls_total{service=shop,service_name=shop,span_kind=SPAN_KIND_SERVER,span_name=x,status_code=STATUS_CODE_UNSET} 0@90000 3@105000 7@120000 7@180000
        traces_spanmetrics_latency{service=shop,service_name=shop,span_kind=SPAN_KIND_SERVER,span_name=x,status_code=STATUS_CODE_UNSET} Classic (n0 sumSome(0.0) [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384] [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@90000 (n3 sumSome(0.009000000000000001) [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384] [0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@105000 (n7 sumSome(0.021) [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384] [0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@120000 (n7 sumSome(0.021) [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384] [0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@180000
    "#]].assert_eq(&shown);
}

#[test]
fn a_series_that_the_table_lets_go_ends_in_the_store_and_begins_again() {
    let mut table = table(|config| config.series_ttl = Duration::from_secs(30));
    let (mut derived, mut kept) = (Derived::default(), Kept::default());
    for (seconds, name) in [(10, "a"), (20, "b"), (50, "b"), (80, "b"), (90, "a"), (110, "b")] {
        let received_ms = i64::try_from(seconds * 1_000).unwrap();
        derived.sample(&mut kept, &table, received_ms);
        table.observe(&request("shop", vec![span(name, 2, 3_000_000, &[])]), at(seconds));
        table.expire();
    }
    kept.ids.retain(|labels, _| labels.starts_with("traces_spanmetrics_calls"));
    expect![[r#"
        traces_spanmetrics_calls_total{service=shop,service_name=shop,span_kind=SPAN_KIND_SERVER,span_name=a,status_code=STATUS_CODE_UNSET} 0@0 1@15000 stale@75000 0@90000 1@105000
        traces_spanmetrics_calls_total{service=shop,service_name=shop,span_kind=SPAN_KIND_SERVER,span_name=b,status_code=STATUS_CODE_UNSET} 0@30000 1@45000 2@75000 3@90000
    "#]].assert_eq(&kept.show());
}

#[test]
fn the_table_goes_on_where_a_checkpoint_left_it() {
    let config = Config { series_max: 3, ..Config::default() };
    let mut whole = Table::new(config, START);
    let mut first = Table::new(config, START);
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
    let mut second = Table::decode(config, &state).unwrap();
    requests(23, 40).for_each(|(bytes, received)| second.observe(&bytes, received));
    assert_eq!(metrics(&second, Format::Text), metrics(&whole, Format::Text));
    for cut in 0..state.len() {
        assert!(Table::decode(config, &state[..cut]).is_none(), "{cut} of {}", state.len());
    }
    // With fewer series allowed, what has no row any more is in the overflow.
    let fewer = Table::decode(Config { series_max: 1, ..config }, &state).unwrap().snapshot();
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
            prop_assert_eq!((series.figures.calls, series.figures.count), (*calls, *count));
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
