//! The shipped alerts on the agent itself, with telemetry that has nowhere to go.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use super::support::{Agent, free_address, wait_for};

/// A destination that answers every request with `status`.
fn answering(status: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        for mut stream in listener.incoming().flatten() {
            let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
            let _ = stream.read(&mut [0; 65_536]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shipped_alerts_on_the_agent_fire_when_it_cannot_deliver_or_keep_or_reload() {
    let directory = tempfile::tempdir().unwrap();
    let [grpc, http, admin, dead] = [(); 4].map(|()| free_address());
    let refusing = answering("401 Unauthorized");
    let never = answering("400 Bad Request");
    let config = format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{grpc}'}}, http: {{endpoint: '{http}'}}}}}}}}\n\
         journal: {{directory: '{}'}}\nadmin: {{endpoint: '{admin}'}}\n\
         exporters: {{otlp_grpc/dead: {{endpoint: 'http://{dead}'}}, otlp_http/refusing: {{endpoint: 'http://{refusing}'}}, otlp_http/never: {{endpoint: 'http://{never}'}}}}\n\
         rules: {{thresholds: {{undelivered_age_seconds: 0.001, store_utilization: 0.0001}}}}\n",
        directory.path().join("journal").display()
    );
    let agent = Agent::start(directory.path(), &config, admin).await;
    let sending = tokio::task::spawn_blocking(move || {
        let span = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"a","startTimeUnixNano":"1","endTimeUnixNano":"2"}]}]}]}"#;
        let mut stream = std::net::TcpStream::connect(http).unwrap();
        let length = span.len();
        write!(
            stream,
            "POST /v1/traces HTTP/1.1\r\nhost: {http}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\nconnection: close\r\n\r\n{span}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    });
    sending.await.unwrap();
    std::fs::write(directory.path().join("config.yaml"), "exportres: {}\n").unwrap();
    assert_eq!(agent.post("/-/reload").unwrap().0, 422);
    for (alert, labels) in [
        ("DataDropped", r#""exporter":"otlp_http/never","reason":"permanent""#),
        ("ConfigReloadFailed", r#""severity":"warning""#),
        ("UndeliveredOld", r#""exporter":"otlp_grpc/dead""#),
        ("DestinationHeld", r#""exporter":"otlp_http/refusing""#),
        ("StoreNearlyFull", r#""part":"series""#),
    ] {
        let path = format!(
            "/api/v1/query?query=ALERTS%7Balertname%3D%22{alert}%22%2Calertstate%3D%22firing%22%7D"
        );
        wait_for(&format!("{alert} fires"), Duration::from_secs(40), || {
            agent.get(&path).filter(|(_, body)| body.contains(labels))
        })
        .await;
    }
    for series in [
        "sidelight_journal_seconds_left",
        "sidelight_journal_lost_records_total",
        "sidelight_journal_missing_records_total",
        "sidelight_config_last_reload_successful",
    ] {
        let (_, body) = agent.get(&format!("/api/v1/query?query={series}")).unwrap();
        assert!(body.contains(&format!(r#""__name__":"{series}""#)), "{body}");
    }
}
