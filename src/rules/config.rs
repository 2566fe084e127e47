//! What rules are told.

use std::path::PathBuf;
use std::time::Duration;

use super::constants::THRESHOLDS;

/// Which rules there are, and how they run.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Paths and patterns of rule files.
    pub files: Vec<String>,
    /// Whether the rules that come with the agent run.
    pub builtin: bool,
    /// Names of groups and alerts among them that do not.
    pub builtin_disable: Vec<String>,
    /// How often groups are evaluated that do not say.
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
