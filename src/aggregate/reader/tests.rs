use std::ops::ControlFlow;
use std::path::Path;

use sidelight_promql::ast::{MatchOp, Matcher};
use sidelight_promql::{Labels, Points, Queryable as _, Reads, Selection};

use super::*;
use crate::aggregate::{Origin, domain, metrics};
use crate::journal;
use crate::journal::fs::Roomy;
use crate::journal::{Deps, Durability, Journal};
use crate::signal::samples::Value;
use crate::signal::{Sample, Samples};
use crate::store;
use crate::store::{Inbox, Store};
use crate::time::ManualClock;

const T0: i64 = 1_700_000_000_000;

/// An agent's local part, on files.
struct Local {
    journal: Journal,
    store: Store,
    inbox: Inbox,
    clock: Arc<ManualClock>,
    registry: Registry,
    stop: Stop,
    reading: tokio::task::JoinHandle<()>,
}

impl Local {
    fn start(directory: &Path) -> Self {
        Self::start_at(directory, T0)
    }

    fn start_at(directory: &Path, now_ms: i64) -> Self {
        let registry = Registry::default();
        let clock = Arc::new(ManualClock::at(UnixNano(now_ms.unsigned_abs() * 1_000_000)));
        let config = journal::Config {
            durability: Durability::Os,
            directory: directory.join("journal"),
            ..journal::Config::default()
        };
        let deps = Deps { fs: Arc::new(Roomy), clock: clock.clone(), registry: registry.clone() };
        let (journal, _) = Journal::open(config, vec![reader_config(true)], deps).unwrap();
        let config = store::Config::new(directory.join("store"));
        let deps = store::Deps { clock: clock.clone(), registry: registry.clone() };
        let (store, writer, opened) = Store::open(config, deps).unwrap();
        let (identity, next_seq) = (journal.identity(), journal.status().next_seq);
        let max_size = journal.status().max_size;
        let origin = Origin { identity, next_seq, replays: true, max_size };
        let metrics = metrics::Config::default();
        let signals = domain::Config {
            metrics,
            ttl_ms: 0,
            user_key: Some([0; 16]),
            entries: Default::default(),
        };
        let mut durable = Durable::new(writer, &opened, signals, origin, &registry);
        let aggregate =
            Aggregate::new(Config::default(), UnixNano(0), Some(&mut durable), &registry);
        let (inbox, outlet) = store::inbox(&registry);
        let (stop, stopping) = stop();
        let reader = journal.reader(READER).unwrap();
        let reading = aggregate.run(reader, Some(Keeping { durable, outlet }), stopping);
        let reading = tokio::spawn(reading);
        Self { journal, store, inbox, clock, registry, stop, reading }
    }

    /// As SIGKILL leaves it: no last checkpoint, no last acknowledgement.
    async fn kill(self) {
        self.reading.abort();
        assert!(self.reading.await.unwrap_err().is_cancelled());
        // For its lock alone: it has nothing more to say.
        self.journal.close().await;
    }

    /// Waits until the journal is read, up to a last record of its own.
    async fn read(&self) {
        let t_ms = T0 + 20_000 + self.journal.status().next_seq.cast_signed();
        self.journal.append(Samples(vec![sample("mark", t_ms, 1.0)]).record()).await.unwrap();
        let read = async {
            while self.select("mark").last() != Some(&(t_ms, 1.0)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), read).await.unwrap();
    }

    fn select(&self, name: &str) -> Vec<(i64, f64)> {
        let matchers = [Matcher::new("__name__", MatchOp::Equal, name).unwrap()];
        let selection = Selection {
            matchers: &matchers,
            after: T0 - 1_000,
            until: T0 + 100_000,
            step: 0,
            range: 101_000,
            lookback: 0,
            reads: Reads::Last,
        };
        let mut found = Vec::new();
        let each = &mut |_: &Labels, points: &Points| {
            found.extend(&points.floats);
            found.extend(points.histograms.iter().map(|(time, histogram)| (*time, histogram.sum)));
            ControlFlow::Continue(())
        };
        self.store.select(&selection, each).unwrap();
        found
    }
}

fn sample(name: &str, t_ms: i64, value: f64) -> Sample {
    Sample::float(name, &[("job", "sidelight")], t_ms, value)
}

#[tokio::test]
async fn samples_of_its_own_are_seen_at_once_and_are_there_exactly_once_after_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let local = Local::start(directory.path());
    for n in 0..3 {
        let samples = Samples(vec![sample("a", T0 + n * 5_000, n as f64)]);
        local.inbox.apply(samples.clone()).await.unwrap();
        assert_eq!(local.select("a").len() as i64, n + 1);
        local.journal.append(samples.record()).await.unwrap();
    }
    let ended = Sample { value: Value::Stale, ..sample("a", T0 + 15_000, 0.0) };
    let ended = Samples(vec![ended]);
    local.inbox.apply(ended.clone()).await.unwrap();
    local.journal.append(ended.record()).await.unwrap();
    local.read().await;
    let expected: Vec<_> = (0..3).map(|n| (T0 + n * 5_000, n as f64)).collect();
    let whole = |found: Vec<(i64, f64)>| {
        let (last, numbers) = found.split_last().unwrap();
        assert_eq!(numbers, expected);
        assert_eq!((last.0, last.1.is_nan()), (T0 + 15_000, true));
    };
    whole(local.select("a"));
    local.kill().await;

    let local = Local::start(directory.path());
    local.read().await;
    whole(local.select("a"));
    // A checkpoint has them; what comes again adds nothing.
    local.journal.append(ended.record()).await.unwrap();
    local.stop.finish().await;
    local.reading.await.unwrap();
    local.journal.close().await;
    drop(local.store);
    let local = Local::start(directory.path());
    whole(local.select("a"));
    local.kill().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_agent_makes_itself_is_written_although_the_journal_takes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let local = Local::start(directory.path());
    // Further apart than checkpoints are.
    for t_ms in [T0, T0 + 6 * 60_000] {
        local.inbox.apply(Samples(vec![sample("a", t_ms, 1.0)])).await.unwrap();
    }
    tokio::time::sleep(IDLE + PAUSE).await;
    local.kill().await;

    let local = Local::start(directory.path());
    assert_eq!(local.select("a"), [(T0, 1.0)]);
    local.inbox.apply(Samples(vec![sample("b", T0 + 5_000, 2.0)])).await.unwrap();
    local.stop.finish().await;
    local.reading.await.unwrap();
    local.journal.close().await;
    drop(local.store);
    let local = Local::start(directory.path());
    assert_eq!(local.select("b"), [(T0 + 5_000, 2.0)], "a stop writes it without a record, too");
    local.kill().await;
}

#[tokio::test]
async fn samples_are_stored_as_they_are_and_what_cannot_be_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let local = Local::start(directory.path());
    let histogram = sidelight_promql::Histogram { sum: 2.5, ..Default::default() };
    let labels = Labels::new([("__name__", "h")]);
    let native = Sample { labels, t_ms: T0, value: Value::Native(Arc::new(histogram)) };
    let gone = Sample { value: Value::Stale, ..sample("never", T0, 0.0) };
    local.inbox.apply(Samples(vec![native, gone, sample("b", T0, 1.0)])).await.unwrap();
    assert_eq!(local.select("h"), [(T0, 2.5)]);
    assert_eq!(local.select("b"), [(T0, 1.0)]);
    assert_eq!(local.store.stats().series, 2);
    // The same again is nothing; another value at that time is a second writer.
    local.inbox.apply(Samples(vec![sample("b", T0, 1.0), sample("b", T0, 2.0)])).await.unwrap();
    assert_eq!(local.select("b"), [(T0, 1.0)]);
    let mut out = crate::telemetry::Exposition::new(crate::telemetry::exposition::Format::Text);
    local.registry.write(&mut out);
    let text = out.finish();
    assert!(text.contains("store_dropped_points_total{reason=\"conflict\"} 1\n"), "{text}");
    assert!(!text.contains("reason=\"duplicate\""), "{text}");
    local.kill().await;
}

#[tokio::test]
async fn what_waited_in_the_journal_is_stored_before_what_the_agent_makes_now() {
    let directory = tempfile::tempdir().unwrap();
    let local = Local::start(directory.path());
    local.kill().await;
    // While the store could not be opened, the journal took.
    let local = Local::start(directory.path());
    local.reading.abort();
    for n in 0..3 {
        let record = Samples(vec![sample("a", T0 + n * 5_000, n as f64)]).record();
        local.journal.append(record).await.unwrap();
    }
    local.kill().await;

    let three_hours_later = T0 + 3 * 3_600_000;
    let local = Local::start_at(directory.path(), three_hours_later);
    let made = Samples(vec![sample("a", three_hours_later, 9.0)]);
    local.inbox.apply(made).await.unwrap();
    assert_eq!(local.select("a").len(), 3);
    let newest = local.store.stats().newest_ms;
    assert_eq!(newest, Some(three_hours_later));
    local.kill().await;
}

#[tokio::test]
async fn a_leap_of_the_clock_that_is_set_right_costs_what_was_stamped_meanwhile_and_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let local = Local::start(directory.path());
    let leap = 3 * 24 * 3_600_000;
    for (wrong_ms, t_ms, value) in [(0, 0, 1.0), (leap, 5_000, 2.0), (0, 10_000, 3.0)] {
        let now = UnixNano((T0 + wrong_ms + t_ms).unsigned_abs() * 1_000_000);
        local.clock.set_unix(now);
        let record = Samples(vec![sample("a", T0 + wrong_ms + t_ms, value)]).record();
        local.journal.append(record).await.unwrap();
    }
    local.read().await;
    assert_eq!(local.select("a"), [(T0, 1.0), (T0 + 10_000, 3.0)]);
    // What rules made of the wrong time comes late, and holds up nothing.
    local.inbox.apply(Samples(vec![sample("b", T0 + leap + 12_000, 9.0)])).await.unwrap();
    local.clock.set_unix(UnixNano((T0 + 15_000).unsigned_abs() * 1_000_000));
    let record = Samples(vec![sample("a", T0 + 15_000, 3.5)]).record();
    local.journal.append(record).await.unwrap();
    local.read().await;
    let right = [(T0, 1.0), (T0 + 10_000, 3.0), (T0 + 15_000, 3.5)];
    assert_eq!(local.select("a"), right);
    // And after a start, from a checkpoint while the clock was wrong or without one.
    local.kill().await;
    let local = Local::start_at(directory.path(), T0 + 30_000);
    let record = Samples(vec![sample("a", T0 + 30_000, 4.0)]).record();
    local.journal.append(record).await.unwrap();
    local.read().await;
    assert_eq!(local.select("a"), [&right[..], &[(T0 + 30_000, 4.0)]].concat());
    local.kill().await;
}

#[tokio::test]
async fn a_clock_that_is_set_right_while_the_agent_is_down_stops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let leapt = T0 + 100 * 24 * 3_600_000;
    let local = Local::start_at(directory.path(), leapt);
    let record = Samples(vec![sample("a", leapt, 1.0)]).record();
    local.journal.append(record).await.unwrap();
    local.stop.finish().await;
    local.reading.await.unwrap();
    local.journal.close().await;
    drop(local.store);
    let local = Local::start_at(directory.path(), T0);
    for n in 0..3 {
        let record = Samples(vec![sample("a", T0 + n * 5_000, 1.0)]).record();
        local.journal.append(record).await.unwrap();
    }
    local.read().await;
    assert_eq!(local.select("a").len(), 3);
    local.kill().await;
}

/// A request with one span.
fn a_span() -> crate::signal::Record {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message as _;
    let span = Span { name: "work".to_owned(), end_time_unix_nano: 1_000, ..Span::default() };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    let payload = ExportTraceServiceRequest { resource_spans }.encode_to_vec().into();
    let (flags, meta) = Default::default();
    crate::signal::Record { signal: Signal::Traces, items: 1, flags, meta, payload }
}

#[tokio::test]
async fn what_is_derived_goes_on_when_a_leap_of_the_clock_is_set_right() {
    let directory = tempfile::tempdir().unwrap();
    let local = Local::start(directory.path());
    let leap = 3 * 24 * 3_600_000;
    for t_ms in [0, 6_000, leap + 8_000, leap + 14_000, 20_000, 26_000, 32_000] {
        local.clock.set_unix(UnixNano((T0 + t_ms).unsigned_abs() * 1_000_000));
        local.journal.append(a_span()).await.unwrap();
    }
    local.read().await;
    let calls = local.select("traces_spanmetrics_calls_total");
    let at = |(t, value): (i64, f64)| (t - T0, value);
    let calls: Vec<_> = calls.into_iter().map(at).collect();
    assert_eq!(calls, [(0, 0.0), (5_000, 1.0), (20_000, 0.0), (25_000, 1.0), (30_000, 2.0)]);
    local.kill().await;
}

#[tokio::test]
async fn what_is_derived_counts_nothing_twice_after_a_leap_that_no_span_saw() {
    let directory = tempfile::tempdir().unwrap();
    let local = Local::start(directory.path());
    let leap = 3 * 24 * 3_600_000;
    let at = |t_ms: i64| {
        local.clock.set_unix(UnixNano((T0 + t_ms).unsigned_abs() * 1_000_000));
    };
    for t_ms in [0, 6_000] {
        at(t_ms);
        local.journal.append(a_span()).await.unwrap();
    }
    at(leap + 8_000);
    let seen = Samples(vec![sample("a", T0 + leap + 8_000, 1.0)]).record();
    local.journal.append(seen).await.unwrap();
    for t_ms in [20_000, 26_000, 32_000] {
        at(t_ms);
        local.journal.append(a_span()).await.unwrap();
    }
    local.read().await;
    let calls = local.select("traces_spanmetrics_calls_total");
    let since: Vec<_> = calls.into_iter().filter(|(t, _)| *t >= T0 + 20_000).collect();
    assert_eq!(since, [(T0 + 20_000, 0.0), (T0 + 25_000, 1.0), (T0 + 30_000, 2.0)]);
    local.kill().await;
}
