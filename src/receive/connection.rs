//! One connection: handshake, HTTP version, requests, and every reason to end.
//!
//! | what | ends it |
//! |---|---|
//! | TLS handshake, then the first bytes | after `timeouts.header` |
//! | headers of a request | after one to two `timeouts.header` |
//! | nothing asked | GOAWAY after `timeouts.idle` and up to a `timeouts.header` more |
//! | a silent HTTP/2 peer | a ping each `keepalive.time`, cut when unanswered |
//! | age, if limited | GOAWAY, or `connection: close` on the next answer; cut after `max_connection_age_grace` |
//! | its place is needed, and it has to leave first | GOAWAY, or `connection: close` on the answer; cut after `Pace::cut` |
//! | the server drains | GOAWAY, cut at its deadline |

use std::convert::Infallible;
use std::error::Error as _;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{Instrument as _, Span};

use super::Append;
use super::activity::{Activity, Stalled, Watch};
use super::config::{HEADER_BYTES_MAX, Keepalive, STREAMS_MAX, Windows};
use super::grpc::{is_grpc, is_health};
use super::reply::Reply;
use super::service::Service;
use super::status::GRPC_STATUS;
use super::stream::{Socket, Stream, Transport, Version};
use crate::net::arriving::Arriving;
use crate::net::places::{Leave, Pace};
use crate::telemetry::otel::INTERNAL_HEADER;

/// Streams that a peer may reset before they were accepted (CVE-2023-44487 and its kin).
const PENDING_RESETS_MAX: usize = 20;
/// Streams that the peer's errors may make us reset.
const LOCAL_RESETS_MAX: usize = 1024;
/// What is read of an HTTP/1.1 connection at a time.
const READ_BYTES_MAX: usize = Windows::NARROW.connection as usize;
/// What waits to be sent on a stream.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Longer than any process lives.
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// How far the server is on its way down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Serving,
    /// Finish what has begun.
    Draining,
    /// Cut the rest.
    Cut,
}

/// Serves a connection until it ends.
pub(super) async fn serve<A: Append>(
    socket: Socket,
    tls: Option<TlsAcceptor>,
    service: Arc<Service<A>>,
    pace: Arc<Pace>,
    mut phase: watch::Receiver<Phase>,
) {
    let activity = Arc::new(Activity::new(pace));
    let opened = tokio::select! {
        // In this order: a request that is there already is not thrown away.
        biased;
        opened = open(socket, tls, &service, &activity) => opened,
        // Nothing was asked yet, so nothing is lost.
        _ = phase.wait_for(|phase| *phase > Phase::Serving) => return,
        _ = activity.pace().evicted() => return,
    };
    let Ok((stream, version)) = opened else { return };
    let io = TokioIo::new(stream);
    let (requests, begin) = (Arc::clone(&service), Arc::clone(&activity));
    let answer = service_fn(move |request: Request<Incoming>| {
        let (service, activity) = (Arc::clone(&requests), Arc::clone(&begin));
        let active = activity.begin();
        async move {
            let arriving = |body| Arriving::new(body, Arc::clone(activity.pace()));
            let is_telemetry = !is_health(request.uri().path());
            let mut response = service.call(request.map(arriving)).await;
            if version == Version::Http1 && activity.is_last() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            if is_telemetry && is_taken(&response) {
                active.accepted();
            }
            drop(active);
            Ok::<_, Infallible>(response)
        }
    });
    let timeouts = &service.listener.timeouts;
    let ended = match version {
        Version::Http1 => {
            let connection = http1_builder().serve_connection(io, answer);
            drive(connection, &service, &activity, Watch::http1(timeouts), phase).await
        }
        Version::Http2 => {
            let wide = service.shared.wide.try_acquire().ok();
            let windows = if wide.is_some() { Windows::WIDE } else { Windows::NARROW };
            let builder = http2_builder(&service.listener.keepalive, windows);
            let connection = builder.serve_connection(io, answer);
            drive(connection, &service, &activity, Watch::http2(timeouts), phase).await
        }
    };
    if let Some(error) = ended.err() {
        if error.is_parse_too_large() {
            service.metrics().limit("header_bytes");
        } else if is_http2_flood(&error) {
            service.metrics().limit("http2_flood");
        }
        tracing::debug!(error = &error as &dyn std::error::Error, "connection ended");
    }
}

impl<A: Append> Service<A> {
    /// Answers one request, in the protocol that it speaks.
    async fn call(&self, request: Request<Arriving<Incoming>>) -> Response<Reply> {
        let span = own_span(&request);
        let answer = async {
            if is_grpc(request.headers()) {
                self.call_grpc(request).await
            } else {
                self.call_http(request).await
            }
        };
        answer.instrument(span).await
    }
}

/// Whether a request was kept, all of it or in part.
fn is_taken(response: &Response<Reply>) -> bool {
    // Calls that are refused have their status in the headers, and others in the trailers.
    response.status() == StatusCode::OK && !response.headers().contains_key(GRPC_STATUS)
}

/// A span of the agent's own for a request, unless the request brings the agent's own telemetry:
/// its spans would beget spans for ever.
fn own_span<B>(request: &Request<B>) -> Span {
    if request.headers().contains_key(INTERNAL_HEADER) {
        return Span::none();
    }
    tracing::debug_span!("receive", otel.kind = "server", url.path = request.uri().path())
}

/// The handshake and the first bytes, each within the header timeout.
async fn open<A>(
    socket: Socket,
    tls: Option<TlsAcceptor>,
    service: &Service<A>,
    activity: &Arc<Activity>,
) -> io::Result<(Stream, Version)> {
    let limit = service.listener.timeouts.header;
    let transport = match tls {
        None => Transport::Plain(socket),
        Some(acceptor) => {
            let handshake = timeout(limit, acceptor.accept(socket)).await.map_err(|_| {
                service.metrics().limit_tls_handshake.add(1);
                io::ErrorKind::TimedOut
            })?;
            let handshake = handshake.inspect_err(|error| {
                service.metrics().tls_failures.add(1);
                // One that only opens the port, as a load balancer does, is nobody's telemetry.
                if error.kind() == io::ErrorKind::InvalidData {
                    service.metrics().refused_tls.add(1);
                }
                tracing::debug!(error = error as &dyn std::error::Error, "TLS handshake failed");
            });
            Transport::Tls(handshake?.into())
        }
    };
    timeout(limit, Stream::open(transport, Arc::clone(activity))).await.map_err(|_| {
        service.metrics().limit_header_time.add(1);
        io::ErrorKind::TimedOut
    })?
}

/// Whether the connection was ended for resets, header pieces or the like that went on and on.
fn is_http2_flood(error: &hyper::Error) -> bool {
    let http2 = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    http2.is_some_and(|e| e.is_library() && e.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM))
}

fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    // The time for headers is watched by `drive`: hyper's own timer would also end idle connections.
    builder
        .header_read_timeout(None)
        .max_header_size(HEADER_BYTES_MAX as usize)
        .max_buf_size(READ_BYTES_MAX)
        .timer(TokioTimer::new());
    builder
}

fn http2_builder(keepalive: &Keepalive, windows: Windows) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .initial_connection_window_size(windows.connection)
        .initial_stream_window_size(windows.stream)
        .max_frame_size(windows.frame)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(LOCAL_RESETS_MAX)
        .max_send_buf_size(ANSWER_BYTES_MAX)
        .keep_alive_interval(keepalive.time)
        .keep_alive_timeout(keepalive.timeout)
        .timer(TokioTimer::new());
    builder
}

/// Polls the connection and ends it when it is time.
async fn drive<A, C>(
    connection: C,
    service: &Service<A>,
    activity: &Activity,
    mut watch: Watch,
    mut phase: watch::Receiver<Phase>,
) -> Result<(), hyper::Error>
where
    C: GracefulConnection<Error = hyper::Error> + Future<Output = Result<(), hyper::Error>>,
{
    let (timeouts, keepalive) = (&service.listener.timeouts, &service.listener.keepalive);
    let metrics = service.metrics();
    let mut connection = pin!(connection);
    let mut evicted = pin!(activity.pace().evicted());
    let mut look = pin!(sleep(Watch::step(timeouts)));
    let mut age = pin!(sleep(keepalive.max_connection_age.map_or(NEVER, jittered)));
    let mut cut = pin!(sleep(NEVER));
    let mut left = pin!(activity.pace().cut());
    let mut leaving = false;
    let mut seen = Phase::Serving;
    loop {
        let (mut goodbye, mut in_answer) = (None, false);
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended,
            changed = phase.wait_for(|phase| *phase > seen) => match changed.map(|phase| *phase) {
                Ok(Phase::Draining) => {
                    seen = Phase::Draining;
                    goodbye = Some(NEVER);
                }
                Ok(_) | Err(_) => return Ok(()),
            },
            leave = &mut evicted, if !leaving => {
                leaving = true;
                // Headers that do not end would hold up the end of HTTP/1.1.
                let at_once = leave == Leave::Now || watch.is_http1 && !activity.is_active();
                if at_once && !activity.pace().owes_answer() {
                    return Ok(());
                }
                goodbye = Some(NEVER);
            }
            () = &mut left, if leaving => return Ok(()),
            () = &mut look => {
                let next = look.deadline() + Watch::step(timeouts);
                look.as_mut().reset(next);
                match watch.look(activity) {
                    Some(Stalled::Header) => {
                        metrics.limit_header_time.add(1);
                        return Ok(());
                    }
                    Some(Stalled::Idle) => {
                        metrics.limit_idle.add(1);
                        goodbye = Some(timeouts.header);
                    }
                    None => {}
                }
            }
            () = &mut age => {
                metrics.limit_connection_age.add(1);
                goodbye = Some(keepalive.max_connection_age_grace);
                in_answer = watch.is_http1;
            }
            () = &mut cut => return Ok(()),
        }
        if let Some(grace) = goodbye {
            if in_answer {
                // Closed between two requests, it would look like a failure to who sends the next.
                activity.end_with_next();
            } else {
                connection.as_mut().graceful_shutdown();
            }
            let at = tokio::time::Instant::now() + grace;
            if at < cut.deadline() {
                cut.as_mut().reset(at);
            }
            let never = at + NEVER;
            look.as_mut().reset(never);
            age.as_mut().reset(never);
        }
    }
}

/// ±10 %, so that connections that were made together do not end together.
fn jittered(age: Duration) -> Duration {
    age.mul_f64(0.9 + 0.2 * fastrand::f64())
}
