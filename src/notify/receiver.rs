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
        let failing = registry.gauge(&desc::NOTIFICATIONS_FAILING_SINCE, &labels);
        // One of this name may have been elsewhere before.
        failing.set(0.0);
        Self {
            kind,
            name: peer.name.as_str().into(),
            address: peer.address().into(),
            state: Arc::default(),
            sent: registry.counter(&desc::NOTIFICATIONS_SENT, &labels),
            queue: registry.gauge(&desc::NOTIFICATIONS_QUEUE_SIZE, &labels),
            failing,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::endpoint::Endpoint;

    #[test]
    fn what_fails_goes_on_failing_over_a_reload_unless_it_is_elsewhere() {
        let registry = Registry::default();
        let peer = |url| Peer::new("hook", Endpoint::parse(url, true, 80).unwrap());
        let receiver = |url| Receiver::new(Kind::Webhook, &peer(url), &registry);
        let since = || registry.gauge(&desc::NOTIFICATIONS_FAILING_SINCE, &["hook"]).get();
        let old = receiver("http://127.0.0.1:1");
        let at = |seconds: u64| UnixNano(seconds * 1_000_000_000);
        let error = PostError::Timeout(Duration::from_secs(1));
        assert!(old.refused(&error, "no answer", at(7)));
        assert!(!old.refused(&error, "no answer", at(9)));
        assert_eq!(since(), 7.0);
        let same = receiver("http://127.0.0.1:1");
        same.continue_from(std::slice::from_ref(&old));
        assert_eq!((since(), same.trouble().is_some()), (7.0, true));
        let moved = receiver("http://127.0.0.1:2");
        moved.continue_from(&[same]);
        assert_eq!((since(), moved.trouble()), (0.0, None));
        moved.refused(&error, "no answer", at(11));
        assert!(moved.took(1, Duration::ZERO, at(12)));
        assert_eq!(since(), 0.0);
    }
}
