//! What the generated functions of [`super::messages`] are made of: the position in one message, and what to do with a
//! field's value.
//!
//! Everything on the way of a valid request is inlined into the function of its message, so that the position stays in a
//! register; what is wrong with a field is worked out by functions that are called when something is.

use std::ops::Range;

use super::fault::{Fault, FaultKind, NESTING_MAX};
use super::tally::{Limits, Tally};
use super::usual;
use crate::schema::{Message, WireType};
use crate::{Signal, utf8, varint};

/// Whether what was read may stand there.
pub(super) type Checked = Result<(), Fault>;

/// A request being read.
pub(super) struct Scan<'a> {
    request: &'a [u8],
    /// How many messages are open around and including the one being read, without the request.
    depth: usize,
    pub(super) tally: Tally<'a>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(signal: Signal, request: &'a [u8], limits: &'a Limits) -> Self {
        Self { request, depth: 0, tally: Tally::new(signal, limits) }
    }

    /// The beginning of the message at `within`.
    #[inline(always)]
    pub(super) fn enter(&self, within: Range<usize>) -> At<'a> {
        let bytes = self.request.get(..within.end).unwrap_or_default();
        At { bytes, pos: within.start, field: within.start }
    }

    /// As [`Scan::enter`], behind what nearly every span begins with.
    #[inline(always)]
    pub(super) fn enter_span(&mut self, within: Range<usize>) -> At<'a> {
        let pos = usual::skip_span_start(self.request, within.clone(), &mut self.tally);
        At { pos, ..self.enter(within) }
    }

    /// A string.
    #[inline(always)]
    pub(super) fn text(&mut self, at: &mut At<'a>) -> Checked {
        let text = at.delimited()?;
        if utf8::is_ascii_within(self.request, text.start, text.end) {
            return Ok(());
        }
        self.text_beyond_ascii(text)
    }

    #[inline(never)]
    fn text_beyond_ascii(&mut self, text: Range<usize>) -> Checked {
        let start = text.start;
        if self.request.get(text).is_some_and(utf8::is_valid) {
            return Ok(());
        }
        self.tally.invalid_text(start)
    }

    /// The trace id of the item being read.
    #[inline(always)]
    pub(super) fn trace_id(&mut self, at: &mut At<'a>) -> Checked {
        self.tally.own_id::<16>(at.content()?);
        Ok(())
    }

    /// The span id of the item being read.
    #[inline(always)]
    pub(super) fn span_id(&mut self, at: &mut At<'a>) -> Checked {
        self.tally.own_id::<8>(at.content()?);
        Ok(())
    }

    /// Any other id that should have `LEN` bytes.
    #[inline(always)]
    pub(super) fn id<const LEN: usize>(&mut self, at: &mut At<'a>) -> Checked {
        self.tally.id::<LEN>(at.content()?);
        Ok(())
    }

    /// A submessage, which `read` reads.
    #[inline(always)]
    pub(super) fn message(
        &mut self,
        at: &mut At<'a>,
        read: impl FnOnce(&mut Self, Range<usize>) -> Checked,
    ) -> Checked {
        let within = at.delimited()?;
        self.descend(at.field, within, read)
    }

    /// A span, data point, log record or profile.
    #[inline(always)]
    pub(super) fn item(
        &mut self,
        at: &mut At<'a>,
        read: impl FnOnce(&mut Self, Range<usize>) -> Checked,
    ) -> Checked {
        let within = at.delimited()?;
        self.tally.item(at.field)?;
        self.descend(at.field, within, read)
    }

    /// A metric.
    #[inline(always)]
    pub(super) fn metric(
        &mut self,
        at: &mut At<'a>,
        read: impl FnOnce(&mut Self, Range<usize>) -> Checked,
    ) -> Checked {
        self.tally.metric();
        self.message(at, read)
    }

    /// The data of a metric, which came under `key` and replaces what came under another.
    #[inline(always)]
    pub(super) fn metric_data(
        &mut self,
        at: &mut At<'a>,
        key: u32,
        read: impl FnOnce(&mut Self, Range<usize>) -> Checked,
    ) -> Checked {
        self.tally.metric_data(key);
        self.message(at, read)
    }

    /// One attribute, or as many of the usual form as follow each other.
    #[inline(always)]
    pub(super) fn attributes(
        &mut self,
        at: &mut At<'a>,
        read: impl FnOnce(&mut Self, Range<usize>) -> Checked,
    ) -> Checked {
        // A key and a value are two levels.
        if self.depth + 2 <= NESTING_MAX {
            let pos = usual::skip_attributes(self.request, at.field..at.bytes.len());
            if pos > at.field {
                at.pos = pos;
                return Ok(());
            }
        }
        self.message(at, read)
    }

    #[inline(always)]
    fn descend(
        &mut self,
        field: usize,
        within: Range<usize>,
        read: impl FnOnce(&mut Self, Range<usize>) -> Checked,
    ) -> Checked {
        if self.depth == NESTING_MAX {
            return Err(Fault { offset: field, kind: FaultKind::TooDeep });
        }
        self.depth += 1;
        read(self, within)?;
        self.depth -= 1;
        Ok(())
    }

    /// A field that `message` does not know, which is stepped over, or one that it knows in another wire type.
    #[inline(always)]
    pub(super) fn other(&mut self, at: &mut At<'a>, key: u32, message: &Message) -> Checked {
        at.pos = self.after_other(*at, key, message)?;
        Ok(())
    }

    #[cold]
    fn after_other(&self, mut at: At<'a>, key: u32, message: &Message) -> Result<usize, Fault> {
        let fault = |kind| Err(Fault { offset: at.field, kind });
        let Some(wire) = WireType::of_key(key) else {
            let group = matches!(key & 7, 3 | 4);
            return fault(if group { FaultKind::Group } else { FaultKind::UndefinedWireType });
        };
        if key >> 3 == 0 {
            return fault(FaultKind::FieldZero);
        }
        if message.field(key >> 3).is_some() {
            return fault(FaultKind::WrongWireType);
        }
        // As prost does: it counts skipping as a level.
        if self.depth == NESTING_MAX {
            return fault(FaultKind::TooDeep);
        }
        match wire {
            WireType::Varint => at.varint()?,
            WireType::Fixed64 => at.fixed64()?,
            WireType::Len => at.bytes()?,
            WireType::Fixed32 => at.fixed32()?,
        }
        Ok(at.pos)
    }
}

/// A position within a message, between or within its fields.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    /// The request up to the end of the message.
    bytes: &'a [u8],
    pos: usize,
    /// Where the current field's key begins: what a fault is reported at.
    field: usize,
}

impl<'a> At<'a> {
    /// The key of the next field; `None` at the end of the message.
    #[inline(always)]
    pub(super) fn key(&mut self) -> Result<Option<u32>, Fault> {
        self.field = self.pos;
        let Some(&first) = self.bytes.get(self.pos) else { return Ok(None) };
        if first < 0x80 {
            self.pos += 1;
            return Ok(Some(u32::from(first)));
        }
        if let Some(&second @ 0..0x80) = self.bytes.get(self.pos + 1) {
            self.pos += 2;
            return Ok(Some(u32::from(first & 0x7f) | u32::from(second) << 7));
        }
        let (key, after) = long_key(self.bytes, self.pos)?;
        self.pos = after;
        Ok(Some(key))
    }

    /// Steps over a varint.
    #[inline(always)]
    pub(super) fn varint(&mut self) -> Checked {
        self.pos = match self.bytes.get(self.pos) {
            Some(0..0x80) => self.pos + 1,
            _ => long_varint(self.bytes, self.pos, self.field)?.1,
        };
        Ok(())
    }

    /// Steps over 8 bytes.
    #[inline(always)]
    pub(super) fn fixed64(&mut self) -> Checked {
        self.skip(8)
    }

    /// Steps over 4 bytes.
    #[inline(always)]
    pub(super) fn fixed32(&mut self) -> Checked {
        self.skip(4)
    }

    /// Steps over a length and that many bytes.
    #[inline(always)]
    pub(super) fn bytes(&mut self) -> Checked {
        self.delimited().map(drop)
    }

    /// Packed values of `WIDTH` bytes each.
    #[inline(always)]
    pub(super) fn packed<const WIDTH: usize>(&mut self) -> Checked {
        if self.delimited()?.len().is_multiple_of(WIDTH) {
            return Ok(());
        }
        Err(Fault { offset: self.field, kind: FaultKind::PackedLength })
    }

    /// Packed varints.
    #[inline(always)]
    pub(super) fn packed_varints(&mut self) -> Checked {
        let values = self.delimited()?;
        let bytes = self.bytes.get(..values.end).unwrap_or_default();
        whole_varints(bytes, values.start, self.field)
    }

    #[inline(always)]
    fn skip(&mut self, len: usize) -> Checked {
        if self.bytes.len() - self.pos < len {
            return Err(Fault { offset: self.field, kind: FaultKind::Truncated });
        }
        self.pos += len;
        Ok(())
    }

    #[inline(always)]
    fn content(&mut self) -> Result<&'a [u8], Fault> {
        let content = self.delimited()?;
        Ok(self.bytes.get(content).unwrap_or_default())
    }

    /// Reads a length and moves behind what it announces.
    #[inline(always)]
    fn delimited(&mut self) -> Result<Range<usize>, Fault> {
        let (len, start) = match self.bytes.get(self.pos) {
            Some(&len @ 0..0x80) => (usize::from(len), self.pos + 1),
            Some(&low) => match self.bytes.get(self.pos + 1) {
                Some(&high @ 0..0x80) => {
                    (usize::from(low & 0x7f) | usize::from(high) << 7, self.pos + 2)
                }
                _ => long_length(self.bytes, self.pos, self.field)?,
            },
            None => return Err(Fault { offset: self.field, kind: FaultKind::Truncated }),
        };
        if len > self.bytes.len() - start {
            return Err(Fault { offset: self.field, kind: FaultKind::Truncated });
        }
        self.pos = start + len;
        Ok(start..self.pos)
    }
}

/// The key at `pos`, which is its field's offset too, and the position after it.
#[cold]
fn long_key(bytes: &[u8], pos: usize) -> Result<(u32, usize), Fault> {
    let (key, after) = long_varint(bytes, pos, pos)?;
    let key = u32::try_from(key);
    key.map(|key| (key, after)).map_err(|_| Fault { offset: pos, kind: FaultKind::KeyOverflow })
}

#[inline(never)]
fn long_length(bytes: &[u8], pos: usize, field: usize) -> Result<(usize, usize), Fault> {
    let (len, after) = long_varint(bytes, pos, field)?;
    let len = usize::try_from(len);
    len.map(|len| (len, after)).map_err(|_| Fault { offset: field, kind: FaultKind::Truncated })
}

/// The varint at `pos` and the position after it.
#[inline(never)]
fn long_varint(bytes: &[u8], pos: usize, field: usize) -> Result<(u64, usize), Fault> {
    varint::read(bytes, pos).ok_or_else(|| {
        let rest = bytes.get(pos..).unwrap_or_default();
        let unended = rest.len() < varint::LEN_MAX && rest.iter().all(|byte| *byte >= 0x80);
        let kind = if unended { FaultKind::Truncated } else { FaultKind::VarintOverflow };
        Fault { offset: field, kind }
    })
}

/// Whether the varints from `pos` to the end of `bytes` are whole.
fn whole_varints(bytes: &[u8], mut pos: usize, field: usize) -> Checked {
    while let Some(&first) = bytes.get(pos) {
        pos = if first < 0x80 { pos + 1 } else { long_varint(bytes, pos, field)?.1 };
    }
    Ok(())
}
