//! Metrics: which source they are of a family, and those that are stored under another name or unit.

use std::borrow::Cow;

use sidelight_wire::view::metrics::{
    Data, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, Points, Request,
};
use sidelight_wire::view::{Attributes, Value};

use super::Domain;
use super::board::{Before, Counter};
use super::families::{Family, How, Source, of_metric};
use super::instruments::{Holds, Instrument};
use super::resources::{Claim, Found};
use super::siphash;
use super::spans::place;
use crate::aggregate::metrics::classic::Buckets;
use crate::aggregate::metrics::exponential::Scratch;
use crate::aggregate::metrics::keys::write_attributes;
use crate::aggregate::metrics::sink::Sink;
use crate::aggregate::metrics::stream::millis;

const DELTA: i32 = 1;
/// Hashes of sources are no secret, and are the same after a restart.
const NO_KEY: siphash::Key = [0; 16];
/// How far back a histogram that was not there before is said to have been zero.
const ZERO_BACK_MS: i64 = 60 * 60 * 1_000;
/// Scopes whose `http.target` is always the route.
const ROUTED: [&str; 4] = [
    "opentelemetry.instrumentation.flask",
    "opentelemetry.instrumentation.fastapi",
    "opentelemetry.instrumentation.starlette",
    "opentelemetry.instrumentation.django",
];

/// What is known of series that were not there before.
#[derive(Clone, Copy, Debug)]
struct First {
    /// The export before, in milliseconds; 0 when there was none.
    before_ms: i64,
    /// Whether spans said the same until now.
    took: bool,
    /// The resource and the scope, hashed.
    from: u64,
}

/// A converted histogram of the older HTTP conventions.
#[derive(Clone, Copy, Debug)]
struct Conversion {
    to: Instrument,
    factor: f64,
}

fn conversion(name: &str) -> Option<Conversion> {
    let (to, factor) = match name {
        "http.server.duration" => (Instrument::HttpDuration, 0.001),
        "http.server.request.size" => (Instrument::HttpRequestSize, 1.0),
        "http.server.response.size" => (Instrument::HttpResponseSize, 1.0),
        _ => return None,
    };
    Some(Conversion { to, factor })
}

impl<Id: Copy + Eq> Domain<Id> {
    /// Notes what the metrics of a request are the source of, and converts what is not stored as it is.
    pub(super) fn points<S: Sink<Id = Id>>(&mut self, sink: &mut S, request: &[u8]) {
        for (place, resource) in Request::new(request).resources().enumerate() {
            let Some(found) = self.enter(resource.resource()) else { continue };
            let before = self
                .resources
                .instance_mut(&found)
                .map_or(0, |of| std::mem::replace(&mut of.exported_ms, self.now_ms));
            let mut key = Vec::new();
            // One that is too long was refused above.
            let _ = write_attributes(&mut key, resource.resource().attributes());
            let resource_bytes = key.len();
            for scope in resource.scope_metrics() {
                key.truncate(resource_bytes);
                key.extend_from_slice(scope.scope().name().as_bytes());
                let from = siphash::hash(&NO_KEY, &key);
                let routed = ROUTED.iter().any(|name| scope.scope().name() == *name);
                for metric in scope.metrics() {
                    let taken = self.took.len();
                    self.metric(sink, &found, &metric, (routed, before, from));
                    self.took.iter_mut().skip(taken).for_each(|took| took.0 = place);
                }
            }
        }
    }

    fn metric<S: Sink<Id = Id>>(
        &mut self,
        sink: &mut S,
        found: &Found,
        metric: &Metric<'_>,
        (routed, before_ms, from): (bool, i64, u64),
    ) {
        let name = metric.name.to_string_lossy();
        for spelling in of_metric(&name) {
            // What cannot be understood says nothing, and spans may.
            let of_http = spelling.source != Source::Sidelight
                && matches!(spelling.family, Family::Http | Family::RateLimited);
            if of_http && !is_histogram(&metric.data) {
                continue;
            }
            let claim = self.claim(found, spelling.family, spelling.source);
            if claim == Claim::Took && spelling.how != How::Derived {
                let series = shown_of(spelling.family);
                self.board.drop_of(sink, series, &found.target);
                self.took.push((0, spelling.name));
            }
            if claim == Claim::Lost {
                continue;
            }
            let first = First { before_ms, took: claim == Claim::Took, from };
            match (spelling.family, metric.data) {
                (Family::Http, data) => {
                    if let Some(conversion) = conversion(&name) {
                        self.convert(found, data, conversion, (routed, first));
                    }
                }
                (Family::RateLimited, data) if of_http => {
                    self.limited(found, data, (routed, first));
                }
                (Family::Queue, Data::Gauge(points) | Data::Sum(points)) => {
                    self.queue(found, &name, points);
                }
                _ => {}
            }
        }
    }

    fn convert(
        &mut self,
        found: &Found,
        data: Data<'_>,
        Conversion { to, factor }: Conversion,
        (routed, first): (bool, First),
    ) {
        let (explicit, exponential) = split(data);
        let delta = explicit.or(exponential).is_some_and(|points| points.temporality() == DELTA);
        let put = |domain: &mut Self, attributes: Attributes<'_>, start, buckets: &Buckets| {
            let said = Http::of(attributes.clone(), routed);
            let status = said.status.map(|status| status.to_string()).unwrap_or_default();
            let values = [&*said.route, &*said.method, &*status];
            let counter = (!delta).then(|| domain.counter(attributes, start, first));
            domain.board.put(to, place(found), &values, (buckets, factor, counter));
        };
        let mut buckets = Buckets::default();
        for point in explicit.into_iter().flat_map(Points::histograms) {
            if !point.is_stale() && buckets.read(&point).is_ok() {
                put(self, point.attributes(), point.start_time_unix_nano, &buckets);
            }
        }
        let Holds::Buckets(bounds) = to.spec().holds else { return };
        let mut scratch = Scratch::default();
        for point in exponential.into_iter().flat_map(Points::exponential_histograms) {
            if let (false, Ok(histogram)) = (point.is_stale(), scratch.read(&point)) {
                buckets.put(&histogram, bounds.iter().map(|bound| bound / factor));
                put(self, point.attributes(), point.start_time_unix_nano, &buckets);
            }
        }
    }

    /// Counts the points of requests that were refused for want of patience.
    fn limited(&mut self, found: &Found, data: Data<'_>, (routed, first): (bool, First)) {
        let (explicit, exponential) = split(data);
        let delta = explicit.or(exponential).is_some_and(|points| points.temporality() == DELTA);
        let count = |domain: &mut Self, attributes: Attributes<'_>, start, count: u64| {
            let said = Http::of(attributes.clone(), routed);
            if said.status != Some(429) {
                return;
            }
            let (at, values, count) = (place(found), [&*said.route], count as f64);
            if delta {
                domain.board.add(Instrument::RateLimited, at, &values, count);
            } else {
                let from = domain.counter(attributes, start, first);
                domain.board.set_count(Instrument::RateLimited, at, &values, (count, from));
            }
        };
        let live = |point: &HistogramDataPoint<'_>| !point.is_stale();
        for point in explicit.into_iter().flat_map(Points::histograms).filter(live) {
            count(self, point.attributes(), point.start_time_unix_nano, point.count);
        }
        let live = |point: &ExponentialHistogramDataPoint<'_>| !point.is_stale();
        let points = exponential.into_iter().flat_map(Points::exponential_histograms);
        for point in points.filter(live) {
            count(self, point.attributes(), point.start_time_unix_nano, point.count);
        }
    }

    /// What a cumulative point is counted by. Its series may be of several, which differ in what is no label.
    fn counter(&self, attributes: Attributes<'_>, start_unix_nano: u64, first: First) -> Counter {
        let mut key = Vec::new();
        // Attributes that are too long are cut alike each time.
        let _ = write_attributes(&mut key, attributes);
        key.extend_from_slice(&first.from.to_le_bytes());
        key.extend_from_slice(&start_unix_nano.to_le_bytes());
        Counter {
            id: siphash::hash(&NO_KEY, &key),
            start_ms: millis(start_unix_nano),
            before: self.before(start_unix_nano, first),
        }
    }

    /// What there was before a series that is new: nothing at its start, or at the export before, which did not have it.
    fn before(&self, start_unix_nano: u64, First { before_ms, took, .. }: First) -> Before {
        if took {
            return Before::Another;
        }
        let start = millis(start_unix_nano).max(before_ms);
        let known = start_unix_nano > 0 && self.now_ms - start <= ZERO_BACK_MS;
        Before::Zero(known.then_some(start))
    }

    /// Follows how full a queue is.
    fn queue(&mut self, found: &Found, name: &str, points: Points<'_>) {
        let is_size = match name {
            "sidelight.queue.size" => true,
            "sidelight.queue.capacity" => false,
            "sidelight.queue.overflows" => {
                self.queues.leave(found.instance, self.now_ms);
                return;
            }
            _ => return,
        };
        for point in points.numbers().filter(|point| !point.is_stale()) {
            let text = |key| {
                let value = point.attributes().get(key).and_then(Value::text);
                value.map(|text| text.to_string_lossy()).unwrap_or_default()
            };
            let (queue, kind) = (text("queue.name"), text("queue.type"));
            let Some(value) = point.value.map(|value| value.as_f64()) else { continue };
            let key = (found.instance, self.board.cut(&queue));
            match self.queues.note(key, self.now_ms, is_size, value) {
                Some(true) => {
                    let values = [&*queue, &*kind];
                    self.board.add(Instrument::QueueOverflows, place(found), &values, 1.0);
                }
                // Zero is known, too: a counter that is born at 1 shows no increase.
                Some(false) => {
                    let values = [&*queue, &*kind];
                    self.board.add(Instrument::QueueOverflows, place(found), &values, 0.0);
                }
                None => {}
            }
        }
    }
}

const fn is_histogram(data: &Data<'_>) -> bool {
    matches!(data, Data::Histogram(_) | Data::ExponentialHistogram(_))
}

/// The points of histograms with explicit bounds, or those of exponential ones.
const fn split(data: Data<'_>) -> (Option<Points<'_>>, Option<Points<'_>>) {
    match data {
        Data::Histogram(points) => (Some(points), None),
        Data::ExponentialHistogram(points) => (None, Some(points)),
        _ => (None, None),
    }
}

/// What spans show of a family.
const fn shown_of(family: Family) -> &'static [Instrument] {
    match family {
        Family::Http => {
            &[Instrument::HttpDuration, Instrument::HttpRequestSize, Instrument::HttpResponseSize]
        }
        Family::RateLimited => &[Instrument::RateLimited],
        Family::Cache => &[Instrument::CacheRequests, Instrument::CacheDuration],
        Family::Queue => &[Instrument::QueueOverflows],
        Family::Operation | Family::Connection => &[],
        Family::Retry => &[Instrument::RetryAttempts, Instrument::RetryRetries],
        Family::Feature => &[Instrument::FeatureUses, Instrument::FeatureDuration],
        Family::Intent => &[Instrument::Intents],
        Family::Llm => &[Instrument::LlmTokens, Instrument::LlmRequests, Instrument::LlmLastCall],
    }
}

/// What the attributes of an HTTP server's point say in either convention.
#[derive(Debug, Default)]
struct Http<'a> {
    route: Cow<'a, str>,
    method: Cow<'a, str>,
    status: Option<i64>,
}

impl<'a> Http<'a> {
    fn of(attributes: Attributes<'a>, routed: bool) -> Self {
        let mut said = Self::default();
        let mut target = None;
        for attribute in attributes {
            let value = attribute.value.get();
            let text = || value.text().map(|text| text.to_string_lossy());
            match attribute.key.as_bytes() {
                b"http.route" => said.route = text().unwrap_or_default(),
                b"http.target" => target = text(),
                b"http.method" | b"http.request.method" => said.method = text().unwrap_or_default(),
                b"http.status_code" | b"http.response.status_code" => {
                    said.status = value.int().or_else(|| text()?.parse().ok());
                }
                _ => {}
            }
        }
        if said.route.is_empty()
            && let Some(target) = target.filter(|target| routed || target.contains(['{', '<']))
        {
            said.route = target;
        }
        said
    }
}
