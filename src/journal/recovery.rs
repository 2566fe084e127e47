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

use super::format::{
    BadHeader, Header, Identity, Kind, SEAL, SEGMENT_HEADER, decode_seal, encode_seal, seal_header,
};
use super::fs::{FsFile, write_all_at};
use super::group::Group;
use super::handle::{Deps, Recovery, Removed, add_lane};
use super::lane::Lane;
use super::ledger::{Count, PerSignal};
use super::log::segment_path;
use super::scan::{Scanner, Step, Unscannable};
use super::segment::Segment;
use super::snapshot::{SavedReader, Snapshot};
use super::state::State;
use super::{Class, Config, OpenError, ReaderConfig};

/// What a walk over one segment found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// The records it has.
    pub(super) segment: Segment,
    /// A seal ended it.
    sealed: bool,
    /// Where intact records end.
    good_end: u64,
    /// Something follows of which nothing says that it was acknowledged.
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
    walked.segment = Segment::starting_at(scanner.header.first_seq);
    walked.segment.file.compressed = scanner.header.blocks;
    walked.segment.file.sealed = true;
    walked.good_end = SEGMENT_HEADER as u64;
    let certain = end.is_some();
    let end = end.unwrap_or(u64::MAX);
    // Intact data records after a bad one, of which it is not known yet that they were acknowledged.
    let mut doubtful: Vec<(Header, u64)> = Vec::new();
    while walked.segment.end_seq < end && !walked.sealed {
        let step = scanner.step(|header| verify || header.kind != Kind::Data)?;
        let (header, payload, offset) = match step {
            Step::Record { header, payload, offset, .. } => (header, payload, offset),
            Step::BadBody | Step::Gap => {
                walked.torn = true;
                continue;
            }
            Step::End => break,
        };
        let expected = walked.segment.end_seq;
        if walked.torn && !certain && acknowledged(&header).is_none_or(|seq| seq < expected) {
            match header.kind {
                Kind::Data => doubtful.push((header, offset + header.len())),
                // True in itself, wherever it stands.
                _ => visit(&header, &payload),
            }
            continue;
        }
        walked.torn = false;
        doubtful.drain(..).for_each(|(header, _)| walked.take(&header, end, &mut visit));
        match header.kind {
            Kind::Data if header.seq >= end => break,
            Kind::Data => walked.take(&header, end, &mut visit),
            Kind::Seal | Kind::Ack => {
                walked.sealed = header.kind == Kind::Seal;
                let known = acknowledged(&header).map_or(0, |seq| (seq + 1).min(end));
                walked.miss(known);
                visit(&header, &payload);
            }
            Kind::State | Kind::Block => visit(&header, &payload),
        }
        if !scanner.header.blocks {
            walked.good_end = offset + header.len();
        }
    }
    // Between them and what is certain no record is missing.
    for (header, header_end) in doubtful {
        if header.seq == walked.segment.end_seq {
            walked.take(&header, end, &mut visit);
            walked.good_end = header_end;
        }
    }
    Ok(())
}

/// The last sequence of which a record says that it had been acknowledged when it was written.
fn acknowledged(header: &Header) -> Option<u64> {
    match header.kind {
        Kind::Data => Some(header.durable_seq),
        Kind::Ack => Some(header.seq),
        Kind::Seal => header.seq.checked_sub(1),
        Kind::State | Kind::Block => None,
    }
}

impl Walked {
    fn take(&mut self, header: &Header, end: u64, visit: &mut impl FnMut(&Header, &[u8])) {
        let Some(class) = header.class() else { return };
        if header.seq < self.segment.end_seq || header.seq >= end {
            return;
        }
        self.miss(header.seq);
        let bytes = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
        self.segment.record(header.seq, class, header.items, bytes, header.received);
        visit(header, &[]);
    }

    /// What is missing up to `seq` is lost.
    fn miss(&mut self, seq: u64) {
        let lost = seq.saturating_sub(self.segment.end_seq);
        self.lost += lost;
        self.segment.file.damaged |= lost > 0;
        self.segment.end_seq = self.segment.end_seq.max(seq);
    }
}

/// Makes every restored lane's ledger balance. Records that were lost on disk are known by what is
/// missing: what one lane settled had been accepted, and what another has neither settled nor left
/// to read is dropped.
fn balance(state: &mut State) {
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
        for (lane, missing) in state.lanes.values_mut().zip(missing) {
            lane.write_off(class, missing);
        }
    }
}

/// The sequence in the name of a file of that kind.
fn first_seq_of(name: &str, suffix: &str) -> Option<u64> {
    name.strip_suffix(suffix).filter(|digits| digits.len() == 20)?.parse().ok()
}

/// The state that the files say, and the report of the start. The directory is locked.
pub(super) fn recover(
    config: &Config,
    readers: Vec<ReaderConfig>,
    deps: &Deps,
) -> Result<(State, Recovery), OpenError> {
    recover_for(config, |_| readers, deps)
}

/// The same for the readers that `readers` makes of what is on disk.
pub(super) fn recover_for(
    config: &Config,
    readers: impl FnOnce(&Snapshot) -> Vec<ReaderConfig>,
    deps: &Deps,
) -> Result<(State, Recovery), OpenError> {
    let mut recovery = Recovery::default();
    let mut start = Start { config, deps, recovery: &mut recovery };
    let (files, floor) = start.files()?;
    let (segments, snapshot) = start.segments(&files);
    let end = segments.last().map_or(1, |s| s.end_seq).max(floor);
    let settled = |acks: &super::acks::Acks| acks.ranges().map(|r| r.end).max();
    let settled = snapshot
        .readers
        .iter()
        .map(|r| settled(&r.acks).unwrap_or(0).max(r.acks.watermark()))
        .max();
    let mut state = State::new(config.tail_size, end.max(settled.unwrap_or(0)));
    let mut names = files.iter().rev().map(|found| found.journal);
    state.identity = names.find(|name| name.is_known()).unwrap_or(state.identity);
    state.accepted = snapshot.accepted;
    state.departed.rows = snapshot.departed.clone().unwrap_or_default().into();
    state.last_received = segments.iter().map(|s| s.last_received).max().unwrap_or_default();
    state.progress = deps.clock.monotonic();
    state.segments = segments.into();
    let readers = readers(&snapshot);
    start.lanes(&mut state, readers, snapshot);
    recovery.segments = state.segments.len();
    recovery.records = state.segments.iter().map(|s| s.counts.total().requests).sum();
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
    /// Where the next file begins, readable or not.
    end: Option<u64>,
    file: Arc<dyn FsFile>,
    journal: Identity,
}

/// Whether an error says something about this process or its rights rather than about a file.
fn is_our_own(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::OutOfMemory)
        || matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
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
        let (mut found, mut bad, mut floor) = (Vec::new(), Vec::new(), 1);
        let starts: Vec<u64> = names.iter().filter_map(|name| first_seq_of(name, ".seg")).collect();
        for name in &names {
            let path = directory.join(name);
            if let Some(first_seq) = first_seq_of(name, ".corrupt") {
                floor = floor.max(self.beyond(&path, first_seq));
            }
            let Some(first_seq) = first_seq_of(name, ".seg") else { continue };
            let end = starts.iter().copied().find(|&start| start > first_seq);
            let open = || {
                let file = fs.open(&path).map_err(Unscannable::Io)?;
                Ok((Scanner::open(Arc::clone(&file))?.header, file))
            };
            let again = |error| match error {
                Unscannable::Io(_) => open(),
                Unscannable::Header(_) => Err(error),
            };
            // An error of the disk may pass; to set a file aside for it would cost its records.
            match open().or_else(again).or_else(again) {
                Ok((header, file)) if header.first_seq == first_seq => {
                    let journal = header.journal;
                    found.push(Found { path, first_seq, end, file, journal });
                }
                Err(Unscannable::Io(source)) if is_our_own(&source) => {
                    return Err(OpenError::Io { operation: "open", path, source });
                }
                Err(Unscannable::Header(BadHeader::Newer(version))) => {
                    let known = super::format::VERSION;
                    return Err(OpenError::Newer { path, version, known });
                }
                Ok(_) | Err(_) => bad.push((path, first_seq, end)),
            }
        }
        for name in names.iter().filter(|name| name.ends_with(".seg.tmp")) {
            let path = directory.join(name);
            fs.remove(&path).map_err(io("remove", &path))?;
        }
        for (path, first_seq, end) in bad {
            self.recovery.lost_records += end.map_or(0, |end| end - first_seq);
            floor = floor.max(end.unwrap_or_else(|| self.beyond(&path, first_seq)));
            self.quarantine(&path);
        }
        floor = floor.max(found.last().map_or(1, |f| f.first_seq));
        Ok((found, floor))
    }

    /// A sequence that no record of an unreadable file can have reached.
    fn beyond(&self, path: &Path, first_seq: u64) -> u64 {
        let len = self.deps.fs.open(path).and_then(|file| file.len()).unwrap_or(0);
        first_seq.saturating_add(len / super::format::RECORD_HEADER as u64 + 1)
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
            let end = found.end;
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
                        if let Some(class) = header.class() {
                            snapshot.accepted.get_mut(class).add_one(header.items);
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
        let mut segment = decode_seal(found.first_seq, &header, &payload)
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
        let whole = walk(&mut scanner, end, newest, &mut walked, visit);
        self.recovery.lost_records += walked.lost;
        walked.segment.size = scanner.file_len();
        if let Err(error) = whole {
            // What follows may be acknowledged: it stays, and its sequences are not given out.
            tracing::warn!(error = %error, path = %found.path.display(), "a segment cannot be read");
            walked.segment.file.damaged = true;
            let beyond = self.beyond(&found.path, found.first_seq);
            walked.segment.end_seq = end.unwrap_or(beyond).max(walked.segment.end_seq);
        } else if newest && !walked.sealed {
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
        group.push(seal_header(&walked.segment, &payload), &[], &payload);
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
            let same = |s: &SavedReader| s.name == reader.name && s.signals == reader.signals;
            let known = saved.iter().position(|s| same(s) && reader.durable);
            match known.map(|at| saved.remove(at)) {
                Some(known) => self.restore(state, reader, known),
                None => unknown.push(reader),
            }
        }
        balance(state);
        // They begin at what is accepted, which is known from here on.
        unknown.into_iter().for_each(|reader| add_lane(state, reader));
        for gone in saved {
            let reader = gone.name.clone();
            let config = gone.config();
            self.restore(state, config, gone);
            let Some((_, lane)) = state.lanes.pop_last() else { continue };
            let dropped = state.depart(lane);
            self.recovery.removed.push(Removed { reader, dropped });
        }
    }

    fn restore(&self, state: &mut State, config: ReaderConfig, saved: SavedReader) {
        let mut lane = Lane::new(config, saved.acks, saved.totals);
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
        if end <= lane.acks.watermark() {
            return Known { settled: segment.counts, ..Known::default() };
        }
        let ranges_touch = || lane.acks.ranges().any(|r| r.start < end && r.end > first);
        if lane.acks.watermark() <= first && !ranges_touch() {
            return Known::default();
        }
        let path = segment_path(&self.config.directory, first);
        let (mut settled, mut found) = (PerSignal::default(), PerSignal::default());
        let scanner = self.deps.fs.open(&path).ok().and_then(|file| Scanner::open(file).ok());
        if let Some(mut scanner) = scanner {
            let visit = |header: &Header, _: &[u8]| {
                let class = header.class().filter(|_| header.kind == Kind::Data);
                let Some(class) = class else { return };
                found.get_mut(class).add_one(header.items);
                if lane.acks.contains(header.seq) {
                    settled.get_mut(class).add_one(header.items);
                }
            };
            // What a failing disk hides is found again, as damage, when it is read.
            drop(walk(&mut scanner, Some(end), false, &mut Walked::default(), visit));
        }
        Known { settled, missing: segment.counts.minus(&found) }
    }
}

/// What of one segment's records a lane needs no more.
#[derive(Default)]
struct Known {
    settled: PerSignal,
    /// Unreadable: settled or not.
    missing: PerSignal,
}
