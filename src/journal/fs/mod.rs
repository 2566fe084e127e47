//! The disk as the journal sees it: the one trait that crashes, torn writes, full and failing disks
//! are simulated behind.
//!
//! Nothing else in the journal names `std::fs`. Paths are made of the configured directory and
//! sequence numbers, never of telemetry.

mod gaps;
mod look;
mod real;
#[cfg(test)]
mod roomy;

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

pub(super) use gaps::Gaps;
pub use look::LookFs;
pub use real::RealFs;
#[cfg(test)]
pub use roomy::Roomy;

/// A file system.
pub trait Fs: Debug + Send + Sync + 'static {
    /// Makes `directory` and its missing parents, mode 0700, durably. One that is there is closed to
    /// others, if possible.
    ///
    /// # Errors
    /// As the operating system's.
    fn create_dir(&self, directory: &Path) -> io::Result<()>;
    /// Locks `path`, made when absent, until the value is dropped.
    ///
    /// # Errors
    /// `WouldBlock` when another process holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>>;
    /// The names in `directory`.
    ///
    /// # Errors
    /// As the operating system's.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;
    /// Makes a new file for reading and writing, mode 0600; one that is there is emptied.
    ///
    /// # Errors
    /// As the operating system's; a symbolic link is refused.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn FsFile>>;
    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// As the operating system's; a symbolic link is refused.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn FsFile>>;
    /// Renames a file, replacing one that is there.
    ///
    /// # Errors
    /// As the operating system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Unlinks a file.
    ///
    /// # Errors
    /// As the operating system's.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the entries of `directory` durable.
    ///
    /// # Errors
    /// As the operating system's.
    fn sync_dir(&self, directory: &Path) -> io::Result<()>;
    /// The room on the disk that holds `directory`.
    ///
    /// # Errors
    /// As the operating system's.
    fn space(&self, directory: &Path) -> io::Result<Space>;
    /// Whether calls may take long, so that async code makes them on threads that may block. Not those of a simulated
    /// disk, which then does the same each time.
    fn blocks(&self) -> bool {
        true
    }
}

/// An open file.
pub trait FsFile: Debug + Send + Sync + 'static {
    /// Its length in bytes.
    ///
    /// # Errors
    /// As the operating system's.
    fn len(&self) -> io::Result<u64>;
    /// Whether it has no bytes.
    ///
    /// # Errors
    /// As the operating system's.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Makes it `len` bytes long with room on disk for all of them, so that writes within cannot
    /// fail for want of space.
    ///
    /// # Errors
    /// `StorageFull`, `QuotaExceeded` and the like; `Interrupted`.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// Cuts or extends it.
    ///
    /// # Errors
    /// As the operating system's.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Writes some of the bytes at `offset`; returns how many.
    ///
    /// # Errors
    /// As the operating system's.
    fn write_vectored_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;
    /// Reads some bytes at `offset`; 0 at the end.
    ///
    /// # Errors
    /// As the operating system's.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Makes what was written durable (`fdatasync`).
    ///
    /// # Errors
    /// As the operating system's. What was written since the last success is then in an unknown
    /// state and stays so: the descriptor must not be synced again.
    fn sync(&self) -> io::Result<()>;
}

/// Room on a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// The whole disk.
    pub total: u64,
    /// Available to this process.
    pub free: u64,
}

/// Whether the disk, or this process's part of it, is full: letting something go may help.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether the disk gives a byte in the middle of a file.
pub(super) fn gives_some_byte(fs: &dyn Fs, path: &Path) -> bool {
    let middle = |file: Arc<dyn FsFile>| file.read_at(&mut [0], file.len()? / 2);
    fs.open(path).and_then(middle).is_ok()
}

/// Allocates, however often a signal interrupts it.
///
/// # Errors
/// As [`FsFile::allocate`].
pub(super) fn allocate(file: &dyn FsFile, len: u64) -> io::Result<()> {
    loop {
        match file.allocate(len) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Writes all of `parts`, in calls of at most 1,024 parts.
///
/// # Errors
/// The first error; how much was written before it is unknown to the caller.
pub(super) fn write_all_at(
    file: &dyn FsFile,
    mut parts: &mut [IoSlice<'_>],
    mut offset: u64,
) -> io::Result<()> {
    const IOV_MAX: usize = 1024;
    while !parts.is_empty() {
        let call = parts.get(..parts.len().min(IOV_MAX)).unwrap_or_default();
        match file.write_vectored_at(call, offset) {
            Ok(0) if call.iter().any(|p| !p.is_empty()) => {
                return Err(io::ErrorKind::WriteZero.into());
            }
            Ok(0) => return Ok(()),
            Ok(written) => {
                IoSlice::advance_slices(&mut parts, written);
                offset += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads until `buffer` is full or the file ends; returns how many bytes were read.
///
/// # Errors
/// As the operating system's.
pub(super) fn read_full_at(file: &dyn FsFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + read as u64) {
            Ok(0) => break,
            Ok(n) => read += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}
