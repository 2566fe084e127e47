//! The Unix socket: one listener like any other.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use sidelight_agent::memory::InFlight;
use sidelight_agent::receive::{self, Bind, BindError, Config, Deps, Listener};
use sidelight_agent::telemetry::Registry;
use sidelight_agent::time::SystemClock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::{Journal, PROTOBUF, TRACES, call, framed, h2c, post, send_over, traces_bytes};

async fn bind(path: &std::path::Path) -> Result<receive::Bound, BindError> {
    let bind = Bind::Unix { path: path.to_owned(), mode: 0o660 };
    let config = Config { listeners: vec![Listener::new(bind)], ..Config::default() };
    let clock = Arc::new(SystemClock::new());
    let deps = Deps { in_flight: InFlight::new(1 << 20), registry: Registry::default(), clock };
    receive::bind(config, deps).await
}

#[tokio::test]
async fn a_unix_socket_speaks_grpc_and_http_and_is_refused_while_live() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("otlp.sock");
    let journal = Journal::default();
    let handle = bind(&path).await.unwrap().serve(journal.clone());
    assert_eq!(handle.endpoints()[0].address, format!("unix://{}", path.display()));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o660);
    let mut sender = h2c(UnixStream::connect(&path).await.unwrap()).await;
    let body = framed(false, &traces_bytes(1));
    assert_eq!(call(&mut sender, TRACES, body, &[]).await.code, 0);
    let stream = UnixStream::connect(&path).await.unwrap();
    let response = send_over(stream, post("/v1/traces", traces_bytes(2), &[PROTOBUF])).await;
    assert_eq!(response.status(), 200);
    assert_eq!(journal.records().len(), 2);
    assert!(matches!(bind(&path).await, Err(BindError::Unix(_))), "somebody listens");
    drop(sender);
    handle.drain(std::time::Duration::from_secs(10)).await;
    assert!(bind(&path).await.is_ok(), "what is left of it is stale");
}

/// A frame of stream 1, or of the connection.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// gRPC in C++ and Python says the percent-encoded path, in Java the path; hyper's client cannot say either.
#[tokio::test]
async fn the_path_of_the_socket_is_taken_for_an_authority() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("otlp.sock");
    let journal = Journal::default();
    let _handle = bind(&path).await.unwrap().serve(journal.clone());
    let spelled: &[u8] = b"\x40\x0a:authority";
    let said = [(&[0x41][..], "/run/otlp.sock"), (spelled, "run%2Fotlp.sock")];
    for (n, (name, authority)) in said.into_iter().enumerate() {
        let literal = |first: &[u8], value: &str| {
            [first, &[u8::try_from(value.len()).unwrap()], value.as_bytes()].concat()
        };
        let headers = [
            &[0x83, 0x86][..],
            &literal(name, authority),
            &literal(&[0x44], TRACES),
            &literal(&[0x5f], "application/grpc"),
            &[0x40, 2],
            &literal(b"te", "trailers"),
        ]
        .concat();
        let request = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(4, 0, 0, &[]),
            frame(1, 4, 1, &headers),
            frame(0, 1, 1, &framed(false, &traces_bytes(1))),
        ]
        .concat();
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(&request).await.unwrap();
        let kind = loop {
            let mut header = [0; 9];
            stream.read_exact(&mut header).await.unwrap();
            let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
            stream.read_exact(&mut vec![0; length as usize]).await.unwrap();
            if header[8] == 1 {
                break header[3];
            }
        };
        assert_eq!(kind, 1, "headers, not a reset, answer {authority}");
        assert_eq!(journal.records().len(), n + 1);
    }
}
