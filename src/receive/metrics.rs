//! The receiver's self-metrics: handles made once, so that a measurement is one atomic add.

use std::collections::HashMap;
use std::sync::{OnceLock, PoisonError, RwLock};

use super::reason::{self, RECEIVER};
use crate::net::places::Doing;
use crate::signal::Signal;
use crate::telemetry::{Counter, Desc, Registry, desc};

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Transport {
    Grpc,
    Http,
    /// From an application that holds the agent in its process.
    Process,
}

impl Transport {
    const fn label(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
            Self::Process => "process",
        }
    }
}

/// Counters that exist from the start; refusals by reason are made when they first happen.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    /// At most one for each kind of refusal, transport and signal. Overload refuses often: names are looked up once.
    refusals: RwLock<HashMap<RefusedAs, Refusals>>,
    grpc: ByTransport,
    http: ByTransport,
    /// Made when it first happens: most agents are in no application's process.
    process: OnceLock<ByTransport>,
    pub(super) connections: Counter,
    evicted: [Counter; Doing::ALL.len()],
    pub(super) tls_failures: Counter,
    /// Of those, which spoke.
    pub(super) refused_tls: Counter,
    pub(super) repaired_utf8_bytes: Counter,
    pub(super) repaired_json_strings: Counter,
    pub(super) odd_ids: Counter,
    pub(super) high_ratio: Counter,
    pub(super) headers_refused: Counter,
    pub(super) limit_connections: Counter,
    pub(super) limit_tls_handshake: Counter,
    pub(super) limit_header_time: Counter,
    pub(super) limit_idle: Counter,
    pub(super) limit_connection_age: Counter,
}

/// What a refused request is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RefusedAs {
    pub(super) transport: Transport,
    /// `None` when that was not understood.
    pub(super) signal: Option<Signal>,
    /// The status, of gRPC or HTTP.
    pub(super) code: u16,
    pub(super) reason: &'static str,
    /// The limit behind it.
    pub(super) limit: Option<&'static str>,
}

#[derive(Debug)]
struct Refusals {
    answers: Counter,
    limit: Option<Counter>,
    requests: Counter,
    /// Of a request that says its signal.
    items: Option<Counter>,
}

#[derive(Debug)]
struct ByTransport {
    accepted: [Counter; 4],
    requests_ok: [Counter; 4],
    payload_bytes: Counter,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let plain = |desc: &Desc| registry.counter(desc, &[RECEIVER]);
        let limit = |name| registry.counter(&desc::RECEIVER_LIMIT_REFUSALS, &[RECEIVER, name]);
        Self {
            registry: registry.clone(),
            refusals: RwLock::default(),
            grpc: ByTransport::new(registry, Transport::Grpc),
            http: ByTransport::new(registry, Transport::Http),
            process: OnceLock::new(),
            connections: plain(&desc::RECEIVER_CONNECTIONS),
            evicted: Doing::ALL.map(|doing| {
                registry.counter(&desc::RECEIVER_EVICTED_CONNECTIONS, &[RECEIVER, doing.name()])
            }),
            tls_failures: plain(&desc::RECEIVER_TLS_FAILURES),
            refused_tls: registry
                .counter(&desc::RECEIVER_REFUSED_REQUESTS, &[RECEIVER, "", reason::TLS]),
            repaired_utf8_bytes: plain(&desc::RECEIVER_REPAIRED_UTF8_BYTES),
            repaired_json_strings: plain(&desc::RECEIVER_REPAIRED_JSON_STRINGS),
            odd_ids: plain(&desc::RECEIVER_ODD_IDS),
            high_ratio: plain(&desc::RECEIVER_HIGH_INFLATE_RATIO),
            headers_refused: plain(&desc::RECEIVER_HEADERS_LEFT_OUT),
            limit_connections: limit(reason::CONNECTIONS),
            limit_tls_handshake: limit("tls_handshake_time"),
            limit_header_time: limit("header_time"),
            limit_idle: limit("idle_time"),
            limit_connection_age: limit("connection_age"),
        }
    }

    /// A request was made durable (or was empty).
    pub(super) fn accepted(&self, transport: Transport, signal: Signal, items: u32, bytes: usize) {
        let counters = match transport {
            Transport::Grpc => &self.grpc,
            Transport::Http => &self.http,
            Transport::Process => {
                self.process.get_or_init(|| ByTransport::new(&self.registry, Transport::Process))
            }
        };
        if let (Some(accepted), Some(requests)) =
            (counters.accepted.get(signal.index()), counters.requests_ok.get(signal.index()))
        {
            accepted.add(items.into());
            requests.add(1);
        }
        counters.payload_bytes.add(bytes as u64);
    }

    /// A request was refused. `items` is 0 when it was not understood as far as counting them.
    pub(super) fn refused(&self, refused: &RefusedAs, items: u32) {
        let known = self.refusals.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(refusals) = known.get(refused) {
            return refusals.count(items);
        }
        drop(known);
        let refusals = Refusals::new(&self.registry, refused);
        refusals.count(items);
        self.refusals.write().unwrap_or_else(PoisonError::into_inner).insert(*refused, refusals);
    }

    /// A secret's file changed, or could not be used.
    pub(super) fn reloaded(&self, file: &str, outcome: &str) {
        self.registry.counter(&desc::RECEIVER_RELOADS, &[RECEIVER, file, outcome]).add(1);
    }

    /// A connection's place went to another.
    pub(super) fn evicted(&self, doing: Doing) {
        if let Some(counter) = self.evicted.get(doing as usize) {
            counter.add(1);
        }
    }

    /// A limit of a connection was reached.
    pub(super) fn limit(&self, limit: &str) {
        self.registry.counter(&desc::RECEIVER_LIMIT_REFUSALS, &[RECEIVER, limit]).add(1);
    }
}

impl Refusals {
    fn new(registry: &Registry, refused: &RefusedAs) -> Self {
        let RefusedAs { transport, signal, code, reason, limit } = *refused;
        let (transport, name, code) =
            (transport.label(), signal.map_or("", Signal::name), code.to_string());
        let limit =
            limit.map(|name| registry.counter(&desc::RECEIVER_LIMIT_REFUSALS, &[RECEIVER, name]));
        let requests =
            registry.counter(&desc::RECEIVER_REFUSED_REQUESTS, &[RECEIVER, name, reason]);
        let items = |signal: Signal| {
            registry.counter(refused_items(signal), &[RECEIVER, transport, reason])
        };
        let answers = [RECEIVER, transport, name, &code];
        let answers = registry.counter(&desc::RECEIVER_REQUESTS, &answers);
        Self { answers, limit, requests, items: signal.map(items) }
    }

    fn count(&self, items: u32) {
        self.answers.add(1);
        if let Some(limit) = &self.limit {
            limit.add(1);
        }
        self.requests.add(1);
        if let Some(counter) = &self.items {
            counter.add(items.into());
        }
    }
}

impl ByTransport {
    fn new(registry: &Registry, transport: Transport) -> Self {
        let label = transport.label();
        let ok = match transport {
            Transport::Grpc | Transport::Process => "0",
            Transport::Http => "200",
        };
        Self {
            accepted: Signal::ALL
                .map(|signal| registry.counter(accepted_items(signal), &[RECEIVER, label])),
            requests_ok: Signal::ALL.map(|signal| {
                registry.counter(&desc::RECEIVER_REQUESTS, &[RECEIVER, label, signal.name(), ok])
            }),
            payload_bytes: registry.counter(&desc::RECEIVER_PAYLOAD_BYTES, &[RECEIVER, label]),
        }
    }
}

const fn accepted_items(signal: Signal) -> &'static Desc {
    match signal {
        Signal::Traces => &desc::RECEIVER_ACCEPTED_SPANS,
        Signal::Metrics => &desc::RECEIVER_ACCEPTED_METRIC_POINTS,
        Signal::Logs => &desc::RECEIVER_ACCEPTED_LOG_RECORDS,
        Signal::Profiles => &desc::RECEIVER_ACCEPTED_PROFILES,
    }
}

const fn refused_items(signal: Signal) -> &'static Desc {
    match signal {
        Signal::Traces => &desc::RECEIVER_REFUSED_SPANS,
        Signal::Metrics => &desc::RECEIVER_REFUSED_METRIC_POINTS,
        Signal::Logs => &desc::RECEIVER_REFUSED_LOG_RECORDS,
        Signal::Profiles => &desc::RECEIVER_REFUSED_PROFILES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_each_as_what_it_is() {
        let registry = Registry::default();
        let metrics = Metrics::new(&registry);
        let memory = RefusedAs {
            transport: Transport::Grpc,
            signal: Some(Signal::Traces),
            code: 14,
            reason: "memory",
            limit: Some("in_flight_bytes"),
        };
        let large = RefusedAs { limit: Some("large_requests"), ..memory };
        let unknown = RefusedAs { signal: None, limit: None, ..memory };
        for (refused, items) in [(memory, 3), (large, 0), (memory, 4), (unknown, 0)] {
            metrics.refused(&refused, items);
        }
        for (desc, labels, expected) in [
            (&desc::RECEIVER_REQUESTS, &["otlp", "grpc", "traces", "14"][..], 3),
            (&desc::RECEIVER_REQUESTS, &["otlp", "grpc", "", "14"], 1),
            (&desc::RECEIVER_REFUSED_SPANS, &["otlp", "grpc", "memory"], 7),
            (&desc::RECEIVER_REFUSED_REQUESTS, &["otlp", "traces", "memory"], 3),
            (&desc::RECEIVER_REFUSED_REQUESTS, &["otlp", "", "memory"], 1),
            (&desc::RECEIVER_LIMIT_REFUSALS, &["otlp", "in_flight_bytes"], 2),
            (&desc::RECEIVER_LIMIT_REFUSALS, &["otlp", "large_requests"], 1),
        ] {
            assert_eq!(registry.counter(desc, labels).get(), expected, "{labels:?}");
        }
        assert_eq!(metrics.refusals.read().unwrap().len(), 3);
    }
}
