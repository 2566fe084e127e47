//! Pools and their connections: how many, how old, how long they are waited for and used.
//!
//! Every open connection has a slot that says when it was opened and whether it is in use; ages are read from there when
//! metrics are collected. Databases have the metrics of the semantic conventions, `db.client.connection.*`; ages are ours.

mod request;
mod tracked;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Histogram};

use crate::clock::Started;
use crate::entry::{Detail, Entry};
use crate::family::Family;
use crate::meter::{self, Cell, Instruments};
use crate::names;
use crate::observe::{self, Observed, Seen};
use crate::settings::settings;

pub use request::{Opening, Waiting};
pub use tracked::{Checkout, Tracked};

const SLOTS_MAX: usize = 10_000;
/// Reasons and kinds of errors that a pool has series of their own for.
const ENDS_MAX: usize = 32;

/// Why a connection was closed: attribute `close.reason`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// Its owner was done with it.
    #[default]
    Done,
    /// It was not used for too long.
    Idle,
    /// It was too old.
    Lifetime,
    /// It failed.
    Error,
}

impl CloseReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Idle => "idle",
            Self::Lifetime => "lifetime",
            Self::Error => "error",
        }
    }
}

/// An open connection of a pool; see [`Pool::opened`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionId {
    slot: u32,
    /// How often the slot had been taken: an id of a connection that was closed is nobody's.
    turn: u32,
}

impl ConnectionId {
    /// One without a slot.
    const NONE: Self = Self { slot: u32::MAX, turn: 0 };
    /// One that was opened while the pool was switched off: its end is not counted either.
    const OFF: Self = Self { slot: u32::MAX, turn: 1 };
}

/// A pool of connections, or connections that share none.
///
/// ```
/// use sidelight::{CloseReason, Pool};
///
/// static MAIN: Pool = Pool::db("postgresql", "main").limits(2, 20);
///
/// let connection = MAIN.track(String::from("a socket")); // opened
/// {
///     let _use = connection.checkout(); // used until it goes, then idle
///     assert_eq!(connection.len(), 8);
/// }
/// connection.close(CloseReason::Idle);
///
/// static PEERS: Pool = Pool::new("websocket", "peers");
/// let id = PEERS.opened(); // where a wrapper is in the way
/// PEERS.closed(id, CloseReason::Done);
/// ```
///
/// Metrics, by `connection.type` and `pool.name`: `sidelight.connection.duration` (s, the age at close, also by
/// `close.reason` and `error.type`), `.age.max` and `.age.mean` (s) and `.live_age.count` (also by `age.le`) of those that
/// are open, `.opened`, `.closed`, `.reuses`, and `.count` by `state`. Of a database, `db.client.connection.*` instead of
/// `.count`.
///
/// Cost (`benches/handles.rs`): 40 ns to use a connection or give it back, under a lock of the pool that is held for no longer.
/// Limits: 10,000 connections a pool; others are counted as opened and closed, but not in the live figures.
#[derive(Debug)]
pub struct Pool {
    kind: &'static str,
    name: &'static str,
    db: bool,
    idle_min: u64,
    max: u64,
    detail: Detail,
    on: AtomicBool,
    state: OnceLock<Arc<State>>,
}

impl Pool {
    /// Defines a pool: the type of its connections (`redis`, `websocket`), and its name.
    #[must_use]
    pub const fn new(kind: &'static str, name: &'static str) -> Self {
        let on = AtomicBool::new(true);
        let detail = Detail::NONE;
        Self { kind, name, db: false, idle_min: 0, max: 0, detail, on, state: OnceLock::new() }
    }

    /// Defines a pool of connections to a database: `postgresql`, `sqlite`, `mysql`.
    #[must_use]
    pub const fn db(system: &'static str, name: &'static str) -> Self {
        let mut pool = Self::new(system, name);
        pool.db = true;
        pool
    }

    /// Says how many connections it keeps when none is used, and how many it has at most.
    #[must_use]
    pub const fn limits(mut self, idle_min: u64, max: u64) -> Self {
        self.idle_min = idle_min;
        self.max = max;
        self
    }

    settings!(
        "ends of connections",
        "Pool",
        "Pool::new(\"websocket\", \"peers\")",
        "Connections that were opened before are followed to their end."
    );

    /// A connection was opened; it is idle.
    ///
    /// ```
    /// use sidelight::{CloseReason, Pool};
    ///
    /// static PEERS: Pool = Pool::new("websocket", "peers");
    ///
    /// let peer = PEERS.opened();
    /// PEERS.used(peer);
    /// PEERS.idle(peer);
    /// PEERS.closed(peer, CloseReason::Done); // or PEERS.failed(peer, "reset")
    /// ```
    pub fn opened(&self) -> ConnectionId {
        if self.on.load(Ordering::Relaxed) { self.state().opened() } else { ConnectionId::OFF }
    }

    /// It is in use from here on.
    pub fn used(&self, connection: ConnectionId) {
        self.state().used(connection);
    }

    /// It is idle from here on.
    pub fn idle(&self, connection: ConnectionId) {
        self.state().idle(connection);
    }

    /// It was never in use, though it was said to be.
    pub(crate) fn never_used(&self, connection: ConnectionId) {
        self.state().slots(|slots| {
            if let Some(slot) = slots.get(connection) {
                (slot.used, slot.uses) = (None, 0);
            }
        });
    }

    /// It was closed.
    pub fn closed(&self, connection: ConnectionId, why: CloseReason) {
        self.state().closed(connection, why, "");
    }

    /// It was closed because of an error; `kind` is one of few words.
    pub fn failed(&self, connection: ConnectionId, kind: &str) {
        self.state().closed(connection, CloseReason::Error, kind);
    }

    /// Records the age of a connection that was followed elsewhere, at its end.
    ///
    /// ```
    /// use sidelight::{CloseReason, Pool};
    /// use std::time::Duration;
    ///
    /// static PEERS: Pool = Pool::new("websocket", "peers");
    ///
    /// PEERS.record(CloseReason::Idle, Duration::from_secs(90));
    /// ```
    pub fn record(&self, why: CloseReason, age: Duration) {
        if self.on.load(Ordering::Relaxed) {
            self.state().ended(why, "", age);
        }
    }

    /// Follows a connection that was just opened, until it is dropped.
    pub fn track<C>(&self, connection: C) -> Tracked<C> {
        let id = self.opened();
        Tracked::new(connection, Arc::clone(self.state()), id)
    }

    /// Times the opening of a connection: `db.client.connection.create_time`, if it is opened.
    ///
    /// ```
    /// static DB: sidelight::Pool = sidelight::Pool::db("sqlite", "orders");
    ///
    /// let opening = DB.opening();
    /// let connection = opening.track("connected");
    /// # drop(connection);
    /// ```
    pub fn opening(&self) -> Opening<'_> {
        let on = self.on.load(Ordering::Relaxed);
        Opening { pool: self, start: if on { Started::now() } else { Started::NEVER } }
    }

    /// Times the wait for a connection: `db.client.connection.wait_time` and `.pending_requests`.
    ///
    /// ```
    /// static DB: sidelight::Pool = sidelight::Pool::db("sqlite", "baskets");
    ///
    /// let wait = DB.waiting();
    /// // ... here it is:
    /// drop(wait);
    /// DB.waiting().timed_out();
    /// ```
    pub fn waiting(&self) -> Waiting {
        let state = self.on.load(Ordering::Relaxed).then(|| Arc::clone(self.state()));
        state.iter().for_each(|state| _ = state.pending.fetch_add(1, Ordering::Relaxed));
        Waiting { state, start: Started::now(), timed_out: false }
    }

    fn state(&self) -> &Arc<State> {
        self.state.get_or_init(|| {
            let own = [("connection.type", self.kind), ("pool.name", self.name)];
            let state = Arc::new(State {
                own: own.map(|(key, value)| KeyValue::new(key, value)),
                conventional: [KeyValue::new("db.client.connection.pool.name", self.name)],
                db: self.db,
                idle_min: self.idle_min,
                max: self.max,
                name: self.name,
                detail: self.detail,
                cell: Cell::new(),
                slots: Mutex::default(),
                pending: AtomicI64::new(0),
            });
            let observed: Weak<State> = Arc::downgrade(&state);
            observe::register(observed);
            state
        })
    }
}

/// What is known of a pool, for as long as it or one of its connections lives.
struct State {
    own: [KeyValue; 2],
    conventional: [KeyValue; 1],
    db: bool,
    idle_min: u64,
    max: u64,
    name: &'static str,
    detail: Detail,
    cell: Cell<Bound>,
    slots: Mutex<Slots>,
    pending: AtomicI64,
}

struct Bound {
    opened: BoundCounter<u64>,
    closed: BoundCounter<u64>,
    reuses: BoundCounter<u64>,
    ages: Histogram<f64>,
    ends: Family<2, BoundHistogram<f64>>,
    create: BoundHistogram<f64>,
    wait: BoundHistogram<f64>,
    use_time: BoundHistogram<f64>,
    timeouts: BoundCounter<u64>,
}

#[derive(Default)]
struct Slots {
    all: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    turn: u32,
    open: bool,
    opened: Started,
    uses: u32,
    used: Option<Started>,
}

impl Slots {
    fn get(&mut self, id: ConnectionId) -> Option<&mut Slot> {
        let slot = self.all.get_mut(id.slot as usize)?;
        (slot.open && slot.turn == id.turn).then_some(slot)
    }
}

impl State {
    fn with(&self, then: impl FnOnce(&Bound)) {
        self.cell.with(|instruments| self.bind(instruments), then);
    }

    #[cold]
    fn bind(&self, instruments: &Instruments) -> Bound {
        let conventional = |metric| instruments.histogram(metric).bind(&self.conventional);
        Bound {
            opened: instruments.counter(&names::CONNECTION_OPENED).bind(&self.own),
            closed: instruments.counter(&names::CONNECTION_CLOSED).bind(&self.own),
            reuses: instruments.counter(&names::CONNECTION_REUSES).bind(&self.own),
            ages: instruments.histogram(&names::CONNECTION_DURATION),
            ends: Family::open(ENDS_MAX, 1),
            create: conventional(&names::DB_CONNECTION_CREATE_TIME),
            wait: conventional(&names::DB_CONNECTION_WAIT_TIME),
            use_time: conventional(&names::DB_CONNECTION_USE_TIME),
            timeouts: instruments.counter(&names::DB_CONNECTION_TIMEOUTS).bind(&self.conventional),
        }
    }

    fn slots<R>(&self, then: impl FnOnce(&mut Slots) -> R) -> R {
        then(&mut self.slots.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn opened(&self) -> ConnectionId {
        self.with(|bound| bound.opened.add(1));
        self.slots(|slots| {
            let slot = match slots.free.pop() {
                Some(slot) => slot,
                None if slots.all.len() < SLOTS_MAX => {
                    slots.all.push(Slot::default());
                    (slots.all.len() - 1) as u32
                }
                None => return ConnectionId::NONE,
            };
            let Some(taken) = slots.all.get_mut(slot as usize) else { return ConnectionId::NONE };
            let turn = taken.turn.wrapping_add(1);
            *taken = Slot { turn, open: true, opened: Started::now(), uses: 0, used: None };
            ConnectionId { slot, turn }
        })
    }

    fn used(&self, id: ConnectionId) {
        let reused = self.slots(|slots| {
            let Some(slot) = slots.get(id) else { return false };
            slot.used = Some(Started::now());
            slot.uses = slot.uses.saturating_add(1);
            slot.uses > 1
        });
        if reused {
            self.with(|bound| bound.reuses.add(1));
        }
    }

    fn idle(&self, id: ConnectionId) {
        let used = self.slots(|slots| slots.get(id).and_then(|slot| slot.used.take()));
        if let (true, Some(used)) = (self.db, used.and_then(Started::elapsed)) {
            self.with(|bound| bound.use_time.record(used.as_secs_f64()));
        }
    }

    fn closed(&self, id: ConnectionId, why: CloseReason, error: &str) {
        if id == ConnectionId::NONE {
            return self.with(|bound| bound.closed.add(1));
        }
        let opened = self.slots(|slots| {
            let opened = slots.get(id).map(|slot| {
                slot.open = false;
                slot.opened
            });
            slots.free.extend(opened.map(|_| id.slot));
            opened
        });
        // Closed twice is closed once.
        let Some(opened) = opened else { return };
        self.with(|bound| bound.closed.add(1));
        match opened.elapsed() {
            Some(age) => self.ended(why, error, age),
            None => meter::drop_record(),
        }
    }

    fn ended(&self, why: CloseReason, error: &str, age: Duration) {
        if self.detail.wanted() {
            let (name, outcome) = (self.name, why.as_str());
            let (duration, reason) = (Some(age), Some(error));
            Entry { family: "connection", name, outcome, duration, reason }.tell();
        }
        self.with(|bound| {
            let (labels, values) = (["close.reason", "error.type"], [why.as_str(), error]);
            let bind = |attributes: &[KeyValue]| bound.ages.bind(attributes);
            bound.ends.get(&self.own, &labels, values, bind).record(age.as_secs_f64());
        });
    }

    /// How many are used, and the ages of all.
    fn live(&self) -> (usize, Vec<f64>) {
        self.slots(|slots| {
            let open = || slots.all.iter().filter(|slot| slot.open);
            let used = open().filter(|slot| slot.used.is_some()).count();
            let ages = open().map(|slot| slot.opened.elapsed().unwrap_or_default().as_secs_f64());
            (used, ages.collect())
        })
    }
}

impl Observed for State {
    fn observe(&self, seen: &mut Seen) {
        // Opened before there was a clock: as old as they are known.
        self.slots(|slots| {
            let unknown =
                slots.all.iter_mut().filter(|slot| slot.open && slot.opened == Started::NEVER);
            unknown.for_each(|slot| slot.opened = Started::now());
        });
        let (used, ages) = self.live();
        let (count, key, base) = if self.db {
            let key = "db.client.connection.state";
            (&names::DB_CONNECTION_COUNT, key, &self.conventional[..])
        } else {
            (&names::CONNECTION_COUNT, "state", &self.own[..])
        };
        for (state, value) in [("used", used), ("idle", ages.len() - used)] {
            let attributes = [base, &[KeyValue::new(key, state)]].concat();
            seen.push(count, &attributes, value as f64);
        }
        if self.db {
            let pending = self.pending.load(Ordering::Relaxed) as f64;
            seen.push(&names::DB_CONNECTION_PENDING, &self.conventional, pending);
        }
        if self.db && self.max > 0 {
            seen.push(&names::DB_CONNECTION_MAX, &self.conventional, self.max as f64);
            seen.push(&names::DB_CONNECTION_IDLE_MIN, &self.conventional, self.idle_min as f64);
        }
        if !ages.is_empty() {
            let greatest = ages.iter().copied().fold(0.0, f64::max);
            let mean = ages.iter().sum::<f64>() / ages.len() as f64;
            seen.push(&names::CONNECTION_AGE_MAX, &self.own, greatest);
            seen.push(&names::CONNECTION_AGE_MEAN, &self.own, mean);
        }
        for bound in names::AGE_SECONDS.iter().copied().chain([f64::INFINITY]) {
            let le = if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
            let within = ages.iter().filter(|age| **age <= bound).count();
            let attributes = [&self.own[..], &[KeyValue::new("age.le", le)]].concat();
            seen.push(&names::CONNECTION_LIVE_AGE, &attributes, within as f64);
        }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("own", &self.own).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captured::capture;

    #[test]
    fn a_lock_that_a_panic_poisoned_is_used_again() {
        static POISONED: Pool = Pool::new("test", "poisoned");
        let captured = capture();
        let state = Arc::clone(POISONED.state());
        let panics = std::thread::spawn(move || state.slots(|_| panic!("while it is held"))).join();
        assert!(panics.is_err() && POISONED.state().slots.is_poisoned());
        let connection = POISONED.track(());
        let open = "sidelight.connection.count{connection.type=test,pool.name=poisoned,state=idle}";
        assert_eq!(captured.value(open), 1.0);
        drop(connection);
        assert_eq!(captured.value(open), 0.0);
    }

    #[test]
    fn connections_of_a_database_have_the_conventional_metrics_and_ages() {
        static DB: Pool = Pool::db("postgresql", "main").limits(2, 20);
        let captured = capture();
        let [first, mut second] = ["a", "b"].map(|name| DB.opening().track(name));
        drop(first.checkout());
        let in_use = first.checkout();
        assert_eq!(first.len(), 1);
        let waits = DB.waiting();
        DB.waiting().timed_out();
        let all = captured.all();
        let value = |series: &str| all.get(series).copied();
        let pool = "db.client.connection.pool.name=main";
        let state = |of| {
            value(&format!("db.client.connection.count{{{pool},db.client.connection.state={of}}}"))
        };
        assert_eq!((state("used"), state("idle")), (Some(1.0), Some(1.0)));
        for (metric, expected) in [
            ("max", 20.0),
            ("idle.min", 2.0),
            ("pending_requests", 1.0),
            ("timeouts", 1.0),
            ("create_time", 2.0),
            ("use_time", 1.0),
        ] {
            assert_eq!(
                value(&format!("db.client.connection.{metric}{{{pool}}}")),
                Some(expected),
                "{metric}"
            );
        }
        let own = "connection.type=postgresql,pool.name=main";
        assert_eq!(value(&format!("sidelight.connection.reuses{{{own}}}")), Some(1.0));
        assert_eq!(
            value(&format!("sidelight.connection.live_age.count{{age.le=1,{own}}}")),
            Some(2.0)
        );
        assert_eq!(
            value(&format!("sidelight.connection.live_age.count{{age.le=+Inf,{own}}}")),
            Some(2.0)
        );
        drop((in_use, waits));
        second.fail_with(&std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        drop(second);
        assert_eq!(first.close(CloseReason::Lifetime), "a");
        let ends: Vec<_> = captured.of("sidelight.connection.duration{").into_iter().collect();
        let end = |rest| (format!("sidelight.connection.duration{{{rest}}}"), 1.0);
        assert_eq!(
            ends,
            [
                end(
                    "close.reason=error,connection.type=postgresql,error.type=broken_pipe,pool.name=main"
                ),
                end("close.reason=lifetime,connection.type=postgresql,pool.name=main"),
            ]
        );
    }

    #[test]
    fn what_is_opened_or_waited_for_while_a_pool_is_off_is_not_told_at_its_end() {
        static OFF: Pool = Pool::db("sqlite", "off");
        let captured = capture();
        OFF.set_enabled(false);
        let (one, tracked, wait) = (OFF.opening().opened(), OFF.track(()), OFF.waiting());
        OFF.set_enabled(true);
        OFF.used(one);
        OFF.closed(one, CloseReason::Done);
        drop((tracked, wait));
        let all = captured.all();
        let told = all.iter().filter(|(name, _)| name.contains("=off")).map(|(_, value)| value);
        assert_eq!(told.sum::<f64>(), 0.0, "{all:?}");
    }

    #[test]
    fn a_connection_that_a_panic_drops_failed() {
        static PANICS: Pool = Pool::new("websocket", "panics");
        let captured = capture();
        let panicked = std::panic::catch_unwind(|| {
            let _peer = PANICS.track(());
            panic!("no");
        });
        assert!(panicked.is_err());
        let end = "close.reason=error,connection.type=websocket,error.type=panic,pool.name=panics";
        assert_eq!(captured.value(&format!("sidelight.connection.duration{{{end}}}")), 1.0);
    }

    #[test]
    fn a_connection_is_closed_once_and_its_id_is_nobodys_then() {
        static PEERS: Pool = Pool::new("websocket", "peers");
        let captured = capture();
        let old = PEERS.opened();
        PEERS.closed(old, CloseReason::Done);
        PEERS.closed(old, CloseReason::Done);
        let new = PEERS.opened();
        PEERS.closed(old, CloseReason::Done);
        PEERS.used(new);
        let own = "connection.type=websocket,pool.name=peers";
        assert_eq!(captured.value(&format!("sidelight.connection.closed{{{own}}}")), 1.0);
        assert_eq!(captured.value(&format!("sidelight.connection.count{{{own},state=used}}")), 1.0);
        assert_eq!(captured.value(&format!("sidelight.connection.count{{{own},state=idle}}")), 0.0);
    }
}
