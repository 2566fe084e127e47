//! Accepting connections for as long as the listener lives, whatever fails meanwhile.
//!
//! An accept can fail because of a peer that is gone already (the next one is tried at once) or
//! because the process is out of files or memory (a short pause lets connections end). Neither ends
//! the loop.

use std::io;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};

use super::stream::Socket;

/// How long to wait when the process is out of something.
const PAUSE: Duration = Duration::from_millis(100);

/// Of so many failures in a row the first is said.
const SAID_EVERY: u32 = 100;

/// A bound socket.
#[derive(Debug)]
pub(super) enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// What can be accepted from; a trait so that a test can fail on purpose.
pub(super) trait Accept {
    async fn accept_once(&self) -> io::Result<Socket>;
}

impl Accept for Acceptor {
    async fn accept_once(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream))
            }
            Self::Unix(listener) => Ok(Socket::Unix(listener.accept().await?.0)),
        }
    }
}

/// The next connection.
///
/// # Cancel safety
/// No connection is lost when the future is dropped.
pub(super) async fn accept(acceptor: &impl Accept) -> Socket {
    let mut failures = 0_u32;
    loop {
        match acceptor.accept_once().await {
            Ok(socket) => return socket,
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                if failures.is_multiple_of(SAID_EVERY) {
                    tracing::warn!(%error, "cannot accept connections, trying again");
                }
                failures = failures.wrapping_add(1);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Whether only this one connection failed.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, InvalidInput,
        NotConnected,
    };
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | Interrupted
            | InvalidInput
            | NotConnected
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    struct Failing {
        errors: Mutex<Vec<io::Error>>,
    }

    impl Accept for Failing {
        async fn accept_once(&self) -> io::Result<Socket> {
            let next = self.errors.lock().unwrap().pop();
            match next {
                Some(error) => Err(error),
                None => Ok(Socket::Unix(tokio::net::UnixStream::pair()?.0)),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_accept_never_ends_the_loop() {
        let emfile = || io::Error::from_raw_os_error(24);
        let errors = vec![emfile(), io::ErrorKind::ConnectionAborted.into(), emfile()];
        let acceptor = Failing { errors: Mutex::new(errors) };
        let before = tokio::time::Instant::now();
        accept(&acceptor).await;
        assert!(acceptor.errors.lock().unwrap().is_empty());
        assert_eq!(before.elapsed(), PAUSE * 2, "one pause for each that is not the peer's");
    }
}
