//! Disks that fail, fill up and lie.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::disk::{Fault, Operation};
use super::support::{
    SIZE, Setup, append, assert_balanced, delivered, drain, fill, lane, seqs, unique,
};
use crate::journal::format::RECORD_HEADER;
use crate::journal::fs::Fs as _;
use crate::journal::{AppendError, Durability, Reader, ReaderConfig, Rejected, Stepper};
use crate::signal::Signal;
use crate::time::UnixNano;

fn readers() -> Vec<ReaderConfig> {
    vec![lane("a:traces", Signal::Traces)]
}

#[tokio::test]
async fn one_failed_sync_poisons_the_segment_and_loses_no_record() {
    for durability in [Durability::Fsync, Durability::Os] {
        for seed in 0..20 {
            let mut setup = Setup::new(seed, readers());
            setup.config.durability = durability;
            let journal = setup.open();
            fill(&journal, 1..=3).await;
            let broken = match durability {
                Durability::Os => Operation::Write,
                _ => Operation::Sync,
            };
            setup.fs.fail_after(broken, 0, Fault::Io);
            assert_eq!(append(&journal, 4).await.unwrap(), 4, "written again in the next segment");
            assert_eq!(append(&journal, 5).await.unwrap(), 5);
            assert_eq!((journal.status().poisoned, setup.segments().len()), (1, 2));
            let mut reader = journal.reader("a:traces").unwrap();
            assert_eq!(seqs(&drain(&mut reader).await), [1, 2, 3, 4, 5]);
            assert_eq!(setup.fs.touched_after_failure(), 0, "a poisoned file was used again");
            match durability {
                Durability::Os => setup.kill(journal).await,
                _ => setup.crash(journal).await,
            }
            let (journal, recovery) = setup.report();
            assert_eq!(recovery.lost_records, 0);
            let entries = drain(&mut journal.reader("a:traces").unwrap()).await;
            assert_eq!(seqs(&entries), [1, 2, 3, 4, 5]);
            assert!(
                entries.iter().zip(1..).all(|(e, n)| e.record == unique(Signal::Traces, n, SIZE))
            );
        }
    }
}

#[tokio::test]
async fn a_disk_that_fails_for_good_acknowledges_nothing_and_works_again_when_it_does() {
    let mut setup = Setup::new(1, readers());
    let journal = setup.open();
    append(&journal, 1).await.unwrap();
    setup.fs.fail_one_in(Operation::Sync, 1, Fault::Io);
    for nth in 2..6 {
        assert!(matches!(append(&journal, nth).await, Err(AppendError::Disk(_))));
    }
    setup.fs.heal();
    assert_eq!(append(&journal, 6).await.unwrap(), 2, "a sequence is given out when it is durable");
    assert_eq!(setup.fs.touched_after_failure(), 0);
    setup.crash(journal).await;
    let journal = setup.open();
    let entries = drain(&mut journal.reader("a:traces").unwrap()).await;
    assert_eq!(seqs(&entries), [1, 2]);
    assert_eq!(entries[1].record, unique(Signal::Traces, 6, SIZE));
    assert_balanced(&journal);
}

#[tokio::test]
async fn what_a_poisoned_segment_holds_unpublished_is_never_given_twice() {
    for seed in 0..30 {
        let mut setup = Setup::new(seed, readers());
        let journal = setup.open();
        append(&journal, 1).await.unwrap();
        // The group is written, its sync fails, and no successor can be made.
        setup.fs.fail_after(Operation::Sync, 0, Fault::Io);
        setup.fs.fail_after(Operation::Create, 0, Fault::Full);
        assert!(append(&journal, 2).await.is_err());
        if seed % 2 == 0 {
            setup.kill(journal).await
        } else {
            setup.crash(journal).await
        }
        let journal = setup.open();
        let seq = append(&journal, 3).await.unwrap();
        let entries = drain(&mut journal.reader("a:traces").unwrap()).await;
        let last = entries.last().unwrap();
        assert_eq!((last.seq, &last.record), (seq, &unique(Signal::Traces, 3, SIZE)));
        // The refused record may have made it; then it has a sequence of its own.
        assert_eq!(seqs(&entries), (1..=seq).collect::<Vec<_>>());
        assert_balanced(&journal);
    }
}

#[tokio::test]
async fn what_was_refused_does_not_come_back_when_the_segment_goes_that_took_its_sequence() {
    let readers = vec![lane("a:traces", Signal::Traces), lane("b:logs", Signal::Logs)];
    let mut setup = Setup::new(1, readers);
    let (journal, mut stepper) = setup.open_stepped();
    let mut append = |signal, nth| {
        let append = journal.append(unique(signal, nth, SIZE));
        step(&mut stepper, pin!(append))
    };
    assert_eq!(append(Signal::Traces, 1).unwrap(), 1);
    setup.fs.fail_after(Operation::Sync, 0, Fault::Io);
    setup.fs.fail_after(Operation::Create, 0, Fault::Full);
    append(Signal::Traces, 2).unwrap_err();
    assert_eq!(append(Signal::Logs, 3).unwrap(), 2);
    setup.fs.fail_after(Operation::Sync, 0, Fault::Io);
    assert_eq!(append(Signal::Logs, 4).unwrap(), 3);
    let mut logs = journal.reader("b:logs").unwrap();
    let entries = drain(&mut logs).await;
    logs.settler().settle(entries.iter().map(delivered));
    setup.clock.advance(std::time::Duration::from_secs(1));
    stepper.step();
    drop((logs, stepper));
    setup.kill(journal).await;
    let (journal, mut stepper) = setup.open_stepped();
    let mut traces = journal.reader("a:traces").unwrap();
    let entries = drain(&mut traces).await;
    assert_eq!(seqs(&entries), [1]);
    for row in journal.ledger().readers {
        assert!(row.balances() && row.dropped.is_empty(), "{row:#?}");
    }
    // Nobody holds either any more.
    traces.settler().settle(entries.iter().map(delivered));
    assert_eq!(setup.segments().len(), 3);
    for _ in 0..3 {
        setup.clock.advance(std::time::Duration::from_secs(1));
        stepper.step();
    }
    assert_eq!(setup.segments().len(), 1);
}

#[tokio::test]
async fn a_full_disk_refuses_and_takes_again_when_there_is_room() {
    for operation in [Operation::Create, Operation::Allocate, Operation::Write] {
        let setup = Setup::new(2, readers());
        let journal = setup.open();
        append(&journal, 1).await.unwrap();
        setup.fs.fail_one_in(Operation::Create, 1, Fault::Full);
        setup.fs.fail_one_in(operation, 1, Fault::Full);
        let mut nth = 2;
        while append(&journal, nth).await.is_ok() {
            nth += 1;
        }
        assert!(append(&journal, nth).await.is_err());
        let failure = journal.status().failure.unwrap();
        assert!(failure.starts_with("the journal cannot write to /journal: "), "{failure}");
        assert!(failure.ends_with(": make room there, or mend the disk"), "{failure}");
        setup.fs.heal();
        assert_eq!(append(&journal, nth).await.unwrap(), u64::from(nth));
        assert_eq!(journal.status().failure, None);
        let entries = drain(&mut journal.reader("a:traces").unwrap()).await;
        assert_eq!(entries.len(), nth as usize);
        assert_balanced(&journal);
    }
}

#[tokio::test]
async fn acks_that_find_no_room_are_written_later() {
    let mut setup = Setup::new(3, readers());
    let journal = setup.open();
    fill(&journal, 1..=3).await;
    let mut reader = journal.reader("a:traces").unwrap();
    let entries = drain(&mut reader).await;
    reader.settler().settle(entries[..2].iter().map(delivered));
    setup.fs.fail_after(Operation::Write, 0, Fault::Full);
    append(&journal, 4).await.unwrap();
    setup.crash(journal).await;
    let journal = setup.open();
    let entries = drain(&mut journal.reader("a:traces").unwrap()).await;
    assert_eq!(seqs(&entries), [3, 4]);
    assert_balanced(&journal);
}

#[tokio::test]
async fn acks_of_a_start_without_traffic_are_durable_at_its_end() {
    let mut setup = Setup::new(4, readers());
    let journal = setup.open();
    append(&journal, 1).await.unwrap();
    setup.crash(journal).await;
    let journal = setup.open();
    let mut reader = journal.reader("a:traces").unwrap();
    let entries = drain(&mut reader).await;
    assert_eq!(entries.iter().map(|e| (e.seq, e.redelivered)).collect::<Vec<_>>(), [(1, true)]);
    reader.settler().settle(entries.iter().map(delivered));
    journal.close().await;
    setup.fs = setup.fs.crash();
    let (journal, recovery) = setup.report();
    assert_eq!(recovery.undelivered[0].1.requests, 0, "delivered, and not sent again");
    assert_balanced(&journal);
}

#[tokio::test]
async fn short_writes_and_reads_are_completed_and_slow_ones_change_nothing() {
    let setup = Setup::new(5, readers());
    let journal = setup.open();
    setup.fs.fail_one_in(Operation::Write, 2, Fault::Short);
    setup.fs.fail_one_in(Operation::Read, 2, Fault::Short);
    setup.fs.fail_one_in(Operation::Sync, 2, Fault::Slow(std::time::Duration::from_secs(3)));
    fill(&journal, 1..=50).await;
    let entries = drain(&mut journal.reader("a:traces").unwrap()).await;
    let met = setup.fs.met();
    assert!(
        ["Write Short", "Read Short", "Sync Slow"].iter().all(|&kind| met[kind] > 1),
        "{met:?}"
    );
    assert_eq!(entries.len(), 50);
    assert!(entries.iter().zip(1..).all(|(e, n)| e.record == unique(Signal::Traces, n, SIZE)));
    assert_balanced(&journal);
}

/// Reads until there is nothing more; the clock goes on where the disk fails. What it got, and how often it failed.
async fn read_all(setup: &Setup, reader: &mut Reader) -> (Vec<u64>, u32) {
    let (mut got, mut failed) = (Vec::new(), 0);
    loop {
        match reader.next(usize::MAX, usize::MAX).await {
            Ok(entries) if entries.is_empty() => return (got, failed),
            Ok(entries) => got.extend(seqs(&entries)),
            Err(_) => {
                failed += 1;
                setup.clock.advance(Duration::from_secs(30));
            }
        }
    }
}

#[tokio::test]
async fn a_disk_that_is_away_loses_nothing_however_long() {
    for operation in [Operation::Read, Operation::Open] {
        let setup = Setup::new(6, readers());
        let journal = setup.open();
        fill(&journal, 1..=300).await;
        let mut reader = journal.reader("a:traces").unwrap();
        setup.fs.fail_after(operation, 0, Fault::Io);
        assert!(reader.next(1, 1).await.is_err());
        assert_eq!(seqs(&reader.next(usize::MAX, 2).await.unwrap()), [1, 2]);
        setup.fs.fail_one_in(operation, 1, Fault::Io);
        let mut got = Vec::new();
        for _ in 0..60 {
            match reader.next(usize::MAX, 2).await {
                Ok(entries) => got.extend(seqs(&entries)),
                Err(_) => setup.clock.advance(Duration::from_secs(30)),
            }
        }
        assert_eq!(journal.status().lost_records, 0, "{operation:?}");
        setup.fs.heal();
        got.extend(seqs(&drain(&mut reader).await));
        assert_eq!(got, (3..=300).collect::<Vec<_>>(), "{operation:?}");
        assert_balanced(&journal);
    }
}

#[tokio::test]
async fn what_lies_in_sectors_that_cannot_be_read_is_lost_and_nothing_around_it() {
    let setup = Setup::for_two(6);
    let journal = setup.open();
    fill(&journal, 1..=20).await;
    let mut ahead = journal.reader("b:traces").unwrap();
    let in_flight = ahead.next(usize::MAX, 50).await.unwrap();
    fill(&journal, 21..=400).await;
    let bad = setup.place(0, 50);
    setup.fs.lose_sectors(&setup.segments()[0], bad..bad + 1);
    let sector = bad / 4096 * 4096..bad / 4096 * 4096 + 4096;
    let is_in_it =
        |nth: &u32| setup.place(0, *nth) < sector.end && setup.place(0, nth + 1) > sector.start;
    let lost: Vec<u64> = (40..60).filter(is_in_it).map(u64::from).collect();
    assert!((4..=6).contains(&lost.len()) && lost.contains(&50), "{lost:?}");
    let mut behind = journal.reader("a:traces").unwrap();
    for (reader, first) in [(&mut behind, 1), (&mut ahead, 21)] {
        let (got, failed) = read_all(&setup, reader).await;
        assert!(failed > 4, "it was waited for: {failed}");
        let expected: Vec<u64> = (first..=400).filter(|seq| !lost.contains(seq)).collect();
        assert_eq!(got, expected);
        assert_eq!(journal.status().lost_records, lost.len() as u64);
    }
    assert_eq!(in_flight.len(), 20);
    assert_balanced(&journal);
}

/// Both in one file, as on a disk that dies: neither keeps a reader from what is around the other, and a start neither.
#[tokio::test]
async fn damage_before_a_sector_that_cannot_be_read_stops_nobody() {
    for restarted in [false, true] {
        let mut setup = Setup::for_two(11);
        // One segment, larger than what is read at a time.
        setup.config.max_size = Some(16 << 20);
        let journal = setup.open();
        fill(&journal, 1..=900).await;
        let bad = setup.place(0, 600) / 4096 * 4096;
        let is_lost =
            |nth: &u32| setup.place(0, *nth) < bad + 4096 && setup.place(0, nth + 1) > bad;
        let lost = [5].into_iter().chain((590..610).filter(is_lost)).map(u64::from);
        let lost: Vec<u64> = lost.collect();
        setup.spoil(0, 5, RECORD_HEADER + 9);
        setup.fs.lose_sectors(&setup.segments()[0], bad + 1..bad + 2);
        let journal = if restarted {
            setup.fs = setup.fs.kill();
            journal.close().await;
            setup.open()
        } else {
            journal
        };
        let mut reader = journal.reader("a:traces").unwrap();
        let (got, _) = read_all(&setup, &mut reader).await;
        let expected: Vec<u64> = (1..=900).filter(|seq| !lost.contains(seq)).collect();
        assert!(got == expected, "{restarted}: {} of {}, lost {lost:?}", got.len(), expected.len());
        assert_eq!(journal.status().lost_records, lost.len() as u64, "{restarted}");
        assert_balanced(&journal);
    }
}

#[tokio::test]
async fn an_error_of_the_disk_at_the_start_cuts_nothing_off() {
    let mut setup = Setup::new(7, readers());
    let journal = setup.open();
    fill(&journal, 1..=400).await;
    setup.kill(journal).await;
    for reads in 1..30 {
        setup.fs.fail_after(Operation::Read, reads, Fault::Io);
        if let Ok((journal, _)) = setup.try_open() {
            assert!(append(&journal, 1000).await.unwrap() > 400);
            journal.close().await;
        }
        setup.fs.heal();
    }
    let journal = setup.open();
    let entries = drain(&mut journal.reader("a:traces").unwrap()).await;
    let kept: Vec<u64> = seqs(&entries).into_iter().filter(|&seq| seq <= 400).collect();
    assert_eq!(kept, (1..=400).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_disk_that_cannot_be_read_at_all_is_not_taken_for_a_damaged_journal() {
    for operation in [Operation::Read, Operation::Open] {
        let mut setup = Setup::new(8, readers());
        let journal = setup.open();
        fill(&journal, 1..=200).await;
        setup.kill(journal).await;
        setup.fs.fail_one_in(operation, 1, Fault::Io);
        let refused = setup.try_open().unwrap_err();
        assert!(refused.to_string().starts_with("cannot read /journal/0000"), "{refused}");
        setup.fs.heal();
        let (journal, found) = setup.report();
        assert_eq!((found.records, found.lost_records, found.quarantined.len()), (200, 0, 0));
        assert_balanced(&journal);
    }
}

#[tokio::test]
async fn what_is_delivered_makes_room_under_a_quota_as_on_a_full_disk() {
    let mut setup = Setup::new(9, readers());
    setup.config.retention_size = u64::MAX;
    let journal = setup.open();
    let mut reader = journal.reader("a:traces").unwrap();
    let mut nth = 0;
    while setup.segments().len() < 4 {
        nth += 1;
        append(&journal, nth).await.unwrap();
    }
    let entries = drain(&mut reader).await;
    reader.settler().settle(entries.iter().map(delivered));
    let before = setup.segments();
    // The next segment, and the one that would say what was delivered: who asks for the disk's room hears of no quota.
    setup.fs.fail_after(Operation::Allocate, 0, Fault::Quota);
    setup.fs.fail_after(Operation::Allocate, 0, Fault::Quota);
    while setup.segments().last() == before.last() {
        nth += 1;
        append(&journal, nth).await.unwrap();
    }
    assert!(!setup.segments().contains(&before[0]), "the oldest one went");
    assert_balanced(&journal);
}

#[tokio::test]
async fn an_allocation_that_a_signal_interrupts_is_done_again() {
    let setup = Setup::new(10, readers());
    let journal = setup.open();
    setup.fs.fail_after(Operation::Allocate, 0, Fault::Interrupted);
    assert_eq!(append(&journal, 1).await.unwrap(), 1);
    assert_eq!((journal.status().failure, journal.status().poisoned), (None, 0));
}

#[tokio::test]
async fn a_disk_that_takes_acknowledgements_again_is_no_failure_though_nobody_appends() {
    let setup = Setup::new(11, readers());
    let (journal, mut stepper) = setup.open_stepped();
    for nth in 1..=2 {
        let append = pin!(append(&journal, nth));
        assert_eq!(step(&mut stepper, append).unwrap(), u64::from(nth));
    }
    let mut reader = journal.reader("a:traces").unwrap();
    let entries = drain(&mut reader).await;
    let mut tick = |settled| {
        reader.settler().settle([delivered(settled)]);
        setup.clock.advance(std::time::Duration::from_secs(1));
        stepper.step();
        journal.status().failure
    };
    setup.fs.fail_after(Operation::Write, 0, Fault::Io);
    assert!(tick(&entries[0]).is_some_and(|failure| failure.contains("cannot write")));
    assert_eq!(tick(&entries[1]), None);
}

#[tokio::test]
async fn a_directory_of_another_user_is_said_and_the_end_speaks_only_of_what_was_delivered() {
    for delivers in [false, true] {
        let mut setup = Setup::new(6, readers());
        let journal = setup.open();
        append(&journal, 1).await.unwrap();
        setup.crash(journal).await;
        let (journal, mut stepper) = setup.open_stepped();
        setup.fs.fail_one_in(Operation::Create, 1, Fault::Denied);
        let refused = journal.append(unique(Signal::Traces, 2, SIZE));
        step(&mut stepper, pin!(refused)).unwrap_err();
        let failure = journal.status().failure.unwrap();
        assert!(failure.ends_with(": give the directory to the agent's user"), "{failure}");
        if delivers {
            let mut reader = journal.reader("a:traces").unwrap();
            let entries = drain(&mut reader).await;
            reader.settler().settle(entries.iter().map(delivered));
        }
        let mut closed = pin!(journal.close());
        assert!(closed.as_mut().now_or_never().is_none());
        let said = logged(|| while stepper.step() {});
        assert_eq!(said.contains("what was delivered last is not noted"), delivers, "{said}");
    }
}

/// What this thread logs meanwhile.
fn logged(meanwhile: impl FnOnce()) -> String {
    let log = tempfile::NamedTempFile::new().unwrap();
    let lines = Mutex::new(log.reopen().unwrap());
    let subscriber = tracing_subscriber::fmt().with_writer(lines).finish();
    tracing::subscriber::with_default(subscriber, meanwhile);
    std::fs::read_to_string(log.path()).unwrap()
}

/// Lets the writer write what is appended.
fn step<F: Future + Unpin>(stepper: &mut Stepper, mut append: F) -> F::Output {
    assert!((&mut append).now_or_never().is_none());
    stepper.step();
    append.now_or_never().unwrap()
}

/// As somebody does who cleans up: nothing more is acknowledged into files that have no name.
#[tokio::test]
async fn a_directory_that_is_removed_under_it_is_noticed() {
    let setup = Setup::new(10, readers());
    let (journal, mut stepper) = setup.open_stepped();
    let mut appended = pin!(append(&journal, 1));
    assert!(appended.as_mut().now_or_never().is_none() && stepper.step());
    assert_eq!(appended.as_mut().now_or_never().unwrap().unwrap(), 1);
    for path in setup.fs.paths() {
        setup.fs.remove(&path).unwrap();
    }
    setup.fs.fail_one_in(Operation::Create, 1, Fault::Io);
    setup.clock.advance(Duration::from_secs(2));
    assert!(stepper.step());
    let mut appended = pin!(append(&journal, 2));
    assert!(appended.as_mut().now_or_never().is_none() && stepper.step());
    let refused = appended.as_mut().now_or_never().unwrap().unwrap_err();
    assert!(matches!(refused, AppendError::Disk(_)), "{refused}");
    assert!(journal.status().failure.is_some());
}

#[tokio::test]
async fn a_rejected_record_whose_name_may_not_last_is_not_kept() {
    let setup = Setup::new(1, readers());
    let journal = setup.open();
    let (exporter, status) = ("a".to_owned(), "INTERNAL".to_owned());
    let record = unique(Signal::Traces, 1, SIZE);
    let rejected = Rejected { exporter, status, seq: 1, at: UnixNano(1), record };
    setup.fs.fail_after(Operation::SyncDir, 0, Fault::Io);
    journal.keep_rejected(&rejected);
    assert!(journal.rejected().is_empty());
    let is_one = |path: &PathBuf| path.extension().is_some_and(|end| end == "rejected");
    assert!(!setup.fs.paths().iter().any(is_one));
    journal.keep_rejected(&rejected);
    assert_eq!(journal.rejected().len(), 1);
    journal.close().await;
}
