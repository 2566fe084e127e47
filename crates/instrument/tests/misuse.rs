//! What goes wrong around telemetry: nothing here panics, blocks or grows; a count tells, and one line of log.
//!
//! Elsewhere: no start at all (`no_init.rs`); an exporter that is down for an hour (`outage.rs`); 100,000 paths, and headers that
//! are no text (`http.rs`); as many routes (`http_routes.rs`); a process that was forked (`delivery`); locks that a panic
//! poisoned, a counter that goes back (beside the code).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::future::pending;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{Span as _, Tracer, TracerProvider};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use sidelight::init::{Deliver, Delivering, FlushError, Init, Signal, StartError, init};
use sidelight::{
    Cache, CacheLevel, Counter, Feature, FeatureKind, Operation, Pool, Queue, QueueDepth, Retry,
    Telemetry, observe,
};

/// The process has one telemetry.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Requests>>);

type Requests = Vec<(Signal, Vec<u8>)>;

impl Deliver for Kept {
    fn deliver(&self, signal: Signal, request: Vec<u8>) -> Delivering {
        self.0.lock().unwrap().push((signal, request));
        Box::pin(async { Ok(()) })
    }
}

impl Kept {
    fn of(&self, wanted: Signal) -> Vec<Vec<u8>> {
        self.0
            .lock()
            .unwrap()
            .iter()
            .filter(|(signal, _)| *signal == wanted)
            .map(|(_, bytes)| bytes.clone())
            .collect()
    }

    fn spans(&self) -> Vec<Span> {
        let requests = self.of(Signal::Traces);
        let requests =
            requests.iter().map(|bytes| ExportTraceServiceRequest::decode(&bytes[..]).unwrap());
        let scopes =
            requests.flat_map(|request| request.resource_spans).flat_map(|of| of.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    fn metric(&self, name: &str) -> Option<String> {
        let requests = self.of(Signal::Metrics);
        let request = ExportMetricsServiceRequest::decode(&requests.last()?[..]).unwrap();
        let scopes = request.resource_metrics.into_iter().flat_map(|of| of.scope_metrics);
        let metric = scopes.flat_map(|scope| scope.metrics).find(|metric| metric.name == name)?;
        Some(format!("{:?}", metric.data))
    }
}

fn local() -> Init {
    init("misuse").local()
}

fn record(telemetry: &Telemetry, spans: usize) {
    let tracer = telemetry.tracer_provider().tracer("misuse");
    for _ in 0..spans {
        tracer.start("work").end();
    }
}

#[test]
fn a_second_start_is_refused_until_the_first_has_ended() {
    let _alone = alone();
    let start = || init("misuse").without_subscriber().deliver(Kept::default()).start();
    let first = start().unwrap();
    assert!(matches!(start(), Err(StartError::AlreadyInit)));
    let beside = local().deliver(Kept::default()).start().unwrap();
    beside.shutdown().unwrap();
    drop(first);
    start().unwrap().shutdown().unwrap();
}

#[test]
fn a_subscriber_of_the_applications_own_is_not_pushed_aside() {
    let _alone = alone();
    let own = tracing_subscriber::registry();
    let _kept = tracing::subscriber::set_default(own);
    let refused = init("misuse").deliver(Kept::default()).start().unwrap_err();
    assert!(refused.to_string().contains(".without_subscriber()"), "{refused}");
    let kept = Kept::default();
    init("misuse").without_subscriber().deliver(kept).start().unwrap().shutdown().unwrap();
}

#[test]
fn a_handle_used_before_the_start_records_after_it_and_what_was_before_is_counted() {
    static ORDERS: Counter<1> = Counter::new("misuse.orders").labels(["kind"]);
    let _alone = alone();
    ORDERS.add(1, ["early"]);
    let kept = Kept::default();
    let telemetry = init("misuse").without_subscriber().deliver(kept.clone()).start().unwrap();
    ORDERS.add(2, ["late"]);
    telemetry.shutdown().unwrap();
    ORDERS.add(4, ["after"]);
    let orders = kept.metric("misuse.orders").unwrap();
    assert!(orders.contains("late") && !orders.contains("early"), "{orders}");
    let dropped = kept.metric("sidelight.sdk.dropped").unwrap();
    assert!(dropped.contains("no_meter"), "{dropped}");
}

#[test]
fn an_endpoint_where_nobody_listens_costs_records_and_nothing_else() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let telemetry = local().endpoint(format!("http://{free}")).start().unwrap();
    record(&telemetry, 100);
    assert!(matches!(telemetry.flush_blocking(), Err(FlushError::NotDelivered { .. })));
    let counts = telemetry.counts(Signal::Traces);
    assert_eq!((counts.delivered, counts.failed, counts.queue_full), (0, 100, 0));
}

#[test]
fn callbacks_that_panic_cost_their_own_figures_and_nothing_else() {
    static PAGES: Cache = Cache::new("misuse.pages");
    static JOBS: Queue = Queue::new("misuse.jobs");
    static ORDERS: Counter<0> = Counter::new("misuse.beside");
    let _alone = alone();
    let kept = Kept::default();
    let telemetry = init("misuse").without_subscriber().deliver(kept.clone()).start().unwrap();
    let observed = Arc::new(());
    PAGES.observe(&observed, |()| -> CacheLevel { panic!("of a cache") });
    JOBS.observe(&observed, |()| -> QueueDepth { panic!("of a queue") });
    observe::every_second(|| panic!("of work"));
    for _ in 0..3 {
        ORDERS.add(1, []);
        telemetry.flush_blocking().unwrap();
    }
    telemetry.shutdown().unwrap();
    assert!(kept.metric("misuse.beside").unwrap().contains("AsInt(3)"));
    let panics = kept.metric("sidelight.sdk.callback.panics").unwrap();
    assert!(panics.contains("AsInt(3)"), "each is asked once: {panics}");
}

#[test]
fn guards_that_outlive_telemetry_do_no_harm() {
    static PLACE: Operation = Operation::new("misuse.place").active();
    static JOBS: Queue = Queue::new("misuse.outlived");
    static PEERS: Pool = Pool::new("websocket", "misuse.peers");
    static EXPORT: Feature = Feature::new("misuse.export", FeatureKind::Api);
    static CHAT: Retry = Retry::new("misuse.chat");
    static USERS: Cache = Cache::new("misuse.users");
    let _alone = alone();
    let kept = Kept::default();
    let telemetry = init("misuse").without_subscriber().deliver(kept.clone()).start().unwrap();
    let (one, ticket, peer) = (PLACE.start(), JOBS.enqueued(), PEERS.track(()));
    let (use_of_it, attempts, lookup) = (EXPORT.used(), CHAT.start(), USERS.lookup());
    let used = peer.checkout();
    telemetry.shutdown().unwrap();
    drop((one, peer, used, use_of_it, attempts, lookup));
    ticket.start();
    assert_eq!(kept.metric("sidelight.operation.duration"), None);
    let next = Kept::default();
    let telemetry = init("misuse").without_subscriber().deliver(next.clone()).start().unwrap();
    telemetry.shutdown().unwrap();
    let dropped = next.metric("sidelight.sdk.dropped").unwrap();
    assert!(dropped.contains("no_meter"), "{dropped}");
    let active = next.metric("sidelight.operation.active").unwrap();
    assert!(active.contains("misuse.place") && active.contains("AsInt(0)"), "{active}");
}

#[test]
fn a_queue_that_is_full_drops_and_counts() {
    struct Stuck;
    impl Deliver for Stuck {
        fn deliver(&self, _: Signal, _: Vec<u8>) -> Delivering {
            Box::pin(pending())
        }
    }
    let telemetry =
        local().deliver(Stuck).shutdown_timeout(Duration::from_millis(300)).start().unwrap();
    record(&telemetry, 10_000);
    let counts = telemetry.counts(Signal::Traces);
    // What waits, and at most one batch on its way.
    assert!((10_000 - 2048 - 512..=10_000 - 2048).contains(&counts.queue_full), "{counts:?}");
    let ended = telemetry.shutdown();
    assert!(matches!(ended, Err(FlushError::Timeout(_))), "{ended:?}");
}

/// How many threads of that name the process has.
#[cfg(target_os = "linux")]
fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    // The kernel keeps 15 bytes of a name.
    let name = name.get(..15).unwrap_or(name);
    let named = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm"));
    tasks.filter_map(|task| named(task).ok()).filter(|of| of.trim_end() == name).count()
}

#[cfg(target_os = "linux")]
#[test]
fn flushes_that_hang_do_not_pile_up_threads() {
    struct Stuck;
    impl Deliver for Stuck {
        fn deliver(&self, _: Signal, _: Vec<u8>) -> Delivering {
            Box::pin(pending())
        }
    }
    let telemetry = local().deliver(Stuck).shutdown_timeout(Duration::from_millis(20)).start();
    let telemetry = telemetry.unwrap();
    telemetry.meter_provider().meter("misuse").u64_counter("orders").build().add(1, &[]);
    for _ in 0..40 {
        assert!(telemetry.flush_blocking().is_err());
    }
    let left = threads("sidelight-metrics");
    assert!(left < 20, "{left} of 40");
}

#[test]
fn records_after_the_end_do_not_fill_the_queue() {
    use opentelemetry::logs::{Logger as _, LoggerProvider as _};
    let telemetry = local().deliver(Kept::default()).start().unwrap();
    let logger = telemetry.logger_provider().logger("misuse");
    let heard = Arc::new(Mutex::new(0));
    let layer = Heard(Arc::clone(&heard));
    telemetry.shutdown().unwrap();
    let subscriber =
        tracing_subscriber::Layer::with_subscriber(layer, tracing_subscriber::registry());
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..3000 {
            logger.emit(logger.create_log_record());
        }
    });
    assert_eq!(*heard.lock().unwrap(), 0, "no line says that the queue is full");
}

/// Counts the warnings of the crate.
struct Heard(Arc<Mutex<usize>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Heard {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if event.metadata().target() == "sidelight" {
            *self.0.lock().unwrap() += 1;
        }
    }
}

#[test]
fn what_a_destination_refuses_is_counted() {
    struct Refusing;
    impl Deliver for Refusing {
        fn deliver(&self, _: Signal, _: Vec<u8>) -> Delivering {
            Box::pin(async { Err("no".into()) })
        }
    }
    let telemetry = local().deliver(Refusing).start().unwrap();
    record(&telemetry, 10);
    assert!(telemetry.flush_blocking().is_err());
    assert_eq!(telemetry.counts(Signal::Traces).failed, 10);
}

#[test]
fn a_span_that_outlives_the_guard_ends_in_silence() {
    let kept = Kept::default();
    let telemetry = local().deliver(kept.clone()).start().unwrap();
    let tracer = telemetry.tracer_provider().tracer("misuse");
    let mut late = tracer.start("late");
    record(&telemetry, 1);
    drop(telemetry);
    late.end();
    tracer.start("later").end();
    assert_eq!(kept.spans().len(), 1);
}

#[test]
fn a_span_during_which_the_clock_was_set_back_has_no_duration() {
    let kept = Kept::default();
    let telemetry = local().deliver(kept.clone()).start().unwrap();
    let tracer = telemetry.tracer_provider().tracer("misuse");
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000);
    let mut span = tracer.span_builder("backwards").with_start_time(start).start(&tracer);
    span.end_with_timestamp(start - Duration::from_secs(60));
    telemetry.flush_blocking().unwrap();
    assert_eq!(telemetry.counts(Signal::Traces).clock_set_back, 1);
    let spans = kept.spans();
    assert_eq!(spans[0].start_time_unix_nano, spans[0].end_time_unix_nano);
}

#[test]
fn a_million_records_of_a_counter_from_two_threads_are_all_there() {
    static RECORDS: Counter<1> = Counter::new("misuse.records").labels(["thread"]);
    let _alone = alone();
    let kept = Kept::default();
    let telemetry = init("misuse").without_subscriber().deliver(kept.clone()).start().unwrap();
    std::thread::scope(|scope| {
        for thread in ["a", "b"] {
            scope.spawn(move || (0..500_000).for_each(|_| RECORDS.add(1, [thread])));
        }
    });
    telemetry.shutdown().unwrap();
    let records = kept.metric("misuse.records").unwrap();
    assert_eq!(records.matches("500000").count(), 2, "{records}");
}
