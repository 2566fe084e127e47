//! No handle allocates per measurement, once it is bound and the values of its labels are known.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use sidelight::{
    Cache, CacheResult, CloseReason, Counter, Feature, FeatureKind, FloatCounter, Gauge, Histogram,
    Operation, Outcome, Pool, Queue, Retry, UpDownCounter, UsagePattern, meter, names,
};

static PLAIN: Counter<0> = Counter::new("plain");
static ORDERS: Counter<2> = Counter::new("orders").labels(["kind", "region"]);
static COST: FloatCounter<1> = FloatCounter::new("cost").labels(["carrier"]);
static SESSIONS: UpDownCounter<1> = UpDownCounter::new("sessions").labels(["kind"]);
static LEVEL: Gauge<1> = Gauge::new("level").labels(["tank"]);
static RENDER: Histogram<1> = Histogram::new("render").labels(["page"]).buckets(&[0.1, 1.0]);
static PLACE: Operation = Operation::new("place").active();
static PAGES: Cache = Cache::new("pages");
static JOBS: Queue = Queue::new("jobs").capacity(100);
static PEERS: Pool = Pool::new("websocket", "peers");
static DB: Pool = Pool::db("sqlite", "main");
static CHAT: Retry = Retry::new("chat");
static SEARCH: Feature = Feature::new("search", FeatureKind::Api);

fn record_everything() {
    PLAIN.add(1, []);
    ORDERS.add(1, ["book", "eu"]);
    COST.add(0.5, ["post"]);
    SESSIONS.add(-1, ["web"]);
    LEVEL.set(3.0, ["north"]);
    drop(RENDER.timer(["home"]));

    drop(PLACE.start());
    PLACE.start().fail("sold_out");
    PLACE.record(Outcome::Cancelled, Duration::from_millis(3));
    let result: Result<u8, _> = PLACE.run(|| "x".parse::<u8>());
    result.unwrap_err();

    PAGES.get(|| Some(1));
    PAGES.lookup().stale();
    PAGES.record(CacheResult::Miss, Duration::from_micros(3));

    JOBS.sample(90, 100);
    JOBS.sample(3, 100);
    JOBS.enqueued().start();
    drop(JOBS.enqueued());

    let peer = PEERS.track(7);
    drop(peer.checkout());
    assert_eq!(peer.close(CloseReason::Idle), 7);
    drop(DB.waiting());
    let connection = DB.opening().track(8);
    drop(connection.checkout());
    drop(connection);

    let mut attempts = CHAT.start();
    attempts.retry("busy", Duration::from_millis(500));
    attempts.corrected("too_long");
    attempts.succeeded();
    CHAT.start().exhausted("busy");

    drop(SEARCH.used().by("ada").pattern(UsagePattern::Batch));
    SEARCH.used().fail();
    sidelight::intent("refund", 0.9);
}

#[test]
fn no_measurement_allocates() {
    let before_a_meter = allocation_counter::measure(record_everything);
    let provider = SdkMeterProvider::builder()
        .with_view(names::view)
        .with_periodic_exporter(InMemoryMetricExporter::default())
        .build();
    let installed = meter::install(provider.meter(names::SCOPE));
    record_everything();

    let measured = allocation_counter::measure(|| (0..100).for_each(|_| record_everything()));
    assert_eq!(measured.count_total, 0, "{measured:?}; before a meter: {before_a_meter:?}");

    sidelight::set_enabled(false);
    let off = allocation_counter::measure(|| (0..100).for_each(|_| record_everything()));
    assert_eq!(off.count_total, 0, "{off:?}");
    sidelight::set_enabled(true);
    drop(installed);
}
