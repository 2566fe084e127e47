//! What one connection is doing, as far as its timeouts need to know. Counts instead of clocks: the
//! connection looks at it in fixed steps, and what has not changed since the last look took too long. How fast it is, for the
//! day its place is needed, is its [`Pace`]'s.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::config::Timeouts;
use crate::net::places::{Pace, Underway};

/// Shared by a connection's stream, its requests and its watch.
#[derive(Debug)]
pub(super) struct Activity {
    pace: Arc<Pace>,
    active: AtomicU32,
    begun: AtomicU32,
    unparsed: AtomicBool,
    last: AtomicBool,
}

impl Activity {
    pub(super) fn new(pace: Arc<Pace>) -> Self {
        let (active, begun) = (0.into(), 0.into());
        Self { pace, active, begun, unparsed: false.into(), last: false.into() }
    }

    /// What decides whether it is evicted.
    pub(super) const fn pace(&self) -> &Arc<Pace> {
        &self.pace
    }

    /// So many bytes came in.
    pub(super) fn read(&self, bytes: usize) {
        self.unparsed.store(true, Ordering::Relaxed);
        self.pace.moved(bytes);
    }

    /// Whether a request is in progress.
    pub(super) fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed) > 0
    }

    /// The answer that comes next is to be the last, and to say so.
    pub(super) fn end_with_next(&self) {
        self.last.store(true, Ordering::Relaxed);
    }

    /// Whether the answer that is made now is the last.
    pub(super) fn is_last(&self) -> bool {
        self.last.load(Ordering::Relaxed) || self.pace.leave().is_some()
    }

    /// A request's headers are complete; it is active until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Active {
        self.active.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.unparsed.store(false, Ordering::Relaxed);
        Active { activity: Arc::clone(self), underway: self.pace.begin() }
    }
}

/// One request in progress.
#[derive(Debug)]
pub(super) struct Active {
    activity: Arc<Activity>,
    underway: Underway,
}

impl Active {
    /// What it brought was taken.
    pub(super) fn accepted(&self) {
        self.underway.accepted();
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.activity.unparsed.store(false, Ordering::Relaxed);
        self.activity.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Looks at an [`Activity`] every `header` timeout (or `idle`, if that is shorter).
#[derive(Debug)]
pub(super) struct Watch {
    /// HTTP/1.1, whose peer can be seen to dawdle over headers.
    pub(super) is_http1: bool,
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

    fn new(is_http1: bool, timeouts: &Timeouts) -> Self {
        let looks = timeouts.idle.as_secs_f64() / Self::step(timeouts).as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small ratio of positive times; the cast saturates"
        )]
        let idle_looks_max = looks.ceil().max(1.0) as u32;
        Self { is_http1, idle_looks_max, begun: 0, unparsed: false, idle_looks: 0 }
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
        let dawdles = quiet && unparsed && self.unparsed && self.is_http1;
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
    use crate::net::places::Places;
    use crate::time::ManualClock;

    const TIMEOUTS: Timeouts = Timeouts {
        header: Duration::from_secs(10),
        body: Duration::from_secs(30),
        idle: Duration::from_secs(60),
    };

    fn activity() -> Arc<Activity> {
        let admitted = Places::new(1, Arc::new(ManualClock::default())).take().unwrap();
        Arc::new(Activity::new(Arc::clone(admitted.place.pace())))
    }

    fn looks_until_stalled(watch: &mut Watch, activity: &Activity) -> (u32, Option<Stalled>) {
        (1..100).find_map(|n| watch.look(activity).map(|s| (n, Some(s)))).unwrap_or((100, None))
    }

    #[test]
    fn a_connection_without_requests_ends_after_the_idle_time() {
        let activity = activity();
        let mut watch = Watch::http2(&TIMEOUTS);
        assert_eq!(looks_until_stalled(&mut watch, &activity), (7, Some(Stalled::Idle)));
    }

    #[test]
    fn a_request_in_progress_is_never_idle_and_a_finished_one_starts_over() {
        let activity = activity();
        let mut watch = Watch::http1(&TIMEOUTS);
        let active = activity.begin();
        assert_eq!(looks_until_stalled(&mut watch, &activity), (100, None));
        drop(active);
        assert_eq!(looks_until_stalled(&mut watch, &activity), (7, Some(Stalled::Idle)));
    }

    #[test]
    fn headers_that_never_end_are_cut_off_within_two_looks() {
        let activity = activity();
        let mut watch = Watch::http1(&TIMEOUTS);
        activity.read(1);
        assert_eq!(looks_until_stalled(&mut watch, &activity), (2, Some(Stalled::Header)));
        let mut watch = Watch::http2(&TIMEOUTS);
        assert_eq!(looks_until_stalled(&mut watch, &activity), (7, Some(Stalled::Idle)));
    }
}
