//! SIGKILL at random moments under load: nothing acknowledged is lost.
//!
//! Spans come over gRPC, log records over gRPC with gzip, metrics over HTTP. The oracle: every item whose request was
//! acknowledged is delivered with equal content, and every delivered item was sent; metrics arrive in their order, but for
//! copies. Duplicates are legal and reported. `KILL_ROUNDS=200` runs longer and `KILL_SEED=` replays the moments (not the
//! scheduling) of a run.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};

use super::support::{Agent, Sink, free_address, wait_for};

/// Of spans: one each for log records and metrics are beside them.
const SENDERS: u64 = 4;
const ITEMS_PER_REQUEST: u64 = 20;
/// So long a log record, that segments of the journal fill.
const BODY_BYTES: usize = 2_000;
/// A sender's, with an answer.
const PATIENCE: Duration = Duration::from_secs(5);
const DELIVERED: Duration = Duration::from_secs(60);

/// What was sent of one signal.
#[derive(Default)]
struct Sent {
    next: AtomicU64,
    acknowledged: Mutex<Vec<u64>>,
    refused: AtomicU64,
}

/// What was sent, until told to stop.
#[derive(Default)]
struct Senders {
    spans: Sent,
    logs: Sent,
    metrics: Sent,
    stop: AtomicBool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_agent_is_killed() {
    let rounds: u32 = env_or("KILL_ROUNDS", 8);
    let seed = env_or("KILL_SEED", u64::from(std::process::id()));
    let mut random = fastrand::Rng::with_seed(seed);
    let directory = tempfile::tempdir().unwrap();
    let [grpc, http, admin, destination] = [(); 4].map(|()| free_address());
    let journal = directory.path().join("journal");
    let config = format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{grpc}'}}, http: {{endpoint: '{http}'}}}}}}}}\n\
         journal: {{directory: '{}', max_size: 64MiB}}\n\
         admin: {{endpoint: '{admin}'}}\n\
         exporters: {{otlp_grpc/sink: {{endpoint: 'http://{destination}'}}}}\n",
        journal.display()
    );
    let sink = Sink::default();
    sink.serve(destination).await;

    let sent = Arc::new(Senders::default());
    let senders = start(&sent, grpc, http);
    for _ in 0..rounds {
        let agent = Agent::start(directory.path(), &config, admin).await;
        tokio::time::sleep(Duration::from_millis(random.u64(20..400))).await;
        agent.kill();
    }
    sent.stop.store(true, Ordering::Relaxed);
    let agent = Agent::start(directory.path(), &config, admin).await;
    for sender in senders {
        sender.await.unwrap();
    }

    println!("{rounds} kills (seed {seed}):");
    let spans =
        || sink.spans().into_values().map(|(span, copies)| (Arc::new(span), copies)).collect();
    let id_of = |span: &Span| u64::from_be_bytes(span.span_id.as_slice().try_into().unwrap());
    println!("  {}", sent.spans.check("spans", spans, id_of, make_span).await);
    let once = |logs: Vec<Arc<LogRecord>>| logs.into_iter().map(|log| (log, 1)).collect();
    let logs = || once(sink.logs());
    println!(
        "  {}",
        sent.logs.check("log records", logs, |log| log.time_unix_nano, make_log).await
    );
    let once = |metrics: Vec<Arc<Metric>>| metrics.into_iter().map(|metric| (metric, 1)).collect();
    let id_of = |metric: &Metric| metric.name.parse().unwrap();
    let metrics = || once(sink.metrics());
    println!("  {}", sent.metrics.check("metrics", metrics, id_of, make_metric).await);
    let mut seen = HashSet::new();
    let metrics = sink.metrics();
    let firsts = metrics.iter().map(|metric| id_of(metric)).filter(|id| seen.insert(*id));
    assert!(firsts.is_sorted(), "metrics came out of their order");
    drop(agent);
}

impl Sent {
    /// Waits for what was acknowledged, and holds what was delivered, with its copies, against what was sent. Gives what there
    /// is to say.
    async fn check<T: PartialEq + std::fmt::Debug>(
        &self,
        what: &str,
        received: impl Fn() -> Vec<(Arc<T>, u32)>,
        id_of: impl Fn(&T) -> u64,
        make: impl Fn(u64) -> T,
    ) -> String {
        let acknowledged = std::mem::take(&mut *self.acknowledged.lock().unwrap());
        assert!(!acknowledged.is_empty(), "no {what} were acknowledged: the test shows nothing");
        let known = wait_for("what was acknowledged is delivered", DELIVERED, || {
            let known: HashSet<u64> = received().iter().map(|(item, _)| id_of(item)).collect();
            acknowledged.iter().all(|id| known.contains(id)).then_some(known)
        })
        .await;
        let received = received();
        for (item, _) in &received {
            let id = id_of(item);
            assert_eq!(**item, make(id), "{what} {id} was changed on its way");
        }
        let next = self.next.load(Ordering::Relaxed);
        assert!(known.iter().all(|id| (1..=next).contains(id)), "{what}: delivered, never sent");
        format!(
            "{} requests of {what} acknowledged, {} not; {} delivered, 0 lost, {} duplicates",
            acknowledged.len() as u64 / ITEMS_PER_REQUEST,
            self.refused.load(Ordering::Relaxed),
            known.len(),
            received.iter().map(|(_, copies)| *copies as usize).sum::<usize>() - known.len(),
        )
    }

    /// Sends requests one after another until told to stop.
    async fn send<F>(&self, stop: &AtomicBool, export: impl Fn(Range<u64>) -> F)
    where
        F: Future<Output = bool>,
    {
        while !stop.load(Ordering::Relaxed) {
            let first = self.next.fetch_add(ITEMS_PER_REQUEST, Ordering::Relaxed) + 1;
            let ids = first..first + ITEMS_PER_REQUEST;
            if export(ids.clone()).await {
                self.acknowledged.lock().unwrap().extend(ids);
            } else {
                self.refused.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

fn start(sent: &Arc<Senders>, grpc: SocketAddr, http: SocketAddr) -> Vec<JoinHandle<()>> {
    let endpoint = Endpoint::from_shared(format!("http://{grpc}")).unwrap().timeout(PATIENCE);
    let channel = || endpoint.connect_lazy();
    let mut senders: Vec<_> =
        (0..SENDERS).map(|_| tokio::spawn(send_spans(channel(), Arc::clone(sent)))).collect();
    senders.push(tokio::spawn(send_logs(channel(), Arc::clone(sent))));
    senders.push(tokio::spawn(send_metrics(http, Arc::clone(sent))));
    senders
}

async fn send_spans(channel: Channel, sent: Arc<Senders>) {
    let client = TraceServiceClient::new(channel);
    let export = |ids: Range<u64>| {
        let scope = ScopeSpans { spans: ids.map(make_span).collect(), ..ScopeSpans::default() };
        let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
        let request = ExportTraceServiceRequest { resource_spans: vec![resource] };
        let mut client = client.clone();
        async move { client.export(request).await.is_ok() }
    };
    sent.spans.send(&sent.stop, export).await;
}

async fn send_logs(channel: Channel, sent: Arc<Senders>) {
    let client = LogsServiceClient::new(channel).send_compressed(CompressionEncoding::Gzip);
    let export = |ids: Range<u64>| {
        let scope = ScopeLogs { log_records: ids.map(make_log).collect(), ..ScopeLogs::default() };
        let resource = ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() };
        let request = ExportLogsServiceRequest { resource_logs: vec![resource] };
        let mut client = client.clone();
        async move { client.export(request).await.is_ok() }
    };
    sent.logs.send(&sent.stop, export).await;
}

async fn send_metrics(address: SocketAddr, sent: Arc<Senders>) {
    let export = |ids: Range<u64>| {
        let scope =
            ScopeMetrics { metrics: ids.map(make_metric).collect(), ..ScopeMetrics::default() };
        let resource = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
        let request = ExportMetricsServiceRequest { resource_metrics: vec![resource] };
        let posted = tokio::time::timeout(PATIENCE, post(address, request.encode_to_vec()));
        async move { posted.await.is_ok_and(|posted| posted.unwrap_or(false)) }
    };
    sent.metrics.send(&sent.stop, export).await;
}

/// Whether it was taken.
async fn post(address: SocketAddr, body: Vec<u8>) -> std::io::Result<bool> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let head = format!(
        "POST /v1/metrics HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), &body].concat()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}

fn text(text: String) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Value::StringValue(text)) })
}

/// A log record whose whole content follows from its number.
fn make_log(id: u64) -> LogRecord {
    let body = text(format!("{id}-").repeat(BODY_BYTES / 8));
    LogRecord { time_unix_nano: id, severity_number: 9, body, ..LogRecord::default() }
}

/// A metric whose whole content follows from its number.
fn make_metric(id: u64) -> Metric {
    let value = Some(number_data_point::Value::AsInt(id.cast_signed()));
    let point = NumberDataPoint { time_unix_nano: id, value, ..NumberDataPoint::default() };
    let data = Some(metric::Data::Gauge(Gauge { data_points: vec![point] }));
    Metric { name: id.to_string(), data, ..Metric::default() }
}

/// A span whose whole content follows from its number.
fn make_span(id: u64) -> Span {
    let value = text(format!("payload-{id}").repeat(4));
    let attribute = KeyValue { key: "number".to_owned(), value, ..KeyValue::default() };
    Span {
        trace_id: [span_id(id), span_id(!id)].concat(),
        span_id: span_id(id),
        name: format!("GET /orders/{}", id % 7),
        start_time_unix_nano: id * 1000,
        end_time_unix_nano: id * 1000 + id % 1_000_000,
        attributes: vec![attribute],
        ..Span::default()
    }
}

fn span_id(id: u64) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

fn env_or<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}
