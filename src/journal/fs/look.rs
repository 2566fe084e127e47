//! The operating system's files, only looked at: what would change something does nothing and says that it did.
//!
//! So the code of the start says what a start would find, beside a running agent as well.

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use super::{Fs, FsFile, RealFs, Space};

/// The operating system's file system, never changed.
#[derive(Clone, Copy, Debug, Default)]
pub struct LookFs;

#[derive(Debug)]
struct LookFile(OwnedFd);

impl Fs for LookFs {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, _: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        Ok(Box::new(()))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        RealFs.list(directory)
    }

    fn create(&self, _: &Path) -> io::Result<Arc<dyn FsFile>> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FsFile>> {
        let flags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
        Ok(Arc::new(LookFile(rustix::fs::open(path, flags, Mode::empty())?)))
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn space(&self, directory: &Path) -> io::Result<Space> {
        RealFs.space(directory)
    }
}

impl FsFile for LookFile {
    fn len(&self) -> io::Result<u64> {
        let size = rustix::fs::fstat(&self.0)?.st_size;
        u64::try_from(size).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn write_vectored_at(&self, parts: &[IoSlice<'_>], _: u64) -> io::Result<usize> {
        Ok(parts.iter().map(|part| part.len()).sum())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::pread(&self.0, buffer, offset)?)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
