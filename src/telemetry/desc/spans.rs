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
const QUANTILE_LABELS: &[&str] = {
    let [service, name, kind, code, route, method, status] = OWN_SPAN_LABELS;
    &[
        service,
        name,
        kind,
        code,
        route,
        method,
        status,
        "service_name",
        "job",
        "instance",
        "quantile",
    ]
};
const OPERATION_LABELS: &[&str] =
    &["service_name", "job", "instance", "operation_name", "protocol"];
const OUTCOME_LABELS: &[&str] =
    &["service_name", "job", "instance", "operation_name", "protocol", "outcome"];
const THRESHOLD_LABELS: &[&str] =
    &["service_name", "job", "instance", "operation_name", "protocol", "threshold"];
const ROUTE_LABELS: &[&str] = &[
    "service_name",
    "job",
    "instance",
    "http_route",
    "http_request_method",
    "http_response_status_code",
];
const GRAPH_LABELS: &[&str] = &["client", "server", "connection_type"];

table! {
SPANMETRICS_CALLS = Counter("traces_spanmetrics_calls", SPAN_LABELS),
    "Spans received; a sampled one counts as many as its tracestate says that it stands for. Stored as a series as well.";
SPANMETRICS_LATENCY = Histogram("traces_spanmetrics_latency", SPAN_LABELS),
    "Duration of the spans received, in seconds. Stored as a series as well, with exemplars.";
SPANMETRICS_SIZE = Counter("traces_spanmetrics_size", SPAN_LABELS),
    "Bytes of the spans received, encoded, each once. Stored as a series as well.";
SPAN_LATENCY_SECONDS = Gauge("sidelight_span_latency_seconds", QUANTILE_LABELS),
    "Quantiles of the duration of the spans received, in seconds.";
OPERATION_DURATION = Histogram("sidelight_operation_duration_seconds", OUTCOME_LABELS),
    "Duration of operations (SERVER and CONSUMER spans but for excluded routes), in seconds. Stored as a series as well.";
OPERATION_EXCEEDED = Counter("sidelight_operation_threshold_exceeded", THRESHOLD_LABELS),
    "Operations longer than their threshold, which is in seconds. Stored as a series as well.";
OPERATION_SATISFIED = Counter("sidelight_operation_satisfied", THRESHOLD_LABELS),
    "Operations within a quarter of their threshold, in seconds: Apdex counts them whole. Stored as a series as well.";
OPERATION_MIN = Gauge("sidelight_operation_duration_min_seconds", OPERATION_LABELS),
    "The shortest operation within 5 s, in seconds. Stored as a series as well.";
OPERATION_MAX = Gauge("sidelight_operation_duration_max_seconds", OPERATION_LABELS),
    "The longest operation within 5 s, in seconds. Stored as a series as well.";
SERVICE_GRAPH_REQUESTS = Counter("traces_service_graph_request", GRAPH_LABELS),
    "Requests from one service to another. Stored as a series as well.";
SERVICE_GRAPH_FAILED = Counter("traces_service_graph_request_failed", GRAPH_LABELS),
    "Requests from one service to another that failed at either end. Stored as a series as well.";
SERVICE_GRAPH_SERVER = Histogram("traces_service_graph_request_server_seconds", GRAPH_LABELS),
    "Duration of requests as the server saw it, or the client where no server sent a span, in seconds. Stored as a series as \
     well.";
SERVICE_GRAPH_CLIENT = Histogram("traces_service_graph_request_client_seconds", GRAPH_LABELS),
    "Duration of requests as the client saw it, in seconds. Stored as a series as well.";
ROUTE_EXCLUDED = Gauge("sidelight_route_excluded", &["http_route"]),
    "Always 1: a route that neither score nor alerts look at (`aggregate.routes.exclude`). Stored as a series as well.";
GRAPH_WAITING = Gauge("sidelight_aggregate_graph_waiting_spans", &[]),
    "Spans that wait for the other end of their request.";
GRAPH_UNPAIRED = Counter("sidelight_aggregate_graph_unpaired_spans", &[]),
    "Spans in no edge of the service graph: no other end came, and they do not name it.";
GRAPH_EARLY = Counter("sidelight_aggregate_graph_early_spans", &[]),
    "Spans that waited for the other end for less than `aggregate.graph.wait` because of `pending_max`.";
GRAPH_OVERFLOW = Counter("sidelight_aggregate_graph_overflow_requests", &["limit"]),
    "Requests counted without labels because a limit of the service graph was reached.";
HTTP_SERVER_DURATION = Histogram("http_server_request_duration_seconds", ROUTE_LABELS),
    "Duration of HTTP server requests, in seconds. Not on /metrics: only stored, of spans where no metric says it.";
}
