//! What rules do at the moment, as plain values: rules make it, the API shows it.

use std::time::Duration;

use super::{Alert, Pairs, State};
use crate::time::UnixNano;

/// A group of rules.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupStatus {
    /// Its name, unique in its file.
    pub name: String,
    /// The file that it is from.
    pub file: String,
    /// The time between two evaluations.
    pub interval: Duration,
    /// The most series or alerts of a rule; 0: no limit of its own.
    pub limit: usize,
    /// In the order in which they are evaluated.
    pub rules: Vec<RuleStatus>,
    /// How long the last evaluation took.
    pub took: Duration,
    /// Its time; `None` before the first.
    pub last: Option<UnixNano>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleStatus {
    /// The series that it records, or the name of its alerts.
    pub name: String,
    /// Its expression, in Prometheus' way of writing.
    pub query: String,
    /// Labels that it sets; of an alert perhaps templates.
    pub labels: Pairs,
    /// Whether and how the last evaluation failed.
    pub error: Option<String>,
    /// How long the last evaluation took.
    pub took: Duration,
    /// Its time; `None` before the first.
    pub last: Option<UnixNano>,
    /// What only alerting rules have.
    pub alerting: Option<AlertingStatus>,
}

/// What only alerting rules have.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertingStatus {
    /// How long an alert must be there before it fires.
    pub hold: Duration,
    /// How long it fires on when it is not there any more.
    pub keep_firing_for: Duration,
    /// Templates.
    pub annotations: Pairs,
    /// Those that are pending or firing.
    pub alerts: Vec<Alert>,
}

impl AlertingStatus {
    /// Firing if an alert is, else pending if one is, else inactive.
    #[must_use]
    pub fn state(&self) -> State {
        self.alerts.iter().map(|alert| alert.state).max().unwrap_or(State::Inactive)
    }
}
