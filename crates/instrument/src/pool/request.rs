//! Those who want a connection: the wait for one, and its opening.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::tracked::Tracked;
use super::{ConnectionId, Pool, State};
use crate::clock::Started;

/// A connection that is being opened; see [`Pool::opening`]. Dropped, it was not.
#[derive(Debug)]
#[must_use = "it is told when the connection is there"]
pub struct Opening<'a> {
    pub(super) pool: &'a Pool,
    pub(super) start: Started,
}

impl Opening<'_> {
    /// It is open.
    pub fn opened(self) -> ConnectionId {
        let state = self.pool.state();
        if let (true, Some(elapsed)) = (state.db, self.start.elapsed()) {
            state.with(|bound| bound.create.record(elapsed.as_secs_f64()));
        }
        self.pool.opened()
    }

    /// It is open, and followed until it is dropped.
    pub fn track<C>(self, connection: C) -> Tracked<C> {
        let state = Arc::clone(self.pool.state());
        let id = self.opened();
        Tracked::new(connection, state, id)
    }
}

/// A request that waits for a connection; see [`Pool::waiting`]. The wait ends when this is dropped.
///
/// ```
/// use sidelight::Pool;
///
/// static MAIN: Pool = Pool::db("postgresql", "main");
///
/// let waiting = MAIN.waiting();
/// let free: Option<u32> = None; // what the pool had after its timeout
/// if free.is_none() {
///     waiting.timed_out();
/// }
/// ```
#[derive(Debug)]
#[must_use = "the wait ends when it is dropped"]
pub struct Waiting {
    /// None of a pool that was switched off.
    pub(super) state: Option<Arc<State>>,
    pub(super) start: Started,
    pub(super) timed_out: bool,
}

impl Waiting {
    /// It waited in vain: `db.client.connection.timeouts`.
    pub fn timed_out(mut self) {
        self.timed_out = true;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(state) = &self.state else { return };
        state.pending.fetch_sub(1, Ordering::Relaxed);
        if !state.db {
            return;
        }
        if self.timed_out {
            state.with(|bound| bound.timeouts.add(1));
        } else if let Some(elapsed) = self.start.elapsed() {
            state.with(|bound| bound.wait.record(elapsed.as_secs_f64()));
        }
    }
}
