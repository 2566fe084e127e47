//! What one request costs the receiver: gRPC over loopback into a journal that forgets.
//!
//! The server has a thread of its own, whose processor time is what is reported. `cargo bench --bench
//! receive`; without `--bench` a few requests show that it still runs.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "the result")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use sidelight_agent::journal::AppendError;
use sidelight_agent::memory::InFlight;
use sidelight_agent::receive::{self, Append, Bind, Config, Deps, Listener};
use sidelight_agent::signal::Record;
use sidelight_agent::telemetry::Registry;
use sidelight_agent::time::SystemClock;

#[derive(Clone)]
struct Forget;

impl Append for Forget {
    async fn append(&self, record: Record) -> Result<(), AppendError> {
        drop(record);
        Ok(())
    }
}

const SERVER: &str = "server";

/// A server on a runtime of one thread; its address.
fn serve() -> String {
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name(SERVER.to_owned());
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listeners = vec![Listener::new(Bind::Tcp("127.0.0.1:0".into()))];
            let config = Config { listeners, ..Config::default() };
            let (in_flight, registry) = (InFlight::new(48 << 20), Registry::default());
            let deps = Deps { in_flight, registry, clock: Arc::new(SystemClock::new()) };
            let handle = receive::bind(config, deps).await.unwrap().serve(Forget);
            sender.send(handle.endpoints()[0].address.clone()).unwrap();
            std::future::pending::<()>().await;
        });
    };
    thread.spawn(run).unwrap();
    receiver.recv().unwrap()
}

/// Processor time of the server's thread so far.
fn server_cpu() -> Duration {
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        let name = std::fs::read_to_string(task.join("comm")).unwrap();
        if name.trim() == SERVER {
            let schedstat = std::fs::read_to_string(task.join("schedstat")).unwrap();
            let nanos = schedstat.split_whitespace().next().unwrap().parse().unwrap();
            return Duration::from_nanos(nanos);
        }
    }
    Duration::ZERO
}

fn request(spans: usize) -> Vec<u8> {
    let attribute = |n: usize| KeyValue {
        key: format!("http.request.attribute.{n}"),
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue(format!("a value, number {n}"))),
        }),
        ..KeyValue::default()
    };
    let span = |n: usize| Span {
        trace_id: vec![7; 16],
        span_id: n.to_le_bytes().to_vec(),
        name: "GET /orders/{id}".into(),
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        attributes: (0..9).map(attribute).collect(),
        ..Span::default()
    };
    let scope = ScopeSpans { spans: (0..spans).map(span).collect(), ..ScopeSpans::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec()
}

/// Sends `count` requests from `concurrency` loops over one connection.
async fn send(
    address: &str,
    body: &Bytes,
    encoding: &'static str,
    count: usize,
    concurrency: usize,
) {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let loops = (0..concurrency).map(|_| {
        let (mut sender, body) = (sender.clone(), body.clone());
        tokio::spawn(async move {
            for _ in 0..count / concurrency {
                let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
                let request = http::Request::post(format!("http://localhost{path}"))
                    .header("content-type", "application/grpc")
                    .header("te", "trailers")
                    .header("grpc-encoding", encoding)
                    .body(Full::new(body.clone()))
                    .unwrap();
                let response = sender.send_request(request).await.unwrap();
                let answer = response.into_body().collect().await.unwrap();
                assert_eq!(answer.trailers().unwrap()["grpc-status"], "0");
            }
        })
    });
    for sending in loops.collect::<Vec<_>>() {
        sending.await.unwrap();
    }
}

fn main() {
    let measured = std::env::args().any(|argument| argument == "--bench");
    let address = serve();
    let client = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (spans, encoding, count) in [
        (10, "identity", 20_000),
        (10, "gzip", 20_000),
        (10, "zstd", 20_000),
        (1000, "identity", 600),
        (1000, "gzip", 300),
        (1000, "zstd", 600),
    ] {
        let plain = request(spans);
        let message = match encoding {
            "gzip" => gzip(&plain),
            "zstd" => zstd::bulk::compress(&plain, 1).unwrap(),
            _ => plain.clone(),
        };
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let flag = [u8::from(encoding != "identity")];
        let body = Bytes::from([&flag[..], &length, &message].concat());
        let count = if measured { count } else { 8 };
        client.block_on(send(&address, &body, encoding, count / 8, 8));
        let before = server_cpu();
        client.block_on(send(&address, &body, encoding, count, 8));
        let each = (server_cpu() - before) / u32::try_from(count).unwrap();
        let per_span = each.as_nanos() / spans as u128;
        println!(
            "{spans:>5} spans, {:>7} B, {encoding:<8} CPU {:>8.1} µs/request, {per_span} ns/span",
            plain.len(),
            each.as_nanos() as f64 / 1e3,
        );
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
