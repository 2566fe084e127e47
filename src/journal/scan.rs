//! Walks the records of one segment file. Never panics, whatever the bytes.
//!
//! A bad header is stepped over to the next valid one: the salt and the offset inside the checksum
//! make a false find impossible. Memory: one window of [`WINDOW`] bytes, one body, and in a
//! compacted segment one inflated block of at most [`BLOCK_MAX`].

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::Entry;
use super::format::{
    BadHeader, Header, Kind, MAGIC, RECORD_HEADER, SEGMENT_HEADER, SegmentHeader, crc32c,
};
use super::fs::{FsFile, read_full_at};
use crate::signal::{Flags, Meta, Record, Signal};

/// Bytes read at a time.
const WINDOW: usize = 256 << 10;
/// A block inflates to at most this: a block target and one record above it.
pub(super) const BLOCK_MAX: usize = 512 << 20;

#[derive(Debug)]
pub(super) struct Scanner {
    file: Arc<dyn FsFile>,
    pub(super) header: SegmentHeader,
    offset: u64,
    end: u64,
    window: Window,
    block: Option<Block>,
}

#[derive(Debug, Default)]
struct Window {
    at: u64,
    bytes: Vec<u8>,
}

/// The inflated records of a block.
#[derive(Debug)]
struct Block {
    bytes: Bytes,
    offset: usize,
}

/// One step of a walk.
#[derive(Debug)]
pub(super) enum Step {
    /// A record whose body is intact, or was not wanted and then is empty.
    Record { header: Header, meta: Bytes, payload: Bytes, offset: u64 },
    /// A record whose body is damaged.
    BadBody,
    /// Bytes that hold no record; the walk goes on at the next valid header.
    Gap,
    /// Nothing more.
    End,
}

/// Why a segment cannot be walked at all.
#[derive(Debug)]
pub(super) enum Unscannable {
    Header(BadHeader),
    Io(io::Error),
}

impl Scanner {
    /// Starts at the first record.
    pub(super) fn open(file: Arc<dyn FsFile>) -> Result<Self, Unscannable> {
        let mut head = [0; SEGMENT_HEADER];
        let end = file.len().map_err(Unscannable::Io)?;
        let read = read_full_at(&*file, &mut head, 0).map_err(Unscannable::Io)?;
        let head = head.get(..read).unwrap_or_default();
        let header = SegmentHeader::decode(head).map_err(Unscannable::Header)?;
        let offset = SEGMENT_HEADER as u64;
        Ok(Self { file, header, offset, end, window: Window::default(), block: None })
    }

    /// Goes on at `offset`, where a record is known to begin.
    pub(super) fn seek(&mut self, offset: u64) {
        self.offset = offset;
        self.block = None;
    }

    /// Whether a walk ends here: nothing but the rest of a block may follow.
    pub(super) fn is_at_end(&self) -> bool {
        self.offset >= self.end && self.block.is_none()
    }

    /// The length of the file when it was opened.
    pub(super) fn file_len(&self) -> u64 {
        self.end
    }

    /// Looks again how long the file is; an active segment may have been extended.
    pub(super) fn refresh(&mut self) -> io::Result<()> {
        self.end = self.file.len()?;
        self.window = Window::default();
        Ok(())
    }

    /// The next record. `wanted` says whether its body is read and verified.
    pub(super) fn step(&mut self, wanted: impl Fn(&Header) -> bool) -> io::Result<Step> {
        loop {
            if let Some(step) = self.step_in_block(&wanted) {
                return Ok(step);
            }
            let offset = self.offset;
            let Some(header) = self.header_at(offset)? else {
                return self.resync(offset);
            };
            if offset + header.len() > self.end {
                return self.resync(offset);
            }
            self.offset = offset + header.len();
            let is_block = header.kind == Kind::Block;
            if !is_block && !wanted(&header) {
                let (meta, payload) = (Bytes::new(), Bytes::new());
                return Ok(Step::Record { header, meta, payload, offset });
            }
            let Some(mut meta) = self.body(&header, offset)? else {
                return Ok(Step::BadBody);
            };
            let payload = meta.split_off(header.meta_len.into());
            if !is_block {
                return Ok(Step::Record { header, meta, payload, offset });
            }
            match inflate(&meta, &payload) {
                Some(bytes) => self.block = Some(Block { bytes, offset: 0 }),
                None => return Ok(Step::BadBody),
            }
        }
    }

    fn step_in_block(&mut self, wanted: &impl Fn(&Header) -> bool) -> Option<Step> {
        let block = self.block.as_mut()?;
        let at = block.offset;
        let rest = block.bytes.slice(at.min(block.bytes.len())..);
        let header = Header::decode(&rest, &self.header.salt, at as u64);
        let len = header.and_then(|h| usize::try_from(h.len()).ok()).filter(|&l| l <= rest.len());
        let (Some(header), Some(len)) = (header, len) else {
            // The frame's own checksum held, so this is the block's end.
            self.block = None;
            return None;
        };
        block.offset += len;
        let offset = at as u64;
        let mut meta = rest.slice(RECORD_HEADER..len);
        let payload = meta.split_off(header.meta_len.into());
        if wanted(&header) && crc32c(&[&meta, &payload]) != header.body_crc {
            return Some(Step::BadBody);
        }
        Some(Step::Record { header, meta, payload, offset })
    }

    fn header_at(&mut self, offset: u64) -> io::Result<Option<Header>> {
        let salt = self.header.salt;
        let bytes = self.window.get(&*self.file, offset, RECORD_HEADER)?;
        Ok(Header::decode(bytes, &salt, offset))
    }

    /// Meta and payload of the record at `offset`; `None` when their checksum does not hold.
    fn body(&mut self, header: &Header, offset: u64) -> io::Result<Option<Bytes>> {
        let Ok(len) = usize::try_from(header.body_len()) else { return Ok(None) };
        let start = offset + RECORD_HEADER as u64;
        let body = if len <= WINDOW / 2 {
            Bytes::copy_from_slice(self.window.get(&*self.file, start, len)?)
        } else {
            let mut body = vec![0; len];
            let read = read_full_at(&*self.file, &mut body, start)?;
            body.truncate(read);
            Bytes::from(body)
        };
        let whole = body.len() == len && crc32c(&[&body]) == header.body_crc;
        Ok(whole.then_some(body))
    }

    /// From the first byte that is no record to the next valid header, or to the end.
    fn resync(&mut self, from: u64) -> io::Result<Step> {
        let mut at = from;
        let mut all_zero = true;
        while at < self.end {
            let bytes = self.window.get(&*self.file, at, WINDOW)?;
            let taken = bytes.len();
            all_zero &= bytes.iter().all(|&byte| byte == 0);
            let finds: Vec<u64> = bytes
                .windows(MAGIC.len())
                .enumerate()
                .filter(|(_, window)| **window == MAGIC)
                .map(|(i, _)| at + i as u64)
                .filter(|&find| find > from)
                .collect();
            for find in finds {
                let header = self.header_at(find)?;
                if header.is_some_and(|h| find + h.len() <= self.end) {
                    self.offset = find;
                    return Ok(Step::Gap);
                }
            }
            if taken < WINDOW {
                break;
            }
            at += (taken - MAGIC.len() + 1) as u64;
        }
        self.offset = self.end;
        if all_zero {
            return Ok(Step::End);
        }
        Ok(Step::Gap)
    }
}

impl Window {
    /// Up to `len` bytes at `offset`, fewer at the end of the file.
    fn get(&mut self, file: &dyn FsFile, offset: u64, len: usize) -> io::Result<&[u8]> {
        let have = self.at..self.at + self.bytes.len() as u64;
        if offset < have.start || offset + len as u64 > have.end {
            let wanted = len.max(WINDOW);
            if self.bytes.capacity() < wanted {
                // Zeros that cost nothing.
                self.bytes = vec![0; wanted];
            } else {
                self.bytes.resize(wanted, 0);
            }
            let read = match read_full_at(file, &mut self.bytes, offset) {
                Ok(read) => read,
                Err(error) => {
                    self.bytes.clear();
                    return Err(error);
                }
            };
            self.bytes.truncate(read);
            self.at = offset;
        }
        let start = usize::try_from(offset - self.at).unwrap_or(usize::MAX);
        let rest = self.bytes.get(start..).unwrap_or_default();
        Ok(rest.get(..len).unwrap_or(rest))
    }
}

fn inflate(meta: &[u8], frame: &[u8]) -> Option<Bytes> {
    let len = u32::from_le_bytes(*meta.first_chunk::<4>()?);
    let len = usize::try_from(len).ok().filter(|&len| len <= BLOCK_MAX)?;
    let bytes = zstd::bulk::decompress(frame, len).ok()?;
    (bytes.len() == len).then(|| Bytes::from(bytes))
}

/// The record that a data header and its body are; `None` for a signal this agent does not know.
pub(super) fn entry(header: &Header, meta: Bytes, payload: Bytes) -> Option<Entry> {
    let record = Record {
        signal: Signal::from_code(header.signal)?,
        items: header.items,
        flags: Flags(header.flags),
        meta: Meta::from_tlv(meta),
        payload,
    };
    let (seq, received) = (header.seq, header.received);
    Some(Entry { seq, received, redelivered: false, record })
}
