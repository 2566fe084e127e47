//! A bearer token in a file, read again and again, so that a new one is taken up without a restart.

use std::io;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use tokio::sync::Semaphore;

use crate::blocking;

/// Bytes of a token.
const TOKEN_BYTES_MAX: u64 = 64 << 10;

/// A token that cannot be used. Says nothing of what the file holds.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("cannot read the token file {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds nothing, or what no header can.
    #[error("the token file {} does not hold one line of text", .0.display())]
    Content(PathBuf),
    /// Its disk does not answer in time.
    #[error("the token file {} could not be read in time", .0.display())]
    Slow(PathBuf),
}

/// The token that a file of these bytes holds: one line that a header can carry, without white space around it.
#[must_use]
pub fn of(bytes: &[u8]) -> Option<&[u8]> {
    let token = bytes.trim_ascii();
    (!token.is_empty() && HeaderValue::from_bytes(token).is_ok()).then_some(token)
}

/// The token in the file at `path`. Blocks on the disk.
///
/// # Errors
/// [`TokenError`].
pub fn read(path: &Path) -> Result<Vec<u8>, TokenError> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path);
    let read = file.and_then(|file| file.take(TOKEN_BYTES_MAX).read_to_end(&mut bytes));
    read.map_err(|source| TokenError::Read { path: path.to_owned(), source })?;
    of(&bytes).map(<[u8]>::to_vec).ok_or_else(|| TokenError::Content(path.to_owned()))
}

/// A file with the token that is sent, read for every request. One that hangs takes one thread, however often it is asked.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    reading: Arc<Semaphore>,
}

impl TokenFile {
    /// Of the file at `path`, which is not read yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, reading: Arc::new(Semaphore::new(1)) }
    }

    /// The value of `authorization` with the token that is in it now, read off the runtime within `limit`.
    ///
    /// # Errors
    /// [`TokenError`]: say it; the next request reads the file again.
    pub async fn authorization(&self, limit: Duration) -> Result<HeaderValue, TokenError> {
        let read = tokio::time::timeout(limit, self.read());
        let token = read.await.unwrap_or_else(|_| Err(TokenError::Slow(self.path.clone())))?;
        let value = HeaderValue::from_bytes(&[b"Bearer ", &token[..]].concat());
        let mut value = value.map_err(|_| TokenError::Content(self.path.clone()))?;
        value.set_sensitive(true);
        Ok(value)
    }

    async fn read(&self) -> Result<Vec<u8>, TokenError> {
        let turn = Arc::clone(&self.reading).acquire_owned().await.ok();
        let path = self.path.clone();
        blocking::run(move || {
            // Given back when the file is read, also where nobody waits for it any more.
            let _turn = turn;
            read(&path)
        })
        .await
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_hangs_is_said_and_is_not_read_a_second_time_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let fifo = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(fifo.success());
        let file = TokenFile::new(path.clone());
        let limit = Duration::from_millis(50);
        for _ in 0..3 {
            let error = file.authorization(limit).await.unwrap_err();
            assert!(matches!(error, TokenError::Slow(_)), "{error}");
        }
        // Whoever opens it for reading lets this end; a second reader would take the half of it.
        std::fs::write(&path, "s3cret\n").unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "other\n").unwrap();
        let value = file.authorization(Duration::from_secs(30)).await.unwrap();
        assert_eq!(value.to_str().unwrap(), "Bearer other");
        assert!(!format!("{value:?} {file:?}").contains("other"));
    }
}
