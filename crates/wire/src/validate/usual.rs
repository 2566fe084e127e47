//! The forms in which nearly all telemetry is written, recognised without the table.
//!
//! Everything here only says "this much is certainly fine" and leaves the rest to the table, which alone refuses;
//! the differential tests hold both to prost. Each form has constant offsets or one length, so that little of it depends on
//! a prediction.

use std::ops::Range;

use super::tally::Tally;
use crate::{utf8, varint};

/// Whether the `KeyValue` from `start` to `end` is one key and one scalar value, in either order (the collector
/// writes fields descending), each shorter than 128 bytes and ASCII where it is text.
#[inline(always)]
pub(super) fn is_attribute(bytes: &[u8], start: usize, end: usize) -> bool {
    let Some(attribute) = bytes.get(start..end) else { return false };
    let text = match attribute.first() {
        Some(0x0a) => key_first(attribute),
        Some(0x12) => value_first(attribute),
        _ => None,
    };
    text.is_some_and(|text| utf8::is_ascii_within(bytes, start + text.start, start + text.end))
}

/// The stretch that must be ASCII: key, string and the lengths and keys between them, all below 0x80.
#[inline(always)]
fn key_first(attribute: &[u8]) -> Option<Range<usize>> {
    let (&[_, key_len @ 0..0x80], rest) = attribute.split_first_chunk()? else { return None };
    let (&[0x12, len @ 0..0x80], value) = rest.get(usize::from(key_len)..)?.split_first_chunk()?
    else {
        return None;
    };
    let is_text = is_scalar(value)?;
    let end = if is_text { attribute.len() } else { attribute.len() - value.len() };
    (usize::from(len) == value.len()).then_some(0..end)
}

#[inline(always)]
fn value_first(attribute: &[u8]) -> Option<Range<usize>> {
    let (&[_, len @ 0..0x80], rest) = attribute.split_first_chunk()? else { return None };
    let (value, rest) = rest.split_at_checked(usize::from(len))?;
    let (&[0x0a, key_len @ 0..0x80], key) = rest.split_first_chunk()? else { return None };
    let is_text = is_scalar(value)?;
    let start = if is_text { 0 } else { attribute.len() - key.len() };
    (usize::from(key_len) == key.len()).then_some(start..attribute.len())
}

/// Whether the `AnyValue` is a string; `None` if it is neither one scalar nor shorter than 128 bytes.
#[inline(always)]
fn is_scalar(value: &[u8]) -> Option<bool> {
    let (&[key, first], rest) = value.split_first_chunk()?;
    let (fine, is_text) = match key {
        0x0a => (usize::from(first) == rest.len() && first < 0x80, true),
        0x10 | 0x18 if first < 0x80 => (rest.is_empty(), false),
        0x18 => {
            let ended = varint::read(rest, 0).is_some_and(|(_, next)| next == rest.len());
            (ended && rest.len() < varint::LEN_MAX - 1, false)
        }
        0x21 => (rest.len() == 7, false),
        _ => return None,
    };
    fine.then_some(is_text)
}

/// Moves past the attributes of usual form that follow at `pos` under the same one-byte `key`.
#[inline(always)]
pub(super) fn skip_attributes(bytes: &[u8], key: u64, mut pos: usize, message_end: usize) -> usize {
    while let Some(&[next_key, len @ 0..0x80]) = bytes.get(pos..).and_then(<[u8]>::first_chunk) {
        let start = pos + 2;
        let end = start + usize::from(len);
        if u64::from(next_key) != key || end > message_end || !is_attribute(bytes, start, end) {
            break;
        }
        pos = end;
    }
    pos
}

/// Moves past the beginning of the span from `start` to `end`, if it is a 16-byte trace id and an 8-byte span id,
/// and then perhaps an 8-byte parent.
#[inline(always)]
pub(super) fn skip_span_start(
    bytes: &[u8],
    start: usize,
    end: usize,
    tally: &mut Tally<'_>,
) -> usize {
    let Some(span) = bytes.get(start..end) else { return start };
    let Some((&[0x0a, 16, ref ids @ ..], rest)) = span.split_first_chunk::<28>() else {
        return start;
    };
    let (Some(trace_id), Some(&[0x12, 8]), Some(span_id)) = (
        ids.first_chunk::<16>(),
        ids.get(16..18).and_then(<[u8]>::first_chunk),
        ids.last_chunk::<8>(),
    ) else {
        return start;
    };
    tally.own_ids(u128::from_ne_bytes(*trace_id) != 0, u64::from_ne_bytes(*span_id) != 0);
    if let Some(&[0x22, 8, ..]) = rest.first_chunk::<10>() { start + 38 } else { start + 28 }
}
