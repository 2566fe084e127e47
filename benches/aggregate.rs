//! The table of span metrics against validation, on the same 1,000-span request of about 550 B per
//! span, in one run, with all of its parts and without each. `cargo bench --bench aggregate`.
//!
//! Budget: everything together costs at most as much as validating; configured dimensions come on top. `read_1000_spans` is
//! what the agent does with a record: the table, the domain signals, the entries, samples and checkpoints of the store.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]

use std::sync::Arc;

use bytes::Bytes;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use sidelight_agent::aggregate::{
    Aggregate, Config, Durable, Origin, Table, domain, entries, metrics,
};
use sidelight_agent::journal::{Entry, Identity};
use sidelight_agent::signal::{Flags, Meta, Record};
use sidelight_agent::store;
use sidelight_agent::telemetry::exposition::Format;
use sidelight_agent::telemetry::{Exposition, Registry};
use sidelight_agent::time::{ManualClock, UnixNano};
use sidelight_wire::{Limits, Signal, validate};

const SPANS: usize = 1_000;

fn main() {
    divan::main();
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.to_owned()))
}

fn span(i: usize, route: &str) -> Span {
    let i = i as u64;
    let id = |salt: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17) ^ salt;
    let start = 1_700_000_000_000_000_000 + i * 1_000_003;
    Span {
        trace_id: [id(1).to_be_bytes(), id(2).to_be_bytes()].concat(),
        span_id: id(3).to_be_bytes().to_vec(),
        parent_span_id: id(4).to_be_bytes().to_vec(),
        flags: 0x101,
        name: format!("GET {route}"),
        kind: 2,
        start_time_unix_nano: start,
        end_time_unix_nano: start + 1_000_000 + id(5) % 60_000_000,
        attributes: vec![
            text("http.request.method", "GET"),
            text("url.scheme", "https"),
            text("server.address", "shop.example.internal"),
            attribute("server.port", any_value::Value::IntValue(8443)),
            text("url.path", &format!("/api/v2/orders/{i}/lines")),
            text("http.route", route),
            text(
                "user_agent.original",
                "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/142.0",
            ),
            text("client.address", "10.11.12.13"),
            attribute("http.response.status_code", any_value::Value::IntValue(200)),
            text("network.protocol.version", "1.1"),
            text("thread.name", "worker-3"),
        ],
        status: Some(Status { code: i32::from(i.is_multiple_of(50)) * 2, ..Status::default() }),
        ..Span::default()
    }
}

fn request(services: usize, routes: usize) -> Vec<u8> {
    let resource_spans = (0..services).map(|service| {
        let spans = (0..SPANS / services)
            .map(|i| span(i, &format!("/api/v2/orders/{{id}}/kind-{}", i % routes)))
            .collect();
        let attributes = vec![
            text("service.name", &format!("service-{service}")),
            text("host.name", "node-7"),
            text("telemetry.sdk.language", "rust"),
        ];
        ResourceSpans {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }
    });
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }.encode_to_vec()
}

#[divan::bench]
fn validate_1000_spans(bencher: Bencher<'_, '_>) {
    let bytes = request(1, 20);
    let limits = Limits::default();
    bencher
        .counter(ItemsCount::new(SPANS))
        .bench_local(|| validate(Signal::Traces, black_box(&bytes), &limits).is_ok());
}

/// What the table makes of spans.
#[derive(Clone, Copy, Debug)]
enum With {
    Everything,
    NoGraph,
    NoExemplars,
    CallsAndLatency,
    TwoDimensions,
}

impl With {
    const ALL: [Self; 5] = [
        Self::Everything,
        Self::NoGraph,
        Self::NoExemplars,
        Self::CallsAndLatency,
        Self::TwoDimensions,
    ];

    fn config(self) -> Config {
        let mut config = Config::default();
        config.graph.enabled = !matches!(self, Self::NoGraph | Self::CallsAndLatency);
        config.exemplars = !matches!(self, Self::NoExemplars | Self::CallsAndLatency);
        if matches!(self, Self::TwoDimensions) {
            config.dimensions = vec!["url.scheme".to_owned(), "host.name".to_owned()];
        }
        config
    }
}

/// Server spans with a parent that never comes: each waits in the service graph. `CallsAndLatency` still measures
/// operations; `observe_1000_internal_spans` does not.
#[divan::bench(args = With::ALL)]
fn observe_1000_spans(bencher: Bencher<'_, '_>, with: With) {
    observe(bencher, with, 20);
}

#[divan::bench]
fn observe_1000_spans_of_200_routes(bencher: Bencher<'_, '_>) {
    observe(bencher, With::Everything, 200);
}

#[divan::bench]
fn observe_1000_internal_spans(bencher: Bencher<'_, '_>) {
    let mut bytes = ExportTraceServiceRequest::decode(&*request(1, 20)).unwrap_or_default();
    let resources = bytes.resource_spans.iter_mut();
    let spans = resources.flat_map(|of| &mut of.scope_spans).flat_map(|of| &mut of.spans);
    spans.for_each(|span| span.kind = 1);
    let bytes = bytes.encode_to_vec();
    let mut table = Table::new(With::Everything.config(), UnixNano(0));
    let observe = || table.observe(black_box(&bytes), UnixNano(1));
    bencher.counter(ItemsCount::new(SPANS)).bench_local(observe);
}

/// The requests differ in their trace ids, and a millisecond passes between two.
fn observe(bencher: Bencher<'_, '_>, with: With, routes: usize) {
    let requests: Vec<_> = (0..16_u8)
        .map(|n| {
            let mut request =
                ExportTraceServiceRequest::decode(&*request(1, routes)).unwrap_or_default();
            let resources = request.resource_spans.iter_mut();
            let spans = resources.flat_map(|of| &mut of.scope_spans).flat_map(|of| &mut of.spans);
            spans.filter_map(|span| span.trace_id.first_mut()).for_each(|byte| *byte = n);
            request.encode_to_vec()
        })
        .collect();
    let mut table = Table::new(with.config(), UnixNano(0));
    let (mut now, mut next) = (0, requests.iter().cycle());
    bencher.counter(ItemsCount::new(SPANS)).bench_local(|| {
        now += 1_000_000;
        let Some(bytes) = next.next() else { return };
        table.observe(black_box(bytes), UnixNano(now));
        table.expire();
    });
}

/// Requests of which each asks a database and a cache: a third of the spans are of servers.
fn with_caches() -> Vec<u8> {
    let mut request = ExportTraceServiceRequest::decode(&*request(1, 20)).unwrap();
    let spans = &mut request.resource_spans[0].scope_spans[0].spans;
    for at in (0..SPANS - 2).step_by(3) {
        let (trace_id, parent) = (spans[at + 2].trace_id.clone(), spans[at + 2].span_id.clone());
        let of_database = [text("db.system.name", "postgresql"), text("db.namespace", "shop")];
        let of_cache = [text("cache.name", "users"), text("sidelight.cache.result", "hit")];
        for (span, own) in spans[at..].iter_mut().zip([of_database, of_cache]) {
            (span.trace_id, span.parent_span_id) = (trace_id.clone(), parent.clone());
            (span.name, span.kind) = ("get".to_owned(), 3);
            span.attributes = own.into_iter().chain(span.attributes.split_off(6)).collect();
        }
    }
    request.encode_to_vec()
}

/// What every second of a minute brings, over and over: spans of servers, or of a service that also asks a database and a
/// cache for each request.
#[divan::bench(args = ["servers", "caches"])]
fn read_1000_spans(bencher: Bencher<'_, '_>, of: &str) {
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::default();
    let now = UnixNano(1_800_000_000_000_000_000);
    let deps = store::Deps { clock: Arc::new(ManualClock::at(now)), registry: registry.clone() };
    let config = store::Config::new(directory.path().to_owned());
    let (_store, writer, opened) = store::Store::open(config, deps).unwrap();
    let (identity, max_size) = (Identity([7; 12]), u64::MAX);
    let origin = Origin { identity, next_seq: u64::MAX, replays: true, max_size };
    let config = domain::Config {
        metrics: metrics::Config::default(),
        ttl_ms: 900_000,
        user_key: Some([3; 16]),
        entries: entries::Config::default(),
    };
    let mut durable = Durable::new(writer, &opened, config, origin, &registry);
    let aggregate = Aggregate::new(Config::default(), now, Some(&mut durable), &registry);
    let payload = Bytes::from(if of == "caches" { with_caches() } else { request(1, 20) });
    let begins = payload.windows(2).enumerate().filter(|(_, pair)| *pair == [0x0a, 16]);
    let ids: Vec<usize> = begins.map(|(at, _)| at).collect();
    let mut seq = 0;
    let inputs = || {
        seq += 1;
        // Ids of their own, as new requests have.
        let mut bytes = payload.to_vec();
        ids.iter()
            .for_each(|at| bytes[at + 2..at + 6].copy_from_slice(&(seq as u32).to_be_bytes()));
        let record = Record {
            signal: Signal::Traces,
            items: SPANS as u32,
            flags: Flags::default(),
            meta: Meta::default(),
            payload: bytes.into(),
        };
        let received = UnixNano(now.0 + seq * 16_000_000);
        [Entry { seq, received, redelivered: false, record }]
    };
    let bencher = bencher.counter(ItemsCount::new(SPANS)).with_inputs(inputs);
    bencher
        .bench_local_refs(|entries| aggregate.take(black_box(entries), Some(&mut durable)).len());
}

/// A scrape of a table at its limit.
#[divan::bench(sample_count = 10)]
fn expose_4000_series(bencher: Bencher<'_, '_>) {
    let mut table = Table::new(Config::default(), UnixNano(0));
    for service in 0..10 {
        let spans = (0..400).map(|i| span(i, &format!("/kind-{i}"))).collect();
        let attributes = vec![text("service.name", &format!("service-{service}"))];
        let resource_spans = ResourceSpans {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        };
        let bytes = ExportTraceServiceRequest { resource_spans: vec![resource_spans] };
        table.observe(&bytes.encode_to_vec(), UnixNano(1));
    }
    bencher.bench_local(|| {
        let mut out = Exposition::new(Format::Text);
        table.snapshot().expose(&mut out);
        out.finish().len()
    });
}
