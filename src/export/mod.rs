//! OTLP out: one lane per signal and destination.

pub mod config;
pub mod endpoint;

pub use config::Config;
