//! The receiver through real sockets, with a stand-in for the journal.

mod drain;
mod grpc;
mod http;
mod limits;
mod places;
mod secure;
mod unix;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use sidelight_agent::journal::AppendError;
use sidelight_agent::memory::InFlight;
use sidelight_agent::receive::{self, Append, Bind, Config, Deps, Handle, Listener};
use sidelight_agent::signal::Record;
use sidelight_agent::telemetry::{Desc, Registry};
use sidelight_agent::time::SystemClock;
use tokio::net::TcpStream;

use crate::support::wait_for;

/// Keeps what it is given, or refuses, or never answers.
#[derive(Clone, Default)]
pub struct Journal {
    records: Arc<Mutex<Vec<Record>>>,
    refusal: Arc<Mutex<Option<AppendError>>>,
    held: Arc<Mutex<Option<Arc<tokio::sync::Semaphore>>>>,
}

impl Journal {
    /// Every record so far.
    pub fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap().clone()
    }

    /// Refuses from here on.
    pub fn refuse(&self, error: AppendError) {
        *self.refusal.lock().unwrap() = Some(error);
    }

    /// Answers only when given a permit.
    pub fn hold(&self) -> Arc<tokio::sync::Semaphore> {
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        *self.held.lock().unwrap() = Some(Arc::clone(&gate));
        gate
    }
}

impl Append for Journal {
    async fn append(&self, record: Record) -> Result<(), AppendError> {
        if let Some(error) = self.refusal.lock().unwrap().clone() {
            return Err(error);
        }
        self.records.lock().unwrap().push(record);
        let gate = self.held.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        Ok(())
    }
}

/// A receiver with one listener.
pub struct Server {
    pub journal: Journal,
    pub registry: Registry,
    pub in_flight: InFlight,
    pub handle: Handle,
}

impl Server {
    /// Starts one on a free port, after `change` had its way with the listener and the rest.
    pub async fn start(change: impl FnOnce(&mut Listener, &mut Config)) -> Self {
        let mut config = Config { listeners: Vec::new(), ..Config::default() };
        let mut listener = Listener::new(Bind::Tcp("127.0.0.1:0".into()));
        change(&mut listener, &mut config);
        config.listeners.push(listener);
        let (journal, registry) = (Journal::default(), Registry::default());
        let in_flight = InFlight::new(48 << 20);
        let clock = Arc::new(SystemClock::new());
        let deps = Deps { in_flight: in_flight.clone(), registry: registry.clone(), clock };
        let bound = receive::bind(config, deps).await.unwrap();
        let handle = bound.serve(journal.clone());
        Self { journal, registry, in_flight, handle }
    }

    /// One with every default.
    pub async fn plain() -> Self {
        Self::start(|_, _| {}).await
    }

    pub fn address(&self) -> String {
        self.handle.endpoints()[0].address.clone()
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.unwrap()
    }

    /// A self-metric's value.
    pub fn count(&self, desc: &Desc, labels: &[&str]) -> u64 {
        self.registry.counter(desc, labels).get()
    }

    pub fn refused_by_limit(&self, limit: &str) -> u64 {
        let desc = &sidelight_agent::telemetry::desc::RECEIVER_LIMIT_REFUSALS;
        self.count(desc, &["otlp", limit])
    }
}

/// Waits for a condition, at most ten seconds.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    wait_for(what, Duration::from_secs(10), || condition().then_some(())).await;
}

/// A trace request of `spans` spans.
pub fn traces(spans: u8) -> ExportTraceServiceRequest {
    let span = |n: u8| Span {
        trace_id: vec![n + 1; 16],
        span_id: vec![n + 1; 8],
        name: format!("span {n}"),
        ..Span::default()
    };
    let scope = ScopeSpans { spans: (0..spans).map(span).collect(), ..ScopeSpans::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource] }
}

pub fn traces_bytes(spans: u8) -> Vec<u8> {
    traces(spans).encode_to_vec()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub type Request = ::http::Request<Full<Bytes>>;
pub type Response = ::http::Response<Bytes>;

/// A request, by its differences from a plain protobuf POST of one span.
pub fn post(path: &str, body: impl Into<Bytes>, headers: &[(&str, &str)]) -> Request {
    let mut request = ::http::Request::post(path).header("host", "localhost");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body.into())).unwrap()
}

pub const JSON: (&str, &str) = ("content-type", "application/json");
pub const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

/// Sends over HTTP/1.1 on a connection of its own.
pub async fn send(server: &Server, request: Request) -> Response {
    send_over(server.connect().await, request).await
}

/// Sends over HTTP/1.1 on a given transport.
pub async fn send_over<S>(stream: S, request: Request) -> Response
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let answered =
        tokio::time::timeout(Duration::from_secs(60), sender.send_request(request)).await;
    collect(answered.expect("an answer within a minute").unwrap()).await
}

async fn collect(response: ::http::Response<hyper::body::Incoming>) -> Response {
    let (head, body) = response.into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

/// An HTTP/2 connection without TLS.
pub async fn h2c<S>(stream: S) -> hyper::client::conn::http2::SendRequest<Full<Bytes>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let executor = TokioExecutor::new();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(executor, TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// What a gRPC call came to.
#[derive(Debug)]
pub struct Answer {
    pub code: u32,
    pub details: RpcStatus,
    pub headers: ::http::HeaderMap,
    pub message: Bytes,
}

/// Makes a unary call with a body of our own making.
pub async fn call(
    sender: &mut hyper::client::conn::http2::SendRequest<Full<Bytes>>,
    path: &str,
    body: impl Into<Bytes>,
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = post(&format!("http://localhost{path}"), body, headers);
    request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    request.headers_mut().insert("te", "trailers".parse().unwrap());
    request.headers_mut().remove("host");
    let answered =
        tokio::time::timeout(Duration::from_secs(60), sender.send_request(request)).await;
    let (head, body) = answered.expect("an answer within a minute").unwrap().into_parts();
    assert_eq!(
        (head.status, &head.headers["content-type"]),
        (::http::StatusCode::OK, &"application/grpc".parse().unwrap())
    );
    let body = body.collect().await.unwrap();
    let mut headers = head.headers;
    headers.extend(body.trailers().cloned().unwrap_or_default());
    let details = headers.get("grpc-status-details-bin").map(|details| {
        use base64::Engine as _;
        let engine = base64::engine::general_purpose::STANDARD_NO_PAD;
        RpcStatus::decode(&engine.decode(details.as_bytes()).unwrap()[..]).unwrap()
    });
    let code = headers["grpc-status"].to_str().unwrap().parse().unwrap();
    Answer { code, details: details.unwrap_or_default(), headers, message: body.to_bytes() }
}

pub const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// A message behind its gRPC header.
pub fn framed(compressed: bool, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&[u8::from(compressed)], &length.to_be_bytes()[..], message].concat()
}

/// `google.rpc.Status`.
#[derive(prost::Message)]
pub struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<AnyMessage>,
}

/// `google.protobuf.Any`.
#[derive(prost::Message)]
pub struct AnyMessage {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

impl RpcStatus {
    /// Names of the details, without their prefix.
    pub fn kinds(&self) -> Vec<&str> {
        self.details.iter().map(|any| any.type_url.rsplit('.').next().unwrap()).collect()
    }
}
