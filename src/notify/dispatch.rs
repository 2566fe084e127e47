//! What rules hand over goes to every receiver; what changed is kept, logged and, if asked for, made telemetry.
//!
//! A transition is the first message of an alert that fires, or that it is over. The log line and the log record are
//! left out while a silence covers the alert; when the silence ends and it still fires, they come then. Limits: as many
//! alerts are known as may wait, those that are over for 15 minutes; 100 log lines for what comes at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::Parts;
use super::client::printable;
use super::database::Row;
use super::mailbox::Mailbox;
use super::message::Message;
use super::otlp;
use super::silence::Silences;
use crate::telemetry::desc;
use crate::time::UnixNano;

/// How long an alert that is over is shown and, after a restart, told.
const OVER_KEPT: Duration = Duration::from_secs(900);
/// Log lines for what comes at once.
const LINES_MAX: usize = 100;
/// What is taken from the mailbox at once.
const BATCH_MAX: usize = 1_000;
/// The longest time between two looks at silences and alerts that are over.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// Alerts as last seen, and whether their transition was announced.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<u64, (Message, bool)>>);

impl Known {
    pub(super) fn new(found: Vec<(Message, bool)>) -> Self {
        let found =
            found.into_iter().map(|(message, announced)| (message.id, (message, announced)));
        Self(Mutex::new(found.collect()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, (Message, bool)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every alert, in no order.
    pub(super) fn messages(&self) -> Vec<Message> {
        self.lock().values().map(|(message, _)| message.clone()).collect()
    }
}

/// The task between rules and receivers.
#[derive(Debug)]
pub(super) struct Dispatch {
    pub(super) inbox: Arc<Mailbox>,
    pub(super) receivers: Vec<(super::Receiver, Arc<Mailbox>)>,
    pub(super) known: Arc<Known>,
    pub(super) silences: watch::Sender<Arc<Silences>>,
    /// Transitions on their way to the journal.
    pub(super) otlp: Option<mpsc::Sender<Vec<Message>>>,
    pub(super) parts: Parts,
}

impl Dispatch {
    pub(super) async fn run(self) {
        let mut changed = self.silences.subscribe();
        loop {
            let now = self.parts.clock.unix_nano();
            let next = self.silences.borrow().next_change(now);
            let wait = next.map_or(LOOK_INTERVAL, |at| at.since(now)).min(LOOK_INTERVAL);
            tokio::select! {
                () = self.inbox.arrived() => self.take_in(),
                Ok(()) = changed.changed() => self.look(),
                () = tokio::time::sleep(wait) => {
                    let now = self.parts.clock.unix_nano();
                    // Receivers look at silences when they are told that one began or ended.
                    if next.is_some_and(|at| at <= now) {
                        self.silences.send_modify(|_| {});
                        changed.mark_unchanged();
                    }
                    self.look();
                }
            }
        }
    }

    fn take_in(&self) {
        loop {
            let batch = self.inbox.take(BATCH_MAX);
            if batch.is_empty() {
                return;
            }
            let messages: Vec<Message> = batch.into_iter().map(|waiting| waiting.message).collect();
            let now = self.parts.clock.monotonic();
            // Receivers first: nothing that is kept or logged holds up a notification.
            for (receiver, mailbox) in &self.receivers {
                receiver.dropped(mailbox.push(messages.iter().cloned(), now));
            }
            self.note(messages);
        }
    }

    /// Finds the transitions among what came.
    fn note(&self, messages: Vec<Message>) {
        let at = self.parts.clock.unix_nano();
        let silences = Arc::clone(&self.silences.borrow());
        let (mut rows, mut announced) = (Vec::new(), Vec::new());
        let mut known = self.known.lock();
        for message in messages {
            let before = known.get(&message.id);
            let fired = before.is_some_and(|(before, _)| before.is_firing());
            if message.is_firing() == fired {
                if let Some((before, _)) = known.get_mut(&message.id).filter(|_| fired) {
                    *before = message;
                }
                continue;
            }
            if before.is_none() && known.len() >= self.parts.config.alerts_max {
                self.parts.lost(1);
                continue;
            }
            let told = before.is_some_and(|(_, told)| *told);
            let silenced_by = silences.covering(&message, at).map(str::to_owned);
            // Its end is announced where its beginning was.
            let announce = silenced_by.is_none() && (message.is_firing() || told);
            if announce {
                announced.push(message.clone());
            }
            known.insert(message.id, (message.clone(), announce));
            let message = Box::new(message);
            rows.push(Row::Known { message: message.clone(), announced: announce });
            rows.push(Row::Transition { at, message, silenced_by });
        }
        drop(known);
        self.parts.keep(rows);
        self.announce(announced);
    }

    /// Announces what is not silenced any more, and forgets what is over for long.
    fn look(&self) {
        let at = self.parts.clock.unix_nano();
        let silences = Arc::clone(&self.silences.borrow());
        let holding = silences.0.iter().filter(|silence| silence.holds(at)).count();
        let gauge = self.parts.registry.gauge(&desc::NOTIFICATIONS_SILENCES, &[]);
        gauge.set(f64::from(u32::try_from(holding).unwrap_or(u32::MAX)));
        let (mut rows, mut announced) = (Vec::new(), Vec::new());
        let mut known = self.known.lock();
        for (message, told) in known.values_mut().filter(|(message, _)| message.is_firing()) {
            if !*told && silences.covering(message, at).is_none() {
                *told = true;
                announced.push(message.clone());
                rows.push(Row::Known { message: Box::new(message.clone()), announced: true });
            }
        }
        known.retain(|id, (message, _)| {
            let over = message.resolved_at.is_some_and(|over| at.since(over) >= OVER_KEPT);
            if over {
                rows.push(Row::Forgotten(*id));
            }
            !over
        });
        drop(known);
        self.parts.keep(rows);
        self.announce(announced);
    }

    fn announce(&self, messages: Vec<Message>) {
        for message in messages.iter().take(LINES_MAX) {
            log(message, self.parts.clock.unix_nano());
        }
        if let Some(more) = messages.len().checked_sub(LINES_MAX).filter(|more| *more > 0) {
            tracing::warn!(more, "alerts changed as well: see `sidelight alerts history`");
        }
        if let Some(otlp) = self.otlp.as_ref().filter(|_| !messages.is_empty()) {
            let count = messages.len();
            if otlp.try_send(messages).is_err() {
                otlp::dropped(&self.parts, "queue_full", count);
            }
        }
    }
}

fn log(message: &Message, now: UnixNano) {
    let labels = message.labels.iter().filter(|(name, _)| name != "alertname");
    let labels: Vec<String> = labels.map(|(name, value)| format!("{name}={value}")).collect();
    let labels = printable(&labels.join(" "), 500);
    let name = printable(message.label("alertname"), 100);
    let summary = message.annotations.iter().find(|(name, _)| name == "summary");
    let summary = printable(summary.map_or("", |(_, text)| text), 300);
    let lasted = message.resolved_at.unwrap_or(now).since(message.starts_at).as_secs();
    if message.is_firing() {
        let value = message.value;
        tracing::warn!(alert = name, state = "firing", labels, value, summary, "an alert fires");
    } else {
        tracing::info!(
            alert = name,
            state = "resolved",
            labels,
            lasted,
            summary,
            "an alert is over"
        );
    }
}
