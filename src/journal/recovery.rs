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
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::acks::Acks;
use super::departed::Removed;
use super::format::{
    BadHeader, Identity, Kind, SEAL, SEGMENT_HEADER, decode_seal, encode_seal, seal_header,
};
use super::fs::{FsFile, gives_some_byte, read_full_at, write_all_at};
use super::group::Group;
use super::ledger::Count;
use super::scan::{Scanner, Step, Unscannable};
use super::segment::Segment;
use super::snapshot::Snapshot;
use super::state::State;
use super::walk::{ATTEMPTS, Attempt, Walked, attempt};
use super::{Config, Deps, OpenError, ReaderConfig};

mod readers;

/// What a start found.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// Segments kept.
    pub segments: usize,
    /// Records in them, delivered or not.
    pub records: u64,
    /// Whether the newest segment ended in something that was never acknowledged; it is cut off.
    pub torn_tail: bool,
    /// Records that cannot be read, found at the start.
    pub lost_records: u64,
    /// More of which no file says anything, nor that they were delivered: files are missing or cut short, or power failed while
    /// the disk was too full for that note.
    pub missing_records: u64,
    /// Files set aside as `.corrupt`.
    pub quarantined: Vec<PathBuf>,
    /// One of them that was the newest, and not empty: nothing says how many acknowledged records are in it.
    pub uncounted: Option<PathBuf>,
    /// Per reader, what it has not delivered.
    pub undelivered: Vec<(String, Count)>,
    /// Durable readers on disk that are not configured: their records were released.
    pub removed: Vec<Removed>,
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
    let mut start = Start { config, deps, recovery: &mut recovery, lost: Vec::new() };
    let (files, floor) = start.files()?;
    let (segments, snapshot) = start.segments(&files);
    let end = segments.last().map_or(1, |s| s.end_seq).max(floor);
    let settled = |acks: &Acks| acks.ranges().map(|r| r.end).max();
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
    // The newest, not the latest: the clock may have been set right between them.
    let received = segments.iter().rev().map(|s| s.last_received);
    state.last_received = { received }.find(|at| at.0 > 0).unwrap_or_default();
    state.progress = deps.clock.monotonic();
    state.segments = segments.into();
    let readers = readers(&snapshot);
    start.count_lost(&snapshot);
    start.lanes(&mut state, readers, snapshot);
    recovery.segments = state.segments.len();
    recovery.records = state.segments.iter().map(|s| s.counts.total().requests).sum();
    state.lost_records = recovery.lost_records;
    state.missing_records = recovery.missing_records;
    state.uncounted.clone_from(&recovery.uncounted);
    for lane in state.lanes.values().filter(|lane| lane.config.durable) {
        recovery.undelivered.push((lane.config.name.clone(), state.queued(lane)));
    }
    Ok((state, recovery))
}

struct Start<'a> {
    config: &'a Config,
    deps: &'a Deps,
    recovery: &'a mut Recovery,
    /// Sequences whose records are in no segment.
    lost: Vec<Range<u64>>,
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
pub(super) fn is_our_own(error: &io::Error) -> bool {
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
        // Where one began that was set aside, the one before it ends all the same.
        let start = |name| first_seq_of(name, ".seg").or_else(|| first_seq_of(name, ".corrupt"));
        let starts: Vec<u64> = names.iter().filter_map(|name| start(name)).collect();
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
                Unscannable::Header(BadHeader::Newer(_)) => Err(error),
                Unscannable::Io(_) | Unscannable::Header(_) => open(),
            };
            // An error of the disk may pass; to set a file aside for it would cost its records.
            match open().or_else(again).or_else(again) {
                Ok((header, file)) if header.first_seq == first_seq => {
                    let journal = header.journal;
                    found.push(Found { path, first_seq, end, file, journal });
                }
                Err(Unscannable::Io(source))
                    if is_our_own(&source) || !self.reads_anything(&names) =>
                {
                    return Err(OpenError::Io { operation: "read", path, source });
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
            self.lost.extend(end.map(|end| first_seq..end));
            floor = floor.max(end.unwrap_or_else(|| self.beyond(&path, first_seq)));
            let uncounted = end.is_none() && self.has_content(&path);
            let aside = self.quarantine(&path);
            if uncounted && let Some(aside) = aside {
                let path = aside.display();
                tracing::error!(%path, "set aside as unreadable: what was acknowledged last may have been in it");
                self.recovery.uncounted = Some(aside);
            }
        }
        floor = floor.max(found.last().map_or(1, |f| f.first_seq));
        Ok((found, floor))
    }

    /// Whether some byte of some segment can be read: then what cannot be is where that lies, and not the whole disk.
    fn reads_anything(&self, names: &[String]) -> bool {
        let segments = names.iter().filter(|name| first_seq_of(name, ".seg").is_some());
        segments.into_iter().any(|name| {
            let path = self.config.directory.join(name);
            (0..ATTEMPTS).any(|_| gives_some_byte(&*self.deps.fs, &path))
        })
    }

    /// A sequence that no record of an unreadable file can have reached.
    fn beyond(&self, path: &Path, first_seq: u64) -> u64 {
        let len = self.deps.fs.open(path).and_then(|file| file.len()).unwrap_or(0);
        first_seq.saturating_add(len / super::format::RECORD_HEADER as u64 + 1)
    }

    /// Whether something was written behind the header: in what power loss leaves of a new file nothing was.
    fn has_content(&self, path: &Path) -> bool {
        let Ok(file) = self.deps.fs.open(path) else { return false };
        let mut bytes = vec![0; 64 << 10];
        let mut at = SEGMENT_HEADER as u64;
        loop {
            match read_full_at(&*file, &mut bytes, at) {
                Ok(0) => return false,
                Ok(read) if bytes.iter().take(read).all(|&byte| byte == 0) => at += read as u64,
                Ok(_) | Err(_) => return true,
            }
        }
    }

    /// Where it is now.
    fn quarantine(&mut self, path: &Path) -> Option<PathBuf> {
        let aside = path.with_extension("corrupt");
        match self.deps.fs.rename(path, &aside) {
            Ok(()) => {
                self.recovery.quarantined.push(aside.clone());
                Some(aside)
            }
            Err(error) => {
                tracing::warn!(error = %error, path = %path.display(), "cannot set a bad file aside");
                None
            }
        }
    }

    /// Summaries of all segments, and what the newest state and ack records say.
    fn segments(&mut self, files: &[Found]) -> (Vec<Segment>, Snapshot) {
        let state = |found: &Found| {
            let mut scanner = Scanner::open(Arc::clone(&found.file)).ok()?;
            match scanner.step(|_| true).ok()? {
                Step::Record { header, payload, .. } if header.kind == Kind::State => {
                    Snapshot::decode(&payload)
                }
                _ => None,
            }
        };
        let newest_state = files.iter().enumerate().rev().find_map(|(at, found)| {
            let state = (0..ATTEMPTS).find_map(|_| state(found));
            state.map(|state| (at, state))
        });
        let (from, mut snapshot) = newest_state.unwrap_or_default();
        let mut segments = Vec::new();
        for (at, found) in files.iter().enumerate() {
            let end = found.end;
            let sealed = if at < from { self.sealed(found, end) } else { None };
            let segment = match sealed {
                Some(segment) => segment,
                None => match attempt(&found.file, found.end, at >= from, &snapshot) {
                    None => Segment::starting_at(found.first_seq),
                    Some(attempt) => {
                        snapshot.clone_from(&attempt.snapshot);
                        self.take(found, attempt)
                    }
                },
            };
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

    /// Takes note of what a walk over a segment found, and ends it if it was not.
    fn take(&mut self, found: &Found, attempt: Attempt) -> Segment {
        let Attempt { scanner, mut walked, whole, .. } = attempt;
        let (end, newest) = (found.end, found.end.is_none());
        if !walked.lost.is_empty() {
            // Kept for whoever wants to look at it, once its readers have the rest.
            walked.segment.file.damaged = true;
            let path = found.path.display();
            tracing::error!(path = %path, "acknowledged records in a segment of the journal cannot be read");
        }
        self.lost.append(&mut walked.lost);
        walked.segment.size = scanner.file_len();
        walked.segment.file.open_ended = !walked.sealed;
        if let Err(error) = whole {
            // What follows may be acknowledged: it stays, and its sequences are not given out.
            tracing::warn!(error = %error, path = %found.path.display(), "a segment cannot be read");
            walked.segment.file.damaged = true;
            let beyond = self.beyond(&found.path, found.first_seq);
            walked.segment.end_seq = end.unwrap_or(beyond).max(walked.segment.end_seq);
        } else if newest && !walked.sealed {
            self.recovery.torn_tail |= walked.torn;
            match self.seal(found, &scanner, &walked) {
                Ok(size) => {
                    walked.segment.size = size;
                    walked.segment.file.open_ended = false;
                }
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
}
