//! What the exporters do, resolved: plain data, every default as documented.

use std::path::PathBuf;
use std::time::Duration;

pub use super::endpoint::Protocol;

use crate::journal::{SignalSet, Start, WhenFull};
use crate::net::endpoint::Endpoint;
use crate::net::retry::Policy;
use crate::net::secret::Secret;
use crate::net::tls::TlsConfig;
use crate::signal::Signal;

/// The most bytes of one request, before and after compression (OTLP exporter specification).
pub const REQUEST_BYTES_MAX: usize = 64 << 20;

/// Every destination.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// In the order of the configuration; names are unique.
    pub destinations: Vec<Destination>,
}

/// One destination: where it is, what it gets and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Destination {
    /// Its identity, for example `otlp_grpc/tempo`.
    pub name: String,
    /// The signals that it gets: a lane each.
    pub signals: SignalSet,
    /// What it is.
    pub target: Target,
    /// Lower-case names of journalled request headers that are passed on. Requests whose values
    /// differ are never merged.
    pub headers_from_context: Vec<String>,
    /// When a failed batch is sent again.
    pub retry: Retry,
    /// What waits and what is sent together.
    pub queue: Queue,
}

impl Destination {
    /// A destination with the documented defaults for everything but its name and target.
    #[must_use]
    pub fn new(name: impl Into<String>, target: Target) -> Self {
        let max_request_size = match &target {
            Target::Otlp(client) => client.protocol.max_request_size(),
            Target::Debug(_) | Target::File(_) => Protocol::Http.max_request_size(),
        };
        Self {
            name: name.into(),
            signals: SignalSet::ALL,
            target,
            headers_from_context: Vec::new(),
            retry: Retry::default(),
            queue: Queue {
                batch: Batch { max_request_size, ..Batch::default() },
                ..Queue::default()
            },
        }
    }
}

/// What a destination is.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// An OTLP receiver over gRPC or HTTP.
    Otlp(Box<ClientConfig>),
    /// Standard error, for looking.
    Debug(DebugConfig),
    /// OTLP/JSON lines in a file.
    File(FileConfig),
}

/// The `debug` exporter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DebugConfig {
    /// Whether payloads are written as OTLP/JSON, or only their counts.
    pub detailed: bool,
}

/// The `file` exporter: one OTLP/JSON request a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileConfig {
    /// The file; rotated ones get the suffix `.1`, `.2`, … from the newest to the oldest.
    pub path: PathBuf,
    /// A file of at least this many bytes is rotated.
    pub max_size: u64,
    /// Rotated files kept.
    pub max_backups: usize,
}

impl FileConfig {
    /// 100 MiB a file and 3 rotated ones.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), max_size: 100 << 20, max_backups: 3 }
    }
}

/// How to reach one OTLP receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientConfig {
    /// gRPC or HTTP.
    pub protocol: Protocol,
    /// Of HTTP bodies; gRPC is always protobuf.
    pub encoding: Encoding,
    /// Where it listens; HTTP appends `v1/<signal>`.
    pub endpoint: Endpoint,
    /// Endpoints that hold for one signal, used as they are.
    pub signal_endpoints: Vec<(Signal, Endpoint)>,
    /// Of request bodies.
    pub compression: Compression,
    /// Sent with every request, names in lower case.
    pub headers: Vec<(String, Secret)>,
    /// A file with a token, read for each request and sent as `authorization`.
    pub bearer_token_file: Option<PathBuf>,
    /// For endpoints that use TLS.
    pub tls: TlsConfig,
    /// From the first attempt to connect to the last byte of the response.
    pub timeout: Duration,
    /// Silence during a request after which an HTTP/2 connection is probed with a ping. Between requests none is: servers
    /// end connections for that.
    pub keepalive_time: Duration,
    /// How long the answer to a ping may take.
    pub keepalive_timeout: Duration,
    /// Sent as `user-agent`.
    pub user_agent: String,
}

impl ClientConfig {
    /// A client with the documented defaults.
    #[must_use]
    pub fn new(protocol: Protocol, endpoint: Endpoint) -> Self {
        Self {
            protocol,
            encoding: Encoding::Proto,
            endpoint,
            signal_endpoints: Vec::new(),
            compression: Compression::Gzip(1),
            headers: Vec::new(),
            bearer_token_file: None,
            tls: TlsConfig::default(),
            timeout: Duration::from_secs(10),
            keepalive_time: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(10),
            user_agent: concat!(
                "Sidelight/",
                env!("CARGO_PKG_VERSION"),
                " OTel-OTLP-Exporter-Rust/",
                env!("CARGO_PKG_VERSION")
            )
            .to_owned(),
        }
    }

    /// The endpoint of `signal`, and whether it holds for that signal alone.
    #[must_use]
    pub fn endpoint_of(&self, signal: Signal) -> (&Endpoint, bool) {
        let own = self.signal_endpoints.iter().find(|(s, _)| *s == signal);
        own.map_or((&self.endpoint, false), |(_, endpoint)| (endpoint, true))
    }
}

/// The encoding of an HTTP body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`.
    Proto,
    /// `application/json`.
    Json,
}

/// The compression of request bodies, with its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As it is.
    None,
    /// gzip, 1 to 9.
    Gzip(u32),
    /// zstd, 1 to 19.
    Zstd(i32),
}

/// When a failed batch is sent again.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// Whether it is sent again at all.
    pub enabled: bool,
    /// How its waits grow.
    pub policy: Policy,
    /// From a batch's first attempt until it is given up; zero = as long as the journal holds it.
    pub max_elapsed_time: Duration,
    /// Whether answers that condemn the destination (401, 403, 404, 405, redirects, UNAUTHENTICATED,
    /// PERMISSION_DENIED, UNIMPLEMENTED) hold the lane; else they drop the batch.
    pub hold_on_config_error: bool,
    /// HTTP statuses that are retried besides 429, 502, 503 and 504.
    pub extra_http_statuses: Vec<u16>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            enabled: true,
            policy: Policy::default(),
            max_elapsed_time: Duration::ZERO,
            hold_on_config_error: true,
            extra_http_statuses: Vec::new(),
        }
    }
}

/// What waits for one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Requests in flight per lane; metrics always have one, in journal order.
    pub num_consumers: usize,
    /// Whether a backlog at the journal's cap refuses senders or loses its oldest records.
    pub when_full: WhenFull,
    /// Where a destination that the journal does not know begins.
    pub start: Start,
    /// What is sent together.
    pub batch: Batch,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            num_consumers: 4,
            when_full: WhenFull::Reject,
            start: Start::End,
            batch: Batch::default(),
        }
    }
}

/// What is sent together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Records are merged up to this many bytes.
    pub max_size: usize,
    /// The most bytes of one request, uncompressed; a larger record is split.
    pub max_request_size: usize,
    /// How long a record waits for others.
    pub flush_timeout: Duration,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            max_size: 2 << 20,
            max_request_size: Protocol::Grpc.max_request_size(),
            flush_timeout: Duration::from_millis(200),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let mut config =
            ClientConfig::new(Protocol::Http, Endpoint::parse("http://h:1", true, 4317).unwrap());
        config.headers.push(("authorization".to_owned(), Secret::new("Bearer hunter2")));
        let shown = format!("{:?}", Destination::new("otlp_http", Target::Otlp(config.into())));
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("[redacted]"));
    }
}
