//! The metric store on what OTLP brings: 9 labels per series, samples every 15 s.
//!
//! `cargo bench --bench store` first prints bytes per sample by nature, bytes per series, and the memory of
//! 20,000 series; then times. Budget: 2 B per sample, 1 KiB per series, 2 million appends/s, a selection
//! of 1,000 series over 1 h in 50 ms. As a test everything is done once, smaller.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "the result")]

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use sidelight_agent::store::{
    Classic, Config, Deps, Kind, Samples, SeriesId, Store, Writer, chunk,
};
use sidelight_agent::telemetry::{Registry, process};
use sidelight_agent::time::SystemClock;
use sidelight_promql::ast::{MatchOp, Matcher};
use sidelight_promql::{Queryable as _, Reads, Selection};

const T0: i64 = 1_700_000_000_000;
const STEP: i64 = 15_000;
const BOUNDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

fn main() {
    sizes();
    memory(if std::env::args().any(|argument| argument == "--bench") { 20_000 } else { 500 });
    divan::main();
}

fn open() -> (Store, Writer, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::new(directory.path().to_owned());
    config.memory.pending = 1 << 30;
    config.series_ttl = Duration::from_hours(1_000);
    let deps = Deps { clock: Arc::new(SystemClock::new()), registry: Registry::default() };
    let (store, mut writer, _) = Store::open(config, deps).unwrap();
    writer.set_now(T0);
    (store, writer, directory)
}

/// A series of route `i`, as the HTTP semantic conventions label it.
fn series(writer: &mut Writer, i: usize, name: &str, kind: Kind) -> SeriesId {
    let route = format!("/api/v2/orders/{{id}}/kind-{}", i / 4);
    let status = ["200", "201", "404", "500"][i % 4];
    let labels = [
        ("__name__", name),
        ("http_request_method", "GET"),
        ("http_response_status_code", status),
        ("http_route", &route),
        ("instance", "627cc493-f310-47de-96bd-71410b7dec09"),
        ("job", "shop/checkout"),
        ("network_protocol_version", "1.1"),
        ("server_address", "shop.example.internal"),
        ("url_scheme", "https"),
    ];
    writer.series(&labels, kind)
}

/// Samples of one nature: time and value in turn.
struct Nature {
    name: &'static str,
    /// Milliseconds by which the time of a sample is off, at most.
    jitter: i64,
    value: fn(&mut fastrand::Rng, &mut f64) -> f64,
}

fn grows(random: &mut fastrand::Rng, last: &mut f64, most: u32) -> f64 {
    *last += f64::from(random.u32(0..most));
    *last
}

const NATURES: [Nature; 6] = [
    Nature { name: "counter, fixed interval", jitter: 0, value: |r, v| grows(r, v, 30) },
    Nature { name: "counter, ±2 ms", jitter: 2, value: |r, v| grows(r, v, 30) },
    Nature { name: "counter of bytes, ±2 ms", jitter: 2, value: |r, v| grows(r, v, 200_000) },
    Nature { name: "idle counter, ±2 ms", jitter: 2, value: |_, v| *v },
    Nature {
        name: "gauge, whole, ±2 ms",
        jitter: 2,
        value: |r, v| {
            *v = (*v + f64::from(r.i32(-5..=5))).max(0.0);
            *v
        },
    },
    Nature {
        name: "gauge, any float, ±2 ms",
        jitter: 2,
        value: |r, v| {
            *v = (*v + (r.f64() - 0.5) * 0.02).clamp(0.0, 1.0);
            *v
        },
    },
];

fn samples(nature: &Nature, seed: u64, count: i64) -> Vec<(i64, f64)> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut value = random.f64();
    if nature.name != NATURES[5].name {
        value = (value * 1e6).round();
    }
    let sample = |i| {
        let time = T0 + i * STEP + random.i64(-nature.jitter..=nature.jitter);
        (time, (nature.value)(&mut random, &mut value))
    };
    (0..count).map(sample).collect()
}

/// What a histogram of latencies counts in one step: a few requests around 40 ms.
fn observe(random: &mut fastrand::Rng, counts: &mut [u64; 15], sum: &mut f64) {
    for _ in 0..random.u32(0..40) {
        let latency = 0.04 * (random.f64() + random.f64() + random.f64() * random.f64() * 4.0);
        *sum += latency;
        counts[BOUNDS.iter().position(|bound| latency <= *bound).unwrap_or(14)] += 1;
    }
}

fn sizes() {
    println!("bytes per sample, time included:");
    let (mut bytes, mut all) = (0, 0);
    for nature in &NATURES {
        let mut written = Samples::default();
        written.points.floats = samples(nature, 7, 2_400);
        let size: usize = chunk::encode(&written).iter().map(|chunk| chunk.bytes.len()).sum();
        println!("  {:28} {:6.2}", nature.name, size as f64 / 2_400.0);
        (bytes, all) = (bytes + size, all + 2_400);
    }
    let (store, mut writer, _directory) = open();
    let id = series(&mut writer, 0, "http_server_request_duration_seconds", Kind::Classic);
    let mut random = fastrand::Rng::with_seed(7);
    let (mut counts, mut sum) = ([0; 15], 0.0);
    for i in 0..2_400 {
        observe(&mut random, &mut counts, &mut sum);
        let histogram = Classic {
            bounds: &BOUNDS,
            counts: &counts,
            sum: Some(sum),
            count: counts.iter().sum(),
        };
        writer.set_now(T0 + i * STEP);
        writer.append_classic(id, T0 + i * STEP + random.i64(-2..=2), &histogram).unwrap();
    }
    let size = store.stats().chunk_bytes;
    println!(
        "  {:28} {:6.2}  (17 series: {:.2} each)",
        "histogram of 15 buckets, ±2 ms",
        size as f64 / 2_400.0,
        size as f64 / 2_400.0 / 17.0
    );
    (bytes, all) = (bytes + size, all + 2_400 * 17);
    println!("  {:28} {:6.2}", "all of these", bytes as f64 / f64::from(all));
}

fn memory(count: usize) {
    let before = process::rss_bytes().unwrap_or_default();
    let (store, mut writer, _directory) = open();
    let ids: Vec<SeriesId> = (0..count)
        .map(|i| series(&mut writer, i, "http_server_active_requests", Kind::Float))
        .collect();
    let per_series = |what: &str| {
        let stats = store.stats();
        let rss = process::rss_bytes().unwrap_or_default().saturating_sub(before);
        println!(
            "{} series {what}: {} B each (chunks {} B), {} KiB estimated, {} KiB resident",
            stats.series,
            stats.head_bytes / stats.series,
            stats.chunk_bytes / stats.series,
            stats.head_bytes >> 10,
            rss >> 10,
        );
    };
    per_series("without samples");
    let each: Vec<Vec<(i64, f64)>> =
        (0..60).map(|seed| samples(&NATURES[1 + seed as usize % 5], seed, 119)).collect();
    for i in 0..119 {
        writer.set_now(T0 + i as i64 * STEP);
        for (id, of) in ids.iter().zip(each.iter().cycle()) {
            let (time, value) = of[i];
            writer.append(*id, time, value).unwrap();
        }
        if i == 59 {
            per_series("with chunks half full");
        }
    }
    per_series("with chunks full (20 % of them any float)");
}

/// Appends by identity, as aggregation does for a stream it knows.
#[divan::bench(args = [0, 1, 5])]
fn append_120_samples_of_1000_series(bencher: Bencher<'_, '_>, nature: usize) {
    let written = samples(&NATURES[nature], 7, 120);
    bencher
        .counter(ItemsCount::new(120_000_u32))
        .with_inputs(|| {
            let (_, mut writer, directory) = open();
            let ids: Vec<_> =
                (0..1_000).map(|i| series(&mut writer, i, "m", Kind::Float)).collect();
            (writer, ids, directory)
        })
        .bench_local_values(|(mut writer, ids, directory)| {
            for &(time, value) in &written {
                writer.set_now(time);
                for &id in &ids {
                    let _taken = black_box(writer.append(id, time, value));
                }
            }
            (writer, directory)
        });
}

#[divan::bench]
fn find_1000_series_by_labels(bencher: Bencher<'_, '_>) {
    let (_store, mut writer, _directory) = open();
    bencher.counter(ItemsCount::new(1_000_u32)).bench_local(|| {
        (0..1_000)
            .map(|i| series(&mut writer, i, "m", Kind::Float))
            .filter(|id| id.is_overflow())
            .count()
    });
}

#[divan::bench]
fn make_10000_series(bencher: Bencher<'_, '_>) {
    bencher.counter(ItemsCount::new(10_000_u32)).with_inputs(open).bench_local_values(
        |(store, mut writer, directory)| {
            for i in 0..10_000 {
                black_box(series(&mut writer, i, "m", Kind::Float));
            }
            (store, writer, directory)
        },
    );
}

/// 1,000 series × 1 h: all in memory, or all but the newest chunk on disk.
#[divan::bench(args = ["memory", "disk"])]
fn select_1000_series_of_an_hour(bencher: Bencher<'_, '_>, place: &str) {
    let (store, mut writer, _directory) = open();
    let ids: Vec<_> = (0..1_000).map(|i| series(&mut writer, i, "m", Kind::Float)).collect();
    for (time, value) in samples(&NATURES[1], 7, 241) {
        writer.set_now(time);
        for &id in &ids {
            writer.append(id, time, value).unwrap();
        }
    }
    if place == "disk" {
        writer.checkpoint(1).unwrap();
    }
    let name = Matcher::new("__name__", MatchOp::Equal, "m").unwrap();
    let (after, until) = (T0, T0 + 240 * STEP);
    bencher.counter(ItemsCount::new(240_000_u32)).bench_local(|| {
        let mut samples = 0;
        let matchers = std::slice::from_ref(&name);
        let (step, range, lookback, reads) = (0, until - after, 0, Reads::Last);
        let selection = Selection { matchers, after, until, step, range, lookback, reads };
        let each = &mut |_: &_, points: &sidelight_promql::Points| {
            samples += points.floats.len();
            ControlFlow::Continue(())
        };
        store.select(&selection, each).unwrap();
        samples
    });
}
