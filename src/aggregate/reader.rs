//! The journal's local reader: spans to the table, metrics to the store, on a thread of its own.
//!
//! At the cap the journal drops its oldest records, counted: so it can never delay or refuse what is forwarded. With a
//! store it acknowledges what a checkpoint covers ([`super::durable`]); without one what it has read. Idle it
//! wakes every 30 s; under load it reads an eighth of the journal's tail at a time, at most 2 MiB: while it does, its
//! tables are in the processor's caches, and between two reads everybody else's are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::config::Config;
use super::durable::{Durable, Seen, Trouble};
use super::snapshot::Snapshot;
use super::table::Table;
use crate::journal::{
    Entry, ReadError, Reader, ReaderConfig, Settled, Settler, SignalSet, Start, Waited, WhenFull,
};
use crate::signal::Signal;
use crate::store::{Batch, Outlet};
use crate::telemetry::{Counter, Registry, desc};
use crate::time::UnixNano;

/// The reader's name in the journal.
pub const READER: &str = "aggregate";

/// How long an idle reader sleeps.
const IDLE: Duration = Duration::from_secs(30);
/// How long a reader with something to read waits for more …
const LINGER: Duration = Duration::from_millis(100);
/// … unless there is this part of what the journal keeps in memory.
const BATCH_SHARE: usize = 8;
const BATCH_BYTES_MIN: usize = 256 << 10;
const BATCH_BYTES_MAX: usize = 2 << 20;
const BATCH_RECORDS_MAX: usize = 4_096;
/// The pause after a failed or an empty read.
const PAUSE: Duration = Duration::from_secs(1);

/// The table of span metrics, shared with those who show it. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Aggregate {
    table: Arc<Mutex<Table>>,
    read_errors: Counter,
    trouble: Option<Trouble>,
}

/// What the journal has to know about the reader. With a store it is durable: what no checkpoint covers is held, up to the
/// cap, and read again after a restart.
#[must_use]
pub fn reader_config(with_store: bool) -> ReaderConfig {
    let signals = SignalSet::of(|signal| match signal {
        Signal::Traces => true,
        Signal::Metrics | Signal::Logs => with_store,
        Signal::Profiles => false,
    });
    ReaderConfig {
        name: READER.to_owned(),
        signals: if with_store { signals.with_local() } else { signals },
        durable: with_store,
        start: if with_store { Start::Oldest } else { Start::End },
        when_full: WhenFull::DropOldest,
    }
}

/// The store's side, and what the agent itself puts there.
#[derive(Debug)]
pub struct Keeping {
    /// What records do to the store.
    pub durable: Durable,
    /// Samples of rules and of the host.
    pub outlet: Outlet,
}

/// Ends a running aggregator.
#[derive(Debug)]
pub struct Stop {
    ask: oneshot::Sender<()>,
    done: oneshot::Receiver<()>,
}

/// What a running aggregator listens to.
#[derive(Debug)]
pub struct Stopping {
    asked: oneshot::Receiver<()>,
    _done: oneshot::Sender<()>,
}

/// A way to end the aggregator that is given the other half.
#[must_use]
pub fn stop() -> (Stop, Stopping) {
    let (ask, asked) = oneshot::channel();
    let (_done, done) = oneshot::channel();
    (Stop { ask, done }, Stopping { asked, _done })
}

impl Stop {
    /// Asks it to read what is there and to write its last checkpoint; resolves when that is done.
    pub async fn finish(self) {
        // Gone means that it has ended already.
        let _ = self.ask.send(());
        let _ = self.done.await;
    }
}

impl Aggregate {
    /// A table that is shown by `registry` from now on: as the store's last checkpoint has it, or empty from `now` on.
    #[must_use]
    pub fn new(
        config: Config,
        now: UnixNano,
        durable: Option<&mut Durable>,
        registry: &Registry,
    ) -> Self {
        let trouble = durable.as_ref().map(|durable| durable.trouble());
        // What a store holds follows from the records alone: not from when the process began.
        let now = if durable.is_some() { UnixNano(0) } else { now };
        let kept = durable.and_then(|durable| durable.restore(config.clone()));
        let table = Arc::new(Mutex::new(kept.unwrap_or_else(|| Table::new(config, now))));
        let read_errors = registry.counter(&desc::AGGREGATE_READ_ERRORS, &[]);
        let aggregate = Self { table, read_errors, trouble };
        let shown = aggregate.clone();
        registry.collect(move |out| shown.snapshot().expose(out));
        aggregate
    }

    /// The table as it is.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.lock().snapshot()
    }

    /// Why the store is not as it should be, in a sentence.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.as_ref()?;
        trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads until it is told to stop or the journal closes, then writes a last checkpoint. On a thread of its own, where
    /// counting and the disk cannot hold up other tasks:
    /// `std::thread::spawn(move || handle.block_on(aggregate.run(…)))`.
    pub async fn run(self, mut reader: Reader, mut store: Option<Keeping>, mut stop: Stopping) {
        let settler = reader.settler();
        let mut stopping = false;
        // What the agent makes now comes after what waits in the journal: the store takes samples in order.
        let behind = store.as_ref().map_or(0, |keeping| keeping.durable.next_seq());
        let mut caught_up = false;
        loop {
            if !stopping {
                tokio::select! {
                    biased;
                    _ = &mut stop.asked => stopping = true,
                    open = gather(&mut reader, store.as_mut()), if caught_up => if !open { break },
                    () = std::future::ready(()), if !caught_up => {}
                }
            }
            match reader.next(batch_bytes(&reader), BATCH_RECORDS_MAX).await {
                Ok(entries) if entries.is_empty() && stopping => break,
                Ok(entries) if entries.is_empty() && !caught_up => caught_up = true,
                Ok(entries) => {
                    caught_up |= entries.last().is_some_and(|last| last.seq + 1 >= behind);
                    let durable = store.as_mut().map(|keeping| &mut keeping.durable);
                    // Without records, too: a full journal takes none, and a checkpoint of what came through the inbox
                    // may be due.
                    settle(&settler, self.take(&entries, durable));
                    if entries.is_empty() {
                        tokio::time::sleep(LINGER).await;
                    }
                }
                Err(ReadError::Closed) => break,
                Err(ReadError::Disk(_)) if stopping => break,
                Err(ReadError::Disk(error)) => {
                    self.read_errors.add(1);
                    tracing::warn!(%error, "span metrics and the store cannot read the journal");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        if let Some(Keeping { durable, .. }) = &mut store {
            settle(&settler, durable.finish(&self.table));
        }
    }

    /// Takes a batch in; the sequences and items of the records to acknowledge. May block on disk, for a checkpoint.
    pub fn take(&self, entries: &[Entry], durable: Option<&mut Durable>) -> Vec<Seen> {
        let Some(durable) = durable else {
            let mut table = self.lock();
            for Entry { record, received, .. } in entries {
                // What was journaled while there was a store.
                if record.signal == Signal::Traces {
                    table.observe(&record.payload, *received);
                }
            }
            table.expire();
            return entries.iter().map(|entry| (entry.seq, entry.record.items)).collect();
        };
        for entry in entries {
            durable.observe(entry, &self.table);
        }
        if !entries.is_empty() {
            durable.rest();
        }
        let mut seen = durable.acknowledged();
        if durable.checkpoint_due() {
            seen.extend(durable.checkpoint(&self.table));
        }
        seen
    }

    /// A panic while counting ends the process; until then the table is whole enough to show.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a batch, and appends what comes through the inbox meanwhile; false when the journal is closed.
async fn gather(reader: &mut Reader, mut keeping: Option<&mut Keeping>) -> bool {
    let mut batch = std::pin::pin!(batch(reader));
    loop {
        tokio::select! {
            biased;
            made = made(keeping.as_deref_mut()) => {
                if let Some(Keeping { durable, .. }) = keeping.as_deref_mut() {
                    durable.apply(&made.samples);
                    made.applied();
                }
            }
            open = &mut batch => return open,
        }
    }
}

/// What the agent made itself; never resolves without a store.
async fn made(keeping: Option<&mut Keeping>) -> Batch {
    if let Some(Keeping { outlet, .. }) = keeping
        && let Some(batch) = outlet.next().await
    {
        return batch;
    }
    std::future::pending().await
}

/// How much is read at a time.
fn batch_bytes(reader: &Reader) -> usize {
    (reader.in_memory_max() / BATCH_SHARE).clamp(BATCH_BYTES_MIN, BATCH_BYTES_MAX)
}

/// Waits for a batch of the journal; false when it is closed. The first wait sleeps, the second lets a batch gather.
async fn batch(reader: &mut Reader) -> bool {
    for (bytes, time) in [(1, IDLE), (batch_bytes(reader), LINGER)] {
        if reader.wait(bytes, time).await == Waited::Closed {
            return false;
        }
    }
    true
}

fn settle(settler: &Settler, seen: Vec<Seen>) {
    if !seen.is_empty() {
        settler.settle(seen.into_iter().map(|(seq, delivered_items)| Settled {
            seq,
            delivered_items,
            dropped: Vec::new(),
        }));
    }
}

#[cfg(test)]
mod tests;
