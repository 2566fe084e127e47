//! An OTLP collector that is not ours: tonic and prost decode what arrives, over TCP, a Unix socket, HTTP or HTTPS.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
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
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tonic::{Request, Response, Status};

/// What arrived.
#[derive(Clone, Default)]
pub(crate) struct Arrived {
    traces: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    metrics: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
    logs: Arc<Mutex<Vec<ExportLogsServiceRequest>>>,
}

impl Arrived {
    pub(crate) fn spans(&self) -> Vec<Span> {
        let requests = self.traces.lock().unwrap();
        let scopes = requests
            .iter()
            .flat_map(|request| &request.resource_spans)
            .flat_map(|of| &of.scope_spans);
        scopes.flat_map(|scope| scope.spans.iter().cloned()).collect()
    }

    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let requests = self.metrics.lock().unwrap();
        let scopes = requests
            .iter()
            .flat_map(|request| &request.resource_metrics)
            .flat_map(|of| &of.scope_metrics);
        scopes.flat_map(|scope| scope.metrics.iter().cloned()).collect()
    }

    pub(crate) fn logs(&self) -> Vec<LogRecord> {
        let requests = self.logs.lock().unwrap();
        let scopes = requests
            .iter()
            .flat_map(|request| &request.resource_logs)
            .flat_map(|of| &of.scope_logs);
        scopes.flat_map(|scope| scope.log_records.iter().cloned()).collect()
    }
}

#[tonic::async_trait]
impl TraceService for Arrived {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.traces.lock().unwrap().push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Arrived {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.metrics.lock().unwrap().push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Arrived {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.logs.lock().unwrap().push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}

/// A running collector; gone when dropped.
pub(crate) struct Collector {
    pub(crate) arrived: Arrived,
    pub(crate) endpoint: String,
    _runtime: Runtime,
}

impl Collector {
    pub(crate) fn grpc() -> Self {
        Self::grpc_on(listener().0)
    }

    pub(crate) fn grpc_on(listener: TcpListener) -> Self {
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (runtime, arrived) = (runtime(), Arrived::default());
        let router = router(&arrived);
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            router
                .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener))
                .await
        });
        Self { arrived, endpoint, _runtime: runtime }
    }

    pub(crate) fn unix(path: &Path) -> Self {
        let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (runtime, arrived) = (runtime(), Arrived::default());
        let router = router(&arrived);
        runtime.spawn(async move {
            let listener = tokio::net::UnixListener::from_std(listener).unwrap();
            router
                .serve_with_incoming(tokio_stream::wrappers::UnixListenerStream::new(listener))
                .await
        });
        Self { arrived, endpoint: format!("unix://{}", path.display()), _runtime: runtime }
    }

    pub(crate) fn http() -> Self {
        let (listener, address) = listener();
        let (runtime, arrived) = (runtime(), Arrived::default());
        let service = arrived.clone();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, service.clone());
            }
        });
        Self { arrived, endpoint: format!("http://{address}"), _runtime: runtime }
    }

    /// The same by TLS, with a certificate of its own, which is written to `authority`.
    pub(crate) fn https(authority: &Path) -> Self {
        let (listener, address) = listener();
        let (runtime, arrived) = (runtime(), Arrived::default());
        let service = arrived.clone();
        let acceptor = acceptor(authority);
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                serve(acceptor.accept(stream).await.unwrap(), service.clone());
            }
        });
        let endpoint = format!("https://localhost:{}", address.port());
        Self { arrived, endpoint, _runtime: runtime }
    }
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn acceptor(authority: &Path) -> TlsAcceptor {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(authority, own.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn serve(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, arrived: Arrived) {
    let service = service_fn(move |request| answer(arrived.clone(), request));
    let connection = hyper::server::conn::http1::Builder::new();
    tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
}

async fn answer(
    arrived: Arrived,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Empty<Bytes>>, hyper::Error> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    match path.as_str() {
        "/v1/traces" => {
            arrived.traces.lock().unwrap().push(ExportTraceServiceRequest::decode(body).unwrap())
        }
        "/v1/metrics" => {
            arrived.metrics.lock().unwrap().push(ExportMetricsServiceRequest::decode(body).unwrap())
        }
        "/v1/logs" => {
            arrived.logs.lock().unwrap().push(ExportLogsServiceRequest::decode(body).unwrap())
        }
        other => panic!("asked for {other}"),
    }
    Ok(hyper::Response::new(Empty::new()))
}

fn router(arrived: &Arrived) -> tonic::transport::server::Router {
    tonic::transport::Server::builder()
        .add_service(TraceServiceServer::new(arrived.clone()))
        .add_service(MetricsServiceServer::new(arrived.clone()))
        .add_service(LogsServiceServer::new(arrived.clone()))
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}
