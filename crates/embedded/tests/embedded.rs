//! An application with the agent in its process: what it records can be asked for.
#![expect(
    clippy::unwrap_used,
    reason = "all of this is a test; the lint sees only functions marked as such"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::trace::{Tracer, TracerProvider};
use serde_json::Value;
use sidelight::init::Signal;
use sidelight::{Counter, Feature, FeatureKind};
use sidelight_embedded::{Agent, End, Error, agent};

static ORDERS: Counter<1> = Counter::new("shop.orders").labels(["kind"]);
static EXPORT: Feature = Feature::new("report.export", FeatureKind::Api);

/// The process has one telemetry.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn in_directory(directory: &tempfile::TempDir) -> Agent {
    let path = |name: &str| directory.path().join(name).display().to_string();
    agent()
        .set(format!("journal.directory={}", path("journal")))
        .set(format!("store.directory={}", path("store")))
        .set("receivers.otlp.protocols.grpc.endpoint=127.0.0.1:0")
        .set("receivers.otlp.protocols.http.endpoint=127.0.0.1:0")
        .set("admin.endpoint=127.0.0.1:0")
        .start()
        .unwrap()
}

fn get(admin: SocketAddr, path: &str) -> Value {
    let mut stream = TcpStream::connect(admin).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let json = body.find('{').and_then(|at| body.get(at..=body.rfind('}')?)).unwrap_or("null");
    serde_json::from_str(json).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test's deadline is real time")]
fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn what_the_application_records_is_asked_for_by_promql_and_counted_in_the_ledger() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let agent = in_directory(&directory);
    let telemetry =
        sidelight::init("shop").without_subscriber().deliver(agent.ingest()).start().unwrap();
    ORDERS.add(7, ["gold"]);
    let tracer = telemetry.tracer_provider().tracer("test");
    for _ in 0..100 {
        tracer.start("order.place");
    }
    telemetry.flush_blocking().unwrap();
    assert_eq!(telemetry.counts(Signal::Traces).delivered, 100);
    let ledger = get(agent.admin(), "/api/sidelight/v1/ledger");
    assert_eq!(ledger["signals"]["traces"]["accepted"]["items"], 100, "{ledger}");
    let orders = wait_for("the counter is in the store", || {
        let answer = get(agent.admin(), "/api/v1/query?query=shop_orders_total");
        Some(answer["data"]["result"].as_array()?.first()?.clone())
    });
    assert_eq!(orders["metric"]["kind"], "gold");
    assert_eq!(orders["metric"]["service_name"], "shop");
    assert_eq!(orders["value"][1], "7");
    telemetry.shutdown().unwrap();
    agent.stop().unwrap();

    // Nothing of it is left in the process: another one has the same journal and store.
    let agent = in_directory(&directory);
    wait_for("the counter is still in the store", || {
        let answer = get(agent.admin(), "/api/v1/query?query=shop_orders_total");
        answer["data"]["result"].as_array()?.first().cloned()
    });
    agent.stop().unwrap();
}

/// How many users [`EXPORT`] has had within a day: by the agent, and by each instance.
fn users(admin: SocketAddr) -> Vec<(Value, f64)> {
    let query = "sidelight_feature_user_estimate%7Bwindow=%221d%22%7D";
    let answer = get(admin, &format!("/api/v1/query?query={query}"));
    let series = answer.pointer("/data/result").unwrap().as_array().unwrap();
    let users = |one: &Value| one.pointer("/value/1").unwrap().as_str().unwrap().parse().unwrap();
    series.iter().map(|one| (one.get("metric").unwrap().clone(), users(one))).collect()
}

#[test]
fn users_of_a_feature_reach_the_agent_in_the_process_as_a_sketch() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let agent = in_directory(&directory);
    let telemetry = sidelight::init("shop").without_subscriber().deliver(agent.ingest());
    let telemetry = telemetry.start().unwrap();
    for user in ["ada", "grace", "ada", "edsger"] {
        drop(EXPORT.used().by(user));
    }
    telemetry.flush_blocking().unwrap();
    // Fewer than an application tells of itself.
    let users = wait_for("the users are in the store", || users(agent.admin()).pop());
    assert_eq!((&users.0["feature_name"], users.1), (&Value::from("report.export"), 3.0));
    telemetry.shutdown().unwrap();
    agent.stop().unwrap();
}

const USERS_OF_THE_INSTANCE: &str = "USERS_OF_THE_INSTANCE";
const OF_SEVERAL: &str = "users_of_several_instances_are_counted_once";

/// This test again, as an instance of the service whose users are those of the variable.
fn instance(users: &str, key: &std::path::Path, endpoint: &str, protocol: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", OF_SEVERAL])
        .env(USERS_OF_THE_INSTANCE, users)
        .env("SIDELIGHT_USER_KEY_FILE", key)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{endpoint}"))
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn users_of_several_instances_are_counted_once() {
    if let Ok(users) = std::env::var(USERS_OF_THE_INSTANCE) {
        let (from, to) = users.split_once("..").unwrap();
        let telemetry = sidelight::init("shop").without_subscriber().start().unwrap();
        for user in from.parse::<u32>().unwrap()..to.parse().unwrap() {
            drop(EXPORT.used().by(&format!("user-{user}")));
        }
        return telemetry.shutdown().unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let agent = in_directory(&directory);
    let key = directory.path().join("user.key");
    std::fs::write(&key, "000102030405060708090a0b0c0d0e0f").unwrap();
    let [grpc, http] = agent.listeners() else { panic!("{:?}", agent.listeners()) };
    let instances = [
        instance("0..3000", &key, grpc, "grpc"),
        instance("2000..5000", &key, http, "http/protobuf"),
    ];
    for mut instance in instances {
        assert!(instance.wait().unwrap().success());
    }
    // What an instance tells of itself is a series of its own, and less than 5 % off as well.
    let near = |users: f64, all: f64| (users / all - 1.0).abs() < 0.05;
    let all = wait_for("the agent has merged the sketches of both", || {
        let users = users(agent.admin());
        let merged = users.iter().find(|(of, _)| of.get("instance").is_none())?.1;
        let alone =
            users.iter().filter(|(of, users)| of.get("instance").is_some() && near(*users, 3000.0));
        (alone.count() == 2 && near(merged, 5000.0)).then_some(merged)
    });
    let shown = get(agent.admin(), "/api/sidelight/v1/features");
    assert!(shown.to_string().contains(&format!("{all}")), "{all}: {shown}");
    agent.stop().unwrap();
}

#[test]
fn an_agent_that_ended_first_costs_records_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let agent = in_directory(&directory);
    let telemetry = sidelight::init("shop").local().deliver(agent.ingest()).start().unwrap();
    agent.stop().unwrap();
    telemetry.tracer_provider().tracer("test").start("order.place");
    assert!(telemetry.flush_blocking().is_err());
    assert_eq!(telemetry.counts(Signal::Traces).failed, 1);
}

#[test]
fn an_application_is_told_when_its_agent_is_asked_to_quit_by_somebody_else() {
    let directory = tempfile::tempdir().unwrap();
    let agent = in_directory(&directory);
    let ended = agent.ended();
    let mut stream = TcpStream::connect(agent.admin()).unwrap();
    let quit = "POST /-/quit HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    stream.write_all(quit.as_bytes()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(ended), End::Drained);
    assert!(matches!(agent.stop(), Err(Error::Ended)));
}

#[test]
fn every_finding_of_a_configuration_is_told_and_no_secret_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("agent.yaml");
    let text = "exporters: {otlp_http/a: {endpoint: 'http://a:4318', headers: {authorization: hunter2}}}\n\
                journal: {durabilty: os}\nadmin: {endpiont: '127.0.0.1:0'}\n";
    std::fs::write(&file, text).unwrap();
    let agents = agent().config(&file).set("exporters.otlp_http/a.headers.authorization=hunter3");
    assert!(!format!("{agents:?}").contains("hunter"), "{agents:?}");
    let error = agents.start().unwrap_err();
    for told in [error.to_string(), format!("{error:?}"), format!("{:#?}", Box::new(error))] {
        assert!(told.contains("agent.yaml:2:11") && told.contains("durabilty"), "{told}");
        assert!(told.contains("agent.yaml:3:9") && told.contains("endpiont"), "{told}");
        assert!(!told.contains("hunter"), "{told}");
    }
}
