//! HTTP servers that tell their durations in exponential histograms.

use otlp::exponential_histogram_data_point::Buckets;

use super::*;

fn exponential(count: u64) -> otlp::Metric {
    // 64 to 128 ms.
    exponential_at(0, 6, count)
}

/// All that was counted is in the bucket at `offset` of `scale`.
fn exponential_at(scale: i32, offset: i32, count: u64) -> otlp::Metric {
    let point = otlp::ExponentialHistogramDataPoint {
        count,
        sum: Some(100.0 * count as f64),
        scale,
        positive: Some(Buckets { offset, bucket_counts: vec![count] }),
        start_time_unix_nano: START * 1_000_000,
        attributes: vec![
            text("http.route", "/a"),
            attribute("http.status_code", any_value::Value::IntValue(429)),
        ],
        ..otlp::ExponentialHistogramDataPoint::default()
    };
    let histogram =
        otlp::ExponentialHistogram { data_points: vec![point], aggregation_temporality: 2 };
    let data = Some(otlp::metric::Data::ExponentialHistogram(histogram));
    let name = "http.server.duration".to_owned();
    otlp::Metric { name, unit: "ms".to_owned(), data, ..otlp::Metric::default() }
}

#[test]
fn an_older_exponential_histogram_is_converted_as_one_with_bounds_is() {
    let mut seen = Seen::new();
    seen.at(1, Signal::Metrics, metrics_of("a", vec![exponential(10)]));
    seen.at(11, Signal::Metrics, metrics_of("a", vec![exponential(30)]));
    seen.check(
        15,
        &["http_server", "sidelight_http"],
        &expect![[r#"
        http_server_request_duration_seconds{http_response_status_code=429,http_route=/a} 30 recorded
        sidelight_http_rate_limited_total{http_route=/a} 30"#]],
    );
    let shown = seen.kept.show();
    let line = shown.lines().find(|line| line.starts_with("http_server")).unwrap();
    // Of the bucket that 75 ms are in, 64 to 128 ms, all.
    let counts = "[0, 0, 0, 0, 30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]";
    assert!(line.contains("(n30 sumSome(3.0)") && line.contains(counts), "{line}");
}

#[test]
fn a_histogram_that_gets_coarser_counts_no_request_again() {
    let mut seen = Seen::new();
    // 103 to 108 ms; then the bucket around it, which 100 ms are in as well; then one request more.
    let exports = [(1, 4, 107, 5), (11, 3, 53, 5), (21, 3, 53, 6)];
    for (at, scale, offset, count) in exports {
        let metric = exponential_at(scale, offset, count);
        seen.at(at, Signal::Metrics, metrics_of("a", vec![metric]));
    }
    seen.at(26, Signal::Metrics, Bytes::new());
    let shown = seen.kept.show();
    let line = shown.lines().find(|line| line.starts_with("http_server")).unwrap();
    let counts = line.split("(n").skip(1).map(|s| s.split(' ').next().unwrap());
    assert_eq!(counts.collect::<Vec<_>>().join(" "), "0 5 5 6", "{line}");
    let counts = "[0, 0, 0, 0, 0, 1, 5, 0, 0, 0, 0, 0, 0, 0, 0]";
    assert!(line.contains(counts), "{line}");
}

#[test]
fn a_metric_of_a_type_that_says_nothing_does_not_silence_spans() {
    let mut seen = Seen::new();
    for name in ["http.server.duration", "http.server.request.duration"] {
        seen.at(1, Signal::Metrics, metrics_of("a", vec![gauge(name, 1.0, Vec::new())]));
    }
    let labels = [("job", "shop"), ("instance", "a"), ("service_name", "shop")];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert!(seen.domain.admits(SpanFamily::Http, &labels));
    seen.at(2, Signal::Metrics, metrics_of("a", vec![exponential(1)]));
    assert!(!seen.domain.admits(SpanFamily::Http, &labels));
}
