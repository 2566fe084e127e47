//! Spans that are attempts.

use super::*;

/// Attempt `resends` of the operation of trace `trace`.
fn attempt(trace: u8, resends: i64, failed: bool) -> Vec<u8> {
    let int = any_value::Value::IntValue;
    let status = if failed { 503 } else { 200 };
    let attributes = vec![
        attribute("http.request.resend_count", int(resends)),
        attribute("http.response.status_code", int(status)),
        text("http.request.method", "GET"),
        text("http.route", "pay"),
    ];
    let span = span(resends.to_be_bytes()[7] + 1, 0, 3, attributes);
    spans("a", vec![Span { trace_id: vec![trace; 16], ..span }])
}

#[test]
fn an_operation_whose_attempts_all_fail_is_exhausted_with_its_retries() {
    let mut seen = Seen::new();
    for trace in 1..=25 {
        for resends in 1..=8 {
            seen.at(1, Signal::Traces, attempt(trace, resends, true));
        }
    }
    // Two that succeed in the end.
    for trace in 26..=27 {
        seen.at(1, Signal::Traces, attempt(trace, 1, true));
        seen.at(1, Signal::Traces, attempt(trace, 2, false));
    }
    seen.check(
        5,
        &["sidelight_retry"],
        &expect![[r#"
        sidelight_retry_attempts_total{attempt_result=retry,operation_name=pay,reason=503} 177
        sidelight_retry_attempts_total{attempt_result=success,operation_name=pay} 2
        sidelight_retry_operation_retries{operation_name=pay,outcome=ok} 2 recorded"#]],
    );
    seen.check(
        15,
        &["sidelight_retry"],
        &expect![[r#"
        sidelight_retry_attempts_total{attempt_result=exhausted,operation_name=pay,reason=503} 25
        sidelight_retry_attempts_total{attempt_result=retry,operation_name=pay,reason=503} 177
        sidelight_retry_attempts_total{attempt_result=success,operation_name=pay} 2
        sidelight_retry_operation_retries{operation_name=pay,outcome=error} 25 recorded
        sidelight_retry_operation_retries{operation_name=pay,outcome=ok} 2 recorded"#]],
    );
    let shown = seen.kept.show();
    let failed = |line: &&str| line.contains("outcome=error");
    let line = shown.lines().find(failed).unwrap();
    // More than 5 retries, which is what ExcessiveRetries asks for.
    assert!(line.contains("[0.0, 1.0, 2.0, 3.0, 5.0, 10.0] [0, 0, 0, 0, 0, 25, 0]"), "{line}");
}
