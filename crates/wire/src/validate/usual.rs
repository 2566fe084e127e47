//! The forms in which nearly all telemetry is written, recognised without a call for each message.
//!
//! Everything here only says "this much is certainly fine" and leaves the rest to the generated functions, which alone refuse;
//! the differential tests hold both to prost. Lengths and kinds of attributes defeat branch prediction, so a string
//! attribute, the usual case, is one comparison of four bytes and one look for high bits at all of it.

use std::ops::Range;

use super::tally::Tally;
use crate::utf8::{self, WINDOW};

/// The key of the key of a `KeyValue`.
const KEY: u8 = 0x0a;
/// The key of its value.
const VALUE: u8 = 0x12;

/// The position behind the attributes of usual form that follow each other from the start of `within`, where the key of the
/// first one is.
#[inline(never)]
pub(super) fn skip_attributes(request: &[u8], within: Range<usize>) -> usize {
    let Range { start: mut pos, end } = within;
    let Some(&key @ 0..0x80) = request.get(pos) else { return pos };
    while let Some(rest) = request.get(pos..)
        && let Some(len) = match rest.first_chunk() {
            Some(window) => short_attribute(window, key).or_else(|| attribute(rest, key)),
            None => attribute(rest, key),
        }
        && len <= end - pos
    {
        pos += len;
    }
    pos
}

/// The length of the attribute, with its own `key` and length, that begins in and does not exceed the window.
#[inline(always)]
fn short_attribute(window: &[u8; WINDOW], key: u8) -> Option<usize> {
    let &[first, len, field, field_len, ..] = window;
    let len = usize::from(len) + 2;
    if first != key || len > WINDOW {
        return None;
    }
    let text_len = match field {
        KEY => {
            let value = window.get(usize::from(field_len) + 4..len)?;
            len - if is_text(value)? { 0 } else { value.len() }
        }
        VALUE => {
            let (value, name) = value_first(window.get(2..len)?, field_len)?;
            if !is_text(value)? {
                return utf8::is_ascii(name).then_some(len);
            }
            len
        }
        _ => return None,
    };
    utf8::is_ascii_prefix(window, text_len).then_some(len)
}

/// The length of the attribute that `rest` begins with: a `KeyValue` shorter than 128 bytes that is a key and a value of one
/// scalar, in either order (the collector writes fields descending), ASCII where it is text.
#[inline(never)]
fn attribute(rest: &[u8], key: u8) -> Option<usize> {
    let (&[first, len @ 0..0x80], rest) = rest.split_first_chunk()? else { return None };
    let attribute = rest.get(..usize::from(len))?;
    // Key, string, and the lengths and keys around them are all below 0x80.
    let text = match attribute {
        _ if first != key => None,
        [KEY, key_len, rest @ ..] => {
            let value = rest.get(usize::from(*key_len)..)?;
            let end = attribute.len() - if is_text(value)? { 0 } else { value.len() };
            attribute.get(..end)
        }
        [VALUE, value_len, ..] => {
            let (value, name) = value_first(attribute, *value_len)?;
            Some(if is_text(value)? { attribute } else { name })
        }
        _ => None,
    };
    text.is_some_and(utf8::is_ascii).then_some(attribute.len() + 2)
}

/// The value, and the name, of a `KeyValue` that is written so.
#[inline(always)]
fn value_first(attribute: &[u8], value_len: u8) -> Option<(&[u8], &[u8])> {
    let (value, key) = attribute.split_at_checked(usize::from(value_len) + 2)?;
    let (&[KEY, key_len], name) = key.split_first_chunk()? else { return None };
    (usize::from(key_len) == name.len()).then_some((value, name))
}

/// Whether the field `value` of a `KeyValue` is a string; `None` if it is no other scalar either.
#[inline(always)]
fn is_text(value: &[u8]) -> Option<bool> {
    let head = u32::from_le_bytes(*value.first_chunk()?);
    // The value's key and length, then those of the string that fills it.
    let len = value.len() as u32;
    let string = u32::from_le_bytes([VALUE, 0, 0x0a, 0]) + (len.wrapping_sub(2) << 8);
    if head == string.wrapping_add(len.wrapping_sub(4) << 24) {
        return Some(true);
    }
    let &[VALUE, inner, kind, first, ref rest @ ..] = value else { return None };
    let fine = usize::from(inner) + 2 == value.len()
        && match kind {
            0x10 => first < 0x80 && rest.is_empty(),
            0x18 => is_varint(first, rest),
            0x21 => rest.len() == 7,
            _ => false,
        };
    fine.then_some(false)
}

/// Whether `first` and `rest` are one varint of at most 9 bytes.
#[inline(always)]
fn is_varint(first: u8, rest: &[u8]) -> bool {
    match rest {
        [] => first < 0x80,
        [middle @ .., last] => {
            first >= 0x80
                && *last < 0x80
                && middle.len() < 8
                && middle.iter().all(|byte| *byte >= 0x80)
        }
    }
}

/// The position behind the beginning of the span at `within`, as far as it is a 16-byte trace id and an 8-byte span id, perhaps
/// an 8-byte parent, a name, a kind and two times.
#[inline(always)]
pub(super) fn skip_span_start(
    request: &[u8],
    within: Range<usize>,
    tally: &mut Tally<'_>,
) -> usize {
    let pos = within.start;
    let Some(span) = request.get(within) else { return pos };
    let Some((&[0x0a, 16, ref ids @ ..], rest)) = span.split_first_chunk::<28>() else {
        return pos;
    };
    let (trace_id, span_id) = ids.split_at(16);
    let Some((&[0x12, 8], span_id)) = span_id.split_first_chunk() else { return pos };
    tally.own_id::<16>(trace_id);
    tally.own_id::<8>(span_id);
    let rest = match rest.split_first_chunk::<10>() {
        Some(([0x22, 8, ..], rest)) => rest,
        _ => rest,
    };
    let rest = after_name_and_times(rest).unwrap_or(rest);
    pos + span.len() - rest.len()
}

/// What follows a name, a kind and two times.
#[inline(always)]
fn after_name_and_times(rest: &[u8]) -> Option<&[u8]> {
    let (&[0x2a, len @ 0..0x80], rest) = rest.split_first_chunk()? else { return None };
    let len = usize::from(len);
    let fine = match rest.first_chunk() {
        Some(window) if len <= WINDOW => utf8::is_ascii_prefix(window, len),
        _ => utf8::is_ascii(rest.get(..len)?),
    };
    let (times, rest) = rest.get(len..)?.split_first_chunk::<20>()?;
    let usual = matches!(times, [0x30, 0..0x80, 0x39, _, _, _, _, _, _, _, _, 0x41, ..]);
    (fine && usual).then_some(rest)
}
