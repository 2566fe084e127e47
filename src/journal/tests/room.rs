//! The cap, retention, compaction and what readers are owed meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::disk::{Fault, Operation, SimFs};
use super::support::{
    LONG, SIZE, Setup, T0, append, assert_balanced, delivered, deps, drain, fill, lane, reader,
    record, seqs, unique,
};
use crate::journal::fs::Fs as _;
use crate::journal::rejected::Keep;
use crate::journal::{
    AppendError, Config, Deps, DropReason, Durability, Entry, Journal, OpenError, ReaderConfig,
    Rejected, Settled, SignalSet, Stepper, Waited, WhenFull,
};
use crate::signal::Signal;
use crate::telemetry::desc;
use crate::time::UnixNano;

/// Appends records of `size` until the journal refuses: how many it took, and why it takes no more.
async fn until_refused(journal: &Journal, size: usize) -> (u64, AppendError) {
    let mut taken = 0;
    loop {
        match journal.append(unique(Signal::Traces, taken + 1, size)).await {
            Ok(_) => taken += 1,
            Err(refused) => return (taken.into(), refused),
        }
    }
}

/// Appends until the journal refuses for want of room; returns how many it took.
async fn fill_up(journal: &Journal) -> u64 {
    let (taken, refused) = until_refused(journal, SIZE).await;
    assert!(matches!(refused, AppendError::Full | AppendError::Disk(_)), "{refused}");
    taken
}

/// Appends 3,000 records; `a:traces` delivers all that there is after each `every` of them.
async fn keep_up(journal: &Journal, every: u32) {
    let mut traces = journal.reader("a:traces").unwrap();
    for nth in 1..=3000 {
        append(journal, nth).await.unwrap();
        if nth % every == 0 {
            let entries = drain(&mut traces).await;
            traces.settler().settle(entries.iter().map(delivered));
        }
    }
}

#[tokio::test]
async fn a_start_on_a_full_disk_makes_no_small_cap_for_when_others_free_theirs() {
    let mut setup = Setup::new(1, vec![lane("a:traces", Signal::Traces)]);
    setup.config.max_size = None;
    setup.fs.set_capacity(0);
    let journal = setup.open();
    let refused = append(&journal, 1).await.unwrap_err();
    assert!(matches!(refused, AppendError::Disk(_)), "{refused}");
    assert!(!journal.status().full);
    setup.fs.set_capacity(1 << 30);
    assert_eq!(journal.append(unique(Signal::Traces, 2, 8 << 20)).await.unwrap(), 1);
    let (taken, refused) = until_refused(&journal, 1 << 20).await;
    assert!(matches!(refused, AppendError::Full), "{refused}");
    assert!((20..=24).contains(&taken), "{taken} of 32 MiB");
}

/// Appends records of these sizes, which the writer finds together.
fn together(
    journal: &Journal,
    stepper: &mut Stepper,
    sizes: &[usize],
) -> Vec<Result<u64, AppendError>> {
    let append = |&size| Box::pin(journal.append(unique(Signal::Traces, 1, size)));
    let mut appends: Vec<_> = sizes.iter().map(append).collect();
    appends.iter_mut().for_each(|append| assert!(append.now_or_never().is_none()));
    stepper.step();
    appends.into_iter().map(|append| append.now_or_never().unwrap()).collect()
}

#[tokio::test]
async fn only_a_rejecting_reader_makes_the_journal_full_and_reading_makes_it_ready() {
    let setup = Setup::new(1, vec![lane("a:traces", Signal::Traces)]);
    let journal = setup.open();
    let taken = fill_up(&journal).await;
    assert!(taken > 800 && journal.status().full && journal.status().size <= 1 << 20);
    let mut reader = journal.reader("a:traces").unwrap();
    let entries = drain(&mut reader).await;
    assert_eq!(entries.len() as u64, taken);
    assert!(journal.status().full, "read, not settled");
    reader.settler().settle(entries.iter().map(delivered));
    assert!(!journal.status().full, "ready again without an append, which unready would not get");
    append(&journal, 0).await.unwrap();
    assert_balanced(&journal);
}

#[tokio::test]
async fn drop_oldest_loses_exactly_the_oldest_counted_by_signal_and_reader() {
    let config = ReaderConfig { when_full: WhenFull::DropOldest, ..reader("a", SignalSet::ALL) };
    let mut setup = Setup::new(2, vec![config]);
    let journal = setup.open();
    for nth in 1..=2000 {
        let signal = if nth % 3 == 0 { Signal::Logs } else { Signal::Traces };
        journal.append(unique(signal, nth, 1_000)).await.unwrap();
    }
    assert_eq!(journal.status().time_left, None, "no destination");
    let entries = drain(&mut journal.reader("a").unwrap()).await;
    let oldest = 2001 - entries.len() as u64;
    assert!(oldest > 1000 && oldest < 1300);
    assert_eq!(seqs(&entries), (oldest..=2000).collect::<Vec<_>>());
    let check = |journal: &Journal| {
        for row in journal.ledger().readers {
            let of = |nth: &u64| nth.is_multiple_of(3) == (row.signal == Signal::Logs);
            let known = matches!(row.signal, Signal::Logs | Signal::Traces);
            let lost: Vec<u64> = (1..oldest).filter(|nth| known && of(nth)).collect();
            assert_eq!(row.dropped_requests, lost.len() as u64);
            let items = row.dropped.get(&DropReason::QueueFull).copied().unwrap_or(0);
            assert_eq!(items, lost.iter().map(|nth| nth % 7 + 1).sum::<u64>());
        }
        assert_balanced(journal);
    };
    check(&journal);
    setup.crash(journal).await;
    check(&setup.open());
}

#[tokio::test]
async fn delivered_segments_are_shed_before_anything_undelivered() {
    let logs = ReaderConfig { when_full: WhenFull::DropOldest, ..lane("b:logs", Signal::Logs) };
    let mut setup = Setup::new(3, vec![lane("a:traces", Signal::Traces), logs]);
    setup.config.retention_size = u64::MAX;
    let journal = setup.open();
    journal.append(unique(Signal::Logs, 0, 1_000)).await.unwrap();
    keep_up(&journal, 50).await;
    let logs = drain(&mut journal.reader("b:logs").unwrap()).await;
    assert_eq!(seqs(&logs), [1], "held through all that, though it may be dropped");
    assert_balanced(&journal);
}

#[tokio::test]
async fn compaction_keeps_sequences_and_content() {
    let mut setup = Setup::new(4, vec![lane("a:traces", Signal::Traces)]);
    let journal = setup.open();
    let soft = |nth: u32| record(Signal::Traces, nth, 1_000 + nth as usize % 13);
    for nth in 1..=3000 {
        journal.append(soft(nth)).await.unwrap();
    }
    let check = |entries: &[Entry]| {
        assert_eq!(seqs(entries), (1..=3000).collect::<Vec<_>>());
        assert!(entries.iter().zip(1..).all(|(e, nth)| e.record == soft(nth)));
    };
    assert!(journal.status().size <= 1 << 20, "3 MB in one");
    check(&drain(&mut journal.reader("a:traces").unwrap()).await);
    setup.crash(journal).await;
    let journal = setup.open();
    let mut reader = journal.reader("a:traces").unwrap();
    let entries = drain(&mut reader).await;
    check(&entries);
    reader.settler().settle(entries[..1500].iter().map(delivered));
    journal.append(soft(1)).await.unwrap();
    setup.crash(journal).await;
    let (journal, recovery) = setup.report();
    assert_eq!(recovery.undelivered[0].1.requests, 1501);
    assert_eq!(drain(&mut journal.reader("a:traces").unwrap()).await.len(), 1501);
    assert_balanced(&journal);
}

#[tokio::test]
async fn the_largest_record_always_fits_once_what_is_before_it_is_delivered() {
    let setup = Setup::new(5, vec![lane("a:traces", Signal::Traces)]);
    let journal = setup.open();
    let max = match journal.append(unique(Signal::Traces, 1, 1 << 20)).await {
        Err(AppendError::TooLarge { max, .. }) => max,
        other => panic!("{other:?}"),
    };
    assert!(max > 300_000);
    let mut reader = journal.reader("a:traces").unwrap();
    for nth in 1..10 {
        journal.append(unique(Signal::Traces, nth, max - 56)).await.unwrap();
        let entries = drain(&mut reader).await;
        assert_eq!(entries.len(), 1);
        reader.settler().settle(entries.iter().map(delivered));
    }
    assert_balanced(&journal);
}

#[tokio::test]
async fn a_state_record_larger_than_a_segment_makes_a_larger_segment() {
    let setup = Setup::new(6, vec![lane("a:traces", Signal::Traces)]);
    let journal = setup.open();
    for nth in 0..24_000 {
        drop(journal.append(record(Signal::Traces, nth, 0)).await);
        if nth == 20_000 {
            let mut reader = journal.reader("a:traces").unwrap();
            let entries = reader.next(usize::MAX, 20_000).await.unwrap();
            reader.settler().settle(entries.iter().filter(|e| e.seq % 2 == 0).map(delivered));
        }
    }
    assert!(journal.status().size <= 2 << 20);
    assert_balanced(&journal);
}

#[tokio::test]
async fn an_almost_full_disk_takes_two_segments_and_then_what_is_delivered_makes_room() {
    let setup = Setup::new(7, vec![lane("a:traces", Signal::Traces)]);
    setup.fs.put("/var/other".as_ref(), vec![0; 9_700_000]);
    setup.fs.set_capacity(10_000_000);
    let journal = setup.open();
    let mut reader = journal.reader("a:traces").unwrap();
    for _ in 0..5 {
        assert!(fill_up(&journal).await > 100);
        let entries = drain(&mut reader).await;
        reader.settler().settle(entries.iter().map(delivered));
    }
    assert_balanced(&journal);
}

#[tokio::test]
async fn a_disk_that_shows_late_what_was_deleted_costs_what_is_wanted_and_no_more() {
    let mut setup = Setup::new(7, vec![lane("a:traces", Signal::Traces)]);
    setup.config.retention_size = u64::MAX;
    let journal = setup.open();
    let mut reader = journal.reader("a:traces").unwrap();
    let mut nth = 0;
    while journal.status().segments < 6 {
        nth += 1;
        append(&journal, nth).await.unwrap();
    }
    let entries = drain(&mut reader).await;
    reader.settler().settle(entries.iter().map(delivered));
    // A byte too little for the next segment.
    let segment = crate::journal::log::segment_bytes(setup.config.max_size.unwrap());
    setup.fs.show_free((1 << 30) / 20 + segment - 1);
    let newest = setup.segments().last().cloned();
    while setup.segments().last() == newest.as_ref() {
        nth += 1;
        append(&journal, nth).await.unwrap();
        assert!(nth < 10_000);
    }
    assert_eq!(journal.status().segments, 6, "one went for the one that came");
}

#[tokio::test]
async fn retention_lets_delivered_segments_go_by_age_unless_the_clock_leapt() {
    let mut setup = Setup::new(8, vec![lane("a:traces", Signal::Traces)]);
    setup.config.retention_size = u64::MAX;
    let journal = setup.open();
    let mut reader = journal.reader("a:traces").unwrap();
    fill(&journal, 1..=500).await;
    let entries = drain(&mut reader).await;
    reader.settler().settle(entries.iter().map(delivered));
    let tick = |nth| {
        setup.clock.advance(Duration::from_secs(2));
        append(&journal, nth)
    };
    tick(501).await.unwrap();
    let kept = journal.status().segments;
    assert!(kept >= 4);
    setup.clock.set_unix(UnixNano(T0.0 + 400 * 86_400_000_000_000));
    tick(502).await.unwrap();
    tick(503).await.unwrap();
    assert_eq!(journal.status().segments, kept, "a leap of the clock is no age");
    setup.clock.set_unix(UnixNano(T0.0 + 4_000_000_000));
    setup.clock.advance(Duration::from_hours(25));
    append(&journal, 504).await.unwrap();
    append(&journal, 505).await.unwrap();
    let deadline = std::time::Duration::from_secs(20);
    let gone = async {
        while setup.segments().len() > 1 {
            setup.clock.advance(Duration::from_secs(2));
            drop(append(&journal, 506).await);
        }
    };
    tokio::time::timeout(deadline, gone).await.unwrap();
    assert_balanced(&journal);
}

#[tokio::test]
async fn a_reader_far_behind_gets_everything_in_order_while_appends_go_on() {
    let mut setup = Setup::new(9, vec![lane("a:traces", Signal::Traces)]);
    setup.config.max_size = Some(8 << 20);
    setup.config.tail_size = 50_000;
    let journal = setup.open();
    let mut reader = journal.reader("a:traces").unwrap();
    let (mut nth, mut got) = (0, Vec::new());
    while nth < 3000 {
        for _ in 0..10 {
            nth += 1;
            append(&journal, nth).await.unwrap();
        }
        assert_eq!(reader.wait(1, LONG).await, Waited::Ready);
        got.extend(reader.next(20_000, 7).await.unwrap());
    }
    got.extend(drain(&mut reader).await);
    assert_eq!(seqs(&got), (1..=3000).collect::<Vec<_>>());
    assert!(got.iter().zip(1..).all(|(e, nth)| e.record == unique(Signal::Traces, nth, 1_000)));
    assert_balanced(&journal);
}

#[tokio::test]
async fn a_silent_lane_holds_no_segment_of_other_signals() {
    let setup =
        Setup::new(10, vec![lane("a:traces", Signal::Traces), lane("b:logs", Signal::Logs)]);
    let journal = setup.open();
    journal.append(unique(Signal::Logs, 1, 100)).await.unwrap();
    keep_up(&journal, 100).await;
    let status = journal.status();
    assert_eq!((status.readers[1].queued.requests, status.full), (1, false));
    assert_balanced(&journal);
}

#[tokio::test]
async fn readers_that_left_the_configuration_are_reported_with_what_they_held() {
    let mut setup = Setup::for_two(11);
    let journal = setup.open();
    fill(&journal, 1..=10).await;
    let mut reader = journal.reader("b:traces").unwrap();
    let entries = reader.next(usize::MAX, 4).await.unwrap();
    let refused = |e: &Entry| Settled { dropped: vec![(DropReason::Permanent, 1)], ..delivered(e) };
    reader.settler().settle(entries.iter().map(refused));
    append(&journal, 11).await.unwrap();
    setup.crash(journal).await;
    let gone = setup.readers.pop().unwrap();
    let (journal, recovery) = setup.report();
    let removed: Vec<_> =
        recovery.removed.iter().map(|r| (r.reader.as_str(), r.dropped.requests)).collect();
    assert_eq!(removed, [("b:traces", 7)]);
    append(&journal, 12).await.unwrap();
    assert_balanced(&journal);
    journal.close().await;
    let journal = setup.open();
    let row = journal.ledger().readers.into_iter().find(|row| row.reader == "b:traces").unwrap();
    assert_eq!(row.accepted.requests, 11, "what came after it left is not its own");
    assert_eq!(row.dropped, [(DropReason::Permanent, 4), (DropReason::Removed, 28)].into());
    assert_balanced(&journal);
    journal.close().await;
    setup.readers.push(ReaderConfig { start: crate::journal::Start::End, ..gone });
    let (journal, recovery) = setup.report();
    assert!(recovery.removed.is_empty());
    assert_eq!(journal.status().readers[1].queued.requests, 0, "it begins anew, at the end");
    assert_balanced(&journal);
}

#[tokio::test]
async fn a_reader_that_left_before_its_segments_went_is_told_with_all_that_it_held() {
    let mut setup = Setup::for_two(12);
    let journal = setup.open();
    let taken = fill_up(&journal).await;
    setup.crash(journal).await;
    // What it held was let go when it left, on a disk too full for a note of that.
    let oldest = setup.segments().first().unwrap().clone();
    setup.fs.remove(&oldest).unwrap();
    setup.readers.pop();
    let (journal, recovery) = setup.report();
    let told: Vec<_> = recovery.removed.iter().map(|r| r.dropped.requests).collect();
    assert_eq!(told, [taken]);
    let row = journal.ledger().readers.into_iter().find(|row| row.reader == "b:traces").unwrap();
    assert_eq!((row.accepted.requests, row.dropped_requests), (taken, taken));
    assert_balanced(&journal);
}

#[tokio::test]
async fn a_directory_in_use_is_refused_until_it_is_given_up() {
    let mut setup = Setup::new(12, vec![lane("a:traces", Signal::Traces)]);
    for durability in [Durability::Fsync, Durability::Os] {
        setup.config.durability = durability;
        let journal = setup.open();
        assert!(matches!(setup.try_open(), Err(OpenError::InUse { .. })));
        journal.close().await;
        setup.open().close().await;
    }
}

#[tokio::test]
async fn a_compaction_that_a_full_disk_refused_is_tried_again() {
    let setup = Setup::new(6, vec![lane("a:traces", Signal::Traces)]);
    let journal = setup.open();
    let append = || journal.append(record(Signal::Traces, 1, 1_000));
    while setup.segments().len() < 8 {
        append().await.unwrap();
    }
    setup.fs.fail_one_in(Operation::Create, 1, Fault::Full);
    while append().await.is_ok() {}
    setup.fs.heal();
    assert!(matches!(append().await, Err(AppendError::Full)), "not at every append");
    setup.clock.advance(Duration::from_secs(1));
    while append().await.is_err() {}
    assert_balanced(&journal);
}

#[tokio::test]
async fn a_record_that_finds_no_room_refuses_none_of_its_group_that_does() {
    let setup = Setup::new(13, vec![lane("a:traces", Signal::Traces)]);
    let (journal, mut stepper) = setup.open_stepped();
    let mut group = |sizes: &[usize]| together(&journal, &mut stepper, sizes);
    // One in a segment each, with room for less at its end.
    let mut taken = 0;
    while group(&[100_000])[0].is_ok() {
        taken += 1;
    }
    let done = group(&[100_000, 1_000, 200_000, 2_000, 99_000, 20_000]);
    let seqs: Vec<_> = done.iter().map(|result| result.as_ref().ok().copied()).collect();
    let [first, second] = [Some(taken + 1), Some(taken + 2)];
    assert_eq!(seqs, [None, first, None, second, None, Some(taken + 3)]);
    let full = |result: &&Result<u64, AppendError>| matches!(result, Err(AppendError::Full));
    assert_eq!(done.iter().filter(full).count(), 3);
    assert_balanced(&journal);
}

const LARGE: usize = 9_000;

async fn append_small(journal: &Journal) {
    journal.append(unique(Signal::Traces, 1, 50)).await.unwrap();
}

#[tokio::test]
async fn a_full_journal_is_full_also_while_it_takes_what_fits_in_its_last_segment() {
    let setup = Setup::new(13, vec![lane("a:traces", Signal::Traces)]);
    let journal = setup.open();
    let (_, refused) = until_refused(&journal, LARGE).await;
    assert!(matches!(refused, AppendError::Full), "{refused}");
    for _ in 0..3 {
        append_small(&journal).await;
        let status = journal.status();
        assert!(status.full);
        assert_eq!(status.time_left, Some(Duration::ZERO));
    }
    let mut reader = journal.reader("a:traces").unwrap();
    let entries = drain(&mut reader).await;
    reader.settler().settle(entries.iter().map(delivered));
    assert!(!journal.status().full);
    journal.append(unique(Signal::Traces, 1, LARGE)).await.unwrap();
    let status = journal.status();
    assert!(!status.full);
    assert!(status.time_left > Some(Duration::ZERO), "{:?}", status.time_left);
}

#[tokio::test]
async fn a_disk_that_others_fill_is_told_as_the_disk_until_it_has_room_and_never_as_a_full_journal()
{
    let mut setup = Setup::new(14, vec![lane("a:traces", Signal::Traces)]);
    setup.config.max_size = Some(1 << 20);
    let journal = setup.open();
    for nth in 1..=30 {
        journal.append(unique(Signal::Traces, nth, LARGE)).await.unwrap();
    }
    setup.fs.set_capacity(600 << 10);
    let (_, refused) = until_refused(&journal, LARGE).await;
    assert!(matches!(refused, AppendError::Disk(_)), "{refused}");
    for _ in 0..3 {
        append_small(&journal).await;
        let status = journal.status();
        assert!(status.failure.unwrap().contains(" bytes are free, and 5 % are left to others"));
        assert!(!status.full && status.size < 600 << 10);
    }
    setup.fs.set_capacity(1 << 30);
    let told = async {
        while journal.status().failure.is_some() {
            setup.clock.advance(Duration::from_secs(1));
            append_small(&journal).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told).await.expect("it looks by itself");
    assert_balanced(&journal);
}

#[tokio::test]
async fn a_record_larger_than_a_segment_that_finds_no_room_leaves_a_segment_to_the_others() {
    let setup = Setup::new(14, vec![lane("a:traces", Signal::Traces)]);
    let (journal, mut stepper) = setup.open_stepped();
    let mut group = |sizes: &[usize]| {
        let done = together(&journal, &mut stepper, sizes);
        done.iter().map(Result::is_ok).collect::<Vec<_>>()
    };
    for _ in 0..6 {
        assert_eq!(group(&[120_000]), [true]);
    }
    assert_eq!(group(&[300_000, 100_000]), [false, true]);
    assert_balanced(&journal);
}

#[tokio::test]
async fn only_what_destinations_hold_makes_the_time_shorter_that_the_journal_lasts() {
    let aggregate =
        ReaderConfig { when_full: WhenFull::DropOldest, ..reader("aggregate", SignalSet::ALL) };
    let setup = Setup::new(15, vec![aggregate.clone()]);
    let journal = setup.open();
    fill(&journal, 1..=500).await;
    assert_eq!(journal.status().time_left, None, "what only the agent itself reads gives way");
    let setup = Setup::new(16, vec![aggregate, lane("a:traces", Signal::Traces)]);
    let journal = setup.open();
    fill(&journal, 1..=500).await;
    let held = journal.status().time_left.unwrap();
    let mut reader = journal.reader("a:traces").unwrap();
    let entries = drain(&mut reader).await;
    reader.settler().settle(entries.iter().map(delivered));
    let free = journal.status().time_left.unwrap();
    assert!(free > held * 3 / 2, "{held:?} {free:?}");
}

#[test]
fn on_an_almost_full_disk_little_is_kept_of_what_is_rejected_and_the_rest_stays_free() {
    let fs = SimFs::new(1);
    let deps = Deps { fs: Arc::new(fs.clone()), ..deps() };
    let keep = Keep::new(&Config { directory: "/j".into(), ..Config::default() }, &deps);
    let rejected = |seq| {
        let (exporter, status) = ("otlp_http/a".to_owned(), "400".to_owned());
        let record = record(Signal::Logs, 3, 1_000_000);
        Rejected { exporter, status, seq, at: T0, record }
    };
    let share = fs.space(Path::new("/j")).unwrap().total / 20;
    fs.show_free(share);
    (1..=5).for_each(|seq| keep.keep(&rejected(seq)));
    assert_eq!(keep.kept().0, 4);
    assert_eq!(deps.registry.counter(&desc::JOURNAL_REJECTED_NOT_KEPT, &[]).get(), 1);
    fs.show_free(share + 2_000_000);
    keep.keep(&rejected(6));
    assert_eq!(keep.kept().0, 5, "there is room again");
}
