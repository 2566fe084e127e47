//! The operating system's files, only looked at: what would change something does nothing and says that it did.
//!
//! So the code of the start says what a start would find, beside a running agent as well.

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags};

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
        // A pipe of such a name would be waited at.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::open(path, flags, Mode::empty())?;
        if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("it is not a file"));
        }
        Ok(Arc::new(LookFile(file)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_that_is_named_like_a_file_is_not_waited_at() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("00000000000000000001.seg");
        let (here, user) = (rustix::fs::CWD, Mode::RUSR | Mode::WUSR);
        rustix::fs::mknodat(here, &path, FileType::Fifo, user, 0).unwrap();
        assert!(LookFs.open(&path).is_err());
        assert!(LookFs.open(directory.path()).is_err(), "nor is a directory read");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "a").unwrap();
        assert_eq!(LookFs.open(&path).unwrap().len().unwrap(), 1);
    }
}
