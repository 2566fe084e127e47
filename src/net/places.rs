//! Places for connections: as many as are served at once, and which one is evicted when somebody new comes.
//!
//! A connection lives on what comes over it: each KiB pays for a second, an answered request for one as well, and at most
//! five seconds are paid for in advance. One that has used up what it paid for is overdue, unless a whole request of it is
//! being worked on. Where all places are taken, the one that is overdue for longest is evicted for the newcomer: it says
//! nothing, does not end its headers, idles, or sends its bodies a few bytes at a time. Nobody else ever is: where nobody
//! is overdue, the newcomer is not served.
//!
//! Nothing that was acknowledged is lost by it, and whole requests are answered. Who is evicted is told ([`Pace::evicted`])
//! and ends by itself within [`LEAVE_TIME`]; a body that is on its way ends with [`Evicted`], so that its sender can be told
//! to come back. The newcomer does not wait for that.
//!
//! Limits: at most an eighth of the places more are open for as long as somebody takes to leave, and another eighth until
//! those that leave at once have. Who sends a KiB a second on each of all places is as any client, and keeps them.
//! Cost: a look at every place for each newcomer while all are taken, an atomic for each read.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::time::Clock;

/// What is slow: a connection lives on this, and so does a body past its time.
pub const BYTES_PER_SECOND_MIN: u64 = 1 << 10;
/// How long who is evicted may take to say goodbye.
pub const LEAVE_TIME: Duration = Duration::from_millis(100);
/// What an answered request pays for.
const ANSWERED: Duration = Duration::from_secs(1);
/// What is paid for in advance at most: what came fast earns no long silence.
const ADVANCE_MAX: Duration = Duration::from_secs(5);
/// One of so many places more is open while somebody leaves.
const LEAVING: usize = 8;

/// The places of one server. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Arc<dyn Clock>,
    places_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    /// In the order in which they came.
    places: BTreeMap<u64, Arc<Pace>>,
    next: u64,
    /// Evicted and not gone yet.
    leaving: usize,
}

/// A newcomer's place.
#[derive(Debug)]
pub struct Admitted {
    /// To be held for as long as the connection is open.
    pub place: Place,
    /// What the one was doing that was evicted for it.
    pub evicted: Option<Doing>,
}

/// What a connection was doing when it was evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doing {
    /// Nothing since its last request, or it did not read the answer.
    Idle,
    /// It never asked anything: no first byte, or headers that do not end.
    Silent,
    /// A body, slower than [`BYTES_PER_SECOND_MIN`].
    Slow,
}

impl Doing {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Idle, Self::Silent, Self::Slow];

    /// As self-metrics name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Silent => "silent",
            Self::Slow => "slow",
        }
    }
}

impl Places {
    /// So many places.
    #[must_use]
    pub fn new(places_max: usize, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shared { clock, places_max, taken: Mutex::default() }))
    }

    /// A place for a newcomer: a free one, or that of who is overdue for longest. `None` where there is neither.
    #[must_use]
    pub fn take(&self) -> Option<Admitted> {
        let now = self.0.clock.monotonic();
        let mut taken = self.0.taken();
        let mut evicted = None;
        if taken.places.len() >= self.0.places_max {
            let leaving_max = self.0.places_max.div_ceil(LEAVING);
            let leave = match taken.leaving {
                leaving if leaving < leaving_max => Leave::Soon,
                leaving if leaving < 2 * leaving_max => Leave::Now,
                _ => return None,
            };
            let overdue =
                |(key, pace): (&u64, &Arc<Pace>)| Some((pace.overdue_at(now)?, Reverse(*key)));
            let (_, Reverse(longest)) = taken.places.iter().filter_map(overdue).max()?;
            let pace = taken.places.remove(&longest)?;
            taken.leaving += 1;
            evicted = Some(pace.doing());
            pace.evict(leave);
        }
        let key = taken.next;
        taken.next += 1;
        let pace = Arc::new(Pace::new(Arc::clone(&self.0.clock)));
        taken.places.insert(key, Arc::clone(&pace));
        drop(taken);
        Some(Admitted { place: Place { key, pace, shared: Arc::clone(&self.0) }, evicted })
    }
}

impl Shared {
    fn taken(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connection; free again when dropped.
#[derive(Debug)]
pub struct Place {
    key: u64,
    pace: Arc<Pace>,
    shared: Arc<Shared>,
}

impl Place {
    /// How the connection gets on.
    #[must_use]
    pub const fn pace(&self) -> &Arc<Pace> {
        &self.pace
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.shared.taken();
        if taken.places.remove(&self.key).is_none() {
            taken.leaving -= 1;
        }
    }
}

/// How soon who is evicted has to be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Leave {
    /// Within [`LEAVE_TIME`].
    Soon = 1,
    /// At once: too many others are leaving.
    Now,
}

/// How one connection gets on: told by its stream and its requests, looked at when somebody needs its place.
#[derive(Debug)]
pub struct Pace {
    clock: Arc<dyn Clock>,
    /// Until when it has paid, monotonic, in nanoseconds.
    paid_until: AtomicU64,
    /// Requests that have begun and are not answered …
    requests: AtomicU32,
    /// … and those of them whose body is on its way.
    arriving: AtomicU32,
    /// Whether there was ever a request.
    asked: AtomicBool,
    /// A [`Leave`], or 0 while it may stay.
    leave: AtomicU8,
    told: Arc<Notify>,
}

impl Pace {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let paid_until = nanos(clock.monotonic()).into();
        let (requests, arriving) = (0.into(), 0.into());
        let (asked, leave, told) = (false.into(), 0.into(), Arc::default());
        Self { clock, paid_until, requests, arriving, asked, leave, told }
    }

    /// So many bytes moved.
    pub fn moved(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.pay(Duration::from_micros(bytes.saturating_mul(1_000_000) / BYTES_PER_SECOND_MIN));
    }

    /// A request's headers are complete; it is underway until the guard is dropped, with its answer.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> Underway {
        self.asked.store(true, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        Underway(Arc::clone(self))
    }

    /// The body of a request that has begun is on its way until [`Self::arrived`].
    pub(super) fn arriving(&self) {
        self.arriving.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn arrived(&self) {
        self.arriving.fetch_sub(1, Ordering::Relaxed);
    }

    /// Waits until it is evicted.
    ///
    /// # Cancel safety
    /// It can be dropped and waited for again.
    pub async fn evicted(&self) -> Leave {
        loop {
            let told = self.eviction();
            match self.leave() {
                Some(leave) => return leave,
                None => told.await,
            }
        }
    }

    /// How soon it has to be gone, if it was evicted.
    #[must_use]
    pub fn leave(&self) -> Option<Leave> {
        match self.leave.load(Ordering::Acquire) {
            0 => None,
            soon if soon == Leave::Soon as u8 => Some(Leave::Soon),
            _ => Some(Leave::Now),
        }
    }

    /// Ends when it is evicted after this was called.
    pub(super) fn eviction(&self) -> OwnedNotified {
        Arc::clone(&self.told).notified_owned()
    }

    fn evict(&self, leave: Leave) {
        self.leave.store(leave as u8, Ordering::Release);
        self.told.notify_waiters();
    }

    fn pay(&self, more: Duration) {
        let now = self.clock.monotonic();
        let (now, most, more) = (nanos(now), nanos(now + ADVANCE_MAX), nanos(more));
        let pay = |until: u64| Some(until.max(now).saturating_add(more).min(most));
        // Others pay as well, and who looks sees one or the other.
        let _ = self.paid_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay);
    }

    /// For how long it has used up what it paid for; `None` while it has not, or works on a whole request.
    fn overdue_at(&self, now: Duration) -> Option<u64> {
        let arriving = self.arriving.load(Ordering::Relaxed);
        if self.requests.load(Ordering::Relaxed) > arriving {
            return None;
        }
        let over = nanos(now).checked_sub(self.paid_until.load(Ordering::Relaxed))?;
        (over > 0).then_some(over)
    }

    fn doing(&self) -> Doing {
        if self.arriving.load(Ordering::Relaxed) > 0 {
            Doing::Slow
        } else if self.asked.load(Ordering::Relaxed) {
            Doing::Idle
        } else {
            Doing::Silent
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A request that is not answered yet.
#[derive(Debug)]
pub struct Underway(Arc<Pace>);

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
        self.0.pay(ANSWERED);
    }
}

/// Its connection was evicted before the body was whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body came too slowly, and others waited for the connection's place")]
pub struct Evicted;

impl Evicted {
    /// Whether this is behind an error of reading a body.
    #[must_use]
    pub fn is_behind(error: &(dyn std::error::Error + 'static)) -> bool {
        std::iter::successors(Some(error), |&error| error.source()).any(|cause| cause.is::<Self>())
    }
}

#[cfg(test)]
mod tests;
