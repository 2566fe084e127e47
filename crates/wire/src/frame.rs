//! Splitting a request at item boundaries by re-framing, and why merging needs no code.
//!
//! **Merging is concatenation**: protobuf defines that parsing `a ++ b` merges the two, and the requests of
//! traces, metrics and logs are one repeated field, so writing requests back to back gives one request with the
//! items of both. Never for profiles ([`Signal::concatenates`]): their dictionary is a singular message whose indices
//! would then mean other entries.
//!
//! **Splitting** repeats in every part the fields around the items: resource, scope, schema URLs, the name, unit and
//! temporality of a metric, the dictionary of profiles, and fields unknown to this version. Items keep their bytes and their
//! order. Resources, scopes and metrics without items are left out, as the protocol allows.
//!
//! Limits: a part is never longer than asked for. An item is left out if it cannot be framed within the limit even alone,
//! or if what would be repeated around it takes more than half of the limit and the parts before it are twice as long
//! as the request: so the parts together are less than five times the request, whatever a sender puts around small items.
//!
//! Cost: allocates, and copies each byte once per level (at most 5 times): only requests above the limit of a
//! destination pay for it. `bytes` must have passed [`crate::validate()`].

use bytes::Bytes;

use crate::field::{Fields, RawField};
use crate::{Signal, varint};

/// One part of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// A request, at most as long as asked for.
    pub bytes: Bytes,
    /// Its spans, data points, log records or profiles: at least one.
    pub items: u32,
}

/// Splits a request of `signal` into parts of at most `max_bytes`, in order, each a request of its own.
#[must_use]
pub fn split(signal: Signal, bytes: &[u8], max_bytes: usize) -> Vec<Part> {
    let shape = shape(signal);
    let levels = shape.iter().map(|_| Level::default()).collect();
    let repeating = bytes.len().saturating_mul(2);
    let mut splitter =
        Splitter { shape, max_bytes, levels, items: 0, parts: Vec::new(), repeating };
    splitter.walk(0, &[bytes]);
    splitter.flush();
    splitter.parts
}

/// The fields that lead from the request down to its items, by level: several are members of one `oneof`.
const fn shape(signal: Signal) -> &'static [&'static [u32]] {
    match signal {
        Signal::Metrics => &[&[1], &[2], &[2], &[5, 7, 9, 10, 11], &[1]],
        Signal::Traces | Signal::Logs | Signal::Profiles => &[&[1], &[2], &[2]],
    }
}

/// An open message above the items.
#[derive(Default)]
struct Level {
    /// Its field number in the message above; 0 for the request itself.
    number: u32,
    /// The fields that do not lead to items.
    header: Vec<u8>,
    /// What the current part holds of it, header first.
    content: Vec<u8>,
    /// Whether the current part holds anything of it.
    open: bool,
}

struct Splitter {
    shape: &'static [&'static [u32]],
    max_bytes: usize,
    levels: Vec<Level>,
    items: u32,
    parts: Vec<Part>,
    /// Bytes of parts after which none begins of which the most would be repeated.
    repeating: usize,
}

impl Splitter {
    /// Adds the items below the message at `depth` that consists of `parts`. Recurses once per level.
    fn walk(&mut self, depth: usize, parts: &[&[u8]]) {
        let Some(&inner) = self.shape.get(depth) else { return };
        if let Some(level) = self.levels.get_mut(depth) {
            level.header.clear();
            for part in parts {
                let header = Fields::new(part, 0).filter(|field| !inner.contains(&field.number));
                header.for_each(|field| level.header.extend(raw(part, &field)));
            }
        }
        if inner.len() > 1 {
            let (number, members) = last_member(inner, parts);
            self.enter(depth + 1, number, &members);
            return;
        }
        for part in parts {
            for field in Fields::new(part, 0).filter(|field| inner.contains(&field.number)) {
                let Some(child) = field.value.bytes() else { continue };
                if depth + 1 == self.shape.len() {
                    self.add(field.number, child);
                } else {
                    self.enter(depth + 1, field.number, &[child]);
                }
            }
        }
    }

    fn enter(&mut self, depth: usize, number: u32, parts: &[&[u8]]) {
        if let Some(level) = self.levels.get_mut(depth) {
            level.number = number;
        }
        self.walk(depth, parts);
        self.close(depth);
    }

    fn add(&mut self, number: u32, item: &[u8]) {
        let len = framed_len(number, item.len());
        let alone = self.len_with(len, true);
        if alone > self.max_bytes {
            return;
        }
        if self.len_with(len, false) > self.max_bytes {
            self.flush();
        }
        if self.items == 0 && alone - len > self.max_bytes / 2 && self.repeating == 0 {
            return;
        }
        for level in &mut self.levels {
            if !level.open {
                level.open = true;
                level.content.clone_from(&level.header);
            }
        }
        if let Some(level) = self.levels.last_mut() {
            frame(number, item, &mut level.content);
        }
        self.items += 1;
    }

    /// The length of the current part, or of a new one (`alone`), with `len` more bytes at the deepest level.
    fn len_with(&self, len: usize, alone: bool) -> usize {
        // An open message is written into the one around it only when it is closed.
        self.levels.iter().rev().fold(len, |inner, level| {
            let own = if level.open && !alone { &level.content } else { &level.header };
            let content = own.len() + inner;
            if level.number == 0 { content } else { framed_len(level.number, content) }
        })
    }

    /// Writes what the current part holds of the message at `depth` into the one above.
    fn close(&mut self, depth: usize) {
        let Some((above, below)) = self.levels.split_at_mut_checked(depth) else { return };
        if let (Some(outer), Some(level)) = (above.last_mut(), below.first_mut())
            && level.open
        {
            frame(level.number, &level.content, &mut outer.content);
            level.open = false;
        }
    }

    /// Ends the current part, if it holds anything.
    fn flush(&mut self) {
        for depth in (1..self.levels.len()).rev() {
            self.close(depth);
        }
        if let Some(root) = self.levels.first_mut()
            && root.open
        {
            root.open = false;
            let bytes = Bytes::from(std::mem::take(&mut root.content));
            self.repeating = self.repeating.saturating_sub(bytes.len());
            self.parts.push(Part { bytes, items: std::mem::take(&mut self.items) });
        }
    }
}

/// The member of a `oneof` that holds in the end, and its parts: those written since another member was.
fn last_member<'a>(inner: &[u32], parts: &[&'a [u8]]) -> (u32, Vec<&'a [u8]>) {
    let mut current = 0;
    let mut members = Vec::new();
    for part in parts {
        for field in Fields::new(part, 0).filter(|field| inner.contains(&field.number)) {
            if field.number != current {
                members.clear();
                current = field.number;
            }
            members.extend(field.value.bytes());
        }
    }
    (current, members)
}

fn raw<'a>(part: &'a [u8], field: &RawField<'_>) -> &'a [u8] {
    part.get(field.start..field.end).unwrap_or_default()
}

fn framed_len(number: u32, len: usize) -> usize {
    varint::len(u64::from(number) << 3) + varint::len(len as u64) + len
}

fn frame(number: u32, content: &[u8], out: &mut Vec<u8>) {
    varint::write(u64::from(number) << 3 | 2, out);
    varint::write(content.len() as u64, out);
    out.extend_from_slice(content);
}
