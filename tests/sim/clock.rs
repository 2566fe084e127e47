//! The world's clock: simulated time, what a slow disk took on top of it, and a wall clock that jumps.

use std::sync::Arc;
use std::time::Duration;

use sidelight_agent::time::{Clock, ManualClock, UnixNano};
use tokio::time::Instant;

/// The world's clock. Cloning shares it.
#[derive(Clone, Debug)]
pub struct SimClock {
    began: Instant,
    /// What is not in the runtime's time: jumps, and calls that took long.
    beside: Arc<ManualClock>,
}

impl SimClock {
    pub fn new() -> Self {
        let beside = Arc::new(ManualClock::at(UnixNano(1_700_000_000_000_000_000)));
        Self { began: Instant::now(), beside }
    }

    /// What a slow call advances.
    pub fn beside(&self) -> Arc<ManualClock> {
        Arc::clone(&self.beside)
    }

    /// Since the world began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Sets the wall clock forward or back.
    pub fn jump(&self, by: Duration, back: bool) {
        let now = self.beside.unix_nano();
        self.beside.set_unix(if back { now.before(by) } else { now.after(by) });
    }
}

impl Clock for SimClock {
    fn unix_nano(&self) -> UnixNano {
        self.beside.unix_nano().after(self.began.elapsed())
    }

    fn monotonic(&self) -> Duration {
        self.beside.monotonic() + self.began.elapsed()
    }
}
