//! Queues: how full they are, how long entries wait in them, what they refuse.
//!
//! A queue is looked at ([`Queue::observe`]), sampled by hand ([`Queue::sample`]), or followed by tickets that travel with
//! its entries ([`Queue::enqueued`]).

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram};

use crate::clock::Started;
use crate::entry::{Detail, Entry};
use crate::looks::Looks;
use crate::meter::{self, Cell, Instruments};
use crate::names;
use crate::observe::{self, Observed, Seen};
use crate::settings::settings;
use crate::window::Window;

/// In percent of the capacity: an overflow is a crossing of the first from below, and of the next only after the second
/// was crossed from above.
const OVERFULL: u64 = 80;
const REARMED: u64 = 70;

/// What waits in a queue: attribute `queue.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueKind {
    /// Requests.
    Http,
    /// Statements or connections of a database.
    Db,
    /// Work for a model.
    Ml,
    /// Commands to Redis or its like.
    Redis,
    /// Tasks of the application.
    #[default]
    Task,
}

impl QueueKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Db => "db",
            Self::Ml => "ml",
            Self::Redis => "redis",
            Self::Task => "task",
        }
    }
}

/// Why an entry did not get into a queue, or not out: attribute `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RejectReason {
    /// There was no room.
    Full,
    /// Nobody takes entries any more.
    Closed,
    /// It was refused to protect what is behind the queue.
    Shed,
    /// It was thrown away before anybody took it.
    Discarded,
}

impl RejectReason {
    const ALL: [Self; 4] = [Self::Full, Self::Closed, Self::Shed, Self::Discarded];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Closed => "closed",
            Self::Shed => "shed",
            Self::Discarded => "discarded",
        }
    }
}

/// How full a queue is. A pair is its length and capacity.
///
/// ```
/// use sidelight::QueueDepth;
///
/// assert_eq!(QueueDepth::from((3, 10)), QueueDepth { len: 3, capacity: 10 });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// How many entries wait.
    pub len: u64,
    /// How many can wait; 0 where there is no limit.
    pub capacity: u64,
}

impl From<(usize, usize)> for QueueDepth {
    fn from((len, capacity): (usize, usize)) -> Self {
        Self { len: len as u64, capacity: capacity as u64 }
    }
}

/// A queue of the application.
///
/// ```
/// use sidelight::{Queue, QueueKind, RejectReason};
/// use std::collections::VecDeque;
/// use std::sync::{Arc, Mutex};
///
/// static JOBS: Queue = Queue::new("jobs").kind(QueueKind::Task);
///
/// let jobs = Arc::new(Mutex::new(VecDeque::from(["first"])));
/// JOBS.observe(&jobs, |jobs| (jobs.lock().unwrap().len(), 100));
///
/// JOBS.sample(25, 100); // by hand, instead
/// JOBS.rejected(RejectReason::Full);
///
/// static MAILS: Queue = Queue::new("mails").capacity(1024);
/// let ticket = MAILS.enqueued(); // goes with the mail
/// ticket.start(); // it waited until here
/// ```
///
/// Metrics, by `queue.name` and `queue.type`: `sidelight.queue.size`, `.capacity`, `.size.max` since the last collection,
/// `.size.distribution`, `.overflows` (it passed 80 % of its capacity, after less than 70 %), `.item.wait.duration` (s);
/// `.rejected` by `queue.name` and `reason`.
///
/// Cost (`benches/handles.rs`): 37 ns a sample, 71 ns a ticket. No allocation. Limit: 16 observed queues of a name, which are
/// added up.
#[derive(Debug)]
pub struct Queue {
    name: &'static str,
    kind: QueueKind,
    capacity: u64,
    detail: Detail,
    on: AtomicBool,
    state: OnceLock<Arc<State>>,
}

impl Queue {
    /// Defines a queue.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        let on = AtomicBool::new(true);
        let (kind, detail) = (QueueKind::Task, Detail::NONE);
        Self { name, kind, capacity: 0, detail, on, state: OnceLock::new() }
    }

    /// Says what waits in it.
    #[must_use]
    pub const fn kind(mut self, kind: QueueKind) -> Self {
        self.kind = kind;
        self
    }

    /// Says how many entries can wait, where tickets follow it.
    #[must_use]
    pub const fn capacity(mut self, entries: u64) -> Self {
        self.capacity = entries;
        self
    }

    settings!("waits and refusals", "Queue", "Queue::new(\"jobs\")");

    /// Looks at how full it is, every 100 ms while `of` lives. If `depth` panics, it is not asked again.
    /// At most 16 of a name, which are added up.
    pub fn observe<T, D>(&self, of: &Arc<T>, depth: impl Fn(&T) -> D + Send + Sync + 'static)
    where
        T: Send + Sync + 'static,
        D: Into<QueueDepth>,
    {
        self.state().looks.add(of, depth);
    }

    /// Says how many entries wait, and how many can (0: no limit).
    #[inline]
    pub fn sample(&self, len: u64, capacity: u64) {
        if self.on.load(Ordering::Relaxed) {
            let state = self.state();
            state.tracked.store(i64::try_from(len).unwrap_or(i64::MAX), Ordering::Relaxed);
            state.capacity.store(capacity, Ordering::Relaxed);
            state.follows.store(true, Ordering::Relaxed);
            state.level(QueueDepth { len, capacity });
            state.with(|bound| bound.distribution.record(len as f64));
        }
    }

    /// Makes room for as many entries more, in a channel.
    pub(crate) fn channel(&self, capacity: u64) -> Room {
        let state = self.on.load(Ordering::Relaxed).then(|| Arc::clone(self.state()));
        if let Some(state) = &state {
            state.follows.store(true, Ordering::Relaxed);
            state.channels.fetch_add(capacity, Ordering::Relaxed);
        }
        Room { state, capacity }
    }

    /// Follows an entry: it waits until [`Ticket::start`], and is discarded if the ticket is dropped before.
    #[inline]
    pub fn enqueued(&self) -> Ticket {
        if !self.on.load(Ordering::Relaxed) {
            return Ticket { state: None, start: Started::NEVER };
        }
        let state = Arc::clone(self.state());
        state.follows.store(true, Ordering::Relaxed);
        state.moved(1);
        Ticket { state: Some(state), start: Started::now() }
    }

    /// Counts an entry that did not get in, or not out.
    pub fn rejected(&self, why: RejectReason) {
        if self.on.load(Ordering::Relaxed) {
            self.state().reject(why);
        }
    }

    /// Records a wait that was timed elsewhere.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// static JOBS: sidelight::Queue = sidelight::Queue::new("jobs");
    ///
    /// JOBS.waited(Duration::from_millis(40)); // as the broker says
    /// ```
    pub fn waited(&self, duration: Duration) {
        if self.on.load(Ordering::Relaxed) {
            self.state().waited(duration);
        }
    }

    #[inline]
    fn state(&self) -> &Arc<State> {
        self.state.get_or_init(|| {
            let attributes = [("queue.name", self.name), ("queue.type", self.kind.as_str())];
            let state = Arc::new(State {
                name: self.name,
                detail: self.detail,
                attributes: attributes.map(|(key, value)| KeyValue::new(key, value)),
                cell: Cell::new(),
                follows: AtomicBool::new(false),
                tracked: AtomicI64::new(0),
                capacity: AtomicU64::new(self.capacity),
                channels: AtomicU64::new(0),
                window: Window::default(),
                overfull: AtomicBool::new(false),
                looks: Looks::default(),
                looked: Mutex::default(),
            });
            let observed: Weak<State> = Arc::downgrade(&state);
            observe::register(observed);
            state
        })
    }
}

struct State {
    name: &'static str,
    detail: Detail,
    attributes: [KeyValue; 2],
    cell: Cell<Bound>,
    /// Whether tickets or samples say how full it is.
    follows: AtomicBool,
    tracked: AtomicI64,
    capacity: AtomicU64,
    /// The capacities of all channels, which go before what was said.
    channels: AtomicU64,
    window: Window,
    overfull: AtomicBool,
    looks: Looks<QueueDepth>,
    /// What was last looked at.
    looked: Mutex<Option<QueueDepth>>,
}

struct Bound {
    distribution: BoundHistogram<f64>,
    overflows: BoundCounter<u64>,
    wait: BoundHistogram<f64>,
    rejected: [BoundCounter<u64>; 4],
}

impl State {
    #[inline]
    fn with(&self, then: impl FnOnce(&Bound)) {
        self.cell.with(|instruments| self.bind(instruments), then);
    }

    #[cold]
    fn bind(&self, instruments: &Instruments) -> Bound {
        let rejected = instruments.counter(&names::QUEUE_REJECTED);
        Bound {
            distribution: instruments
                .histogram(&names::QUEUE_SIZE_DISTRIBUTION)
                .bind(&self.attributes),
            overflows: instruments.counter(&names::QUEUE_OVERFLOWS).bind(&self.attributes),
            wait: instruments.histogram(&names::QUEUE_WAIT).bind(&self.attributes),
            rejected: RejectReason::ALL.map(|why| {
                let name = KeyValue::new("queue.name", self.name);
                rejected.bind(&[name, KeyValue::new("reason", why.as_str())])
            }),
        }
    }

    #[inline]
    fn waited(&self, duration: Duration) {
        self.with(|bound| bound.wait.record(duration.as_secs_f64()));
        if self.detail.wanted() {
            self.tell("ok", Some(duration));
        }
    }

    #[cold]
    fn tell(&self, outcome: &str, duration: Option<Duration>) {
        Entry { family: "queue", name: self.name, outcome, duration, reason: None }.tell();
    }

    fn reject(&self, why: RejectReason) {
        if self.detail.wanted() {
            self.tell(why.as_str(), None);
        }
        self.with(|bound| {
            if let Some(rejected) = bound.rejected.get(why as usize) {
                rejected.add(1);
            }
        });
    }

    /// An entry came or went.
    #[inline]
    fn moved(&self, by: i64) {
        let len = self.tracked.fetch_add(by, Ordering::Relaxed) + by;
        let len = u64::try_from(len).unwrap_or(0);
        self.level(QueueDepth { len, capacity: self.capacity() });
    }

    #[inline]
    fn capacity(&self) -> u64 {
        match self.channels.load(Ordering::Relaxed) {
            0 => self.capacity.load(Ordering::Relaxed),
            channels => channels,
        }
    }

    /// It is as full as this.
    #[inline]
    fn level(&self, depth: QueueDepth) {
        self.window.record(depth.len);
        if depth.capacity == 0 {
            return;
        }
        let percent = depth.len.saturating_mul(100) / depth.capacity;
        if percent > OVERFULL {
            if !self.overfull.swap(true, Ordering::Relaxed) {
                self.with(|bound| bound.overflows.add(1));
            }
        } else if percent < REARMED && self.overfull.load(Ordering::Relaxed) {
            self.overfull.store(false, Ordering::Relaxed);
        }
    }

    /// The sum of all that is observed.
    fn look(&self) -> Option<QueueDepth> {
        self.looks.all().into_iter().reduce(|sum, depth| QueueDepth {
            len: sum.len.saturating_add(depth.len),
            capacity: sum.capacity.saturating_add(depth.capacity),
        })
    }

    fn depth(&self) -> Option<QueueDepth> {
        let looked = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let followed = self.follows.load(Ordering::Relaxed).then(|| QueueDepth {
            len: u64::try_from(self.tracked.load(Ordering::Relaxed)).unwrap_or(0),
            capacity: self.capacity(),
        });
        looked.or(followed)
    }
}

impl Observed for State {
    fn sample(&self) {
        let looked = self.look();
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = looked;
        if let Some(depth) = looked {
            self.level(depth);
            self.with(|bound| bound.distribution.record(depth.len as f64));
        }
    }

    fn observe(&self, seen: &mut Seen) {
        let looked = self.look();
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = looked;
        if let Some(depth) = self.depth() {
            self.level(depth);
            seen.push(&names::QUEUE_SIZE, &self.attributes, depth.len as f64);
            if depth.capacity > 0 {
                seen.push(&names::QUEUE_CAPACITY, &self.attributes, depth.capacity as f64);
            }
        }
        if let Some((_, greatest)) = self.window.extremes() {
            seen.push(&names::QUEUE_SIZE_MAX, &self.attributes, greatest as f64);
        }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a channel can hold, until dropped.
#[derive(Debug)]
pub(crate) struct Room {
    /// None of a queue that was switched off.
    state: Option<Arc<State>>,
    capacity: u64,
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(state) = &self.state {
            state.channels.fetch_sub(self.capacity, Ordering::Relaxed);
        }
    }
}

/// Travels with an entry of a queue; see [`Queue::enqueued`].
///
/// ```
/// static JOBS: sidelight::Queue = sidelight::Queue::new("jobs").capacity(1000);
///
/// let mut jobs = std::collections::VecDeque::new();
/// jobs.push_back((JOBS.enqueued(), "resize"));
/// for (ticket, job) in jobs.drain(..) {
///     ticket.start(); // its wait ends here
///     assert_eq!(job, "resize");
/// }
/// ```
#[derive(Debug)]
#[must_use = "dropped, the entry counts as discarded"]
pub struct Ticket {
    state: Option<Arc<State>>,
    start: Started,
}

impl Ticket {
    /// The entry left the queue and is worked on: its wait is recorded.
    #[inline]
    pub fn start(mut self) {
        let Some(state) = self.state.take() else { return };
        state.moved(-1);
        match self.start.elapsed() {
            Some(waited) => state.waited(waited),
            None => meter::drop_record(),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(state) = self.state.take() {
            state.moved(-1);
            state.reject(RejectReason::Discarded);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captured::capture;

    #[test]
    fn what_panics_while_it_is_looked_at_is_asked_once_and_no_limit_is_too_large() {
        static POISONED: Queue = Queue::new("poisoned");
        static ASKED: AtomicU64 = AtomicU64::new(0);
        let captured = capture();
        let (one, other) = (Arc::new(1_usize), Arc::new(2_usize));
        POISONED.observe(&one, |_| -> QueueDepth {
            ASKED.fetch_add(1, Ordering::Relaxed);
            panic!("poisoned")
        });
        POISONED.observe(&one, |len| (*len, usize::MAX));
        POISONED.observe(&other, |len| (*len, usize::MAX));
        let size = "sidelight.queue.size{queue.name=poisoned,queue.type=task}";
        assert_eq!([captured.value(size), captured.value(size)], [3.0, 3.0]);
        assert_eq!(ASKED.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn an_overflow_is_counted_once_until_the_queue_was_below_seventy_percent() {
        static JOBS: Queue = Queue::new("jobs").kind(QueueKind::Ml);
        let captured = capture();
        [10, 80, 81, 95, 75, 90, 70, 85, 69, 81].iter().for_each(|len| JOBS.sample(*len, 100));
        let of = "{queue.name=jobs,queue.type=ml}";
        let all = captured.all();
        let value = |name| all.get(&format!("sidelight.queue.{name}{of}")).copied();
        assert_eq!(value("overflows"), Some(2.0));
        assert_eq!(value("size"), Some(81.0));
        assert_eq!(value("size.max"), Some(95.0));
        assert_eq!(value("size.distribution"), Some(10.0));
        JOBS.sample(3, 100);
        assert_eq!(captured.value(&format!("sidelight.queue.size.max{of}")), 3.0, "a new window");
    }

    #[test]
    fn tickets_are_waited_for_or_discarded() {
        static MAILS: Queue = Queue::new("mails").capacity(10);
        let captured = capture();
        let [first, second, third] = [0; 3].map(|_| MAILS.enqueued());
        first.start();
        drop(second);
        MAILS.rejected(RejectReason::Full);
        let of = "{queue.name=mails,queue.type=task}";
        assert_eq!(captured.value(&format!("sidelight.queue.size{of}")), 1.0);
        assert_eq!(captured.value(&format!("sidelight.queue.item.wait.duration{of}")), 1.0);
        assert_eq!(
            captured.value("sidelight.queue.rejected{queue.name=mails,reason=discarded}"),
            1.0
        );
        assert_eq!(captured.value("sidelight.queue.rejected{queue.name=mails,reason=full}"), 1.0);
        third.start();
        assert_eq!(captured.value(&format!("sidelight.queue.capacity{of}")), 10.0);
    }

    #[test]
    fn an_observed_queue_is_sampled_and_leaves_when_it_is_gone() {
        static SEEN: Queue = Queue::new("seen");
        let captured = capture();
        let queue = Arc::new(Mutex::new(vec![1, 2, 3]));
        SEEN.observe(&queue, |queue| (queue.lock().unwrap().len(), 4));
        observe::sample();
        queue.lock().unwrap().push(4);
        observe::sample();
        let of = "{queue.name=seen,queue.type=task}";
        assert_eq!(captured.value(&format!("sidelight.queue.size{of}")), 4.0);
        assert_eq!(captured.value(&format!("sidelight.queue.overflows{of}")), 1.0);
        assert!(captured.value(&format!("sidelight.queue.size.distribution{of}")) >= 2.0);
        drop(queue);
        assert!(!captured.all().contains_key(&format!("sidelight.queue.size{of}")));
    }
}
