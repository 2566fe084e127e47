//! The route under which a cache was asked: that of the nearest SERVER span above the lookup, in the same instance.
//!
//! A span ends, and is sent, before what is above it. So a lookup waits until a SERVER span above it is known, for at most
//! 10 s of received time, and is then counted without a route. Spans are followed only of instances that send lookups.
//! Limits: [`LINKS_MAX`] spans, [`WAITING_MAX`] lookups, [`PLACES_MAX`] with those that no longer wait behind one that does,
//! [`DEPTH_MAX`] spans between them. Cost: about 30 ns a span; a span settles the lookups of its own trace only.

use std::sync::Arc;

use hashbrown::HashSet;

use super::resources::Found;
use crate::aggregate::key::clip;
use crate::aggregate::operation::SERVER;
use crate::aggregate::ring::Ring;
use crate::aggregate::usual::Fields;

const LINKS_MAX: usize = 16_384;
const WAITING_MAX: usize = 4_096;
const PLACES_MAX: usize = 4 * WAITING_MAX;
const DEPTH_MAX: usize = 32;
const WAIT_MS: i64 = 10_000;
const ROUTE_BYTES_MAX: usize = 256;
/// The most routes that are known at once; past it they are learnt anew.
const ROUTES_MAX: usize = 1_024;

/// A lookup in a cache.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) result: &'static str,
    pub(super) weight: f64,
    pub(super) found: Found,
}

/// A lookup and the route it was made under, if that was found.
pub(super) type Settled = (Lookup, Option<Arc<str>>);

/// A trace of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Trace {
    instance: usize,
    id: u128,
}

#[derive(Debug)]
struct Link {
    of: Trace,
    span: u64,
    parent: u64,
    /// Of a SERVER span; empty where it has none.
    route: Option<Arc<str>>,
    seen_ms: i64,
}

#[derive(Debug)]
struct Waiting {
    of: Trace,
    span: u64,
    since_ms: i64,
    /// `None` once its route is known.
    lookup: Option<Box<Lookup>>,
}

/// Spans of the last 10 s, and lookups that wait for one.
#[derive(Debug, Default)]
pub(super) struct Traces {
    links: Ring<Link>,
    routes: HashSet<Arc<str>>,
    waiting: Ring<Waiting>,
    /// How many of them still do.
    waits: usize,
    follows: HashSet<usize>,
    /// Traces with lookups of which something came since lookups were last looked at.
    news: Vec<Trace>,
}

/// A trace and a span of it by usable ids.
fn ids(instance: usize, span: &Fields<'_>) -> Option<(Trace, u64)> {
    let id = u128::from_be_bytes(span.trace_id.try_into().ok()?);
    Some((Trace { instance, id }, u64::from_be_bytes(span.span_id.try_into().ok()?)))
}

impl Traces {
    /// Whether the spans of an instance are followed.
    pub(super) fn follows(&self, instance: usize) -> bool {
        self.follows.contains(&instance)
    }

    /// Keeps a lookup that a span is or holds; what has no place is given back with no route.
    pub(super) fn wait(&mut self, lookup: Lookup, span: &Fields<'_>, now_ms: i64) -> Vec<Settled> {
        let instance = lookup.found.instance;
        self.follows.insert(instance);
        let Some((of, span)) = ids(instance, span) else { return vec![(lookup, None)] };
        let lookup = Some(Box::new(lookup));
        self.waiting.push(self.waiting.hash(of), Waiting { of, span, since_ms: now_ms, lookup });
        self.waits += 1;
        self.note(of);
        let mut left_out = Vec::new();
        while self.waits > WAITING_MAX || self.waiting.len() > PLACES_MAX {
            self.give_up(&mut left_out);
        }
        left_out
    }

    /// Remembers a span.
    pub(super) fn link(&mut self, instance: usize, span: &Fields<'_>, now_ms: i64) {
        let Some((of, id)) = ids(instance, span) else { return };
        let parent = span.parent_span_id.try_into().map_or(0, u64::from_be_bytes);
        let route = (span.kind == i32::from(SERVER)).then(|| self.route_of(span));
        let link = Link { of, span: id, parent, route, seen_ms: now_ms };
        self.links.push(self.links.hash((of, id)), link);
        while self.links.len() > LINKS_MAX
            || self.links.front().is_some_and(|old| now_ms - old.seen_ms > WAIT_MS)
        {
            self.links.pop();
        }
        if self.waits > 0 && self.waiting.find(self.waiting.hash(of), |one| one.is_of(of)).is_some()
        {
            self.note(of);
        }
    }

    fn note(&mut self, of: Trace) {
        if self.news.last() != Some(&of) {
            self.news.push(of);
        }
    }

    fn route_of(&mut self, span: &Fields<'_>) -> Arc<str> {
        let route = clip(span.route.value.unwrap_or_default(), ROUTE_BYTES_MAX);
        let route = String::from_utf8_lossy(route);
        if let Some(known) = self.routes.get(&*route) {
            return Arc::clone(known);
        }
        if self.routes.len() >= ROUTES_MAX {
            self.routes.clear();
        }
        let route: Arc<str> = route.into();
        self.routes.insert(Arc::clone(&route));
        route
    }

    /// The lookups whose route is known, or that waited long enough.
    pub(super) fn settle(&mut self, now_ms: i64) -> Vec<Settled> {
        let mut settled = Vec::new();
        for of in std::mem::take(&mut self.news) {
            let hash = self.waiting.hash(of);
            let mut unknown = Vec::new();
            // A trace may have asked many times, and not all of that is above the same span.
            while let Some(one) =
                self.waiting.find(hash, |one| one.is_of(of) && !unknown.contains(&one.span))
            {
                let span = one.span;
                let Some(route) = self.route(of, span) else {
                    unknown.push(span);
                    continue;
                };
                let one = self.waiting.find_mut(hash, |one| one.is_of(of) && one.span == span);
                if let Some(lookup) = one.and_then(|one| one.lookup.take()) {
                    self.waits -= 1;
                    settled.push((*lookup, Some(route)));
                }
            }
        }
        while let Some(one) = self.waiting.front()
            && (one.lookup.is_none() || now_ms - one.since_ms > WAIT_MS)
        {
            self.give_up(&mut settled);
        }
        if self.waiting.is_empty() && self.links.is_empty() {
            self.follows.clear();
        }
        settled
    }

    /// The lookup that waited longest waits no longer.
    fn give_up(&mut self, to: &mut Vec<Settled>) {
        if let Some(lookup) = self.waiting.pop().and_then(|one| one.lookup) {
            self.waits -= 1;
            to.push((*lookup, None));
        }
    }

    fn route(&self, of: Trace, mut span: u64) -> Option<Arc<str>> {
        for _ in 0..DEPTH_MAX {
            let hash = self.links.hash((of, span));
            let link = self.links.find(hash, |link| link.of == of && link.span == span)?;
            if let Some(route) = &link.route {
                return Some(Arc::clone(route));
            }
            span = link.parent;
        }
        None
    }

    /// Forgets everything; the lookups that waited. For a checkpoint: what waits over one is counted without a route, here
    /// and where its records are read again.
    pub(super) fn flush(&mut self) -> Vec<Settled> {
        let waiting = std::mem::take(self).waiting.into_values();
        waiting.filter_map(|one| one.lookup).map(|lookup| (*lookup, None)).collect()
    }
}

impl Waiting {
    fn is_of(&self, of: Trace) -> bool {
        self.of == of && self.lookup.is_some()
    }
}
