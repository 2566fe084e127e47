//! Records that are written and not synced: they survive the process, not yet the machine, and nobody is told of them
//! before they do. Pure.
//!
//! Only what nobody waits for is here (`Journal::append_written`): samples that the agent makes several times in a
//! second, which would keep a disk awake under an agent that has nothing else to do. They ride on the next group;
//! without one, a sync of their own comes after [`WAIT`] or at [`BYTES_MAX`].

use std::time::Duration;

use super::Entry;
use super::format::encoded_len;
use crate::time::UnixNano;

/// The longest that a record waits for a group that is synced.
const WAIT: Duration = Duration::from_secs(5);
/// So many bytes do not wait.
const BYTES_MAX: u64 = 256 << 10;

#[derive(Debug, Default)]
pub(super) struct Unsynced {
    entries: Vec<Entry>,
    bytes: u64,
    /// When the oldest was written, monotonic.
    since: Duration,
}

impl Unsynced {
    pub(super) fn extend(&mut self, entries: Vec<Entry>, now: Duration) {
        if self.entries.is_empty() {
            self.since = now;
        }
        self.bytes += entries.iter().map(|entry| encoded_len(&entry.record)).sum::<u64>();
        self.entries.extend(entries);
    }

    /// All of it and its bytes; nothing is left.
    pub(super) fn take(&mut self) -> (Vec<Entry>, u64) {
        let Self { entries, bytes, .. } = std::mem::take(self);
        (entries, bytes)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// When the last of them was received.
    pub(super) fn last_received(&self) -> UnixNano {
        self.entries.last().map_or(UnixNano(0), |entry| entry.received)
    }

    /// Whether there are so many bytes that no group is waited for.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= BYTES_MAX
    }

    /// Records; sequences go on above them.
    pub(super) fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How long it may still wait for a group; `None` when nothing waits.
    pub(super) fn due_in(&self, now: Duration) -> Option<Duration> {
        let left =
            if self.is_full() { Duration::ZERO } else { (self.since + WAIT).saturating_sub(now) };
        (!self.is_empty()).then_some(left)
    }
}
