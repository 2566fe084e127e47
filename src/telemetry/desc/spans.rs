//! The metrics made of spans, and the self-metrics of making them.
//!
//! The first are under `aggregate` in the store as well: the same names, there with `promote_resource_attributes` and
//! `aggregate.dimensions` as labels.

use super::{Desc, Kind};

/// The labels of span metrics that say what the span is.
pub const OWN_SPAN_LABELS: [&str; 7] = [
    "service",
    "span_name",
    "span_kind",
    "status_code",
    "http_route",
    "http_request_method",
    "http_response_status_code",
];
/// The labels of span metrics, those of the span itself before those of its resource. Promoted resource attributes and
/// dimensions are added; the overflow row has `otel_metric_overflow="true"` instead.
pub const SPAN_LABELS: &[&str] = {
    let [service, name, kind, code, route, method, status] = OWN_SPAN_LABELS;
    &[service, name, kind, code, route, method, status, "service_name", "job", "instance"]
};
const OPERATION_LABELS: &[&str] =
    &["service_name", "job", "instance", "operation_name", "protocol"];
const GRAPH_LABELS: &[&str] = &["client", "server", "connection_type"];

table! {
/// Calls per series of spans.
pub const SPANMETRICS_CALLS: Desc = Desc {
    name: "traces_spanmetrics_calls",
    kind: Kind::Counter,
    help: "Spans received; a sampled one counts as many as its tracestate says that it stands for. Stored as a series as well.",
    labels: SPAN_LABELS,
};
/// Latency per series of spans.
pub const SPANMETRICS_LATENCY: Desc = Desc {
    name: "traces_spanmetrics_latency",
    kind: Kind::Histogram,
    help: "Duration of the spans received, in seconds. Stored as a series as well, with exemplars.",
    labels: SPAN_LABELS,
};
/// Bytes per series of spans.
pub const SPANMETRICS_SIZE: Desc = Desc {
    name: "traces_spanmetrics_size",
    kind: Kind::Counter,
    help: "Bytes of the spans received, encoded, each once. Stored as a series as well.",
    labels: SPAN_LABELS,
};
/// Quantiles of the latency.
pub const SPAN_LATENCY_SECONDS: Desc = Desc {
    name: "sidelight_span_latency_seconds",
    kind: Kind::Gauge,
    help: "Quantiles of the duration of the spans received, in seconds.",
    labels: &[
        "service", "span_name", "span_kind", "status_code", "http_route", "http_request_method",
        "http_response_status_code", "service_name", "job", "instance", "quantile",
    ],
};
/// Latency of operations.
pub const OPERATION_DURATION: Desc = Desc {
    name: "sidelight_operation_duration_seconds",
    kind: Kind::Histogram,
    help: "Duration of operations (SERVER and CONSUMER spans but for excluded routes), in seconds. Stored as a series as well.",
    labels: &["service_name", "job", "instance", "operation_name", "protocol", "outcome"],
};
/// Slow operations.
pub const OPERATION_EXCEEDED: Desc = Desc {
    name: "sidelight_operation_threshold_exceeded",
    kind: Kind::Counter,
    help: "Operations longer than their threshold, which is in seconds. Stored as a series as well.",
    labels: &["service_name", "job", "instance", "operation_name", "protocol", "threshold"],
};
/// Fast operations.
pub const OPERATION_SATISFIED: Desc = Desc {
    name: "sidelight_operation_satisfied",
    kind: Kind::Counter,
    help: "Operations within a quarter of their threshold, in seconds: Apdex counts them whole. Stored as a series as well.",
    labels: &["service_name", "job", "instance", "operation_name", "protocol", "threshold"],
};
/// The shortest operation.
pub const OPERATION_MIN: Desc = Desc {
    name: "sidelight_operation_duration_min_seconds",
    kind: Kind::Gauge,
    help: "The shortest operation within 5 s, in seconds. Stored as a series as well.",
    labels: OPERATION_LABELS,
};
/// The longest operation.
pub const OPERATION_MAX: Desc = Desc {
    name: "sidelight_operation_duration_max_seconds",
    kind: Kind::Gauge,
    help: "The longest operation within 5 s, in seconds. Stored as a series as well.",
    labels: OPERATION_LABELS,
};
/// Requests between services.
pub const SERVICE_GRAPH_REQUESTS: Desc = Desc {
    name: "traces_service_graph_request",
    kind: Kind::Counter,
    help: "Requests from one service to another. Stored as a series as well.",
    labels: GRAPH_LABELS,
};
/// Failed requests between services.
pub const SERVICE_GRAPH_FAILED: Desc = Desc {
    name: "traces_service_graph_request_failed",
    kind: Kind::Counter,
    help: "Requests from one service to another that failed at either end. Stored as a series as well.",
    labels: GRAPH_LABELS,
};
/// Latency at the server.
pub const SERVICE_GRAPH_SERVER: Desc = Desc {
    name: "traces_service_graph_request_server_seconds",
    kind: Kind::Histogram,
    help: "Duration of requests as the server saw it, or the client where no server sent a span, in \
           seconds. Stored as a series as well.",
    labels: GRAPH_LABELS,
};
/// Latency at the client.
pub const SERVICE_GRAPH_CLIENT: Desc = Desc {
    name: "traces_service_graph_request_client_seconds",
    kind: Kind::Histogram,
    help: "Duration of requests as the client saw it, in seconds. Stored as a series as well.",
    labels: GRAPH_LABELS,
};
/// Routes left out.
pub const ROUTE_EXCLUDED: Desc = Desc {
    name: "sidelight_route_excluded",
    kind: Kind::Gauge,
    help: "Always 1: a route that neither score nor alerts look at (`aggregate.routes.exclude`). Stored as a series as well.",
    labels: &["http_route"],
};
/// Ends that wait.
pub const GRAPH_WAITING: Desc = Desc {
    name: "sidelight_aggregate_graph_waiting_spans",
    kind: Kind::Gauge,
    help: "Spans that wait for the other end of their request.",
    labels: &[],
};
/// Ends without another.
pub const GRAPH_UNPAIRED: Desc = Desc {
    name: "sidelight_aggregate_graph_unpaired_spans",
    kind: Kind::Counter,
    help: "Spans in no edge of the service graph: no other end came, and they do not name it.",
    labels: &[],
};
/// Ends that waited too little.
pub const GRAPH_EARLY: Desc = Desc {
    name: "sidelight_aggregate_graph_early_spans",
    kind: Kind::Counter,
    help: "Spans that waited for the other end for less than `aggregate.graph.wait` because of `pending_max`.",
    labels: &[],
};
/// Requests in the overflow edge.
pub const GRAPH_OVERFLOW: Desc = Desc {
    name: "sidelight_aggregate_graph_overflow_requests",
    kind: Kind::Counter,
    help: "Requests counted without labels because a limit of the service graph was reached.",
    labels: &["limit"],
};
/// Latency of HTTP requests.
pub const HTTP_SERVER_DURATION: Desc = Desc {
    name: "http_server_request_duration_seconds",
    kind: Kind::Histogram,
    help: "Duration of HTTP server requests, in seconds. Not on /metrics: only stored, of spans where no metric says it.",
    labels: &["service_name", "job", "instance", "http_route", "http_request_method", "http_response_status_code"],
};
}
