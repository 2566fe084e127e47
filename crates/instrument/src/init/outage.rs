//! What was not delivered: counted by signal and reason, and told in one log line per five minutes, and another where an outage
//! begins within them.
//!
//! The line goes through `tracing` from the thread that exports; that thread's telemetry is suppressed, so the line reaches
//! the application's own output but is not itself exported.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

use super::signal::{PerSignal, Signal};
use crate::names::EXPORT_DROPPED;

/// Between two lines about one signal, but for the first of an outage.
const BETWEEN_LINES: Duration = Duration::from_secs(300);

/// How many records of one signal went where.
///
/// ```
/// let counts = sidelight::init::Counts::default();
/// assert_eq!(counts.delivered + counts.queue_full + counts.failed, 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Handed over: spans, log records, or requests of metrics.
    pub delivered: u64,
    /// Dropped because the queue to the exporter was full.
    pub queue_full: u64,
    /// Dropped because the endpoint refused them, or could not be reached.
    pub failed: u64,
    /// Spans that ended before they began, because the clock was set back in between; sent with a duration of 0.
    pub clock_set_back: u64,
}

/// The counts of one instance.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// The process whose threads export.
    process: u32,
    signals: PerSignal<SignalLedger>,
    /// Where what is dropped is told of as a metric.
    dropped: OnceLock<Counter<u64>>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            process: std::process::id(),
            signals: PerSignal::default(),
            dropped: OnceLock::new(),
        }
    }
}

#[derive(Debug, Default)]
struct SignalLedger {
    delivered: AtomicU64,
    queue_full: AtomicU64,
    failed: AtomicU64,
    clock_set_back: AtomicU64,
    down: AtomicBool,
    last_line: Mutex<Option<Instant>>,
}

impl Ledger {
    /// Tells of what is dropped from here on as a metric of `meter`.
    pub(crate) fn tell(&self, meter: &Meter) {
        let metric = &EXPORT_DROPPED;
        let counter = meter
            .u64_counter(metric.name)
            .with_unit(metric.unit)
            .with_description(metric.description);
        _ = self.dropped.set(counter.build());
    }

    fn told(&self, signal: Signal, reason: &'static str, count: u64) {
        if let Some(dropped) = self.dropped.get() {
            dropped.add(
                count,
                &[KeyValue::new("signal", signal.as_str()), KeyValue::new("reason", reason)],
            );
        }
    }

    pub(crate) fn counts(&self, signal: Signal) -> Counts {
        let of = self.signals.get(signal);
        Counts {
            delivered: of.delivered.load(Ordering::Relaxed),
            queue_full: of.queue_full.load(Ordering::Relaxed),
            failed: of.failed.load(Ordering::Relaxed),
            clock_set_back: of.clock_set_back.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn delivered(&self, signal: Signal, count: u64) {
        let of = self.signals.get(signal);
        of.delivered.fetch_add(count, Ordering::Relaxed);
        if of.down.swap(false, Ordering::Relaxed) {
            *of.last_line.lock().unwrap_or_else(PoisonError::into_inner) = None;
            tracing::info!(target: "sidelight", "{signal} are delivered again");
        }
    }

    pub(crate) fn failed(&self, signal: Signal, count: u64, endpoint: &str, reason: &str) {
        let of = self.signals.get(signal);
        let newly = !of.down.swap(true, Ordering::Relaxed);
        self.told(signal, "failed", count);
        let failed = of.failed.fetch_add(count, Ordering::Relaxed) + count;
        // Why goes before how many: that the queue is full may have been told already.
        if of.line_is_due(now()) || newly {
            tracing::warn!(
                target: "sidelight",
                "{signal} are not delivered to {endpoint}: {reason}; {failed} dropped so far, the next are tried as they come"
            );
        }
    }

    pub(crate) fn queue_full(&self, signal: Signal) {
        let of = self.signals.get(signal);
        self.told(signal, "queue_full", 1);
        let dropped = of.queue_full.fetch_add(1, Ordering::Relaxed) + 1;
        // The clock is not read for every record that is dropped.
        if (dropped == 1 || dropped.is_multiple_of(1024)) && of.line_is_due(now()) {
            let variable = match signal {
                Signal::Logs => "OTEL_BLRP_MAX_QUEUE_SIZE",
                Signal::Traces | Signal::Metrics => "OTEL_BSP_MAX_QUEUE_SIZE",
            };
            if std::process::id() != self.process {
                tracing::warn!(
                    target: "sidelight",
                    "{signal} are dropped: this process was forked after telemetry was started, and has none of its threads; \
                     start it after the fork"
                );
                return;
            }
            tracing::warn!(
                target: "sidelight",
                "the queue of {signal} is full: {dropped} dropped so far; {variable} makes it longer"
            );
        }
    }

    pub(crate) fn clock_set_back(&self) {
        let of = &self.signals.traces;
        if of.clock_set_back.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(target: "sidelight", "the clock was set back while a span ran; such spans have a duration of 0");
        }
    }
}

impl SignalLedger {
    fn line_is_due(&self, now: Instant) -> bool {
        // Whoever holds the lock writes the line.
        let Ok(mut last) = self.last_line.try_lock() else { return false };
        let due = last.is_none_or(|last| now.saturating_duration_since(last) >= BETWEEN_LINES);
        if due {
            *last = Some(now);
        }
        due
    }
}

#[expect(clippy::disallowed_methods, reason = "paces log lines; nothing is measured with it")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_five_minutes() {
        let of = SignalLedger::default();
        let start = now();
        assert!(of.line_is_due(start));
        assert!(!of.line_is_due(start + Duration::from_secs(299)));
        assert!(of.line_is_due(start + Duration::from_secs(300)));
        assert!(!of.line_is_due(start + Duration::from_secs(301)));
    }

    #[derive(Clone, Default)]
    struct Lines(std::sync::Arc<Mutex<Vec<String>>>);

    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Lines {
        fn on_event(
            &self,
            event: &tracing::Event<'_>,
            _: tracing_subscriber::layer::Context<'_, S>,
        ) {
            event.record(&mut |_: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                self.0.lock().unwrap().push(format!("{value:?}"));
            });
        }
    }

    /// What is said meanwhile.
    fn lines(meanwhile: impl FnOnce()) -> Vec<String> {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::Layer::with_subscriber(
            lines.clone(),
            tracing_subscriber::registry(),
        );
        tracing::subscriber::with_default(subscriber, meanwhile);
        lines.0.lock().unwrap().clone()
    }

    #[test]
    fn a_child_that_has_no_thread_to_export_is_not_told_to_make_its_queue_longer() {
        let forked = Ledger { process: std::process::id() + 1, ..Ledger::default() };
        let lines = lines(|| forked.queue_full(Signal::Traces));
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert!(line.contains("start it after the fork") && !line.contains("MAX_QUEUE"), "{line}");
    }

    #[test]
    fn that_the_queue_is_full_does_not_keep_back_why() {
        let ledger = Ledger::default();
        let fail = || ledger.failed(Signal::Traces, 512, "http://nowhere", "connection refused");
        let told = lines(|| {
            ledger.queue_full(Signal::Traces);
            fail();
            fail();
        });
        let [full, why] = &told[..] else { panic!("{told:?}") };
        assert!(full.contains("the queue of traces is full"), "{full}");
        assert!(why.contains("not delivered to http://nowhere: connection refused"), "{why}");
        let told = lines(|| {
            ledger.delivered(Signal::Traces, 1);
            ledger.queue_full(Signal::Traces);
            fail();
        });
        assert!(told.last().is_some_and(|why| why.contains("connection refused")), "{told:?}");
    }

    #[test]
    fn what_was_dropped_is_counted_by_signal_and_reason() {
        let ledger = Ledger::default();
        ledger.failed(Signal::Logs, 3, "nowhere", "refused");
        ledger.queue_full(Signal::Logs);
        ledger.delivered(Signal::Logs, 2);
        let counts = ledger.counts(Signal::Logs);
        assert_eq!((counts.delivered, counts.failed, counts.queue_full), (2, 3, 1));
        assert_eq!(ledger.counts(Signal::Traces), Counts::default());
    }
}
