//! The agent's own records: read by those who ask for them, in nobody's ledger.

use super::support::*;
use crate::journal::inspect::inspect;
use crate::journal::{Config, Journal, ReaderConfig, SignalSet, WhenFull};
use crate::signal::{Flags, Record, Signal};

/// Every other record is the agent's own.
fn mixed(nth: u32) -> Record {
    let record = unique(Signal::Metrics, nth, 2_000);
    if nth.is_multiple_of(2) {
        return record;
    }
    Record { items: 0, flags: Flags::LOCAL, ..record }
}

fn readers() -> Vec<ReaderConfig> {
    let local = reader("aggregate", SignalSet::only(Signal::Metrics).with_local());
    let local = ReaderConfig { when_full: WhenFull::DropOldest, ..local };
    vec![lane("a:metrics", Signal::Metrics), local]
}

/// Reads and settles everything; which records those were.
async fn settle_all(journal: &Journal, name: &str) -> Vec<u32> {
    let mut reader = journal.reader(name).unwrap();
    let entries = drain(&mut reader).await;
    reader.settler().settle(entries.iter().map(delivered));
    let nth = |payload: &[u8]| u32::from_le_bytes(payload[..4].try_into().unwrap());
    entries.iter().map(|entry| nth(&entry.record.payload)).collect()
}

fn accepted(journal: &Journal) -> u64 {
    assert_balanced(journal);
    let ledger = journal.ledger();
    assert!(ledger.readers.iter().all(|row| row.signal == Signal::Metrics), "{ledger:?}");
    for row in &ledger.readers {
        assert_eq!(row.accepted, ledger.accepted.get(Signal::Metrics));
    }
    ledger.accepted.get(Signal::Metrics).requests
}

#[tokio::test]
async fn records_of_its_own_reach_local_readers_alone_and_no_ledger() {
    let journal = in_memory(1 << 20, readers());
    for nth in 0..20 {
        journal.append(mixed(nth)).await.unwrap();
    }
    assert_eq!(accepted(&journal), 10);
    assert_eq!(settle_all(&journal, "a:metrics").await, (0..20).step_by(2).collect::<Vec<_>>());
    assert_eq!(settle_all(&journal, "aggregate").await, (0..20).collect::<Vec<_>>());
    assert_eq!(accepted(&journal), 10);
    let delivered: Vec<_> =
        journal.ledger().readers.iter().map(|row| row.delivered.requests).collect();
    assert_eq!(delivered, [10, 10]);
}

#[tokio::test]
async fn records_of_its_own_are_held_over_a_kill_until_their_reader_settled_them() {
    let mut setup = Setup::new(7, readers());
    let journal = setup.open();
    // Two sealed segments and an active one.
    for nth in 0..150 {
        journal.append(mixed(nth)).await.unwrap();
    }
    assert_eq!(settle_all(&journal, "a:metrics").await.len(), 75);
    {
        let mut reader = journal.reader("aggregate").unwrap();
        let some = reader.next(usize::MAX, 10).await.unwrap();
        reader.settler().settle(some.iter().filter(|entry| entry.seq % 3 == 0).map(delivered));
    }
    // What was settled is written with the next record.
    journal.append(mixed(150)).await.unwrap();
    assert_eq!(accepted(&journal), 76);
    setup.kill(journal).await;

    let (journal, found) = setup.report();
    assert_eq!((found.lost_records, found.records), (0, 151));
    assert_eq!(accepted(&journal), 76);
    let left: Vec<_> = (0..151).filter(|nth| *nth >= 10 || (nth + 1) % 3 != 0).collect();
    assert_eq!(settle_all(&journal, "aggregate").await, left);
    assert_eq!(settle_all(&journal, "a:metrics").await, [150]);
    assert_eq!(accepted(&journal), 76);
    assert!(journal.status().readers.iter().all(|reader| reader.queued.requests == 0));
    journal.append(mixed(151)).await.unwrap();
    setup.kill(journal).await;

    let journal = setup.open();
    assert_eq!(settle_all(&journal, "aggregate").await, [151]);
    assert_eq!(settle_all(&journal, "a:metrics").await.len(), 0);
    assert_eq!(accepted(&journal), 76);
}

#[tokio::test]
async fn a_look_at_a_segment_counts_a_record_of_its_own_once() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config { directory: directory.path().to_owned(), ..Config::default() };
    let (journal, _) = Journal::open(config, readers(), deps()).unwrap();
    for nth in 0..5 {
        journal.append(mixed(nth)).await.unwrap();
    }
    journal.close().await;
    let found = inspect(directory.path()).unwrap();
    let records: Vec<_> = found.segments.iter().map(|segment| segment.records).collect();
    assert_eq!(records, [5]);
}
