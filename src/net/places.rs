//! Places for connections: as many as are served at once, and which one is evicted when somebody new comes.
//!
//! A connection lives on what comes over it: each KiB pays for a second, and at most five seconds are paid for in advance; the
//! first second is free. One that has used up what it paid for is overdue, unless a whole request of it is being worked on.
//! Bytes pay off what is owed, of which up to a minute is remembered; a request that was accepted settles all of it, and
//! pays for a second more ([`Underway::accepted`]). One that was refused or cancelled is no more than its bytes. Where all
//! places are taken, the one that is overdue for longest is evicted for the newcomer: it says nothing, does not end its
//! headers, idles, is refused again and again, or sends its bodies a few bytes at a time.
//!
//! Where nobody is overdue it is one that is new, at random, the newcomer itself among them: of those no request was accepted
//! ever, and they are not in the middle of sending something large ([`SENDING`]). A crowd that comes again as fast as it is
//! evicted would otherwise hold every place in its first second; as it is, a newcomer has its first request through all the
//! same unless more come in the meantime than there are places, and then its chance falls slowly (as with the random early
//! drop of sshd's `MaxStartups`). The oldest first would be simpler, and end who got furthest. Nobody else ever is evicted.
//!
//! Nothing that was acknowledged is lost by it, and whole requests are answered, also one that became whole as its connection
//! was chosen. Who is evicted is told ([`Pace::evicted`]) and ends by itself until [`Pace::cut`]; a body that is on its way
//! ends with [`Evicted`], so that its sender can be told to come back. The newcomer does not wait for that.
//!
//! Limits: at most an eighth of the places more are open for as long as somebody takes to leave, and another eighth until
//! those that leave at once have. Who has a request accepted each second on as many connections as there are places, new ones
//! or the same, is as any client, and keeps others out; so does who begins each with 4 KiB and goes on with a KiB a second.
//! Cost: a look at every place for each newcomer while all are taken, an atomic for each read.

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
/// For so many times [`LEAVE_TIME`] a whole request of who is evicted is waited for: as long as senders wait themselves.
const ANSWER_LOOKS: u32 = 100;
/// What an accepted request pays for.
const ACCEPTED: Duration = Duration::from_secs(1);
/// What a newcomer has, to say what it wants, before it is overdue.
const NEWCOMER: Duration = Duration::from_secs(1);
/// Who paid for so much in advance sends something large, most likely, and is left to it though nothing was accepted yet.
const SENDING: Duration = Duration::from_secs(4);
/// What is owed at most. Were it forgiven with each byte, who sends one now and then would go after every client that sends
/// a batch and then nothing.
const DEBT_MAX: Duration = Duration::from_mins(1);
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
    /// It came a moment ago, as many others did.
    Beginning,
}

impl Doing {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Idle, Self::Silent, Self::Slow, Self::Beginning];

    /// As self-metrics name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Silent => "silent",
            Self::Slow => "slow",
            Self::Beginning => "beginning",
        }
    }
}

impl Places {
    /// So many places.
    #[must_use]
    pub fn new(places_max: usize, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shared { clock, places_max, taken: Mutex::default() }))
    }

    /// A place for a newcomer: a free one, or that of who has to leave first. `None` where there is neither.
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
            let (leaves, doing) = taken.first_to_leave(now)?;
            let pace = taken.places.remove(&leaves)?;
            taken.leaving += 1;
            evicted = Some(doing);
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

impl Taken {
    /// Whose place a newcomer takes; `None` if it is to leave itself.
    fn first_to_leave(&self, now: Duration) -> Option<(u64, Doing)> {
        let mut new = Vec::new();
        let mut overdue = Vec::new();
        for (&key, pace) in &self.places {
            match pace.standing(now) {
                Standing::Stays => {}
                Standing::New => new.push(key),
                Standing::Overdue { since, doing } => overdue.push((since, key, doing)),
            }
        }
        if let Some(&(_, key, doing)) = overdue.iter().min() {
            return Some((key, doing));
        }
        let drawn = new.get(fastrand::usize(..=new.len()))?;
        Some((*drawn, Doing::Beginning))
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
    /// Within [`LEAVE_TIME`], or once its whole requests are answered.
    Soon = 1,
    /// At once, unless an answer is owed: too many others are leaving.
    Now,
}

/// How a connection stands when its place is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It works on a whole request, has paid, or sends something large.
    Stays,
    /// It has paid, and nothing of it was accepted yet.
    New,
    /// It has used up what it paid for.
    Overdue { since: u64, doing: Doing },
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
    /// Whether there was ever a request …
    asked: AtomicBool,
    /// … and one that was accepted, at any time.
    proven: AtomicBool,
    /// A [`Leave`], or 0 while it may stay.
    leave: AtomicU8,
    /// Whether a request was accepted after the eviction, and its answer may not be sent yet.
    late: AtomicBool,
    told: Arc<Notify>,
}

impl Pace {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let paid_until = nanos(clock.monotonic() + NEWCOMER).into();
        let (requests, arriving) = (0.into(), 0.into());
        let (asked, proven, late) = (false.into(), false.into(), false.into());
        let (leave, told) = (0.into(), Arc::default());
        Self { clock, paid_until, requests, arriving, asked, proven, leave, late, told }
    }

    /// So many bytes moved.
    pub fn moved(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let paid = Duration::from_micros(bytes.saturating_mul(1_000_000) / BYTES_PER_SECOND_MIN);
        self.pay(paid, DEBT_MAX);
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

    /// Waits until who was just evicted is to be cut, whatever it still does: after [`LEAVE_TIME`], or, where an answer is owed,
    /// after ten seconds at most.
    ///
    /// # Cancel safety
    /// It can be dropped; called again, it waits from the beginning.
    pub async fn cut(&self) {
        for _ in 0..ANSWER_LOOKS {
            tokio::time::sleep(LEAVE_TIME).await;
            if !self.owes_answer() {
                return;
            }
        }
    }

    /// Whether who was evicted is to be waited for, as what it sent may be kept already: cut now, it would send that again.
    /// One that was accepted meanwhile counts once, for as long as its answer takes to be sent.
    #[must_use]
    pub fn owes_answer(&self) -> bool {
        // In this order: what is no longer worked on has said whether it was accepted.
        self.is_working() || self.late.swap(false, Ordering::Relaxed)
    }

    /// Whether a request is there as a whole and not answered yet.
    fn is_working(&self) -> bool {
        let arriving = self.arriving.load(Ordering::Relaxed);
        self.requests.load(Ordering::Acquire) > arriving
    }

    /// Ends when it is evicted after this was called.
    pub(super) fn eviction(&self) -> OwnedNotified {
        Arc::clone(&self.told).notified_owned()
    }

    fn evict(&self, leave: Leave) {
        self.leave.store(leave as u8, Ordering::Release);
        self.told.notify_waiters();
    }

    /// Pays for so much more, and for what is owed above `debt_max`.
    fn pay(&self, more: Duration, debt_max: Duration) {
        let now = self.clock.monotonic();
        let least = nanos(now.saturating_sub(debt_max));
        let (most, more) = (nanos(now + ADVANCE_MAX), nanos(more));
        let pay = |until: u64| Some(until.max(least).saturating_add(more).min(most));
        // Others pay as well, and who looks sees one or the other.
        let _ = self.paid_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay);
    }

    fn standing(&self, now: Duration) -> Standing {
        if self.is_working() {
            return Standing::Stays;
        }
        let paid_until = self.paid_until.load(Ordering::Relaxed);
        if paid_until < nanos(now) {
            return Standing::Overdue { since: paid_until, doing: self.doing() };
        }
        let is_new = !self.proven.load(Ordering::Relaxed) && paid_until < nanos(now + SENDING);
        if is_new { Standing::New } else { Standing::Stays }
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

impl Underway {
    /// It was taken, or answered with what was asked for; what everybody may ask for does not count. Anything else that
    /// ends a request costs its sender next to nothing, and must not hold a place.
    pub fn accepted(&self) {
        self.0.pay(ACCEPTED, Duration::ZERO);
        self.0.proven.store(true, Ordering::Relaxed);
        if self.0.leave().is_some() {
            self.0.late.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Release);
    }
}

/// Its connection was evicted before the body was whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection's place was needed before the body was whole")]
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
