//! `memory` mode, which shows the interface without a disk.

use std::time::Duration;

use super::support::{
    LONG, assert_balanced, delivered, deps, in_memory, lane, reader, record, seqs,
};
use crate::journal::{
    AppendError, Config, DropReason, Durability, Journal, ReadError, ReaderConfig, ReaderLedger,
    Settled, SignalSet, Start, Waited, WhenFull,
};
use crate::signal::Signal;
use crate::telemetry::registry::Value;
use crate::telemetry::{Desc, desc};

#[tokio::test]
async fn each_lane_gets_its_signal_and_foreign_records_hold_nothing() {
    let readers = vec![lane("a:traces", Signal::Traces), lane("a:logs", Signal::Logs)];
    let journal = in_memory(1 << 20, readers);
    let mut traces = journal.reader("a:traces").unwrap();
    for i in 0..10 {
        let signal = if i % 2 == 0 { Signal::Traces } else { Signal::Logs };
        assert_eq!(journal.append(record(signal, i, 100)).await.unwrap(), u64::from(i) + 1);
    }
    assert_eq!(traces.wait(1, LONG).await, Waited::Ready);
    let entries = traces.next(usize::MAX, 3).await.unwrap();
    assert_eq!(seqs(&entries), [1, 3, 5]);
    let queued_bytes = || journal.status().readers[0].queued_bytes;
    assert_eq!(queued_bytes(), 500, "what is handed out is queued still");
    traces.settler().settle(entries.iter().map(delivered));
    assert_eq!(queued_bytes(), 200);
    let rest = traces.next(usize::MAX, usize::MAX).await.unwrap();
    assert_eq!(seqs(&rest), [7, 9]);
    traces.settler().settle(rest.iter().rev().map(delivered));
    let status = journal.status();
    assert!(status.time_left.is_some(), "something arrived");
    assert_eq!(status.readers[0].watermark, 11);
    assert_eq!(status.readers[1].queued.requests, 5);
    assert_balanced(&journal);
    assert!(journal.reader("a:traces").is_none(), "a reader exists once");
}

#[tokio::test]
async fn a_full_journal_refuses_only_while_a_rejecting_reader_needs_the_records() {
    let journal = in_memory(64 << 10, vec![lane("a:traces", Signal::Traces)]);
    let mut reader = journal.reader("a:traces").unwrap();
    let full = loop {
        if let Err(error) = journal.append(record(Signal::Traces, 1, 1000)).await {
            break error;
        }
    };
    assert!(matches!(full, AppendError::Full));
    assert!(journal.status().full);
    let entries = reader.next(usize::MAX, usize::MAX).await.unwrap();
    assert!(entries.len() > 40);
    reader.settler().settle(entries.iter().map(delivered));
    assert!(!journal.status().full, "there is room, whether or not anybody tries");
    journal.append(record(Signal::Traces, 1, 1000)).await.unwrap();
    assert!(!journal.status().full);
    assert_balanced(&journal);
}

#[tokio::test]
async fn a_reader_with_drop_oldest_loses_its_oldest_counted_and_blocks_nobody() {
    let config =
        ReaderConfig { when_full: WhenFull::DropOldest, ..lane("a:traces", Signal::Traces) };
    let journal = in_memory(64 << 10, vec![config]);
    let mut reader = journal.reader("a:traces").unwrap();
    let in_flight = reader.next(usize::MAX, 1).await.unwrap();
    for _ in 0..500 {
        journal.append(record(Signal::Traces, 2, 1000)).await.unwrap();
        assert_balanced(&journal);
    }
    let ledger = journal.ledger();
    let dropped = ledger.readers[0].dropped[&DropReason::QueueFull];
    assert!(dropped > 800, "{dropped}");
    reader.settler().settle(in_flight.iter().map(delivered));
    let rest = reader.next(usize::MAX, usize::MAX).await.unwrap();
    assert_eq!(rest.len() as u64, 500 - dropped / 2);
    assert_eq!(rest.last().unwrap().seq, 500);
    assert_balanced(&journal);
}

#[tokio::test(start_paused = true)]
async fn wait_wakes_at_enough_bytes_or_at_the_deadline() {
    let journal = in_memory(1 << 20, vec![lane("a:traces", Signal::Traces)]);
    let mut reader = journal.reader("a:traces").unwrap();
    assert_eq!(reader.wait(1, Duration::from_millis(10)).await, Waited::Ready);
    let appends = async {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            journal.append(record(Signal::Logs, 1, 500)).await.unwrap();
            journal.append(record(Signal::Traces, 1, 100)).await.unwrap();
        }
    };
    let started = tokio::time::Instant::now();
    let woken = async {
        let waited = reader.wait(450, LONG).await;
        (waited, started.elapsed().as_secs())
    };
    let (woken, ()) = tokio::join!(woken, appends);
    assert_eq!(woken, (Waited::Ready, 5));
    journal.close().await;
    assert_eq!(reader.wait(1, LONG).await, Waited::Closed);
    assert!(matches!(reader.next(1, 1).await, Err(ReadError::Closed)));
    let refused = journal.append(record(Signal::Logs, 1, 1)).await;
    assert!(matches!(refused, Err(AppendError::Closing)));
}

#[tokio::test]
async fn a_reload_adds_and_removes_readers_and_says_what_a_removed_one_held() {
    let journal = in_memory(1 << 20, vec![lane("a:traces", Signal::Traces)]);
    let mut gone = journal.reader("a:traces").unwrap();
    journal.append(record(Signal::Traces, 7, 10)).await.unwrap();
    let done = journal
        .reconfigure(vec![lane("b:traces", Signal::Traces), reader("c:all", SignalSet::ALL)]);
    assert_eq!(done.added, ["b:traces", "c:all"]);
    assert_eq!((done.removed[0].dropped.requests, done.removed[0].dropped.items), (1, 7));
    assert_eq!(gone.wait(1, LONG).await, Waited::Closed);
    assert_eq!(journal.reader("b:traces").unwrap().next(100, 9).await.unwrap().len(), 1);
    assert_balanced(&journal);
}

#[tokio::test]
async fn a_removed_destination_keeps_its_row_and_goes_on_counting_when_it_comes_back() {
    let end = |name| ReaderConfig { start: Start::End, ..lane(name, Signal::Traces) };
    let journal = in_memory(1 << 20, vec![end("a:traces"), end("b:traces")]);
    let mut gone = journal.reader("a:traces").unwrap();
    for _ in 0..3 {
        journal.append(record(Signal::Traces, 7, 10)).await.unwrap();
    }
    let first = gone.next(1, 1).await.unwrap();
    gone.settler().settle([delivered(&first[0])]);
    drop(gone);
    let _ = journal.reconfigure(vec![end("b:traces")]);
    journal.append(record(Signal::Traces, 7, 10)).await.unwrap();
    let row = || {
        let rows = journal.ledger().readers;
        rows.into_iter().find(|row| row.reader == "a:traces").unwrap()
    };
    let counts = |row: &ReaderLedger| {
        let removed = row.dropped.get(&DropReason::Removed).copied();
        (row.accepted.items, row.delivered.items, row.queued.items, removed)
    };
    assert_eq!(counts(&row()), (21, 7, 0, Some(14)));
    let _ = journal.reconfigure(vec![end("a:traces"), end("b:traces")]);
    journal.append(record(Signal::Traces, 7, 10)).await.unwrap();
    assert_eq!(counts(&row()), (28, 7, 7, Some(14)));
    assert_balanced(&journal);
}

#[tokio::test]
async fn a_dropped_reader_gives_back_what_it_did_not_settle() {
    let journal = in_memory(1 << 20, vec![lane("a:traces", Signal::Traces)]);
    let mut first = journal.reader("a:traces").unwrap();
    for _ in 0..4 {
        journal.append(record(Signal::Traces, 1, 10)).await.unwrap();
    }
    let entries = first.next(usize::MAX, 3).await.unwrap();
    let settler = first.settler();
    settler.settle([delivered(&entries[1])]);
    drop(first);
    settler.settle([delivered(&entries[0])]);
    let again = journal.reader("a:traces").unwrap().next(usize::MAX, 9).await.unwrap();
    let marks: Vec<_> = again.iter().map(|e| (e.seq, e.redelivered)).collect();
    assert_eq!(marks, [(1, true), (3, true), (4, false)]);
    assert_balanced(&journal);
}

#[tokio::test]
async fn partial_success_is_in_the_ledger_by_reason() {
    let journal = in_memory(1 << 20, vec![lane("a:traces", Signal::Traces)]);
    let mut reader = journal.reader("a:traces").unwrap();
    journal.append(record(Signal::Traces, 10, 10)).await.unwrap();
    let entries = reader.next(usize::MAX, 9).await.unwrap();
    let dropped = vec![(DropReason::PartialSuccess, 4)];
    reader.settler().settle([Settled { seq: entries[0].seq, delivered_items: 6, dropped }]);
    let row = journal.ledger().readers.remove(0);
    assert_eq!((row.exporter.as_str(), row.delivered.items), ("a", 6));
    assert_eq!(row.dropped, [(DropReason::PartialSuccess, 4)].into());
    assert!(row.balances());
}

#[tokio::test]
async fn a_full_ring_stays_in_chunks_of_a_sixteenth_whatever_is_refused() {
    for when_full in [WhenFull::Reject, WhenFull::DropOldest] {
        let config = ReaderConfig { when_full, ..lane("a:traces", Signal::Traces) };
        let journal = in_memory(64 << 10, vec![config]);
        for nth in 0..1000 {
            let size = if nth % 2 == 0 { 8_000 } else { 10 };
            drop(journal.append(record(Signal::Traces, 1, size)).await);
        }
        let status = journal.status();
        assert!(status.segments <= 17, "{when_full:?}: {}", status.segments);
        let mut reader = journal.reader("a:traces").unwrap();
        let entries = reader.next(usize::MAX, usize::MAX).await.unwrap();
        reader.settler().settle(entries.iter().map(delivered));
        assert!(!journal.status().full, "all of it was delivered");
        journal.append(record(Signal::Traces, 1, 30_000)).await.unwrap();
        assert_balanced(&journal);
    }
}

#[tokio::test]
async fn what_is_shown_of_a_ring_is_what_it_holds() {
    let config =
        Config { durability: Durability::Memory, memory_size: 64 << 10, ..Config::default() };
    let deps = deps();
    let shown = |desc: &Desc| match deps.registry.family(desc.name).unwrap().1[..] {
        [(_, Value::Level(level))] => level,
        [(_, Value::Count(count))] => count as f64,
        ref other => panic!("{other:?}"),
    };
    let readers = vec![lane("a:traces", Signal::Traces)];
    let (journal, _) = Journal::open(config, readers, deps.clone()).unwrap();
    assert_eq!(shown(&desc::JOURNAL_SECONDS_LEFT), f64::INFINITY, "nothing arrives");
    assert_eq!(shown(&desc::JOURNAL_CAPACITY_BYTES), 65_536.0);
    let mut refused = 0.0;
    for _ in 0..100 {
        if journal.append(record(Signal::Traces, 1, 1_000)).await.is_err() {
            refused += 1.0;
        }
    }
    assert!(refused > 1.0);
    assert_eq!(shown(&desc::JOURNAL_REFUSED), refused);
    assert_eq!(shown(&desc::JOURNAL_SHED), 0.0);
    let status = journal.status();
    assert_eq!(shown(&desc::JOURNAL_BYTES), status.size as f64);
    assert_eq!(shown(&desc::JOURNAL_SEGMENTS), status.segments as f64);
    assert_eq!(shown(&desc::JOURNAL_SECONDS_LEFT), status.time_left.unwrap().as_secs_f64());
    let mut reader = journal.reader("a:traces").unwrap();
    let entries = reader.next(usize::MAX, usize::MAX).await.unwrap();
    reader.settler().settle(entries.iter().map(delivered));
    journal.append(record(Signal::Traces, 1, 1_000)).await.unwrap();
    assert_eq!(shown(&desc::JOURNAL_SHED), 1.0);
    journal.close().await;
    journal.append(record(Signal::Traces, 1, 1_000)).await.unwrap_err();
    assert_eq!(shown(&desc::JOURNAL_REFUSED), refused, "elsewhere, and no sign of a full ring");
}
