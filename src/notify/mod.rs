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
mod groups;
mod history;
mod mailbox;
mod message;
mod otlp;
mod queue;
mod receiver;
mod silence;
#[cfg(test)]
mod tests;
mod view;
mod webhook;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::alert::{Alert, Outbox};
use crate::journal::Journal;
use crate::telemetry;
use crate::telemetry::registry::Counter;
use crate::telemetry::{Registry, desc};
use crate::time::{Clock, UnixNano};
use alertmanager::Alertmanager;
use database::{Database, Found, Row};
use dispatch::{Dispatch, Known};
use mailbox::Mailbox;
use message::Message;
use receiver::Receiver;
use silence::Silences;
use webhook::Webhook;

pub use config::Config;
pub use database::DatabaseError;
pub use history::HistoryError;
pub use silence::SilenceError;
pub use view::Handle;

/// Lists of rows that wait for the disk.
const ROWS_WAITING_MAX: usize = 256;
/// How often history is purged.
const PURGE_INTERVAL: Duration = Duration::from_secs(600);

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
    rows: mpsc::Sender<Vec<Row>>,
}

impl Parts {
    /// Has rows written. Never waits.
    fn keep(&self, rows: Vec<Row>) {
        let count = rows.len();
        if count > 0 && self.rows.try_send(rows).is_err() {
            self.lost(count);
        }
    }

    fn lost(&self, rows: usize) {
        let lost = self.registry.counter(&desc::NOTIFICATIONS_HISTORY_LOST, &[]);
        lost.add(rows as u64);
    }
}

/// The running notifications.
#[derive(Debug)]
pub struct Notifier {
    handle: Handle,
    dispatch: Arc<Dispatch>,
    tasks: JoinSet<()>,
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
        let (rows, waiting) = mpsc::channel(ROWS_WAITING_MAX);
        let parts = Parts { config, clock, registry, rows };
        let (silences, watched) = watch::channel(Arc::new(Silences(found.silences)));
        let known: Vec<Message> = found.known.iter().map(|(message, _)| message.clone()).collect();
        let mut told: HashMap<String, Vec<(UnixNano, Message)>> = HashMap::new();
        for (receiver, at, message) in found.told {
            told.entry(receiver).or_default().push((at, message));
        }
        let mut tasks = JoinSet::new();
        let mut receivers = Vec::new();
        for peer in &parts.config.alertmanagers {
            let mut task = Alertmanager::new(peer, parts.clone());
            let before = told.remove(&peer.name).unwrap_or_default();
            task.restore(before.iter().map(|(_, message)| message.id), &known);
            receivers.push((task.receiver(), task.mailbox()));
            tasks.spawn(task.run());
        }
        for webhook in &parts.config.webhooks {
            let mut task = Webhook::new(webhook, parts.clone(), watched.clone());
            task.restore(told.remove(&webhook.peer.name).unwrap_or_default(), &known);
            receivers.push((task.receiver(), task.mailbox()));
            tasks.spawn(task.run());
        }
        parts.keep(told.into_keys().map(|receiver| Row::Gone { receiver }).collect());
        let otlp = parts.config.otlp.then(|| {
            let (transitions, batches) = mpsc::channel(otlp::BATCHES_MAX);
            tasks.spawn(otlp::run(batches, journal, parts.clone()));
            transitions
        });
        let inbox = Arc::new(Mailbox::new(parts.config.alerts_max));
        let known = Arc::new(Known::new(found.known, &*parts.clock));
        let shown = receivers.iter().map(|(receiver, _)| receiver.clone()).collect();
        let dispatch = Arc::new(Dispatch {
            inbox: Arc::clone(&inbox),
            receivers,
            known: Arc::clone(&known),
            silences: silences.clone(),
            otlp,
            parts: parts.clone(),
        });
        tasks.spawn(Arc::clone(&dispatch).run());
        let (stop, stopped) = oneshot::channel();
        let lost = parts.registry.counter(&desc::NOTIFICATIONS_HISTORY_LOST, &[]);
        let clock = Arc::clone(&parts.clock);
        let scribe = tokio::spawn(scribe(waiting, stopped, Arc::clone(&database), clock, lost));
        let handle = Handle::new(view::Shared {
            inbox,
            known,
            receivers: shown,
            silences,
            database,
            trouble,
            parts,
        });
        Ok(Self { handle, dispatch, tasks, stop, scribe })
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
        let Self { dispatch, mut tasks, stop, scribe, .. } = self;
        tasks.shutdown().await;
        // What rules handed over last is known to the next start.
        dispatch.take_in();
        // It has ended by itself only after a panic, which is being reported.
        let _ = stop.send(());
        if tokio::time::timeout(deadline, scribe).await.is_err() {
            tracing::warn!("the disk does not take the last of the history of alerts");
        }
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
) -> Result<(Arc<Database>, Found, Option<String>), DatabaseError> {
    let owned = Arc::clone(config);
    let opening = tokio::task::spawn_blocking(move || {
        let Config { history_age, history_rows_max, .. } = *owned;
        let open = |path| Database::open(path, history_age, history_rows_max, now);
        match open(owned.database.as_deref()) {
            Ok((database, found)) => Ok((Arc::new(database), found, None)),
            Err(error) => {
                let why = format!(
                    "silences and the history of alerts are in memory only: {}; mend or move that file and restart",
                    telemetry::chain(&error)
                );
                open(None).map(|(database, found)| (Arc::new(database), found, Some(why)))
            }
        }
    });
    let opened = opening.await;
    let opened = opened.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
    if let Some(path) = &opened.1.set_aside {
        let file = path.display();
        tracing::warn!(%file, "the database of notifications cannot be read: set aside");
    }
    if let Some(why) = &opened.2 {
        tracing::error!("{why}");
    }
    Ok(opened)
}

/// Writes rows, all that wait in one transaction, and purges now and then; until told to stop and nothing waits.
async fn scribe(
    mut waiting: mpsc::Receiver<Vec<Row>>,
    mut stop: oneshot::Receiver<()>,
    database: Arc<Database>,
    clock: Arc<dyn Clock>,
    lost: Counter,
) {
    let mut purged = clock.monotonic();
    let mut lists = Vec::new();
    let mut open = true;
    loop {
        tokio::select! {
            biased;
            _ = &mut stop, if open => {
                waiting.close();
                open = false;
                continue;
            }
            count = waiting.recv_many(&mut lists, ROWS_WAITING_MAX) => if count == 0 {
                return;
            },
        }
        let rows: Vec<Row> = lists.drain(..).flatten().collect();
        let count = rows.len() as u64;
        let purge = clock.monotonic().saturating_sub(purged) >= PURGE_INTERVAL;
        if purge {
            purged = clock.monotonic();
        }
        let (database, now) = (Arc::clone(&database), clock.unix_nano());
        let written = tokio::task::spawn_blocking(move || {
            let written = database.write(&rows);
            if purge { written.and_then(|()| database.purge(now)) } else { written }
        });
        if let Ok(Err(error)) = written.await {
            lost.add(count);
            let error = telemetry::chain(&error);
            tracing::warn!(error, "the history of alerts cannot be written");
        }
    }
}
