//! The `file` exporter: OTLP/JSON lines, appended, rotated by size.
//!
//! ```text
//! traces.jsonl        written; mode 0600
//! traces.jsonl.1      the newest rotated one … traces.jsonl.N the oldest, N <= max_backups
//! ```
//! Invariants: a batch that is reported as written is on disk (fdatasync), so the journal may let go of it; a batch
//! that failed leaves nothing behind where the disk lets it be cut off again; a file grows beyond `max_size` only
//! for one batch that is larger by itself. Lines are whole: what a crash cut off is ended before the next line. The
//! file is looked up by name before each batch, so that it may be moved away or removed by others. Its directory is
//! made, with mode 0700, when it is missing. Cost: a `stat` and an `fdatasync` a batch.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Mutex;

use super::{lines, written};
use crate::export::client::SendError;
use crate::export::config::FileConfig;
use crate::signal::Signal;

/// One `file` destination.
#[derive(Debug)]
pub(in crate::export) struct File {
    writer: Arc<Mutex<Writer>>,
}

impl File {
    /// Nothing is opened before the first batch.
    pub(in crate::export) fn new(config: &FileConfig) -> Self {
        Self { writer: Arc::new(Mutex::new(Writer { config: config.clone(), open: None })) }
    }

    /// Appends a line per payload and gives their bytes, once they are on disk.
    ///
    /// # Errors
    /// [`SendError::Write`] and [`SendError::Timeout`]: try again. [`SendError::Encode`]: never.
    pub(super) async fn append(
        &self,
        signal: Signal,
        payloads: Vec<Bytes>,
    ) -> Result<usize, SendError> {
        let write = move |writer: &mut Writer| {
            let lines = lines::encode(signal, &payloads)?;
            writer.append(&lines).map_err(SendError::Write)?;
            Ok(lines.len())
        };
        written(&self.writer, write).await
    }
}

#[derive(Debug)]
struct Writer {
    config: FileConfig,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: fs::File,
    bytes: u64,
}

impl Writer {
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let path = &self.config.path;
        let kept = self.open.take().filter(|open| is_at(&open.file, path));
        let mut open = match kept {
            Some(open) => open,
            None => Open::at(path)?,
        };
        let more = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        if open.bytes > 0 && open.bytes.saturating_add(more) > self.config.max_size {
            rotate(path, self.config.max_backups)?;
            open = Open::at(path)?;
        }
        open.append(lines)?;
        self.open = Some(open);
        Ok(())
    }
}

impl Open {
    /// Opens or makes the file, and its directory.
    fn at(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(found) if !found.is_file() => {
                return Err(io::Error::other(format!("{} is not a file", path.display())));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(parent) = parent(path) {
                    let made = DirBuilder::new().recursive(true).mode(0o700).create(parent);
                    made.map_err(|error| about(parent, &error))?;
                }
            }
            Err(error) => return Err(about(path, &error)),
        }
        let mut options = OpenOptions::new();
        let opened = options.read(true).append(true).create(true).mode(0o600).open(path);
        let mut file = opened.map_err(|error| about(path, &error))?;
        let mut bytes = file.seek(SeekFrom::End(0))?;
        if bytes > 0 && last_byte(&mut file)? != b'\n' {
            file.write_all(b"\n")?;
            bytes += 1;
        }
        sync_directory(path)?;
        Ok(Self { file, bytes })
    }

    /// Appends all of `lines` and syncs, or leaves the file as it was as far as the disk allows.
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(lines).and_then(|()| self.file.sync_data());
        if written.is_err() {
            let _ = self.file.set_len(self.bytes);
        }
        self.bytes += u64::try_from(lines.len()).unwrap_or(u64::MAX);
        written
    }
}

/// Whether the file that is open is still the one of that name.
fn is_at(file: &fs::File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

/// Moves the file to `.1`, and those before it one up as far as there is no gap; the last falls off.
fn rotate(path: &Path, max_backups: usize) -> io::Result<()> {
    if max_backups == 0 {
        return fs::remove_file(path);
    }
    let is_free = |n: &usize| fs::symlink_metadata(backup(path, *n)).is_err();
    let last = (1..max_backups).find(is_free).unwrap_or(max_backups);
    for n in (1..last).rev() {
        fs::rename(backup(path, n), backup(path, n + 1))?;
    }
    fs::rename(path, backup(path, 1))
}

fn backup(path: &Path, n: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{n}"));
    name.into()
}

fn last_byte(file: &mut fs::File) -> io::Result<u8> {
    let mut byte = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut byte)?;
    let [byte] = byte;
    Ok(byte)
}

fn parent(path: &Path) -> Option<&Path> {
    path.parent().filter(|parent| !parent.as_os_str().is_empty())
}

/// Makes the names in the file's directory durable.
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = parent(path).unwrap_or(Path::new("."));
    fs::File::open(directory).and_then(|d| d.sync_all()).map_err(|error| about(directory, &error))
}

/// The error with the path that it is about.
fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
