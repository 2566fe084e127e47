//! Aggregate: spans to calls and latency, read from the journal beside the way to the exporters.
//!
//! [`reader`] feeds it, [`table`] counts, [`snapshot`] shows; the last two are pure. Names and labels on /metrics are those of
//! Tempo's span metrics, so that dashboards made for it work.

mod codec;
pub mod config;
mod key;
pub mod metrics;
pub mod reader;
pub mod snapshot;
pub mod table;
mod usual;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use key::Labels;
pub use reader::{Aggregate, READER, reader_config};
pub use snapshot::Snapshot;
pub use table::Table;
