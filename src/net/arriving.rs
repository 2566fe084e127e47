//! A request's body on its way, as far as its connection's place depends on it: while it comes, the connection lives on what
//! it sends ([`places`](super::places)); once it is whole, the connection is left alone until the answer.
//!
//! A body that stands still ends when its connection is evicted. One that is there at once costs two atomic additions.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::futures::OwnedNotified;

use super::places::{Evicted, Pace};

/// The body of a request that has begun ([`Pace::begin`]).
#[derive(Debug)]
pub struct Arriving<B> {
    body: B,
    pace: Arc<Pace>,
    whole: bool,
    /// Made when the body is waited for.
    eviction: Option<Pin<Box<OwnedNotified>>>,
}

/// Why a body ends early.
#[derive(Debug, thiserror::Error)]
pub enum EndsEarly<E: Error + 'static> {
    /// Its connection's place was needed.
    #[error("the body is given up")]
    Evicted(#[source] Evicted),
    /// As what it is read from says.
    #[error("the body ends early")]
    Broken(#[source] E),
}

impl<B: Body> Arriving<B> {
    /// `body`, which comes over the connection of `pace`.
    #[must_use]
    pub fn new(body: B, pace: Arc<Pace>) -> Self {
        let whole = body.is_end_stream();
        if !whole {
            pace.arriving();
        }
        Self { body, pace, whole, eviction: None }
    }
}

impl<B> Arriving<B> {
    fn is_evicted(&mut self, cx: &mut Context<'_>) -> bool {
        let pace = &self.pace;
        // In this order: who is evicted in between is told.
        let eviction = self.eviction.get_or_insert_with(|| Box::pin(pace.eviction()));
        pace.leave().is_some() || eviction.as_mut().poll(cx).is_ready()
    }

    fn arrived(&mut self) {
        if !std::mem::replace(&mut self.whole, true) {
            self.pace.arrived();
        }
    }
}

impl<B> Body for Arriving<B>
where
    B: Body<Data = Bytes, Error: Error + 'static> + Unpin,
{
    type Data = Bytes;
    type Error = EndsEarly<B::Error>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(frame)) => Poll::Ready(Some(frame.map_err(EndsEarly::Broken))),
            Poll::Ready(None) => {
                this.arrived();
                Poll::Ready(None)
            }
            Poll::Pending if this.is_evicted(cx) => {
                Poll::Ready(Some(Err(EndsEarly::Evicted(Evicted))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Arriving<B> {
    fn drop(&mut self) {
        self.arrived();
    }
}
