//! What is kept in memory about one segment: counts per signal, never an index per record.

use std::collections::BTreeMap;

use super::ledger::{Count, PerSignal, slot};
use super::{Class, Entry, SignalSet};
use crate::time::UnixNano;

/// A segment's summary. In `memory` mode also its records.
#[derive(Clone, Debug, Default)]
pub(super) struct Segment {
    /// Its name: no record in it is older.
    pub(super) first_seq: u64,
    /// One past its last record.
    pub(super) end_seq: u64,
    /// Records and items per signal.
    pub(super) counts: PerSignal,
    /// Payload bytes per signal.
    pub(super) bytes: [u64; 5],
    /// When its first record was received.
    pub(super) first_received: UnixNano,
    /// When its last record was received.
    pub(super) last_received: UnixNano,
    /// What it takes of the cap: bytes allocated on disk, or held in memory.
    pub(super) size: u64,
    /// How the file stands.
    pub(super) file: File,
    /// The records, in `memory` mode.
    pub(super) entries: Vec<Entry>,
}

/// Records of a segment by their sequence: what they count as, and their items.
pub(super) type Readable = BTreeMap<u64, (Class, u32)>;

/// How a segment's file stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct File {
    /// Rewritten as zstd blocks.
    pub(super) compressed: bool,
    /// Compaction was tried and gained nothing, or found damage.
    pub(super) incompressible: bool,
    /// The disk did not let it be compacted; tried again at the next tick.
    pub(super) compaction_failed: bool,
    /// Something in it cannot be read; kept as `.corrupt` when it goes.
    pub(super) damaged: bool,
    /// Written to for good; only the active segment is not.
    pub(super) sealed: bool,
    /// Behind its last record may lie others that nobody was told of, whose sequences were given out again: only where the
    /// next segment begins says where this one ends, so that one stays as long.
    pub(super) open_ended: bool,
}

impl Segment {
    /// An empty segment whose first record will be `first_seq`.
    pub(super) fn starting_at(first_seq: u64) -> Self {
        Self { first_seq, end_seq: first_seq, ..Self::default() }
    }

    /// Takes note of a record that follows the ones it has.
    pub(super) fn record(
        &mut self,
        seq: u64,
        class: Class,
        items: u32,
        bytes: usize,
        received: UnixNano,
    ) {
        if self.counts == PerSignal::default() {
            self.first_received = received;
        }
        self.last_received = received;
        self.end_seq = seq + 1;
        self.counts.get_mut(class).add_one(items);
        *slot(&mut self.bytes, class) += bytes as u64;
    }

    pub(super) fn bytes_of(&self, class: Class) -> u64 {
        self.bytes.get(class.index()).copied().unwrap_or(0)
    }

    /// The mean payload size over a set of signals; 0 when it has none.
    pub(super) fn mean_bytes(&self, signals: SignalSet) -> u64 {
        let Count { requests, .. } = self.counts.sum(signals);
        let bytes: u64 = signals.classes().map(|class| self.bytes_of(class)).sum();
        bytes.checked_div(requests).unwrap_or(0)
    }

    /// The summary alone.
    pub(super) fn without_entries(&self) -> Self {
        Self { entries: Vec::new(), ..*self }
    }

    /// The record `seq`, in `memory` mode.
    pub(super) fn entry(&self, seq: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(seq.checked_sub(self.first_seq)?).ok()?)
    }
}
