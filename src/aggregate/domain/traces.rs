//! The route under which a cache was asked: that of the nearest SERVER span above the lookup, in the same instance.
//!
//! A span ends, and is sent, before what is above it. So a lookup waits until a SERVER span above it is known, for at most
//! 10 s of received time, and is then counted without a route. Spans are followed only of instances that send lookups.
//! Limits: [`LINKS_MAX`] spans, [`WAITING_MAX`] lookups, [`PLACES_MAX`] with those that no longer wait behind one that does,
//! [`DEPTH_MAX`] spans between them. Cost: about 30 ns a span. A request looks once at the lookups of the traces that it
//! has spans of, and follows each of their spans once.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::resources::Found;
use crate::aggregate::clip::clip;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Trace {
    /// In halves: a `u128` would align, and with that fill, a third more of the memory that spans are looked up in.
    id: [u64; 2],
    instance: u32,
}

impl Hash for Trace {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [high, low] = self.id;
        state.write_u128(u128::from(high) << 64 | u128::from(low));
        state.write_u32(self.instance);
    }
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
    /// How many of them still do, by trace and in all.
    of_trace: HashMap<Trace, usize>,
    waits: usize,
    follows: HashSet<usize>,
    /// Traces with lookups of which something came since lookups were last looked at, in the order of that.
    news: Vec<Trace>,
    noted: HashSet<Trace>,
    /// The routes of a trace's spans while it is looked at; kept for its memory.
    found: HashMap<u64, Option<Arc<str>>>,
}

/// A trace of an instance by a usable id.
pub(super) fn id_of(instance: usize, trace_id: &[u8]) -> Option<Trace> {
    let (high, low) = trace_id.split_at_checked(8)?;
    let id = [number(high)?, number(low)?];
    Some(Trace { instance: u32::try_from(instance).ok()?, id })
}

/// A trace and a span of it by usable ids.
fn ids(instance: usize, span: &Fields<'_>) -> Option<(Trace, u64)> {
    Some((id_of(instance, span.trace_id)?, number(span.span_id)?))
}

/// The number in eight bytes.
fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
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
        *self.of_trace.entry(of).or_default() += 1;
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
        let hash = self.links.hash((of, id));
        // A span may be sent again.
        if let Some(known) = self.links.find_mut(hash, |link| link.of == of && link.span == id) {
            (known.parent, known.route) = (parent, route);
        } else {
            self.links.push(hash, Link { of, span: id, parent, route, seen_ms: now_ms });
        }
        while self.links.len() > LINKS_MAX
            || self.links.front().is_some_and(|old| now_ms - old.seen_ms > WAIT_MS)
        {
            self.links.pop();
        }
        if self.waits > 0 && self.of_trace.contains_key(&of) {
            self.note(of);
        }
    }

    fn note(&mut self, of: Trace) {
        if self.noted.insert(of) {
            self.news.push(of);
        }
    }

    fn route_of(&mut self, span: &Fields<'_>) -> Arc<str> {
        let route = clip(span.route().unwrap_or_default(), ROUTE_BYTES_MAX);
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
        self.noted.clear();
        for of in std::mem::take(&mut self.news) {
            self.settle_trace(of, &mut settled);
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

    fn settle_trace(&mut self, of: Trace, to: &mut Vec<Settled>) {
        let before = to.len();
        let (links, routes) = (&self.links, &mut self.found);
        routes.clear();
        self.waiting.each_mut(self.waiting.hash(of), |one| {
            if one.of != of || one.lookup.is_none() {
                return;
            }
            let route = routes.entry(one.span).or_insert_with(|| route(links, of, one.span));
            let Some(route) = route else { return };
            to.extend(one.lookup.take().map(|lookup| (*lookup, Some(Arc::clone(route)))));
        });
        self.no_longer(of, to.len() - before);
    }

    /// So many lookups of a trace do not wait any more.
    fn no_longer(&mut self, of: Trace, lookups: usize) {
        self.waits -= lookups;
        if let Some(left) = self.of_trace.get_mut(&of) {
            *left -= lookups;
            if *left == 0 {
                self.of_trace.remove(&of);
            }
        }
    }

    /// The lookup that waited longest waits no longer.
    fn give_up(&mut self, to: &mut Vec<Settled>) {
        let Some(Waiting { of, lookup: Some(lookup), .. }) = self.waiting.pop() else { return };
        self.no_longer(of, 1);
        to.push((*lookup, None));
    }

    /// Forgets everything; the lookups that waited. For the end: they are counted without a route.
    pub(super) fn flush(&mut self) -> Vec<Settled> {
        let waiting = std::mem::take(self).waiting.into_values();
        waiting.filter_map(|one| one.lookup).map(|lookup| (*lookup, None)).collect()
    }
}

/// The route of the nearest SERVER span at or above a span.
fn route(links: &Ring<Link>, of: Trace, mut span: u64) -> Option<Arc<str>> {
    for _ in 0..DEPTH_MAX {
        let hash = links.hash((of, span));
        let link = links.find(hash, |link| link.of == of && link.span == span)?;
        if let Some(route) = &link.route {
            return Some(Arc::clone(route));
        }
        span = link.parent;
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::aggregate::metrics::cache::ROOT;
    use crate::aggregate::metrics::target::Target;

    use super::*;

    fn fields<'a>(trace: &'a [u8; 16], span: &'a [u8; 8], parent: &'a [u8; 8]) -> Fields<'a> {
        let (trace_id, span_id, parent_span_id) = (&trace[..], &span[..], &parent[..]);
        Fields { trace_id, span_id, parent_span_id, kind: 1, ..Fields::default() }
    }

    fn lookup(name: &str) -> Lookup {
        let target = Arc::new(Target::default());
        let found = Found { slot: ROOT, target, instance: 0 };
        let (name, kind) = (name.to_owned(), String::new());
        Lookup { name, kind, result: "hit", weight: 1.0, found }
    }

    #[test]
    fn the_lookups_of_a_trace_are_settled_in_their_order_when_the_server_span_comes() {
        let mut traces = Traces::default();
        let (trace, other, root) = ([1; 16], [2; 16], [9; 8]);
        for n in 0..6_u8 {
            let (of, id) = (if n == 4 { &other } else { &trace }, [n + 1; 8]);
            let span = fields(of, &id, &root);
            assert!(traces.wait(lookup(&n.to_string()), &span, 0).is_empty());
            traces.link(0, &span, 0);
        }
        assert!(traces.settle(0).is_empty());
        let server = Fields { kind: 2, ..fields(&trace, &root, &[0; 8]) };
        traces.link(0, &server, 1);
        let settled = traces.settle(1);
        let names: Vec<_> =
            settled.iter().map(|(of, route)| (&*of.name, route.is_some())).collect();
        assert_eq!(names, [("0", true), ("1", true), ("2", true), ("3", true), ("5", true)]);
        assert_eq!((traces.waits, traces.of_trace.len()), (1, 1));
        assert_eq!(traces.settle(WAIT_MS + 1).len(), 1);
        assert_eq!((traces.waits, traces.of_trace.len(), traces.waiting.len()), (0, 0, 0));
    }

    #[test]
    fn a_trace_with_thousands_of_lookups_and_no_server_is_looked_at_once_in_a_request() {
        let mut traces = Traces::default();
        let ids = [([1; 16], [0x11; 8]), ([2; 16], [0x22; 8])];
        let mut left_out = 0;
        for n in 0..2 * WAITING_MAX {
            let (trace, root) = &ids[n % 2];
            let id = (n as u64 + 1).to_be_bytes();
            let span = fields(trace, &id, root);
            left_out += traces.wait(lookup("users"), &span, 0).len();
            traces.link(0, &span, 0);
        }
        // Alternating spans note a trace once.
        assert_eq!((left_out, traces.waits, traces.news.len()), (WAITING_MAX, WAITING_MAX, 2));
        assert!(traces.settle(0).is_empty());
        assert_eq!(traces.flush().len(), WAITING_MAX);
    }

    #[test]
    fn a_span_that_is_sent_again_takes_no_second_place() {
        let mut traces = Traces::default();
        for _ in 0..3 {
            traces.link(0, &fields(&[1; 16], &[2; 8], &[3; 8]), 0);
        }
        assert_eq!(traces.links.len(), 1);
    }
}
