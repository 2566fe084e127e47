//! Every view. The names are those of the built-in rules and of the signals that the agent keeps.

use super::{Column, Shows, View, Window};

const fn value(
    name: &'static str,
    unit: &'static str,
    expr: &'static str,
    help: &'static str,
) -> Column {
    Column { name, unit, help, expr, shows: Shows::Value }
}

const fn label(
    name: &'static str,
    of: &'static str,
    expr: &'static str,
    help: &'static str,
) -> Column {
    Column { name, unit: "", help, expr, shows: Shows::Label(of) }
}

/// Severities of a route by its P95.
const SEVERITIES: &[&str] = &["good", "warning", "slow", "critical"];

/// Every view.
pub const VIEWS: &[View] = &[
    View {
        name: "overview",
        purpose: "services: traffic, errors, latency, health, alerts",
        keys: &["service_name"],
        columns: OVERVIEW,
        window: Window::Asked,
        sort: "service_name",
    },
    View {
        name: "routes",
        purpose: "routes: traffic, errors, latency, severity, impact",
        keys: &["service_name", "http_route"],
        columns: ROUTES,
        window: Window::Asked,
        sort: "-impact",
    },
    View {
        name: "routes/trend",
        purpose: "routes hour by hour",
        keys: &["service_name", "http_route"],
        columns: TREND,
        window: Window::Steps,
        sort: "service_name",
    },
    View {
        name: "caches",
        purpose: "caches: hit rate, efficiency, time saved",
        keys: &["service_name", "cache_name"],
        columns: CACHES,
        window: Window::Asked,
        sort: "-lookups_per_second",
    },
    View {
        name: "caches/routes",
        purpose: "routes by how often a cache serves them",
        keys: &["service_name", "http_route"],
        columns: CACHED_ROUTES,
        window: Window::Asked,
        sort: "-lookups_per_second",
    },
    View {
        name: "queues",
        purpose: "queues: depth, capacity, overflows, waiting",
        keys: &["service_name", "queue_name"],
        columns: QUEUES,
        window: Window::Asked,
        sort: "-utilization",
    },
    View {
        name: "connections",
        purpose: "pools: use, age, health",
        keys: &["service_name", "pool_name"],
        columns: CONNECTIONS,
        window: Window::Asked,
        sort: "-utilization",
    },
    View {
        name: "retries",
        purpose: "operations that are retried",
        keys: &["service_name", "operation_name"],
        columns: RETRIES,
        window: Window::Asked,
        sort: "-retries_per_second",
    },
    View {
        name: "features",
        purpose: "features: uses, users, success, trend over a day",
        keys: &["service_name", "feature_name"],
        columns: FEATURES,
        window: Window::Own,
        sort: "-uses",
    },
    View {
        name: "intents",
        purpose: "intents detected, by confidence",
        keys: &["service_name", "intent_type", "confidence"],
        columns: &[value(
            "detections",
            "",
            "sum by (service_name, intent_type, confidence) (increase(sidelight_intent_detections_total[5m]))",
            "Intents detected.",
        )],
        window: Window::Asked,
        sort: "-detections",
    },
    View {
        name: "llm",
        purpose: "language models: requests and tokens as spans and metrics report them",
        keys: &["service_name", "gen_ai_provider_name", "gen_ai_request_model"],
        columns: LLM,
        window: Window::Asked,
        sort: "-requests",
    },
    View {
        name: "logs",
        purpose: "log records by severity",
        keys: &["service_name", "severity"],
        columns: &[value(
            "records",
            "",
            "sum by (service_name, severity) (increase(sidelight_log_records_total[5m]))",
            "Log records.",
        )],
        window: Window::Asked,
        sort: "service_name",
    },
    View {
        name: "score",
        purpose: "health: score, grade and parts",
        keys: &["service_name"],
        columns: SCORE,
        window: Window::Asked,
        sort: "health_score",
    },
];

const OVERVIEW: &[Column] = &[
    value("requests_per_second", "1/s", "sidelight:service_requests:rate5m", "Requests a second."),
    value("error_ratio", "ratio", "sidelight:service_error_ratio", "The share that failed."),
    value("p95_seconds", "s", "sidelight:service_p95_seconds", "95 % were answered within it."),
    value("health_score", "0-100", "sidelight:health_score", "Latency, cache and errors, weighed."),
    label("health_grade", "grade", "sidelight:health_grade", "The score as a grade."),
    value("system_score", "0-100", "sidelight:system_score", "Pools, queues, caches, features."),
    value(
        "alerts_firing",
        "",
        r#"count by (service_name) (ALERTS{alertstate="firing"})"#,
        "Alerts that fire.",
    ),
];

const ROUTES: &[Column] = &[
    value("requests_per_second", "1/s", "sidelight:route_requests:rate5m", "Requests a second."),
    value("error_ratio", "ratio", "sidelight:route_error_ratio", "The share that failed."),
    value("average_seconds", "s", "sidelight:route_average_seconds", "The average duration."),
    value("p50_seconds", "s", "sidelight:route_p50_seconds", "Half were answered within it."),
    value("p95_seconds", "s", "sidelight:route_p95_seconds", "95 % were answered within it."),
    value("p99_seconds", "s", "sidelight:route_p99_seconds", "99 % were answered within it."),
    Column {
        name: "severity",
        unit: "",
        help: "good, warning, slow or critical, by the P95.",
        expr: "sidelight:route_severity",
        shows: Shows::Name(SEVERITIES),
    },
    value("impact", "ratio", "sidelight:route_impact", "Its share of the service's time."),
    value("apdex", "ratio", "sidelight:route_apdex", "Satisfied, and half of the tolerating."),
    value(
        "violation_ratio",
        "ratio",
        "sidelight:route_violation_ratio",
        "The share that took longer than its threshold.",
    ),
    value(
        "cache_hit_ratio",
        "ratio",
        "sidelight:route_cache_hit_ratio",
        "The share of its lookups that hit.",
    ),
];

const TREND: &[Column] = &[
    value("requests_per_second", "1/s", "sidelight:route_requests:rate5m", "Requests a second."),
    value("error_ratio", "ratio", "sidelight:route_error_ratio", "The share that failed."),
    value("average_seconds", "s", "sidelight:route_average_seconds", "The average duration."),
    value("p50_seconds", "s", "sidelight:route_p50_seconds", "Half were answered within it."),
    value("p95_seconds", "s", "sidelight:route_p95_seconds", "95 % were answered within it."),
    value("p99_seconds", "s", "sidelight:route_p99_seconds", "99 % were answered within it."),
];

const CACHES: &[Column] = &[
    value("hit_ratio", "ratio", "sidelight:cache_hit_ratio", "Hits of all but failed lookups."),
    label("group", "group", "sidelight:cache_group", "high from 70 % on, low, none."),
    value("lookups_per_second", "1/s", "sidelight:cache_lookups:rate15m", "Lookups a second."),
    value("efficiency", "0-100", "sidelight:cache_efficiency", "Hit rate, and how much faster."),
    value("hit_seconds", "s", "sidelight:cache_hit_seconds", "The average duration of a hit."),
    value("miss_seconds", "s", "sidelight:cache_miss_seconds", "The average duration of a miss."),
    value(
        "saved_seconds_per_second",
        "s/s",
        "sidelight:cache_saved_seconds:rate15m",
        "Time that hits saved.",
    ),
    value(
        "entries",
        "",
        "sum by (service_name, cache_name) (sidelight_cache_entry_count)",
        "Entries that it holds.",
    ),
    value(
        "evictions_per_second",
        "1/s",
        "sum by (service_name, cache_name) (rate(sidelight_cache_evictions_total[15m]))",
        "Entries that it let go.",
    ),
];

const CACHED_ROUTES: &[Column] = &[
    value(
        "hit_ratio",
        "ratio",
        "sidelight:route_cache_hit_ratio",
        "Hits of all but failed lookups.",
    ),
    value(
        "lookups_per_second",
        "1/s",
        "sum by (service_name, http_route) \
         (rate(sidelight_cache_requests_total{http_route!=\"\",cache_result!=\"error\"}[15m]))",
        "Lookups a second.",
    ),
];

const QUEUES: &[Column] = &[
    value("size", "", "sidelight:queue_size", "What waits."),
    value(
        "capacity",
        "",
        "sum by (service_name, queue_name) (sidelight_queue_capacity)",
        "What may wait.",
    ),
    value("utilization", "ratio", "sidelight:queue_utilization", "How full it is."),
    value(
        "size_max",
        "",
        "max by (service_name, queue_name) (max_over_time(sidelight_queue_size_max[5m]))",
        "The most that waited.",
    ),
    value(
        "overflows",
        "",
        "sum by (service_name, queue_name) (increase(sidelight_queue_overflows_total[5m]))",
        "Times that it became fuller than 80 %.",
    ),
    value(
        "rejected",
        "",
        "sum by (service_name, queue_name) (increase(sidelight_queue_rejected_total[5m]))",
        "What it did not take.",
    ),
    value(
        "wait_p95_seconds",
        "s",
        "histogram_quantile(0.95, sum by (service_name, queue_name, le) \
         (rate(sidelight_queue_item_wait_duration_seconds_bucket[5m])))",
        "95 % waited no longer.",
    ),
];

const CONNECTIONS: &[Column] = &[
    value("used", "", "sidelight:pool_used", "Connections in use."),
    value("idle", "", "sidelight:pool_idle", "Connections that wait."),
    value("max", "", "sidelight:pool_max", "The most there may be."),
    value("utilization", "ratio", "sidelight:pool_utilization", "The share in use."),
    value("health", "0-100", "sidelight:pool_health", "Less for old and for short-lived ones."),
    value("old_ratio", "ratio", "sidelight:pool_old_ratio", "The share older than an hour."),
    value("short_ratio", "ratio", "sidelight:pool_short_ratio", "The share closed within 10 s."),
    value(
        "opened",
        "",
        "sum by (service_name, pool_name) (increase(sidelight_connection_opened_total[5m]))",
        "Connections opened.",
    ),
    value(
        "reuses",
        "",
        "sum by (service_name, pool_name) (increase(sidelight_connection_reuses_total[5m]))",
        "Times that an open one was used again.",
    ),
];

const RETRIES: &[Column] = &[
    value("retries_per_second", "1/s", "sidelight:operation_retries:rate5m", "Retries a second."),
    value(
        "attempts",
        "",
        "sum by (service_name, operation_name) (increase(sidelight_retry_attempts_total[5m]))",
        "Attempts.",
    ),
    value(
        "exhausted",
        "",
        "sum by (service_name, operation_name) \
         (increase(sidelight_retry_attempts_total{attempt_result=\"exhausted\"}[5m]))",
        "Operations that gave up.",
    ),
    value(
        "backoff_p95_seconds",
        "s",
        "histogram_quantile(0.95, sum by (service_name, operation_name, le) \
         (rate(sidelight_retry_backoff_duration_seconds_bucket[5m])))",
        "95 % of the pauses were no longer.",
    ),
];

const FEATURES: &[Column] = &[
    value("uses", "", "round(sidelight:feature_uses:increase24h)", "Uses within 24 hours."),
    value(
        "users",
        "",
        "max by (service_name, feature_name) (sidelight_feature_user_estimate)",
        "Unique users, estimated.",
    ),
    value("success_ratio", "ratio", "sidelight:feature_success_ratio", "The share that succeeded."),
    label(
        "trend",
        "trend",
        "sidelight:feature_trend",
        "growing, stable or declining against the day before.",
    ),
    value("growth", "ratio", "sidelight:feature_growth", "Uses against those of the day before."),
    value(
        "peak_hour_utc",
        "h",
        "hour(ts_of_max_over_time(sidelight:feature_uses:increase1h[24h]))",
        "The hour of the day, in UTC, with the most uses.",
    ),
];

const LLM: &[Column] = &[
    value(
        "requests",
        "",
        "sum by (service_name, gen_ai_provider_name, gen_ai_request_model) \
         (increase(sidelight_gen_ai_requests_total[5m]))",
        "Requests.",
    ),
    value(
        "failed",
        "",
        "sum by (service_name, gen_ai_provider_name, gen_ai_request_model) \
         (increase(sidelight_gen_ai_requests_total{outcome!=\"ok\"}[5m]))",
        "Requests that failed.",
    ),
    value(
        "input_tokens",
        "",
        "sum by (service_name, gen_ai_provider_name, gen_ai_request_model) \
         (increase(sidelight_gen_ai_tokens_total{gen_ai_token_type=\"input\"}[5m]))",
        "Tokens sent, cached ones among them.",
    ),
    value(
        "output_tokens",
        "",
        "sum by (service_name, gen_ai_provider_name, gen_ai_request_model) \
         (increase(sidelight_gen_ai_tokens_total{gen_ai_token_type=\"output\"}[5m]))",
        "Tokens received, those of reasoning among them.",
    ),
    value(
        "last_call_seconds",
        "s",
        "max by (service_name, gen_ai_provider_name, gen_ai_request_model) \
         (sidelight_gen_ai_last_call_timestamp_seconds)",
        "When the last call ended, in seconds since the epoch.",
    ),
];

const SCORE: &[Column] = &[
    value("health_score", "0-100", "sidelight:health_score", "Its parts, weighed."),
    label("health_grade", "grade", "sidelight:health_grade", "The score as a grade."),
    value("latency", "0-100", r#"sidelight:health_part{part="latency"}"#, "By the P95."),
    value("cache", "0-100", r#"sidelight:health_part{part="cache"}"#, "The hit rate."),
    value("errors", "0-100", r#"sidelight:health_part{part="errors"}"#, "What did not fail."),
    value("system_score", "0-100", "sidelight:system_score", "The mean of what follows."),
    value("pools", "0-100", r#"sidelight:system_part{part="pools"}"#, "Health of pools."),
    value("queues", "0-100", r#"sidelight:system_part{part="queues"}"#, "Room in queues."),
    value("caches", "0-100", r#"sidelight:system_part{part="caches"}"#, "Efficiency of caches."),
    value("features", "0-100", r#"sidelight:system_part{part="features"}"#, "Success of features."),
];
