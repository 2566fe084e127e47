//! The Prometheus HTTP API over the agent's own store: what Grafana's Prometheus data source and
//! promtool ask.
//!
//! Every route takes its parameters from the query string and, with POST, from a form; answers in Prometheus'
//! envelope; and runs on a blocking thread under the limits of [`Limits`]. A query ends early
//! when its client goes or its time is over.
//!
//! Source: Prometheus 3.15, "HTTP API". Times in and out are seconds since the Unix epoch with a fraction;
//! inside, milliseconds.

mod ast;
mod encode;
mod envelope;
mod exposition;
mod federate;
mod query;
mod rules;
mod series;
mod status;
#[cfg(test)]
mod tests;
mod written;

pub(super) use exposition::expose;

use super::route::{Route, query, tell};

/// Every route.
pub(super) const ROUTES: &[Route] = &[
    query("/api/v1/query", "PromQL at one time", query::instant),
    query("/api/v1/query_range", "PromQL over a range of time", query::range),
    query("/api/v1/query_exemplars", "exemplars of an expression's series", series::exemplars),
    tell("/api/v1/format_query", "an expression, laid out", query::format),
    tell("/api/v1/parse_query", "an expression as a tree", query::parse),
    query("/api/v1/labels", "label names", series::label_names),
    query("/api/v1/label/{name}/values", "values of a label", series::label_values),
    query("/api/v1/series", "series by matchers", series::series),
    tell("/api/v1/metadata", "type, unit and help of metrics", series::metadata),
    tell("/api/v1/targets", "none: nothing is scraped", status::targets),
    tell("/api/v1/rules", "rule groups, their rules and alerts", rules::rules),
    tell("/api/v1/alerts", "pending and firing alerts", rules::alerts),
    tell("/api/v1/status/buildinfo", "version", status::build),
    tell("/api/v1/status/config", "empty: `sidelight config print` shows it", status::config),
    tell("/api/v1/status/flags", "none of Prometheus' apply", status::flags),
    query("/api/v1/status/runtimeinfo", "the store's state", status::runtime),
    query("/api/v1/status/tsdb", "series by metric and label", status::tsdb),
    tell("/api/v1/status/walreplay", "done: replay ends before this answers", status::replay),
    query("/federate", "the last samples as Prometheus text", federate::federate),
];
