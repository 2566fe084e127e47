//! The listener: accepts, bounds and drains connections, and runs each request through guard and
//! route.
//!
//! Limits: `connections_max` (for one more the one is closed that has to leave first ([`places`](crate::net::places)), or
//! else the newcomer; both are counted), head size and time, the time a reply may take to be made and to move while being
//! sent; two queries, one that reads files of the journal, one of the store, and two other replies being made at once, and
//! two of more than [`LARGE_BYTES`] being sent. Those that wait to be sent go on holding what makes replies, for
//! [`LARGE_WAIT`] at most: with four large ones that nobody reads a small reply waits as long, and as long again for each
//! two more. Only queries and silences read a request body, of at most
//! [`FORM_BYTES_MAX`] and [`ASKED_BYTES_MAX`]; hyper closes a connection whose body stays unread. A failed accept never
//! ends the listener.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::asked::{self, Asked};
use super::call::{self, Call};
use super::config::Config;
use super::failure::Failure;
use super::guard::{self, Access, Refusal, Token};
use super::params::Params;
use super::patience::Patience;
use super::reply::{Chunks, Reply};
use super::route::{Answer, Read, Route};
use super::routes;
use super::secret::Secret;
use super::sources::Sources;
use super::stall::Stall;
use crate::net::arriving::Arriving;
use crate::net::evictions::Evictions;
use crate::net::places::{Admitted, Doing, Evicted, Leave, Pace, Places, Underway};
use crate::telemetry::desc;

/// Large replies being sent at once …
const LARGE_REPLIES_MAX: usize = 2;
/// … and above so much a reply is one. Below, those of all connections together are some megabytes.
const LARGE_BYTES: u64 = 64 << 10;
/// How long one that was made waits for others to be sent, while it keeps the next from being made.
const LARGE_WAIT: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 2_000 });
/// Queries being evaluated at once, or waiting to be sent.
const QUERIES_MAX: usize = 2;
/// Replies being made at once of the journal's files, or waiting to be sent: a disk that hangs holds up no other.
const LOOKS_MAX: usize = 1;
/// The same of the store's files: that counts what is in them, and may take long.
const SCANS_MAX: usize = 1;
/// Other replies being made at once, or waiting to be sent.
const REPLIES_MAX: usize = 2;
/// The status under which a request is counted whose client went before the answer, as Prometheus counts it.
const CLIENT_GONE: &str = "499";
/// Bytes of a document that something is asked with.
const ASKED_BYTES_MAX: usize = 64 << 10;
/// Bytes of a form: each connection may hold one.
const FORM_BYTES_MAX: usize = 128 << 10;
/// The pause after a failed accept, which is most often a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// The running admin endpoint.
#[derive(Debug)]
pub struct Api {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    secret: Secret,
    sources: Sources,
    large: Arc<Semaphore>,
    queries: Arc<Semaphore>,
    looks: Arc<Semaphore>,
    scans: Arc<Semaphore>,
    replies: Arc<Semaphore>,
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
    let shared = Arc::new(Shared {
        config,
        secret: Secret::new(token),
        sources,
        large: Arc::new(Semaphore::new(LARGE_REPLIES_MAX)),
        queries: Arc::new(Semaphore::new(QUERIES_MAX)),
        looks: Arc::new(Semaphore::new(LOOKS_MAX)),
        scans: Arc::new(Semaphore::new(SCANS_MAX)),
        replies: Arc::new(Semaphore::new(REPLIES_MAX)),
    });
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

/// A request's body.
type Asking = Arriving<Incoming>;

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

    async fn respond(
        &self,
        peer: SocketAddr,
        request: Request<Asking>,
        underway: &Underway,
    ) -> Response<Chunks> {
        let (head, body) = request.into_parts();
        let found = routes::find(&head.method, head.uri.path());
        let is_open = matches!(found, Ok((Route { access: Access::Open, .. }, _)));
        let route = found.as_ref().map_or("", |(route, _)| route.path);
        let mut counted = Counted { shared: self, route, status: None };
        let response = match found {
            Ok((route, open)) => self.answer(route, &open, peer, &head, body).await,
            Err(reply) => reply.into_response(None),
        };
        counted.status = Some(response.status());
        if response.status().is_success() && !is_open {
            underway.accepted();
        }
        response
    }

    async fn answer(
        &self,
        route: &'static Route,
        open: &str,
        peer: SocketAddr,
        head: &Parts,
        body: Asking,
    ) -> Response<Chunks> {
        let headers = &head.headers;
        let allowed = &self.config.allowed_hosts;
        let admitted = self.secret.admit(route.access, allowed, peer.ip(), headers).await;
        if let Err((refusal, token)) = admitted {
            let may_know = guard::may_know_file(peer.ip(), headers, allowed);
            let told = token.as_deref().filter(|_| may_know && refusal == Refusal::Token);
            let reply = Reply::refused(refusal, told.and_then(Token::file));
            return reply.into_response(None);
        }
        let limit = self.config.response_timeout;
        let reply = async {
            match route.answer {
                Answer::Probe(probe) => probe(&self.sources).encoded(headers).into_response(None),
                Answer::Reload => routes::reload(&self.sources.control).await.into_response(None),
                Answer::Quit => routes::quit(&self.sources.control).into_response(None),
                Answer::Read(read) => self.read(read, headers).await,
                Answer::Ask(handler) => self.ask((handler, &self.replies), open, head, body).await,
                Answer::Look(handler) => self.ask((handler, &self.looks), open, head, body).await,
                Answer::Scan(handler) => self.ask((handler, &self.scans), open, head, body).await,
                Answer::Query(handler) => {
                    self.query((handler, &self.queries), route.path, open, head, body).await
                }
                Answer::Tell(handler) => {
                    self.query((handler, &self.replies), route.path, open, head, body).await
                }
            }
        };
        tokio::time::timeout(limit, reply).await.unwrap_or_else(|_| {
            let message = "the reply took too long to make";
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Reply::error(status, "timeout", message).into_response(None)
        })
    }

    /// Answers on a blocking thread, for as long as this future is awaited.
    async fn read(&self, read: Read, headers: &HeaderMap) -> Response<Chunks> {
        let sources = self.sources.clone();
        let patience = Patience::default();
        let waiting = patience.clone();
        // Dropped with this future, when the client goes or the time is over.
        let _abandon = patience.abandon_on_drop();
        let stop = move || waiting.ended();
        self.made(&self.replies, headers, busy, move |asked| read(&sources, asked, &stop)).await
    }

    /// Makes a reply of the request's headers on a blocking thread with one of `permits`, and gives that back once there is
    /// room to send it, or there was none for too long.
    async fn made(
        &self,
        permits: &Arc<Semaphore>,
        headers: &HeaderMap,
        busy: fn(&str) -> Reply,
        make: impl FnOnce(&HeaderMap) -> Reply + Send + 'static,
    ) -> Response<Chunks> {
        let making = Arc::clone(permits).acquire_owned().await.ok();
        let asked = headers.clone();
        let made = move || (make(&asked).encoded(&asked), making);
        let (reply, making) = match tokio::task::spawn_blocking(made).await {
            Ok(made) => made,
            Err(error) => {
                tracing::error!(%error, "an admin reply could not be made");
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                (Reply::error(status, "internal", "the reply could not be made"), None)
            }
        };
        let sending = if reply.len() > LARGE_BYTES {
            let room = Arc::clone(&self.large).acquire_owned();
            let Ok(room) = tokio::time::timeout(LARGE_WAIT, room).await else {
                let reply = busy("other large replies are not read: ask again, or for less");
                return reply.into_response(None);
            };
            room.ok()
        } else {
            None
        };
        drop(making);
        reply.into_response(sending)
    }

    /// Reads the body and answers on a blocking thread with one of `permits`, for as long as this future is awaited.
    async fn ask(
        &self,
        (handler, permits): (asked::Handler, &Arc<Semaphore>),
        open: &str,
        head: &Parts,
        body: Asking,
    ) -> Response<Chunks> {
        let method = head.method.clone();
        let read = match Limited::new(body, ASKED_BYTES_MAX).collect().await {
            Ok(read) => read,
            Err(error) if Evicted::is_behind(&*error) => {
                return busy(&Evicted.to_string()).into_response(None);
            }
            Err(_) => {
                let message = format!("a body has at most {ASKED_BYTES_MAX} bytes");
                let reply = Reply::error(StatusCode::PAYLOAD_TOO_LARGE, "too_large", &message);
                return reply.into_response(None);
            }
        };
        let query = head.uri.query().unwrap_or_default();
        let parameters = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let patience = Patience::default();
        let _abandon = patience.abandon_on_drop();
        let asked = Asked { open: open.to_owned(), parameters, body: read.to_bytes(), patience };
        let sources = self.sources.clone();
        self.made(permits, &head.headers, busy, move |_| {
            asked::answer(handler, &sources, &method, &asked)
        })
        .await
    }

    /// Evaluates on a blocking thread, with one of `permits`, for as long as this future is awaited and the query's time
    /// lasts.
    async fn query(
        &self,
        (handler, permits): (call::Handler, &Arc<Semaphore>),
        path: &'static str,
        open: &str,
        head: &Parts,
        body: Asking,
    ) -> Response<Chunks> {
        let refuse = |failure: Failure| failure.into_reply().into_response(None);
        let form = match form(&head.headers, body).await {
            Ok(form) => form,
            Err(failure) => return refuse(failure),
        };
        let params = Params::new(head.uri.query(), &form);
        let limit = match params.timeout(self.config.query_timeout) {
            Ok(limit) => limit,
            Err(failure) => return refuse(failure),
        };
        let Some(store) = (self.sources.store)() else {
            let why = (self.sources.no_store)();
            return refuse(Failure::Unavailable(format!("no metrics are kept here: {why}")));
        };
        let patience = Patience::default();
        let waiting = patience.clone();
        let sources = self.sources.clone();
        let (open, now) = (open.to_owned(), sources.clock.unix_nano());
        let busy = |why: &str| Failure::Unavailable(why.to_owned()).into_reply();
        let evaluated = self.made(permits, &head.headers, busy, move |headers| {
            let call = Call {
                sources: &sources,
                store: &store,
                params: &params,
                headers,
                path,
                open: &open,
                now,
                stop: &|| waiting.ended(),
            };
            call::answer(handler, &call)
        });
        // Dropped with this future, when the client goes.
        let _abandon = patience.abandon_on_drop();
        tokio::time::timeout(limit, evaluated).await.unwrap_or_else(|_| {
            patience.time_out();
            refuse(Failure::Timeout("query timed out in expression evaluation".to_owned()))
        })
    }
}

/// A request, counted when it is answered or its client goes.
struct Counted<'a> {
    shared: &'a Shared,
    route: &'static str,
    status: Option<StatusCode>,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let status = self.status.as_ref().map_or(CLIENT_GONE, StatusCode::as_str);
        self.shared.sources.registry.counter(&desc::API_REQUESTS, &[self.route, status]).add(1);
    }
}

/// What is answered when there is no room to send, to who is no client of Prometheus.
fn busy(why: &str) -> Reply {
    Reply::error(StatusCode::SERVICE_UNAVAILABLE, "busy", why)
}

/// The form of a POST; empty for everything else.
async fn form(headers: &HeaderMap, body: Asking) -> Result<Bytes, Failure> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default().to_ascii_lowercase();
    if kind.starts_with("multipart/form-data") {
        // Not taken for empty: what it asks for would be answered as if it had not been asked.
        let why = "multipart/form-data is not read: send application/x-www-form-urlencoded";
        return Err(Failure::BadData(why.to_owned()));
    }
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return Ok(Bytes::new());
    }
    let read = Limited::new(body, FORM_BYTES_MAX).collect().await;
    let read = read.map_err(|error| match &*error {
        error if Evicted::is_behind(error) => Failure::Unavailable(Evicted.to_string()),
        error => Failure::BadData(format!("the form cannot be read: {error}")),
    });
    Ok(read?.to_bytes())
}

#[cfg(test)]
mod tests;
