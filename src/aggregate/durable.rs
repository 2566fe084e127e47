//! What the aggregator keeps over restarts: samples in the store, its own state with them, and the journal's records until
//! both are on disk.
//!
//! ```text
//! record ─▶ span table, samples ─▶ pending ── checkpoint committed ──▶ acknowledged
//! start:   state of the last checkpoint ─▶ records after it, read again in the same order
//! ```
//! Invariants: a record is acknowledged when a committed checkpoint covers it; what is done with one depends on the
//! records before it and on its time of receipt, nothing else. State is put away in pieces of 256 KiB, and nothing of it
//! stays in memory: a checkpoint needs room for the tables of spans and signals once, for all else for a piece. Limits:
//! [`PENDING_MAX`] records without a checkpoint; past it the oldest are acknowledged, counted, and would be missing after a
//! crash.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::codec;
use super::codec::PIECE_BYTES;
use super::config::Config;
use super::derived::Derived;
use super::domain;
use super::domain::Domain;
use super::entries::Entries;
use super::exported;
use super::exported::{Exported, Tap};
use super::metrics::Translator;
use super::metrics::local::Way;
use super::metrics::stream::millis;
use super::resource::Resource;
use super::table::Table;
use super::walk::walk;
use crate::journal::{Entry, Identity};
use crate::signal::{Flags, Samples, Signal};
use crate::store::{Opened, SeriesId, StoreError, Writer};
use crate::telemetry::{Counter, Registry, desc};
use crate::time::UnixNano;

/// The most records that wait for a checkpoint, 16 B each here and about 100 B in the journal.
const PENDING_MAX: usize = 1 << 17;
/// After a checkpoint that failed, the next is tried at the earliest so much later.
const RETRY: Duration = Duration::from_secs(30);

/// The agent's own `job`.
const JOB: &str = "sidelight";

/// The names of what is kept by checkpoints.
const SPANS: &str = "spans.table";
/// Where the table was with what was sampled after it: `length │ table │ sampled`.
const TOGETHER: &str = "aggregate.spans";
const SAMPLED: &str = "spans.sampled";
const JOURNAL: &str = "aggregate.journal";
const DOMAIN: &str = "aggregate.domain";
const ENTRIES: &str = "aggregate.entries";
const EXPORTED: &str = "aggregate.exported";

/// A record that was read: its sequence and its items.
pub(super) type Seen = (u64, u32);

/// The store's side of the aggregator. See the module's documentation.
#[derive(Debug)]
pub struct Durable {
    writer: Writer,
    /// What the last checkpoint has, until it is taken up.
    kept: BTreeMap<String, Vec<Vec<u8>>>,
    identity: Identity,
    translator: Box<Translator<SeriesId>>,
    derived: Derived<SeriesId>,
    /// Boxed: what starts the agent moves this, and its future has a size.
    domain: Box<Domain<SeriesId>>,
    entries: Entries,
    /// None where nothing derived is exported.
    exported: Option<Exported<SeriesId>>,
    /// Records up to this one are in the last checkpoint.
    covered: Option<u64>,
    /// The last record read after the last checkpoint.
    last: Option<u64>,
    pending: VecDeque<Seen>,
    /// What a checkpoint covers that was written while a batch was read.
    settled: Vec<Seen>,
    /// Payload bytes read since the last checkpoint.
    bytes_since: u64,
    /// Whether the agent made samples itself since then: the journal, full perhaps, may have no record of them.
    made: bool,
    /// Whether the journal gives records again after a crash.
    replays: bool,
    /// That of the journal's first record after the start.
    next_seq: u64,
    now: UnixNano,
    retry_at: UnixNano,
    unsaved: Counter,
    skipped: Counter,
    /// The record that reading ends the process at.
    #[cfg(test)]
    dies_at: Option<u64>,
    failures: Counter,
    trouble: Trouble,
}

/// The journal that the records come from. A store that knows another, or has seen records which this one does not have,
/// belonged to another: sequences begin at 1 in each.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// Which it is.
    pub identity: Identity,
    /// The sequence of its next record.
    pub next_seq: u64,
    /// Whether it gives records again after a crash.
    pub replays: bool,
    /// The most bytes that it may take.
    pub max_size: u64,
}

/// This part of what the journal may take is read between two checkpoints at most: it holds what none has, beside what no
/// destination has.
const JOURNAL_SHARE: u64 = 4;

/// Why the store is not as it should be, for those who show it.
pub(super) type Trouble = Arc<Mutex<Option<String>>>;

impl Durable {
    /// The side of a store that was opened, of which `journal` gives the records.
    #[must_use]
    pub fn new(
        mut writer: Writer,
        opened: &Opened,
        config: domain::Config,
        journal: Origin,
        registry: &Registry,
    ) -> Self {
        let Origin { identity, next_seq, replays, max_size } = journal;
        if replays {
            writer.checkpoint_within(max_size / JOURNAL_SHARE);
        }
        let kept = writer.take_states();
        let now = UnixNano(writer.now_ms().unwrap_or(0).unsigned_abs().saturating_mul(1_000_000));
        let known = kept.get(JOURNAL).map(|pieces| pieces.concat() == identity.0);
        let same = known.unwrap_or(true);
        let covered = opened.journal_seq.filter(|&seq| replays && same && seq < next_seq);
        if replays && covered != opened.journal_seq {
            tracing::warn!(
                journal_seq = opened.journal_seq,
                "the journal is not the one that the metric store was filled from: it is read from its oldest record"
            );
        }
        Self {
            writer,
            kept,
            identity,
            translator: Box::new(Translator::new(config.metrics.clone(), registry)),
            derived: Derived::default(),
            entries: Entries::new(config.entries, config.user_key, registry),
            domain: Box::new(Domain::new(config, registry)),
            exported: None,
            covered,
            last: None,
            pending: VecDeque::new(),
            bytes_since: 0,
            made: false,
            replays,
            next_seq,
            now,
            settled: Vec::new(),
            retry_at: UnixNano(0),
            unsaved: registry.counter(&desc::STORE_UNSAVED_RECORDS, &[]),
            skipped: registry.counter(&desc::STORE_SKIPPED_RECORDS, &[]),
            #[cfg(test)]
            dies_at: None,
            failures: registry.counter(&desc::STORE_CHECKPOINT_FAILURES, &[]),
            trouble: Trouble::default(),
        }
    }

    /// Has derived series exported through what is returned: before the state is taken up. `host_name` tells this agent's
    /// own series from those of others.
    #[must_use]
    pub fn export(
        &mut self,
        config: &exported::Config,
        host_name: &str,
        registry: &Registry,
    ) -> exported::Batches {
        let (sender, batches) = exported::batches(config.interval);
        let own = exported::Origin { job: JOB.to_owned(), instance: host_name.to_owned() };
        self.exported = Some(Exported::new(config.clone(), own, sender, registry));
        batches
    }

    pub(super) fn trouble(&self) -> Trouble {
        Arc::clone(&self.trouble)
    }

    /// The sequence of the first record that comes after the start.
    pub(super) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The last operations, one by one.
    #[must_use]
    pub fn entries(&self) -> Entries {
        self.entries.clone()
    }

    /// Takes up the state of the last checkpoint; the table of spans as it was, if there was one.
    pub(super) fn restore(&mut self, config: Config) -> Option<Table> {
        // Each piece is let go of as soon as it is read.
        let mut kept = std::mem::take(&mut self.kept);
        let mut pieces = |name: &str| kept.remove(name).unwrap_or_default();
        self.translator.restore(&mut pieces, &mut self.writer);
        self.domain.restore(&pieces(DOMAIN).concat());
        self.entries.restore(&pieces(ENTRIES).concat());
        let began = pieces(EXPORTED).concat();
        if let Some(exported) = &mut self.exported {
            exported.restore(&began);
        }
        let (table, sampled) = (pieces(SPANS).concat(), pieces(SAMPLED).concat());
        let together = pieces(TOGETHER).concat();
        let (table, sampled) = match codec::Read(&together) {
            mut read if table.is_empty() && !together.is_empty() => (read.bytes()?, read.0),
            _ => (&*table, &*sampled),
        };
        let table = Table::decode(config, table)?;
        self.derived = Derived::decode(sampled);
        Some(table)
    }

    /// Puts a record into the table and the store. A record that the last checkpoint covers is passed over, and so is one
    /// that two processes died over.
    pub(super) fn observe(&mut self, entry: &Entry, table: &Mutex<Table>) {
        let Entry { seq, record, received, .. } = entry;
        let covered = self.covered.is_some_and(|covered| *seq <= covered);
        // What the agent made of a wrong time may have come after its last record.
        let last = self.latest();
        if !covered && received.sets_right(last) {
            self.go_back(last, *received, table);
        }
        self.pending.push_back((*seq, record.items));
        if covered {
            return;
        }
        self.last = Some(*seq);
        self.bytes_since += record.payload.len() as u64;
        if !self.writer.begin_record(*seq) {
            self.skipped.add(1);
            let (signal, bytes) = (record.signal.name(), record.payload.len());
            tracing::error!(
                seq,
                signal,
                bytes,
                "a record that ended the process twice is not read again"
            );
            return;
        }
        self.read(entry, table);
    }

    /// The clock was wrong, and is right from a record on that is received at `now`. What was made of times that were none
    /// begins anew, and a checkpoint lets series with samples of then leave, so that those that come are taken.
    fn go_back(&mut self, last: UnixNano, now: UnixNano, table: &Mutex<Table>) {
        let ahead_seconds = last.since(now).as_secs();
        tracing::warn!(
            ahead_seconds,
            "the clock was ahead and was set back: derived metrics begin anew, samples of that time stay where they are"
        );
        (self.now, self.retry_at) = (now, now);
        self.writer.set_back(millis(now.0));
        table.lock().unwrap_or_else(PoisonError::into_inner).begin_anew(now);
        self.derived = Derived::default();
        self.domain.restore(&[]);
        if let Some(exported) = &mut self.exported {
            exported.forget();
        }
        self.last = self.last.or(self.covered);
        let covered = self.checkpoint(table);
        self.settled.extend(covered);
    }

    /// Says that what was observed is over: nothing is being read.
    pub(super) fn rest(&mut self) {
        self.writer.end_record();
    }

    fn read(&mut self, entry: &Entry, table: &Mutex<Table>) {
        let Entry { received, record, .. } = entry;
        #[cfg(test)]
        assert_ne!(self.dies_at, Some(entry.seq), "as a test wants it");
        self.now = self.now.max(*received);
        let received_ms = millis(self.now.0);
        self.writer.set_now(received_ms);
        if self.derived.is_due(received_ms) {
            let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
            let domain = &mut self.domain;
            let mut admits = |family, of: &Resource| domain.admits(family, of.labels());
            let mut tap = Tap::new(&mut self.writer, self.exported.as_mut());
            self.derived.sample(&mut tap, &mut table, received_ms, &mut admits);
            for (refused, samples) in self.derived.take_refused() {
                self.translator.refused(refused, samples);
            }
        }
        self.domain.begin(&mut Tap::new(&mut self.writer, self.exported.as_mut()), self.now);
        if let Some(exported) = &mut self.exported {
            exported.flush(received_ms);
        }
        // What it says was derived here.
        if record.flags.contains(Flags::DERIVED) {
            return;
        }
        if record.signal == Signal::Traces && !record.flags.contains(Flags::LOCAL) {
            let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
            table.advance(self.now);
            let (domain, entries) = (self.domain.counting(), self.entries.looking(self.now));
            walk(&record.payload, &mut (table.counting(), domain, entries));
            return table.expire();
        }
        self.domain.observe(
            &mut Tap::new(&mut self.writer, self.exported.as_mut()),
            record,
            self.now,
        );
        self.entries.observe(record, self.now);
        match record.signal {
            _ if record.flags.contains(Flags::LOCAL) => {
                // Without telemetry it alone tells the table the time.
                let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
                table.observe(&[], self.now);
                table.expire();
                drop(table);
                // What is no metrics stays here for other reasons, and must not pass for samples.
                if record.signal != Signal::Metrics {
                    return;
                }
                let samples = Samples::read(&record.payload);
                self.translator.append(&mut self.writer, &samples, Way::Journal);
            }
            Signal::Metrics => {
                self.translator.begun.clear();
                self.translator.begun.extend_from_slice(self.domain.took_over());
                self.translator.observe(&mut self.writer, &record.payload, self.now);
            }
            Signal::Traces | Signal::Logs | Signal::Profiles => {}
        }
    }

    /// Appends what the agent made itself. The journal's record of it comes later, and adds nothing.
    pub(super) fn apply(&mut self, samples: &Samples) {
        // The samples were made at this instant, and without telemetry nothing else tells the time.
        if let Some(made_ms) = samples.0.iter().map(|sample| sample.t_ms).max() {
            self.writer.set_now(made_ms);
            self.made = true;
        }
        self.translator.append(&mut self.writer, samples, Way::Inbox);
    }

    /// The records that may be acknowledged although no checkpoint was made since they were read.
    pub(super) fn acknowledged(&mut self) -> Vec<Seen> {
        let covered = self.covered.unwrap_or(0);
        let past = self.pending.len().saturating_sub(PENDING_MAX);
        let known = self.pending.partition_point(|(seq, _)| *seq <= covered);
        if past > known && self.replays {
            self.unsaved.add((past - known) as u64);
        }
        let free = if self.replays { past.max(known) } else { self.pending.len() };
        let settled = std::mem::take(&mut self.settled).into_iter();
        settled.chain(self.pending.drain(..free)).collect()
    }

    /// Whether it is time to write a checkpoint.
    pub(super) fn checkpoint_due(&self) -> bool {
        (self.last.is_some() || self.made)
            && self.latest() >= self.retry_at
            && (self.pending.len() >= PENDING_MAX / 2
                || self.writer.checkpoint_due(self.bytes_since))
    }

    /// Writes a checkpoint, unless nothing happened since the last. Blocks on disk. The records to acknowledge; none when it
    /// failed, which is logged and tried again later.
    pub(super) fn checkpoint(&mut self, table: &Mutex<Table>) -> Vec<Seen> {
        let made = self.made.then_some(self.covered.unwrap_or(0));
        let Some(last) = self.last.or(made) else { return Vec::new() };
        let mut spans = Vec::new();
        table.lock().unwrap_or_else(PoisonError::into_inner).encode(&mut spans);
        let mut sampled = Vec::new();
        self.derived.encode(&mut sampled);
        let signals = self.domain.encode();
        let entries = self.entries.encode();
        let exported = self.exported.as_ref().map(Exported::encode).unwrap_or_default();
        self.translator.forget(&mut self.writer);
        let (translator, identity) = (&self.translator, self.identity);
        let outcome = self.writer.checkpoint_with(last, |writer, put| {
            put(JOURNAL, &identity.0)?;
            let states = [
                (SPANS, spans),
                (SAMPLED, sampled),
                (DOMAIN, signals),
                (ENTRIES, entries),
                (EXPORTED, exported),
            ];
            for (name, state) in states {
                state.chunks(PIECE_BYTES).try_for_each(|piece| put(name, piece))?;
            }
            translator.encode(writer, put)
        });
        self.note(&outcome);
        if outcome.is_err() {
            return Vec::new();
        }
        (self.covered, self.last, self.bytes_since, self.made) = (Some(last), None, 0, false);
        self.pending.drain(..).collect()
    }

    /// Writes the last checkpoint, with what waited for more and gets it no more.
    pub(super) fn finish(&mut self, table: &Mutex<Table>) -> Vec<Seen> {
        if self.domain.flush() {
            self.last = self.last.or(self.covered);
        }
        self.checkpoint(table)
    }

    /// When what was put into the store last came: a record, or what the agent made itself.
    fn latest(&self) -> UnixNano {
        let made_ms = self.writer.now_ms().unwrap_or_default();
        self.now.max(UnixNano(made_ms.unsigned_abs().saturating_mul(1_000_000)))
    }

    fn note(&mut self, outcome: &Result<(), StoreError>) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let Err(error) = outcome else {
            if trouble.take().is_some() {
                tracing::info!("the metric store writes again");
            }
            return;
        };
        self.failures.add(1);
        self.retry_at = UnixNano(self.latest().0.saturating_add(RETRY.as_nanos() as u64));
        let error = crate::telemetry::chain(error);
        tracing::warn!(%error, "the metric store cannot write a checkpoint; trying again");
        *trouble = Some(format!(
            "the metric store cannot write, and keeps what came since in memory and in the journal: {error}"
        ));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::signal::{Flags, Meta, Record};
    use crate::store;
    use crate::store::Store;
    use crate::time::ManualClock;

    fn entry(seq: u64) -> Entry {
        let payload = Bytes::new();
        let (signal, items, flags, meta) = (Signal::Traces, 1, Flags::default(), Meta::default());
        let record = Record { signal, items, flags, meta, payload };
        let received = UnixNano(1_700_000_000_000_000_000 + seq);
        Entry { seq, received, redelivered: false, record }
    }

    /// What is read of a journal of nine records after a checkpoint at the fifth.
    fn read(directory: &std::path::Path, identity: u8, replays: bool) -> usize {
        let registry = Registry::default();
        let deps =
            store::Deps { clock: Arc::new(ManualClock::default()), registry: registry.clone() };
        let config = store::Config::new(directory.to_owned());
        let (_store, writer, opened) = Store::open(config, deps).unwrap();
        let (identity, max_size) = (Identity([identity; 12]), 1 << 30);
        let origin = Origin { identity, next_seq: 10, replays, max_size };
        let metrics = crate::aggregate::metrics::Config::default();
        let config = domain::Config {
            metrics,
            ttl_ms: 0,
            user_key: Some([0; 16]),
            entries: super::super::entries::Config::default(),
        };
        let mut durable = Durable::new(writer, &opened, config, origin, &registry);
        let table = Mutex::new(Table::new(Config::default(), UnixNano(0)));
        let mut taken = 0;
        for seq in 1..10 {
            durable.last = None;
            durable.observe(&entry(seq), &table);
            taken += usize::from(durable.last.is_some());
        }
        durable.last = Some(5);
        assert!(!durable.checkpoint(&table).is_empty());
        taken
    }

    #[test]
    fn another_journal_is_read_from_its_oldest_record_and_the_same_from_the_checkpoint() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read(directory.path(), 1, true), 9, "nothing is known");
        assert_eq!(read(directory.path(), 1, true), 4, "the same journal");
        assert_eq!(read(directory.path(), 2, true), 9, "one that was begun anew");
        assert_eq!(read(directory.path(), 2, true), 4);
        assert_eq!(read(directory.path(), 3, false), 9, "one that a crash empties");
    }

    #[test]
    fn a_checkpoint_is_due_before_what_waits_for_it_fills_a_small_journal() {
        let directory = tempfile::tempdir().unwrap();
        let registry = Registry::default();
        // A field that no request has, of 1 MiB.
        let payload: Bytes = [&b"\xfa\x7f\x80\x80\x40"[..], &vec![0; 1 << 20]].concat().into();
        for (max_size, replays, expected) in
            [(32 << 20, true, 8), (512 << 20, true, 9), (32 << 20, false, 9)]
        {
            let clock = Arc::new(ManualClock::default());
            let deps = store::Deps { clock, registry: registry.clone() };
            let at = directory.path().join(format!("{max_size}{replays}"));
            let (_store, writer, opened) = Store::open(store::Config::new(at), deps).unwrap();
            let origin = Origin { identity: Identity([7; 12]), next_seq: 10, replays, max_size };
            let metrics = crate::aggregate::metrics::Config::default();
            let entries = crate::aggregate::entries::Config::default();
            let config = domain::Config { metrics, ttl_ms: 0, user_key: Some([0; 16]), entries };
            let mut durable = Durable::new(writer, &opened, config, origin, &registry);
            let table = Mutex::new(Table::new(Config::default(), UnixNano(0)));
            let mut read = 0;
            while read < 9 && !durable.checkpoint_due() {
                read += 1;
                let mut entry = entry(read);
                entry.record.payload = payload.clone();
                durable.observe(&entry, &table);
            }
            assert_eq!(read, expected, "{max_size} {replays}");
        }
    }

    #[test]
    fn state_of_the_first_version_is_read_and_an_empty_table_begins_with_the_records() {
        let directory = tempfile::tempdir().unwrap();
        let registry = Registry::default();
        let open = || {
            let deps =
                store::Deps { clock: Arc::new(ManualClock::default()), registry: registry.clone() };
            let config = store::Config::new(directory.path().to_owned());
            let (store, writer, opened) = Store::open(config, deps).unwrap();
            let (identity, max_size) = (Identity([7; 12]), 1 << 30);
            let origin = Origin { identity, next_seq: 10, replays: true, max_size };
            let metrics = crate::aggregate::metrics::Config::default();
            let entries = crate::aggregate::entries::Config::default();
            let config = domain::Config { metrics, ttl_ms: 0, user_key: Some([0; 16]), entries };
            (store, Durable::new(writer, &opened, config, origin, &registry))
        };
        let (store, mut durable) = open();
        let now = UnixNano(1_800_000_000_000_000_000);
        let empty =
            crate::aggregate::Aggregate::new(Config::default(), now, Some(&mut durable), &registry);
        assert_eq!(empty.snapshot().started, UnixNano(0));
        let mut table = vec![1];
        for number in [8, 8, 9, 8, 12, 1, 2, 3, 4] {
            codec::put(&mut table, number);
        }
        let mut state = Vec::new();
        codec::put_bytes(&mut state, &table);
        codec::put(&mut state, 15_000);
        durable.writer.checkpoint_with(4, |_, put| put("aggregate.spans", &state)).unwrap();
        drop((durable, store));
        let (_store, mut durable) = open();
        let table = durable.restore(Config::default()).unwrap();
        assert_eq!((table.started(), table.totals().spans), (UnixNano(8), 12));
        assert!(!durable.derived.is_due(15_000) && durable.derived.is_due(20_000));
    }

    #[test]
    fn a_record_that_ends_the_process_is_passed_over_at_the_third_start() {
        let directory = tempfile::tempdir().unwrap();
        let registry = Registry::default();
        let run = |dies_at: u64, checkpoint: bool| {
            let clock = Arc::new(ManualClock::default());
            let deps = store::Deps { clock, registry: registry.clone() };
            let config = store::Config::new(directory.path().to_owned());
            let (store, writer, opened) = Store::open(config, deps).unwrap();
            let (identity, max_size) = (Identity([7; 12]), 1 << 30);
            let origin = Origin { identity, next_seq: 10, replays: true, max_size };
            let metrics = crate::aggregate::metrics::Config::default();
            let config = domain::Config {
                metrics,
                ttl_ms: 0,
                user_key: Some([0; 16]),
                entries: super::super::entries::Config::default(),
            };
            let mut durable = Durable::new(writer, &opened, config, origin, &registry);
            durable.dies_at = Some(dies_at);
            let table = Mutex::new(Table::new(Config::default(), UnixNano(0)));
            let mut read = Vec::new();
            let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                for seq in 1..10 {
                    durable.last = None;
                    durable.observe(&entry(seq), &table);
                    read.extend(durable.last);
                }
                durable.rest();
            }));
            if checkpoint {
                assert_eq!(durable.checkpoint(&table).len(), 9);
            }
            drop(store);
            (died.is_err(), read.len())
        };
        let skipped = registry.counter(&desc::STORE_SKIPPED_RECORDS, &[]);
        assert_eq!(run(4, false), (true, 3));
        assert_eq!(run(4, false), (true, 3));
        assert_eq!((run(4, false), skipped.get()), ((false, 9), 1));
        // It stays passed over until a checkpoint covers it, and is acknowledged with the others.
        assert_eq!((run(4, true), skipped.get()), ((false, 9), 2));
        assert!(!directory.path().join("reading").try_exists().unwrap());
        assert_eq!((run(4, false), skipped.get()), ((false, 0), 2));
    }
}
