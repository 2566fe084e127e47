//! What the agent says about itself: self-metrics, each defined once ([`desc`]), and its logs.

pub mod desc;
pub mod registry;

pub use registry::{Counter, Desc, Gauge, Kind, Registry};
