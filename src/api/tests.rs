//! The endpoint over a real socket.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::*;
use crate::journal::fs::Roomy;
use crate::journal::{Durability, Journal};
use crate::signal::Signal;
use crate::store::Store;
use crate::telemetry::{Registry, desc};
use crate::time::SystemClock;

pub(super) struct Running {
    pub(super) api: Api,
    ready: Arc<AtomicBool>,
    control: mpsc::Receiver<Control>,
    pub(super) registry: Registry,
}

/// Says what it was asked.
struct Spoken;

impl Alerts for Spoken {
    fn list(&self) -> String {
        "{\"alerts\":[]}".to_owned()
    }

    fn receivers(&self) -> String {
        "{\"receivers\":[]}".to_owned()
    }

    fn alertmanagers(&self) -> serde_json::Value {
        serde_json::json!({"activeAlertmanagers": [{"url": "http://am/api/v2/alerts"}]})
    }

    fn silences(&self) -> String {
        "{\"silences\":[]}".to_owned()
    }

    fn add_silence(&self, body: &[u8]) -> Result<String, Refused> {
        let text = String::from_utf8_lossy(body).into_owned();
        if text == "{}" { Ok(text) } else { Err(Refused::Invalid(text)) }
    }

    fn expire_silence(&self, id: &str) -> Result<String, Refused> {
        Err(Refused::Unknown(id.to_owned()))
    }

    fn history(&self, parameters: &[(String, String)]) -> Result<String, Refused> {
        Ok(format!("{parameters:?}"))
    }
}

impl Entries for Spoken {
    fn list(&self, parameters: &[(String, String)]) -> Result<String, Refused> {
        Ok(format!("{parameters:?}"))
    }

    fn stats(&self) -> Result<String, Refused> {
        Ok("{\"total\":1}".to_owned())
    }

    fn cleanup(&self) -> Result<String, Refused> {
        Ok("{\"removed\":2}".to_owned())
    }
}

#[tokio::test]
async fn entries_are_read_with_filters_and_cleaned_up_by_post_alone() {
    let Running { api, .. } = start(|_| {}, Some("t")).await;
    for (line, status, said) in [
        ("GET /api/sidelight/v1/entries?family=http&limit=2", 200, r#"("limit", "2")"#),
        ("GET /api/sidelight/v1/entries/stats", 200, r#"{"total":1}"#),
        ("POST /api/sidelight/v1/entries/cleanup", 200, r#"{"removed":2}"#),
        ("GET /api/sidelight/v1/entries/cleanup", 405, "post"),
    ] {
        let (got, head, body) = ask(&api, line, "authorization: Bearer t\r\n").await;
        let reply = head + &String::from_utf8_lossy(&body);
        assert_eq!(got, status, "{line}: {reply}");
        assert!(reply.contains(said), "{line}: {reply}");
    }
}

#[tokio::test]
async fn silences_are_made_by_post_and_ended_by_delete_and_only_by_who_may() {
    let Running { api, .. } = start(|_| {}, None).await;
    let body = |text: &str| format!("content-length: {}\r\n\r\n{text}", text.len());
    let path = "/api/sidelight/v1/silences";
    for (line, headers, status, said) in [
        (format!("GET {path}"), String::new(), 200, r#"{"silences":[]}"#),
        (format!("POST {path}"), body("{}"), 201, "{}"),
        (format!("POST {path}"), body("nonsense"), 400, r#""message":"nonsense""#),
        (
            format!("POST {path}"),
            format!("origin: http://evil\r\n{}", body("{}")),
            403,
            "other origins",
        ),
        (format!("POST {path}"), body(&"x".repeat(70_000)), 413, "at most 65536 bytes"),
        (format!("DELETE {path}/abc"), String::new(), 404, r#""message":"abc""#),
        (format!("DELETE {path}"), String::new(), 405, "GET, HEAD, POST"),
        (format!("GET {path}/abc"), String::new(), 405, "DELETE"),
        (
            "GET /api/sidelight/v1/alerts/history?what=a%20b&limit=3".to_owned(),
            String::new(),
            200,
            r#"[("what", "a b"), ("limit", "3")]"#,
        ),
        (
            "GET /api/v1/alertmanagers".to_owned(),
            String::new(),
            200,
            r#"{"data":{"activeAlertmanagers":[{"url":"http://am/api/v2/alerts"}]},"status":"success"}"#,
        ),
    ] {
        let (got, _, body) = ask(&api, &line, &headers).await;
        let body = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(got, status, "{line}: {body}");
        assert!(body.contains(said), "{line}: {body}");
    }
}

async fn start(change: impl FnOnce(&mut Config), token: Option<&str>) -> Running {
    start_with(change, token, None).await
}

pub(super) async fn start_with(
    change: impl FnOnce(&mut Config),
    token: Option<&str>,
    store: Option<Store>,
) -> Running {
    let mut config = Config { endpoint: ([127, 0, 0, 1], 0).into(), ..Config::default() };
    change(&mut config);
    let (sources, control, ready) = sources_with(store);
    let token = token.and_then(|t| Token::from_file(t.as_bytes()));
    let registry = sources.registry.clone();
    let listener = tokio::net::TcpListener::bind(config.endpoint).await.unwrap();
    Running { api: serve(listener, config, token, sources).unwrap(), ready, control, registry }
}

/// What the endpoint shows, and what takes orders for as long as it is kept.
pub(super) fn sources(store: Option<Store>) -> (Sources, mpsc::Receiver<Control>) {
    let (sources, control, _) = sources_with(store);
    (sources, control)
}

fn in_memory() -> Journal {
    let config = crate::journal::Config {
        durability: Durability::Memory,
        ..crate::journal::Config::default()
    };
    let deps = crate::journal::Deps {
        fs: Arc::new(Roomy),
        clock: Arc::new(SystemClock::new()),
        registry: Registry::default(),
    };
    Journal::open(config, Vec::new(), deps).unwrap().0
}

fn sources_with(store: Option<Store>) -> (Sources, mpsc::Receiver<Control>, Arc<AtomicBool>) {
    let registry = Registry::default();
    registry.counter(&desc::RECEIVER_ACCEPTED_SPANS, &["otlp", "grpc"]).add(41);
    let ledger = || {
        let mut ledger = Ledger::default();
        ledger.flow(Signal::Logs).accepted = Count { requests: 1, items: 7 };
        ledger
    };
    registry.collect(move |out| ledger().expose(out));
    let (sender, control) = mpsc::channel(1);
    let ready = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&ready);
    let sources = Sources {
        registry,
        store: Arc::new(move || store.clone()),
        no_store: Arc::new(|| "store.enabled is false".to_owned()),
        subquery_step_ms: Arc::new(|| 15_000),
        samples_max: 1_000_000,
        clock: Arc::new(SystemClock::new()),
        rules: Arc::new(Vec::new),
        readiness: Arc::new(move || Readiness {
            ready: flag.load(Ordering::Relaxed),
            reasons: vec!["the journal makes no progress".to_owned(), "a is away".to_owned()],
            blocking: vec!["the journal makes no progress".to_owned()],
            ..Readiness::default()
        }),
        ledger: Arc::new(ledger),
        spans: Arc::new(|| r#"{"schema_version":1,"spans":[]}"#.to_owned()),
        definitions: Arc::new([]),
        rejected: Arc::new(|| format!("[\"{}\"]", "x".repeat(500_000))),
        journal: in_memory(),
        status: Arc::new(|| "{}".to_owned()),
        alerts: Arc::new(Spoken),
        entries: Arc::new(Spoken),
        control: sender,
    };
    (sources, control, ready)
}

/// Status, head and body of one request on a connection of its own.
pub(super) async fn ask(api: &Api, request_line: &str, headers: &str) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(api.address()).await.unwrap();
    let request =
        format!("{request_line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.unwrap();
    let end = reply.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8(reply[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), reply[end..].to_vec())
}

pub(super) fn text(body: Vec<u8>) -> String {
    String::from_utf8(body).unwrap()
}

#[tokio::test]
async fn metrics_and_ledger_are_served_in_the_format_asked_for() {
    let Running { api, registry, .. } = start(|_| {}, None).await;
    let (status, head, body) = ask(&api, "GET /metrics", "").await;
    assert_eq!(status, 200);
    let said = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores\r\n";
    assert!(head.contains(said), "{head}");
    let body = text(body);
    let sample = r#"otelcol_receiver_accepted_spans_total{receiver="otlp",transport="grpc"} 41"#;
    assert!(body.contains(sample), "{body}");
    assert!(body.contains(r#"sidelight_ledger_accepted_items_total{signal="logs"} 7"#), "{body}");

    let accept = "accept: application/openmetrics-text; version=1.0.0; escaping=allow-utf-8\r\n";
    let (_, head, body) = ask(&api, "GET /metrics", accept).await;
    let said =
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8\r\n";
    assert!(head.contains(said), "{head}");
    let says = |head: &str, line: &str| head.lines().any(|one| one == line);
    assert!(says(&head, &format!("content-length: {}", body.len())), "{head}");
    assert!(head.contains("vary: accept"), "{head}");
    assert!(text(body).ends_with("# EOF\n"));

    for receiver in 0..50 {
        let receiver = receiver.to_string();
        registry.counter(&desc::RECEIVER_ACCEPTED_SPANS, &[&receiver, "http"]).add(1);
    }
    let (_, plain_head, plain) = ask(&api, "GET /metrics", "").await;
    let gzip = "accept-encoding: gzip\r\n";
    let (_, head, packed) = ask(&api, "GET /metrics", gzip).await;
    assert!(says(&head, "content-encoding: gzip"), "{head}");
    assert!(says(&head, &format!("content-length: {}", packed.len())), "{head}");
    assert!(!plain_head.contains("content-encoding") && packed.len() < plain.len() / 2);
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut unpacked).unwrap();
    // Not the same page: it counts requests and seconds.
    assert!(unpacked.contains(sample) && unpacked.ends_with('\n'), "{unpacked}");

    let (status, _, body) = ask(&api, "GET /api/sidelight/v1/ledger", "").await;
    assert_eq!(status, 200);
    assert!(text(body).starts_with(r#"{"schema_version":1,"lost_requests":0,"signals":{"logs":"#));
}

#[tokio::test]
async fn a_large_reply_arrives_whole_plain_and_compressed() {
    let Running { api, .. } = start(|_| {}, None).await;
    let (_, _, plain) = ask(&api, "GET /api/sidelight/v1/rejected", "").await;
    assert_eq!(plain.len(), 500_004);
    let gzip = "accept-encoding: gzip\r\n";
    let (_, head, packed) = ask(&api, "GET /api/sidelight/v1/rejected", gzip).await;
    assert!(head.contains("content-encoding: gzip"), "{head}");
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain);
}

#[tokio::test]
async fn readiness_follows_its_source_and_says_why() {
    let Running { api, ready, .. } = start(|_| {}, None).await;
    let (status, _, body) = ask(&api, "GET /readyz", "").await;
    let reasons = r#"{"schema_version":1,"ready":false,"reasons":["the journal makes no progress","a is away"],"#;
    let reasons = format!(r#"{reasons}"blocking":["the journal makes no progress"]}}"#);
    assert_eq!((status, text(body)), (503, reasons));
    ready.store(true, Ordering::Relaxed);
    assert_eq!(ask(&api, "GET /readyz", "").await.0, 200);
    for path in ["/healthz", "/-/healthy", "/-/ready"] {
        assert_eq!(ask(&api, &format!("GET {path}"), "").await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn wrong_paths_and_methods_get_json_errors() {
    let Running { api, .. } = start(|_| {}, None).await;
    let (status, head, body) = ask(&api, "GET /metricz", "").await;
    assert_eq!(status, 404);
    assert!(head.contains("content-type: application/json"));
    assert!(text(body).contains(r#""code":"not_found""#));
    let (status, head, _) = ask(&api, "POST /metrics", "content-length: 0\r\n").await;
    assert_eq!(status, 405);
    assert!(head.contains("allow: get, head"), "{head}");
    let (status, head, _) = ask(&api, "GET /-/quit", "").await;
    assert_eq!(status, 405);
    assert!(head.contains("allow: post"), "{head}");
    let (status, _, body) = ask(&api, "HEAD /metrics", "").await;
    assert_eq!((status, body.len()), (200, 0));
    let (_, _, index) = ask(&api, "GET /", "").await;
    let index = text(index);
    assert!(routes::routes().all(|route| index.contains(route.path)), "{index}");
}

#[tokio::test]
async fn a_token_guards_reading_and_steering_and_can_be_replaced() {
    let Running { api, control: _kept, .. } = start(|_| {}, Some("first")).await;
    let (status, head, _) = ask(&api, "GET /metrics", "").await;
    assert_eq!(status, 401);
    assert!(head.contains("www-authenticate: bearer"));
    assert_eq!(ask(&api, "GET /healthz", "").await.0, 200);
    assert_eq!(ask(&api, "GET /metrics", "authorization: Bearer first\r\n").await.0, 200);
    api.replace_token(api.token_version(), Token::from_file(b"second"));
    assert_eq!(ask(&api, "GET /metrics", "authorization: Bearer first\r\n").await.0, 401);
    assert_eq!(ask(&api, "POST /-/quit", "authorization: Bearer second\r\n").await.0, 202);
}

#[tokio::test]
async fn reload_answers_with_its_outcome() {
    let Running { api, mut control, .. } = start(|_| {}, None).await;
    let agent = tokio::spawn(async move {
        for outcome in [Ok("1 exporter added".to_owned()), Err("line 3: unknown key".to_owned())] {
            let Some(Control::Reload(reply)) = control.recv().await else { panic!("no reload") };
            reply.send(outcome).unwrap();
        }
    });
    let (status, _, body) = ask(&api, "POST /-/reload", "").await;
    assert_eq!(status, 200);
    assert!(text(body).contains("1 exporter added"));
    let (status, _, body) = ask(&api, "POST /-/reload", "").await;
    assert_eq!(status, 422);
    assert!(text(body).contains("line 3: unknown key"));
    agent.await.unwrap();
    assert_eq!(ask(&api, "POST /-/reload", "").await.0, 503);
    assert_eq!(ask(&api, "POST /-/reload", "origin: http://evil.example\r\n").await.0, 403);
}

#[tokio::test]
async fn connections_above_the_limit_are_closed_and_counted() {
    let Running { api, registry, .. } = start(|config| config.connections_max = 1, None).await;
    let mut first = TcpStream::connect(api.address()).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
    first.write_all(request).await.unwrap();
    let mut byte = [0; 1];
    first.read_exact(&mut byte).await.unwrap();
    let mut second = TcpStream::connect(api.address()).await.unwrap();
    assert!(!matches!(second.read(&mut byte).await, Ok(1..)));
    let refused = registry.counter(&desc::API_REFUSED_CONNECTIONS, &[]);
    assert_eq!(refused.get(), 1);
}

#[tokio::test]
async fn a_head_that_is_too_large_or_too_slow_is_refused() {
    let quick = |config: &mut Config| config.header_timeout = Duration::from_millis(50);
    let Running { api, .. } = start(quick, None).await;
    let mut slow = TcpStream::connect(api.address()).await.unwrap();
    slow.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
    let mut reply = Vec::new();
    slow.read_to_end(&mut reply).await.unwrap();
    assert!(!reply.starts_with(b"HTTP/1.1 200"));
    let padding = format!("x-pad: {}\r\n", "x".repeat(64 << 10));
    let mut large = TcpStream::connect(api.address()).await.unwrap();
    let request = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{padding}\r\n");
    // The endpoint may close before all of it is written.
    let _ = large.write_all(request.as_bytes()).await;
    let mut reply = Vec::new();
    let _ = large.read_to_end(&mut reply).await;
    assert!(!reply.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn draining_ends_idle_connections_and_the_listener() {
    let Running { api, .. } = start(|_| {}, None).await;
    let address = api.address();
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut reply = [0; 12];
    idle.read_exact(&mut reply).await.unwrap();
    api.drain(Duration::from_secs(5)).await;
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[test]
fn docs_api_md_lists_every_route() {
    let mut page = "# Admin API\n\n<!-- Written by a test from the table of routes: UPDATE_DOCS=1 cargo test --lib api:: -->\n\n\
        HTTP/1.1 on `admin.endpoint`, by default http://127.0.0.1:9464. At its first start the agent makes a token and keeps \
        it in `admin.token` in the directory of the store (without one, of the journal), readable by its user only. Requests \
        from other machines carry it as `Authorization: Bearer TOKEN`, but for open and scrape routes; private ones ask for it \
        on loopback too. `sidelight` commands on the same machine find it by themselves; elsewhere give them `--token-file`. \
        With `admin.token_file` set, that token is asked for instead, on loopback as well, and by all but open routes.\n\n\
        Paths below `/api/v1/` and `/federate` are those of the Prometheus HTTP API, as Grafana's Prometheus data source \
        and promtool call them. They take parameters in the query string or, with POST, in a form, which comes first; a query \
        may take `admin.query_timeout`, hold a million samples (fewer below 124 MiB of `limits.memory`), a series counting as 16 \
        more and each of its labels as 2, and give 11,000 steps. A \
        subquery without a step has `rules.evaluation_interval`. Forms are `application/x-www-form-urlencoded`; \
        `multipart/form-data` is refused. There is no `data.stats`, whatever `stats` says.\n\n\
        Where only rows are kept of the time asked for (docs/store-format.md), a query with steps of at least a row reads that \
        row, and so does one with windows of six rows. A window shorter than two rows means the rows around it: `rate`, \
        `increase`, `irate`, `delta`, `deriv` and `predict_linear` that of the line between their samples, `min_over_time` and \
        `max_over_time` those of the whole rows, `avg_over_time` the mean of them, `sum_over_time` and `count_over_time` the \
        part that the window is of them, and a value the last one known. So `rate(x[5m])` each hour, three weeks back, is the \
        mean rate of the hours, where Prometheus would answer from the last five minutes of each. `quantile_over_time`, \
        `stddev_over_time`, `stdvar_over_time`, `mad_over_time`, `changes`, `resets`, `idelta`, \
        `double_exponential_smoothing`, `ts_of_min_over_time` and `ts_of_max_over_time` cannot be known from rows: a window \
        with one has no answer, and an info says so. Of histograms one in five minutes or an hour is kept, and is as any \
        sample. Where windows are shorter than two rows, the buckets, sum and count of a classic one are as other series; of \
        native ones `rate` and `increase` are those of the line between two, `delta` and what cannot be known from rows \
        have no answer and no info, and everything else means the last one known, once in each window.\n\n\
        `/metrics` is text 0.0.4 or OpenMetrics 1.0.0, as `Accept` prefers, and `/federate` text 0.0.4. Names beyond \
        `[a-zA-Z_:][a-zA-Z0-9_:]*` are escaped as its `escaping=` says: `underscores`, `dots` and `values` as in Prometheus \
        (but for one underscore at the head of a label's name, where two are reserved), `allow-utf-8` quotes them; without \
        one it is `underscores`, and `Content-Type` always names it. Of labels, series and \
        families of `/metrics` that escaping makes one, the one that needed none is written, else the first. `/metrics` leaves \
        out what readers refuse a page for: a series named as a part of a histogram or summary that is there (`x_count` \
        beside `x`), and in OpenMetrics negative or NaN counters, the sum and count of a histogram with negative buckets, and \
        the count of one without a sum. `/federate` has no types and no native histograms, writes `instance=\"\"` where a \
        series has none, for `honor_labels`, and is empty without `match[]`.\n\n\
        | method | path | access | what |\n|---|---|---|---|\n"
        .to_owned();
    for route in routes::routes() {
        let access = match route.access {
            guard::Access::Open => "open",
            guard::Access::Scrape => "scrape",
            guard::Access::Read => "read",
            guard::Access::Private => "private",
            guard::Access::Control => "control",
        };
        let (methods, path, purpose) = (route.methods.names(), route.path, route.purpose);
        page += &format!("| {methods} | `{path}` | {access} | {purpose} |\n");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/api.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == page, "docs/api.md is stale: run with UPDATE_DOCS=1");
}

#[test]
fn the_openapi_document_is_that_of_the_routes_and_written_down() {
    let document = openapi::document(routes::routes());
    let paths = document["paths"].as_object().unwrap();
    for route in routes::routes() {
        let methods = paths.get(route.path).and_then(|path| path.as_object()).unwrap();
        for method in openapi::operations_of(route.methods) {
            assert!(methods.contains_key(*method), "{method} {}", route.path);
        }
    }
    for view in crate::views::VIEWS {
        for twin in ["", ".csv"] {
            let path = format!("{}{}{twin}", views::BASE, view.name);
            assert!(paths.contains_key(&path), "{path}");
        }
    }
    let operation = |path: &str, method: &str| document["paths"][path][method].clone();
    let history = operation("/api/sidelight/v1/alerts/history", "get")["parameters"].to_string();
    let entries = operation("/api/sidelight/v1/entries", "get")["parameters"].to_string();
    assert!(history.contains("\"before\"") && entries.contains("\"family\""), "{history}{entries}");
    assert!(operation("/api/sidelight/v1/silences", "post")["requestBody"].is_object());
    assert!(operation("/api/sidelight/v1/alerts", "get")["requestBody"].is_null());
    let of = |path| operation(path, "get")["responses"]["default"].to_string();
    assert!(of("/api/v1/query").contains("schemas/Failure"));
    assert!(!of("/api/sidelight/v1/alerts").contains("schemas/Failure"));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let page = serde_json::to_string_pretty(&document).unwrap() + "\n";
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == page, "docs/openapi.json is stale: run with UPDATE_DOCS=1");
}
