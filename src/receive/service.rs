//! What every request of a listener shares.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderName};
use tokio::sync::{Semaphore, watch};

use super::admission::Admission;
use super::auth::Token;
use super::config::{Bind, Config, Listener};
use super::metrics::{Metrics, RefusedAs, Transport};
use super::status::{Refusal, Refused};
use super::tls::TlsFiles;
use crate::blocking;
use crate::memory::InFlight;
use crate::net::token::TokenError;
use crate::signal::Signal;
use crate::telemetry;
use crate::telemetry::Registry;
use crate::time::Clock;

/// How the bearer token's file is called in the log and in series.
const TOKEN: &str = "bearer_token";

/// What the receiver shares with the rest of the agent.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The budget for bytes that are not durable yet.
    pub in_flight: InFlight,
    /// Where self-metrics go.
    pub registry: Registry,
    /// Tells how fast connections are.
    pub clock: Arc<dyn Clock>,
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

/// Tokens and certificates that could not be read again, so that the ones before are in use. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Stale(Arc<Mutex<BTreeMap<Of, String>>>);

/// The listener, and which of its files.
type Of = (String, &'static str);

/// What a look at a listener's files changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// They cannot be read for a reason that nobody knows yet.
    Fails,
    /// They can be read again.
    Mended,
    /// Nothing that is worth saying.
    None,
}

impl Stale {
    /// Each in a sentence; what listeners share is said once.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let stale = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let said = |((_, file), error): (&Of, &String)| {
            let what = if *file == TOKEN { "bearer token" } else { "certificate" };
            format!(
                "a listener's {what} is not renewed: {error}; the one in use stays, mend the file: it is read every \
                 reload_interval"
            )
        };
        let said: BTreeSet<_> = stale.iter().map(said).collect();
        said.into_iter().collect()
    }

    /// Reading the files of a listener gave this `error`, or none.
    fn note(&self, of: Of, error: Option<String>) -> Change {
        let mut stale = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(error) = error else {
            return if stale.remove(&of).is_some() { Change::Mended } else { Change::None };
        };
        let known = stale.values().any(|known| *known == error);
        stale.insert(of, error);
        if known { Change::None } else { Change::Fails }
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
    stale: Stale,
    metrics: Metrics,
}

impl<A> Shared<A> {
    pub(super) fn new(
        append: A,
        config: &Config,
        deps: &Deps,
        context_headers: ContextHeaders,
        serving: watch::Receiver<bool>,
        stale: Stale,
    ) -> Self {
        Self {
            append,
            in_flight: deps.in_flight.clone(),
            large_request_bytes: config.large_request_bytes,
            large_request: Semaphore::new(1),
            wide: Semaphore::new(config.wide_connections_max),
            context_headers,
            serving,
            stale,
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
    pub(super) async fn authorize(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(token) = &self.token else { return Ok(()) };
        let checked = token.check(headers).await;
        if token.is_new() {
            self.note::<TokenError>(TOKEN, Ok(true));
        }
        checked
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
        let (token_loop, tls_loop) = (self.keep_fresh(TOKEN, token), self.keep_fresh("tls", tls));
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
            let reloaded = blocking::run(reload.clone()).await;
            self.note(file, reloaded);
        }
    }

    /// Tells what came of reading a file again: whether there is something new.
    fn note<E: std::error::Error + 'static>(&self, file: &'static str, reloaded: Result<bool, E>) {
        let error = reloaded.as_ref().err().map(|error| telemetry::chain(error));
        let change = self.shared.stale.note((self.name(), file), error.clone());
        match (reloaded, change) {
            (Ok(true), _) => {
                tracing::info!(file, "reloaded");
                self.metrics().reloaded(file, "loaded");
            }
            (Ok(false), Change::Mended) => tracing::info!(file, "as it was again"),
            (Ok(false), _) => {}
            (Err(_), change) => {
                if change == Change::Fails {
                    tracing::warn!(file, error, "cannot reload; the one in use stays");
                }
                self.metrics().reloaded(file, "failed");
            }
        }
    }

    /// Where it listens, as configured.
    fn name(&self) -> String {
        match &self.listener.bind {
            Bind::Tcp(endpoint) => endpoint.clone(),
            Bind::Unix { path, .. } => path.display().to_string(),
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

#[cfg(test)]
mod tests {
    use super::super::config::Auth;
    use super::*;
    use crate::memory::Budget;
    use crate::time::ManualClock;

    const INTERVAL: Duration = Duration::from_secs(60);

    #[test]
    fn what_listeners_share_and_cannot_read_again_is_said_once_until_it_changes() {
        let stale = Stale::default();
        let note = |listener: &str, error: Option<&str>| {
            stale.note((listener.to_owned(), "tls"), error.map(str::to_owned))
        };
        assert_eq!(note("grpc", None), Change::None);
        assert_eq!(note("grpc", Some("cannot read /c: gone")), Change::Fails);
        assert_eq!(note("http", Some("cannot read /c: gone")), Change::None);
        assert_eq!(note("grpc", Some("cannot read /c: gone")), Change::None);
        let said = "a listener's certificate is not renewed: cannot read /c: gone; the one";
        let reasons = stale.reasons();
        assert!(matches!(&reasons[..], [one] if one.starts_with(said)), "{reasons:?}");
        assert_eq!(note("grpc", Some("/c holds no usable certificate")), Change::Fails);
        assert_eq!(stale.reasons().len(), 2);
        assert_eq!([note("grpc", None), note("http", None)], [Change::Mended; 2]);
        assert!(stale.reasons().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_cannot_be_read_again_is_a_reason_until_it_can() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, "s3cret").unwrap();
        let auth = Auth { bearer_token_file: path.clone(), reload_interval: INTERVAL };
        let config = Config::with_budget(&Budget::split(64 << 20));
        let clock = Arc::new(ManualClock::default());
        let deps = Deps { in_flight: InFlight::new(1 << 20), registry: Registry::default(), clock };
        let (headers, stale) = (ContextHeaders::new(Vec::new()), Stale::default());
        let (_serving, serving) = watch::channel(true);
        let shared = Shared::new((), &config, &deps, headers, serving, stale.clone());
        let listener = Listener::new(Bind::Tcp("127.0.0.1:4317".to_owned()));
        let token = Token::load(auth).unwrap();
        let service = Service::new(Arc::new(shared), listener, Some(token));
        let look = || tokio::time::timeout(INTERVAL * 3, service.keep_secrets_fresh(None));
        std::fs::remove_file(&path).unwrap();
        assert!(look().await.is_err());
        let said = "a listener's bearer token is not renewed: cannot read the token file /";
        let reasons = stale.reasons();
        assert!(matches!(&reasons[..], [one] if one.starts_with(said)), "{reasons:?}");
        std::fs::write(&path, "s3cret").unwrap();
        assert!(look().await.is_err());
        assert!(stale.reasons().is_empty(), "the same as before");
    }
}
