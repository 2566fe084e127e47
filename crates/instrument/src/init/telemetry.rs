//! The guard: what keeps telemetry alive, and ends it in order.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::LoggerProvider;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::sync::oneshot;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::error::FlushError;
use super::io::IoThread;
use super::outage::{Counts, Ledger};
use super::providers::{Providers, Wish};
use super::signal::Signal;
use super::signals;
use super::subscriber;
use super::turns::Asked;
use crate::layer::{self, trimmed};
use crate::logs::OtlpLogs;
use crate::panic_hook::{self, Recorder};
use crate::{meter, names};

/// How much longer than its exporters the I/O thread may take to end.
const IO_END_MAX: Duration = Duration::from_millis(500);

static CLAIMED: AtomicBool = AtomicBool::new(false);

/// The process's one telemetry, until dropped.
#[derive(Debug)]
pub(crate) struct Claim(());

impl Claim {
    pub(crate) fn take() -> Option<Self> {
        (!CLAIMED.swap(true, Ordering::AcqRel)).then_some(Self(()))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        CLAIMED.store(false, Ordering::Release);
    }
}

/// What a guard is made of.
pub(crate) struct TelemetryParts {
    pub(crate) providers: Providers,
    pub(crate) io: IoThread,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) claim: Option<Claim>,
    pub(crate) resource: Resource,
    pub(crate) enabled: bool,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) context_activation: bool,
    pub(crate) log_value_length: Option<usize>,
    pub(crate) panic_hook: bool,
}

/// Running telemetry. Keep it until the end of `main`: dropping it delivers what was recorded, in at most
/// [`shutdown_timeout`](super::Init::shutdown_timeout).
///
/// ```no_run
/// use opentelemetry::metrics::MeterProvider as _;
///
/// let telemetry = sidelight::init("checkout").start()?;
/// telemetry.install_signal_flush()?; // a program that does not handle SIGTERM itself
/// let rows = telemetry.meter_provider().meter("import").u64_counter("rows").build();
/// rows.add(17, &[]);
/// telemetry.flush_blocking()?; // before a checkpoint, say
/// assert_eq!(telemetry.counts(sidelight::init::Signal::Metrics).failed, 0);
/// telemetry.shutdown()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping the guard ends telemetry: keep it until the end of main"]
pub struct Telemetry {
    shared: Arc<Shared>,
    _panics: Option<Arc<Recorder>>,
    _claim: Option<Claim>,
    context_activation: bool,
    enabled: bool,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").field("resource", &self.shared.resource).finish_non_exhaustive()
    }
}

/// What the panic hook and the signal thread hold too.
pub(crate) struct Shared {
    providers: Providers,
    io: IoThread,
    ledger: Arc<Ledger>,
    resource: Resource,
    log_value_length: Option<usize>,
    shutdown_timeout: Duration,
    /// The process that it was started in.
    process: u32,
    installed: Mutex<Option<(meter::Installed, layer::Installed)>>,
    ended: AtomicBool,
    ending: Mutex<()>,
    /// Flushes by panics.
    asked: Arc<Asked>,
}

impl Telemetry {
    pub(crate) fn new(parts: TelemetryParts) -> Self {
        let scope = InstrumentationScope::builder(names::SCOPE)
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        if parts.enabled {
            parts.ledger.tell(&parts.providers.meter.meter_with_scope(scope.clone()));
        }
        let installed = (parts.claim.is_some() && parts.enabled).then(|| {
            let meter = parts.providers.meter.meter_with_scope(scope);
            (meter::install(meter), layer::install(&parts.providers.tracer))
        });
        let shared = Arc::new(Shared {
            providers: parts.providers,
            io: parts.io,
            ledger: parts.ledger,
            resource: parts.resource,
            log_value_length: parts.log_value_length,
            shutdown_timeout: parts.shutdown_timeout,
            process: std::process::id(),
            installed: Mutex::new(installed),
            ended: AtomicBool::new(false),
            ending: Mutex::new(()),
            asked: Arc::default(),
        });
        let panics = (parts.panic_hook && parts.enabled).then(|| recorder(&shared));
        if let Some(panics) = &panics {
            panic_hook::install(panics);
        }
        Self {
            shared,
            _panics: panics,
            _claim: parts.claim,
            context_activation: parts.context_activation,
            enabled: parts.enabled,
        }
    }

    /// The layer for an application's own subscriber: spans, and log records over OTLP. What it writes itself stays its own.
    /// An event within a span is a log record of that span; one of level ERROR is an event of the span, too, and makes the span
    /// failed. With `OTEL_SDK_DISABLED` there are no spans: the caller's trace is passed on as it came, but for tasks that are
    /// spawned.
    ///
    /// ```no_run
    /// use tracing_subscriber::prelude::*;
    ///
    /// let telemetry = sidelight::init("checkout").without_subscriber().start()?;
    /// tracing_subscriber::registry().with(telemetry.layer()).with(tracing_subscriber::fmt::layer()).init();
    /// # Ok::<(), sidelight::init::StartError>(())
    /// ```
    #[must_use = "add it to a subscriber"]
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let spans = self.enabled.then(|| {
            let spans = trimmed::<S>(&self.shared.providers.tracer, self.context_activation);
            // As a span event as well each line would be written, sent and kept twice.
            spans.with_filter(filter_fn(|of| of.is_span() || *of.level() == Level::ERROR))
        });
        let logger = self.shared.providers.logger.logger(names::SCOPE);
        Layer::and_then(spans, OtlpLogs::new(logger, self.shared.log_value_length))
    }

    /// Delivers what was recorded so far.
    ///
    /// ```
    /// # async fn example(telemetry: &sidelight::Telemetry) {
    /// if let Err(error) = telemetry.flush().await {
    ///     eprintln!("not everything was delivered: {error}");
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When that took longer than the bound, or the endpoint did not take it.
    ///
    /// # Cancel safety
    ///
    /// The flush goes on when the future is dropped.
    pub async fn flush(&self) -> Result<(), FlushError> {
        let shared = Arc::clone(&self.shared);
        let (done, result) = oneshot::channel();
        let flushing =
            std::thread::Builder::new().name("sidelight-flush".to_owned()).spawn(move || {
                _ = done.send(shared.flush(shared.shutdown_timeout));
            });
        if flushing.is_err() {
            return self.flush_blocking();
        }
        result.await.unwrap_or(Err(FlushError::Timeout(self.shared.shutdown_timeout)))
    }

    /// Delivers what was recorded so far, and blocks the thread until then.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    pub fn flush_blocking(&self) -> Result<(), FlushError> {
        self.shared.flush(self.shared.shutdown_timeout)
    }

    /// Ends telemetry as dropping does, and says how that went.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    pub fn shutdown(self) -> Result<(), FlushError> {
        self.shared.shutdown()
    }

    /// Delivers what was recorded when SIGTERM or SIGINT comes, then lets the signal do what it does by default: end the
    /// process. The first process of a container, which signals do not end by default, is ended with the code 143 or 130. For
    /// programs that do not handle these signals themselves; those that do just drop the guard.
    ///
    /// ```no_run
    /// let telemetry = sidelight::init("worker").start()?;
    /// telemetry.install_signal_flush()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the handler cannot be installed.
    pub fn install_signal_flush(&self) -> std::io::Result<()> {
        let ended = Arc::downgrade(&self.shared);
        signals::install(move || {
            if let Some(shared) = ended.upgrade() {
                _ = shared.shutdown();
            }
        })
    }

    /// How many records of a signal were delivered and dropped since the start.
    #[must_use]
    pub fn counts(&self, signal: Signal) -> Counts {
        self.shared.ledger.counts(signal)
    }

    /// Who is speaking.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        &self.shared.resource
    }

    /// The provider of traces, for OpenTelemetry's own API. With `OTEL_SDK_DISABLED` its spans are none.
    #[must_use]
    pub fn tracer_provider(&self) -> &SdkTracerProvider {
        &self.shared.providers.tracer
    }

    /// The provider of metrics, for OpenTelemetry's own API.
    #[must_use]
    pub fn meter_provider(&self) -> &SdkMeterProvider {
        &self.shared.providers.meter
    }

    /// The provider of logs, for OpenTelemetry's own API.
    #[must_use]
    pub fn logger_provider(&self) -> &SdkLoggerProvider {
        &self.shared.providers.logger
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Err(error) = self.shared.shutdown() {
            subscriber::warn(&error.to_string());
        }
        if self.shared.forked() {
            // The providers' own end would wait for threads that are in the parent.
            std::mem::forget(Arc::clone(&self.shared));
        }
    }
}

/// Does not keep what it flushes alive.
fn recorder(shared: &Arc<Shared>) -> Arc<Recorder> {
    let flushed = Arc::downgrade(shared);
    Arc::new(Recorder {
        panics: shared
            .providers
            .meter
            .meter(names::SCOPE)
            .u64_counter(names::PANICS.name)
            .with_unit(names::PANICS.unit)
            .with_description(names::PANICS.description)
            .build(),
        logger: shared.providers.logger.logger(names::SCOPE),
        flush: Box::new(move |wait| {
            if let Some(shared) = flushed.upgrade() {
                shared.flush_beside(wait);
            }
        }),
    })
}

impl Shared {
    fn forked(&self) -> bool {
        std::process::id() != self.process
    }

    pub(crate) fn flush(&self, bound: Duration) -> Result<(), FlushError> {
        if self.forked() {
            return Err(FlushError::Forked);
        }
        self.providers.all(Wish::Flush, bound)
    }

    /// Once; the second time there is nothing to do.
    pub(crate) fn shutdown(&self) -> Result<(), FlushError> {
        if self.forked() {
            return Err(FlushError::Forked);
        }
        // A signal that comes while the guard is dropped waits for that before it ends the process.
        let _ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        if self.ended.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let bound = self.shutdown_timeout;
        let result = self.providers.all(Wish::Shutdown, bound);
        // After the last collection, which asks the observers once more.
        drop(self.installed.lock().unwrap_or_else(PoisonError::into_inner).take());
        let ended = self.io.stop(IO_END_MAX);
        if ended { result } else { result.and(Err(FlushError::Timeout(bound))) }
    }

    /// Lets another thread flush; `wait` for at most that long.
    pub(crate) fn flush_beside(self: &Arc<Self>, wait: Option<Duration>) {
        if self.forked() || self.ended.load(Ordering::Acquire) {
            return;
        }
        let shared = Arc::clone(self);
        let Some(wait) = wait else {
            self.asked.ask(move || _ = shared.flush(shared.shutdown_timeout));
            return;
        };
        let (done, ended) = std::sync::mpsc::sync_channel(1);
        let flush = move || _ = done.send(shared.flush(wait));
        let thread = std::thread::Builder::new().name("sidelight-flush".to_owned()).spawn(flush);
        if thread.is_ok() {
            _ = ended.recv_timeout(wait);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Counter;
    use crate::captured::alone;
    use crate::init::init;

    #[test]
    fn whoever_ends_it_second_waits_for_the_first() {
        struct Slow(std::sync::mpsc::SyncSender<()>, Arc<AtomicBool>);
        impl crate::init::Deliver for Slow {
            fn deliver(&self, _: Signal, _: Vec<u8>) -> crate::init::Delivering {
                self.0.send(()).unwrap();
                std::thread::park_timeout(Duration::from_millis(50));
                self.1.store(true, Ordering::Release);
                Box::pin(async { Ok(()) })
            }
        }
        let (begin, begun) = std::sync::mpsc::sync_channel(8);
        let delivered = Arc::new(AtomicBool::new(false));
        let slow = Slow(begin, Arc::clone(&delivered));
        let telemetry = init("twice").local().deliver(slow).start_with(&|_| None).unwrap();
        telemetry.meter_provider().meter("test").u64_counter("orders").build().add(1, &[]);
        let shared = Arc::clone(&telemetry.shared);
        let first = std::thread::spawn(move || telemetry.shutdown());
        begun.recv().unwrap();
        shared.shutdown().unwrap();
        assert!(delivered.load(Ordering::Acquire));
        first.join().unwrap().unwrap();
    }

    #[test]
    fn what_whoever_runs_the_program_switched_off_is_not_missed_by_handles() {
        static ORDERS: Counter<0> = Counter::new("disabled.orders");
        let _alone = alone();
        let before = meter::dropped();
        let disabled = |name: &str| (name == "OTEL_SDK_DISABLED").then(|| "true".to_owned());
        let init = || init("disabled").without_subscriber().without_panic_hook();
        let telemetry = init().start_with(&disabled).unwrap();
        ORDERS.add(1, []);
        telemetry.shutdown().unwrap();
        ORDERS.add(1, []);
        assert_eq!(meter::dropped(), before);
        let nowhere = |name: &str| name.ends_with("_EXPORTER").then(|| "none".to_owned());
        init().start_with(&nowhere).unwrap().shutdown().unwrap();
        ORDERS.add(1, []);
        assert_eq!(meter::dropped(), before + 1);
    }

    #[cfg(feature = "http")]
    #[test]
    fn what_is_switched_off_passes_the_callers_trace_on_as_it_came() {
        use http::{Request, Response};
        use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
        use tower::{ServiceExt as _, service_fn};
        use tower_layer::Layer as _;
        use tracing::level_filters::LevelFilter;
        use tracing_subscriber::layer::SubscriberExt as _;

        const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        type Asked = Request<http_body_util::Empty<&'static [u8]>>;
        let _alone = alone();
        let disabled = |name: &str| (name == "OTEL_SDK_DISABLED").then(|| "true".to_owned());
        let telemetry = init("disabled").without_subscriber().start_with(&disabled).unwrap();
        let spans = tracing_subscriber::registry().with(telemetry.layer());
        let spans = tracing::subscriber::set_default(spans);
        let stock = crate::http::client().layer(service_fn(async |request: Asked| {
            let mut answer = Response::new(http_body_util::Empty::<&'static [u8]>::new());
            *answer.headers_mut() = request.headers().clone();
            Ok::<_, std::convert::Infallible>(answer)
        }));
        let shop = crate::http::server().layer(service_fn(move |_: Asked| {
            let asked = Request::get("http://stock.local/").body(Default::default()).unwrap();
            stock.clone().oneshot(asked)
        }));
        let sent = |trace: Option<&str>| {
            let mut asked: Asked = Request::get("/").body(Default::default()).unwrap();
            if let Some(trace) = trace {
                asked.headers_mut().insert("traceparent", trace.parse().unwrap());
            }
            let mut answer = Box::pin(shop.clone().oneshot(asked));
            let context = &mut std::task::Context::from_waker(std::task::Waker::noop());
            let std::task::Poll::Ready(answer) = answer.as_mut().poll(context) else {
                panic!("waits")
            };
            let trace = answer.unwrap().headers().get("traceparent").cloned();
            trace.map(|trace| trace.to_str().unwrap().to_owned())
        };
        assert_eq!(sent(Some(TRACE)).as_deref(), Some(TRACE));
        assert_eq!(sent(None), None, "no parent that never arrives");
        let own = telemetry.tracer_provider().tracer("own").start("work");
        assert!(!own.span_context().is_valid());
        let global = opentelemetry::global::tracer("global").start("work");
        assert!(!global.span_context().is_valid());
        // As with RUST_LOG=off.
        drop(spans);
        let silent = tracing_subscriber::registry().with(LevelFilter::OFF);
        let _silent = tracing::subscriber::set_default(silent);
        assert_eq!(sent(Some(TRACE)).as_deref(), Some(TRACE));
        drop(telemetry);
        meter::set_unwanted(false);
    }

    #[test]
    fn after_a_fork_the_child_leaves_delivery_to_the_parent() {
        let mut telemetry = init("forked").local().start_with(&|_| None).unwrap();
        Arc::get_mut(&mut telemetry.shared).unwrap().process += 1;
        assert!(matches!(telemetry.flush_blocking(), Err(FlushError::Forked)));
        assert!(matches!(telemetry.shutdown(), Err(FlushError::Forked)));
    }
}
