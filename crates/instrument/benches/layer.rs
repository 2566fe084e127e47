//! Spans of `tracing` as OpenTelemetry spans: the layer as it comes, trimmed, and trimmed with context activation. Each span
//! has three fields and is entered once. The trimmed layer is held to 0.6 of the first.

use divan::{Bencher, black_box};
use opentelemetry::Context;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt;

fn main() {
    // By a first call alone, which binds, divan would take all for slow and time each of them with its clock around it.
    divan::Divan::default().sample_size(500).config_with_args().main();
}

#[derive(Debug)]
struct Forget;

impl SpanProcessor for Forget {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        black_box(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: std::time::Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn provider() -> SdkTracerProvider {
    SdkTracerProvider::builder().with_span_processor(Forget).build()
}

fn spans(bencher: Bencher<'_, '_>, subscriber: impl Subscriber + Send + Sync) {
    tracing::subscriber::with_default(subscriber, || {
        bencher.bench_local(|| {
            let span = tracing::info_span!(
                "order.place",
                id = black_box(7),
                kind = "gold",
                retried = false
            );
            span.in_scope(|| black_box(7));
        });
    });
}

#[divan::bench]
fn as_it_comes(bencher: Bencher<'_, '_>) {
    let layer = tracing_opentelemetry::layer().with_tracer(provider().tracer("x"));
    spans(bencher, tracing_subscriber::registry().with(layer));
}

#[divan::bench]
fn trimmed(bencher: Bencher<'_, '_>) {
    spans(
        bencher,
        tracing_subscriber::registry().with(sidelight::layer::trimmed(&provider(), false)),
    );
}

#[divan::bench]
fn trimmed_with_activation(bencher: Bencher<'_, '_>) {
    spans(
        bencher,
        tracing_subscriber::registry().with(sidelight::layer::trimmed(&provider(), true)),
    );
}

#[divan::bench]
fn without_opentelemetry(bencher: Bencher<'_, '_>) {
    spans(bencher, tracing_subscriber::registry());
}
