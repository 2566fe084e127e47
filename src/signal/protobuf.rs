//! [`Fields`]: a protobuf message being written, for the few requests that the agent makes itself.
//!
//! Fields are appended in the order of the calls; what is empty is written all the same. Cost: a nested message is
//! written beside its parent and copied once.

use sidelight_wire::varint;

/// A protobuf message being written.
#[derive(Clone, Debug, Default)]
pub struct Fields(pub Vec<u8>);

impl Fields {
    fn key(&mut self, field: u32, wire_type: u32) {
        varint::write(u64::from(field << 3 | wire_type), &mut self.0);
    }

    /// A number of any size.
    pub fn varint(&mut self, field: u32, value: u64) {
        self.key(field, 0);
        varint::write(value, &mut self.0);
    }

    /// A number of eight bytes.
    pub fn fixed64(&mut self, field: u32, value: u64) {
        self.key(field, 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A double.
    pub fn double(&mut self, field: u32, value: f64) {
        self.fixed64(field, value.to_bits());
    }

    /// Numbers of eight bytes, packed.
    pub fn packed(&mut self, field: u32, values: impl ExactSizeIterator<Item = u64>) {
        self.key(field, 2);
        varint::write(values.len() as u64 * 8, &mut self.0);
        values.for_each(|value| self.0.extend_from_slice(&value.to_le_bytes()));
    }

    /// Bytes.
    pub fn bytes(&mut self, field: u32, value: &[u8]) {
        self.key(field, 2);
        varint::write(value.len() as u64, &mut self.0);
        self.0.extend_from_slice(value);
    }

    /// Text.
    pub fn text(&mut self, field: u32, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    /// A message within this one.
    pub fn nested(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }

    /// An attribute whose value is text.
    pub fn attribute(&mut self, field: u32, name: &str, value: &str) {
        self.nested(field, |attribute| {
            attribute.text(1, name);
            attribute.nested(2, |any| any.text(1, value));
        });
    }
}
