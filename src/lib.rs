//! Sidelight: an OpenTelemetry-native observability agent.

pub mod agent;
pub mod aggregate;
pub mod api;
pub mod cli;
pub mod config;
pub mod export;
pub mod journal;
pub mod memory;
pub mod receive;
pub mod signal;
pub mod telemetry;
pub mod time;
