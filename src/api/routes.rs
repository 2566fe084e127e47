//! The routes of the admin endpoint as one table, and what each answers.

use std::fmt::Write as _;

use http::{HeaderMap, Method, StatusCode, header};
use tokio::sync::{mpsc, oneshot};

use super::guard::Access;
use super::reply::Reply;
use super::sources::{Control, Sources};
use crate::telemetry::Exposition;
use crate::telemetry::exposition::Format;

/// One path and what it answers.
#[derive(Debug)]
pub struct Route {
    /// The exact path.
    pub path: &'static str,
    /// Its only method; GET includes HEAD.
    pub method: Method,
    /// Who may ask.
    pub access: Access,
    /// What it is for, as `GET /` shows it.
    pub purpose: &'static str,
    pub(super) answer: Answer,
}

/// How a route makes its reply.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// From the sources, on a blocking thread; may be large.
    Read(fn(&Sources, &HeaderMap) -> Reply),
    /// At once.
    Probe(fn(&Sources) -> Reply),
    Reload,
    Quit,
}

/// Every route.
pub const ROUTES: &[Route] = &[
    get("/", Access::Read, "this page", Answer::Probe(|_| index())),
    get("/healthz", Access::Open, "200 while the process runs", Answer::Probe(|_| alive())),
    get("/readyz", Access::Open, "200 or 503, with reasons", Answer::Probe(ready)),
    get("/metrics", Access::Read, "self-metrics and span metrics", Answer::Read(metrics)),
    get(
        "/api/sidelight/v1/ledger",
        Access::Read,
        "accepted = delivered + queued + dropped",
        Answer::Read(|from, _| ok((from.ledger)().to_json())),
    ),
    get(
        "/api/sidelight/v1/routes",
        Access::Read,
        "calls and latency by service, span and route",
        Answer::Read(|from, _| ok((from.routes)())),
    ),
    get(
        "/api/sidelight/v1/rejected",
        Access::Read,
        "the last requests that destinations refused",
        Answer::Read(|from, _| ok((from.rejected)())),
    ),
    get(
        "/api/sidelight/v1/status",
        Access::Read,
        "journal, destinations, memory",
        Answer::Read(|from, _| ok((from.status)())),
    ),
    post("/-/reload", "reads the configuration again", Answer::Reload),
    post("/-/quit", "drains and stops", Answer::Quit),
];

const fn get(path: &'static str, access: Access, purpose: &'static str, answer: Answer) -> Route {
    Route { path, method: Method::GET, access, purpose, answer }
}

const fn post(path: &'static str, purpose: &'static str, answer: Answer) -> Route {
    Route { path, method: Method::POST, access: Access::Control, purpose, answer }
}

/// The route of a request, or the reply that there is none.
pub(super) fn find(method: &Method, path: &str) -> Result<&'static Route, Reply> {
    let Some(route) = ROUTES.iter().find(|route| route.path == path) else {
        let message = "no such path; GET / lists them";
        return Err(Reply::error(StatusCode::NOT_FOUND, "not_found", message));
    };
    let method = if method == Method::HEAD { &Method::GET } else { method };
    if route.method == *method {
        Ok(route)
    } else if route.method == Method::GET {
        Err(Reply::not_allowed("GET, HEAD"))
    } else {
        Err(Reply::not_allowed(route.method.as_str()))
    }
}

fn ok(document: String) -> Reply {
    Reply::json(StatusCode::OK, document)
}

fn index() -> Reply {
    let mut page = format!("sidelight {}\n\n", env!("CARGO_PKG_VERSION"));
    for Route { path, method, purpose, .. } in ROUTES {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "{:<5}{path:<27}{purpose}", method.as_str());
    }
    Reply::new(StatusCode::OK, "text/plain; charset=utf-8", page)
}

fn alive() -> Reply {
    ok(r#"{"alive":true}"#.to_owned())
}

fn ready(from: &Sources) -> Reply {
    let readiness = (from.readiness)();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Reply::json(status, serde_json::to_string(&readiness).unwrap_or_default())
}

fn metrics(from: &Sources, request: &HeaderMap) -> Reply {
    let accept: Vec<_> =
        request.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).collect();
    let format = Format::negotiate(Some(&accept.join(",")));
    let mut out = Exposition::new(format);
    from.registry.write(&mut out);
    Reply::new(StatusCode::OK, format.content_type(), out.finish())
}

/// Asks for the configuration to be read again and waits for the outcome.
pub(super) async fn reload(control: &mpsc::Sender<Control>) -> Reply {
    let (reply, outcome) = oneshot::channel();
    if control.try_send(Control::Reload(reply)).is_err() {
        return busy();
    }
    match outcome.await {
        Ok(Ok(changed)) => {
            ok(serde_json::json!({"reloaded": true, "changed": changed}).to_string())
        }
        Ok(Err(findings)) => {
            Reply::error(StatusCode::UNPROCESSABLE_ENTITY, "invalid_configuration", &findings)
        }
        Err(_) => busy(),
    }
}

/// Asks for the agent to stop.
pub(super) fn quit(control: &mpsc::Sender<Control>) -> Reply {
    match control.try_send(Control::Quit) {
        Ok(()) => Reply::json(StatusCode::ACCEPTED, r#"{"quitting":true}"#.to_owned()),
        Err(_) => busy(),
    }
}

fn busy() -> Reply {
    let message = "another reload or stop is under way";
    Reply::error(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
}
