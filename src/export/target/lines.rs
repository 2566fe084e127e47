//! OTLP/JSON lines: one request a line, as its sender sent it or as a part of it was split off.
//!
//! Source: opentelemetry.io/docs/specs/otel/protocol/file-exporter. Cost: one pass, one buffer for a batch.

use bytes::Bytes;

use crate::export::client::SendError;
use crate::signal::Signal;

/// Memory that a byte of payload holds while it is written, in percent: itself and its line, which is
/// some 2.3 times as long.
pub(super) const WEIGHT_PERCENT: usize = 350;

/// The lines of `payloads`.
///
/// # Errors
/// [`SendError::Encode`] when one is not readable; validated ones are.
pub(super) fn encode(signal: Signal, payloads: &[Bytes]) -> Result<Vec<u8>, SendError> {
    let bytes: usize = payloads.iter().map(Bytes::len).sum();
    let mut lines = Vec::with_capacity(bytes.saturating_mul(5) / 2);
    for payload in payloads {
        sidelight_wire::json::from_protobuf(signal, payload, &mut lines)
            .map_err(|error| SendError::Encode(error.to_string()))?;
        lines.push(b'\n');
    }
    Ok(lines)
}
