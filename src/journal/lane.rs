//! One reader's bookkeeping: cursor, what is in flight, what is settled, its part of the ledger. Pure.
//!
//! ```text
//! settled … settled │ watermark … in flight and settled ranges … │ cursor … unread … │ head
//! ```
//!
//! Invariants: `unread.records` counts own records at or above the cursor that are not settled;
//! per segment, own records − settled = held. Records of foreign signals are passed, never held. What lies below the cursor
//! is in flight, or nobody asks for it: so foreign records part no ranges of settled ones.
//! Cost: O(log) per record handed out or settled. Limits: `in_flight` holds what the reader took
//! and did not settle, so the reader's own limit bounds it, with `outlived`; see also [`super::acks`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::acks::Acks;
use super::ledger::{Count, PerSignal, Totals, slot};
use super::segment::{Readable, Segment};
use super::{Class, DropReason, ReaderConfig, Settled};
use crate::time::UnixNano;

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) config: ReaderConfig,
    /// The next sequence to look at; everything below is in flight, or nobody asks for it.
    pub(super) cursor: u64,
    pub(super) acks: Acks,
    pub(super) totals: [Totals; 5],
    /// Own records not handed out.
    pub(super) unread: Unread,
    in_flight: BTreeMap<u64, InFlight>,
    /// Was in flight when the cap took its segment: queued until its reader says how it ended.
    outlived: BTreeMap<u64, InFlight>,
    /// Own records settled, by the first sequence of their segment. Absent = none.
    settled: BTreeMap<u64, PerSignal>,
    /// Records below may have been delivered before the last start.
    pub(super) redelivered_below: u64,
    /// Something was settled that no ack record on disk says.
    pub(super) dirty: bool,
    /// Something was settled since the start.
    pub(super) settles: bool,
    /// Whether a [`super::Reader`] exists.
    pub(super) taken: bool,
    /// Monotonic time of the last settlement.
    pub(super) progress: Duration,
    /// Unread bytes that the sleeping reader waits for.
    wanted: Option<usize>,
    wake: Arc<Notify>,
}

/// Records and payload bytes not handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unread {
    pub(super) records: u64,
    pub(super) bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    class: Class,
    items: u32,
    bytes: usize,
    received: UnixNano,
}

impl Lane {
    /// A reader that begins at `start`; what is settled below it is `acks`.
    pub(super) fn new(config: ReaderConfig, acks: Acks, totals: [Totals; 5]) -> Self {
        Self {
            config,
            cursor: acks.watermark(),
            acks,
            totals,
            unread: Unread::default(),
            in_flight: BTreeMap::new(),
            outlived: BTreeMap::new(),
            settled: BTreeMap::new(),
            redelivered_below: 0,
            dirty: true,
            settles: false,
            taken: false,
            progress: Duration::ZERO,
            wanted: None,
            wake: Arc::new(Notify::new()),
        }
    }

    /// Takes note of own records that lie in `segment`, of which `settled` need nothing more.
    pub(super) fn adopt(&mut self, segment: &Segment, settled: PerSignal) {
        let signals = self.config.signals;
        let held = segment.counts.minus(&settled).sum(signals);
        self.unread.records += held.requests;
        if held.requests > 0 {
            self.unread.bytes +=
                signals.classes().map(|class| segment.bytes_of(class)).sum::<u64>();
        }
        if settled != PerSignal::default() {
            self.settled.insert(segment.first_seq, settled);
        }
    }

    /// Own records of `segment` that are not settled.
    pub(super) fn held(&self, segment: &Segment) -> Count {
        self.held_per_signal(segment).sum(self.config.signals)
    }

    /// Like [`Lane::held`], of one class.
    pub(super) fn held_of(&self, segment: &Segment, class: Class) -> Count {
        self.held_per_signal(segment).get(class)
    }

    fn held_per_signal(&self, segment: &Segment) -> PerSignal {
        let settled = self.settled.get(&segment.first_seq).copied().unwrap_or_default();
        segment.counts.minus(&settled)
    }

    /// A record of its signals became durable at `seq`.
    pub(super) fn arrived(&mut self, seq: u64, bytes: usize) {
        if self.unread.records == 0 {
            self.pass_to(seq);
        }
        self.unread.records += 1;
        self.unread.bytes += bytes as u64;
    }

    /// Moves the cursor over records that are not its own.
    pub(super) fn pass_to(&mut self, seq: u64) {
        self.cursor = self.cursor.max(seq);
        self.advance();
    }

    /// Moves the watermark to what is in flight, or to the cursor.
    fn advance(&mut self) {
        let oldest = self.in_flight.first_key_value().map_or(self.cursor, |(&seq, _)| seq);
        self.acks.insert(self.acks.watermark()..oldest);
    }

    /// Hands out the own record at the cursor.
    pub(super) fn hand_out(
        &mut self,
        seq: u64,
        class: Class,
        items: u32,
        received: UnixNano,
        bytes: usize,
    ) {
        self.in_flight.insert(seq, InFlight { class, items, bytes, received });
        self.cursor = self.cursor.max(seq + 1);
        self.read(1, bytes as u64);
    }

    fn read(&mut self, records: u64, bytes: u64) {
        self.unread.records = self.unread.records.saturating_sub(records);
        self.unread.bytes = self.unread.bytes.saturating_sub(bytes);
        if self.unread.records == 0 {
            self.unread.bytes = 0;
        }
    }

    /// The reader was dropped: what is in flight becomes unread again, and what is in no segment is dropped.
    pub(super) fn release(&mut self) {
        self.taken = false;
        self.wanted = None;
        self.drop_outlived();
        if let Some((&oldest, _)) = self.in_flight.first_key_value() {
            self.redelivered_below = self.redelivered_below.max(self.cursor);
            self.cursor = oldest;
        }
        for record in std::mem::take(&mut self.in_flight).into_values() {
            self.unread.records += 1;
            self.unread.bytes += record.bytes as u64;
        }
    }

    /// Settles one record; `segment` is the first sequence of the segment it lies in, if it lies in one. False when
    /// it is not in flight: settled before.
    pub(super) fn settle(&mut self, settled: &Settled, segment: Option<u64>) -> bool {
        let outlived = self.outlived.remove(&settled.seq);
        if let Some(record) = outlived {
            self.totals_of(record.class).settle(record.items, &settled.dropped);
            (self.dirty, self.settles) = (true, true);
            return true;
        }
        let Some(segment) = segment else { return false };
        let Some(record) = self.in_flight.remove(&settled.seq) else { return false };
        let seq = settled.seq;
        let before = self.in_flight.range(..seq).next_back().map(|(before, _)| before + 1);
        let after = self.in_flight.range(seq..).next().map_or(self.cursor, |(&after, _)| after);
        self.acks.insert(before.unwrap_or(self.acks.watermark())..after);
        self.settled.entry(segment).or_default().get_mut(record.class).add_one(record.items);
        self.totals_of(record.class).settle(record.items, &settled.dropped);
        (self.dirty, self.settles) = (true, true);
        true
    }

    fn totals_of(&mut self, class: Class) -> &mut Totals {
        slot(&mut self.totals, class)
    }

    /// Lets go of everything it holds in `segment`; returns what of it is dropped. What is in flight may be delivered yet.
    pub(super) fn drop_segment(&mut self, segment: &Segment, reason: DropReason) -> Count {
        let range = segment.first_seq..segment.end_seq;
        let held = self.unread_in(segment);
        let mut in_flight = self.in_flight.split_off(&range.start);
        self.in_flight.extend(in_flight.split_off(&range.end));
        self.dirty |= !in_flight.is_empty();
        self.outlived.extend(in_flight);
        let lost = held.sum(self.config.signals);
        for class in self.config.signals.classes() {
            self.totals_of(class).drop_all(reason, held.get(class));
            let all = segment.counts.get(class);
            *self.settled.entry(segment.first_seq).or_default().get_mut(class) = all;
        }
        let unread = segment.mean_bytes(self.config.signals).saturating_mul(lost.requests);
        self.read(lost.requests, unread);
        self.acks.insert(range);
        self.cursor = self.acks.next_unsettled(self.cursor);
        self.advance();
        self.dirty |= lost.requests > 0;
        lost
    }

    /// Counts as dropped what is in flight and in no segment: nobody says any more how it ended.
    fn drop_outlived(&mut self) {
        let outlived = self.outlived();
        for class in self.config.signals.classes() {
            self.totals_of(class).drop_all(DropReason::QueueFull, outlived.get(class));
        }
        self.dirty |= !self.outlived.is_empty();
        self.outlived.clear();
    }

    /// What is in flight and in no segment any more.
    pub(super) fn outlived(&self) -> PerSignal {
        let mut outlived = PerSignal::default();
        for record in self.outlived.values() {
            outlived.get_mut(record.class).add_one(record.items);
        }
        outlived
    }

    /// What a start is to find: that what is in no segment was dropped, since then nobody has it.
    pub(super) fn saved_totals(&self) -> [Totals; 5] {
        let (mut totals, outlived) = (self.totals.clone(), self.outlived());
        for class in self.config.signals.classes() {
            slot(&mut totals, class).drop_all(DropReason::QueueFull, outlived.get(class));
        }
        totals
    }

    /// Counts as dropped what it has not read of `segment` below `end` and is not `readable`, and settles those
    /// sequences: they are counted once, whoever looks at that segment again and whatever can be read by then.
    /// Above `end`, the segment has records that are `newer`. Returns what that was.
    pub(super) fn lose(
        &mut self,
        segment: &Segment,
        end: u64,
        newer: &PerSignal,
        readable: &Readable,
    ) -> PerSignal {
        let mut lost = PerSignal::default();
        let mut next = self.cursor.max(segment.first_seq);
        if next >= end {
            return lost;
        }
        let mut found = PerSignal::default();
        for (&seq, &(class, items)) in readable.range(next..end) {
            if !self.acks.contains(seq) {
                found.get_mut(class).add_one(items);
            }
            self.acks.insert(next..seq);
            next = seq + 1;
        }
        self.acks.insert(next..end);
        let missing = self.unread_in(segment).minus(newer).minus(&found);
        for class in self.config.signals.classes() {
            let missing = missing.get(class);
            self.totals_of(class).drop_all(DropReason::Corrupt, missing);
            lost.get_mut(class).add(missing);
        }
        let Count { requests, .. } = lost.total();
        if requests > 0 {
            self.settled.entry(segment.first_seq).or_default().add(&lost);
            self.read(requests, segment.mean_bytes(self.config.signals).saturating_mul(requests));
            self.dirty = true;
        }
        lost
    }

    /// Counts as dropped what it holds of `segment`, has not read and cannot find.
    pub(super) fn give_up(&mut self, segment: &Segment) {
        let unread = self.unread_in(segment);
        for class in self.config.signals.classes() {
            self.write_off(class, DropReason::Corrupt, unread.get(class));
            let settled = self.settled.entry(segment.first_seq).or_default();
            settled.get_mut(class).add(unread.get(class));
        }
    }

    /// Accepted before it began, or settled: everything of a class but what it holds.
    pub(super) fn accounted(&self, class: Class) -> Count {
        let Some(totals) = self.totals.get(class.index()) else { return Count::default() };
        totals.before.plus(totals.ended())
    }

    /// Counts records as dropped that are in no segment any more.
    pub(super) fn write_off(&mut self, class: Class, reason: DropReason, missing: Count) {
        if (missing.requests > 0 || missing.items > 0) && self.config.signals.contains(class) {
            self.totals_of(class).drop_all(reason, missing);
            self.dirty = true;
        }
    }

    /// Own records of `segment`, per class, that are neither settled nor in flight.
    pub(super) fn unread_in(&self, segment: &Segment) -> PerSignal {
        let mut unread = self.held_per_signal(segment);
        for record in self.in_flight.range(segment.first_seq..segment.end_seq).map(|(_, r)| r) {
            let left =
                unread.get(record.class).minus(Count { requests: 1, items: record.items.into() });
            *unread.get_mut(record.class) = left;
        }
        unread
    }

    /// Forgets a segment that no longer exists.
    pub(super) fn forget(&mut self, segment: u64) {
        self.settled.remove(&segment);
    }

    /// When the oldest record in flight was received.
    pub(super) fn oldest_in_flight(&self) -> Option<UnixNano> {
        let oldest = self.outlived.first_key_value().or(self.in_flight.first_key_value());
        oldest.map(|(_, record)| record.received)
    }

    /// Payload bytes that are not settled.
    pub(super) fn queued_bytes(&self) -> u64 {
        let in_flight = self.in_flight.values().chain(self.outlived.values());
        let in_flight: usize = in_flight.map(|record| record.bytes).sum();
        self.unread.bytes.saturating_add(in_flight as u64)
    }

    /// Whether a reader that waits for `bytes` may go on.
    pub(super) fn is_ready(&self, bytes: usize) -> bool {
        let next = self.acks.next_unsettled(self.cursor);
        self.unread.records > 0 && self.unread.bytes >= bytes as u64 && !self.acks.is_crowded(next)
    }

    /// Goes to sleep until `bytes` are unread.
    pub(super) fn want(&mut self, bytes: usize) -> Arc<Notify> {
        self.wanted = Some(bytes);
        Arc::clone(&self.wake)
    }

    /// The sleeping reader's bell, when what it waits for is there. Rings once.
    pub(super) fn bell(&mut self) -> Option<Arc<Notify>> {
        let wanted = self.wanted?;
        if !self.is_ready(wanted) {
            return None;
        }
        self.wanted = None;
        Some(Arc::clone(&self.wake))
    }

    /// The bell, whatever the reader waits for.
    pub(super) fn any_bell(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{SignalSet, Start, WhenFull};
    use crate::signal::Signal;

    fn settled(seq: u64) -> Settled {
        Settled { seq, delivered_items: 1, dropped: Vec::new() }
    }

    #[test]
    fn what_is_not_its_own_parts_no_ranges() {
        let config = ReaderConfig {
            name: "a:traces".to_owned(),
            signals: SignalSet::only(Signal::Traces),
            durable: true,
            start: Start::Oldest,
            when_full: WhenFull::Reject,
        };
        let mut lane = Lane::new(config, Acks::below(1), <[Totals; 5]>::default());
        for seq in (1..2_000).step_by(2) {
            lane.hand_out(seq, Class::Signal(Signal::Traces), 1, UnixNano(1), 1);
            lane.pass_to(seq + 2);
        }
        assert_eq!((lane.acks.ranges().len(), lane.acks.watermark()), (0, 1));
        for seq in (3..2_000).step_by(2) {
            assert!(lane.settle(&settled(seq), Some(1)));
        }
        assert_eq!((lane.acks.ranges().next(), lane.acks.ranges().len()), (Some(2..2_001), 1));
        assert!(lane.settle(&settled(1), Some(1)) && !lane.settle(&settled(1), Some(1)));
        assert_eq!((lane.acks.ranges().len(), lane.acks.watermark()), (0, 2_001));
    }
}
