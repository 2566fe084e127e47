//! Domain signals: what applications say in any convention, as one set of series under one set of names.
//!
//! ```text
//! spans, events ─▶ facts ─┐  (HTTP servers and operations: super::table, which asks here whether it may)
//! log records ────────────┼─▶ family, unless a better source has it ─▶ board ── every 5 s ──▶ store
//! metrics ─ other units ──┘                                          users ──┘
//! ```
//! [`families`] says what is understood and [`instruments`] what is made of it; docs/signals.md is written from both. What
//! is received under the right name and unit is stored by [`super::metrics`] and not touched here. The clock is the time of
//! receipt and all state but what waits for more is in the checkpoint, so the same records give the same samples. Limits are
//! said in each part.

mod board;
mod calls;
pub(super) mod facts;
pub mod families;
pub mod instruments;
mod logs;
pub mod page;
mod points;
mod queues;
mod resources;
mod retries;
pub mod siphash;
pub mod sketch;
mod spans;
mod traces;
mod users;

#[cfg(test)]
mod tests;

use sidelight_wire::view::Resource;

use super::codec::{self, Read};
use super::derived::Family as SpanFamily;
use super::metrics;
use super::metrics::sink::Sink;
use super::metrics::stream::millis;
use super::metrics::target::Target;
use super::walk::walk;
use crate::signal::{Flags, Record, Signal};
use crate::telemetry::{Counter, Registry, desc};
use crate::time::UnixNano;

use board::{Board, Place};
use calls::Calls;
use families::{Family, Source};
use instruments::Instrument;
use resources::{Claim, Found, Resources};
use retries::Retries;
use traces::Traces;
use users::Users;

const VERSION: u8 = 2;
/// How long a service that fell silent is remembered.
const SILENT_MS_MAX: i64 = 24 * 60 * 60 * 1_000;
/// The distance of estimates of users.
const ESTIMATES_MS: i64 = 15_000;

/// How signals are derived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How resources become labels, and where values are cut.
    pub metrics: metrics::Config,
    /// A series without news for so long ends; a source is another's to take then. Milliseconds.
    pub ttl_ms: i64,
    /// What users are hashed with; without it none are counted.
    pub user_key: Option<siphash::Key>,
    /// What is kept one by one.
    pub entries: super::entries::Config,
}

/// The derived series. See the module's documentation.
#[derive(Debug)]
pub struct Domain<Id> {
    ttl_ms: i64,
    resources: Resources,
    board: Board<Id>,
    traces: Traces,
    retries: Retries,
    calls: Calls,
    queues: queues::Queues,
    users: Users,
    now_ms: i64,
    /// When users were last estimated.
    estimated_ms: i64,
    /// Metrics that became the source with the last record, with the place of their resource in it.
    took: Vec<(usize, &'static str)>,
    suppressed: Vec<Counter>,
    refused: Counter,
    refused_counters: Counter,
    refused_queues: Counter,
    refused_users: Counter,
    refused_retries: Counter,
}

impl<Id: Copy + Eq> Domain<Id> {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(config: Config, registry: &Registry) -> Self {
        let Config { metrics, ttl_ms, user_key, .. } = config;
        let cut = metrics.label_value_bytes_max;
        let counter =
            |family: Family| registry.counter(&desc::AGGREGATE_SOURCE_SUPPRESSED, &[family.name()]);
        Self {
            ttl_ms,
            resources: Resources::new(metrics.promote, cut, ttl_ms),
            board: Board::new(ttl_ms, cut),
            traces: Traces::default(),
            retries: Retries::default(),
            calls: Calls::default(),
            queues: queues::Queues::default(),
            users: Users::new(user_key),
            now_ms: 0,
            estimated_ms: 0,
            took: Vec::new(),
            suppressed: Family::ALL.map(counter).into(),
            refused: registry.counter(&desc::AGGREGATE_REFUSED_RESOURCES, &[]),
            refused_counters: registry.counter(&desc::AGGREGATE_REFUSED_STATES, &["counters"]),
            refused_queues: registry.counter(&desc::AGGREGATE_REFUSED_STATES, &["queues"]),
            refused_users: registry.counter(&desc::AGGREGATE_REFUSED_STATES, &["users"]),
            refused_retries: registry.counter(&desc::AGGREGATE_REFUSED_STATES, &["retries"]),
        }
    }

    /// Samples what was counted before a record that was received then, where that is due.
    pub(super) fn begin<S: Sink<Id = Id>>(&mut self, sink: &mut S, received: UnixNano) {
        let received_ms = millis(received.0).max(self.now_ms);
        sink.set_now(received_ms);
        let settled = self.retries.settle(received_ms);
        self.count_attempts(settled);
        if self.board.is_due(received_ms) {
            self.sample(sink, received_ms);
        }
        self.now_ms = received_ms;
        self.board.set_now(received_ms);
        self.took.clear();
    }

    /// Samples what was counted before, where that is due, then counts what a record says.
    pub fn observe<S: Sink<Id = Id>>(&mut self, sink: &mut S, record: &Record, received: UnixNano) {
        self.begin(sink, received);
        match record.signal {
            // Logs that stay here carry sketches. What else stays was made here; the time passes all the same.
            Signal::Logs => self.logs(&record.payload, record.flags.contains(Flags::LOCAL)),
            _ if record.flags.contains(Flags::LOCAL) => {}
            Signal::Traces => walk(&record.payload, &mut self.counting()),
            Signal::Metrics => self.points(sink, &record.payload),
            Signal::Profiles => {}
        }
        self.note_refused();
    }

    fn note_refused(&mut self) {
        self.refused_counters.add(std::mem::take(&mut self.board.refused));
        self.refused_queues.add(std::mem::take(&mut self.queues.refused));
        self.refused_users.add(std::mem::take(&mut self.users.refused));
        self.refused_retries.add(std::mem::take(&mut self.retries.refused));
    }

    /// Names of metrics, or how they begin, that with the last record became the source of what spans were until then for the
    /// resource at this place in it: what they had counted before is in the series of these.
    #[must_use]
    pub fn took_over(&self) -> &[(usize, &'static str)] {
        &self.took
    }

    /// Whether spans are the source of a family for the resource with these labels.
    pub(super) fn admits(&mut self, family: SpanFamily, labels: &[(String, String)]) -> bool {
        let family = match family {
            SpanFamily::Operation => Family::Operation,
            SpanFamily::Http => Family::Http,
        };
        let times = (self.now_ms, self.ttl_ms);
        // One that was not seen, or has no room, has no other source.
        let of = self.resources.by_labels(labels);
        let claim = of.map_or(Claim::Held, |of| of.claim(family, Source::Spans, times));
        self.suppress(claim, family);
        claim != Claim::Lost
    }

    fn suppress(&self, claim: Claim, family: Family) {
        if claim == Claim::Lost
            && let Some(counter) = self.suppressed.get(family as usize)
        {
            counter.add(1);
        }
    }

    fn sample<S: Sink<Id = Id>>(&mut self, sink: &mut S, received_ms: i64) {
        let at_ms = board::grid(received_ms);
        self.board.set_now(at_ms);
        if self.ttl_ms > 0 {
            self.queues.forget_before(at_ms - self.ttl_ms);
        }
        self.resources.services.retain(|_, seen_ms| at_ms - *seen_ms < SILENT_MS_MAX);
        let nowhere = Target::default();
        let bare = Place { slot: metrics::cache::ROOT, target: &nowhere };
        for (service, seen_ms) in &self.resources.services {
            // A service that is silent is said to be so as long as anything arrives.
            self.board.set(Instrument::LastSeen, bare, &[service], *seen_ms as f64 / 1e3);
        }
        // Sketches are merged for this, so less often.
        if at_ms - self.estimated_ms >= ESTIMATES_MS {
            self.estimated_ms = at_ms;
            for of in self.users.estimates(at_ms) {
                let target = Target::of_service(&of.job, &of.service);
                for (window, users) in [("1h", of.hour), ("1d", of.day)] {
                    let values = [of.feature.as_str(), window];
                    self.board.set_rare(Instrument::FeatureUsers, &target, &values, users);
                }
            }
        }
        self.board.sample(sink, received_ms);
    }

    /// A resource of the record at hand.
    fn enter(&mut self, resource: Resource<'_>) -> Option<Found> {
        if self.resources.make_room() {
            self.flush();
            self.board.forget_slots();
        }
        let found = self.resources.find(resource, self.now_ms);
        if let Some(reused) = self.resources.take_reused() {
            self.queues.forget(reused);
            self.flush();
            self.board.forget_slots();
        }
        if found.is_none() {
            self.refused.add(1);
        }
        found
    }

    fn claim(&mut self, found: &Found, family: Family, source: Source) -> Claim {
        let times = (self.now_ms, self.ttl_ms);
        let of = self.resources.instance_mut(found);
        let claim = of.map_or(Claim::Lost, |of| of.claim(family, source, times));
        self.suppress(claim, family);
        claim
    }

    /// Counts what waits for more as if nothing came; whether anything waited.
    pub fn flush(&mut self) -> bool {
        let waiting = self.traces.flush();
        let open = self.retries.flush();
        let any = !waiting.is_empty() || !open.is_empty();
        self.count_lookups(waiting);
        self.count_attempts(open);
        any
    }

    /// What the same records need to give the same samples, for the checkpoint; not what waits for more, which would be in
    /// most checkpoints and is seldom missed: after a kill, of the seconds before the last of them.
    pub fn encode(&mut self) -> Vec<u8> {
        let mut out = vec![VERSION];
        codec::put(&mut out, self.now_ms.unsigned_abs());
        codec::put(&mut out, self.estimated_ms.unsigned_abs());
        self.resources.encode(&mut out);
        self.queues.encode(&mut out);
        self.users.encode(&mut out);
        self.board.encode(&mut out);
        out
    }

    /// Takes up what [`Domain::encode`] wrote: all of it, or nothing where a part cannot be read.
    pub fn restore(&mut self, bytes: &[u8]) {
        if self.decode(bytes).is_none() {
            (self.now_ms, self.estimated_ms) = (0, 0);
            self.resources.forget();
            self.queues = queues::Queues::default();
            self.users.forget();
            self.board.forget();
        }
    }

    fn decode(&mut self, bytes: &[u8]) -> Option<()> {
        let mut read = Read(bytes);
        if read.byte()? != VERSION {
            return None;
        }
        self.now_ms = read.number()?.cast_signed();
        self.estimated_ms = read.number()?.cast_signed();
        self.resources.restore(&mut read)?;
        self.queues.restore(&mut read)?;
        self.users.restore(&mut read)?;
        self.board.restore(&mut read)
    }
}
