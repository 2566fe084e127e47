//! The captures that applications test with.

use std::future::Future as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Waker};
use std::time::Duration;

use sidelight::current::{Current, RequestId};
use sidelight::layer::Span;
use sidelight::testing::{Capture, MetricMatch, capture};
use sidelight::{Cache, CacheKind, Operation, Outcome};

static USERS: Cache = Cache::new("captured.users").kind(CacheKind::Application);

fn of_users(captured: &Capture, result: &str) -> MetricMatch {
    captured
        .metric("sidelight.cache.requests")
        .attr("cache.name", "captured.users")
        .attr("cache.result", result)
}

#[test]
fn a_capture_sees_what_handles_record_and_the_next_begins_anew() {
    let first = capture();
    for key in 0..4 {
        USERS.get(|| (key % 4 != 0).then_some(key));
    }
    of_users(&first, "hit").assert_eq(3);
    of_users(&first, "miss").assert_eq(1);
    drop(first);
    let second = capture();
    of_users(&second, "hit").assert_eq(0);
    USERS.get(|| Some(1));
    of_users(&second, "hit").assert_eq(1);
}

#[test]
fn a_second_capture_of_a_thread_says_that_it_would_wait_for_itself() {
    let first = capture();
    let second = std::panic::catch_unwind(|| drop(capture()));
    let said = *second.unwrap_err().downcast::<&str>().unwrap();
    assert!(said.contains("this thread captures already"), "{said}");
    drop(first);
    drop(capture());
}

#[test]
fn a_failed_assertion_shows_what_was_recorded() {
    let captured = capture();
    USERS.get(|| Some(1));
    let failed =
        catch_unwind(AssertUnwindSafe(|| of_users(&captured, "hit").assert_eq(7))).unwrap_err();
    let message = failed.downcast_ref::<String>().unwrap();
    assert!(message.contains("is 1, not 7") && message.contains("cache.result=hit"), "{message}");
}

#[test]
fn spans_are_found_by_name_attribute_error_and_parent() {
    let captured = capture();
    tracing::info_span!("order.place", id = 7).in_scope(|| {
        let mut charge = Span::start("card.charge");
        charge.fail("timeout");
    });
    captured.span("card.charge").child_of("order.place").has_error("timeout");
    captured.span("order.place").attr("id", "7").assert_count(1);
    captured.span("order.place").child_of("card.charge").assert_count(0);
}

#[test]
fn the_span_of_what_panicked_or_was_cancelled_has_failed() {
    #[sidelight::op("ends.sync")]
    fn panics() {
        panic!("no");
    }
    #[sidelight::op("ends.async", fields(id))]
    async fn waits(id: u32) {
        std::future::pending::<()>().await;
    }
    #[sidelight::op("ends.direct", span = "direct", fields(id = i64::from(id)))]
    async fn direct(id: u32) -> Result<(), std::io::Error> {
        match id {
            0 => std::future::pending().await,
            1 => panic!("no"),
            _ => Ok(()),
        }
    }
    let captured = capture();
    let mut context = Context::from_waker(Waker::noop());
    catch_unwind(panics).unwrap_err();
    assert!(Box::pin(waits(1)).as_mut().poll(&mut context).is_pending());
    for id in 0..3 {
        let poll = || Box::pin(direct(id)).as_mut().poll(&mut Context::from_waker(Waker::noop()));
        _ = catch_unwind(poll);
    }
    captured.span("ends.sync").has_error("panic");
    captured.span("ends.async").has_error("cancelled");
    captured.span("ends.direct").attr("id", "0").has_error("cancelled");
    captured.span("ends.direct").attr("id", "1").has_error("panic");
    captured.span("ends.direct").attr("error.type", "cancelled").assert_count(1);
    captured.span("ends.direct").assert_count(3);
}

#[test]
fn a_span_of_many_slow_operations_is_marked_once() {
    static SLOW: Operation = Operation::new("slow").threshold(Duration::ZERO);
    let captured = capture();
    tracing::info_span!("job").in_scope(|| {
        (0..200).for_each(|_| SLOW.record(Outcome::Ok, Duration::from_secs(1)));
    });
    let job = captured.span("job").attr("sidelight.slow", "true");
    let marks = job.spans()[0].attributes.iter().filter(|of| of.key.as_str() == "sidelight.slow");
    assert_eq!(marks.count(), 1);
}

#[test]
fn log_lines_have_the_request_the_span_and_the_trace() {
    let captured = capture();
    let _request = Current { request_id: RequestId::new("r-1"), ..Current::default() }.enter();
    tracing::info_span!("order.place").in_scope(|| {
        tracing::warn!(target: "shop", order = 7, total = f64::NAN, level = "gold", "placed \"it\"\n");
    });
    let lines = captured.logs_json();
    let line = lines.iter().find(|line| line["target"] == "shop").unwrap();
    let spans = captured.span("order.place");
    let span = &spans.spans()[0].span_context;
    assert_eq!(line["message"], "placed \"it\"\n");
    assert_eq!(
        (&line["order"], &line["total"], &line["field.level"]),
        (&7.into(), &"NaN".into(), &"gold".into())
    );
    assert_eq!((&line["level"], &line["span"]), (&"WARN".into(), &"order.place".into()));
    assert_eq!(line["request_id"], "r-1");
    assert_eq!(line["trace_id"], span.trace_id().to_string());
    assert_eq!(line["span_id"], span.span_id().to_string());
    assert_eq!(line["service.name"], "test");
}

#[test]
fn a_field_that_logs_while_it_is_written_makes_two_lines() {
    struct Chatty;
    impl std::fmt::Display for Chatty {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            tracing::info!(target: "inner", "within");
            f.write_str("chatty")
        }
    }
    let captured = capture();
    tracing::info!(target: "outer", value = %Chatty, "around");
    let lines = captured.logs_json();
    assert!(lines.iter().any(|line| line["target"] == "inner"));
    assert!(lines.iter().any(|line| line["target"] == "outer" && line["value"] == "chatty"));
}

#[test]
fn what_is_captured_does_not_depend_on_what_rust_log_says() {
    let one = "log_lines_have_the_request_the_span_and_the_trace";
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    let ran = again.args(["--exact", one]).env("RUST_LOG", "off").output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
}
