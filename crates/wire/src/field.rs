//! Walking the fields of one message, whatever it is.
//!
//! Never panics on bytes that were not validated: the walk ends at the first field that is not whole. No allocation.

use crate::schema::WireType;
use crate::varint;

/// One field on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawField<'a> {
    /// Position of the key's first byte.
    pub start: usize,
    /// Position after the value.
    pub end: usize,
    /// Field number, from 1.
    pub number: u32,
    /// The value.
    pub value: RawValue<'a>,
}

/// A value as its wire type frames it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawValue<'a> {
    /// A varint: integers, bools, enums.
    Varint(u64),
    /// 8 bytes, little-endian.
    Fixed64(u64),
    /// Length-delimited: strings, bytes, submessages, packed values.
    Len(&'a [u8]),
    /// 4 bytes, little-endian.
    Fixed32(u32),
}

impl<'a> RawValue<'a> {
    /// The length-delimited content.
    #[inline(always)]
    #[must_use]
    pub const fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Len(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// Iterates over the fields of a message in the order of writing.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    pos: usize,
}

impl<'a> Fields<'a> {
    /// The fields of `bytes` from position `pos`; positions reported are relative to `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8], pos: usize) -> Self {
        Self { bytes, pos }
    }

    /// Position of the next key, or where the walk ended.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.pos
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = RawField<'a>;

    #[inline]
    fn next(&mut self) -> Option<RawField<'a>> {
        let start = self.pos;
        let (key, pos) = varint::read(self.bytes, start)?;
        let key = u32::try_from(key).ok()?;
        let (value, end) = match WireType::of_key(key)? {
            WireType::Varint => {
                let (value, end) = varint::read(self.bytes, pos)?;
                (RawValue::Varint(value), end)
            }
            WireType::Fixed64 => {
                let value = self.bytes.get(pos..)?.first_chunk()?;
                (RawValue::Fixed64(u64::from_le_bytes(*value)), pos + 8)
            }
            WireType::Len => {
                let (len, pos) = varint::read(self.bytes, pos)?;
                let end = pos.checked_add(usize::try_from(len).ok()?)?;
                (RawValue::Len(self.bytes.get(pos..end)?), end)
            }
            WireType::Fixed32 => {
                let value = self.bytes.get(pos..)?.first_chunk()?;
                (RawValue::Fixed32(u32::from_le_bytes(*value)), pos + 4)
            }
        };
        self.pos = end;
        Some(RawField { start, end, number: key >> 3, value })
    }
}
