//! A destination that answers as it is told: gRPC and HTTP on one port or socket, plain text or TLS.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Notify;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    pub headers: HeaderMap,
    /// The names of its spans, which say what was sent.
    pub names: Vec<String>,
    /// Whether the answer took them.
    pub taken: bool,
    /// Whether the answer was one, and did not.
    pub refused: bool,
}

/// What to answer.
#[derive(Clone, Debug)]
pub enum Answer {
    Ok,
    /// Taken, with this Export*Response.
    Partial(Vec<u8>),
    /// A gRPC status in trailers, with details.
    Grpc(u8, Option<Bytes>),
    /// A gRPC status in the headers.
    TrailersOnly(u8),
    /// A gRPC answer that ends without a status: not taken.
    NoStatus,
    Http(u16, &'static [(&'static str, &'static str)]),
    /// HTTP 200 with this content type and body, of something that is no receiver.
    Page(&'static str, &'static str),
    /// The connection is cut before the answer.
    Cut,
    /// Taken; then the connection is cut before the answer.
    TakenThenCut,
    /// Taken, and the connection says goodbye (GOAWAY, `connection: close`).
    Goodbye,
    /// Never answered.
    Hang,
    /// An answer of this many bytes.
    Huge(usize),
}

type Script = Arc<dyn Fn(usize, &[String]) -> Answer + Send + Sync>;

#[derive(Clone)]
struct Shared {
    script: Script,
    received: Arc<Mutex<Vec<Received>>>,
    connections: Arc<Mutex<usize>>,
}

#[derive(Clone)]
pub struct Destination {
    pub address: SocketAddr,
    shared: Shared,
}

impl Destination {
    /// Serves until the test's runtime ends; `script` gets the number of the request and its span names.
    pub async fn serve(
        script: impl Fn(usize, &[String]) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::serve_at("127.0.0.1:0".parse().unwrap(), script).await
    }

    pub async fn serve_at(
        address: SocketAddr,
        script: impl Fn(usize, &[String]) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::serve_tcp(address, Vec::new(), Shared::new(script)).await
    }

    /// Like [`Destination::serve`], over TLS.
    pub async fn serve_tls(
        tls: rustls::ServerConfig,
        script: impl Fn(usize, &[String]) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::serve_tls_in_turn([tls], script).await
    }

    /// Over TLS, each connection by the next one's terms, and the last one's from then on.
    pub async fn serve_tls_in_turn(
        tls: impl IntoIterator<Item = rustls::ServerConfig>,
        script: impl Fn(usize, &[String]) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let address = "127.0.0.1:0".parse().unwrap();
        let tls = tls.into_iter().map(Arc::new).collect();
        Self::serve_tcp(address, tls, Shared::new(script)).await
    }

    /// One that listens nowhere: connections are given to [`Destination::accept`].
    pub fn within(script: impl Fn(usize, &[String]) -> Answer + Send + Sync + 'static) -> Self {
        Self { address: "127.0.0.1:0".parse().unwrap(), shared: Shared::new(script) }
    }

    pub fn accept(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        self.shared.serve(stream);
    }

    async fn serve_tcp(
        address: SocketAddr,
        tls: Vec<Arc<rustls::ServerConfig>>,
        shared: Shared,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = shared.clone();
        tokio::spawn(async move {
            for n in 0_usize.. {
                let Ok((stream, _)) = listener.accept().await else { break };
                let Some(tls) = tls.get(n).or(tls.last()).cloned() else {
                    served.serve(stream);
                    continue;
                };
                if let Ok(stream) = tokio_rustls::TlsAcceptor::from(tls).accept(stream).await {
                    served.serve(stream);
                }
            }
        });
        Self { address, shared }
    }

    /// Serves on a Unix socket; its `address` is nowhere.
    pub fn serve_unix(
        path: &std::path::Path,
        script: impl Fn(usize, &[String]) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let shared = Shared::new(script);
        let served = shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                served.serve(stream);
            }
        });
        Self { address: "127.0.0.1:0".parse().unwrap(), shared }
    }

    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// The names of all spans taken, in order.
    pub fn taken(&self) -> Vec<String> {
        self.received().into_iter().filter(|r| r.taken).flat_map(|r| r.names).collect()
    }

    pub fn connections(&self) -> usize {
        *self.shared.connections.lock().unwrap()
    }
}

impl Shared {
    fn new(script: impl Fn(usize, &[String]) -> Answer + Send + Sync + 'static) -> Self {
        Self { script: Arc::new(script), received: Arc::default(), connections: Arc::default() }
    }

    fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        *self.connections.lock().unwrap() += 1;
        let shared = self.clone();
        let (cut, goodbye) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        tokio::spawn(async move {
            let (cutting, leaving) = (Arc::clone(&cut), Arc::clone(&goodbye));
            let service = hyper::service::service_fn(move |request| {
                answer(request, shared.clone(), Arc::clone(&cutting), Arc::clone(&leaving))
            });
            let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            // A simulation is the same each time, to the byte.
            builder.http1().auto_date_header(false);
            builder.http2().auto_date_header(false);
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            loop {
                tokio::select! {
                    biased;
                    _ = connection.as_mut() => break,
                    () = cut.notified() => break,
                    () = goodbye.notified() => connection.as_mut().graceful_shutdown(),
                }
            }
        });
    }
}

type Body = UnsyncBoxBody<Bytes, std::convert::Infallible>;

async fn answer(
    request: Request<Incoming>,
    shared: Shared,
    cut: Arc<Notify>,
    goodbye: Arc<Notify>,
) -> Result<Response<Body>, std::convert::Infallible> {
    let (parts, body) = request.into_parts();
    // A client that gave up in the middle never hears an answer.
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return std::future::pending().await;
    };
    let grpc = parts.headers.get("content-type").is_some_and(|t| t == "application/grpc");
    let names = names(&parts, grpc, &body);
    let answer = {
        let mut received = shared.received.lock().unwrap();
        let answer = (shared.script)(received.len(), &names);
        let taken = matches!(
            answer,
            Answer::Ok | Answer::Partial(_) | Answer::TakenThenCut | Answer::Goodbye
        );
        let silent = matches!(answer, Answer::Cut | Answer::Hang);
        let path = parts.uri.path().to_owned();
        let (headers, refused) = (parts.headers, !taken && !silent);
        received.push(Received { path, headers, names, taken, refused });
        answer
    };
    let message = match &answer {
        Answer::Partial(message) => message.clone(),
        Answer::Huge(bytes) => vec![0; *bytes],
        _ => Vec::new(),
    };
    match &answer {
        Answer::Cut | Answer::TakenThenCut => cut.notify_one(),
        Answer::Goodbye => goodbye.notify_one(),
        _ => {}
    }
    if matches!(answer, Answer::Cut | Answer::TakenThenCut | Answer::Hang) {
        std::future::pending::<()>().await;
    }
    Ok(respond(grpc, &answer, message))
}

fn respond(grpc: bool, answer: &Answer, message: Vec<u8>) -> Response<Body> {
    let full = |bytes: Vec<u8>| http_body_util::Full::new(Bytes::from(bytes));
    if let Answer::Http(status, headers) = answer {
        let mut response = Response::new(full(b"because".to_vec()).boxed_unsync());
        *response.status_mut() = http::StatusCode::from_u16(*status).unwrap();
        for (name, value) in *headers {
            response.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        return response;
    }
    if let Answer::Page(kind, body) = answer {
        let mut response = Response::new(full(body.as_bytes().to_vec()).boxed_unsync());
        response.headers_mut().insert("content-type", HeaderValue::from_static(kind));
        return response;
    }
    if !grpc {
        let mut response = Response::new(full(message).boxed_unsync());
        let kind = HeaderValue::from_static("application/x-protobuf");
        response.headers_mut().insert("content-type", kind);
        return response;
    }
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend_from_slice(&message);
    let status = |code: u8| {
        let mut map = HeaderMap::new();
        map.insert("grpc-status", HeaderValue::from(u16::from(code)));
        map.insert("grpc-message", HeaderValue::from_static("because%20of%0Athis"));
        map
    };
    let trailers = match answer {
        Answer::TrailersOnly(code) => {
            let mut response = Response::new(full(Vec::new()).boxed_unsync());
            *response.headers_mut() = status(*code);
            return response;
        }
        Answer::NoStatus => return Response::new(full(framed).boxed_unsync()),
        Answer::Grpc(code, details) => {
            framed.clear();
            let mut map = status(*code);
            if let Some(details) = details {
                use base64::Engine as _;
                let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(details);
                map.insert("grpc-status-details-bin", HeaderValue::try_from(text).unwrap());
            }
            map
        }
        _ => status(0),
    };
    let body = full(framed).with_trailers(async move { Some(Ok(trailers)) });
    let mut response = Response::new(body.boxed_unsync());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

/// Of its spans, metrics or log events.
fn names(parts: &http::request::Parts, grpc: bool, body: &Bytes) -> Vec<String> {
    let headers = &parts.headers;
    let (coding, payload) = if grpc {
        let length = u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize;
        assert_eq!(body.len(), 5 + length, "one frame");
        assert!(headers.get("te").is_some_and(|te| te == "trailers"));
        let coding = headers.get("grpc-encoding").filter(|_| body[0] == 1);
        (coding, body.slice(5..))
    } else {
        (headers.get("content-encoding"), body.clone())
    };
    let payload = match coding.map(HeaderValue::as_bytes) {
        None => payload.to_vec(),
        Some(b"zstd") => zstd::decode_all(&payload[..]).unwrap(),
        Some(_) => {
            let mut out = Vec::new();
            let mut decoder = flate2::read::MultiGzDecoder::new(&payload[..]);
            std::io::Read::read_to_end(&mut decoder, &mut out).unwrap();
            out
        }
    };
    let (path, payload) = (parts.uri.path(), &payload[..]);
    if path.contains("metrics") {
        let request = ExportMetricsServiceRequest::decode(payload).unwrap();
        let scopes = request.resource_metrics.into_iter().flat_map(|r| r.scope_metrics);
        return scopes.flat_map(|s| s.metrics).map(|metric| metric.name).collect();
    }
    if path.contains("logs") {
        let request = ExportLogsServiceRequest::decode(payload).unwrap();
        let scopes = request.resource_logs.into_iter().flat_map(|r| r.scope_logs);
        return scopes.flat_map(|s| s.log_records).map(|record| record.event_name).collect();
    }
    let request = ExportTraceServiceRequest::decode(payload).unwrap();
    let resources = request.resource_spans.into_iter();
    let spans = resources.flat_map(|r| r.scope_spans).flat_map(|s| s.spans);
    spans.map(|span| span.name).collect()
}
