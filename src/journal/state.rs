//! The truth in memory, behind one lock: segments' summaries, readers, tail, ledger. No I/O.
//!
//! The writer changes it after a group is durable; readers and settlers change their own lane.
//! Nothing waits while the lock is held. Cost per appended record: O(readers).

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::acks::Acks;
use super::departed::{Departed, Row};
use super::format::Identity;
use super::lane::{Lane, Unread};
use super::ledger::{Count, Ledger, PerSignal, ReaderLedger};
use super::rate::Rate;
use super::retention::{self, Candidate};
use super::segment::{Readable, Segment};
use super::tail::{self, Tail};
use super::{Class, DropReason, Entry, ReaderConfig, Settled, SignalSet, Start, WhenFull};
use crate::signal::{Record, Signal};
use crate::time::UnixNano;

/// Names a lane for as long as the process lives.
pub(super) type LaneId = u32;

#[derive(Debug)]
pub(super) struct State {
    pub(super) identity: Identity,
    /// Oldest first; the last is active.
    pub(super) segments: VecDeque<Segment>,
    pub(super) lanes: BTreeMap<LaneId, Lane>,
    pub(super) next_lane: LaneId,
    pub(super) departed: Departed,
    pub(super) tail: Tail,
    pub(super) accepted: PerSignal,
    /// The sequence of the next record; all below are durable.
    pub(super) next_seq: u64,
    pub(super) last_received: UnixNano,
    pub(super) closed: bool,
    /// Whether an append was refused for want of room under the cap, and no segment was made since.
    pub(super) full: bool,
    /// Whether the last compaction failed, which was said then.
    pub(super) compaction_fails: bool,
    /// Why the disk did not take the last write, where it did not.
    pub(super) failure: Option<String>,
    /// Monotonic time of the last durable append.
    pub(super) progress: Duration,
    pub(super) rate: Rate,
    /// Records that cannot be read.
    pub(super) lost_records: u64,
    /// [`super::Recovery::missing_records`]
    pub(super) missing_records: u64,
    /// [`super::Recovery::uncounted`]
    pub(super) uncounted: Option<PathBuf>,
    /// Segments given up after a failed write or fsync.
    pub(super) poisoned: u64,
}

/// What [`State::take`] found.
pub(super) enum Taken {
    /// Records in memory; empty when nothing is unread or the reader must settle first.
    Entries(Vec<Entry>),
    /// The record at `seq` is on disk only, in this segment.
    Disk { seq: u64, signals: SignalSet, segment: Box<Segment> },
}

impl State {
    pub(super) fn new(tail_size: usize, next_seq: u64) -> Self {
        Self {
            identity: Identity::random(),
            segments: VecDeque::new(),
            lanes: BTreeMap::new(),
            next_lane: 0,
            departed: Departed::default(),
            tail: Tail::new(tail_size),
            accepted: PerSignal::default(),
            next_seq,
            last_received: UnixNano(0),
            closed: false,
            full: false,
            compaction_fails: false,
            failure: None,
            progress: Duration::ZERO,
            rate: Rate::default(),
            lost_records: 0,
            missing_records: 0,
            uncounted: None,
            poisoned: 0,
        }
    }

    /// Gives a record its sequence and time; nothing is remembered until [`State::commit`].
    pub(super) fn number(&self, nth: u64, now: UnixNano, record: Record) -> Entry {
        let received = now.received_after(self.last_received);
        Entry { seq: self.next_seq + nth, received, redelivered: false, record }
    }

    /// Publishes a durable record of the active segment.
    pub(super) fn commit(&mut self, entry: Entry, keep_in_segment: bool) {
        let (seq, received) = (entry.seq, entry.received);
        let (class, items) = (class_of(&entry.record), entry.record.items);
        let bytes = entry.record.payload.len();
        let Some(active) = self.segments.back_mut() else { return };
        active.record(seq, class, items, bytes, received);
        self.accepted.get_mut(class).add_one(items);
        self.next_seq = seq + 1;
        self.last_received = received;
        for lane in self.lanes.values_mut() {
            if lane.config.signals.contains(class) {
                lane.arrived(seq, bytes);
            }
        }
        if keep_in_segment {
            active.size += tail::cost(&entry) as u64;
            active.entries.push(entry);
        } else {
            self.tail.push(entry);
        }
    }

    /// After a group: lets idle lanes pass it, and collects the bells to ring.
    pub(super) fn bells(&mut self) -> Vec<Arc<Notify>> {
        let head = self.next_seq;
        let mut bells = Vec::new();
        for lane in self.lanes.values_mut() {
            if lane.unread.records == 0 {
                lane.pass_to(head);
            }
            bells.extend(lane.bell());
        }
        bells
    }

    /// Hands out a lane's next records, at least one if there is one.
    pub(super) fn take(
        &mut self,
        id: LaneId,
        max_bytes: usize,
        max_records: usize,
    ) -> Option<Taken> {
        let Self { segments, lanes, tail, next_seq, .. } = self;
        let lane = lanes.get_mut(&id)?;
        let mut out = Vec::new();
        let mut bytes = 0_usize;
        while lane.unread.records > 0 && out.len() < max_records {
            let seq = lane.acks.next_unsettled(lane.cursor);
            lane.cursor = seq;
            if lane.acks.is_crowded(seq) {
                break;
            }
            let at = segments.partition_point(|s| s.end_seq <= seq);
            let Some(segment) = segments.get(at) else {
                // Nothing lies there: neither its reader nor a segment must wait for it.
                lane.unread = Unread::default();
                segments.iter().for_each(|segment| lane.give_up(segment));
                break;
            };
            if seq < segment.first_seq {
                lane.pass_to(segment.first_seq);
                continue;
            }
            let Some(entry) = tail.get(seq).or_else(|| segment.entry(seq)) else {
                if !out.is_empty() {
                    break;
                }
                if lane.unread_in(segment).sum(lane.config.signals).requests == 0 {
                    lane.pass_to(segment.end_seq);
                    continue;
                }
                let (signals, segment) = (lane.config.signals, segment.without_entries());
                return Some(Taken::Disk { seq, signals, segment: Box::new(segment) });
            };
            let record = &entry.record;
            let class = class_of(record);
            if !lane.config.signals.contains(class) {
                lane.pass_to(seq + 1);
                continue;
            }
            if !out.is_empty() && bytes + record.payload.len() > max_bytes {
                break;
            }
            bytes += record.payload.len();
            out.push(Entry { redelivered: seq < lane.redelivered_below, ..entry.clone() });
            lane.hand_out(seq, class, record.items, entry.received, record.payload.len());
        }
        if lane.unread.records == 0 {
            lane.pass_to(*next_seq);
        }
        Some(Taken::Entries(out))
    }

    /// Hands out what was read from disk for a lane, which has passed everything below `passed`, but for what was settled or
    /// dropped meanwhile.
    pub(super) fn take_read(
        &mut self,
        id: LaneId,
        entries: Vec<Entry>,
        passed: u64,
    ) -> Option<Vec<Entry>> {
        let lane = self.lanes.get_mut(&id)?;
        let mut out = Vec::with_capacity(entries.len());
        for entry in entries {
            if entry.seq < lane.cursor || lane.acks.contains(entry.seq) {
                continue;
            }
            lane.pass_to(entry.seq);
            let record = &entry.record;
            lane.hand_out(
                entry.seq,
                class_of(record),
                record.items,
                entry.received,
                record.payload.len(),
            );
            out.push(Entry { redelivered: entry.seq < lane.redelivered_below, ..entry });
        }
        lane.pass_to(passed);
        Some(out)
    }

    /// Settles records of one lane. Returns the reader's bell when it may go on.
    pub(super) fn settle(
        &mut self,
        id: LaneId,
        settled: impl IntoIterator<Item = Settled>,
        now: Duration,
    ) -> Option<Arc<Notify>> {
        let Self { segments, lanes, .. } = self;
        let lane = lanes.get_mut(&id)?;
        for one in settled {
            let at = segments.partition_point(|s| s.end_seq <= one.seq);
            if lane.settle(&one, segments.get(at).map(|segment| segment.first_seq)) {
                lane.progress = now;
            }
        }
        lane.bell()
    }

    /// Counts for every lane what it can never get of a damaged segment, of which only these records are
    /// `readable`. Returns how many records that are.
    pub(super) fn lose(&mut self, segment: &Segment, readable: &Readable) -> u64 {
        let Self { segments, lanes, .. } = self;
        let known = segments.iter_mut().find(|s| s.first_seq == segment.first_seq);
        let Some(known) = known else { return 0 };
        known.file.damaged = true;
        let newer = known.counts.minus(&segment.counts);
        let mut most = [0; 5];
        for lane in lanes.values_mut() {
            let lost = lane.lose(known, segment.end_seq, &newer, readable);
            for (most, lost) in most.iter_mut().zip(lost.0) {
                *most = lost.requests.max(*most);
            }
        }
        let lost = most.iter().sum();
        self.lost_records += lost;
        lost
    }

    /// Whether a durable reader settled something that no record on disk says.
    pub(super) fn has_unsaved_acks(&self) -> bool {
        self.departed.dirty || self.lanes.values().any(|lane| lane.dirty && lane.config.durable)
    }

    /// Whether a durable reader settled something since the start that no record on disk says.
    pub(super) fn has_unsaved_settlements(&self) -> bool {
        let unsaved = |lane: &Lane| lane.dirty && lane.settles && lane.config.durable;
        self.lanes.values().any(unsaved)
    }

    /// Says whether a record on disk has all that was settled.
    pub(super) fn set_unsaved(&mut self, unsaved: bool) {
        self.departed.dirty = unsaved;
        self.lanes.values_mut().for_each(|lane| lane.dirty = unsaved);
    }

    /// Adds a reader that the journal does not know.
    pub(super) fn add_lane(&mut self, config: ReaderConfig) {
        let oldest = self.segments.front().map_or(self.next_seq, |s| s.first_seq);
        let from_oldest = config.durable && config.start == Start::Oldest;
        let begin = if from_oldest { oldest } else { self.next_seq };
        let mut kept = PerSignal::default();
        self.segments.iter().for_each(|s| kept.add(&s.counts));
        let before = if from_oldest { self.accepted.minus(&kept) } else { self.accepted };
        let totals = self.departed.take(&config.name, config.signals, &before);
        let mut lane = Lane::new(config, Acks::below(begin), totals);
        lane.progress = self.progress;
        for segment in &self.segments {
            lane.adopt(segment, if from_oldest { PerSignal::default() } else { segment.counts });
        }
        self.lanes.insert(self.next_lane, lane);
        self.next_lane += 1;
    }

    /// Takes leave of a lane: what it holds is dropped, and what it has not settled of what is in no segment any more: it
    /// may have left before, and power failed when that was not noted yet. Returns what that was.
    pub(super) fn depart(&mut self, mut lane: Lane) -> Count {
        lane.release();
        let drop = |segment| lane.drop_segment(segment, DropReason::Removed);
        let mut dropped = self.segments.iter().map(drop).fold(Count::default(), Count::plus);
        for class in lane.config.signals.classes() {
            let missing = self.accepted.get(class).minus(lane.accounted(class));
            lane.write_off(class, DropReason::Removed, missing);
            dropped = dropped.plus(missing);
        }
        let Lane { config, totals, .. } = lane;
        if config.durable {
            self.departed.push(Row { name: config.name, signals: config.signals, totals });
        }
        dropped
    }

    /// The segments as retention sees them, oldest first. Of the newest, whose name is the floor of sequences, only
    /// what is in memory can go, and one stays whose name is where the one before it ends.
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let newest = self.segments.back().map(|segment| segment.first_seq);
        let mut candidates = Vec::with_capacity(self.segments.len());
        let mut ends_another = false;
        for segment in &self.segments {
            if Some(segment.first_seq) != newest || !segment.entries.is_empty() {
                candidates.push(self.candidate(segment, ends_another));
            }
            ends_another = segment.file.open_ended;
        }
        candidates
    }

    fn candidate(&self, segment: &Segment, ends_another: bool) -> Candidate {
        let holders = || {
            let durable = self.lanes.values().filter(|lane| lane.config.durable);
            durable.filter(|lane| lane.held(segment).requests > 0)
        };
        Candidate {
            first_seq: segment.first_seq,
            size: segment.size,
            last_received: segment.last_received,
            free: !ends_another && holders().next().is_none(),
            blocked: ends_another
                || holders().any(|lane| lane.config.when_full == WhenFull::Reject),
            compressible: segment.entries.is_empty()
                && !segment.file.compressed
                && !segment.file.incompressible
                && !segment.file.compaction_failed
                && !segment.file.damaged,
        }
    }

    /// Drops, counted, what lanes hold in a segment.
    pub(super) fn release(&mut self, first_seq: u64) {
        let Self { segments, lanes, .. } = self;
        if let Some(segment) = segments.iter().find(|s| s.first_seq == first_seq) {
            for lane in lanes.values_mut() {
                lane.drop_segment(segment, DropReason::QueueFull);
            }
        }
    }

    /// Removes a segment's summary; what lanes hold in it is dropped, counted.
    pub(super) fn remove(&mut self, first_seq: u64) -> Option<Segment> {
        self.release(first_seq);
        let at = self.segments.iter().position(|s| s.first_seq == first_seq)?;
        let segment = self.segments.remove(at)?;
        self.lanes.values_mut().for_each(|lane| lane.forget(first_seq));
        Some(segment)
    }

    /// Whether an append was refused for want of room under the cap and there still is none for a segment.
    pub(super) fn is_full(&self, max_size: u64, segment: u64) -> bool {
        self.full
            && self.size().saturating_add(segment) > max_size
            && retention::make_room(&self.candidates()).is_none()
    }

    /// Payload bytes that some destination has not taken; by signal, of the one that lacks most.
    pub(super) fn undelivered(&self) -> u64 {
        let lacks = |signal| {
            let lanes = self.destinations().filter(|lane| lane.config.signals.contains(signal));
            lanes.map(Lane::queued_bytes).max().unwrap_or_default()
        };
        Signal::ALL.into_iter().map(lacks).sum()
    }

    fn destinations(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.values().filter(|lane| lane.config.durable && lane.config.is_lane())
    }

    /// How long the journal takes more if nothing is delivered meanwhile, at the rate of the last minute; `None` when nothing
    /// arrives or there is no destination: what only local readers need gives way. None is left while it is full, though
    /// nothing arrives then.
    pub(super) fn time_left(&self, max_size: u64, segment: u64, now: Duration) -> Option<Duration> {
        self.destinations().next()?;
        if self.is_full(max_size, segment) {
            return Some(Duration::ZERO);
        }
        let held = |segment: &&Segment| self.destinations().any(|l| l.held(segment).requests > 0);
        let held: u64 = self.segments.iter().filter(held).map(|segment| segment.size).sum();
        self.rate.time_left(max_size.saturating_sub(held), now)
    }

    /// Bytes of the cap in use.
    pub(super) fn size(&self) -> u64 {
        self.segments.iter().map(|s| s.size).sum()
    }

    pub(super) fn queued(&self, lane: &Lane) -> Count {
        let outlived = lane.outlived().sum(lane.config.signals);
        self.segments.iter().fold(outlived, |sum, s| sum.plus(lane.held(s)))
    }

    pub(super) fn ledger(&self) -> Ledger {
        let readers = self
            .lanes
            .values()
            .flat_map(|lane| lane.config.signals.iter().map(|signal| self.row(lane, signal)));
        Ledger { accepted: self.accepted, readers: readers.chain(self.departed.ledger()).collect() }
    }

    fn row(&self, lane: &Lane, signal: Signal) -> ReaderLedger {
        let totals = lane.totals.get(signal.index()).cloned().unwrap_or_default();
        let name = &lane.config.name;
        let held = self.segments.iter().map(|s| lane.held_of(s, signal.into()));
        ReaderLedger {
            reader: name.clone(),
            exporter: name.rsplit_once(':').map_or(name.as_str(), |(exporter, _)| exporter).into(),
            signal,
            accepted: self.accepted.get(signal).minus(totals.before),
            delivered: totals.delivered,
            queued: held.fold(lane.outlived().get(signal), Count::plus),
            dropped_requests: totals.dropped_requests,
            dropped: totals.dropped,
        }
    }

    /// When the oldest record that `lane` has not settled was received; exact in memory, to the
    /// segment's first record on disk.
    pub(super) fn oldest(&self, lane: &Lane) -> Option<UnixNano> {
        if let Some(in_flight) = lane.oldest_in_flight() {
            return Some(in_flight);
        }
        if lane.unread.records == 0 {
            return None;
        }
        let at = self.segments.partition_point(|s| s.end_seq <= lane.cursor);
        let mut held = self.segments.range(at..).filter(|s| lane.held(s).requests > 0);
        let segment = held.next()?;
        let in_memory = |seq| self.tail.get(seq).or_else(|| segment.entry(seq));
        let from = lane.cursor.max(segment.first_seq);
        let own = |e: &&Entry| lane.config.signals.contains(class_of(&e.record));
        let exact = (from..segment.end_seq).map_while(in_memory).find(own);
        Some(exact.map_or(segment.first_received, |e| e.received))
    }
}

/// What a record counts as.
pub(super) const fn class_of(record: &Record) -> Class {
    Class::of(record.signal, record.flags)
}
