//! A request body: chunks that are written one after the other, without a copy.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// The chunks that are left to send.
#[derive(Debug)]
pub(super) struct Chunks {
    left: std::vec::IntoIter<Bytes>,
    bytes: usize,
}

impl Chunks {
    /// `prefix`, then `chunks`; empty ones are left out.
    pub(super) fn new(prefix: Option<Bytes>, chunks: &[Bytes]) -> Self {
        let all = prefix.into_iter().chain(chunks.iter().cloned());
        let chunks: Vec<_> = all.filter(|c| !c.is_empty()).collect();
        Self { bytes: chunks.iter().map(Bytes::len).sum(), left: chunks.into_iter() }
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.left.next();
        self.bytes -= next.as_ref().map_or(0, Bytes::len);
        Poll::Ready(next.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes as u64)
    }
}
