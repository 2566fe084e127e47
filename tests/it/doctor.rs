//! `sidelight doctor` beside a running agent, and after it was killed: what it calls broken, and its exit code.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use super::support::{Agent, Authority, free_address, send_a_log, wait_for};

const SOON: Duration = Duration::from_secs(30);

/// A destination that takes all but logs, for which it has no path.
fn without_logs() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 65_536];
            let read = stream.read(&mut request).unwrap_or(0);
            let is_logs = String::from_utf8_lossy(&request[..read]).starts_with("POST /v1/logs ");
            let status = if is_logs { "404 Not Found" } else { "200 OK" };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/x-protobuf\r\nconnection: close\r\n\
                 content-length: 0\r\n\r\n"
            );
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    address
}

/// Its exit code and what it says.
fn doctor(directory: &Path) -> (Option<i32>, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sidelight"));
    let command = command.arg("doctor").arg("-c").arg(directory.join("config.yaml"));
    let ended = command.env_remove("OTEL_EXPORTER_OTLP_ENDPOINT").output().unwrap();
    (ended.status.code(), String::from_utf8_lossy(&ended.stdout).into_owned())
}

#[tokio::test]
async fn a_held_lane_and_a_listener_whose_certificate_is_over_fail_and_what_a_killed_agent_had_is_said()
 {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let [admin, grpc, http] = [(); 3].map(|()| free_address());
    let destination = without_logs();
    Authority::new().sign_expired("localhost").write(place);
    let (cert, key) = (place.join("cert.pem"), place.join("key.pem"));
    let config = format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{grpc}', tls: {{cert_file: '{}', key_file: '{}'}}}},\n\
         http: {{endpoint: '{http}'}}}}}}}}\n\
         exporters: {{otlp_http/d: {{endpoint: 'http://{destination}'}}}}\n\
         journal: {{directory: '{}'}}\nadmin: {{endpoint: '{admin}'}}\n",
        cert.display(),
        key.display(),
        place.join("journal").display()
    );
    let agent = Agent::start(place, &config, admin).await;
    assert!(send_a_log(http));
    wait_for("the lane is held", SOON, || {
        agent.get("/readyz").filter(|(status, said)| *status == 200 && said.contains(": held, "))
    })
    .await;
    let (code, said) = doctor(place);
    assert_eq!(code, Some(1), "{said}");
    let taken = format!(
        "√ otlp_http/d: {destination} took empty requests for traces, metrics and profiles"
    );
    let absent = format!("× otlp_http/d: {destination}/v1/logs: HTTP 404");
    for row in [
        "× ready, but otlp_http/d logs: held, HTTP 404",
        "× ready, but the certificate in ",
        "holds a certificate that expired ",
        &taken,
        &absent,
    ] {
        assert!(said.contains(row), "{row}: {said}");
    }
    assert!(!said.contains("no agent runs"), "{said}");

    agent.kill();
    let (_, said) = doctor(place);
    assert!(said.contains("1 item not delivered, and no agent runs that delivers them"), "{said}");
}
