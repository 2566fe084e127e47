//! The journal's first local reader: feeds the table on a thread of its own.
//!
//! It is volatile: it begins at the journal's end, holds no segments, and at the cap the journal
//! drops its oldest records, counted. So it can never delay or refuse what is forwarded. Idle it
//! wakes every 30 s; under load it reads batches of up to 1 MiB.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::config::Config;
use super::snapshot::Snapshot;
use super::table::Table;
use crate::journal::{
    Entry, ReadError, Reader, ReaderConfig, Settled, Settler, SignalSet, Start, Waited, WhenFull,
};
use crate::signal::Signal;
use crate::telemetry::{Counter, Registry, desc};
use crate::time::UnixNano;

/// The reader's name in the journal.
pub const READER: &str = "aggregate";

/// How long an idle reader sleeps.
const IDLE: Duration = Duration::from_secs(30);
/// How long a reader with something to read waits for more …
const LINGER: Duration = Duration::from_millis(100);
/// … unless there are this many bytes.
const BATCH_BYTES_MIN: usize = 256 << 10;
const BATCH_BYTES_MAX: usize = 1 << 20;
const BATCH_RECORDS_MAX: usize = 1_024;
/// The pause after a failed or an empty read.
const PAUSE: Duration = Duration::from_secs(1);

/// The table of span metrics, shared with those who show it. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Aggregate {
    table: Arc<Mutex<Table>>,
    read_errors: Counter,
}

/// What the journal has to know about the reader.
#[must_use]
pub fn reader_config() -> ReaderConfig {
    ReaderConfig {
        name: READER.to_owned(),
        signals: SignalSet::only(Signal::Traces),
        durable: false,
        start: Start::End,
        when_full: WhenFull::DropOldest,
    }
}

impl Aggregate {
    /// An empty table that begins at `now`, shown by `registry` from now on.
    #[must_use]
    pub fn new(config: Config, now: UnixNano, registry: &Registry) -> Self {
        let table = Arc::new(Mutex::new(Table::new(config, now)));
        let read_errors = registry.counter(&desc::AGGREGATE_READ_ERRORS, &[]);
        let aggregate = Self { table, read_errors };
        let shown = aggregate.clone();
        registry.collect(move |out| shown.snapshot().expose(out));
        aggregate
    }

    /// The table as it is.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.lock().snapshot()
    }

    /// Reads until the journal closes. On a thread of its own, where counting cannot hold up other
    /// tasks: `std::thread::spawn(move || handle.block_on(aggregate.run(reader)))`.
    pub async fn run(self, mut reader: Reader) {
        let settler = reader.settler();
        loop {
            // The first wait sleeps, the second lets a batch gather.
            for (bytes, time) in [(1, IDLE), (BATCH_BYTES_MIN, LINGER)] {
                if reader.wait(bytes, time).await == Waited::Closed {
                    return;
                }
            }
            match reader.next(BATCH_BYTES_MAX, BATCH_RECORDS_MAX).await {
                Ok(entries) if entries.is_empty() => tokio::time::sleep(LINGER).await,
                Ok(entries) => self.take(&entries, &settler),
                Err(ReadError::Closed) => return,
                Err(ReadError::Disk(error)) => {
                    self.read_errors.add(1);
                    tracing::warn!(%error, "span metrics cannot read the journal");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn take(&self, entries: &[Entry], settler: &Settler) {
        let mut table = self.lock();
        for Entry { record, received, .. } in entries {
            table.observe(&record.payload, *received);
        }
        table.expire();
        drop(table);
        settler.settle(entries.iter().map(|entry| Settled {
            seq: entry.seq,
            delivered_items: entry.record.items,
            dropped: Vec::new(),
        }));
    }

    /// A panic while counting ends the process; until then the table is whole enough to show.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
