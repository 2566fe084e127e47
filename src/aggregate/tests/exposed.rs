//! Requests to the rows that `/metrics` and the document show.

use super::*;

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
    expect![[r#"{"schema_version":1,"started_unix_seconds":1700000000.0,"routes":[{"service":"shop","span_name":"x","span_kind":"SPAN_KIND_INTERNAL","status_code":"STATUS_CODE_UNSET","http_route":"","http_request_method":"","http_response_status_code":"","labels":{},"calls":1,"latency_seconds":{"sum":1.0,"min":1.0,"max":1.0,"p50":1.0,"p95":1.0,"p99":1.0}}],"overflow":null}"#]]
    .assert_eq(&table.snapshot().to_json());
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
