//! The span that an event belongs to.

use std::sync::OnceLock;

use opentelemetry::Context as OtelContext;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use tracing::dispatcher::WeakDispatch;
use tracing::{Dispatch, Event, Subscriber};
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

/// What a layer must remember to find it: the subscriber that it is part of.
#[derive(Debug, Default)]
pub(crate) struct Dispatched(OnceLock<WeakDispatch>);

impl Dispatched {
    pub(crate) fn remember(&self, dispatch: &Dispatch) {
        _ = self.0.set(dispatch.downgrade());
    }

    /// The OpenTelemetry context of `span`; without a span, of what is attached to the thread.
    pub(crate) fn trace_of<S>(&self, span: Option<&SpanRef<'_, S>>) -> Option<SpanContext>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let of_span = span.and_then(|span| get_otel_context(&span.id(), &self.0.get()?.upgrade()?));
        let found = match of_span {
            Some(context) => context.span().span_context().clone(),
            None => OtelContext::map_current(|context| context.span().span_context().clone()),
        };
        found.is_valid().then_some(found)
    }
}

/// The innermost span around an event.
pub(crate) fn span_of<'a, S>(
    event: &Event<'_>,
    context: &'a Context<'_, S>,
) -> Option<SpanRef<'a, S>>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    context.event_span(event)
}
