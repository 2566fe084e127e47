//! Reads a reader's records from segment files, on a thread that may block.
//!
//! A jump in sequences, a bad checksum or an early end is damage: the segment is then walked, more than once,
//! and what every reader lost in it is counted exactly, as records that exist no more. Memory: the
//! entries asked for and the scanner's window; for a damaged segment a line per record.

use std::io;
use std::sync::Arc;

use super::format::{Header, Kind};
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
        None => open(shared, wanted),
    };
    let read = place.and_then(|place| collect(wanted, place));
    match read {
        Ok(Found { batch, damaged: false }) => Ok(batch),
        Ok(Found { batch, damaged: true }) => {
            let readable = assess(shared, &wanted.segment, None);
            up_to_the_first_missed(wanted, batch, &readable)
        }
        Err(error) if is_our_own(&error) => Err(error),
        Err(error) if wanted.give_up || error.kind() == io::ErrorKind::NotFound => {
            let segment = wanted.segment.first_seq;
            // One that was let go meanwhile is counted as that.
            if shared.lock().segments.iter().any(|known| known.first_seq == segment) {
                tracing::warn!(error = %error, segment, "records are lost");
            }
            let left = assess(shared, &wanted.segment, Some(wanted.seq));
            let next = left.range(wanted.seq..).next().map(|(&seq, _)| seq);
            Ok(Batch { passed: next.unwrap_or(wanted.segment.end_seq), ..Batch::default() })
        }
        Err(error) => Err(error),
    }
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

fn open(shared: &Shared, wanted: &Wanted) -> io::Result<Place> {
    let path = segment_path(&shared.config.directory, wanted.segment.first_seq);
    let file = shared.deps.fs.open(&path)?;
    let mut opened = Scanner::open(Arc::clone(&file));
    for _ in 1..ATTEMPTS {
        if matches!(opened, Err(Unscannable::Header(_))) {
            opened = Scanner::open(Arc::clone(&file));
        }
    }
    let scanner = opened.map_err(|error| match error {
        Unscannable::Io(error) => error,
        Unscannable::Header(_) => io::ErrorKind::NotFound.into(),
    })?;
    let segment = wanted.segment.first_seq;
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

/// Walks a damaged segment and counts for every reader, once, what it can never get. Returns what can be had.
///
/// What lies from `given_up` on counts as unreadable, whatever the disk says by now.
fn assess(shared: &Shared, segment: &Segment, given_up: Option<u64>) -> Readable {
    let mut records = readable(shared, segment);
    records.retain(|&seq, _| given_up.is_none_or(|from| seq < from));
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
fn readable(shared: &Shared, segment: &Segment) -> Readable {
    let path = segment_path(&shared.config.directory, segment.first_seq);
    let mut records = Readable::new();
    for _ in 0..ATTEMPTS {
        let Ok(file) = shared.deps.fs.open(&path) else { continue };
        let Ok(mut scanner) = Scanner::open(file) else { continue };
        let visit = |header: &Header, _: &[u8]| {
            if let Some(class) = header.class()
                && header.kind == Kind::Data
            {
                records.insert(header.seq, (class, header.items));
            }
        };
        // What it finds before the disk fails is what there is.
        drop(walk(&mut scanner, Some(segment.end_seq), true, &mut Walked::default(), visit));
    }
    records
}
