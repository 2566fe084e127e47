//! Retries: how many attempts an operation takes and why, and how long it waits between them.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Histogram};
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span};

use crate::backoff::Backoff;
use crate::current::Current;
use crate::entry::{Detail, Entry};
use crate::family::{Each, Family, sorted};
use crate::meter::{Cell, Instruments};
use crate::names;
use crate::outcome::{OTHER, Outcome};
use crate::probe::Ends;
use crate::settings::settings;

const PAIRS_MAX: usize = 64;
/// Of one operation that was counted elsewhere.
const WAITS_TOLD_MAX: u32 = 100;

/// How an attempt ended: attribute `attempt.result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Retry,
    Exhausted,
    Permanent,
}

impl Ended {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Exhausted => "exhausted",
            Self::Permanent => "permanent",
        }
    }
}

/// An operation that is tried more than once.
///
/// ```
/// use sidelight::Retry;
/// use std::time::Duration;
///
/// static CHAT: Retry = Retry::new("llm.chat");
///
/// let mut attempts = CHAT.start();
/// attempts.retry("rate_limited", Duration::from_millis(500)); // one failed; this long until the next
/// attempts.corrected("prompt_too_long"); // the next one asks for something else
/// attempts.succeeded();
/// ```
///
/// Metrics, by `operation.name`: `sidelight.retry.attempts` by `reason` and `attempt.result` (success, retry, exhausted,
/// permanent), `.operation.retries` by `outcome`, `.backoff.duration` (s) by `reason` and `retry.attempt` (0 to 9, 10+),
/// `.corrections` by `reason`.
///
/// Cost (`benches/handles.rs`): 36 ns an attempt. No allocation but for a reason that is new. Limits: 64 pairs of reason and
/// result an operation, other reasons are `_OTHER`.
#[derive(Debug)]
pub struct Retry {
    name: &'static str,
    spans: bool,
    detail: Detail,
    on: AtomicBool,
    cell: Cell<Bound>,
}

struct Bound {
    fixed: [KeyValue; 1],
    succeeded: BoundCounter<u64>,
    attempts: Counter<u64>,
    failed: Family<2, BoundCounter<u64>>,
    backoffs: Histogram<f64>,
    waits: Family<2, BoundHistogram<f64>>,
    corrections: Counter<u64>,
    corrected: Family<1, BoundCounter<u64>>,
    retries: Histogram<f64>,
    ended: Each<4, BoundHistogram<f64>>,
}

impl Retry {
    /// Defines an operation that is tried more than once.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        let (detail, on) = (Detail::NONE, AtomicBool::new(true));
        Self { name, spans: false, detail, on, cell: Cell::new() }
    }

    /// Gives each attempt that [`run`](Self::run) and [`run_blocking`](Self::run_blocking) make a span: of the operation's
    /// name, with `http.request.resend_count` from the second attempt on, and `error.type` where it failed.
    ///
    /// ```
    /// static STOCK: sidelight::Retry = sidelight::Retry::new("stock.fetch").spans();
    /// # _ = STOCK.name();
    /// ```
    #[must_use]
    pub const fn spans(mut self) -> Self {
        self.spans = true;
        self
    }

    settings!("operations", "Retry", "Retry::new(\"stock.fetch\")");

    /// Starts one, before its first attempt.
    pub fn start(&self) -> Attempts<'_> {
        Attempts {
            retry: self,
            retries: 0,
            outcome: Some(Outcome::Cancelled),
            panicking: std::thread::panicking(),
        }
    }

    /// Records one whose retries were counted elsewhere, and the time they waited in all: as long each, since nobody says
    /// otherwise, and without a reason. Of the waits the first 100 are told.
    ///
    /// ```
    /// use sidelight::{Outcome, Retry};
    /// use std::time::Duration;
    ///
    /// static UPLOAD: Retry = Retry::new("upload");
    ///
    /// UPLOAD.record(Outcome::Ok, 2, Duration::from_secs(3)); // the third attempt succeeded, after waits of 3 s in all
    /// ```
    pub fn record(&self, outcome: Outcome, retries: u32, waited: Duration) {
        self.with(|bound| {
            let told = retries.min(WAITS_TOLD_MAX);
            (0..told).for_each(|retry| bound.wait("", retry, waited / retries));
            if retries > 0 {
                bound.failed("", Ended::Retry, retries);
            }
            match outcome {
                Outcome::Ok => bound.succeeded.add(1),
                Outcome::Error => bound.failed("", Ended::Exhausted, 1),
                Outcome::Panic | Outcome::Cancelled => {}
            }
        });
        self.ended(outcome, retries);
    }

    /// Calls until it succeeds, `again` gives no reason to, or `backoff` has no more retries. Waits by tokio's timer. What is
    /// sent by `http::client` meanwhile has the number of the retry in its span.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// use sidelight::{Backoff, Retry};
    /// use std::time::Duration;
    ///
    /// static STOCK: Retry = Retry::new("stock.fetch");
    ///
    /// let mut answers = [Err("busy"), Ok(7)].into_iter();
    /// let stock = STOCK
    ///     .run(
    ///         &Backoff::new(Duration::from_millis(1)),
    ///         || std::future::ready(answers.next().unwrap()),
    ///         |error| (*error == "busy").then_some("busy"),
    ///     )
    ///     .await;
    /// assert_eq!(stock, Ok(7));
    /// # });
    /// ```
    ///
    /// # Errors
    /// That of the last attempt.
    ///
    /// # Panics
    /// Where it has to wait outside of a tokio runtime that has its timer enabled, as tokio's own `sleep` does.
    pub async fn run<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        backoff: &Backoff,
        mut call: impl FnMut() -> F,
        again: impl Fn(&E) -> Option<&'static str>,
    ) -> Result<T, E> {
        let mut attempts = self.start();
        loop {
            let mut attempt = self.attempt(attempts.retries);
            let span = attempt.span().clone();
            let current = Current::of_retry(attempts.retries);
            let result = current.scope(async { call().await }).instrument(span).await;
            match attempts.judge(result, backoff, &again, &mut attempt) {
                Ok(ended) => return ended,
                Err(wait) => {
                    drop(attempt);
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// The same on a thread that may wait.
    ///
    /// ```
    /// use sidelight::{Backoff, Retry};
    /// use std::time::Duration;
    ///
    /// static STOCK: Retry = Retry::new("stock.fetch");
    ///
    /// let result: Result<u32, &str> = STOCK.run_blocking(
    ///     &Backoff::new(Duration::from_millis(1)),
    ///     || Err("gone"),
    ///     |error| (*error == "busy").then_some("busy"), // nothing else is worth another attempt
    /// );
    /// assert_eq!(result, Err("gone"));
    /// ```
    ///
    /// # Errors
    /// That of the last attempt.
    #[expect(clippy::disallowed_methods, reason = "waiting between attempts is what it is for")]
    pub fn run_blocking<T, E>(
        &self,
        backoff: &Backoff,
        mut call: impl FnMut() -> Result<T, E>,
        again: impl Fn(&E) -> Option<&'static str>,
    ) -> Result<T, E> {
        let mut attempts = self.start();
        loop {
            let mut attempt = self.attempt(attempts.retries);
            let span = attempt.span().clone();
            let current = Current::of_retry(attempts.retries).enter();
            let result = span.in_scope(&mut call);
            drop(current);
            match attempts.judge(result, backoff, &again, &mut attempt) {
                Ok(ended) => return ended,
                Err(wait) => {
                    drop((attempt, span));
                    std::thread::sleep(wait);
                }
            }
        }
    }

    /// An attempt's span; it was cancelled unless something else is said.
    fn attempt(&self, retries: u32) -> Ends<Span> {
        let span = if self.spans {
            info_span!(
                target: "sidelight::retry",
                "retry attempt",
                otel.name = self.name,
                otel.status_code = Empty,
                http.request.resend_count = Some(retries).filter(|retries| *retries > 0),
                error.type = Empty,
            )
        } else {
            Span::none()
        };
        let mut ends = Ends::of(span);
        ends.with(Some("cancelled"));
        ends
    }

    /// The time between two attempts.
    pub(crate) fn waited(&self, reason: &str, retry: u32, waited: Duration) {
        self.with(|bound| bound.wait(reason, retry, waited));
    }

    #[inline]
    fn with(&self, then: impl FnOnce(&Bound)) {
        if self.on.load(Ordering::Relaxed) {
            self.cell.with(|instruments| self.bind(instruments), then);
        }
    }

    fn ended(&self, outcome: Outcome, retries: u32) {
        if self.detail.wanted() && self.on.load(Ordering::Relaxed) {
            let (name, outcome) = (self.name, outcome.as_str());
            Entry { family: "retry", name, outcome, duration: None, reason: None }.tell();
        }
        self.with(|bound| {
            let outcomes = [("outcome", outcome.as_str())];
            let bind = || bound.retries.bind(&sorted(&bound.fixed, &outcomes));
            bound.ended.with(outcome as usize, bind, |of| of.record(f64::from(retries)));
        });
    }

    #[cold]
    fn bind(&self, instruments: &Instruments) -> Bound {
        let name = KeyValue::new("operation.name", self.name);
        let attempts = instruments.counter(&names::RETRY_ATTEMPTS);
        Bound {
            succeeded: attempts.bind(&[KeyValue::new("attempt.result", "success"), name.clone()]),
            attempts,
            failed: Family::open(PAIRS_MAX, 0),
            backoffs: instruments.histogram(&names::RETRY_BACKOFF),
            waits: Family::open(PAIRS_MAX, 0),
            corrections: instruments.counter(&names::RETRY_CORRECTIONS),
            corrected: Family::open(PAIRS_MAX, 0),
            retries: instruments.histogram(&names::RETRY_RETRIES),
            ended: Each::new(),
            fixed: [name],
        }
    }
}

impl Bound {
    fn failed(&self, reason: &str, ended: Ended, times: u32) {
        let (labels, values) = (["reason", "attempt.result"], [reason, ended.as_str()]);
        let bind = |attributes: &[KeyValue]| self.attempts.bind(attributes);
        self.failed.get(&self.fixed, &labels, values, bind).add(times.into());
    }

    fn wait(&self, reason: &str, retry: u32, waited: Duration) {
        const NUMBERS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        let number = NUMBERS.get(retry as usize).copied().unwrap_or("10+");
        let bind = |attributes: &[KeyValue]| self.backoffs.bind(attributes);
        let labels = ["reason", "retry.attempt"];
        let waits = self.waits.get(&self.fixed, &labels, [reason, number], bind);
        waits.record(waited.as_secs_f64());
    }
}

/// The attempts of one operation; see [`Retry::start`]. Dropped before it was told the end, it was cancelled.
///
/// ```
/// use sidelight::{Backoff, Retry};
///
/// static SEND: Retry = Retry::new("mail.send");
///
/// fn send(mut once: impl FnMut() -> Result<(), &'static str>) -> Result<(), &'static str> {
///     let backoff = Backoff::new(std::time::Duration::from_millis(1));
///     let mut attempts = SEND.start();
///     loop {
///         match (once(), backoff.wait(attempts.retries())) {
///             (Ok(()), _) => {
///                 attempts.succeeded();
///                 return Ok(());
///             },
///             (Err(reason), Some(wait)) => {
///                 attempts.retry(reason, wait);
///                 std::thread::sleep(wait);
///             }
///             (Err(reason), None) => {
///                 attempts.exhausted(reason);
///                 return Err(reason);
///             }
///         }
///     }
/// }
/// assert_eq!(send(|| Err("busy")), Err("busy"));
/// ```
#[derive(Debug)]
#[must_use = "it records when it is told how attempts ended"]
pub struct Attempts<'a> {
    retry: &'a Retry,
    retries: u32,
    /// How it ends if nothing else is said; `None` once it has.
    outcome: Option<Outcome>,
    panicking: bool,
}

impl Attempts<'_> {
    /// How many attempts failed so far and were followed by another.
    #[must_use]
    pub const fn retries(&self) -> u32 {
        self.retries
    }

    /// An attempt failed; another one follows after a wait. `reason` is one of few words.
    pub fn retry(&mut self, reason: &str, wait: Duration) {
        self.retry.waited(reason, self.retries, wait);
        self.failed(reason);
    }

    /// An attempt failed, and another one follows.
    pub(crate) fn failed(&mut self, reason: &str) {
        self.retry.with(|bound| bound.failed(reason, Ended::Retry, 1));
        self.retries = self.retries.saturating_add(1);
    }

    /// What is asked for was changed before the next attempt: a shorter prompt, a field left out.
    pub fn corrected(&mut self, reason: &str) {
        self.retry.with(|bound| {
            let bind = |attributes: &[KeyValue]| bound.corrections.bind(attributes);
            bound.corrected.get(&bound.fixed, &["reason"], [reason], bind).add(1);
        });
    }

    /// The last attempt succeeded.
    pub fn succeeded(mut self) {
        self.retry.with(|bound| bound.succeeded.add(1));
        self.end(Outcome::Ok);
    }

    /// The last attempt failed, and there are no more.
    pub fn exhausted(mut self, reason: &str) {
        self.gave_up(reason, Ended::Exhausted);
    }

    /// The last attempt failed in a way that no other would mend.
    pub fn permanent(mut self, reason: &str) {
        self.gave_up(reason, Ended::Permanent);
    }

    fn gave_up(&mut self, reason: &str, ended: Ended) {
        self.retry.with(|bound| bound.failed(reason, ended, 1));
        self.end(Outcome::Error);
    }

    fn end(&mut self, outcome: Outcome) {
        self.outcome = None;
        self.retry.ended(outcome, self.retries);
    }

    /// What there is to return, or how long to wait for the next attempt.
    fn judge<T, E>(
        &mut self,
        result: Result<T, E>,
        backoff: &Backoff,
        again: impl Fn(&E) -> Option<&'static str>,
        attempt: &mut Ends<Span>,
    ) -> Result<Result<T, E>, Duration> {
        let error = match result {
            Ok(value) => {
                attempt.with(None);
                self.retry.with(|bound| bound.succeeded.add(1));
                self.end(Outcome::Ok);
                return Ok(Ok(value));
            }
            Err(error) => error,
        };
        let reason = again(&error);
        attempt.with(Some(reason.unwrap_or(OTHER)));
        match (reason, backoff.wait(self.retries)) {
            (Some(reason), Some(wait)) => {
                self.retry(reason, wait);
                return Err(wait);
            }
            (Some(reason), None) => self.gave_up(reason, Ended::Exhausted),
            (None, _) => self.gave_up("", Ended::Permanent),
        }
        Ok(Err(error))
    }
}

impl Drop for Attempts<'_> {
    fn drop(&mut self) {
        if let Some(outcome) = self.outcome {
            let panicked = !self.panicking && std::thread::panicking();
            self.end(if panicked { Outcome::Panic } else { outcome });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captured::capture;

    #[test]
    fn attempts_are_counted_by_how_they_ended() {
        static CALL: Retry = Retry::new("call");
        let captured = capture();
        let backoff = Backoff::new(Duration::from_millis(1)).retries(2);
        let again = |error: &&str| (*error == "busy").then_some("busy");
        let mut answers = ["busy", "busy", "no"].into_iter();
        assert_eq!(
            CALL.run_blocking(&backoff, || Err::<(), _>(answers.next().unwrap()), again),
            Err("no")
        );
        assert_eq!(CALL.run_blocking(&backoff, || Err::<(), _>("busy"), again), Err("busy"));
        assert_eq!(CALL.run_blocking(&backoff, || Ok::<_, &str>(1), again), Ok(1));
        drop(CALL.start());
        let mut corrected = CALL.start();
        corrected.corrected("too_long");
        (0..12).for_each(|_| corrected.retry("busy", Duration::from_secs(1)));
        corrected.succeeded();
        let attempts = captured.of("sidelight.retry.attempts{");
        let of = |rest: &str, value| {
            (format!("sidelight.retry.attempts{{attempt.result={rest}}}"), value)
        };
        assert_eq!(
            attempts,
            [
                of("exhausted,operation.name=call,reason=busy", 1.0),
                of("permanent,operation.name=call", 1.0),
                of("retry,operation.name=call,reason=busy", 16.0),
                of("success,operation.name=call", 2.0),
            ]
        );
        let all = captured.all();
        let waits = |number| {
            let series = format!("operation.name=call,reason=busy,retry.attempt={number}");
            all.get(&format!("sidelight.retry.backoff.duration{{{series}}}")).copied()
        };
        assert_eq!(["0", "1", "2", "9", "10+"].map(waits), [3.0, 3.0, 1.0, 1.0, 2.0].map(Some));
        let ended = |outcome| {
            let series = format!("operation.name=call,outcome={outcome}");
            all.get(&format!("sidelight.retry.operation.retries{{{series}}}")).copied()
        };
        assert_eq!(["ok", "error", "cancelled"].map(ended), [2.0, 2.0, 1.0].map(Some));
        let corrections = "sidelight.retry.corrections{operation.name=call,reason=too_long}";
        assert_eq!(all.get(corrections), Some(&1.0));
    }

    #[test]
    fn retries_that_were_counted_elsewhere_are_attempts_with_a_wait_each() {
        static ELSEWHERE: Retry = Retry::new("elsewhere");
        let captured = capture();
        ELSEWHERE.record(Outcome::Ok, 2, Duration::from_secs(3));
        ELSEWHERE.record(Outcome::Error, 0, Duration::ZERO);
        let of = |name: &str, labels: &str| {
            captured.value(&format!("sidelight.retry.{name}{{{labels}operation.name=elsewhere}}"))
        };
        assert_eq!(of("attempts", "attempt.result=retry,"), 2.0);
        assert_eq!(of("attempts", "attempt.result=success,"), 1.0);
        assert_eq!(of("attempts", "attempt.result=exhausted,"), 1.0);
        for number in ["0", "1"] {
            let wait = format!("operation.name=elsewhere,retry.attempt={number}");
            assert_eq!(captured.value(&format!("sidelight.retry.backoff.duration{{{wait}}}")), 1.0);
        }
    }
}
