//! What is looked at, rather than recorded when it happens: sizes of queues and caches, ages of connections, users.
//!
//! The SDK's callbacks cannot be unregistered, one that panics ends the collection for good, and they run under a lock that
//! making an instrument takes as well: an application's code that waited there for a lock of its own could wait for ever.
//! So no code of an application runs in a callback. A thread of ours, `sidelight-observe`, walks over everything that is
//! registered, each piece under `catch_unwind`; a callback only reads what the last walk saw. The thread lives while a
//! meter is installed.
//!
//! Limits: queues are sampled every 100 ms; the rest is looked at every second. Where a piece hangs, what is exported is at
//! most [`SEEN_MAX`] old; from then on nothing is, and `sidelight.sdk.dropped` counts the collections without
//! (`reason="observer_hangs"`). [`WORK_MAX`] pieces of work, more are refused and counted.

use std::cell::Cell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use opentelemetry::KeyValue;

use crate::clock::Started;
use crate::names::Metric;

const SAMPLE_PERIOD: Duration = Duration::from_millis(100);
const SAMPLES_PER_WALK: u32 = 10;
const WORK_MAX: usize = 4096;
/// What was seen longer ago is not told: ten walks.
const SEEN_MAX: Duration = Duration::from_secs(10);

type Work = Box<dyn FnMut() -> bool + Send>;

static WORK: Mutex<Vec<Work>> = Mutex::new(Vec::new());
static OBSERVED: Mutex<Vec<Weak<dyn Observed>>> = Mutex::new(Vec::new());
/// What the last walk saw, and when it ended.
static SEEN: Mutex<Option<(Started, Seen)>> = Mutex::new(None);
static PROCESS: Mutex<Process> = Mutex::new(Process { id: 0, runs: false, walking: None });
std::thread_local! {
    /// Whether this thread walks: what it runs must not wait for the end of the walk.
    static WALKS: Cell<bool> = const { Cell::new(false) };
}
static COLLECTIONS: AtomicU64 = AtomicU64::new(0);
static REFUSED: AtomicU64 = AtomicU64::new(0);
static PANICS: AtomicU64 = AtomicU64::new(0);
static HANGS: AtomicU64 = AtomicU64::new(0);

/// What walks in this process: one that was forked has none of its parent's threads, nor do they ever unlock there what they
/// held.
struct Process {
    id: u32,
    /// Whether the thread runs.
    runs: bool,
    /// Held for the whole of a walk.
    walking: Option<Arc<Mutex<()>>>,
}

/// Changes what walks in this process.
fn process<R>(then: impl FnOnce(&mut Process) -> R) -> R {
    let mut process = PROCESS.lock().unwrap_or_else(PoisonError::into_inner);
    let id = std::process::id();
    if process.id != id {
        *process = Process { id, runs: false, walking: None };
        *SEEN.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
    then(&mut process)
}

/// What a handle keeps to be looked at.
pub(crate) trait Observed: Send + Sync {
    /// Tells what there is.
    fn observe(&self, seen: &mut Seen);

    /// Called every 100 ms.
    fn sample(&self) {}
}

/// What a walk saw, by the name of the metric.
#[derive(Default)]
pub(crate) struct Seen(HashMap<&'static str, Vec<(Vec<KeyValue>, f64)>>);

impl Seen {
    pub(crate) fn push(&mut self, metric: &'static Metric, attributes: &[KeyValue], value: f64) {
        self.0.entry(metric.name).or_default().push((attributes.to_vec(), value));
    }
}

/// Looks at `observed` from here on, until it is gone.
pub(crate) fn register(observed: Weak<dyn Observed>) {
    let mut all = OBSERVED.lock().unwrap_or_else(PoisonError::into_inner);
    if all.len() >= WORK_MAX {
        all.retain(|one| one.strong_count() > 0);
    }
    if all.len() < WORK_MAX {
        all.push(observed);
    } else {
        refuse();
    }
}

/// Counts what is past a limit of what is looked at.
#[cold]
pub(crate) fn refuse() {
    REFUSED.fetch_add(1, Ordering::Relaxed);
}

/// How much was past a limit of what is looked at.
pub(crate) fn refused() -> u64 {
    REFUSED.load(Ordering::Relaxed)
}

/// Runs `work` every second while a meter is installed, until it returns `false` or panics. It may record into handles. It
/// shares its thread with everything else that is looked at: what waits for others goes on a thread of its own.
///
/// ```
/// sidelight::observe::every_second(|| {
///     // Read a file, set a gauge ...
///     true
/// });
/// ```
pub fn every_second(work: impl FnMut() -> bool + Send + 'static) {
    let mut registered = WORK.lock().unwrap_or_else(PoisonError::into_inner);
    if registered.len() < WORK_MAX {
        registered.push(Box::new(work));
    } else {
        refuse();
    }
}

/// Looks at everything once, so that a collection that follows exports the present. Flushing and shutting down do this. Called
/// by work that runs just then it does nothing.
///
/// ```
/// sidelight::observe::refresh();
/// // ... and now collect, where the meter is one's own.
/// ```
pub fn refresh() {
    alone(|| {
        run_work();
        let mut seen = Seen::default();
        for observed in observed() {
            guarded(|| observed.observe(&mut seen));
        }
        *SEEN.lock().unwrap_or_else(PoisonError::into_inner) = Some((Started::now(), seen));
    });
}

/// Samples queues once, as the thread does every 100 ms.
pub(crate) fn sample() {
    alone(|| {
        for observed in observed() {
            guarded(|| observed.sample());
        }
    });
}

/// Walks when no other thread does, so that what panics is asked once; not from within a walk.
fn alone(walk: impl FnOnce()) {
    if WALKS.replace(true) {
        return;
    }
    _ = catch_unwind(AssertUnwindSafe(|| {
        let walking = process(|process| Arc::clone(process.walking.get_or_insert_default()));
        let _walking = walking.lock().unwrap_or_else(PoisonError::into_inner);
        walk();
    }));
    WALKS.set(false);
}

/// Runs an application's code; `None` where it panicked, which is counted.
pub(crate) fn guarded<R>(code: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(code))
        .inspect_err(|_| _ = PANICS.fetch_add(1, Ordering::Relaxed))
        .ok()
}

/// How often an application's code panicked.
pub(crate) fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Counts a collection, and whether it is one without what is looked at.
pub(crate) fn collected() {
    COLLECTIONS.fetch_add(1, Ordering::Relaxed);
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let hangs = seen.as_ref().is_some_and(|(at, _)| is_stale(*at));
    HANGS.fetch_add(hangs.into(), Ordering::Relaxed);
}

/// How many collections were without what is looked at, because that hung.
pub(crate) fn hangs() -> u64 {
    HANGS.load(Ordering::Relaxed)
}

/// How many collections there were: what is kept per collection starts again when this changes.
pub(crate) fn collections() -> u64 {
    COLLECTIONS.load(Ordering::Relaxed)
}

/// Those that are still there. Registering is not held up by a walk.
fn observed() -> Vec<Arc<dyn Observed>> {
    let mut all = OBSERVED.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|one| one.strong_count() > 0);
    all.iter().filter_map(Weak::upgrade).collect()
}

fn run_work() {
    // Work may register work: the lock is not held while it runs.
    let running = std::mem::take(&mut *WORK.lock().unwrap_or_else(PoisonError::into_inner));
    // What is done is let go in there too: dropping it is an application's code as well.
    let once = |mut work: Work| guarded(move || work().then_some(work)).flatten();
    let mut running: Vec<_> = running.into_iter().filter_map(once).collect();
    let mut registered = WORK.lock().unwrap_or_else(PoisonError::into_inner);
    running.append(&mut registered);
    *registered = running;
}

/// Tells what the last walk saw of a metric, while that is the present.
pub(crate) fn tell(metric: &Metric, mut to: impl FnMut(f64, &[KeyValue])) {
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = seen.as_ref().filter(|(at, _)| !is_stale(*at));
    let Some(seen) = seen.and_then(|(_, seen)| seen.0.get(metric.name)) else { return };
    seen.iter().for_each(|(attributes, value)| to(*value, attributes));
}

/// Whether what was seen then is no longer the present: what is looked at hangs, and figures that stand still would look well.
fn is_stale(at: Started) -> bool {
    at.elapsed().is_some_and(|since| since > SEEN_MAX)
}

/// Sees to it that the thread runs, for as long as it is `wanted`.
pub(crate) fn run_while(wanted: fn() -> bool) {
    process(|process| {
        if !process.runs {
            let thread = std::thread::Builder::new().name("sidelight-observe".to_owned());
            // Without a thread nothing is looked at but when telemetry is flushed.
            process.runs = thread.spawn(move || walk(wanted)).is_ok();
        }
    });
}

fn walk(wanted: fn() -> bool) {
    let mut samples = 0_u32;
    loop {
        std::thread::park_timeout(SAMPLE_PERIOD);
        let goes_on = process(|process| {
            process.runs = wanted();
            process.runs
        });
        if !goes_on {
            return;
        }
        sample();
        samples = samples.wrapping_add(1);
        if samples.is_multiple_of(SAMPLES_PER_WALK) {
            refresh();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;
    use crate::captured::capture;

    #[test]
    fn work_may_refresh_and_panic_where_it_is_dropped() {
        struct Panics;
        impl Drop for Panics {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let captured = capture();
        let before = captured.value("sidelight.sdk.callback.panics{}");
        let panics = Panics;
        every_second(move || {
            _ = &panics;
            false
        });
        every_second(|| {
            refresh();
            RUNS.fetch_add(1, Ordering::Relaxed) < 1
        });
        refresh();
        refresh();
        assert!(RUNS.load(Ordering::Relaxed) >= 2, "what another piece of work did ended it");
        assert!(captured.value("sidelight.sdk.callback.panics{}") > before);
    }

    #[test]
    fn what_an_observer_that_hangs_left_is_not_told_as_the_present() {
        static LEFT: crate::Cache = crate::Cache::new("observe.left");
        let captured = capture();
        let cache = Arc::new(7_usize);
        LEFT.observe(&cache, |entries| (*entries, 20_usize));
        let series = "sidelight.cache.entry.count{cache.name=observe.left}";
        assert_eq!(captured.value(series), 7.0);
        let before = captured.value("sidelight.sdk.dropped{reason=observer_hangs}");
        let (begin, begun) = std::sync::mpsc::sync_channel(1);
        let (end, ended) = std::sync::mpsc::sync_channel::<()>(0);
        every_second(move || {
            _ = begin.send(());
            _ = ended.recv();
            false
        });
        let hangs = std::thread::spawn(refresh);
        begun.recv().unwrap();
        if let Some((at, _)) = &mut *SEEN.lock().unwrap() {
            *at = at.sooner(SEEN_MAX + Duration::from_secs(1));
        }
        let all = captured.collected();
        assert_eq!(all.get(series), None);
        assert!(all["sidelight.sdk.dropped{reason=observer_hangs}"] > before);
        drop(end);
        hangs.join().unwrap();
        assert_eq!(captured.value(series), 7.0);
    }

    #[test]
    fn what_is_past_a_limit_of_what_is_observed_is_counted() {
        static MANY: crate::Cache = crate::Cache::new("observe.many");
        let captured = capture();
        let refused = || captured.value("sidelight.sdk.dropped{reason=too_many_observed}");
        let before = refused();
        let caches: Vec<_> = (0..17).map(Arc::new).collect();
        caches.iter().for_each(|cache| MANY.observe(cache, |entries| (*entries, 20_usize)));
        assert_eq!(refused(), before + 1.0);
    }
}
