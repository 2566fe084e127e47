//! SIGKILL at random moments under load: nothing acknowledged is lost.
//!
//! The oracle: every span whose request was acknowledged is delivered with equal content, and every
//! delivered span was sent. Duplicates are legal and reported. `KILL_ROUNDS=200` runs longer and
//! `KILL_SEED=` replays the moments (not the scheduling) of a run.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use super::support::{Agent, Sink, Spans, free_address, wait_for};

const SENDERS: u64 = 4;
const SPANS_PER_REQUEST: u64 = 20;

#[derive(Default)]
struct Sent {
    next: AtomicU64,
    acknowledged: Mutex<Vec<u64>>,
    refused: AtomicU64,
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
         journal: {{directory: '{}'}}\n\
         admin: {{endpoint: '{admin}'}}\n\
         exporters: {{otlp_grpc/sink: {{endpoint: 'http://{destination}'}}}}\n",
        journal.display()
    );
    let sink = Sink::default();
    sink.serve(destination).await;

    let sent = Arc::new(Sent::default());
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| tokio::spawn(send(format!("http://{grpc}"), Arc::clone(&sent))))
        .collect();
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

    let acknowledged = std::mem::take(&mut *sent.acknowledged.lock().unwrap());
    assert!(!acknowledged.is_empty(), "no request was acknowledged: the test shows nothing");
    let delivered = Duration::from_secs(60);
    wait_for("every acknowledged span is delivered", delivered, || {
        let spans = sink.spans();
        let missing = acknowledged.iter().filter(|id| !spans.contains_key(&span_id(**id))).count();
        (missing == 0).then_some(())
    })
    .await;
    let spans = sink.spans();
    check(&acknowledged, &spans, sent.next.load(Ordering::Relaxed));
    let copies: u64 = spans.values().map(|(_, copies)| u64::from(*copies)).sum();
    println!(
        "{rounds} kills (seed {seed}): {} requests acknowledged, {} not; {} spans delivered, {} lost, {} duplicates",
        acknowledged.len() as u64 / SPANS_PER_REQUEST,
        sent.refused.load(Ordering::Relaxed),
        spans.len(),
        0,
        copies - spans.len() as u64,
    );
    drop(agent);
}

fn check(acknowledged: &[u64], spans: &Spans, next: u64) {
    for id in acknowledged {
        let (span, _) = &spans[&span_id(*id)];
        assert_eq!(*span, make_span(*id), "span {id} was changed on its way");
    }
    for id in spans.keys() {
        let id = u64::from_be_bytes(id.as_slice().try_into().unwrap());
        assert!(id > 0 && id <= next, "span {id} was delivered but never sent");
    }
}

/// Sends requests one after another until told to stop; reconnects by itself.
async fn send(endpoint: String, sent: Arc<Sent>) {
    let channel = tonic::transport::Endpoint::from_shared(endpoint)
        .unwrap()
        .timeout(Duration::from_secs(5))
        .connect_lazy();
    let mut client = TraceServiceClient::new(channel);
    while !sent.stop.load(Ordering::Relaxed) {
        let first = sent.next.fetch_add(SPANS_PER_REQUEST, Ordering::Relaxed) + 1;
        let ids = first..first + SPANS_PER_REQUEST;
        match client.export(request(ids.clone())).await {
            Ok(_) => sent.acknowledged.lock().unwrap().extend(ids),
            Err(_) => {
                sent.refused.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

fn request(ids: std::ops::Range<u64>) -> ExportTraceServiceRequest {
    let scope = ScopeSpans { spans: ids.map(make_span).collect(), ..ScopeSpans::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource] }
}

/// A span whose whole content follows from its number.
fn make_span(id: u64) -> Span {
    let value = AnyValue { value: Some(Value::StringValue(format!("payload-{id}").repeat(4))) };
    let attribute =
        KeyValue { key: "number".to_owned(), value: Some(value), ..KeyValue::default() };
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
