//! A request through the server layer: with metrics, and without any telemetry. The difference is what metrics cost.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use divan::Bencher;
use http::{Request, Response};
use http_body_util::Empty;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
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

fn requests(bencher: Bencher<'_, '_>) {
    let request = || {
        let mut request =
            Request::get("/orders/17").header("x-request-id", "r-1").body(()).unwrap();
        request.extensions_mut().insert(sidelight::http::Route("/orders/{id}"));
        request
    };
    let server = sidelight::http::server().layer(Nothing);
    bencher.with_inputs(|| (server.clone(), request())).bench_local_values(
        |(mut server, request)| {
            let answer = pin!(server.call(request)).poll(&mut Context::from_waker(Waker::noop()));
            assert!(answer.is_ready());
        },
    );
}

#[divan::bench]
fn request_without_telemetry(bencher: Bencher<'_, '_>) {
    requests(bencher);
}

#[divan::bench]
fn request_with_metrics(bencher: Bencher<'_, '_>) {
    let reader = PeriodicReader::builder(InMemoryMetricExporter::default());
    let reader = reader.with_interval(Duration::from_secs(3600)).build();
    let metrics =
        SdkMeterProvider::builder().with_view(sidelight::names::view).with_reader(reader).build();
    let installed = sidelight::meter::install(metrics.meter(sidelight::names::SCOPE));
    requests(bencher);
    installed.remove();
}

fn main() {
    divan::main();
}
