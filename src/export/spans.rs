//! Spans of the agent's own: one for each attempt to send a batch.

use tracing::Span;

use super::batch::Batch;
use super::client::{Response, SendError};
use super::refused::escaped;
use crate::signal::Signal;

/// A span of the agent's own for an attempt, unless it carries the agent's own telemetry: its spans would beget
/// spans for ever.
pub(super) fn own_span(exporter: &str, signal: Signal, batch: &Batch) -> Span {
    if batch.internal {
        return Span::none();
    }
    tracing::debug_span!(
        "export",
        otel.kind = "client",
        exporter,
        signal = signal.name(),
        items = batch.items(),
        bytes = batch.bytes,
        attempt = batch.history.failures + 1,
        otel.status_code = tracing::field::Empty,
        otel.status_description = tracing::field::Empty,
    )
}

pub(super) fn note_outcome(span: &Span, result: &Result<Response, SendError>) {
    match result {
        Ok(_) => span.record("otel.status_code", "ok"),
        Err(error) => span
            .record("otel.status_code", "error")
            .record("otel.status_description", escaped(&error.chain())),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::batch::Piece;

    #[test]
    fn the_agents_own_telemetry_begets_none() {
        let piece = Piece { seq: 1, items: 1, payload: bytes::Bytes::from_static(&[10, 0]) };
        let batch = |internal| Batch { internal, ..Batch::of(Vec::new(), piece.clone(), true) };
        tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            let made =
                |internal| !own_span("otlp_grpc/a", Signal::Traces, &batch(internal)).is_none();
            assert!(made(false));
            assert!(!made(true));
        });
    }
}
