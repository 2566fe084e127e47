//! The protobuf being written: fields, and messages whose length is not known until they end.
//!
//! Invariant: between fields, everything after `base` is a sequence of whole fields of the innermost open message, and
//! before it of whole fields and open messages' keys and held places. Lengths are canonical varints.

use super::error::Reason;
use crate::field::Fields;
use crate::schema::{Field, Message, WireType};
use crate::{tables, varint};

/// What has been written, and how wide lengths were lately.
pub(super) struct Output<'o> {
    bytes: &'o mut Vec<u8>,
    base: usize,
    bytes_max: usize,
    /// The width of the last length of each message type.
    widths: [u8; tables::MESSAGES.len()],
    /// Bytes that removing fields may still read.
    rescan_bytes_left: usize,
}

/// Where the content of an open message starts, and how many bytes before it are held for its length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) body: usize,
    width: u8,
}

impl<'o> Output<'o> {
    pub(super) fn new(bytes: &'o mut Vec<u8>, bytes_max: usize, input_len: usize) -> Self {
        let base = bytes.len();
        // OTLP/JSON is about twice as long as its protobuf.
        bytes.reserve(bytes_max.min(input_len / 2));
        let rescan_bytes_left = input_len.saturating_mul(16).saturating_add(1 << 16);
        Self { bytes, base, bytes_max, widths: [1; tables::MESSAGES.len()], rescan_bytes_left }
    }

    /// Takes back everything.
    pub(super) fn abandon(&mut self) {
        self.bytes.truncate(self.base);
    }

    /// Whether `more` bytes may be written.
    #[inline]
    pub(super) fn room(&self, more: usize) -> Result<(), Reason> {
        let written = self.bytes.len() - self.base;
        if written.saturating_add(more) <= self.bytes_max { Ok(()) } else { Err(Reason::TooLarge) }
    }

    /// Starts the content of the request itself, which has neither key nor length.
    pub(super) fn open_root(&self) -> Held {
        Held { body: self.bytes.len(), width: 0 }
    }

    /// Writes the key of a message field and holds a place for its length.
    #[inline]
    pub(super) fn open(&mut self, key: u32, message: &Message) -> Held {
        let width = self.widths.get(message.index).copied().unwrap_or(1);
        self.hold(key, width)
    }

    /// Writes a key and holds `width` bytes.
    #[inline]
    fn hold(&mut self, key: u32, width: u8) -> Held {
        self.key(key);
        let place: &[u8] = match width {
            0 | 1 => &[0],
            2 => &[0; 2],
            3 => &[0; 3],
            4 => &[0; 4],
            _ => &[0; 5],
        };
        self.bytes.extend_from_slice(place);
        Held { body: self.bytes.len(), width: place.len() as u8 }
    }

    /// Ends a message: its length goes into the held place.
    #[inline]
    pub(super) fn close(&mut self, held: Held, message: &Message) -> Result<(), Reason> {
        let width = self.fill(held);
        if let Some(last) = self.widths.get_mut(message.index) {
            *last = width;
        }
        self.room(0)
    }

    /// Writes the length of everything from `held` on, and returns its width.
    #[inline]
    fn fill(&mut self, held: Held) -> u8 {
        let len = (self.bytes.len() - held.body) as u64;
        if let (1, 0..0x80) = (held.width, len) {
            if let Some(place) = self.bytes.get_mut(held.body - 1) {
                *place = len as u8;
            }
            return 1;
        }
        self.fill_wide(held, len)
    }

    fn fill_wide(&mut self, held: Held, len: u64) -> u8 {
        let width = varint::len(len);
        let place = held.body - usize::from(held.width);
        let body = place + width;
        if body > held.body {
            let end = self.bytes.len();
            self.bytes.resize(end + body - held.body, 0);
            self.bytes.copy_within(held.body..end, body);
        } else if body < held.body {
            self.bytes.copy_within(held.body.., body);
            self.bytes.truncate(self.bytes.len() - (held.body - body));
        }
        let mut rest = len;
        for (index, byte) in self.bytes.iter_mut().skip(place).take(width).enumerate() {
            let more = if index + 1 < width { 0x80 } else { 0 };
            *byte = (rest & 0x7f) as u8 | more;
            rest >>= 7;
        }
        width as u8
    }

    /// Writes a message field without content.
    pub(super) fn empty_message(&mut self, key: u32) -> Result<(), Reason> {
        self.key(key);
        self.bytes.push(0);
        self.room(0)
    }

    #[inline(always)]
    fn key(&mut self, key: u32) {
        if key < 0x80 {
            self.bytes.push(key as u8)
        } else {
            varint::write(u64::from(key), self.bytes)
        }
    }

    /// Writes a string or bytes field of known content.
    #[inline]
    pub(super) fn text(&mut self, key: u32, text: &[u8]) -> Result<(), Reason> {
        self.room(text.len())?;
        self.key(key);
        varint::write(text.len() as u64, self.bytes);
        self.bytes.extend_from_slice(text);
        self.room(0)
    }

    /// Writes a string or bytes field whose content of at most `len_max` bytes `append` appends; writes nothing if
    /// that is none and `keep_empty` is false.
    pub(super) fn text_with<T, E: From<Reason>>(
        &mut self,
        key: u32,
        len_max: usize,
        keep_empty: bool,
        append: impl FnOnce(&mut Vec<u8>, usize) -> Result<T, E>,
    ) -> Result<T, E> {
        self.room(len_max)?;
        let start = self.bytes.len();
        let held = self.hold(key, varint::len(len_max as u64) as u8);
        let answer = append(self.bytes, held.body)?;
        if self.bytes.len() == held.body && !keep_empty {
            self.bytes.truncate(start);
        } else {
            self.fill(held);
        }
        self.room(0)?;
        Ok(answer)
    }

    /// Writes a scalar field: `bits` is the varint, or the value's bytes.
    #[inline]
    pub(super) fn scalar(&mut self, field: &Field, bits: u64) -> Result<(), Reason> {
        self.key((field.number << 3) | field.kind.wire_type() as u32);
        self.bare(field.kind.wire_type(), bits);
        self.room(0)
    }

    /// Holds a place for the length of packed values.
    pub(super) fn open_packed(&mut self, field: &Field) -> Held {
        self.hold((field.number << 3) | WireType::Len as u32, 1)
    }

    /// Writes one packed value.
    #[inline]
    pub(super) fn packed(&mut self, field: &Field, bits: u64) -> Result<(), Reason> {
        self.bare(field.kind.wire_type(), bits);
        self.room(0)
    }

    /// Ends packed values.
    pub(super) fn close_packed(&mut self, held: Held) -> Result<(), Reason> {
        self.fill(held);
        self.room(0)
    }

    #[inline]
    fn bare(&mut self, wire: WireType, bits: u64) {
        match wire {
            WireType::Fixed64 => self.bytes.extend_from_slice(&bits.to_le_bytes()),
            WireType::Fixed32 => self.bytes.extend_from_slice(&(bits as u32).to_le_bytes()),
            _ => varint::write(bits, self.bytes),
        }
    }

    /// Removes what the field `number` wrote into the innermost open message, whose content starts at `body`.
    #[cold]
    pub(super) fn remove(&mut self, body: usize, number: u32) -> Result<(), Reason> {
        let rescanned = self.bytes.len() - body;
        self.rescan_bytes_left =
            self.rescan_bytes_left.checked_sub(rescanned).ok_or(Reason::TooManyDuplicates)?;
        let mut kept_end = body;
        let mut next = body;
        while let Some((found, field)) =
            Fields::new(self.bytes, next).next().map(|raw| (raw.number, raw.start..raw.end))
        {
            next = field.end;
            if found != number {
                let len = field.len();
                if kept_end < field.start {
                    self.bytes.copy_within(field, kept_end);
                }
                kept_end += len;
            }
        }
        self.bytes.truncate(kept_end);
        Ok(())
    }
}
