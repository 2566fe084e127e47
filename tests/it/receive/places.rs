//! Who makes room when all places are taken, and how connections say goodbye.

use std::cell::RefCell;
use std::time::Duration;

use sidelight_agent::telemetry::desc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::limits::rest;
use super::{PROTOBUF, Server, TRACES, eventually, post, send, traces_bytes};

/// The headers of a request with a body of `length` bytes, and the first of these.
fn begun(length: usize, first: &str) -> String {
    format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
         content-length: {length}\r\n\r\n{first}"
    )
}

fn evicted(server: &Server, state: &str) -> u64 {
    server.count(&desc::RECEIVER_EVICTED_CONNECTIONS, &["otlp", state])
}

/// Connects again and again, until a connection in this `state` made room for it.
async fn crowd_out(server: &Server, state: &str) {
    let held = RefCell::new(Vec::new());
    eventually("it made room", || {
        held.borrow_mut().push(std::net::TcpStream::connect(server.address()).unwrap());
        evicted(server, state) == 1
    })
    .await;
}

#[tokio::test]
async fn while_all_places_are_taken_who_is_overdue_for_longest_makes_room() {
    let server = Server::start(|_, config| config.connections_max = 2).await;
    let silent = server.connect().await;
    let mut slow = server.connect().await;
    slow.write_all(begun(1_000, "x").as_bytes()).await.unwrap();
    eventually("the body has begun", || server.in_flight.used() > 0).await;
    let sent = send(&server, post("/v1/traces", traces_bytes(1), &[PROTOBUF])).await;
    assert_eq!(sent.status(), 200);
    assert_eq!(rest(silent).await, "");
    let states = ["silent", "slow", "idle"].map(|state| evicted(&server, state));
    assert_eq!(states, [1, 0, 0]);
}

#[tokio::test]
async fn a_slow_body_is_told_to_come_back_when_its_connection_makes_room() {
    let server = Server::start(|_, config| config.connections_max = 2).await;
    let mut slow = server.connect().await;
    slow.write_all(begun(1_000, "x").as_bytes()).await.unwrap();
    eventually("the body has begun", || server.in_flight.used() > 0).await;
    crowd_out(&server, "slow").await;
    let answer = rest(slow).await.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 503"), "{answer}");
    assert!(answer.contains("retry-after: ") && answer.contains("connection: close"), "{answer}");
    assert_eq!(server.refused_by_limit("body_time"), 1);
    assert_eq!(server.in_flight.used(), 0);
}

#[tokio::test]
async fn a_slow_stream_is_told_to_come_back_when_its_connection_makes_room() {
    let server = Server::start(|_, config| config.connections_max = 2).await;
    let (sender, connection) = h2::client::handshake(server.connect().await).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = ::http::Request::post(format!("http://localhost{TRACES}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let (answer, mut body) = sender.ready().await.unwrap().send_request(request, false).unwrap();
    body.send_data(bytes::Bytes::from_static(b"\0\0\0"), false).unwrap();
    eventually("the body has begun", || server.in_flight.used() > 0).await;
    crowd_out(&server, "slow").await;
    let answer = answer.await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "14");
    assert!(answer.headers().contains_key("grpc-status-details-bin"));
    // With or without an error: it is over.
    drop(connection.await.unwrap());
}

#[tokio::test]
async fn a_request_that_waits_for_the_disk_keeps_its_place_and_who_comes_then_is_closed() {
    let server = Server::start(|_, config| config.connections_max = 1).await;
    let gate = server.journal.hold();
    let mut first = server.connect().await;
    let body = traces_bytes(1);
    first.write_all(&[begun(body.len(), "").as_bytes(), &body].concat()).await.unwrap();
    eventually("it is with the journal", || server.journal.records().len() == 1).await;
    let second = server.connect().await;
    assert_eq!(rest(second).await, "");
    assert_eq!(server.refused_by_limit("connections"), 1);
    gate.add_permits(1);
    let mut answer = [0; 12];
    first.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    drop(first);
    let place_is_free = async {
        loop {
            let mut stream = server.connect().await;
            let request = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\
                           content-type: application/x-protobuf\r\nconnection: close\r\n\r\n";
            if stream.write_all(request.as_bytes()).await.is_ok()
                && rest(stream).await.starts_with("HTTP/1.1 200")
            {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), place_is_free).await.unwrap();
}

#[tokio::test]
async fn an_old_connection_of_http_1_says_in_its_last_answer_that_it_ends() {
    let server = Server::start(|listener, _| {
        listener.keepalive.max_connection_age = Some(Duration::from_secs(1));
    })
    .await;
    let mut stream = server.connect().await;
    let empty = begun(0, "");
    stream.write_all(empty.as_bytes()).await.unwrap();
    let mut answer = vec![0; 1 << 10];
    let length = stream.read(&mut answer).await.unwrap();
    let young = String::from_utf8_lossy(&answer[..length]).to_ascii_lowercase();
    assert!(young.starts_with("http/1.1 200") && !young.contains("connection:"), "{young}");
    eventually("it is old", || server.refused_by_limit("connection_age") == 1).await;
    stream.write_all(empty.as_bytes()).await.unwrap();
    let last = rest(stream).await.to_ascii_lowercase();
    assert!(last.starts_with("http/1.1 200") && last.contains("connection: close"), "{last}");
}

#[tokio::test]
async fn an_old_connection_of_http_1_without_a_request_ends_after_its_grace() {
    let server = Server::start(|listener, _| {
        listener.keepalive.max_connection_age = Some(Duration::from_millis(50));
        listener.keepalive.max_connection_age_grace = Duration::from_millis(50);
    })
    .await;
    let mut stream = server.connect().await;
    stream.write_all(begun(0, "").as_bytes()).await.unwrap();
    assert!(rest(stream).await.starts_with("HTTP/1.1 200"));
}
