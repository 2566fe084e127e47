//! Rewrites a sealed segment as zstd-1 blocks: the same records and sequences in less room.
//!
//! Only when the cap presses, for the CPU it costs. Written beside the segment, synced, renamed over
//! it, directory synced: at every instant one whole file has the name. A reader that has the old
//! file open goes on with it. Memory: one block of about 1 MiB, or one larger record.

use std::io::{self, IoSlice};

use super::format::{
    Header, Kind, RECORD_HEADER, SEAL, SEGMENT_HEADER, SegmentHeader, encode_seal, seal_header,
};
use super::fs::write_all_at;
use super::group::Group;
use super::log::{Log, segment_path};
use super::scan::{Scanner, Step, Unscannable};
use super::segment::Segment;

/// Bytes of records that are compressed together.
const BLOCK: usize = 1 << 20;

/// Compacts one segment, or marks it as not worth trying again, or not before the next tick: a disk that
/// is full or fails may have room later.
pub(super) fn compact(log: &Log, first_seq: u64) {
    let shared = &log.shared;
    let found = |segments: &std::collections::VecDeque<Segment>| {
        segments.iter().find(|s| s.first_seq == first_seq).map(Segment::without_entries)
    };
    let Some(before) = found(&shared.lock().segments) else { return };
    let rewritten = rewrite(log, &before);
    let fails = rewritten.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::InvalidData);
    let before_it = std::mem::replace(&mut shared.lock().compaction_fails, fails);
    if let Err(error) = &rewritten {
        if before_it && fails {
            tracing::debug!(error = %error, first_seq, "a segment cannot be compacted");
        } else {
            tracing::warn!(error = %error, first_seq, "a segment cannot be compacted");
        }
        let temporary = segment_path(&log.directory, first_seq).with_extension("seg.tmp");
        drop(shared.deps.fs.remove(&temporary));
    }
    let mut state = shared.lock();
    let Some(segment) = state.segments.iter_mut().find(|s| s.first_seq == first_seq) else {
        return;
    };
    match rewritten {
        Ok(size) if size < before.size => {
            segment.size = size;
            segment.file.compressed = true;
            segment.file.open_ended = false;
            shared.metrics.compacted.add(1);
        }
        Err(error) if error.kind() != io::ErrorKind::InvalidData => {
            segment.file.compaction_failed = true;
        }
        _ => segment.file.incompressible = true,
    }
}

/// Returns the new size; the old file stays when it gains less than a tenth.
fn rewrite(log: &Log, segment: &Segment) -> io::Result<u64> {
    let fs = &log.shared.deps.fs;
    let path = segment_path(&log.directory, segment.first_seq);
    let temporary = path.with_extension("seg.tmp");
    let mut scanner = Scanner::open(fs.open(&path)?).map_err(|e| match e {
        Unscannable::Io(error) => error,
        Unscannable::Header(_) => io::ErrorKind::InvalidData.into(),
    })?;
    let header = SegmentHeader { blocks: true, ..scanner.header };
    let salt = header.salt;
    let file = fs.create(&temporary)?;
    write_all_at(&*file, &mut [IoSlice::new(&header.encode())], 0)?;
    let mut offset = SEGMENT_HEADER as u64;
    let append = |group: Group<'_>, at: &mut u64| {
        group.write(&*file, *at)?;
        *at = group.end;
        io::Result::Ok(())
    };
    let mut block = Block::default();
    let mut next = segment.first_seq;
    while next < segment.end_seq {
        let Step::Record { header, meta, payload, .. } = scanner.step(|_| true)? else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is damaged"));
        };
        if header.kind == Kind::State {
            let mut group = Group::new(salt, offset);
            group.push(Header { meta_len: 0, ..header }, &[], &payload);
            append(group, &mut offset)?;
        }
        if header.kind == Kind::Data {
            next = header.seq + 1;
            block.push(&header, &meta, &payload, &salt);
            if block.bytes.len() >= BLOCK {
                let (header, meta, frame) = block.finish()?;
                let mut group = Group::new(salt, offset);
                group.push(header, &meta, &frame);
                append(group, &mut offset)?;
            }
        }
    }
    if block.records > 0 {
        let (header, meta, frame) = block.finish()?;
        let mut group = Group::new(salt, offset);
        group.push(header, &meta, &frame);
        append(group, &mut offset)?;
    }
    let seal = encode_seal(segment);
    let mut group = Group::new(salt, offset);
    group.push(seal_header(segment, &seal), &[], &seal);
    append(group, &mut offset)?;
    debug_assert!(offset > SEAL as u64, "a sealed file is longer than its seal");
    if offset > segment.size / 10 * 9 {
        fs.remove(&temporary)?;
        return Ok(segment.size);
    }
    file.sync()?;
    fs.rename(&temporary, &path)?;
    fs.sync_dir(&log.directory)?;
    Ok(offset)
}

#[derive(Default)]
struct Block {
    bytes: Vec<u8>,
    records: u32,
    first: Option<Header>,
}

impl Block {
    fn push(&mut self, header: &Header, meta: &[u8], payload: &[u8], salt: &[u8; 16]) {
        let at = self.bytes.len() as u64;
        self.bytes.extend_from_slice(&header.encode(salt, at));
        self.bytes.extend_from_slice(meta);
        self.bytes.extend_from_slice(payload);
        self.records += 1;
        self.first.get_or_insert(*header);
    }

    /// Compresses what was pushed and starts over.
    fn finish(&mut self) -> io::Result<(Header, [u8; 4], Vec<u8>)> {
        let frame = zstd::bulk::compress(&self.bytes, 1)?;
        let meta = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
        let first = self.first.take();
        let seq = first.map_or(0, |h| h.seq);
        let header = Header {
            items: self.records,
            received: first.map_or_else(Default::default, |h| h.received),
            durable_seq: first.map_or(0, |h| h.durable_seq),
            meta_len: 4,
            body_crc: super::format::crc32c(&[&meta, &frame]),
            ..Header::of(Kind::Block, seq, &frame)
        };
        self.bytes.clear();
        self.records = 0;
        Ok((header, meta, frame))
    }
}

/// Keeps the layouts' sizes in one place for the tests.
const _: () = assert!(RECORD_HEADER == 52 && SEGMENT_HEADER == 64);
