//! What a request's own metrics allocate: nothing, once its labels are known.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use tower_layer::Layer;
use tower_service::Service;

/// Answers at once, with nothing.
#[derive(Clone)]
struct Empty;

impl Service<Request<()>> for Empty {
    type Response = Response<http_body_util::Empty<bytes::Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(http_body_util::Empty::new())))
    }
}

fn request() -> Request<()> {
    let mut request = Request::get("/orders/17").header("x-request-id", "r-1").body(()).unwrap();
    request.extensions_mut().insert(sidelight::http::Route("/orders/{id}"));
    request
}

/// How often one request allocates.
fn allocations(server: &mut impl Service<Request<()>, Error = Infallible>) -> u64 {
    let request = request();
    let measured = allocation_counter::measure(|| {
        let answer = pin!(server.call(request)).poll(&mut Context::from_waker(Waker::noop()));
        assert!(answer.is_ready());
    });
    measured.count_total
}

#[test]
fn a_known_request_is_measured_without_an_allocation() {
    let reader = PeriodicReader::builder(InMemoryMetricExporter::default());
    let reader = reader.with_interval(Duration::from_secs(3600)).build();
    let metrics =
        SdkMeterProvider::builder().with_view(sidelight::names::view).with_reader(reader).build();
    let mut server = sidelight::http::server().layer(Empty);
    // The request's id in headers and extensions is what is left: it is there without telemetry too.
    allocations(&mut server);
    let without = allocations(&mut server);
    let installed = sidelight::meter::install(metrics.meter(sidelight::names::SCOPE));
    allocations(&mut server);
    assert_eq!(allocations(&mut server), without);
    drop(installed);
}
