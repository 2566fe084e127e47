//! Routes of alerts: what fires, who was told, silences, history.
//!
//! Everything is a JSON document that someone else makes ([`Alerts`](super::Alerts)); here are paths and parameters.

use serde_json::json;

use super::guard::Access;
use super::route::{Answer, Methods, Route, ask, get, taking};
use super::sheets;

/// What history is filtered by.
const HISTORY: &[(&str, &str)] = &[
    ("what", "`transitions`, the default, or `deliveries`."),
    ("since", "Not before this time: RFC 3339 or Unix seconds."),
    ("until", "Before this time."),
    ("limit", "The most rows, from 1 to 1000. Default: 100."),
    ("before", "The `next` of an answer: what is older than its last row."),
    ("service", "Transitions of this `service_name`."),
    ("name", "Transitions of this `alertname`."),
    ("state", "Transitions to `firing` or `resolved`."),
    ("fingerprint", "Transitions of the alert with this fingerprint."),
    ("receiver", "Deliveries to this receiver."),
    ("outcome", "Deliveries that ended so: `ok`, `failed` or `given_up`."),
];

pub(super) const ROUTES: &[Route] = &[
    ask(
        "/api/sidelight/v1/alerts",
        Methods::Get,
        "alerts that are pending, firing or were over lately; silences that cover them; receivers",
        |from, _| Ok(from.alerts.list()),
    ),
    get(
        "/api/sidelight/v1/alerts.csv",
        Access::Read,
        "alerts that are pending, firing or were over lately, as CSV",
        Answer::Read(|from, _, _| {
            sheets::reply(sheets::list(&from.alerts.list(), "alerts", sheets::ALERTS))
        }),
    ),
    taking(
        ask(
            "/api/sidelight/v1/alerts/history",
            Methods::Get,
            "who was told of what: `what=transitions` or `deliveries`, filters, `limit`, `before`",
            |from, asked| from.alerts.history(&asked.parameters),
        ),
        HISTORY,
    ),
    ask(
        "/api/sidelight/v1/receivers",
        Methods::Get,
        "the last result, queue and counts of every receiver of alerts",
        |from, _| Ok(from.alerts.receivers()),
    ),
    ask(
        "/api/sidelight/v1/silences",
        Methods::Get,
        "silences that are not over, and those of the last day",
        |from, _| Ok(from.alerts.silences()),
    ),
    ask("/api/sidelight/v1/silences", Methods::Post, "makes a silence", |from, asked| {
        from.alerts.add_silence(&asked.body)
    }),
    ask("/api/sidelight/v1/silences/{name}", Methods::Delete, "ends a silence", |from, asked| {
        from.alerts.expire_silence(&asked.open)
    }),
    ask(
        "/api/v1/alertmanagers",
        Methods::Get,
        "Alertmanagers that are told of alerts",
        |from, _| {
            let data = from.alerts.alertmanagers();
            Ok(json!({ "status": "success", "data": data }).to_string())
        },
    ),
];
