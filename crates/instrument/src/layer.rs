//! Spans: the layer that makes them of `tracing`'s, trimmed to what is worth its cost, and spans without `tracing`.
//!
//! Left out of tracing-opentelemetry's defaults are the source location, thread, target and idle times of every span, which
//! are half its cost, and the activation of each span's OpenTelemetry context on every enter. Spans of `tracing` find their
//! parents without it, and so does [`Span`]; an application that makes spans by OpenTelemetry's own API inside spans of
//! `tracing` switches it on by [`context_activation`](crate::init::Init::context_activation).

use std::borrow::Cow;
#[cfg(any(feature = "otlp", feature = "testing"))]
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use opentelemetry::trace::{
    SpanBuilder, SpanKind, Status, TraceContextExt, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::Subscriber;
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt};
use tracing_subscriber::registry::LookupSpan;

/// The layer that makes OpenTelemetry spans of `tracing`'s.
///
/// ```
/// use opentelemetry_sdk::trace::SdkTracerProvider;
/// use tracing_subscriber::prelude::*;
///
/// let provider = SdkTracerProvider::builder().build();
/// let subscriber = tracing_subscriber::registry().with(sidelight::layer::trimmed(&provider, false));
/// # drop(subscriber);
/// ```
#[must_use]
pub fn trimmed<S>(
    provider: &SdkTracerProvider,
    context_activation: bool,
) -> OpenTelemetryLayer<S, SdkTracer>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_opentelemetry::layer()
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_context_activation(context_activation)
        .with_tracer(provider.tracer("sidelight"))
}

/// The OpenTelemetry context of the present span: that of `tracing` where there is one, else the one attached to the thread.
///
/// ```
/// let context = sidelight::layer::current_context();
/// # _ = context;
/// ```
#[must_use]
pub fn current_context() -> Context {
    let current = tracing::Span::current();
    if !current.is_none() {
        let context = current.context();
        if context.span().span_context().is_valid() {
            return context;
        }
    }
    Context::current()
}

/// Where direct spans go; the last is the one in use.
static TRACERS: RwLock<Vec<(u64, SdkTracer)>> = RwLock::new(Vec::new());
#[cfg(any(feature = "otlp", feature = "testing"))]
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Lets direct spans go to `provider` from here on.
#[cfg(any(feature = "otlp", feature = "testing"))]
pub(crate) fn install(provider: &SdkTracerProvider) -> Installed {
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    TRACERS
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .push((id, provider.tracer("sidelight")));
    Installed { id }
}

/// A tracer in use, until this is dropped.
#[cfg(any(feature = "otlp", feature = "testing"))]
#[derive(Debug)]
pub(crate) struct Installed {
    id: u64,
}

#[cfg(any(feature = "otlp", feature = "testing"))]
impl Drop for Installed {
    fn drop(&mut self) {
        TRACERS.write().unwrap_or_else(PoisonError::into_inner).retain(|(id, _)| *id != self.id);
    }
}

/// A span made directly, at a fraction of the cost of one of `tracing`. It is a child of the [`current_context`], ends
/// when dropped, and is itself no parent of what runs meanwhile unless its [`context`](Self::context) is attached. Without
/// telemetry it is nothing.
///
/// ```
/// let mut span = sidelight::layer::Span::start("cache.lookup");
/// span.set("cache.name", "users");
/// span.fail("timeout");
/// ```
#[derive(Debug)]
pub struct Span {
    context: Context,
    begun: bool,
}

impl Span {
    /// Begins one.
    #[must_use]
    pub fn start(name: impl Into<Cow<'static, str>>) -> Self {
        Self::start_kind(name, SpanKind::Internal)
    }

    /// Begins one that is a client's, a server's, a producer's or a consumer's.
    #[must_use]
    pub fn start_kind(name: impl Into<Cow<'static, str>>, kind: SpanKind) -> Self {
        Self::start_under(name, kind, &current_context())
    }

    /// Begins one as a child of `parent`.
    ///
    /// ```
    /// use opentelemetry::trace::SpanKind;
    /// use sidelight::layer::Span;
    ///
    /// let outer = Span::start_kind("publish", SpanKind::Producer);
    /// let inner = Span::start_under("serialise", SpanKind::Internal, outer.context());
    /// drop(inner); // ends before the one that it is part of
    /// ```
    #[must_use]
    pub fn start_under(
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        parent: &Context,
    ) -> Self {
        let tracers = TRACERS.read().unwrap_or_else(PoisonError::into_inner);
        let Some((_, tracer)) = tracers.last() else {
            return Self { context: parent.clone(), begun: false };
        };
        let builder = SpanBuilder::from_name(name).with_kind(kind);
        let span = tracer.build_with_context(builder, parent);
        Self { context: parent.with_span(span), begun: true }
    }

    /// Sets an attribute.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if self.begun {
            self.context.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// Marks it as failed; `error_type` is a word of few values, such as `timeout`.
    pub fn fail(&mut self, error_type: impl Into<Cow<'static, str>>) {
        if self.begun {
            let error_type = error_type.into();
            let span = self.context.span();
            span.set_attribute(KeyValue::new("error.type", error_type.clone()));
            span.set_status(Status::Error { description: error_type });
        }
    }

    /// The context in which it is the present span.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if self.begun {
            self.context.span().end();
        }
    }
}
