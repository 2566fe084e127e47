//! Groups as the API shows them.

use super::file::Kind;
use super::group::Group;
use super::rule::Rule;
use crate::alert::status::{AlertingStatus, GroupStatus, RuleStatus};

/// A group as it is now.
#[must_use]
pub fn status(group: &Group) -> GroupStatus {
    let last = group.last();
    GroupStatus {
        name: group.name.clone(),
        file: group.file.clone(),
        interval: group.interval,
        limit: group.limit,
        rules: group.rules.iter().map(rule).collect(),
        took: last.took,
        last: last.at,
    }
}

fn rule(rule: &Rule) -> RuleStatus {
    let live = rule.live();
    let alerting = match &rule.spec.kind {
        Kind::Recording => None,
        Kind::Alerting(alerting) => Some(AlertingStatus {
            hold: alerting.hold,
            keep_firing_for: alerting.keep_firing_for,
            annotations: alerting
                .annotations
                .iter()
                .map(|pair| (pair.name.clone(), pair.value.text.clone()))
                .collect(),
            alerts: live.alerts.active().cloned().collect(),
        }),
    };
    RuleStatus {
        name: rule.spec.name.text.clone(),
        query: rule.spec.expr.to_string(),
        labels: rule.labels.clone(),
        error: live.error.as_ref().map(ToString::to_string),
        took: live.last.took,
        last: live.last.at,
        alerting,
    }
}
