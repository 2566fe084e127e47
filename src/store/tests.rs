use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use proptest::prelude::*;
use sidelight_promql::ast::{MatchOp, Matcher};
use sidelight_promql::histogram::Buckets;
use sidelight_promql::source::STALE_BITS;
use sidelight_promql::{Histogram, Labels, Queryable as _, Reads, Selection};

use super::*;
use crate::telemetry::Registry;
use crate::time::ManualClock;

mod during;
mod families;
mod histograms;
mod memory;
mod model;
mod recent;
mod refused;

const T0: i64 = 1_700_000_000_000;

struct Fixture {
    store: Store,
    writer: Writer,
    directory: tempfile::TempDir,
}

impl Fixture {
    /// Ends the process, as it were, and opens what it left.
    fn restart(&mut self, change: impl FnOnce(&mut Config)) -> Opened {
        let mut config = Config::new(self.directory.path().to_owned());
        change(&mut config);
        // One process at a time: what holds the files goes first.
        let nowhere = open(|_| {});
        (self.store, self.writer) = (nowhere.store, nowhere.writer);
        let (store, writer, opened) = Store::open(config, deps()).unwrap();
        (self.store, self.writer) = (store, writer);
        opened
    }
}

fn open(change: impl FnOnce(&mut Config)) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::new(directory.path().to_owned());
    change(&mut config);
    let (store, mut writer, _) = Store::open(config, deps()).unwrap();
    writer.set_now(T0);
    Fixture { store, writer, directory }
}

fn deps() -> Deps {
    Deps { clock: Arc::new(ManualClock::default()), registry: Registry::default() }
}

fn matcher(name: &str, op: MatchOp, value: &str) -> Matcher {
    Matcher::new(name, op, value).unwrap()
}

fn named(name: &str) -> Vec<Matcher> {
    vec![matcher("__name__", MatchOp::Equal, name)]
}

/// What a selection gives, as text and bits, each label set once.
fn select(
    store: &Store,
    matchers: &[Matcher],
    after: i64,
    until: i64,
) -> BTreeMap<String, Vec<(i64, u64)>> {
    let (step, range, lookback, reads) = (0, until.saturating_sub(after), 0, Reads::Last);
    let selection = Selection { matchers, after, until, step, range, lookback, reads };
    let mut found = BTreeMap::new();
    let each = &mut |labels: &Labels, points: &sidelight_promql::Points| {
        let floats = points.floats.iter().map(|&(time, value)| (time, value.to_bits()));
        let histograms = points.histograms.iter().map(|(time, h)| (*time, h.sum.to_bits()));
        let mut all: Vec<_> = floats.chain(histograms).collect();
        all.sort_unstable();
        assert!(!all.is_empty(), "{labels}");
        assert!(found.insert(labels.to_string(), all).is_none(), "{labels} came twice");
        ControlFlow::Continue(())
    };
    store.select(&selection, each).unwrap();
    found
}

fn everything(store: &Store) -> BTreeMap<String, Vec<(i64, u64)>> {
    select(store, &[matcher("__name__", MatchOp::Regex, ".+")], i64::MIN, i64::MAX)
}

fn exemplars(store: &Store, of: &[Matcher], start_ms: i64, end_ms: i64) -> Vec<SeriesExemplars> {
    store.reading(&|| false).exemplars(&[of], start_ms, end_ms).unwrap()
}

/// A mean depends on it in its last digits.
#[test]
fn series_are_handed_over_in_the_same_order_whenever_they_were_made() {
    let handed = |numbers: &mut dyn Iterator<Item = usize>| {
        let Fixture { store, mut writer, directory: _directory } = open(|_| {});
        for n in numbers {
            let id = writer.series(&[("__name__", "up"), ("n", &n.to_string())], Kind::Float);
            writer.append(id, T0, 1.0).unwrap();
        }
        let (after, until, step, range, lookback) = (i64::MIN, i64::MAX, 0, 0, 0);
        let matchers = &named("up");
        let reads = Reads::Last;
        let mut order = Vec::new();
        let each = &mut |labels: &Labels, _: &sidelight_promql::Points| {
            order.push(labels.get("n").to_owned());
            ControlFlow::Continue(())
        };
        let selection = Selection { matchers, after, until, step, range, lookback, reads };
        store.select(&selection, each).unwrap();
        order
    };
    let order = handed(&mut (0..50));
    assert_eq!(order.len(), 50);
    assert_eq!(order, handed(&mut (0..50).rev()));
}

#[test]
fn a_list_says_that_not_every_series_was_looked_at() {
    let Fixture { store, mut writer, directory: _directory } = open(|_| {});
    let mut add = |n: usize| {
        let id = writer.series(&[("__name__", "up"), ("n", &n.to_string())], Kind::Float);
        writer.append(id, T0, 1.0).unwrap();
    };
    let listed = || store.reading(&|| false).label_values("n", &[], 0, i64::MAX, 10_000).unwrap();
    (0..2_000).for_each(&mut add);
    assert_eq!((listed().rows.len(), listed().cut), (2_000, false));
    add(2_000);
    assert_eq!((listed().rows.len(), listed().cut), (2_000, true));
}

#[test]
fn a_list_of_what_may_be_on_disk_ends_when_it_is_told_to() {
    let Fixture { store, mut writer, directory: _directory } = open(|_| {});
    for n in 0..300 {
        let id = writer.series(&[("__name__", "up"), ("n", &n.to_string())], Kind::Float);
        writer.append(id, T0, 1.0).unwrap();
    }
    // Each series is in memory, but with nothing of the time asked for: that may be on disk.
    let (asked, before) = (std::cell::Cell::new(0), T0 - 60_000);
    let stop = || {
        asked.set(asked.get() + 1);
        asked.get() > 350
    };
    let stopped = |error: StoreError| matches!(error, StoreError::Stopped);
    let reading = store.reading(&stop);
    assert!(stopped(reading.label_names(&[], 0, before, 9).unwrap_err()));
    asked.set(0);
    assert!(stopped(reading.label_values("n", &[], 0, before, 9).unwrap_err()));
    asked.set(0);
    assert!(stopped(reading.series(&[&[]], 0, before, 9).unwrap_err()));
    assert_eq!(
        store.reading(&|| false).label_names(&[], 0, before, 9).unwrap().rows,
        Vec::<String>::new()
    );
}

#[test]
fn samples_are_selected_by_every_kind_of_matcher() {
    let Fixture { store, mut writer, directory: _directory } = open(|_| {});
    for (i, (host, zone)) in [("a", "x"), ("b", "x"), ("c", "")].into_iter().enumerate() {
        let labels = [("__name__", "up"), ("host", host), ("zone", zone)];
        let id = writer.series(&labels, Kind::Float);
        writer.append(id, T0, i as f64).unwrap();
    }
    let hosts = |extra: &[(&str, MatchOp, &str)]| {
        let mut matchers = named("up");
        matchers.extend(extra.iter().map(|&(name, op, value)| matcher(name, op, value)));
        let found = select(&store, &matchers, T0 - 1, T0);
        found.into_values().map(|samples| f64::from_bits(samples[0].1)).sum::<f64>()
            + 10.0 * select(&store, &matchers, T0 - 1, T0).len() as f64
    };
    use MatchOp::{Equal, NotEqual, NotRegex, Regex};
    assert_eq!(hosts(&[]), 33.0);
    assert_eq!(hosts(&[("host", Equal, "b")]), 11.0);
    assert_eq!(hosts(&[("host", NotEqual, "b")]), 22.0);
    assert_eq!(hosts(&[("host", Regex, "a|c|a")]), 22.0);
    assert_eq!(hosts(&[("host", NotRegex, "a|c")]), 11.0);
    assert_eq!(hosts(&[("zone", Equal, "")]), 12.0);
    assert_eq!(hosts(&[("zone", NotEqual, "")]), 21.0);
    assert_eq!(hosts(&[("zone", Regex, "x?")]), 33.0);
    assert_eq!(hosts(&[("zone", NotRegex, ".+"), ("host", Regex, "b|c")]), 12.0);
    assert_eq!(hosts(&[("none", Equal, "")]), 33.0);
    assert_eq!(hosts(&[("none", NotEqual, "")]), 0.0);
}

#[test]
fn what_breaks_the_order_of_time_is_refused_with_its_reason() {
    let Fixture { store, mut writer, directory: _directory } = open(|_| {});
    let id = writer.series(&[("__name__", "a")], Kind::Float);
    assert_eq!(writer.append(id, T0, 1.0), Ok(()));
    assert_eq!(writer.append(id, T0, 1.0), Err(Refused::Duplicate));
    assert_eq!(writer.append(id, T0, 2.0), Err(Refused::Conflict));
    assert_eq!(writer.append(id, T0 - 1, 2.0), Err(Refused::OutOfOrder));
    assert_eq!(writer.append(id, T0 + 600_001, 2.0), Err(Refused::FarFuture));
    assert_eq!(writer.append(id, T0 + 600_000, 2.0), Ok(()));
    let old = writer.series(&[("__name__", "old")], Kind::Float);
    assert_eq!(writer.append(old, T0 - 3_600_001, 2.0), Err(Refused::TooOld));
    assert_eq!(
        writer.append_native(id, T0 + 600_000, &Histogram::default()),
        Err(Refused::Malformed)
    );
    let bounds = Classic { bounds: &[2.0, 1.0], counts: &[0; 3], sum: None, count: 0 };
    let classic = writer.series(&[("__name__", "c")], Kind::Classic);
    assert_eq!(writer.append_classic(classic, T0, &bounds), Err(Refused::Malformed));
    assert_eq!(
        writer.append_classic(classic, T0, &Classic { bounds: &[], ..bounds }),
        Err(Refused::Malformed)
    );
    assert_eq!(everything(&store).into_values().map(|s| s.len()).sum::<usize>(), 2);
}

#[test]
fn a_series_ends_once() {
    let Fixture { store, mut writer, directory: _directory } = open(|_| {});
    let id = writer.series(&[("__name__", "a")], Kind::Float);
    writer.stale(id, T0);
    writer.append(id, T0, 1.0).unwrap();
    writer.stale(id, T0 + 1);
    writer.stale(id, T0 + 2);
    let found = everything(&store);
    assert_eq!(found["{__name__=\"a\"}"], [(T0, 1.0_f64.to_bits()), (T0 + 1, STALE_BITS)]);
}

#[test]
fn a_million_label_values_stay_within_the_limit_and_are_counted() {
    let Fixture { store, mut writer, directory: _directory } =
        open(|config| config.series_max = 1_000);
    let good = writer.series(&[("__name__", "good")], Kind::Float);
    let mut refused = 0;
    for i in 0..1_000_000 {
        let labels = [("__name__", "bomb"), ("user", &*i.to_string())];
        let id = writer.series(&labels, Kind::Float);
        refused += u64::from(id.is_overflow());
        let taken = writer.append(id, T0, 1.0);
        assert_eq!(taken.is_err(), id.is_overflow());
    }
    writer.append(good, T0, 1.0).unwrap();
    let stats = store.stats();
    assert_eq!((stats.series, refused), (1_000, 999_001));
    assert_eq!(stats.overflow_samples, refused);
    assert!(stats.head_bytes < 2 << 20, "{}", stats.head_bytes);
    let Offender { metric, series, refused: counted } = &stats.offenders[0];
    assert_eq!((&**metric, *series, *counted), ("bomb", 999, refused));
    // And it shows as a series.
    writer.set_now(T0 + 10_000);
    let name = "sidelight_store_overflow_samples_total";
    let shown = select(&store, &named(name), T0, T0 + 10_000);
    assert_eq!(shown.into_values().next().unwrap(), [(T0 + 10_000, 999_001.0_f64.to_bits())]);
}

#[test]
fn dead_series_make_room_and_their_ids_are_gone() {
    let Fixture { store, mut writer, directory: _directory } =
        open(|config| config.series_max = 100);
    let mut dead = Vec::new();
    for round in 0..5_i64 {
        let now = T0 + round * 3_600_001;
        writer.set_now(now);
        let mut ids = Vec::new();
        for i in 0..100 {
            let labels = [("__name__", "m"), ("id", &*format!("{round}-{i}"))];
            let id = writer.series(&labels, Kind::Float);
            writer.append(id, now, 1.0).unwrap();
            ids.push(id);
        }
        // Who still asks for a series that had the place before changes nothing of the one that has it.
        ids.iter().for_each(|&id| writer.stream(id).last_unix_nano = 7);
        dead.iter().for_each(|&id| writer.stream(id).last_unix_nano = 9);
        assert!(ids.iter().all(|&id| writer.stream(id).last_unix_nano == 7));
        dead.clone_from(&ids);
        writer.set_now(now + 3_600_001);
        writer.checkpoint(round as u64).unwrap();
        assert_eq!(store.stats().series, 0);
        assert_eq!(writer.append(ids[0], now + 3_600_001, 1.0), Err(Refused::Gone));
    }
    assert!(store.stats().head_bytes < 64 << 10, "{}", store.stats().head_bytes);
}

#[test]
fn hostile_labels_are_kept_as_they_are() {
    let Fixture { store, mut writer, directory: _directory } = open(|_| {});
    let long = "x".repeat(100_000);
    let sets: [&[(&str, &str)]; 6] = [
        &[],
        &[("__name__", "")],
        &[("", "empty name"), ("__name__", "a")],
        &[("__name__", "a\0b"), ("q\"", "\u{1f600}\n\\")],
        &[("__name__", "a"), ("le", "nonsense"), ("z", &long)],
        &[("__name__", "a_bucket"), ("le", "1")],
    ];
    for labels in sets {
        let id = writer.series(labels, Kind::Float);
        let _dup = writer.append(id, T0, 1.0);
        let id = writer.series(labels, Kind::Classic);
        let one = Classic { bounds: &[1.0], counts: &[1, 0], sum: Some(1.0), count: 1 };
        let _dup = writer.append_classic(id, T0, &one);
    }
    let found = everything(&store);
    assert!(found.len() > 15, "{found:#?}");
    assert!(
        store
            .reading(&|| false)
            .label_values("le", &[], 0, i64::MAX, 100)
            .unwrap()
            .rows
            .contains(&"nonsense".to_owned())
    );
}

/// Appends what a record of the journal holds.
fn replay(writer: &mut Writer, record: i64) -> Vec<Result<(), Refused>> {
    let now = T0 + record * 15_000;
    writer.set_now(now);
    let float = writer.series(&[("__name__", "f")], Kind::Float);
    let classic = writer.series(&[("__name__", "h")], Kind::Classic);
    let native = writer.series(&[("__name__", "n")], Kind::Native);
    let seen = u64::try_from(record).unwrap();
    let counts = [seen, seen / 2, 7];
    let histogram = Classic {
        bounds: &[0.5, 2.0],
        counts: &counts,
        sum: Some(0.1),
        count: counts.iter().sum(),
    };
    let positive = Buckets((0..20.min(record as i32)).map(|i| (i, f64::from(i) + 1.0)).collect());
    let exponential =
        Histogram { count: record as f64, sum: 0.3, positive, ..Histogram::default() };
    writer.stream(float).total += 1.0;
    vec![
        writer.append(float, now, record as f64 / 3.0),
        writer.append_classic(classic, now, &histogram),
        writer.append_native(native, now, &exponential),
    ]
}

#[test]
fn reading_the_journal_again_after_a_kill_gives_the_same_store() {
    let mut fixture = open(|_| {});
    let mut whole = open(|_| {});
    for record in 1..=500 {
        let taken = replay(&mut whole.writer, record);
        assert_eq!(replay(&mut fixture.writer, record), taken);
        if record % 130 == 0 {
            fixture.writer.checkpoint(record as u64).unwrap();
        }
        if record % 170 == 0 {
            let from = fixture.restart(|_| {}).journal_seq.unwrap();
            for again in from as i64 + 1..=record {
                assert_eq!(replay(&mut fixture.writer, again), [Ok(()); 3], "{again}");
            }
            let twice = [Err(Refused::Duplicate); 3];
            assert_eq!(replay(&mut fixture.writer, record), twice);
            let id = fixture.writer.series(&[("__name__", "f")], Kind::Float);
            fixture.writer.stream(id).total -= 1.0;
            assert_eq!(fixture.writer.stream(id).total, record as f64);
        }
    }
    assert_eq!(everything(&fixture.store), everything(&whole.store));
    assert_eq!(everything(&whole.store).len(), 1 + 1 + 3 + 2);
}

#[test]
fn state_and_metadata_come_back_after_a_restart() {
    let mut fixture = open(|config| config.families_max = 1);
    let help = "é".repeat(1_000);
    let metadata = Metadata { kind: MetricKind::Counter, help, unit: "s".into() };
    fixture.writer.describe("a", metadata.clone());
    fixture.writer.describe("b", metadata);
    let put = |writer: &mut Writer, seq, pieces: &[&[u8]]| {
        let put_all =
            |_: &Writer, put: PutState<'_>| pieces.iter().try_for_each(|piece| put("spans", piece));
        writer.checkpoint_with(seq, put_all).unwrap();
    };
    put(&mut fixture.writer, 6, &[&[1], &[2, 3], &[4]]);
    put(&mut fixture.writer, 7, &[&[1, 2], &[3]]);
    let opened = fixture.restart(|_| {});
    assert_eq!((opened.journal_seq, opened.lost_series), (Some(7), 0));
    assert_eq!(fixture.writer.take_states()["spans"], [vec![1, 2], vec![3]]);
    put(&mut fixture.writer, 8, &[&[9]]);
    fixture.restart(|_| {});
    assert_eq!(fixture.writer.take_states()["spans"], [vec![9]]);
    let known = fixture.store.metadata(None, 10);
    assert_eq!(known.len(), 1);
    assert_eq!((known[0].1.kind, known[0].1.help.len()), (MetricKind::Counter, 1_024));
}

#[test]
fn exemplars_come_back_after_a_restart() {
    let mut fixture = open(|_| {});
    let ids: Vec<SeriesId> = ["a", "b", "c"]
        .map(|name| fixture.writer.series(&[("__name__", name)], Kind::Float))
        .to_vec();
    for (i, &id) in ids.iter().cycle().take(40).enumerate() {
        let labels =
            vec![("trace_id".to_owned(), format!("{i:032x}")), ("é".to_owned(), String::new())];
        fixture.writer.exemplar(id, Exemplar { time_ms: T0 + i as i64, value: i as f64, labels });
        let _kept_alive = fixture.writer.append(id, T0 + i as i64, 1.0);
    }
    let every = |store: &Store| exemplars(store, &[], 0, i64::MAX);
    let before = every(&fixture.store);
    assert_eq!(before.iter().map(|of| of.exemplars.len()).sum::<usize>(), 40);
    fixture.writer.checkpoint(1).unwrap();
    fixture.restart(|_| {});
    assert_eq!(every(&fixture.store), before);
    // What has no room is let go of, what cannot be read is left out.
    fixture.restart(|config| config.exemplars_max = 7);
    assert_eq!(every(&fixture.store).iter().map(|of| of.exemplars.len()).sum::<usize>(), 7);
    let bytes = fixture.store.shared.head().encoded_exemplars();
    for cut in 0..bytes.len() {
        fixture.store.shared.head_mut().take_back_exemplars(&bytes[..cut]);
    }
}

#[test]
fn what_is_read_ends_when_it_is_told_to_and_keeps_no_more_than_its_limit() {
    let mut fixture = open(|_| {});
    for i in 0..300 {
        let kind = if i % 3 == 0 { Kind::Classic } else { Kind::Float };
        let id = fixture.writer.series(&[("__name__", "m"), ("id", &*format!("{i:03}"))], kind);
        let one = Classic { bounds: &[1.0], counts: &[1, 0], sum: None, count: 1 };
        match kind {
            Kind::Classic => fixture.writer.append_classic(id, T0, &one).unwrap(),
            _ => fixture.writer.append(id, T0, 1.0).unwrap(),
        }
    }
    let check = |store: &Store| {
        let asked = std::cell::Cell::new(0);
        for after in [0, 1, 50, 250] {
            asked.set(0);
            let stop = || {
                asked.set(asked.get() + 1);
                asked.get() > after
            };
            let reading = store.reading(&stop);
            let stopped = |error: StoreError| matches!(error, StoreError::Stopped);
            assert!(stopped(reading.label_names(&[], 0, i64::MAX, 9).unwrap_err()), "{after}");
            assert!(asked.get() <= after + 2, "{after} {}", asked.get());
            asked.set(0);
            assert!(stopped(reading.label_values("id", &[], 0, i64::MAX, 9).unwrap_err()));
            asked.set(0);
            assert!(stopped(reading.series(&[&[]], 0, i64::MAX, 900).unwrap_err()));
            asked.set(0);
            let matchers = [matcher("id", MatchOp::NotEqual, "")];
            let (after, until, reads) = (0, i64::MAX, Reads::Last);
            let (step, range, lookback) = (0, 0, 0);
            let selection =
                Selection { matchers: &matchers, after, until, step, range, lookback, reads };
            assert!(reading.select(&selection, &mut |_, _| ControlFlow::Continue(())).is_err());
        }
        let first = store.reading(&|| false).label_values("id", &[], 0, i64::MAX, 2).unwrap().rows;
        assert_eq!(first, ["000", "001"]);
        assert_eq!(store.reading(&|| false).series(&[&[]], 0, i64::MAX, 7).unwrap().rows.len(), 7);
    };
    check(&fixture.store);
    fixture.writer.set_now(T0 + 4 * 3_600_000);
    fixture.writer.checkpoint(1).unwrap();
    assert_eq!(fixture.store.stats().series, 0);
    check(&fixture.store);
}

#[test]
fn the_end_of_a_series_that_stopped_is_in_the_rows_of_its_day_however_long_it_stays_in_memory() {
    let day = std::time::Duration::from_hours(24);
    let Fixture { store, mut writer, directory: _directory } = open(|config| {
        (config.series_ttl, config.retention) = (day * 7, day);
    });
    let id = writer.series(&[("__name__", "a")], Kind::Float);
    for t in (0..50).map(|nth| T0 + nth * 60_000) {
        writer.set_now(t);
        writer.append(id, t, 1.0).unwrap();
    }
    for hour in 1..=8 * 24 {
        writer.set_now(T0 + hour * 3_600_000);
        writer.checkpoint(hour.cast_unsigned()).unwrap();
        while store.tend() {}
    }
    let files = store.stats().files;
    let samples = |file: &FileSize| file.path.to_string_lossy().contains("metrics-");
    assert!(!files.iter().any(samples), "{files:?}");
    let found = select(&store, &named("a"), T0 - 1, T0 + 3_600_000 * 192);
    let last = found.values().next().and_then(|samples| samples.last());
    assert_eq!(last.map(|(t, _)| *t), Some(T0 + 49 * 60_000), "{found:?}");
}
