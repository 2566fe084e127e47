//! The operating system's files: rustix, mode 0600 and 0700, `O_NOFOLLOW`, `O_CLOEXEC`.

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::{Fs, FsFile, Space};

/// The operating system's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFs;

const MODE: Mode = Mode::RUSR.union(Mode::WUSR);
const FLAGS: OFlags = OFlags::RDWR.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

#[derive(Debug)]
struct RealFile(OwnedFd);

impl Fs for RealFs {
    fn create_dir(&self, directory: &Path) -> io::Result<()> {
        let missing = directory.ancestors().take_while(|d| !d.as_os_str().is_empty());
        let missing: Vec<_> = missing.take_while(|d| std::fs::metadata(d).is_err()).collect();
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        if missing.is_empty() {
            tighten(directory);
        }
        for made in missing {
            let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty());
            self.sync_dir(parent.unwrap_or(Path::new(".")))?;
        }
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        let file = rustix::fs::open(path, FLAGS | OFlags::CREATE, MODE)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(file))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn FsFile>> {
        let file = rustix::fs::open(path, FLAGS | OFlags::CREATE | OFlags::TRUNC, MODE)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FsFile>> {
        Ok(Arc::new(RealFile(rustix::fs::open(path, FLAGS, Mode::empty())?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::fsync(rustix::fs::open(directory, flags, Mode::empty())?)?)
    }

    fn space(&self, directory: &Path) -> io::Result<Space> {
        let stat = rustix::fs::statvfs(directory)?;
        Ok(Space {
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
        })
    }
}

/// Takes everybody else's rights to a directory that was there. Not from one that is shared on purpose (sticky),
/// and not with force: somebody else's stays as it is.
fn tighten(directory: &Path) {
    const OTHERS: u32 = 0o077;
    const STICKY: u32 = 0o1000;
    let Ok(found) = std::fs::metadata(directory) else { return };
    let mode = found.permissions().mode();
    if mode & OTHERS == 0 || mode & STICKY != 0 {
        return;
    }
    let only_ours = std::fs::Permissions::from_mode(mode & 0o7777 & !OTHERS);
    match std::fs::set_permissions(directory, only_ours) {
        Ok(()) => {
            let path = directory.display();
            tracing::info!(%path, "others could read the journal's directory; they cannot any more");
        }
        Err(error) => {
            let path = directory.display();
            tracing::warn!(%path, %error, "others can read the journal's directory");
        }
    }
}

impl FsFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        let size = rustix::fs::fstat(&self.0)?.st_size;
        u64::try_from(size).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len) {
            // Some file systems cannot allocate ahead; then a full disk shows at a write.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.set_len(len),
            other => Ok(other?),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        Ok(rustix::fs::ftruncate(&self.0, len)?)
    }

    fn write_vectored_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::pwritev(&self.0, parts, offset)?)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::pread(&self.0, buffer, offset)?)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(&self.0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_was_there_is_closed_to_others_unless_it_is_shared_on_purpose() {
        let directory = tempfile::tempdir().unwrap();
        let mode = || std::fs::metadata(directory.path()).unwrap().permissions().mode() & 0o7777;
        for (before, after) in [(0o755, 0o700), (0o2770, 0o2700), (0o500, 0o500), (0o1777, 0o1777)]
        {
            let permissions = std::fs::Permissions::from_mode(before);
            std::fs::set_permissions(directory.path(), permissions).unwrap();
            RealFs.create_dir(directory.path()).unwrap();
            assert_eq!(mode(), after, "{before:o}");
        }
    }
}
