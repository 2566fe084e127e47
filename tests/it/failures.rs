//! What goes wrong in production, done to the binary on purpose: each time it says what is wrong and where, loses nothing,
//! and recovers by itself.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::support::{Agent, Authority, Sink, free_address, wait_for};

const SOON: Duration = Duration::from_secs(30);

/// An agent with one destination, tried often.
struct Scene {
    directory: tempfile::TempDir,
    admin: SocketAddr,
    grpc: SocketAddr,
    http: SocketAddr,
    destination: SocketAddr,
    sent: u32,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [admin, grpc, http, destination] = [(); 4].map(|()| free_address());
        Self { directory, admin, grpc, http, destination, sent: 0 }
    }

    /// `receivers` and `exporter` are added to the options of either, `more` at the end.
    fn config(&self, receivers: &str, exporter: &str, more: &str) -> String {
        let Self { directory, admin, grpc, http, destination, .. } = self;
        let directory = directory.path().display();
        format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{grpc}'}}, http: {{endpoint: '{http}'}}}}{receivers}}}}}\n\
             exporters: {{otlp_grpc/b: {{endpoint: 'http://{destination}', signals: [traces]{exporter},\n  \
               retry_on_failure: {{initial_interval: 20ms, max_interval: 100ms}},\n  \
               sending_queue: {{batch: {{flush_timeout: 10ms}}}}}}}}\n\
             store: {{directory: '{directory}/store'}}\nadmin: {{endpoint: '{admin}'}}\n{more}\n"
        )
    }

    fn journal(&self, options: &str) -> String {
        format!("journal: {{directory: '{}/journal'{options}}}", self.directory.path().display())
    }

    async fn start(&self, config: &str) -> Agent {
        Agent::start(self.directory.path(), config, self.admin).await
    }

    /// Sends a span whose name is random text of so many bytes; the status of the answer.
    fn send(&mut self, bytes: usize) -> u16 {
        self.sent += 1;
        let mut random = fastrand::Rng::with_seed(self.sent.into());
        let name: String = (0..bytes).map(|_| random.alphanumeric()).collect();
        let (trace, span) = (format!("{:032x}", self.sent), format!("{:016x}", self.sent));
        let span = serde_json::json!({
            "traceId": trace, "spanId": span, "name": name, "startTimeUnixNano": "1", "endTimeUnixNano": "2",
        });
        let body =
            serde_json::json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] })
                .to_string();
        let mut stream = TcpStream::connect(self.http).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let length = body.len();
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

/// Waits until /readyz has this status and a reason with these words.
async fn reason(agent: &Agent, status: u16, words: &str) {
    wait_for(words, SOON, || {
        agent.get("/readyz").filter(|(is, body)| *is == status && body.contains(words))
    })
    .await;
}

/// Waits until /readyz answers 200 and does not speak of this any more.
async fn silence(agent: &Agent, words: &str) {
    wait_for("nothing is wrong", SOON, || {
        agent.get("/readyz").filter(|(is, body)| *is == 200 && !body.contains(words))
    })
    .await;
}

async fn arrived(sink: &Sink, count: usize) {
    wait_for("everything arrives", SOON, || (sink.spans().len() == count).then_some(())).await;
}

#[tokio::test]
async fn a_destination_that_is_away_is_named_and_gets_everything_when_it_is_back() {
    let mut scene = Scene::new();
    let agent = scene.start(&scene.config("", "", &scene.journal(""))).await;
    for _ in 0..3 {
        assert_eq!(scene.send(10), 200);
    }
    reason(&agent, 200, "otlp_grpc/b traces: backing off, cannot connect").await;
    let sink = Sink::default();
    sink.serve(scene.destination).await;
    arrived(&sink, 3).await;
    silence(&agent, "otlp_grpc/b").await;
}

#[tokio::test]
async fn a_wrong_token_holds_the_lane_until_the_configuration_is_mended() {
    let mut scene = Scene::new();
    let keeper = Scene { grpc: scene.destination, ..Scene::new() };
    let token = keeper.directory.path().join("token");
    std::fs::write(&token, "right\n").unwrap();
    let auth = format!(", auth: {{bearer_token_file: '{}'}}", token.display());
    let more = format!("{}\nshutdown_timeout: 1s", keeper.journal(""));
    let keeper_agent = keeper.start(&keeper.config(&auth, "", &more)).await;

    let with = |token: &str| {
        let headers = format!(", headers: {{authorization: 'Bearer {token}'}}");
        scene.config("", &headers, &scene.journal(""))
    };
    let (wrong, right) = (with("wrong"), with("right"));
    let agent = scene.start(&wrong).await;
    assert_eq!(scene.send(10), 200);
    reason(&agent, 200, "otlp_grpc/b traces: held, ").await;
    assert!(!agent.log().contains("wrong"), "a secret is in the log: {}", agent.log());

    std::fs::write(scene.directory.path().join("config.yaml"), right).unwrap();
    let (status, said) = agent.post("/-/reload").unwrap();
    assert_eq!(status, 200, "{said}");
    accepted(&keeper_agent, 1).await;
    silence(&agent, "held").await;

    let shown = scene.directory.path().join("shown");
    let auth = format!(", auth: {{bearer_token_file: '{}'}}", shown.display());
    let from_file = scene.config("", &auth, &scene.journal(""));
    std::fs::write(scene.directory.path().join("config.yaml"), from_file).unwrap();
    assert_eq!(agent.post("/-/reload").unwrap().0, 200, "a token may come later");
    assert_eq!(scene.send(10), 200);
    reason(&agent, 200, "traces: held, nothing is sent without the token: cannot read the").await;
    std::fs::write(&shown, "wrong").unwrap();
    reason(&agent, 200, "otlp_grpc/b traces: held, UNAUTHENTICATED").await;
    std::fs::write(&shown, "right").unwrap();
    accepted(&keeper_agent, 2).await;
    silence(&agent, "held").await;
    assert!(!agent.log().contains("wrong"), "a secret is in the log: {}", agent.log());
}

/// Waits until the agent has accepted so many spans.
async fn accepted(agent: &Agent, spans: u64) {
    wait_for("the spans are accepted", SOON, || {
        let (_, ledger) = agent.get("/api/sidelight/v1/ledger")?;
        let ledger: serde_json::Value = serde_json::from_str(&ledger).ok()?;
        (ledger["signals"]["traces"]["accepted"]["items"] == spans).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_full_journal_refuses_says_why_and_takes_again_when_it_is_delivered() {
    let mut scene = Scene::new();
    let agent = scene
        .start(&scene.config("", "", &scene.journal(", durability: memory, memory_size: 1MiB")))
        .await;
    let mut accepted = 0;
    while scene.send(60_000) == 200 {
        accepted += 1;
        assert!(accepted < 200, "a journal of 1 MiB took {accepted} requests of 60 kB");
    }
    reason(&agent, 503, "the journal is full (").await;
    let sink = Sink::default();
    sink.serve(scene.destination).await;
    arrived(&sink, accepted).await;
    wait_for("there is room again", SOON, || (scene.send(60_000) == 200).then_some(())).await;
    silence(&agent, "full").await;
    arrived(&sink, accepted + 1).await;
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_is_said_and_its_replacement_is_taken_up() {
    let scene = Scene::new();
    let directory: &Path = scene.directory.path();
    let authority = Authority::new();
    authority.sign_expired("localhost").write(directory);
    let (cert, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    let tls = format!(
        ", tls: {{cert_file: '{}', key_file: '{}', reload_interval: 1s}}",
        cert.display(),
        key.display()
    );
    let agent = scene.start(&scene.config(&tls, "", &scene.journal(""))).await;
    reason(&agent, 200, "cert.pem expired ").await;
    authority.sign_early("localhost").write(directory);
    reason(&agent, 200, "cert.pem is not valid yet, ").await;
    authority.sign("localhost").write(directory);
    silence(&agent, "cert.pem").await;
}

#[tokio::test]
async fn a_wrong_configuration_ends_the_start_with_every_finding_and_touches_nothing() {
    let scene = Scene::new();
    let more = format!("{}\nexportres: {{}}\nlimits: {{memory: 1KiB}}", scene.journal(""));
    let agent = Agent::spawn(scene.directory.path(), &scene.config("", "", &more), scene.admin);
    let log = agent.log_path();
    assert_eq!(agent.ended(SOON).await, Some(5));
    let log = std::fs::read_to_string(log).unwrap();
    for words in ["exportres", "did you mean `exporters`", "memory", "config.yaml:"] {
        assert!(log.contains(words), "{words}: {log}");
    }
    assert!(std::fs::metadata(scene.directory.path().join("journal")).is_err());
}

#[test]
fn a_check_as_it_would_run_fails_for_a_token_that_is_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let (config, token) = (directory.path().join("agent.yaml"), directory.path().join("token"));
    let named = token.display();
    let text = format!("receivers: {{otlp: {{auth: {{bearer_token_file: '{named}'}}}}}}\n");
    std::fs::write(&config, text).unwrap();
    let checked = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sidelight"));
        command.args(["run", "--check-only", "-c"]).arg(&config).output().unwrap()
    };
    let refused = checked();
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("would not start"), "{refused:?}");
    std::fs::write(token, "secret\n").unwrap();
    assert_eq!(checked().status.code(), Some(0));
}

#[tokio::test]
async fn a_store_that_another_process_still_has_at_the_start_is_opened_when_it_is_free() {
    let mut scene = Scene::new();
    let config = scene.config("", "", &scene.journal(""));
    let first = scene.start(&config).await;
    first.signal("TERM");
    assert_eq!(first.ended(SOON).await, Some(0));
    let state = scene.directory.path().join("store/state.db");
    let other = rusqlite::Connection::open(state).unwrap();
    other.pragma_update(None, "locking_mode", "EXCLUSIVE").unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();

    let agent = scene.start(&config).await;
    reason(&agent, 200, "another process uses the store").await;
    let (status, said) = agent.get("/api/v1/query?query=1").unwrap();
    assert!(status == 503 && said.contains("it is tried again every 10 s"), "{said}");
    assert_eq!(scene.send(10), 200);
    drop(other);
    silence(&agent, "the metric store").await;
    wait_for("what came meanwhile is in the store", SOON, || {
        let query = "/api/v1/query?query=sum(traces_spanmetrics_calls_total)";
        agent.get(query).filter(|(status, body)| *status == 200 && body.contains("\"1\""))
    })
    .await;
    assert!(agent.get("/api/v1/rules").unwrap().1.contains("\"groups\":[{"), "rules run");
}

#[tokio::test]
async fn senders_that_are_refused_for_what_they_send_or_where_are_said_whatever_the_cause() {
    let mut scene = Scene::new();
    let token = scene.directory.path().join("token");
    std::fs::write(&token, "right\n").unwrap();
    let auth = format!(
        "http: {{endpoint: '{}', auth: {{bearer_token_file: '{}'}}}}",
        scene.http,
        token.display()
    );
    let plain = format!("http: {{endpoint: '{}'}}", scene.http);
    let config = scene.config("", "", &scene.journal(""));
    let agent = scene.start(&config).await;
    let answer = |path: &str, kind: &str, body: &str| {
        let mut stream = TcpStream::connect(scene.http).unwrap();
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse::<u16>().unwrap()
    };
    assert_eq!(answer("/v1/traces/v1/traces", "application/json", "{}"), 404);
    reason(&agent, 200, "senders are refused, 1 requests: unimplemented").await;
    assert_eq!(answer("/v1/traces", "text/plain", "{}"), 415);
    reason(&agent, 200, "senders are refused, 2 requests: unimplemented").await;
    assert_eq!(answer("/v1/traces", "application/json", "{"), 400);
    reason(&agent, 200, "senders are refused, 1 requests: malformed").await;
    agent.signal("TERM");
    assert_eq!(agent.ended(SOON).await, Some(0));

    let agent = scene.start(&config.replace(&plain, &auth)).await;
    assert_eq!(scene.send(10), 401);
    reason(&agent, 200, "senders are refused, 1 requests: unauthenticated").await;
}

#[tokio::test]
async fn senders_that_speak_plain_text_to_a_port_with_tls_are_said_and_who_only_looks_is_not() {
    let scene = Scene::new();
    let directory: &Path = scene.directory.path();
    Authority::new().sign("localhost").write(directory);
    let (cert, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    let tls = format!(", tls: {{cert_file: '{}', key_file: '{}'}}", cert.display(), key.display());
    let agent = scene.start(&scene.config(&tls, "", &scene.journal(""))).await;
    drop(TcpStream::connect(scene.http).unwrap());
    let mut stream = TcpStream::connect(scene.http).unwrap();
    stream.write_all(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
    reason(&agent, 200, "senders are refused, 1 requests: tls").await;
}

#[tokio::test]
async fn rule_files_that_a_start_left_out_and_damaged_files_are_said_until_they_are_mended() {
    let scene = Scene::new();
    let directory = scene.directory.path();
    let (rules, store) = (directory.join("rules.yaml"), directory.join("store"));
    std::fs::write(&rules, "groups: 3\n").unwrap();
    std::fs::create_dir(&store).unwrap();
    for file in ["state.db", "alerts.db"] {
        std::fs::write(store.join(file), [0x5a; 5000]).unwrap();
    }
    let more = format!("{}\nrules: {{files: ['{}']}}", scene.journal(""), rules.display());
    let agent = scene.start(&scene.config("", "", &more)).await;
    reason(&agent, 200, "rule files are left out, none of their rules and alerts run: ").await;
    reason(&agent, 200, "rules.yaml:1:9: error: `groups` is a list").await;
    reason(&agent, 200, "state.db.corrupt-1 (not an SQLite file)").await;
    reason(&agent, 200, "alerts.db.corrupt-1").await;
    let firing = "/api/v1/query?query=ALERTS%7Balertname%3D%22RuleFilesLeftOut%22%2Calertstate%3D%22firing%22%7D";
    wait_for("the alert fires", SOON, || {
        agent.get(firing).filter(|(_, body)| body.contains("RuleFilesLeftOut"))
    })
    .await;

    assert_eq!(agent.post("/-/reload").unwrap().0, 422);
    reason(&agent, 200, "rule files are left out").await;
    std::fs::write(&rules, "groups: []\n").unwrap();
    assert_eq!(agent.post("/-/reload").unwrap().0, 200);
    silence(&agent, "rule files").await;
    for file in ["state.db.corrupt-1", "alerts.db.corrupt-1"] {
        std::fs::remove_file(store.join(file)).unwrap();
    }
    silence(&agent, "damaged").await;
}

#[tokio::test]
async fn a_destination_that_asks_for_a_long_wait_is_said_after_one_attempt() {
    let mut scene = Scene::new();
    let listener = std::net::TcpListener::bind(scene.destination).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 16 << 10]);
            let answer = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 99999999\r\nContent-Length: 0\r\n\
                          Connection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let config = scene.config("", "", &scene.journal(""));
    let agent = scene.start(&config.replace("otlp_grpc/b", "otlp_http/b")).await;
    assert_eq!(scene.send(10), 200);
    reason(&agent, 200, "otlp_http/b traces: backing off, ").await;
    reason(&agent, 200, "; next attempt at 2").await;
}

/// What the agent counts as missing on its standard error.
fn passed_over(agent: &Agent) -> u64 {
    let (_, metrics) = agent.get("/metrics").unwrap();
    let name = "sidelight_telemetry_passed_over_lines_total ";
    metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap()
}

/// Everything that comes out of a pipe until nobody can write to it any more.
fn reading(mut pipe: std::io::PipeReader) -> Arc<Mutex<Vec<u8>>> {
    let read = Arc::<Mutex<Vec<u8>>>::default();
    let kept = Arc::clone(&read);
    std::thread::spawn(move || {
        let mut bytes = [0; 64 << 10];
        while let Ok(count @ 1..) = pipe.read(&mut bytes) {
            kept.lock().unwrap().extend_from_slice(&bytes[..count]);
        }
    });
    read
}

/// An agent whose standard error is not read, and whose lines no longer fit.
async fn not_read(scene: &mut Scene, stderr: std::io::PipeWriter) -> Agent {
    let more = format!("{}\nshutdown_timeout: 1s", scene.journal(""));
    let config = scene.config("", "", &more);
    let config = config.replace("exporters: {", "exporters: {debug: {verbosity: detailed}, ");
    let agent = Agent::start_onto(scene.directory.path(), &config, scene.admin, stderr).await;
    wait_for("lines are passed over", SOON, || {
        assert_eq!(scene.send(50_000), 200);
        (passed_over(&agent) > 0).then_some(())
    })
    .await;
    agent
}

/// Every thread of the runtime waited for the reader, and with them the receivers and `/healthz`.
#[tokio::test]
async fn a_standard_error_that_nobody_reads_stops_nothing_and_tells_what_is_missing_once_it_is_read()
 {
    let mut scene = Scene::new();
    let (pipe, stderr) = std::io::pipe().unwrap();
    let agent = not_read(&mut scene, stderr).await;
    for _ in 0..20 {
        assert_eq!(scene.send(50_000), 200);
        assert_eq!(agent.get("/healthz").unwrap().0, 200);
    }

    let read = reading(pipe);
    let says =
        |words: &str| String::from_utf8_lossy(&read.lock().unwrap()).contains(words).then_some(());
    wait_for("it tells what is missing", SOON, || says("standard error was not read for a while"))
        .await;
    agent.signal("TERM");
    assert_eq!(agent.ended(SOON).await, Some(0));
    wait_for("the last line is there", SOON, || says("\"message\":\"stopped\"")).await;
    let read = String::from_utf8(read.lock().unwrap().clone()).unwrap();
    // Each is whole.
    let lines = read.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    assert!(lines.filter_map(|line| line["lines"].as_u64()).sum::<u64>() > 0);
}

#[tokio::test]
async fn a_standard_error_that_nobody_reads_or_can_read_holds_up_no_stop() {
    for gone in [false, true] {
        let mut scene = Scene::new();
        let (pipe, stderr) = std::io::pipe().unwrap();
        let _pipe = (!gone).then_some(pipe);
        let agent = not_read(&mut scene, stderr).await;
        agent.signal("TERM");
        assert_eq!(agent.ended(SOON).await, Some(0), "nobody can read it any more: {gone}");
    }
}
