//! Where OTLP goes: what code said, else the environment, else the agent's Unix socket where this user may have it, else
//! the agent's port on this machine.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::env::{Environment, Protocol};
use super::error::StartError;
use super::signal::Signal;

/// The agent's socket, as its packages set it up.
const SOCKET: &str = "/run/sidelight/otlp.sock";

/// One destination.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Endpoint {
    /// `unix:///path`: gRPC over a Unix socket.
    Unix(PathBuf),
    /// gRPC; a URI of scheme and authority.
    Grpc(String),
    /// HTTP with protobuf bodies; the whole URL of the signal.
    Http(String),
}

impl Endpoint {
    /// That of `signal`.
    pub(crate) fn resolve(
        signal: Signal,
        code: Option<&str>,
        environment: &Environment,
    ) -> Result<Self, StartError> {
        let protocol = environment
            .protocol
            .get(signal)
            .clone()
            .map_err(|(variable, value)| StartError::Protocol { variable, value })?;
        let insecure = *environment.insecure.get(signal);
        if let Some(code) = code {
            return parse(code, protocol, insecure, Some(signal));
        }
        if let Some(own) = environment.signal_endpoint.get(signal) {
            return parse(own, protocol, insecure, None);
        }
        if let Some(all) = &environment.endpoint {
            return parse(all, protocol, insecure, Some(signal));
        }
        Ok(match protocol {
            Protocol::Grpc if is_open(Path::new(SOCKET)) => Self::Unix(PathBuf::from(SOCKET)),
            Protocol::Grpc => Self::Grpc("http://127.0.0.1:4317".to_owned()),
            Protocol::HttpProtobuf => Self::Http(format!("http://127.0.0.1:4318/v1/{signal}")),
        })
    }

    /// As a log line shows it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Unix(path) => format!("unix://{}", path.display()),
            Self::Grpc(uri) | Self::Http(uri) => uri.clone(),
        }
    }
}

/// Whether this user may look for the socket, which is there or will be. An agent that is set up for a group lets nobody else
/// into the directory.
fn is_open(socket: &Path) -> bool {
    match socket.metadata() {
        Ok(_) => true,
        Err(error) => {
            error.kind() == ErrorKind::NotFound && socket.parent().is_some_and(Path::is_dir)
        }
    }
}

/// `append` names the signal whose path an HTTP endpoint for all signals gets.
fn parse(
    written: &str,
    protocol: Protocol,
    insecure: Option<bool>,
    append: Option<Signal>,
) -> Result<Endpoint, StartError> {
    let refuse = |reason: &str| StartError::Endpoint {
        endpoint: written.to_owned(),
        reason: reason.to_owned(),
    };
    if let Some(path) = written.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if !path.starts_with('/') {
            return Err(refuse("a socket is written unix:///path/of/the.sock"));
        }
        if protocol == Protocol::HttpProtobuf {
            return Err(refuse(
                "http/protobuf is not spoken over Unix sockets: leave the protocol at grpc",
            ));
        }
        return Ok(Endpoint::Unix(PathBuf::from(path)));
    }
    let uri = match written.split_once("://") {
        Some(("http" | "https", _)) => written.to_owned(),
        Some(_) => return Err(refuse("the scheme is none of http, https, unix")),
        None if insecure.unwrap_or_else(|| is_loopback(written)) => format!("http://{written}"),
        None => format!("https://{written}"),
    };
    let authority =
        uri.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or(rest));
    if authority.is_empty() || authority.contains(char::is_whitespace) {
        return Err(refuse("there is no host in it"));
    }
    match (protocol, append) {
        (Protocol::Grpc, _) => Ok(Endpoint::Grpc(uri)),
        (Protocol::HttpProtobuf, None) => Ok(Endpoint::Http(uri)),
        (Protocol::HttpProtobuf, Some(signal)) => {
            Ok(Endpoint::Http(format!("{}/v1/{signal}", uri.trim_end_matches('/'))))
        }
    }
}

fn is_loopback(authority: &str) -> bool {
    let host = authority.split('/').next().unwrap_or(authority);
    ["localhost:", "127.0.0.1:", "[::1]:"].iter().any(|prefix| host.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written, the variables beside it, what it means.
    type Row = (&'static str, &'static [(&'static str, &'static str)], Endpoint);

    #[test]
    fn spellings_and_what_they_mean() {
        let grpc = |uri: &str| Endpoint::Grpc(uri.to_owned());
        let http = |uri: &str| Endpoint::Http(uri.to_owned());
        let table: [Row; 8] = [
            ("unix:///run/a.sock", &[], Endpoint::Unix("/run/a.sock".into())),
            ("unix:/run/a.sock", &[], Endpoint::Unix("/run/a.sock".into())),
            ("http://collector:4317", &[], grpc("http://collector:4317")),
            ("127.0.0.1:4317", &[], grpc("http://127.0.0.1:4317")),
            ("collector:4317", &[], grpc("https://collector:4317")),
            (
                "collector:4317",
                &[("OTEL_EXPORTER_OTLP_INSECURE", "true")],
                grpc("http://collector:4317"),
            ),
            (
                "http://collector:4318/otlp/",
                &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")],
                http("http://collector:4318/otlp/v1/traces"),
            ),
            ("localhost:1", &[], grpc("http://localhost:1")),
        ];
        for (written, variables, expected) in table {
            let found =
                Endpoint::resolve(Signal::Traces, Some(written), &Environment::of(variables))
                    .unwrap();
            assert_eq!(found, expected, "{written}");
        }
    }

    #[test]
    fn code_goes_before_the_variable_of_the_signal_before_that_of_all() {
        let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4317");
        let own = ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://own:4317");
        let resolve = |code, variables: &[(&str, &str)]| {
            Endpoint::resolve(Signal::Logs, code, &Environment::of(variables)).unwrap().shown()
        };
        assert_eq!(resolve(Some("http://code:4317"), &[all, own]), "http://code:4317");
        assert_eq!(resolve(None, &[all, own]), "http://own:4317");
        assert_eq!(resolve(None, &[all]), "http://all:4317");
    }

    #[test]
    fn an_endpoint_of_one_signal_over_http_is_used_as_it_stands() {
        let environment = Environment::of(&[
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://own:4318/in"),
        ]);
        let resolve = |signal| Endpoint::resolve(signal, None, &environment).unwrap().shown();
        assert_eq!(resolve(Signal::Traces), "http://own:4318/in");
        assert_eq!(resolve(Signal::Metrics), "http://127.0.0.1:4318/v1/metrics");
    }

    #[test]
    fn the_socket_is_taken_where_it_is_or_will_be_and_this_user_may_look() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("otlp.sock");
        assert!(is_open(&socket), "the agent starts later");
        std::fs::write(&socket, "").unwrap();
        assert!(is_open(&socket));
        assert!(!is_open(&directory.path().join("none/otlp.sock")), "no agent is installed");
        assert!(
            !is_open(&socket.join("otlp.sock")),
            "any other error, as of a directory of others"
        );
    }

    #[test]
    fn a_refusal_says_what_is_wrong() {
        let refused = |written, variables: &[(&str, &str)]| {
            Endpoint::resolve(Signal::Traces, Some(written), &Environment::of(variables))
                .unwrap_err()
                .to_string()
        };
        assert!(refused("unix://relative.sock", &[]).contains("unix:///path"));
        assert!(refused("kafka://x", &[]).contains("none of http, https, unix"));
        assert!(refused("http://", &[]).contains("no host"));
        let json = refused("http://x", &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]);
        assert_eq!(
            json,
            "OTEL_EXPORTER_OTLP_PROTOCOL=http/json: not a protocol of this build; it speaks grpc and http/protobuf"
        );
    }
}
