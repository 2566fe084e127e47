//! OTLP in: unary gRPC and HTTP on hyper, admission, auth, TLS.
//!
//! ```text
//! listener ─▶ connection ─▶ grpc │ http ─▶ body ─▶ ingest: inflate ─▶ transcode ─▶ validate ─▶ append
//! (server)    (TLS, h1/h2)  (headers)      (admission)                                          │
//!                 ◀── answer ◀── status ◀───────────────────────────────────────────────────────┘
//! ```
//!
//! The data path is `ingest`: both protocols end there, so a request is judged alike however it came.
//! What a refusal looks like on the wire is decided in `status` alone.
//!
//! Invariants: nothing is answered with success before [`Append::append`] said so; bytes are charged to
//! the in-flight budget when they are buffered, never because a header promises them; no peer can
//! end a listener; each limit has a value in [`Config`] and a count in `sidelight_receiver_*`.
//!
//! Source: opentelemetry-proto docs/specification.md 1.11; gRPC over HTTP/2 and its health checking
//! protocol.

mod accept;
mod activity;
mod admission;
mod auth;
mod authority;
mod body;
mod config;
mod connection;
mod cors;
#[doc(hidden)]
pub mod fuzz;
mod grpc;
mod health;
mod http;
mod inflate;
mod ingest;
mod metrics;
pub mod reason;
mod reply;
mod server;
mod service;
mod status;
mod stream;
mod tls;
mod unix;
mod within;
mod workers;

use std::future::Future;

use crate::journal::{AppendError, Journal};
use crate::signal::Record;

pub use config::{
    Auth, Bind, Config, Cors, HEADER_BYTES_MAX, InvalidUtf8, Keepalive, Listener, Paths,
    STREAMS_MAX, Timeouts, Tls, Windows,
};
pub use server::{BindError, Bound, Drained, Endpoint, Handle, bind};
pub use service::{ContextHeaders, Deps, Stale};
pub use tls::TlsError;
pub use unix::UnixError;
pub use within::{NotTaken, Taking, Within};

/// Where accepted records go: the journal, or a test's stand-in.
pub trait Append: Clone + Send + Sync + 'static {
    /// Resolves when the record is as durable as promised.
    ///
    /// # Errors
    /// [`AppendError`]: the sender is told to try again, or, if the record is too large, not to.
    fn append(&self, record: Record) -> impl Future<Output = Result<(), AppendError>> + Send;
}

impl Append for Journal {
    async fn append(&self, record: Record) -> Result<(), AppendError> {
        Self::append(self, record).await.map(drop)
    }
}
