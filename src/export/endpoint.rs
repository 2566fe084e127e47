//! What OTLP adds to an [`Endpoint`]: its two protocols and the paths of signals.
//!
//! Source: OTLP exporter specification, "Endpoint URLs for OTLP/HTTP".

use crate::net::endpoint::Endpoint;
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
    /// The port of an endpoint that names none and has no scheme.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Grpc => 4317,
            Self::Http => 4318,
        }
    }

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

/// The path of an OTLP/HTTP request: a base URL gets `v1/<signal>` once, an endpoint of the signal's own is used
/// as it is.
#[must_use]
pub fn http_path(endpoint: &Endpoint, signal: Signal, own: bool) -> String {
    if own {
        return endpoint.path.clone();
    }
    format!("{}/{}", endpoint.path.trim_end_matches('/'), http_suffix(signal))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_gets_the_path_of_the_signal_once_and_an_endpoint_of_its_own_is_used_as_it_is() {
        for (text, base, own) in [
            ("http://h:4318", "/v1/traces", "/"),
            ("http://h/", "/v1/traces", "/"),
            ("http://h:4318/otlp", "/otlp/v1/traces", "/otlp"),
            ("http://h/otlp/", "/otlp/v1/traces", "/otlp/"),
            ("unix:///run/x.sock", "/v1/traces", "/"),
        ] {
            let endpoint = Endpoint::parse(text, false, Protocol::Http.default_port()).unwrap();
            assert_eq!(http_path(&endpoint, Signal::Traces, false), base, "{text}");
            assert_eq!(http_path(&endpoint, Signal::Traces, true), own, "{text}");
        }
    }
}
