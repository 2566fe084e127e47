//! Routes of alerts: what fires, who was told, silences, history.
//!
//! Everything is a JSON document that someone else makes ([`Alerts`]); here are paths, parameters and statuses. A body
//! has at most 64 KiB.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::guard::Access;
use super::reply::Reply;
use super::routes::{Answer, Methods, Route, get, taking};
use super::sheets;
use super::sources::Sources;

/// Alerts, silences and history as documents. Calls may block on the disk.
pub trait Alerts: Send + Sync {
    /// Alerts that are pending, firing or were over lately, with the silences that cover them.
    fn list(&self) -> String;
    /// How every receiver is doing.
    fn receivers(&self) -> String;
    /// The `data` of Prometheus' `/api/v1/alertmanagers`.
    fn alertmanagers(&self) -> Value;
    /// Silences.
    fn silences(&self) -> String;
    /// Makes a silence of a JSON document.
    ///
    /// # Errors
    /// [`Refused`]: it was not made.
    fn add_silence(&self, body: &[u8]) -> Result<String, Refused>;
    /// Ends a silence.
    ///
    /// # Errors
    /// [`Refused`]: there is none, or it cannot be kept.
    fn expire_silence(&self, id: &str) -> Result<String, Refused>;
    /// Transitions or delivery results.
    ///
    /// # Errors
    /// [`Refused`]: a parameter is wrong, or history cannot be read.
    fn history(&self, parameters: &[(String, String)]) -> Result<String, Refused>;
}

/// Why something about alerts was not done, in words for whoever asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It cannot be asked like this.
    #[error("{0}")]
    Invalid(String),
    /// There is no such thing.
    #[error("{0}")]
    Unknown(String),
    /// There are too many already.
    #[error("{0}")]
    Full(String),
    /// The disk refuses.
    #[error("{0}")]
    Failed(String),
}

impl Refused {
    pub(super) fn into_reply(self) -> Reply {
        let (status, code) = match self {
            Self::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid"),
            Self::Unknown(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::Full(_) => (StatusCode::TOO_MANY_REQUESTS, "full"),
            Self::Failed(_) => (StatusCode::INTERNAL_SERVER_ERROR, "failed"),
        };
        Reply::error(status, code, &self.to_string())
    }
}

/// A request, read.
#[derive(Debug)]
pub(super) struct Asked {
    /// The part of the path that a route leaves open.
    pub(super) open: String,
    /// Of the query string.
    pub(super) parameters: Vec<(String, String)>,
    pub(super) body: bytes::Bytes,
}

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
    route(
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
        route(
            "/api/sidelight/v1/alerts/history",
            Methods::Get,
            "who was told of what: `what=transitions` or `deliveries`, filters, `limit`, `before`",
            |from, asked| from.alerts.history(&asked.parameters),
        ),
        HISTORY,
    ),
    route(
        "/api/sidelight/v1/receivers",
        Methods::Get,
        "the last result, queue and counts of every receiver of alerts",
        |from, _| Ok(from.alerts.receivers()),
    ),
    route(
        "/api/sidelight/v1/silences",
        Methods::Get,
        "silences that are not over, and those of the last day",
        |from, _| Ok(from.alerts.silences()),
    ),
    route("/api/sidelight/v1/silences", Methods::Post, "makes a silence", |from, asked| {
        from.alerts.add_silence(&asked.body)
    }),
    route("/api/sidelight/v1/silences/{name}", Methods::Delete, "ends a silence", |from, asked| {
        from.alerts.expire_silence(&asked.open)
    }),
    route(
        "/api/v1/alertmanagers",
        Methods::Get,
        "Alertmanagers that are told of alerts",
        |from, _| {
            let data = from.alerts.alertmanagers();
            Ok(json!({ "status": "success", "data": data }).to_string())
        },
    ),
];

/// Makes the document of an answer.
pub(super) type Handler = fn(&Sources, &Asked) -> Result<String, Refused>;

pub(super) const fn route(
    path: &'static str,
    methods: Methods,
    purpose: &'static str,
    handler: Handler,
) -> Route {
    let access = match methods {
        Methods::Get => Access::Read,
        _ => Access::Control,
    };
    Route { path, methods, access, purpose, parameters: &[], answer: Answer::Ask(handler) }
}

/// Answers a request. Blocks.
pub(super) fn answer(handler: Handler, from: &Sources, method: &Method, asked: &Asked) -> Reply {
    // What is posted is made; an empty body asks for something to be done.
    let made = if *method == Method::POST && !asked.body.is_empty() {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    handler(from, asked).map_or_else(Refused::into_reply, |document| Reply::json(made, document))
}
