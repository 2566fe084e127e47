//! TLS towards a destination, and Unix sockets.

use std::path::Path;

use sidelight_agent::export::config::Protocol;
use sidelight_agent::net::endpoint::Endpoint;
use sidelight_agent::net::tls::TlsConfig;
use sidelight_agent::signal::Signal;

use super::super::support::{Authority, wait_for};
use super::destination::{Answer, Destination};
use super::{Configured, Pipe, SOON, client_of, configured};

/// A destination at `https://localhost`, whose authority is in `dir`.
fn over_tls(protocol: Protocol, port: u16, dir: &Path) -> Configured {
    let mut config =
        configured(protocol, std::net::SocketAddr::from(([127, 0, 0, 1], 1)), Signal::Traces);
    let client = client_of(&mut config);
    let endpoint = format!("https://localhost:{port}");
    client.endpoint = Endpoint::parse(&endpoint, false, protocol.default_port()).unwrap();
    client.tls = TlsConfig { ca_file: Some(dir.join("ca.pem")), ..TlsConfig::default() };
    config
}

fn trust(dir: &Path, authority: &Authority) {
    std::fs::write(dir.join("ca.pem"), authority.pem()).unwrap();
}

async fn delivers(config: Configured, destination: &Destination) {
    let pipe = Pipe::start(config);
    pipe.append("a").await;
    assert_eq!(pipe.settled().await, (1, vec![]));
    assert_eq!(destination.taken(), ["a"]);
}

/// Waits for the lane to say why it gets nowhere.
async fn reason(pipe: &Pipe) -> String {
    let handle = pipe.exporters.handle();
    wait_for("a reason", SOON, || handle.reasons().pop()).await
}

#[tokio::test]
async fn a_server_of_the_configured_authority_is_trusted_in_either_protocol() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    trust(dir.path(), &authority);
    for (protocol, alpn) in
        [(Protocol::Grpc, &b"h2"[..]), (Protocol::Http, b"h2"), (Protocol::Http, b"http/1.1")]
    {
        let mut tls = authority.sign("localhost").server(None);
        tls.alpn_protocols = vec![alpn.to_vec()];
        let destination = Destination::serve_tls(tls, |_, _| Answer::Ok).await;
        delivers(over_tls(protocol, destination.address.port(), dir.path()), &destination).await;
    }
}

#[tokio::test]
async fn a_server_that_spoke_http_1_once_is_kept_a_connection_to_when_it_speaks_http_2() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    trust(dir.path(), &authority);
    let in_turn = [&b"http/1.1"[..], b"h2"].map(|alpn| {
        let mut tls = authority.sign("localhost").server(None);
        tls.alpn_protocols = vec![alpn.to_vec()];
        tls
    });
    let goodbye_first = |n, _: &[String]| if n == 0 { Answer::Goodbye } else { Answer::Ok };
    let destination = Destination::serve_tls_in_turn(in_turn, goodbye_first).await;
    let pipe = Pipe::start(over_tls(Protocol::Http, destination.address.port(), dir.path()));
    for (n, name) in (1..).zip(["a", "b", "c", "d"]) {
        pipe.append(name).await;
        assert_eq!(pipe.settled().await, (n, vec![]));
    }
    assert_eq!(destination.connections(), 2);
}

#[tokio::test]
async fn why_a_server_is_not_trusted_is_said_where_people_look() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new(), Authority::new());
    trust(dir.path(), &ours);
    for (identity, want) in [
        (theirs.sign("localhost"), "no known authority signed the peer's certificate"),
        (ours.sign("elsewhere"), "the peer's certificate is for another name"),
        (ours.sign("elsewhere"), "not valid for name"),
        (ours.sign_expired("localhost"), "the peer's certificate has expired"),
        (ours.sign_early("localhost"), "the peer's certificate is not valid yet"),
    ] {
        let destination = Destination::serve_tls(identity.server(None), |_, _| Answer::Ok).await;
        let pipe = Pipe::start(over_tls(Protocol::Grpc, destination.address.port(), dir.path()));
        pipe.append("a").await;
        let said = reason(&pipe).await;
        assert!(said.starts_with("otlp/test traces: backing off, cannot connect: "), "{said}");
        assert!(said.contains(want), "{said}");
        assert_eq!(destination.received().len(), 0);
    }
    let plain = Destination::serve(|_, _| Answer::Ok).await;
    let pipe = Pipe::start(over_tls(Protocol::Grpc, plain.address.port(), dir.path()));
    pipe.append("a").await;
    let said = reason(&pipe).await;
    assert!(said.contains("does not speak TLS"), "{said}");
}

#[tokio::test]
async fn a_server_of_another_name_or_of_nobody_is_taken_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new(), Authority::new());
    trust(dir.path(), &ours);
    let other_name = ours.sign("tempo.internal").server(None);
    let destination = Destination::serve_tls(other_name, |_, _| Answer::Ok).await;
    let mut config = over_tls(Protocol::Grpc, destination.address.port(), dir.path());
    client_of(&mut config).tls.server_name_override = Some("tempo.internal".to_owned());
    delivers(config, &destination).await;

    let unknown = theirs.sign("nobody").server(None);
    let destination = Destination::serve_tls(unknown, |_, _| Answer::Ok).await;
    let mut config = over_tls(Protocol::Http, destination.address.port(), dir.path());
    client_of(&mut config).tls.insecure_skip_verify = true;
    delivers(config, &destination).await;
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_one_that_is_rotated_is_taken_up() {
    let dir = tempfile::tempdir().unwrap();
    let (servers, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    trust(dir.path(), &servers);
    let tls = || servers.sign("localhost").server(Some(&clients));
    let destination = Destination::serve_tls(tls(), |_, _| Answer::Goodbye).await;
    let mut config = over_tls(Protocol::Grpc, destination.address.port(), dir.path());
    let client = &mut client_of(&mut config).tls;
    client.cert_file = Some(dir.path().join("cert.pem"));
    client.key_file = Some(dir.path().join("key.pem"));
    strangers.sign("agent").write(dir.path());
    let pipe = Pipe::start(config);
    pipe.append("a").await;
    let said = reason(&pipe).await;
    assert!(said.contains("refused our certificate"), "{said}");
    assert_eq!(destination.received().len(), 0);

    clients.sign("agent").write(dir.path());
    assert_eq!(pipe.settled().await, (1, vec![]));
    std::fs::write(dir.path().join("cert.pem"), "half written").unwrap();
    pipe.append("b").await;
    assert_eq!(pipe.settled().await, (2, vec![]), "the last ones that could be read hold");
    assert_eq!((destination.taken().len(), destination.connections()), (2, 2));
}

#[tokio::test]
async fn a_destination_can_be_a_unix_socket() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("otlp.sock");
        let destination = Destination::serve_unix(&path, |_, _| Answer::Ok);
        let mut config = over_tls(protocol, 1, dir.path());
        let endpoint = format!("unix://{}", path.display());
        client_of(&mut config).endpoint =
            Endpoint::parse(&endpoint, false, protocol.default_port()).unwrap();
        delivers(config, &destination).await;
    }
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_and_gets_none_is_understood() {
    let dir = tempfile::tempdir().unwrap();
    let (servers, clients) = (Authority::new(), Authority::new());
    trust(dir.path(), &servers);
    for protocol in [Protocol::Grpc, Protocol::Http] {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let tls = servers.sign("localhost").server_of(&[version], Some(&clients));
            let destination = Destination::serve_tls(tls, |_, _| Answer::Ok).await;
            let pipe = Pipe::start(over_tls(protocol, destination.address.port(), dir.path()));
            pipe.append("a").await;
            let said = reason(&pipe).await;
            assert!(said.contains("wants a client certificate"), "{version:?}: {said}");
        }
    }
}
