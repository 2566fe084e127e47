//! What rules are told.

use std::path::PathBuf;
use std::time::Duration;

/// Which rules there are, and how they run.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Paths and patterns of rule files.
    pub files: Vec<String>,
    /// Whether the rules that come with the agent run.
    pub builtin: bool,
    /// Names of groups and alerts among them that do not.
    pub builtin_disable: Vec<String>,
    /// How often groups are evaluated that do not say, and the step of a subquery that names none.
    pub evaluation_interval: Duration,
    /// How long after it was told a firing alert is told again.
    pub resend_delay: Duration,
    /// Every threshold by name.
    pub thresholds: Vec<(String, f64)>,
    /// Objectives, of which rules are made.
    pub slos: Vec<Slo>,
    /// Services that must be heard of.
    pub expected_services: Vec<String>,
    /// Routes that are left out (`aggregate.routes.exclude`); one that ends in `*` stands for all that begin so.
    pub routes_exclude: Vec<String>,
    /// `$externalLabels` of templates.
    pub external_labels: Vec<(String, String)>,
    /// `$externalURL` of templates, and where links of alerts lead.
    pub external_url: String,
    /// Where the alerts are kept: the store's directory.
    pub directory: PathBuf,
}

impl Config {
    /// The step of a subquery that names none, in rules and in every other query, in milliseconds: as Prometheus has it.
    #[must_use]
    pub fn subquery_step_ms(&self) -> i64 {
        i64::try_from(self.evaluation_interval.as_millis()).unwrap_or(i64::MAX)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            builtin: true,
            builtin_disable: Vec::new(),
            evaluation_interval: Duration::from_secs(60),
            resend_delay: Duration::from_secs(60),
            thresholds: THRESHOLDS.iter().map(|of| (of.name.to_owned(), of.default)).collect(),
            slos: Vec::new(),
            expected_services: Vec::new(),
            routes_exclude: ["/healthz", "/livez", "/readyz", "/metrics"].map(str::to_owned).into(),
            external_labels: Vec::new(),
            external_url: String::new(),
            directory: PathBuf::new(),
        }
    }
}

/// A service level objective.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo {
    /// The label `slo`.
    pub name: String,
    /// `service.name`.
    pub service: String,
    /// Routes or operations; none are all that are not excluded.
    pub operations: Vec<String>,
    /// How many percent of events are to be good.
    pub objective: f64,
    /// What takes longer is bad.
    pub latency: Option<Duration>,
}

impl Default for Slo {
    fn default() -> Self {
        Self {
            name: String::new(),
            service: String::new(),
            operations: Vec::new(),
            objective: 99.9,
            latency: None,
        }
    }
}

/// A threshold that rules compare with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// Its key below `rules.thresholds`, and the value of the label `name`.
    pub name: &'static str,
    /// What it is unless the configuration says otherwise.
    pub default: f64,
}

const fn threshold(name: &'static str, default: f64) -> Threshold {
    Threshold { name, default }
}

/// Every threshold.
pub const THRESHOLDS: &[Threshold] = &[
    threshold("error_ratio_critical", 0.2),
    threshold("error_ratio_warning", 0.05),
    threshold("requests_min", 20.0),
    threshold("latency_p95_seconds", 5.0),
    threshold("latency_degraded_ratio", 1.5),
    threshold("latency_degraded_seconds_min", 0.1),
    threshold("route_warning_seconds", 0.1),
    threshold("route_slow_seconds", 0.5),
    threshold("route_critical_seconds", 1.0),
    threshold("queue_utilization", 0.8),
    threshold("cache_hit_ratio", 0.2),
    threshold("store_utilization", 0.8),
    threshold("cpu_utilization", 0.8),
    threshold("memory_utilization", 0.9),
    threshold("undelivered_age_seconds", 300.0),
    threshold("journal_left_seconds", 1800.0),
    threshold("certificate_left_seconds", 604_800.0),
    threshold("service_silent_seconds", 300.0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_that_come_with_the_agent_know_these_thresholds_with_these_defaults() {
        let rules = include_str!("../../deploy/rules/sidelight.yaml");
        let lines = rules.lines().filter(|line| !line.trim_start().starts_with('#'));
        let rules: String = lines.collect();
        let mut found = 0;
        for (at, before) in rules.match_indices("sidelight_threshold{name=\"") {
            let rest = &rules[at + before.len()..];
            let (name, rest) =
                rest.split_once("\"}) or vector(").unwrap_or_else(|| panic!("{rest:.80}"));
            let default: f64 = rest.split_once(')').unwrap().0.parse().unwrap();
            let known = THRESHOLDS.iter().find(|threshold| threshold.name == name);
            assert_eq!(known.map(|threshold| threshold.default), Some(default), "{name}");
            found += 1;
        }
        assert!(found > 10, "{found}");
    }
}
