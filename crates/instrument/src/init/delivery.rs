//! The exporters that the SDK's processors drive: one destination behind each, every outcome in the ledger.
//!
//! Attribute texts past their limit are cut here, and spans whose clock ran backwards are mended, off the hot path.
//!
//! Cost: a copy of every batch of spans that leaves by OTLP, in case it is sent again; also by HTTP, where it never is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::broken::Breaks;
use super::console::Console;
use super::direct::Direct;
use super::gate::Gate;
use super::outage::Ledger;
use super::signal::Signal;

/// Where the records of one signal go; `O` is the OTLP exporter of the signal.
#[derive(Debug)]
pub(crate) enum Destination<O> {
    Otlp(O),
    Console(Console),
    Direct(Direct),
}

/// An exporter that keeps the ledger.
pub(crate) struct Delivery<O> {
    pub(crate) destination: Destination<O>,
    /// Of the exporter's connections.
    pub(crate) breaks: Breaks,
    /// As log lines name it.
    pub(crate) endpoint: String,
    pub(crate) ledger: Arc<Ledger>,
    /// What is counted as queued until it comes here.
    pub(crate) gate: Arc<Gate>,
    /// Characters of an attribute's text that are kept.
    pub(crate) value_length: Option<usize>,
}

impl<O> fmt::Debug for Delivery<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl<O> Delivery<O> {
    fn settle(&self, signal: Signal, count: usize, result: OTelSdkResult) -> OTelSdkResult {
        let count = count as u64;
        match &result {
            Ok(()) => self.ledger.delivered(signal, count),
            Err(error) => self.ledger.failed(signal, count, &self.endpoint, &error.to_string()),
        }
        result
    }

    fn mend(&self, span: &mut SpanData) {
        if span.end_time < span.start_time {
            span.end_time = span.start_time;
            self.ledger.clock_set_back();
        }
        let Some(limit) = self.value_length else { return };
        for attribute in &mut span.attributes {
            cut(attribute, limit);
        }
        for event in &mut span.events.events {
            for attribute in &mut event.attributes {
                cut(attribute, limit);
            }
        }
    }
}

impl<O: SpanExporter> SpanExporter for Delivery<O> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        self.gate.leave(count);
        for span in &mut batch {
            self.mend(span);
        }
        let result = match &self.destination {
            Destination::Otlp(exporter) => {
                self.breaks.survive(|| exporter.export(batch.clone())).await
            }
            Destination::Console(console) => {
                console.spans(&batch);
                Ok(())
            }
            Destination::Direct(direct) => direct.spans(batch).await,
        };
        self.settle(Signal::Traces, count, result)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        match &self.destination {
            Destination::Otlp(exporter) => exporter.shutdown_with_timeout(timeout),
            _ => Ok(()),
        }
    }

    fn set_resource(&mut self, resource: &Resource) {
        match &mut self.destination {
            Destination::Otlp(exporter) => exporter.set_resource(resource),
            Destination::Console(_) => {}
            Destination::Direct(direct) => direct.set_resource(resource),
        }
    }
}

impl<O: LogExporter> LogExporter for Delivery<O> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let count = batch.iter().count();
        self.gate.leave(count);
        let all: Vec<_> = batch.iter().collect();
        let result = self.breaks.survive(|| self.destination.export(LogBatch::new(&all))).await;
        self.settle(Signal::Logs, count, result)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.destination.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.destination.set_resource(resource);
    }
}

impl<O: LogExporter> LogExporter for Destination<O> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        match self {
            Self::Otlp(exporter) => exporter.export(batch).await,
            Self::Console(console) => {
                console.logs(&batch);
                Ok(())
            }
            Self::Direct(direct) => direct.logs(&batch).await,
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        match self {
            Self::Otlp(exporter) => exporter.shutdown_with_timeout(timeout),
            _ => Ok(()),
        }
    }

    fn set_resource(&mut self, resource: &Resource) {
        match self {
            Self::Otlp(exporter) => exporter.set_resource(resource),
            Self::Console(_) => {}
            Self::Direct(direct) => direct.set_resource(resource),
        }
    }
}

impl<O: PushMetricExporter> PushMetricExporter for Delivery<O> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = match &self.destination {
            Destination::Otlp(exporter) => self.breaks.survive(|| exporter.export(metrics)).await,
            Destination::Console(console) => {
                console.metrics(metrics);
                Ok(())
            }
            Destination::Direct(direct) => direct.metrics(metrics).await,
        };
        self.settle(Signal::Metrics, 1, result)
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        match &self.destination {
            Destination::Otlp(exporter) => exporter.shutdown_with_timeout(timeout),
            _ => Ok(()),
        }
    }

    fn temporality(&self) -> Temporality {
        match &self.destination {
            Destination::Otlp(exporter) => exporter.temporality(),
            _ => Temporality::Cumulative,
        }
    }
}

fn cut(attribute: &mut KeyValue, limit: usize) {
    match &mut attribute.value {
        Value::String(text) => cut_text(text, limit),
        Value::Array(Array::String(texts)) => {
            texts.iter_mut().for_each(|text| cut_text(text, limit))
        }
        _ => {}
    }
}

fn cut_text(text: &mut StringValue, limit: usize) {
    if let Some(kept) = within(text.as_str(), limit) {
        *text = kept.to_owned().into();
    }
}

/// The first `limit` characters, where there are more.
pub(crate) fn within(text: &str, limit: usize) -> Option<&str> {
    if text.len() <= limit {
        return None;
    }
    let (end, _) = text.char_indices().nth(limit)?;
    text.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_characters_not_bytes() {
        assert_eq!(within("grün", 4), None);
        assert_eq!(within("grün", 3), Some("grü"));
        assert_eq!(within("grün", 0), Some(""));
        assert_eq!(within("", 0), None);
    }

    #[test]
    fn attributes_that_are_no_text_are_left_alone() {
        let mut number = KeyValue::new("n", 123_456);
        cut(&mut number, 2);
        assert_eq!(number.value, Value::I64(123_456));
        let mut texts =
            KeyValue::new("t", Value::Array(Array::String(vec!["abc".into(), "d".into()])));
        cut(&mut texts, 2);
        assert_eq!(texts.value, Value::Array(Array::String(vec!["ab".into(), "d".into()])));
    }
}
