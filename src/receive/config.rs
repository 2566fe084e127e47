//! What the receiver does, resolved: plain data, every default as documented.
//!
//! Every listener answers gRPC and HTTP alike; which protocol a port is for is a convention, so the
//! three listeners have one shape and differ only in where they are bound.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;

use crate::memory::Budget;

/// Every listener, and the limits they share.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Bound in this order. The default is gRPC on 127.0.0.1:4317 and HTTP on 127.0.0.1:4318.
    pub listeners: Vec<Listener>,
    /// Request headers that travel with a record, because some exporter passes them on. Everything
    /// else, `authorization` included, is forgotten when the request ends.
    pub headers_from_context: Vec<HeaderName>,
    /// Connections served at once, over all listeners; for one more the one that has sent least is closed, or the newcomer.
    pub connections_max: usize,
    /// How many HTTP/2 connections at once have wide windows.
    pub wide_connections_max: usize,
    /// Largest body, on the wire and inflated, that is taken without the permit of which there is
    /// one: a single larger request assembles at a time.
    pub large_request_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self::with_budget(&Budget::split(128 << 20))
    }
}

impl Config {
    /// The documented defaults under `budget`.
    #[must_use]
    pub fn with_budget(budget: &Budget) -> Self {
        let tcp = |endpoint: &str| Listener {
            message_bytes_max: budget.message,
            ..Listener::new(Bind::Tcp(endpoint.to_owned()))
        };
        Self {
            listeners: vec![tcp("127.0.0.1:4317"), tcp("127.0.0.1:4318")],
            headers_from_context: Vec::new(),
            connections_max: Self::connections_for(budget),
            wide_connections_max: Self::wide_connections_for(budget),
            large_request_bytes: 4 << 20,
        }
    }

    /// HTTP/2 connections whose wide windows half of the transport budget pays for.
    const fn wide_connections_for(budget: &Budget) -> usize {
        budget.transport / 2 / Windows::WIDE.connection as usize
    }

    /// These, and those with narrow windows that the other half pays for.
    fn connections_for(budget: &Budget) -> usize {
        let narrow = budget.transport / 2 / Windows::NARROW.connection as usize;
        (Self::wide_connections_for(budget) + narrow).clamp(1, 1024)
    }
}

/// What a peer may send on an HTTP/2 connection before it is read, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// On all streams.
    pub connection: u32,
    /// On one stream, before its body is read.
    pub stream: u32,
    /// In one frame.
    pub frame: u32,
}

impl Windows {
    /// Of the first connections. Most requests fit: their senders are not held up, and what comes in one frame is not copied.
    pub const WIDE: Self = Self { connection: 1 << 20, stream: 1 << 20, frame: 1 << 20 };
    /// Of all others, and what is read of an HTTP/1.1 connection at a time: the least that HTTP/2 allows on a connection.
    pub const NARROW: Self = Self { connection: 64 << 10, stream: 64 << 10, frame: 64 << 10 };
}

/// Streams per HTTP/2 connection.
pub const STREAMS_MAX: u32 = 128;
/// Names and values of one request's headers, in bytes.
pub const HEADER_BYTES_MAX: u32 = 16 << 10;

/// One listening socket.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// Where.
    pub bind: Bind,
    /// Largest message, on the wire and inflated, in bytes. Default: min(64 MiB, M/4).
    pub message_bytes_max: usize,
    /// Paths of the HTTP endpoints.
    pub paths: Paths,
    /// Absent = plain text.
    pub tls: Option<Tls>,
    /// Absent = everybody may send.
    pub auth: Option<Auth>,
    /// What happens to strings that are not UTF-8.
    pub invalid_utf8: InvalidUtf8,
    /// How long a peer may take.
    pub timeouts: Timeouts,
    /// Pings and the age of connections.
    pub keepalive: Keepalive,
    /// Which web pages may send. Default: none.
    pub cors: Cors,
}

impl Listener {
    /// A listener with the documented defaults.
    #[must_use]
    pub fn new(bind: Bind) -> Self {
        Self {
            bind,
            message_bytes_max: Budget::split(128 << 20).message,
            paths: Paths::default(),
            tls: None,
            auth: None,
            invalid_utf8: InvalidUtf8::Repair,
            timeouts: Timeouts::default(),
            keepalive: Keepalive::default(),
            cors: Cors::default(),
        }
    }
}

/// Where a listener is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// `host:port`; port 0 takes a free one.
    Tcp(String),
    /// A Unix socket.
    Unix {
        /// Its path. A stale socket there is replaced; a live one, or any other file, is not.
        path: PathBuf,
        /// Its permission bits. Default: 0660.
        mode: u32,
    },
}

/// Paths of the HTTP endpoints, with the leading slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Default: `/v1/traces`.
    pub traces: String,
    /// Default: `/v1/metrics`.
    pub metrics: String,
    /// Default: `/v1/logs`.
    pub logs: String,
    /// Default: `/v1development/profiles`.
    pub profiles: String,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            traces: "/v1/traces".into(),
            metrics: "/v1/metrics".into(),
            logs: "/v1/logs".into(),
            profiles: "/v1development/profiles".into(),
        }
    }
}

/// TLS, mutual when there is a client CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// PEM certificate chain.
    pub cert_file: PathBuf,
    /// PEM private key.
    pub key_file: PathBuf,
    /// PEM certificates of which one must have signed the client's. Absent = clients are not asked.
    pub client_ca_file: Option<PathBuf>,
    /// How often the files are looked at for changes. Default: 1 minute.
    pub reload_interval: Duration,
}

/// A bearer token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// Holds the token; white space around it does not count.
    pub bearer_token_file: PathBuf,
    /// How often the file is looked at for changes, and for how long the token before is taken beside a new one. Default: 1
    /// minute.
    pub reload_interval: Duration,
}

/// What happens to strings that are not UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InvalidUtf8 {
    /// Each invalid byte becomes `?`, counted.
    #[default]
    Repair,
    /// The request is refused.
    Reject,
}

/// How long a peer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From a connection, or the first byte of a request on it, to the last byte of the headers;
    /// looked at in steps of its length. Also the whole TLS handshake. Default: 10 s.
    pub header: Duration,
    /// For a body, beyond the time that it takes at 1 KiB/s; one that stands still ends after one to two of it. Default:
    /// 30 s.
    pub body: Duration,
    /// For a connection without a request; looked at in steps of its length. Longer than the minute
    /// after which SDKs send metrics again. Default: 75 s.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(75),
        }
    }
}

/// Pings and the age of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// How often a silent HTTP/2 peer is pinged. Default: 60 s.
    pub time: Duration,
    /// How long it may take to answer. Default: 20 s.
    pub timeout: Duration,
    /// A connection this old is told to go away, so that clients spread over replicas again; varied
    /// by ±10 %. Absent = never, the default.
    pub max_connection_age: Option<Duration>,
    /// How long its last requests may take after that. Default: 30 s.
    pub max_connection_age_grace: Duration,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(60),
            timeout: Duration::from_secs(20),
            max_connection_age: None,
            max_connection_age_grace: Duration::from_secs(30),
        }
    }
}

/// Which web pages may send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// Origins such as `https://shop.example`; one `*` in each stands for anything. Empty = none.
    pub allowed_origins: Vec<String>,
    /// Request headers that pages may set beyond `content-type`; `*` = whatever they ask for.
    pub allowed_headers: Vec<String>,
    /// How long a browser may remember the answer; zero leaves it to the browser.
    pub max_age: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_windows_of_all_connections_fit_the_transport_budget() {
        for mebibytes in [16, 32, 128, 1_024, 65_536] {
            let budget = Budget::split(mebibytes << 20);
            let all = Config::connections_for(&budget);
            let wide = Config::wide_connections_for(&budget).min(all);
            let bytes = |of: Windows, connections: usize| of.connection as usize * connections;
            let held = bytes(Windows::WIDE, wide) + bytes(Windows::NARROW, all - wide);
            assert!(held <= budget.transport, "{mebibytes}");
            assert!(all >= (budget.transport >> 20) * 8 || all == 1_024, "{mebibytes}: {all}");
        }
    }
}
