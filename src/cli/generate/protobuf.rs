//! A protobuf writer that remembers where the fields are that change from request to request.
//!
//! Nested messages are written in place and their length is inserted after, so the cost of a request is its
//! bytes times its nesting depth: fine for what is made once and patched from then on.

/// What stands at a marked place, and what is written there for each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// 16 bytes: the id of the trace whose root is this item.
    TraceId(u32),
    /// 8 bytes: the id of this item.
    ItemId(u32),
    /// 8 bytes, little endian: this many nanoseconds before the time of the request.
    TimeBefore(u64),
}

/// A slot and its offset in the bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) at: usize,
    pub(super) slot: Slot,
}

/// Bytes being written.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
    pub(super) marks: Vec<Mark>,
}

/// An attribute's value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Int(i64),
    Double(f64),
    Bool(bool),
    Texts(Vec<&'static str>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

/// Attributes in the order in which they are written.
pub(super) type Attributes = Vec<(&'static str, Value)>;

impl Writer {
    fn raw_varint(&mut self, value: u64) {
        sidelight_wire::varint::write(value, &mut self.bytes);
    }

    fn key(&mut self, field: u32, wire_type: u32) {
        self.raw_varint(u64::from(field << 3 | wire_type));
    }

    pub(super) fn varint(&mut self, field: u32, value: u64) {
        self.key(field, 0);
        self.raw_varint(value);
    }

    /// A `sint32` or `sint64`.
    pub(super) fn zigzag(&mut self, field: u32, value: i64) {
        self.varint(field, ((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    pub(super) fn fixed64(&mut self, field: u32, value: u64) {
        self.key(field, 1);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn fixed32(&mut self, field: u32, value: u32) {
        self.key(field, 5);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn double(&mut self, field: u32, value: f64) {
        self.fixed64(field, value.to_bits());
    }

    pub(super) fn text(&mut self, field: u32, text: &str) {
        self.key(field, 2);
        self.raw_varint(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// A nested message, or anything else with a length that `inside` writes.
    pub(super) fn message(&mut self, field: u32, inside: impl FnOnce(&mut Self)) {
        self.key(field, 2);
        let start = self.bytes.len();
        let marked = self.marks.len();
        inside(self);
        let mut length = Vec::with_capacity(4);
        sidelight_wire::varint::write((self.bytes.len() - start) as u64, &mut length);
        let shift = length.len();
        self.bytes.splice(start..start, length);
        for mark in self.marks.iter_mut().skip(marked) {
            mark.at += shift;
        }
    }

    /// A repeated `fixed64` or `double` in packed form.
    pub(super) fn packed_fixed64(&mut self, field: u32, values: impl Iterator<Item = u64>) {
        self.message(field, |w| values.for_each(|v| w.bytes.extend_from_slice(&v.to_le_bytes())));
    }

    /// A repeated `uint64` in packed form.
    pub(super) fn packed_varint(&mut self, field: u32, values: impl Iterator<Item = u64>) {
        self.message(field, |w| values.for_each(|v| w.raw_varint(v)));
    }

    /// A field whose value differs from request to request.
    pub(super) fn slot(&mut self, field: u32, slot: Slot) {
        let length = match slot {
            Slot::TraceId(_) => 16,
            Slot::ItemId(_) | Slot::TimeBefore(_) => 8,
        };
        if matches!(slot, Slot::TimeBefore(_)) {
            self.key(field, 1);
        } else {
            self.key(field, 2);
            self.raw_varint(length as u64);
        }
        self.marks.push(Mark { at: self.bytes.len(), slot });
        self.bytes.resize(self.bytes.len() + length, 0);
    }

    /// `KeyValue` messages.
    pub(super) fn attributes(&mut self, field: u32, attributes: &[(&'static str, Value)]) {
        for (key, value) in attributes {
            self.message(field, |w| {
                w.text(1, key);
                w.message(2, |w| w.any_value(value));
            });
        }
    }

    /// The fields of an `AnyValue`.
    pub(super) fn any_value(&mut self, value: &Value) {
        match value {
            Value::Text(text) => self.text(1, text),
            Value::Bool(value) => self.varint(2, u64::from(*value)),
            Value::Int(value) => self.varint(3, value.cast_unsigned()),
            Value::Double(value) => self.double(4, *value),
            Value::Texts(texts) => self.message(5, |w| {
                for text in texts {
                    w.message(1, |w| w.text(1, text));
                }
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_follow_their_fields_when_lengths_are_inserted_before_them() {
        let mut writer = Writer::default();
        writer.message(1, |w| {
            w.text(1, &"x".repeat(200));
            w.message(2, |w| w.slot(1, Slot::ItemId(7)));
            w.slot(3, Slot::TimeBefore(5));
        });
        let [id, time] = writer.marks[..] else { panic!("two marks") };
        assert_eq!((id.slot, time.slot), (Slot::ItemId(7), Slot::TimeBefore(5)));
        assert_eq!(writer.bytes[id.at - 2..id.at], [0x0a, 8]);
        assert_eq!(writer.bytes[time.at - 1], 3 << 3 | 1);
        assert_eq!(time.at + 8, writer.bytes.len());
    }

    #[test]
    fn a_zigzag_number_keeps_small_negatives_short() {
        let mut writer = Writer::default();
        writer.zigzag(6, -1);
        assert_eq!(writer.bytes, [6 << 3, 1]);
    }
}
