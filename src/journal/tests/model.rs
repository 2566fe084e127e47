//! Random histories against a naive model: what was acknowledged is delivered at least once, equal
//! and in order, until it is settled or counted as dropped.
//!
//! `PROPTEST_CASES` sets how many histories are tried.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::disk::{Fault, Operation};
use super::support::{Setup, assert_balanced, delivered, lane, unique};
use crate::journal::{AppendError, DropReason, Entry, Journal, Reader, ReaderConfig, WhenFull};
use crate::signal::{Record, Signal};

#[derive(Clone, Debug)]
enum Act {
    Append {
        logs: bool,
        size: usize,
        /// Else it is only written.
        durable: bool,
    },
    Read {
        logs: bool,
        records: usize,
    },
    /// Settles what is in flight: every so manieth.
    Settle {
        logs: bool,
        every: usize,
    },
    /// Drops the reader and takes it again.
    Retake {
        logs: bool,
    },
    Tick,
    Crash,
    Kill,
    Close,
    Fail(Operation, Fault),
    Heal,
}

fn act() -> impl Strategy<Value = Act> {
    let logs = any::<bool>;
    let failures = prop::sample::select(vec![
        (Operation::Sync, Fault::Io),
        (Operation::Write, Fault::Io),
        (Operation::Write, Fault::Full),
        (Operation::Write, Fault::Short),
        (Operation::Create, Fault::Full),
        (Operation::Allocate, Fault::Full),
        (Operation::Rename, Fault::Io),
        (Operation::SyncDir, Fault::Io),
        (Operation::Remove, Fault::Io),
        (Operation::Read, Fault::Short),
    ]);
    prop_oneof![
        30 => (logs(), 0_usize..20_000, prop::bool::weighted(0.8))
            .prop_map(|(logs, size, durable)| Act::Append { logs, size, durable }),
        10 => (logs(), 1_usize..12).prop_map(|(logs, records)| Act::Read { logs, records }),
        10 => (logs(), 1_usize..3).prop_map(|(logs, every)| Act::Settle { logs, every }),
        2 => logs().prop_map(|logs| Act::Retake { logs }),
        3 => Just(Act::Tick),
        2 => Just(Act::Crash),
        1 => Just(Act::Kill),
        1 => Just(Act::Close),
        4 => failures.prop_map(|(operation, fault)| Act::Fail(operation, fault)),
        2 => Just(Act::Heal),
    ]
}

/// What one reader is owed.
#[derive(Default)]
struct Owed {
    /// Acknowledged and not settled.
    open: BTreeMap<u64, Record>,
    settled: BTreeSet<u64>,
    in_flight: Vec<Entry>,
    last: u64,
}

struct Model {
    setup: Setup,
    journal: Journal,
    readers: [Option<Reader>; 2],
    owed: [Owed; 2],
    /// Every sequence given out, and the record it is of.
    given: BTreeMap<u64, Record>,
    /// What was only written in this life, and nothing durable since.
    written: BTreeMap<u64, Record>,
    /// Whether the disk was told to fail in this life.
    failed: bool,
    nth: u32,
}

const NAMES: [&str; 2] = ["a:traces", "b:logs"];

impl Model {
    fn new(seed: u64) -> Self {
        let logs = ReaderConfig { when_full: WhenFull::DropOldest, ..lane(NAMES[1], Signal::Logs) };
        let mut setup = Setup::new(seed, vec![lane(NAMES[0], Signal::Traces), logs]);
        setup.config.max_size = Some(640 << 10);
        setup.config.tail_size = 60_000;
        let journal = setup.open();
        let readers = NAMES.map(|name| journal.reader(name));
        let (given, written) = (BTreeMap::new(), BTreeMap::new());
        let owed = Default::default();
        Self { setup, journal, readers, owed, given, written, failed: false, nth: 0 }
    }

    async fn act(&mut self, act: Act) {
        match act {
            Act::Append { logs, size, durable } => self.append(logs, size, durable).await,
            Act::Read { logs, records } => drop(self.read(usize::from(logs), records).await),
            Act::Settle { logs, every } => self.settle(usize::from(logs), every),
            Act::Retake { logs } => {
                let which = usize::from(logs);
                self.readers[which] = None;
                self.readers[which] = self.journal.reader(NAMES[which]);
                self.owed[which].in_flight.clear();
                self.owed[which].last = 0;
            }
            Act::Tick => self.setup.clock.advance(std::time::Duration::from_secs(2)),
            Act::Crash => self.restart(super::disk::SimFs::crash).await,
            Act::Kill => {
                self.survived();
                self.restart(super::disk::SimFs::kill).await;
            }
            Act::Close => {
                self.journal.close().await;
                self.survived();
                self.restart(super::disk::SimFs::crash).await;
            }
            Act::Fail(operation, fault) => {
                self.failed = true;
                self.setup.fs.fail_after(operation, 0, fault);
            }
            Act::Heal => self.setup.fs.heal(),
        }
        assert_balanced(&self.journal);
        assert_eq!(self.setup.fs.touched_after_failure(), 0);
    }

    /// What was only written, up to `last`, is as good as acknowledged.
    fn promote(&mut self, last: u64) {
        let later = self.written.split_off(&(last + 1));
        for (seq, record) in std::mem::replace(&mut self.written, later) {
            assert!(self.given.insert(seq, record.clone()).is_none(), "{seq} given out twice");
            self.owed[usize::from(record.signal == Signal::Logs)].open.insert(seq, record);
        }
    }

    /// The process ends and the machine does not.
    fn survived(&mut self) {
        if !self.failed {
            self.promote(u64::MAX - 1);
        }
    }

    async fn append(&mut self, logs: bool, size: usize, durable: bool) {
        self.nth += 1;
        let signal = if logs { Signal::Logs } else { Signal::Traces };
        let record = unique(signal, self.nth, size);
        let appended = match durable {
            true => self.journal.append(record.clone()).await,
            false => self.journal.append_until(record.clone(), false).await,
        };
        match appended {
            Ok(seq) if !durable => {
                assert!(self.given.last_key_value().is_none_or(|(&last, _)| last < seq));
                assert!(self.written.insert(seq, record).is_none(), "{seq} given out twice");
            }
            Ok(seq) => {
                self.promote(seq);
                assert!(self.given.insert(seq, record.clone()).is_none(), "{seq} given out twice");
                assert_eq!(self.given.last_key_value().map(|(&last, _)| last), Some(seq));
                self.owed[usize::from(logs)].open.insert(seq, record);
            }
            Err(AppendError::Full) => {
                assert!(self.owed[0].open.len() > 5, "full, and nothing is owed to who may block");
            }
            Err(AppendError::Disk(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }

    async fn read(&mut self, which: usize, records: usize) -> usize {
        let Some(reader) = &mut self.readers[which] else { panic!("no reader") };
        let entries = reader.next(50_000, records).await.unwrap();
        // What readers get is durable, and all before it; what was written since need not be.
        let written = |entry: &&Entry| self.written.contains_key(&entry.seq);
        if let Some(seq) = entries.iter().filter(written).map(|entry| entry.seq).max() {
            self.promote(seq);
        }
        let owed = &mut self.owed[which];
        for entry in &entries {
            assert!(entry.seq > owed.last, "{} after {}", entry.seq, owed.last);
            owed.last = entry.seq;
            if let Some(record) = self.given.get(&entry.seq) {
                assert_eq!(&entry.record, record);
            }
            assert!(!owed.settled.contains(&entry.seq) || entry.redelivered);
        }
        owed.in_flight.extend(entries.iter().cloned());
        entries.len()
    }

    fn settle(&mut self, which: usize, every: usize) {
        let owed = &mut self.owed[which];
        let Some(reader) = &self.readers[which] else { panic!("no reader") };
        let (mut now, mut later) = (Vec::new(), Vec::new());
        for (at, entry) in owed.in_flight.drain(..).enumerate() {
            if at % every == 0 { now.push(entry) } else { later.push(entry) }
        }
        reader.settler().settle(now.iter().map(delivered));
        owed.in_flight = later;
        for entry in now {
            owed.open.remove(&entry.seq);
            owed.settled.insert(entry.seq);
        }
    }

    async fn restart(&mut self, stop: fn(&super::disk::SimFs) -> super::disk::SimFs) {
        self.setup.fs = stop(&self.setup.fs);
        self.readers = [None, None];
        self.written.clear();
        self.failed = false;
        self.journal.close().await;
        let (journal, recovery) = self.setup.report();
        assert_eq!((recovery.lost_records, recovery.quarantined.len()), (0, 0));
        self.readers = NAMES.map(|name| journal.reader(name));
        self.journal = journal;
        for owed in &mut self.owed {
            owed.in_flight.clear();
            owed.last = 0;
        }
    }

    /// Reads everything that is left and compares.
    async fn end(mut self) {
        self.setup.fs.heal();
        self.restart(super::disk::SimFs::crash).await;
        for which in 0..2 {
            while self.read(which, 100).await > 0 {}
            let seen: BTreeSet<u64> = self.owed[which].in_flight.iter().map(|e| e.seq).collect();
            let missing: Vec<_> =
                self.owed[which].open.keys().copied().filter(|seq| !seen.contains(seq)).collect();
            let dropped = self.dropped(which);
            assert!(missing.len() as u64 <= dropped, "{missing:?} lost, {dropped} counted");
            let oldest_first = missing.last().is_none_or(|last| seen.iter().all(|seq| seq > last));
            assert!(oldest_first, "{missing:?} dropped, {seen:?} kept");
            self.settle(which, 1);
        }
        assert_balanced(&self.journal);
        assert!(self.journal.status().readers.iter().all(|r| r.queued.requests == 0));
        self.nth += 1;
        self.append(false, 10, true).await;
        self.journal.close().await;
    }

    /// What the ledger counts as dropped; only who may lose its oldest may have any.
    fn dropped(&self, which: usize) -> u64 {
        let rows = self.journal.ledger().readers;
        let row = rows.iter().find(|row| row.reader == NAMES[which]).unwrap();
        let reasons: Vec<_> = row.dropped.keys().collect();
        match which {
            0 => assert!(reasons.is_empty(), "{row:?}"),
            _ => assert!(reasons.iter().all(|&&r| r == DropReason::QueueFull), "{row:?}"),
        }
        row.dropped_requests
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 300, ..ProptestConfig::default() })]
    #[test]
    fn any_history_keeps_what_was_acknowledged(
        seed in any::<u64>(),
        acts in prop::collection::vec(act(), 1..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut model = Model::new(seed);
            for act in acts {
                model.act(act).await;
            }
            model.end().await;
        });
    }
}
