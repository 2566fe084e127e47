//! The routes of the admin endpoint as one table, and what each answers.

use std::borrow::Cow;
use std::fmt::Write as _;

use http::{HeaderMap, Method, StatusCode};
use tokio::sync::{mpsc, oneshot};

use sidelight_promql::engine::{Options, Stop};

use super::guard::Access;
use super::reply::{Page, Reply, accepted};
use super::route::{Answer, Methods, Route, get, post, query, scan};
use super::sources::{Control, Sources};
use super::{alerts, entries, journal, openapi, prometheus, storage, views};
use crate::telemetry::Exposition;
use crate::telemetry::exposition::Format;

/// Every route.
pub fn routes() -> impl Iterator<Item = &'static Route> {
    let own = OWN.iter().chain(views::ROUTES).chain(alerts::ROUTES);
    own.chain(entries::ROUTES).chain(journal::ROUTES).chain(prometheus::ROUTES)
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
        Answer::Probe(|_| ok(openapi::document(routes()).to_string())),
    ),
    query("/api/sidelight/v1/storage", "what is stored and for how long", storage::storage),
    query("/api/sidelight/v1/storage.csv", "the same as CSV", storage::sheet),
    scan(
        "/api/sidelight/v1/storage/files",
        Methods::Get,
        "every file of the store: what it holds, its size, series, chunks and samples",
        storage::files,
    ),
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

/// What a family of stored series may take on `/metrics`: 50,000 with ten labels each.
const EXPOSED_SAMPLES_MAX: usize = 2_000_000;

fn metrics(from: &Sources, request: &HeaderMap, stop: &dyn Fn() -> Option<Stop>) -> Reply {
    let offered = [Format::Text, Format::OpenMetrics];
    let (format, escaping) = Format::negotiate(&accepted(request), &offered);
    let page = Page::new();
    let mut out = Exposition::new(format).escaped(escaping).piped(Box::new(page.clone()));
    from.registry.write(&mut out);
    // Every series with its labels: how many there are is bounded where they are stored.
    let options = Options { stop, samples_max: EXPOSED_SAMPLES_MAX, ..Options::default() };
    if let Some(store) = &(from.store)()
        && let Err(error) = prometheus::expose(store, from.clock.unix_nano(), options, &mut out)
        && stop().is_none()
    {
        tracing::warn!(error, "not all stored series are among the metrics shown");
    }
    drop(out.finish());
    Reply::page(format.content_type(escaping), page)
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
