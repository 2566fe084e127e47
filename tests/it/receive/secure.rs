//! Tokens, TLS, mutual TLS, and files that change.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sidelight_agent::receive::{Auth, Tls};
use sidelight_agent::telemetry::desc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::support::{Authority, Identity};
use super::{
    PROTOBUF, Server, TRACES, call, eventually, framed, h2c, post, send, send_over, traces_bytes,
};

const SOON: Duration = Duration::from_millis(20);

#[tokio::test]
async fn without_the_token_nothing_is_taken_over_either_protocol() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "s3cret\n").unwrap();
    let auth = Auth { bearer_token_file: file.clone(), reload_interval: SOON };
    let server = Server::start(|listener, _| listener.auth = Some(auth)).await;
    let mut sender = h2c(server.connect().await).await;
    let message = framed(false, &traces_bytes(1));
    for headers in [&[][..], &[("authorization", "Bearer wrong")], &[("authorization", "s3cret")]] {
        let answer = call(&mut sender, TRACES, message.clone(), headers).await;
        assert_eq!(answer.code, 16, "{headers:?}");
        let headers = [&[PROTOBUF], headers].concat();
        let response = send(&server, post("/v1/traces", traces_bytes(1), &headers)).await;
        assert_eq!(response.status(), 401, "{headers:?}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
    }
    assert_eq!(server.journal.records().len(), 0);
    let bearer = ("authorization", "Bearer s3cret");
    assert_eq!(call(&mut sender, TRACES, message.clone(), &[bearer]).await.code, 0);
    let response = send(&server, post("/v1/traces", traces_bytes(1), &[PROTOBUF, bearer])).await;
    assert_eq!(response.status(), 200);
    let health = framed(false, b"");
    assert_eq!(call(&mut sender, "/grpc.health.v1.Health/Check", health, &[]).await.code, 0);

    std::fs::write(&file, "changed").unwrap();
    let reloaded =
        || server.count(&desc::RECEIVER_RELOADS, &["otlp", "bearer_token", "loaded"]) > 0;
    eventually("the token is reloaded", reloaded).await;
    // Senders may have the one before for an interval more.
    tokio::time::sleep(SOON).await;
    assert_eq!(call(&mut sender, TRACES, message.clone(), &[bearer]).await.code, 16);
    let bearer = ("authorization", "Bearer changed");
    assert_eq!(call(&mut sender, TRACES, message, &[bearer]).await.code, 0);
}

/// A sender drops what it is refused for want of the right token: each rotation lost what came until the file was looked at.
#[tokio::test]
async fn a_rotation_of_the_token_refuses_no_sender_that_has_the_new_one_or_has_it_not_yet() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "first").unwrap();
    let auth =
        Auth { bearer_token_file: file.clone(), reload_interval: Duration::from_secs(3_600) };
    let server = Server::start(|listener, _| listener.auth = Some(auth)).await;
    let mut sender = h2c(server.connect().await).await;
    let message = framed(false, &traces_bytes(1));
    let [first, second, third] =
        ["Bearer first", "Bearer second", "Bearer third"].map(|token| ("authorization", token));
    let reloads = || server.count(&desc::RECEIVER_RELOADS, &["otlp", "bearer_token", "loaded"]);
    assert_eq!(call(&mut sender, TRACES, message.clone(), &[first]).await.code, 0);
    std::fs::write(&file, "second").unwrap();
    for bearer in [second, first, second] {
        assert_eq!(call(&mut sender, TRACES, message.clone(), &[bearer]).await.code, 0);
    }
    assert_eq!(call(&mut sender, TRACES, message.clone(), &[third]).await.code, 16);
    assert_eq!(reloads(), 1);
    std::fs::write(&file, "third").unwrap();
    for bearer in [third, second] {
        let response = send(&server, post("/v1/traces", traces_bytes(1), &[PROTOBUF, bearer]));
        assert_eq!(response.await.status(), 200);
    }
    let response = send(&server, post("/v1/traces", traces_bytes(1), &[PROTOBUF, first])).await;
    assert_eq!(response.status(), 401, "only the last one before");
    assert_eq!(reloads(), 2);
}

/// Who shows another token waits for a second at most, and who shows the right one for nothing.
#[tokio::test]
async fn a_token_file_that_hangs_as_a_wrong_token_is_shown_holds_up_no_right_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "s3cret").unwrap();
    let auth =
        Auth { bearer_token_file: file.clone(), reload_interval: Duration::from_secs(3_600) };
    let server = Server::start(|listener, _| listener.auth = Some(auth)).await;
    std::fs::remove_file(&file).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
    let request =
        |token| post("/v1/traces", traces_bytes(1), &[PROTOBUF, ("authorization", token)]);
    let ended = tokio::time::Instant::now;
    let wrong = async { (send(&server, request("Bearer wrong")).await.status(), ended()) };
    let right = async {
        for _ in 0..3 {
            assert_eq!(send(&server, request("Bearer s3cret")).await.status(), 200);
        }
        ended()
    };
    let ((status, wrong), right) = tokio::join!(wrong, right);
    assert_eq!(status, 401);
    assert!(right < wrong, "the right token waited for the file");
    // Ends the read, for which the runtime waits.
    std::fs::write(&file, "s3cret").unwrap();
}

/// Some senders take no answer from a stream that is reset behind it.
#[tokio::test]
async fn a_sender_without_the_token_is_told_when_its_body_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "s3cret\n").unwrap();
    let auth = Auth { bearer_token_file: file, reload_interval: SOON };
    let server = Server::start(|listener, _| listener.auth = Some(auth)).await;
    let (sender, connection) = h2::client::handshake(server.connect().await).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post("http://localhost/v1/traces");
    let request = request.header(PROTOBUF.0, PROTOBUF.1).body(()).unwrap();
    let (answer, mut body) = sender.ready().await.unwrap().send_request(request, false).unwrap();
    tokio::time::sleep(5 * SOON).await;
    body.send_data(traces_bytes(1).into(), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_token_file_whose_disk_hangs_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (file, good) = (dir.path().join("token"), dir.path().join("good"));
    for file in [&file, &good] {
        std::fs::write(file, "s3cret").unwrap();
    }
    let auth = Auth { bearer_token_file: file.clone(), reload_interval: SOON };
    let server = Server::start(|listener, _| listener.auth = Some(auth)).await;
    // Who reads it waits for as long as a writer has it open.
    let fifo = dir.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    std::fs::rename(&fifo, &file).unwrap();
    let (reads, being_read) = tokio::sync::oneshot::channel();
    let (answered, until_answered) = std::sync::mpsc::sync_channel::<()>(1);
    let fifo = file.clone();
    let hanging = std::thread::spawn(move || {
        let open = std::fs::OpenOptions::new().write(true).open(fifo).unwrap();
        let _ = reads.send(());
        let in_time = until_answered.recv_timeout(Duration::from_secs(10)).is_ok();
        drop(open);
        in_time
    });
    being_read.await.unwrap();
    let headers = [PROTOBUF, ("authorization", "Bearer s3cret")];
    let response = send(&server, post("/v1/traces", traces_bytes(1), &headers)).await;
    assert_eq!(response.status(), 200);
    std::fs::rename(&good, &file).unwrap();
    let _ = answered.send(());
    assert!(hanging.join().unwrap(), "answered while the file was being read");
}

fn tls(dir: &Path, mutual: bool) -> Tls {
    Tls {
        cert_file: dir.join("cert.pem"),
        key_file: dir.join("key.pem"),
        client_ca_file: mutual.then(|| dir.join("clients.pem")),
        reload_interval: SOON,
    }
}

async fn connect(
    server: &Server,
    authority: &Authority,
    client: Option<&Identity>,
    alpn: &[&str],
) -> std::io::Result<TlsStream<tokio::net::TcpStream>> {
    use rustls::pki_types::pem::PemObject as _;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let cert = CertificateDer::from_pem_slice(identity.cert_pem.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![cert], key).unwrap()
        }
    };
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, server.connect().await).await
}

#[tokio::test]
async fn both_http_versions_work_over_tls_with_and_without_alpn() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.sign("localhost").write(dir.path());
    let server = Server::start(|listener, _| listener.tls = Some(tls(dir.path(), false))).await;
    for alpn in [&["h2"][..], &[]] {
        let stream = connect(&server, &authority, None, alpn).await.unwrap();
        let mut sender = h2c(stream).await;
        let message = framed(false, &traces_bytes(1));
        assert_eq!(call(&mut sender, TRACES, message, &[]).await.code, 0, "{alpn:?}");
    }
    for alpn in [&["http/1.1"][..], &[]] {
        let stream = connect(&server, &authority, None, alpn).await.unwrap();
        let response = send_over(stream, post("/v1/traces", traces_bytes(1), &[PROTOBUF])).await;
        assert_eq!(response.status(), 200, "{alpn:?}");
    }
    assert_eq!(server.journal.records().len(), 4);
}

#[tokio::test]
async fn a_client_without_a_certificate_of_the_authority_gets_nothing_in() {
    let dir = tempfile::tempdir().unwrap();
    let (authority, clients) = (Authority::new(), Authority::new());
    authority.sign("localhost").write(dir.path());
    std::fs::write(dir.path().join("clients.pem"), clients.pem()).unwrap();
    let server = Server::start(|listener, _| listener.tls = Some(tls(dir.path(), true))).await;
    let (known, stranger) = (clients.sign("app"), authority.sign("app"));
    let expired = clients.sign_expired("app");
    for (client, taken) in
        [(None, false), (Some(&stranger), false), (Some(&expired), false), (Some(&known), true)]
    {
        // With TLS 1.3 a client learns of its refusal only when it reads.
        let before = server.journal.records().len();
        if let Ok(stream) = connect(&server, &authority, client, &["http/1.1"]).await {
            let io = hyper_util::rt::TokioIo::new(stream);
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            let request = post("/v1/traces", traces_bytes(1), &[PROTOBUF]);
            assert_eq!(sender.send_request(request).await.is_ok(), taken);
        }
        assert_eq!(server.journal.records().len() > before, taken);
    }
    assert_eq!(server.count(&desc::RECEIVER_TLS_FAILURES, &["otlp"]), 3);
}

#[tokio::test]
async fn a_new_certificate_is_used_and_a_broken_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new(), Authority::new());
    old.sign("localhost").write(dir.path());
    let server = Server::start(|listener, _| listener.tls = Some(tls(dir.path(), false))).await;
    let stays = connect(&server, &old, None, &[]).await.unwrap();
    let reloads = |outcome| server.count(&desc::RECEIVER_RELOADS, &["otlp", "tls", outcome]);
    std::fs::write(dir.path().join("cert.pem"), "not a certificate").unwrap();
    eventually("the broken one is seen", || reloads("failed") > 0).await;
    assert!(connect(&server, &old, None, &[]).await.is_ok(), "the old one still serves");
    new.sign("localhost").write(dir.path());
    eventually("the new one is loaded", || reloads("loaded") > 0).await;
    assert!(connect(&server, &new, None, &[]).await.is_ok());
    assert!(connect(&server, &old, None, &[]).await.is_err());
    let response = send_over(stays, post("/v1/traces", traces_bytes(1), &[PROTOBUF])).await;
    assert_eq!(response.status(), 200, "connections outlive the certificate");
}

#[tokio::test]
async fn a_peer_that_never_shakes_hands_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    Authority::new().sign("localhost").write(dir.path());
    let server = Server::start(|listener, _| {
        listener.tls = Some(tls(dir.path(), false));
        listener.timeouts.header = Duration::from_millis(50);
    })
    .await;
    let _silent = server.connect().await;
    eventually("it is counted", || server.refused_by_limit("tls_handshake_time") == 1).await;
}
