//! Spans that are attempts.

use opentelemetry_proto::tonic::trace::v1::Status;

use super::retries::Became;
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

#[test]
fn a_checkpoint_between_two_attempts_does_not_end_their_operation() {
    let mut seen = Seen::new();
    seen.at(1, Signal::Traces, attempt(1, 1, true));
    seen.domain.encode();
    seen.at(3, Signal::Traces, attempt(1, 2, false));
    // The agent stops before there is another.
    seen.at(4, Signal::Traces, attempt(2, 1, true));
    assert!(seen.domain.flush() && !seen.domain.flush());
    seen.check(
        9,
        &["sidelight_retry_attempts"],
        &expect![[r#"
        sidelight_retry_attempts_total{attempt_result=exhausted,operation_name=pay,reason=503} 1
        sidelight_retry_attempts_total{attempt_result=retry,operation_name=pay,reason=503} 1
        sidelight_retry_attempts_total{attempt_result=success,operation_name=pay} 1"#]],
    );
}

#[test]
fn what_waits_is_no_longer_than_what_is_shown_of_it() {
    let mut seen = Seen::new();
    let long = "x".repeat(100_000);
    let resends = || attribute("http.request.resend_count", any_value::Value::IntValue(1));
    let attempt = |id, failed: bool| {
        let mut of = span(id, 0, 3, vec![resends(), text("http.route", &long)]);
        if failed {
            of.attributes.push(text("error.type", &long));
            of.status = Some(Status { code: 2, ..Status::default() });
        }
        of
    };
    let mut asked = lookup(3, 0);
    asked.attributes[0] = text("sidelight.cache.name", &long);
    // An id that is none waits for no other attempt.
    let nameless = Span { trace_id: vec![7; 100_000], ..attempt(4, true) };
    seen.at(1, Signal::Traces, spans("a", vec![attempt(1, true), asked, nameless]));
    let waiting = seen.domain.retries.flush();
    let [Became::GaveUp(one)] = &*waiting else { panic!("{waiting:?}") };
    assert_eq!(one.operation.len(), 1_024);
    assert!(one.reason.capacity() < 1_000);
    let lookups = seen.domain.traces.flush();
    assert_eq!(lookups.iter().map(|(of, _)| of.name.len()).collect::<Vec<_>>(), [1_024]);
    // The attempt after one that failed is found by what is kept of its name.
    seen.at(2, Signal::Traces, spans("a", vec![attempt(1, true)]));
    seen.at(3, Signal::Traces, spans("a", vec![attempt(2, false)]));
    assert_eq!(seen.domain.retries.flush().len(), 0);
}
