//! The scanner: one pass over a request, field by field, with the ends of the open messages on an
//! explicit stack of fixed size.
//!
//! Cost: no allocation; per field one table lookup and one jump. What nearly every writer sends is stepped over
//! at once where it has its usual form, see [`super::usual`]; the table decides about everything else.

use super::ops::{Code, Op, Row, row};
use super::tally::{Fault, Tally};
use super::{FaultKind, Limits, NESTING_MAX, usual};
use crate::{Signal, tables, utf8, varint};

/// The request under the scanner, and what becomes of text that is not UTF-8.
pub(super) trait Input {
    fn bytes(&self) -> &[u8];
    /// Called for each string field that is not UTF-8.
    fn invalid_text(&mut self, start: usize, end: usize) -> Result<(), Fault>;
}

pub(super) struct Scan<'l, I> {
    pub(super) input: I,
    pub(super) tally: Tally<'l>,
    root: &'static Row,
}

impl<'l, I: Input> Scan<'l, I> {
    pub(super) fn new(signal: Signal, input: I, limits: &'l Limits) -> Self {
        let root = row(tables::request(signal).0);
        Self { input, tally: Tally::new(signal, limits), root }
    }

    /// Scans to the end of the request.
    pub(super) fn run(&mut self) -> Result<(), Fault> {
        let Self { input, tally, root } = self;
        let mut at = Cursor { pos: 0, end: input.bytes().len(), field: 0 };
        let mut open = Open { stack: [(0, *root); NESTING_MAX], depth: 0, row: root };
        loop {
            while at.pos == at.end {
                match open.leave() {
                    Some(end) => at.end = end,
                    None => return tally.finish(),
                }
            }
            let bytes = input.bytes();
            let (key, op) = at.key(bytes, open.row)?;
            match op.code {
                Code::Refuse => return Err(refusal(at.field, key)),
                Code::Varint => drop(at.varint(bytes)?),
                Code::Fixed64 => at.skip(8)?,
                Code::Fixed32 => at.skip(4)?,
                Code::Bytes => drop(at.delimited(bytes)?),
                Code::String => {
                    let (start, end) = at.delimited(bytes)?;
                    if !utf8::is_ascii_within(bytes, start, end) && !is_text(bytes, start, end) {
                        tally.invalid_text();
                        input.invalid_text(start, end)?;
                    }
                }
                Code::PackedVarint => at.packed_varints(bytes)?,
                Code::PackedFixed64 => at.packed(bytes, 8)?,
                Code::PackedFixed32 => at.packed(bytes, 4)?,
                Code::Id16 | Code::Id8 | Code::TraceId | Code::SpanId => {
                    let (start, end) = at.delimited(bytes)?;
                    tally.id(op.code, bytes.get(start..end).unwrap_or_default());
                }
                Code::KeyValue => {
                    let (start, end) = at.delimited(bytes)?;
                    if open.depth + 2 > NESTING_MAX || !usual::is_attribute(bytes, start, end) {
                        at.pos = start;
                        open.enter(&mut at, bytes, op, end)?;
                    } else {
                        at.pos = usual::skip_attributes(bytes, key, end, at.end);
                    }
                }
                Code::Message | Code::Item | Code::MetricData => {
                    let (start, end) = at.delimited(bytes)?;
                    at.pos = start;
                    tally.descend(op, key, at.field)?;
                    open.enter(&mut at, bytes, op, end)?;
                    if op.child == tables::TRACE_SPAN.0 {
                        at.pos = usual::skip_span_start(bytes, start, end, tally);
                    }
                }
            }
        }
    }
}

fn is_text(bytes: &[u8], start: usize, end: usize) -> bool {
    bytes.get(start..end).is_some_and(utf8::is_valid)
}

/// The messages around the position: their ends and what may stand in them.
struct Open {
    stack: [(usize, &'static Row); NESTING_MAX],
    depth: usize,
    row: &'static Row,
}

impl Open {
    /// Leaves the current message; the end of the one around it, if there is one.
    #[inline(always)]
    fn leave(&mut self) -> Option<usize> {
        self.depth = self.depth.checked_sub(1)?;
        let (end, row) = self.stack.get(self.depth)?;
        self.row = row;
        Some(*end)
    }

    /// Enters the message from `at` to `end`.
    #[inline(always)]
    fn enter(&mut self, at: &mut Cursor, bytes: &[u8], op: Op, end: usize) -> Result<(), Fault> {
        let Some(slot) = self.stack.get_mut(self.depth) else {
            return Err(at.fault(FaultKind::TooDeep));
        };
        *slot = (at.end, self.row);
        self.depth += 1;
        self.row = row(op.child);
        at.end = end;
        if self.depth == NESTING_MAX { deepest(bytes, at.pos, end, self.row) } else { Ok(()) }
    }
}

/// Refuses unknown fields in a message at the deepest level, as prost does: it counts skipping as a level.
#[cold]
fn deepest(bytes: &[u8], pos: usize, end: usize, row: &Row) -> Result<(), Fault> {
    let bytes = bytes.get(..end).unwrap_or_default();
    for field in crate::field::Fields::new(bytes, pos) {
        if row.message.get().field(field.number).is_none() {
            return Err(Fault { offset: field.start, kind: FaultKind::TooDeep });
        }
    }
    Ok(())
}

#[cold]
fn refusal(offset: usize, key: u64) -> Fault {
    let kind = match (u32::try_from(key).map(|key| key >> 3), key & 7) {
        (Err(_), _) => FaultKind::KeyOverflow,
        (_, 3 | 4) => FaultKind::Group,
        (_, 6 | 7) => FaultKind::UndefinedWireType,
        (Ok(0), _) => FaultKind::FieldZero,
        _ => FaultKind::WrongWireType,
    };
    Fault { offset, kind }
}

/// A position within the current message. `pos <= end <= bytes.len()` always.
#[derive(Clone, Copy)]
struct Cursor {
    pos: usize,
    end: usize,
    /// Where the current field's key begins: what a fault is reported at.
    field: usize,
}

impl Cursor {
    /// Reads the key at `pos`, which is before `end`, and looks up what to do with its value.
    #[inline(always)]
    fn key(&mut self, bytes: &[u8], row: &Row) -> Result<(u64, Op), Fault> {
        self.field = self.pos;
        if let Some(&byte) = bytes.get(self.pos)
            && byte < 0x80
        {
            self.pos += 1;
            return Ok((u64::from(byte), row.short(byte)));
        }
        let key = self.varint(bytes)?;
        Ok((key, row.long(key)))
    }

    /// Reads a varint within the current message.
    #[inline(always)]
    fn varint(&mut self, bytes: &[u8]) -> Result<u64, Fault> {
        match varint::read(bytes, self.pos) {
            Some((value, next)) if next <= self.end => {
                self.pos = next;
                Ok(value)
            }
            _ => Err(self.bad_varint(bytes)),
        }
    }

    /// Reads a length and moves behind what it announces, from where to where.
    #[inline(always)]
    fn delimited(&mut self, bytes: &[u8]) -> Result<(usize, usize), Fault> {
        let len = self.varint(bytes)?;
        if len > (self.end - self.pos) as u64 {
            return Err(self.fault(FaultKind::Truncated));
        }
        let start = self.pos;
        self.pos += len as usize;
        Ok((start, self.pos))
    }

    #[inline(always)]
    fn skip(&mut self, len: usize) -> Result<(), Fault> {
        if self.end - self.pos < len {
            return Err(self.fault(FaultKind::Truncated));
        }
        self.pos += len;
        Ok(())
    }

    fn packed(&mut self, bytes: &[u8], width: usize) -> Result<(), Fault> {
        let (start, end) = self.delimited(bytes)?;
        if !(end - start).is_multiple_of(width) {
            return Err(self.fault(FaultKind::PackedLength));
        }
        Ok(())
    }

    fn packed_varints(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let (start, end) = self.delimited(bytes)?;
        let mut values = Self { pos: start, end, field: self.field };
        while values.pos < end {
            values.varint(bytes)?;
        }
        Ok(())
    }

    #[inline(always)]
    fn fault(self, kind: FaultKind) -> Fault {
        Fault { offset: self.field, kind }
    }

    #[cold]
    fn bad_varint(self, bytes: &[u8]) -> Fault {
        let within = bytes.get(self.pos..self.end).unwrap_or_default();
        let unended = within.len() < varint::LEN_MAX && within.iter().all(|byte| *byte >= 0x80);
        self.fault(if unended { FaultKind::Truncated } else { FaultKind::VarintOverflow })
    }
}
