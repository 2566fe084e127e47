//! What the admin endpoint shows of the running agent, put together from every part's own view.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;

use super::before::Before;
use super::local::Kept;
use super::reloads::Reloads;
use super::rule_files::RuleFiles;
use super::senders::Senders;
use super::{alerts, certificates, entries};
use crate::aggregate;
use crate::aggregate::entries::Entries;
use crate::alert::Alert;
use crate::alert::status::GroupStatus;
use crate::api;
use crate::api::{Control, Readiness, Sources};
use crate::export;
use crate::journal::{self, Journal};
use crate::memory::{Budget, InFlight, TOTAL_MIN};
use crate::notify;
use crate::receive;
use crate::rules;
use crate::rules::Rules;
use crate::signal::Signal;
use crate::store::Store;
use crate::telemetry::registry::Value;
use crate::telemetry::{Registry, desc};
use crate::time::Clock;
use crate::views::Definition;

/// An append that has been waiting for the disk for longer makes the agent unready.
const DISK_STALL: Duration = Duration::from_secs(10);

/// Room for less time than this is said while a destination takes nothing.
const ROOM_WORTH_SAYING: Duration = Duration::from_secs(30 * 60);

/// Handles on everything that is shown. Cloning shares them.
#[derive(Clone)]
pub(super) struct View {
    pub(super) journal: Journal,
    pub(super) exporters: export::Handle,
    /// Empty until the store is open, or is known not to be …
    pub(super) kept: Arc<OnceLock<Kept>>,
    /// … and why it is not yet.
    pub(super) waiting: Arc<Mutex<Option<String>>>,
    /// Why there is none where none is configured.
    pub(super) store_off: Option<&'static str>,
    pub(super) notifications: notify::Handle,
    /// Empty until they run, and where there is no store.
    pub(super) rules: Arc<OnceLock<Rules>>,
    /// The step of a subquery that names none, in milliseconds, as the configuration has it now.
    pub(super) subquery_step_ms: Arc<AtomicI64>,
    pub(super) in_flight: InFlight,
    pub(super) memory: Budget,
    pub(super) registry: Registry,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) endpoints: Vec<receive::Endpoint>,
    pub(super) stale: receive::Stale,
    pub(super) serving: Arc<AtomicBool>,
    pub(super) senders: Senders,
    pub(super) reload: Reloads,
    pub(super) rule_files: RuleFiles,
    pub(super) before: Arc<Before>,
}

impl View {
    /// Whether the agent serves: between its start and its drain.
    pub(super) fn set_serving(&self, serving: bool) {
        self.serving.store(serving, Ordering::Relaxed);
    }

    /// Takes over the step of a subquery that names none.
    pub(super) fn set_subquery_step(&self, rules: &rules::Config) {
        self.subquery_step_ms.store(rules.subquery_step_ms(), Ordering::Relaxed);
    }

    /// Whether a store is configured, also when it cannot be opened.
    pub(super) const fn with_store(&self) -> bool {
        self.store_off.is_none()
    }

    /// What there is beside forwarding, once that is settled.
    pub(super) fn kept(&self) -> Option<&Kept> {
        self.kept.get()
    }

    /// Settles it.
    pub(super) fn set_kept(&self, kept: Kept) {
        // Nobody else sets it.
        let _ = self.kept.set(kept);
    }

    /// Says why it is not settled yet.
    pub(super) fn set_waiting(&self, why: String) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    /// Why it is not settled yet.
    pub(super) fn waiting(&self) -> Option<String> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn store(&self) -> Option<Store> {
        self.kept()?.store.clone()
    }

    fn entries(&self) -> Option<Entries> {
        self.kept()?.entries.clone()
    }

    /// Why there is no store though one is configured.
    fn store_missing(&self) -> Option<String> {
        self.kept().map_or_else(|| self.waiting(), |kept| kept.missing.clone())
    }

    fn why_no_store(&self) -> String {
        self.store_missing().or(self.store_off.map(str::to_owned)).unwrap_or_default()
    }

    /// The table of span metrics, as a JSON document.
    fn spans(&self) -> String {
        match self.kept() {
            Some(kept) => kept.table.snapshot().to_json(),
            None => {
                let (config, now) = (aggregate::Config::default(), self.clock.unix_nano());
                aggregate::Table::new(config, now).snapshot().to_json()
            }
        }
    }

    /// The sources of every admin route.
    pub(super) fn sources(&self, control: mpsc::Sender<Control>) -> Sources {
        let view = self.clone();
        self.registry.collect(move |out| view.ledger().expose(out));
        Sources {
            registry: self.registry.clone(),
            store: self.source(Self::store),
            no_store: self.source(Self::why_no_store),
            subquery_step_ms: self.source(|view| view.subquery_step_ms.load(Ordering::Relaxed)),
            samples_max: self.memory.query_samples(),
            clock: Arc::clone(&self.clock),
            rules: self.source(Self::rule_groups),
            readiness: self.source(Self::readiness),
            ledger: self.source(Self::ledger),
            spans: self.source(Self::spans),
            definitions: definitions(),
            rejected: self.source(Self::rejected),
            journal: self.journal.clone(),
            status: self.source(Self::status),
            alerts: Arc::new(alerts::Shown {
                active: Some(self.source(Self::active_alerts)),
                notifications: self.notifications.clone(),
            }),
            entries: Arc::new(entries::Shown {
                entries: self.source(Self::entries),
                clock: Arc::clone(&self.clock),
            }),
            control,
        }
    }

    fn rule_groups(&self) -> Vec<GroupStatus> {
        let groups = self.rules.get().map(Rules::groups).unwrap_or_default();
        groups.iter().map(|group| rules::status(group)).collect()
    }

    fn active_alerts(&self) -> Vec<Alert> {
        let rules = self.rule_groups().into_iter().flat_map(|group| group.rules);
        rules.filter_map(|rule| rule.alerting).flat_map(|alerting| alerting.alerts).collect()
    }

    fn source<T: 'static>(
        &self,
        read: impl Fn(&Self) -> T + Send + Sync + 'static,
    ) -> api::Source<T> {
        let view = self.clone();
        Arc::new(move || read(&view))
    }

    /// Ready means that senders should send here. An unreachable destination is a reason to look,
    /// never to be unready: that would take down the application beside a sidecar.
    fn readiness(&self) -> Readiness {
        let status = self.journal.status();
        let blocking = blocking(&status, self.serving.load(Ordering::Relaxed));
        let ready = blocking.is_empty();
        let mut reasons = blocking.clone();
        let destinations = self.exporters.reasons();
        reasons.extend(room_left(&status, ready && !destinations.is_empty()));
        reasons.extend(destinations);
        reasons.extend(lost(status.lost_records));
        reasons.extend(missing(status.missing_records));
        reasons.extend(status.uncounted.as_deref().map(set_aside));
        reasons.extend(self.senders.look(&self.registry, self.clock.monotonic()));
        reasons.extend(self.reload.trouble());
        reasons.extend(self.rule_files.trouble());
        reasons.extend(near_ceiling(&self.memory, self.in_flight.limit()));
        reasons.extend(certificates::trouble(&self.registry, self.now_seconds()));
        reasons.extend(self.stale.reasons());
        reasons.extend(self.store_missing());
        reasons.extend(self.store().and_then(|store| store.trouble()));
        reasons.extend(self.kept().and_then(|kept| kept.table.trouble()));
        reasons.extend(self.notifications.trouble());
        let journal_seconds_left = status.time_left.map(|left| left.as_secs_f64());
        Readiness { ready, reasons, blocking, journal_seconds_left }
    }

    /// The time, in seconds since 1970.
    pub(super) fn now_seconds(&self) -> f64 {
        self.clock.unix_nano().as_seconds_f64()
    }

    fn ledger(&self) -> api::Ledger {
        let mut ledger = api::Ledger::of(&self.journal.ledger());
        ledger.lost_requests = self.journal.status().lost_records;
        for signal in Signal::ALL {
            ledger.flow(signal).refused = self.refused(signal);
        }
        ledger
    }

    /// Requests refused since the start, by reason.
    fn refused(&self, signal: Signal) -> std::collections::BTreeMap<String, u64> {
        let mut refused = std::collections::BTreeMap::new();
        let family = self.registry.family(desc::RECEIVER_REFUSED_REQUESTS.name);
        for (labels, value) in family.map(|(_, series)| series).unwrap_or_default() {
            if let ([_, of, reason], Value::Count(count)) = (labels.as_slice(), value)
                && of == signal.name()
            {
                *refused.entry(reason.clone()).or_default() += count;
            }
        }
        refused
    }

    fn rejected(&self) -> String {
        let kept = self.journal.rejected().into_iter().map(|file| file.document());
        let kept: Vec<_> = kept.collect();
        let lanes = self.exporters.refused();
        json!({ "schema_version": 1, "lanes": lanes, "kept": kept }).to_string()
    }

    fn status(&self) -> String {
        let journal = self.journal.status();
        let listeners: Vec<_> = self
            .endpoints
            .iter()
            .map(|e| json!({ "address": e.address, "tls": e.tls, "auth": e.auth }))
            .collect();
        let readers: Vec<_> = journal
            .readers
            .iter()
            .map(|reader| {
                json!({
                    "name": reader.config.name,
                    "durable": reader.config.durable,
                    "queued": { "requests": reader.queued.requests, "items": reader.queued.items },
                    "queued_bytes": reader.queued_bytes,
                    "watermark": reader.watermark,
                    "oldest_age_seconds": reader.oldest_age.map(|age| age.as_secs_f64()),
                    "since_progress_seconds": reader.since_progress.as_secs_f64(),
                })
            })
            .collect();
        json!({
            "schema_version": 1,
            "listeners": listeners,
            "memory": {
                "in_flight_bytes": self.in_flight.used(),
                "in_flight_limit_bytes": self.in_flight.limit(),
            },
            "journal": {
                "directory": journal.directory,
                "durability": journal.durability.name(),
                "next_seq": journal.next_seq,
                "size_bytes": journal.size,
                "max_size_bytes": journal.max_size,
                "segments": journal.segments,
                "full": journal.full,
                "seconds_left": journal.time_left.map(|left| left.as_secs_f64()),
                "poisoned_segments": journal.poisoned,
                "lost_records": journal.lost_records,
                "readers": readers,
            },
            "store": self.store().map(|store| {
                let stats = store.stats();
                json!({
                    "series": stats.series,
                    "chunks": stats.chunks,
                    "head_bytes": stats.head_bytes,
                    "samples": stats.samples,
                    "overflow_samples": stats.overflow_samples,
                    "file_bytes": stats.files.iter().map(|file| file.bytes).sum::<u64>(),
                })
            }),
            "exporters": self.exporters.lanes(),
        })
        .to_string()
    }

    /// Says what the next start will deliver.
    pub(super) fn log_undelivered(&self) {
        for reader in self.journal.status().readers {
            let journal::Count { requests, items } = reader.queued;
            // A local reader, which has no lane, reads again what it has not saved.
            if reader.config.durable && requests > 0 && reader.config.is_lane() {
                let lane = reader.config.name;
                tracing::warn!(lane, requests, items, "undelivered; kept in the journal");
            }
        }
    }
}

/// Why senders should not send here.
fn blocking(journal: &journal::Status, serving: bool) -> Vec<String> {
    let mut reasons = Vec::new();
    if !serving {
        reasons.push("the agent is starting or stopping".to_owned());
    }
    if journal.full {
        let (size, max) = (journal.size, journal.max_size);
        reasons.push(format!(
            "the journal is full ({size} of {max} bytes): a destination that takes nothing holds \
             it; raise journal.max_size, mend the destination, or set when_full: drop_oldest"
        ));
    }
    if let Some(failure) = &journal.failure {
        reasons.push(format!("{failure}; it goes on by itself"));
    }
    if let Some(waiting) = journal.waiting.filter(|waiting| *waiting > DISK_STALL) {
        reasons.push(format!("the disk has not taken a write for {} s", waiting.as_secs()));
    }
    reasons
}

/// That requests are refused for want of memory, where they are.
fn near_ceiling(memory: &Budget, limit: usize) -> Option<String> {
    // So little comes of a container's limit alone: nobody may configure it.
    let advice = if memory.total < TOTAL_MIN {
        "the program itself takes as much, so give it 64 MiB; of a container's limit it uses 75 %"
    } else {
        "raise limits.memory, or send less at once"
    };
    (limit < memory.in_flight).then(|| {
        format!(
            "near limits.memory ({} MiB): requests may hold {} KiB until there is room, others are refused and retried; {advice}",
            memory.total >> 20,
            limit >> 10
        )
    })
}

/// That acknowledged data is gone, where some is.
fn lost(records: u64) -> Option<String> {
    (records > 0).then(|| {
        format!(
            "{records} acknowledged requests in the journal cannot be read, and are lost: the disk returned something else \
             than was written (docs/operations.md)"
        )
    })
}

fn missing(requests: u64) -> Option<String> {
    (requests > 0).then(|| {
        format!(
            "{requests} acknowledged requests were in no file of the journal at the start, and not noted as delivered: files \
             were removed or cut short, or power failed while the disk was full (docs/operations.md)"
        )
    })
}

fn set_aside(file: &Path) -> String {
    format!(
        "{} was set aside at the start, its header damaged: what was acknowledged last may have been in it, and is lost \
         (docs/operations.md)",
        file.display()
    )
}

/// How long the journal takes more while a destination takes nothing, once that is worth saying; that it is full is said apart.
fn room_left(journal: &journal::Status, outage: bool) -> Option<String> {
    let outage = outage && !journal.full;
    let left = journal.time_left.filter(|left| outage && *left < ROOM_WORTH_SAYING)?;
    Some(format!(
        "the journal is full in {} s if this goes on: mend the destination, or raise journal.max_size",
        left.as_secs()
    ))
}

/// What the built-in rules record.
fn definitions() -> Arc<[Definition]> {
    let groups = rules::file::parse(rules::BUILTIN).map(|file| file.groups).unwrap_or_default();
    let all = groups.into_iter().flat_map(|group| group.rules);
    all.filter(|rule| matches!(rule.kind, rules::file::Kind::Recording))
        .map(|rule| Definition {
            record: rule.name.text,
            labels: rule.labels.into_iter().map(|pair| (pair.name, pair.value.text)).collect(),
            expr: rule.expr,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_ceiling_that_presses_is_said() {
        let memory = Budget::split(64 << 20);
        assert_eq!(near_ceiling(&memory, memory.in_flight), None);
        let said = near_ceiling(&memory, 2 << 20).unwrap();
        assert!(
            said.starts_with("near limits.memory (64 MiB): requests may hold 2048 KiB"),
            "{said}"
        );
        assert!(said.ends_with("; raise limits.memory, or send less at once"), "{said}");
        let said = near_ceiling(&Budget::split(24 << 20), 96 << 10).unwrap();
        assert!(said.contains("the program itself takes as much, so give it 64 MiB"), "{said}");
    }

    #[test]
    fn a_journal_that_is_full_or_makes_no_progress_makes_the_agent_unready() {
        let mut status = journal::Status {
            directory: None,
            durability: journal::Durability::Fsync,
            size: 10,
            max_size: 10,
            segments: 1,
            next_seq: 1,
            full: false,
            failure: None,
            time_left: None,
            poisoned: 0,
            lost_records: 0,
            missing_records: 0,
            uncounted: None,
            since_append: DISK_STALL * 2,
            waiting: Some(DISK_STALL),
            tail_size: 0,
            readers: Vec::new(),
        };
        assert!(blocking(&status, true).is_empty(), "an idle journal is well");
        assert_eq!(blocking(&status, false), ["the agent is starting or stopping"]);
        status.waiting = Some(DISK_STALL * 2);
        status.full = true;
        let reasons = blocking(&status, true);
        assert!(reasons[0].starts_with("the journal is full (10 of 10 bytes)"), "{reasons:?}");
        assert!(reasons[1].starts_with("the disk has not taken a write for "), "{reasons:?}");

        status.waiting = None;
        status.full = false;
        status.failure = Some("the journal cannot write to /j: full: make room".to_owned());
        let expected = "the journal cannot write to /j: full: make room; it goes on by itself";
        assert_eq!(blocking(&status, true), [expected]);
        status.time_left = Some(ROOM_WORTH_SAYING / 2);
        assert_eq!(room_left(&status, false), None, "what is delivered makes room");
        let said = room_left(&status, true).unwrap();
        assert!(said.starts_with("the journal is full in 900 s if this goes on"), "{said}");
        status.time_left = Some(ROOM_WORTH_SAYING * 2);
        assert_eq!(room_left(&status, true), None);
        (status.time_left, status.full) = (Some(Duration::ZERO), true);
        assert_eq!(room_left(&status, true), None, "it is said that it is full");
    }
}
