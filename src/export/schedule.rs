//! What a lane sends next, pure: batches, results and `now` in, decisions out.
//!
//! ```text
//! offer ─▶ ready ─ take ─▶ in flight ─ delivered ─▶ gone
//!            ▲                │ failed
//!            │ (singles)      ▼
//!            └───────────── waiting ─ take (when due, or as the probe)
//! ```
//! Invariants: at most `slots` batches are in flight, one when the lane is ordered; during an outage at most
//! one, not before its time; a batch that waits holds no slot; in an ordered lane nothing of equal
//! pass-through headers passes a waiting batch, but for one that fails again and again while others do not.
//!
//! A destination that fails some requests again and again while it takes others is not in an outage: after
//! [`DOUBTED_FAILURES`] probes each is made with one record that was not tried yet, [`HELD_MAX`] at most.
//!
//! Batches of other pass-through headers may belong to another tenant: when an answer condemns the
//! configuration, they are tried at once, so that one tenant without rights does not hold the others.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::batch::{Batch, Headers};
use super::config::Retry;
use crate::net::retry::{ASKED_MAX, Backoff, jittered};

/// Failures, while its lane delivers others, after which a batch is set aside …
pub const LONE_FAILURES_MAX: u32 = 20;
/// … but not before they have lasted this long.
pub const LONE_TIME_MIN: Duration = Duration::from_secs(600);

/// Batches held while one whose pass-through headers were not refused yet is looked for …
const HELD_MAX: usize = 64;
/// … unless this many sets of headers were refused.
const REFUSED_SETS_MAX: usize = 4;

/// Waiting batches that speak for a destination in outage …
const WITNESSES: usize = 2;
/// … until this many probes failed: then it may be only these that it does not take.
const DOUBTED_FAILURES: u32 = 3;

/// The order of one lane's sending.
#[derive(Debug)]
pub struct Schedule {
    retry: Retry,
    ordered: bool,
    slots: usize,
    ready: VecDeque<Batch>,
    waiting: Vec<Waiting>,
    in_flight: usize,
    deliveries: u64,
    outage: Option<Outage>,
}

#[derive(Debug)]
struct Waiting {
    due: Instant,
    batch: Batch,
}

/// The destination takes nothing at present.
#[derive(Clone, Debug, PartialEq)]
pub struct Outage {
    /// When the first failure was seen.
    pub since: Instant,
    /// When the next probe goes out.
    pub until: Instant,
    /// Probes that failed.
    pub failures: u32,
    /// Whether the answers condemn the configuration.
    pub held: bool,
    backoff: Backoff,
    last_failure: Instant,
}

impl Outage {
    /// From the last failure to the next probe.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.until - self.last_failure
    }
}

/// How an attempt failed.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// Whether the answer condemns the configuration.
    pub held: bool,
    /// The delay that was asked for.
    pub asked: Option<Duration>,
    /// Drawn from 0 to 1, for jitter.
    pub random: f64,
}

/// What becomes of a failed batch.
#[derive(Debug)]
pub enum Verdict {
    /// It waits for its next attempt.
    Waits,
    /// Its records are sent one by one: together they fail, while others do not.
    Divided,
    /// It failed for longer than `max_elapsed_time`.
    Expired(Batch),
    /// It failed again and again while its lane delivered others.
    Rejected(Batch),
}

impl Schedule {
    /// A schedule without batches.
    #[must_use]
    pub fn new(retry: Retry, ordered: bool, slots: usize) -> Self {
        Self {
            retry,
            ordered,
            slots: if ordered { 1 } else { slots.max(1) },
            ready: VecDeque::new(),
            waiting: Vec::new(),
            in_flight: 0,
            deliveries: 0,
            outage: None,
        }
    }

    /// Adds batches behind those that are ready.
    pub fn offer(&mut self, batches: impl IntoIterator<Item = Batch>) {
        self.ready.extend(batches);
    }

    /// Puts batches in front: they were part of one that was sent.
    pub fn offer_first(&mut self, batches: Vec<Batch>) {
        for batch in batches.into_iter().rev() {
            self.ready.push_front(batch);
        }
    }

    /// The batch to send now. It is in flight until [`Schedule::delivered`], [`Schedule::failed`],
    /// [`Schedule::ended`] or [`Schedule::unsent`].
    pub fn take(&mut self, now: Instant) -> Option<Batch> {
        if self.in_flight >= self.slots {
            return None;
        }
        let mut batch = match &self.outage {
            Some(_) if self.in_flight > 0 => return None,
            Some(outage) if now < outage.until => {
                let at = self.untried().filter(|_| outage.held)?;
                self.ready.remove(at)?
            }
            Some(_) => self.probe(now)?,
            None => self.next(now)?,
        };
        batch.history.first_sent.get_or_insert(now);
        batch.history.last_sent = Some(now);
        self.in_flight += 1;
        Some(batch)
    }

    /// During an outage: a batch that has failed least, so that one poisoned batch never stands for a
    /// destination that takes others.
    fn probe(&mut self, now: Instant) -> Option<Batch> {
        if let Some(at) = self.untried().or_else(|| self.sendable(now)) {
            return self.ready.remove(at);
        }
        let in_turn = |w: &Waiting| {
            let first = self.first_waiting(&w.batch.headers);
            !self.ordered
                || first.is_some_and(|first| first.batch.first_seq() == w.batch.first_seq())
        };
        let mut candidates: Vec<_> =
            self.waiting.iter().enumerate().filter(|(_, w)| in_turn(w)).collect();
        candidates.sort_by_key(|(_, w)| {
            let history = &w.batch.history;
            (history.lone_failures, history.failures, w.batch.first_seq())
        });
        let (at, _) = *candidates.first()?;
        Some(self.waiting.swap_remove(at).batch)
    }

    fn next(&mut self, now: Instant) -> Option<Batch> {
        let due = self.waiting.iter().enumerate().filter(|(_, w)| w.due <= now);
        if let Some((at, _)) = due.min_by_key(|(_, w)| w.batch.first_seq()) {
            return Some(self.waiting.swap_remove(at).batch);
        }
        let at = self.sendable(now)?;
        self.ready.remove(at)
    }

    /// The first ready batch that passes no batch that keeps its place.
    fn sendable(&self, now: Instant) -> Option<usize> {
        let free = |b: &Batch| !self.ordered || !self.keeps_place_before(&b.headers, now);
        self.ready.iter().take(HELD_MAX).position(free)
    }

    /// The first ready batch with headers that none of those that wait has.
    fn untried(&self) -> Option<usize> {
        let tried = |b: &Batch| self.waiting.iter().any(|w| w.batch.headers == b.headers);
        let mut ready = self.ready.iter().take(HELD_MAX);
        ready.position(|b| !tried(b)).filter(|_| !self.waiting.is_empty())
    }

    /// Whether, in an ordered lane, a waiting batch of these headers keeps its place.
    fn keeps_place_before(&self, headers: &Headers, now: Instant) -> bool {
        if self.outage.is_some() || !headers.is_empty() {
            return self.first_waiting(headers).is_some_and(|w| !self.suspect(&w.batch, now));
        }
        let mut same = self.waiting.iter().filter(|w| w.batch.headers == *headers);
        same.any(|w| w.batch.history.lone_failures == 0)
    }

    fn first_waiting(&self, headers: &Headers) -> Option<&Waiting> {
        let same = self.waiting.iter().filter(|w| w.batch.headers == *headers);
        same.min_by_key(|w| w.batch.first_seq())
    }

    /// Whether an ordered lane should try what comes after `batch`.
    fn suspect(&self, batch: &Batch, now: Instant) -> bool {
        let tried = batch.history.first_sent.map_or(Duration::ZERO, |first| now - first);
        batch.history.failures >= LONE_FAILURES_MAX && tried >= LONE_TIME_MIN
    }

    /// The in-flight batch arrived: the destination is there.
    pub fn delivered(&mut self, now: Instant) {
        self.deliveries += 1;
        self.ended(now);
    }

    /// The in-flight batch was refused for good: the destination is there, and reads. What waited for that
    /// goes at once.
    pub fn ended(&mut self, now: Instant) {
        self.in_flight -= 1;
        if self.outage.take().is_some() {
            for waiting in &mut self.waiting {
                if waiting.batch.history.lone_failures == 0 {
                    waiting.due = now;
                }
            }
        }
    }

    /// The in-flight batch was not sent, which says nothing of the destination.
    pub const fn unsent(&mut self) {
        self.in_flight -= 1;
    }

    /// The in-flight batch may be sent again.
    pub fn failed(&mut self, now: Instant, mut batch: Batch, failure: Failure) -> Verdict {
        self.in_flight -= 1;
        // Of a tenant that alone is refused, no batch stands for the destination.
        let refused = failure.held
            && !batch.headers.is_empty()
            && self
                .waiting
                .iter()
                .any(|w| w.batch.headers == batch.headers && w.batch.history.lone_failures > 0);
        let history = &mut batch.history;
        let lone = refused || history.failures > 0 && self.deliveries > history.deliveries_seen;
        history.failures += 1;
        history.deliveries_seen = self.deliveries;
        if lone {
            history.lone_failures += 1;
            history.lone_since.get_or_insert(now);
        }
        let tried = history.first_sent.map_or(Duration::ZERO, |first| now - first);
        let lone_time = history.lone_since.map_or(Duration::ZERO, |since| now - since);
        let limit = self.retry.max_elapsed_time;
        let due = if lone && self.outage.is_none() {
            now + history.backoff.next(self.retry.policy, failure.asked, failure.random)
        } else {
            self.note_outage(now, history.last_sent, failure)
        };
        if !limit.is_zero() && tried >= limit {
            return Verdict::Expired(batch);
        }
        if batch.history.lone_failures >= LONE_FAILURES_MAX && lone_time >= LONE_TIME_MIN {
            if batch.pieces.len() == 1 {
                return Verdict::Rejected(batch);
            }
            self.offer_first(batch.into_singles());
            return Verdict::Divided;
        }
        self.waiting.push(Waiting { due, batch });
        Verdict::Waits
    }

    /// Begins or prolongs an outage; failures of requests that were already under way when the last one
    /// was seen do not add to it, but for one that comes when the wait is over: the next probe is never due at once.
    fn note_outage(&mut self, now: Instant, sent: Option<Instant>, failure: Failure) -> Instant {
        let policy = self.retry.policy;
        let first = self.outage.is_none();
        let outage = self.outage.get_or_insert(Outage {
            since: now,
            until: now,
            failures: 0,
            held: failure.held,
            backoff: Backoff::default(),
            last_failure: now,
        });
        outage.held = failure.held;
        if first || outage.until <= now || sent.is_none_or(|sent| sent > outage.last_failure) {
            outage.failures += 1;
            let wait = outage.backoff.next(policy, failure.asked, failure.random);
            // The first may be one tenant's; only what repeats is taken for the configuration.
            let wait = if failure.held && !first {
                wait.max(jittered(policy.max_interval, policy, failure.random))
            } else {
                wait
            };
            outage.until = now + wait;
        } else if let Some(asked) = failure.asked {
            outage.until = outage.until.max(now + asked.min(ASKED_MAX));
        }
        outage.last_failure = now;
        outage.until
    }

    /// When [`Schedule::take`] may have more to give, if nothing else happens.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        if self.in_flight >= self.slots {
            return None;
        }
        match &self.outage {
            Some(_) if self.in_flight > 0 => None,
            Some(outage) if self.holds_any() => Some(outage.until),
            Some(_) => None,
            None => self.waiting.iter().map(|w| w.due).min(),
        }
    }

    /// Whether more should be read: there is a slot to fill and nothing at hand to fill it.
    #[must_use]
    pub fn wants_more(&self, now: Instant) -> bool {
        if self.in_flight >= self.slots {
            return false;
        }
        let none = self.ready.is_empty();
        match &self.outage {
            Some(_) if self.in_flight > 0 || self.untried().is_some() => false,
            Some(outage) if outage.held && self.may_find_others() => true,
            Some(_) if self.ordered => none && !self.any_keeps_place(now) && self.searchable(),
            Some(_) => none && (self.witnesses() < WITNESSES || self.searches()),
            None if self.sendable(now).is_some() => false,
            None => none && !self.any_keeps_place(now) || self.may_find_others(),
        }
    }

    /// Whether what is read next should be one record: by itself it is least likely to hold what the
    /// destination does not take, and an outage that is one holds no more than it must.
    #[must_use]
    pub fn searches(&self) -> bool {
        self.outage.as_ref().is_some_and(|outage| outage.failures >= DOUBTED_FAILURES)
            && self.witnesses() >= WITNESSES
            && self.searchable()
    }

    fn searchable(&self) -> bool {
        self.witnesses() < HELD_MAX
    }

    /// Waiting batches that never failed while others arrived.
    fn witnesses(&self) -> usize {
        self.waiting.iter().filter(|w| w.batch.history.lone_failures == 0).count()
    }

    fn any_keeps_place(&self, now: Instant) -> bool {
        self.ordered && self.waiting.iter().any(|w| self.keeps_place_before(&w.batch.headers, now))
    }

    /// Whether batches with headers that were not refused yet may follow.
    fn may_find_others(&self) -> bool {
        let sets: BTreeSet<_> = self.waiting.iter().map(|w| &w.batch.headers).collect();
        sets.iter().any(|headers| !headers.is_empty())
            && sets.len() < REFUSED_SETS_MAX
            && self.waiting.len() + self.ready.len() < HELD_MAX
    }

    /// The outage, if there is one.
    #[must_use]
    pub const fn outage(&self) -> Option<&Outage> {
        self.outage.as_ref()
    }

    /// Batches in flight.
    #[must_use]
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Batches that wait for another attempt.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether there is a batch that is not in flight.
    #[must_use]
    pub fn holds_any(&self) -> bool {
        !self.ready.is_empty() || !self.waiting.is_empty()
    }

    /// Everything that is not in flight, in journal order.
    #[must_use]
    pub fn into_batches(self) -> Vec<Batch> {
        let waiting = self.waiting.into_iter().map(|w| w.batch);
        let mut batches: Vec<_> = waiting.chain(self.ready).collect();
        batches.sort_by_key(Batch::first_seq);
        batches
    }
}

#[cfg(test)]
mod tests;
