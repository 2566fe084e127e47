//! Signals of a Rust service in a few lines, tens of nanoseconds each: latency, caches, queues, connections, retries,
//! features, intents, LLM tokens, HTTP, logs and traces, over OpenTelemetry.
//!
//! A handle is a `static` made by a `const fn`. What it records goes to the meter that [`init`](mod@init) installed;
//! before that, and after it was shut down, records are dropped and counted. Nothing here blocks, panics, or allocates
//! per measurement.

pub mod current;
#[cfg(feature = "http")]
pub mod http;
pub mod init;
pub mod layer;
#[cfg(feature = "llm")]
pub mod llm;
pub mod logs;
pub mod meter;
pub mod names;
pub mod observe;
pub mod panic_hook;
#[cfg(feature = "testing")]
pub mod testing;
pub mod users;

pub use meter::{enabled, set_enabled};

/// The crates of OpenTelemetry that this one is built on, so that an application needs no versions of its own.
pub mod otel {
    pub use opentelemetry;
    pub use opentelemetry_sdk;
    pub use tracing_opentelemetry;
}
