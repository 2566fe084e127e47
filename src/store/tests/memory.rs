//! What hostile senders can make the store hold.

use super::*;
use crate::memory::StoreBudget;
use crate::telemetry::desc;

const SMALL: StoreBudget = StoreBudget::of(8 << 20);

fn small(config: &mut Config) {
    config.memory = SMALL;
}

fn bounds(len: usize, first: f64) -> Vec<f64> {
    (0..len).map(|i| first + i as f64).collect()
}

fn histogram<'a>(bounds: &'a [f64], counts: &'a [u64]) -> Classic<'a> {
    Classic { bounds, counts, sum: Some(1.0), count: counts.iter().sum() }
}

#[test]
fn labels_of_64_kib_are_refused_past_their_bytes_and_the_metric_is_named() {
    let registry = Registry::default();
    let directory = tempfile::tempdir().unwrap();
    let config = Config { memory: SMALL, ..Config::new(directory.path().to_owned()) };
    let deps = Deps { clock: Arc::new(ManualClock::default()), registry: registry.clone() };
    let (store, mut writer, _) = Store::open(config, deps).unwrap();
    writer.set_now(T0);
    let mut refused = 0;
    for i in 0..300 {
        let long = format!("{i}{}", "x".repeat(64 << 10));
        let id = writer.series(&[("__name__", "bomb"), ("path", &long)], Kind::Float);
        refused += u64::from(writer.append(id, T0, 1.0) == Err(Refused::Overflow));
    }
    let stats = store.stats();
    assert!((270..300).contains(&refused), "{refused}");
    assert!(stats.head_bytes < SMALL.series * 5 / 4, "{}", stats.head_bytes);
    let loudest = &stats.offenders[0];
    assert_eq!((&*loudest.metric, loudest.refused), ("bomb", refused));
    let counted = |reason| registry.counter(&desc::STORE_REFUSED_SERIES, &[reason]).get();
    assert_eq!((counted("memory"), counted("series_max")), (refused, 0));
    // What leaves makes room.
    writer.set_now(T0 + 4 * 3_600_000);
    writer.checkpoint(1).unwrap();
    let long = "y".repeat(64 << 10);
    assert!(!writer.series(&[("__name__", "later"), ("path", &long)], Kind::Float).is_overflow());
}

#[test]
fn twenty_thousand_ordinary_series_take_a_part_of_what_they_may() {
    // A quarter of both.
    let budget = StoreBudget::of(32 << 20);
    let Fixture { store, mut writer, directory: _directory } =
        open(|config| config.memory = budget);
    for i in 0..5_000 {
        let route = format!("/api/v2/orders/{{id}}/kind-{}", i / 8);
        let pod = format!("checkout-7d9f6c5b8-{:05}", i % 40);
        let labels = [
            ("__name__", "http_server_request_duration_seconds"),
            ("http_request_method", ["GET", "POST"][i % 2]),
            ("http_response_status_code", ["200", "201", "404", "500"][i / 2 % 4]),
            ("http_route", &route),
            ("instance", "627cc493-f310-47de-96bd-71410b7dec09"),
            ("job", "shop/checkout"),
            ("k8s_pod_name", &pod),
            ("network_protocol_version", "1.1"),
            ("service_name", "checkout"),
            ("service_version", "1.4.2"),
        ];
        let kind = if i % 4 == 0 { Kind::Classic } else { Kind::Float };
        let id = writer.series(&labels, kind);
        for step in 0..2 {
            let (time, set) = (T0 + step * 15_000, [0.005, 0.1, 1.0, 10.0]);
            if kind == Kind::Classic {
                let counts = [i as u64, 2, 3, 4, step as u64];
                writer.append_classic(id, time, &histogram(&set, &counts)).unwrap();
            } else {
                writer.append(id, time, i as f64 + 0.25 * step as f64).unwrap();
            }
        }
    }
    let stats = store.stats();
    assert_eq!((stats.series, stats.overflow_samples), (5_000, 0));
    let used = stats.head_bytes;
    assert!(used < 5_000 * 1_024 && used < budget.series * 7 / 8, "{used}");
}

#[test]
fn equal_bounds_are_held_once_before_and_after_a_restart() {
    let mut fixture = open(small);
    let set = bounds(1_024, 0.0);
    let counts = vec![0; 1_025];
    let fill = |writer: &mut Writer, time: i64| {
        for i in 0..500 {
            let labels = [("__name__", "h"), ("id", &*i.to_string())];
            let id = writer.series(&labels, Kind::Classic);
            writer.append_classic(id, time, &histogram(&set, &counts)).unwrap();
        }
    };
    let sets = |store: &Store| {
        let head = store.shared.head();
        let all = (0..head.slots()).filter_map(|index| head.at(index)?.1.bounds().cloned());
        all.collect::<Vec<_>>()
    };
    fill(&mut fixture.writer, T0);
    let shared = |sets: &[Arc<[f64]>]| sets.iter().all(|set| Arc::ptr_eq(set, &sets[0]));
    assert!(sets(&fixture.store).len() == 500 && shared(&sets(&fixture.store)));
    fixture.writer.checkpoint(1).unwrap();
    let opened = fixture.restart(small);
    assert_eq!((opened.series, opened.lost_series), (500, 0));
    assert!(sets(&fixture.store).len() == 500 && shared(&sets(&fixture.store)));
    fixture.writer.set_now(T0 + 1_000);
    fill(&mut fixture.writer, T0 + 1_000);
    assert!(shared(&sets(&fixture.store)));
}

#[test]
fn bounds_that_no_series_shares_are_refused_past_their_bytes() {
    let Fixture { store, mut writer, directory: _directory } = open(small);
    let counts = vec![0; 1_025];
    let mut refused = 0;
    for i in 0..1_000 {
        let labels = [("__name__", "h"), ("id", &*i.to_string())];
        let id = writer.series(&labels, Kind::Classic);
        let taken =
            writer.append_classic(id, T0, &histogram(&bounds(1_024, f64::from(i)), &counts));
        assert!(taken.is_ok() || taken == Err(Refused::Memory) || id.is_overflow());
        refused += usize::from(taken.is_err());
    }
    assert!((700..990).contains(&refused), "{refused}");
    let bytes = store.stats().head_bytes;
    assert!(bytes < 2 * (SMALL.series + 2 * SMALL.open_chunks), "{bytes}");
    // One that changes its bounds each time takes the place of what it had before.
    let Fixture { store, mut writer, directory: _directory } = open(small);
    let id = writer.series(&[("__name__", "h")], Kind::Classic);
    for i in 0..1_000 {
        let set = bounds(1_024, f64::from(i));
        writer.append_classic(id, T0 + i64::from(i), &histogram(&set, &counts)).unwrap();
    }
    assert_eq!(store.stats().samples, 1_000);
}

#[test]
fn a_flood_of_received_bounds_leaves_those_of_derived_series_their_room() {
    let Fixture { store: _store, mut writer, directory: _directory } = open(small);
    let counts = vec![0; 1_025];
    let id = writer.series(&[("__name__", "h")], Kind::Classic);
    let others: Vec<_> = (0..1_000)
        .map(|i| writer.series(&[("__name__", "h"), ("id", &*i.to_string())], Kind::Classic))
        .filter(|other| !other.is_overflow())
        .collect();
    for (i, other) in (0_u32..).zip(others) {
        let set = bounds(1_024, f64::from(i));
        let taken = writer.append_classic(other, T0, &histogram(&set, &counts));
        assert!(taken.is_ok() || taken == Err(Refused::Memory), "{taken:?}");
    }
    let set = bounds(1_024, -1.5);
    let received = writer.append_classic(id, T0, &histogram(&set, &counts));
    assert_eq!(received, Err(Refused::Memory));
    let derived = writer.series_of(Rank::Derived, &[("__name__", "d")], Kind::Classic);
    writer.append_classic(derived, T0, &histogram(&set, &counts)).unwrap();
}

#[test]
fn chunks_of_large_histograms_are_sealed_before_they_take_too_much() {
    let Fixture { store, mut writer, directory: _directory } =
        open(|config| config.memory = StoreBudget { pending: 1 << 30, ..SMALL });
    let set = bounds(1_024, 0.0);
    let mut ids = Vec::new();
    for i in 0..200 {
        ids.push(writer.series(&[("__name__", "h"), ("id", &*i.to_string())], Kind::Classic));
    }
    for step in 0..5 {
        for (i, &id) in ids.iter().enumerate() {
            let counts: Vec<u64> = (0..1_025).map(|n| step * 1_000_003 * (n + i as u64)).collect();
            let time = T0 + 1_000 * step as i64;
            writer.append_classic(id, time, &histogram(&set, &counts)).unwrap();
        }
    }
    let (open, pending) = {
        let head = store.shared.head();
        let open = |index| head.at(index).map_or(0, |(_, series)| series.open_bytes());
        ((0..head.slots()).map(open).sum::<usize>(), head.pending_bytes)
    };
    assert!(open <= 2 * SMALL.open_chunks, "{open}");
    assert!(pending > open);
    let found = select(&store, &named("h_count"), T0 - 1, T0 + 5_000);
    assert!(found.len() == 200 && found.values().all(|samples| samples.len() == 5));
}

#[test]
fn sealed_chunks_that_fill_their_room_ask_for_a_checkpoint_and_then_give_way() {
    let Fixture { store, mut writer, directory: _directory } =
        open(|config| config.memory = StoreBudget { pending: 64 << 10, ..SMALL });
    let id = writer.series(&[("__name__", "noise")], Kind::Float);
    let mut random = fastrand::Rng::with_seed(7);
    let mut asked = None;
    for i in 0..20_000 {
        writer.append(id, T0 + i, random.f64()).unwrap();
        if asked.is_none() && writer.checkpoint_due(0) {
            asked = Some(store.shared.head().pending_bytes);
        }
        assert!(store.shared.head().pending_bytes <= 64 << 10);
    }
    assert!(asked.is_some_and(|bytes| (32 << 10..40 << 10).contains(&bytes)), "{asked:?}");
}

#[test]
fn metadata_and_exemplars_are_bounded_in_bytes() {
    let Fixture { store, mut writer, directory: _directory } = open(small);
    let long = "h".repeat(4 << 10);
    for i in 0..2_000 {
        let name = format!("{i}{}", "n".repeat(1_000));
        writer.describe(&name, Metadata { help: long.clone(), ..Metadata::default() });
    }
    let kept = store.metadata(None, usize::MAX);
    let bytes: usize = kept.iter().map(|(name, of)| name.len() + of.help.len()).sum();
    assert!(bytes < SMALL.metadata && bytes > SMALL.metadata / 2, "{bytes}");
    let id = writer.series(&[("__name__", "c")], Kind::Float);
    let other = writer.series(&[("__name__", "d")], Kind::Float);
    for i in 0..2_000 {
        let labels = vec![("user".to_owned(), "u".repeat(400))];
        let of = if i % 2 == 0 { id } else { other };
        writer.exemplar(of, Exemplar { time_ms: T0 + i, value: 1.0, labels });
    }
    assert!(store.shared.head().exemplars.bytes() <= SMALL.exemplars);
    let [c, d] =
        ["c", "d"].map(|name| exemplars(&store, &named(name), T0, T0 + 2_000).remove(0).exemplars);
    assert!(c.len() > 16 && c.len().abs_diff(d.len()) <= 1, "{} {}", c.len(), d.len());
    assert_eq!(d.last().map(|newest| newest.time_ms), Some(T0 + 1_999));
}

#[test]
fn a_lower_limit_of_series_costs_none_that_the_last_checkpoint_has() {
    let mut f = open(|_| {});
    for n in 0..300 {
        let id = f.writer.series(&[("__name__", "a"), ("n", &n.to_string())], Kind::Float);
        f.writer.append(id, T0, 1.0).unwrap();
    }
    f.writer.checkpoint(1).unwrap();
    let opened = f.restart(|config| config.series_max = 10);
    assert_eq!((opened.series, opened.lost_series, opened.refused_series), (300, 0, 0));
    assert_eq!(everything(&f.store).len(), 300);
    f.writer.set_now(T0 + 1_000);
    assert!(f.writer.series(&[("__name__", "b")], Kind::Float).is_overflow(), "no other comes");
}

#[test]
fn series_for_which_a_lower_limit_of_memory_has_no_room_are_said_once() {
    let mut f = open(|_| {});
    for n in 0..100 {
        let long = format!("{n}{}", "x".repeat(32 << 10));
        let id = f.writer.series(&[("__name__", "a"), ("path", &long)], Kind::Float);
        f.writer.append(id, T0, 1.0).unwrap();
    }
    f.writer.checkpoint(1).unwrap();
    let less = |config: &mut Config| config.memory = StoreBudget::of(4 << 20);
    let opened = f.restart(less);
    assert!(opened.refused_series > 50 && opened.lost_series == 0, "{opened:?}");
    f.writer.checkpoint(2).unwrap();
    let again = f.restart(less);
    assert_eq!((again.series, again.refused_series), (opened.series, 0));
}
