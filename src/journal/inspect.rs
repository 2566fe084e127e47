//! Looks into a journal's directory, beside an agent that has it or without one. Nothing is locked or written.
//!
//! [`inspect`] runs the code of the start over files that it cannot change: what it says is what a start would find.
//! A running agent writes what readers settled once a second, so it is at most that old. [`Records`] walks the
//! records; a segment that goes meanwhile is passed over. Memory: one scanner; see `scan`.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::format::{Header, Kind};
use super::fs::{Fs, LookFs, RealFs};
use super::lane::Lane;
use super::ledger::Count;
use super::recovery::recover_for;
use super::rejected::{REJECTED, Rejected, describe};
use super::scan::{Scanner, Step, Unscannable, entry};
use super::segment::Segment;
use super::state::State;
use super::{Class, Config, Deps, Entry, OpenError, RejectedFile};
use crate::signal::Signal;
use crate::telemetry::Registry;
use crate::time::{SystemClock, UnixNano};

/// How often the directory is looked at again when files went while it was read.
const TRIES: usize = 5;

/// What is in a journal's directory.
#[derive(Debug)]
pub struct Inspection {
    /// Oldest first.
    pub segments: Vec<SegmentReport>,
    /// By name.
    pub readers: Vec<ReaderReport>,
    /// The sequence that the next record would get.
    pub next_seq: u64,
    /// Records that cannot be read.
    pub lost_records: u64,
    /// Files that the next start would set aside as unreadable.
    pub unreadable: Vec<PathBuf>,
    /// Files that were set aside before, and their bytes.
    pub set_aside: (usize, u64),
}

/// A segment.
#[derive(Debug)]
pub struct SegmentReport {
    /// Its file's name.
    pub name: String,
    /// Its first sequence.
    pub first_seq: u64,
    /// One past its last sequence.
    pub end_seq: u64,
    /// What it takes of the disk.
    pub bytes: u64,
    /// Requests in it, the agent's own among them.
    pub records: u64,
    /// Requests and items of each signal.
    pub signals: Vec<(Signal, Count)>,
    /// When its first record was received; `None` without records.
    pub first_received: Option<UnixNano>,
    /// When its last record was received.
    pub last_received: Option<UnixNano>,
    /// Whether its records are compressed.
    pub compressed: bool,
    /// Whether something in it cannot be read.
    pub damaged: bool,
}

impl SegmentReport {
    /// What the API and the commands tell of it.
    #[must_use]
    pub fn document(&self) -> serde_json::Value {
        let items = self.signals.iter();
        let items = items.map(|(signal, count)| (signal.name().to_owned(), json!(count.items)));
        let state = match (self.damaged, self.compressed) {
            (true, _) => "damaged",
            (false, true) => "compressed",
            (false, false) => "",
        };
        json!({
            "name": self.name,
            "first_seq": self.first_seq,
            "end_seq": self.end_seq,
            "bytes": self.bytes,
            "records": self.records,
            "items": items.collect::<serde_json::Map<_, _>>(),
            "first_received_unix_seconds": self.first_received.map(UnixNano::as_seconds_f64),
            "last_received_unix_seconds": self.last_received.map(UnixNano::as_seconds_f64),
            "state": state,
        })
    }
}

/// A reader that the journal knows.
#[derive(Debug)]
pub struct ReaderReport {
    /// Its name, `<exporter>:<signal>` of a lane.
    pub name: String,
    /// Requests and items that it has not settled.
    pub queued: Count,
    /// Their payload bytes; an upper bound: of a segment that has some it counts those that were settled, too.
    pub queued_bytes: u64,
    /// When the oldest of them was received, or the first record of its segment, which may be older.
    pub oldest: Option<UnixNano>,
    /// The first sequence that it has not settled.
    pub watermark: u64,
}

/// Looks into `directory`.
///
/// # Errors
/// [`OpenError`]: it cannot be read, or is of a newer version.
pub fn inspect(directory: &Path) -> Result<Inspection, OpenError> {
    let deps = Deps {
        fs: Arc::new(LookFs),
        clock: Arc::new(SystemClock::new()),
        registry: Registry::default(),
    };
    let config = Config { directory: directory.to_owned(), tail_size: 0, ..Config::default() };
    let there = |path: &PathBuf| deps.fs.open(path).is_ok();
    let mut tries = 1..=TRIES;
    loop {
        let readers = |snapshot: &super::snapshot::Snapshot| {
            snapshot.readers.iter().map(super::snapshot::SavedReader::config).collect()
        };
        let (state, recovery) = recover_for(&config, readers, &deps)?;
        let unreadable: Vec<PathBuf> =
            recovery.quarantined.iter().map(|path| path.with_extension("seg")).collect();
        let last = tries.next().is_none();
        // One that went while this was reading was delivered and deleted.
        if last || unreadable.iter().all(there) {
            let mut found = report(&state, unreadable, set_aside(directory, &*deps.fs));
            // As a start would leave the newest it is shorter than as it stands.
            for segment in &mut found.segments {
                let file = deps.fs.open(&directory.join(&segment.name));
                segment.bytes = file.and_then(|file| file.len()).unwrap_or(segment.bytes);
            }
            return Ok(found);
        }
    }
}

fn report(state: &State, unreadable: Vec<PathBuf>, set_aside: (usize, u64)) -> Inspection {
    Inspection {
        segments: state.segments.iter().map(segment).collect(),
        readers: state.lanes.values().map(|lane| reader(state, lane)).collect(),
        next_seq: state.next_seq,
        lost_records: state.lost_records,
        unreadable,
        set_aside,
    }
}

pub(super) fn segment(segment: &Segment) -> SegmentReport {
    let records = segment.counts.total().requests;
    let some = |time: UnixNano| (records > 0).then_some(time);
    SegmentReport {
        name: format!("{:020}.seg", segment.first_seq),
        first_seq: segment.first_seq,
        end_seq: segment.end_seq,
        bytes: segment.size,
        records,
        signals: Signal::ALL.map(|signal| (signal, segment.counts.get(signal))).to_vec(),
        first_received: some(segment.first_received),
        last_received: some(segment.last_received),
        compressed: segment.file.compressed,
        damaged: segment.file.damaged,
    }
}

fn reader(state: &State, lane: &Lane) -> ReaderReport {
    ReaderReport {
        name: lane.config.name.clone(),
        queued: state.queued(lane),
        queued_bytes: lane.queued_bytes(),
        oldest: state.oldest(lane),
        watermark: lane.acks.watermark(),
    }
}

fn set_aside(directory: &Path, fs: &dyn Fs) -> (usize, u64) {
    let names = fs.list(directory).unwrap_or_default();
    let corrupt = names.iter().filter(|name| name.ends_with(".corrupt"));
    let sizes =
        corrupt.map(|name| fs.open(&directory.join(name)).and_then(|file| file.len()).unwrap_or(0));
    sizes.fold((0, 0), |(files, bytes), size| (files + 1, bytes + size))
}

/// Which records are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Of this signal; `None` = of all.
    pub signal: Option<Signal>,
    /// From this sequence on.
    pub first_seq: u64,
    /// Before this sequence; `None` = whichever.
    pub end_seq: Option<u64>,
    /// Received at this time or later.
    pub since: UnixNano,
    /// Received before this time; `None` = whenever.
    pub until: Option<UnixNano>,
}

impl Wanted {
    fn end(&self) -> u64 {
        self.end_seq.unwrap_or(u64::MAX)
    }

    fn has(&self, header: &Header) -> bool {
        let Some(Class::Signal(signal)) = header.class() else { return false };
        header.seq >= self.first_seq
            && header.seq < self.end()
            && header.received >= self.since
            && self.until.is_none_or(|until| header.received < until)
            && self.signal.is_none_or(|wanted| wanted == signal)
    }
}

/// The records of a journal's directory, oldest first. The agent's own are left out.
#[derive(Debug)]
pub struct Records {
    fs: LookFs,
    directory: PathBuf,
    /// First sequences of the segments to come …
    segments: VecDeque<u64>,
    /// … and of the one behind them.
    end: u64,
    wanted: Wanted,
    open: Option<Open>,
    missing: u64,
}

#[derive(Debug)]
struct Open {
    scanner: Scanner,
    /// The sequence that the next record must have.
    next: u64,
    /// Where the next segment begins.
    end: u64,
}

impl Records {
    /// Those of `directory` that are `wanted`.
    ///
    /// # Errors
    /// That of listing the directory.
    pub fn of(directory: &Path, wanted: Wanted) -> io::Result<Self> {
        let names = LookFs.list(directory)?;
        let first = |name: &String| name.strip_suffix(".seg")?.parse().ok();
        let mut segments: Vec<u64> = names.iter().filter_map(first).collect();
        segments.sort_unstable();
        let segments = segments.into();
        let directory = directory.to_owned();
        let (open, missing, end) = (None, 0, u64::MAX);
        Ok(Self { fs: LookFs, directory, segments, end, wanted, open, missing })
    }

    /// Leaves only the first `most` segments that may hold what is wanted; the first sequence of the one behind them, if there
    /// is one that may, too.
    pub fn only(&mut self, most: usize) -> Option<u64> {
        let first = self.wanted.first_seq;
        while self.segments.get(1).is_some_and(|end| *end <= first) {
            self.segments.pop_front();
        }
        let behind = self.segments.get(most).copied()?;
        self.segments.truncate(most);
        self.end = behind;
        Some(behind).filter(|behind| *behind < self.wanted.end())
    }

    /// Records so far that should have been there and cannot be read.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.missing
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// A segment that cannot be read; the next call goes on behind it.
    pub fn next_record(&mut self) -> Result<Option<Entry>, OpenError> {
        loop {
            let Some(mut open) = self.open.take() else {
                if !self.begin()? {
                    return Ok(None);
                }
                continue;
            };
            let wanted = self.wanted;
            let step = open.scanner.step(|header| header.kind == Kind::Data && wanted.has(header));
            let path = || self.path(open.scanner.header.first_seq);
            let step =
                step.map_err(|source| OpenError::Io { operation: "read", path: path(), source })?;
            match step {
                Step::End => {}
                // What is missing shows in the sequences that follow.
                Step::BadBody | Step::Gap => self.open = Some(open),
                Step::Record { header, .. }
                    if header.kind == Kind::Data && header.seq >= open.end => {}
                Step::Record { header, meta, payload, .. } => {
                    let found = self.passed(&mut open, &header);
                    self.open = Some(open);
                    if found
                        && wanted.has(&header)
                        && let Some(entry) = entry(&header, meta, payload)
                    {
                        return Ok(Some(entry));
                    }
                }
            }
        }
    }

    /// Takes note of a record's sequence; whether it is one that was not seen before.
    fn passed(&mut self, open: &mut Open, header: &Header) -> bool {
        let (upto, next) = match header.kind {
            Kind::Data => (header.seq, header.seq + 1),
            Kind::Seal => (header.seq, header.seq),
            Kind::Ack | Kind::State | Kind::Block => return false,
        };
        // What stands before the first that is wanted is not looked for, nor what stands behind the last.
        self.missing +=
            upto.min(self.wanted.end()).saturating_sub(open.next.max(self.wanted.first_seq));
        let fresh = header.seq >= open.next;
        open.next = open.next.max(next);
        fresh && header.kind == Kind::Data
    }

    /// Opens the next segment; `false` when there is none.
    fn begin(&mut self) -> Result<bool, OpenError> {
        while let Some(first) = self.segments.pop_front() {
            if first >= self.wanted.end() {
                self.segments.clear();
                break;
            }
            let end = self.segments.front().copied().unwrap_or(self.end);
            if end <= self.wanted.first_seq {
                continue;
            }
            let path = self.path(first);
            let io = |source| OpenError::Io { operation: "open", path: path.clone(), source };
            match self.fs.open(&path).map_err(Unscannable::Io).and_then(Scanner::open) {
                Ok(scanner) => {
                    self.open = Some(Open { scanner, next: first, end });
                    return Ok(true);
                }
                // It was delivered and deleted.
                Err(Unscannable::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
                Err(Unscannable::Io(error)) => return Err(io(error)),
                Err(Unscannable::Header(super::format::BadHeader::Newer(version))) => {
                    let known = super::format::VERSION;
                    return Err(OpenError::Newer { path, version, known });
                }
                Err(Unscannable::Header(super::format::BadHeader::Unreadable)) => {
                    let what = "it is not a segment, or its header is damaged";
                    return Err(io(io::Error::new(io::ErrorKind::InvalidData, what)));
                }
            }
        }
        Ok(false)
    }

    fn path(&self, first_seq: u64) -> PathBuf {
        super::log::segment_path(&self.directory, first_seq)
    }
}

/// What is kept of rejected records.
#[derive(Debug, Default)]
pub struct Kept {
    /// Oldest first.
    pub files: Vec<RejectedFile>,
    /// Names of files that cannot be read, and why.
    pub unreadable: Vec<(String, io::Error)>,
}

/// The rejected records that are kept.
///
/// # Errors
/// That of listing them; no directory is no files.
pub fn rejected(directory: &Path) -> io::Result<Kept> {
    let kept = directory.join(REJECTED);
    let names = match LookFs.list(&kept) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        names => names?,
    };
    let Kept { mut files, mut unreadable } = Kept::default();
    for name in names.into_iter().filter(|name| name.ends_with(".rejected")) {
        match LookFs.open(&kept.join(&name)).and_then(|file| describe(&*file, name.clone())) {
            Ok(file) => files.push(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => unreadable.push((name, error)),
        }
    }
    files.sort_by(|a, b| (a.at, &a.name).cmp(&(b.at, &b.name)));
    Ok(Kept { files, unreadable })
}

/// Whether a file in the directory of rejected records can have this name: it is no path to any other.
#[must_use]
pub fn is_rejected_name(name: &str) -> bool {
    let number = name.strip_suffix(".rejected");
    number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit() || b == b'-'))
}

fn rejected_path(directory: &Path, name: &str) -> io::Result<PathBuf> {
    if is_rejected_name(name) {
        return Ok(directory.join(REJECTED).join(name));
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "no rejected record has such a name"))
}

/// The rejected record in a file of that name.
///
/// # Errors
/// That of reading it; `InvalidData` when it is damaged or of another version.
pub fn read_rejected(directory: &Path, name: &str) -> io::Result<Rejected> {
    let file = LookFs.open(&rejected_path(directory, name)?)?;
    let mut bytes =
        vec![0; usize::try_from(file.len()?.min(super::REJECTED_BYTES_MAX)).unwrap_or(0)];
    let read = super::fs::read_full_at(&*file, &mut bytes, 0)?;
    bytes.truncate(read);
    let damaged =
        || io::Error::new(io::ErrorKind::InvalidData, "it is damaged or of another version");
    Rejected::decode(&bytes.into()).ok_or_else(damaged)
}

/// Lets a rejected record go that was dealt with.
///
/// # Errors
/// That of removing it.
pub fn remove_rejected(directory: &Path, name: &str) -> io::Result<()> {
    RealFs.remove(&rejected_path(directory, name)?)
}
