//! Hostile requests into a translator with a store behind it.

use sidelight_promql::ast::{MatchOp, Matcher};

use super::*;
use crate::aggregate::metrics::local::Way;
use crate::memory::StoreBudget;
use crate::signal::{Sample, Samples};
use crate::store;
use crate::store::{SeriesId, Store, Writer};
use crate::time::ManualClock;

struct Kept {
    translator: Translator<SeriesId>,
    writer: Writer,
    store: Store,
    registry: Registry,
    _directory: tempfile::TempDir,
}

fn open(memory: StoreBudget, series_max: usize) -> Kept {
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::default();
    let config =
        store::Config { memory, series_max, ..store::Config::new(directory.path().to_owned()) };
    let clock = std::sync::Arc::new(ManualClock::default());
    let deps = store::Deps { clock, registry: registry.clone() };
    let (store, writer, _) = Store::open(config, deps).unwrap();
    let translator = Translator::new(Config { memory, series_max, ..Config::default() }, &registry);
    Kept { translator, writer, store, registry, _directory: directory }
}

fn request(metrics: Vec<otlp::Metric>) -> Vec<u8> {
    let resource_metrics = vec![resource_metrics(&[("service.name", "shop")], None, metrics)];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

fn metric(name: &str, data: Data) -> otlp::Metric {
    otlp::Metric { name: name.to_owned(), data: Some(data), ..otlp::Metric::default() }
}

#[test]
fn a_flood_of_label_values_is_counted_and_bounded_at_every_layer() {
    let memory = StoreBudget::of(16 << 20);
    let mut kept = open(memory, 2_000);
    let (mut sent, mut at) = (0, 1_000_000);
    for round in 0..100_u64 {
        let points = (0..1_000_u64).map(|i| {
            let mut point = number(at, at + 1_000, 1.0);
            point.attributes = vec![text("user", &format!("{round}-{i}"))];
            point
        });
        let bytes = request(vec![metric("bomb", sum(CUMULATIVE, true, points.collect()))]);
        at += 1_000;
        sent += 1_000;
        kept.translator.observe(&mut kept.writer, &bytes, UnixNano(nanos(at + 1_000)));
    }
    let stats = kept.store.stats();
    // And one that tells of those past the limit.
    assert_eq!(stats.series, 2_001);
    assert!(stats.head_bytes < 4 << 20, "{}", stats.head_bytes);
    let loudest = &stats.offenders[0];
    assert_eq!(&*loudest.metric, "bomb_total");
    let dropped = kept.registry.counter(&desc::STORE_DROPPED_POINTS, &["overflow"]).get();
    assert_eq!(dropped, sent - 2_000);
    assert!(loudest.refused >= dropped);
    // All of them show in the store, as a series too.
    let noted = kept.registry.counter(&desc::STORE_OVERFLOW_SAMPLES, &[]).get();
    assert!(noted >= dropped, "{noted}");
    assert_eq!(kept.store.stats().overflow_samples, noted);
    at += 20_000;
    let bytes = request(vec![metric("bomb", sum(CUMULATIVE, true, Vec::new()))]);
    kept.translator.observe(&mut kept.writer, &bytes, UnixNano(nanos(at)));
    kept.writer.set_now(at as i64);
    let name = "sidelight_store_overflow_samples_total";
    let name = Matcher::new("__name__", MatchOp::Equal, name).unwrap();
    assert_eq!(
        kept.store.reading(&|| false).series(&[&[name]], 0, i64::MAX, 9).unwrap().rows.len(),
        1
    );
    let refused = kept.registry.counter(&desc::STORE_REFUSED_SERIES, &["series_max"]).get();
    assert_eq!(refused, loudest.refused);
    assert!(kept.translator.entries()[3] <= 4_000, "{:?}", kept.translator.entries());
}

#[test]
fn a_scope_whose_name_is_longer_than_its_cache_is_translated_where_there_is_little_memory() {
    let mut kept = open(StoreBudget::of(4 << 20), 100);
    for n in 0..3_u64 {
        let point = vec![number(1_000, 2_000 + n, 1.0)];
        let mut of = resource_metrics(
            &[("service.name", "shop")],
            None,
            vec![metric("sent", sum(CUMULATIVE, true, point))],
        );
        let name = format!("{n}{}", "x".repeat(40 << 10));
        of.scope_metrics[0].scope = Some(InstrumentationScope { name, ..Default::default() });
        let bytes = ExportMetricsServiceRequest { resource_metrics: vec![of] }.encode_to_vec();
        kept.translator.observe(&mut kept.writer, &bytes, UnixNano(nanos(3_000)));
    }
    assert_eq!(kept.registry.counter(&desc::STORE_POINTS, &[]).get(), 3);
}

/// Fills the store with series of metrics that came, and returns how many there are.
fn bomb(kept: &mut Kept, value: impl Fn(u64) -> String) -> usize {
    let points = (0..1_000).map(|i| {
        let mut point = number(1_000, 2_000, 1.0);
        point.attributes = vec![text("user", &value(i))];
        point
    });
    let bytes = request(vec![metric("bomb", sum(CUMULATIVE, true, points.collect()))]);
    kept.translator.observe(&mut kept.writer, &bytes, UnixNano(nanos(2_000)));
    kept.store.stats().series
}

#[test]
fn a_flood_of_received_series_leaves_rules_and_alerts_their_room() {
    let short: fn(u64) -> String = |i| i.to_string();
    // By number, and by the memory for labels.
    for (memory, series_max, value) in [
        (StoreBudget::of(16 << 20), 400, short),
        (StoreBudget::of(4 << 20), 8_000, |i| format!("{i}-{}", "x".repeat(1_000))),
    ] {
        let mut kept = open(memory, series_max);
        let full = bomb(&mut kept, value);
        let own = |kept: &mut Kept, name: &str, count: usize| {
            let before = kept.store.stats().series;
            // Texts that no other series has.
            let text = |i| value((before * 1_000_000 + i) as u64);
            let sample = |i| Sample::float(name, &[("n", &text(i))], 2_000, 1.0);
            let samples = Samples((0..count).map(sample).collect());
            kept.translator.append(&mut kept.writer, &samples, Way::Inbox);
            kept.store.stats().series - before
        };
        assert_eq!(own(&mut kept, "sidelight_threshold", 10), 10);
        // Rules that copy the flood leave alerts their room in turn.
        let recorded = own(&mut kept, "sidelight:route_p95_seconds", full);
        assert!((full / 8..full).contains(&recorded), "{recorded} of {full}");
        assert_eq!(own(&mut kept, "ALERTS", full / 16), full / 16);
        let told = own(&mut kept, "ALERTS_FOR_STATE", full);
        assert!((1..full / 8).contains(&told), "{told} of {full}");
        // And whoever sends gets none of it.
        let all = kept.store.stats().series;
        assert_eq!(bomb(&mut kept, |i| format!("later {i}")), all);
    }
}

#[test]
fn deltas_of_large_histograms_are_refused_past_the_memory_of_totals() {
    let memory = StoreBudget::of(4 << 20);
    let mut kept = open(memory, 20_000);
    let bounds: Vec<f64> = (0..1_000).map(f64::from).collect();
    for i in 0..300_u64 {
        let point = otlp::HistogramDataPoint {
            start_time_unix_nano: nanos(1_000),
            time_unix_nano: nanos(2_000),
            attributes: vec![text("id", &i.to_string())],
            count: 1_001,
            bucket_counts: vec![1; 1_001],
            explicit_bounds: bounds.clone(),
            ..otlp::HistogramDataPoint::default()
        };
        let data = otlp::Histogram { data_points: vec![point], aggregation_temporality: DELTA };
        let bytes = request(vec![metric("h", Data::Histogram(data))]);
        kept.translator.observe(&mut kept.writer, &bytes, UnixNano(nanos(3_000)));
    }
    let refused = kept.registry.counter(&desc::STORE_DROPPED_POINTS, &["memory"]).get();
    assert!((260..300).contains(&refused), "{refused}");
}

#[test]
fn any_bytes_of_a_request_are_translated_without_a_panic_and_within_the_limits() {
    let memory = StoreBudget::of(4 << 20);
    let mut kept = open(memory, 500);
    let mut random = fastrand::Rng::with_seed(3);
    let exponential_data = |temporality| {
        let data_points = vec![exponential(1_000, 2_000, 2, 3, &[1, 2, 0, 7])];
        let data = otlp::ExponentialHistogram { data_points, aggregation_temporality: temporality };
        Data::ExponentialHistogram(data)
    };
    let mut attributed = number(1_000, 2_000, 4.5);
    attributed.attributes = vec![text("http.route", "/a"), text("_x", "é")];
    let seeds = [
        request(vec![metric("c", sum(DELTA, true, vec![attributed.clone()]))]),
        request(vec![metric("g", sum(CUMULATIVE, false, vec![attributed]))]),
        request(vec![metric("e", exponential_data(DELTA))]),
        request(vec![metric("e.c", exponential_data(CUMULATIVE))]),
    ];
    for round in 0..4_000_u64 {
        let mut bytes = seeds[random.usize(..seeds.len())].clone();
        for _ in 0..random.usize(..8) {
            let at = random.usize(..bytes.len());
            match random.u8(..3) {
                0 => bytes[at] = random.u8(..),
                1 => bytes[at] ^= 1 << random.u8(..8),
                _ => bytes.insert(at, random.u8(..)),
            }
        }
        if random.u8(..4) == 0 {
            bytes.truncate(random.usize(..bytes.len()));
        }
        let received = UnixNano(nanos(3_000 + round * 100));
        kept.translator.observe(&mut kept.writer, &bytes, received);
        if round % 1_000 == 999 {
            kept.translator.forget(&mut kept.writer);
            let encoded =
                |writer: &Writer, put: store::PutState<'_>| kept.translator.encode(writer, put);
            kept.writer.checkpoint_with(round, encoded).unwrap();
        }
    }
    let stats = kept.store.stats();
    assert!(stats.series <= 500 && stats.head_bytes < 2 * memory.series, "{stats:?}");
}

#[test]
fn what_alerts_compare_with_is_not_taken_from_whoever_may_send() {
    let mut kept = open(StoreBudget::of(16 << 20), 100);
    for _ in 0..2 {
        let gauge = || gauge_of(vec![number(0, 1_000, 1.0)]);
        let names = ["sidelight.threshold", "sidelight:health_score", "ALERTS", "app.threshold"];
        let bytes = request(names.map(|name| metric(name, gauge())).into());
        kept.translator.observe(&mut kept.writer, &bytes, UnixNano(nanos(2_000)));
    }
    let dropped = kept.registry.counter(&desc::STORE_DROPPED_POINTS, &["reserved_name"]).get();
    assert_eq!(dropped, 6, "each point of three metrics");
    let labels = [("__name__", "app_threshold"), ("job", "shop"), ("service_name", "shop")];
    assert!(kept.writer.find(&labels, store::Kind::Float).is_some());
}
