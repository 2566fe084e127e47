//! The scanner: one pass over a request, field by field, with the ends of the open messages on an
//! explicit stack of fixed size.
//!
//! Cost: no allocation; per field one table lookup and one jump; per attribute in the usual form (key, then a
//! scalar value, each shorter than 128 bytes, ASCII) neither: see [`is_plain_attribute`].

use super::ops::{Code, Op, Row, row};
use super::{FaultKind, Limits, NESTING_MAX, Summary};
use crate::{Signal, tables, utf8, varint};

/// What is wrong and where; the path is looked up afterwards.
pub(super) struct Fault {
    pub(super) offset: usize,
    pub(super) kind: FaultKind,
}

/// The request under the scanner, and what becomes of text that is not UTF-8.
pub(super) trait Input {
    fn bytes(&self) -> &[u8];
    /// Called for each string field that is not UTF-8.
    fn invalid_text(&mut self, start: usize, end: usize) -> Result<(), Fault>;
}

/// A message that is open around the current one.
#[derive(Clone, Copy)]
struct Open {
    end: usize,
    row: &'static Row,
}

/// Which of an item's own ids are usable.
const TRACE_USABLE: u8 = 1;
const SPAN_USABLE: u8 = 2;
const BOTH_USABLE: u8 = TRACE_USABLE | SPAN_USABLE;

pub(super) struct Scan<'l, I> {
    pub(super) input: I,
    pub(super) summary: Summary,
    limits: &'l Limits,
    pos: usize,
    end: usize,
    row: &'static Row,
    depth: usize,
    /// What an item starts with: logs without ids are ordinary, spans are not.
    ids_at_start: u8,
    ids: u8,
    any_id_usable: bool,
    items_before_metric: u32,
    metric_data: u64,
}

impl<'l, I: Input> Scan<'l, I> {
    pub(super) fn new(signal: Signal, input: I, limits: &'l Limits) -> Self {
        let ids_at_start = if signal == Signal::Traces { 0 } else { BOTH_USABLE };
        Self {
            end: input.bytes().len(),
            input,
            summary: Summary::default(),
            limits,
            pos: 0,
            row: row(tables::request(signal).0),
            depth: 0,
            ids_at_start,
            ids: BOTH_USABLE,
            any_id_usable: ids_at_start != 0,
            items_before_metric: 0,
            metric_data: 0,
        }
    }

    /// Scans to the end of the request.
    pub(super) fn run(&mut self) -> Result<(), Fault> {
        let mut stack = [Open { end: 0, row: self.row }; NESTING_MAX];
        loop {
            while self.pos == self.end {
                if self.depth == 0 {
                    return self.finish();
                }
                self.depth -= 1;
                if let Some(open) = stack.get(self.depth) {
                    self.end = open.end;
                    self.row = open.row;
                }
            }
            let start = self.pos;
            let (key, op) = self.key()?;
            match op.code {
                Code::Refuse => return Err(self.refusal(start, key)),
                Code::Varint => self.pos = self.varint()?.1,
                Code::Fixed64 => self.skip(8)?,
                Code::Fixed32 => self.skip(4)?,
                Code::Bytes => self.pos = self.field_end()?,
                Code::String => self.string()?,
                Code::PackedVarint => self.packed_varints()?,
                Code::PackedFixed64 => self.packed(8)?,
                Code::PackedFixed32 => self.packed(4)?,
                Code::Id16 | Code::Id8 | Code::TraceId | Code::SpanId => self.id(op.code)?,
                Code::KeyValue => {
                    let end = self.field_end()?;
                    if self.depth + 2 <= NESTING_MAX && self.is_plain_attribute(end) {
                        self.pos = end;
                    } else {
                        self.descend(&mut stack, op, end)?;
                    }
                }
                Code::Message | Code::Item | Code::MetricData => {
                    let end = self.field_end()?;
                    self.count(op.code, key)?;
                    self.descend(&mut stack, op, end)?;
                }
            }
        }
    }

    /// Reads the key at `pos`, which is before `end`.
    #[inline(always)]
    fn key(&mut self) -> Result<(u64, Op), Fault> {
        if let Some(&byte) = self.input.bytes().get(self.pos)
            && byte < 0x80
        {
            self.pos += 1;
            return Ok((u64::from(byte), self.row.short(byte)));
        }
        let (key, next) = self.varint()?;
        self.pos = next;
        Ok((key, self.row.long(key)))
    }

    /// The varint at `pos` and the position after it, within the current message.
    #[inline(always)]
    fn varint(&self) -> Result<(u64, usize), Fault> {
        match varint::read(self.input.bytes(), self.pos) {
            Some((value, next)) if next <= self.end => Ok((value, next)),
            Some(_) => Err(self.fault(FaultKind::Truncated)),
            None => Err(self.bad_varint()),
        }
    }

    #[cold]
    fn bad_varint(&self) -> Fault {
        let available = self.end - self.pos;
        let rest = self.input.bytes().get(self.pos..self.end).unwrap_or_default();
        let unended = available < varint::LEN_MAX && rest.iter().all(|byte| *byte >= 0x80);
        self.fault(if unended { FaultKind::Truncated } else { FaultKind::VarintOverflow })
    }

    /// Reads a length at `pos` and moves behind it; the end of what it announces.
    #[inline(always)]
    fn field_end(&mut self) -> Result<usize, Fault> {
        let (len, next) = self.varint()?;
        if len > (self.end - next) as u64 {
            return Err(self.fault(FaultKind::Truncated));
        }
        self.pos = next;
        Ok(next + len as usize)
    }

    #[inline(always)]
    fn skip(&mut self, len: usize) -> Result<(), Fault> {
        if self.end - self.pos < len {
            return Err(self.fault(FaultKind::Truncated));
        }
        self.pos += len;
        Ok(())
    }

    #[inline(always)]
    fn slice(&self, end: usize) -> &[u8] {
        self.input.bytes().get(self.pos..end).unwrap_or_default()
    }

    #[inline(always)]
    fn string(&mut self) -> Result<(), Fault> {
        let end = self.field_end()?;
        if !utf8::is_valid(self.slice(end)) {
            self.invalid_text(end)?;
        }
        self.pos = end;
        Ok(())
    }

    #[cold]
    fn invalid_text(&mut self, end: usize) -> Result<(), Fault> {
        self.summary.invalid_utf8 = self.summary.invalid_utf8.saturating_add(1);
        self.input.invalid_text(self.pos, end)
    }

    fn packed(&mut self, width: usize) -> Result<(), Fault> {
        let end = self.field_end()?;
        if !(end - self.pos).is_multiple_of(width) {
            return Err(self.fault(FaultKind::PackedLength));
        }
        self.pos = end;
        Ok(())
    }

    fn packed_varints(&mut self) -> Result<(), Fault> {
        let end = self.field_end()?;
        while self.pos < end {
            let (_, next) = self.varint()?;
            if next > end {
                return Err(self.fault(FaultKind::Truncated));
            }
            self.pos = next;
        }
        Ok(())
    }

    #[inline(always)]
    fn id(&mut self, code: Code) -> Result<(), Fault> {
        let end = self.field_end()?;
        let id = self.slice(end);
        let (len, flag) = match code {
            Code::TraceId => (16, TRACE_USABLE),
            Code::SpanId => (8, SPAN_USABLE),
            Code::Id16 => (16, 0),
            _ => (8, 0),
        };
        let empty = id.is_empty();
        let right = id.len() == len;
        let usable = right && id.iter().any(|byte| *byte != 0);
        self.summary.odd_ids = self.summary.odd_ids.saturating_add(u32::from(!right && !empty));
        self.any_id_usable |= usable && flag != 0;
        let ordinary = usable || (empty && self.ids_at_start != 0);
        self.ids = if ordinary { self.ids | flag } else { self.ids & !flag };
        self.pos = end;
        Ok(())
    }

    #[inline(always)]
    fn count(&mut self, code: Code, key: u64) -> Result<(), Fault> {
        match code {
            Code::Item => {
                if self.summary.items >= self.limits.items_max {
                    return Err(self.fault(FaultKind::TooManyItems));
                }
                self.settle_ids();
                self.ids = self.ids_at_start;
                self.summary.items += 1;
            }
            Code::MetricData if self.metric_data != key => {
                self.summary.items = self.items_before_metric;
                self.metric_data = key;
            }
            _ => {}
        }
        Ok(())
    }

    /// Counts the item before, whose fields have all been read.
    #[inline(always)]
    fn settle_ids(&mut self) {
        self.summary.unusable_ids += u32::from(self.ids != BOTH_USABLE);
    }

    #[inline(always)]
    fn descend(
        &mut self,
        stack: &mut [Open; NESTING_MAX],
        op: Op,
        end: usize,
    ) -> Result<(), Fault> {
        let Some(open) = stack.get_mut(self.depth) else {
            return Err(self.fault(FaultKind::TooDeep));
        };
        *open = Open { end: self.end, row: self.row };
        self.depth += 1;
        self.end = end;
        self.row = row(op.child);
        if op.child == tables::METRICS_METRIC.0 {
            self.items_before_metric = self.summary.items;
            self.metric_data = 0;
        }
        if self.depth == NESTING_MAX { self.deepest() } else { Ok(()) }
    }

    /// Refuses unknown fields in a message at the deepest level, as prost does: it counts skipping as a level.
    #[cold]
    fn deepest(&self) -> Result<(), Fault> {
        let bytes = self.input.bytes().get(..self.end).unwrap_or_default();
        let fields = crate::field::Fields::new(bytes, self.pos);
        for field in fields {
            if self.row.message.get().field(field.number).is_none() {
                return Err(Fault { offset: field.start, kind: FaultKind::TooDeep });
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        self.settle_ids();
        if self.limits.refuse_without_ids && self.summary.items > 0 && !self.any_id_usable {
            return Err(Fault { offset: 0, kind: FaultKind::NoUsableIds });
        }
        Ok(())
    }

    #[cold]
    fn fault(&self, kind: FaultKind) -> Fault {
        Fault { offset: self.pos, kind }
    }

    #[cold]
    fn refusal(&self, offset: usize, key: u64) -> Fault {
        let kind = match (u32::try_from(key).map(|key| key >> 3), key & 7) {
            (Err(_), _) => FaultKind::KeyOverflow,
            (_, 3 | 4) => FaultKind::Group,
            (_, 6 | 7) => FaultKind::UndefinedWireType,
            (Ok(0), _) => FaultKind::FieldZero,
            _ => FaultKind::WrongWireType,
        };
        Fault { offset, kind }
    }

    /// Whether the `KeyValue` from `pos` to `end` is one key followed by one scalar value, both ASCII where
    /// they are text and shorter than 128 bytes: then nothing in it needs a closer look.
    #[inline(always)]
    fn is_plain_attribute(&self, end: usize) -> bool {
        plain_attribute(self.slice(end)).is_some()
    }
}

#[inline(always)]
fn plain_attribute(bytes: &[u8]) -> Option<()> {
    let (&[0x0a, key_len], rest) = bytes.split_first_chunk()? else { return None };
    let (key, rest) = rest.split_at_checked(usize::from(key_len))?;
    let (&[0x12, value_len, value_key, first], rest) = rest.split_first_chunk()? else {
        return None;
    };
    let whole = usize::from(value_len) == rest.len() + 2;
    let plain = match value_key {
        0x0a => usize::from(first) == rest.len() && utf8::is_ascii(rest),
        0x10 | 0x18 if first < 0x80 => rest.is_empty(),
        0x18 => varint::read(rest, 0).is_some_and(|(_, next)| next == rest.len() && next < 9),
        0x21 => rest.len() == 7,
        _ => false,
    };
    (whole && plain && utf8::is_ascii(key) && (key_len | value_len) < 0x80).then_some(())
}
