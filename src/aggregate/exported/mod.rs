//! Derived series for the destinations: `aggregate.export`.
//!
//! ```text
//! derived, domain ─▶ Tap ─▶ store
//!                     └──▶ Exported ── every interval of received time ─▶ queue ─▶ task ─▶ journal ─▶ lanes
//! ```
//! What derivation writes into the store passes [`Tap`], which keeps the newest value of each series of a wanted family. At
//! multiples of the interval all of them leave as cumulative OTLP: names and labels as they are stored, so that queries and
//! rules work unchanged where they arrive; `job` and `instance` are the resource. A count begins at its zero, and that time
//! is in the checkpoint: a restart is no reset. What ended leaves once more, without a value. Records on their way are
//! marked [`Flags::DERIVED`](crate::signal::Flags::DERIVED), so that nothing is derived of them. After a crash the
//! journal is read again and the same values are made again: what is older than two intervals is not sent a second time.
//! A series that had no room is looked for again when there is: who writes it hears that it is gone, and finds it.
//!
//! Limits: [`SERIES_MAX`] series, about 300 B each, and as many that had no room; [`BATCHES_MAX`] batches that wait. Both
//! count what they refuse.
//! Source: OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility"; opentelemetry-proto 1.9, metrics.

mod point;
mod task;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::time::Duration;

use sidelight_promql::Histogram;
use tokio::sync::mpsc;

use super::codec::{self, Read};
use super::metrics::sink::Sink;
use crate::store::{Classic, Exemplar, Kind, Metadata, Rank, Refused, Stream};
use crate::telemetry::{Counter, Registry, desc};

pub(super) use point::Origin;
use point::{Point, Value};
pub(super) use task::{Batch, batches};
pub use task::{Batches, run};

/// The most series that are exported.
pub const SERIES_MAX: usize = 10_000;
/// Batches that wait for the journal.
pub const BATCHES_MAX: usize = 2;
/// After a restart a series that comes back within this long goes on where it was.
const RETURN_MS: i64 = 180_000;

/// `aggregate.export` in the configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whether derived series are sent to the exporters that take metrics (`enabled`). Default false.
    pub enabled: bool,
    /// Which of [`NAMES`]; all when empty (`families`).
    pub families: Vec<String>,
    /// How often (`interval`). Default 1 min.
    pub interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { enabled: false, families: Vec::new(), interval: Duration::from_secs(60) }
    }
}

/// The families of derived series, and how the names of their series begin.
pub const FAMILIES: [(&str, &[&str]); 13] = [
    ("spanmetrics", &["traces_spanmetrics_"]),
    ("service_graph", &["traces_service_graph_"]),
    ("operation", &["sidelight_operation_", "sidelight_route_"]),
    ("http", &["http_server_"]),
    ("http_rate_limited", &["sidelight_http_rate_limited"]),
    ("cache", &["sidelight_cache_"]),
    ("queue", &["sidelight_queue_"]),
    ("retry", &["sidelight_retry_"]),
    ("feature", &["sidelight_feature_"]),
    ("intent", &["sidelight_intent_"]),
    ("gen_ai", &["sidelight_gen_ai_"]),
    ("log", &["sidelight_log_"]),
    ("resource", &["sidelight_resource_"]),
];

/// The names of [`FAMILIES`].
#[expect(clippy::indexing_slicing, reason = "evaluated when it is compiled")]
pub const NAMES: [&str; FAMILIES.len()] = {
    let mut names = [""; FAMILIES.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = FAMILIES[at].0;
        at += 1;
    }
    names
};

/// The family of a series by its name.
fn family(name: &str) -> Option<&'static str> {
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    FAMILIES.iter().find(|(_, prefixes)| begins(prefixes)).map(|(family, _)| *family)
}

/// The newest values of derived series.
#[derive(Debug)]
pub(super) struct Exported<Id> {
    config: Config,
    /// `job` and `instance` of what has none.
    own: Origin,
    interval_ms: i64,
    points: HashMap<Id, Point>,
    /// Series that are wanted and had no room.
    left_out: HashSet<Id>,
    described: BTreeMap<String, Metadata>,
    /// When counts began, by fingerprint, as the last checkpoint or a number that is no more has it; until they come back.
    starts: HashMap<u64, i64>,
    /// Until when they may.
    return_ms: i64,
    /// The last multiple of the interval at which everything left.
    at_ms: i64,
    batches: mpsc::Sender<Batch>,
    refused: Counter,
    dropped: Counter,
}

impl<Id: Copy + Eq + Hash> Exported<Id> {
    /// One that has seen nothing; `own` is what tells this agent from others.
    pub(super) fn new(
        config: Config,
        own: Origin,
        batches: mpsc::Sender<Batch>,
        registry: &Registry,
    ) -> Self {
        let interval_ms = i64::try_from(config.interval.as_millis()).unwrap_or(i64::MAX).max(1);
        Self {
            config,
            own,
            interval_ms,
            points: HashMap::new(),
            left_out: HashSet::new(),
            described: BTreeMap::new(),
            starts: HashMap::new(),
            return_ms: 0,
            at_ms: 0,
            batches,
            refused: registry.counter(&desc::AGGREGATE_EXPORT_REFUSED_SERIES, &[]),
            dropped: registry.counter(&desc::AGGREGATE_EXPORT_DROPPED_POINTS, &["queue_full"]),
        }
    }

    fn wants(&self, name: &str) -> bool {
        let Some(family) = family(name) else { return false };
        let wanted = &self.config.families;
        wanted.is_empty() || wanted.iter().any(|wanted| wanted == family)
    }

    /// Notes a series that something is about to be written to.
    fn note(&mut self, id: Id, labels: &[(&str, &str)], kind: Kind, fingerprint: Option<u64>) {
        let name = labels.iter().find(|(name, _)| *name == point::NAME).map_or("", |label| label.1);
        if !self.wants(name) || self.points.contains_key(&id) {
            return;
        }
        if self.points.len() >= SERIES_MAX {
            if self.left_out.len() >= SERIES_MAX || self.left_out.insert(id) {
                self.refused.add(1);
            }
            return;
        }
        self.left_out.remove(&id);
        let start_ms = fingerprint.and_then(|fingerprint| self.starts.remove(&fingerprint));
        let point = Point::new(labels, kind, &self.own, fingerprint, start_ms);
        self.points.insert(id, point);
    }

    fn set(&mut self, id: Id, time_ms: i64, value: Value) {
        if let Some(point) = self.points.get_mut(&id) {
            point.set(time_ms, value);
        }
    }

    /// Whether there is room by now for a series that had none.
    fn has_room_again(&self, id: &Id) -> bool {
        self.points.len() < SERIES_MAX && self.left_out.contains(id)
    }

    /// The store let go of a series: if it is found again it has another number, and began when this one did.
    fn let_go(&mut self, id: &Id) {
        self.left_out.remove(id);
        let began = self.points.remove(id).as_ref().and_then(Point::began);
        self.starts.extend(began);
    }

    fn end(&mut self, id: Id, time_ms: i64) {
        self.left_out.remove(&id);
        self.set(id, time_ms, Value::Ended);
    }

    /// Hands everything to the task where a multiple of the interval has passed.
    pub(super) fn flush(&mut self, received_ms: i64) {
        let at_ms = received_ms.div_euclid(self.interval_ms) * self.interval_ms;
        if at_ms <= self.at_ms {
            return;
        }
        let before_ms = std::mem::replace(&mut self.at_ms, at_ms);
        if self.return_ms == 0 {
            self.return_ms = at_ms + RETURN_MS;
        } else if at_ms > self.return_ms {
            self.starts.clear();
        }
        let mut due: Vec<&Point> =
            self.points.values().filter(|point| point.is_due(before_ms, at_ms)).collect();
        due.sort_unstable_by(|a, b| a.key().cmp(&b.key()));
        let requests = point::requests(&due, at_ms, &self.described);
        let points = due.len();
        self.points.retain(|_, point| !point.has_ended());
        if points > 0 && self.batches.try_send(Batch { at_ms, requests }).is_err() {
            self.dropped.add(points as u64);
        }
    }

    /// Begins anew, as one that has seen nothing: series have other numbers from here on.
    pub(super) fn forget(&mut self) {
        self.points.clear();
        self.left_out.clear();
        self.starts.clear();
        (self.return_ms, self.at_ms) = (0, 0);
    }

    /// When counts began, for the checkpoint.
    pub(super) fn encode(&self) -> Vec<u8> {
        let known = self.points.values().filter_map(Point::began);
        let awaited = self.starts.iter().map(|(fingerprint, start_ms)| (*fingerprint, *start_ms));
        let mut out = Vec::new();
        for (fingerprint, start_ms) in known.chain(awaited) {
            codec::put(&mut out, fingerprint);
            codec::put(&mut out, start_ms.unsigned_abs());
        }
        out
    }

    /// Takes up what [`Exported::encode`] wrote, up to what cannot be read.
    pub(super) fn restore(&mut self, bytes: &[u8]) {
        let mut read = Read(bytes);
        let mut next = || Some((read.number()?, read.number()?.cast_signed()));
        self.starts = std::iter::from_fn(&mut next).take(SERIES_MAX).collect();
    }
}

/// A sink that notes what goes through it.
pub(super) struct Tap<'a, S: Sink> {
    sink: &'a mut S,
    exported: Option<&'a mut Exported<S::Id>>,
}

impl<'a, S: Sink> Tap<'a, S> {
    pub(super) fn new(sink: &'a mut S, exported: Option<&'a mut Exported<S::Id>>) -> Self {
        Self { sink, exported }
    }

    /// Appends by `put`, and notes the value.
    fn put(
        &mut self,
        (id, time_ms): (S::Id, i64),
        put: impl FnOnce(&mut S) -> Result<(), Refused>,
        value: impl FnOnce() -> Value,
    ) -> Result<(), Refused> {
        let Some(exported) = &mut self.exported else { return put(self.sink) };
        if exported.has_room_again(&id) {
            return Err(Refused::Gone);
        }
        let outcome = put(self.sink);
        match outcome {
            Ok(()) => exported.set(id, time_ms, value()),
            Err(Refused::Gone) => exported.let_go(&id),
            Err(_) => {}
        }
        outcome
    }
}

impl<S: Sink> Sink for Tap<'_, S> {
    type Id = S::Id;

    fn set_now(&mut self, received_ms: i64) {
        self.sink.set_now(received_ms);
    }

    fn series(&mut self, of: Rank, labels: &[(&str, &str)], kind: Kind) -> Option<S::Id> {
        let id = self.sink.series(of, labels, kind)?;
        if let Some(exported) = &mut self.exported {
            exported.note(id, labels, kind, self.sink.fingerprint(id));
        }
        Some(id)
    }

    fn fingerprint(&self, id: S::Id) -> Option<u64> {
        self.sink.fingerprint(id)
    }

    fn by_fingerprint(&self, fingerprint: u64) -> Option<S::Id> {
        self.sink.by_fingerprint(fingerprint)
    }

    fn append(&mut self, id: S::Id, time_ms: i64, value: f64) -> Result<(), Refused> {
        let append = |sink: &mut S| sink.append(id, time_ms, value);
        self.put((id, time_ms), append, || Value::Number(value))
    }

    fn append_native(&mut self, id: S::Id, time_ms: i64, value: &Histogram) -> Result<(), Refused> {
        self.sink.append_native(id, time_ms, value)
    }

    fn append_classic(
        &mut self,
        id: S::Id,
        time_ms: i64,
        value: &Classic<'_>,
    ) -> Result<(), Refused> {
        let append = |sink: &mut S| sink.append_classic(id, time_ms, value);
        self.put((id, time_ms), append, || Value::of(value))
    }

    fn stale(&mut self, id: S::Id, time_ms: i64) {
        self.sink.stale(id, time_ms);
        if let Some(exported) = &mut self.exported {
            exported.end(id, time_ms);
        }
    }

    fn stream(&mut self, id: S::Id) -> &mut Stream {
        self.sink.stream(id)
    }

    fn describe(&mut self, family: &str, metadata: Metadata) {
        if let Some(exported) = self.exported.as_mut().filter(|exported| exported.wants(family)) {
            exported.described.insert(family.to_owned(), metadata.clone());
        }
        self.sink.describe(family, metadata);
    }

    fn exemplar(&mut self, id: S::Id, exemplar: Exemplar) {
        self.sink.exemplar(id, exemplar);
    }
}
