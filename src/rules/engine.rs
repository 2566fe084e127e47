//! The shell of the rules: a task per group that sleeps until its next slot and evaluates on a blocking thread.
//!
//! ```text
//! task per group ─ slot ─▶ one of EVALUATIONS_MAX permits ─▶ blocking thread: Group::evaluate ─ samples ─▶ Inbox (seen at once)
//!                                              alerts.db ◀─ alerts ─┘       └─▶ queue ─▶ journal (survives a kill)
//!                                                   └─ when they are there, or the disk takes too long ─▶ Outbox
//! ```
//! Rules have permits of their own, so queries of people cannot hold them up; the groups that come with the agent have one that
//! no other group can take. A group never runs twice at once: slots that pass
//! meanwhile are missed, counted, and not made up for, also while it waits for a permit. Nothing is evaluated before the store
//! has read the journal, or has taken [`CATCH_UP_MAX`] for it: an alert would seem to be over.
//!
//! Limits: [`EVALUATIONS_MAX`] groups at once and one that comes with the agent, [`APPLY_TIME_MAX`] for the store to take
//! results, [`RECORDS_MAX`] records that wait for the journal, [`STOP_TIME_MAX`] for what a reload ends.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sidelight_promql::ast::Matcher;
use sidelight_promql::labels::{Labels, NAME};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, watch};
use tokio::task::JoinHandle;

use super::config::Config;
use super::constants;
use super::evaluate::Surroundings;
use super::group::Group;
use super::kept;
use super::kept::SavedFirst;
use super::load::Loaded;
use super::metrics;
use super::schedule::Slots;
use super::sink::{InboxSink, write_journal};
use super::state::{Known, State};
use crate::alert::Outbox;
use crate::blocking;
use crate::journal::{AppendError, Journal};
use crate::signal::samples::Value;
use crate::signal::{Sample, Samples};
use crate::store::{Inbox, Store};
use crate::telemetry;
use crate::telemetry::{Counter, Registry, desc};
use crate::time::{Clock, UnixNano};

/// The most groups that are evaluated at once, beside one of those that come with the agent.
pub const EVALUATIONS_MAX: usize = 2;
/// The most groups of samples that wait for the journal.
pub const RECORDS_MAX: usize = 64;
/// The most samples that wait for the journal as one.
const WAITING_SAMPLES_MAX: usize = 5_000;
/// How long the store may take to take the results of rules; then they have failed.
const APPLY_TIME_MAX: Duration = Duration::from_secs(10);
/// How often constants are written.
const CONSTANTS_INTERVAL: Duration = Duration::from_secs(15);
/// The metric whose routes patterns of excluded ones are compared with.
const ROUTED: &str = "http_server_request_duration_seconds_count";
const ROUTE: &str = "http_route";
const ROUTES_MAX: usize = 10_000;
/// The time for which routes are looked for.
const ROUTED_MS: i64 = 3_600_000;
/// How long a reload waits for evaluations to end: a store on a disk that hangs may take longer.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);
/// An evaluation that takes longer hangs: all that limits one is over by then, and what others say is valid for twice as long.
const HANGS_AFTER: Duration = Duration::from_secs(120);
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
    /// The most samples that a rule's query holds.
    pub samples_max: usize,
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
    /// Of groups that come with the agent.
    builtin: Semaphore,
    config: watch::Sender<Config>,
    /// Whether groups may be evaluated.
    ready: watch::Sender<bool>,
    running: Mutex<Vec<Running>>,
    /// Ends [`Shared::writing`] when everything that waits is in the journal.
    ending: watch::Sender<bool>,
    /// The task that writes the journal.
    writing: Mutex<Option<JoinHandle<()>>>,
    /// The one that writes constants.
    constants: Mutex<Option<JoinHandle<()>>>,
    records: mpsc::Sender<Samples>,
    dropped: Counter,
    save_failures: Counter,
}

/// A group and its task, which a reload takes from it to end it while the group is still shown.
#[derive(Debug)]
struct Running {
    group: Arc<Group>,
    task: Option<Task>,
}

/// The task of a group.
#[derive(Debug)]
struct Task {
    stop: watch::Sender<bool>,
    ended: JoinHandle<()>,
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
            builtin: Semaphore::new(1),
            config: watch::Sender::new(config),
            ready: watch::Sender::new(false),
            running: Mutex::default(),
            ending: watch::Sender::new(false),
            writing: Mutex::default(),
            constants: Mutex::default(),
            records,
            deps,
        });
        metrics::observe(&shared.deps.registry, {
            let weak = Arc::downgrade(&shared);
            move || weak.upgrade().map(|shared| shared.groups()).unwrap_or_default()
        });
        match shared.state.load() {
            Some(known) => kept::restore(&loaded.groups, known),
            None => shared.state.begin_anew(),
        }
        shared.forget_others(&loaded.groups, loaded.left_out);
        let journal = shared.deps.journal.clone();
        let dropped = shared.dropped.clone();
        let append = move |record| {
            let journal = journal.clone();
            async move { journal.append_written(record).await }
        };
        let writing = write_journal(append, waiting, shared.ending.subscribe(), dropped);
        *lock(&shared.writing) = Some(tokio::spawn(writing));
        *lock(&shared.constants) = Some(tokio::spawn(write_constants(Arc::clone(&shared))));
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
    /// its rules; the series of what is gone end. Until then the groups before it are shown, with their alerts. A disk or a
    /// store that hangs keeps the groups after it from being evaluated for [`HANGS_AFTER`] at most.
    pub async fn reload(&self, config: Config, loaded: Loaded) {
        let shared = &self.shared;
        let mut stopped = shared.stop_groups().await;
        shared.config.send_replace(config);
        let groups: Vec<Arc<Group>> = loaded.groups.into_iter().map(Arc::new).collect();
        // One of a file that was left out until now has its alerts on disk.
        if groups.iter().any(|group| !stopped.contains_key(&key(group)))
            && let Some(known) = shared.known().await
        {
            kept::restore(groups.iter().map(AsRef::as_ref), known);
        }
        // Before any sample of what begins now.
        let now = shared.deps.clock.unix_nano();
        {
            // What is shown has its alerts at any time.
            let mut running = lock(&shared.running);
            for group in &groups {
                if let Some(old) = stopped.remove(&key(group)) {
                    group.take_over(&old);
                }
            }
            *running = groups.iter().map(|group| shared.run(Arc::clone(group))).collect();
        }
        shared.end(stopped.into_values().map(|group| group.end(now)).collect()).await;
        // On a disk that hangs it takes its time.
        blocking::run({
            let shared = Arc::clone(shared);
            move || shared.forget_others(groups.iter().map(AsRef::as_ref), loaded.left_out)
        })
        .await;
    }

    /// Ends every evaluation; what was made is in the journal then.
    ///
    /// # Cancel safety
    /// When cancelled some of it may not be.
    pub async fn stop(self) {
        let running = std::mem::take(&mut *lock(&self.shared.running));
        let tasks: Vec<Task> = running.into_iter().filter_map(|one| one.task).collect();
        for task in &tasks {
            let _ = task.stop.send(true);
        }
        for task in tasks {
            // A panic has been told by the hook already.
            let _ = task.ended.await;
        }
        if let Some(constants) = lock(&self.shared.constants).take() {
            constants.abort();
        }
        self.shared.ending.send_replace(true);
        let writing = lock(&self.shared.writing).take();
        if let Some(writing) = writing {
            let _ = writing.await;
        }
    }
}

impl Shared {
    fn groups(&self) -> Vec<Arc<Group>> {
        lock(&self.running).iter().map(|running| Arc::clone(&running.group)).collect()
    }

    /// Ends the task of every group, but waits for none that hangs: it takes no more alerts over. The groups by file and name.
    async fn stop_groups(&self) -> BTreeMap<(String, String), Arc<Group>> {
        let (mut tasks, mut stopped) = (Vec::new(), BTreeMap::new());
        for Running { group, task } in lock(&self.running).iter_mut() {
            stopped.insert(key(group), Arc::clone(group));
            if let Some(Task { stop, ended }) = task.take() {
                // It may have ended by itself.
                let _ = stop.send(true);
                tasks.push(ended);
            }
        }
        let ended = async {
            for task in tasks {
                blocking::joined(task.await);
            }
        };
        if tokio::time::timeout(STOP_TIME_MAX, ended).await.is_err() {
            tracing::warn!("an evaluation of rules hangs: the rules go on without it");
        }
        stopped
    }

    /// The alerts on disk, unless it takes too long.
    async fn known(self: &Arc<Self>) -> Option<Known> {
        let shared = Arc::clone(self);
        blocking::run(move || shared.state.load_in_turn()).await
    }

    /// Series of groups that are gone, unless another makes them from now on.
    async fn end(&self, groups: Vec<Samples>) {
        let end = async {
            for ended in groups.into_iter().filter(|ended| !ended.0.is_empty()) {
                if self.deps.inbox.apply(ended.clone()).await.is_ok() {
                    self.keep(&ended);
                }
            }
        };
        if tokio::time::timeout(APPLY_TIME_MAX, end).await.is_err() {
            tracing::warn!("the store takes too long: series of rules that are gone go on");
        }
    }

    /// Routes that patterns of excluded ones stand for; `None` where the store cannot say.
    async fn excluded(&self) -> Option<BTreeSet<String>> {
        let exclude = self.config.borrow().routes_exclude.clone();
        if !exclude.iter().any(|route| route.ends_with('*')) {
            return Some(BTreeSet::new());
        }
        let (store, now) = (self.deps.store.clone(), self.deps.clock.unix_nano().as_ms());
        let asked = blocking::run(move || {
            let matchers = [Matcher::equal(NAME, ROUTED)];
            let reading = store.reading(&|| false);
            let found = reading.label_values(ROUTE, &[&matchers], now - ROUTED_MS, now, ROUTES_MAX);
            found.map(|found| found.rows)
        });
        let known = asked.await.ok()?;
        Some(constants::excluded(&exclude, &known.into_iter().collect()))
    }

    fn run(self: &Arc<Self>, group: Arc<Group>) -> Running {
        let (stop, stopped) = watch::channel(false);
        let ended = tokio::spawn(run(Arc::clone(self), Arc::clone(&group), stopped));
        Running { group, task: Some(Task { stop, ended }) }
    }

    /// Hands samples to the journal.
    fn keep(&self, samples: &Samples) {
        for part in samples.0.chunks(WAITING_SAMPLES_MAX) {
            if self.records.try_send(Samples(part.to_vec())).is_err() {
                self.dropped.add(part.len() as u64);
            }
        }
    }

    /// Deletes the alerts of rules that there are not, but for those of files that were left out.
    fn forget_others<'a>(
        &self,
        groups: impl IntoIterator<Item = &'a Group>,
        left_out: Vec<String>,
    ) {
        if let Err(error) = kept::forget_others(groups, left_out, &self.state) {
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
        let sink = InboxSink { inbox: &self.deps.inbox, stopped, patience: APPLY_TIME_MAX };
        let Deps { outbox, .. } = &self.deps;
        let (state, failures) = (&self.state, &self.save_failures);
        let outbox = SavedFirst { group, state, failures, outbox: &**outbox };
        let surroundings = Surroundings {
            source: &self.deps.store,
            sink: &sink,
            outbox: &outbox,
            clock: &*self.deps.clock,
            external_labels: &config.external_labels,
            external_url: &config.external_url,
            subquery_step_ms: config.subquery_step_ms(),
            samples_max: self.deps.samples_max,
            stopped: &|| *stopped.borrow(),
            resend: config.resend_delay,
        };
        let samples = group.evaluate(slot, &surroundings);
        outbox.save();
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
    let slots = Slots::of(&group);
    let mut last = group.last().at;
    loop {
        let now = clock.unix_nano();
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(slots.after(now).since(now)) => {}
        }
        let permits = if group.is_builtin() { &shared.builtin } else { &shared.permits };
        let permit = tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            permit = permits.acquire() => permit,
        };
        let Ok(permit) = permit else { return };
        // Of now, not of when it began to wait: an alert would be told when it is not valid any more.
        let slot = slots.at_or_before(clock.unix_nano());
        if last == Some(slot) {
            continue;
        }
        let missed = last.map_or(0, |last| slots.between(last, slot));
        group.counts.iterations.fetch_add(missed + 1, Ordering::Relaxed);
        group.counts.missed.fetch_add(missed, Ordering::Relaxed);
        last = Some(slot);
        let evaluation = blocking::run({
            let (shared, group, stopped) =
                (Arc::clone(&shared), Arc::clone(&group), stopped.clone());
            move || shared.evaluate(&group, slot, &stopped)
        });
        holding(permit, evaluation).await;
    }
}

/// Holds a permit during an evaluation, but not for longer than one that goes on can take.
async fn holding<T>(permit: SemaphorePermit<'_>, evaluation: impl Future<Output = T>) -> T {
    let mut evaluation = std::pin::pin!(evaluation);
    match tokio::time::timeout(HANGS_AFTER, &mut evaluation).await {
        Ok(done) => done,
        Err(_) => {
            tracing::warn!("an evaluation of rules hangs: other groups go on without it");
            drop(permit);
            evaluation.await
        }
    }
}

/// Waits until the store has read the journal, then lets rules run and writes constants again and again.
async fn write_constants(shared: Arc<Shared>) {
    let started = shared.deps.clock.unix_nano();
    // What the journal has of this is behind everything that was there before.
    let first = constants::samples(&shared.config.borrow(), &BTreeSet::new(), started, started);
    let mark = first.0.first().map_or(0, |sample| sample.t_ms);
    let append = || shared.deps.journal.append(first.record());
    let seen = || {
        let store = shared.deps.store.clone();
        blocking::run(move || constants::newest(&store, mark))
    };
    let writing = async {
        let _ = tokio::time::timeout(CATCH_UP_MAX, catch_up(append, seen)).await;
        repeat_constants(&shared, started).await;
    };
    // Also where the store does not come to take them, as it cannot read the journal: alerts may be about the agent itself.
    let at_latest = async {
        tokio::time::sleep(CATCH_UP_MAX).await;
        if !shared.ready.send_replace(true) {
            tracing::warn!("the store has not read the journal: rules are evaluated all the same");
        }
    };
    tokio::join!(writing, at_latest);
}

/// Writes constants again and again, and when the configuration changes; the series that it does not have any more end.
async fn repeat_constants(shared: &Shared, started: UnixNano) {
    let mut changes = shared.config.subscribe();
    let (mut excluded, mut written) = (BTreeSet::new(), BTreeSet::new());
    loop {
        // Where the store cannot say which routes there are, they are what they were.
        excluded = shared.excluded().await.unwrap_or(excluded);
        let now = shared.deps.clock.unix_nano();
        let mut samples = constants::samples(&shared.config.borrow(), &excluded, started, now);
        let said: BTreeSet<Labels> = samples.0.iter().map(|one| one.labels.clone()).collect();
        let gone = written.difference(&said).cloned();
        let end = |labels| Sample { labels, t_ms: now.as_ms(), value: Value::Stale };
        samples.0.extend(gone.map(end));
        match shared.deps.inbox.apply(samples.clone()).await {
            Ok(()) => {
                shared.keep(&samples);
                written = said;
                // The store takes them when it has read what was in the journal.
                shared.ready.send_replace(true);
            }
            Err(error) => {
                tracing::warn!(%error, "thresholds are not in the store");
                written.extend(said);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(CONSTANTS_INTERVAL) => {}
            Ok(()) = changes.changed() => {}
        }
    }
}

/// Waits until what `append` puts into the journal is `seen` in the store, so that everything before it is too. Where the
/// journal takes nothing, as it is full because a destination is down, or the disk is, nobody waits: the store has read what
/// was there at the start before it takes the first constants.
async fn catch_up<A, S>(append: impl Fn() -> A, seen: impl Fn() -> S)
where
    A: Future<Output = Result<u64, AppendError>>,
    S: Future<Output = bool>,
{
    if let Err(error) = append().await {
        tracing::debug!(%error, "rules do not wait for a journal that takes nothing");
        return;
    }
    while !seen().await {
        tokio::time::sleep(CATCH_UP_POLL).await;
    }
}

/// What names a group: its file and its name in it.
fn key(group: &Group) -> (String, String) {
    (group.file.clone(), group.name.clone())
}

/// A panic elsewhere ends the process, so a poisoned lock is not looked at.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
