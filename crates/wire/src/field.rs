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

/// The key of field `number` as `wire`.
pub(crate) const fn key(number: u32, wire: WireType) -> u32 {
    number << 3 | wire as u32
}

/// Reads keys and values one after another: for hot loops that match on the key and read only what it announces.
///
/// After any `None` the message is over or broken: stop.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    pub(crate) pos: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, pos: 0 }
    }

    #[inline(always)]
    pub(crate) fn key(&mut self) -> Option<u32> {
        u32::try_from(self.varint()?).ok()
    }

    /// Whether the one-byte `key` follows, which is then read.
    #[inline(always)]
    pub(crate) fn key_again(&mut self, key: u32) -> bool {
        let again = self.bytes.get(self.pos).is_some_and(|byte| u32::from(*byte) == key);
        self.pos += usize::from(again);
        again
    }

    #[inline(always)]
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let (value, next) = varint::read(self.bytes, self.pos)?;
        self.pos = next;
        Some(value)
    }

    #[inline(always)]
    pub(crate) fn delimited(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.varint()?).ok()?;
        let end = self.pos.checked_add(len)?;
        let content = self.bytes.get(self.pos..end)?;
        self.pos = end;
        Some(content)
    }

    #[inline(always)]
    pub(crate) fn fixed64(&mut self) -> Option<u64> {
        let value = self.bytes.get(self.pos..)?.first_chunk()?;
        self.pos += 8;
        Some(u64::from_le_bytes(*value))
    }

    #[inline(always)]
    pub(crate) fn fixed32(&mut self) -> Option<u32> {
        let value = self.bytes.get(self.pos..)?.first_chunk()?;
        self.pos += 4;
        Some(u32::from_le_bytes(*value))
    }

    /// Reads the next `N` bytes if they are there and `accept` them.
    #[inline(always)]
    pub(crate) fn take_if<const N: usize>(
        &mut self,
        accept: impl FnOnce(&[u8; N]) -> bool,
    ) -> Option<&'a [u8; N]> {
        let bytes = self.bytes.get(self.pos..)?.first_chunk().filter(|bytes| accept(bytes))?;
        self.pos += N;
        Some(bytes)
    }

    /// Steps over the value that `key` announces.
    #[inline(always)]
    pub(crate) fn skip(&mut self, key: u32) -> Option<()> {
        match WireType::of_key(key)? {
            WireType::Varint => drop(self.varint()?),
            WireType::Fixed64 => drop(self.fixed64()?),
            WireType::Len => drop(self.delimited()?),
            WireType::Fixed32 => drop(self.fixed32()?),
        }
        Some(())
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

    /// The content of the next field, if it is length-delimited with the one-byte key `key`; otherwise nothing is
    /// read.
    #[inline(always)]
    pub(crate) fn next_content(&mut self, key: u32) -> Option<&'a [u8]> {
        let next_key = self.bytes.get(self.pos)?;
        if u32::from(*next_key) != key {
            return None;
        }
        let (len, start) = varint::read(self.bytes, self.pos + 1)?;
        let end = start.checked_add(usize::try_from(len).ok()?)?;
        let content = self.bytes.get(start..end)?;
        self.pos = end;
        Some(content)
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
