//! How one receiver is doing: what its task counts and the API shows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::client::PostError;
use super::config::Peer;
use crate::telemetry::registry::{Counter, Gauge};
use crate::telemetry::{Registry, desc};
use crate::time::{UnixNano, rfc3339};

/// What a receiver is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Alertmanager,
    Webhook,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Alertmanager => "alertmanager",
            Self::Webhook => "webhook",
        }
    }
}

/// A receiver's results. Cloning shares them.
#[derive(Clone, Debug)]
pub(super) struct Receiver {
    pub(super) kind: Kind,
    pub(super) name: Arc<str>,
    address: Arc<str>,
    state: Arc<Mutex<Results>>,
    sent: Counter,
    queue: Gauge,
    failing: Gauge,
    registry: Registry,
}

#[derive(Clone, Debug, Default)]
struct Results {
    sent: u64,
    failed: u64,
    dropped: u64,
    queue: usize,
    last_success: Option<UnixNano>,
    last_error: Option<(UnixNano, String)>,
    failing_since: Option<UnixNano>,
    latency: Option<Duration>,
}

impl Receiver {
    pub(super) fn new(kind: Kind, peer: &Peer, registry: &Registry) -> Self {
        let labels = [peer.name.as_str()];
        Self {
            kind,
            name: peer.name.as_str().into(),
            address: peer.address().into(),
            state: Arc::default(),
            sent: registry.counter(&desc::NOTIFICATIONS_SENT, &labels),
            queue: registry.gauge(&desc::NOTIFICATIONS_QUEUE_SIZE, &labels),
            failing: registry.gauge(&desc::NOTIFICATIONS_FAILING_SINCE, &labels),
            registry: registry.clone(),
        }
    }

    /// Goes on with the results of the same receiver before a reload.
    pub(super) fn continue_from(&self, old: &[Self]) {
        let same = |old: &&Self| old.kind == self.kind && old.name == self.name;
        if let Some(old) = old.iter().find(same).filter(|old| old.address == self.address) {
            let results = old.lock().clone();
            self.show_failing(results.failing_since);
            *self.lock() = results;
        }
    }

    /// Ends the series that say how it is: it is not configured any more.
    pub(super) fn forget(&self) {
        self.registry.remove(&desc::NOTIFICATIONS_QUEUE_SIZE, &[&self.name]);
        self.registry.remove(&desc::NOTIFICATIONS_FAILING_SINCE, &[&self.name]);
    }

    fn lock(&self) -> MutexGuard<'_, Results> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `alerts` were taken, after `latency`. Whether it had failed before.
    pub(super) fn took(&self, alerts: usize, latency: Duration, now: UnixNano) -> bool {
        self.sent.add(alerts as u64);
        let mut state = self.lock();
        state.sent += alerts as u64;
        state.last_success = Some(now);
        state.latency = Some(latency);
        self.show_failing(None);
        state.failing_since.take().is_some()
    }

    /// What it did not take is over, and nothing else is to be told: nobody knows whether it would take it.
    pub(super) fn is_owed_nothing(&self) {
        self.show_failing(None);
        self.lock().failing_since = None;
    }

    fn show_failing(&self, since: Option<UnixNano>) {
        self.failing.set(since.map_or(0.0, UnixNano::as_seconds_f64));
    }

    /// A try failed. Whether it is the first, or fails for another reason than before: worth a log line.
    pub(super) fn refused(&self, error: &PostError, said: &str, now: UnixNano) -> bool {
        let labels = [&self.name, error.reason()];
        self.registry.counter(&desc::NOTIFICATIONS_ERRORS, &labels).add(1);
        let mut state = self.lock();
        let news = state.failing_since.is_none()
            || state.last_error.as_ref().is_none_or(|(_, before)| before != said);
        let since = *state.failing_since.get_or_insert(now);
        self.show_failing(Some(since));
        state.last_error = Some((now, said.to_owned()));
        news
    }

    /// `alerts` were given up.
    pub(super) fn gave_up(&self, alerts: u64) {
        self.count("given_up", alerts);
        self.lock().failed += alerts;
    }

    /// `alerts` were dropped because there was no room.
    pub(super) fn dropped(&self, alerts: u64) {
        self.count("queue_full", alerts);
        self.lock().dropped += alerts;
    }

    fn count(&self, reason: &str, alerts: u64) {
        if alerts > 0 {
            let labels = [&self.name, reason];
            self.registry.counter(&desc::NOTIFICATIONS_DROPPED, &labels).add(alerts);
        }
    }

    /// What waits or is known now.
    #[expect(clippy::cast_precision_loss, reason = "a shown number of alerts")]
    pub(super) fn holds(&self, alerts: usize) {
        self.queue.set(alerts as f64);
        self.lock().queue = alerts;
    }

    /// Why nothing gets through, if nothing does.
    pub(super) fn trouble(&self) -> Option<String> {
        let state = self.lock();
        let (_, error) = state.last_error.as_ref().filter(|_| state.failing_since.is_some())?;
        Some(format!("alerts do not reach {} at {}: {error}", self.name, self.address))
    }

    /// As the API shows it.
    pub(super) fn document(&self) -> Value {
        let state = self.lock().clone();
        json!({
            "name": &*self.name,
            "kind": self.kind.name(),
            "address": &*self.address,
            "healthy": state.failing_since.is_none(),
            "failingSince": state.failing_since.map(rfc3339),
            "lastSuccess": state.last_success.map(rfc3339),
            "lastError": state.last_error.as_ref().map(|(_, error)| error),
            "lastErrorAt": state.last_error.as_ref().map(|(at, _)| rfc3339(*at)),
            "latencySeconds": state.latency.map(|latency| latency.as_secs_f64()),
            "queue": state.queue,
            "sent": state.sent,
            "failed": state.failed,
            "dropped": state.dropped,
        })
    }
}
