//! Records that only have to be written: no sync of their own, and no loss but that of the machine's power.

use std::time::Duration;

use futures_util::FutureExt as _;

use super::disk::{Fault, Operation};
use super::support::{Setup, assert_balanced, drain, lane, seqs, unique};
use crate::journal::{AppendError, Durability, Journal, ReaderConfig, Stepper};
use crate::signal::{Flags, Record, Signal};
use crate::time::{Clock as _, UnixNano};

fn readers() -> Vec<ReaderConfig> {
    vec![lane("a:traces", Signal::Traces)]
}

fn record(nth: u32) -> Record {
    unique(Signal::Traces, nth, 1_000)
}

#[tokio::test]
async fn what_nobody_waits_for_is_synced_with_the_next_group() {
    let setup = Setup::new(1, readers());
    let journal = setup.open();
    journal.append(record(1)).await.unwrap();
    let before = setup.fs.steps();
    for nth in 2..=4 {
        assert_eq!(journal.append_until(record(nth), false).await.unwrap(), u64::from(nth));
    }
    assert_eq!(setup.fs.steps() - before, 3, "three writes");
    let mut reader = journal.reader("a:traces").unwrap();
    assert_eq!(seqs(&drain(&mut reader).await), [1], "nobody is told of what may not last");
    assert_eq!(journal.append(record(5)).await.unwrap(), 5);
    assert_eq!(setup.fs.steps() - before, 5, "a write and a sync for all");
    assert_eq!(seqs(&drain(&mut reader).await), [2, 3, 4, 5]);
    assert_balanced(&journal);
}

#[tokio::test]
async fn what_nobody_waits_for_is_synced_after_a_while() {
    let mut setup = Setup::new(2, readers());
    let journal = setup.open();
    let mut reader = journal.reader("a:traces").unwrap();
    journal.append_until(record(1), false).await.unwrap();
    setup.clock.advance(Duration::from_secs(5));
    reader.wait(1, Duration::from_secs(60)).await;
    assert_eq!(seqs(&drain(&mut reader).await), [1]);
    setup.crash(journal).await;
    let (journal, found) = setup.report();
    assert_eq!((found.records, found.lost_records), (1, 0));
    assert_balanced(&journal);
}

#[tokio::test]
async fn much_that_nobody_waits_for_is_synced_without_waiting() {
    let setup = Setup::new(5, readers());
    let journal = setup.open();
    let mut reader = journal.reader("a:traces").unwrap();
    journal.append_until(record(1), false).await.unwrap();
    assert!(drain(&mut reader).await.is_empty());
    journal.append_until(unique(Signal::Traces, 2, 300 << 10), false).await.unwrap();
    assert_eq!(seqs(&drain(&mut reader).await), [1, 2]);
}

#[tokio::test]
async fn a_clock_that_goes_back_takes_no_record_before_one_that_was_only_written() {
    let setup = Setup::new(6, readers());
    let journal = setup.open();
    let start = setup.clock.unix_nano();
    let mut reader = journal.reader("a:traces").unwrap();
    journal.append(record(1)).await.unwrap();
    setup.clock.set_unix(UnixNano(start.0 + 9_000_000_000));
    journal.append_until(record(2), false).await.unwrap();
    setup.clock.set_unix(UnixNano(start.0 + 6_000_000_000));
    journal.append(record(3)).await.unwrap();
    journal.append(record(4)).await.unwrap();
    let entries = drain(&mut reader).await;
    assert_eq!(seqs(&entries), [1, 2, 3, 4]);
    assert!(entries.is_sorted_by_key(|entry| entry.received), "{entries:?}");
}

#[tokio::test]
async fn what_was_only_written_survives_a_kill_and_the_end_of_its_segment() {
    let mut setup = Setup::new(3, readers());
    let journal = setup.open();
    for nth in 1..=300 {
        assert_eq!(journal.append_until(record(nth), false).await.unwrap(), u64::from(nth));
    }
    assert!(setup.segments().len() > 2);
    setup.kill(journal).await;
    let (journal, found) = setup.report();
    assert_eq!((found.records, found.lost_records), (300, 0));
    assert_eq!(journal.append(record(301)).await.unwrap(), 301);
    assert_balanced(&journal);
}

#[tokio::test]
async fn what_was_only_written_moves_to_the_next_segment_when_its_own_is_given_up() {
    for seed in 0..20 {
        let mut setup = Setup::new(seed, readers());
        let journal = setup.open();
        journal.append(record(1)).await.unwrap();
        journal.append_until(record(2), false).await.unwrap();
        setup.fs.fail_after(Operation::Sync, 0, Fault::Io);
        setup.fs.fail_after(Operation::Create, 0, Fault::Full);
        assert!(journal.append(record(3)).await.is_err());
        assert_eq!(journal.append_until(record(4), false).await.unwrap(), 3);
        assert_eq!(journal.append(record(5)).await.unwrap(), 4);
        assert_eq!(setup.fs.touched_after_failure(), 0);
        setup.crash(journal).await;
        let (journal, found) = setup.report();
        assert_eq!(found.lost_records, 0);
        let entries = drain(&mut journal.reader("a:traces").unwrap()).await;
        assert_eq!(seqs(&entries), [1, 2, 3, 4]);
        let expected = [record(1), record(2), record(4), record(5)];
        assert!(entries.iter().map(|entry| &entry.record).eq(&expected));
        assert_balanced(&journal);
    }
}

/// Appends with a writer that works when it is told to.
fn step(journal: &Journal, stepper: &mut Stepper, record: Record, durable: bool) -> u64 {
    let mut append = Box::pin(journal.append_until(record, durable));
    assert!(append.as_mut().now_or_never().is_none());
    assert!(stepper.step());
    append.now_or_never().unwrap().unwrap()
}

#[tokio::test]
async fn a_record_of_a_sender_is_never_only_written() {
    let setup = Setup::new(7, readers());
    let journal = setup.open();
    let refused = journal.append_written(record(1)).await;
    assert!(matches!(refused, Err(AppendError::NotLocal)), "{refused:?}");
    let local = Record { flags: Flags::LOCAL, ..record(1) };
    assert_eq!(journal.append_written(local).await.unwrap(), 1);
}

#[tokio::test]
async fn what_nobody_waits_for_is_published_after_five_seconds_wherever_the_tick_falls() {
    let setup = Setup::new(8, readers());
    let (journal, mut stepper) = setup.open_stepped();
    let mut reader = journal.reader("a:traces").unwrap();
    setup.clock.advance(Duration::from_millis(700));
    step(&journal, &mut stepper, record(1), false);
    assert_eq!(stepper.patience(), Duration::from_secs(1), "the tick");
    setup.clock.advance(Duration::from_millis(4_600));
    assert!(stepper.step());
    assert_eq!(stepper.patience(), Duration::from_millis(400), "not the next tick");
    assert!(drain(&mut reader).await.is_empty());
    setup.clock.advance(Duration::from_millis(400));
    assert!(stepper.step());
    assert_eq!(seqs(&drain(&mut reader).await), [1]);
}

#[tokio::test]
async fn a_flush_that_fails_moves_what_was_written_to_the_next_segment_or_keeps_it_without_haste() {
    for full in [false, true] {
        let mut setup = Setup::new(9, readers());
        let (journal, mut stepper) = setup.open_stepped();
        let mut reader = journal.reader("a:traces").unwrap();
        step(&journal, &mut stepper, record(1), false);
        setup.fs.fail_after(Operation::Sync, 0, Fault::Io);
        if full {
            setup.fs.fail_one_in(Operation::Create, 1, Fault::Full);
        }
        setup.clock.advance(Duration::from_secs(5));
        assert!(stepper.step());
        assert_eq!(seqs(&drain(&mut reader).await), if full { vec![] } else { vec![1] });
        assert_eq!(
            stepper.patience(),
            Duration::from_secs(1),
            "a disk that fails is not asked all the time"
        );
        setup.fs.heal();
        assert_eq!(step(&journal, &mut stepper, record(2), true), 2);
        assert_eq!(setup.fs.touched_after_failure(), 0);
        assert_balanced(&journal);
        drop(reader);
        drop(stepper);
        setup.crash(journal).await;
        let (journal, found) = setup.report();
        assert_eq!((found.records, found.lost_records), (2, 0), "{full}");
        assert_eq!(seqs(&drain(&mut journal.reader("a:traces").unwrap()).await), [1, 2]);
    }
}

#[tokio::test]
async fn a_segment_that_is_given_up_on_the_way_to_the_next_has_one_successor() {
    let mut setup = Setup::new(10, readers());
    let journal = setup.open();
    let large = |nth| unique(Signal::Traces, nth, 70_000);
    journal.append(large(1)).await.unwrap();
    journal.append_until(record(2), false).await.unwrap();
    setup.fs.fail_after(Operation::Sync, 0, Fault::Io);
    assert_eq!(journal.append(large(3)).await.unwrap(), 3);
    assert_eq!(setup.segments().len(), 2);
    assert_eq!(setup.fs.touched_after_failure(), 0);
    setup.crash(journal).await;
    let (journal, found) = setup.report();
    assert_eq!((found.records, found.lost_records), (3, 0));
    let entries = drain(&mut journal.reader("a:traces").unwrap()).await;
    assert!(entries.iter().map(|e| &e.record).eq(&[large(1), record(2), large(3)]));
    assert_balanced(&journal);
}

#[tokio::test]
async fn what_was_only_written_before_a_kill_is_durable_once_the_next_start_is_over() {
    for fails in [false, true] {
        let mut setup = Setup::new(11, readers());
        let journal = setup.open();
        journal.append(record(1)).await.unwrap();
        for nth in 2..=4 {
            journal.append_until(record(nth), false).await.unwrap();
        }
        setup.kill(journal).await;
        if fails {
            setup.fs.fail_after(Operation::Sync, 0, Fault::Io);
        }
        let (journal, found) = setup.report();
        assert_eq!((found.records, found.torn_tail), (4, false), "its segment ends where it ended");
        setup.crash(journal).await;
        let (journal, found) = setup.report();
        assert!(found.records == 4 || fails, "{found:?}");
        assert_eq!(found.lost_records, 0, "nobody was promised them");
        assert_eq!(journal.append(record(5)).await.unwrap(), found.records + 1);
        assert_balanced(&journal);
    }
}

#[tokio::test]
async fn os_mode_loses_nothing_to_a_kill_and_only_the_end_to_a_loss_of_power() {
    for seed in 0..30 {
        let mut setup = Setup::new(seed, readers());
        setup.config.durability = Durability::Os;
        let journal = setup.open();
        for nth in 1..=150 {
            assert_eq!(journal.append(record(nth)).await.unwrap(), u64::from(nth));
        }
        setup.kill(journal).await;
        let (journal, found) = setup.report();
        assert_eq!((found.records, found.lost_records, found.torn_tail), (150, 0, false));
        for nth in 151..=300 {
            assert_eq!(journal.append(record(nth)).await.unwrap(), u64::from(nth));
        }
        setup.crash(journal).await;
        let (journal, _) = setup.report();
        assert_balanced(&journal);
        let entries = drain(&mut journal.reader("a:traces").unwrap()).await;
        for entry in &entries {
            assert_eq!(entry.record, record(u32::try_from(entry.seq).unwrap()));
        }
        let last = entries.last().map_or(0, |entry| entry.seq);
        assert!(journal.append(record(301)).await.unwrap() > last);
        assert_balanced(&journal);
    }
}
