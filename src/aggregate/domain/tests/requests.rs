//! Spans, metrics and events of our own, and the signals that each is counted in.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;

use super::*;

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
    seen.at(0, Signal::Traces, spans("a", vec![limited(1, "/a", "ot=th:c")]));
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
fn the_greatest_threshold_of_a_sampler_counts_as_the_span_metrics_count_it() {
    let mut seen = Seen::new();
    seen.at(0, Signal::Traces, spans("a", vec![limited(1, "/a", "ot=th:ffffffffffffff")]));
    seen.check(
        80,
        &["sidelight_http"],
        &expect!["sidelight_http_rate_limited_total{http_route=/a} 1000000"],
    );
}
