//! Decides whether a request may enter the journal, by one pass over its bytes.
//!
//! Accepts exactly what prost decodes, so that nothing is acknowledged which a strict backend refuses, but for:
//! - **groups** (wire types 3 and 4) in unknown fields are refused: no protobuf of OTLP ever had one;
//! - **text that is not UTF-8** is counted, and refused only if [`Limits::refuse_invalid_utf8`];
//! - more than [`Limits::items_max`] items, and spans of which not one has a usable id
//!   ([`Limits::refuse_without_ids`]: another signal's body that happens to parse), are refused.
//!
//! `messages` is generated: for each message of the schema a function that reads its fields with what `scan` offers, and
//! counts in `tally`. `usual` steps over what nearly every writer sends; `locate` names the field of a fault; `repair` mends
//! text. A message within a message is a call, so at most [`NESTING_MAX`] are on the stack, each under 300 bytes in a release.
//!
//! Limits: 100 nested messages below the request ([`NESTING_MAX`]), as prost counts them. Cost: no allocation on
//! acceptance, one pass, `benches/validate.rs` measures it beside prost.
//!
//! Source: opentelemetry-proto 1.10; protobuf encoding guide; `03-otlp` R11 to R14.

mod fault;
mod locate;
mod messages;
mod repair;
mod scan;
mod tally;
mod usual;

use crate::Signal;
use fault::Fault;
pub use fault::{FaultKind, Invalid, NESTING_MAX};
pub use repair::repair_utf8;
use scan::Scan;
pub use tally::{Limits, Summary};

/// Checks that `bytes` is a request of `signal` and summarises it.
///
/// # Errors
/// The first thing found wrong, with its place. The same bytes are refused however often they are sent: answer
/// with a permanent refusal (`INVALID_ARGUMENT`, 400).
pub fn validate(signal: Signal, bytes: &[u8], limits: &Limits) -> Result<Summary, Invalid> {
    let mut scan = Scan::new(signal, bytes, limits);
    match messages::request(signal, &mut scan, 0..bytes.len()).and_then(|()| scan.tally.finish()) {
        Ok(summary) => Ok(summary),
        Err(fault) => Err(invalid(signal, bytes, &fault)),
    }
}

#[cold]
fn invalid(signal: Signal, bytes: &[u8], fault: &Fault) -> Invalid {
    let whole = fault.kind == FaultKind::NoUsableIds;
    let path = if whole { String::new() } else { locate::path(signal, bytes, fault.offset) };
    Invalid { kind: fault.kind, offset: fault.offset, path }
}
