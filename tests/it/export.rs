//! Lanes against destinations on real sockets that are down, slow, flapping, lying and refusing. After each
//! test every item was delivered, is queued, or was dropped with a reason.

#[expect(dead_code, reason = "shared with tests/sim, which looks at more of it")]
mod destination;
mod local;
mod tls;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use sidelight_agent::export::client::{Client, SendError};
use sidelight_agent::export::config::{
    ClientConfig, Compression, Config, Destination as Configured, Protocol, Retry, Target,
};
use sidelight_agent::export::status::State;
use sidelight_agent::export::{self, Exporters, Intake};
use sidelight_agent::journal::fs::RealFs;
use sidelight_agent::journal::{
    self, DropReason, Durability, Entry, Journal, Reader, Rejected, Settled, SignalSet,
};
use sidelight_agent::net::endpoint::{Address, Dial, Endpoint};
use sidelight_agent::net::secret::Secret;
use sidelight_agent::signal::{Flags, Meta, Record, Signal};
use sidelight_agent::telemetry::Registry;
use sidelight_agent::time::SystemClock;

use super::support::{Sink, free_address, wait_for};
use destination::{Answer, Destination};

const SOON: Duration = Duration::from_secs(20);

/// A journal in memory with the lanes of one destination behind it.
struct Pipe<I = Reader> {
    journal: Journal,
    exporters: Exporters<I>,
    registry: Registry,
    signal: Signal,
}

fn configured(protocol: Protocol, address: std::net::SocketAddr, signal: Signal) -> Configured {
    let endpoint =
        Endpoint::parse(&format!("http://{address}"), true, protocol.default_port()).unwrap();
    let mut client = ClientConfig::new(protocol, endpoint);
    client.timeout = Duration::from_secs(2);
    let mut destination = Configured::new("otlp/test", Target::Otlp(Box::new(client)));
    destination.signals = SignalSet::only(signal);
    destination.queue.batch.flush_timeout = Duration::from_millis(20);
    destination.retry.policy.initial_interval = Duration::from_millis(10);
    destination.retry.policy.max_interval = Duration::from_millis(50);
    destination
}

fn client_of(destination: &mut Configured) -> &mut ClientConfig {
    match &mut destination.target {
        Target::Otlp(client) => client,
        other => panic!("{other:?}"),
    }
}

impl Pipe {
    async fn reload(&mut self, config: Config) -> Result<(), export::StartError> {
        let readers = export::readers(&config);
        let prepared = self.exporters.prepare(config)?;
        self.exporters.release(&prepared).await;
        let _ = self.journal.reconfigure(readers);
        self.exporters.apply(prepared, |name| self.journal.reader(name))
    }

    fn start(destination: Configured) -> Self {
        Self::start_with(destination, |reader| reader)
    }
}

impl<I: Intake> Pipe<I> {
    fn start_with(destination: Configured, wrap: impl Fn(Reader) -> I) -> Self {
        let signal = Signal::ALL.into_iter().find(|s| destination.signals.contains(*s)).unwrap();
        let config = Config { destinations: vec![destination] };
        let clock = Arc::new(SystemClock::new());
        let registry = Registry::default();
        let memory = journal::Config {
            durability: Durability::Memory,
            memory_size: 64 << 20,
            ..journal::Config::default()
        };
        let deps = journal::Deps {
            fs: Arc::new(RealFs),
            clock: clock.clone(),
            registry: registry.clone(),
        };
        let (journal, _) = Journal::open(memory, export::readers(&config), deps).unwrap();
        let deps = export::Deps { clock, registry: registry.clone(), memory: 16 << 20 };
        let exporters =
            Exporters::start(config, deps, |name| journal.reader(name).map(&wrap)).unwrap();
        Self { journal, exporters, registry, signal }
    }

    async fn append(&self, name: &str) {
        self.append_with(&[name], Flags::default(), "").await;
    }

    async fn append_with(&self, names: &[&str], flags: Flags, tenant: &str) {
        let (meta, _) = Meta::from_headers([("x-tenant", tenant.as_bytes())]);
        let items = u32::try_from(names.len()).unwrap();
        let record = Record {
            signal: self.signal,
            items,
            flags,
            meta,
            payload: request(self.signal, names),
        };
        self.journal.append(record).await.unwrap();
    }

    async fn append_all(&self, count: usize) -> BTreeSet<String> {
        let names: BTreeSet<_> = (0..count).map(|i| format!("s{i:04}")).collect();
        for name in &names {
            self.append(name).await;
        }
        names
    }

    /// Waits until nothing is queued, then checks conservation; gives delivered items and drops.
    async fn settled(&self) -> (u64, Vec<(DropReason, u64)>) {
        wait_for("everything is settled", SOON, || {
            let ledger = self.journal.ledger();
            let lane = ledger.readers.first()?;
            assert!(lane.balances(), "{lane:?}");
            (lane.queued.items == 0).then(|| {
                let dropped = lane.dropped.iter().map(|(reason, n)| (*reason, *n)).collect();
                (lane.delivered.items, dropped)
            })
        })
        .await
    }

    fn count(&self, name: &str) -> f64 {
        let Some((_, series)) = self.registry.family(name) else { return 0.0 };
        let text = format!("{series:?}");
        let number: String = text.rsplit(['(', ' ']).next().unwrap_or_default().into();
        number.trim_end_matches([')', ']']).parse().unwrap()
    }
}

/// A request of `signal` whose entries have these names.
fn request(signal: Signal, names: &[&str]) -> Bytes {
    let names = names.iter().map(|name| (*name).to_owned());
    let request = match signal {
        Signal::Traces | Signal::Profiles => {
            let spans = names.map(|name| Span { name, ..Span::default() }).collect();
            let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
            let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
            ExportTraceServiceRequest { resource_spans }.encode_to_vec()
        }
        Signal::Metrics => {
            let metrics = names.map(|name| Metric { name, ..Metric::default() }).collect();
            let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
            let resource_metrics = vec![ResourceMetrics { scope_metrics, ..Default::default() }];
            ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
        }
        Signal::Logs => {
            let named = |event_name| LogRecord { event_name, ..LogRecord::default() };
            let scope_logs =
                vec![ScopeLogs { log_records: names.map(named).collect(), ..ScopeLogs::default() }];
            let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
            ExportLogsServiceRequest { resource_logs }.encode_to_vec()
        }
    };
    request.into()
}

fn set(names: Vec<String>) -> BTreeSet<String> {
    names.into_iter().collect()
}

#[tokio::test]
async fn what_arrives_is_what_was_sent_in_every_framing_and_compression() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        for compression in [Compression::None, Compression::Gzip(1), Compression::Zstd(1)] {
            let destination = Destination::serve(|_, _| Answer::Ok).await;
            let mut config = configured(protocol, destination.address, Signal::Traces);
            client_of(&mut config).compression = compression;
            let pipe = Pipe::start(config);
            let names = pipe.append_all(200).await;
            assert_eq!(pipe.settled().await, (200, vec![]));
            assert_eq!(set(destination.taken()), names, "{protocol:?} {compression:?}");
            let received = destination.received();
            assert!(received.len() < 100, "merged: {}", received.len());
            let first = &received[0];
            let path = match protocol {
                Protocol::Grpc => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
                Protocol::Http => "/v1/traces",
            };
            assert_eq!(first.path, path);
            let agent = first.headers.get("user-agent").unwrap().to_str().unwrap();
            assert!(agent.starts_with("Sidelight/"), "{agent}");
            assert_eq!(pipe.count("otelcol_exporter_sent_spans"), 200.0);
        }
    }
}

#[tokio::test]
async fn a_connection_is_kept_from_one_request_to_the_next() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let destination = Destination::serve(|_, _| Answer::Ok).await;
        let pipe = Pipe::start(configured(protocol, destination.address, Signal::Metrics));
        for i in 0..5 {
            pipe.append(&format!("{i}")).await;
            pipe.settled().await;
        }
        assert_eq!((destination.received().len(), destination.connections()), (5, 1));
    }
}

#[tokio::test]
async fn nothing_is_lost_while_a_destination_is_down() {
    let address = super::support::free_address();
    let pipe = Pipe::start(configured(Protocol::Grpc, address, Signal::Traces));
    let names = pipe.append_all(50).await;
    let handle = pipe.exporters.handle();
    wait_for("the lane backs off", SOON, || {
        matches!(handle.lanes()[0].state, State::BackingOff { failures: 3.., .. }).then_some(())
    })
    .await;
    let reasons = handle.reasons();
    let said = format!("otlp/test traces: backing off, cannot connect: cannot reach {address}");
    assert!(reasons.len() == 1 && reasons[0].starts_with(&said), "{reasons:?}");
    let destination = Destination::serve_at(address, |_, _| Answer::Ok).await;
    assert_eq!(pipe.settled().await, (50, vec![]));
    assert_eq!(set(destination.taken()), names);
    assert_eq!(handle.lanes()[0].state, State::Sending);
    assert!(handle.lanes()[0].last_error.is_some());
}

#[tokio::test]
async fn nothing_is_lost_when_a_destination_flaps_cuts_and_says_goodbye() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        for signal in [Signal::Traces, Signal::Metrics] {
            let destination = Destination::serve(|n, _| match n % 6 {
                0 => Answer::Cut,
                1 => Answer::Goodbye,
                2 => Answer::TakenThenCut,
                3 => Answer::Http(503, &[]),
                _ => Answer::Ok,
            })
            .await;
            let mut config = configured(protocol, destination.address, signal);
            config.queue.batch.max_size = 100;
            let pipe = Pipe::start(config);
            let names = pipe.append_all(100).await;
            assert_eq!(pipe.settled().await, (100, vec![]));
            let taken = destination.taken();
            assert_eq!(set(taken.clone()), names);
            if signal == Signal::Metrics {
                let mut first = BTreeSet::new();
                let order: Vec<_> = taken.into_iter().filter(|n| first.insert(n.clone())).collect();
                assert!(order.is_sorted(), "{order:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_without_a_status_or_in_time_is_retried() {
    let destination = Destination::serve(|n, _| match n {
        0 => Answer::NoStatus,
        1 => Answer::Hang,
        _ => Answer::Ok,
    })
    .await;
    let mut config = configured(Protocol::Grpc, destination.address, Signal::Logs);
    client_of(&mut config).timeout = Duration::from_millis(200);
    let pipe = Pipe::start(config);
    pipe.append("a").await;
    assert_eq!(pipe.settled().await, (1, vec![]));
    assert_eq!(destination.received().len(), 3);
    assert_eq!(pipe.count("sidelight_exporter_retries"), 2.0);
}

#[tokio::test]
async fn every_grpc_status_ends_as_the_table_says() {
    for code in 1..=16_u8 {
        for only in [false, true] {
            let destination = Destination::serve(move |n, _| match (n, only) {
                (0, false) => Answer::Grpc(code, None),
                (0, true) => Answer::TrailersOnly(code),
                _ => Answer::Ok,
            })
            .await;
            let pipe = Pipe::start(configured(Protocol::Grpc, destination.address, Signal::Traces));
            pipe.append("a").await;
            let refused = matches!(code, 2 | 3 | 5 | 6 | 8 | 9 | 13);
            let want = if refused { (0, vec![(DropReason::Permanent, 1)]) } else { (1, vec![]) };
            assert_eq!(pipe.settled().await, want, "{code}");
            let samples = pipe.exporters.handle().refused();
            assert_eq!(samples[0].samples.len(), usize::from(refused), "{code}");
            if refused {
                assert_eq!(samples[0].samples[0].message, "because of\\nthis");
                assert_eq!(pipe.count("otelcol_exporter_send_failed_spans"), 1.0);
            }
        }
    }
}

#[tokio::test]
async fn http_statuses_end_as_the_table_says() {
    for status in [400, 401, 403, 404, 405, 408, 413, 429, 500, 501, 502, 503, 504, 505] {
        let destination = Destination::serve(move |n, _| match n {
            0 => Answer::Http(status, &[]),
            _ => Answer::Ok,
        })
        .await;
        let pipe = Pipe::start(configured(Protocol::Http, destination.address, Signal::Logs));
        pipe.append("a").await;
        let delivered = matches!(status, 401 | 403 | 404 | 405 | 429 | 502 | 503 | 504);
        let want = if delivered { (1, vec![]) } else { (0, vec![(DropReason::Permanent, 1)]) };
        assert_eq!(pipe.settled().await, want, "{status}");
    }
}

#[tokio::test]
async fn a_web_page_in_place_of_a_receiver_holds_the_lane_and_loses_nothing() {
    let right = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&right);
    let destination = Destination::serve(move |_, _| {
        let page = Answer::Page("text/html; charset=utf-8", "<html>login</html>");
        if asked.load(Ordering::SeqCst) { Answer::Ok } else { page }
    })
    .await;
    let pipe = Pipe::start(configured(Protocol::Http, destination.address, Signal::Traces));
    let names = pipe.append_all(7).await;
    let handle = pipe.exporters.handle();
    let said = wait_for("a reason", SOON, || handle.reasons().pop()).await;
    assert!(said.starts_with("otlp/test traces: held, HTTP 200 with a web page"), "{said}");
    assert!(said.contains("look at the URL of the endpoint"), "{said}");
    right.store(true, Ordering::SeqCst);
    assert_eq!(pipe.settled().await, (7, vec![]));
    assert_eq!(set(destination.taken()), names);
}

#[tokio::test]
async fn an_answer_in_plain_text_or_of_nothing_is_delivered() {
    for (kind, body) in [("text/plain", "ok"), ("text/html", ""), ("text/html", "ok")] {
        let destination = Destination::serve(move |_, _| Answer::Page(kind, body)).await;
        let pipe = Pipe::start(configured(Protocol::Http, destination.address, Signal::Logs));
        pipe.append("a").await;
        assert_eq!(pipe.settled().await, (1, vec![]), "{kind} {body}");
        assert_eq!(destination.received().len(), 1);
    }
}

#[tokio::test]
async fn a_merged_batch_that_is_refused_costs_only_the_culprit() {
    for signal in [Signal::Traces, Signal::Metrics] {
        let destination = Destination::serve(|_, names| {
            if names.iter().any(|n| n == "bad") { Answer::Grpc(3, None) } else { Answer::Ok }
        })
        .await;
        let pipe = Pipe::start(configured(Protocol::Grpc, destination.address, signal));
        for name in ["a", "b", "bad", "c"] {
            pipe.append(name).await;
        }
        assert_eq!(pipe.settled().await, (3, vec![(DropReason::Permanent, 1)]));
        let sent: Vec<_> = destination.received().into_iter().map(|r| r.names).collect();
        assert_eq!(sent[0], ["a", "b", "bad", "c"]);
        let mut singles = sent[1..].to_vec();
        if signal == Signal::Traces {
            singles.sort();
        }
        assert_eq!(
            singles,
            [["a"], ["b"], ["bad"], ["c"]],
            "each once, as it was sent, metrics in order"
        );
    }
}

#[tokio::test]
async fn a_flagged_record_is_never_merged() {
    let destination = Destination::serve(|_, _| Answer::Ok).await;
    let pipe = Pipe::start(configured(Protocol::Grpc, destination.address, Signal::Traces));
    pipe.append("a").await;
    pipe.append_with(&["odd"], Flags::ALONE, "").await;
    pipe.append("b").await;
    assert_eq!(pipe.settled().await, (3, vec![]));
    assert!(destination.received().iter().any(|r| r.names == ["odd"]));
}

#[tokio::test]
async fn tenants_are_never_mixed_and_their_header_travels() {
    let destination = Destination::serve(|_, _| Answer::Ok).await;
    let mut config = configured(Protocol::Http, destination.address, Signal::Traces);
    config.headers_from_context = vec!["x-tenant".to_owned()];
    let pipe = Pipe::start(config);
    for i in 0..20 {
        let tenant = if i % 2 == 0 { "even" } else { "odd" };
        pipe.append_with(&[tenant], Flags::default(), tenant).await;
    }
    assert_eq!(pipe.settled().await, (20, vec![]));
    for request in destination.received() {
        let tenant = request.headers.get("x-tenant").unwrap().to_str().unwrap();
        assert!(request.names.iter().all(|name| name == tenant), "{request:?}");
    }
}

#[tokio::test]
async fn a_partial_success_is_counted_and_never_retried_even_when_it_lies() {
    for (rejected, counted) in [(0, 0), (2, 2), (1_000_000, 5), (-7, 0)] {
        let partial = ExportTracePartialSuccess {
            rejected_spans: rejected,
            error_message: "too\nold".to_owned(),
        };
        let message = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        let destination = Destination::serve(move |_, _| Answer::Partial(message.clone())).await;
        let pipe = Pipe::start(configured(Protocol::Grpc, destination.address, Signal::Traces));
        pipe.append_with(&["a", "b", "c", "d", "e"], Flags::default(), "").await;
        let (delivered, dropped) = pipe.settled().await;
        assert_eq!(delivered, 5 - counted);
        let lost: u64 = dropped.iter().map(|(_, n)| n).sum();
        assert_eq!(lost, counted);
        assert!(dropped.iter().all(|(reason, _)| *reason == DropReason::PartialSuccess));
        assert_eq!(destination.received().len(), 1);
    }
}

#[tokio::test]
async fn wrong_credentials_hold_the_lane_and_lose_nothing() {
    let right = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&right);
    let destination = Destination::serve(move |_, _| {
        if asked.load(Ordering::SeqCst) { Answer::Ok } else { Answer::Grpc(16, None) }
    })
    .await;
    let pipe = Pipe::start(configured(Protocol::Grpc, destination.address, Signal::Traces));
    let names = pipe.append_all(30).await;
    let handle = pipe.exporters.handle();
    let reasons = wait_for("the lane is held", SOON, || {
        Some(handle.reasons()).filter(|reasons| !reasons.is_empty())
    })
    .await;
    assert_eq!(reasons, ["otlp/test traces: held, UNAUTHENTICATED: because of\\nthis"]);
    wait_for("the series says so", SOON, || {
        (pipe.count("sidelight_exporter_held") == 1.0).then_some(())
    })
    .await;
    right.store(true, Ordering::SeqCst);
    assert_eq!(pipe.settled().await, (30, vec![]));
    assert_eq!(set(destination.taken()), names);
    assert!(handle.reasons().is_empty());
}

#[tokio::test]
async fn a_lane_is_held_no_more_when_its_destination_answers_though_it_refuses_the_data() {
    let right = Arc::new(AtomicBool::new(false));
    let mended = Arc::clone(&right);
    let destination = Destination::serve(move |_, _| {
        Answer::Grpc(if mended.load(Ordering::SeqCst) { 3 } else { 16 }, None)
    })
    .await;
    let pipe = Pipe::start(configured(Protocol::Grpc, destination.address, Signal::Traces));
    pipe.append("a").await;
    let handle = pipe.exporters.handle();
    wait_for("the lane is held", SOON, || {
        Some(handle.reasons()).filter(|reasons| !reasons.is_empty())
    })
    .await;
    right.store(true, Ordering::SeqCst);
    assert_eq!(pipe.settled().await, (0, vec![(DropReason::Permanent, 1)]));
    assert_eq!(handle.reasons(), [""; 0]);
}

#[tokio::test]
async fn an_exhausted_destination_is_retried_only_when_it_names_a_delay() {
    // google.rpc.Status { details: [Any { RetryInfo { retry_delay: 0.05 s } }] }
    let url = b"type.googleapis.com/google.rpc.RetryInfo";
    let info = [0x0a, 5, 0x10, 0x80, 0xe1, 0xeb, 0x17];
    let mut any = vec![0x0a, u8::try_from(url.len()).unwrap()];
    any.extend_from_slice(url);
    any.extend_from_slice(&[0x12, u8::try_from(info.len()).unwrap()]);
    any.extend_from_slice(&info);
    let mut status = vec![0x1a, u8::try_from(any.len()).unwrap()];
    status.extend_from_slice(&any);
    let details = Bytes::from(status);
    let destination = Destination::serve(move |n, _| match n {
        0 => Answer::Grpc(8, Some(details.clone())),
        1 => Answer::Ok,
        _ => Answer::Grpc(8, None),
    })
    .await;
    let pipe = Pipe::start(configured(Protocol::Grpc, destination.address, Signal::Traces));
    pipe.append("a").await;
    assert_eq!(pipe.settled().await, (1, vec![]));
    pipe.append("b").await;
    assert_eq!(pipe.settled().await, (1, vec![(DropReason::Permanent, 1)]));
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read_and_not_retried() {
    let destination = Destination::serve(|_, _| Answer::Huge(5 << 20)).await;
    let pipe = Pipe::start(configured(Protocol::Grpc, destination.address, Signal::Traces));
    pipe.append("a").await;
    assert_eq!(pipe.settled().await, (0, vec![(DropReason::Permanent, 1)]));
    assert_eq!(destination.received().len(), 1);
}

#[tokio::test]
async fn a_large_record_is_split_and_only_a_single_large_item_is_dropped() {
    let destination = Destination::serve(|_, _| Answer::Ok).await;
    let mut config = configured(Protocol::Grpc, destination.address, Signal::Traces);
    config.queue.batch.max_request_size = 1000;
    let pipe = Pipe::start(config);
    let (large, long) = ("l".repeat(300), "x".repeat(2000));
    let names = [large.as_str(), &large, &long, &large, &large];
    pipe.append_with(&names, Flags::default(), "").await;
    pipe.append("neighbour").await;
    assert_eq!(pipe.settled().await, (5, vec![(DropReason::TooLarge, 1)]));
    assert!(destination.received().len() >= 2);
    assert!(destination.taken().contains(&"neighbour".to_owned()));
    let refused = pipe.exporters.handle().refused().remove(0);
    let [sample] = &refused.samples[..] else { panic!("{refused:?}") };
    assert_eq!((sample.items, sample.status.as_str()), (1, "too large"));
    assert!(sample.message.contains("sending_queue.batch.max_request_size, here 1000 bytes"));
}

#[tokio::test]
async fn a_shutdown_delivers_what_is_there_and_leaves_the_rest_in_the_journal() {
    let destination = Destination::serve(|_, _| Answer::Ok).await;
    let pipe = Pipe::start(configured(Protocol::Grpc, destination.address, Signal::Traces));
    let names = pipe.append_all(100).await;
    let undelivered = pipe.exporters.shutdown(SOON).await;
    assert!(undelivered.lanes.is_empty(), "{undelivered:?}");
    assert_eq!(set(destination.taken()), names);

    let hanging = Destination::serve(|_, _| Answer::Hang).await;
    let pipe = Pipe::start(configured(Protocol::Grpc, hanging.address, Signal::Traces));
    pipe.append("a").await;
    wait_for("it is sent", SOON, || (!hanging.received().is_empty()).then_some(())).await;
    let undelivered = pipe.exporters.shutdown(Duration::from_millis(100)).await;
    assert_eq!(undelivered.lanes, [("otlp/test:traces".to_owned(), 1)]);
    let ledger = pipe.journal.ledger();
    assert_eq!((ledger.readers[0].queued.items, ledger.readers[0].delivered.items), (1, 0));
}

/// A journal reader whose first waits end with nothing there, as after an idle minute.
struct IdleAtFirst {
    reader: Reader,
    idle_waits: u32,
    reads: Arc<AtomicUsize>,
}

impl Intake for IdleAtFirst {
    async fn wait(&mut self, min_bytes: usize, max_wait: Duration) -> bool {
        if let Some(left) = self.idle_waits.checked_sub(1) {
            self.idle_waits = left;
            return true;
        }
        Intake::wait(&mut self.reader, min_bytes, max_wait).await
    }

    async fn next(&mut self, max_bytes: usize, max_records: usize) -> Result<Vec<Entry>, String> {
        let read = Intake::next(&mut self.reader, max_bytes, max_records).await;
        self.reads.fetch_add(1, Ordering::Relaxed);
        read
    }

    fn settle(&self, settled: Vec<Settled>) {
        Intake::settle(&self.reader, settled);
    }

    fn keep_rejected(&self, rejected: Rejected) -> impl Future<Output = ()> + Send + 'static {
        Intake::keep_rejected(&self.reader, rejected)
    }

    fn not_kept(&self, records: usize) {
        Intake::not_kept(&self.reader, records);
    }
}

#[tokio::test]
async fn a_shutdown_delivers_what_came_after_an_idle_time() {
    let destination = Destination::serve(|_, _| Answer::Ok).await;
    let mut config = configured(Protocol::Grpc, destination.address, Signal::Traces);
    config.queue.batch.flush_timeout = SOON;
    let reads = Arc::new(AtomicUsize::new(0));
    let pipe = Pipe::start_with(config, |reader| IdleAtFirst {
        reader,
        idle_waits: 2,
        reads: Arc::clone(&reads),
    });
    let read = || (reads.load(Ordering::Relaxed) > 0).then_some(());
    wait_for("an empty read", SOON, read).await;
    pipe.append("last").await;
    let undelivered = pipe.exporters.shutdown(SOON).await;
    assert!(undelivered.lanes.is_empty(), "{undelivered:?}");
    assert_eq!(destination.taken(), ["last"]);
}

#[tokio::test]
async fn a_shutdown_waits_for_a_batch_that_fails_while_others_arrive() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&attempts);
    let destination = Destination::serve(move |_, names| {
        let unlucky = names.iter().any(|name| name == "unlucky");
        match unlucky.then(|| seen.fetch_add(1, Ordering::Relaxed)) {
            Some(0 | 1) => Answer::TrailersOnly(14),
            _ => Answer::Ok,
        }
    })
    .await;
    let mut config = configured(Protocol::Grpc, destination.address, Signal::Traces);
    config.queue.batch.max_size = 1;
    config.retry.policy.initial_interval = Duration::from_millis(300);
    config.retry.policy.max_interval = Duration::from_millis(300);
    let pipe = Pipe::start(config);
    pipe.append("unlucky").await;
    let tried = |n| (attempts.load(Ordering::Relaxed) >= n).then_some(());
    wait_for("a first attempt", SOON, || tried(1)).await;
    pipe.append("lucky").await;
    wait_for("a second attempt", SOON, || tried(2)).await;
    let undelivered = pipe.exporters.shutdown(SOON).await;
    assert!(undelivered.lanes.is_empty(), "{undelivered:?}");
    assert_eq!(destination.taken(), ["lucky", "unlucky"]);
}

#[tokio::test]
async fn a_merged_batch_is_not_divided_for_what_is_not_its_fault() {
    for (answer, enabled) in [(Answer::TrailersOnly(14), false), (Answer::Huge(5 << 20), true)] {
        let destination = Destination::serve(move |_, _| answer.clone()).await;
        let mut config = configured(Protocol::Grpc, destination.address, Signal::Traces);
        config.retry.enabled = enabled;
        config.queue.batch.flush_timeout = Duration::from_secs(2);
        let pipe = Pipe::start(config);
        pipe.append_all(3).await;
        assert_eq!(pipe.settled().await, (0, vec![(DropReason::Permanent, 3)]));
        assert_eq!(destination.received().len(), 1);
    }
}

#[tokio::test]
async fn requests_that_lose_one_connection_together_share_the_next() {
    let destination = Destination::serve(|n, _| match n {
        1..=3 => Answer::Hang,
        4 => Answer::Cut,
        _ => Answer::Ok,
    })
    .await;
    let mut config = configured(Protocol::Grpc, destination.address, Signal::Traces);
    config.queue.batch.max_size = 1;
    let pipe = Pipe::start(config);
    pipe.append("first").await;
    assert_eq!(pipe.settled().await, (1, vec![]));
    pipe.append_all(4).await;
    assert_eq!(pipe.settled().await, (5, vec![]));
    assert_eq!(destination.connections(), 2);
}

/// On a clock that stands still but for the waits: each request is as late as it says.
#[tokio::test(start_paused = true)]
async fn a_request_that_times_out_takes_no_connection_along_that_was_made_since() {
    let hangs = |n: usize| if n < 2 { Answer::Hang } else { Answer::Ok };
    let destination = Destination::within(move |n, _| hangs(n));
    let served = destination.clone();
    let dial = Dial::new(move || {
        let (near, far) = tokio::io::duplex(64 << 10);
        served.accept(far);
        std::future::ready(Ok(near))
    });
    let endpoint = Endpoint { address: Address::Within(dial), tls: false, path: "/".to_owned() };
    let config = ClientConfig::new(Protocol::Grpc, endpoint);
    let client = Client::new(&config, Arc::new(SystemClock::new())).unwrap();
    let twice = async |after| {
        tokio::time::sleep(after).await;
        let send = || client.send(Signal::Traces, vec![request(Signal::Traces, &["a"])]);
        assert!(matches!(send().await, Err(SendError::Timeout(_))));
        send().await.unwrap();
    };
    tokio::join!(twice(Duration::ZERO), twice(config.timeout / 2));
    assert_eq!(destination.received().len(), 4);
    assert_eq!(destination.connections(), 2);
}

#[tokio::test]
async fn a_reload_moves_a_lane_with_what_it_holds() {
    let hanging = Destination::serve(|_, _| Answer::Http(503, &[])).await;
    let mut config = configured(Protocol::Http, hanging.address, Signal::Traces);
    config.queue.batch.max_size = 50;
    let mut pipe = Pipe::start(config);
    let names = pipe.append_all(40).await;
    wait_for("it is tried", SOON, || (hanging.received().len() > 2).then_some(())).await;
    let destination = Destination::serve(|_, _| Answer::Ok).await;
    let moved = configured(Protocol::Grpc, destination.address, Signal::Traces);
    let config = Config { destinations: vec![moved] };
    pipe.reload(config).await.unwrap();
    assert_eq!(pipe.settled().await, (40, vec![]));
    assert_eq!(set(destination.taken()), names);
    assert_eq!(destination.taken().len(), 40, "nothing twice");
}

#[tokio::test]
async fn a_reload_to_a_lower_limit_holds_for_what_waits_already() {
    const LIMIT: usize = 1000;
    // One record above the limit, and several that were merged into one batch above it.
    for records in [&[&["a", "b"][..]][..], &[&["a"], &["b"], &["c"], &["d"]]] {
        let down = Destination::serve(|_, _| Answer::Http(503, &[])).await;
        let mut config = configured(Protocol::Http, down.address, Signal::Traces);
        config.headers_from_context = vec!["x-tenant".to_owned()];
        config.queue.batch.flush_timeout = Duration::from_secs(5);
        let mut pipe = Pipe::start(config);
        let bytes = if records.len() > 1 { LIMIT * 2 / 5 } else { LIMIT * 3 / 5 };
        for names in records {
            let long: Vec<_> = names.iter().map(|name| name.repeat(bytes)).collect();
            let names: Vec<_> = long.iter().map(String::as_str).collect();
            pipe.append_with(&names, Flags::default(), "shop").await;
        }
        let items = records.concat().len();
        wait_for("all of it is tried at once", SOON, || {
            let received = down.received();
            received.iter().any(|request| request.names.len() == items).then_some(())
        })
        .await;
        let destination = Destination::serve(|_, names| {
            let bytes: usize = names.iter().map(String::len).sum();
            if bytes > LIMIT { Answer::Grpc(8, None) } else { Answer::Ok }
        })
        .await;
        let mut lower = configured(Protocol::Grpc, destination.address, Signal::Traces);
        lower.queue.batch.max_request_size = LIMIT;
        pipe.reload(Config { destinations: vec![lower] }).await.unwrap();
        assert_eq!(pipe.settled().await, (items as u64, vec![]));
        let received = destination.received();
        assert_eq!(received.len(), 2, "as few as the limit allows");
        let passed = |request: &destination::Received| request.headers.contains_key("x-tenant");
        assert!(down.received().iter().all(passed));
        assert!(!received.iter().any(passed), "it is passed on no longer");
    }
}

#[tokio::test]
async fn a_reload_that_cannot_start_changes_nothing() {
    let destination = Destination::serve(|_, _| Answer::Ok).await;
    let mut config = configured(Protocol::Grpc, destination.address, Signal::Traces);
    let mut pipe = Pipe::start(config.clone());
    pipe.append("a").await;
    assert_eq!(pipe.settled().await, (1, vec![]));
    config.name = "otlp/other".to_owned();
    client_of(&mut config).headers.push(("a b".to_owned(), Secret::new("x")));
    let refused = pipe.reload(Config { destinations: vec![config] }).await;
    assert!(matches!(refused, Err(export::StartError::Client { .. })), "{refused:?}");
    pipe.append("b").await;
    assert_eq!(pipe.settled().await, (2, vec![]));
    assert_eq!(destination.connections(), 1, "the lane went on");
}

#[tokio::test]
async fn a_lane_without_a_reader_keeps_no_other_from_starting() {
    let destination = Destination::serve(|_, _| Answer::Ok).await;
    let mut config = configured(Protocol::Grpc, destination.address, Signal::Traces);
    let mut pipe = Pipe::start(config.clone());
    let mut first = config.clone();
    first.name = "otlp/unknown".to_owned();
    client_of(&mut config).compression = Compression::None;
    let config = Config { destinations: vec![first, config] };
    let prepared = pipe.exporters.prepare(config.clone()).unwrap();
    pipe.exporters.release(&prepared).await;
    let applied = pipe.exporters.apply(prepared, |name| pipe.journal.reader(name));
    assert_eq!(applied.unwrap_err().to_string(), "the journal has no reader otlp/unknown:traces");
    pipe.append("a").await;
    assert_eq!(pipe.settled().await, (1, vec![]));
    pipe.reload(config).await.unwrap();
    let lanes = pipe.exporters.handle().lanes().into_iter().map(|lane| lane.exporter);
    let lanes: Vec<_> = lanes.collect();
    assert_eq!(lanes, ["otlp/unknown", "otlp/test"], "the next reload starts it, in its place");
}

#[tokio::test]
async fn a_tenant_without_rights_does_not_hold_the_others() {
    for signal in [Signal::Traces, Signal::Metrics] {
        let destination = Destination::serve(|_, names| match names {
            [name, ..] if name.starts_with("bad") => Answer::Http(403, &[]),
            _ => Answer::Ok,
        })
        .await;
        let mut config = configured(Protocol::Http, destination.address, signal);
        config.headers_from_context = vec!["x-tenant".to_owned()];
        config.retry = Retry::default();
        let pipe = Pipe::start(config);
        for round in 0..10 {
            pipe.append_with(&[&format!("bad{round}")], Flags::default(), "bad").await;
            pipe.append_with(&[&format!("good{round}")], Flags::default(), "good").await;
            let last = format!("good{round}");
            wait_for("the other tenant is served", Duration::from_secs(8), || {
                destination.taken().contains(&last).then_some(())
            })
            .await;
        }
        assert!(destination.taken().iter().all(|name| name.starts_with("good")));
    }
}

#[tokio::test]
async fn a_client_can_be_used_by_itself() {
    let destination = Destination::serve(|_, _| Answer::Ok).await;
    let client = client_alone(&destination.address.to_string());
    let requests = ["a", "b"].map(|name| request(Signal::Traces, &[name]));
    client.send(Signal::Traces, requests.into()).await.unwrap();
    assert_eq!(destination.taken(), ["a", "b"]);
}

#[tokio::test]
async fn the_time_of_a_grpc_server_is_in_the_head_of_its_answer() {
    let address = free_address();
    Sink::default().serve(address).await;
    let client = client_alone(&address.to_string());
    let sent = client.send(Signal::Traces, vec![request(Signal::Traces, &["a"])]);
    let response = sent.await.unwrap();
    let date = response.date.expect("tonic says it");
    assert!(date.to_str().unwrap().ends_with(" GMT"), "{date:?}");
}

fn client_alone(address: &str) -> Client {
    let endpoint = Endpoint::parse(address, true, Protocol::Grpc.default_port()).unwrap();
    let config = ClientConfig::new(Protocol::Grpc, endpoint);
    Client::new(&config, Arc::new(SystemClock::new())).unwrap()
}
