//! Senders that are refused for what they send or show: said once for each cause when it begins and when it is over, and in
//! `/readyz` meanwhile. An SDK drops what is refused in this way, mostly without a word.
//!
//! The receiver counts refusals by reason; this looks at how the counts grow, also of those that do not say a signal, and
//! of connections without a place. What a sender repeats (no memory, no room) has reasons of its own elsewhere.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::net::places::Doing;
use crate::receive::reason;
use crate::telemetry::registry::Value;
use crate::telemetry::{Registry, desc};
use crate::time::Clock;

/// How often the log is told.
const INTERVAL: Duration = Duration::from_secs(10);
/// So long without a refusal, and it is over.
const QUIET: Duration = Duration::from_secs(5 * 60);

const REQUESTS: &str = "requests";
/// Why no place is left for a connection.
const NO_PLACE: &str = "as many as limits.connections_max are open";

/// Reasons that no sender gets over by itself, of what, and what to do.
const CAUSES: [(&str, &str, &str); 6] = [
    (
        reason::UNAUTHENTICATED,
        REQUESTS,
        "they show no bearer token or a wrong one: give them what is in receivers.otlp.*.auth.bearer_token_file",
    ),
    (
        reason::MALFORMED,
        REQUESTS,
        "what they send is not OTLP, or broken: the answer names the field, and the log at level debug",
    ),
    (
        reason::TOO_LARGE,
        REQUESTS,
        "raise max_recv_msg_size and max_request_body_size of the receiver, and limits.memory, or send smaller batches",
    ),
    (
        reason::UNIMPLEMENTED,
        REQUESTS,
        "the path, content type or encoding is not served: an SDK adds /v1/traces to OTEL_EXPORTER_OTLP_ENDPOINT by itself; \
         the answer says which, and the log at level debug",
    ),
    (
        reason::TLS,
        REQUESTS,
        "they do not get through the handshake: http:// to a port that speaks TLS, an authority that they do not know, or \
         no client certificate; the log at level debug says which",
    ),
    (
        NO_PLACE,
        "connections",
        "these were closed as they came: raise it, together with limits.memory (64KiB each), or have fewer processes send here",
    ),
];

/// What is refused. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub(super) struct Senders(Arc<Mutex<BTreeMap<&'static str, Seen>>>);

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Refused so far.
    count: u64,
    /// When the count grew last, monotonic; `None` while it does not.
    grew: Option<Duration>,
    /// What it was when that began.
    before: u64,
}

impl Senders {
    /// Looks at the counts at `now` (monotonic), logs what begins or is over, and returns what goes on.
    pub(super) fn look(&self, registry: &Registry, now: Duration) -> Vec<String> {
        let counts = counts(registry);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reasons = Vec::new();
        for (cause, what, cure) in CAUSES {
            let count = counts.get(cause).copied().unwrap_or_default();
            let known = seen.entry(cause).or_default();
            let began = known.note(count, now);
            if known.grew.is_some() {
                let refused = known.count - known.before;
                let said = format!("senders are refused, {refused} {what}: {cause}; {cure}");
                if began == Some(true) {
                    tracing::warn!("{said}");
                }
                reasons.push(said);
            } else if began == Some(false) {
                tracing::info!(
                    cause,
                    refused = known.count - known.before,
                    "no more senders are refused"
                );
            }
        }
        reasons
    }
}

impl Seen {
    /// Whether refusals began or are over; `None` when nothing changed.
    fn note(&mut self, count: u64, now: Duration) -> Option<bool> {
        let going_on = self.grew;
        if count > self.count {
            if going_on.is_none() {
                self.before = self.count;
            }
            (self.count, self.grew) = (count, Some(now));
            return going_on.is_none().then_some(true);
        }
        let over = going_on.is_some_and(|grew| now.saturating_sub(grew) >= QUIET);
        over.then(|| {
            self.grew = None;
            false
        })
    }
}

/// Refused requests of all signals by reason, and refused connections.
fn counts(registry: &Registry) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let family = registry.family(desc::RECEIVER_REFUSED_REQUESTS.name);
    for (labels, value) in family.map(|(_, series)| series).unwrap_or_default() {
        if let ([_, _, reason], Value::Count(count)) = (labels.as_slice(), value) {
            *counts.entry(reason.clone()).or_default() += count;
        }
    }
    let (receiver, limit) = (reason::RECEIVER, reason::CONNECTIONS);
    let connections = registry.counter(&desc::RECEIVER_LIMIT_REFUSALS, &[receiver, limit]);
    let beginning = [receiver, Doing::Beginning.name()];
    let evicted = registry.counter(&desc::RECEIVER_EVICTED_CONNECTIONS, &beginning);
    counts.insert(NO_PLACE.to_owned(), connections.get() + evicted.get());
    counts
}

/// Says in the log what changes.
pub(super) async fn watch(senders: Senders, registry: Registry, clock: Arc<dyn Clock>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        drop(senders.look(&registry, clock.monotonic()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_without_the_token_are_a_reason_until_five_minutes_without_one() {
        let (registry, senders) = (Registry::default(), Senders::default());
        let at = Duration::from_secs;
        assert!(senders.look(&registry, at(0)).is_empty());
        let refused = |signal: &str, reason: &str, count| {
            registry
                .counter(&desc::RECEIVER_REFUSED_REQUESTS, &["otlp", signal, reason])
                .add(count);
        };
        refused("traces", reason::UNAUTHENTICATED, 3);
        refused("logs", reason::UNAUTHENTICATED, 2);
        refused("logs", "queue_full", 9);
        let reasons = senders.look(&registry, at(10));
        let expected =
            "senders are refused, 5 requests: unauthenticated; they show no bearer token";
        assert!(matches!(&reasons[..], [said] if said.starts_with(expected)), "{reasons:?}");
        refused("logs", reason::UNAUTHENTICATED, 1);
        assert!(senders.look(&registry, at(200))[0].contains(" 6 requests"));
        assert_eq!(senders.look(&registry, at(499)).len(), 1);
        assert!(senders.look(&registry, at(500)).is_empty());
        refused("logs", reason::UNAUTHENTICATED, 1);
        assert!(senders.look(&registry, at(501))[0].contains(" 1 requests"), "another time");
    }

    #[test]
    fn connections_without_a_place_are_a_reason() {
        let (registry, senders) = (Registry::default(), Senders::default());
        assert!(senders.look(&registry, Duration::ZERO).is_empty());
        registry.counter(&desc::RECEIVER_LIMIT_REFUSALS, &["otlp", "connections"]).add(2);
        let evicted = |state: &str, count| {
            registry.counter(&desc::RECEIVER_EVICTED_CONNECTIONS, &["otlp", state]).add(count);
        };
        evicted("beginning", 1);
        evicted("idle", 70);
        let reasons = senders.look(&registry, Duration::from_secs(10));
        let expected = "senders are refused, 3 connections: as many as limits.connections_max are";
        assert!(matches!(&reasons[..], [said] if said.starts_with(expected)), "{reasons:?}");
    }

    #[test]
    fn a_cause_begins_once_and_is_over_once() {
        let mut seen = Seen::default();
        let at = Duration::from_secs;
        let said: Vec<_> = [(1, 0), (2, 10), (2, 309), (2, 310), (2, 900), (3, 901)]
            .map(|(count, second)| seen.note(count, at(second)))
            .into();
        assert_eq!(said, [Some(true), None, None, Some(false), None, Some(true)]);
    }
}
