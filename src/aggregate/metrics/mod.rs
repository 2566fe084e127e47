//! Metrics: OTLP data points to samples in the store.
//!
//! [`translate`] walks a request and turns each point into samples; the rest are pure parts: [`names`], [`labels`], [`value`]
//! and [`target`] say what a series is called, [`stream`] and [`exports`] what a start time means, [`classic`],
//! [`exponential`] and [`exemplar`] what is in a point, [`drops`] why one is not stored, [`reserved`] what nobody else may
//! call a metric, [`local`] takes what the agent made itself, [`sink`] is where samples go.

pub(super) mod cache;
pub mod classic;
pub mod drops;
pub mod exemplar;
pub mod exponential;
pub mod exports;
mod form;
pub(super) mod keys;
pub mod labels;
pub mod local;
pub mod names;
pub mod reserved;
pub mod sink;
pub mod stream;
pub mod target;
mod totals;
mod translate;
pub mod value;

#[cfg(test)]
pub(super) mod tests;

pub use target::Promotion;
pub use translate::Translator;

use crate::memory::StoreBudget;

/// How metrics become series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Resource attributes that become labels of every series (`store.promote_resource_attributes`).
    pub promote: Promotion,
    /// Whether series carry `otel_scope_*` (`store.promote_scope_metadata`). Default false, as with
    /// Prometheus.
    pub scope_labels: bool,
    /// Label values are cut to this many bytes. Default 1 KiB.
    pub label_value_bytes_max: usize,
    /// Points further ahead of their receipt are not stored, in milliseconds. Default 10 min.
    pub future_ms_max: i64,
    /// Series that are expected at most: bounds what is remembered of their points.
    pub series_max: usize,
    /// What is remembered of points and totals, in bytes; from `limits.memory`.
    pub memory: StoreBudget,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            promote: Promotion::default(),
            scope_labels: false,
            label_value_bytes_max: 1 << 10,
            future_ms_max: 10 * 60 * 1_000,
            series_max: 20_000,
            memory: StoreBudget::default(),
        }
    }
}
