//! Several sources of one family, and several senders of one series.

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;

use super::*;

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
fn a_sample_that_another_source_was_before_is_tried_again() {
    let mut seen = Seen::new();
    let logs = &include_bytes!("../testdata/flask-logs.pb")[..];
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
