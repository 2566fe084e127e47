//! Notifications: who is told that an alert fires or is over, and what is kept of it.
//!
//! ```text
//! rules ─ Outbox ─▶ inbox ─▶ dispatch ─┬─▶ mailbox ─▶ alertmanager ─▶ POST /api/v2/alerts     one task each
//!                                      ├─▶ mailbox ─▶ groups ─▶ webhook ─▶ POST, body version 4
//!                                      ├─▶ log line, log record into the journal              per transition
//!                                      └─▶ rows ─▶ notifications.db
//! ```
//! Invariants: a receiver that hangs, refuses or answers garbage delays no other, and nothing here delays rules or
//! forwarding. Every mailbox is bounded; what a bound refused is counted. What a receiver was not told when the process
//! ended it is told after the next start: what it knows is kept, and so is what it should know; delivery is at least
//! once. Secrets are in no log line and no answer of the API.
//!
//! Limits: `alerts_max` alerts (10,000) per mailbox, 4 requests at once per webhook and one per Alertmanager,
//! [`client`]'s for a request, [`message`]'s for an alert, [`silence`]'s for silences, [`database`]'s for history.

mod alertmanager;
mod client;
pub mod config;
mod database;
mod dispatch;
mod error;
mod groups;
mod history;
mod known;
mod mailbox;
mod message;
mod otlp;
mod queue;
mod receiver;
mod rows;
mod silence;
#[cfg(test)]
mod tests;
mod view;
mod webhook;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::alert::{Alert, Outbox};
use crate::blocking;
use crate::journal::Journal;
use crate::telemetry;
use crate::telemetry::registry::Counter;
use crate::telemetry::{Registry, desc};
use crate::time::{Clock, UnixNano};
use alertmanager::Alertmanager;
use database::{Database, Found, Row};
use dispatch::Dispatch;
use known::Known;
use mailbox::Mailbox;
use message::Message;
use receiver::Receiver;
use rows::Rows;
use silence::Silences;
use view::{Running, Trouble};
use webhook::Webhook;

pub use config::Config;
pub use error::{DatabaseError, SilenceError};
pub use history::HistoryError;
pub use view::Handle;

/// Rows of state that may wait for the disk, for each alert there may be.
const ROWS_PER_ALERT_MAX: usize = 4;
/// How long after a failed write the next one is tried, if nothing comes meanwhile.
const WRITE_RETRY: Duration = Duration::from_secs(10);
/// How often history is purged.
const PURGE_INTERVAL: Duration = Duration::from_secs(600);
/// How long a reload waits for the disk; no notification goes out meanwhile.
const RELOAD_DISK_TIME_MAX: Duration = Duration::from_secs(5);

/// What notifications need besides their configuration.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The one clock.
    pub clock: Arc<dyn Clock>,
    /// Self-metrics.
    pub registry: Registry,
    /// Where log records of transitions go.
    pub journal: Journal,
}

/// What every task here shares.
#[derive(Clone, Debug)]
struct Parts {
    config: Arc<Config>,
    clock: Arc<dyn Clock>,
    registry: Registry,
    rows: Arc<Rows>,
}

impl Parts {
    /// Has rows written. Never waits.
    fn keep(&self, rows: Vec<Row>) {
        let lost = if rows.is_empty() { 0 } else { self.rows.push(rows) };
        if lost > 0 {
            self.lost(lost);
        }
    }

    fn lost(&self, rows: usize) {
        let lost = self.registry.counter(&desc::NOTIFICATIONS_HISTORY_LOST, &[]);
        lost.add(rows as u64);
    }
}

/// Does `work` that asks of many alerts whether one of `silences` covers them. For a thousand of each, with two regular
/// expressions a silence, that takes a third of a second: other tasks go on meanwhile.
fn judged<T>(silences: &Silences, work: impl FnOnce() -> T) -> T {
    if silences.0.is_empty() { work() } else { blocking::in_place(work) }
}

/// What each receiver was told of, and when.
type Told = Vec<(String, UnixNano, Message)>;

/// The running notifications.
#[derive(Debug)]
pub struct Notifier {
    handle: Handle,
    journal: Journal,
    dispatch: Arc<Dispatch>,
    tasks: JoinSet<()>,
    /// The one that makes log records; after a reload also one before it that has some left.
    recording: JoinSet<()>,
    flush: mpsc::Sender<oneshot::Sender<bool>>,
    stop: oneshot::Sender<()>,
    scribe: JoinHandle<()>,
}

impl Notifier {
    /// Opens what is kept and starts a task per receiver. What a file that cannot be used held is not known then:
    /// alerts go out in any case, and [`Handle::trouble`] says so.
    ///
    /// # Errors
    /// [`DatabaseError`]: there is no database, not even in memory.
    pub async fn start(config: Config, deps: Deps) -> Result<Self, DatabaseError> {
        let Deps { clock, registry, journal } = deps;
        let config = Arc::new(config);
        let (database, found, trouble) = open(&config, clock.unix_nano()).await?;
        let found = found.restored(clock.unix_nano());
        let rows = Arc::new(Rows::new(config.alerts_max.saturating_mul(ROWS_PER_ALERT_MAX)));
        let parts = Parts { config, clock, registry, rows };
        let (stop, stopped) = oneshot::channel();
        let (flush, flushes) = mpsc::channel(1);
        let scribe = Scribe {
            rows: Arc::clone(&parts.rows),
            database: Arc::clone(&database),
            clock: Arc::clone(&parts.clock),
            lost: parts.registry.counter(&desc::NOTIFICATIONS_HISTORY_LOST, &[]),
        };
        let scribe = tokio::spawn(scribe.run(flushes, stopped));
        let handle = Handle::new(view::Shared {
            inbox: Arc::new(Mailbox::new(parts.config.alerts_max)),
            known: Arc::new(Known::new(found.known, &*parts.clock)),
            silences: watch::Sender::new(Arc::new(Silences(found.silences))),
            database,
            trouble: Mutex::new(trouble),
            running: Mutex::new(Arc::new(Running { receivers: Vec::new(), parts: parts.clone() })),
        });
        let (mut tasks, mut recording) = (JoinSet::new(), JoinSet::new());
        let started = Tasks { parts, handle: &handle, journal: &journal };
        let dispatch = started.start(found.told, &mut tasks, &mut recording);
        Ok(Self { handle, journal, dispatch, tasks, recording, flush, stop, scribe })
    }

    /// Takes up another configuration, but for the file and how much it keeps. Receivers begin anew, each with what it was
    /// told, so that what is under way may be told twice; alerts, silences and what rules hand over meanwhile are kept.
    /// Where the disk does not say in time what that was, everything is told again.
    pub async fn reload(&mut self, config: Config) {
        self.reload_within(config, RELOAD_DISK_TIME_MAX).await;
    }

    async fn reload_within(&mut self, config: Config, disk_time_max: Duration) {
        let before = self.handle.running();
        let Config { database, alerts_max, history_age, history_rows_max, .. } =
            Config::clone(&before.parts.config);
        let config = Config { database, alerts_max, history_age, history_rows_max, ..config };
        if *before.parts.config == config {
            return;
        }
        while self.recording.try_join_next().is_some() {}
        self.tasks.shutdown().await;
        let told = match tokio::time::timeout(disk_time_max, self.told()).await {
            Ok(Ok(told)) => told,
            Ok(Err(error)) => {
                let error = telemetry::chain(&error);
                tracing::warn!(error, "what receivers were told cannot be read: all is told again");
                self.ends(&config)
            }
            Err(_) => {
                tracing::warn!("the disk does not say what receivers were told: all is told again");
                self.ends(&config)
            }
        };
        let parts = Parts { config: Arc::new(config), ..before.parts.clone() };
        let started = Tasks { parts, handle: &self.handle, journal: &self.journal };
        self.dispatch = started.start(told, &mut self.tasks, &mut self.recording);
        let now = self.handle.running();
        let gone = |old: &&Receiver| now.receivers.iter().all(|new| new.name != old.name);
        before.receivers.iter().filter(gone).for_each(Receiver::forget);
    }

    /// Whether what is kept is in memory for a reason that may pass: then [`Notifier::reopen`] is worth a try.
    #[must_use]
    pub fn waits_for_disk(&self) -> bool {
        self.handle.shared().trouble().is_some_and(|trouble| trouble.passes)
    }

    /// Opens the file that the start could not, before rules hand over anything: silences that were made meanwhile go
    /// there, and what it holds is known and told from here on.
    pub async fn reopen(&mut self) {
        let parts = self.handle.running().parts.clone();
        let Some(path) = parts.config.database.clone().filter(|_| self.waits_for_disk()) else {
            return;
        };
        let now = parts.clock.unix_nano();
        let database = Arc::clone(&self.handle.shared().database);
        let found = blocking::run(move || database.move_to(&path, now)).await;
        let shared = self.handle.shared();
        let found = match found {
            Ok(found) => found.restored(now),
            Err(error) => {
                let trouble = in_memory(&error);
                if shared.trouble().is_none_or(|before| before.why != trouble.why) {
                    warn(None, Some(&trouble));
                }
                return shared.set_trouble(Some(trouble));
            }
        };
        warn(found.set_aside.as_deref(), None);
        tracing::info!("silences and the history of alerts are on disk again");
        shared.set_trouble(None);
        // Some may have been made, and others have ended, since the file was read.
        self.handle.take_up(found.silences);
        shared.known.restore(found.known, &*parts.clock);
        self.tasks.shutdown().await;
        let started = Tasks { parts, handle: &self.handle, journal: &self.journal };
        self.dispatch = started.start(found.told, &mut self.tasks, &mut self.recording);
    }

    /// What receivers were told, once all of it is on disk.
    async fn told(&self) -> Result<Told, DatabaseError> {
        let (done, flushed) = oneshot::channel();
        if self.flush.send(done).await.is_ok() {
            // It has ended by itself only after a panic, which is being reported.
            if !flushed.await.unwrap_or(true) {
                return Err(DatabaseError::Behind);
            }
        }
        let database = Arc::clone(&self.handle.shared().database);
        blocking::run(move || database.told()).await
    }

    /// What is over, as if every receiver had been told that it fires, long ago: each hears of its end, once more or at last.
    fn ends(&self, config: &Config) -> Told {
        let alertmanagers = config.alertmanagers.iter().map(|peer| &peer.name);
        let webhooks = config.webhooks.iter().map(|webhook| &webhook.peer.name);
        let known = self.handle.shared().known.messages();
        let over: Vec<Message> = known.into_iter().filter(|m| !m.is_firing()).collect();
        let of = |name: &String| {
            over.iter().map(|m| (name.clone(), UnixNano(0), m.clone())).collect::<Vec<_>>()
        };
        alertmanagers.chain(webhooks).flat_map(of).collect()
    }

    /// Rules run from here on: until then a firing alert of which nothing is heard is not over.
    pub fn rules_begin(&self) {
        self.dispatch.rules_begin();
    }

    /// What the API shows and changes.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Where rules hand over alerts.
    #[must_use]
    pub fn outbox(&self) -> Arc<dyn Outbox> {
        Arc::new(self.handle.clone())
    }

    /// Ends every task and writes what waits for the disk, within `deadline`. What was not told is told after the
    /// next start.
    pub async fn shutdown(self, deadline: Duration) {
        let Self { dispatch, mut tasks, mut recording, stop, scribe, .. } = self;
        let until = Instant::now() + deadline;
        tasks.shutdown().await;
        // What rules handed over last is known to the next start.
        dispatch.take_in();
        // Nothing comes after this: log records end when all are made.
        drop(dispatch);
        let recorded = async { while recording.join_next().await.is_some() {} };
        if tokio::time::timeout(deadline / 2, recorded).await.is_err() {
            tracing::warn!(
                "the journal does not take the last log records of alerts: the next start makes them"
            );
        }
        recording.shutdown().await;
        // It has ended by itself only after a panic, which is being reported.
        let _ = stop.send(());
        if tokio::time::timeout_at(until, scribe).await.is_err() {
            tracing::warn!("the disk does not take the last of the history of alerts");
        }
    }
}

/// What the tasks of one configuration are started with.
struct Tasks<'a> {
    parts: Parts,
    handle: &'a Handle,
    journal: &'a Journal,
}

impl Tasks<'_> {
    /// Starts one per receiver, with what it was `told`, and the one that tells them.
    fn start(
        self,
        told: Told,
        tasks: &mut JoinSet<()>,
        recording: &mut JoinSet<()>,
    ) -> Arc<Dispatch> {
        let Self { parts, handle, journal } = self;
        let shared = handle.shared();
        let known = shared.known.messages();
        let before = handle.running();
        let mut of: HashMap<String, Vec<(UnixNano, Message)>> = HashMap::new();
        for (receiver, at, message) in told {
            of.entry(receiver).or_default().push((at, message));
        }
        let mut receivers = Vec::new();
        for peer in &parts.config.alertmanagers {
            let mut task = Alertmanager::new(peer, parts.clone());
            let told = of.remove(&peer.name).unwrap_or_default();
            task.restore(told.iter().map(|(_, message)| message.id), &known);
            task.receiver().continue_from(&before.receivers);
            receivers.push((task.receiver(), task.mailbox()));
            tasks.spawn(task.run());
        }
        for webhook in &parts.config.webhooks {
            let mut task = Webhook::new(webhook, parts.clone(), shared.silences.subscribe());
            task.restore(of.remove(&webhook.peer.name).unwrap_or_default(), &shared.known);
            task.receiver().continue_from(&before.receivers);
            receivers.push((task.receiver(), task.mailbox()));
            tasks.spawn(task.run());
        }
        parts.keep(of.into_keys().map(|receiver| Row::Gone { receiver }).collect());
        let otlp = parts.config.otlp.then(|| {
            let (transitions, batches) = mpsc::channel(otlp::BATCHES_MAX);
            let known = Arc::clone(&shared.known);
            recording.spawn(otlp::run(batches, journal.clone(), known, parts.clone()));
            transitions
        });
        let shown: Vec<Receiver> = receivers.iter().map(|(of, _)| of.clone()).collect();
        handle.set(Running { receivers: shown, parts: parts.clone() });
        let dispatch = Arc::new(Dispatch {
            inbox: Arc::clone(&shared.inbox),
            receivers,
            known: Arc::clone(&shared.known),
            silences: shared.silences.clone(),
            otlp,
            parts,
        });
        tasks.spawn(Arc::clone(&dispatch).run());
        dispatch
    }
}

impl Outbox for Handle {
    fn notify(&self, alerts: Vec<Alert>) {
        self.accept(&alerts);
    }
}

/// The database, what it holds, and why it is in memory where it should not be.
async fn open(
    config: &Arc<Config>,
    now: UnixNano,
) -> Result<(Arc<Database>, Found, Option<Trouble>), DatabaseError> {
    let owned = Arc::clone(config);
    let opening = blocking::run(move || {
        let Config { history_age, history_rows_max, .. } = *owned;
        let open = |path| Database::open(path, history_age, history_rows_max, now);
        match open(owned.database.as_deref()) {
            Ok((database, found)) => Ok((Arc::new(database), found, None)),
            Err(error) => {
                let trouble = Some(in_memory(&error));
                open(None).map(|(database, found)| (Arc::new(database), found, trouble))
            }
        }
    });
    let opened = opening.await?;
    warn(opened.1.set_aside.as_deref(), opened.2.as_ref());
    Ok(opened)
}

/// Says what became of the file.
fn warn(set_aside: Option<&Path>, trouble: Option<&Trouble>) {
    if let Some(path) = set_aside {
        let file = path.display();
        tracing::warn!(%file, "the database of notifications cannot be read: set aside");
    }
    if let Some(trouble) = trouble {
        tracing::error!("{}", trouble.why);
    }
}

fn in_memory(error: &DatabaseError) -> Trouble {
    let passes = error.may_pass();
    let cure =
        if passes { "it is tried again every 10 s" } else { "mend or move that file and restart" };
    let error = telemetry::chain(error);
    let why = format!("silences and the history of alerts are in memory only: {error}; {cure}");
    Trouble { why, passes }
}

/// Who writes rows.
struct Scribe {
    rows: Arc<Rows>,
    database: Arc<Database>,
    clock: Arc<dyn Clock>,
    lost: Counter,
}

impl Scribe {
    /// Writes all that waits in one transaction, and purges now and then; until told to stop. Says to `flushes` whether
    /// all is written.
    async fn run(
        self,
        mut flushes: mpsc::Receiver<oneshot::Sender<bool>>,
        mut stop: oneshot::Receiver<()>,
    ) {
        let mut purged = self.clock.monotonic();
        let mut failing = false;
        loop {
            let (mut stopping, mut flushed) = (false, None);
            tokio::select! {
                biased;
                _ = &mut stop => stopping = true,
                Some(done) = flushes.recv() => flushed = Some(done),
                () = self.rows.arrived() => {}
                () = tokio::time::sleep(WRITE_RETRY), if !self.rows.is_empty() => {}
            }
            let purge = self.clock.monotonic().saturating_sub(purged) >= PURGE_INTERVAL;
            if purge {
                purged = self.clock.monotonic();
            }
            self.write(purge, &mut failing).await;
            if let Some(done) = flushed {
                // Whoever asked may have gone.
                let _ = done.send(self.rows.is_empty());
            }
            if stopping {
                return;
            }
        }
    }

    /// `failing` is whether the last write did, so that the log is told when that changes.
    async fn write(&self, purge: bool, failing: &mut bool) {
        let rows = self.rows.take();
        if rows.is_empty() && !purge {
            return;
        }
        let (database, now) = (Arc::clone(&self.database), self.clock.unix_nano());
        let (written, purged) = blocking::run(move || {
            let written = database.write(&rows);
            let purged = if purge && written.is_ok() { database.purge(now) } else { Ok(()) };
            (written.map_err(|error| (error, rows)), purged)
        })
        .await;
        let failed = written.is_err();
        let purge_error = purged.err();
        if let Err((error, rows)) = written {
            self.lost.add(self.rows.put_back(rows) as u64);
            if !*failing {
                let error = telemetry::chain(&error);
                tracing::warn!(
                    error,
                    "what became of alerts cannot be written: history goes, what receivers know waits"
                );
            }
        } else if *failing {
            tracing::info!("what became of alerts is written again");
        }
        *failing = failed;
        if let Some(error) = purge_error {
            let error = telemetry::chain(&error);
            tracing::warn!(error, "the history of alerts cannot be purged");
        }
    }
}
