//! The shell of the rules: a task per group that sleeps until its next slot and evaluates on a blocking thread.
//!
//! ```text
//! task per group ─ slot ─▶ one of EVALUATIONS_MAX permits ─▶ blocking thread: Group::evaluate ─ samples ─▶ Inbox (seen at once)
//!                                                              │ alerts ─▶ Outbox       └─▶ queue ─▶ journal (survives a kill)
//!                                                              └ changes ─▶ alerts.db
//! ```
//! Rules have permits of their own, so queries of people cannot hold them up. A group never runs twice at once: slots that pass
//! meanwhile are missed, counted, and not made up for. Nothing is evaluated before the store has read the journal: an
//! alert would seem to be over.
//!
//! Limits: [`EVALUATIONS_MAX`] groups at once, [`RECORDS_MAX`] records that wait for the journal.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use super::config::Config;
use super::constants;
use super::group::{Group, Sink, Surroundings};
use super::kept;
use super::load::Loaded;
use super::metrics;
use super::schedule::Slots;
use super::state::State;
use crate::alert::Outbox;
use crate::journal::Journal;
use crate::signal::Samples;
use crate::store::{Inbox, Store};
use crate::telemetry;
use crate::telemetry::{Counter, Registry, desc};
use crate::time::{Clock, UnixNano};

/// The most groups that are evaluated at once.
pub const EVALUATIONS_MAX: usize = 2;
/// The most records that wait for the journal.
pub const RECORDS_MAX: usize = 64;
/// The most samples of a record.
const RECORD_SAMPLES_MAX: usize = 5_000;
/// How often constants are written.
const CONSTANTS_INTERVAL: Duration = Duration::from_secs(60);
/// How long the store may take to read the journal before rules are evaluated all the same.
const CATCH_UP_MAX: Duration = Duration::from_secs(300);
const CATCH_UP_POLL: Duration = Duration::from_millis(50);

/// What rules work with.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The time of evaluations.
    pub clock: Arc<dyn Clock>,
    /// Self-metrics.
    pub registry: Registry,
    /// Answers queries.
    pub store: Store,
    /// Takes results.
    pub inbox: Inbox,
    /// Keeps results over a kill.
    pub journal: Journal,
    /// Takes alerts.
    pub outbox: Arc<dyn Outbox>,
}

/// The rules that run. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Rules {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    deps: Deps,
    state: State,
    permits: Semaphore,
    config: watch::Sender<Config>,
    /// Whether groups may be evaluated.
    ready: watch::Sender<bool>,
    running: Mutex<Vec<Running>>,
    /// Every task that belongs to no group.
    tasks: Mutex<Vec<JoinHandle<()>>>,
    records: mpsc::Sender<Samples>,
    dropped: Counter,
    save_failures: Counter,
}

/// A group and its task.
#[derive(Debug)]
struct Running {
    group: Arc<Group>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Rules {
    /// Starts what was loaded, with the alerts of the last run. Blocks on disk.
    #[must_use]
    pub fn start(config: Config, loaded: Loaded, deps: Deps) -> Self {
        let state = State::open(&config.directory);
        let (records, waiting) = mpsc::channel(RECORDS_MAX);
        let shared = Arc::new(Shared {
            dropped: deps.registry.counter(&desc::RULE_DROPPED_SAMPLES, &[]),
            save_failures: deps.registry.counter(&desc::RULE_STATE_FAILURES, &[]),
            state,
            permits: Semaphore::new(EVALUATIONS_MAX),
            config: watch::Sender::new(config),
            ready: watch::Sender::new(false),
            running: Mutex::default(),
            tasks: Mutex::default(),
            records,
            deps,
        });
        metrics::observe(&shared.deps.registry, {
            let weak = Arc::downgrade(&shared);
            move || weak.upgrade().map(|shared| shared.groups()).unwrap_or_default()
        });
        kept::restore(&loaded.groups, &shared.state);
        shared.forget_others(&loaded.groups);
        let journal = shared.deps.journal.clone();
        let dropped = shared.dropped.clone();
        let tasks = vec![
            tokio::spawn(write_journal(journal, waiting, dropped)),
            tokio::spawn(write_constants(Arc::clone(&shared))),
        ];
        *lock(&shared.tasks) = tasks;
        let rules = Self { shared };
        let groups = loaded.groups.into_iter().map(Arc::new);
        *lock(&rules.shared.running) = groups.map(|group| rules.shared.run(group)).collect();
        rules
    }

    /// The groups as they are.
    #[must_use]
    pub fn groups(&self) -> Vec<Arc<Group>> {
        self.shared.groups()
    }

    /// Replaces every group. A group that is there before and after keeps its alerts and its times, by the names and labels of
    /// its rules; the series of what is gone end.
    pub async fn reload(&self, config: Config, loaded: Loaded) {
        let shared = &self.shared;
        let old = std::mem::take(&mut *lock(&shared.running));
        let mut stopped: BTreeMap<(String, String), Arc<Group>> = BTreeMap::new();
        for running in old {
            // Its task may have ended by itself.
            let _ = running.stop.send(true);
            if let Err(error) = running.task.await
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
            let key = (running.group.file.clone(), running.group.name.clone());
            stopped.insert(key, running.group);
        }
        shared.config.send_replace(config);
        let groups: Vec<Arc<Group>> = loaded.groups.into_iter().map(Arc::new).collect();
        for group in &groups {
            if let Some(old) = stopped.remove(&(group.file.clone(), group.name.clone())) {
                group.take_over(&old);
            }
        }
        // Series of groups that are gone, unless another makes them from now on.
        let now = shared.deps.clock.unix_nano();
        for group in stopped.into_values() {
            let ended = group.end(now);
            if !ended.0.is_empty() && shared.deps.inbox.apply(ended.clone()).await.is_ok() {
                shared.keep(&ended);
            }
        }
        shared.forget_others(groups.iter().map(AsRef::as_ref));
        *lock(&shared.running) = groups.into_iter().map(|group| shared.run(group)).collect();
    }

    /// Ends every evaluation; what was made is handed to the journal.
    pub async fn stop(self) {
        let running = std::mem::take(&mut *lock(&self.shared.running));
        for one in &running {
            let _ = one.stop.send(true);
        }
        for one in running {
            // A panic has been told by the hook already.
            let _ = one.task.await;
        }
        for task in std::mem::take(&mut *lock(&self.shared.tasks)) {
            task.abort();
        }
    }
}

impl Shared {
    fn groups(&self) -> Vec<Arc<Group>> {
        lock(&self.running).iter().map(|running| Arc::clone(&running.group)).collect()
    }

    fn run(self: &Arc<Self>, group: Arc<Group>) -> Running {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(Arc::clone(self), Arc::clone(&group), stopped));
        Running { group, stop, task }
    }

    /// Hands samples to the journal.
    fn keep(&self, samples: &Samples) {
        for part in samples.0.chunks(RECORD_SAMPLES_MAX) {
            if self.records.try_send(Samples(part.to_vec())).is_err() {
                self.dropped.add(part.len() as u64);
            }
        }
    }

    /// Deletes the alerts of rules that there are not.
    fn forget_others<'a>(&self, groups: impl IntoIterator<Item = &'a Group>) {
        if let Err(error) = kept::forget_others(groups, &self.state) {
            self.save_failures.add(1);
            tracing::error!(
                error = telemetry::chain(&error),
                "alerts of rules that are gone are still on disk"
            );
        }
    }

    /// One evaluation, on a blocking thread.
    fn evaluate(&self, group: &Group, slot: UnixNano, stopped: &watch::Receiver<bool>) {
        let config = self.config.borrow().clone();
        let sink = InboxSink { inbox: &self.deps.inbox, stopped };
        let surroundings = Surroundings {
            source: &self.deps.store,
            sink: &sink,
            outbox: &*self.deps.outbox,
            clock: &*self.deps.clock,
            external_labels: &config.external_labels,
            external_url: &config.external_url,
            stopped: &|| *stopped.borrow(),
            resend: config.resend_delay,
        };
        let samples = group.evaluate(slot, &surroundings);
        if let Err(error) = kept::save(group, &self.state) {
            self.save_failures.add(1);
            let (group, error) = (&group.name, telemetry::chain(&error));
            tracing::error!(group, error, "alerts are not on disk: a restart forgets them");
        }
        self.keep(&samples);
    }
}

/// Evaluates a group at its slots until it is told to stop.
async fn run(shared: Arc<Shared>, group: Arc<Group>, mut stopped: watch::Receiver<bool>) {
    let mut ready = shared.ready.subscribe();
    tokio::select! {
        _ = stopped.wait_for(|stop| *stop) => return,
        _ = ready.wait_for(|ready| *ready) => {}
    }
    let clock = Arc::clone(&shared.deps.clock);
    let slots = Slots::of(&group.file, &group.name, group.interval);
    let mut last = group.last().at;
    loop {
        let now = clock.unix_nano();
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(slots.after(now).since(now)) => {}
        }
        let slot = slots.at_or_before(clock.unix_nano());
        if last == Some(slot) {
            continue;
        }
        let missed = last.map_or(0, |last| slots.between(last, slot));
        group.counts.iterations.fetch_add(missed + 1, Ordering::Relaxed);
        group.counts.missed.fetch_add(missed, Ordering::Relaxed);
        last = Some(slot);
        let permit = tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            permit = shared.permits.acquire() => permit,
        };
        let Ok(_permit) = permit else { return };
        let evaluation = tokio::task::spawn_blocking({
            let (shared, group, stopped) =
                (Arc::clone(&shared), Arc::clone(&group), stopped.clone());
            move || shared.evaluate(&group, slot, &stopped)
        });
        if let Err(error) = evaluation.await
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

/// Puts samples into the store from a blocking thread.
struct InboxSink<'a> {
    inbox: &'a Inbox,
    stopped: &'a watch::Receiver<bool>,
}

impl Sink for InboxSink<'_> {
    fn append(&self, samples: Samples) -> Result<(), String> {
        let mut stopped = self.stopped.clone();
        tokio::runtime::Handle::current().block_on(async {
            tokio::select! {
                applied = self.inbox.apply(samples) => applied.map_err(|error| error.to_string()),
                _ = stopped.wait_for(|stop| *stop) => Err("stopping".to_owned()),
            }
        })
    }
}

/// Appends what evaluations made to the journal, one record after the other.
async fn write_journal(journal: Journal, mut waiting: mpsc::Receiver<Samples>, dropped: Counter) {
    while let Some(samples) = waiting.recv().await {
        if let Err(error) = journal.append(samples.record()).await {
            dropped.add(samples.0.len() as u64);
            tracing::warn!(%error, "results of rules are not in the journal: a kill would lose them");
        }
    }
}

/// Waits until the store has read the journal, then lets rules run and writes constants every minute.
async fn write_constants(shared: Arc<Shared>) {
    let constants = || {
        let config = shared.config.borrow();
        let now = shared.deps.clock.unix_nano();
        constants::samples(&config.thresholds, &config.expected_services, now)
    };
    // What the journal has of this is behind everything that was there before.
    let first = constants();
    let mark = first.0.first().map_or(0, |sample| sample.t_ms);
    let appended = shared.deps.journal.append(first.record()).await;
    let deadline = shared.deps.clock.monotonic() + CATCH_UP_MAX;
    while appended.is_ok() && shared.deps.clock.monotonic() < deadline {
        let store = shared.deps.store.clone();
        let seen = tokio::task::spawn_blocking(move || constants::newest(&store, mark)).await;
        if seen.unwrap_or(true) {
            break;
        }
        tokio::time::sleep(CATCH_UP_POLL).await;
    }
    shared.ready.send_replace(true);
    loop {
        let samples = constants();
        match shared.deps.inbox.apply(samples.clone()).await {
            Ok(()) => shared.keep(&samples),
            Err(error) => tracing::warn!(%error, "thresholds are not in the store"),
        }
        tokio::time::sleep(CONSTANTS_INTERVAL).await;
    }
}

/// A panic elsewhere ends the process, so a poisoned lock is not looked at.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
