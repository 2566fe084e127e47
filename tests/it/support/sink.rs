//! An OTLP/gRPC destination made of tonic and prost, which share no code with the agent.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;

/// Spans by span id: the first copy of each, and how often it came.
pub type Spans = HashMap<Vec<u8>, (Span, u32)>;

/// Keeps every item it receives.
#[derive(Clone, Default)]
pub struct Sink {
    received: Arc<Mutex<Spans>>,
    logs: Arc<Mutex<Vec<Arc<LogRecord>>>>,
    metrics: Arc<Mutex<Vec<Arc<Metric>>>>,
}

impl Sink {
    /// Serves on `address` until the test's runtime ends.
    pub async fn serve(&self, address: SocketAddr) {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        macro_rules! service {
            ($server:ident) => {
                $server::new(self.clone())
                    .accept_compressed(tonic::codec::CompressionEncoding::Gzip)
                    .accept_compressed(tonic::codec::CompressionEncoding::Zstd)
                    .max_decoding_message_size(64 << 20)
            };
        }
        let server = tonic::transport::Server::builder()
            .add_service(service!(TraceServiceServer))
            .add_service(service!(LogsServiceServer))
            .add_service(service!(MetricsServiceServer));
        tokio::spawn(server.serve_with_incoming(incoming));
    }

    /// What was received so far.
    pub fn spans(&self) -> Spans {
        self.received.lock().unwrap().clone()
    }

    /// The log records, in their order.
    pub fn logs(&self) -> Vec<Arc<LogRecord>> {
        self.logs.lock().unwrap().clone()
    }

    /// The metrics, in their order.
    pub fn metrics(&self) -> Vec<Arc<Metric>> {
        self.metrics.lock().unwrap().clone()
    }
}

#[tonic::async_trait]
impl LogsService for Sink {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, tonic::Status> {
        let resources = request.into_inner().resource_logs.into_iter();
        let records = resources.flat_map(|r| r.scope_logs).flat_map(|s| s.log_records);
        self.logs.lock().unwrap().extend(records.map(Arc::new));
        Ok(tonic::Response::new(ExportLogsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Sink {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        let resources = request.into_inner().resource_metrics.into_iter();
        let metrics = resources.flat_map(|r| r.scope_metrics).flat_map(|s| s.metrics);
        self.metrics.lock().unwrap().extend(metrics.map(Arc::new));
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl TraceService for Sink {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let mut received = self.received.lock().unwrap();
        let resources = request.into_inner().resource_spans.into_iter();
        for span in resources.flat_map(|r| r.scope_spans).flat_map(|s| s.spans) {
            let copies = &mut received.entry(span.span_id.clone()).or_insert((span, 0)).1;
            *copies += 1;
        }
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}
