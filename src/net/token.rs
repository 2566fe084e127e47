//! A bearer token in a file, read again and again, so that a new one is taken up without a restart.

use std::io;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use http::HeaderValue;

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

/// The value of `authorization` with the token in the file at `path`. Reads it off the runtime.
///
/// # Errors
/// [`TokenError`]: say it; the next request reads the file again.
pub async fn authorization(path: &Path) -> Result<HeaderValue, TokenError> {
    let owned = path.to_owned();
    let token = blocking::run(move || read(&owned)).await?;
    let value = HeaderValue::from_bytes(&[b"Bearer ", &token[..]].concat());
    let mut value = value.map_err(|_| TokenError::Content(path.to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}
