//! Records, readers and journals for tests.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::journal::fs::RealFs;
use crate::journal::{
    Config, Deps, Durability, Entry, Journal, ReaderConfig, Settled, SignalSet, Start, WhenFull,
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
        fs: Arc::new(RealFs),
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
