//! The self-metrics of rules and alerts.

use crate::telemetry::registry::{Desc, Kind};

table! {
/// Evaluations of rules.
pub const RULE_EVALUATIONS: Desc = Desc {
    name: "sidelight_rule_evaluations",
    kind: Kind::Counter,
    help: "Evaluations of rules, failed ones among them.",
    labels: &["rule_group"],
};
/// Evaluations without a result.
pub const RULE_FAILURES: Desc = Desc {
    name: "sidelight_rule_evaluation_failures",
    kind: Kind::Counter,
    help: "Evaluations of rules that failed; /api/v1/rules says why.",
    labels: &["rule_group"],
};
/// Slots of groups.
pub const RULE_GROUP_ITERATIONS: Desc = Desc {
    name: "sidelight_rule_group_iterations",
    kind: Kind::Counter,
    help: "Evaluations of groups that were due, missed ones among them.",
    labels: &["rule_group"],
};
/// Slots that passed unused.
pub const RULE_GROUP_MISSED: Desc = Desc {
    name: "sidelight_rule_group_iterations_missed",
    kind: Kind::Counter,
    help: "Evaluations of groups that were skipped because the one before took too long.",
    labels: &["rule_group"],
};
/// The interval of groups.
pub const RULE_GROUP_INTERVAL: Desc = Desc {
    name: "sidelight_rule_group_interval_seconds",
    kind: Kind::Gauge,
    help: "Seconds between two evaluations of a group.",
    labels: &["rule_group"],
};
/// The rules of groups.
pub const RULE_GROUP_RULES: Desc = Desc {
    name: "sidelight_rule_group_rules",
    kind: Kind::Gauge,
    help: "Rules of a group.",
    labels: &["rule_group"],
};
/// How long the last evaluation took.
pub const RULE_GROUP_LAST_DURATION: Desc = Desc {
    name: "sidelight_rule_group_last_duration_seconds",
    kind: Kind::Gauge,
    help: "Seconds that the last evaluation of a group took.",
    labels: &["rule_group"],
};
/// When the last evaluation was.
pub const RULE_GROUP_LAST_EVALUATION: Desc = Desc {
    name: "sidelight_rule_group_last_evaluation_timestamp_seconds",
    kind: Kind::Gauge,
    help: "The time of the last evaluation of a group, in seconds since the Unix epoch.",
    labels: &["rule_group"],
};
/// What the last evaluation made.
pub const RULE_GROUP_LAST_SAMPLES: Desc = Desc {
    name: "sidelight_rule_group_last_evaluation_samples",
    kind: Kind::Gauge,
    help: "Samples that the last evaluation of a group made.",
    labels: &["rule_group"],
};
/// Alerts.
pub const RULE_ALERTS: Desc = Desc {
    name: "sidelight_alerts",
    kind: Kind::Gauge,
    help: "Alerts of all rules that are pending or firing.",
    labels: &["state"],
};
/// Samples that a kill would lose.
pub const RULE_DROPPED_SAMPLES: Desc = Desc {
    name: "sidelight_rule_unjournaled_samples",
    kind: Kind::Counter,
    help: "Samples of rules that are in the store but that the journal did not take: a kill may lose them.",
    labels: &[],
};
/// Alerts that a restart would forget.
pub const RULE_STATE_FAILURES: Desc = Desc {
    name: "sidelight_rule_state_failures",
    kind: Kind::Counter,
    help: "Evaluations whose alerts could not be written to disk; the next one writes them.",
    labels: &[],
};
/// Rule files that are not used.
pub const RULE_FILES_INVALID: Desc = Desc {
    name: "sidelight_rule_files_invalid",
    kind: Kind::Gauge,
    help: "Rule files that were left out at the start because of what is wrong with them.",
    labels: &[],
};
}
