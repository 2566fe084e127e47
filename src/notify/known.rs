//! Alerts as last seen, and whether each one's transition was announced: what a restart must know to announce the rest.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Parts;
use super::database::Row;
use super::message::Message;
use crate::time::Clock;

/// Alerts as last seen.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<u64, Seen>>);

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
        Self(Mutex::new(found.collect()))
    }

    /// Takes in what is found later, but what is known already.
    pub(super) fn restore(&self, found: Vec<(Message, bool)>, clock: &dyn Clock) {
        let mut known = self.lock();
        for (message, announced) in found {
            known.entry(message.id).or_insert_with(|| Seen::of(message, announced, clock));
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<u64, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Takes in what is said again of alerts that fire. The others, each with whether its beginning was announced, and
    /// how many there is no room for.
    pub(super) fn update(
        &self,
        messages: Vec<Message>,
        max: usize,
        clock: &dyn Clock,
    ) -> (Vec<(Message, bool)>, usize) {
        let (mut changed, mut added, mut lost) = (Vec::new(), 0, 0);
        let mut known = self.lock();
        for message in messages {
            let room = known.len() + added < max;
            match known.get_mut(&message.id) {
                Some(before) if before.message.is_firing() == message.is_firing() => {
                    if message.is_firing() {
                        *before = Seen::of(message, before.announced, clock);
                    }
                }
                Some(before) => changed.push((message, before.announced)),
                // Nobody has heard of it, and it is over.
                None if !message.is_firing() => {}
                None if room => {
                    added += 1;
                    changed.push((message, false));
                }
                None => lost += 1,
            }
        }
        (changed, lost)
    }

    /// When the first alert of which nothing is heard is over, monotonic.
    pub(super) fn next_expiry(&self) -> Option<Duration> {
        let known = self.lock();
        let firing = known.values().filter(|seen| seen.message.is_firing());
        firing.map(|seen| seen.expires).min()
    }

    /// The end of every alert of which nothing was heard for too long.
    pub(super) fn expired(&self, clock: &dyn Clock) -> Vec<Message> {
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
