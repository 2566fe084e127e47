//! Retries: spans of attempts, and the policy around tower's.

#![cfg(all(feature = "http", feature = "macros", feature = "retry-tower", feature = "testing"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::future::{Ready, pending, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use sidelight::http::Resend;
use sidelight::testing::Capture;
use sidelight::{Backoff, Outcome, Retry, current};
use tower::retry::{Policy, RetryLayer};
use tower::{Layer, Service, ServiceExt, service_fn};

type Answer = Response<Empty<bytes::Bytes>>;

/// Tries again what a server could not do, so often.
#[derive(Clone)]
struct Again(u32);

impl<E> Policy<Request<()>, Answer, E> for Again {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Request<()>, result: &mut Result<Answer, E>) -> Option<Ready<()>> {
        let failed = result.as_ref().map_or(true, |answer| answer.status().is_server_error());
        self.0 = self.0.checked_sub(u32::from(failed))?;
        failed.then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<()>) -> Option<Request<()>> {
        Some(request.clone())
    }
}

fn attempts(captured: &Capture, result: &str) -> sidelight::testing::MetricMatch {
    captured.metric("sidelight.retry.attempts").attr("attempt.result", result)
}

fn ended(captured: &Capture, outcome: &str) -> sidelight::testing::MetricMatch {
    captured.metric("sidelight.retry.operation.retries").attr("outcome", outcome)
}

#[sidelight::test]
async fn what_towers_policy_decides_is_counted_and_the_request_told(captured: &Capture) {
    static STOCK: Retry = Retry::new("tower.stock");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let stock = service_fn(move |request: Request<()>| {
        let resends = request.extensions().get().map(|Resend(count)| *count);
        let mut told = told.lock().unwrap();
        told.push(resends);
        let mut answer = Answer::default();
        if told.len() < 3 {
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        ready(Ok::<_, Infallible>(answer))
    });
    let policy = STOCK.policy(Again(5)).reason(|_: &Result<Answer, Infallible>| "busy").http();
    let mut stock = RetryLayer::new(policy).layer(stock);
    let asked = || Request::get("/articles/7").body(()).unwrap();
    stock.ready().await.unwrap().call(asked()).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [None, Some(1), Some(2)]);
    attempts(captured, "retry").attr("reason", "busy").assert_eq(2);
    attempts(captured, "success").assert_eq(1);
    ended(captured, "ok").assert_eq(2);
    captured.metric("sidelight.retry.backoff.duration").attr("retry.attempt", "1").assert_count(1);
}

#[sidelight::test]
async fn a_request_that_is_never_answered_well_exhausted_its_attempts(captured: &Capture) {
    static STOCK: Retry = Retry::new("tower.gone");
    let refuse = || service_fn(|_: Request<()>| ready(Err::<Answer, _>("refused")));
    let asked = || Request::get("/").body(()).unwrap();
    let again = RetryLayer::new(STOCK.policy(Again(1))).layer(refuse());
    assert_eq!(again.oneshot(asked()).await.unwrap_err(), "refused");
    attempts(captured, "retry").attr("reason", "_OTHER").assert_eq(1);
    attempts(captured, "exhausted").assert_eq(1);
    let once = RetryLayer::new(STOCK.policy(Again(0))).layer(refuse());
    once.oneshot(asked()).await.unwrap_err();
    attempts(captured, "permanent").assert_eq(1);
    ended(captured, "error").assert_count(2);
}

#[sidelight::test]
async fn a_request_that_is_dropped_between_attempts_was_cancelled(captured: &Capture) {
    static STOCK: Retry = Retry::new("tower.cancelled");
    let answers = Mutex::new(vec![ready(Err::<Answer, _>("refused"))]);
    let once = service_fn(move |_: Request<()>| {
        let answer = answers.lock().unwrap().pop();
        async move {
            match answer {
                Some(answer) => answer.await,
                None => pending().await,
            }
        }
    });
    let once = Arc::new(Mutex::new(once));
    let shared = service_fn(move |request: Request<()>| once.lock().unwrap().call(request));
    let again = RetryLayer::new(STOCK.policy(Again(3))).layer(shared);
    let mut asked = Box::pin(again.oneshot(Request::get("/").body(()).unwrap()));
    assert!(asked.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(asked);
    attempts(captured, "retry").assert_eq(1);
    ended(captured, "cancelled").assert_count(1);
}

#[sidelight::test]
async fn each_attempt_has_a_span_of_its_own_where_that_is_asked_for(captured: &Capture) {
    static CHAT: Retry = Retry::new("chat.ask").spans();
    let backoff = Backoff::new(Duration::from_millis(1)).retries(5);
    let resends = Mutex::new(Vec::new());
    let answer = CHAT
        .run(
            &backoff,
            || async {
                resends.lock().unwrap().push(current::resends());
                match current::resends() {
                    0 | 1 => Err("busy"),
                    _ => Ok(7),
                }
            },
            |_| Some("rate_limited"),
        )
        .await;
    assert_eq!(answer, Ok(7));
    assert_eq!((*resends.lock().unwrap()).as_slice(), [0, 1, 2]);
    assert_eq!(current::resends(), 0);
    let spans = captured.span("chat.ask");
    spans.assert_count(3);
    captured.span("chat.ask").attr("http.request.resend_count", "1").has_error("rate_limited");
    captured.span("chat.ask").attr("http.request.resend_count", "2").assert_count(1);
    captured.span("chat.ask").attr("error.type", "rate_limited").assert_count(2);
}

#[sidelight::test]
fn attempts_that_block_have_spans_too_and_one_that_panics_says_so(captured: Capture) {
    static PRINT: Retry = Retry::new("page.print").spans();
    let backoff = Backoff::new(Duration::from_millis(1)).retries(1);
    let panics = std::panic::catch_unwind(|| {
        PRINT.run_blocking(
            &backoff,
            || match current::resends() {
                0 => Err::<(), _>("jam"),
                _ => panic!("fire"),
            },
            |jam| Some(*jam),
        )
    });
    assert!(panics.is_err());
    captured.span("page.print").attr("error.type", "jam").assert_count(1);
    let second = captured.span("page.print").attr("http.request.resend_count", "1");
    second.has_error("panic");
}

#[sidelight::test]
fn waits_that_were_counted_elsewhere_are_as_long_as_they_were_past_the_first_hundred_too(
    captured: Capture,
) {
    static ELSEWHERE: Retry = Retry::new("elsewhere.long");
    ELSEWHERE.record(Outcome::Ok, 1000, Duration::from_secs(1000));
    let waits = captured.metric("sidelight.retry.backoff.duration");
    waits.assert_count(100);
    waits.assert_eq(100.0);
}
