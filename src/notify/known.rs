//! Alerts as last seen, and whether each one's transition was announced: what a restart must know to announce the rest.
//!
//! A firing alert of which nothing is heard is over, but not before rules run: until then nobody could speak of it. Limit:
//! as many alerts as configured; those that are over make way for those that fire.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Parts;
use super::database::Row;
use super::message::Message;
use crate::time::{Clock, UnixNano};

/// Alerts as last seen.
#[derive(Debug)]
pub(super) struct Known {
    alerts: Mutex<HashMap<u64, Seen>>,
    /// Whether rules have begun to run: only then does silence say that an alert is over.
    rules_run: AtomicBool,
}

#[derive(Debug)]
pub(super) struct Seen {
    pub(super) message: Message,
    /// Whether its transition was announced, or is not to be.
    pub(super) announced: bool,
    /// Until when it fires without a word, monotonic: a jump of the wall clock ends no alert.
    expires: Duration,
}

impl Seen {
    pub(super) fn of(message: Message, announced: bool, clock: &dyn Clock) -> Self {
        let expires = clock.monotonic() + message.valid_until.since(clock.unix_nano());
        Self { message, announced, expires }
    }
}

impl Known {
    pub(super) fn new(found: Vec<(Message, bool)>, clock: &dyn Clock) -> Self {
        let found = found
            .into_iter()
            .map(|(message, announced)| (message.id, Seen::of(message, announced, clock)));
        Self { alerts: Mutex::new(found.collect()), rules_run: AtomicBool::default() }
    }

    /// Whether rules have begun to run.
    pub(super) fn rules_run(&self) -> bool {
        self.rules_run.load(Ordering::Relaxed)
    }

    /// Rules run from here on: they get the time that they may need to speak of what fires. Those alerts; none where rules
    /// ran already.
    pub(super) fn rules_begin(&self, clock: &dyn Clock) -> Vec<Message> {
        let mut known = self.lock();
        if self.rules_run.swap(true, Ordering::Relaxed) {
            return Vec::new();
        }
        let now = clock.unix_nano();
        let mut firing = Vec::new();
        for seen in known.values_mut().filter(|seen| seen.message.is_firing()) {
            *seen = Seen::of(seen.message.clone().restored(now), seen.announced, clock);
            firing.push(seen.message.clone());
        }
        firing
    }

    /// Takes in what is found later, but what is known already.
    pub(super) fn restore(&self, found: Vec<(Message, bool)>, clock: &dyn Clock) {
        let mut known = self.lock();
        for (message, announced) in found {
            known.entry(message.id).or_insert_with(|| Seen::of(message, announced, clock));
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<u64, Seen>> {
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every alert, in no order.
    pub(super) fn messages(&self) -> Vec<Message> {
        self.lock().values().map(|seen| seen.message.clone()).collect()
    }

    /// Those whose transition is still to be announced: silences cover them, or did, or the process ended before it was.
    pub(super) fn unannounced(&self) -> Vec<Message> {
        let known = self.lock();
        let held = known.values().filter(|seen| !seen.announced);
        held.map(|seen| seen.message.clone()).collect()
    }

    /// Takes in what is said again of alerts that fire, one message of each. The others, each with whether its beginning was
    /// announced, and how many there is no room for: `max` may fire.
    pub(super) fn update(
        &self,
        messages: Vec<Message>,
        max: usize,
        clock: &dyn Clock,
    ) -> (Vec<(Message, bool)>, usize) {
        let (mut changed, mut lost) = (Vec::new(), 0);
        let mut known = self.lock();
        let mut firing = firing_after(&known, &messages);
        for message in messages {
            match known.get_mut(&message.id) {
                Some(before) if before.message.is_firing() == message.is_firing() => {
                    if message.is_firing() {
                        *before = Seen::of(message, before.announced, clock);
                    }
                }
                Some(before) => changed.push((message, before.announced)),
                // Nobody has heard of it, and it is over.
                None if !message.is_firing() => {}
                None if firing < max => {
                    firing += 1;
                    changed.push((message, false));
                }
                None => lost += 1,
            }
        }
        (changed, lost)
    }

    /// Forgets those that have been over for longest, where they make more than `max` together with those that fire. Which.
    pub(super) fn make_way(&self, max: usize) -> Vec<u64> {
        let mut known = self.lock();
        let surplus = known.len().saturating_sub(max);
        if surplus == 0 {
            return Vec::new();
        }
        let ended = |(id, seen): (&u64, &Seen)| seen.message.resolved_at.map(|at| (at, *id));
        let mut over: Vec<(UnixNano, u64)> = known.iter().filter_map(ended).collect();
        over.sort_unstable();
        over.truncate(surplus);
        for (_, id) in &over {
            known.remove(id);
        }
        over.into_iter().map(|(_, id)| id).collect()
    }

    /// When the first alert of which nothing is heard is over, monotonic.
    pub(super) fn next_expiry(&self) -> Option<Duration> {
        if !self.rules_run() {
            return None;
        }
        let known = self.lock();
        let firing = known.values().filter(|seen| seen.message.is_firing());
        firing.map(|seen| seen.expires).min()
    }

    /// The end of every alert of which nothing was heard for too long.
    pub(super) fn expired(&self, clock: &dyn Clock) -> Vec<Message> {
        if !self.rules_run() {
            return Vec::new();
        }
        let (now, at) = (clock.monotonic(), clock.unix_nano());
        let known = self.lock();
        let over = known.values().filter(|seen| seen.message.is_firing() && seen.expires <= now);
        over.map(|seen| {
            let message = seen.message.clone();
            Message { resolved_at: Some(message.valid_until.min(at)), ..message }
        })
        .collect()
    }

    /// Has it kept that transitions are announced which wait no more, but for those of alerts of which there is news since.
    pub(super) fn recorded(&self, messages: &[Message], parts: &Parts) {
        // Held until the rows wait in their order: news of one of these must not be written before them.
        let known = self.lock();
        let newest = |message: &&Message| {
            known.get(&message.id).is_some_and(|seen| {
                let seen = &seen.message;
                (seen.starts_at, seen.resolved_at) == (message.starts_at, message.resolved_at)
            })
        };
        let row =
            |message: &Message| Row::Known { message: Box::new(message.clone()), announced: true };
        parts.keep(messages.iter().filter(newest).map(row).collect());
    }
}

/// How many of `known` fire once `messages` are taken in.
fn firing_after(known: &HashMap<u64, Seen>, messages: &[Message]) -> usize {
    let fires = |id: u64| known.get(&id).map(|seen| seen.message.is_firing());
    let change = |to: bool| {
        messages.iter().filter(|m| m.is_firing() == to && fires(m.id) == Some(!to)).count()
    };
    let before = known.values().filter(|seen| seen.message.is_firing()).count();
    (before + change(true)).saturating_sub(change(false))
}
