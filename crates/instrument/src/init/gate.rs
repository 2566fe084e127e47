//! How many records wait for the exporter, and a refusal, counted, for those past the queue's length.
//!
//! The SDK's processors drop what their queue does not hold, and tell of it only in logs of their own. Here each record is
//! counted as it enters and as its batch leaves, so the SDK's queue, of the same length, never has to drop.
//! Cost: one atomic addition per record.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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
}

impl Gate {
    pub(crate) fn new(length: usize) -> Self {
        Self { waiting: AtomicUsize::new(0), length }
    }

    fn enter(&self) -> bool {
        let entered = self.waiting.fetch_add(1, Ordering::Relaxed) < self.length;
        if !entered {
            self.leave(1);
        }
        entered
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
        if self.gate.enter() {
            self.inner.on_end(span);
        } else {
            self.ledger.queue_full(Signal::Traces);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
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
        if self.gate.enter() {
            self.inner.emit(record, scope);
        } else {
            self.ledger.queue_full(Signal::Logs);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
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
        assert_eq!([gate.enter(), gate.enter(), gate.enter()], [true, true, false]);
        gate.leave(2);
        assert_eq!([gate.enter(), gate.enter(), gate.enter()], [true, true, false]);
    }
}
