//! The route under which a cache was asked: that of the nearest SERVER span above the lookup, in the same instance.
//!
//! A span ends, and is sent, before what is above it. So a lookup waits until a SERVER span above it is known, for at most
//! 10 s of received time, and is then counted without a route. Spans are followed only of instances that send lookups.
//! Limits: [`LINKS_MAX`] spans, [`WAITING_MAX`] lookups, [`DEPTH_MAX`] spans between them.

use std::collections::{HashMap, HashSet, VecDeque};

use sidelight_wire::view::traces::Span;

use super::resources::Found;

const LINKS_MAX: usize = 16_384;
const WAITING_MAX: usize = 4_096;
const DEPTH_MAX: usize = 32;
const WAIT_MS: i64 = 10_000;
const ROUTE_BYTES_MAX: usize = 256;
const SERVER: i32 = 2;

/// A lookup in a cache.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) result: &'static str,
    pub(super) weight: f64,
    pub(super) found: Found,
}

/// A span within a trace of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct At {
    instance: usize,
    trace: u128,
    span: u64,
}

#[derive(Clone, Debug)]
struct Link {
    parent: u64,
    /// Of a SERVER span.
    route: Option<String>,
}

/// Spans of the last 10 s, and lookups that wait for one.
#[derive(Debug, Default)]
pub(super) struct Traces {
    links: HashMap<At, Link>,
    order: VecDeque<(At, i64)>,
    waiting: VecDeque<(Lookup, At, i64)>,
    follows: HashSet<usize>,
    /// Whether a SERVER span was linked since lookups were last looked at.
    news: bool,
}

fn at(instance: usize, trace: &[u8], span: &[u8]) -> Option<At> {
    let trace = u128::from_be_bytes(trace.try_into().ok()?);
    Some(At { instance, trace, span: u64::from_be_bytes(span.try_into().ok()?) })
}

impl Traces {
    /// Whether the spans of an instance are followed.
    pub(super) fn follows(&self, instance: usize) -> bool {
        self.follows.contains(&instance)
    }

    /// Keeps a lookup that a span is or holds; what has no place is given back with no route.
    pub(super) fn wait(
        &mut self,
        lookup: Lookup,
        span: &Span<'_>,
        now_ms: i64,
    ) -> Vec<(Lookup, String)> {
        let instance = lookup.found.instance;
        self.follows.insert(instance);
        let Some(at) = at(instance, span.trace_id, span.span_id) else {
            return vec![(lookup, String::new())];
        };
        self.waiting.push_back((lookup, at, now_ms));
        let past = self.waiting.len().saturating_sub(WAITING_MAX);
        self.waiting.drain(..past).map(|(lookup, ..)| (lookup, String::new())).collect()
    }

    /// Remembers a span.
    pub(super) fn link(&mut self, instance: usize, span: &Span<'_>, now_ms: i64) {
        let Some(at) = at(instance, span.trace_id, span.span_id) else { return };
        let parent = span.parent_span_id.try_into().map_or(0, u64::from_be_bytes);
        let route = (span.kind == SERVER).then(|| {
            let route = span.attributes().get("http.route").and_then(|value| value.text());
            let route = route.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
            route.get(..route.floor_char_boundary(ROUTE_BYTES_MAX)).unwrap_or_default().to_owned()
        });
        self.news |= route.is_some();
        if self.links.insert(at, Link { parent, route }).is_none() {
            self.order.push_back((at, now_ms));
        }
        while self.order.len() > LINKS_MAX
            || self.order.front().is_some_and(|(_, seen_ms)| now_ms - seen_ms > WAIT_MS)
        {
            let Some((old, _)) = self.order.pop_front() else { break };
            self.links.remove(&old);
        }
    }

    /// The lookups whose route is known, or that waited long enough.
    pub(super) fn settle(&mut self, now_ms: i64) -> Vec<(Lookup, String)> {
        let oldest = self.waiting.front().is_some_and(|(.., since)| now_ms - since > WAIT_MS);
        if !std::mem::take(&mut self.news) && !oldest {
            return Vec::new();
        }
        let mut settled = Vec::new();
        for (lookup, at, since_ms) in std::mem::take(&mut self.waiting) {
            match self.route(at) {
                Some(route) => settled.push((lookup, route)),
                None if now_ms - since_ms > WAIT_MS => settled.push((lookup, String::new())),
                None => self.waiting.push_back((lookup, at, since_ms)),
            }
        }
        if self.waiting.is_empty() && self.links.is_empty() {
            self.follows.clear();
        }
        settled
    }

    fn route(&self, mut at: At) -> Option<String> {
        for _ in 0..DEPTH_MAX {
            let link = self.links.get(&at)?;
            if let Some(route) = &link.route {
                return Some(route.clone());
            }
            at.span = link.parent;
        }
        None
    }

    /// Forgets everything; the lookups that waited. For a checkpoint: what waits over one is counted without a route, here
    /// and where its records are read again.
    pub(super) fn flush(&mut self) -> Vec<(Lookup, String)> {
        let waiting = std::mem::take(self).waiting;
        waiting.into_iter().map(|(lookup, ..)| (lookup, String::new())).collect()
    }
}
