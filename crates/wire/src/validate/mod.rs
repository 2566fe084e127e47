//! Decides whether a request may enter the journal, by one pass over its bytes.
//!
//! Accepts exactly what prost decodes, so that nothing is acknowledged which a strict backend refuses, but for:
//! - **groups** (wire types 3 and 4) in unknown fields are refused: no protobuf of OTLP ever had one;
//! - **text that is not UTF-8** is counted, and refused only if [`Limits::refuse_invalid_utf8`];
//! - more than [`Limits::items_max`] items, and spans of which not one has a usable id
//!   ([`Limits::refuse_without_ids`]: another signal's body that happens to parse), are refused.
//!
//! Limits: 100 nested messages below the request ([`NESTING_MAX`]), as prost counts them. Cost: no allocation on
//! acceptance, one pass, `benches/validate.rs` measures it beside prost.
//!
//! Source: opentelemetry-proto 1.10; protobuf encoding guide; `03-otlp` R11 to R14.

mod locate;
mod ops;
mod scan;
mod tally;
#[cfg(test)]
mod tests;
mod usual;

use crate::{Signal, utf8};
use scan::{Input, Scan};
use tally::Fault;

/// How many messages may be nested below the request.
pub const NESTING_MAX: usize = 100;

/// What [`validate`] refuses beyond malformed bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most spans, data points, log records or profiles in one request.
    pub items_max: u32,
    /// Whether text that is not UTF-8 is refused rather than counted.
    pub refuse_invalid_utf8: bool,
    /// Whether a traces request is refused when it has spans and no span has a usable trace id or span id.
    pub refuse_without_ids: bool,
}

impl Default for Limits {
    /// One million items; invalid UTF-8 is counted; spans without any id are refused.
    fn default() -> Self {
        Self { items_max: 1_000_000, refuse_invalid_utf8: false, refuse_without_ids: true }
    }
}

/// What a valid request holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Spans, data points, log records or profiles.
    pub items: u32,
    /// Ids, of items, parents, links and exemplars, whose length is neither 0 nor the right one. Strict
    /// backends refuse a request with one, so it is never merged with others.
    pub odd_ids: u32,
    /// Spans whose trace id or span id is absent, empty, all zero or odd; log records with an id that is all
    /// zero or odd.
    pub unusable_ids: u32,
    /// String fields that are not UTF-8: [`repair_utf8`] mends them.
    pub invalid_utf8: u32,
}

/// Why a request is refused, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}{}{path}", if path.is_empty() { "" } else { " in " })]
pub struct Invalid {
    /// What is wrong.
    pub kind: FaultKind,
    /// The first byte of the field, in bytes from the start of the request; for text that is not UTF-8, of the text.
    pub offset: usize,
    /// The field around `offset`, such as `resource_spans[0].scope_spans[0].spans[7].name`; empty for the request
    /// as a whole.
    pub path: String,
}

/// What can be wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum FaultKind {
    /// A value ends after the message around it.
    #[error("field runs past the end of its message")]
    Truncated,
    /// A varint has more than 10 bytes or more than 64 bits.
    #[error("varint longer than 64 bits")]
    VarintOverflow,
    /// A key does not fit 32 bits.
    #[error("field number above 536870911")]
    KeyOverflow,
    /// Field numbers start at 1.
    #[error("field number 0")]
    FieldZero,
    /// Groups were never part of OTLP.
    #[error("group")]
    Group,
    /// Wire types 6 and 7 do not exist.
    #[error("undefined wire type")]
    UndefinedWireType,
    /// A known field came with another wire type than its own: usually another signal's body.
    #[error("wrong wire type (the body of another signal?)")]
    WrongWireType,
    /// Packed fixed-width values do not fill their field.
    #[error("packed length is not a multiple of the value's width")]
    PackedLength,
    /// More than [`NESTING_MAX`] messages within each other.
    #[error("more than {NESTING_MAX} nested messages")]
    TooDeep,
    /// A string field is not UTF-8 ([`Limits::refuse_invalid_utf8`]).
    #[error("string is not UTF-8")]
    InvalidUtf8,
    /// [`Limits::items_max`] exceeded.
    #[error("too many items in one request")]
    TooManyItems,
    /// Not one span has a usable id ([`Limits::refuse_without_ids`]).
    #[error("no span has a usable id (the body of another signal?)")]
    NoUsableIds,
}

/// Checks that `bytes` is a request of `signal` and summarises it.
///
/// # Errors
/// The first thing found wrong, with its place. The same bytes are refused however often they are sent: answer
/// with a permanent refusal (`INVALID_ARGUMENT`, 400).
pub fn validate(signal: Signal, bytes: &[u8], limits: &Limits) -> Result<Summary, Invalid> {
    let input = Reading { bytes, refuse: limits.refuse_invalid_utf8 };
    let mut scan = Scan::new(signal, input, limits);
    match scan.run() {
        Ok(()) => Ok(scan.tally.summary),
        Err(fault) => Err(invalid(signal, bytes, &fault)),
    }
}

/// Replaces each byte of string fields that is no part of UTF-8 by `?`, in place, so that nothing needs
/// re-framing; returns how many bytes were replaced.
///
/// `bytes` should have passed [`validate`]; where the framing breaks, repairing ends.
pub fn repair_utf8(signal: Signal, bytes: &mut [u8]) -> u32 {
    let limits =
        Limits { items_max: u32::MAX, refuse_invalid_utf8: false, refuse_without_ids: false };
    let mut scan = Scan::new(signal, Repairing { bytes, replaced: 0 }, &limits);
    // What precedes a fault has been repaired, and what follows has no fields to speak of.
    let _ = scan.run();
    scan.input.replaced
}

#[cold]
fn invalid(signal: Signal, bytes: &[u8], fault: &Fault) -> Invalid {
    let whole = fault.kind == FaultKind::NoUsableIds;
    let path = if whole { String::new() } else { locate::path(signal, bytes, fault.offset) };
    Invalid { kind: fault.kind, offset: fault.offset, path }
}

struct Reading<'a> {
    bytes: &'a [u8],
    refuse: bool,
}

impl Input for Reading<'_> {
    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        self.bytes
    }

    fn invalid_text(&mut self, start: usize, _end: usize) -> Result<(), Fault> {
        if self.refuse {
            return Err(Fault { offset: start, kind: FaultKind::InvalidUtf8 });
        }
        Ok(())
    }
}

struct Repairing<'a> {
    bytes: &'a mut [u8],
    replaced: u32,
}

impl Input for Repairing<'_> {
    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        self.bytes
    }

    fn invalid_text(&mut self, start: usize, end: usize) -> Result<(), Fault> {
        if let Some(text) = self.bytes.get_mut(start..end) {
            self.replaced = self.replaced.saturating_add(utf8::repair(text));
        }
        Ok(())
    }
}
