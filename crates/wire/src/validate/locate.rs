//! Names the field that a fault is in, by descending from the root once more: only refusals pay for it.

use std::fmt::Write as _;

use crate::Signal;
use crate::field::{Fields, RawValue};
use crate::schema::{Kind, Message};
use crate::tables;

/// Levels that a path names before it ends in `…`.
const LEVELS_MAX: usize = 12;

/// The path of the field around `offset`, such as `resource_spans[0].scope_spans[0].spans[7].name`.
pub(super) fn path(signal: Signal, bytes: &[u8], offset: usize) -> String {
    let mut path = String::new();
    let mut message = tables::request(signal);
    let mut base = 0;
    let mut slice = bytes;
    for _ in 0..LEVELS_MAX {
        let Some(step) = step(message, slice, offset - base) else { return path };
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(&step.name);
        let Some((child, content, start)) = step.inside else { return path };
        message = child;
        base += start;
        slice = content;
    }
    path.push_str(".…");
    path
}

struct Step<'a> {
    name: String,
    /// The submessage that the offset is in: its type, content and start.
    inside: Option<(&'static Message, &'a [u8], usize)>,
}

/// The field of `message` that covers `offset`, whole or not.
fn step<'a>(message: &Message, bytes: &'a [u8], offset: usize) -> Option<Step<'a>> {
    let mut fields = Fields::new(bytes, 0);
    let mut seen = [0_u32; 32];
    for field in fields.by_ref() {
        let index = seen.get_mut(field.number as usize);
        let position = index.as_deref().copied().unwrap_or(0);
        if let Some(index) = index {
            *index += 1;
        }
        if field.end <= offset {
            continue;
        }
        let name = name(message, field.number, position);
        let inside = match (message.field(field.number).map(|known| known.kind), field.value) {
            (Some(Kind::Message(child)), RawValue::Len(content)) => {
                let start = field.end - content.len();
                (start <= offset).then_some((child, content, start))
            }
            _ => None,
        };
        return Some(Step { name, inside });
    }
    let (key, _) = crate::varint::read(bytes, fields.position())?;
    let number = u32::try_from(key >> 3).ok()?;
    let position = seen.get(number as usize).copied().unwrap_or(0);
    Some(Step { name: name(message, number, position), inside: None })
}

fn name(message: &Message, number: u32, position: u32) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = match message.field(number) {
        Some(field) if field.repeated => write!(out, "{}[{position}]", field.name),
        Some(field) => write!(out, "{}", field.name),
        None => write!(out, "field {number} of {}", message.short_name()),
    };
    out
}
