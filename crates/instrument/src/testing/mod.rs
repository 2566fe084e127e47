//! Captures what a test records, and asserts on it: metrics, spans and log lines, without a network.
//!
//! ```
//! use sidelight::{Cache, CacheKind};
//!
//! static USERS: Cache = Cache::new("users").kind(CacheKind::Application);
//!
//! let captured = sidelight::testing::capture();
//! for key in ["a", "b", "a"] {
//!     USERS.get(|| (key == "a").then_some(1));
//! }
//! captured.metric("sidelight.cache.requests").attr("cache.result", "hit").assert_eq(2);
//! captured.metric("sidelight.cache.requests").attr("cache.result", "miss").assert_eq(1);
//! ```
//!
//! Captures of one process take turns, since handles are the process's: a test that records while it captures nothing is
//! seen by whoever captures at that time. Ids of traces and spans count up from 1 in the order in which they begin.

mod metrics;
mod sinks;
mod spans;

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use tracing::subscriber::DefaultGuard;

pub use metrics::MetricMatch;
pub use spans::SpanMatch;

use sinks::{MetricSink, Sinks};

use crate::{layer, meter, names, observe};

static TURN: Mutex<()> = Mutex::new(());

std::thread_local! {
    static CAPTURES: Cell<bool> = const { Cell::new(false) };
}

/// Captures everything that handles and `tracing` record from here on, until it is dropped. Waits until other captures of
/// the process have ended.
///
/// # Panics
///
/// Where the thread has a capture that has not ended, as within `#[sidelight::test]`: it would wait for itself.
pub fn capture() -> Capture {
    let captures = CAPTURES.get();
    assert!(!captures, "this thread captures already: drop that capture first, or use it");
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let sinks = sinks::begin();
    let reader = PeriodicReader::builder(MetricSink(Arc::clone(&sinks)))
        .with_interval(std::time::Duration::MAX)
        .build();
    let meters = SdkMeterProvider::builder().with_reader(reader).with_view(names::view).build();
    let installed = meter::install(meters.meter(names::SCOPE));
    let direct = layer::install(sinks::tracer());
    let scoped = sinks::subscribe();
    CAPTURES.set(true);
    Capture {
        sinks,
        meters,
        _installed: installed,
        _direct: direct,
        _scoped: scoped,
        _turn: turn,
        _here: PhantomData,
    }
}

/// Runs a test's future on a single-threaded runtime of tokio's: for `#[sidelight::test]`.
#[doc(hidden)]
pub fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime for a test").block_on(future)
}

/// What was recorded since [`capture`].
///
/// ```
/// use sidelight::{Cache, testing};
///
/// static USERS: Cache = Cache::new("users");
///
/// let captured = testing::capture();
/// tracing::info_span!("user.find").in_scope(|| {
///     let nobody: Option<u64> = USERS.get(|| None);
///     tracing::info!(?nobody, "looked");
/// });
/// captured.metric("sidelight.cache.requests").attr("cache.result", "miss").assert_eq(1);
/// captured.span("user.find").assert_count(1);
/// assert_eq!(captured.logs_json()[0]["message"], "looked");
/// ```
#[must_use = "what is recorded is captured until this is dropped"]
pub struct Capture {
    sinks: Arc<Sinks>,
    meters: SdkMeterProvider,
    _installed: meter::Installed,
    _direct: layer::Installed,
    _scoped: Option<DefaultGuard>,
    _turn: MutexGuard<'static, ()>,
    _here: PhantomData<*const ()>,
}

impl Capture {
    /// The series of a metric, as an exporter would see them at this moment.
    ///
    /// # Panics
    ///
    /// Where metrics cannot be collected.
    pub fn metric(&self, name: &str) -> MetricMatch {
        observe::refresh();
        self.meters.force_flush().expect("metrics are collected");
        MetricMatch::new(name, self.sinks.metrics())
    }

    /// The spans of that name which ended.
    pub fn span(&self, name: &str) -> SpanMatch {
        SpanMatch::new(name, self.sinks.spans())
    }

    /// The log lines, as the JSON that would be on standard output.
    ///
    /// # Panics
    ///
    /// On a line that is not JSON, which would be a bug here.
    #[must_use]
    pub fn logs_json(&self) -> Vec<serde_json::Value> {
        let lines = self.sinks.lines();
        lines.lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        CAPTURES.set(false);
        sinks::end();
        _ = self.meters.shutdown();
    }
}
