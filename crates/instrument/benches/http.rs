//! What a request costs: without the server layer (a), with it and no meter (b), with metrics (c); each with a request id
//! from the caller and, as at the edge, without one. `c - b` is what the metrics cost, `c - a` all. Beside it, in the same run,
//! what the bare SDK takes for the same measurements, looked up by their attributes and bound, and what reading the clock twice
//! takes. `cargo bench -p sidelight-instrument --bench http`.
//!
//! Target of the metrics: 120 ns where two readings of the clock take 20; as a part of the bare SDK's, a third.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use divan::{Bencher, black_box};
use http::{Request, Response};
use http_body_util::Empty;
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use sidelight::names;
use tower_layer::Layer;
use tower_service::Service;

#[derive(Clone)]
struct Nothing;

impl Service<Request<()>> for Nothing {
    type Response = Response<Empty<bytes::Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(Empty::new())))
    }
}

static PROVIDER: LazyLock<SdkMeterProvider> = LazyLock::new(|| {
    let reader = PeriodicReader::builder(InMemoryMetricExporter::default());
    let reader = reader.with_interval(Duration::from_secs(3600)).build();
    SdkMeterProvider::builder().with_view(names::view).with_reader(reader).build()
});

fn request() -> Request<()> {
    let mut request = anonymous();
    request.headers_mut().insert("x-request-id", http::HeaderValue::from_static("r-1"));
    request
}

fn anonymous() -> Request<()> {
    let mut request = Request::get("/orders/17").body(()).unwrap();
    request.extensions_mut().insert(sidelight::http::Route("/orders/{id}"));
    request
}

fn requests(bencher: Bencher<'_, '_>, request: fn() -> Request<()>) {
    let server = sidelight::http::server().layer(Nothing);
    bencher.with_inputs(|| (server.clone(), request())).bench_local_values(
        |(mut server, request)| {
            let answer = pin!(server.call(request)).poll(&mut Context::from_waker(Waker::noop()));
            assert!(answer.is_ready());
        },
    );
}

fn without_the_layer(bencher: Bencher<'_, '_>, request: fn() -> Request<()>) {
    bencher.with_inputs(request).bench_local_values(|request| {
        let answer = pin!(Nothing.call(request)).poll(&mut Context::from_waker(Waker::noop()));
        assert!(answer.is_ready());
    });
}

fn with_metrics(bencher: Bencher<'_, '_>, request: fn() -> Request<()>) {
    let installed = sidelight::meter::install(PROVIDER.meter(names::SCOPE));
    requests(bencher, request);
    drop(installed);
}

#[divan::bench]
fn request_a_without_the_layer(bencher: Bencher<'_, '_>) {
    without_the_layer(bencher, request);
}

#[divan::bench]
fn request_b_without_telemetry(bencher: Bencher<'_, '_>) {
    requests(bencher, request);
}

#[divan::bench]
fn request_c_with_metrics(bencher: Bencher<'_, '_>) {
    with_metrics(bencher, request);
}

#[divan::bench]
fn request_without_an_id_a_without_the_layer(bencher: Bencher<'_, '_>) {
    without_the_layer(bencher, anonymous);
}

#[divan::bench]
fn request_without_an_id_b_without_telemetry(bencher: Bencher<'_, '_>) {
    requests(bencher, anonymous);
}

#[divan::bench]
fn request_without_an_id_c_with_metrics(bencher: Bencher<'_, '_>) {
    with_metrics(bencher, anonymous);
}

fn attributes() -> [KeyValue; 5] {
    [
        KeyValue::new("http.request.method", "GET"),
        KeyValue::new("http.response.status_code", 200),
        KeyValue::new("http.route", "/orders/{id}"),
        KeyValue::new("network.protocol.version", "1.1"),
        KeyValue::new("url.scheme", "http"),
    ]
}

/// Duration, size of the answer, one more and one less under way; without a clock.
#[divan::bench]
fn sdk_looked_up(bencher: Bencher<'_, '_>) {
    let meter = PROVIDER.meter("bare");
    let duration = meter.f64_histogram("looked.up.duration").build();
    let size = meter.f64_histogram("looked.up.size").build();
    let active = meter.i64_up_down_counter("looked.up.active").build();
    let few = [KeyValue::new("http.request.method", "GET"), KeyValue::new("url.scheme", "http")];
    bencher.bench_local(|| {
        active.add(1, &few);
        let attributes = black_box(attributes());
        duration.record(0.003, &attributes);
        size.record(7.0, &attributes);
        active.add(-1, &few);
    });
}

/// The least that is possible with this SDK.
#[divan::bench]
fn sdk_bound(bencher: Bencher<'_, '_>) {
    let meter = PROVIDER.meter("bare");
    let duration = meter.f64_histogram("bound.duration").build().bind(&attributes());
    let size = meter.f64_histogram("bound.size").build().bind(&attributes());
    let active = meter.i64_up_down_counter("bound.active").build().bind(&attributes());
    bencher.bench_local(|| {
        active.add(1);
        duration.record(black_box(0.003));
        size.record(black_box(7.0));
        active.add(-1);
    });
}

#[divan::bench]
fn two_readings_of_the_clock(bencher: Bencher<'_, '_>) {
    let clock = quanta::Clock::new();
    bencher.bench_local(|| black_box(clock.raw()).wrapping_sub(clock.raw()));
}

fn main() {
    // By a first call alone, which binds, divan would take all for slow and time each of them with its clock around it.
    divan::Divan::default().sample_size(500).config_with_args().main();
}
