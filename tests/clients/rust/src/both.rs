//! An exporter that hands the same batch to two stock exporters, one after the other.

use std::future::Future;
use std::io::Write as _;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::LogBatch;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::SpanData;
use tokio::runtime::Handle;

use super::FAILURES;

/// The reference and the subject. Made inside the runtime on which their connections run.
#[derive(Debug)]
pub(crate) struct Both<E> {
    reference: E,
    subject: E,
    runtime: Handle,
}

impl<E> Both<E> {
    pub(crate) fn new(reference: E, subject: E) -> Self {
        Self { reference, subject, runtime: Handle::current() }
    }

    /// Runs an export within the runtime: the SDK polls it from a thread of its own.
    fn within<F: Future<Output = OTelSdkResult> + Send>(
        &self,
        export: F,
    ) -> impl Future<Output = OTelSdkResult> + Send {
        Within { runtime: self.runtime.clone(), export: Box::pin(export) }
    }
}

struct Within<F> {
    runtime: Handle,
    export: Pin<Box<F>>,
}

impl<F: Future<Output = OTelSdkResult>> Future for Within<F> {
    type Output = OTelSdkResult;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<OTelSdkResult> {
        let _entered = self.runtime.clone().enter();
        self.export.as_mut().poll(context)
    }
}

/// Counts a failed export; the stock processors only log it.
fn seen(result: OTelSdkResult) -> OTelSdkResult {
    if let Err(error) = &result {
        FAILURES.fetch_add(1, Ordering::Relaxed);
        let _ = writeln!(std::io::stderr(), "export failed: {error}");
    }
    result
}

impl opentelemetry_sdk::trace::SpanExporter for Both<SpanExporter> {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        self.within(async {
            let first = seen(self.reference.export(batch.clone()).await);
            seen(self.subject.export(batch).await).and(first)
        })
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.reference.set_resource(resource);
        self.subject.set_resource(resource);
    }
}

impl opentelemetry_sdk::logs::LogExporter for Both<LogExporter> {
    fn export(&self, batch: LogBatch<'_>) -> impl Future<Output = OTelSdkResult> + Send {
        let records: Vec<_> =
            batch.iter().map(|(record, scope)| (record.clone(), scope.clone())).collect();
        self.within(async move {
            let records: Vec<_> = records.iter().map(|(record, scope)| (record, scope)).collect();
            let first = seen(self.reference.export(LogBatch::new(&records)).await);
            seen(self.subject.export(LogBatch::new(&records)).await).and(first)
        })
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.reference.set_resource(resource);
        self.subject.set_resource(resource);
    }
}

impl PushMetricExporter for Both<MetricExporter> {
    fn export(&self, metrics: &ResourceMetrics) -> impl Future<Output = OTelSdkResult> + Send {
        self.within(async move {
            let first = seen(self.reference.export(metrics).await);
            seen(self.subject.export(metrics).await).and(first)
        })
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        self.subject.temporality()
    }
}
