//! Rules: PromQL evaluated again and again, its results kept as series and told as alerts.
//!
//! ```text
//! text ─▶ file (groups, every finding with its place) ─▶ engine ─▶ samples, alerts
//! ```

pub mod file;
pub mod template;

/// The rules that the agent comes with.
pub const BUILTIN: &str = include_str!("../../deploy/rules/sidelight.yaml");
