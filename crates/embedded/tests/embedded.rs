//! An application with the agent in its process: what it records can be asked for.
#![expect(
    clippy::unwrap_used,
    reason = "all of this is a test; the lint sees only functions marked as such"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use opentelemetry::trace::{Tracer, TracerProvider};
use serde_json::Value;
use sidelight::Counter;
use sidelight::init::Signal;
use sidelight_embedded::{Agent, End, Error, agent};

static ORDERS: Counter<1> = Counter::new("shop.orders").labels(["kind"]);

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
