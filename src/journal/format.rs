//! The bytes of a segment. Little-endian; version 1. `docs/journal-format.md` says the same in prose.
//!
//! ```text
//! segment header, 64 bytes
//!  0 magic "SIDELOG\0"  8 version u16  10 flags u16 (1 = blocks)  12 reserved u32
//! 16 first_seq u64     24 created_unix_nano u64     32 salt [16]
//! 48 journal [12]      60 crc32c u32 of bytes 0..60
//!
//! record = header, 52 bytes │ meta │ payload
//!  0 magic u32          4 kind u8   5 signal u8   6 flags u16
//!  8 seq u64           16 received_unix_nano u64
//! 24 durable_seq u64   32 items u32 36 payload_len u32
//! 40 meta_len u16      42 reserved u16
//! 44 crc32c u32 of meta ‖ payload
//! 48 crc32c u32 of salt ‖ file offset u64 ‖ bytes 0..48
//! ```
//!
//! The salt is random per segment and the header's checksum covers where it stands, so a payload
//! that contains a well-formed record is never taken for one. Pure: bytes in, values out; no
//! panics on any input.

use crc_fast::{CrcAlgorithm, Digest};

use super::Class;
use super::ledger::{Count, slot};
use super::segment::Segment;
use crate::signal::{Flags, Record, Signal};
use crate::time::UnixNano;

/// The newest format this agent reads, and the one it writes.
pub(super) const VERSION: u16 = 1;
pub(super) const SEGMENT_HEADER: usize = 64;
pub(super) const RECORD_HEADER: usize = 52;
/// The first bytes of every record.
pub(super) const MAGIC: [u8; 4] = [0xd5, 0x1d, 0x0e, 0xa7];
const SEGMENT_MAGIC: [u8; 8] = *b"SIDELOG\0";
const BLOCKS: u16 = 1;
/// Payload of a seal record.
const SEAL_PAYLOAD: usize = 120;
/// A seal record, the last of a sealed segment.
pub(super) const SEAL: usize = RECORD_HEADER + SEAL_PAYLOAD;

pub(super) type Salt = [u8; 16];

/// Names a journal: random, made with its first segment, the same in all of them. Another journal in the same directory
/// has another, though its sequences begin at 1 as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity(pub [u8; 12]);

impl Identity {
    pub(super) fn random() -> Self {
        Self(std::array::from_fn(|_| fastrand::u8(1..)))
    }

    /// Whether it names a journal: segments of before there were names have zeros.
    pub(super) fn is_known(self) -> bool {
        self != Self::default()
    }
}

/// What a segment begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) first_seq: u64,
    pub(super) created: UnixNano,
    pub(super) salt: Salt,
    /// The journal that it belongs to.
    pub(super) journal: Identity,
    /// Its records are inside zstd blocks.
    pub(super) blocks: bool,
}

/// Why a segment header is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadHeader {
    /// Intact, of a version this agent does not know.
    Newer(u16),
    /// Not a segment, or damaged.
    Unreadable,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut out = Writer::<SEGMENT_HEADER>::new();
        out.put(&SEGMENT_MAGIC);
        out.put(&VERSION.to_le_bytes());
        out.put(&(if self.blocks { BLOCKS } else { 0 }).to_le_bytes());
        out.put(&[0; 4]);
        out.put(&self.first_seq.to_le_bytes());
        out.put(&self.created.0.to_le_bytes());
        out.put(&self.salt);
        out.put(&self.journal.0);
        let crc = crc32c(&[out.so_far()]);
        out.put(&crc.to_le_bytes());
        out.bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, BadHeader> {
        let mut input = Input(bytes);
        let parse = |input: &mut Input<'_>| {
            let magic = input.array::<8>()?;
            let (version, flags) = (input.u16()?, input.u16()?);
            input.u32()?;
            let (first_seq, created) = (input.u64()?, UnixNano(input.u64()?));
            let salt = input.array::<16>()?;
            let journal = Identity(input.array()?);
            let crc = input.u32()?;
            let whole = magic == SEGMENT_MAGIC && crc == crc32c(&[bytes.get(..60)?]);
            let blocks = flags & BLOCKS != 0;
            whole.then_some((version, Self { first_seq, created, salt, journal, blocks }))
        };
        match parse(&mut input) {
            Some((VERSION, header)) => Ok(header),
            Some((newer, _)) => Err(BadHeader::Newer(newer)),
            None => Err(BadHeader::Unreadable),
        }
    }
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// A request.
    Data = 1,
    /// Readers whose settled records changed; payload as [`super::snapshot`].
    Ack = 2,
    /// All readers and the ledger; the first record of every segment.
    State = 3,
    /// The segment's summary; its last record.
    Seal = 4,
    /// A zstd frame of data records; `items` is their number, `meta` the length inflated (u32).
    Block = 5,
}

impl Kind {
    fn from_code(code: u8) -> Option<Self> {
        [Self::Data, Self::Ack, Self::State, Self::Seal, Self::Block]
            .into_iter()
            .find(|&kind| kind as u8 == code)
    }
}

/// What a record begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// [`crate::signal::Signal`]'s code; 0 when `kind` is not data.
    pub(super) signal: u8,
    pub(super) flags: u16,
    pub(super) seq: u64,
    pub(super) received: UnixNano,
    /// The last sequence acknowledged before the record's group was written.
    pub(super) durable_seq: u64,
    pub(super) items: u32,
    pub(super) payload_len: u32,
    pub(super) meta_len: u16,
    pub(super) body_crc: u32,
}

impl Header {
    /// What a data record counts as; `None` for a signal that this version does not know.
    pub(super) fn class(&self) -> Option<Class> {
        Some(Class::of(Signal::from_code(self.signal)?, Flags(self.flags)))
    }

    /// A header of a record that is not data.
    pub(super) fn of(kind: Kind, seq: u64, payload: &[u8]) -> Self {
        Self {
            kind,
            signal: 0,
            flags: 0,
            seq,
            received: UnixNano(0),
            durable_seq: 0,
            items: 0,
            payload_len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            meta_len: 0,
            body_crc: crc32c(&[payload]),
        }
    }

    pub(super) fn encode(&self, salt: &Salt, offset: u64) -> [u8; RECORD_HEADER] {
        let mut out = Writer::<RECORD_HEADER>::new();
        out.put(&MAGIC);
        out.put(&[self.kind as u8, self.signal]);
        out.put(&self.flags.to_le_bytes());
        out.put(&self.seq.to_le_bytes());
        out.put(&self.received.0.to_le_bytes());
        out.put(&self.durable_seq.to_le_bytes());
        out.put(&self.items.to_le_bytes());
        out.put(&self.payload_len.to_le_bytes());
        out.put(&self.meta_len.to_le_bytes());
        out.put(&[0; 2]);
        out.put(&self.body_crc.to_le_bytes());
        let crc = seeded(salt, offset, out.so_far());
        out.put(&crc.to_le_bytes());
        out.bytes
    }

    /// The record header at the start of `bytes`, which stand at `offset` of a segment with `salt`.
    pub(super) fn decode(bytes: &[u8], salt: &Salt, offset: u64) -> Option<Self> {
        let mut input = Input(bytes);
        if input.array::<4>()? != MAGIC {
            return None;
        }
        let [kind, signal] = input.array::<2>()?;
        let flags = input.u16()?;
        let (seq, received, durable_seq) = (input.u64()?, UnixNano(input.u64()?), input.u64()?);
        let (items, payload_len, meta_len) = (input.u32()?, input.u32()?, input.u16()?);
        input.u16()?;
        let (body_crc, crc) = (input.u32()?, input.u32()?);
        if crc != seeded(salt, offset, bytes.get(..48)?) {
            return None;
        }
        let kind = Kind::from_code(kind)?;
        Some(Self {
            kind,
            signal,
            flags,
            seq,
            received,
            durable_seq,
            items,
            payload_len,
            meta_len,
            body_crc,
        })
    }

    /// Bytes of meta and payload.
    pub(super) fn body_len(&self) -> u64 {
        u64::from(self.payload_len) + u64::from(self.meta_len)
    }

    /// Bytes of the whole record.
    pub(super) fn len(&self) -> u64 {
        RECORD_HEADER as u64 + self.body_len()
    }
}

/// Bytes of a record in a segment.
pub(super) fn encoded_len(record: &Record) -> u64 {
    (RECORD_HEADER + record.meta.as_tlv().len() + record.payload.len()) as u64
}

/// The header of a seal record: `items` and `durable_seq` are the agent's own records and their bytes.
pub(super) fn seal_header(segment: &Segment, payload: &[u8]) -> Header {
    let local = segment.counts.get(Class::Local).requests;
    Header {
        items: u32::try_from(local).unwrap_or(u32::MAX),
        durable_seq: segment.bytes_of(Class::Local),
        ..Header::of(Kind::Seal, segment.end_seq, payload)
    }
}

/// The payload of a seal record.
pub(super) fn encode_seal(segment: &Segment) -> Vec<u8> {
    let mut out = Vec::with_capacity(SEAL_PAYLOAD);
    for class in Signal::ALL.map(Class::from) {
        let count = segment.counts.get(class);
        for value in [count.requests, count.items, segment.bytes_of(class)] {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
    for value in [segment.end_seq, segment.first_received.0, segment.last_received.0] {
        out.extend_from_slice(&value.to_le_bytes());
    }
    out
}

/// The summary in a seal record.
pub(super) fn decode_seal(first_seq: u64, header: &Header, payload: &[u8]) -> Option<Segment> {
    let mut input = Input(payload);
    let mut segment = Segment::starting_at(first_seq);
    for class in Signal::ALL.map(Class::from) {
        let (requests, items) = (input.u64()?, input.u64()?);
        *segment.counts.get_mut(class) = Count { requests, items };
        *slot(&mut segment.bytes, class) = input.u64()?;
    }
    segment.counts.get_mut(Class::Local).requests = header.items.into();
    *slot(&mut segment.bytes, Class::Local) = header.durable_seq;
    segment.end_seq = input.u64()?;
    segment.first_received = UnixNano(input.u64()?);
    segment.last_received = UnixNano(input.u64()?);
    segment.file.sealed = true;
    (segment.end_seq >= first_seq).then_some(segment)
}

/// CRC-32C of parts, back to back.
pub(super) fn crc32c(parts: &[&[u8]]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    parts.iter().for_each(|part| digest.update(part));
    u32::try_from(digest.finalize()).unwrap_or(0)
}

fn seeded(salt: &Salt, offset: u64, header: &[u8]) -> u32 {
    crc32c(&[salt, &offset.to_le_bytes(), header])
}

/// Reads little-endian values; `None` at the end of the bytes.
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    pub(super) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

/// Fills an array from its start.
struct Writer<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Writer<N> {
    fn new() -> Self {
        Self { bytes: [0; N], at: 0 }
    }

    fn put(&mut self, part: &[u8]) {
        let end = self.at + part.len();
        if let Some(room) = self.bytes.get_mut(self.at..end) {
            room.copy_from_slice(part);
        }
        self.at = end;
    }

    fn so_far(&self) -> &[u8] {
        self.bytes.get(..self.at).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_only_valid_where_it_was_written() {
        let header = Header { items: 7, ..Header::of(Kind::Data, 42, b"payload") };
        let bytes = header.encode(&[3; 16], 1000);
        assert_eq!(Header::decode(&bytes, &[3; 16], 1000), Some(header));
        assert_eq!(Header::decode(&bytes, &[3; 16], 1001), None);
        assert_eq!(Header::decode(&bytes, &[4; 16], 1000), None);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&flipped, &[3; 16], 1000), None);
        }
    }

    #[test]
    fn a_segment_header_tells_newer_from_damaged() {
        let (first_seq, created) = (9, UnixNano(5));
        let header = SegmentHeader {
            first_seq,
            created,
            salt: [1; 16],
            journal: Identity([3; 12]),
            blocks: true,
        };
        let mut bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        bytes[8] = 2;
        assert_eq!(SegmentHeader::decode(&bytes), Err(BadHeader::Unreadable));
        let crc = crc32c(&[&bytes[..60]]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&bytes), Err(BadHeader::Newer(2)));
    }
}
