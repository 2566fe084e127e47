//! Files that are not what they were: nothing blocks the start, and what is lost is counted.

use super::disk::{Fault, Operation, SimFs};
use super::support::{
    SIZE, Setup, assert_balanced, delivered, drain, fill, find, lane, record, seqs,
    settled_in_part, unique,
};
use crate::journal::format::{Header, Kind, RECORD_HEADER, SEGMENT_HEADER, crc32c};
use crate::journal::{DropReason, Journal, OpenError, ReaderConfig, ReaderLedger};
use crate::signal::{Record, Signal};

/// Bytes of one record: its payload begins with a number of four.
const WHOLE: usize = RECORD_HEADER + 4 + SIZE;

fn readers() -> Vec<ReaderConfig> {
    vec![lane("a:traces", Signal::Traces)]
}

/// A journal of `records` traces, ended by a kill.
async fn written(seed: u64, records: u32) -> Setup {
    let mut setup = Setup::new(seed, readers());
    let journal = setup.open();
    fill(&journal, 1..=records).await;
    setup.kill(journal).await;
    setup
}

async fn read(journal: &Journal) -> Vec<u64> {
    let entries = drain(&mut journal.reader("a:traces").unwrap()).await;
    for entry in &entries {
        let nth = u32::from_le_bytes(*entry.record.payload.first_chunk().unwrap());
        assert_eq!(entry.record, unique(Signal::Traces, nth, SIZE));
    }
    assert_balanced(journal);
    seqs(&entries)
}

#[tokio::test]
async fn a_record_torn_at_any_sector_is_cut_off_and_costs_no_other() {
    for sector in 0.. {
        let setup = written(1, 5).await;
        let path = setup.segments().pop().unwrap();
        let (mut torn, mut done) = (false, false);
        setup.edit(&path, |bytes| {
            let start = find(bytes, &unique(Signal::Traces, 5, SIZE));
            let at = (start / 512 + sector) * 512;
            done = at >= start + WHOLE;
            torn = !done;
            let range = at.max(start)..(at + 512).min(start + WHOLE);
            if torn {
                bytes[range].fill(0);
            }
        });
        if done {
            assert!(sector >= 2);
            break;
        }
        let (journal, recovery) = setup.report();
        assert_eq!((recovery.torn_tail, recovery.lost_records, recovery.records), (torn, 0, 4));
        assert_eq!(read(&journal).await, [1, 2, 3, 4]);
        fill(&journal, [5, 6]).await;
    }
}

#[tokio::test]
async fn a_flipped_bit_costs_one_record_and_it_is_counted() {
    for (target, offset) in [(2, 3), (2, 20), (3, RECORD_HEADER + 50), (1, WHOLE - 1)] {
        let setup = written(2, 5).await;
        setup.spoil(setup.segments().len() - 1, target, offset);
        let (journal, recovery) = setup.report();
        assert_eq!((recovery.lost_records, recovery.torn_tail), (1, false), "{recovery:?}");
        let others: Vec<u64> = (1..=5).filter(|&seq| seq != u64::from(target)).collect();
        assert_eq!(read(&journal).await, others);
        let row = journal.ledger().readers.remove(0);
        assert_eq!(row.dropped.get(&DropReason::Corrupt).copied().unwrap_or(0), 0, "{row:?}");
        fill(&journal, [6]).await;
        assert_eq!(journal.status().lost_records, 1);
    }
}

#[tokio::test]
async fn damage_in_an_older_segment_is_found_when_it_is_read_and_counted_for_each_reader() {
    let mut setup = written(3, 300).await;
    setup.readers.push(lane("b:traces", Signal::Traces));
    for (nth, offset) in [(10, 100), (11, 5), (50, 900)] {
        setup.spoil(0, nth, offset);
    }
    let journal = setup.open();
    let mut reader = journal.reader("a:traces").unwrap();
    let entries = drain(&mut reader).await;
    assert_eq!(entries.len(), 297);
    assert_balanced(&journal);
    reader.settler().settle(entries.iter().map(delivered));
    drop(reader);
    assert_eq!(drain(&mut journal.reader("b:traces").unwrap()).await.len(), 297);
    assert_balanced(&journal);
    assert_eq!(journal.status().lost_records, 3);
    let row = journal.ledger().readers.remove(0);
    assert_eq!((row.delivered.requests, row.dropped_requests, row.queued.requests), (297, 3, 0));
    assert!(row.dropped[&DropReason::Corrupt] >= 3, "{row:?}");
    setup.kill(journal).await;
    let journal = setup.open();
    assert_balanced(&journal);
}

#[tokio::test]
async fn records_settled_before_they_became_unreadable_stay_settled() {
    let setup = settled_in_part(4, 300, 60).await;
    setup.spoil(0, 10, 5);
    let journal = setup.open();
    assert_balanced(&journal);
    let rows = journal.ledger().readers;
    assert_eq!((rows[0].delivered.requests, rows[0].queued.requests), (60, 241));
    assert_eq!(rows[1].dropped_requests, 0, "not known to be lost before it is read");
    assert_eq!(drain(&mut journal.reader("a:traces").unwrap()).await.len(), 241);
    assert_eq!(drain(&mut journal.reader("b:traces").unwrap()).await.len(), 300);
    assert_balanced(&journal);
}

/// The first sequence of each segment.
fn first_seqs(setup: &Setup) -> Vec<u64> {
    let first = |path: std::path::PathBuf| path.file_stem()?.to_str()?.parse().ok();
    setup.segments().into_iter().filter_map(first).collect()
}

#[tokio::test]
async fn what_was_settled_is_not_held_though_it_became_unreadable_and_other_records_are_gone() {
    let mut setup = Setup::for_two(22);
    let journal = setup.open();
    fill(&journal, 1..=450).await;
    let firsts = first_seqs(&setup);
    let mut reader = journal.reader("a:traces").unwrap();
    let entries = drain(&mut reader).await;
    // The oldest segment is not settled: no watermark covers the second.
    let of_second = entries.iter().filter(|e| (firsts[1]..firsts[2]).contains(&e.seq));
    reader.settler().settle(of_second.map(delivered));
    fill(&journal, [451]).await;
    drop(reader);
    setup.kill(journal).await;
    // The totals alone cannot tell what was settled of these from what is lost with the third segment.
    for nth in 10..13 {
        setup.spoil(1, u32::try_from(firsts[1]).unwrap() + nth, 5);
    }
    setup.edit(&setup.segments()[2], |bytes| bytes[20] ^= 1);
    let journal = setup.open();
    let mut reader = journal.reader("a:traces").unwrap();
    let entries = drain(&mut reader).await;
    reader.settler().settle(entries.iter().map(delivered));
    let row = journal.ledger().readers.remove(0);
    assert!(row.balances() && row.queued.requests == 0, "{row:?}");
    assert_eq!(row.dropped_requests, firsts[3] - firsts[2]);
}

#[tokio::test]
async fn a_body_lost_before_its_segment_was_sealed_is_not_taken_for_a_header_lost_after() {
    let mut setup = written(23, 10).await;
    // A record of six items, then one of four.
    setup.spoil(0, 5, RECORD_HEADER + 500);
    let journal = setup.open();
    fill(&journal, [11]).await;
    setup.kill(journal).await;
    setup.spoil(0, 3, 5);
    let journal = setup.open();
    let mut reader = journal.reader("a:traces").unwrap();
    let entries = drain(&mut reader).await;
    assert_eq!(seqs(&entries), [1, 2, 4, 6, 7, 8, 9, 10, 11]);
    reader.settler().settle(entries.iter().map(delivered));
    let row = journal.ledger().readers.remove(0);
    assert!(row.balances() && row.queued.requests == 0, "{row:?}");
}

#[tokio::test]
async fn a_read_that_fails_or_is_wrong_once_at_a_start_costs_nothing() {
    let mut setup = Setup::for_two(24);
    setup.config.max_size = Some(512 << 10);
    let journal = setup.open();
    fill(&journal, 1..=240).await;
    let firsts = first_seqs(&setup);
    let mut reader = journal.reader("a:traces").unwrap();
    let entries = drain(&mut reader).await;
    reader.settler().settle(entries.iter().filter(|e| e.seq % 3 == 0).map(delivered));
    fill(&journal, [241]).await;
    drop(reader);
    setup.kill(journal).await;
    // One that was settled, of which only the totals say so, and one that was not.
    let settled = u32::try_from(firsts[1].next_multiple_of(3)).unwrap();
    setup.spoil(1, settled, 5);
    setup.spoil(1, settled + 1, 5);
    each_read_fails_once(&mut setup, 1).await;
    // With these the totals say less.
    setup.edit(&setup.segments()[2], |bytes| bytes[20] ^= 1);
    let lost = (firsts[2]..firsts[3]).filter(|seq| seq % 3 != 0).count();
    each_read_fails_once(&mut setup, 1 + lost as u64).await;
    // Where reads go on failing nothing tells what was lost from what was settled; nothing is held for ever all the same.
    for nth in 0..30 {
        let row = fails_at(&mut setup, nth, [Fault::Io; 3]).await;
        assert!(row.is_none_or(|row| row.balances() && row.queued.requests == 0), "at {nth}");
    }
}

/// `a:traces` loses what is lost and no more, whichever read of a start fails or is wrong.
async fn each_read_fails_once(setup: &mut Setup, lost: u64) {
    for (nth, fault) in (0..30).flat_map(|nth| [(nth, Fault::Io), (nth, Fault::Flip)]) {
        let row = fails_at(setup, nth, [fault]).await.unwrap();
        assert!(row.balances() && row.queued.requests == 0, "{fault:?} at {nth}: {row:?}");
        assert_eq!(row.dropped_requests, lost, "{fault:?} at {nth}");
    }
}

/// What `a:traces` comes to after a start whose reads meet faults from the `nth` on, if it starts.
async fn fails_at<const N: usize>(
    setup: &mut Setup,
    nth: u64,
    faults: [Fault; N],
) -> Option<ReaderLedger> {
    let pristine = std::mem::replace(&mut setup.fs, SimFs::new(0));
    setup.fs = pristine.kill();
    faults.into_iter().for_each(|fault| setup.fs.fail_after(Operation::Read, nth, fault));
    let opened = setup.try_open();
    setup.fs.heal();
    setup.fs = pristine;
    let (journal, _) = opened.ok()?;
    let mut reader = journal.reader("a:traces").unwrap();
    let entries = drain(&mut reader).await;
    reader.settler().settle(entries.iter().map(delivered));
    Some(journal.ledger().readers.remove(0))
}

#[tokio::test]
async fn a_segment_without_a_header_is_set_aside_and_its_sequences_are_counted() {
    let mut setup = written(5, 300).await;
    let segments = setup.segments();
    let first_of =
        |at: usize| segments[at].file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap();
    let gone = first_of(1)..first_of(2);
    setup.edit(&segments[1], |bytes| bytes[20] ^= 1);
    setup.fs.put("/journal/00000000000000009000.seg".as_ref(), b"garbage".to_vec());
    let (journal, recovery) = setup.report();
    assert_eq!(recovery.quarantined.len(), 2);
    assert_eq!(recovery.lost_records, gone.end - gone.start);
    let expected: Vec<u64> = (1..=300).filter(|seq| !gone.contains(seq)).collect();
    assert_eq!(read(&journal).await, expected);
    setup.kill(journal).await;
    let journal = setup.open();
    let seq = journal.append(record(Signal::Traces, 1, 10)).await.unwrap();
    assert!(seq > 9000, "{seq} may have been in the file set aside");
    assert_eq!(setup.with_extension("corrupt").len(), 2, "kept for a human to look at");
}

#[tokio::test]
async fn a_newer_format_is_refused_and_nothing_is_touched() {
    let setup = written(6, 300).await;
    let path = setup.segments().pop().unwrap();
    setup.edit(&path, |bytes| {
        bytes[8] = 2;
        let crc = crc32c(&[&bytes[..60]]);
        bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    });
    setup.fs.put("/journal/00000000000000000400.seg.tmp".as_ref(), vec![0; 10]);
    setup.fs.put("/journal/00000000000000000001.seg".as_ref(), b"garbage".to_vec());
    let before = (setup.fs.paths(), setup.fs.steps());
    assert!(matches!(setup.try_open(), Err(OpenError::Newer { version: 2, known: 1, .. })));
    assert_eq!((setup.fs.paths(), setup.fs.steps()), before);
}

#[tokio::test]
async fn foreign_files_are_left_alone_and_half_made_segments_removed() {
    let setup = written(7, 3).await;
    let foreign = ["notes.txt", "1.seg.bak", "x.seg", "12.seg", "rejected"];
    for name in foreign {
        setup.fs.put(&setup.config.directory.join(name), b"mine".to_vec());
    }
    setup.fs.put("/journal/00000000000000000400.seg.tmp".as_ref(), vec![0; 10]);
    let (journal, recovery) = setup.report();
    assert_eq!((recovery.lost_records, recovery.quarantined.len()), (0, 0));
    assert_eq!(read(&journal).await, [1, 2, 3]);
    for name in foreign {
        assert_eq!(setup.fs.bytes(&setup.config.directory.join(name)).unwrap(), b"mine");
    }
    assert!(setup.with_extension("tmp").is_empty());
}

#[tokio::test]
async fn a_payload_that_holds_a_well_formed_record_is_not_taken_for_one() {
    let mut setup = written(8, 1).await;
    let path = setup.segments().pop().unwrap();
    let bytes = setup.fs.bytes(&path).unwrap();
    let at = find(&bytes, &unique(Signal::Traces, 1, SIZE));
    // Once as it stands there, once made with the right salt for the wrong place.
    let salt: [u8; 16] = bytes[32..48].try_into().unwrap();
    let forged = Header { items: 9, ..Header::of(Kind::Data, 77, b"") };
    let mut payload = bytes[at..at + WHOLE].to_vec();
    payload.extend(forged.encode(&salt, (SEGMENT_HEADER + at) as u64));
    let record = Record { payload: payload.into(), ..record(Signal::Traces, 1, 0) };
    let journal = setup.open();
    journal.append(record.clone()).await.unwrap();
    journal.append(unique(Signal::Traces, 3, SIZE)).await.unwrap();
    setup.kill(journal).await;
    // The header before it is bad, so that the walk looks into the payload.
    setup.edit(&setup.segments().pop().unwrap(), |bytes| {
        let at = find(bytes, &record);
        bytes[at] ^= 1;
    });
    let (journal, recovery) = setup.report();
    assert_eq!(recovery.lost_records, 1);
    assert_eq!(read(&journal).await, [1, 3]);
}

#[tokio::test]
async fn any_byte_may_be_wrong_and_the_journal_starts_and_balances() {
    for seed in 0..150 {
        let setup = written(seed, 200).await;
        let mut rng = fastrand::Rng::with_seed(seed);
        for path in setup.segments() {
            setup.edit(&path, |bytes| {
                for _ in 0..rng.usize(0..4) {
                    let at = rng.usize(..bytes.len());
                    bytes[at] = rng.u8(..);
                }
                if rng.u8(..8) == 0 {
                    bytes.truncate(rng.usize(..bytes.len()));
                }
            });
        }
        let journal = setup.open();
        let got = read(&journal).await;
        assert!(got.is_sorted() && got.iter().all(|&seq| seq <= 200));
        assert!(
            journal.append(record(Signal::Traces, 1, 10)).await.unwrap()
                > *got.last().unwrap_or(&0)
        );
        assert_balanced(&journal);
    }
}

#[tokio::test]
async fn a_journal_keeps_its_name_over_damage_and_one_begun_anew_has_another() {
    let mut setup = Setup::new(3, vec![]);
    let journal = setup.open();
    let name = journal.identity();
    for nth in 0..40 {
        journal.append(unique(Signal::Metrics, nth, 10_000)).await.unwrap();
    }
    assert!(setup.segments().len() > 1);
    assert_eq!(journal.identity(), name);
    setup.crash(journal).await;
    let newest = setup.segments().pop().unwrap();
    setup.edit(&newest, |bytes| bytes[20] ^= 1);
    let journal = setup.open();
    assert_eq!(setup.with_extension("corrupt").len(), 1);
    assert_eq!(journal.identity(), name);
    setup.kill(journal).await;
    assert_eq!(setup.open().identity(), name);
    let anew = Setup::new(3, vec![]).open();
    assert_ne!(anew.identity(), name);
}

#[tokio::test]
async fn neither_bits_that_rot_nor_syncs_that_lie_stop_a_start() {
    for seed in 0..20 {
        let mut setup = Setup::new(seed, readers());
        let journal = setup.open();
        setup.fs.fail_one_in(Operation::Sync, 20, Fault::Lie);
        fill(&journal, 1..=300).await;
        setup.crash(journal).await;
        setup.fs.rot(seed % 2 == 0);
        let journal = setup.open();
        journal.append(unique(Signal::Traces, 301, SIZE)).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_lost_in_a_segment_that_a_kill_left_open_is_counted_once_and_its_file_is_kept() {
    let mut setup = written(21, 0).await;
    let journal = setup.open();
    fill(&journal, 1..=5).await;
    setup.kill(journal).await;
    let path = setup.segments().pop().unwrap();
    setup.edit(&path, |bytes| {
        let start = find(bytes, &unique(Signal::Traces, 3, SIZE));
        bytes[start..start + 300].fill(0xa5);
    });
    let (journal, recovery) = setup.report();
    assert_eq!((recovery.lost_records, recovery.records), (1, 4));
    let mut reader = journal.reader("a:traces").unwrap();
    let entries = drain(&mut reader).await;
    assert_eq!(seqs(&entries), [1, 2, 4, 5]);
    assert_eq!(journal.status().lost_records, 1);
    reader.settler().settle(entries.iter().map(delivered));
    let gone = async {
        while setup.with_extension("corrupt").is_empty() {
            setup.clock.advance(std::time::Duration::from_secs(1));
            journal.append(unique(Signal::Traces, 6, SIZE)).await.unwrap();
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), gone).await.expect("it is set aside");
}
