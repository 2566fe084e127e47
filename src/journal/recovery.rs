//! The start: from whatever files are there to a state that holds everything acknowledged.
//!
//! 1. Every segment header is read; a newer format ends the start before anything is changed.
//! 2. Files that are no segments are set aside as `.corrupt`; half-made ones (`.tmp`) are removed.
//! 3. From the newest intact state record on, segments are walked for acknowledgements and counts;
//!    older ones are believed by their seal. The newest is verified byte by byte, its torn tail cut
//!    off: that is what follows a bad record when no later record says it had been acknowledged.
//! 4. Readers get their cursors back; segments that a cursor lies in are walked by header. Whatever
//!    the ledger then misses was lost, and is counted as dropped{corrupt}.
//!
//! One bad record or file never blocks the start. Cost: one read of the newest segment, headers of
//! at most a few, 64 + 172 bytes of every other.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::{BadHeader, Header, Kind, SEAL, SEGMENT_HEADER, decode_seal, encode_seal};
use super::fs::{FsFile, write_all_at};
use super::handle::{Deps, Recovery, Removed, add_lane};
use super::lane::Lane;
use super::ledger::{Count, PerSignal};
use super::log::{Group, segment_path};
use super::scan::{Scanner, Step, Unscannable};
use super::segment::Segment;
use super::snapshot::{SavedReader, Snapshot};
use super::state::State;
use super::{Config, OpenError, ReaderConfig};
use crate::signal::Signal;

/// What a walk over one segment found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// The records it has.
    pub(super) segment: Segment,
    /// A seal ended it.
    sealed: bool,
    /// Where intact records end.
    good_end: u64,
    /// Something that was never acknowledged follows.
    torn: bool,
    /// Records that are missing in between.
    pub(super) lost: u64,
}

/// Walks a segment whose successor begins with `end`. Without `verify`, bodies are not read.
///
/// # Errors
/// The disk's; `walked` then holds what was found before.
pub(super) fn walk(
    scanner: &mut Scanner,
    end: Option<u64>,
    verify: bool,
    walked: &mut Walked,
    mut visit: impl FnMut(&Header, &[u8]),
) -> io::Result<()> {
    let first_seq = scanner.header.first_seq;
    walked.segment = Segment::starting_at(first_seq);
    walked.good_end = SEGMENT_HEADER as u64;
    let mut bad: Option<u64> = None;
    let end = end.unwrap_or(u64::MAX);
    while walked.segment.end_seq < end {
        let step = scanner.step(|header| verify || header.kind != Kind::Data)?;
        let (header, payload, offset) = match step {
            Step::Record { header, payload, offset, .. } => (header, payload, offset),
            Step::BadBody | Step::Gap => {
                bad.get_or_insert(walked.segment.end_seq);
                continue;
            }
            Step::End => break,
        };
        if bad.is_some_and(|expected| header.kind == Kind::Data && header.durable_seq < expected) {
            continue;
        }
        bad = bad.filter(|_| header.kind == Kind::Ack);
        match header.kind {
            Kind::Data if header.seq >= end => break,
            Kind::Data if header.seq < walked.segment.end_seq => continue,
            Kind::Data => {
                walked.lost += header.seq - walked.segment.end_seq;
                let Some(signal) = Signal::from_code(header.signal) else { continue };
                let bytes = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
                walked.segment.record(header.seq, signal, header.items, bytes, header.received);
            }
            Kind::Seal => {
                walked.sealed = true;
                if let Some(seal) = decode_seal(first_seq, &payload) {
                    walked.lost += seal.end_seq.saturating_sub(walked.segment.end_seq);
                    walked.segment.end_seq = walked.segment.end_seq.max(seal.end_seq.min(end));
                }
            }
            Kind::Ack | Kind::State | Kind::Block => {}
        }
        visit(&header, &payload);
        if !scanner.header.blocks {
            walked.good_end = offset + header.len();
        }
        if walked.sealed {
            break;
        }
    }
    walked.torn = bad.is_some();
    walked.segment.file.damaged = walked.lost > 0;
    walked.segment.file.compressed = scanner.header.blocks;
    walked.segment.file.sealed = true;
    Ok(())
}

/// Makes every restored lane's ledger balance. Records that were lost on disk are known by what is
/// missing: what one lane settled had been accepted, and what another has neither settled nor left
/// to read is dropped.
fn balance(state: &mut State) {
    for signal in Signal::ALL {
        let accounted = |lane: &Lane| {
            let held = state.segments.iter().map(|s| lane.held_of(s, signal));
            lane.accounted(signal).plus(held.fold(Count::default(), Count::plus))
        };
        let reading = |lane: &&Lane| lane.config.signals.contains(signal);
        let most = state.lanes.values().filter(reading).map(accounted).fold(
            state.accepted.get(signal),
            |most, count| Count {
                requests: most.requests.max(count.requests),
                items: most.items.max(count.items),
            },
        );
        let missing: Vec<_> =
            state.lanes.values().map(|lane| most.minus(accounted(lane))).collect();
        *state.accepted.get_mut(signal) = most;
        for (lane, missing) in state.lanes.values_mut().zip(missing) {
            lane.write_off(signal, missing);
        }
    }
}

/// The state that the files say, and the report of the start. The directory is locked.
pub(super) fn recover(
    config: &Config,
    readers: Vec<ReaderConfig>,
    deps: &Deps,
) -> Result<(State, Recovery), OpenError> {
    let mut recovery = Recovery::default();
    let mut start = Start { config, deps, recovery: &mut recovery };
    let (files, floor) = start.files()?;
    let (segments, snapshot) = start.segments(&files);
    let end = segments.last().map_or(1, |s| s.end_seq).max(floor);
    let watermarks = snapshot.readers.iter().map(|r| r.acks.watermark()).max();
    let mut state = State::new(config.tail_size, end.max(watermarks.unwrap_or(0)));
    state.accepted = snapshot.accepted;
    state.last_received = segments.iter().map(|s| s.last_received).max().unwrap_or_default();
    state.progress = deps.clock.monotonic();
    state.segments = segments.into();
    start.lanes(&mut state, readers, snapshot);
    recovery.segments = state.segments.len();
    recovery.records =
        state.segments.iter().map(|s| s.counts.sum(super::SignalSet::ALL).requests).sum();
    state.lost_records = recovery.lost_records;
    for lane in state.lanes.values().filter(|lane| lane.config.durable) {
        recovery.undelivered.push((lane.config.name.clone(), state.queued(lane)));
    }
    Ok((state, recovery))
}

struct Start<'a> {
    config: &'a Config,
    deps: &'a Deps,
    recovery: &'a mut Recovery,
}

struct Found {
    path: PathBuf,
    first_seq: u64,
    file: Arc<dyn FsFile>,
}

impl Start<'_> {
    /// The readable segments, oldest first, and a sequence that none of the others can have reached.
    fn files(&mut self) -> Result<(Vec<Found>, u64), OpenError> {
        let directory = &self.config.directory;
        let fs = &self.deps.fs;
        let io = |operation, path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io { operation, path, source }
        };
        let mut names = fs.list(directory).map_err(io("list", directory))?;
        names.sort();
        let (mut found, mut bad) = (Vec::new(), Vec::new());
        for name in &names {
            let path = directory.join(name);
            let Some(first_seq) = name.strip_suffix(".seg").and_then(|n| n.parse::<u64>().ok())
            else {
                continue;
            };
            let opened = fs.open(&path).map_err(Unscannable::Io);
            match opened.and_then(|file| Ok((Scanner::open(Arc::clone(&file))?.header, file))) {
                Ok((header, file)) if header.first_seq == first_seq => {
                    found.push(Found { path, first_seq, file });
                }
                Err(Unscannable::Header(BadHeader::Newer(version))) => {
                    let known = super::format::VERSION;
                    return Err(OpenError::Newer { path, version, known });
                }
                Ok(_) | Err(_) => bad.push((path, first_seq)),
            }
        }
        for name in names.iter().filter(|name| name.ends_with(".seg.tmp")) {
            let path = directory.join(name);
            fs.remove(&path).map_err(io("remove", &path))?;
        }
        let mut floor = 1;
        for (path, first_seq) in bad {
            let next = found.iter().map(|f| f.first_seq).find(|&next| next > first_seq);
            self.recovery.lost_records += next.map_or(0, |next| next - first_seq);
            let len = fs.open(&path).and_then(|file| file.len()).unwrap_or(0);
            floor = floor.max(first_seq + len / super::format::RECORD_HEADER as u64 + 1);
            self.quarantine(&path);
        }
        floor = floor.max(found.last().map_or(1, |f| f.first_seq));
        Ok((found, floor))
    }

    fn quarantine(&mut self, path: &Path) {
        let aside = path.with_extension("corrupt");
        match self.deps.fs.rename(path, &aside) {
            Ok(()) => self.recovery.quarantined.push(aside),
            Err(error) => {
                tracing::warn!(error = %error, path = %path.display(), "cannot set a bad file aside");
            }
        }
    }

    /// Summaries of all segments, and what the newest state and ack records say.
    fn segments(&mut self, files: &[Found]) -> (Vec<Segment>, Snapshot) {
        let newest_state = files.iter().enumerate().rev().find_map(|(at, found)| {
            let mut scanner = Scanner::open(Arc::clone(&found.file)).ok()?;
            match scanner.step(|_| true).ok()? {
                Step::Record { header, payload, .. } if header.kind == Kind::State => {
                    Some((at, Snapshot::decode(&payload)?))
                }
                _ => None,
            }
        });
        let (from, mut snapshot) = newest_state.unwrap_or_default();
        let mut segments = Vec::new();
        for (at, found) in files.iter().enumerate() {
            let end = files.get(at + 1).map(|next| next.first_seq);
            let sealed = if at < from { self.sealed(found, end) } else { None };
            let segment = sealed.unwrap_or_else(|| {
                let newest = end.is_none();
                self.walk_at_start(found, end, newest, |header, payload| match header.kind {
                    _ if at < from => {}
                    Kind::Ack => {
                        if let Some(later) = Snapshot::decode(payload) {
                            snapshot.update(later);
                        }
                    }
                    Kind::Data => {
                        if let Some(signal) = Signal::from_code(header.signal) {
                            snapshot.accepted.get_mut(signal).add_one(header.items);
                        }
                    }
                    Kind::State | Kind::Seal | Kind::Block => {}
                })
            });
            segments.push(segment);
        }
        (segments, snapshot)
    }

    /// The summary at the end of a sealed segment.
    fn sealed(&self, found: &Found, end: Option<u64>) -> Option<Segment> {
        let mut scanner = Scanner::open(Arc::clone(&found.file)).ok()?;
        let at = scanner.file_len().checked_sub(SEAL as u64)?;
        scanner.seek(at);
        let Step::Record { header, payload, .. } = scanner.step(|_| true).ok()? else {
            return None;
        };
        let mut segment = decode_seal(found.first_seq, &payload)
            .filter(|s| header.kind == Kind::Seal && end.is_none_or(|end| s.end_seq <= end))?;
        segment.size = scanner.file_len();
        segment.file.compressed = scanner.header.blocks;
        Some(segment)
    }

    fn walk_at_start(
        &mut self,
        found: &Found,
        end: Option<u64>,
        newest: bool,
        visit: impl FnMut(&Header, &[u8]),
    ) -> Segment {
        let mut walked = Walked::default();
        let Ok(mut scanner) = Scanner::open(Arc::clone(&found.file)) else {
            return Segment::starting_at(found.first_seq);
        };
        if let Err(error) = walk(&mut scanner, end, newest, &mut walked, visit) {
            tracing::warn!(error = %error, path = %found.path.display(), "a segment cannot be read");
            walked.segment.file.damaged = true;
        }
        self.recovery.lost_records += walked.lost;
        walked.segment.size = scanner.file_len();
        if newest && !walked.sealed {
            self.recovery.torn_tail |= walked.torn;
            match self.seal(found, &scanner, &walked) {
                Ok(size) => walked.segment.size = size,
                Err(error) => tracing::warn!(error = %error, "cannot end the newest segment"),
            }
        }
        walked.segment
    }

    /// Cuts the torn tail off and ends the segment, so that no later start has to read it.
    fn seal(&self, found: &Found, scanner: &Scanner, walked: &Walked) -> io::Result<u64> {
        found.file.set_len(walked.good_end)?;
        let payload = encode_seal(&walked.segment);
        let mut group = Group::new(scanner.header.salt, walked.good_end);
        group.push(Header::of(Kind::Seal, walked.segment.end_seq, &payload), &[], &payload);
        let end = group.end;
        let bytes = group.into_bytes();
        write_all_at(&*found.file, &mut [IoSlice::new(&bytes)], walked.good_end)?;
        found.file.sync()?;
        Ok(end)
    }

    fn lanes(&mut self, state: &mut State, readers: Vec<ReaderConfig>, snapshot: Snapshot) {
        let mut saved = snapshot.readers;
        let mut unknown = Vec::new();
        for reader in readers {
            let known = saved.iter().position(|s| s.name == reader.name);
            let known = known.map(|at| saved.swap_remove(at));
            match known.filter(|s| s.signals == reader.signals && reader.durable) {
                Some(known) => self.restore(state, reader, known),
                None => unknown.push(reader),
            }
        }
        balance(state);
        // They begin at what is accepted, which is known from here on.
        unknown.into_iter().for_each(|reader| add_lane(state, reader));
        for gone in saved {
            let reader = gone.name.clone();
            let config = ReaderConfig {
                name: gone.name.clone(),
                signals: gone.signals,
                durable: true,
                start: super::Start::Oldest,
                when_full: super::WhenFull::Reject,
            };
            self.restore(state, config, gone);
            let removed = state.lanes.pop_last().map(|(_, lane)| state.queued(&lane));
            let dropped = removed.unwrap_or_default();
            self.recovery.removed.push(Removed { reader, dropped });
        }
    }

    fn restore(&self, state: &mut State, config: ReaderConfig, saved: SavedReader) {
        let mut lane = Lane::new(config, saved.acks, saved.totals);
        lane.redelivered_below = state.next_seq;
        lane.progress = state.progress;
        for segment in &state.segments {
            let settled = self.settled(segment, &lane);
            lane.adopt(segment, settled);
        }
        state.lanes.insert(state.next_lane, lane);
        state.next_lane += 1;
    }

    /// What of a segment's records `lane` has settled.
    fn settled(&self, segment: &Segment, lane: &Lane) -> PerSignal {
        let (first, end) = (segment.first_seq, segment.end_seq);
        if end <= lane.acks.watermark() {
            return segment.counts;
        }
        let ranges_touch = || lane.acks.ranges().any(|r| r.start < end && r.end > first);
        if lane.acks.watermark() <= first && !ranges_touch() {
            return PerSignal::default();
        }
        let path = segment_path(&self.config.directory, first);
        let mut settled = PerSignal::default();
        let scanner = self.deps.fs.open(&path).ok().and_then(|file| Scanner::open(file).ok());
        if let Some(mut scanner) = scanner {
            let visit = |header: &Header, _: &[u8]| {
                let signal = Signal::from_code(header.signal).filter(|_| header.kind == Kind::Data);
                if let Some(signal) = signal.filter(|_| lane.acks.contains(header.seq)) {
                    settled.get_mut(signal).add_one(header.items);
                }
            };
            // What a failing disk hides is found again, as damage, when it is read.
            drop(walk(&mut scanner, Some(end), false, &mut Walked::default(), visit));
        }
        settled
    }
}
