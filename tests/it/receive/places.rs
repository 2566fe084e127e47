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

/// A newcomer has so long before it is overdue.
const OVERDUE: Duration = Duration::from_millis(1_300);

/// Connects again and again, until a connection in this `state` made room for it.
async fn crowd_out(server: &Server, state: &str) {
    tokio::time::sleep(OVERDUE).await;
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
    tokio::time::sleep(OVERDUE).await;
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
    served(&server).await;
}

/// Comes again and again until it is served, for ten seconds at most.
async fn served(server: &Server) {
    let served = async {
        loop {
            let mut stream = server.connect().await;
            let request = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\
                           content-type: application/x-protobuf\r\nconnection: close\r\n\r\n";
            if stream.write_all(request.as_bytes()).await.is_ok()
                && rest(stream).await.starts_with("HTTP/1.1 200")
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), served).await.unwrap();
}

#[tokio::test]
async fn who_asks_for_what_is_refused_on_every_connection_keeps_nobody_out() {
    let server = Server::start(|_, config| config.connections_max = 2).await;
    for _ in 0..2 {
        let mut stream = server.connect().await;
        let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        stream.write_all(request).await.unwrap();
        // The answer has begun: it is no longer silent.
        stream.read_u8().await.unwrap();
        tokio::spawn(async move {
            while stream.write_all(request).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
    }
    served(&server).await;
    assert!(evicted(&server, "idle") + evicted(&server, "beginning") > 0);
}

/// Sends `first`, and `last` just after its connection was evicted; what came back when the journal took 400 ms.
async fn whole_as_it_is_evicted(first: &[u8], last: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let server = Server::start(|_, config| config.connections_max = 1).await;
    let gate = server.journal.hold();
    let mut slow = std::net::TcpStream::connect(server.address()).unwrap();
    slow.write_all(first).unwrap();
    eventually("the body has begun", || server.in_flight.used() > 0).await;
    tokio::time::sleep(OVERDUE).await;
    // Nothing of the server runs in between: it sees both at once, in this order.
    let newcomer = std::net::TcpStream::connect(server.address()).unwrap();
    slow.write_all(last).unwrap();
    eventually("it is with the journal", || server.journal.records().len() == 1).await;
    assert_eq!(evicted(&server, "slow"), 1);
    tokio::time::sleep(Duration::from_millis(400)).await;
    gate.add_permits(1);
    slow.set_nonblocking(true).unwrap();
    let mut answer = Vec::new();
    let mut slow = tokio::net::TcpStream::from_std(slow).unwrap();
    let read = tokio::time::timeout(Duration::from_secs(10), slow.read_to_end(&mut answer)).await;
    // A reset instead of an orderly end is an end, too.
    drop((read.unwrap(), newcomer));
    answer
}

#[tokio::test]
async fn a_request_that_became_whole_as_its_connection_was_evicted_is_answered() {
    let body = traces_bytes(1);
    let (first, last) = body.split_at(4);
    let head = begun(body.len(), "");
    let answer = whole_as_it_is_evicted(&[head.as_bytes(), first].concat(), last).await;
    let answer = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 200") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_stream_that_became_whole_as_its_connection_was_evicted_is_answered() {
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    };
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    // POST, http, and names of the static table: the authority, the path and the content type (RFC 7541, appendix A).
    let (authority, path) = (text("x"), text("/v1/traces"));
    let kind = text("application/x-protobuf");
    let head = [&[0x83, 0x86, 0x01][..], &authority, &[0x04], &path, &[0x0f, 16], &kind].concat();
    let body = traces_bytes(1);
    let (first, last) = body.split_at(4);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let (settings, head) = (frame(4, 0, 0, &[]), frame(1, 4, 1, &head));
    let first = [&preface[..], &settings, &head, &frame(0, 0, 1, first)].concat();
    let mut answer = &whole_as_it_is_evicted(&first, &frame(0, 1, 1, last)).await[..];
    let mut statuses = Vec::<u8>::new();
    while let Some((&[a, b, c, kind, _, _, _, _, _], rest)) = answer.split_first_chunk::<9>() {
        let (payload, rest) = rest.split_at(u32::from_be_bytes([0, a, b, c]) as usize);
        statuses.extend(payload.first().filter(|_| kind == 1));
        answer = rest;
    }
    assert_eq!(statuses, [0x88], "200, from the static table");
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
