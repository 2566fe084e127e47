//! Exemplars: single observations with the trace they belong to.

use sidelight_promql::Labels;

/// One observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// What was observed.
    pub value: f64,
    /// `trace_id`, `span_id` and filtered attributes.
    pub labels: Vec<(String, String)>,
}

/// The exemplars of one series in ascending time.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesExemplars {
    /// The series as PromQL sees it.
    pub labels: Labels,
    /// At least one.
    pub exemplars: Vec<Exemplar>,
}
