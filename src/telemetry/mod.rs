//! What the agent says about itself: self-metrics, each defined once ([`desc`]), its logs, and its
//! own traces and metrics over OTLP when asked.

pub mod config;
pub mod desc;
pub mod escaping;
pub mod exposition;
pub mod logs;
pub mod otel;
pub mod process;
pub mod registry;
pub mod stderr;

pub use config::Config;
pub use desc::{Desc, Kind};
pub use escaping::Escaping;
pub use exposition::Exposition;
pub use otel::{InitError, Telemetry, init};
pub use registry::{Counter, Gauge, Registry};

/// An error and what caused it, on one line: `cannot listen on 127.0.0.1:4317: address in use`.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        line.push_str(": ");
        line.push_str(&error.to_string());
        source = error.source();
    }
    line
}
