//! Records on their way to one vectored write. Payloads above [`COPY_MAX`] bytes are written from
//! where they are; what is smaller is gathered in one buffer.

use std::io::{self, IoSlice};

use super::format::{Header, Salt};
use super::fs::{FsFile, write_all_at};

/// The largest payload that is copied.
const COPY_MAX: usize = 16 << 10;

/// Records on their way to one vectored write.
pub(super) struct Group<'a> {
    salt: Salt,
    /// The file offset after the last record.
    pub(super) end: u64,
    scratch: Vec<u8>,
    parts: Vec<Part<'a>>,
}

enum Part<'a> {
    /// Up to here in the scratch buffer.
    Scratch(usize),
    Payload(&'a [u8]),
}

impl<'a> Group<'a> {
    pub(super) fn new(salt: Salt, offset: u64) -> Self {
        Self { salt, end: offset, scratch: Vec::new(), parts: Vec::new() }
    }

    pub(super) fn push(&mut self, header: Header, meta: &[u8], payload: &'a [u8]) {
        self.scratch.extend_from_slice(&header.encode(&self.salt, self.end));
        self.scratch.extend_from_slice(meta);
        if payload.len() <= COPY_MAX {
            self.scratch.extend_from_slice(payload);
        } else {
            self.parts.push(Part::Scratch(self.scratch.len()));
            self.parts.push(Part::Payload(payload));
        }
        self.end += header.len();
    }

    /// Everything in one buffer.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        debug_assert!(self.parts.is_empty(), "only for small payloads");
        self.scratch
    }

    pub(super) fn write(&self, file: &dyn FsFile, offset: u64) -> io::Result<()> {
        let mut slices = Vec::with_capacity(self.parts.len() + 1);
        let mut from = 0;
        for part in self.parts.iter().chain([&Part::Scratch(self.scratch.len())]) {
            let bytes = match part {
                Part::Scratch(to) => {
                    let bytes = self.scratch.get(from..*to).unwrap_or_default();
                    from = *to;
                    bytes
                }
                Part::Payload(payload) => payload,
            };
            slices.push(IoSlice::new(bytes));
        }
        write_all_at(file, &mut slices, offset)
    }
}
