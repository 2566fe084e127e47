//! Panics counted, logged and flushed, before the hook that was there.
//!
//! The hook records a counter and one log record with the request's id and the trace, and lets a thread of its own flush. It
//! waits for that, 2 s at most, only where nothing else will: where panics abort, and on the main thread outside of a
//! runtime. A panic that tokio or a middleware catches must not block a worker.

use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, Once, PoisonError, RwLock, Weak};
use std::thread;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::logs::{LogRecord, Logger, Severity};
use opentelemetry::metrics::Counter;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::logs::SdkLogger;

use crate::current;
use crate::layer::current_context;

/// The longest wait for the flush.
const WAIT: Duration = Duration::from_secs(2);

/// What a panic is recorded by.
pub(crate) struct Recorder {
    pub(crate) panics: Counter<u64>,
    pub(crate) logger: SdkLogger,
    /// Begins a flush, and waits for it at most that long.
    pub(crate) flush: Box<dyn Fn(Option<Duration>) + Send + Sync>,
}

static HOOK: Once = Once::new();
static RECORDER: RwLock<Option<Weak<Recorder>>> = RwLock::new(None);

/// Lets panics be recorded while `recorder` lives. The hook itself stays: another may stand on it.
pub(crate) fn install(recorder: &Arc<Recorder>) {
    *RECORDER.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::downgrade(recorder));
    HOOK.call_once(|| {
        let next = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            record(info);
            next(info);
        }));
    });
}

fn record(info: &PanicHookInfo<'_>) {
    let recorder = RECORDER.try_read().ok().and_then(|recorder| recorder.as_ref()?.upgrade());
    let Some(recorder) = recorder else { return };
    let location =
        info.location().map_or_else(String::new, |at| format!("{}:{}", at.file(), at.line()));
    recorder.panics.add(1, &[KeyValue::new("location", location.clone())]);
    log(&recorder.logger, info, location);
    let on_main =
        thread::current().name() == Some("main") && tokio::runtime::Handle::try_current().is_err();
    let wait = (cfg!(panic = "abort") || on_main).then_some(WAIT);
    (recorder.flush)(wait);
}

/// Straight to the SDK: the subscriber may be what panicked.
fn log(logger: &SdkLogger, info: &PanicHookInfo<'_>, location: String) {
    let payload = info.payload();
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let payload = text.unwrap_or("a panic without a message").to_owned();
    let mut record = logger.create_log_record();
    record.set_severity_number(Severity::Fatal);
    record.set_severity_text("FATAL");
    record.set_event_name("panic");
    record.set_target("panic");
    record.set_body(format!("panicked at {location}: {payload}").into());
    record.add_attribute("exception.type", "panic");
    record.add_attribute("exception.message", payload);
    record.add_attribute("code.file.path", location);
    record.add_attribute("thread.name", thread::current().name().unwrap_or_default().to_owned());
    if let Some(id) = current::request_id() {
        record.add_attribute("request_id", id.as_str().to_owned());
    }
    let context = current_context();
    let span = context.span();
    if span.span_context().is_valid() {
        let of = span.span_context();
        record.set_trace_context(of.trace_id(), of.span_id(), Some(of.trace_flags()));
    }
    logger.emit(record);
}
