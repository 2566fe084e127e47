//! How long a query is waited for: until it is over, its time is over, or its client has gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use sidelight_promql::engine::Stop;

const WAITING: u8 = 0;
const TIMED_OUT: u8 = 1;
const ABANDONED: u8 = 2;

/// Shared by a query and who waits for it. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub(super) struct Patience(Arc<AtomicU8>);

impl Patience {
    /// Why the query should end, if it should.
    pub(super) fn ended(&self) -> Option<Stop> {
        match self.0.load(Ordering::Relaxed) {
            WAITING => None,
            TIMED_OUT => Some(Stop::Timeout),
            _ => Some(Stop::Canceled),
        }
    }

    /// The query's time is over.
    pub(super) fn time_out(&self) {
        self.end(TIMED_OUT);
    }

    /// Says that nobody waits once the result is dropped.
    pub(super) fn abandon_on_drop(&self) -> Abandon {
        Abandon(self.clone())
    }

    fn end(&self, why: u8) {
        let _ = self.0.compare_exchange(WAITING, why, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// Ends a query when dropped.
#[derive(Debug)]
pub(super) struct Abandon(Patience);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.end(ABANDONED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays() {
        let patience = Patience::default();
        assert_eq!(patience.ended(), None);
        let abandon = patience.abandon_on_drop();
        patience.time_out();
        drop(abandon);
        assert_eq!(patience.ended(), Some(Stop::Timeout));
        let patience = Patience::default();
        drop(patience.abandon_on_drop());
        assert_eq!(patience.ended(), Some(Stop::Canceled));
    }
}
