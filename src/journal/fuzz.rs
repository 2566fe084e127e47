//! A way in for the fuzz target: what a segment's bytes decide, without a disk.
//!
//! Every header and body has a checksum, so arbitrary bytes end at the first one. The input is a script
//! instead: records of any kind with any fields, whose checksums hold unless the script says otherwise.
//!
//! ```text
//! first_seq u8 │ end u8 (0 = newest) │ flags u8 (1 = blocks, 2 = cut the end) │ cut u8 │ record …
//! record: kind u8 │ how u8 │ seq u8 │ durable_seq u8 │ signal u8 │ items u8 │ length u8 │ body …
//! how: 1 = bad body checksum, 2 = bad header, 4 = junk before it, 8 = inside a zstd frame,
//!      16 = a length that is not true
//! ```

use std::io::{self, IoSlice};
use std::sync::Arc;

use super::format::{Header, Identity, Kind, SEGMENT_HEADER, SegmentHeader, crc32c, decode_seal};
use super::fs::FsFile;
use super::scan::{self, Scanner, Step};
use super::snapshot::Snapshot;
use super::walk::{Walked, walk};
use crate::time::UnixNano;

const SALT: [u8; 16] = [7; 16];

/// Reads a segment written by `script` as the start and a reader do.
///
/// # Panics
/// When records and losses do not add up to the sequences that were passed, or a walk does not end.
pub fn segment(script: &[u8]) {
    let Some((&[first_seq, end, flags, cut], records)) = script.split_first_chunk::<4>() else {
        return;
    };
    let first_seq = u64::from(first_seq);
    let (created, journal, blocks) = (UnixNano(1), Identity::default(), flags & 1 != 0);
    let header = SegmentHeader { first_seq, created, salt: SALT, journal, blocks };
    let mut bytes = header.encode().to_vec();
    write(records, &mut bytes);
    if flags & 2 != 0 {
        bytes.truncate(bytes.len() - usize::from(cut).min(bytes.len()));
    }
    let len = bytes.len();
    let file: Arc<dyn FsFile> = Arc::new(Memory(bytes));
    let end = (end > 0).then(|| first_seq + u64::from(end));
    for verify in [false, true] {
        let Ok(mut scanner) = Scanner::open(Arc::clone(&file)) else { return };
        let mut walked = Walked::default();
        let visit = |header: &Header, payload: &[u8]| match header.kind {
            Kind::Seal => drop(decode_seal(first_seq, header, payload)),
            _ => drop(Snapshot::decode(payload)),
        };
        if walk(&mut scanner, end, verify, &mut walked, visit).is_ok() {
            let lost: u64 = walked.lost.iter().map(|range| range.end - range.start).sum();
            let found = walked.segment.counts.total().requests + lost;
            assert_eq!(found, walked.segment.end_seq - first_seq, "{walked:?}");
        }
    }
    let Ok(mut scanner) = Scanner::open(file) else { return };
    // A block of any number of records is one record of at least a header on disk.
    for _ in 0..=len * 1000 {
        match scanner.step(|_| true) {
            Ok(Step::Record { header, meta, payload, .. }) => {
                drop(scan::entry(&header, meta, payload));
            }
            Ok(Step::BadBody | Step::Gap) => {}
            Ok(Step::End) | Err(_) => return,
        }
        if scanner.is_at_end() {
            return;
        }
    }
    panic!("a walk that does not end");
}

fn write(mut script: &[u8], out: &mut Vec<u8>) {
    const KINDS: [Kind; 5] = [Kind::Data, Kind::Ack, Kind::State, Kind::Seal, Kind::Block];
    while let Some((&[kind, how, seq, durable_seq, signal, items, length], rest)) =
        script.split_first_chunk::<7>()
    {
        let (body, rest) = rest.split_at(rest.len().min(length.into()));
        script = rest;
        let kind = KINDS.into_iter().cycle().nth(kind.into()).unwrap_or(Kind::Data);
        let make = |kind, body: &[u8], meta_len: usize| Header {
            signal,
            items: items.into(),
            durable_seq: durable_seq.into(),
            received: UnixNano(seq.into()),
            meta_len: u16::try_from(meta_len).unwrap_or(0),
            payload_len: u32::try_from(body.len() - meta_len).unwrap_or(0),
            body_crc: crc32c(&[body]) ^ u32::from(how & 1),
            ..Header::of(kind, seq.into(), &[])
        };
        let mut body = body.to_vec();
        if how & 8 != 0 {
            let mut inner = make(Kind::Data, &body, 0).encode(&SALT, 0).to_vec();
            inner.extend_from_slice(&body);
            let Ok(frame) = zstd::bulk::compress(&inner, 1) else { return };
            body = u32::try_from(inner.len()).unwrap_or(0).to_le_bytes().to_vec();
            body.extend_from_slice(&frame);
        }
        if how & 4 != 0 {
            out.extend_from_slice(&[items; 9]);
        }
        let meta_len = if kind == Kind::Block { 4 } else { 0 };
        let mut header = make(kind, &body, meta_len.min(body.len()));
        if how & 16 != 0 {
            header.payload_len = header.payload_len.wrapping_mul(u32::from(seq) << 16);
        }
        let at = out.len();
        out.extend_from_slice(&header.encode(&SALT, at as u64));
        if how & 2 != 0
            && let Some(byte) = out.get_mut(at + usize::from(items % 52))
        {
            *byte ^= 1;
        }
        out.extend_from_slice(&body);
    }
}

/// A file that is only read.
#[derive(Debug)]
struct Memory(Vec<u8>);

impl FsFile for Memory {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn write_vectored_at(&self, _: &[IoSlice<'_>], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.0.len());
        let rest = self.0.get(from..).unwrap_or_default();
        let (now, _) = rest.split_at(rest.len().min(buffer.len()));
        if let Some(room) = buffer.get_mut(..now.len()) {
            room.copy_from_slice(now);
        }
        Ok(now.len())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

const _: () = assert!(SEGMENT_HEADER == 64, "the script's offsets begin behind it");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// A state record, two traces, damage, an ack that knows of it, a block, a seal.
    const SEED: &[u8] = include_bytes!("../../fuzz/corpus/segment/damaged.bin");

    fn record() -> impl Strategy<Value = Vec<u8>> {
        // Mostly small numbers, so that sequences meet; damage in one record of four.
        let how = prop_oneof![3 => Just(0_u8), 1 => 0..32_u8];
        let body = prop::collection::vec(any::<u8>(), 0..100);
        (0..5_u8, how, 0..9_u8, 0..9_u8, 0..6_u8, any::<u8>(), body).prop_map(
            |(kind, how, seq, durable_seq, signal, items, body)| {
                let length = u8::try_from(body.len()).unwrap();
                [&[kind, how, seq, durable_seq, signal, items, length][..], &body].concat()
            },
        )
    }

    proptest! {
        // Each walks windows of 256 KiB, which is slow without optimization.
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_found_and_what_is_lost_add_up(
            head in (0..4_u8, prop::option::of(1..9_u8), 0..4_u8, any::<u8>()),
            records in prop::collection::vec(record(), 0..12),
        ) {
            let (first_seq, end, flags, cut) = head;
            let head = [first_seq, end.unwrap_or(0), flags, cut];
            super::segment(&[&head[..], &records.concat()].concat());
        }
    }

    #[test]
    fn a_seed_of_the_fuzz_target_is_read() {
        super::segment(SEED);
        for end in (0..SEED.len()).step_by(5) {
            super::segment(SEED.split_at(end).0);
        }
    }
}
