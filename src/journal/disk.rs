//! Reads a reader's records from segment files, on a thread that may block.
//!
//! A jump in sequences, a bad checksum or an early end is damage: the segment is then walked, more than once,
//! and what every reader lost in it is counted exactly, as records that exist no more. What the disk does not give is waited
//! for; given up is then what lies in those sectors, while it gives others. Memory: the
//! entries asked for and the scanner's window; for a damaged segment a line per record.

use std::io;
use std::sync::Arc;

use super::format::{Header, Kind};
use super::fs::{FsFile, Gaps, gives_some_byte};
use super::log::segment_path;
use super::recovery::is_our_own;
use super::scan::{self, Scanner, Step, Unscannable};
use super::segment::{Readable, Segment};
use super::shared::Shared;
use super::state::class_of;
use super::walk::{ATTEMPTS, Walked, walk};
use super::{Entry, SignalSet};

/// Where in a segment a reader stands.
#[derive(Debug)]
pub(super) struct Place {
    segment: u64,
    scanner: Scanner,
    /// Records below were passed.
    next: u64,
    /// Read, but one too many for the caller.
    spare: Option<Entry>,
}

/// What to read.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) signals: SignalSet,
    pub(super) segment: Box<Segment>,
    pub(super) seq: u64,
    pub(super) max_bytes: usize,
    pub(super) max_records: usize,
    /// The disk failed at this place several times: what cannot be read is lost.
    pub(super) give_up: bool,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    /// Everything below was looked at.
    pub(super) passed: u64,
    pub(super) place: Option<Place>,
}

/// Reads the next records of a lane from one segment.
///
/// # Errors
/// The disk's; nothing was skipped.
pub(super) fn read(shared: &Shared, wanted: &Wanted, place: Option<Place>) -> io::Result<Batch> {
    let at = |p: &Place| p.spare.as_ref().map_or(p.next, |entry| entry.seq);
    let place = place.filter(|p| p.segment == wanted.segment.first_seq && at(p) <= wanted.seq);
    let place = match place {
        Some(place) => Ok(place),
        None => open_segment(shared, &wanted.segment)
            .and_then(|file| begin(&file, wanted.segment.first_seq)),
    };
    let read =
        place.and_then(|place| collect(wanted, place)).and_then(|Found { batch, damaged }| {
            if !damaged {
                return Ok(batch);
            }
            let readable = readable(&open_segment(shared, &wanted.segment)?, &wanted.segment)?;
            up_to_the_first_missed(wanted, batch, &assess(shared, &wanted.segment, readable))
        });
    match read {
        Ok(batch) => Ok(batch),
        Err(error) if is_our_own(&error) => Err(error),
        Err(error) if wanted.give_up || error.kind() == io::ErrorKind::NotFound => {
            salvage(shared, wanted, error)
        }
        Err(error) => Err(error),
    }
}

/// Reads on behind what the disk does not give. That is lost, counted, if the disk gives something else; else the disk is
/// away, with everything that is on it.
fn salvage(shared: &Shared, wanted: &Wanted, error: io::Error) -> io::Result<Batch> {
    let segment = &wanted.segment;
    let file = match open_segment(shared, segment) {
        Err(error) if is_our_own(&error) => return Err(error),
        file => file.map(|file| Arc::new(Gaps(file)) as Arc<dyn FsFile>),
    };
    let records = file.as_ref().ok().and_then(|file| readable(file, segment).ok());
    let records = records.unwrap_or_default();
    if records.is_empty() && !gives_anything_else(shared, segment.first_seq) {
        return Err(error);
    }
    // One that was let go meanwhile is counted as that.
    let first_seq = segment.first_seq;
    if shared.lock().segments.iter().any(|known| known.first_seq == first_seq) {
        tracing::warn!(error = %error, segment = first_seq, "records are lost");
    }
    let records = assess(shared, segment, records);
    if let Ok(place) = file.and_then(|file| begin(&file, first_seq))
        && let Ok(Found { batch, .. }) = collect(wanted, place)
    {
        return up_to_the_first_missed(wanted, batch, &records);
    }
    let next = records.range(wanted.seq..).next().map(|(&seq, _)| seq);
    Ok(Batch { passed: next.unwrap_or(segment.end_seq), ..Batch::default() })
}

/// Whether the disk has other segments, and gives some byte of one. The newest says nothing: what was just written is in the
/// system's memory.
fn gives_anything_else(shared: &Shared, segment: u64) -> bool {
    let (fs, directory) = (&shared.deps.fs, &shared.config.directory);
    let mut others: Vec<u64> = shared.lock().segments.iter().map(|other| other.first_seq).collect();
    let newest = others.pop().filter(|newest| *newest != segment);
    others.retain(|other| *other != segment);
    let path = |first_seq| segment_path(directory, first_seq);
    let gives = |other: &u64| gives_some_byte(&**fs, &path(*other));
    // A segment that is not there, in a directory that is, was taken away.
    let is_gone = || {
        let is_not_found = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
        fs.open(&path(segment)).is_err_and(is_not_found)
            && newest.is_some_and(|newest| fs.open(&path(newest)).is_ok())
    };
    others.iter().any(gives) || is_gone()
}

/// The part of `batch` before the first record that was passed over and is `readable` all the same: damage that was on
/// the way and not on the disk loses nothing.
fn up_to_the_first_missed(
    wanted: &Wanted,
    mut batch: Batch,
    readable: &Readable,
) -> io::Result<Batch> {
    let was_read = |seq| batch.entries.binary_search_by_key(&seq, |entry| entry.seq).is_ok();
    let passed = readable.range(wanted.seq..batch.passed.max(wanted.seq));
    let mut own = passed.filter(|(_, (class, _))| wanted.signals.contains(*class));
    let Some((&missed, _)) = own.find(|&(&seq, _)| !was_read(seq)) else { return Ok(batch) };
    batch.entries.retain(|entry| entry.seq < missed);
    if batch.entries.is_empty() && missed == wanted.seq {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a record is read differently each time",
        ));
    }
    Ok(Batch { passed: missed, place: None, ..batch })
}

fn open_segment(shared: &Shared, segment: &Segment) -> io::Result<Arc<dyn FsFile>> {
    shared.deps.fs.open(&segment_path(&shared.config.directory, segment.first_seq))
}

/// The beginning of a segment's file.
fn begin(file: &Arc<dyn FsFile>, segment: u64) -> io::Result<Place> {
    let mut opened = Scanner::open(Arc::clone(file));
    for _ in 1..ATTEMPTS {
        if matches!(opened, Err(Unscannable::Header(_))) {
            opened = Scanner::open(Arc::clone(file));
        }
    }
    let scanner = opened.map_err(|error| match error {
        Unscannable::Io(error) => error,
        Unscannable::Header(_) => io::ErrorKind::NotFound.into(),
    })?;
    Ok(Place { segment, scanner, next: segment, spare: None })
}

struct Found {
    batch: Batch,
    damaged: bool,
}

fn collect(wanted: &Wanted, mut place: Place) -> io::Result<Found> {
    let Wanted { signals, segment, max_bytes, max_records, .. } = wanted;
    let own = |header: &Header| header.class().is_some_and(|class| signals.contains(class));
    let mut entries: Vec<Entry> = Vec::new();
    let mut bytes = 0_usize;
    let mut damaged = false;
    place.scanner.refresh()?;
    let mut spare = place.spare.take().filter(|entry| entry.seq >= wanted.seq);
    loop {
        let entry = match spare.take() {
            Some(entry) => Some(entry),
            None if place.next >= segment.end_seq => break,
            None => {
                let step = place.scanner.step(|header| {
                    header.kind == Kind::Data && header.seq >= wanted.seq && own(header)
                });
                let step = match step {
                    Ok(step) => step,
                    Err(_) if !entries.is_empty() => {
                        let batch = Batch { entries, passed: place.next, place: None };
                        return Ok(Found { batch, damaged });
                    }
                    Err(error) => return Err(error),
                };
                match step {
                    Step::Record { header, meta, payload, .. } if header.kind == Kind::Data => {
                        if header.seq >= segment.end_seq {
                            damaged = true;
                            place.next = segment.end_seq;
                            break;
                        }
                        damaged |= header.seq > place.next && header.seq > wanted.seq;
                        place.next = place.next.max(header.seq + 1);
                        let read = header.seq >= wanted.seq && own(&header);
                        scan::entry(&header, meta, payload).filter(|_| read)
                    }
                    Step::Record { header, .. } if header.kind == Kind::Seal => {
                        damaged |= place.next < segment.end_seq;
                        place.next = segment.end_seq;
                        break;
                    }
                    Step::Record { .. } => None,
                    Step::BadBody | Step::Gap => {
                        damaged = true;
                        None
                    }
                    Step::End => {
                        damaged = true;
                        place.next = segment.end_seq;
                        break;
                    }
                }
            }
        };
        let Some(entry) = entry else { continue };
        let len = entry.record.payload.len();
        if !entries.is_empty() && (entries.len() >= *max_records || bytes + len > *max_bytes) {
            place.spare = Some(entry);
            break;
        }
        bytes += len;
        entries.push(entry);
    }
    let passed = place.spare.as_ref().map_or(place.next, |entry| entry.seq);
    Ok(Found { batch: Batch { entries, passed, place: Some(place) }, damaged })
}

/// Counts for every reader, once, what it can never get of a damaged segment of which these are `readable`. Returns what can
/// be had.
fn assess(shared: &Shared, segment: &Segment, readable: Readable) -> Readable {
    let mut records = readable;
    let mut state = shared.lock();
    // What is in memory need not be read.
    for entry in (segment.first_seq..segment.end_seq).filter_map(|seq| state.tail.get(seq)) {
        records.insert(entry.seq, (class_of(&entry.record), entry.record.items));
    }
    let lost = state.lose(segment, &records);
    drop(state);
    if lost > 0 {
        shared.metrics.lost.add(lost);
        let segment = segment.first_seq;
        tracing::error!(segment, lost, "records in the journal cannot be read");
    }
    records
}

/// The records of a damaged segment that some walk over it can read.
///
/// # Errors
/// The disk's, where no walk comes to the end: what lies behind may be read another time.
fn readable(file: &Arc<dyn FsFile>, segment: &Segment) -> io::Result<Readable> {
    let mut records = Readable::new();
    let mut whole = Ok(());
    for attempt in 0..ATTEMPTS {
        let walked = match Scanner::open(Arc::clone(file)) {
            Ok(mut scanner) => {
                let visit = |header: &Header, _: &[u8]| {
                    if let Some(class) = header.class()
                        && header.kind == Kind::Data
                    {
                        records.insert(header.seq, (class, header.items));
                    }
                };
                walk(&mut scanner, Some(segment.end_seq), true, &mut Walked::default(), visit)
            }
            Err(Unscannable::Io(error)) => Err(error),
            Err(Unscannable::Header(_)) => Ok(()),
        };
        whole = if attempt == 0 { walked } else { whole.or(walked) };
    }
    whole.map(|()| records)
}
