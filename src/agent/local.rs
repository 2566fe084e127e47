//! What is kept beside forwarding: the metric store, and the aggregator that fills it.
//!
//! A store that cannot be opened stops nothing: the agent forwards, and says why there is no store. Span metrics are shown
//! without it, unless the reason may pass: then all of this waits ([`super::keeping`]), and the journal keeps what it
//! is for until then.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::{Error, secret_file, user_key};
use crate::aggregate::domain;
use crate::aggregate::entries::Entries;
use crate::aggregate::exported;
use crate::aggregate::{self, Aggregate, Durable, Origin};
use crate::blocking;
use crate::config::Config;
use crate::host;
use crate::journal::{Durability, Journal};
use crate::store;
use crate::store::{Inbox, Opened, Store, Writer};
use crate::telemetry;
use crate::telemetry::Registry;
use crate::time::Clock;

/// What opening the store gave: what it is opened with, why it cannot be, or none when none is configured.
pub(super) type Found = Option<Result<(Store, Writer, Opened), Missing>>;

/// Why there is no store though one is configured.
#[derive(Clone, Debug)]
pub(super) struct Missing {
    /// In a sentence, with what to do.
    pub(super) why: String,
    /// Whether it may be had later: the disk is full, or another process still has it.
    pub(super) passes: bool,
}

/// The store and the aggregator before it runs.
pub(super) struct Local {
    pub(super) kept: Kept,
    /// Where the agent puts samples of its own; `None` when metrics are not kept.
    pub(super) inbox: Option<Inbox>,
    keeping: Option<aggregate::Keeping>,
    /// Derived series for the exporters, where they are wanted.
    exported: Option<exported::Batches>,
}

/// What of it is shown. Cloning shares it.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) table: Aggregate,
    /// To read; `None` when metrics are not kept.
    pub(super) store: Option<Store>,
    /// Why there is no store though one is configured.
    pub(super) missing: Option<String>,
    /// The last operations one by one, where there is a store.
    pub(super) entries: Option<Entries>,
}

impl Local {
    /// The aggregator as the last checkpoint of the store left it; without one an empty one.
    pub(super) async fn new(
        found: Found,
        config: &Config,
        journal: &Journal,
        registry: &Registry,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let (mut store, mut durable, mut missing) = (None, None, None);
        let (mut inbox, mut outlet) = (None, None);
        match found {
            None => {}
            Some(Ok((opened, writer, found))) => {
                report(&found);
                let status = journal.status();
                let replays = status.durability != Durability::Memory;
                let (identity, next_seq) = (journal.identity(), status.next_seq);
                let origin = Origin { identity, next_seq, replays, max_size: status.max_size };
                let signals = signals(config).await;
                durable = Some(Durable::new(writer, &found, signals, origin, registry));
                store = Some(opened);
                (inbox, outlet) = Some(store::inbox(registry)).unzip();
            }
            Some(Err(Missing { why, .. })) => {
                tracing::error!(
                    error = why,
                    "there is no metric store: forwarding goes on without it"
                );
                missing = Some(why);
            }
        }
        let exported = export(config, durable.as_mut(), registry).await;
        let now = clock.unix_nano();
        let table = Aggregate::new(config.aggregate.clone(), now, durable.as_mut(), registry);
        let entries = durable.as_ref().map(Durable::entries);
        let kept = Kept { table, store, missing, entries };
        let keeping = durable.zip(outlet);
        let keeping = keeping.map(|(durable, outlet)| aggregate::Keeping { durable, outlet });
        Self { kept, inbox, keeping, exported }
    }

    /// Counts on a thread of its own, where that cannot hold up a request, which `threads` watches.
    pub(super) fn start(
        self,
        journal: &Journal,
        registry: &Registry,
        clock: &Arc<dyn Clock>,
        threads: &mut Threads,
    ) -> Result<aggregate::Stop, Error> {
        let (stop, stopping) = aggregate::stop();
        let Some(reader) = journal.reader(aggregate::READER) else { return Ok(stop) };
        let runtime = tokio::runtime::Handle::current();
        let Self { kept: Kept { table, .. }, keeping, exported, .. } = self;
        if let Some(batches) = exported {
            // It ends with the thread below.
            let (journal, clock) = (journal.clone(), Arc::clone(clock));
            tokio::spawn(exported::run(batches, journal, clock, registry.clone()));
        }
        let (alive, ended) = oneshot::channel::<()>();
        let run = move || {
            let _alive = alive;
            runtime.block_on(table.run(reader, keeping, stopping));
        };
        let thread = std::thread::Builder::new().name(AGGREGATE.to_owned());
        thread.spawn(run).map_err(Error::Thread)?;
        threads.spawn(async move {
            // Dropped when the thread returns or panics.
            let _ = ended.await;
            AGGREGATE
        });
        Ok(stop)
    }
}

/// Gives the name of each thread that ended, which none does before the journal closes but by a panic.
pub(super) type Threads = JoinSet<&'static str>;

const AGGREGATE: &str = "aggregate";

/// Watches the thread of the journal.
pub(super) fn threads(journal: &Journal) -> Threads {
    let mut threads = Threads::new();
    let writer = journal.clone();
    threads.spawn(async move {
        writer.ended().await;
        "journal"
    });
    threads
}

/// Reads the host for as long as there is a store.
pub(super) async fn watch_host(
    config: host::Config,
    inbox: Option<Inbox>,
    journal: Journal,
    clock: Arc<dyn Clock>,
) {
    if let Some(inbox) = inbox.filter(|_| config.enabled) {
        host::run(host::Root::of_this_machine(), inbox, journal, clock).await;
    }
}

/// How often the store is asked whether there is something to do in the background …
const TEND_INTERVAL: Duration = Duration::from_secs(5);
/// … and the pause after each slice of it, so that it takes half of a core at most.
const TEND_PAUSE: Duration = Duration::from_millis(50);

/// Rolls up days that are over and lets go of files, a slice at a time.
pub(super) async fn tend(store: Option<Store>) {
    let Some(store) = store else { return };
    loop {
        tokio::time::sleep(TEND_INTERVAL).await;
        loop {
            let store = store.clone();
            if !blocking::run(move || store.tend()).await {
                break;
            }
            tokio::time::sleep(TEND_PAUSE).await;
        }
    }
}

/// Has derived series exported, where that is wanted.
async fn export(
    config: &Config,
    durable: Option<&mut Durable>,
    registry: &Registry,
) -> Option<exported::Batches> {
    let export = Some(&config.aggregate.export).filter(|export| export.enabled)?;
    let Some(durable) = durable else {
        tracing::warn!("`aggregate.export` has no effect without the metric store");
        return None;
    };
    let host_name = blocking::run(|| host::Root::of_this_machine().host_name()).await;
    Some(durable.export(export, &host_name, registry))
}

/// How signals are derived.
async fn signals(config: &Config) -> domain::Config {
    let directory = config.store.as_ref().map(|store| store.directory.clone());
    // Where the store comes later this is the task that hears of signals, and a disk may hang.
    let load = move || directory.map_or_else(secret_file::random, |at| user_key::load(&at));
    let key = blocking::run(load).await;
    let key = key.or_else(|error| {
        tracing::warn!(%error, "the key for users cannot be kept: users are counted anew after a restart");
        secret_file::random()
    });
    let user_key = key
        .inspect_err(
            |error| tracing::error!(%error, "there is no key to hash users with: none are counted"),
        )
        .ok();
    let ttl_ms = i64::try_from(config.aggregate.series_ttl.as_millis()).unwrap_or(i64::MAX);
    domain::Config { metrics: config.metrics.clone(), ttl_ms, user_key, entries: config.entries }
}

/// The store, or what to do about it; `None` when none is configured.
pub(super) async fn open_store(
    config: &Config,
    registry: &Registry,
    clock: &Arc<dyn Clock>,
) -> Found {
    let store = config.store.clone()?;
    let directory = store.directory.clone();
    let deps = store::Deps { clock: Arc::clone(clock), registry: registry.clone() };
    let opened = blocking::run(move || Store::open(store, deps)).await;
    Some(opened.map_err(|error| {
        let passes = error.may_pass();
        let cure = if passes {
            "it is tried again every 10 s"
        } else {
            "mend or move that directory and restart, or set store.enabled: false"
        };
        let (directory, error) = (directory.display(), telemetry::chain(&error));
        Missing {
            why: format!("the metric store in {directory} cannot be opened: {error}; {cure}"),
            passes,
        }
    }))
}

fn report(found: &Opened) {
    let Opened { journal_seq, series, lost_series, refused_series, quarantined } = found;
    tracing::info!(series, journal_seq, "metric store opened");
    for file in quarantined {
        tracing::warn!(file = %file.display(), "a file of the metric store cannot be read: set aside");
    }
    if *lost_series > 0 {
        tracing::warn!(lost_series, "series of the last checkpoint could not be read");
    }
    if *refused_series > 0 {
        tracing::warn!(
            refused_series,
            "`limits.memory` has no room for series of the last checkpoint: their newest samples are lost"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Recipe;

    #[test]
    fn a_disk_that_hangs_where_the_key_for_users_is_holds_up_no_task_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Recipe::new(&[], Vec::new()).unwrap().load().unwrap().config;
        config.store.as_mut().unwrap().directory = directory.path().to_owned();
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.max_blocking_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            // Every thread that may wait for a disk does.
            let (answers, answer) = std::sync::mpsc::sync_channel::<()>(1);
            let hanging = tokio::task::spawn_blocking(move || answer.recv());
            let mut reading = std::pin::pin!(signals(&config));
            let beside = tokio::time::sleep(Duration::from_millis(1));
            tokio::select! {
                biased;
                _ = &mut reading => panic!("it waits for the disk on the task's own thread"),
                () = beside => {}
            }
            answers.send(()).unwrap();
            hanging.await.unwrap().unwrap();
            assert!(reading.await.user_key.is_some());
        });
        assert!(directory.path().join("user.key").try_exists().unwrap());
    }
}
