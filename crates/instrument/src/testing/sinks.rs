//! Where captured records are kept, and what brings them there: one tracer and one subscriber for the life of the process,
//! because a subscriber that was set cannot be taken away.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use opentelemetry::{KeyValue, SpanId, TraceId};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{IdGenerator, SdkTracerProvider, SpanData, SpanExporter};
use tracing::subscriber::{DefaultGuard, set_default, set_global_default};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;

use crate::layer::trimmed;
use crate::logs::handed_to;

/// The capture in progress.
static CURRENT: Mutex<Option<Arc<Sinks>>> = Mutex::new(None);
static IDS: AtomicU64 = AtomicU64::new(0);

/// What one capture holds.
#[derive(Debug, Default)]
pub(super) struct Sinks {
    metrics: Mutex<Vec<Point>>,
    spans: Mutex<Vec<SpanData>>,
    lines: Mutex<String>,
}

/// One series of a metric.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) metric: String,
    pub(super) attributes: Vec<KeyValue>,
    /// Of a histogram its sum.
    pub(super) value: f64,
    /// Of a histogram how much was recorded; else 1.
    pub(super) count: u64,
}

impl Sinks {
    pub(super) fn metrics(&self) -> Vec<Point> {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn spans(&self) -> Vec<SpanData> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn lines(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(super) fn begin() -> Arc<Sinks> {
    let sinks = Arc::<Sinks>::default();
    IDS.store(0, Ordering::Relaxed);
    *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&sinks));
    sinks
}

pub(super) fn end() {
    *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

fn current() -> Option<Arc<Sinks>> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

pub(super) fn tracer() -> &'static SdkTracerProvider {
    static TRACER: OnceLock<SdkTracerProvider> = OnceLock::new();
    TRACER.get_or_init(|| {
        SdkTracerProvider::builder()
            .with_id_generator(Counting)
            .with_simple_exporter(ToCurrent)
            .build()
    })
}

/// Makes the subscriber the process's, or the thread's where the application's own is the process's already.
pub(super) fn subscribe() -> Option<DefaultGuard> {
    static GLOBAL: OnceLock<bool> = OnceLock::new();
    let global = *GLOBAL.get_or_init(|| set_global_default(subscriber()).is_ok());
    (!global).then(|| set_default(subscriber()))
}

fn subscriber() -> impl tracing::Subscriber + Send + Sync {
    let resource = Resource::builder_empty().with_service_name("test").build();
    // Not what `RUST_LOG` says: what a test asserts on is there however it is run.
    let filter = LevelFilter::DEBUG;
    tracing_subscriber::registry()
        .with(filter)
        .with(trimmed::<tracing_subscriber::layer::Layered<LevelFilter, Registry>>(tracer(), false))
        .with(handed_to(take_line, &resource))
}

fn take_line(line: &str) {
    if let Some(sinks) = current() {
        sinks.lines.lock().unwrap_or_else(PoisonError::into_inner).push_str(line);
    }
}

#[derive(Debug)]
struct Counting;

impl IdGenerator for Counting {
    fn new_trace_id(&self) -> TraceId {
        TraceId::from(u128::from(IDS.fetch_add(1, Ordering::Relaxed) + 1))
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::from(IDS.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

#[derive(Debug)]
struct ToCurrent;

impl SpanExporter for ToCurrent {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        if let Some(sinks) = current() {
            sinks.spans.lock().unwrap_or_else(PoisonError::into_inner).extend(batch);
        }
        Ok(())
    }
}

/// Keeps the last collection.
pub(super) struct MetricSink(pub(super) Arc<Sinks>);

impl PushMetricExporter for MetricSink {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let mut points = Vec::new();
        for metric in metrics.scope_metrics().flat_map(|scope| scope.metrics()) {
            match metric.data() {
                AggregatedMetrics::F64(data) => {
                    flatten(metric.name(), data, &mut points, |value| value)
                }
                AggregatedMetrics::U64(data) => {
                    flatten(metric.name(), data, &mut points, |value| value as f64)
                }
                AggregatedMetrics::I64(data) => {
                    flatten(metric.name(), data, &mut points, |value| value as f64)
                }
            }
        }
        *self.0.metrics.lock().unwrap_or_else(PoisonError::into_inner) = points;
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

fn flatten<T: Copy>(
    metric: &str,
    data: &MetricData<T>,
    points: &mut Vec<Point>,
    number: impl Fn(T) -> f64,
) {
    let mut push = |attributes: Vec<KeyValue>, value: T, count: u64| {
        points.push(Point { metric: metric.to_owned(), attributes, value: number(value), count });
    };
    match data {
        MetricData::Gauge(gauge) => {
            gauge
                .data_points()
                .for_each(|point| push(point.attributes().cloned().collect(), point.value(), 1));
        }
        MetricData::Sum(sum) => {
            sum.data_points()
                .for_each(|point| push(point.attributes().cloned().collect(), point.value(), 1));
        }
        MetricData::Histogram(histogram) => histogram.data_points().for_each(|point| {
            push(point.attributes().cloned().collect(), point.sum(), point.count())
        }),
        MetricData::ExponentialHistogram(histogram) => histogram.data_points().for_each(|point| {
            push(point.attributes().cloned().collect(), point.sum(), point.count() as u64)
        }),
    }
}
