//! What is lost is counted once: the ledger is the truth after damage, and after the starts that follow it.

use std::time::Duration;

use futures_util::future::join_all;

use super::disk::{Fault, Operation};
use super::support::{
    LONG, SIZE, Setup, append, assert_balanced, delivered, drain, fill, seqs, settled_in_part,
    unique,
};
use crate::journal::acks::MAX_RANGES;
use crate::journal::format::RECORD_HEADER;
use crate::journal::fs::Fs as _;
use crate::journal::{Config, DropReason, Entry, Journal, ReaderLedger, Waited, WhenFull};
use crate::signal::Signal;

/// Makes the body of that record unreadable.
fn spoil(setup: &Setup, segment: usize, nth: u32) {
    setup.spoil(segment, nth, RECORD_HEADER);
}

/// The row of that reader, with everything accepted since the beginning.
fn row(journal: &Journal, nth: usize, accepted: u64) -> ReaderLedger {
    assert_balanced(journal);
    let row = journal.ledger().readers.remove(nth);
    assert_eq!(row.accepted.requests, accepted, "{row:?}");
    row
}

#[tokio::test]
async fn a_record_that_is_cut_out_at_the_start_was_settled_and_no_other_with_it() {
    let mut setup = settled_in_part(1, 5, 3).await;
    spoil(&setup, 0, 2);
    for _ in 0..2 {
        let journal = setup.open();
        let a = row(&journal, 0, 6);
        assert_eq!((a.delivered.requests, a.queued.requests, a.dropped_requests), (3, 3, 0));
        let b = row(&journal, 1, 6);
        assert_eq!((b.queued.requests, b.dropped_requests), (5, 1));
        setup.kill(journal).await;
    }
    let journal = setup.open();
    let mut reader = journal.reader("a:traces").unwrap();
    let entries = drain(&mut reader).await;
    assert_eq!(seqs(&entries), [4, 5, 6]);
    reader.settler().settle(entries.iter().map(delivered));
    assert_eq!(row(&journal, 0, 6).delivered.requests, 6);
}

#[tokio::test]
async fn what_one_start_counts_as_lost_the_next_does_not_count_again() {
    for at_the_start in [false, true] {
        let mut setup = Setup::for_two(2);
        let journal = setup.open();
        fill(&journal, 1..=300).await;
        setup.kill(journal).await;
        let newest = setup.segments().len() - 1;
        let (segment, nth) = if at_the_start { (newest, 299) } else { (0, 10) };
        spoil(&setup, segment, nth);
        let (journal, recovery) = setup.report();
        assert_eq!(recovery.lost_records, u64::from(at_the_start));
        // Nothing is settled: what is damaged was only seen.
        assert_eq!(drain(&mut journal.reader("a:traces").unwrap()).await.len(), 299);
        assert_eq!(journal.status().lost_records, 1);
        fill(&journal, [301]).await;
        setup.kill(journal).await;
        for life in 0..3 {
            let (journal, recovery) = setup.report();
            assert_eq!(recovery.lost_records, 0, "life {life}");
            let kept = 300 + life;
            // Of what was cut out of the newest segment, with no record behind it that counts it, nothing is known.
            let dropped = u64::from(!at_the_start);
            for nth in [0, 1] {
                let row = row(&journal, nth, kept + dropped);
                assert_eq!((row.queued.requests, row.dropped_requests), (kept, dropped));
            }
            let read = drain(&mut journal.reader("b:traces").unwrap()).await;
            assert_eq!((read.len() as u64, journal.status().lost_records), (kept, 0));
            fill(&journal, [302 + u32::try_from(life).unwrap()]).await;
            setup.kill(journal).await;
        }
    }
}

#[tokio::test]
async fn damage_in_a_segment_that_was_damaged_before_is_counted_too() {
    let mut setup = Setup::for_two(3);
    let journal = setup.open();
    fill(&journal, 1..=300).await;
    setup.kill(journal).await;
    spoil(&setup, 0, 10);
    let journal = setup.open();
    assert_eq!(drain(&mut journal.reader("a:traces").unwrap()).await.len(), 299);
    spoil(&setup, 0, 20);
    let mut reader = journal.reader("b:traces").unwrap();
    let entries = drain(&mut reader).await;
    assert_eq!(entries.len(), 298);
    reader.settler().settle(entries.iter().map(delivered));
    let b = row(&journal, 1, 300);
    assert_eq!((b.delivered.requests, b.dropped_requests, b.queued.requests), (298, 2, 0));
}

#[tokio::test]
async fn what_is_in_flight_when_its_segment_is_given_up_is_not_lost() {
    let mut setup = Setup::for_two(4);
    setup.config.tail_size = 2 * SIZE + 500;
    let journal = setup.open();
    fill(&journal, 1..=20).await;
    let mut ahead = journal.reader("b:traces").unwrap();
    let in_flight = ahead.next(usize::MAX, 10).await.unwrap();
    let mut reader = journal.reader("a:traces").unwrap();
    assert_eq!(seqs(&reader.next(usize::MAX, 1).await.unwrap()), [1]);
    // From the third sector on, to what is in memory.
    setup.fs.lose_sectors(&setup.segments()[0], 8_192..setup.place(0, 19));
    let whole = (2..19).take_while(|nth| setup.place(0, nth + 1) <= 8_192).last().unwrap();
    assert!((5..8).contains(&whole), "{whole}");
    let mut got = Vec::new();
    while got.last() != Some(&20) {
        match reader.next(usize::MAX, 1).await {
            Ok(entries) => got.extend(seqs(&entries)),
            Err(_) => setup.clock.advance(Duration::from_secs(30)),
        }
    }
    let expected: Vec<u64> = (2..=u64::from(whole)).chain([19, 20]).collect();
    assert_eq!(got, expected, "what is in memory is not lost");
    ahead.settler().settle(in_flight.iter().map(delivered));
    let b = row(&journal, 1, 20);
    assert_eq!((b.delivered.requests, b.queued.requests, b.dropped_requests), (10, 2, 8));
    assert_eq!(b.dropped.keys().collect::<Vec<_>>(), [&DropReason::Corrupt]);
    assert_eq!(seqs(&drain(&mut ahead).await), [19, 20]);
}

#[tokio::test]
async fn a_segment_ends_where_one_began_that_was_set_aside() {
    let mut setup = Setup::for_two(5);
    let journal = setup.open();
    fill(&journal, 1..=3).await;
    setup.fs.fail_after(Operation::Sync, 0, Fault::Io);
    fill(&journal, 4..=5).await;
    let mut reader = journal.reader("a:traces").unwrap();
    let entries = drain(&mut reader).await;
    reader.settler().settle(entries.iter().map(delivered));
    drop(reader);
    journal.close().await;
    setup.fs = setup.fs.kill();
    let [_, second] = setup.segments().try_into().unwrap();
    setup.edit(&second, |bytes| bytes[20] ^= 1);
    let mut accepted = None;
    for _ in 0..3 {
        let (journal, recovery) = setup.report();
        assert_eq!(recovery.records, 3, "record 4 was written again in the other one");
        assert_balanced(&journal);
        let is = journal.ledger().accepted.get(Signal::Traces);
        assert_eq!(*accepted.get_or_insert(is), is);
        setup.kill(journal).await;
    }
}

#[tokio::test]
async fn power_that_goes_at_any_operation_of_an_append_costs_nothing_acknowledged() {
    const OPERATIONS: [Operation; 7] = [
        Operation::Create,
        Operation::Rename,
        Operation::SyncDir,
        Operation::Allocate,
        Operation::SetLen,
        Operation::Write,
        Operation::Sync,
    ];
    for (seed, operation) in (0..).zip(OPERATIONS) {
        let mut setup = Setup::for_two(seed);
        let journal = setup.open();
        fill(&journal, 1..=5).await;
        setup.fs.fail_after(operation, 0, Fault::Off);
        let mut acknowledged = 5;
        while append(&journal, 6).await.is_ok() {
            acknowledged += 1;
        }
        assert!(setup.fs.is_off(), "{operation:?} is part of no append");
        setup.crash(journal).await;
        let journal = setup.open();
        assert_balanced(&journal);
        let a = journal.ledger().readers.remove(0);
        assert!(a.accepted.requests >= acknowledged, "{operation:?}: {a:?}");
        assert!(a.dropped.is_empty(), "{operation:?}: {a:?}");
        let kept = drain(&mut journal.reader("a:traces").unwrap()).await;
        assert_eq!(kept.len() as u64, a.queued.requests);
    }
}

/// Every second of so many is settled when the reader goes: nothing that is read after them settles what is between.
#[tokio::test]
async fn a_reader_that_comes_back_to_a_crowd_of_settled_runs_reads_what_is_between() {
    let mut setup = Setup::for_two(6);
    setup.config = Config { max_size: Some(64 << 20), tail_size: 64 << 20, ..setup.config };
    let records = 2 * u32::try_from(MAX_RANGES).unwrap() + 2;
    let journal = setup.open();
    let appended = (1..=records).map(|nth| journal.append(unique(Signal::Traces, nth, 0)));
    assert!(join_all(appended).await.into_iter().all(|appended| appended.is_ok()));
    let mut reader = journal.reader("a:traces").unwrap();
    let mut entries = Vec::new();
    while entries.len() < records as usize {
        let more = reader.next(usize::MAX, usize::MAX).await.unwrap();
        assert!(!more.is_empty());
        entries.extend(more);
    }
    reader.settler().settle(entries.iter().skip(1).step_by(2).map(delivered));
    append(&journal, records + 1).await.unwrap();
    assert!(reader.next(usize::MAX, usize::MAX).await.unwrap().is_empty(), "so many are open");
    let mut expected: Vec<u64> = entries.iter().step_by(2).map(|entry| entry.seq).collect();
    drop(reader);
    let mut reader = journal.reader("a:traces").unwrap();
    assert_eq!(reader.wait(1, LONG).await, Waited::Ready);
    let again = reader.next(usize::MAX, usize::MAX).await.unwrap();
    assert!(seqs(&again) == expected, "{} records", again.len());
    drop(reader);
    setup.kill(journal).await;
    let journal = setup.open();
    let mut reader = journal.reader("a:traces").unwrap();
    assert_eq!(reader.wait(1, LONG).await, Waited::Ready);
    let mut again = Vec::new();
    loop {
        let entries = reader.next(usize::MAX, usize::MAX).await.unwrap();
        if entries.is_empty() {
            break;
        }
        reader.settler().settle(entries.iter().map(delivered));
        again.extend(seqs(&entries));
    }
    expected.push(u64::from(records) + 1);
    assert!(again == expected, "{} records", again.len());
    assert_balanced(&journal);
}

/// What a slow destination is sent while the cap takes the oldest segment: delivered is delivered.
#[tokio::test]
async fn what_is_in_flight_when_the_cap_takes_its_segment_counts_as_it_ends() {
    for ends in ["settled", "released", "killed"] {
        let mut setup = Setup::for_two(7);
        setup.readers.truncate(1);
        setup.readers[0].when_full = WhenFull::DropOldest;
        let mut journal = setup.open();
        fill(&journal, 1..=20).await;
        let mut reader = journal.reader("a:traces").unwrap();
        let in_flight = reader.next(usize::MAX, 10).await.unwrap();
        assert_eq!(in_flight.len(), 10);
        let items = |entries: &[Entry]| -> u64 {
            entries.iter().map(|entry| u64::from(entry.record.items)).sum()
        };
        for nth in 21..=3_000 {
            append(&journal, nth).await.unwrap();
            assert_balanced(&journal);
        }
        let before = row(&journal, 0, 3_000);
        assert!(before.dropped_requests > 1_000, "{before:?}");
        assert_eq!(journal.status().readers[0].queued, before.queued);
        match ends {
            "settled" => reader.settler().settle(in_flight.iter().map(delivered)),
            "released" => drop(reader),
            _ => {
                setup.kill(journal).await;
                drop(reader);
                journal = setup.open();
            }
        }
        let after = row(&journal, 0, 3_000);
        let (delivered, dropped) = if ends == "settled" { (10, 0) } else { (0, 10) };
        assert_eq!(after.delivered.requests, delivered, "{ends}");
        assert_eq!(after.dropped_requests, before.dropped_requests + dropped, "{ends}");
        assert_eq!(after.queued.requests, before.queued.requests - 10, "{ends}");
        assert_eq!(after.dropped.keys().collect::<Vec<_>>(), [&DropReason::QueueFull], "{ends}");
        if ends == "settled" {
            assert_eq!(after.delivered.items, items(&in_flight));
            assert_eq!(after.dropped, before.dropped);
        }
    }
}

/// What the files say no more, the ledger does: it is told, in all places where damage is.
#[tokio::test]
async fn what_is_lost_with_whole_files_is_counted_at_the_start() {
    for damage in ["the oldest removed", "one in the middle removed", "the oldest cut short"] {
        let mut setup = Setup::for_two(8);
        let journal = setup.open();
        fill(&journal, 1..=400).await;
        setup.kill(journal).await;
        let segments = setup.segments();
        assert!(segments.len() > 3);
        match damage {
            "the oldest removed" => setup.fs.remove(&segments[0]).unwrap(),
            "one in the middle removed" => setup.fs.remove(&segments[1]).unwrap(),
            _ => setup.edit(&segments[0], |bytes| bytes.truncate(bytes.len() / 4)),
        }
        let (journal, recovery) = setup.report();
        let row = row(&journal, 0, 400);
        assert!(row.dropped_requests > 80, "{damage}: {row:?}");
        let told = recovery.lost_records + recovery.missing_records;
        assert_eq!(told, row.dropped_requests, "{damage}: {recovery:?}");
        assert_eq!(journal.status().missing_records, recovery.missing_records, "{damage}");
        assert_eq!(recovery.uncounted, None);
        append(&journal, 10_000).await.unwrap();
        setup.kill(journal).await;
        let (_journal, again) = setup.report();
        assert_eq!((again.lost_records, again.missing_records), (0, 0), "{damage}: once");
    }
}

#[tokio::test]
async fn that_the_newest_file_cannot_be_read_is_told_unless_nothing_was_in_it() {
    for empty in [false, true] {
        let mut setup = Setup::for_two(9);
        let journal = setup.open();
        fill(&journal, 1..=200).await;
        setup.kill(journal).await;
        let newest = setup.segments().pop().unwrap();
        setup.edit(&newest, |bytes| match empty {
            true => bytes.fill(0),
            false => bytes[20] ^= 1,
        });
        let (journal, recovery) = setup.report();
        let aside = newest.with_extension("corrupt");
        assert_eq!(recovery.quarantined, std::slice::from_ref(&aside));
        assert_eq!(recovery.uncounted, (!empty).then_some(aside));
        assert_eq!(journal.status().uncounted, recovery.uncounted);
    }
}
