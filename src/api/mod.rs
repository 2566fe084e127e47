//! The admin endpoint: health, metrics, the ledger and control, over HTTP/1.1.

pub mod config;

pub use config::Config;
