//! The running agent: whether it answers, is ready, delivers, and hears of services.

use std::net::SocketAddr;
use std::path::PathBuf;

use http::StatusCode;
use serde_json::Value;

use super::report::Group;
use crate::cli::exit::{Exit, Failure};
use crate::cli::read::client::{Connection, message, reachable};
use crate::cli::rows;

/// Spans of the last minute, by service.
const SPANS: &str = "sum by (service) (increase(traces_spanmetrics_calls_total[1m])) > 0";
/// Services whose HTTP servers do not say their route.
const ROUTELESS: &str = "sum by (service) (increase(traces_spanmetrics_calls_total{\
    span_kind=\"SPAN_KIND_SERVER\",http_request_method!=\"\",http_route=\"\"}[5m])) > 0";

/// Who answers at the admin endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Running {
    /// An agent, and what it says of itself, if it does.
    Agent(Option<Told>),
    /// Something else, or something that cannot be told from it.
    Foreign,
    /// Nobody.
    Nobody,
}

/// What an agent says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Where it takes OTLP.
    pub(super) listeners: Vec<String>,
    /// The directory of its journal, as it was configured.
    pub(super) journal: PathBuf,
}

impl Told {
    fn of(status: &Value) -> Self {
        let address = |listener: &Value| rows::text(listener, "address");
        let journal = status.pointer("/journal/directory").and_then(Value::as_str);
        Self {
            listeners: rows::rows(status, "listeners").iter().map(address).collect(),
            journal: journal.unwrap_or_default().into(),
        }
    }
}

/// Whether an agent runs.
pub(super) async fn look(connection: &Connection, group: &mut Group<'_>) -> Running {
    let url = connection.url();
    let foreign = "name the agent's address with --url, or stop what has its port";
    // Everybody may ask for this: whoever refuses it is somebody else.
    let answer = match connection.get("/readyz").await {
        Ok(answer) => answer,
        Err(failure) if failure.exit == Exit::Unreachable => {
            let why = failure.why.first().map_or_else(String::new, |why| format!(" ({why})"));
            group.skipped("running", format!("no agent answers at {url}{why}"));
            return Running::Nobody;
        }
        Err(failure) => {
            group.failed("running", failure.what, foreign);
            return Running::Foreign;
        }
    };
    let document = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    if document.get("ready").and_then(Value::as_bool).is_none() {
        let (status, said) = (answer.status, message(&answer));
        let text = format!("what answers at {url} is not this agent: {status} {said}");
        group.failed("running", text.trim_end(), foreign);
        return Running::Foreign;
    }
    let reasons = rows::rows(&document, "reasons");
    if answer.status == StatusCode::OK && reasons.is_empty() {
        group.passed("ready", format!("the agent at {url} is ready"));
    }
    readiness(answer.status == StatusCode::OK, &document, group);
    let status = status(connection).await;
    if let Err(Failure { exit: Exit::NotAuthorised, what, .. }) = &status {
        group.warning("token", what.as_str(), "name the file of its token with --token-file");
        return Running::Agent(None);
    }
    let status = status.ok();
    let refused = reasons.iter().any(|reason| rows::plain(reason).starts_with(SENDERS));
    let send = if refused {
        "what senders are refused for is said above".to_owned()
    } else {
        point_at(status.as_ref().map_or(&[][..], |status| rows::rows(status, "listeners")))
    };
    application(connection, &send, group).await;
    Running::Agent(status.as_ref().map(Told::of))
}

/// What the document of /readyz gives reasons for.
fn readiness(ready: bool, document: &Value, group: &mut Group<'_>) {
    let reasons: Vec<_> = rows::rows(document, "reasons").iter().map(rows::plain).collect();
    let blocking: Vec<_> = rows::rows(document, "blocking").iter().map(rows::plain).collect();
    // An agent of an older version does not tell them apart.
    let blocks = |reason: &String| !ready && (blocking.is_empty() || blocking.contains(reason));
    if !ready && reasons.is_empty() {
        let help = "the agent's log; docs/runbooks.md";
        group.failed("ready", "not ready, and the agent does not say why", help);
    }
    for reason in reasons {
        let cure = cure(&reason);
        if blocks(&reason) {
            group.failed("ready", format!("not ready: {reason}"), cure);
            continue;
        }
        let text = if ready { format!("ready, but {reason}") } else { reason.clone() };
        if is_broken(&reason) {
            group.failed("ready", text, cure);
        } else {
            group.warning("ready", text, cure);
        }
    }
}

/// Whether nothing passes until somebody mends it, ready or not: a lane whose destination's answers condemn the
/// configuration, and a certificate that every peer refuses. What backs off may end by itself.
fn is_broken(reason: &str) -> bool {
    // The peer's own words come later.
    let held = reason.split_once(": ").is_some_and(|(_, said)| said.starts_with("held, "));
    held || reason.starts_with("the certificate in ") && reason.contains(": peers refuse it")
}

/// How reasons about senders begin.
const SENDERS: &str = "senders are refused";

/// What to do about a reason of /readyz, by the first words of these that are in it. Those of destinations come first:
/// such a reason ends with the peer's own words, which may be any of the others.
const CURES: &[(&str, &str)] = &[
    (
        "refuses what it is sent",
        "see the destination's own log; sidelight journal rejected ls shows what it refused",
    ),
    (": held,", "the line of that destination below says what to try"),
    (": backing off,", "the line of that destination below says what to try"),
    ("the journal is full", "sidelight journal stats: which lane holds it, and how much"),
    ("the disk has not taken", "see whether the disk under journal.directory works: dmesg, iostat"),
    ("cannot write", "df on that directory; what is kept there already stays"),
    (
        "the certificate in",
        "replace the file: it is read again within its reload_interval, without a restart",
    ),
    (SENDERS, "telemetry.logs.level: debug names each request that is refused"),
    ("the last reload", "sidelight check config FILE, then reload again"),
    ("near limits.memory", "raise limits.memory, or have less sent at once"),
    ("the metric store", "sidelight db stats, and docs/operations.md"),
    ("in memory only", "df on the directory of the store, and docs/operations.md"),
    ("alerts do not reach", "the lines under alerting say what to try"),
    ("acknowledged requests", "docs/operations.md says what is lost with a damaged record"),
];

fn cure(reason: &str) -> &'static str {
    let known = CURES.iter().find(|(words, _)| reason.contains(words));
    known.map_or("docs/runbooks.md", |(_, cure)| cure)
}

/// What it says of itself.
async fn status(connection: &Connection) -> Result<Value, Failure> {
    rows::parsed(&connection.document("/api/sidelight/v1/status").await?)
}

/// What a service needs to send here.
fn point_at(listeners: &[Value]) -> String {
    let tcp = listeners.iter().find_map(|listener| {
        let address: SocketAddr = rows::text(listener, "address").parse().ok()?;
        let is = |name| listener.get(name).and_then(Value::as_bool).unwrap_or(false);
        let scheme = if is("tls") { "https" } else { "http" };
        let auth = if is("auth") { " and OTEL_EXPORTER_OTLP_HEADERS with the token" } else { "" };
        Some(format!("OTEL_EXPORTER_OTLP_ENDPOINT={scheme}://{}{auth}", reachable(address)))
    });
    let variable = tcp.unwrap_or_else(|| "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned());
    format!("{variable} in the service's environment; `sidelight gen --for 5s` makes some")
}

/// Whether services send, and enough.
async fn application(connection: &Connection, send: &str, group: &mut Group<'_>) {
    let services = match ask(connection, SPANS).await {
        Ok(services) => services,
        Err(failure) => {
            let text = format!("the agent's metrics cannot be asked: {}", failure.what);
            group.skipped("spans", text);
            return;
        }
    };
    if services.is_empty() {
        group.warning("spans", "no spans in the last minute", send);
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

/// The services that an expression gives.
async fn ask(connection: &Connection, query: &str) -> Result<Vec<String>, Failure> {
    let query =
        form_urlencoded::Serializer::new(String::new()).append_pair("query", query).finish();
    let document = rows::parsed(&connection.document(&format!("/api/v1/query?{query}")).await?)?;
    let series = document.pointer("/data/result").and_then(Value::as_array);
    let service = |series: &Value| Some(series.pointer("/metric/service")?.as_str()?.to_owned());
    let mut services: Vec<String> = series.into_iter().flatten().filter_map(service).collect();
    services.sort();
    Ok(services.iter().map(|name| crate::cli::text::printable(name)).collect())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::report::{Report, Verdict};
    use super::*;

    #[derive(clap::Parser)]
    struct Typed {
        #[command(flatten)]
        connection: Connection,
    }

    /// What is found where these answers are given, one after the other.
    async fn found(answers: &'static [&'static str]) -> (Running, Vec<(Verdict, &'static str)>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let _ = stream.read(&mut request).await.unwrap();
                let (status, body) = answer.split_once(' ').unwrap();
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let typed = Typed::parse_from(["doctor", "--url", &url, "--token-file", "/nowhere"]);
        let mut report = Report::default();
        let running = look(&typed.connection, &mut report.group("agent")).await;
        (running, report.checks.iter().map(|check| (check.verdict, check.name)).collect())
    }

    #[tokio::test]
    async fn what_answers_and_is_no_agent_is_not_taken_for_one() {
        for answers in [&["200 hello"], &["401 {}"], &["404 {\"ready\":1}"]] {
            let (running, checks) = found(answers).await;
            assert_eq!(running, Running::Foreign, "{answers:?}");
            assert_eq!(checks, [(Verdict::Failed, "running")], "{answers:?}");
        }
    }

    #[tokio::test]
    async fn a_healthy_agent_whose_token_cannot_be_read_runs() {
        let (running, checks) = found(&["200 {\"ready\":true}", "401 {}"]).await;
        assert_eq!(running, Running::Agent(None));
        assert_eq!(checks, [(Verdict::Passed, "ready"), (Verdict::Warning, "token")]);
    }

    #[test]
    fn only_what_makes_it_unready_or_needs_somebody_fails() {
        const FULL: &str = "the journal is full (10 of 10 bytes)";
        const AWAY: &str =
            "otlp_http/b logs: backing off, UNAVAILABLE: x: held, y; next attempt at 1970";
        const HELD: &str = "otlp_http/b logs: held, HTTP 404: no such path";
        const OVER: &str =
            "the certificate in /tls.crt expired 26 h ago: peers refuse it; replace the file";
        const SOON: &str = "the certificate in /tls.crt expires in 2 d: replace the file";
        let found = |ready, blocking: &[&str]| {
            let reasons = [FULL, AWAY, HELD, OVER, SOON];
            let document = serde_json::json!({ "reasons": reasons, "blocking": blocking });
            let mut report = Report::default();
            readiness(ready, &document, &mut report.group("agent"));
            assert!(report.checks.iter().all(|check| check.help.is_some()), "{report:?}");
            report.checks.into_iter().map(|it| (it.verdict, it.text)).collect::<Vec<_>>()
        };
        let (failed, warning) = (Verdict::Failed, Verdict::Warning);
        let but = |reason| format!("ready, but {reason}");
        let ready = [warning, warning, failed, failed, warning];
        let texts = [FULL, AWAY, HELD, OVER, SOON].map(but);
        assert_eq!(found(true, &[]), ready.into_iter().zip(texts).collect::<Vec<_>>());
        let full = format!("not ready: {FULL}");
        let unready = [failed, warning, failed, failed, warning];
        let texts = [full.as_str(), AWAY, HELD, OVER, SOON].map(str::to_owned);
        assert_eq!(found(false, &[FULL]), unready.into_iter().zip(texts).collect::<Vec<_>>());
        // One that does not say which.
        assert!(found(false, &[]).iter().all(|(verdict, _)| *verdict == failed));
        let mut report = Report::default();
        readiness(false, &Value::Null, &mut report.group("agent"));
        assert_eq!(report.count(failed), 1);
    }

    #[test]
    fn what_to_try_is_by_the_reason_and_names_the_listener_that_there_is() {
        let certificate = "the certificate in /tls.crt expires in 2 d: replace the file";
        assert!(cure(certificate).contains("without a restart"));
        let refuses = "otlp_http/b traces: refuses what it is sent, 400: no; 9 requests since it last took one";
        assert!(cure(refuses).contains("rejected ls"));
        let peer = "otlp_grpc/gateway traces: backing off, UNAVAILABLE: the journal is full; tried 3 times";
        assert!(cure(peer).contains("the line of that destination"));
        assert_eq!(cure("something else"), "docs/runbooks.md");
        let at = |address: &str, tls| serde_json::json!({ "address": address, "tls": tls, "auth": false });
        let said = point_at(&[at("unix:///s", false), at("127.0.0.3:33603", true)]);
        assert!(
            said.starts_with("OTEL_EXPORTER_OTLP_ENDPOINT=https://127.0.0.3:33603 in"),
            "{said}"
        );
        let said = point_at(&[at("0.0.0.0:4317", false)]);
        assert!(said.starts_with("OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317 in"), "{said}");
    }

    #[tokio::test]
    async fn an_agent_says_where_it_listens_and_where_its_journal_is() {
        let answers = &[
            "200 {\"ready\":true}",
            "200 {\"listeners\":[{\"address\":\"127.0.0.1:4317\"}],\"journal\":{\"directory\":\"/j\"}}",
            "503 {\"status\":\"error\",\"error\":\"no store\"}",
        ];
        let (running, checks) = found(answers).await;
        let told = Told { listeners: vec!["127.0.0.1:4317".to_owned()], journal: "/j".into() };
        assert_eq!(running, Running::Agent(Some(told)));
        assert_eq!(checks, [(Verdict::Passed, "ready"), (Verdict::Skipped, "spans")]);
    }
}
