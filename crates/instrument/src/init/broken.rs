//! Connections that notice when they break, and exports that are sent again then.
//!
//! The exporter of gRPC cannot tell a connection that broke from an answer with the status UNKNOWN, which is not to be sent
//! again; what had no answer is (OpenTelemetry protocol 1.10, "OTLP/gRPC Request"). It may arrive twice. That of HTTP can tell.
//!
//! Limits: an export is sent [`REPEATS`] times more, each with the exporter's own retries.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use hyper_util::rt::TokioIo;
use opentelemetry_sdk::error::OTelSdkResult;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::Uri;
use tower_service::Service;

/// What ends the third connection may be what is sent.
const REPEATS: usize = 2;

/// How many connections of one exporter have ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Breaks(Arc<AtomicU64>);

impl Breaks {
    fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Runs `export`, and anew where a connection broke meanwhile and it failed.
    pub(crate) async fn survive<F: Future<Output = OTelSdkResult>>(
        &self,
        export: impl Fn() -> F,
    ) -> OTelSdkResult {
        for _ in 0..REPEATS {
            let before = self.count();
            let result = export().await;
            if result.is_ok() || self.count() == before {
                return result;
            }
        }
        export().await
    }
}

/// Connects by another, and counts the connections that end.
#[derive(Clone, Debug)]
pub(crate) struct Noticing<C> {
    by: C,
    breaks: Breaks,
}

impl<C> Noticing<C> {
    pub(crate) fn new(by: C, breaks: Breaks) -> Self {
        Self { by, breaks }
    }
}

impl<C, T> Service<Uri> for Noticing<C>
where
    C: Service<Uri, Response = TokioIo<T>>,
    C::Future: Send + 'static,
{
    type Response = TokioIo<Noticed<T>>;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, C::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.by.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, breaks) = (self.by.call(uri), self.breaks.clone());
        Box::pin(async move {
            let connection = connecting.await?.into_inner();
            Ok(TokioIo::new(Noticed { connection, breaks }))
        })
    }
}

/// A connection whose end is noticed.
#[derive(Debug)]
pub(crate) struct Noticed<T> {
    connection: T,
    breaks: Breaks,
}

impl<T> Noticed<T> {
    fn notice<R>(&self, result: io::Result<R>, ended: bool) -> Poll<io::Result<R>> {
        if ended || result.is_err() {
            self.breaks.0.fetch_add(1, Ordering::AcqRel);
        }
        Poll::Ready(result)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Noticed<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.remaining();
        let result = ready!(Pin::new(&mut self.connection).poll_read(context, into));
        self.notice(result, before > 0 && into.remaining() == before)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Noticed<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.connection).poll_write(context, bytes));
        self.notice(result, false)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.connection).poll_write_vectored(context, slices));
        self.notice(result, false)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;
    use std::task::Waker;

    use opentelemetry_sdk::error::OTelSdkError;

    use super::*;

    #[test]
    fn what_fails_is_sent_again_only_where_a_connection_broke_and_not_for_ever() {
        let sent = |breaks_first: usize, taken: bool| {
            let (breaks, count) = (Breaks::default(), Cell::new(0));
            let export = || {
                count.set(count.get() + 1);
                let broke = count.get() <= breaks_first;
                breaks.0.fetch_add(u64::from(broke), Ordering::AcqRel);
                let failed = broke || !taken;
                let result = if failed { Err(OTelSdkError::AlreadyShutdown) } else { Ok(()) };
                std::future::ready(result)
            };
            let result = pin!(breaks.survive(export)).poll(&mut Context::from_waker(Waker::noop()));
            let Poll::Ready(result) = result else { panic!("waits") };
            (count.get(), result.is_ok())
        };
        assert_eq!(sent(0, true), (1, true));
        assert_eq!(sent(0, false), (1, false), "refused, not lost");
        assert_eq!(sent(1, true), (2, true));
        assert_eq!(sent(1, false), (2, false));
        assert_eq!(sent(9, true), (3, false));
    }
}
