//! Listening on a TCP address, also one whose last listener is just being killed: the system closes the sockets of a
//! process some time after `kill -9` has returned, and a supervisor does not wait for that.

use std::io;
use std::time::Duration;

use tokio::net::{TcpListener, ToSocketAddrs};

/// How often an address in use is tried again …
const TRIES: u32 = 20;
/// … and the pause before each.
const PAUSE: Duration = Duration::from_millis(100);

/// Listens on `address`. One that is in use is tried again for two seconds.
///
/// # Errors
/// As the operating system's, at last.
pub async fn listen(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
    for _ in 0..TRIES {
        match TcpListener::bind(&address).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                tokio::time::sleep(PAUSE).await;
            }
            bound => return bound,
        }
    }
    TcpListener::bind(address).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_address_is_waited_for_as_long_as_a_killed_process_may_hold_it_and_no_longer() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = listen(address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let waiting = tokio::spawn(listen(address));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!waiting.is_finished());
        drop(taken);
        assert_eq!(waiting.await.unwrap().unwrap().local_addr().unwrap(), address);
    }
}
