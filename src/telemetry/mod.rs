//! What the agent says about itself: self-metrics, each defined once ([`desc`]), its logs, and its
//! own traces and metrics over OTLP when asked.

pub mod config;
pub mod desc;
pub mod exposition;
pub mod logs;
pub mod otel;
pub mod process;
pub mod registry;

pub use config::Config;
pub use exposition::Exposition;
pub use otel::{Telemetry, init};
pub use registry::{Counter, Desc, Gauge, Kind, Registry};
