//! What a journal's handle, its readers and its writer share: what it was given, what each of them works on, and the state
//! behind its lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::inbox::Inbox;
use super::metrics::Metrics;
use super::rejected::Keep;
use super::state::State;
use super::{Config, Deps};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) deps: Deps,
    pub(super) metrics: Metrics,
    /// What waits for the writer; unused by `memory`.
    pub(super) inbox: Arc<Inbox>,
    /// The cap, in bytes.
    pub(super) max_size: u64,
    /// Bytes of a segment that no single record makes larger: what has to fit under the cap for an append to be taken.
    pub(super) segment_size: u64,
    pub(super) rejected: Keep,
    state: Mutex<State>,
}

impl Shared {
    pub(super) fn new(
        config: Config,
        deps: Deps,
        (max_size, segment_size): (u64, u64),
        state: State,
    ) -> Self {
        let metrics = Metrics::new(&deps.registry);
        let inbox = Arc::new(Inbox::new());
        let (rejected, state) = (Keep::new(&config, &deps), Mutex::new(state));
        Self { config, deps, metrics, inbox, max_size, segment_size, rejected, state }
    }

    /// The state. A panic elsewhere ends the process, so a poisoned lock is not looked at.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
