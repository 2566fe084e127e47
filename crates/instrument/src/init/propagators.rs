//! How trace context and baggage travel between services, as `OTEL_PROPAGATORS` says.

use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

use super::env::Propagator;

/// One that does all of them, in order.
pub(crate) fn composite(wanted: &[Propagator]) -> TextMapCompositePropagator {
    let each = |propagator: &Propagator| -> Box<dyn TextMapPropagator + Send + Sync> {
        match propagator {
            Propagator::TraceContext => Box::new(TraceContextPropagator::new()),
            Propagator::Baggage => Box::new(BaggagePropagator::new()),
        }
    };
    TextMapCompositePropagator::new(wanted.iter().map(each).collect())
}
