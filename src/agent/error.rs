//! Why an agent does not start.

use crate::config;
use crate::export;
use crate::journal;
use crate::notify;
use crate::receive;
use crate::telemetry;

/// Why a run did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The agent's own logs, traces or metrics.
    #[error("cannot start the agent's own telemetry")]
    Telemetry(#[from] telemetry::InitError),
    /// A signal handler.
    #[error("cannot listen to signals")]
    Signals(#[source] std::io::Error),
    /// A destination is the agent itself.
    #[error(transparent)]
    Loop(#[from] export::Loop),
    /// A listener.
    #[error("cannot take OTLP in")]
    Receive(#[from] receive::BindError),
    /// The admin endpoint.
    #[error("cannot serve the admin endpoint on {address}")]
    Admin {
        /// As configured.
        address: std::net::SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The admin endpoint's token.
    #[error(transparent)]
    Token(#[from] config::TokenError),
    /// The journal.
    #[error("cannot open the journal")]
    Journal(#[from] journal::OpenError),
    /// A destination.
    #[error("cannot start the exporters")]
    Export(#[from] export::StartError),
    /// Notifications.
    #[error("cannot start notifications")]
    Notify(#[from] notify::DatabaseError),
    /// A thread.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}
