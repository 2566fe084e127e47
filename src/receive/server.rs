//! The listeners: bound once, accepting until drained.
//!
//! One task accepts for each listener, one serves each connection. A connection holds one of `connections_max` places; for
//! one that comes when all are taken the one is closed that has to leave first ([`places`](crate::net::places)), or else the
//! newcomer. Either is counted.
//!
//! Draining: the accept tasks end and close their sockets, every connection says GOAWAY (or
//! `connection: close`) and finishes what it began; at the deadline the rest is cut.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::sync::watch;

use super::Append;
use super::accept::{Acceptor, accept};
use super::auth::Token;
use super::config::{Auth, Bind, Config, Listener, Tls};
use super::connection::{self, Phase};
use super::service::{ContextHeaders, Deps, Service, Shared, Stale};
use super::tls::{TlsError, TlsFiles};
use super::unix::{self, UnixError};
use super::within::Within;
use crate::blocking;
use crate::net::evictions::Evictions;
use crate::net::listen::listen;
use crate::net::places::{Admitted, Doing, Places};
use crate::net::token::TokenError;
use crate::telemetry::Registry;
use crate::time::Clock;

/// Why the receiver cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A TCP address.
    #[error("cannot listen on {endpoint}")]
    Tcp {
        /// As configured.
        endpoint: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A Unix socket.
    #[error(transparent)]
    Unix(#[from] UnixError),
    /// Certificates or keys.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The bearer token.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// An address that is listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `127.0.0.1:4317`, or `unix:///run/otlp.sock`.
    pub address: String,
    /// Whether it is encrypted.
    pub tls: bool,
    /// Whether a token is asked for.
    pub auth: bool,
}

/// Sockets that are bound but not served: the sequence of a start is bind everything, recover, serve.
#[derive(Debug)]
pub struct Bound {
    config: Config,
    deps: Deps,
    sockets: Vec<Socket>,
    stale: Stale,
}

#[derive(Debug)]
struct Socket {
    acceptor: Acceptor,
    endpoint: Endpoint,
    listener: Listener,
    tls: Option<TlsFiles>,
    token: Option<Token>,
}

/// Binds every listener of `config`.
///
/// # Errors
/// [`BindError`] of the first that fails; none is bound then.
pub async fn bind(config: Config, deps: Deps) -> Result<Bound, BindError> {
    let mut sockets = Vec::new();
    for listener in config.listeners.clone() {
        let (tls, token) = match (listener.tls.clone(), listener.auth.clone()) {
            (None, None) => (None, None),
            files => {
                let registry = deps.registry.clone();
                blocking::run(move || read(files, &registry)).await?
            }
        };
        let (acceptor, address) = bind_one(&listener.bind).await?;
        let endpoint = Endpoint { address, tls: tls.is_some(), auth: token.is_some() };
        sockets.push(Socket { acceptor, endpoint, listener, tls, token });
    }
    Ok(Bound { config, deps, sockets, stale: Stale::default() })
}

/// What a listener needs of files. Blocks on the disk.
fn read(
    (tls, auth): (Option<Tls>, Option<Auth>),
    registry: &Registry,
) -> Result<(Option<TlsFiles>, Option<Token>), BindError> {
    let tls = tls.map(|config| TlsFiles::load(config, registry)).transpose()?;
    let token = auth.map(Token::load).transpose()?;
    Ok((tls, token))
}

async fn bind_one(bind: &Bind) -> Result<(Acceptor, String), BindError> {
    match bind {
        Bind::Tcp(endpoint) => {
            let error = |source| BindError::Tcp { endpoint: endpoint.clone(), source };
            let listener = listen(endpoint).await.map_err(error)?;
            let address = listener.local_addr().map_err(error)?;
            Ok((Acceptor::Tcp(listener), address.to_string()))
        }
        Bind::Unix { path, mode } => {
            let (owned, mode) = (path.clone(), *mode);
            let listener = blocking::run(move || unix::bind(&owned, mode)).await?;
            Ok((Acceptor::Unix(listener), format!("unix://{}", path.display())))
        }
    }
}

impl Bound {
    /// Where the sockets are bound, in the order of the configuration.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.sockets.iter().map(|socket| socket.endpoint.clone()).collect()
    }

    /// Tokens and certificates that cannot be read again while it serves.
    #[must_use]
    pub fn stale(&self) -> Stale {
        self.stale.clone()
    }

    /// Serves on the current runtime until the handle drains or is dropped. Health checks say
    /// SERVING from the start; see [`Handle::set_serving`].
    #[must_use]
    pub fn serve<A: Append>(self, append: A) -> Handle {
        let endpoints = self.endpoints();
        let phase = watch::Sender::new(Phase::Serving);
        let serving = watch::Sender::new(true);
        let clock = Arc::clone(&self.deps.clock);
        let places = Places::new(self.config.connections_max, Arc::clone(&clock));
        let evictions = Arc::new(Evictions::default());
        let context_headers = ContextHeaders::new(self.config.headers_from_context.clone());
        let passed = context_headers.clone();
        let subscribed = serving.subscribe();
        let shared =
            Shared::new(append, &self.config, &self.deps, passed, subscribed, self.stale.clone());
        let shared = Arc::new(shared);
        let mut within = None;
        for socket in self.sockets {
            warn_if_open(&socket);
            let service = Service::new(Arc::clone(&shared), socket.listener, socket.token);
            let service = Arc::new(service);
            within.get_or_insert_with(|| Within::new(Arc::clone(&service), places.clone()));
            let context = AcceptContext {
                acceptor: socket.acceptor,
                places: places.clone(),
                evictions: Arc::clone(&evictions),
                clock: Arc::clone(&clock),
                phase: phase.subscribe(),
                service,
                tls: socket.tls.map(Arc::new),
            };
            tokio::spawn(context.run());
        }
        Handle { endpoints, phase, serving, context_headers, within }
    }
}

fn warn_if_open(socket: &Socket) {
    let Acceptor::Tcp(listener) = &socket.acceptor else { return };
    let loopback = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    if !loopback && !socket.endpoint.tls {
        let address = socket.endpoint.address.as_str();
        let auth = socket.endpoint.auth;
        tracing::warn!(address, auth, "OTLP is taken from other hosts without TLS");
    }
}

struct AcceptContext<A> {
    acceptor: Acceptor,
    places: Places,
    evictions: Arc<Evictions>,
    clock: Arc<dyn Clock>,
    phase: watch::Receiver<Phase>,
    service: Arc<Service<A>>,
    tls: Option<Arc<TlsFiles>>,
}

impl<A: Append> AcceptContext<A> {
    async fn run(mut self) {
        let reload = self.service.keep_secrets_fresh(self.tls.clone());
        tokio::pin!(reload);
        loop {
            let socket = tokio::select! {
                socket = accept(&self.acceptor) => socket,
                _ = self.phase.wait_for(|phase| *phase > Phase::Serving) => return,
                never = &mut reload => match never {},
            };
            let metrics = self.service.metrics();
            let Some(Admitted { place, evicted }) = self.places.take() else {
                metrics.limit_connections.add(1);
                continue;
            };
            metrics.connections.add(1);
            if let Some(doing) = evicted {
                self.note_evicted(doing);
            }
            let tls = self.tls.as_ref().map(|files| files.acceptor());
            let (service, phase) = (Arc::clone(&self.service), self.phase.clone());
            tokio::spawn(async move {
                connection::serve(socket, tls, service, Arc::clone(place.pace()), phase).await;
                drop(place);
            });
        }
    }

    fn note_evicted(&self, doing: Doing) {
        self.service.metrics().evicted(doing);
        if let Some(evicted) = self.evictions.note(doing, self.clock.monotonic()) {
            tracing::warn!(
                evicted,
                "as many connections as limits.connections_max are open: those that sent least were closed for new ones \
                 (idle: since their last request, silent: before their first, slow: in a body, beginning: too many came \
                 at once); raise it, together with \
                 limits.memory (64KiB each), or see who opens so many"
            );
        }
    }
}

/// What the agent holds: dropping it cuts every connection.
#[derive(Debug)]
pub struct Handle {
    endpoints: Vec<Endpoint>,
    phase: watch::Sender<Phase>,
    serving: watch::Sender<bool>,
    context_headers: ContextHeaders,
    within: Option<Within>,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Whether every request that had begun was answered.
    pub complete: bool,
}

impl Handle {
    /// Where it listens, in the order of the configuration.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The headers that travel with records, to be changed when the exporters change.
    #[must_use]
    pub fn context_headers(&self) -> ContextHeaders {
        self.context_headers.clone()
    }

    /// The way in for requests of this process, under the limits of the first listener; none without a listener.
    #[must_use]
    pub fn within(&self) -> Option<Within> {
        self.within.clone()
    }

    /// Serves a connection of a simulated network, as one of the first listener without its TLS.
    #[doc(hidden)]
    pub fn accept(&self, stream: DuplexStream) {
        if let Some(within) = &self.within {
            within.serve(stream, self.phase.subscribe());
        }
    }

    /// What health checks answer; requests are taken all the same.
    pub fn set_serving(&self, serving: bool) {
        self.serving.send_replace(serving);
    }

    /// Takes no more connections, lets each finish what it has begun, and after `grace` cuts what
    /// is left. Health checks say NOT_SERVING from here on.
    pub async fn drain(self, grace: Duration) -> Drained {
        self.set_serving(false);
        self.phase.send_replace(Phase::Draining);
        let complete = tokio::time::timeout(grace, self.phase.closed()).await.is_ok();
        if !complete {
            self.phase.send_replace(Phase::Cut);
            self.phase.closed().await;
        }
        Drained { complete }
    }
}
