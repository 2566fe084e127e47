//! The bodies of answers: nothing, a few bytes, one gRPC message with trailers, or a health watch.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::health::Watching;

/// A response body.
pub(super) enum Reply {
    /// The end, or bytes and the end.
    Full(Bytes),
    /// One message (with its gRPC header), then trailers.
    Grpc { message: Bytes, trailers: Option<HeaderMap> },
    /// A message for every change of health, then trailers.
    Watch(Box<Watching>),
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = match self.get_mut() {
            Self::Full(bytes) if bytes.is_empty() => None,
            Self::Full(bytes) => Some(Frame::data(std::mem::take(bytes))),
            Self::Grpc { message, trailers } if message.is_empty() => {
                trailers.take().map(Frame::trailers)
            }
            Self::Grpc { message, .. } => Some(Frame::data(std::mem::take(message))),
            Self::Watch(watching) => std::task::ready!(watching.poll_frame(cx)),
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_empty(),
            Self::Grpc { message, trailers } => message.is_empty() && trailers.is_none(),
            Self::Watch(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Grpc { .. } | Self::Watch(_) => SizeHint::default(),
        }
    }
}
