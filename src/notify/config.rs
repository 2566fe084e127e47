//! Who is told of alerts, and how: plain data, every default as documented.

use std::path::PathBuf;
use std::time::Duration;

use crate::alert::Pairs;
use crate::net::endpoint::Endpoint;
use crate::net::retry::Policy;
use crate::net::secret::Secret;
use crate::net::tls::TlsConfig;

/// `alerting` in the configuration file.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Alertmanagers: each gets every alert.
    pub alertmanagers: Vec<Peer>,
    /// Webhooks: each gets groups of alerts.
    pub webhooks: Vec<Webhook>,
    /// Whether every transition is a log record that exporters forward. Default no.
    pub otlp: bool,
    /// Added to every alert that has no label of that name, sorted.
    pub external_labels: Pairs,
    /// Where this agent can be looked at from elsewhere; empty when nobody said.
    pub external_url: String,
    /// The file of silences and history; in memory only when absent.
    pub database: Option<PathBuf>,
    /// Alerts that wait for one Alertmanager, and alerts that one webhook knows. Default 10,000.
    pub alerts_max: usize,
    /// How long one notification is tried before it is given up until the alert is due again. Default 5 m.
    pub retry_time_max: Duration,
    /// Waits between tries.
    pub retry: Policy,
    /// How long history is kept. Default 90 d.
    pub history_age: Duration,
    /// Transitions kept, and delivery results kept. Default 50,000 of each.
    pub history_rows_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            alertmanagers: Vec::new(),
            webhooks: Vec::new(),
            otlp: false,
            external_labels: Vec::new(),
            external_url: String::new(),
            database: None,
            alerts_max: 10_000,
            retry_time_max: Duration::from_secs(300),
            retry: Policy { multiplier: 2.0, ..Policy::default() },
            history_age: Duration::from_secs(90 * 86_400),
            history_rows_max: 50_000,
        }
    }
}

/// One receiver and how it is reached.
#[derive(Clone, PartialEq)]
pub struct Peer {
    /// Its identity over restarts, unique: what API, metrics and history call it.
    pub name: String,
    /// Where it listens; for an Alertmanager without `/api/v2/alerts`.
    pub endpoint: Endpoint,
    /// What follows `?` in its URL, with the sign; empty when nothing does. May hold a secret, as the path may.
    pub query: Secret,
    /// For an endpoint that uses TLS.
    pub tls: TlsConfig,
    /// A file with a bearer token, read for every request.
    pub bearer_token_file: Option<PathBuf>,
    /// Sent with every request, names in lower case.
    pub headers: Vec<(String, Secret)>,
    /// From the first attempt to connect to the last byte of the answer. Default 10 s.
    pub timeout: Duration,
}

impl Peer {
    /// A receiver with the documented defaults.
    #[must_use]
    pub fn new(name: impl Into<String>, endpoint: Endpoint) -> Self {
        Self {
            name: name.into(),
            endpoint,
            query: Secret::default(),
            tls: TlsConfig::default(),
            bearer_token_file: None,
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
        }
    }

    /// Scheme, host and port. Paths of webhooks hold keys, so they are not shown.
    #[must_use]
    pub fn address(&self) -> String {
        Endpoint { path: "/".to_owned(), ..self.endpoint.clone() }.to_string()
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // All of it but the path of the URL.
        f.debug_struct("Peer")
            .field("name", &self.name)
            .field("address", &self.address())
            .field("query", &self.query)
            .field("tls", &self.tls)
            .field("bearer_token_file", &self.bearer_token_file)
            .field("headers", &self.headers)
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// A webhook: a receiver of Alertmanager's own body.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// Where it is.
    pub peer: Peer,
    /// Alerts are told together.
    pub grouping: Grouping,
    /// The most alerts in one body; what is cut is counted in it. Default 1,000.
    pub alerts_max: usize,
}

/// What is told together, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// Labels of which each combination of values is a group. Default alertname and service_name.
    pub by: Vec<String>,
    /// How long a group's first alert waits for others. Default 1 s.
    pub wait: Duration,
    /// The least time between two notifications of a group. Default 5 m.
    pub interval: Duration,
    /// After this long a group that still fires is told again. Default 4 h.
    pub repeat: Duration,
    /// Whether it is told that alerts are over. Default yes.
    pub send_resolved: bool,
}

impl Default for Grouping {
    fn default() -> Self {
        Self {
            by: vec!["alertname".to_owned(), "service_name".to_owned()],
            wait: Duration::from_secs(1),
            interval: Duration::from_secs(300),
            repeat: Duration::from_secs(4 * 3_600),
            send_resolved: true,
        }
    }
}
