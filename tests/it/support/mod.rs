//! What the integration tests share: the agent as a process, and an OTLP destination that is not
//! ours (tonic and prost decode what arrives).

mod certificates;
mod process;
mod sink;

pub use certificates::{Authority, Identity};
pub use process::{Agent, free_address};
pub use sink::Sink;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Polls `condition` until it gives a value, and fails the test after `deadline`.
pub async fn wait_for<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> T {
    let started = now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(started.elapsed() < deadline, "{what}: not within {deadline:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Sends a log record whose body is `x` as OTLP/JSON; whether it was taken.
pub fn send_a_log(to: SocketAddr) -> bool {
    let body =
        r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}"#;
    let Ok(mut stream) = TcpStream::connect(to) else { return false };
    let head = format!(
        "POST /v1/logs HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut answer = String::new();
    stream.write_all(head.as_bytes()).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200 ")
}

#[expect(clippy::disallowed_methods, reason = "a test's deadline is real time")]
fn now() -> Instant {
    Instant::now()
}
