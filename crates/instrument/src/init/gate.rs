//! How many records wait for the exporter, and a refusal, counted, for those past the queue's length.
//!
//! The SDK's processors drop what their queue does not hold, and tell of it only in logs of their own. Here each record is
//! counted as it enters and as its batch leaves, so the SDK's queue, of the same length, never has to drop.
//! After the end of telemetry nothing enters any more, and nothing is counted: nobody is left to be told.
//! Cost: one atomic addition per record.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::logs::Severity;
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{BatchLogProcessor, LogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{BatchSpanProcessor, Span, SpanData, SpanProcessor};

use super::outage::Ledger;
use super::signal::Signal;

/// A queue's count.
#[derive(Debug)]
pub(crate) struct Gate {
    waiting: AtomicUsize,
    length: usize,
    closed: AtomicBool,
}

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    In,
    Full,
    Closed,
}

impl Gate {
    pub(crate) fn new(length: usize) -> Self {
        Self { waiting: AtomicUsize::new(0), length, closed: AtomicBool::new(false) }
    }

    fn enter(&self) -> Entry {
        if self.closed.load(Ordering::Relaxed) {
            return Entry::Closed;
        }
        if self.waiting.fetch_add(1, Ordering::Relaxed) < self.length {
            return Entry::In;
        }
        self.leave(1);
        Entry::Full
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn leave(&self, count: usize) {
        self.waiting.fetch_sub(count, Ordering::Relaxed);
    }
}

/// Spans through the gate.
#[derive(Debug)]
pub(crate) struct GatedSpans {
    pub(crate) gate: Arc<Gate>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) inner: BatchSpanProcessor,
}

impl SpanProcessor for GatedSpans {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        // The inner processor ignores spans that are not sampled: they never reach the exporter.
        if !span.span_context.is_sampled() {
            return;
        }
        match self.gate.enter() {
            Entry::In => self.inner.on_end(span),
            Entry::Full => self.ledger.queue_full(Signal::Traces),
            Entry::Closed => {}
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.gate.close();
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Log records through the gate.
#[derive(Debug)]
pub(crate) struct GatedLogs {
    pub(crate) gate: Arc<Gate>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) inner: BatchLogProcessor,
}

impl LogProcessor for GatedLogs {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        match self.gate.enter() {
            Entry::In => self.inner.emit(record, scope),
            Entry::Full => self.ledger.queue_full(Signal::Logs),
            Entry::Closed => {}
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.gate.close();
        self.inner.shutdown_with_timeout(timeout)
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.inner.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_wait_than_the_queue_is_long() {
        let gate = Gate::new(2);
        let enter = || [gate.enter(), gate.enter(), gate.enter()];
        assert_eq!(enter(), [Entry::In, Entry::In, Entry::Full]);
        gate.leave(2);
        assert_eq!(enter(), [Entry::In, Entry::In, Entry::Full]);
        gate.close();
        assert_eq!(gate.enter(), Entry::Closed);
    }
}
