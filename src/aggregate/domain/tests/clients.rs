//! Requests that real clients sent.

use super::*;

#[test]
fn flask_without_code_of_ours_has_routes_and_errors_in_seconds() {
    let mut seen = Seen::new();
    seen.at(0, Signal::Metrics, &include_bytes!("../testdata/flask-stock-metrics.pb")[..]);
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
    seen.at(0, Signal::Traces, &include_bytes!("../testdata/fastapi-traces.pb")[..]);
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
    seen.at(0, Signal::Metrics, &include_bytes!("../testdata/flask-metrics.pb")[..]);
    seen.at(1, Signal::Traces, &include_bytes!("../testdata/flask-traces.pb")[..]);
    seen.at(2, Signal::Logs, &include_bytes!("../testdata/flask-logs.pb")[..]);
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
