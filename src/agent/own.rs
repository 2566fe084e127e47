//! The self-metrics that the shipped rules read, and those that the shipped dashboards show, as local samples: what else
//! the agent says about itself is on `/metrics` only, where no query can ask for it.
//!
//! The former at every multiple of 5 s, just before those rules are evaluated, the latter every 15 s; the record that carries
//! them moves the clock of everything that is derived, also where nothing else arrives. A series that ends, of an exporter
//! that left the configuration, ends in the store, too. Limit: that of the registry for each family. Cost: some 100 bytes
//! per series in the journal.

use std::collections::BTreeSet;
use std::time::Duration;

use sidelight_promql::Labels;

use super::shown::View;
use crate::blocking;
use crate::export;
use crate::host;
use crate::rules;
use crate::signal::samples::Value;
use crate::signal::{Sample, Samples};
use crate::store::{ApplyError, Inbox};
use crate::telemetry::{Desc, Kind, Registry, desc, registry};
use crate::time::UnixNano;

const INTERVAL: Duration = Duration::from_secs(5);
/// Of so many intervals, one brings what dashboards show.
const SHOWN_EVERY: u32 = 3;
/// What the dashboards in deploy/grafana show besides what rules read.
const SHOWN: [&Desc; 24] = [
    &desc::TLS_CERTIFICATE_EXPIRY,
    &desc::JOURNAL_SECONDS_LEFT,
    &desc::RECEIVER_ACCEPTED_SPANS,
    &desc::RECEIVER_ACCEPTED_METRIC_POINTS,
    &desc::RECEIVER_ACCEPTED_LOG_RECORDS,
    &desc::RECEIVER_REFUSED_REQUESTS,
    &desc::RECEIVER_LIMIT_REFUSALS,
    &desc::JOURNAL_BYTES,
    &desc::JOURNAL_CAPACITY_BYTES,
    &desc::JOURNAL_FSYNCS,
    &desc::JOURNAL_FSYNC_MICROSECONDS,
    &desc::JOURNAL_REFUSED,
    &desc::JOURNAL_POISONED,
    &desc::JOURNAL_LOST_RECORDS,
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
    let mut read = Own::new(rules::reads::of_builtin(), host_name.clone());
    let mut shown = Own::new(SHOWN.iter().map(|desc| desc.name.to_owned()).collect(), host_name);
    let mut since_shown = SHOWN_EVERY;
    loop {
        tokio::time::sleep(until_next(view.clock.unix_nano())).await;
        let collected = collected(&view);
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
type Collected = (&'static Desc, Vec<String>, f64);

/// Of what the shipped rules read, what a collector writes: the registry does not hold it.
fn collected(view: &View) -> Vec<Collected> {
    let waiting = export::queues::oldest_seconds(&view.journal, &view.exporters).into_iter();
    let waiting = waiting.map(|(exporter, signal, age)| {
        let labels = vec![exporter, signal.name().to_owned()];
        (&desc::EXPORTER_OLDEST_UNDELIVERED_SECONDS, labels, age)
    });
    let entries = view.kept().and_then(|kept| kept.entries.as_ref());
    let entries = entries.into_iter().flat_map(|entries| entries.stats().families);
    let entries =
        entries.map(|of| (&desc::ENTRIES_UTILIZATION, vec![of.family.to_owned()], of.utilization));
    waiting.chain(entries).collect()
}

/// What is sampled, and what was last.
struct Own {
    families: BTreeSet<String>,
    instance: String,
    last: BTreeSet<Labels>,
}

impl Own {
    fn new(families: BTreeSet<String>, instance: String) -> Self {
        Self { families, instance, last: BTreeSet::new() }
    }

    fn take(&mut self, registry: &Registry, collected: &[Collected], t_ms: i64) -> Samples {
        let own = [("job", JOB), ("instance", &self.instance), ("service_name", JOB)];
        let labelled = |desc: &Desc, values: &[&str], value| {
            // Like everything else that is stored, without labels that say nothing.
            let labels = desc.labels.iter().copied().zip(values.iter().copied());
            let labels = labels.filter(|(_, value)| !value.is_empty());
            let labels: Vec<_> = own.into_iter().chain(labels).collect();
            let total = if desc.kind == Kind::Counter { "_total" } else { "" };
            Sample::float(&format!("{}{total}", desc.name), &labels, t_ms, value)
        };
        let mut samples: Vec<Sample> = collected
            .iter()
            .map(|(desc, values, value)| {
                let values: Vec<&str> = values.iter().map(String::as_str).collect();
                labelled(desc, &values, *value)
            })
            .collect();
        for (desc, series) in self.families.iter().filter_map(|name| registry.family(name)) {
            for (values, value) in series {
                let value = match value {
                    registry::Value::Level(value) => value,
                    #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
                    registry::Value::Count(count) => count as f64,
                };
                let values: Vec<&str> = values.iter().map(String::as_str).collect();
                samples.push(labelled(&desc, &values, value));
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

    #[test]
    fn what_the_shipped_rules_read_of_the_agent_is_sampled_and_ends_with_its_series() {
        let registry = Registry::default();
        registry.gauge(&desc::EXPORTER_HELD, &["otlp_grpc/x", "traces"]).set(1.0);
        registry.gauge(&desc::STORE_SERIES_LIMIT, &[]).set(7.0);
        registry.gauge(&desc::STORE_HEAD_BYTES, &[]).set(9.0);
        let mut own = Own::new(rules::reads::of_builtin(), "here".to_owned());
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
        let waiting = [(&desc::EXPORTER_OLDEST_UNDELIVERED_SECONDS, labels, 3.0)];
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
    fn a_counter_has_the_name_that_it_has_on_the_metrics_page() {
        let registry = Registry::default();
        registry.counter(&desc::JOURNAL_FSYNCS, &[]).add(3);
        let families = [desc::JOURNAL_FSYNCS.name.to_owned()].into();
        let samples = Own::new(families, "here".to_owned()).take(&registry, &[], 5).0;
        let labels = [("job", "sidelight"), ("instance", "here"), ("service_name", "sidelight")];
        assert_eq!(samples, [Sample::float("sidelight_journal_fsyncs_total", &labels, 5, 3.0)]);
    }

    #[test]
    fn what_the_handbook_says_to_watch_is_where_it_says() {
        let handbook = include_str!("../../docs/operations.md");
        let rows = handbook.lines().skip_while(|line| !line.starts_with("| series |")).skip(2);
        let mut sampled = rules::reads::of_builtin();
        sampled.extend(SHOWN.iter().map(|desc| desc.name.to_owned()));
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
        let mut sampled = rules::reads::of_builtin();
        sampled.extend(SHOWN.iter().map(|desc| desc.name.to_owned()));
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
        let made = |name: &str| desc::all().any(|desc| desc.name == name);
        let reads = rules::reads::of_builtin();
        let of_itself: Vec<&String> = reads
            .iter()
            .filter(|n| n.starts_with("sidelight_store_") || n.starts_with("sidelight_exporter_"))
            .collect();
        assert_eq!(of_itself.len(), 6, "{of_itself:?}");
        for name in of_itself {
            assert!(made(name), "{name}");
        }
    }
}
