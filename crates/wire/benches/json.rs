//! OTLP/JSON beside `serde_json` and prost, in one run, on 1,000-span requests that rotate through more memory than the
//! caches hold.
//!
//! `cargo bench -p sidelight-wire --bench json`. Target: `to_protobuf` in at most half the time of `serde_json` to
//! prost's structs and their encoding.

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use sidelight_wire::Signal;
use sidelight_wire::json::{JsonOptions, from_protobuf, to_protobuf};
use support::{Rng, realistic};

fn main() {
    divan::main();
}

const SPANS: usize = 1_000;
const REQUESTS: usize = 16;

fn requests() -> Vec<ExportTraceServiceRequest> {
    let mut rng = Rng(7);
    (0..REQUESTS).map(|_| realistic::traces(&mut rng, SPANS)).collect()
}

/// JSON as `opentelemetry-proto` writes it, which is how an SDK does.
fn json() -> Vec<Vec<u8>> {
    requests().iter().filter_map(|request| serde_json::to_vec(request).ok()).collect()
}

/// One iteration is one request; the item count makes divan print spans per second.
fn bench<T: AsRef<[u8]>>(bencher: Bencher<'_, '_>, requests: &[T], mut work: impl FnMut(&[u8])) {
    let mut next = 0;
    let bytes = requests.iter().map(|request| request.as_ref().len()).sum::<usize>();
    let bytes = BytesCount::new(bytes / requests.len());
    bencher.counter(ItemsCount::new(SPANS)).counter(bytes).bench_local(|| {
        if let Some(request) = requests.get(next) {
            work(black_box(request.as_ref()));
        }
        next = (next + 1) % requests.len();
    });
}

#[divan::bench(sample_count = 100)]
fn to_protobuf_1000_spans(bencher: Bencher<'_, '_>) {
    let options = JsonOptions::default();
    bench(bencher, &json(), |bytes| {
        let mut out = Vec::new();
        let _ = to_protobuf(Signal::Traces, bytes, &mut out, &options);
        black_box(out);
    });
}

#[divan::bench(sample_count = 100)]
fn serde_json_and_prost_encode_1000_spans(bencher: Bencher<'_, '_>) {
    bench(bencher, &json(), |bytes| {
        let request = serde_json::from_slice::<ExportTraceServiceRequest>(bytes);
        black_box(request.map(|request| request.encode_to_vec()).ok());
    });
}

#[divan::bench(sample_count = 100)]
fn from_protobuf_1000_spans(bencher: Bencher<'_, '_>) {
    let requests: Vec<_> = requests().iter().map(prost::Message::encode_to_vec).collect();
    bench(bencher, &requests, |bytes| {
        let mut out = Vec::new();
        let _ = from_protobuf(Signal::Traces, bytes, &mut out);
        black_box(out);
    });
}

#[divan::bench(sample_count = 100)]
fn prost_decode_and_serde_json_1000_spans(bencher: Bencher<'_, '_>) {
    let requests: Vec<_> = requests().iter().map(prost::Message::encode_to_vec).collect();
    bench(bencher, &requests, |bytes| {
        let request = ExportTraceServiceRequest::decode(bytes);
        black_box(request.map(|request| serde_json::to_vec(&request)).ok());
    });
}
