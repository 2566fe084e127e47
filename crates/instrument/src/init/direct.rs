//! OTLP requests handed to a function instead of a socket: what embeds an agent in the process uses.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::logs::tonic::group_logs_by_resource_and_scope;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::LogBatch;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::trace::SpanData;
use prost::Message;

use super::signal::Signal;

/// Why a request was not taken.
pub type DeliverError = Box<dyn Error + Send + Sync>;

/// Ends when a request was taken or refused.
pub type Delivering = Pin<Box<dyn Future<Output = Result<(), DeliverError>> + Send>>;

/// Takes OTLP requests: `ExportTraceServiceRequest` and its two siblings, as protobuf bytes.
///
/// The future is driven on a thread without a runtime (that of sketches on the thread of all exports): what needs one, or
/// blocks, is spawned on its own.
///
/// ```
/// use sidelight::init::{Deliver, Delivering, Signal};
///
/// struct Nowhere;
///
/// impl Deliver for Nowhere {
///     fn deliver(&self, _signal: Signal, request: Vec<u8>) -> Delivering {
///         assert!(!request.is_empty());
///         Box::pin(async { Ok(()) })
///     }
/// }
///
/// let telemetry = sidelight::init("checkout").local().deliver(Nowhere).start()?;
/// telemetry.shutdown()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Deliver: Send + Sync + 'static {
    /// Takes one request.
    fn deliver(&self, signal: Signal, request: Vec<u8>) -> Delivering;

    /// Takes a request of logs that holds sketches of the users of features: what would go over a socket with the header
    /// `sidelight-internal: sketch`, for an agent that merges and never exports them. Anyone else has no use for it: it is
    /// dropped unless this is implemented.
    fn deliver_sketches(&self, request: Vec<u8>) -> Delivering {
        drop(request);
        Box::pin(async { Ok(()) })
    }
}

/// An exporter of all three signals.
pub(crate) struct Direct {
    to: Arc<dyn Deliver>,
    sketches: bool,
    resource: ResourceAttributesWithSchema,
}

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Direct")
    }
}

impl Direct {
    pub(crate) fn new(to: Arc<dyn Deliver>) -> Self {
        Self { to, sketches: false, resource: ResourceAttributesWithSchema::default() }
    }

    /// One whose logs are sketches.
    pub(crate) fn of_sketches(to: Arc<dyn Deliver>) -> Self {
        Self { sketches: true, ..Self::new(to) }
    }

    pub(crate) fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }

    pub(crate) async fn spans(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        self.send(Signal::Traces, &ExportTraceServiceRequest { resource_spans }).await
    }

    pub(crate) async fn logs(&self, batch: &LogBatch<'_>) -> OTelSdkResult {
        let resource_logs = group_logs_by_resource_and_scope(batch, &self.resource);
        self.send(Signal::Logs, &ExportLogsServiceRequest { resource_logs }).await
    }

    pub(crate) async fn metrics(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.send(Signal::Metrics, &ExportMetricsServiceRequest::from(metrics)).await
    }

    async fn send(&self, signal: Signal, request: &impl Message) -> OTelSdkResult {
        let request = request.encode_to_vec();
        let sent = if self.sketches {
            self.to.deliver_sketches(request)
        } else {
            self.to.deliver(signal, request)
        };
        sent.await.map_err(|error| OTelSdkError::InternalFailure(error.to_string()))
    }
}
