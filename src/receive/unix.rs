//! Binding a Unix socket: a stale one is replaced, a live one and any other file are left alone.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// Why a Unix socket cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum UnixError {
    /// Somebody listens there.
    #[error("another process listens on {}", path.display())]
    Live {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is not a socket is there.
    #[error("{} exists and is not a socket", path.display())]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot bind {}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Binds `path` with permission bits `mode`.
///
/// # Errors
/// [`UnixError`]; nothing that was there is lost, unless it was a socket that nobody listens on.
pub(super) fn bind(path: &Path, mode: u32) -> Result<UnixListener, UnixError> {
    let io_error = |source| UnixError::Io { path: path.to_owned(), source };
    make_way(path)?;
    // Bound under another name and moved, so that at no moment it can be opened with a wider mode.
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let private = path.with_file_name(name);
    // In a container every start may have the same number as one that was killed right here.
    make_way(&private)?;
    let listener = std::os::unix::net::UnixListener::bind(&private).map_err(io_error)?;
    let published = std::fs::set_permissions(&private, std::fs::Permissions::from_mode(mode))
        .and_then(|()| std::fs::rename(&private, path))
        .and_then(|()| listener.set_nonblocking(true))
        .and_then(|()| UnixListener::from_std(listener));
    published.map_err(|error| {
        // The name is ours alone; when it cannot be removed either, the error says enough.
        let _ = std::fs::remove_file(&private);
        io_error(error)
    })
}

/// Removes a stale socket from `path`, where nothing else may be.
fn make_way(path: &Path) -> Result<(), UnixError> {
    match path.symlink_metadata() {
        Ok(found) if found.file_type().is_socket() => unlink_stale(path),
        Ok(_) => Err(UnixError::NotASocket { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(UnixError::Io { path: path.to_owned(), source }),
    }
}

/// Removes a socket that refuses connections.
fn unlink_stale(path: &Path) -> Result<(), UnixError> {
    let io_error = |source| UnixError::Io { path: path.to_owned(), source };
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(io_error)
        }
        Err(error) => Err(io_error(error)),
        Ok(_) => Err(UnixError::Live { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("otlp.sock");
        let first = bind(&path, 0o660).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o660);
        assert!(matches!(bind(&path, 0o660), Err(UnixError::Live { .. })));
        drop(first);
        let _second = bind(&path, 0o600).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(dir.path().read_dir().unwrap().count(), 1, "nothing else is left there");
    }

    #[tokio::test]
    async fn what_a_start_of_the_same_process_number_left_when_it_was_killed_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("otlp.sock");
        let private = dir.path().join(format!("otlp.sock.{}", std::process::id()));
        drop(std::os::unix::net::UnixListener::bind(&private).unwrap());
        let _bound = bind(&path, 0o660).unwrap();
        assert_eq!(dir.path().read_dir().unwrap().count(), 1, "nothing else is left there");
    }

    #[tokio::test]
    async fn a_file_that_is_not_a_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("precious");
        std::fs::write(&path, "kept").unwrap();
        assert!(matches!(bind(&path, 0o660), Err(UnixError::NotASocket { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept");
    }
}
