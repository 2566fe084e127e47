//! Aggregate: spans to calls and latency, data points to samples, read from the journal beside the way to the exporters.
//!
//! [`reader`] feeds it. Spans: [`table`] counts, [`graph`] says who calls whom, [`snapshot`] shows, `derived` samples both into
//! the store; names and labels are those of Tempo, so that dashboards made for it work. Metrics: [`metrics`]. `durable` ties
//! both to the store's checkpoints. All but `reader` and `durable` is pure.

mod asked;
mod bounds;
mod clip;
mod codec;
pub mod config;
mod derived;
pub mod domain;
mod durable;
pub mod entries;
pub mod exported;
pub mod graph;
mod grpc;
mod key;
mod measured;
pub mod metrics;
mod operation;
pub mod reader;
mod resource;
mod ring;
mod same;
pub mod snapshot;
pub mod table;
mod usual;
mod walk;
mod weight;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use durable::{Durable, Origin};
pub use key::Labels;
pub use reader::{Aggregate, Keeping, READER, Stop, Stopping, reader_config, stop};
pub use resource::useless_dimensions;
pub use snapshot::Snapshot;
pub use table::Table;
