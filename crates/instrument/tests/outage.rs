//! An endpoint that is down for long, and comes back: what that costs, and what is said of it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![cfg(feature = "otlp")]

#[expect(dead_code, reason = "the rows of delivery use more of it")]
#[path = "delivery/collector.rs"]
mod collector;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use collector::Collector;
use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use prost::Message;
use sidelight::init::{Deliver, Delivering, Signal};
use sidelight::{Counter, Telemetry};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl std::io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().push(String::from_utf8_lossy(line).into_owned());
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Lines {
    fn with(&self, what: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|line| line.contains(what)).count()
    }
}

fn record(telemetry: &Telemetry, spans: usize) {
    let tracer = telemetry.tracer_provider().tracer("outage");
    for _ in 0..spans {
        tracer.start("work").end();
    }
}

fn sums<'a>(metrics: impl IntoIterator<Item = &'a Metric>, name: &str) -> String {
    let last = metrics.into_iter().filter(|metric| metric.name == name).last();
    last.map(|metric| format!("{:?}", metric.data)).unwrap_or_default()
}

fn lines() -> Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    let all = LINES.get_or_init(|| {
        let lines = Lines::default();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(lines.clone());
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
            .unwrap();
        lines
    });
    all.clone()
}

/// The process has one telemetry.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes requests once it is up.
#[derive(Clone, Default)]
struct Down {
    up: Arc<AtomicBool>,
    metrics: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Deliver for Down {
    fn deliver(&self, signal: Signal, request: Vec<u8>) -> Delivering {
        if !self.up.load(Ordering::Relaxed) {
            return Box::pin(async { Err("refused".into()) });
        }
        if signal == Signal::Metrics {
            self.metrics.lock().unwrap().push(request);
        }
        Box::pin(async { Ok(()) })
    }
}

/// As many exports as there are in an hour, each with more than the queue holds now and then.
#[test]
fn an_exporter_that_is_down_for_an_hour_costs_what_its_queues_hold_and_goes_on_when_it_is_back() {
    const EXPORTS: usize = 720;
    const FEW: usize = 30;
    const MANY: usize = 3_000;
    static ORDERS: Counter<0> = Counter::new("outage.orders");
    let _alone = alone();
    let (lines, down) = (lines(), Down::default());
    let telemetry = sidelight::init("outage")
        .without_subscriber()
        .deliver(down.clone())
        .metric_interval(Duration::from_secs(3600))
        .start()
        .unwrap();
    let mut recorded = 0;
    for export in 0..EXPORTS {
        let spans = if export % 90 == 89 { MANY } else { FEW };
        ORDERS.add(1, []);
        record(&telemetry, spans);
        recorded += spans as u64;
        assert!(telemetry.flush_blocking().is_err());
        let counts = telemetry.counts(Signal::Traces);
        assert_eq!((counts.delivered, counts.failed + counts.queue_full), (0, recorded));
    }
    let counts = telemetry.counts(Signal::Traces);
    let told = lines.with("traces are not delivered to this process");
    let full = lines.with("the queue of traces is full");
    assert_eq!((told, full), (1, 0), "one line in five minutes");

    down.up.store(true, Ordering::Relaxed);
    record(&telemetry, 7);
    telemetry.flush_blocking().unwrap();
    assert_eq!(telemetry.counts(Signal::Traces).delivered, 7);
    assert_eq!(lines.with("traces are delivered again"), 1);
    let requests = down.metrics.lock().unwrap().clone();
    let last = ExportMetricsServiceRequest::decode(&requests.last().unwrap()[..]).unwrap();
    let scopes = last.resource_metrics.iter().flat_map(|of| &of.scope_metrics);
    let metrics: Vec<_> = scopes.flat_map(|scope| scope.metrics.clone()).collect();
    // Sums are cumulative: an hour without anyone to take them lost none.
    assert!(sums(&metrics, "outage.orders").contains("AsInt(720)"));
    let dropped = sums(&metrics, "sidelight.export.dropped");
    assert!(dropped.contains(&format!("AsInt({})", counts.failed)), "{dropped}");
    telemetry.shutdown().unwrap();
}

#[test]
fn a_collector_that_comes_back_at_its_address_gets_what_is_recorded_from_then_on() {
    let _alone = alone();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let started = sidelight::init("outage").local().endpoint(format!("http://{address}"));
    let telemetry = started.metric_interval(Duration::from_secs(3600)).start().unwrap();
    record(&telemetry, 100);
    assert!(telemetry.flush_blocking().is_err());
    assert_eq!(telemetry.counts(Signal::Traces).failed, 100);
    let listener = TcpListener::bind(address).unwrap();
    listener.set_nonblocking(true).unwrap();
    let collector = Collector::grpc_on(listener);
    record(&telemetry, 7);
    telemetry.flush_blocking().unwrap();
    assert_eq!(telemetry.counts(Signal::Traces).delivered, 7);
    assert_eq!(collector.arrived.spans().len(), 7);
    telemetry.shutdown().unwrap();
}

/// Waits until spans were delivered or dropped, as many of each.
fn settled(telemetry: &Telemetry, (delivered, failed): (u64, u64)) {
    let counts = || telemetry.counts(Signal::Traces);
    for _ in 0..1000 {
        if counts().delivered + counts().failed > 0 {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    assert_eq!((counts().delivered, counts().failed), (delivered, failed));
}

/// Longer than the exporter's own retries take; an agent that is restarted is back by then.
#[test]
fn what_is_recorded_while_a_collector_is_away_for_seconds_arrives_when_it_is_back() {
    const AWAY: Duration = Duration::from_secs(2);
    let _alone = alone();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let started = sidelight::init("outage").local().endpoint(format!("http://{address}"));
    let telemetry = started.metric_interval(Duration::from_secs(3600)).start().unwrap();
    // A batch, which leaves at once.
    record(&telemetry, 512);
    std::thread::park_timeout(AWAY);
    let listener = TcpListener::bind(address).unwrap();
    listener.set_nonblocking(true).unwrap();
    let collector = Collector::grpc_on(listener);
    settled(&telemetry, (512, 0));
    assert_eq!(collector.arrived.spans().len(), 512);
    telemetry.shutdown().unwrap();
}

/// A peer on a thread of its own, and whom it spoke to.
fn peer(listener: &TcpListener, wanted: u8) -> Receiver<std::io::Result<TcpStream>> {
    let listener = listener.try_clone().unwrap();
    let (tell, told) = sync_channel(1);
    std::thread::spawn(move || _ = tell.send(silent(&listener, wanted)));
    told
}

/// Speaks HTTP/2 up to its settings, then nothing, until it gets a frame of this kind.
fn silent(listener: &TcpListener, wanted: u8) -> std::io::Result<TcpStream> {
    const PREFACE: usize = 24;
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let (mut peer, _) = listener.accept()?;
    peer.write_all(&SETTINGS)?;
    peer.read_exact(&mut [0; PREFACE])?;
    loop {
        let mut head = [0; 9];
        peer.read_exact(&mut head)?;
        let [a, b, c, kind, ..] = head;
        if kind == wanted {
            return Ok(peer);
        }
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        peer.read_exact(&mut vec![0; length])?;
    }
}

#[test]
fn what_a_connection_held_that_broke_is_sent_again() {
    const HEADERS: u8 = 1;
    let _alone = alone();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let started = sidelight::init("outage").local().endpoint(endpoint);
    let telemetry = started.metric_interval(Duration::from_secs(3600)).start().unwrap();
    let told = peer(&listener, HEADERS);
    record(&telemetry, 512);
    drop(told.recv_timeout(Duration::from_secs(10)).expect("a request").unwrap());
    listener.set_nonblocking(true).unwrap();
    let collector = Collector::grpc_on(listener);
    settled(&telemetry, (512, 0));
    assert_eq!(collector.arrived.spans().len(), 512);
    telemetry.shutdown().unwrap();
}

#[test]
fn a_collector_that_vanished_is_asked_whether_it_is_there() {
    const PING: u8 = 6;
    let _alone = alone();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let told = peer(&listener, PING);
    let started = sidelight::init("outage").local().endpoint(endpoint);
    let telemetry = started.shutdown_timeout(Duration::from_millis(100)).start().unwrap();
    record(&telemetry, 512);
    let asked = told.recv_timeout(Duration::from_secs(9)).expect("within 5 s").unwrap();
    assert!(telemetry.shutdown().is_err());
    drop(asked);
}
