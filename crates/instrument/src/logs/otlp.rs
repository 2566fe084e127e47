//! The layer that makes OpenTelemetry log records of events.
//!
//! Not opentelemetry-appender-tracing, because that finds the trace only where every entered span's context is activated,
//! which the spans' layer leaves out for its cost; and the request's id belongs on each record.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Debug;

use opentelemetry::Key;
use opentelemetry::logs::{AnyValue, LogRecord, Logger, Severity};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger};
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::trace::{Dispatched, span_of};
use super::{chain, timestamp};
use crate::current;

/// Emits one record per event.
#[derive(Debug)]
pub(crate) struct OtlpLogs {
    logger: SdkLogger,
    value_length: Option<usize>,
    dispatched: Dispatched,
}

impl OtlpLogs {
    pub(crate) fn new(logger: SdkLogger, value_length: Option<usize>) -> Self {
        Self { logger, value_length, dispatched: Dispatched::default() }
    }
}

impl<S> Layer<S> for OtlpLogs
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.dispatched.remember(dispatch);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let severity = severity(*metadata.level());
        // Unnamed events are named after their place in the source.
        let name = Some(metadata.name()).filter(|name| !name.starts_with("event "));
        // False on the exporters' own threads.
        if !self.logger.event_enabled(severity, metadata.target(), name) {
            return;
        }
        let mut record = self.logger.create_log_record();
        let now = timestamp::now();
        record.set_timestamp(now);
        record.set_observed_timestamp(now);
        record.set_severity_number(severity);
        record.set_severity_text(metadata.level().as_str());
        record.set_target(Cow::Borrowed(metadata.target()));
        if let Some(name) = name {
            record.set_event_name(name);
        }
        event.record(&mut Fields { record: &mut record, value_length: self.value_length });
        if let Some(id) = current::request_id() {
            record.add_attribute("request_id", id.as_str().to_owned());
        }
        if let Some(trace) = self.dispatched.trace_of(span_of(event, &context).as_ref()) {
            record.set_trace_context(trace.trace_id(), trace.span_id(), Some(trace.trace_flags()));
        }
        self.logger.emit(record);
    }
}

pub(crate) fn severity(level: Level) -> Severity {
    match level {
        Level::TRACE => Severity::Trace,
        Level::DEBUG => Severity::Debug,
        Level::INFO => Severity::Info,
        Level::WARN => Severity::Warn,
        Level::ERROR => Severity::Error,
    }
}

struct Fields<'a> {
    record: &'a mut SdkLogRecord,
    value_length: Option<usize>,
}

impl Fields<'_> {
    fn set(&mut self, field: &Field, value: impl Into<AnyValue>) {
        self.record.add_attribute(Key::from_static_str(field.name()), value);
    }

    fn text(&mut self, field: &Field, mut text: String) {
        if field.name() == "message" {
            self.record.set_body(AnyValue::from(text));
            return;
        }
        let past = self.value_length.and_then(|limit| text.char_indices().nth(limit));
        if let Some((end, _)) = past {
            text.truncate(end);
        }
        self.set(field, text);
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.set(field, value),
            Err(_) => self.set(field, value.to_string()),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.text(field, chain(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field, format!("{value:?}"));
    }
}
