//! Aggregate: spans to calls and latency, read from the journal beside the way to the exporters.

pub mod config;

pub use config::Config;
