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
mod memory;
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
    assert_eq!(store.label_names(&[], 0, before, 9).unwrap(), Vec::<String>::new());
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
        store.label_values("le", &[], 0, i64::MAX, 100).unwrap().contains(&"nonsense".to_owned())
    );
}

#[test]
fn numbers_and_native_histograms_of_the_same_labels_are_one_series() {
    let Fixture { store, mut writer, directory: _directory } = open(|_| {});
    let float = writer.series(&[("__name__", "a")], Kind::Float);
    let native = writer.series(&[("__name__", "a")], Kind::Native);
    assert_ne!(float, native);
    writer.append(float, T0, 1.0).unwrap();
    let histogram = Histogram {
        count: 1.0,
        sum: 2.0,
        positive: Buckets(vec![(3, 1.0)]),
        ..Histogram::default()
    };
    writer.append_native(native, T0 + 1, &histogram).unwrap();
    let found = everything(&store);
    assert_eq!(found["{__name__=\"a\"}"], [(T0, 1.0_f64.to_bits()), (T0 + 1, 2.0_f64.to_bits())]);
}

#[test]
fn a_number_under_the_name_of_a_bucket_joins_it() {
    let Fixture { store, mut writer, directory: _directory } = open(|_| {});
    let classic = writer.series(&[("__name__", "a")], Kind::Classic);
    let one = Classic { bounds: &[1.0], counts: &[1, 0], sum: Some(1.0), count: 1 };
    writer.append_classic(classic, T0, &one).unwrap();
    let float = writer.series(&[("__name__", "a_bucket"), ("le", "1")], Kind::Float);
    writer.append(float, T0 + 1, 5.0).unwrap();
    let found = select(&store, &named("a_bucket"), T0 - 1, T0 + 1);
    assert_eq!(
        found["{__name__=\"a_bucket\", le=\"1\"}"],
        [(T0, 1.0_f64.to_bits()), (T0 + 1, 5.0_f64.to_bits())]
    );
    assert_eq!(found.len(), 2);
}

#[test]
fn a_histogram_shows_as_its_virtual_series_in_labels() {
    let Fixture { store, mut writer, directory: _directory } = open(|_| {});
    let id = writer.series(&[("__name__", "h"), ("job", "j")], Kind::Classic);
    let one = Classic { bounds: &[0.5, 10.0], counts: &[1, 0, 0], sum: Some(0.1), count: 1 };
    writer.append_classic(id, T0, &one).unwrap();
    let names = |selectors: &[&[Matcher]]| store.label_names(selectors, 0, i64::MAX, 10).unwrap();
    let values = |name| store.label_values(name, &[], 0, i64::MAX, 10).unwrap();
    assert_eq!(names(&[]), ["__name__", "job", "le"]);
    assert_eq!(names(&[&named("h_sum")]), ["__name__", "job"]);
    assert_eq!(values("__name__"), ["h_bucket", "h_count", "h_sum"]);
    assert_eq!(values("le"), ["+Inf", "0.5", "10"]);
    let buckets = store.series(&[&named("h_bucket")], 0, i64::MAX, 10).unwrap();
    assert_eq!(buckets.len(), 3);
    assert!(store.series(&[&named("h")], 0, i64::MAX, 10).unwrap().is_empty());
    let exemplar = |value| Exemplar {
        time_ms: T0,
        value,
        labels: vec![("trace_id".into(), value.to_string())],
    };
    for value in [0.1, 0.2, 99.0] {
        writer.exemplar(id, exemplar(value));
    }
    let found = exemplars(&store, &named("h_bucket"), 0, i64::MAX);
    let found: Vec<_> = found.iter().map(|of| (of.labels.get("le"), of.exemplars.len())).collect();
    assert_eq!(found, [("0.5", 2), ("+Inf", 1)]);
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

/// One of few histograms or numbers at one of few times, so that all meet.
#[derive(Clone, Debug)]
enum Step {
    Float(u8, i64, f64),
    Classic(u8, i64, Vec<u64>, bool, bool),
    Stale(u8, bool, i64),
    Checkpoint,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let time = || 0_i64..20_000_000;
    prop_oneof![
        40 => (0_u8..4, time(), prop_oneof![(-50_i32..50).prop_map(f64::from), any::<f64>()])
            .prop_map(|(series, time, value)| Step::Float(series, time, value)),
        40 => (0_u8..3, time(), prop::collection::vec(0_u64..50, 3), any::<bool>(), any::<bool>())
            .prop_map(|(series, time, counts, other, sum)| Step::Classic(series, time, counts, other, sum)),
        4 => (0_u8..3, any::<bool>(), time()).prop_map(|(series, classic, time)| Step::Stale(series, classic, time)),
        1 => prop_oneof![Just(Step::Checkpoint), Just(Step::Restart)],
    ]
}

/// Every series as it would be stored one by one.
#[derive(Default)]
struct Model {
    last: BTreeMap<(u8, bool), (i64, bool)>,
    series: BTreeMap<String, Vec<(i64, u64)>>,
    bounds: BTreeMap<u8, Vec<f64>>,
}

impl Model {
    fn takes(&mut self, series: u8, classic: bool, time: i64, ended: bool) -> bool {
        let taken = self.last.get(&(series, classic)).is_none_or(|&(last, _)| time > last);
        if taken {
            self.last.insert((series, classic), (time, ended));
        }
        taken
    }

    fn put(&mut self, labels: String, time: i64, value: f64) {
        self.series.entry(labels).or_default().push((time, value.to_bits()));
    }

    fn classic(
        &mut self,
        series: u8,
        time: i64,
        bounds: &[f64],
        counts: Option<&[u64]>,
        sum: Option<f64>,
    ) {
        let stale = f64::from_bits(STALE_BITS);
        let mut total = 0;
        let infinite = [f64::INFINITY];
        for (i, bound) in bounds.iter().chain(&infinite).enumerate() {
            total += counts.map_or(0, |counts| counts[i]);
            let le = if bound.is_infinite() { "+Inf".to_owned() } else { bound.to_string() };
            let value = if counts.is_some() { total as f64 } else { stale };
            self.put(
                format!("{{__name__=\"h_bucket\", le=\"{le}\", s=\"{series}\"}}"),
                time,
                value,
            );
        }
        let value = if counts.is_some() { total as f64 } else { stale };
        self.put(format!("{{__name__=\"h_count\", s=\"{series}\"}}"), time, value);
        if let Some(sum) = if counts.is_some() { sum } else { Some(stale) } {
            self.put(format!("{{__name__=\"h_sum\", s=\"{series}\"}}"), time, sum);
        }
        self.bounds.insert(series, bounds.to_vec());
    }

    fn step(&mut self, step: &Step, writer: &mut Writer) {
        let mut id = |name, series: u8, kind| {
            writer.series(&[("__name__", name), ("s", &series.to_string())], kind)
        };
        match *step {
            Step::Float(series, time, value) => {
                let id = id("f", series, Kind::Float);
                let taken = self.takes(series, false, time, value.to_bits() == STALE_BITS);
                assert_eq!(writer.append(id, T0 + time, value).is_ok(), taken);
                if taken {
                    self.put(format!("{{__name__=\"f\", s=\"{series}\"}}"), T0 + time, value);
                }
            }
            Step::Classic(series, time, ref counts, other, sum) => {
                let id = id("h", series, Kind::Classic);
                let bounds = if other { [0.25, 1.0] } else { [1.0, 2.5] };
                let (sum, count) = (sum.then_some(0.1), counts.iter().sum());
                let taken = self.takes(series, true, time, false);
                let classic = Classic { bounds: &bounds, counts, sum, count };
                assert_eq!(writer.append_classic(id, T0 + time, &classic).is_ok(), taken);
                if taken {
                    self.classic(series, T0 + time, &bounds, Some(counts), sum);
                }
            }
            Step::Stale(series, classic, time) => {
                let (name, kind) = if classic { ("h", Kind::Classic) } else { ("f", Kind::Float) };
                let id = id(name, series, kind);
                writer.stale(id, T0 + time);
                let live = self.last.get(&(series, classic)).is_some_and(|&(_, ended)| !ended);
                if live && self.takes(series, classic, time, true) {
                    if classic {
                        let bounds = self.bounds[&series].clone();
                        self.classic(series, T0 + time, &bounds, None, None);
                    } else {
                        let labels = format!("{{__name__=\"f\", s=\"{series}\"}}");
                        self.put(labels, T0 + time, f64::from_bits(STALE_BITS));
                    }
                }
            }
            Step::Checkpoint | Step::Restart => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// The virtual view of histograms is what storing their series one by one gives.
    #[test]
    fn the_store_is_what_a_naive_map_is(
        mut steps in prop::collection::vec(step(), 1..600), sorted in any::<bool>(),
    ) {
        let far = |config: &mut Config| {
            let far = std::time::Duration::from_hours(24);
            (config.future_max, config.series_ttl) = (far, far);
        };
        let mut fixture = open(far);
        if sorted {
            let (mut at, all) = (0, i64::try_from(steps.len()).unwrap());
            for step in &mut steps {
                at += 20_000_000 / all;
                match step {
                    Step::Float(_, time, _) | Step::Classic(_, time, ..) | Step::Stale(_, _, time) => *time = at,
                    Step::Checkpoint | Step::Restart => {}
                }
            }
        }
        let mut model = Model::default();
        for (seq, step) in (1..).zip(&steps) {
            model.step(step, &mut fixture.writer);
            if matches!(step, Step::Checkpoint | Step::Restart) {
                fixture.writer.checkpoint(seq).unwrap();
            }
            if matches!(step, Step::Restart) {
                prop_assert_eq!(fixture.restart(far).journal_seq, Some(seq));
            }
        }
        let store = &fixture.store;
        prop_assert_eq!(everything(store), model.series.clone());
        let (after, until) = (T0 + 5_000_000, T0 + 15_000_000);
        let mut within = model.series;
        within.values_mut().for_each(|s| s.retain(|(time, _)| *time > after && *time <= until));
        within.retain(|_, samples| !samples.is_empty());
        let all = [matcher("__name__", MatchOp::Regex, ".+")];
        prop_assert_eq!(select(store, &all, after, until), within.clone());
        for (name, op, value) in [
            ("le", MatchOp::Equal, "1"), ("le", MatchOp::NotEqual, ""), ("le", MatchOp::Equal, ""),
            ("le", MatchOp::Regex, "0.*|.Inf"), ("__name__", MatchOp::NotRegex, "h_b.*"),
            ("__name__", MatchOp::Equal, "h_sum"), ("__name__", MatchOp::Equal, "h"), ("s", MatchOp::NotEqual, "1"),
        ] {
            let condition = matcher(name, op, value);
            let label = |labels: &str| {
                let value = labels.split(&format!("{name}=\"")).nth(1);
                value.and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned()
            };
            let mut expected = within.clone();
            expected.retain(|labels, _| condition.matches(&label(labels)));
            let both = [all[0].clone(), condition.clone()];
            prop_assert_eq!(select(store, &both, after, until), expected, "{}{:?}{}", name, op, value);
        }
    }
}

#[test]
fn a_histogram_without_sums_has_no_sum_series_in_memory_or_on_disk() {
    let mut fixture = open(|_| {});
    let id = fixture.writer.series(&[("__name__", "h")], Kind::Classic);
    let other = fixture.writer.series(&[("__name__", "with")], Kind::Classic);
    for step in 0..3 {
        let one = Classic { bounds: &[1.0], counts: &[1, step], sum: None, count: 1 + step };
        fixture.writer.append_classic(id, T0 + step as i64, &one).unwrap();
        let one = Classic { sum: Some(1.0), ..one };
        fixture.writer.append_classic(other, T0 + step as i64, &one).unwrap();
    }
    fixture.writer.stale(id, T0 + 5);
    let check = |store: &Store| {
        let found = store.label_values("__name__", &[], 0, i64::MAX, 100).unwrap();
        assert_eq!(found, ["h_bucket", "h_count", "with_bucket", "with_count", "with_sum"]);
        assert!(store.series(&[&named("h_sum")], 0, i64::MAX, 100).unwrap().is_empty());
    };
    check(&fixture.store);
    fixture.writer.checkpoint(1).unwrap();
    fixture.restart(|_| {});
    check(&fixture.store);
    // The series leaves memory.
    fixture.writer.set_now(T0 + 4 * 3_600_000);
    fixture.writer.checkpoint(2).unwrap();
    assert_eq!(fixture.store.stats().series, 0);
    check(&fixture.store);
}

#[test]
fn a_zero_sample_after_the_state_was_lost_hides_nothing_of_what_is_on_disk() {
    let mut fixture = open(|_| {});
    let labels = [("__name__", "a")];
    let (until, step) = (T0 + 3 * 3_600_000, 15_000);
    let id = fixture.writer.series(&labels, Kind::Float);
    for t in (T0..until).step_by(step) {
        fixture.writer.set_now(t);
        fixture.writer.append(id, t, (t - T0) as f64).unwrap();
    }
    fixture.writer.checkpoint(1).unwrap();
    let nowhere = open(|_| {});
    (fixture.store, fixture.writer) = (nowhere.store, nowhere.writer);
    std::fs::remove_file(fixture.directory.path().join("state.db")).unwrap();
    let opened = fixture.restart(|_| {});
    assert_eq!((opened.journal_seq, opened.series), (None, 0));

    let Fixture { store, mut writer, .. } = fixture;
    let before = everything(&store)["{__name__=\"a\"}"].clone();
    assert!(before.len() > 500, "{}", before.len());
    writer.set_now(until);
    let id = writer.series(&labels, Kind::Float);
    // A counter that is new to the aggregator was zero some time ago.
    assert_eq!(writer.append(id, until - 50 * 60_000, 0.0), Err(Refused::OutOfOrder));
    // What the journal gives again is there already.
    let (last, bits) = *before.last().unwrap();
    assert_eq!(writer.append(id, last, f64::from_bits(bits)), Err(Refused::Duplicate));
    assert_eq!(writer.append(id, until, 7.0), Ok(()));
    let after = everything(&store)["{__name__=\"a\"}"].clone();
    assert_eq!((&after[..before.len()], after.len()), (&before[..], before.len() + 1));
    // One that was never there begins with its zero.
    let other = writer.series(&[("__name__", "b")], Kind::Float);
    assert_eq!(writer.append(other, until - 50 * 60_000, 0.0), Ok(()));
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
    assert_eq!(before.iter().map(|of| of.exemplars.len()).sum::<usize>(), 30);
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
        let first = store.label_values("id", &[], 0, i64::MAX, 2).unwrap();
        assert_eq!(first, ["000", "001"]);
        assert_eq!(store.series(&[&[]], 0, i64::MAX, 7).unwrap().len(), 7);
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
