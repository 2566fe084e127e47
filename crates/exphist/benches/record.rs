//! Nanoseconds per recorded value and per quantile. `cargo bench -p sidelight-exphist`.

use divan::{Bencher, black_box};
use sidelight_exphist::Histogram;

fn main() {
    divan::main();
}

/// Durations around 2 to 60 ms, in nanoseconds, from a fixed generator.
fn durations() -> Vec<u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..1024).map(|_| (2_000_000 << (next() % 5)) | (next() % 2_000_000)).collect()
}

fn warm(scale: i32) -> Histogram {
    let mut histogram = Histogram::new(scale, 160);
    durations().into_iter().for_each(|value| histogram.record_u64(value));
    histogram
}

#[divan::bench(args = [3, 5, 8])]
fn record_u64_1024(bencher: Bencher<'_, '_>, scale: i32) {
    let (mut histogram, values) = (warm(scale), durations());
    bencher.bench_local(|| {
        for &value in &values {
            histogram.record_u64(black_box(value));
        }
    });
}

#[divan::bench(args = [3, 5, 8])]
fn record_f64_1024(bencher: Bencher<'_, '_>, scale: i32) {
    let values: Vec<f64> = durations().into_iter().map(|value| value as f64 / 1e9).collect();
    let mut seconds = Histogram::new(scale, 160);
    bencher.bench_local(|| {
        for &value in &values {
            seconds.record(black_box(value));
        }
    });
}

#[divan::bench]
fn merge_160_buckets(bencher: Bencher<'_, '_>) {
    let (mut into, other) = (warm(3), warm(5));
    bencher.bench_local(|| into.merge(black_box(&other)));
}

#[divan::bench]
fn quantile(bencher: Bencher<'_, '_>) {
    let histogram = warm(5);
    bencher.bench_local(|| histogram.quantile(black_box(0.99)));
}
