//! Signals of a Rust service in a few lines, tens of nanoseconds each: latency, caches, queues, connections, retries,
//! features, intents, LLM tokens, HTTP, logs and traces, over OpenTelemetry.
//!
//! ```no_run
//! use sidelight::{Cache, CacheKind};
//!
//! static USERS: Cache = Cache::new("users").kind(CacheKind::Application);
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let telemetry = sidelight::init("checkout").version(env!("CARGO_PKG_VERSION")).start()?;
//!     let user: Option<u64> = USERS.get(|| Some(7));
//!     tracing::info!(user, "found");
//!     telemetry.shutdown()?;
//!     Ok(())
//! }
//! ```
//!
//! Keep what [`start`](init::Init::start) gives until the end of `main`: its end delivers what was recorded, at most 5 s
//! long, on any runtime or none. [`init`](mod@init) tells where records go, which variables of the environment it reads,
//! and what holds at the end; [`logs`] what a line has; `testing` how a test asserts on all of it; [`layer`] how spans
//! are made.
//!
//! A handle is a `static` made by a `const fn`. What it records goes to the meter that [`init`](mod@init) installed;
//! before that, and after it was shut down, records are dropped and counted. No measurement blocks, panics, or
//! allocates; a log line waits for standard output, and starting telemetry takes up to 200 ms to find out how fast the clock is.

#[cfg(feature = "macros")]
mod attributes;
mod backoff;
#[cfg(feature = "bb8")]
pub mod bb8;
mod cache;
#[cfg(test)]
mod captured;
pub mod channel;
mod clock;
pub mod current;
#[cfg(feature = "deadpool")]
pub mod deadpool;
mod entry;
mod family;
mod feature;
mod followed;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "otlp")]
pub mod init;
mod intent;
#[cfg(any(feature = "http", feature = "llm"))]
mod interned;
mod labelled;
pub mod layer;
mod limits;
#[cfg(feature = "llm")]
pub mod llm;
#[cfg(any(feature = "otlp", feature = "testing"))]
#[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "captures take lines of JSON only"))]
pub mod logs;
mod looks;
pub mod meter;
#[cfg(feature = "moka")]
pub mod moka;
pub mod names;
mod notified;
pub mod observe;
mod operation;
mod outcome;
#[cfg(feature = "otlp")]
mod panic_hook;
#[cfg(feature = "retry-tower")]
pub mod policy;
mod pool;
#[doc(hidden)]
pub mod probe;
#[cfg(feature = "process")]
mod process;
mod queue;
mod retry;
mod settings;
#[cfg_attr(
    not(feature = "otlp"),
    allow(dead_code, reason = "sketches are sent by what init starts")
)]
mod sketch;
mod table;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg_attr(
    not(feature = "otlp"),
    allow(dead_code, reason = "sketches are sent by what init starts")
)]
mod users;
mod window;

#[cfg(all(feature = "macros", feature = "testing"))]
pub use attributes::test;
#[cfg(feature = "macros")]
pub use attributes::{ErrorKind, cached_lookup, connection, feature, op, retry};
pub use backoff::Backoff;
pub use cache::{Cache, CacheKind, CacheLevel, CacheResult, EvictReason, Found, Lookup};
pub use feature::{Feature, FeatureKind, FeatureUse, UsagePattern};
pub use followed::Followed;
#[cfg(feature = "otlp")]
pub use init::{Telemetry, init};
pub use intent::intent;
pub use labelled::{Counter, FloatCounter, Gauge, Histogram, Timer, UpDownCounter};
pub use meter::{enabled, set_enabled};
pub use operation::{InFlight, Operation, Watched};
pub use outcome::{ErrorKind, Outcome, error_kind};
pub use pool::{Checkout, CloseReason, ConnectionId, Opening, Pool, Tracked, Waiting};
pub use queue::{Queue, QueueDepth, QueueKind, RejectReason, Ticket};
pub use retry::{Attempts, Retry};

/// The crates of OpenTelemetry that this one is built on, so that an application needs no versions of its own.
pub mod otel {
    pub use opentelemetry;
    pub use opentelemetry_sdk;
    pub use tracing_opentelemetry;
}

/// The program of the README is one that compiles.
#[cfg(all(doctest, feature = "macros", feature = "otlp"))]
#[doc = include_str!("../README.md")]
mod readme {}

/// The program of the guide is one that compiles.
#[cfg(all(doctest, feature = "axum", feature = "macros", feature = "otlp"))]
#[doc = include_str!("../../../docs/instrument.md")]
mod guide {}
