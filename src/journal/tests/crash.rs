//! Power loss at every step of the disk: what was acknowledged is there, and nothing twice.

use std::collections::BTreeMap;

use super::disk::{Fault, Operation};
use super::support::{SIZE, Setup, assert_balanced, delivered, drain, fill, lane, seqs, unique};
use crate::journal::{Durability, Journal, ReaderConfig, WhenFull};
use crate::signal::{Record, Signal};

/// What a run was told before the power went.
#[derive(Default)]
struct Told {
    /// Acknowledged, by sequence.
    acked: BTreeMap<u64, Record>,
    /// Sequences that were settled, durably or not.
    settled: Vec<u64>,
}

/// Appends, reads and settles until the work is done or the power goes. Passes segment ends, a
/// compaction, deletions, a restart of the reader and the tick of the clock.
async fn work(setup: &Setup, journal: &Journal, told: &mut Told) {
    let mut reader = journal.reader("a:traces").unwrap();
    let mut written = Vec::new();
    for nth in 0..40_u32 {
        let signal = if nth % 4 == 3 { Signal::Logs } else { Signal::Traces };
        // Half of it compresses well.
        let mut record = unique(signal, nth, 6_000);
        if nth % 2 == 0 {
            record.payload = [&nth.to_le_bytes()[..], &[7; 6_000]].concat().into();
        }
        if nth % 7 == 5 {
            // Nobody is told that it is durable before the next one is.
            written
                .extend(journal.append_until(record.clone(), false).await.map(|seq| (seq, record)));
        } else if let Ok(seq) = journal.append(record.clone()).await {
            for (seq, record) in written.drain(..).chain([(seq, record)]) {
                assert!(told.acked.insert(seq, record).is_none(), "{seq} was given out twice");
            }
        }
        if nth % 5 == 4 {
            let Ok(entries) = reader.next(20_000, 3).await else { continue };
            told.settled.extend(entries.iter().map(|e| e.seq));
            reader.settler().settle(entries.iter().map(delivered));
            setup.clock.advance(std::time::Duration::from_secs(2));
        }
    }
    drop(reader);
    journal.close().await;
}

fn readers() -> Vec<ReaderConfig> {
    let logs = ReaderConfig { when_full: WhenFull::DropOldest, ..lane("b:logs", Signal::Logs) };
    vec![lane("a:traces", Signal::Traces), logs]
}

fn setup(seed: u64, durability: Durability) -> Setup {
    let mut setup = Setup::new(seed, readers());
    setup.config.max_size = Some(512 << 10);
    setup.config.durability = durability;
    setup
}

/// Everything acknowledged and not settled comes again, equal; what was settled may come again.
async fn verify(setup: &Setup, told: &Told) {
    let (journal, recovery) = setup.report();
    assert_eq!((recovery.lost_records, recovery.quarantined.len()), (0, 0), "{recovery:?}");
    assert_balanced(&journal);
    let mut reader = journal.reader("a:traces").unwrap();
    let entries = drain(&mut reader).await;
    assert!(entries.is_sorted_by(|a, b| a.seq < b.seq));
    for entry in &entries {
        if let Some(record) = told.acked.get(&entry.seq) {
            assert_eq!(&entry.record, record);
        }
    }
    for (seq, record) in told.acked.iter().filter(|(_, r)| r.signal == Signal::Traces) {
        let there = entries.iter().any(|e| e.seq == *seq);
        assert!(there || told.settled.contains(seq), "{seq} {} is lost", record.items);
    }
    let seq = journal.append(unique(Signal::Traces, 1000, 10)).await.unwrap();
    assert!(told.acked.keys().all(|&acked| acked < seq), "{seq} was given out before");
    reader.settler().settle(entries.iter().map(delivered));
    assert_balanced(&journal);
    journal.close().await;
    let (journal, recovery) = setup.report();
    assert_balanced(&journal);
    assert_eq!(recovery.undelivered[0].1.requests, 1, "{recovery:?}");
}

async fn at_every_step(durability: Durability, seeds: u64) {
    for seed in 0..seeds {
        for step in 1.. {
            let mut setup = setup(seed, durability);
            setup.fs.power_off_at(step);
            let mut told = Told::default();
            if let Ok((journal, _)) = setup.try_open() {
                work(&setup, &journal, &mut told).await;
            }
            let done = !setup.fs.is_off();
            setup.fs = match durability {
                Durability::Os => setup.fs.kill(),
                _ => setup.fs.crash(),
            };
            verify(&setup, &told).await;
            if done {
                assert!(step > 60, "only {step} steps");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_power_loss_at_any_step_loses_nothing_acknowledged() {
    at_every_step(Durability::Fsync, 1).await;
}

#[tokio::test]
async fn in_os_mode_a_kill_at_any_step_loses_nothing_acknowledged() {
    at_every_step(Durability::Os, 1).await;
}

#[tokio::test]
async fn a_second_power_loss_during_recovery_loses_nothing_either() {
    for step in (1..200).step_by(9) {
        let mut setup = setup(step, Durability::Fsync);
        setup.fs.power_off_at(step);
        let mut told = Told::default();
        if let Ok((journal, _)) = setup.try_open() {
            work(&setup, &journal, &mut told).await;
        }
        for again in 1..=3 {
            setup.fs = setup.fs.crash();
            setup.fs.power_off_at(again);
            if let Ok((journal, _)) = setup.try_open() {
                journal.close().await;
            }
        }
        setup.fs = setup.fs.crash();
        verify(&setup, &told).await;
    }
}

#[tokio::test]
async fn a_sync_that_lied_costs_what_it_lied_about_and_nothing_before() {
    for seed in 0..20 {
        let mut setup = Setup::new(seed, vec![lane("a:traces", Signal::Traces)]);
        let journal = setup.open();
        fill(&journal, 1..=30).await;
        assert!(setup.fs.lied_about().is_empty());
        setup.fs.fail_one_in(Operation::Sync, 1, Fault::Lie);
        fill(&journal, 31..=40).await;
        let lied_about = setup.fs.lied_about().concat();
        let has = |nth| {
            let record = unique(Signal::Traces, nth, SIZE);
            lied_about.windows(SIZE).any(|bytes| *bytes == record.payload[4..])
        };
        assert!((31..=40).all(has) && !(1..=29).any(has));
        setup.crash(journal).await;
        let journal = setup.open();
        let read = seqs(&drain(&mut journal.reader("a:traces").unwrap()).await);
        assert!(read.starts_with(&Vec::from_iter(1..=30)), "{read:?}");
    }
}
