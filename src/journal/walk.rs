//! One walk over a segment: what it has, what is missing in it, and where it ends.
//!
//! A bad record with a later one behind it that says it had been acknowledged is corruption, and counted; without one it
//! is a torn tail. Before either is believed, the segment is walked again. Cost: headers, or everything where bodies are
//! verified; memory for what is doubtful.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::format::{Header, Kind, SEGMENT_HEADER};
use super::fs::{FsFile, Gaps};
use super::scan::{Scanner, Step};
use super::segment::Segment;
use super::snapshot::Snapshot;

/// What a walk over one segment found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// The records it has.
    pub(super) segment: Segment,
    /// A seal ended it.
    pub(super) sealed: bool,
    /// Where intact records end.
    pub(super) good_end: u64,
    /// Something follows of which nothing says that it was acknowledged.
    pub(super) torn: bool,
    /// Sequences whose records are missing in between.
    pub(super) lost: Vec<Range<u64>>,
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
        let end = self.segment.end_seq;
        if end < seq {
            self.lost.push(end..seq);
            self.segment.file.damaged = true;
            self.segment.end_seq = seq;
        }
    }
}

/// One walk over a segment, and what state is known after it.
pub(super) struct Attempt {
    pub(super) scanner: Scanner,
    pub(super) walked: Walked,
    pub(super) whole: io::Result<()>,
    pub(super) snapshot: Snapshot,
}

/// How often a segment is walked that seems to be damaged: nothing is cut off or given up for what is wrong on the way
/// from the disk alone.
pub(super) const ATTEMPTS: usize = 3;

/// Walks a segment whose successor begins with `end`, the newest with its bodies, until it is whole; else what the best of
/// [`ATTEMPTS`] walks found. Records count where `counted`, on top of what is known `before`.
pub(super) fn attempt(
    file: &Arc<dyn FsFile>,
    end: Option<u64>,
    counted: bool,
    before: &Snapshot,
) -> Option<Attempt> {
    let mut best: Option<Attempt> = None;
    for _ in 0..ATTEMPTS {
        let Ok(mut scanner) = Scanner::open(Arc::clone(file)) else { continue };
        let (mut walked, mut snapshot) = (Walked::default(), before.clone());
        let verify = end.is_none();
        let whole = walk(&mut scanner, end, verify, &mut walked, |header, payload| {
            if counted {
                snapshot.note(header, payload);
            }
        });
        let sound = whole.is_ok() && !walked.torn && walked.lost.is_empty();
        let this = Attempt { scanner, walked, whole, snapshot };
        if best.as_ref().is_none_or(|best| this.worth() > best.worth()) {
            best = Some(this);
        }
        if sound {
            break;
        }
    }
    // What lies behind sectors that the disk does not give is there all the same. The error stays: nothing is cut off.
    if let Some(best) = best.as_mut().filter(|best| best.whole.is_err())
        && let Ok(mut scanner) = Scanner::open(Arc::new(Gaps(Arc::clone(file))))
    {
        let (mut walked, mut snapshot) = (Walked::default(), before.clone());
        let behind = walk(&mut scanner, end, end.is_none(), &mut walked, |header, payload| {
            if counted {
                snapshot.note(header, payload);
            }
        });
        let records = |walked: &Walked| walked.segment.counts.total().requests;
        if behind.is_ok() && records(&walked) > records(&best.walked) {
            (best.walked, best.snapshot) = (walked, snapshot);
        }
    }
    best
}

impl Attempt {
    fn worth(&self) -> (bool, u64, bool) {
        (self.whole.is_ok(), self.walked.segment.counts.total().requests, !self.walked.torn)
    }
}
