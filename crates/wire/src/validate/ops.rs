//! What to do at each field key of each message, as one byte-indexed table built from [`tables`] at compile time.
//!
//! A key below 0x80 (field numbers up to 15) is one lookup; others are derived from the field on the fly.

use crate::schema::{Field, Kind, Mark, MessageId, WireType};
use crate::tables;

/// What the scanner does with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Code {
    /// Refuse: a wrong wire type, a group, field 0 or an undefined wire type.
    Refuse,
    /// Step over a varint.
    Varint,
    /// Step over 8 bytes.
    Fixed64,
    /// Step over 4 bytes.
    Fixed32,
    /// Step over a length and that many bytes.
    Bytes,
    /// As `Bytes`, and look whether it is UTF-8.
    String,
    /// As `Bytes`, and every varint within must be whole.
    PackedVarint,
    /// As `Bytes`, of a length divisible by 8.
    PackedFixed64,
    /// As `Bytes`, of a length divisible by 4.
    PackedFixed32,
    /// A 16-byte id that is not the item's own trace id.
    Id16,
    /// An 8-byte id that is not the item's own span id.
    Id8,
    /// The trace id of a span or log record.
    TraceId,
    /// The span id of a span or log record.
    SpanId,
    /// Descend into a submessage.
    Message,
    /// Descend into an attribute.
    KeyValue,
    /// Count an item and descend into it.
    Item,
    /// Descend into the data of a metric, which replaces any other data of it.
    MetricData,
}

/// An action and, where it descends, the message to descend into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Op {
    pub(super) code: Code,
    pub(super) child: u8,
}

impl Op {
    pub(super) const REFUSE: Self = Self::leaf(Code::Refuse);

    const fn leaf(code: Code) -> Self {
        Self { code, child: 0 }
    }

    /// What to do with a field that the schema does not know.
    const fn unknown(wire: WireType) -> Self {
        Self::leaf(match wire {
            WireType::Varint => Code::Varint,
            WireType::Fixed64 => Code::Fixed64,
            WireType::Len => Code::Bytes,
            WireType::Fixed32 => Code::Fixed32,
        })
    }

    /// What to do with `field` of message `parent` when it arrives as `wire`.
    const fn known(parent: u8, field: &Field, wire: WireType) -> Self {
        let expected = field.kind.wire_type();
        if wire as u8 != expected as u8 {
            let packed = matches!(wire, WireType::Len) && field.repeated;
            return match expected {
                WireType::Varint if packed => Self::leaf(Code::PackedVarint),
                WireType::Fixed64 if packed => Self::leaf(Code::PackedFixed64),
                WireType::Fixed32 if packed => Self::leaf(Code::PackedFixed32),
                _ => Self::REFUSE,
            };
        }
        match (field.kind, field.mark) {
            (Kind::Message(child), Mark::Item) => Self { code: Code::Item, child: child.0 },
            (Kind::Message(child), _) => {
                Self { code: descent(parent, field, child), child: child.0 }
            }
            (Kind::String, _) => Self::leaf(Code::String),
            (Kind::Bytes, Mark::Id16) if has_own_ids(parent) => Self::leaf(Code::TraceId),
            // "span_id", not "parent_span_id".
            (Kind::Bytes, Mark::Id8) if has_own_ids(parent) && field.name.len() == 7 => {
                Self::leaf(Code::SpanId)
            }
            (Kind::Bytes, Mark::Id16) => Self::leaf(Code::Id16),
            (Kind::Bytes, Mark::Id8) => Self::leaf(Code::Id8),
            _ => Self::unknown(wire),
        }
    }
}

const fn descent(parent: u8, field: &Field, child: MessageId) -> Code {
    if child.0 == tables::COMMON_KEY_VALUE.0 {
        Code::KeyValue
    } else if parent == tables::METRICS_METRIC.0 && field.oneof.is_some() {
        Code::MetricData
    } else {
        Code::Message
    }
}

const fn has_own_ids(message: u8) -> bool {
    message == tables::TRACE_SPAN.0 || message == tables::LOGS_LOG_RECORD.0
}

/// The actions of one message.
pub(super) struct Row {
    pub(super) message: MessageId,
    by_key: [Op; 128],
}

impl Row {
    /// The action for a one-byte key; the high bit is ignored.
    #[inline(always)]
    pub(super) fn short(&self, key: u8) -> Op {
        match self.by_key.get(usize::from(key & 0x7f)) {
            Some(op) => *op,
            None => Op::REFUSE,
        }
    }

    /// The action for any key.
    pub(super) fn long(&self, key: u64) -> Op {
        let Ok(key) = u32::try_from(key) else { return Op::REFUSE };
        let (Some(wire), 1..) = (WireType::of_key(key), key >> 3) else { return Op::REFUSE };
        match self.message.get().field(key >> 3) {
            Some(field) => Op::known(self.message.0, field, wire),
            None => Op::unknown(wire),
        }
    }
}

/// The row of `message`.
#[inline(always)]
pub(super) fn row(message: u8) -> &'static Row {
    match ROWS.get(usize::from(message)) {
        Some(row) => row,
        None => &NO_ROW,
    }
}

static NO_ROW: Row = Row { message: MessageId(0), by_key: [Op::REFUSE; 128] };
static ROWS: [Row; tables::MESSAGES.len()] = build();

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
const fn build() -> [Row; tables::MESSAGES.len()] {
    let mut rows = [const { Row { message: MessageId(0), by_key: [Op::REFUSE; 128] } };
        tables::MESSAGES.len()];
    let mut id = 0;
    while id < rows.len() {
        rows[id].message = MessageId(id as u8);
        let mut key = 8;
        while key < 128 {
            if let Some(wire) = WireType::of_key(key) {
                let field = find(tables::MESSAGES[id].fields, key >> 3);
                rows[id].by_key[key as usize] = match field {
                    Some(field) => Op::known(id as u8, field, wire),
                    None => Op::unknown(wire),
                };
            }
            key += 1;
        }
        id += 1;
    }
    rows
}

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
const fn find(fields: &'static [Field], number: u32) -> Option<&'static Field> {
    let mut index = 0;
    while index < fields.len() {
        if fields[index].number == number {
            return Some(&fields[index]);
        }
        index += 1;
    }
    None
}
