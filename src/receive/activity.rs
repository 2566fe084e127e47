//! What one connection is doing, as far as its timeouts need to know. Counts instead of clocks: the
//! connection looks at it in fixed steps, and what has not changed since the last look took too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::config::Timeouts;

/// Shared by a connection's stream, its requests and its watch.
#[derive(Debug, Default)]
pub(super) struct Activity {
    active: AtomicU32,
    begun: AtomicU32,
    unparsed: AtomicBool,
}

impl Activity {
    /// Bytes came in.
    pub(super) fn read(&self) {
        self.unparsed.store(true, Ordering::Relaxed);
    }

    /// A request's headers are complete; it is active until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Active {
        self.active.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.unparsed.store(false, Ordering::Relaxed);
        Active(Arc::clone(self))
    }
}

/// One request in progress.
#[derive(Debug)]
pub(super) struct Active(Arc<Activity>);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.unparsed.store(false, Ordering::Relaxed);
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Looks at an [`Activity`] every `header` timeout (or `idle`, if that is shorter).
#[derive(Debug)]
pub(super) struct Watch {
    /// Whether a peer can be seen to dawdle over headers.
    sees_dawdling: bool,
    idle_looks_max: u32,
    begun: u32,
    unparsed: bool,
    idle_looks: u32,
}

/// Why a connection without a request in progress ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stalled {
    /// The headers of a request are not complete.
    Header,
    /// Nothing was asked.
    Idle,
}

impl Watch {
    /// Of HTTP/1.1.
    pub(super) fn http1(timeouts: &Timeouts) -> Self {
        Self::new(true, timeouts)
    }

    /// Of HTTP/2, which sends bytes that belong to no request: it cannot be seen to dawdle over headers.
    pub(super) fn http2(timeouts: &Timeouts) -> Self {
        Self::new(false, timeouts)
    }

    fn new(sees_dawdling: bool, timeouts: &Timeouts) -> Self {
        let looks = timeouts.idle.as_secs_f64() / Self::step(timeouts).as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small ratio of positive times; the cast saturates"
        )]
        let idle_looks_max = looks.ceil().max(1.0) as u32;
        Self { sees_dawdling, idle_looks_max, begun: 0, unparsed: false, idle_looks: 0 }
    }

    /// The time between two looks.
    pub(super) fn step(timeouts: &Timeouts) -> Duration {
        timeouts.header.min(timeouts.idle).max(Duration::from_millis(1))
    }

    /// Compares with the look before.
    pub(super) fn look(&mut self, activity: &Activity) -> Option<Stalled> {
        let begun = activity.begun.load(Ordering::Relaxed);
        let unparsed = activity.unparsed.load(Ordering::Relaxed);
        let quiet = activity.active.load(Ordering::Relaxed) == 0 && begun == self.begun;
        let dawdles = quiet && unparsed && self.unparsed && self.sees_dawdling;
        self.idle_looks = if quiet { self.idle_looks + 1 } else { 0 };
        (self.begun, self.unparsed) = (begun, unparsed);
        if dawdles {
            return Some(Stalled::Header);
        }
        (self.idle_looks > self.idle_looks_max).then_some(Stalled::Idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUTS: Timeouts = Timeouts {
        header: Duration::from_secs(10),
        body: Duration::from_secs(30),
        idle: Duration::from_secs(60),
    };

    fn looks_until_stalled(watch: &mut Watch, activity: &Activity) -> (u32, Option<Stalled>) {
        (1..100).find_map(|n| watch.look(activity).map(|s| (n, Some(s)))).unwrap_or((100, None))
    }

    #[test]
    fn a_connection_without_requests_ends_after_the_idle_time() {
        let activity = Arc::new(Activity::default());
        let mut watch = Watch::http2(&TIMEOUTS);
        assert_eq!(looks_until_stalled(&mut watch, &activity), (7, Some(Stalled::Idle)));
    }

    #[test]
    fn a_request_in_progress_is_never_idle_and_a_finished_one_starts_over() {
        let activity = Arc::new(Activity::default());
        let mut watch = Watch::http1(&TIMEOUTS);
        let active = activity.begin();
        assert_eq!(looks_until_stalled(&mut watch, &activity), (100, None));
        drop(active);
        assert_eq!(looks_until_stalled(&mut watch, &activity), (7, Some(Stalled::Idle)));
    }

    #[test]
    fn headers_that_never_end_are_cut_off_within_two_looks() {
        let activity = Arc::new(Activity::default());
        let mut watch = Watch::http1(&TIMEOUTS);
        activity.read();
        assert_eq!(looks_until_stalled(&mut watch, &activity), (2, Some(Stalled::Header)));
        let mut watch = Watch::http2(&TIMEOUTS);
        assert_eq!(looks_until_stalled(&mut watch, &activity), (7, Some(Stalled::Idle)));
    }
}
