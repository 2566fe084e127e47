//! How the agent speaks about itself: logs, and whether its own traces and metrics leave.

use std::io::IsTerminal as _;
use std::time::Duration;

/// `telemetry` in the configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The agent's own logs, on standard error.
    pub logs: Logs,
    /// Where its own traces go; `None` = nowhere (`exporter: none`), the default.
    pub traces: Option<Otlp>,
    /// Where its own metrics go besides `/metrics`; `None` = nowhere, the default.
    pub metrics: Option<Otlp>,
}

/// `telemetry.logs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs {
    /// A level, or directives such as `info,sidelight_agent::export=debug`. Default `info`.
    pub level: String,
    /// How lines are written. Default [`LogFormat::Auto`].
    pub format: LogFormat,
}

impl Default for Logs {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Auto }
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people: time, level, text, fields; coloured on a terminal unless `NO_COLOR` is set.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// Whether people read it: as said, or because standard error is a terminal.
    #[must_use]
    pub fn is_pretty(self) -> bool {
        match self {
            Self::Auto => std::io::stderr().is_terminal(),
            Self::Pretty => true,
            Self::Json => false,
        }
    }
}

/// An OTLP/gRPC destination of the agent's own telemetry (`exporter: otlp`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otlp {
    /// `http://host:port`, gRPC without TLS. Default `http://127.0.0.1:4317`.
    pub endpoint: String,
    /// The time one export may take. Default 10 s.
    pub timeout: Duration,
    /// The time between two exports of metrics. Default 60 s. Traces leave every 5 s.
    pub interval: Duration,
}

impl Default for Otlp {
    fn default() -> Self {
        Self {
            endpoint: "http://127.0.0.1:4317".to_owned(),
            timeout: Duration::from_secs(10),
            interval: Duration::from_secs(60),
        }
    }
}
