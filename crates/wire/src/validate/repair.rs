//! Mends text that is not UTF-8, where it lies: only requests that have some pay for it.

use super::NESTING_MAX;
use crate::field::{Fields, RawValue};
use crate::schema::{Kind, Message};
use crate::{Signal, tables, utf8};

/// Replaces each byte of string fields that is no part of UTF-8 by `?`, in place, so that nothing needs
/// re-framing; returns how many bytes were replaced.
///
/// `bytes` should have passed [`validate`](super::validate); a message whose framing breaks is left alone from there on.
pub fn repair_utf8(signal: Signal, bytes: &mut [u8]) -> u32 {
    repair(tables::request(signal), bytes, 0)
}

/// Mends the text in a message and in those within it, which are at most [`NESTING_MAX`] levels.
fn repair(message: &Message, bytes: &mut [u8], depth: usize) -> u32 {
    let mut replaced = 0_u32;
    let mut pos = 0;
    while let Some(raw) = Fields::new(bytes, pos).next() {
        pos = raw.end;
        let RawValue::Len(content) = raw.value else { continue };
        let content = raw.end - content.len()..raw.end;
        let kind = message.field(raw.number).map(|field| field.kind);
        let Some(content) = bytes.get_mut(content) else { continue };
        replaced = replaced.saturating_add(match kind {
            Some(Kind::String) => utf8::repair(content),
            Some(Kind::Message(child)) if depth < NESTING_MAX => repair(child, content, depth + 1),
            _ => 0,
        });
    }
    replaced
}
