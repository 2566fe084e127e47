//! Records, readers and journals for tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::disk::SimFs;
use crate::journal::format::RECORD_HEADER;
use crate::journal::fs::Roomy;
use crate::journal::{
    AppendError, Config, Deps, Durability, Entry, Journal, OpenError, Reader, ReaderConfig,
    Recovery, Settled, SignalSet, Start, Stepper, WhenFull,
};
use crate::signal::{Flags, Meta, Record, Signal};
use crate::telemetry::Registry;
use crate::time::{ManualClock, UnixNano};

pub(super) const T0: UnixNano = UnixNano(1_700_000_000_000_000_000);

pub(super) fn record(signal: Signal, items: u32, size: usize) -> Record {
    let payload = Bytes::from(vec![u8::try_from(items % 251).unwrap(); size]);
    Record { signal, items, flags: Flags::default(), meta: Meta::default(), payload }
}

pub(super) fn reader(name: &str, signals: SignalSet) -> ReaderConfig {
    ReaderConfig {
        name: name.into(),
        signals,
        durable: true,
        start: Start::Oldest,
        when_full: WhenFull::Reject,
    }
}

pub(super) fn lane(name: &str, signal: Signal) -> ReaderConfig {
    reader(name, SignalSet::only(signal))
}

pub(super) fn in_memory(memory_size: usize, readers: Vec<ReaderConfig>) -> Journal {
    let config = Config { durability: Durability::Memory, memory_size, ..Config::default() };
    Journal::open(config, readers, deps()).unwrap().0
}

pub(super) fn deps() -> Deps {
    Deps {
        fs: Arc::new(Roomy),
        clock: Arc::new(ManualClock::at(T0)),
        registry: Registry::default(),
    }
}

pub(super) fn seqs(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|e| e.seq).collect()
}

pub(super) fn delivered(entry: &Entry) -> Settled {
    Settled { seq: entry.seq, delivered_items: entry.record.items, dropped: Vec::new() }
}

pub(super) fn assert_balanced(journal: &Journal) {
    for row in journal.ledger().readers {
        assert!(row.balances(), "{row:?}");
    }
}

pub(super) const LONG: Duration = Duration::from_hours(1);

/// A journal on a simulated disk.
pub(super) struct Setup {
    pub(super) fs: SimFs,
    pub(super) clock: Arc<ManualClock>,
    pub(super) config: Config,
    pub(super) readers: Vec<ReaderConfig>,
}

impl Setup {
    /// 1 MiB in segments of 128 KiB, hardly any tail, so that readers read from disk.
    pub(super) fn new(seed: u64, readers: Vec<ReaderConfig>) -> Self {
        let clock = Arc::new(ManualClock::at(T0));
        let config = Config {
            directory: "/journal".into(),
            durability: Durability::Fsync,
            group_window: Duration::ZERO,
            max_size: Some(1 << 20),
            retention_size: 0,
            tail_size: 0,
            ..Config::default()
        };
        Self { fs: SimFs::new(seed).with_clock(Arc::clone(&clock)), clock, config, readers }
    }

    /// With two readers of traces, `a:traces` and `b:traces`.
    pub(super) fn for_two(seed: u64) -> Self {
        Self::new(seed, vec![lane("a:traces", Signal::Traces), lane("b:traces", Signal::Traces)])
    }

    pub(super) fn try_open(&self) -> Result<(Journal, Recovery), OpenError> {
        let deps = Deps {
            fs: Arc::new(self.fs.clone()),
            clock: Arc::clone(&self.clock) as _,
            registry: Registry::default(),
        };
        Journal::open(self.config.clone(), self.readers.clone(), deps)
    }

    pub(super) fn open(&self) -> Journal {
        self.try_open().unwrap().0
    }

    /// One whose writer works when it is told to.
    pub(super) fn open_stepped(&self) -> (Journal, Stepper) {
        let deps = Deps {
            fs: Arc::new(self.fs.clone()),
            clock: Arc::clone(&self.clock) as _,
            registry: Registry::default(),
        };
        let opened = Journal::open_stepped(self.config.clone(), self.readers.clone(), deps);
        let (journal, _, stepper) = opened.unwrap();
        (journal, stepper)
    }

    pub(super) fn report(&self) -> (Journal, Recovery) {
        self.try_open().unwrap()
    }

    /// Ends a journal, then takes the power away and gives it back.
    pub(super) async fn crash(&mut self, journal: Journal) {
        self.fs = self.fs.crash();
        journal.close().await;
    }

    /// Ends a journal as SIGKILL does.
    pub(super) async fn kill(&mut self, journal: Journal) {
        self.fs = self.fs.kill();
        journal.close().await;
    }

    pub(super) fn segments(&self) -> Vec<PathBuf> {
        self.with_extension("seg")
    }

    pub(super) fn with_extension(&self, extension: &str) -> Vec<PathBuf> {
        let paths = self.fs.paths().into_iter();
        paths.filter(|p| p.extension().is_some_and(|e| e == extension)).collect()
    }

    /// Changes a file as a failing disk would.
    pub(super) fn edit(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.fs.bytes(path).unwrap();
        change(&mut bytes);
        self.fs.put(path, bytes);
    }

    /// Where the record with that number begins in a segment.
    pub(super) fn place(&self, segment: usize, nth: u32) -> u64 {
        let bytes = self.fs.bytes(&self.segments()[segment]).unwrap();
        find(&bytes, &unique(Signal::Traces, nth, SIZE)) as u64
    }

    /// Flips a bit at `offset` of the record with that number.
    pub(super) fn spoil(&self, segment: usize, nth: u32, offset: usize) {
        self.edit(&self.segments()[segment], |bytes| {
            let at = find(bytes, &unique(Signal::Traces, nth, SIZE)) + offset;
            bytes[at] ^= 64;
        });
    }
}

/// A record whose payload no other has: `nth` and pseudorandom bytes.
pub(super) fn unique(signal: Signal, nth: u32, size: usize) -> Record {
    let mut payload = nth.to_le_bytes().to_vec();
    let mut rng = fastrand::Rng::with_seed(nth.into());
    payload.resize(4 + size, 0);
    rng.fill(&mut payload[4..]);
    Record { payload: payload.into(), items: nth % 7 + 1, ..record(signal, 1, 0) }
}

/// Bytes of the payload of what [`append`] appends, besides its number.
pub(super) const SIZE: usize = 1_000;

pub(super) async fn append(journal: &Journal, nth: u32) -> Result<u64, AppendError> {
    journal.append(unique(Signal::Traces, nth, SIZE)).await
}

/// Appends records whose sequences are to be their numbers.
pub(super) async fn fill(journal: &Journal, numbers: impl IntoIterator<Item = u32>) {
    for nth in numbers {
        assert_eq!(append(journal, nth).await.unwrap(), u64::from(nth));
    }
}

/// A journal for two of `records` and one more, ended by a kill: `a:traces` has settled the first `settled`.
pub(super) async fn settled_in_part(seed: u64, records: u32, settled: usize) -> Setup {
    let mut setup = Setup::for_two(seed);
    let journal = setup.open();
    fill(&journal, 1..=records).await;
    let mut reader = journal.reader("a:traces").unwrap();
    let entries = reader.next(usize::MAX, settled).await.unwrap();
    reader.settler().settle(entries.iter().map(delivered));
    fill(&journal, [records + 1]).await;
    drop(reader);
    setup.kill(journal).await;
    setup
}

/// Where the record with that payload begins in a file.
pub(super) fn find(bytes: &[u8], record: &Record) -> usize {
    let at = bytes.windows(100).position(|w| *w == record.payload[..100]).unwrap();
    at - RECORD_HEADER
}

/// Everything a reader has, read until there is no more.
pub(super) async fn drain(reader: &mut Reader) -> Vec<Entry> {
    let mut all = Vec::new();
    loop {
        let entries = reader.next(64 << 10, 7).await.unwrap();
        if entries.is_empty() {
            return all;
        }
        all.extend(entries);
    }
}
