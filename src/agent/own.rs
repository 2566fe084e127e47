//! The self-metrics that the shipped rules read, and those that the shipped dashboards show, as local samples: what else
//! the agent says about itself is on `/metrics` only, where no query can ask for it.
//!
//! The former at every multiple of 5 s, just before those rules are evaluated, the latter every 15 s; the record that carries
//! them moves the clock of everything that is derived, also where nothing else arrives. A series that ends, of an exporter
//! that left the configuration, ends in the store, too. A counter that is new begins with what it was before, a zero
//! in most cases, so that `increase` sees what made it. Limit: that of the registry for each family.
//! Cost: some 100 bytes per series in the journal.

use std::collections::BTreeSet;
use std::time::Duration;

use sidelight_promql::Labels;

use super::before::{Dropped, dropped};
use super::shown::View;
use crate::blocking;
use crate::export;
use crate::host;
use crate::journal::{DropReason, ReaderLedger};
use crate::rules;
use crate::rules::Rules;
use crate::signal::samples::Value;
use crate::signal::{Sample, Samples};
use crate::store::{ApplyError, Inbox};
use crate::telemetry::{Desc, Kind, Registry, desc, registry};
use crate::time::UnixNano;

const INTERVAL: Duration = Duration::from_secs(5);
/// What a counter that is new was before lies so long before its first sample: it was not there at the multiple before.
const BEFORE_MS: i64 = 2_500;
/// Of so many intervals, one brings what dashboards show.
const SHOWN_EVERY: u32 = 3;
/// What the dashboards in deploy/grafana show besides what rules read.
const SHOWN: [&Desc; 18] = [
    &desc::RECEIVER_ACCEPTED_SPANS,
    &desc::RECEIVER_ACCEPTED_METRIC_POINTS,
    &desc::RECEIVER_ACCEPTED_LOG_RECORDS,
    &desc::JOURNAL_BYTES,
    &desc::JOURNAL_FSYNCS,
    &desc::JOURNAL_FSYNC_MICROSECONDS,
    &desc::JOURNAL_REFUSED,
    &desc::JOURNAL_POISONED,
    &desc::EXPORTER_SENT_SPANS,
    &desc::EXPORTER_SENT_METRIC_POINTS,
    &desc::EXPORTER_SENT_LOG_RECORDS,
    &desc::EXPORTER_SEND_FAILED_SPANS,
    &desc::EXPORTER_SEND_FAILED_METRIC_POINTS,
    &desc::EXPORTER_SEND_FAILED_LOG_RECORDS,
    &desc::EXPORTER_REQUESTS,
    &desc::EXPORTER_RETRIES,
    &desc::EXPORTER_BACKING_OFF,
    &desc::EXPORTER_IN_FLIGHT,
];
/// The agent's own `job`, and the name of its service.
const JOB: &str = "sidelight";

/// Samples for as long as there is a store.
pub(super) async fn sample(inbox: Option<Inbox>, view: View) {
    let Some(inbox) = inbox else { return };
    let host_name = blocking::run(|| host::Root::of_this_machine().host_name()).await;
    let began_ms = view.before.at.as_ms();
    let mut read = Own::new(rules::reads::of_builtin(), host_name.clone(), began_ms);
    let shown = SHOWN.iter().map(|desc| desc.name.to_owned()).collect();
    let mut shown = Own::new(shown, host_name, began_ms);
    let mut since_shown = SHOWN_EVERY;
    let mut dropped = view.before.dropped.clone();
    loop {
        tokio::time::sleep(until_next(view.clock.unix_nano())).await;
        let collected = collected(&view, &mut dropped);
        let now_ms = view.clock.unix_nano().as_ms();
        let mut samples = read.take(&view.registry, &collected, now_ms);
        since_shown += 1;
        if since_shown >= SHOWN_EVERY {
            since_shown = 0;
            samples.0.extend(shown.take(&view.registry, &[], now_ms).0);
        }
        let record = samples.record();
        match inbox.apply(samples).await {
            Err(ApplyError::Closed) => return,
            // Counted; the journal's record brings them.
            Ok(()) | Err(ApplyError::Full) => {}
        }
        // Readers get it at once: it tells what derives samples that a multiple has passed, where nobody else sends.
        if let Err(error) = view.journal.append(record).await {
            tracing::debug!(%error, "samples of the agent itself are in memory only");
        }
    }
}

/// How long it is until the next multiple of [`INTERVAL`].
fn until_next(now: UnixNano) -> Duration {
    let interval = INTERVAL.as_nanos() as u64;
    Duration::from_nanos(interval - now.0 % interval)
}

/// A value of a family, with those of its labels.
struct Collected {
    desc: &'static Desc,
    labels: Vec<String>,
    value: f64,
    /// Of a counter: what it was when it was looked at before.
    before: Option<f64>,
}

impl Collected {
    const fn level(desc: &'static Desc, labels: Vec<String>, value: f64) -> Self {
        Self { desc, labels, value, before: None }
    }
}

/// Of what the shipped rules read, what a collector writes: the registry does not hold it. `before` is what the ledger said
/// when it was looked at before.
fn collected(view: &View, before: &mut Dropped) -> Vec<Collected> {
    let waiting = export::queues::oldest_seconds(&view.journal, &view.exporters).into_iter();
    let mut lanes = BTreeSet::new();
    let mut all: Vec<Collected> = waiting
        .map(|(exporter, signal, age)| {
            lanes.insert(export::reader_name(&exporter, signal));
            let labels = vec![exporter, signal.name().to_owned()];
            Collected::level(&desc::EXPORTER_OLDEST_UNDELIVERED_SECONDS, labels, age)
        })
        .collect();
    let ledger = view.journal.ledger();
    let here = ledger.readers.iter().filter(|lane| lanes.contains(&lane.reader));
    all.extend(here.flat_map(|lane| drops(lane, before)));
    *before = dropped(&ledger);
    let groups = view.rules.get().map(Rules::groups).unwrap_or_default();
    let failing = groups.iter().map(|group| (group, group.failing()));
    all.extend(failing.filter(|(_, failing)| *failing > 0).map(|(group, failing)| {
        let labels = vec![group.full_name()];
        Collected::level(&desc::RULE_GROUP_FAILING, labels, counted(failing as u64))
    }));
    let entries = view.kept().and_then(|kept| kept.entries.as_ref());
    let entries = entries.into_iter().flat_map(|entries| entries.stats().families);
    all.extend(entries.map(|of| {
        Collected::level(&desc::ENTRIES_UTILIZATION, vec![of.family.to_owned()], of.utilization)
    }));
    all
}

/// What was dropped for a reader over all starts, and `before`.
fn drops(lane: &ReaderLedger, before: &Dropped) -> Vec<Collected> {
    let of = |(&reason, &items): (&DropReason, &u64)| {
        let labels = [lane.signal.name(), &lane.exporter, reason.name()];
        let earlier = before.get(&(lane.reader.clone(), lane.signal, reason));
        Collected {
            desc: &desc::LEDGER_DROPPED_ITEMS,
            labels: labels.map(str::to_owned).to_vec(),
            value: counted(items),
            before: Some(counted(earlier.copied().unwrap_or_default())),
        }
    };
    lane.dropped.iter().map(of).collect()
}

#[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
const fn counted(count: u64) -> f64 {
    count as f64
}

/// What is sampled, and what was last.
struct Own {
    families: BTreeSet<String>,
    instance: String,
    /// When the process began to count, until something was sampled.
    began_ms: Option<i64>,
    last: BTreeSet<Labels>,
}

impl Own {
    /// Of `families`, as queries name them.
    fn new(families: BTreeSet<String>, instance: String, began_ms: i64) -> Self {
        let plain = |name: String| name.strip_suffix("_total").map_or(name.clone(), str::to_owned);
        let families = families.into_iter().map(plain).collect();
        Self { families, instance, began_ms: Some(began_ms), last: BTreeSet::new() }
    }

    fn take(&mut self, registry: &Registry, collected: &[Collected], t_ms: i64) -> Samples {
        let own = [("job", JOB), ("instance", &self.instance), ("service_name", JOB)];
        let began_ms = self.began_ms.take().unwrap_or(i64::MIN);
        let before_ms = began_ms.max(t_ms - BEFORE_MS).min(t_ms - 1);
        let mut samples = Vec::new();
        let mut add = |desc: &Desc, values: &[String], value, before: Option<f64>| {
            // Like everything else that is stored, without labels that say nothing.
            let values = values.iter().map(String::as_str);
            let labels = desc.labels.iter().copied().zip(values);
            let labels = labels.filter(|(_, value)| !value.is_empty());
            let labels: Vec<_> = own.into_iter().chain(labels).collect();
            let total = if desc.kind == Kind::Counter { "_total" } else { "" };
            let sample = Sample::float(&format!("{}{total}", desc.name), &labels, t_ms, value);
            if let Some(before) = before.filter(|_| !self.last.contains(&sample.labels)) {
                let value = Value::Float(before);
                samples.push(Sample { t_ms: before_ms, value, ..sample.clone() });
            }
            samples.push(sample);
        };
        for Collected { desc, labels, value, before } in collected {
            add(desc, labels, *value, *before);
        }
        for (desc, series) in self.families.iter().filter_map(|name| registry.family(name)) {
            for (values, value) in series {
                match value {
                    registry::Value::Level(value) => add(&desc, &values, value, None),
                    registry::Value::Count(count) => {
                        add(&desc, &values, counted(count), Some(0.0));
                    }
                }
            }
        }
        let current = samples.iter().map(|sample| sample.labels.clone()).collect();
        let last = std::mem::replace(&mut self.last, current);
        let gone = last.difference(&self.last);
        let ended = |labels: &Labels| Sample { labels: labels.clone(), t_ms, value: Value::Stale };
        samples.extend(gone.map(ended));
        Samples(samples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Count, Ledger, PerSignal};
    use crate::signal::Signal;

    #[test]
    fn what_the_shipped_rules_read_of_the_agent_is_sampled_and_ends_with_its_series() {
        let registry = Registry::default();
        registry.gauge(&desc::EXPORTER_HELD, &["otlp_grpc/x", "traces"]).set(1.0);
        registry.gauge(&desc::STORE_SERIES_LIMIT, &[]).set(7.0);
        registry.gauge(&desc::STORE_HEAD_BYTES, &[]).set(9.0);
        let mut own = Own::new(rules::reads::of_builtin(), "here".to_owned(), 0);
        let held = [
            ("job", "sidelight"),
            ("instance", "here"),
            ("service_name", "sidelight"),
            ("exporter", "otlp_grpc/x"),
            ("signal", "traces"),
        ];
        let limit = Sample::float("sidelight_store_series_limit", &held[..3], 5, 7.0);
        let age = Sample::float("sidelight_exporter_oldest_undelivered_seconds", &held, 5, 3.0);
        let held = Sample::float("sidelight_exporter_held", &held, 5, 1.0);
        let labels = vec!["otlp_grpc/x".to_owned(), "traces".to_owned()];
        let desc = &desc::EXPORTER_OLDEST_UNDELIVERED_SECONDS;
        let waiting = [Collected::level(desc, labels, 3.0)];
        assert_eq!(own.take(&registry, &waiting, 5).0, [age.clone(), held.clone(), limit.clone()]);
        registry.remove(&desc::EXPORTER_HELD, &["otlp_grpc/x", "traces"]);
        let limit = Sample { t_ms: 6, ..limit };
        let ended = |of| Sample { t_ms: 6, value: Value::Stale, ..of };
        assert_eq!(own.take(&registry, &[], 6).0, [limit.clone(), ended(held), ended(age)]);
        assert_eq!(own.take(&registry, &[], 6).0, [limit]);
    }

    #[test]
    fn samples_come_at_multiples_of_the_interval_so_that_rules_can_follow_them() {
        let until = |ms: u64| until_next(UnixNano(ms * 1_000_000)).as_millis();
        assert_eq!([0, 1, 4_999, 5_000, 12_500].map(until), [5_000, 4_999, 1, 5_000, 2_500]);
    }

    #[test]
    fn a_counter_has_its_name_of_the_metrics_page_and_begins_at_zero_with_the_process() {
        let registry = Registry::default();
        let syncs = registry.counter(&desc::JOURNAL_FSYNCS, &[]);
        syncs.add(3);
        let families = [desc::JOURNAL_FSYNCS.name.to_owned()].into();
        let mut own = Own::new(families, "here".to_owned(), 3_100);
        let labels = [("job", "sidelight"), ("instance", "here"), ("service_name", "sidelight")];
        let sample =
            |t_ms, value| Sample::float("sidelight_journal_fsyncs_total", &labels, t_ms, value);
        assert_eq!(own.take(&registry, &[], 5_000).0, [sample(3_100, 0.0), sample(5_000, 3.0)]);
        syncs.add(1);
        assert_eq!(own.take(&registry, &[], 10_000).0, [sample(10_000, 4.0)]);
    }

    #[test]
    fn what_was_dropped_since_the_start_is_an_increase_and_what_was_before_is_none() {
        let lane = |dropped: &[(DropReason, u64)]| ReaderLedger {
            reader: "otlp_grpc/x:traces".to_owned(),
            exporter: "otlp_grpc/x".to_owned(),
            signal: Signal::Traces,
            accepted: Count::default(),
            delivered: Count::default(),
            queued: Count::default(),
            dropped_requests: 0,
            dropped: dropped.iter().copied().collect(),
        };
        let ledger = |lane| Ledger { accepted: PerSignal::default(), readers: vec![lane] };
        let before = dropped(&ledger(lane(&[(DropReason::QueueFull, 7)])));
        let now = lane(&[(DropReason::Permanent, 2), (DropReason::QueueFull, 10)]);
        let registry = Registry::default();
        let mut own = Own::new(BTreeSet::new(), "here".to_owned(), 0);
        let mut values = |lane: &ReaderLedger, before: &Dropped, t_ms| {
            let samples = own.take(&registry, &drops(lane, before), t_ms).0.into_iter();
            samples.map(|sample| (sample.t_ms, sample.value)).collect::<Vec<_>>()
        };
        let number = Value::Float;
        let permanent = [(2_500, number(0.0)), (5_000, number(2.0))];
        let full = [(2_500, number(7.0)), (5_000, number(10.0))];
        assert_eq!(values(&now, &before, 5_000), [permanent, full].concat());
        let before = dropped(&ledger(now));
        let later = lane(&[(DropReason::Permanent, 2), (DropReason::QueueFull, 11)]);
        assert_eq!(
            values(&later, &before, 10_000),
            [(10_000, number(2.0)), (10_000, number(11.0))]
        );
    }

    /// What is in the store, each once.
    fn sampled() -> BTreeSet<String> {
        let mut sampled = Own::new(rules::reads::of_builtin(), String::new(), 0).families;
        for shown in SHOWN {
            assert!(sampled.insert(shown.name.to_owned()), "{} is sampled twice", shown.name);
        }
        sampled
    }

    #[test]
    fn what_the_handbook_says_to_watch_is_where_it_says() {
        let handbook = include_str!("../../docs/operations.md");
        let rows = handbook.lines().skip_while(|line| !line.starts_with("| series |")).skip(2);
        let sampled = sampled();
        let mut seen = 0;
        for row in rows.take_while(|row| row.starts_with('|')) {
            let name = row.split('`').nth(1).unwrap();
            // The series of a rule is in the store.
            if name.contains(':') {
                continue;
            }
            let name = name.strip_suffix("_total").unwrap_or(name);
            assert!(desc::all().any(|desc| desc.name == name), "there is no {name}");
            assert_eq!(sampled.contains(name), !row.contains("on `/metrics` only"), "{name}");
            seen += 1;
        }
        assert!(seen > 6, "{seen}");
    }

    #[test]
    fn what_the_dashboard_of_the_agent_shows_is_in_the_store() {
        let dashboard = include_str!("../../deploy/grafana/dashboards/agent.json");
        let dashboard: serde_json::Value = serde_json::from_str(dashboard).unwrap();
        let panels = dashboard["panels"].as_array().unwrap().iter();
        let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
        let sampled = sampled();
        let mut own = 0;
        for target in targets {
            let expression = target["expr"].as_str().unwrap().replace("$__rate_interval", "5m");
            let expression = sidelight_promql::parse(&expression.replace("$__range", "1h"));
            let mut names = rules::reads::of(&expression.unwrap()).unwrap();
            names.retain(|name| !name.contains(':'));
            for name in names {
                let name = name.strip_suffix("_total").unwrap_or(&name);
                if desc::all().any(|desc| desc.name == name) {
                    assert!(sampled.contains(name), "{name} is on /metrics only");
                    own += 1;
                }
            }
        }
        assert!(own >= SHOWN.len(), "{own}");
    }

    #[test]
    fn every_metric_of_the_agent_that_the_group_sidelight_agent_reads_has_a_producer() {
        let families = Own::new(rules::reads::of_builtin(), String::new(), 0).families;
        let parts = [
            "store",
            "exporter",
            "journal",
            "ledger",
            "receiver",
            "config",
            "tls",
            "rule",
            "notifications",
        ];
        let own = |name: &&String| {
            parts.iter().any(|part| name.starts_with(&format!("sidelight_{part}_")))
        };
        let of_itself: Vec<&String> = families.iter().filter(own).collect();
        assert_eq!(of_itself.len(), 20, "{of_itself:?}");
        for name in of_itself {
            assert!(desc::all().any(|desc| desc.name == *name), "{name}");
        }
    }
}
