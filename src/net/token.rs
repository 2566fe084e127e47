//! A bearer token in a file, read when it is needed, so that a new one is taken up without a restart.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use http::HeaderValue;

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
        source: std::io::Error,
    },
    /// It holds nothing, or what no header can.
    #[error("the token file {} does not hold one line of text", .0.display())]
    Content(PathBuf),
}

/// The value of `authorization` with the token in the file at `path`. Blocks on the disk, off the runtime.
///
/// # Errors
/// [`TokenError`]: say it; the next request reads the file again.
pub async fn authorization(path: &Path) -> Result<HeaderValue, TokenError> {
    let owned = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        let file = std::fs::File::open(owned)?;
        file.take(TOKEN_BYTES_MAX).read_to_string(&mut text).map(|_| text)
    });
    let text = read.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    let text = text.map_err(|source| TokenError::Read { path: path.to_owned(), source })?;
    let token = text.trim();
    let value = HeaderValue::try_from(format!("Bearer {token}"));
    let Some(mut value) = value.ok().filter(|_| !token.is_empty()) else {
        return Err(TokenError::Content(path.to_owned()));
    };
    value.set_sensitive(true);
    Ok(value)
}
