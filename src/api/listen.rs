//! The listener: accepts, bounds and drains connections, and runs each request through guard and
//! route.
//!
//! Limits: `connections_max` (for one more the one is closed that has to leave first ([`places`](crate::net::places)), or
//! else the newcomer; both are counted), head size and time, the time a reply may take to be made and to move while being
//! sent, and what [`answers`](super::answers) has. A failed accept never ends the listener.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::answers::Shared;
use super::config::Config;
use super::guard::Token;
use super::secret::Secret;
use super::sources::Sources;
use super::stall::Stall;
use crate::net::arriving::Arriving;
use crate::net::evictions::Evictions;
use crate::net::places::{Admitted, Doing, Leave, Pace, Places};
use crate::telemetry::desc;

/// The pause after a failed accept, which is most often a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// The running admin endpoint.
#[derive(Debug)]
pub struct Api {
    address: SocketAddr,
    pub(super) shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Serves on `listener` until [`Api::drain`].
///
/// # Errors
/// It does not know its address.
pub fn serve(
    listener: TcpListener,
    config: Config,
    token: Option<Token>,
    sources: Sources,
) -> io::Result<Api> {
    let address = listener.local_addr()?;
    let (stop, stopped) = watch::channel(false);
    let shared = Arc::new(Shared::new(config, Secret::new(token), sources));
    let task = tokio::spawn(accept(listener, Arc::clone(&shared), stopped));
    Ok(Api { address, shared, stop, task })
}

impl Api {
    /// The address being listened on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes whenever the token is replaced.
    #[must_use]
    pub fn token_version(&self) -> u64 {
        self.shared.secret.version()
    }

    /// Replaces the token, for requests that begin from now on, by one that was read after [`Self::token_version`] was asked for;
    /// not where another replaced it since, which may be newer.
    pub fn replace_token(&self, version: u64, token: Option<Token>) {
        self.shared.secret.replace(version, token);
    }

    /// From now on has `read` read the token again before a request is refused that shows another one. It may block; where it
    /// gives none, the one read before holds.
    pub fn read_token_with(&self, read: impl Fn() -> Option<Token> + Send + Sync + 'static) {
        self.shared.secret.read_with(Arc::new(read));
    }

    /// Stops accepting, lets requests under way finish for at most `deadline`, and closes.
    pub async fn drain(mut self, deadline: Duration) {
        self.stop.send_replace(true);
        if tokio::time::timeout(deadline, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let refused = shared.sources.registry.counter(&desc::API_REFUSED_CONNECTIONS, &[]);
    let clock = Arc::clone(&shared.sources.clock);
    let places = Places::new(shared.config.connections_max, Arc::clone(&clock));
    let evictions = Evictions::default();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => match places.take() {
                    Some(Admitted { place, evicted }) => {
                        if let Some(doing) = evicted {
                            shared.note_evicted(doing, &evictions);
                        }
                        let (shared, stop) = (Arc::clone(&shared), stop.clone());
                        connections.spawn(async move {
                            converse(stream, peer, place.pace(), shared, stop).await;
                        });
                    }
                    None => refused.add(1),
                },
                Err(error) => {
                    tracing::warn!(%error, "the admin listener cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            _ = stop.changed() => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    pace: &Arc<Pace>,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    let Config { header_timeout, header_bytes_max, response_timeout, .. } = shared.config;
    let stream = TokioIo::new(Stall::new(stream, response_timeout, Arc::clone(pace)));
    let service = service_fn(|request: Request<Incoming>| {
        let (shared, pace) = (Arc::clone(&shared), Arc::clone(pace));
        async move {
            let underway = pace.begin();
            let request = request.map(|body| Arriving::new(body, pace));
            let response = shared.respond(peer, request, &underway).await;
            drop(underway);
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_header_size(header_bytes_max)
        .serve_connection(stream, service);
    let mut connection = pin!(connection);
    let outcome = tokio::select! {
        // In this order: a request that is there already is not thrown away.
        biased;
        outcome = connection.as_mut() => outcome,
        _ = stop.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        leave = pace.evicted() => {
            if leave == Leave::Now && !pace.owes_answer() {
                return;
            }
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                biased;
                outcome = connection => outcome,
                () = pace.cut() => Ok(()),
            }
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%peer, %error, "an admin connection ended early");
    }
}

impl Shared {
    fn note_evicted(&self, doing: Doing, evictions: &Evictions) {
        let Sources { registry, clock, .. } = &self.sources;
        registry.counter(&desc::API_EVICTED_CONNECTIONS, &[doing.name()]).add(1);
        if let Some(evicted) = evictions.note(doing, clock.monotonic()) {
            tracing::warn!(
                evicted,
                "as many connections as admin.connections_max are open: those that moved least were closed for new ones \
                 (idle: since their last request, silent: before their first, slow: in a body, beginning: too many came \
                 at once); raise it, or see who opens so many"
            );
        }
    }
}
