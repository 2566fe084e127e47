//! A connection with the slot that its pool knows it by.

use std::error::Error;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::{CloseReason, ConnectionId, State};
use crate::error_kind;

/// A connection that its pool follows until it is dropped; made by [`Pool::track`](crate::Pool::track). It is used as the
/// connection itself. Dropped by a panic it failed: `close.reason=error`, `error.type=panic`.
///
/// ```
/// use sidelight::{CloseReason, Pool};
///
/// static PEERS: Pool = Pool::new("websocket", "peers");
///
/// let mut peer = PEERS.track(Vec::new());
/// peer.push("hello"); // it is the connection
/// let peer = match peer.len() {
///     0 => peer.close(CloseReason::Idle),
///     _ => {
///         peer.fail("reset"); // from now on it is closed by an error
///         peer.close(CloseReason::Error)
///     }
/// };
/// assert_eq!(peer, ["hello"]);
/// ```
#[derive(Debug)]
pub struct Tracked<C> {
    connection: C,
    followed: Followed,
}

/// Tells the pool when the connection goes.
#[derive(Debug)]
struct Followed {
    state: Arc<State>,
    id: ConnectionId,
    why: CloseReason,
    error: &'static str,
    /// What is opened while a panic unwinds is not closed by it.
    panicking: bool,
}

impl Drop for Followed {
    fn drop(&mut self) {
        let panicked = !self.panicking && std::thread::panicking();
        let (why, error) = match self.why {
            CloseReason::Done if panicked => (CloseReason::Error, "panic"),
            why => (why, self.error),
        };
        self.state.closed(self.id, why, error);
    }
}

impl<C> Tracked<C> {
    pub(super) fn new(connection: C, state: Arc<State>, id: ConnectionId) -> Self {
        let panicking = std::thread::panicking();
        let followed = Followed { state, id, why: CloseReason::Done, error: "", panicking };
        Self { connection, followed }
    }

    /// It is in use until the guard goes, then idle.
    pub fn checkout(&self) -> Checkout {
        self.followed.state.used(self.followed.id);
        Checkout { state: Arc::clone(&self.followed.state), id: self.followed.id }
    }

    /// It is in use until somebody says that it is idle.
    #[cfg(feature = "bb8")]
    pub(crate) fn used(&self) {
        self.followed.state.used(self.followed.id);
    }

    /// It is idle.
    #[cfg(feature = "bb8")]
    pub(crate) fn idle(&self) {
        self.followed.state.idle(self.followed.id);
    }

    /// It failed and will be closed: `close.reason=error`, and the kind of the error as [`error_kind`](crate::error_kind) has it.
    pub fn fail_with(&mut self, error: &(dyn Error + 'static)) {
        self.fail(error_kind(error));
    }

    /// The same; `kind` is one of few words.
    pub fn fail(&mut self, kind: &'static str) {
        self.followed.why = CloseReason::Error;
        self.followed.error = kind;
    }

    /// It is closed for a reason; what is left is the connection itself.
    pub fn close(mut self, why: CloseReason) -> C {
        self.followed.why = why;
        self.connection
    }
}

impl<C> Deref for Tracked<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.connection
    }
}

impl<C> DerefMut for Tracked<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.connection
    }
}

/// The use of a connection; see [`Tracked::checkout`].
///
/// ```
/// static MAIN: sidelight::Pool = sidelight::Pool::db("sqlite", "main");
///
/// let connection = MAIN.track("a connection");
/// let using = connection.checkout();
/// assert_eq!(connection.len(), 12); // ... a query
/// drop(using); // the time of use is recorded, and it is idle
/// ```
#[derive(Debug)]
#[must_use = "the connection is idle again when this is dropped"]
pub struct Checkout {
    state: Arc<State>,
    id: ConnectionId,
}

impl Drop for Checkout {
    fn drop(&mut self) {
        self.state.idle(self.id);
    }
}
