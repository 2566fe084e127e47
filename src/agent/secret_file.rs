//! Files with secrets that the agent makes for itself: complete or not there, whenever it is killed. All of this blocks on
//! the disk. Limits: 4 KiB are read.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// The most that is read of one.
const BYTES_MAX: u64 = 4096;

/// What the file at `path` holds and is; none where there is none.
///
/// # Errors
/// As the operating system's; or it is no regular file.
pub(super) fn read(path: &Path) -> io::Result<Option<(Vec<u8>, Metadata)>> {
    // Nothing that waits for a writer is waited at.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file"));
    }
    let mut found = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut found)?;
    Ok(Some((found, metadata)))
}

/// Puts `secret` at `path`, in place of what is there; only its owner reads it.
///
/// # Errors
/// As the operating system's; `path` is as it was.
pub(super) fn put(path: &Path, secret: &[u8]) -> io::Result<()> {
    let making = path.with_extension("making");
    // What a kill left of an earlier try.
    drop(fs::remove_file(&making));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&making)?;
    file.write_all(secret)?;
    file.sync_all()?;
    fs::rename(&making, path)?;
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// Bytes that nobody can guess.
///
/// # Errors
/// The system has none.
pub(super) fn random<const LENGTH: usize>() -> io::Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
