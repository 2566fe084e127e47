//! Every limit, and its count.

use std::sync::Arc;
use std::time::Duration;

use sidelight_agent::memory::InFlight;
use sidelight_agent::receive::{self, Bind, Config, Deps, Listener, Timeouts};
use sidelight_agent::telemetry::{Registry, desc};
use sidelight_agent::time::SystemClock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{
    PROTOBUF, Server, TRACES, call, eventually, framed, gzip, h2c, post, send, traces_bytes,
};

/// What comes until the peer closes.
pub async fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset instead of an orderly end is an end, too.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_declared_length_above_the_limit_is_413_before_the_body() {
    let server = Server::start(|listener, _| listener.message_bytes_max = 1000).await;
    let mut stream = server.connect().await;
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
                content-length: 1001\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    assert_eq!(server.refused_by_limit("message_bytes"), 1);
}

#[tokio::test]
async fn a_body_above_the_limit_is_413_when_it_gets_there() {
    let server = Server::start(|listener, _| listener.message_bytes_max = 1000).await;
    let mut stream = server.connect().await;
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
                transfer-encoding: chunked\r\n\r\n3e9\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&[0; 1001]).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn chunks_that_are_none_are_the_senders_mistake() {
    let server = Server::plain().await;
    for chunk in ["zz\r\n", "fffffffffffffffff\r\n", "3\r\nabcd\r\n"] {
        let mut stream = server.connect().await;
        let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                    transfer-encoding: chunked\r\n\r\n";
        stream.write_all(format!("{head}{chunk}").as_bytes()).await.unwrap();
        let answer = rest(stream).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{chunk:?}: {answer}");
        assert!(answer.contains("the body's transfer coding"), "{chunk:?}: {answer}");
        assert!(answer.contains("fieldViolations"), "{chunk:?}: {answer}");
    }
}

#[tokio::test]
async fn a_sender_in_the_middle_of_a_large_body_still_reads_its_refusal() {
    let server = Server::start(|listener, _| listener.message_bytes_max = 1 << 20).await;
    let body = vec![0; 8 << 20];
    for _ in 0..10 {
        let response = send(&server, post("/v1/traces", body.clone(), &[PROTOBUF])).await;
        assert_eq!(response.status(), 413);
        let mut sender = h2c(server.connect().await).await;
        let answer = call(&mut sender, TRACES, framed(false, &body), &[]).await;
        assert_eq!(answer.code, 8);
        assert!(answer.details.kinds().is_empty());
        let small = call(&mut sender, TRACES, framed(false, &traces_bytes(1)), &[]).await;
        assert_eq!(small.code, 0, "the connection lives on");
    }
}

#[tokio::test]
async fn a_bomb_is_413_and_never_held() {
    let server = Server::start(|listener, _| listener.message_bytes_max = 1 << 20).await;
    let bomb = gzip(&vec![0; 32 << 20]);
    assert!(bomb.len() < 64 << 10);
    let headers = [PROTOBUF, ("content-encoding", "gzip")];
    let response = send(&server, post("/v1/traces", bomb, &headers)).await;
    assert_eq!(response.status(), 413);
    assert_eq!(server.in_flight.used(), 0);
}

#[tokio::test]
async fn a_ratio_above_200_is_only_counted() {
    let server = Server::plain().await;
    // Field 2047 of the request is unknown, and may hold a million zeros.
    let zeros = [&traces_bytes(1)[..], b"\xfa\x7f\xc0\x84\x3d", &vec![0; 1_000_000]].concat();
    let headers = [PROTOBUF, ("content-encoding", "gzip")];
    let response = send(&server, post("/v1/traces", gzip(&zeros), &headers)).await;
    assert_eq!(response.status(), 200);
    assert_eq!(server.count(&desc::RECEIVER_HIGH_INFLATE_RATIO, &["otlp"]), 1);
}

#[tokio::test]
async fn bytes_are_refused_when_the_budget_is_used_and_taken_when_it_is_free_again() {
    let server = Server::plain().await;
    // Larger than those that have a part of the budget to themselves.
    let body = [&traces_bytes(10)[..], b"\xfa\x7f\x80\x80\x04", &[0; 64 << 10]].concat();
    server.in_flight.set_limit(2 * body.len());
    let gate = server.journal.hold();
    let mut first = h2c(server.connect().await).await;
    let request = post("http://localhost/v1/traces", body.clone(), &[PROTOBUF]);
    let first = tokio::spawn(async move { first.send_request(request).await });
    eventually("the first is with the journal", || server.journal.records().len() == 1).await;
    let mut sender = h2c(server.connect().await).await;
    let answer = call(&mut sender, TRACES, framed(false, &body), &[]).await;
    assert_eq!((answer.code, answer.details.kinds()), (14, vec!["RetryInfo"]));
    assert_eq!(server.refused_by_limit("in_flight_bytes"), 1);
    gate.add_permits(3);
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
    assert_eq!(call(&mut sender, TRACES, framed(false, &body), &[]).await.code, 0);
    server.in_flight.set_limit(1);
    assert_eq!(call(&mut sender, TRACES, framed(false, &body), &[]).await.code, 14);
    let small = traces_bytes(10);
    assert_eq!(call(&mut sender, TRACES, framed(false, &small), &[]).await.code, 0);
    assert_eq!(server.in_flight.used(), 0);
}

#[tokio::test]
async fn one_large_request_assembles_at_a_time() {
    let server = Server::start(|_, config| config.large_request_bytes = 1000).await;
    let mut slow = server.connect().await;
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
                content-length: 5000\r\n\r\n";
    slow.write_all(head.as_bytes()).await.unwrap();
    slow.write_all(&[0; 2000]).await.unwrap();
    eventually("2000 bytes are charged", || server.in_flight.used() >= 2000).await;
    let large = [&traces_bytes(1)[..], b"\xfa\x7f\xe8\x07", &[0; 1000]].concat();
    let response = send(&server, post("/v1/traces", large.clone(), &[PROTOBUF])).await;
    assert_eq!(response.status(), 503);
    assert_eq!(server.refused_by_limit("large_requests"), 1);
    let small = send(&server, post("/v1/traces", traces_bytes(1), &[PROTOBUF])).await;
    assert_eq!(small.status(), 200);
    drop(slow);
    eventually("its bytes are given back", || server.in_flight.used() == 0).await;
    let response = send(&server, post("/v1/traces", large, &[PROTOBUF])).await;
    assert_eq!(response.status(), 200);
}

/// As stock senders do: all of the body first, then the answer, and the connection kept.
#[tokio::test]
async fn a_sender_that_may_come_back_is_told_so_after_its_body_on_the_same_connection() {
    let server = Server::plain().await;
    let budget = server.in_flight.limit();
    server.in_flight.set_limit(1);
    let mut stream = server.connect().await;
    let length = 8 << 20;
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..length >> 10 {
        stream.write_all(&[0; 1 << 10]).await.unwrap();
    }
    let mut answer = vec![0; 4096];
    let read = stream.read(&mut answer).await.unwrap();
    let said = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(said.starts_with("HTTP/1.1 503") && said.contains("retry-after: "), "{said}");
    server.in_flight.set_limit(budget);
    let body = traces_bytes(1);
    let head = head.replace(&length.to_string(), &body.len().to_string());
    stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_large_body_is_examined_beside_the_only_worker() {
    let server = Server::start(|_, config| config.large_request_bytes = 1000).await;
    let large = [&traces_bytes(1)[..], b"\xfa\x7f\xd0\x0f", &[0; 2000]].concat();
    for _ in 0..3 {
        let response = send(&server, post("/v1/traces", large.clone(), &[PROTOBUF])).await;
        assert_eq!(response.status(), 200);
    }
    assert_eq!(server.journal.records().len(), 3);
}

#[tokio::test]
async fn headers_above_16_kib_are_431() {
    let server = Server::plain().await;
    let long = "x".repeat(17 << 10);
    let response = send(&server, post("/v1/traces", "", &[PROTOBUF, ("x-long", &long)])).await;
    assert_eq!(response.status(), 431);
    eventually("it is counted", || server.refused_by_limit("header_bytes") == 1).await;
    let mut sender = h2c(server.connect().await).await;
    let request = post("http://localhost/v1/traces", "", &[PROTOBUF, ("x-long", &long)]);
    let refused = sender.send_request(request).await;
    assert!(refused.is_err() || refused.unwrap().status() == 431);
}

const QUICK: Timeouts = Timeouts {
    header: Duration::from_millis(50),
    body: Duration::from_millis(50),
    idle: Duration::from_millis(50),
};

#[tokio::test]
async fn a_peer_that_says_nothing_or_never_ends_its_headers_is_closed() {
    let server = Server::start(|listener, _| {
        listener.timeouts = Timeouts { idle: Duration::from_secs(60), ..QUICK };
    })
    .await;
    assert_eq!(rest(server.connect().await).await, "");
    let mut slow = server.connect().await;
    slow.write_all(b"POST /v1/traces HTTP/1.1\r\nhost: ").await.unwrap();
    assert_eq!(rest(slow).await, "");
    assert_eq!(server.refused_by_limit("header_time"), 2);
}

#[tokio::test]
async fn a_body_that_stops_is_answered_retryably() {
    let server = Server::start(|listener, _| {
        listener.timeouts = Timeouts { body: QUICK.body, ..Timeouts::default() };
    })
    .await;
    let mut stream = server.connect().await;
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
                content-length: 100\r\n\r\nabc";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 503");
    assert_eq!(server.refused_by_limit("body_time"), 1);
    assert_eq!(server.in_flight.used(), 0);
}

#[tokio::test]
async fn an_idle_connection_is_told_to_go_away() {
    let server = Server::start(|listener, _| listener.timeouts = QUICK).await;
    let mut http1 = server.connect().await;
    http1
        .write_all(
            b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
              content-length: 0\r\n\r\n",
        )
        .await
        .unwrap();
    assert!(rest(http1).await.starts_with("HTTP/1.1 200"));
    let sender = h2c(server.connect().await).await;
    eventually("the HTTP/2 connection ends", || sender.is_closed()).await;
    assert_eq!(server.refused_by_limit("idle_time"), 2);
}

#[tokio::test]
async fn a_watch_of_health_does_not_hold_an_idle_connection() {
    let server = Server::start(|listener, _| listener.timeouts = QUICK).await;
    let mut sender = h2c(server.connect().await).await;
    let path = "http://localhost/grpc.health.v1.Health/Watch";
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    let watch = sender.send_request(post(path, framed(false, b""), &headers)).await.unwrap();
    eventually("the connection ends", || sender.is_closed()).await;
    assert_eq!(server.refused_by_limit("idle_time"), 1);
    drop(watch);
}

#[tokio::test]
async fn a_sender_that_goes_away_is_counted_as_that_and_not_as_malformed() {
    let server = Server::plain().await;
    let refused =
        |reason| server.count(&desc::RECEIVER_REFUSED_REQUESTS, &["otlp", "traces", reason]);
    let mut stream = server.connect().await;
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
                content-length: 100\r\n\r\nabc";
    stream.write_all(head.as_bytes()).await.unwrap();
    eventually("the body has begun", || server.in_flight.used() > 0).await;
    drop(stream);
    eventually("HTTP/1.1 is counted", || refused("disconnected") == 1).await;
    let _gate = server.journal.hold();
    let mut sender = h2c(server.connect().await).await;
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    let body = framed(false, &traces_bytes(1));
    let answer = sender.send_request(post(&format!("http://localhost{TRACES}"), body, &headers));
    eventually("it is with the journal", || server.journal.records().len() == 1).await;
    drop(answer);
    eventually("a reset is counted", || refused("disconnected") == 2).await;
    assert_eq!(refused("malformed"), 0);
}

#[tokio::test]
async fn an_old_connection_finishes_its_requests_and_goes_away() {
    let server = Server::start(|listener, _| {
        listener.keepalive.max_connection_age = Some(Duration::from_millis(50));
    })
    .await;
    let gate = server.journal.hold();
    let mut sender = h2c(server.connect().await).await;
    let request = post("http://localhost/v1/traces", traces_bytes(1), &[PROTOBUF]);
    let answer = sender.send_request(request);
    eventually("it is old", || server.refused_by_limit("connection_age") == 1).await;
    gate.add_permits(1);
    assert_eq!(answer.await.unwrap().status(), 200);
    eventually("it is closed", || sender.is_closed()).await;
}

#[tokio::test]
async fn an_address_in_use_is_an_error_that_names_it() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let listeners = vec![Listener::new(Bind::Tcp(address.clone()))];
    let config = Config { listeners, ..Config::default() };
    let clock = Arc::new(SystemClock::new());
    let deps = Deps { in_flight: InFlight::new(1), registry: Registry::default(), clock };
    let error = receive::bind(config, deps).await.unwrap_err();
    assert!(error.to_string().contains(&address), "{error}");
}

#[tokio::test]
async fn the_default_listeners_are_on_the_loopback() {
    let binds: Vec<_> = Config::default().listeners.into_iter().map(|l| l.bind).collect();
    let tcp = |address: &str| Bind::Tcp(address.to_owned());
    assert_eq!(binds, [tcp("127.0.0.1:4317"), tcp("127.0.0.1:4318")]);
    assert_eq!(Config::default().connections_max, 136, "8 at 1 MiB and 128 at 64 KiB");
}
