//! [`Handle`]: what the API and the rest of the agent see of notifications, as JSON documents.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::Parts;
use super::client::printable;
use super::database::Database;
use super::error::SilenceError;
use super::history::{HistoryError, Query};
use super::known::Known;
use super::mailbox::Mailbox;
use super::message::{Map, Message};
use super::receiver::Receiver;
use super::silence::{Document, SILENCES_MAX, Silence, Silences};
use crate::alert::{Alert, State};
use crate::telemetry::desc;
use crate::time::{UnixNano, rfc3339};

/// How long a silence that is over is listed.
const OVER_LISTED_NANO: u64 = 86_400_000_000_000;

/// Shows notifications and steers them. Cloning shares them. Blocks on SQLite where it says so.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// What there is from the start to the end.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) inbox: Arc<Mailbox>,
    pub(super) known: Arc<Known>,
    pub(super) silences: watch::Sender<Arc<Silences>>,
    pub(super) database: Arc<Database>,
    pub(super) trouble: Mutex<Option<Trouble>>,
    pub(super) running: Mutex<Arc<Running>>,
}

/// Why what is kept is in memory where it should not be.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) why: String,
    /// Whether it is worth trying again.
    pub(super) passes: bool,
}

impl Shared {
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_trouble(&self, trouble: Option<Trouble>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

/// What a reload replaces.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) receivers: Vec<Receiver>,
    pub(super) parts: Parts,
}

impl Handle {
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(super) fn running(&self) -> Arc<Running> {
        let running = self.shared.running.lock();
        Arc::clone(&running.unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows `running` from here on.
    pub(super) fn set(&self, running: Running) {
        let mut current = self.shared.running.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(running);
    }

    fn now(&self) -> UnixNano {
        self.running().parts.clock.unix_nano()
    }

    /// Takes in what rules hand over.
    pub(super) fn accept(&self, alerts: &[Alert]) {
        let running = self.running();
        let parts = &running.parts;
        let now = parts.clock.unix_nano();
        let external = &parts.config.external_labels;
        let messages: Vec<Message> =
            alerts.iter().filter_map(|alert| Message::of(alert, external, now)).collect();
        let received = parts.registry.counter(&desc::NOTIFICATIONS_RECEIVED, &[]);
        received.add(messages.len() as u64);
        let dropped = self.shared.inbox.push(messages, parts.clock.monotonic());
        parts.registry.counter(&desc::NOTIFICATIONS_REFUSED, &[]).add(dropped);
    }

    /// Alerts with the silences that cover them: `active`, pending or firing, as rules have them, and those that
    /// were over in the last 15 minutes. Without `active`, those that were handed over.
    #[must_use]
    pub fn alerts(&self, active: Option<&[Alert]>) -> String {
        let now = self.now();
        let silences = Arc::clone(&self.shared.silences.borrow());
        let running = self.running();
        let external = &running.parts.config.external_labels;
        let rules = active.unwrap_or_default();
        let ids: HashSet<u64> = rules.iter().map(|alert| alert.fingerprint).collect();
        let covering = |message: &Message| silences.covering(message, now).map(str::to_owned);
        let mut rows: Vec<Value> = Vec::new();
        for alert in rules {
            let message = Message::shown(alert, external, now);
            let silenced_by = covering(&message);
            rows.push(row(&message, alert.state, Some(alert), silenced_by.as_deref()));
        }
        for message in self.shared.known.messages() {
            let firing = message.is_firing();
            if (active.is_some() && firing) || ids.contains(&message.id) {
                continue;
            }
            let state = if firing { State::Firing } else { State::Inactive };
            let silenced_by = covering(&message);
            rows.push(row(&message, state, None, silenced_by.as_deref()));
        }
        json!({ "schema_version": 1, "alerts": rows, "receivers": self.results() }).to_string()
    }

    fn results(&self) -> Vec<Value> {
        self.running().receivers.iter().map(Receiver::document).collect()
    }

    /// How every receiver is doing.
    #[must_use]
    pub fn receivers(&self) -> String {
        let Shared { inbox, database, .. } = &*self.shared;
        let counts = database.counts().ok();
        json!({
            "schema_version": 1,
            "receivers": self.results(),
            "waiting": inbox.len(),
            "history": {
                "transitions": counts.map(|(transitions, _)| transitions),
                "deliveries": counts.map(|(_, deliveries)| deliveries),
                "trouble": self.shared.trouble().map(|trouble| trouble.why),
            },
        })
        .to_string()
    }

    /// Alertmanagers as Prometheus' `/api/v1/alertmanagers` lists them: the value of `data`.
    #[must_use]
    pub fn alertmanagers(&self) -> Value {
        let running = self.running();
        let peers = &running.parts.config.alertmanagers;
        let active: Vec<Value> = peers
            .iter()
            .map(|peer| {
                let base = peer.endpoint.to_string();
                json!({ "url": format!("{}/api/v2/alerts", base.trim_end_matches('/')) })
            })
            .collect();
        json!({ "activeAlertmanagers": active, "droppedAlertmanagers": [] })
    }

    /// Why alerts do not arrive or are not kept, in a sentence each.
    #[must_use]
    pub fn trouble(&self) -> Vec<String> {
        let running = self.running();
        let receivers = running.receivers.iter().filter_map(Receiver::trouble);
        receivers.chain(self.shared.trouble().map(|trouble| trouble.why)).collect()
    }

    /// Silences that are not over, and those of the last day that are.
    #[must_use]
    pub fn silences(&self) -> String {
        let now = self.now();
        let silences = Arc::clone(&self.shared.silences.borrow());
        let rows: Vec<_> = silences.0.iter().map(|silence| silence.document(now)).collect();
        json!({ "schema_version": 1, "silences": rows }).to_string()
    }

    /// Makes a silence of a JSON document, keeps it, and gives its document. Blocks on the disk.
    ///
    /// # Errors
    /// [`SilenceError`]: it was not made.
    pub fn add_silence(&self, body: &[u8]) -> Result<String, SilenceError> {
        let now = self.now();
        let document = Document::parse(body)?;
        if self.shared.silences.borrow().current(now) >= SILENCES_MAX {
            return Err(SilenceError::Full(SILENCES_MAX));
        }
        let id = format!("{:032x}", fastrand::u128(..));
        let silence = document.silence(id, now)?;
        self.shared.database.keep_silence(&silence, now)?;
        self.log_silence("a silence was made", &silence);
        let shown = serde_json::to_string(&silence.document(now)).unwrap_or_default();
        self.take_up(vec![silence]);
        Ok(shown)
    }

    /// Ends a silence now, and gives its document. Blocks on the disk.
    ///
    /// # Errors
    /// [`SilenceError`]: there is none of this id, or the disk refuses.
    pub fn expire_silence(&self, id: &str) -> Result<String, SilenceError> {
        let now = self.now();
        let found = self.shared.silences.borrow().0.iter().find(|it| it.id == id).cloned();
        let Some(mut silence) = found.filter(|silence| now < silence.ends_at) else {
            return Err(SilenceError::Unknown(printable(id, 64)));
        };
        silence.ends_at = now;
        silence.starts_at = silence.starts_at.min(now);
        self.shared.database.keep_silence(&silence, now)?;
        self.log_silence("a silence was ended", &silence);
        let shown = serde_json::to_string(&silence.document(now)).unwrap_or_default();
        self.change(|silences| {
            for it in silences.iter_mut().filter(|it| it.id == silence.id) {
                *it = silence.clone();
            }
        });
        Ok(shown)
    }

    /// Takes up silences of a request or of a file, but for those that are known: they may be in both, or have ended meanwhile.
    pub(super) fn take_up(&self, found: Vec<Silence>) {
        self.change(|silences| {
            for silence in found {
                if silences.iter().all(|known| known.id != silence.id) {
                    silences.push(silence);
                }
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Silence>)) {
        let oldest = UnixNano(self.now().0.saturating_sub(OVER_LISTED_NANO));
        self.shared.silences.send_modify(|silences| {
            let silences = &mut Arc::make_mut(silences).0;
            silences.retain(|silence| silence.ends_at > oldest);
            change(silences);
        });
    }

    fn log_silence(&self, what: &str, silence: &Silence) {
        let by = printable(&silence.created_by, 100);
        let comment = printable(&silence.comment, 200);
        let until = rfc3339(silence.ends_at);
        tracing::info!(id = silence.id, by, comment, until, "{what}");
    }

    /// Transitions or delivery results by the parameters of a query string. Blocks on the disk.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn history<'a>(
        &self,
        parameters: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<String, HistoryError> {
        let query = Query::parse(parameters)?;
        Ok(self.shared.database.history(&query)?.to_string())
    }
}

#[cfg(test)]
impl Handle {
    pub(super) fn shared_registry(&self) -> crate::telemetry::Registry {
        self.running().parts.registry.clone()
    }

    pub(super) fn purge_at(&self, now: UnixNano) {
        self.shared.database.purge(now).unwrap();
    }
}

/// An alert as it is sent; `alert` knows when it was first there.
fn row(message: &Message, state: State, alert: Option<&Alert>, silenced_by: Option<&str>) -> Value {
    let active_at = alert.map_or(message.starts_at, |alert| alert.active_at);
    json!({
        "fingerprint": format!("{:016x}", message.fingerprint),
        "state": if state == State::Inactive { "resolved" } else { state.name() },
        "labels": Map(&message.labels),
        "annotations": Map(&message.annotations),
        "value": Some(message.value).filter(|value| value.is_finite()),
        "activeAt": rfc3339(active_at),
        "startsAt": (state != State::Pending).then(|| rfc3339(message.starts_at)),
        "endsAt": message.resolved_at.map(rfc3339),
        "generatorURL": message.generator_url,
        "silencedBy": silenced_by,
    })
}
