//! The SDK's three providers, each with the stable thread processor of its signal, and their ordered end.
//!
//! Metrics leave first, while everything they observe is there; then traces; then logs, which may tell of the former two.
//! A stage that hangs is left behind, still trying, so that the next gets its turn within the bound.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry_otlp::LogExporter as OtlpLogExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{
    BatchConfigBuilder as LogBatchConfig, BatchLogProcessor, LogExporter, SdkLoggerProvider,
};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{
    Aggregation, Instrument, InstrumentKind, PeriodicReader, SdkMeterProvider, Stream,
};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder as SpanBatchConfig, BatchSpanProcessor, Sampler, SdkTracerProvider,
    SpanExporter,
};

use super::connector::Hurry;
use super::delivery::{Delivery, Destination};
use super::error::FlushError;
use super::gate::{GatedLogs, GatedSpans};
use super::signal::{PerSignal, Signal};
use super::sketches::Sketches;
use super::turns::Turn;
use crate::names::view;
use crate::observe::refresh;

/// A stage that has not ended after this long lets the next begin beside it.
const STAGE_MIN: Duration = Duration::from_millis(250);

/// Series of an exponential histogram that has no limit of its own.
const SERIES_MAX: usize = 1000;

/// One of each.
#[derive(Clone, Debug)]
pub(crate) struct Providers {
    pub(crate) tracer: SdkTracerProvider,
    pub(crate) meter: SdkMeterProvider,
    pub(crate) logger: SdkLoggerProvider,
    /// Whether handles record into them.
    pub(crate) observed: bool,
    /// Of users of features.
    pub(crate) sketches: Option<Arc<Sketches<Destination<OtlpLogExporter>>>>,
    /// To flush.
    pub(crate) turns: Arc<PerSignal<Turn>>,
    /// What connections are told that somebody waits by.
    pub(crate) hurry: Hurry,
}

/// The queue of each, as the environment says, else the SDK's default.
pub(crate) fn queue_length(variable: Option<String>) -> usize {
    variable.and_then(|length| length.parse().ok()).filter(|length| *length > 0).unwrap_or(2048)
}

pub(crate) fn meter<E: PushMetricExporter>(
    resource: Resource,
    exporter: Option<E>,
    interval: Duration,
    exponential: bool,
) -> SdkMeterProvider {
    let mut builder = SdkMeterProvider::builder().with_resource(resource);
    builder =
        if exponential { builder.with_view(exponential_view) } else { builder.with_view(view) };
    if let Some(exporter) = exporter {
        builder =
            builder.with_reader(PeriodicReader::builder(exporter).with_interval(interval).build());
    }
    builder.build()
}

/// Base-2 exponential buckets for every histogram; the limits of series stay for all that is none.
fn exponential_view(instrument: &Instrument) -> Option<Stream> {
    if instrument.kind() != InstrumentKind::Histogram {
        return view(instrument);
    }
    let aggregation = Aggregation::Base2ExponentialHistogram {
        max_size: 160,
        max_scale: 20,
        record_min_max: true,
    };
    let builder = Stream::builder().with_aggregation(aggregation);
    builder
        .with_cardinality_limit(
            crate::names::series_max(instrument.name()).unwrap_or(SERIES_MAX) + 1,
        )
        .build()
        .ok()
}

pub(crate) fn tracer<O: SpanExporter + 'static>(
    resource: Resource,
    exporter: Option<Delivery<O>>,
    queue: usize,
    sampler: Sampler,
) -> SdkTracerProvider {
    let builder = SdkTracerProvider::builder().with_resource(resource).with_sampler(sampler);
    let Some(exporter) = exporter else { return builder.build() };
    let (gate, ledger) = (Arc::clone(&exporter.gate), Arc::clone(&exporter.ledger));
    let config = SpanBatchConfig::default().with_max_queue_size(queue).build();
    let inner = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
    builder.with_span_processor(GatedSpans { gate, ledger, inner }).build()
}

pub(crate) fn logger<O: LogExporter + 'static>(
    resource: Resource,
    exporter: Option<Delivery<O>>,
    queue: usize,
) -> SdkLoggerProvider {
    let builder = SdkLoggerProvider::builder().with_resource(resource);
    let Some(exporter) = exporter else { return builder.build() };
    let (gate, ledger) = (Arc::clone(&exporter.gate), Arc::clone(&exporter.ledger));
    let config = LogBatchConfig::default().with_max_queue_size(queue).build();
    let inner = BatchLogProcessor::builder(exporter).with_batch_config(config).build();
    builder.with_log_processor(GatedLogs { gate, ledger, inner }).build()
}

/// What to do with every provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Flush,
    Shutdown,
}

impl Providers {
    /// Does it with all three, in order, and returns within `bound`.
    pub(crate) fn all(&self, wish: Wish, bound: Duration) -> Result<(), FlushError> {
        let deadline = now() + bound;
        let _hurried = self.hurry.begin();
        let (done, ends) = sync_channel(Signal::ALL.len());
        let mut results: Vec<(Signal, OTelSdkResult)> = Vec::new();
        for (begun, signal) in Signal::ALL.into_iter().enumerate() {
            let (providers, done) = (self.clone(), done.clone());
            let stage =
                std::thread::Builder::new().name(format!("sidelight-{signal}")).spawn(move || {
                    let _suppressed = Context::enter_telemetry_suppressed_scope();
                    _ = done.send((signal, providers.stage(signal, wish, bound)));
                });
            if stage.is_err() {
                results.push((signal, self.stage(signal, wish, left(deadline))));
                continue;
            }
            let last = begun + 1 == Signal::ALL.len();
            let wait = if last { Duration::ZERO } else { STAGE_MIN.min(left(deadline)) };
            results.extend(ends.recv_timeout(wait));
        }
        while results.len() < Signal::ALL.len() {
            match ends.recv_timeout(left(deadline)) {
                Ok(result) => results.push(result),
                Err(_) => return Err(FlushError::Timeout(bound)),
            }
        }
        verdict(&results)
    }

    /// At what is observed, so that the last export tells of the present. An application's code may hang there; what
    /// waits for this stage does not.
    fn look(&self) {
        if self.observed {
            refresh();
        }
    }

    fn send_sketches(&self, bound: Duration) {
        if let Some(sketches) = &self.sketches {
            sketches.flush(bound);
        }
    }

    /// A flush waits for its turn; the end does not.
    fn stage(&self, signal: Signal, wish: Wish, bound: Duration) -> OTelSdkResult {
        if wish == Wish::Shutdown {
            return self.one(signal, wish, bound);
        }
        match self.turns.get(signal).take(bound) {
            Some(_turn) => self.one(signal, wish, bound),
            None => Err(OTelSdkError::Timeout(bound)),
        }
    }

    fn one(&self, signal: Signal, wish: Wish, bound: Duration) -> OTelSdkResult {
        match (signal, wish) {
            (Signal::Metrics, Wish::Flush) => {
                self.look();
                self.meter.force_flush()
            }
            (Signal::Metrics, Wish::Shutdown) => {
                self.look();
                self.meter.shutdown_with_timeout(bound)
            }
            (Signal::Traces, Wish::Flush) => self.tracer.force_flush(),
            (Signal::Traces, Wish::Shutdown) => self.tracer.shutdown_with_timeout(bound),
            (Signal::Logs, Wish::Flush) => {
                let flushed = self.logger.force_flush();
                self.send_sketches(bound);
                flushed
            }
            (Signal::Logs, Wish::Shutdown) => {
                let ended = self.logger.shutdown_with_timeout(bound);
                self.send_sketches(bound);
                ended
            }
        }
    }
}

fn verdict(results: &[(Signal, OTelSdkResult)]) -> Result<(), FlushError> {
    let mut failed = results.iter().filter_map(|(signal, result)| match result {
        Ok(()) | Err(OTelSdkError::AlreadyShutdown) => None,
        Err(error) => Some((signal, error)),
    });
    let Some((first, error)) = failed.next() else { return Ok(()) };
    let signals =
        failed.fold(first.to_string(), |signals, (signal, _)| format!("{signals}, {signal}"));
    Err(FlushError::NotDelivered { signals, reason: error.to_string() })
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(now())
}

#[expect(clippy::disallowed_methods, reason = "bounds how long a shutdown may wait")]
fn now() -> Instant {
    Instant::now()
}
