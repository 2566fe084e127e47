//! Endpoints: parsed once, joined with the path of a signal.
//!
//! Source: OTLP exporter specification, "Endpoint URLs for OTLP/HTTP"; gRPC naming for `unix:`.
//!
//! ```text
//! http://host[:port][/path]    plain text; port 80 unless given
//! https://host[:port][/path]   TLS; port 443 unless given
//! unix:///path, unix:path      a Unix socket, plain text
//! host[:port]                  TLS, or plain text when `tls.insecure`; port 4317 (gRPC), 4318 (HTTP)
//! ```

use std::fmt;
use std::path::PathBuf;

use crate::signal::Signal;

/// How requests are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC over HTTP/2.
    Grpc,
    /// OTLP/HTTP.
    Http,
}

impl Protocol {
    /// The default of `batch.max_request_size` in bytes: below the 4 MiB that gRPC servers take
    /// unless told otherwise, or 16 MiB.
    #[must_use]
    pub const fn max_request_size(self) -> usize {
        match self {
            Self::Grpc => 3_670_016,
            Self::Http => 16 << 20,
        }
    }
}

/// Where a receiver listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The address to connect to.
    pub address: Address,
    /// Whether the connection uses TLS.
    pub tls: bool,
    /// The path of the URL: starts with `/`.
    pub path: String,
}

/// What to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A host (name or address, without brackets) and a port.
    Tcp {
        /// A name or an IP address.
        host: String,
        /// 1 to 65535.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// An endpoint that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Nothing was given.
    #[error("the endpoint is empty")]
    Empty,
    /// A scheme other than http, https and unix.
    #[error("unknown scheme `{0}`: use http, https or unix")]
    Scheme(String),
    /// No host.
    #[error("the endpoint has no host")]
    Host,
    /// A port that is not a number from 1 to 65535.
    #[error("`{0}` is not a port")]
    Port(String),
    /// User information, a query or a fragment.
    #[error("an endpoint has no user, query or fragment")]
    Extra,
    /// Characters that no URL has.
    #[error("the endpoint holds a character that no URL has")]
    Character,
}

impl Endpoint {
    /// Parses `text`. Without a scheme, `insecure` decides whether TLS is used, and `protocol` gives
    /// the port when none is written.
    ///
    /// # Errors
    /// [`EndpointError`] says what is wrong; show it beside the text.
    pub fn parse(
        text: &str,
        insecure: bool,
        protocol: Option<Protocol>,
    ) -> Result<Self, EndpointError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(EndpointError::Empty);
        }
        if !text.bytes().all(|b| (0x21..0x7f).contains(&b)) {
            return Err(EndpointError::Character);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err(EndpointError::Host);
            }
            let address = Address::Unix(path.into());
            return Ok(Self { address, tls: false, path: "/".to_owned() });
        }
        let default_port = match protocol {
            Some(Protocol::Http) => 4318,
            Some(Protocol::Grpc) | None => 4317,
        };
        let (tls, port, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, 80, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, 443, rest),
            Some((scheme, _)) => return Err(EndpointError::Scheme(scheme.to_owned())),
            None => (!insecure, default_port, text),
        };
        if rest.contains(['@', '?', '#']) {
            return Err(EndpointError::Extra);
        }
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let (host, port) = split_port(authority, port)?;
        Ok(Self { address: Address::Tcp { host, port }, tls, path: path.to_owned() })
    }

    /// The host and port as they go into `:authority` or `Host`.
    #[must_use]
    pub fn authority(&self) -> String {
        match &self.address {
            Address::Unix(_) => "localhost".to_owned(),
            Address::Tcp { host, port } => {
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                match (self.tls, port) {
                    (false, 80) | (true, 443) => host,
                    _ => format!("{host}:{port}"),
                }
            }
        }
    }

    /// The path of an OTLP/HTTP request: a base URL gets `v1/<signal>` once, an endpoint of the
    /// signal's own is used as it is.
    #[must_use]
    pub fn http_path(&self, signal: Signal, own: bool) -> String {
        if own {
            return self.path.clone();
        }
        format!("{}/{}", self.path.trim_end_matches('/'), http_suffix(signal))
    }
}

/// The part of an OTLP/HTTP path that names the signal.
#[must_use]
pub const fn http_suffix(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "v1/traces",
        Signal::Metrics => "v1/metrics",
        Signal::Logs => "v1/logs",
        Signal::Profiles => "v1development/profiles",
    }
}

/// The path of a gRPC export call.
#[must_use]
pub const fn grpc_path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Signal::Profiles => {
            "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"
        }
    }
}

fn split_port(authority: &str, default_port: u16) -> Result<(String, u16), EndpointError> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(EndpointError::Host)?;
        (host, rest)
    } else {
        match authority.find(':') {
            Some(at) => authority.split_at(at),
            None => (authority, ""),
        }
    };
    if host.is_empty() {
        return Err(EndpointError::Host);
    }
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => default_port,
        None => return Err(EndpointError::Port(port.to_owned())),
        Some(digits) => match digits.parse() {
            Ok(port) if port != 0 => port,
            _ => return Err(EndpointError::Port(digits.to_owned())),
        },
    };
    Ok((host.to_owned(), port))
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
            Address::Tcp { .. } => {
                let scheme = if self.tls { "https" } else { "http" };
                let path = if self.path == "/" { "" } else { &self.path };
                write!(f, "{scheme}://{}{path}", self.authority())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, insecure: bool, protocol: Protocol) -> String {
        match Endpoint::parse(text, insecure, Some(protocol)) {
            Ok(e) => format!("{e} → {}", e.http_path(Signal::Traces, false)),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn endpoints_are_read_as_the_specification_says() {
        use Protocol::{Grpc, Http};
        for (text, insecure, protocol, want) in [
            ("http://h:4318", false, Http, "http://h:4318 → /v1/traces"),
            ("http://h:4318/", false, Http, "http://h:4318 → /v1/traces"),
            ("http://h:4318/otlp", false, Http, "http://h:4318/otlp → /otlp/v1/traces"),
            ("http://h:4318/otlp/", false, Http, "http://h:4318/otlp/ → /otlp/v1/traces"),
            ("http://h", false, Http, "http://h → /v1/traces"),
            ("http://h:80", false, Http, "http://h → /v1/traces"),
            ("https://h", false, Http, "https://h → /v1/traces"),
            ("https://h:443/x", false, Http, "https://h/x → /x/v1/traces"),
            ("HTTPS://h:4317", true, Grpc, "https://h:4317 → /v1/traces"),
            ("h:4317", false, Grpc, "https://h:4317 → /v1/traces"),
            ("h:4317", true, Grpc, "http://h:4317 → /v1/traces"),
            ("h", true, Grpc, "http://h:4317 → /v1/traces"),
            ("h", true, Http, "http://h:4318 → /v1/traces"),
            ("[::1]:4317", true, Grpc, "http://[::1]:4317 → /v1/traces"),
            ("http://[::1]", true, Grpc, "http://[::1] → /v1/traces"),
            ("unix:///run/x.sock", false, Grpc, "unix:///run/x.sock → /v1/traces"),
            ("unix:run/x.sock", false, Http, "unix://run/x.sock → /v1/traces"),
            ("ftp://h", false, Http, "unknown scheme `ftp`: use http, https or unix"),
            ("http://", false, Http, "the endpoint has no host"),
            ("http://h:0", false, Http, "`0` is not a port"),
            ("http://h:x", false, Http, "`x` is not a port"),
            ("http://h:70000", false, Http, "`70000` is not a port"),
            ("http://u:p@h", false, Http, "an endpoint has no user, query or fragment"),
            ("http://h/?a=b", false, Http, "an endpoint has no user, query or fragment"),
            ("http://h /x", false, Http, "the endpoint holds a character that no URL has"),
            ("", false, Http, "the endpoint is empty"),
            ("unix:", false, Http, "the endpoint has no host"),
        ] {
            assert_eq!(shown(text, insecure, protocol), want, "{text}");
        }
    }

    #[test]
    fn an_endpoint_of_a_signals_own_is_used_as_it_is() {
        for (text, want) in [("http://h/in/x", "/in/x"), ("http://h", "/"), ("http://h/", "/")] {
            let endpoint = Endpoint::parse(text, false, Some(Protocol::Http)).unwrap();
            assert_eq!(endpoint.http_path(Signal::Logs, true), want);
        }
    }
}
