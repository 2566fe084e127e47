//! [`Handle`]: what the API and the rest of the agent see of notifications, as JSON documents.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::Parts;
use super::client::printable;
use super::database::Database;
use super::dispatch::Known;
use super::history::{HistoryError, Query};
use super::mailbox::Mailbox;
use super::message::{Map, Message};
use super::receiver::{Kind, Receiver};
use super::silence::{Document, SILENCES_MAX, Silence, SilenceError, Silences};
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

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) inbox: Arc<Mailbox>,
    pub(super) known: Arc<Known>,
    pub(super) receivers: Vec<Receiver>,
    pub(super) silences: watch::Sender<Arc<Silences>>,
    pub(super) database: Arc<Database>,
    pub(super) trouble: Option<String>,
    pub(super) parts: Parts,
}

impl Handle {
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    fn now(&self) -> UnixNano {
        self.shared.parts.clock.unix_nano()
    }

    /// Takes in what rules hand over.
    pub(super) fn accept(&self, alerts: &[Alert]) {
        let Shared { inbox, parts, .. } = &*self.shared;
        let now = self.now();
        let external = &parts.config.external_labels;
        let messages: Vec<Message> =
            alerts.iter().filter_map(|alert| Message::of(alert, external, now)).collect();
        let received = parts.registry.counter(&desc::NOTIFICATIONS_RECEIVED, &[]);
        received.add(messages.len() as u64);
        let dropped = inbox.push(messages, parts.clock.monotonic());
        parts.registry.counter(&desc::NOTIFICATIONS_REFUSED, &[]).add(dropped);
    }

    /// Alerts with the silences that cover them: `active`, pending or firing, as rules have them, and those that
    /// were over in the last 15 minutes. Without `active`, those that were handed over.
    #[must_use]
    pub fn alerts(&self, active: Option<&[Alert]>) -> String {
        let now = self.now();
        let silences = Arc::clone(&self.shared.silences.borrow());
        let rules = active.unwrap_or_default();
        let covering = |alert: &Alert| silences.covering_labels(&alert.labels, now);
        let mut rows: Vec<Value> = rules.iter().map(|alert| row(alert, covering(alert))).collect();
        let others = self.shared.known.messages().into_iter().filter(|message| {
            (active.is_none() || !message.is_firing())
                && rules.iter().all(|alert| alert.fingerprint != message.id)
        });
        rows.extend(others.map(|message| known_row(&message, silences.covering(&message, now))));
        json!({ "schema_version": 1, "alerts": rows, "receivers": self.results() }).to_string()
    }

    fn results(&self) -> Vec<Value> {
        self.shared.receivers.iter().map(Receiver::document).collect()
    }

    /// How every receiver is doing.
    #[must_use]
    pub fn receivers(&self) -> String {
        let Shared { inbox, database, trouble, .. } = &*self.shared;
        let counts = database.counts().ok();
        json!({
            "schema_version": 1,
            "receivers": self.results(),
            "waiting": inbox.len(),
            "history": {
                "transitions": counts.map(|(transitions, _)| transitions),
                "deliveries": counts.map(|(_, deliveries)| deliveries),
                "trouble": trouble,
            },
        })
        .to_string()
    }

    /// Alertmanagers as Prometheus' `/api/v1/alertmanagers` lists them: the value of `data`.
    #[must_use]
    pub fn alertmanagers(&self) -> Value {
        let peers = self.shared.parts.config.alertmanagers.iter();
        let active: Vec<Value> = peers
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
        let receivers = self.shared.receivers.iter().filter_map(Receiver::trouble);
        receivers.chain(self.shared.trouble.clone()).collect()
    }

    /// Alertmanagers and webhooks configured.
    #[must_use]
    pub fn receiver_counts(&self) -> (usize, usize) {
        let of = |kind| self.shared.receivers.iter().filter(|it| it.kind == kind).count();
        (of(Kind::Alertmanager), of(Kind::Webhook))
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
            return Err(SilenceError::Full);
        }
        let id = format!("{:032x}", fastrand::u128(..));
        let silence = document.silence(id, now)?;
        self.shared.database.keep_silence(&silence, now)?;
        self.log_silence("a silence was made", &silence);
        let shown = serde_json::to_string(&silence.document(now)).unwrap_or_default();
        self.change(|silences| silences.push(silence));
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
    pub(super) fn shared_registry(&self) -> &crate::telemetry::Registry {
        &self.shared.parts.registry
    }

    pub(super) fn purge_at(&self, now: UnixNano) {
        self.shared.database.purge(now).unwrap();
    }
}

fn row(alert: &Alert, silenced_by: Option<&str>) -> Value {
    let state = match alert.state {
        State::Inactive => "resolved",
        State::Pending | State::Firing => alert.state.name(),
    };
    json!({
        "fingerprint": format!("{:016x}", alert.fingerprint),
        "state": state,
        "labels": Map(&alert.labels),
        "annotations": Map(&alert.annotations),
        "value": Some(alert.value).filter(|value| value.is_finite()),
        "activeAt": rfc3339(alert.active_at),
        "startsAt": alert.fired_at.map(rfc3339),
        "endsAt": alert.resolved_at.map(rfc3339),
        "generatorURL": alert.generator_url,
        "silencedBy": silenced_by,
    })
}

fn known_row(message: &Message, silenced_by: Option<&str>) -> Value {
    json!({
        "fingerprint": format!("{:016x}", message.id),
        "state": message.status(),
        "labels": Map(&message.labels),
        "annotations": Map(&message.annotations),
        "value": Some(message.value).filter(|value| value.is_finite()),
        "activeAt": rfc3339(message.starts_at),
        "startsAt": rfc3339(message.starts_at),
        "endsAt": message.resolved_at.map(rfc3339),
        "generatorURL": message.generator_url,
        "silencedBy": silenced_by,
    })
}
