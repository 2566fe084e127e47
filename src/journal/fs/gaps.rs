//! A file of which the disk does not give every sector.
//!
//! What cannot be read is read as bytes over which no checksum holds, so that a walk passes them as it passes damage, and
//! finds what lies behind them. For reading alone; whether what cannot be read is lost is decided by reads of the file itself.

use std::io::{self, IoSlice};
use std::sync::Arc;

use super::{FsFile, read_full_at};

/// What a disk fails to read as one, at most.
const SECTOR: usize = 4 << 10;
/// Not zero: a file that ends in zeros has nothing more.
const UNREADABLE: u8 = 0xff;

#[derive(Debug)]
pub(in crate::journal) struct Gaps(pub(in crate::journal) Arc<dyn FsFile>);

impl FsFile for Gaps {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self.0.read_at(buffer, offset) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {}
            read => return read,
        }
        let left = usize::try_from(self.len()?.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (mut buffer, mut at, mut read) = (buffer, offset, 0);
        buffer = buffer.get_mut(..left.min(buffer.len())).unwrap_or_default();
        while !buffer.is_empty() {
            let to_boundary = SECTOR - usize::try_from(at % SECTOR as u64).unwrap_or(0);
            let (sector, rest) = buffer.split_at_mut(to_boundary.min(buffer.len()));
            if read_full_at(&*self.0, sector, at).is_err() {
                sector.fill(UNREADABLE);
            }
            (at, read) = (at + sector.len() as u64, read + sector.len());
            buffer = rest;
        }
        Ok(read)
    }

    fn allocate(&self, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_len(&self, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn write_vectored_at(&self, _parts: &[IoSlice<'_>], _offset: u64) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
