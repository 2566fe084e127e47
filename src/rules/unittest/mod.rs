//! Unit tests of rule files in promtool's format, run by the engine that evaluates rules, with a clock that is told the time.
//!
//! ```text
//! text ─▶ file ─▶ run: series ─▶ store in memory ◀─▶ groups, at every evaluation ─▶ compare ─▶ junit
//! ```
//! What differs from promtool: every sample is there from the start, which only an offset into the future can see; groups that
//! `group_eval_order` does not name keep the order of their files; a file with a mistake runs no test, and all its mistakes
//! are reported. Limits: those of [`yaml`](crate::yaml), [`run::EVALUATIONS_MAX`].

mod compare;
pub mod file;
pub mod junit;
pub mod run;
#[cfg(test)]
mod tests;

pub use file::{TestFile, parse};
pub use run::{Case, Options, run};
