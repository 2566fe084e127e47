//! Pools that own their connections and only say what they do with them, as sqlx's: see [`Followed`].
//!
//! Invariant: there are as many connections here as the pool has. Which one a hook speaks of is found by its age; which one a
//! pool closed it does not say, and the oldest idle one is taken for it. Nor does it say whether one that it opened is for
//! somebody or to be idle: it counts as used, until the pool has had more idle ones for a second than are known here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Started;
use crate::{CloseReason, ConnectionId, Pool, observe};

/// Follows the connections of a pool by its hooks, each of which takes a lock and a walk over the open ones. Which connection the
/// pool closed it does not say: the oldest idle one is taken for it.
///
/// # Example
/// With sqlx, which needs no feature here:
/// ```text
/// static DATABASE: Pool = Pool::db("postgresql", "shop").limits(1, 10);
///
/// let followed = Followed::new(&DATABASE);
/// let (opened, used, idle) = (followed.clone(), followed.clone(), followed.clone());
/// let pool = PgPoolOptions::new()
///     .after_connect(move |_, _| { opened.connected(); Box::pin(async { Ok(()) }) })
///     .before_acquire(move |_, known| { used.acquired(known.age); Box::pin(async { Ok(true) }) })
///     .after_release(move |_, known| { idle.released(known.age); Box::pin(async { Ok(true) }) })
///     .connect(url).await?;
/// followed.size({
///     let pool = pool.clone();
///     move || (!pool.is_closed()).then(|| (pool.size() as usize, pool.num_idle()))
/// });
/// ```
/// What is given to [`size`](Self::size) keeps the pool until it says none: end it with `pool.close()`.
#[derive(Clone, Debug)]
pub struct Followed {
    pool: &'static Pool,
    open: Arc<Mutex<Vec<Connection>>>,
}

#[derive(Clone, Copy, Debug)]
struct Connection {
    id: ConnectionId,
    since: Started,
    used: bool,
    /// It was opened, and no hook has spoken of it since.
    fresh: bool,
}

impl Followed {
    /// Follows what `pool` tells of.
    #[must_use]
    pub fn new(pool: &'static Pool) -> Self {
        Self { pool, open: Arc::default() }
    }

    fn with<R>(&self, then: impl FnOnce(&mut Vec<Connection>) -> R) -> R {
        then(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A connection was opened.
    pub fn connected(&self) {
        let id = self.pool.opened();
        self.pool.used(id);
        self.with(|open| {
            open.push(Connection { id, since: Started::now(), used: true, fresh: true });
        });
    }

    /// An idle connection of this age is used.
    pub fn acquired(&self, age: Duration) {
        if let Some(id) = self.becomes(age, true) {
            self.pool.used(id);
        }
    }

    /// A connection of this age is idle again.
    pub fn released(&self, age: Duration) {
        if let Some(id) = self.becomes(age, false) {
            self.pool.idle(id);
        }
    }

    fn becomes(&self, age: Duration, used: bool) -> Option<ConnectionId> {
        self.with(|open| {
            let others = open.iter_mut().filter(|one| one.used != used);
            let nearest =
                others.min_by_key(|one| one.since.elapsed().unwrap_or_default().abs_diff(age))?;
            (nearest.used, nearest.fresh) = (used, false);
            Some(nearest.id)
        })
    }

    /// Looks every second at how many connections there are, and how many of them are idle, until `size` says none: what is
    /// not there any more was closed.
    pub fn size(&self, size: impl Fn() -> Option<(usize, usize)> + Send + 'static) {
        let followed = self.clone();
        let mut surplus = 0;
        observe::every_second(move || {
            let Some((open, idle)) = size() else {
                followed.shrunk(0);
                return false;
            };
            followed.shrunk(open);
            surplus = followed.rested(idle, surplus);
            true
        });
    }

    /// There are so many idle ones. What there were more of than are known, this time and the last, were opened to be idle.
    fn rested(&self, idle: usize, before: usize) -> usize {
        self.with(|open| {
            let known = open.iter().filter(|one| !one.used).count();
            let surplus = idle.saturating_sub(known);
            let fresh = open.iter_mut().filter(|one| one.used && one.fresh);
            for one in fresh.take(surplus.min(before)) {
                (one.used, one.fresh) = (false, false);
                self.pool.never_used(one.id);
            }
            surplus
        })
    }

    fn shrunk(&self, left: usize) {
        self.with(|open| {
            while open.len() > left {
                let oldest = open.iter().position(|one| !one.used).unwrap_or(0);
                self.pool.closed(open.remove(oldest).id, CloseReason::Idle);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::captured::capture;

    #[test]
    fn connections_are_opened_used_again_and_closed() {
        static POOL: Pool = Pool::new("test", "followed");
        let captured = capture();
        let followed = Followed::new(&POOL);
        followed.connected();
        followed.connected();
        followed.released(Duration::ZERO);
        followed.acquired(Duration::ZERO);
        followed.released(Duration::ZERO);
        followed.shrunk(1);
        // Nothing idle is left that could be used.
        followed.released(Duration::ZERO);
        followed.released(Duration::ZERO);
        let of = |name: &str| {
            captured.value(&format!(
                "sidelight.connection.{name}{{connection.type=test,pool.name=followed}}"
            ))
        };
        assert_eq!((of("opened"), of("closed"), of("reuses")), (2.0, 1.0, 1.0));
        followed.shrunk(0);
        assert_eq!(of("closed"), 2.0);
    }

    #[test]
    fn connections_that_a_pool_opened_to_be_idle_are_idle() {
        static POOL: Pool = Pool::new("test", "rested");
        let captured = capture();
        let followed = Followed::new(&POOL);
        (0..20).for_each(|_| followed.connected());
        // One is for who waited for it.
        let idle = Arc::new(AtomicUsize::new(19));
        let told = Arc::clone(&idle);
        followed.size(move || Some((20, told.load(Ordering::Relaxed))));
        let of = |state: &str| {
            let labels = format!("connection.type=test,pool.name=rested,state={state}");
            captured.value(&format!("sidelight.connection.count{{{labels}}}"))
        };
        observe::refresh();
        observe::refresh();
        assert_eq!((of("used"), of("idle")), (1.0, 19.0));
        let reuses = "sidelight.connection.reuses{connection.type=test,pool.name=rested}";
        idle.store(18, Ordering::Relaxed);
        followed.acquired(Duration::ZERO);
        assert_eq!((of("used"), of("idle")), (2.0, 18.0));
        assert_eq!(captured.value(reuses), 0.0, "its first use");
    }
}
