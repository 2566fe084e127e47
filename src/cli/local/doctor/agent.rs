//! The running agent: whether it answers, is ready, delivers, and hears of services.

use http::StatusCode;
use serde_json::Value;

use super::report::Group;
use crate::cli::exit::Exit;
use crate::cli::read::client::{Connection, message};
use crate::cli::rows;

/// Spans of the last minute, by service.
const SPANS: &str = "sum by (service) (increase(traces_spanmetrics_calls_total[1m])) > 0";
/// Services whose HTTP servers do not say their route.
const ROUTELESS: &str = "sum by (service) (increase(traces_spanmetrics_calls_total{\
    span_kind=\"SPAN_KIND_SERVER\",http_request_method!=\"\",http_route=\"\"}[5m])) > 0";

/// Whether an agent runs.
pub(super) async fn look(connection: &Connection, group: &mut Group<'_>) -> bool {
    let answer = match connection.get("/readyz").await {
        Ok(answer) => answer,
        Err(failure) if failure.exit == Exit::NotAuthorised => {
            group.failed("running", failure.what, "name the file of its token with --token-file");
            return true;
        }
        Err(failure) => {
            let why = failure.why.first().map_or_else(String::new, |why| format!(" ({why})"));
            group.skipped("running", format!("no agent answers at {}{why}", connection.url()));
            return false;
        }
    };
    let document = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    let reasons = rows::rows(&document, "reasons");
    let url = connection.url();
    match (answer.status, reasons) {
        (StatusCode::OK, []) => group.passed("ready", format!("the agent at {url} is ready")),
        (StatusCode::OK, reasons) => {
            for reason in reasons {
                group.warning("ready", format!("ready, but {}", rows::plain(reason)), MORE);
            }
        }
        (StatusCode::SERVICE_UNAVAILABLE, reasons) => {
            for reason in reasons {
                group.failed("ready", format!("not ready: {}", rows::plain(reason)), MORE);
            }
        }
        (status, _) => {
            let text =
                format!("what answers at {url} is not this agent: {status} {}", message(&answer));
            group.failed(
                "running",
                text,
                "name the agent's address with --url, or stop what has its port",
            );
        }
    }
    application(connection, group).await;
    true
}

const MORE: &str = "sidelight journal stats, and docs/runbooks.md";

/// Whether services send, and enough.
async fn application(connection: &Connection, group: &mut Group<'_>) {
    let Some(services) = ask(connection, SPANS).await else {
        group.skipped("spans", "the agent keeps no metrics that could be asked");
        return;
    };
    if services.is_empty() {
        group.warning(
            "spans",
            "no spans in the last minute",
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 in the service's environment; `sidelight gen --for 5s` makes some",
        );
        return;
    }
    let text = format!(
        "spans from {} services in the last minute ({})",
        services.len(),
        services.join(", ")
    );
    group.passed("spans", text);
    for service in ask(connection, ROUTELESS).await.unwrap_or_default() {
        group.warning(
            "routes",
            format!("{service} sends no http.route: its routes are told apart by span name"),
            "an instrumentation of its web framework sets it",
        );
    }
}

/// The services that an expression gives; `None` when it cannot be asked.
async fn ask(connection: &Connection, query: &str) -> Option<Vec<String>> {
    let query =
        form_urlencoded::Serializer::new(String::new()).append_pair("query", query).finish();
    let body = connection.document(&format!("/api/v1/query?{query}")).await.ok()?;
    let document: Value = serde_json::from_slice(&body).ok()?;
    let series = document.pointer("/data/result")?.as_array()?;
    let service = |series: &Value| Some(series.pointer("/metric/service")?.as_str()?.to_owned());
    let mut services: Vec<String> = series.iter().filter_map(service).collect();
    services.sort();
    Some(services.iter().map(|name| crate::cli::text::printable(name)).collect())
}
