//! OTLP out: one lane per signal and destination.

pub mod account;
pub mod batch;
pub mod budget;
pub mod client;
pub mod compress;
pub mod config;
pub mod disposition;
pub mod endpoint;
pub mod refused;
pub mod retry;

pub use config::Config;
