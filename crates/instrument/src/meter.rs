//! Where handles find their instruments: the meter that is installed, and cells that bind to it once.
//!
//! Every installed meter is a generation. A cell keeps what it bound together with the generation, so a handle used before
//! any meter was there, or with one that has gone, binds anew instead of recording into nothing for ever. The newest
//! meter is used; when it goes, the one before it is used again.
//!
//! Cost: one acquire load for the generation and one for the cell. A cell's first generation, the only one of a program
//! that starts telemetry once, is read without a lock; later ones, which tests make, take a read lock.

mod observable;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter};

use crate::names::Metric;
use crate::{clock, observe};

/// The generation that records go to; 0 while there is none or recording is off.
static ACTIVE: AtomicU64 = AtomicU64::new(0);
static GENERATIONS: AtomicU64 = AtomicU64::new(0);
static SWITCHED_OFF: AtomicBool = AtomicBool::new(false);
/// Telemetry was started, but whoever runs the program wants none.
#[cfg(feature = "otlp")]
static UNWANTED: AtomicBool = AtomicBool::new(false);
static DROPPED: AtomicU64 = AtomicU64::new(0);
/// Oldest first; the last is the one in use.
static INSTALLED: RwLock<Vec<Arc<Instruments>>> = RwLock::new(Vec::new());

/// Lets all handles record into `meter` from here on.
///
/// ```
/// use opentelemetry::metrics::MeterProvider as _;
/// use opentelemetry_sdk::metrics::SdkMeterProvider;
/// use sidelight::{meter, names};
///
/// let provider = SdkMeterProvider::builder().with_view(names::view).build();
/// let installed = meter::install(provider.meter(names::SCOPE));
/// assert!(sidelight::enabled());
/// drop(installed);
/// assert!(!sidelight::enabled());
/// ```
pub fn install(meter: Meter) -> Installed {
    clock::calibrate();
    let generation = GENERATIONS.fetch_add(1, Ordering::Relaxed) + 1;
    let observed = meter.clone();
    let instruments = Arc::new(Instruments { generation, meter, made: Mutex::default() });
    change(|installed| installed.push(instruments));
    observable::make(&observed, generation);
    observe::run_while(is_installed);
    Installed { generation }
}

/// A meter in use, until this is dropped.
#[derive(Debug)]
#[must_use = "the meter is taken away when this is dropped"]
pub struct Installed {
    generation: u64,
}

impl Drop for Installed {
    fn drop(&mut self) {
        change(|installed| installed.retain(|one| one.generation != self.generation));
    }
}

/// Whether records go anywhere: a meter is installed and recording was not switched off.
///
/// ```
/// assert!(!sidelight::enabled(), "nothing was started");
/// ```
#[must_use]
pub fn enabled() -> bool {
    ACTIVE.load(Ordering::Relaxed) != 0
}

/// Switches recording by all handles on (as it is at first) or off. What is not recorded while it is off is not counted
/// as dropped.
///
/// ```
/// sidelight::set_enabled(false);
/// sidelight::set_enabled(true);
/// ```
pub fn set_enabled(on: bool) {
    change(|_| SWITCHED_OFF.store(!on, Ordering::Relaxed));
}

fn change(how: impl FnOnce(&mut Vec<Arc<Instruments>>)) {
    let mut installed = INSTALLED.write().unwrap_or_else(PoisonError::into_inner);
    how(&mut installed);
    let off = SWITCHED_OFF.load(Ordering::Relaxed);
    let newest = installed.last().filter(|_| !off).map_or(0, |one| one.generation);
    ACTIVE.store(newest, Ordering::Release);
}

/// The instruments of one generation, each made once.
pub(crate) struct Instruments {
    generation: u64,
    meter: Meter,
    made: Mutex<HashMap<&'static str, Made>>,
}

#[derive(Clone)]
enum Made {
    Counter(Counter<u64>),
    Sum(Counter<f64>),
    UpDown(UpDownCounter<i64>),
    Gauge(Gauge<f64>),
    Histogram(Histogram<f64>),
}

macro_rules! made {
    ($(#[$doc:meta])* $name:ident -> $kind:ident($type:ty), $build:ident $(, $bounds:ident)?) => {
        $(#[$doc])*
        pub(crate) fn $name(&self, metric: &Metric) -> $type {
            let known = || self.made.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(Made::$kind(known)) = known().get(metric.name) {
                return known.clone();
            }
            let builder = self.meter.$build(metric.name)
                .with_unit(metric.unit)
                .with_description(metric.description);
            $(let builder = if metric.$bounds.is_empty() {
                builder
            } else {
                builder.with_boundaries(metric.$bounds.to_vec())
            };)?
            let instrument = builder.build();
            // Made twice by two threads it is still one stream of the SDK's.
            known().insert(metric.name, Made::$kind(instrument.clone()));
            instrument
        }
    };
}

impl Instruments {
    made!(counter -> Counter(Counter<u64>), u64_counter);
    made!(
        /// A counter of what is no whole number.
        sum -> Sum(Counter<f64>), f64_counter);
    made!(up_down -> UpDown(UpDownCounter<i64>), i64_up_down_counter);
    made!(gauge -> Gauge(Gauge<f64>), f64_gauge);
    made!(histogram -> Histogram(Histogram<f64>), f64_histogram, buckets);
}

/// What a handle bound, per generation.
pub(crate) struct Cell<T> {
    first: OnceLock<(u64, T)>,
    later: RwLock<Option<(u64, Arc<T>)>>,
}

impl<T> Cell<T> {
    pub(crate) const fn new() -> Self {
        Self { first: OnceLock::new(), later: RwLock::new(None) }
    }

    /// What was bound in the first generation, while that is the one in use.
    #[inline]
    pub(crate) fn bound(&self) -> Option<&T> {
        let active = ACTIVE.load(Ordering::Acquire);
        self.first.get().filter(|(generation, _)| *generation == active).map(|(_, bound)| bound)
    }

    /// Gives what was bound to `then`, binding it first where this generation has not; `None`, counted as dropped, without
    /// a meter.
    #[inline]
    pub(crate) fn with<R>(
        &self,
        bind: impl Fn(&Instruments) -> T,
        then: impl FnOnce(&T) -> R,
    ) -> Option<R> {
        match self.bound() {
            Some(bound) => Some(then(bound)),
            None => self.slow(ACTIVE.load(Ordering::Acquire), &bind, then),
        }
    }

    #[cold]
    fn slow<R>(
        &self,
        active: u64,
        bind: &dyn Fn(&Instruments) -> T,
        then: impl FnOnce(&T) -> R,
    ) -> Option<R> {
        if active == 0 {
            drop_record();
            return None;
        }
        if let Some(bound) = self.bound_later(active) {
            return Some(then(&bound));
        }
        let installed = INSTALLED.read().unwrap_or_else(PoisonError::into_inner).last().cloned()?;
        let generation = installed.generation;
        if let Some(bound) = self.bound_later(generation) {
            return Some(then(&bound));
        }
        // Bound outside of all locks: the SDK logs while it makes instruments, and what hears that may use this handle.
        if self.first.get().is_none() {
            _ = self.first.set((generation, bind(&installed)));
        }
        if let Some((_, bound)) = self.first.get().filter(|(first, _)| *first == generation) {
            return Some(then(bound));
        }
        let bound = Arc::new(bind(&installed));
        let mut later = self.later.write().unwrap_or_else(PoisonError::into_inner);
        *later = Some((generation, Arc::clone(&bound)));
        drop(later);
        Some(then(&bound))
    }

    fn bound_later(&self, wanted: u64) -> Option<Arc<T>> {
        let later = self.later.read().unwrap_or_else(PoisonError::into_inner);
        later.as_ref().filter(|(of, _)| *of == wanted).map(|(_, bound)| Arc::clone(bound))
    }
}

/// How many records found no meter.
pub(crate) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Says with each start whether records are to find no meter: these are neither counted nor warned of.
#[cfg(feature = "otlp")]
pub(crate) fn set_unwanted(unwanted: bool) {
    UNWANTED.store(unwanted, Ordering::Relaxed);
}

/// Whether telemetry was started that whoever runs the program switched off.
pub(crate) fn is_unwanted() -> bool {
    #[cfg(feature = "otlp")]
    {
        UNWANTED.load(Ordering::Relaxed)
    }
    #[cfg(not(feature = "otlp"))]
    false
}

/// Counts a record that found no meter.
#[cold]
pub(crate) fn drop_record() {
    if is_unwanted() || SWITCHED_OFF.load(Ordering::Relaxed) {
        return;
    }
    // Tasks that outlive the guard at the end of a service record too late: nobody forgot to start anything.
    let before = DROPPED.fetch_add(1, Ordering::Relaxed);
    if before == 0 && GENERATIONS.load(Ordering::Relaxed) == 0 {
        tracing::warn!(
            target: "sidelight",
            "no telemetry is running: what handles record is dropped, and counted in sidelight.sdk.dropped once one is; \
             sidelight::init starts it"
        );
    }
}

fn is_current(generation: u64) -> bool {
    ACTIVE.load(Ordering::Relaxed) == generation
}

fn is_installed() -> bool {
    !INSTALLED.read().unwrap_or_else(PoisonError::into_inner).is_empty()
}

impl<T> std::fmt::Debug for Cell<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cell")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Counter as Labelled;
    use crate::captured::{alone, capture};

    #[test]
    fn a_handle_that_was_used_too_early_records_once_there_is_a_meter() {
        static EARLY: Labelled<0> = Labelled::new("early");
        let nobody = alone();
        let before = dropped();
        EARLY.add(1, []);
        assert_eq!(dropped(), before + 1);
        drop(nobody);
        for _ in 0..3 {
            let captured = capture();
            EARLY.add(2, []);
            assert_eq!(captured.value("early{}"), 2.0);
            assert!(captured.value("sidelight.sdk.dropped{reason=no_meter}") >= 1.0);
        }
    }

    #[test]
    fn the_meter_before_is_used_again_when_the_newest_goes() {
        static NESTED: Labelled<1> = Labelled::new("nested").labels(["k"]);
        let captured = capture();
        NESTED.add(1, ["a"]);
        let other = opentelemetry_sdk::metrics::SdkMeterProvider::default();
        let inner = install(opentelemetry::metrics::MeterProvider::meter(&other, "other"));
        NESTED.add(5, ["a"]);
        drop(inner);
        NESTED.add(1, ["a"]);
        assert_eq!(captured.value("nested{k=a}"), 2.0);
    }

    #[test]
    fn what_is_switched_off_is_neither_recorded_nor_counted() {
        static OFF: Labelled<0> = Labelled::new("off");
        let captured = capture();
        let before = dropped();
        set_enabled(false);
        assert!(!enabled());
        OFF.add(1, []);
        set_enabled(true);
        OFF.add(1, []);
        OFF.set_enabled(false);
        OFF.add(1, []);
        assert_eq!((captured.value("off{}"), dropped()), (1.0, before));
    }

    #[test]
    fn what_hears_of_the_making_of_an_instrument_may_use_the_same_handle() {
        static HEARD: Labelled<0> = Labelled::new("heard");
        let captured = capture();
        let cell = Cell::new();
        let again = Cell::<u32>::with(
            &cell,
            |_| {
                HEARD.add(1, []);
                cell.with(|_| 1, |inner| *inner).unwrap_or_default()
            },
            |bound| *bound,
        );
        assert_eq!((again, captured.value("heard{}")), (Some(1), 1.0));
    }

    #[test]
    fn records_of_two_threads_are_all_there() {
        static BOTH: Labelled<1> = Labelled::new("both").labels(["k"]);
        let captured = capture();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..500_000).for_each(|_| BOTH.add(1, ["a"])));
            }
        });
        assert_eq!(captured.value("both{k=a}"), 1_000_000.0);
    }
}
