//! The table of span metrics: calls, latency and size per series, bounded. Pure: bytes and times in.
//!
//! ```text
//! request ─▶ resource ─▶ span ─▶ row: calls, latency, size ─▶ its view: operations, HTTP ([`views`])
//!                            ├─▶ exemplars of the row
//!                            └─▶ the service graph ([`super::graph`])
//! ```
//! A request is read where it lies; a span of a known series allocates nothing. Time is the time of receipt, so reading the
//! same records again gives the same table.
//!
//! Limits: `series_max` and `series_per_service_max`; a span past them counts in the overflow row.
//! Cost: about 120 ns per span; per series 400 B, its label values and at most 1,280 B of buckets, twice that for series
//! that are measured by operation.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use sidelight_wire::view::traces::ResourceSpans;

use super::config::Config;
use super::graph::Graph;
use super::key::{Key, Labels};
use super::measured::{Measured, Took};
use super::operation;
use super::resource::{Defaults, Dimensions, Resource, Resources};
use super::usual::Fields;
use super::walk::{Span, Visit, walk};
use super::weight;
use crate::time::UnixNano;

pub(super) mod exemplars;
mod state;
pub(super) mod views;

use exemplars::Exemplars;
use views::{Http, Operation, View, Views};

/// What rows have since is added to the sums over them this often.
pub(super) const ROLL_MS: i64 = 5_000;

/// What the table has seen, whatever became of series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Spans.
    pub spans: u64,
    /// Spans that end before they start: calls without a latency.
    pub odd_spans: u64,
    /// Spans in the overflow row because of `series_max`.
    pub overflow_series: u64,
    /// Spans in the overflow row because of `series_per_service_max`.
    pub overflow_service: u64,
    /// Series removed for want of spans.
    pub expired: u64,
}

/// Calls and latency by series.
#[derive(Debug)]
pub struct Table {
    config: Config,
    dimensions: Dimensions,
    hasher: DefaultHashBuilder,
    resources: Resources,
    /// Slots of `rows` by the hash of their labels.
    index: HashTable<usize>,
    rows: Vec<Row>,
    /// Series per service.
    services: HashMap<Box<[u8]>, usize>,
    views: Views,
    graph: Graph,
    overflow: Counted,
    totals: Totals,
    started: UnixNano,
    /// What series that begin from now on have as their beginning: the table's, or the last time
    /// that series were removed, so that a series that returns begins after it ended.
    created: UnixNano,
    /// The latest time of receipt.
    now: UnixNano,
    /// When expired series were looked for.
    expired: UnixNano,
    /// The number of the last row.
    last_row: u64,
    /// The dimensions of the span at hand.
    scratch: String,
}

/// What a series has of its spans.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    pub(super) measured: Measured,
    /// The bytes of the spans, each once.
    pub(super) size: u64,
    /// What is left of fractions of spans.
    carry: f64,
}

#[derive(Debug)]
pub(super) struct Row {
    /// Never used again.
    pub(super) id: u64,
    hash: u64,
    pub(super) labels: Arc<Labels>,
    pub(super) counted: Counted,
    view: Option<Box<View>>,
    exemplars: Option<Exemplars>,
    /// Whether its labels say that its spans failed.
    failed: bool,
    pub(super) created: UnixNano,
    seen: UnixNano,
}

impl Counted {
    /// Counts a span as often as it stands for. How often, and its duration if that makes sense.
    #[inline(always)]
    fn count(&mut self, span: &Fields<'_>) -> (u64, Option<Took>) {
        let n = weight::whole(weight::of(span.trace_state), &mut self.carry);
        let took = span.end_unix_nano.checked_sub(span.start_unix_nano).map(Took::of);
        self.measured.add(n, took);
        self.size = self.size.saturating_add(span.size as u64);
        (n, took)
    }
}

/// Counts the spans of a request.
pub(super) struct Counting<'a> {
    table: &'a mut Table,
    /// The resource at hand; `None` where there is no room for it.
    of: Option<(Arc<Resource>, Defaults)>,
    /// Its node in the graph.
    node: Option<u32>,
    /// The dimensions of the span at hand.
    scratch: String,
}

impl<'r> Visit<'r> for Counting<'_> {
    fn begin(&mut self, resource: ResourceSpans<'r>) {
        let table = &mut *self.table;
        self.of = table.resources.of(resource.resource(), &table.config, &table.dimensions);
        let service = self.of.as_ref().map(|(known, _)| known.service());
        self.node = service.and_then(|service| table.graph.service(service));
    }

    fn spans(&mut self, spans: &[Span<'r>]) {
        if let Some(node) = self.node {
            spans.iter().for_each(|span| self.table.graph.observe(node, &span.fields));
        }
        let Some((resource, defaults)) = &self.of else {
            self.table.totals.overflow_series += spans.len() as u64;
            return spans.iter().for_each(|span| self.table.overflow(&span.fields));
        };
        let max = self.table.config.label_value_bytes_max;
        for Span { bytes, fields } in spans {
            self.table.dimensions.read(bytes, defaults, max, &mut self.scratch);
            self.table.observe_span(resource, fields, &self.scratch);
        }
    }

    fn finish(&mut self) {
        self.table.scratch = std::mem::take(&mut self.scratch);
    }
}

impl Table {
    /// An empty table that begins at `started`; at the first time of receipt if that is 0.
    #[must_use]
    pub fn new(config: Config, started: UnixNano) -> Self {
        Self {
            dimensions: Dimensions::new(&config.dimensions),
            hasher: DefaultHashBuilder::default(),
            resources: Resources::default(),
            index: HashTable::new(),
            rows: Vec::new(),
            services: HashMap::new(),
            views: Views::default(),
            graph: Graph::new(config.graph),
            overflow: Counted::default(),
            totals: Totals::default(),
            started,
            created: started,
            now: started,
            expired: started,
            last_row: 0,
            scratch: String::new(),
            config,
        }
    }

    /// Counts the spans of a traces request that was received at `received`. Bytes that are not
    /// such a request end it early.
    pub fn observe(&mut self, request: &[u8], received: UnixNano) {
        self.advance(received);
        walk(request, &mut self.counting());
    }

    /// Who counts the spans of a request.
    pub(super) fn counting(&mut self) -> Counting<'_> {
        let scratch = std::mem::take(&mut self.scratch);
        Counting { table: self, of: None, node: None, scratch }
    }

    /// Moves the clock, and adds up what is due.
    pub(super) fn advance(&mut self, received: UnixNano) {
        if received.sets_right(self.now) {
            return self.begin_anew(received);
        }
        if self.started.0 == 0 {
            (self.started, self.created, self.expired) = (received, received, received);
        }
        let step = |at: UnixNano| at.0 / (ROLL_MS.unsigned_abs() * 1_000_000);
        if step(received) > step(self.now) {
            self.roll();
        }
        self.now = self.now.max(received);
        self.graph.advance(received);
    }

    /// What it knows is of times that were none: forgets it.
    pub(super) fn begin_anew(&mut self, received: UnixNano) {
        *self = Self::new(self.config.clone(), UnixNano(0));
        self.advance(received);
    }

    /// Brings everything up to a sample before what was received at `received`.
    pub(super) fn settle(&mut self, received: UnixNano) {
        self.roll();
        self.graph.advance(received);
    }

    #[inline]
    fn observe_span(&mut self, resource: &Arc<Resource>, span: &Fields<'_>, dimensions: &str) {
        let key = Key::of(span, dimensions, self.config.label_value_bytes_max);
        let hash = key.hash(resource, &self.hasher);
        let rows = &self.rows;
        let is = |&slot: &usize| rows.get(slot).is_some_and(|row| row.labels.are(resource, &key));
        let slot = match self.index.find(hash, is) {
            Some(&slot) => Some(slot),
            None => self.insert(hash, resource, &key, span),
        };
        let now = self.now;
        let Some(row) = slot.and_then(|slot| self.rows.get_mut(slot)) else {
            return self.overflow(span);
        };
        self.totals.spans += 1;
        row.seen = now;
        let (n, took) = row.counted.count(span);
        if let Some(view) = &mut row.view {
            view.count(span, took, n);
        }
        match (took, &mut row.exemplars) {
            (Some(took), Some(exemplars)) => exemplars.note(span, took.nanos, row.failed, now),
            (None, _) => self.totals.odd_spans += 1,
            (Some(_), None) => {}
        }
    }

    #[cold]
    fn overflow(&mut self, span: &Fields<'_>) {
        self.totals.spans += 1;
        let (_, took) = self.overflow.count(span);
        self.totals.odd_spans += u64::from(took.is_none());
    }

    /// Makes a row, or counts which limit forbids it.
    #[cold]
    fn insert(
        &mut self,
        hash: u64,
        resource: &Arc<Resource>,
        key: &Key<'_>,
        span: &Fields<'_>,
    ) -> Option<usize> {
        if self.rows.len() >= self.config.series_max {
            self.totals.overflow_series += 1;
            return None;
        }
        let of_service = self.services.get(resource.service()).copied().unwrap_or(0);
        if of_service >= self.config.series_per_service_max {
            self.totals.overflow_service += 1;
            return None;
        }
        let labels = Labels::new(resource, key);
        let view = self.views.of(&labels, span, &self.config).map(Box::new);
        self.last_row += 1;
        let (created, seen) = (self.created, self.now);
        let row = Row {
            id: self.last_row,
            hash,
            failed: operation::failed(key.kind, key.status, key.http_status),
            labels: Arc::new(labels),
            counted: Counted::default(),
            view,
            exemplars: self.config.exemplars.then(Exemplars::default),
            created,
            seen,
        };
        Some(self.push(row))
    }

    fn push(&mut self, row: Row) -> usize {
        let service = row.labels.resource().service();
        match self.services.get_mut(service) {
            Some(count) => *count += 1,
            None => {
                self.services.insert(service.into(), 1);
            }
        }
        let (slot, hash) = (self.rows.len(), row.hash);
        self.rows.push(row);
        let rows = &self.rows;
        let rehash = |&slot: &usize| rows.get(slot).map_or(0, |row| row.hash);
        self.index.insert_unique(hash, slot, rehash);
        slot
    }

    /// Adds what rows have since the last time to the sums over them.
    pub(super) fn roll(&mut self) {
        for view in self.rows.iter_mut().filter_map(|row| row.view.as_mut()) {
            self.views.roll(view);
        }
    }

    /// Removes series without a span for `series_ttl`, by the times of receipt. Looks at most 16
    /// times within a `series_ttl`.
    pub fn expire(&mut self) {
        let (now, ttl) = (self.now, self.config.series_ttl);
        if ttl.is_zero() || now.since(self.expired) < ttl / 16 {
            return;
        }
        self.expired = now;
        let before = self.rows.len();
        self.graph.expire(ttl);
        if self.rows.iter().all(|row| now.since(row.seen) < ttl) {
            return;
        }
        self.roll();
        let services = &mut self.services;
        self.rows.retain(|row| {
            let keep = now.since(row.seen) < ttl;
            if !keep && let Some(count) = services.get_mut(row.labels.resource().service()) {
                *count -= 1;
            }
            keep
        });
        services.retain(|_, &mut count| count > 0);
        let rows = &self.rows;
        let rehash = |&slot: &usize| rows.get(slot).map_or(0, |row| row.hash);
        self.index.clear();
        for (slot, row) in rows.iter().enumerate() {
            self.index.insert_unique(row.hash, slot, rehash);
        }
        self.resources.retain(rows.iter().map(|row| row.labels.resource()));
        self.views.retain(rows.iter().filter_map(|row| row.view.as_deref()));
        self.totals.expired += (before - self.rows.len()) as u64;
        self.created = now;
    }

    /// Series in the table.
    #[must_use]
    pub fn series(&self) -> usize {
        self.rows.len()
    }

    /// What it has seen.
    #[must_use]
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    /// When it began.
    #[must_use]
    pub const fn started(&self) -> UnixNano {
        self.started
    }

    pub(super) fn excluded_routes(&self) -> &[String] {
        &self.config.routes_exclude
    }

    pub(super) const fn dimensions(&self) -> &Dimensions {
        &self.dimensions
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The most exemplars of a window.
    pub(super) const fn exemplars_max(&self) -> usize {
        self.config.exemplars_max
    }

    /// Calls `take` with at most `max` exemplars, one of each series before a second of any; none is kept any longer. Which
    /// series come first changes with the number of the `window`.
    pub(super) fn take_exemplars(
        &mut self,
        (window, max): (usize, usize),
        mut take: impl FnMut(u64, exemplars::Exemplar),
    ) {
        let begin = window.wrapping_mul(max).checked_rem(self.rows.len()).unwrap_or(0);
        let (before, after) = self.rows.split_at_mut(begin);
        let rows = after.iter_mut().chain(before);
        let mut left = max;
        let mut give = |id, exemplar| {
            if left > 0 {
                left -= 1;
                take(id, exemplar);
            }
        };
        let mut others = Vec::new();
        for row in rows {
            let Some(exemplars) = &mut row.exemplars else { continue };
            let mut all = exemplars.take();
            if let Some(best) = all.next() {
                give(row.id, best);
                others.extend(all.map(|exemplar| (row.id, exemplar)));
            }
        }
        others.into_iter().for_each(|(id, exemplar)| give(id, exemplar));
    }

    pub(super) const fn graph(&self) -> &Graph {
        &self.graph
    }

    pub(super) const fn overflow_row(&self) -> &Counted {
        &self.overflow
    }

    /// The operations as they were at the last roll.
    pub(super) const fn operations(&mut self) -> &mut BTreeMap<u64, Operation> {
        &mut self.views.operations
    }

    /// The requests by route, method and status as they were at the last roll.
    pub(super) const fn http(&mut self) -> &mut BTreeMap<u64, Http> {
        &mut self.views.http
    }

    /// Begins the window of the shortest and the longest anew.
    pub(super) fn begin_windows(&mut self) {
        self.views.operations.values_mut().for_each(|operation| operation.window = None);
    }

    /// The operations as they are.
    pub(super) fn operations_at_once(&self) -> Vec<Operation> {
        let mut operations = self.views.operations.clone();
        for view in self.rows.iter().filter_map(|row| row.view.as_ref()) {
            if let Some(operation) = operations.get_mut(&view.operation) {
                operation.add(view);
            }
        }
        operations.into_values().collect()
    }
}
