//! Rules: PromQL evaluated again and again, its results kept as series and told as alerts.
//!
//! ```text
//! rule files ─▶ load ─▶ file (groups, every finding with its place) ─▶ Group ◀─ engine: slots, threads
//!                                                                       │
//!                      store ─▶ evaluate ─▶ recorded series │ alerting (pending, firing, over)
//!                                             │                  │            │
//!                                             ▼                  ▼            ▼
//!                                  Inbox, journal            alerts.db      Outbox
//! ```
//! All but `engine`, `load`, `sink`, `state` and `turn` is pure: a time, series and a rule give samples and alerts.

pub mod alerting;
pub mod config;
pub mod constants;
pub mod engine;
pub mod error;
pub mod evaluate;
pub mod file;
mod glob;
pub mod group;
mod kept;
pub mod lint;
pub mod load;
mod metrics;
mod parts;
pub mod reads;
pub mod rule;
mod schedule;
mod shown;
mod sink;
pub mod slo;
pub mod state;
pub mod template;
mod texts;
mod turn;
pub mod unittest;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use engine::{Deps, Rules};
pub use error::EvaluationError;
pub use glob::paths;
pub use group::Group;
pub use load::{Loaded, load};
pub use shown::status;

/// The rules that the agent comes with.
pub const BUILTIN: &str = include_str!("../../deploy/rules/sidelight.yaml");
