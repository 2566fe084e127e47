//! Names of series that only the agent makes: thresholds, weights, what rules record, what it says of itself. Whoever may send
//! OTLP could else change what alerts compare with. A received metric of such a name is not stored; it is forwarded as any.
//!
//! Looked at once for a metric, when its name is made.

use super::drops::Reason;
use super::labels::NAME_BYTES_MAX;

/// Whole names.
const NAMES: &[&str] = &[
    "ALERTS",
    "ALERTS_FOR_STATE",
    "sidelight_agent_start_timestamp_seconds",
    "sidelight_entries_utilization_ratio",
    "sidelight_expected_service",
    "sidelight_health_weight",
    "sidelight_host_metrics_available",
    "sidelight_resource_last_seen_timestamp_seconds",
    "sidelight_route_excluded",
    "sidelight_threshold",
];

/// How what the shipped rules and objectives record begins.
const RECORDED: &str = "sidelight:";

/// How what the agent says of its store and destinations begins.
const OWN: [&str; 2] = ["sidelight_store_", "sidelight_exporter_"];

/// Whether nobody but the agent makes series of `name`.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    is_judged(name) || name.starts_with(RECORDED)
}

/// Whether series of `name` are alerts or what alerts compare with: few, and of no use where others crowd them out.
pub(super) fn is_judged(name: &str) -> bool {
    NAMES.binary_search(&name).is_ok() || OWN.iter().any(|begun| name.starts_with(begun))
}

/// A name that a received metric may have.
pub(super) fn allowed(name: Option<String>) -> Result<String, Reason> {
    let name = name.filter(|name| name.len() <= NAME_BYTES_MAX).ok_or(Reason::MetricName)?;
    if is_reserved(&name) { Err(Reason::ReservedName) } else { Ok(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_agent_decides_by_is_reserved_and_what_applications_may_say_is_not() {
        assert!(NAMES.is_sorted());
        for name in
            ["sidelight_threshold", "sidelight:health_score", "sidelight_store_series_limit"]
        {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["sidelight_cache_requests_total", "sidelight_thresholds", "up", "job:x:sum"] {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
