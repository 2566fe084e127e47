//! Files with secrets that the agent makes for itself: complete or not there, whenever it is killed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

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
