//! What the crate tells: the metrics and spans that reach exporters. One test at a time has it, since a process has one meter.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing_subscriber::layer::SubscriberExt;

static ALONE: Mutex<()> = Mutex::new(());

/// A series as it was told: its name, its labels as `a=1,b=2`, and its sum or, of a histogram, its count.
type Point = (String, String, f64);

#[derive(Clone, Debug, Default)]
struct Points(Arc<Mutex<Vec<Point>>>);

fn labels<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> String {
    let mut labels: Vec<_> =
        attributes.map(|label| format!("{}={}", label.key, label.value)).collect();
    labels.sort();
    labels.join(",")
}

fn points(name: &str, metric: &AggregatedMetrics) -> Vec<Point> {
    macro_rules! points {
        ($data:expr) => {
            match $data {
                MetricData::Sum(sum) => sum
                    .data_points()
                    .map(|p| (name.into(), labels(p.attributes()), p.value() as f64))
                    .collect(),
                MetricData::Gauge(gauge) => gauge
                    .data_points()
                    .map(|p| (name.into(), labels(p.attributes()), p.value() as f64))
                    .collect(),
                MetricData::Histogram(all) => all
                    .data_points()
                    .map(|p| (name.into(), labels(p.attributes()), p.count() as f64))
                    .collect(),
                MetricData::ExponentialHistogram(_) => Vec::new(),
            }
        };
    }
    match metric {
        AggregatedMetrics::F64(data) => points!(data),
        AggregatedMetrics::U64(data) => points!(data),
        AggregatedMetrics::I64(data) => points!(data),
    }
}

impl PushMetricExporter for Points {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let all = metrics.scope_metrics().flat_map(|scope| scope.metrics());
        *self.0.lock().unwrap() = all.flat_map(|m| points(m.name(), m.data())).collect();
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

#[derive(Clone, Debug, Default)]
struct Spans(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Spans {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

/// No other test has a meter while this is held.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The meter and tracer of one test.
pub(crate) struct Told {
    points: Points,
    spans: Spans,
    metrics: SdkMeterProvider,
    pub(crate) traces: SdkTracerProvider,
    _default: tracing::subscriber::DefaultGuard,
    _installed: sidelight::meter::Installed,
    _alone: MutexGuard<'static, ()>,
}

impl Told {
    pub(crate) fn new() -> Self {
        let alone = alone();
        let (points, spans) = (Points::default(), Spans::default());
        let reader = PeriodicReader::builder(points.clone())
            .with_interval(Duration::from_secs(3600))
            .build();
        let metrics = SdkMeterProvider::builder()
            .with_view(sidelight::names::view)
            .with_reader(reader)
            .build();
        let installed = sidelight::meter::install(metrics.meter(sidelight::names::SCOPE));
        let traces = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let layer = tracing_opentelemetry::layer().with_tracer(traces.tracer("test"));
        let default = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        Self {
            points,
            spans,
            metrics,
            traces,
            _default: default,
            _installed: installed,
            _alone: alone,
        }
    }

    /// The series of a metric whose labels have all of `wanted`, as text.
    pub(crate) fn series(&self, name: &str, wanted: &[&str]) -> Vec<(String, f64)> {
        sidelight::observe::refresh();
        self.metrics.force_flush().unwrap();
        let points = self.points.0.lock().unwrap();
        let of = points.iter().filter(|(of, labels, _)| {
            of == name && wanted.iter().all(|label| labels.split(',').any(|has| has == *label))
        });
        of.map(|(_, labels, value)| (labels.clone(), *value)).collect()
    }

    /// The sum, or number of records of a histogram, over these series.
    pub(crate) fn total(&self, name: &str, wanted: &[&str]) -> f64 {
        self.series(name, wanted).iter().map(|(_, value)| value).sum()
    }

    /// The spans that have ended.
    pub(crate) fn spans(&self) -> Vec<SpanData> {
        self.traces.force_flush().unwrap();
        self.spans.0.lock().unwrap().clone()
    }

    /// An attribute of a span, as text.
    pub(crate) fn attribute(span: &SpanData, name: &str) -> Option<String> {
        span.attributes.iter().find(|has| has.key.as_str() == name).map(|has| match &has.value {
            Value::String(text) => text.to_string(),
            other => other.to_string(),
        })
    }
}
