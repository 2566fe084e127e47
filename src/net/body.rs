//! A request body: chunks that are written one after the other.
//!
//! Every frame costs a system call, so small chunks (the records of small requests, and what gRPC puts
//! before a message) are copied into frames of up to [`GATHERED_MAX`] bytes; large ones are not copied.
//! Memory: one frame of gathered chunks per request that is being written.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

/// The largest frame of gathered chunks.
const GATHERED_MAX: usize = 64 << 10;
/// A chunk above this is worth a frame of its own.
const COPY_MAX: usize = 16 << 10;

/// The chunks that are left to send.
#[derive(Debug)]
pub struct Chunks {
    left: std::vec::IntoIter<Bytes>,
    bytes: usize,
}

impl Chunks {
    /// `prefix`, then `chunks`; empty ones are left out.
    #[must_use]
    pub fn new(prefix: Option<Bytes>, chunks: &[Bytes]) -> Self {
        let all = prefix.into_iter().chain(chunks.iter().cloned());
        let chunks: Vec<_> = all.filter(|c| !c.is_empty()).collect();
        Self { bytes: chunks.iter().map(Bytes::len).sum(), left: chunks.into_iter() }
    }
}

impl Chunks {
    /// The next frame's bytes.
    fn next(&mut self) -> Option<Bytes> {
        let first = self.left.next()?;
        let fits = |so_far: usize, next: &[Bytes]| {
            next.first().is_some_and(|c| c.len() <= COPY_MAX && so_far + c.len() <= GATHERED_MAX)
        };
        if first.len() > COPY_MAX || !fits(first.len(), self.left.as_slice()) {
            return Some(first);
        }
        let mut gathered = BytesMut::with_capacity(self.bytes.min(GATHERED_MAX));
        gathered.extend_from_slice(&first);
        while fits(gathered.len(), self.left.as_slice()) {
            gathered.extend(self.left.next());
        }
        Some(gathered.freeze())
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.next();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_chunks_share_a_frame_and_large_ones_are_not_copied() {
        let chunk = |len: usize| Bytes::from((0..len).map(|i| i as u8).collect::<Vec<_>>());
        let cases: [(&[usize], &[usize]); 5] = [
            (&[], &[5]),
            (&[100, 0, 200], &[305]),
            (&[1 << 20], &[5, 1 << 20]),
            (&[100, 20_000, 100, 16 << 10, 100], &[105, 20_000, (16 << 10) + 200]),
            (&[16 << 10; 5], &[5 + (48 << 10), 32 << 10]),
        ];
        for (chunks, frames) in cases {
            let chunks: Vec<_> = chunks.iter().map(|&len| chunk(len)).collect();
            let prefix = Bytes::from_static(b"grpc\0");
            let mut body = Chunks::new(Some(prefix.clone()), &chunks);
            let sent: Vec<_> = std::iter::from_fn(|| body.next()).collect();
            assert_eq!(sent.iter().map(Bytes::len).collect::<Vec<_>>(), frames);
            assert_eq!(sent.concat(), [vec![prefix], chunks.clone()].concat().concat());
            for large in chunks.iter().filter(|c| c.len() > COPY_MAX) {
                assert!(sent.iter().any(|frame| frame.as_ptr() == large.as_ptr()));
            }
        }
    }
}
