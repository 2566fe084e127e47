//! The routes of the admin endpoint as one table, and what each answers.

use std::borrow::Cow;
use std::fmt::Write as _;

use http::{HeaderMap, Method, StatusCode, header};
use tokio::sync::{mpsc, oneshot};

use sidelight_promql::engine::Stop;

use super::call::Handler;
use super::guard::Access;
use super::reply::Reply;
use super::sources::{Control, Sources};
use super::{alerts, entries, openapi, prometheus, storage, views};
use crate::telemetry::Exposition;
use crate::telemetry::exposition::Format;

/// One path and what it answers.
#[derive(Debug)]
pub struct Route {
    /// The path; a segment `{name}` stands for any one.
    pub path: &'static str,
    /// Its methods.
    pub methods: Methods,
    /// Who may ask.
    pub access: Access,
    /// What it is for, as `GET /` shows it.
    pub purpose: &'static str,
    /// What its query string may have, and what each says; those of views and of the Prometheus API aside.
    pub parameters: &'static [(&'static str, &'static str)],
    pub(super) answer: Answer,
}

/// What may be asked of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Methods {
    /// GET and HEAD.
    Get,
    /// POST only: it changes something.
    Post,
    /// DELETE only: it takes something away.
    Delete,
    /// GET and HEAD, or POST with the parameters in a form.
    GetOrForm,
}

impl Methods {
    fn allow(self, method: &Method) -> bool {
        let get = *method == Method::GET || *method == Method::HEAD;
        match self {
            Self::Get => get,
            Self::Post => *method == Method::POST,
            Self::Delete => *method == Method::DELETE,
            Self::GetOrForm => get || *method == Method::POST,
        }
    }

    pub(super) const fn names(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::Post => "POST",
            Self::Delete => "DELETE",
            Self::GetOrForm => "GET, HEAD, POST",
        }
    }
}

/// How a route makes its reply.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// From the sources, on a blocking thread, until nobody waits for it; may be large.
    Read(Read),
    /// From the path, the query string and the body, on a blocking thread.
    Ask(alerts::Handler),
    /// From the store and parameters, on a blocking thread, until nobody waits for it; few at once.
    Query(Handler),
    /// The same of what needs no samples and no walk over series, so that it does not wait for queries.
    Tell(Handler),
    /// At once.
    Probe(fn(&Sources) -> Reply),
    Reload,
    Quit,
}

/// What answers from the sources and the request's head; asks the last whether somebody still waits.
pub(super) type Read = fn(&Sources, &HeaderMap, &dyn Fn() -> Option<Stop>) -> Reply;

/// Every route.
pub fn routes() -> impl Iterator<Item = &'static Route> {
    let own = OWN.iter().chain(views::ROUTES).chain(alerts::ROUTES);
    own.chain(entries::ROUTES).chain(prometheus::ROUTES)
}

const OWN: &[Route] = &[
    get("/", Access::Read, "this page", Answer::Probe(|_| index())),
    get("/healthz", Access::Open, "200 while the process runs", Answer::Probe(|_| alive())),
    get("/readyz", Access::Open, "200 or 503, with reasons", Answer::Probe(ready)),
    get(
        "/metrics",
        Access::Scrape,
        "self-metrics, span metrics and stored metrics; of native histograms sum and count, since the text formats have no \
         form for their buckets and their bounds change: ask `/api/v1/query`",
        Answer::Read(metrics),
    ),
    get(
        "/api/sidelight/v1/ledger",
        Access::Read,
        "accepted = delivered + queued + dropped",
        Answer::Read(|from, _, _| ok((from.ledger)().to_json())),
    ),
    get(
        "/api/sidelight/v1/spans",
        Access::Read,
        "calls and latency by service, span and route",
        Answer::Read(|from, _, _| ok((from.spans)())),
    ),
    get(
        "/api/sidelight/v1/rejected",
        Access::Read,
        "the last requests that destinations refused",
        Answer::Read(|from, _, _| ok((from.rejected)())),
    ),
    get(
        "/api/sidelight/v1/status",
        Access::Read,
        "journal, destinations, memory",
        Answer::Read(|from, _, _| ok((from.status)())),
    ),
    get(
        "/api/sidelight/v1/openapi.json",
        Access::Read,
        "these routes as an OpenAPI document",
        Answer::Probe(|_| ok(openapi::document().to_string())),
    ),
    query("/api/sidelight/v1/storage", "what is stored and for how long", storage::storage),
    query("/api/sidelight/v1/storage.csv", "the same as CSV", storage::sheet),
    get(
        "/docs/runbooks.md",
        Access::Open,
        "what to do about the alerts that the shipped rules know",
        Answer::Probe(|_| runbooks()),
    ),
    get("/-/healthy", Access::Open, "/healthz, as Prometheus calls it", Answer::Probe(|_| alive())),
    get("/-/ready", Access::Open, "/readyz, as Prometheus calls it", Answer::Probe(ready)),
    post("/-/reload", "reads the configuration again", Answer::Reload),
    post("/-/quit", "drains and stops", Answer::Quit),
];

pub(super) const fn get(
    path: &'static str,
    access: Access,
    purpose: &'static str,
    answer: Answer,
) -> Route {
    Route { path, methods: Methods::Get, access, purpose, parameters: &[], answer }
}

const fn post(path: &'static str, purpose: &'static str, answer: Answer) -> Route {
    let (methods, access) = (Methods::Post, Access::Control);
    Route { path, methods, access, purpose, parameters: &[], answer }
}

/// A route that reads the store, with its parameters in the query string or a form.
pub(super) const fn query(path: &'static str, purpose: &'static str, handler: Handler) -> Route {
    let answer = Answer::Query(handler);
    let (methods, access) = (Methods::GetOrForm, Access::Read);
    Route { path, methods, access, purpose, parameters: &[], answer }
}

/// A route with parameters in the query string or a form that reads no samples.
pub(super) const fn tell(path: &'static str, purpose: &'static str, handler: Handler) -> Route {
    let mut route = query(path, purpose, handler);
    route.answer = Answer::Tell(handler);
    route
}

/// A route with parameters.
pub(super) const fn taking(
    mut route: Route,
    parameters: &'static [(&'static str, &'static str)],
) -> Route {
    route.parameters = parameters;
    route
}

/// A route whose answers say most of users.
pub(super) const fn private(mut route: Route) -> Route {
    route.access = Access::Private;
    route
}

/// The route of a request and the segment that it leaves open, without escapes, or the reply that there is none. Several
/// routes may have one path and differ in method.
pub(super) fn find<'p>(
    method: &Method,
    path: &'p str,
) -> Result<(&'static Route, Cow<'p, str>), Reply> {
    let found = || routes().filter_map(|route| open(route.path, path).map(|open| (route, open)));
    if let Some((route, open)) = found().find(|(route, _)| route.methods.allow(method)) {
        let message = "an escape in the path is not one, or what it stands for is not UTF-8";
        let open = unescaped(open)
            .ok_or_else(|| Reply::error(StatusCode::BAD_REQUEST, "bad_data", message))?;
        return Ok((route, open));
    }
    let methods: Vec<&str> = found().map(|(route, _)| route.methods.names()).collect();
    if methods.is_empty() {
        let message = "no such path; GET / lists them";
        return Err(Reply::error(StatusCode::NOT_FOUND, "not_found", message));
    }
    Err(Reply::not_allowed(&methods.join(", ")))
}

/// What stands in `path` where `pattern` has `{name}`; empty when it has none. `None` when they differ.
fn open<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    let Some((before, after)) = pattern.split_once("{name}") else {
        return (pattern == path).then_some("");
    };
    let open = path.strip_prefix(before)?.strip_suffix(after)?;
    (!open.is_empty() && !open.contains('/')).then_some(open)
}

/// A segment with each `%` and two hexadecimal digits as the byte that they stand for.
fn unescaped(segment: &str) -> Option<Cow<'_, str>> {
    if !segment.contains('%') {
        return Some(Cow::Borrowed(segment));
    }
    let mut bytes = segment.bytes();
    let mut out = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        out.push(match byte {
            b'%' => u8::try_from(digit()? * 16 + digit()?).ok()?,
            byte => byte,
        });
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

fn ok(document: String) -> Reply {
    Reply::json(StatusCode::OK, document)
}

fn index() -> Reply {
    let mut page = format!("sidelight {}\n\n", env!("CARGO_PKG_VERSION"));
    for Route { path, methods, purpose, .. } in routes() {
        let method = methods.names().split(',').next().unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(page, "{method:<7}{path:<38}{purpose}");
    }
    Reply::new(StatusCode::OK, "text/plain; charset=utf-8", page)
}

/// As text, which browsers show.
fn runbooks() -> Reply {
    let text = include_str!("../../docs/runbooks.md").to_owned();
    Reply::new(StatusCode::OK, "text/plain; charset=utf-8", text)
}

fn alive() -> Reply {
    ok(r#"{"schema_version":1,"alive":true}"#.to_owned())
}

fn ready(from: &Sources) -> Reply {
    let readiness = (from.readiness)();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Reply::json(status, readiness.to_json())
}

fn metrics(from: &Sources, request: &HeaderMap, stop: &dyn Fn() -> Option<Stop>) -> Reply {
    let accept: Vec<_> =
        request.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).collect();
    let format = Format::negotiate(Some(&accept.join(",")));
    let mut out = Exposition::new(format);
    from.registry.write(&mut out);
    if let Some(store) = &(from.store)()
        && let Err(error) = prometheus::expose(store, from.clock.unix_nano(), stop, &mut out)
        && stop().is_none()
    {
        tracing::warn!(%error, "stored series are not among the metrics shown");
    }
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
