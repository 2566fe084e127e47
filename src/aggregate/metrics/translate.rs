//! Metric requests to samples: one pass over a request where it lies.
//!
//! ```text
//! resource ─▶ job, instance, promoted labels, target_info     (once per resource)
//!   scope ─▶ otel_scope_* labels when asked for                (once per scope)
//!     metric ─▶ name, type, help, unit                         (once per metric)
//!       point ─▶ series by its attributes' bytes ─▶ value, zero at a start, total of deltas ─▶ sample
//! ```
//! What is good is stored; every point that is not has a reason. The clock is the record's time of receipt, so reading
//! the same records again gives the same sink. Limits: [`Level`]s, [`KEY_BYTES_MAX`](super::keys::KEY_BYTES_MAX). Cost: about
//! 150 ns per point of a known series, no allocation.

use std::sync::Arc;

use sidelight_wire::view::metrics::{Metric, Request, ResourceMetrics, ScopeMetrics};
use sidelight_wire::view::{Attributes, Resource};

use super::cache::{Level, ROOT, Slot};
use super::drops::{Drops, Reason};
use super::exports::Exports;
use super::form::{Form, form_of, points_of, time_of};
use super::keys::{write_attributes, write_metric, write_scope};
use super::labels::{Invalid, LabelSet};
use super::sink::Sink;
use super::stream;
use super::target::{TARGET_INFO, Target};
use super::totals::Totals;
use super::{Config, names, reserved};
use crate::aggregate::bounds;
use crate::store::{Kind, Metadata, MetricKind, PutState, Rank, Refused, StoreError};
use crate::telemetry::{Counter, Registry, desc};
use crate::time::UnixNano;

mod points;

use points::Part;

/// How far before its first point a stream's start is written as a zero sample.
pub(super) const ZERO_BACK_MS_MAX: i64 = 60 * 60 * 1_000;
/// `target_info` is repeated at least this often within a request, half of PromQL's lookback.
const INFO_STEP_MS: i64 = 150_000;
/// … but no more often than this per request.
const INFO_STEPS_MAX: usize = 1_000;

#[derive(Debug)]
struct ResourceState<Id> {
    target: Arc<Target>,
    info: Option<Id>,
}

#[derive(Debug)]
struct ScopeState {
    /// That of the resource, unless scopes are labels.
    target: Arc<Target>,
    export: u64,
}

/// A metric's Prometheus name.
#[derive(Clone, Debug)]
struct MetricState {
    name: Result<String, Reason>,
    /// Of an exponential histogram that is stored by bucket as well.
    bounds: Option<&'static [f64]>,
}

/// Where in a request a point is, and what holds for all around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<'a> {
    place: usize,
    resource: ResourceMetrics<'a>,
    scope: ScopeMetrics<'a>,
    latest_ms: i64,
    resource_slot: Slot,
    scope_slot: Slot,
    pub(super) metric_slot: Slot,
    pub(super) export: u64,
}

/// From the first to the last sample of a resource in one request.
#[derive(Clone, Copy, Debug, Default)]
struct Span(Option<(i64, i64)>);

impl Span {
    fn add(&mut self, time_ms: i64) {
        let (first, last) = self.0.unwrap_or((time_ms, time_ms));
        self.0 = Some((first.min(time_ms), last.max(time_ms)));
    }
}

/// Translates metric requests. Keeps what was made for the same bytes before.
#[derive(Debug)]
pub struct Translator<Id> {
    config: Config,
    resources: Level<ResourceState<Id>>,
    scopes: Level<ScopeState>,
    metrics: Level<MetricState>,
    points: Level<Id>,
    pub(super) exports: Exports,
    pub(super) totals: Totals<Id>,
    pub(super) drops: Drops,
    pub(super) conflicts: Counter,
    pub(super) exemplars: Counter,
    stored: Counter,
    resets: Counter,
    key: Vec<u8>,
    scratch: points::Scratch,
    /// A point found no room in its level, or a series is gone.
    full: bool,
    /// Resources by their place in the request, and names of metrics, or with a dot at the end how they begin, whose new
    /// series were not zero at their start: others have counted what they count until now.
    pub(in crate::aggregate) begun: Vec<(usize, &'static str)>,
    pub(super) has_begun: bool,
    /// The series remembered of a point is gone: look for it by its labels.
    pub(super) renew: bool,
}

impl<Id: Copy + std::fmt::Debug + Eq + std::hash::Hash> Translator<Id> {
    /// One that has translated nothing.
    #[must_use]
    pub fn new(config: Config, registry: &Registry) -> Self {
        let points = config.series_max.saturating_mul(2);
        let bytes = config.memory.caches;
        Self {
            resources: Level::new(4_096, bytes / 8),
            scopes: Level::new(16_384, bytes / 8),
            metrics: Level::new(65_536, bytes / 8),
            points: Level::new(points, bytes / 8 * 5),
            exports: Exports::default(),
            totals: Totals::new(config.memory.totals),
            drops: Drops::new(registry),
            conflicts: registry.counter(&desc::STORE_CONFLICTING_POINTS, &[]),
            exemplars: registry.counter(&desc::STORE_EXEMPLARS, &[]),
            stored: registry.counter(&desc::STORE_POINTS, &[]),
            resets: registry.counter(&desc::STORE_CACHE_RESETS, &[]),
            key: Vec::new(),
            scratch: points::Scratch::default(),
            full: false,
            begun: Vec::new(),
            has_begun: false,
            renew: false,
            config,
        }
    }

    /// Translates a metrics request that was received at `received`. Bytes that are not such a request end it early.
    pub fn observe<S: Sink<Id = Id>>(&mut self, sink: &mut S, request: &[u8], received: UnixNano) {
        if std::mem::take(&mut self.full) {
            self.clear();
        }
        let received_ms = stream::millis(received.0);
        sink.set_now(received_ms);
        for (place, resource) in Request::new(request).resources().enumerate() {
            let (mut span, mut last) = (Span::default(), None);
            for scope in resource.scope_metrics() {
                let slots = self.enter(sink, resource, scope);
                last = None;
                let Some((resource_slot, scope_slot)) = slots else {
                    let points = scope.metrics().map(|metric| points_of(&metric)).sum();
                    self.drops.count(Reason::Attributes, points);
                    continue;
                };
                let export = self.scopes.get(scope_slot).map_or(0, |scope| scope.export);
                let mut at = At {
                    place,
                    resource,
                    scope,
                    latest_ms: received_ms.saturating_add(self.config.future_ms_max),
                    resource_slot,
                    scope_slot,
                    metric_slot: ROOT,
                    export,
                };
                for metric in scope.metrics() {
                    self.metric(sink, &mut at, &metric, &mut span);
                }
                last = Some(at.resource_slot);
            }
            if let Some(slot) = last {
                self.write_info(sink, slot, span);
            }
        }
    }

    fn clear(&mut self) {
        self.resets.add(1);
        self.resources.clear();
        self.scopes.clear();
        self.metrics.clear();
        self.points.clear();
    }

    /// The slots of a resource and a scope; `None` when their attributes are too long.
    fn enter<S: Sink<Id = Id>>(
        &mut self,
        sink: &mut S,
        resource: ResourceMetrics<'_>,
        scope: ScopeMetrics<'_>,
    ) -> Option<(Slot, Slot)> {
        let above = self.resource(sink, resource.resource())?;
        write_scope(&mut self.key, scope)?;
        let place = match self.scopes.find(above, 0, &self.key) {
            Ok(slot) => return Some((above, slot)),
            Err(place) => place,
        };
        // What is made of it is about as long as it is.
        if !self.scopes.has_room(self.key.len() * 2) {
            self.clear();
            return self.enter(sink, resource, scope);
        }
        let target = &self.resources.get(above)?.target;
        let target = if self.config.scope_labels {
            let (scope, schema) = (scope.scope(), scope.schema_url());
            Arc::new(target.with_scope(scope, schema, self.config.label_value_bytes_max))
        } else {
            Arc::clone(target)
        };
        let export = Exports::key(resource.resource(), &self.key);
        let state = ScopeState { target, export };
        Some((above, self.scopes.insert(place, (above, 0, &self.key), state)))
    }

    fn resource<S: Sink<Id = Id>>(&mut self, sink: &mut S, resource: Resource<'_>) -> Option<Slot> {
        write_attributes(&mut self.key, resource.attributes())?;
        let place = match self.resources.find(ROOT, 0, &self.key) {
            Ok(slot) => return Some(slot),
            Err(place) => place,
        };
        if !self.resources.has_room(self.key.len() * 2) {
            self.clear();
        }
        let cut = self.config.label_value_bytes_max;
        let target = Target::of(resource, &self.config.promote, cut);
        let info = target.info(resource, cut).and_then(|mut labels| {
            let help = "Target metadata".to_owned();
            let metadata = Metadata { kind: MetricKind::Info, help, unit: String::new() };
            sink.describe(TARGET_INFO, metadata);
            labels.set("__name__", TARGET_INFO);
            sink.series(Rank::Received, &labels.as_sorted(), Kind::Float)
        });
        let state = ResourceState { target: Arc::new(target), info };
        Some(self.resources.insert(place, (ROOT, 0, &self.key), state))
    }

    /// Writes `target_info` where the request's samples of the resource are.
    fn write_info<S: Sink<Id = Id>>(&mut self, sink: &mut S, resource: Slot, span: Span) {
        let Some((first, last)) = span.0 else { return };
        let Some(id) = self.resources.get(resource).and_then(|state| state.info) else { return };
        // What is at or before its last sample is refused, and was said.
        let steps = (first..last).step_by(INFO_STEP_MS.unsigned_abs() as usize);
        for time_ms in steps.take(INFO_STEPS_MAX).chain([last]) {
            if sink.append(id, time_ms, 1.0) == Err(Refused::Gone) {
                self.full = true;
            }
        }
    }

    fn metric<S: Sink<Id = Id>>(
        &mut self,
        sink: &mut S,
        at: &mut At<'_>,
        metric: &Metric<'_>,
        span: &mut Span,
    ) {
        let (points, form) = match form_of(metric) {
            Ok(found) => found,
            Err(reason) => return self.drops.count(reason, points_of(metric)),
        };
        at.metric_slot = match self.metric_slot(sink, at, metric, form) {
            Ok(slot) => slot,
            Err(reason) => return self.drops.count(reason, points_of(metric)),
        };
        let is = |begun: &str| {
            metric.name == *begun
                || begun.ends_with('.') && metric.name.as_bytes().starts_with(begun.as_bytes())
        };
        self.has_begun = self.begun.iter().any(|(of, name)| *of == at.place && is(name));
        // A time that no sample may have would keep every later export from being known.
        let latest = u64::try_from(at.latest_ms).unwrap_or(0).saturating_mul(1_000_000);
        if let Some(time) = time_of(points, form).filter(|time| *time <= latest) {
            self.exports.note(at.export, time);
        }
        let mut stored = 0;
        let mut note =
            |this: &mut Self, store: &mut dyn FnMut(&mut Self) -> Result<i64, Reason>| {
                let outcome = this.renewing(store);
                match outcome {
                    Ok(time_ms) => {
                        stored += 1;
                        span.add(time_ms);
                    }
                    Err(reason) => this.drops.count(reason, 1),
                }
            };
        match form {
            Form::Gauge | Form::Sum { .. } => {
                for point in points.numbers() {
                    note(self, &mut |this| this.number(sink, at, form, &point));
                }
            }
            Form::Histogram { delta } => {
                for point in points.histograms() {
                    note(self, &mut |this| this.histogram(sink, at, delta, &point));
                }
            }
            Form::Exponential { delta } => {
                for point in points.exponential_histograms() {
                    note(self, &mut |this| this.exponential(sink, at, delta, &point));
                }
            }
            Form::Summary => {
                for point in points.summaries() {
                    note(self, &mut |this| this.summary(sink, at, &point));
                }
            }
        }
        self.stored.add(stored);
    }

    /// The slot of a metric; `None` when it cannot be named.
    fn metric_slot<S: Sink<Id = Id>>(
        &mut self,
        sink: &mut S,
        at: &mut At<'_>,
        metric: &Metric<'_>,
        form: Form,
    ) -> Result<Slot, Reason> {
        write_metric(&mut self.key, metric);
        let part = form.number();
        let mut place = match self.metrics.find(at.scope_slot, part, &self.key) {
            Ok(slot) => return self.named(slot),
            Err(place) => place,
        };
        if !self.metrics.has_room(self.key.len()) {
            let key = std::mem::take(&mut self.key);
            self.clear();
            let entered = self.enter(sink, at.resource, at.scope);
            (at.resource_slot, at.scope_slot) = entered.ok_or(Reason::Gone)?;
            self.key = key;
            place = self.metrics.find(at.scope_slot, part, &self.key).err().ok_or(Reason::Gone)?;
        }
        self.insert_metric(sink, at, metric, form, place)
    }

    fn insert_metric<S: Sink<Id = Id>>(
        &mut self,
        sink: &mut S,
        at: &At<'_>,
        metric: &Metric<'_>,
        form: Form,
        place: super::cache::Place,
    ) -> Result<Slot, Reason> {
        let unit = metric.unit.to_string_lossy();
        let name = names::metric_name(&metric.name.to_string_lossy(), &unit, form.named_as());
        let name = reserved::allowed(name);
        if let Ok(name) = &name {
            let help = metric.description.to_string_lossy().into_owned();
            let (kind, unit) = (form.shown_as(), names::unit_name(&unit));
            sink.describe(name, Metadata { kind, help, unit });
        }
        let key = (at.scope_slot, form.number(), &self.key[..]);
        let bounds = match form {
            Form::Exponential { .. } => bounds::of_exponential(&metric.name.to_string_lossy()),
            _ => None,
        };
        let slot = self.metrics.insert(place, key, MetricState { name, bounds });
        self.named(slot)
    }

    fn named(&self, slot: Slot) -> Result<Slot, Reason> {
        let name = self.metrics.get(slot).map(|metric| &metric.name);
        if let Some(Err(reason)) = name { Err(*reason) } else { Ok(slot) }
    }

    /// The bounds by which an exponential histogram is stored as well.
    pub(super) fn bounds(&self, at: &At<'_>) -> Option<&'static [f64]> {
        self.metrics.get(at.metric_slot)?.bounds
    }

    /// The series of a point. `suffix` and `extra` are what a summary's parts have beside the point's labels; `part`
    /// is their number.
    #[inline]
    fn series<S: Sink<Id = Id>>(
        &mut self,
        sink: &mut S,
        at: &At<'_>,
        attributes: Attributes<'_>,
        part: &Part<'_>,
    ) -> Result<Id, Reason> {
        write_attributes(&mut self.key, attributes.clone()).ok_or(Reason::Attributes)?;
        let place = match self.points.find(at.metric_slot, part.number, &self.key) {
            Ok(slot) => match self.points.get(slot) {
                Some(&id) if !self.renew => return Ok(id),
                _ => Err(slot),
            },
            Err(place) => Ok(place),
        };
        self.find_series(sink, at, attributes, part, place)
    }

    /// Finds or makes a series by its labels.
    #[cold]
    fn find_series<S: Sink<Id = Id>>(
        &mut self,
        sink: &mut S,
        at: &At<'_>,
        attributes: Attributes<'_>,
        part: &Part<'_>,
        place: Result<super::cache::Place, Slot>,
    ) -> Result<Id, Reason> {
        let mut labels = self.labels(at, attributes)?;
        let name = match self.metrics.get(at.metric_slot) {
            Some(MetricState { name: Ok(name), .. }) => name,
            _ => return Err(Reason::MetricName),
        };
        labels.set("__name__", format!("{name}{}", part.suffix));
        if let Some((name, value)) = &part.extra {
            labels.set(*name, value.as_str());
        }
        let Some(id) = sink.series(Rank::Received, &labels.as_sorted(), part.kind) else {
            self.exports.refuse(at.export);
            return Err(Reason::Overflow);
        };
        match place {
            Err(slot) => {
                if let Some(known) = self.points.get_mut(slot) {
                    *known = id;
                }
            }
            Ok(place) if self.points.has_room(self.key.len()) => {
                self.points.insert(place, (at.metric_slot, part.number, &self.key), id);
            }
            Ok(_) => self.full = true,
        }
        Ok(id)
    }

    fn labels(&self, at: &At<'_>, attributes: Attributes<'_>) -> Result<LabelSet, Reason> {
        let Some(scope) = self.scopes.get(at.scope_slot) else { return Err(Reason::Attributes) };
        scope.target.labels(attributes, self.config.label_value_bytes_max).map_err(|invalid| {
            match invalid {
                Invalid::Name => Reason::LabelName,
                Invalid::TooMany => Reason::Attributes,
            }
        })
    }

    /// Lets go of what belongs to series that left the store.
    pub fn forget<S: Sink<Id = Id>>(&mut self, sink: &mut S) {
        self.totals.retain(|id| sink.stream(id).last_unix_nano > 0);
    }

    /// What the same requests need to give the same samples, for the checkpoint, in pieces of at most 640 KiB.
    ///
    /// # Errors
    /// That of `put`.
    pub fn encode<S: Sink<Id = Id>>(&self, sink: &S, put: PutState<'_>) -> Result<(), StoreError> {
        let mut exports = Vec::new();
        self.exports.encode(&mut exports);
        put("metrics.exports", &exports)?;
        self.totals.encode(sink, &mut |piece| put("metrics.totals", piece))
    }

    /// Takes up what [`Translator::encode`] wrote; what cannot be read is begun anew.
    pub fn restore<S: Sink<Id = Id>>(
        &mut self,
        mut pieces: impl FnMut(&str) -> Vec<Vec<u8>>,
        sink: &mut S,
    ) {
        self.exports = Exports::decode(&pieces("metrics.exports").concat());
        for piece in pieces("metrics.totals") {
            self.totals.take_back(&piece, sink);
        }
    }

    /// How many entries each level has: resources, scopes, metrics, points.
    #[must_use]
    pub fn entries(&self) -> [usize; 4] {
        [self.resources.len(), self.scopes.len(), self.metrics.len(), self.points.len()]
    }
}

impl At<'_> {
    /// The time of a point in milliseconds. What is too far ahead is not looked at: it must not become the last point
    /// of its stream.
    #[inline]
    pub(super) fn time(&self, unix_nano: u64) -> Result<i64, Reason> {
        let time_ms = stream::millis(unix_nano);
        if unix_nano == 0 {
            Err(Reason::NoTime)
        } else if time_ms > self.latest_ms {
            Err(Reason::FarFuture)
        } else {
            Ok(time_ms)
        }
    }
}
