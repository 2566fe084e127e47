//! The body of an answer, which ends the exchange with its last byte.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::exchange::Exchange;
use super::words::Fault;

pin_project! {
    /// A body that is counted while it passes. When it ends the exchange is recorded as it went; dropped before its end, as
    /// `error.type="cancelled"`.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        inner: B,
        exchange: Option<Exchange>,
    }
}

impl<B> ResponseBody<B> {
    pub(crate) fn new(inner: B, exchange: Option<Exchange>) -> Self {
        Self { inner, exchange }
    }
}

impl<B: Default> Default for ResponseBody<B> {
    fn default() -> Self {
        Self::new(B::default(), None)
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(exchange) = this.exchange.as_mut() else { return this.inner.poll_frame(context) };
        let inner = this.inner.as_mut();
        let frame = ready!(exchange.enter(|| inner.poll_frame(context)));
        let mut fault = Fault::None;
        match &frame {
            Some(Ok(frame)) => {
                exchange.body(frame.data_ref().map_or(0, Buf::remaining));
                if let Some(trailers) = frame.trailers_ref() {
                    exchange.trailers(trailers);
                }
            }
            Some(Err(_)) => fault = Fault::Body,
            None => {}
        }
        // Nobody asks a body for more that says it has ended.
        let ended = !matches!(frame, Some(Ok(_))) || this.inner.is_end_stream();
        if let Some(exchange) = this.exchange.take_if(|_| ended) {
            exchange.fail(fault);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
