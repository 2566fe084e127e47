//! Records that only have to be written: no sync of their own, and no loss but that of the machine's power.

use std::time::Duration;

use super::disk::{Fault, Operation};
use super::support::{Setup, assert_balanced, drain, lane, seqs, unique};
use crate::journal::ReaderConfig;
use crate::signal::{Record, Signal};
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
        assert_eq!(journal.append_written(record(nth)).await.unwrap(), u64::from(nth));
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
    journal.append_written(record(1)).await.unwrap();
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
    journal.append_written(record(1)).await.unwrap();
    assert!(drain(&mut reader).await.is_empty());
    journal.append_written(unique(Signal::Traces, 2, 300 << 10)).await.unwrap();
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
    journal.append_written(record(2)).await.unwrap();
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
        assert_eq!(journal.append_written(record(nth)).await.unwrap(), u64::from(nth));
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
        journal.append_written(record(2)).await.unwrap();
        setup.fs.fail_after(Operation::Sync, 0, Fault::Io);
        setup.fs.fail_after(Operation::Create, 0, Fault::Full);
        assert!(journal.append(record(3)).await.is_err());
        assert_eq!(journal.append_written(record(4)).await.unwrap(), 3);
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
