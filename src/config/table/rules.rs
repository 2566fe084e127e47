//! Options of rules and of what they compare with.

use super::{Kind, Opt, Section, YEAR, is, live, millis};

/// A number that rules compare with.
const fn threshold(key: &'static str, default: &'static str, doc: &'static str) -> Opt {
    live(key, Kind::Float { min: 0.0, max: 1e12 }, is(default), doc)
}

pub(super) const SECTION: Section = Section {
    title: "Rules",
    intro: "Prometheus rule files over the metric store: recording rules and alerts. Thresholds of the rules that come \
            with the agent are the series `sidelight_threshold{name=…}`, for rules of your own as well.",
    places: &["rules"],
    options: RULES,
};

const RULES: &[Opt] = &[
    live(
        "files",
        Kind::List(&Kind::Path),
        is("[]"),
        "Rule files; `*`, `?` and `[a-z]` stand for what they do in a shell. A reload reads them again, and keeps the old \
         rules if one of them is wrong; at the start a file that is wrong is left out.",
    ),
    live(
        "builtin.enabled",
        Kind::Bool,
        is("true"),
        "Whether the rules that come with the agent run.",
    ),
    live(
        "builtin.disable",
        Kind::List(&Kind::Text),
        is("[]"),
        "Groups and alerts among them that do not, by name.",
    ),
    live(
        "evaluation_interval",
        millis(1_000, YEAR),
        is("1m"),
        "How often groups are evaluated that say nothing else, and the step of a subquery that names none (`[5m:]`), in rules, \
         queries and views.",
    ),
    live(
        "resend_delay",
        millis(1_000, YEAR),
        is("1m"),
        "How long after it was told an alert that still fires is told again.",
    ),
    live(
        "expected_services",
        Kind::List(&Kind::Text),
        is("[]"),
        "Services, by `service.name`, for which the alert ServiceSilent holds.",
    ),
    threshold(
        "thresholds.error_ratio_critical",
        "0.2",
        "HighErrorRate: the share of calls that fail.",
    ),
    threshold(
        "thresholds.error_ratio_warning",
        "0.05",
        "ElevatedErrorRate: the share of calls that fail.",
    ),
    threshold(
        "thresholds.requests_min",
        "20",
        "Calls within 5 minutes below which a share says nothing.",
    ),
    threshold("thresholds.latency_p95_seconds", "5", "HighLatencyP95: seconds."),
    threshold(
        "thresholds.latency_degraded_ratio",
        "1.5",
        "LatencyDegraded: how many times the P95 of a day ago.",
    ),
    threshold(
        "thresholds.latency_degraded_seconds_min",
        "0.1",
        "LatencyDegraded: seconds below which no P95 is degraded.",
    ),
    threshold(
        "thresholds.route_warning_seconds",
        "0.1",
        "Severity of routes: the P95 from which on it is a warning.",
    ),
    threshold(
        "thresholds.route_slow_seconds",
        "0.5",
        "Severity of routes: the P95 from which on it is slow.",
    ),
    threshold(
        "thresholds.route_critical_seconds",
        "1",
        "Severity of routes: the P95 from which on it is critical.",
    ),
    threshold(
        "thresholds.queue_utilization",
        "0.8",
        "QueueNearlyFull: the share of a queue's capacity.",
    ),
    threshold(
        "thresholds.cache_hit_ratio",
        "0.2",
        "LowCacheHitRate: the share of lookups that hit.",
    ),
    threshold(
        "thresholds.store_utilization",
        "0.8",
        "StoreNearlyFull: the share of the store's limits.",
    ),
    threshold("thresholds.cpu_utilization", "0.8", "HighCpu: the share of the processors."),
    threshold("thresholds.memory_utilization", "0.9", "HighMemory: the share of the memory."),
    threshold(
        "thresholds.undelivered_age_seconds",
        "300",
        "UndeliveredOld: the age of the oldest record that is not delivered.",
    ),
    threshold(
        "thresholds.journal_left_seconds",
        "1800",
        "JournalNearlyFull: how long the journal lasts, in seconds, while a destination does not take what is there.",
    ),
    threshold(
        "thresholds.certificate_left_seconds",
        "604800",
        "CertificateExpiring: seconds before its end, or a quarter of its life where that is less.",
    ),
    threshold(
        "thresholds.service_silent_seconds",
        "300",
        "ServiceSilent: how long an expected service may be silent.",
    ),
];
