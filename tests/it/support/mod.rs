//! What the integration tests share: the agent as a process, and an OTLP destination that is not
//! ours (tonic and prost decode what arrives).

mod certificates;
mod process;
mod sink;

pub use certificates::{Authority, Identity};
pub use process::{Agent, free_address};
pub use sink::Sink;

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

#[expect(clippy::disallowed_methods, reason = "a test's deadline is real time")]
fn now() -> Instant {
    Instant::now()
}
