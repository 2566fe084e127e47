//! The admin endpoint: health, metrics, the ledger and control, over HTTP/1.1.
//!
//! [`listen`] bounds connections, [`guard`] says who may ask, [`routes`] is the table of what is
//! answered, from [`sources`] that `agent` gives.

mod alerts;
mod asked;
mod call;
pub mod config;
mod entries;
mod failure;
pub mod guard;
mod journal;
pub mod ledger;
pub mod listen;
mod openapi;
mod params;
mod patience;
mod prometheus;
mod reply;
pub mod route;
pub mod routes;
mod secret;
mod sheets;
pub mod sources;
mod stall;
mod storage;

#[cfg(test)]
mod tests;
mod views;

pub use config::Config;
pub use guard::Token;
pub use ledger::{Count, Flow, Ledger, Outcome};
pub use listen::{Api, serve};
pub use sources::{Alerts, Control, Entries, Readiness, Refused, Source, Sources};
