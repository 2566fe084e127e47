//! Operations: how long they take, how they end, which take too long.
//!
//! A guard knows when it began; what it says when it is dropped is the operation's outcome.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Histogram};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::clock::Started;
use crate::entry::{Detail, Entry};
use crate::family::{Each, Family, sorted};
use crate::meter::{self, Cell, Instruments};
use crate::names;
use crate::observe::{self, Observed, Seen};
use crate::outcome::{Outcome, kind_of};
use crate::settings::settings;
use crate::window::Window;

/// Kinds of errors that an operation has series of its own for; others are `_OTHER`.
const ERROR_KINDS_MAX: usize = 32;

/// Something that is done many times: a request handled, an order placed, a search.
///
/// ```
/// use sidelight::Operation;
/// use std::time::Duration;
///
/// static PLACE: Operation = Operation::new("order.place").threshold(Duration::from_millis(200)).active();
///
/// fn place(id: &str) -> Result<u32, std::num::ParseIntError> {
///     PLACE.run(|| id.parse())
/// }
///
/// {
///     let _order = PLACE.start(); // recorded when it goes: `ok`, or `panic`
/// }
/// assert_eq!(place("7"), Ok(7));
/// ```
///
/// Metrics: `sidelight.operation.duration` (s) by `operation.name`, `outcome` and `error.type`; its least and greatest since
/// the last collection, `.duration.min` and `.max`; `sidelight.operation.threshold.exceeded`; `sidelight.operation.active`.
///
/// Cost: that of two readings of the clock and the bare SDK's histogram; numbers are in the README. No allocation but for the
/// first record, a kind of error that is new, and an operation over its threshold. Limits: 32 kinds of errors each, others are
/// `_OTHER`; 1,000 series over all operations; one warning a second for each.
#[derive(Debug)]
pub struct Operation {
    name: &'static str,
    threshold_seconds: f64,
    slo: Option<&'static str>,
    active: bool,
    detail: Detail,
    on: AtomicBool,
    cell: Cell<Bound>,
    state: OnceLock<Arc<State>>,
    warned: Mutex<Started>,
}

struct Bound {
    by_outcome: Each<4, BoundHistogram<f64>>,
    /// The attributes of one that failed, but for the kind of error.
    failed: Vec<KeyValue>,
    by_error: Family<1, BoundHistogram<f64>>,
    durations: Histogram<f64>,
    exceeded: BoundCounter<u64>,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    attributes: [KeyValue; 1],
    counts_active: bool,
    active: AtomicI64,
    /// Of seconds as their bits, which are in their order.
    window: Window,
}

impl Operation {
    /// What takes longer is slow, unless the operation says otherwise: 2 s.
    pub const DEFAULT_THRESHOLD: Duration = Duration::from_secs(2);

    /// Defines an operation; `name` is one of few: `order.place`, never with an id in it.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            threshold_seconds: Self::DEFAULT_THRESHOLD.as_secs_f64(),
            slo: None,
            active: false,
            detail: Detail::NONE,
            on: AtomicBool::new(true),
            cell: Cell::new(),
            state: OnceLock::new(),
            warned: Mutex::new(Started::NEVER),
        }
    }

    /// Says how long it may take ([`DEFAULT_THRESHOLD`](Self::DEFAULT_THRESHOLD) if not said): longer ones are counted and warned
    /// of, at most once a second, and the current span gets `sidelight.slow=true`. `Duration::MAX` switches that off.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// static SEARCH: sidelight::Operation = sidelight::Operation::new("search").threshold(Duration::from_millis(300));
    /// static NIGHTLY: sidelight::Operation = sidelight::Operation::new("nightly").threshold(Duration::MAX); // never slow
    /// # _ = (SEARCH.name(), NIGHTLY.name());
    /// ```
    #[must_use]
    pub const fn threshold(mut self, threshold: Duration) -> Self {
        self.threshold_seconds = threshold.as_secs_f64();
        self
    }

    /// Names the service level objective that it counts for: attribute `sidelight.slo` of its durations.
    ///
    /// ```
    /// static CHECKOUT: sidelight::Operation = sidelight::Operation::new("checkout").slo("api").active();
    /// # _ = CHECKOUT.name();
    /// ```
    #[must_use]
    pub const fn slo(mut self, name: &'static str) -> Self {
        self.slo = Some(name);
        self
    }

    /// Counts those in flight, too.
    #[must_use]
    pub const fn active(mut self) -> Self {
        self.active = true;
        self
    }

    settings!("operations", "Operation", "Operation::new(\"order.place\")");

    /// Starts one. Dropped while panicking it is a `panic`, else `ok`, unless the guard was told otherwise.
    ///
    /// ```
    /// static RENDER: sidelight::Operation = sidelight::Operation::new("render");
    ///
    /// let render = RENDER.start();
    /// // ... the work, by any way out
    /// drop(render); // recorded; as it is at the end of its scope
    /// ```
    #[inline]
    pub fn start(&self) -> InFlight<'_> {
        let on = self.on.load(Ordering::Relaxed);
        let counted = on && self.active;
        if counted {
            self.state().active.fetch_add(1, Ordering::Relaxed);
        }
        let panicking = std::thread::panicking();
        let start = if on { Started::now() } else { Started::NEVER };
        InFlight { operation: self, start, on, counted, panicking, outcome: Outcome::Ok, error: "" }
    }

    /// Runs one that ends with a result; an error's kind is that of [`error_kind`](crate::error_kind), else the name of its
    /// type.
    ///
    /// ```
    /// static PARSE: sidelight::Operation = sidelight::Operation::new("price.parse");
    ///
    /// assert_eq!(PARSE.run(|| "17".parse::<u32>()), Ok(17)); // outcome="ok"
    /// assert!(PARSE.run(|| "free".parse::<u32>()).is_err()); // outcome="error", error.type="parse_error"
    /// ```
    ///
    /// # Errors
    /// What `f` returns.
    pub fn run<T, E: std::error::Error + 'static>(
        &self,
        f: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut one = self.start();
        let result = f();
        if let Err(error) = &result {
            one.fail(kind_of(error));
        }
        result
    }

    /// Runs a future that ends with a result as one: it starts when first polled, and is `cancelled` when dropped before its
    /// end. An error's kind is that of [`run`](Self::run).
    ///
    /// ```
    /// # async fn example() {
    /// static SYNC: sidelight::Operation = sidelight::Operation::new("stock.sync");
    /// let total = SYNC.watch(async { "17".parse::<u32>() }).await;
    /// # assert_eq!(total, Ok(17));
    /// # }
    /// ```
    pub fn watch<T, E, F>(&self, future: F) -> Watched<'_, F>
    where
        E: std::error::Error + 'static,
        F: Future<Output = Result<T, E>>,
    {
        let error = |result: &Result<T, E>| result.as_ref().err().map(kind_of);
        Watched { operation: self, one: None, error, future }
    }

    /// Runs a future that cannot fail as one, as [`watch`](Self::watch) does: what it ends with is `ok`.
    ///
    /// ```
    /// # async fn example() {
    /// static COUNT: sidelight::Operation = sidelight::Operation::new("stock.count");
    /// let total = COUNT.watch_infallible(async { 2 + 2 }).await;
    /// # assert_eq!(total, 4);
    /// # }
    /// ```
    pub fn watch_infallible<F: Future>(&self, future: F) -> Watched<'_, F> {
        Watched { operation: self, one: None, error: |_| None, future }
    }

    /// Records one that was timed elsewhere.
    ///
    /// ```
    /// use sidelight::{Operation, Outcome};
    /// use std::time::Duration;
    ///
    /// static BATCH: Operation = Operation::new("batch");
    ///
    /// BATCH.record(Outcome::Ok, Duration::from_millis(20));
    /// BATCH.record_error("disk_full", Duration::from_millis(3));
    /// ```
    #[inline]
    pub fn record(&self, outcome: Outcome, duration: Duration) {
        self.record_with(outcome, "", duration.as_secs_f64());
    }

    /// Records a failed one that was timed elsewhere; `kind` is one of few words.
    pub fn record_error(&self, kind: &str, duration: Duration) {
        self.record_with(Outcome::Error, kind, duration.as_secs_f64());
    }

    #[inline]
    fn record_with(&self, outcome: Outcome, error: &str, seconds: f64) {
        if self.on.load(Ordering::Relaxed) {
            self.record_on(outcome, error, seconds);
        }
    }

    /// What was bound before is told in registers: a closure that could bind, too, would come by memory, 3 ns more.
    #[inline(never)]
    fn record_on(&self, outcome: Outcome, error: &str, seconds: f64) {
        match self.cell.bound() {
            Some(bound) => self.record_into(bound, outcome, error, seconds),
            None => self.record_first(outcome, error, seconds),
        }
    }

    #[cold]
    fn record_first(&self, outcome: Outcome, error: &str, seconds: f64) {
        let record = |bound: &Bound| self.record_into(bound, outcome, error, seconds);
        self.cell.with(|instruments| self.bind(instruments), record);
    }

    #[inline]
    fn record_into(&self, bound: &Bound, outcome: Outcome, error: &str, seconds: f64) {
        if !error.is_empty() {
            Self::record_failed(bound, error, seconds);
        } else if let Some(known) = bound.by_outcome.known(outcome as usize) {
            known.record(seconds);
        } else {
            self.record_outcome(bound, outcome, seconds);
        }
        bound.state.window.record(seconds.to_bits());
        if seconds > self.threshold_seconds {
            self.exceeded(bound, seconds);
        }
        if self.detail.wanted() {
            self.tell(outcome, error, seconds);
        }
    }

    #[inline(never)]
    fn record_failed(bound: &Bound, error: &str, seconds: f64) {
        let bind = |attributes: &[KeyValue]| bound.durations.bind(attributes);
        bound.by_error.get(&bound.failed, &["error.type"], [error], bind).record(seconds);
    }

    /// The first of an outcome.
    #[cold]
    fn record_outcome(&self, bound: &Bound, outcome: Outcome, seconds: f64) {
        let attributes = || sorted(&self.fixed(), &[("outcome", outcome.as_str())]);
        let bind = || bound.durations.bind(&attributes());
        bound.by_outcome.with(outcome as usize, bind, |of| of.record(seconds));
    }

    #[cold]
    fn tell(&self, outcome: Outcome, error: &str, seconds: f64) {
        let entry = Entry {
            family: "operation",
            name: self.name,
            outcome: outcome.as_str(),
            duration: Duration::try_from_secs_f64(seconds).ok(),
            reason: Some(error),
        };
        entry.tell();
    }

    #[cold]
    fn exceeded(&self, bound: &Bound, seconds: f64) {
        bound.exceeded.add(1);
        mark_slow(&tracing::Span::current());
        let Ok(mut warned) = self.warned.try_lock() else { return };
        if warned.elapsed().is_none_or(|since| since >= Duration::from_secs(1)) {
            *warned = Started::now();
            drop(warned);
            tracing::warn!(
                target: "sidelight",
                operation = self.name,
                duration_seconds = seconds,
                threshold_seconds = self.threshold_seconds,
                "an operation exceeded its threshold"
            );
        }
    }

    fn fixed(&self) -> Vec<KeyValue> {
        let mut fixed = vec![KeyValue::new("operation.name", self.name)];
        fixed.extend(self.slo.map(|slo| KeyValue::new("sidelight.slo", slo)));
        fixed
    }

    #[cold]
    fn bind(&self, instruments: &Instruments) -> Bound {
        let durations = instruments.histogram(&names::OPERATION_DURATION);
        let threshold = KeyValue::new("threshold", self.threshold_seconds);
        let exceeded = instruments.counter(&names::OPERATION_THRESHOLD_EXCEEDED);
        let exceeded = exceeded.bind(&[KeyValue::new("operation.name", self.name), threshold]);
        let state = Arc::clone(self.state());
        let by_error = Family::open(ERROR_KINDS_MAX, 0);
        let failed = sorted(&self.fixed(), &[("outcome", Outcome::Error.as_str())]);
        Bound { by_outcome: Each::new(), failed, by_error, durations, exceeded, state }
    }

    fn state(&self) -> &Arc<State> {
        self.state.get_or_init(|| {
            let state = Arc::new(State {
                attributes: [KeyValue::new("operation.name", self.name)],
                counts_active: self.active,
                active: AtomicI64::new(0),
                window: Window::default(),
            });
            let observed: Weak<State> = Arc::downgrade(&state);
            observe::register(observed);
            state
        })
    }
}

/// Marks a span, which keeps what it is told twice: not again where it was the last that this thread marked.
fn mark_slow(span: &tracing::Span) {
    thread_local! {
        static MARKED: RefCell<Option<tracing::Id>> = const { RefCell::new(None) };
    }
    let id = span.id();
    let new = MARKED.try_with(|marked| marked.replace(id.clone()) != id).unwrap_or(true);
    if new {
        span.set_attribute("sidelight.slow", true);
    }
}

impl Observed for State {
    fn observe(&self, seen: &mut Seen) {
        if self.counts_active {
            let active = self.active.load(Ordering::Relaxed) as f64;
            seen.push(&names::OPERATION_ACTIVE, &self.attributes, active);
        }
        if let Some((least, greatest)) = self.window.extremes() {
            seen.push(&names::OPERATION_MIN, &self.attributes, f64::from_bits(least));
            seen.push(&names::OPERATION_MAX, &self.attributes, f64::from_bits(greatest));
        }
    }
}

/// One operation that has not ended; it is recorded when this is dropped. See [`Operation::start`].
///
/// ```
/// use sidelight::{Operation, Outcome};
///
/// static IMPORT: Operation = Operation::new("import");
///
/// let mut import = IMPORT.start();
/// match "17".parse::<u32>() {
///     Ok(0) => import.discard(), // nothing was there to import
///     Ok(_) => import.outcome(Outcome::Ok),
///     Err(_) => import.fail("not_a_number"),
/// }
/// ```
#[derive(Debug)]
#[must_use = "it records when it is dropped"]
pub struct InFlight<'a> {
    operation: &'a Operation,
    start: Started,
    on: bool,
    counted: bool,
    /// What started while a panic unwinds did not panic itself.
    panicking: bool,
    outcome: Outcome,
    error: &'static str,
}

impl InFlight<'_> {
    /// Says that it failed; `kind` is one of few words.
    pub fn fail(&mut self, kind: &'static str) {
        self.outcome = Outcome::Error;
        self.error = kind;
    }

    /// Says how it ends from here on, unless told otherwise again: for a future, `Cancelled` until it is ready.
    #[inline]
    pub fn outcome(&mut self, outcome: Outcome) {
        self.outcome = outcome;
        self.error = "";
    }

    /// Records nothing.
    pub fn discard(mut self) {
        self.on = false;
    }
}

impl Drop for InFlight<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.counted {
            self.operation.state().active.fetch_sub(1, Ordering::Relaxed);
        }
        if !self.on {
            return;
        }
        let Some(elapsed) = self.start.elapsed_seconds() else { return meter::drop_record() };
        let panicked = !self.panicking && std::thread::panicking();
        let (outcome, error) =
            if panicked { (Outcome::Panic, "") } else { (self.outcome, self.error) };
        self.operation.record_on(outcome, error, elapsed);
    }
}

pin_project_lite::pin_project! {
    /// A future that is one operation; see [`Operation::watch`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// static SYNC: sidelight::Operation = sidelight::Operation::new("stock.sync");
    ///
    /// let synced = SYNC.watch_infallible(async { 7 }); // not begun: nothing is recorded if it is dropped here
    /// assert_eq!(synced.await, 7);
    /// # });
    /// ```
    #[must_use = "futures do nothing unless polled"]
    pub struct Watched<'a, F: Future> {
        operation: &'a Operation,
        one: Option<InFlight<'a>>,
        error: fn(&F::Output) -> Option<&'static str>,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Watched<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        // Held here while the future runs: a panic drops it while it unwinds.
        let mut one = this.one.take().unwrap_or_else(|| {
            let mut one = this.operation.start();
            one.outcome(Outcome::Cancelled);
            one
        });
        let ready = this.future.poll(context);
        match &ready {
            Poll::Ready(value) => {
                one.outcome(Outcome::Ok);
                if let Some(kind) = (this.error)(value) {
                    one.fail(kind);
                }
            }
            Poll::Pending => *this.one = Some(one),
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captured::{Captured, capture};

    fn durations(captured: &Captured, of: &str) -> f64 {
        captured.value(&format!("sidelight.operation.duration{{{of}}}"))
    }

    #[test]
    fn an_error_has_the_same_kind_by_hand_as_by_the_attribute() {
        #[derive(Debug, thiserror::Error)]
        #[error("no")]
        struct SoldOut;
        static OP: Operation = Operation::new("kinds");
        let captured = capture();
        OP.run(|| Err::<(), _>(SoldOut)).unwrap_err();
        let of = "error.type=SoldOut,operation.name=kinds,outcome=error";
        assert_eq!(durations(&captured, of), 1.0);
    }

    #[test]
    fn an_operation_ends_as_it_ends() {
        static OP: Operation = Operation::new("ends").active().slo("api");
        let captured = capture();
        drop(OP.start());
        OP.run(|| "x".parse::<u8>()).unwrap_err();
        OP.start().fail("sold_out");
        OP.start().discard();
        let panics = std::panic::catch_unwind(|| {
            let _one = OP.start();
            panic!("no");
        });
        assert!(panics.is_err());
        drop(OP.watch_infallible(std::future::pending::<()>()));
        let mut watched = Box::pin(OP.watch_infallible(std::future::pending::<()>()));
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(watched.as_mut().poll(&mut context).is_pending());
        assert_eq!(captured.value("sidelight.operation.active{operation.name=ends}"), 1.0);
        drop(watched);
        let mut ready = Box::pin(OP.watch_infallible(async { 7 }));
        assert_eq!(ready.as_mut().poll(&mut context), Poll::Ready(7));
        let mut failed = Box::pin(OP.watch(async { "x".parse::<u8>() }));
        assert!(matches!(failed.as_mut().poll(&mut context), Poll::Ready(Err(_))));
        let of = |rest| durations(&captured, &format!("{rest},sidelight.slo=api"));
        assert_eq!(of("operation.name=ends,outcome=ok"), 2.0);
        assert_eq!(of("error.type=parse_error,operation.name=ends,outcome=error"), 2.0);
        assert_eq!(of("error.type=sold_out,operation.name=ends,outcome=error"), 1.0);
        assert_eq!(of("operation.name=ends,outcome=panic"), 1.0);
        assert_eq!(of("operation.name=ends,outcome=cancelled"), 1.0);
        assert_eq!(captured.value("sidelight.operation.active{operation.name=ends}"), 0.0);
    }

    #[test]
    fn what_takes_longer_than_its_threshold_is_counted_and_extremes_are_kept() {
        static OP: Operation = Operation::new("slow").threshold(Duration::from_millis(500));
        let captured = capture();
        for millis in [20, 500, 501, 900] {
            OP.record(Outcome::Ok, Duration::from_millis(millis));
        }
        let exceeded = "sidelight.operation.threshold.exceeded{operation.name=slow,threshold=0.5}";
        let all = captured.all();
        assert_eq!(all.get(exceeded), Some(&2.0));
        assert_eq!(all.get("sidelight.operation.duration.max{operation.name=slow}"), Some(&0.9));
        assert_eq!(all.get("sidelight.operation.duration.min{operation.name=slow}"), Some(&0.02));
        let of_nothing = captured.of("sidelight.operation.duration.max{operation.name=slow");
        assert_eq!(of_nothing, [], "nothing since the collection");
    }

    #[test]
    fn kinds_of_errors_are_bounded() {
        static OP: Operation = Operation::new("many");
        let captured = capture();
        (0..100).for_each(|at| OP.record_error(&format!("user-{at}"), Duration::ZERO));
        let kinds = captured.of("sidelight.operation.duration{error.type=user-");
        assert_eq!(kinds.len(), ERROR_KINDS_MAX);
        let others = "error.type=_OTHER,operation.name=many,outcome=error";
        assert_eq!(durations(&captured, others), 68.0);
    }
}
