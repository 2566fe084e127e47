//! The Unix socket: one listener like any other.

use std::os::unix::fs::PermissionsExt as _;

use sidelight_agent::memory::InFlight;
use sidelight_agent::receive::{self, Bind, BindError, Config, Deps, Listener};
use sidelight_agent::telemetry::Registry;
use tokio::net::UnixStream;

use super::{Journal, PROTOBUF, TRACES, call, framed, h2c, post, send_over, traces_bytes};

async fn bind(path: &std::path::Path) -> Result<receive::Bound, BindError> {
    let bind = Bind::Unix { path: path.to_owned(), mode: 0o660 };
    let config = Config { listeners: vec![Listener::new(bind)], ..Config::default() };
    let deps = Deps { in_flight: InFlight::new(1 << 20), registry: Registry::default() };
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
