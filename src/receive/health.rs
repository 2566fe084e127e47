//! `grpc.health.v1.Health`: SERVING until the drain begins.
//!
//! Asked for by orchestrators that cannot send a token, so it is answered without one; it says nothing
//! but what a TCP connect says too.
//!
//! Source: gRPC health checking protocol.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use tokio::sync::watch;

use super::status::{Code, GRPC_STATUS, Refusal};

/// Services that have a health of their own; the empty name is the server.
const SERVICES: [&str; 5] = [
    "",
    "opentelemetry.proto.collector.trace.v1.TraceService",
    "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "opentelemetry.proto.collector.logs.v1.LogsService",
    "opentelemetry.proto.collector.profiles.v1development.ProfilesService",
];

/// The largest request that is read: no name that is known fills it.
pub(super) const REQUEST_BYTES_MAX: usize = 1 << 10;

/// `HealthCheckResponse.ServingStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum ServingStatus {
    Serving = 1,
    NotServing = 2,
    ServiceUnknown = 3,
}

impl ServingStatus {
    const fn of(serving: bool) -> Self {
        if serving { Self::Serving } else { Self::NotServing }
    }

    /// The framed response message.
    fn message(self) -> Bytes {
        Bytes::copy_from_slice(&[0, 0, 0, 0, 2, 1 << 3, self as u8])
    }
}

/// Answers `Check`.
pub(super) fn check(request: &[u8], serving: &watch::Receiver<bool>) -> Result<Bytes, Refusal> {
    if !is_known(request)? {
        return Err(Refusal::HealthService);
    }
    Ok(ServingStatus::of(*serving.borrow()).message())
}

/// Answers `Watch`.
pub(super) fn watch(request: &[u8], serving: watch::Receiver<bool>) -> Result<Watching, Refusal> {
    let known = is_known(request)?;
    Ok(Watching { state: State::First { known }, serving, change: None })
}

/// Whether the request names a service that is served here.
fn is_known(request: &[u8]) -> Result<bool, Refusal> {
    let name = match request {
        [] => &[],
        // Field 1, a string of less than 128 bytes; no name that is known is longer.
        [0x0a, length, name @ ..] if usize::from(*length) == name.len() => name,
        [0x0a, ..] => return Ok(false),
        _ => return Err(Refusal::malformed("not a health check request")),
    };
    Ok(SERVICES.iter().any(|service| service.as_bytes() == name))
}

/// The stream of a `Watch`: one message for every change, ended after NOT_SERVING, so that a drain need
/// not wait for it. It keeps no connection from being idle: it is answered without a token, and would
/// hold a place among the connections for ever.
pub(super) struct Watching {
    state: State,
    serving: watch::Receiver<bool>,
    change: Option<Change>,
}

type Change = Pin<Box<dyn Future<Output = (watch::Receiver<bool>, Option<bool>)> + Send>>;

enum State {
    First { known: bool },
    Following,
    Last,
    Ended,
}

impl Watching {
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        loop {
            match self.state {
                State::First { known: false } => {
                    // The protocol keeps the stream open in case the service appears; none will.
                    self.state = State::Following;
                    return Poll::Ready(Some(Frame::data(ServingStatus::ServiceUnknown.message())));
                }
                State::First { known: true } => {
                    let serving = *self.serving.borrow_and_update();
                    return Poll::Ready(Some(self.say(serving)));
                }
                State::Following => {
                    let change = self.change.get_or_insert_with(|| {
                        let mut serving = self.serving.clone();
                        Box::pin(async move {
                            let changed = serving.changed().await.is_ok();
                            let value = changed.then(|| *serving.borrow_and_update());
                            (serving, value)
                        })
                    });
                    let (serving, value) = std::task::ready!(change.as_mut().poll(cx));
                    (self.serving, self.change) = (serving, None);
                    match value {
                        Some(value) => return Poll::Ready(Some(self.say(value))),
                        None => self.state = State::Last,
                    }
                }
                State::Last => {
                    self.state = State::Ended;
                    let mut trailers = HeaderMap::new();
                    trailers.insert(GRPC_STATUS, HeaderValue::from(Code::Unavailable as u16));
                    return Poll::Ready(Some(Frame::trailers(trailers)));
                }
                State::Ended => return Poll::Ready(None),
            }
        }
    }

    fn say(&mut self, serving: bool) -> Frame<Bytes> {
        self.state = if serving { State::Following } else { State::Last };
        Frame::data(ServingStatus::of(serving).message())
    }
}
