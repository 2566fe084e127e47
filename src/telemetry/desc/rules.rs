//! The self-metrics of rules and alerts.

use super::{Desc, Kind};

table! {
RULE_EVALUATIONS = Counter("sidelight_rule_evaluations", &["rule_group"]),
    "Evaluations of rules, failed ones among them.";
RULE_FAILURES = Counter("sidelight_rule_evaluation_failures", &["rule_group"]),
    "Evaluations of rules that failed; /api/v1/rules says why.";
RULE_GROUP_ITERATIONS = Counter("sidelight_rule_group_iterations", &["rule_group"]),
    "Evaluations of groups that were due, missed ones among them.";
RULE_GROUP_MISSED = Counter("sidelight_rule_group_iterations_missed", &["rule_group"]),
    "Evaluations of groups that were skipped because the one before took too long.";
RULE_GROUP_INTERVAL = Gauge("sidelight_rule_group_interval_seconds", &["rule_group"]),
    "Seconds between two evaluations of a group.";
RULE_GROUP_RULES = Gauge("sidelight_rule_group_rules", &["rule_group"]),
    "Rules of a group.";
RULE_GROUP_FAILING = Gauge("sidelight_rule_group_failing_rules", &["rule_group"]),
    "Rules of a group whose last evaluation failed; /api/v1/rules says why. Stored for groups that have some.";
RULE_GROUP_LAST_DURATION = Gauge("sidelight_rule_group_last_duration_seconds", &["rule_group"]),
    "Seconds that the last evaluation of a group took.";
RULE_GROUP_LAST_EVALUATION = Gauge("sidelight_rule_group_last_evaluation_timestamp_seconds", &["rule_group"]),
    "The time of the last evaluation of a group, in seconds since the Unix epoch.";
RULE_GROUP_LAST_SAMPLES = Gauge("sidelight_rule_group_last_evaluation_samples", &["rule_group"]),
    "Samples that the last evaluation of a group made.";
RULE_ALERTS = Gauge("sidelight_alerts", &["state"]),
    "Alerts of all rules that are pending or firing.";
RULE_DROPPED_SAMPLES = Counter("sidelight_rule_unjournaled_samples", &[]),
    "Samples of rules that are in the store but that the journal did not take: a kill may lose them.";
RULE_STATE_FAILURES = Counter("sidelight_rule_state_failures", &[]),
    "Evaluations whose alerts could not be written to disk; the next one writes them.";
RULE_FILES_INVALID = Gauge("sidelight_rule_files_invalid", &[]),
    "Rule files that were left out at the start because of what is wrong with them, until a reload takes up all of them.";
}
