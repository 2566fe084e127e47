//! Caches: how often they have what is asked for, how long they take, how full they are.

mod words;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Histogram};

use crate::clock::Started;
use crate::current;
use crate::entry::{Detail, Entry};
use crate::family::{Each, Family, sorted};
use crate::looks::Looks;
use crate::meter::{self, Cell, Instruments};
use crate::names;
use crate::observe::{self, Observed, Seen};
use crate::settings::settings;

pub use words::{CacheKind, CacheLevel, CacheResult, EvictReason, Found};

const ROUTES_MAX: usize = 200;
const NAMED_MAX: usize = 64;

/// A cache of the application.
///
/// ```
/// use sidelight::{Cache, CacheKind, EvictReason};
/// use std::collections::HashMap;
///
/// static USERS: Cache = Cache::new("users").kind(CacheKind::Session);
///
/// let map = HashMap::from([(7, "Ada")]);
/// assert_eq!(USERS.get(|| map.get(&7)), Some(&"Ada")); // a hit
/// assert_eq!(USERS.get(|| map.get(&8)), None); // a miss
///
/// let mut lookup = USERS.lookup(); // a miss when it goes, unless told otherwise
/// lookup.stale();
/// drop(lookup);
/// USERS.evicted(EvictReason::Ttl, 3);
/// ```
///
/// Metrics: `sidelight.cache.requests` and `.request.duration` (s) by `cache.name`, `cache.type`, `cache.result` and, within
/// a request, `http.route`; `.evictions`; `.entry.count`, `.entry.limit` and `.size` (By) of those that are observed.
///
/// Cost of a lookup: that of the bare SDK's counter, where timed of two readings of the clock and its histogram, too; numbers
/// are in the README. 32 ns more where a request's route is known. No allocation but for a route that is new.
/// Limits: 200 routes a cache, others are `_OTHER`; 64 caches named at run time.
#[derive(Debug)]
pub struct Cache {
    name: &'static str,
    kind: CacheKind,
    timed: bool,
    routed: bool,
    detail: Detail,
    on: AtomicBool,
    cell: Cell<Bound>,
    state: OnceLock<Arc<State>>,
}

struct Bound {
    fixed: Vec<KeyValue>,
    requests: Counter<u64>,
    durations: Histogram<f64>,
    plain: Results,
    by_route: Family<1, Results>,
    evictions: [BoundCounter<u64>; 3],
}

struct Results {
    attributes: Vec<KeyValue>,
    requests: Each<4, BoundCounter<u64>>,
    durations: Each<4, BoundHistogram<f64>>,
}

impl Cache {
    /// Defines a cache.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            kind: CacheKind::Application,
            timed: true,
            routed: true,
            detail: Detail::NONE,
            on: AtomicBool::new(true),
            cell: Cell::new(),
            state: OnceLock::new(),
        }
    }

    /// Says what is in it.
    ///
    /// ```
    /// use sidelight::{Cache, CacheKind};
    ///
    /// static SESSIONS: Cache = Cache::new("sessions").kind(CacheKind::Session);
    /// # _ = SESSIONS.name();
    /// ```
    #[must_use]
    pub const fn kind(mut self, kind: CacheKind) -> Self {
        self.kind = kind;
        self
    }

    /// Lookups are counted, not timed: 20 ns instead of 70.
    ///
    /// ```
    /// static SYMBOLS: sidelight::Cache = sidelight::Cache::new("symbols").count_only().without_route();
    /// # _ = SYMBOLS.get(|| Some(1));
    /// ```
    #[must_use]
    pub const fn count_only(mut self) -> Self {
        self.timed = false;
        self
    }

    /// Lookups do not have the route of the request that they are made for.
    #[must_use]
    pub const fn without_route(mut self) -> Self {
        self.routed = false;
        self
    }

    /// The cache of a name that is known at run time only, the same for the same name. The first 64 names have one of their
    /// own; all others share one of the name `_OTHER`.
    ///
    /// ```
    /// let tenant = String::from("acme");
    /// sidelight::Cache::named(&tenant).get(|| Some(1));
    /// ```
    #[must_use]
    pub fn named(name: &str) -> &'static Self {
        static NAMED: Mutex<Vec<&'static Cache>> = Mutex::new(Vec::new());
        static OTHER: Cache = Cache::new("_OTHER");
        let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = named.iter().find(|cache| cache.name == name) {
            return known;
        }
        if named.len() >= NAMED_MAX {
            return &OTHER;
        }
        // What lives as long as the program, of a bounded number.
        let cache = Box::leak(Box::new(Self::new(String::leak(name.to_owned()))));
        named.push(cache);
        cache
    }

    settings!("lookups", "Cache", "Cache::new(\"users\")");

    /// Looks up: `Some` is a hit, `None` a miss, `Err` an error.
    ///
    /// ```
    /// use std::collections::HashMap;
    ///
    /// static USERS: sidelight::Cache = sidelight::Cache::new("users");
    ///
    /// let users = HashMap::from([(7, "ada")]);
    /// assert_eq!(USERS.get(|| users.get(&7)), Some(&"ada"));
    /// ```
    #[inline]
    pub fn get<T: Found>(&self, lookup: impl FnOnce() -> T) -> T {
        let mut one = self.lookup();
        let found = lookup();
        one.result(found.result());
        found
    }

    /// Starts a lookup, to be told how it ended: dropped it is a miss, dropped by a panic an error.
    #[inline]
    pub fn lookup(&self) -> Lookup<'_> {
        let on = self.on.load(Ordering::Relaxed);
        let start = if on && self.timed { Started::now() } else { Started::NEVER };
        let panicking = std::thread::panicking();
        Lookup { cache: self, start, on, panicking, result: CacheResult::Miss }
    }

    /// Records a lookup that was timed elsewhere.
    ///
    /// ```
    /// use sidelight::{Cache, CacheResult};
    /// use std::time::Duration;
    ///
    /// static PAGES: Cache = Cache::new("pages");
    ///
    /// PAGES.record(CacheResult::Stale, Duration::from_micros(30));
    /// ```
    pub fn record(&self, result: CacheResult, duration: Duration) {
        if self.on.load(Ordering::Relaxed) {
            self.record_with(result, Some(duration.as_secs_f64()));
        }
    }

    /// Counts entries that were let go.
    ///
    /// ```
    /// use sidelight::{Cache, EvictReason};
    ///
    /// static PAGES: Cache = Cache::new("pages");
    ///
    /// PAGES.evicted(EvictReason::Ttl, 3);
    /// ```
    pub fn evicted(&self, why: EvictReason, entries: u64) {
        if self.on.load(Ordering::Relaxed) {
            self.with(|bound| {
                if let Some(evictions) = bound.evictions.get(why as usize) {
                    evictions.add(entries);
                }
            });
        }
    }

    /// Looks at how full it is, every second while `of` lives. If `level` panics, it is not asked again. At most 16 of a name,
    /// which are added up.
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use std::sync::{Arc, Mutex};
    ///
    /// static PAGES: sidelight::Cache = sidelight::Cache::new("pages");
    ///
    /// let pages: Arc<Mutex<HashMap<u32, String>>> = Arc::default();
    /// PAGES.observe(&pages, |pages| {
    ///     let pages = pages.lock().unwrap();
    ///     (pages.len(), pages.capacity())
    /// });
    /// ```
    pub fn observe<T, L>(&self, of: &Arc<T>, level: impl Fn(&T) -> L + Send + Sync + 'static)
    where
        T: Send + Sync + 'static,
        L: Into<CacheLevel>,
    {
        let state = self.state.get_or_init(|| {
            let attributes = [KeyValue::new("cache.name", self.name)];
            let state = Arc::new(State { attributes, levels: Looks::default() });
            let observed: Weak<State> = Arc::downgrade(&state);
            observe::register(observed);
            state
        });
        state.levels.add(of, level);
    }

    #[inline]
    fn with(&self, then: impl FnOnce(&Bound)) {
        self.cell.with(|instruments| self.bind(instruments), then);
    }

    #[inline]
    fn record_with(&self, result: CacheResult, seconds: Option<f64>) {
        if self.detail.wanted() {
            self.tell(result, seconds);
        }
        self.with(|bound| {
            let route = if self.routed { current::route() } else { None };
            match route {
                None => bound.record(&bound.plain, result, seconds),
                Some(route) => {
                    let (labels, values) = (["http.route"], [route]);
                    let results = bound.by_route.get(&bound.fixed, &labels, values, Results::new);
                    bound.record(results, result, seconds);
                }
            }
        });
    }

    #[cold]
    fn tell(&self, result: CacheResult, seconds: Option<f64>) {
        let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let (name, outcome) = (self.name, result.as_str());
        Entry { family: "cache", name, outcome, duration, reason: None }.tell();
    }

    #[cold]
    fn bind(&self, instruments: &Instruments) -> Bound {
        let fixed = [("cache.name", self.name), ("cache.type", self.kind.as_str())];
        let fixed: Vec<_> = fixed.map(|(key, value)| KeyValue::new(key, value)).into();
        let requests = instruments.counter(&names::CACHE_REQUESTS);
        let durations = instruments.histogram(&names::CACHE_REQUEST_DURATION);
        let evictions = instruments.counter(&names::CACHE_EVICTIONS);
        let evictions = EvictReason::ALL.map(|why| {
            let name = KeyValue::new("cache.name", self.name);
            evictions.bind(&[name, KeyValue::new("reason", why.as_str())])
        });
        let plain = Results::new(&fixed);
        Bound {
            fixed,
            requests,
            durations,
            plain,
            by_route: Family::open(ROUTES_MAX, 0),
            evictions,
        }
    }
}

impl Bound {
    #[inline]
    fn record(&self, of: &Results, result: CacheResult, seconds: Option<f64>) {
        let attributes = || sorted(&of.attributes, &[("cache.result", result.as_str())]);
        let requests = || self.requests.bind(&attributes());
        of.requests.with(result as usize, requests, |requests| requests.add(1));
        if let Some(seconds) = seconds {
            let durations = || self.durations.bind(&attributes());
            let record = |of: &BoundHistogram<f64>| of.record(seconds);
            of.durations.with(result as usize, durations, record);
        }
    }
}

impl Results {
    fn new(attributes: &[KeyValue]) -> Self {
        Self { attributes: attributes.to_vec(), requests: Each::new(), durations: Each::new() }
    }
}

/// A lookup that has not ended; see [`Cache::lookup`].
///
/// ```
/// static PAGES: sidelight::Cache = sidelight::Cache::new("pages");
///
/// fn page(from_disk: Result<Option<String>, std::io::Error>) -> Option<String> {
///     let mut lookup = PAGES.lookup();
///     match from_disk {
///         Ok(Some(page)) => {
///             lookup.hit();
///             Some(page)
///         }
///         Ok(None) => None, // a miss
///         Err(_) => {
///             lookup.error();
///             None
///         }
///     }
/// }
/// # page(Ok(None));
/// ```
#[derive(Debug)]
#[must_use = "it records when it is dropped"]
pub struct Lookup<'a> {
    cache: &'a Cache,
    start: Started,
    on: bool,
    panicking: bool,
    result: CacheResult,
}

impl Lookup<'_> {
    /// It was there.
    pub fn hit(&mut self) {
        self.result = CacheResult::Hit;
    }

    /// It was not there, as if nothing were said.
    pub fn miss(&mut self) {
        self.result = CacheResult::Miss;
    }

    /// It was there, and too old.
    pub fn stale(&mut self) {
        self.result = CacheResult::Stale;
    }

    /// The cache could not be asked.
    pub fn error(&mut self) {
        self.result = CacheResult::Error;
    }

    /// Any of these.
    #[inline]
    pub fn result(&mut self, result: CacheResult) {
        self.result = result;
    }
}

impl Drop for Lookup<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.on {
            return;
        }
        let elapsed = self.start.elapsed_seconds();
        if self.cache.timed && elapsed.is_none() {
            return meter::drop_record();
        }
        let panicked = !self.panicking && std::thread::panicking();
        let result = if panicked { CacheResult::Error } else { self.result };
        self.cache.record_with(result, elapsed);
    }
}

struct State {
    attributes: [KeyValue; 1],
    levels: Looks<CacheLevel>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("State")
    }
}

impl Observed for State {
    fn observe(&self, seen: &mut Seen) {
        let plus = |sum: Option<u64>, more: Option<u64>| {
            more.map(|more| more.saturating_add(sum.unwrap_or(0))).or(sum)
        };
        let sum = self.levels.all().into_iter().reduce(|sum, level| CacheLevel {
            entries: sum.entries.saturating_add(level.entries),
            limit: plus(sum.limit, level.limit),
            bytes: plus(sum.bytes, level.bytes),
        });
        if let Some(sum) = sum {
            let mut push = |metric, value: Option<u64>| {
                if let Some(value) = value {
                    seen.push(metric, &self.attributes, value as f64);
                }
            };
            push(&names::CACHE_ENTRY_COUNT, Some(sum.entries));
            push(&names::CACHE_ENTRY_LIMIT, sum.limit);
            push(&names::CACHE_SIZE, sum.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captured::capture;

    #[test]
    fn a_lookup_is_a_hit_a_miss_or_what_it_was_told() {
        static PAGES: Cache = Cache::new("pages").kind(CacheKind::Config);
        let captured = capture();
        PAGES.get(|| Some(1));
        PAGES.get(|| None::<u8>);
        PAGES.get(|| Err::<Option<u8>, _>("down")).unwrap_err();
        PAGES.get(|| Ok::<_, ()>(Some(1))).unwrap();
        PAGES.lookup().stale();
        drop(PAGES.lookup());
        let panics = std::panic::catch_unwind(|| {
            let mut lookup = PAGES.lookup();
            lookup.hit();
            panic!("the backend's driver");
        });
        assert!(panics.is_err());
        PAGES.set_enabled(false);
        PAGES.get(|| Some(1));
        let of = |result| {
            captured.value(&format!(
                "sidelight.cache.requests{{cache.name=pages,cache.result={result},cache.type=config}}"
            ))
        };
        assert_eq!(["hit", "miss", "stale", "error"].map(of), [2.0, 2.0, 1.0, 2.0]);
        let timed = captured.of("sidelight.cache.request.duration{cache.name=pages");
        assert_eq!(timed.iter().map(|(_, count)| count).sum::<f64>(), 7.0);
    }

    #[test]
    fn names_at_run_time_are_bounded() {
        let caches: Vec<_> =
            (0..70).map(|at| Cache::named(&format!("tenant-{at}")).name()).collect();
        assert_eq!(caches.iter().filter(|name| **name == "_OTHER").count(), 6);
        assert!(std::ptr::eq(Cache::named("tenant-1"), Cache::named("tenant-1")));
    }

    #[test]
    fn what_is_observed_is_added_up_until_it_is_gone_and_a_panic_leaves_it_out() {
        static SHARDS: Cache = Cache::new("shards");
        let captured = capture();
        let shards = [Arc::new(3), Arc::new(4)];
        shards.iter().for_each(|shard| SHARDS.observe(shard, |len| (*len, 10)));
        SHARDS.observe(&shards[0], |_| -> CacheLevel { panic!("poisoned") });
        SHARDS.evicted(EvictReason::Ttl, 5);
        let count = "sidelight.cache.entry.count{cache.name=shards}";
        assert_eq!(captured.value(count), 7.0);
        assert_eq!(captured.value("sidelight.cache.entry.limit{cache.name=shards}"), 20.0);
        assert_eq!(captured.value("sidelight.cache.evictions{cache.name=shards,reason=ttl}"), 5.0);
        assert!(captured.value("sidelight.sdk.callback.panics{}") > 0.0);
        drop(shards);
        assert!(!captured.all().contains_key(count));
    }
}
