//! Rules: PromQL evaluated again and again, its results kept as series and told as alerts.
//!
//! ```text
//! text ─▶ file (groups, every finding with its place) ─▶ engine ─▶ samples, alerts
//! ```

pub mod file;
pub mod template;
