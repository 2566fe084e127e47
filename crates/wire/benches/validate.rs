//! Validation beside prost's decode, in one run: ns per span on 1,000-span requests that rotate through more
//! memory than the caches hold.
//!
//! `cargo bench -p sidelight-wire --bench validate`. Target: at most 200 ns/span and a quarter of prost.

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use sidelight_wire::view::traces::Request;
use sidelight_wire::{Limits, Signal, tables, validate};
use support::{Rng, realistic};

fn main() {
    divan::main();
}

const SPANS: usize = 1_000;
const REQUESTS: usize = 32;

/// Requests in the order that prost writes fields.
fn requests() -> Vec<Vec<u8>> {
    let mut rng = Rng(7);
    (0..REQUESTS).map(|_| realistic::traces(&mut rng, SPANS).encode_to_vec()).collect()
}

/// One iteration is one request; the item count makes divan print spans per second.
fn bench(bencher: Bencher<'_, '_>, requests: &[Vec<u8>], mut work: impl FnMut(&[u8])) {
    let mut next = 0;
    let bytes = requests.iter().map(Vec::len).sum::<usize>() / requests.len();
    bencher.counter(ItemsCount::new(SPANS)).counter(BytesCount::new(bytes)).bench_local(|| {
        if let Some(request) = requests.get(next) {
            work(black_box(request));
        }
        next = (next + 1) % requests.len();
    });
}

#[divan::bench(sample_count = 200)]
fn validate_1000_spans(bencher: Bencher<'_, '_>) {
    let limits = Limits::default();
    bench(bencher, &requests(), |bytes| {
        let _ = black_box(validate(Signal::Traces, bytes, &limits));
    });
}

/// As the collector writes: descending field numbers, values before keys.
#[divan::bench(sample_count = 200)]
fn validate_1000_spans_descending(bencher: Bencher<'_, '_>) {
    let limits = Limits::default();
    let root = tables::request(Signal::Traces);
    let requests: Vec<_> = requests().iter().map(|r| support::descending(root, r)).collect();
    bench(bencher, &requests, |bytes| {
        let _ = black_box(validate(Signal::Traces, bytes, &limits));
    });
}

#[divan::bench(sample_count = 200)]
fn prost_decode_1000_spans(bencher: Bencher<'_, '_>) {
    bench(bencher, &requests(), |bytes| {
        let _ = black_box(ExportTraceServiceRequest::decode(bytes));
    });
}

/// The scalar fields of each span.
#[divan::bench(sample_count = 200)]
fn view_1000_spans_without_attributes(bencher: Bencher<'_, '_>) {
    bench(bencher, &requests(), |bytes| {
        let mut sum = 0;
        for resource in Request::new(bytes).resources() {
            for scope in resource.scope_spans() {
                for span in scope.spans() {
                    sum += span.name.as_bytes().len() + span.kind as usize;
                    sum += span.end_time_unix_nano.wrapping_sub(span.start_time_unix_nano) as usize;
                }
            }
        }
        black_box(sum);
    });
}

/// What the aggregator reads: service, name, kind, status, times and two attributes.
#[divan::bench(sample_count = 200)]
fn view_1000_spans(bencher: Bencher<'_, '_>) {
    bench(bencher, &requests(), |bytes| {
        let mut sum = 0;
        for resource in Request::new(bytes).resources() {
            sum += resource.resource().service_name().map_or(0, |name| name.as_bytes().len());
            for scope in resource.scope_spans() {
                for span in scope.spans() {
                    sum +=
                        span.name.as_bytes().len() + span.kind as usize + span.status.code as usize;
                    sum += span.end_time_unix_nano.wrapping_sub(span.start_time_unix_nano) as usize;
                    for attribute in span.attributes() {
                        if attribute.key == "http.route" || attribute.key == "http.request.method" {
                            sum += attribute
                                .value
                                .get()
                                .text()
                                .map_or(0, |text| text.as_bytes().len());
                        }
                    }
                }
            }
        }
        black_box(sum);
    });
}
