//! Readers get their cursors back: what each has settled of what is there, and what the ledger misses of it.

use super::super::acks::Acks;
use super::super::departed::Removed;
use super::super::format::{Header, Kind};
use super::super::lane::Lane;
use super::super::ledger::{Count, PerSignal};
use super::super::log::segment_path;
use super::super::scan::Scanner;
use super::super::segment::Segment;
use super::super::snapshot::{SavedReader, Snapshot};
use super::super::state::State;
use super::super::walk::{ATTEMPTS, Walked, walk};
use super::super::{Class, DropReason, ReaderConfig, WhenFull};
use super::Start;

impl Start<'_> {
    /// Gives `readers` what they had; those that are not configured any more leave.
    pub(super) fn lanes(
        &mut self,
        state: &mut State,
        readers: Vec<ReaderConfig>,
        snapshot: Snapshot,
    ) {
        let mut saved = snapshot.readers;
        let mut unknown = Vec::new();
        for reader in readers {
            let same = |s: &SavedReader| s.name == reader.name && s.signals == reader.signals;
            let known = saved.iter().position(|s| same(s) && reader.durable);
            match known.map(|at| saved.remove(at)) {
                Some(known) => self.restore(state, reader, known),
                None => unknown.push(reader),
            }
        }
        self.recovery.missing_records = balance(state).saturating_sub(self.recovery.lost_records);
        // They begin at what is accepted, which is known from here on.
        unknown.into_iter().for_each(|reader| state.add_lane(reader));
        for gone in saved {
            let reader = gone.name.clone();
            let config = gone.config();
            self.restore(state, config, gone);
            let Some((_, lane)) = state.lanes.pop_last() else { continue };
            let dropped = state.depart(lane);
            self.recovery.removed.push(Removed { reader, dropped });
        }
    }

    /// Lost records that somebody waits for: what an earlier start counted is settled.
    pub(super) fn count_lost(&mut self, snapshot: &Snapshot) {
        let of = |acks: &Acks| self.lost.iter().map(|range| acks.unsettled(range.clone())).sum();
        let waited_for = snapshot.readers.iter().map(|reader| of(&reader.acks)).max();
        self.recovery.lost_records = waited_for.unwrap_or_else(|| of(&Acks::default()));
    }

    fn restore(&self, state: &mut State, config: ReaderConfig, saved: SavedReader) {
        let SavedReader { mut acks, totals, .. } = saved;
        // Counted with what the ledger misses, and settled with it.
        self.lost.iter().for_each(|range| acks.insert(range.clone()));
        let mut lane = Lane::new(config, acks, totals);
        lane.redelivered_below = state.next_seq;
        lane.progress = state.progress;
        let mut settled: Vec<_> = state.segments.iter().map(|s| self.settled(s, &lane)).collect();
        for class in lane.config.signals.classes() {
            let held = state
                .segments
                .iter()
                .zip(&settled)
                .map(|(s, known)| s.counts.get(class).minus(known.settled.get(class)));
            let all = held.fold(lane.accounted(class), Count::plus);
            let mut surplus = all.minus(state.accepted.get(class));
            // It was settled before it became unreadable.
            for known in &mut settled {
                let part = known.missing.get(class).min(surplus);
                known.settled.get_mut(class).add(part);
                surplus = surplus.minus(part);
            }
        }
        for (segment, known) in state.segments.iter().zip(settled) {
            lane.adopt(segment, known.settled);
        }
        state.lanes.insert(state.next_lane, lane);
        state.next_lane += 1;
    }

    /// What of a segment's records `lane` has settled.
    fn settled(&self, segment: &Segment, lane: &Lane) -> Known {
        let (first, end) = (segment.first_seq, segment.end_seq);
        match lane.acks.unsettled(first..end) {
            // Nobody reads it any more: whatever became of its bytes, it must not be held.
            0 => return Known { settled: segment.counts, ..Known::default() },
            all if all == end - first => return Known::default(),
            _ => {}
        }
        let known = self.compare(segment, &lane.acks, false);
        // A body that was bad when the segment was verified is none of its records.
        if known.found.minus(&segment.counts) != PerSignal::default() {
            return self.compare(segment, &lane.acks, true);
        }
        known
    }

    /// The best of some walks: what is wrong on the way from the disk alone is not missing.
    fn compare(&self, segment: &Segment, acks: &Acks, verify: bool) -> Known {
        let mut best = self.look(segment, acks, verify);
        for _ in 1..ATTEMPTS {
            if best.found == segment.counts {
                break;
            }
            let again = self.look(segment, acks, verify);
            if again.found.total().requests > best.found.total().requests {
                best = again;
            }
        }
        best
    }

    fn look(&self, segment: &Segment, acks: &Acks, verify: bool) -> Known {
        let (first, end) = (segment.first_seq, segment.end_seq);
        let path = segment_path(&self.config.directory, first);
        let mut known = Known::default();
        let mut unsettled = acks.unsettled(first..end);
        let mut acknowledged = end - first - unsettled;
        let scanner = self.deps.fs.open(&path).ok().and_then(|file| Scanner::open(file).ok());
        if let Some(mut scanner) = scanner {
            let visit = |header: &Header, _: &[u8]| {
                let class = header.class().filter(|_| header.kind == Kind::Data);
                let Some(class) = class else { return };
                known.found.get_mut(class).add_one(header.items);
                if acks.contains(header.seq) {
                    known.settled.get_mut(class).add_one(header.items);
                    acknowledged -= 1;
                } else {
                    unsettled -= 1;
                }
            };
            // What a failing disk hides is found again, as damage, when it is read.
            drop(walk(&mut scanner, Some(end), verify, &mut Walked::default(), visit));
        }
        let missing = segment.counts.minus(&known.found);
        match (acknowledged, unsettled) {
            (0, _) => {}
            (_, 0) => known.settled.add(&missing),
            _ => known.missing = missing,
        }
        known
    }
}

/// Makes every restored lane's ledger balance. Records that were lost on disk are known by what is
/// missing: what one lane settled had been accepted, and what another has neither settled nor left
/// to read is dropped. Returns how many requests the lane that misses most of a signal does, over all signals: of those that hold
/// what they have not got. What another misses may have been let go at the cap.
fn balance(state: &mut State) -> u64 {
    let mut lost = 0;
    for class in Class::ALL {
        let accounted = |lane: &Lane| {
            let held = state.segments.iter().map(|s| lane.held_of(s, class));
            lane.accounted(class).plus(held.fold(Count::default(), Count::plus))
        };
        let reading = |lane: &&Lane| lane.config.signals.contains(class);
        let most = state.lanes.values().filter(reading).map(accounted).fold(
            state.accepted.get(class),
            |most, count| Count {
                requests: most.requests.max(count.requests),
                items: most.items.max(count.items),
            },
        );
        let missing: Vec<_> =
            state.lanes.values().map(|lane| most.minus(accounted(lane))).collect();
        *state.accepted.get_mut(class) = most;
        let holds = |lane: &Lane| reading(&lane) && lane.config.when_full == WhenFull::Reject;
        let held = state.lanes.values().zip(&missing).filter(|(lane, _)| holds(lane));
        lost += held.map(|(_, missing)| missing.requests).max().unwrap_or(0);
        for (lane, missing) in state.lanes.values_mut().zip(missing) {
            lane.write_off(class, DropReason::Corrupt, missing);
        }
    }
    lost
}

/// What of one segment's records a lane needs no more.
#[derive(Default)]
struct Known {
    settled: PerSignal,
    /// Records that are there.
    found: PerSignal,
    /// Unreadable: settled or not.
    missing: PerSignal,
}
