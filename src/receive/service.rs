//! What every request of a listener shares.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderName};
use tokio::sync::{Semaphore, watch};

use super::admission::Admission;
use super::auth::Token;
use super::config::{Config, Listener};
use super::metrics::{Metrics, RefusedAs, Transport};
use super::status::{Refusal, Refused};
use super::tls::TlsFiles;
use crate::blocking;
use crate::memory::InFlight;
use crate::signal::Signal;
use crate::telemetry::Registry;

/// What the receiver shares with the rest of the agent.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The budget for bytes that are not durable yet.
    pub in_flight: InFlight,
    /// Where self-metrics go.
    pub registry: Registry,
}

/// The request headers that travel with a record, changed by a reload. Cloning shares it.
#[derive(Clone, Debug)]
pub struct ContextHeaders(Arc<ArcSwap<Vec<HeaderName>>>);

impl ContextHeaders {
    pub(super) fn new(names: Vec<HeaderName>) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(names)))
    }

    /// Requests that come from here on keep these headers.
    pub fn set(&self, names: Vec<HeaderName>) {
        self.0.store(Arc::new(names));
    }

    pub(super) fn names(&self) -> impl std::ops::Deref<Target = Arc<Vec<HeaderName>>> {
        self.0.load()
    }
}

/// What every request of the receiver shares.
pub(super) struct Shared<A> {
    pub(super) append: A,
    in_flight: InFlight,
    pub(super) large_request_bytes: usize,
    large_request: Semaphore,
    /// Connections that may have wide windows.
    pub(super) wide: Semaphore,
    pub(super) context_headers: ContextHeaders,
    pub(super) serving: watch::Receiver<bool>,
    metrics: Metrics,
}

impl<A> Shared<A> {
    pub(super) fn new(
        append: A,
        config: &Config,
        deps: &Deps,
        context_headers: ContextHeaders,
        serving: watch::Receiver<bool>,
    ) -> Self {
        Self {
            append,
            in_flight: deps.in_flight.clone(),
            large_request_bytes: config.large_request_bytes,
            large_request: Semaphore::new(1),
            wide: Semaphore::new(config.wide_connections_max),
            context_headers,
            serving,
            metrics: Metrics::new(&deps.registry),
        }
    }
}

/// What every request of one listener shares.
pub(super) struct Service<A> {
    pub(super) shared: Arc<Shared<A>>,
    pub(super) listener: Listener,
    token: Option<Arc<Token>>,
}

impl<A> Service<A> {
    pub(super) fn new(shared: Arc<Shared<A>>, listener: Listener, token: Option<Token>) -> Self {
        Self { shared, listener, token: token.map(Arc::new) }
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// An admission that holds nothing yet.
    pub(super) fn admission(&self) -> Admission<'_> {
        self.admission_up_to(self.listener.message_bytes_max)
    }

    /// One for a message of at most `message_bytes_max`.
    pub(super) fn admission_up_to(&self, message_bytes_max: usize) -> Admission<'_> {
        let Shared { in_flight, large_request_bytes, large_request, .. } = &*self.shared;
        Admission::new(in_flight, message_bytes_max, *large_request_bytes, large_request)
    }

    /// Whether the sender may send.
    pub(super) fn authorize(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        self.token.as_ref().map_or(Ok(()), |token| token.check(headers))
    }

    /// Counts a refusal and the limit behind it.
    pub(super) fn count_refused(
        &self,
        transport: Transport,
        signal: Option<Signal>,
        refused: &Refused,
    ) {
        let Refused { refusal, items } = refused;
        let code = match transport {
            Transport::Grpc | Transport::Process => (refusal.code() as u8).into(),
            Transport::Http => refusal.http().as_u16(),
        };
        let (reason, limit) = (refusal.reason(), refusal.limit());
        self.metrics().refused(&RefusedAs { transport, signal, code, reason, limit }, *items);
        tracing::debug!(?transport, ?signal, %refusal, "request refused");
    }

    /// To be held while a request is worked on.
    pub(super) const fn unanswered(
        &self,
        transport: Transport,
        signal: Option<Signal>,
    ) -> Unanswered<'_, A> {
        Unanswered { service: self, transport, signal, ended: false }
    }

    /// Looks at the token's and certificates' files for changes, forever.
    pub(super) async fn keep_secrets_fresh(&self, tls: Option<Arc<TlsFiles>>) -> Infallible {
        let token = self.token.clone();
        let token = token.map(|token| (token.config.reload_interval, move || token.reload()));
        let tls = tls.map(|files| (files.config.reload_interval, move || files.reload()));
        let (token_loop, tls_loop) =
            (self.keep_fresh("bearer_token", token), self.keep_fresh("tls", tls));
        tokio::select! { never = token_loop => never, never = tls_loop => never }
    }

    async fn keep_fresh<E: std::error::Error + Send + 'static>(
        &self,
        file: &'static str,
        source: Option<(Duration, impl Fn() -> Result<bool, E> + Clone + Send + 'static)>,
    ) -> Infallible {
        let Some((interval, reload)) = source else { return std::future::pending().await };
        loop {
            tokio::time::sleep(interval).await;
            // A volume that hangs holds up a thread for that, and none that serves.
            match blocking::run(reload.clone()).await {
                Ok(false) => {}
                Ok(true) => {
                    tracing::info!(file, "reloaded");
                    self.metrics().reloaded(file, "loaded");
                }
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(file, error, "cannot reload; the one in use stays");
                    self.metrics().reloaded(file, "failed");
                }
            }
        }
    }
}

/// Counts a request whose sender went away: then it is dropped where it stands.
pub(super) struct Unanswered<'a, A> {
    service: &'a Service<A>,
    transport: Transport,
    signal: Option<Signal>,
    ended: bool,
}

impl<A> Unanswered<'_, A> {
    /// There is an answer.
    pub(super) fn end(mut self) {
        self.ended = true;
    }
}

impl<A> Drop for Unanswered<'_, A> {
    fn drop(&mut self) {
        if !self.ended {
            let refused = Refusal::Disconnected.into();
            self.service.count_refused(self.transport, self.signal, &refused);
        }
    }
}
