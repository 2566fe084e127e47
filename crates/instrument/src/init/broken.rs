//! Connections that notice when they break, and exports that are sent again then.
//!
//! The exporter of gRPC cannot tell a connection that broke from an answer with the status UNKNOWN, which is not to be sent
//! again; what had no answer is (OpenTelemetry protocol 1.10, "OTLP/gRPC Request"). It may arrive twice. That of HTTP can tell.
//! Not noticed is a request that a server refuses by a GOAWAY while it still answers others on the same connection.
//!
//! Limits: an export is sent [`REPEATS`] times more, each with the exporter's own retries, and begun within the time that one
//! may take: a server that leaves every handshake of TLS unanswered would else take that of three. There is no pause between
//! them, but for that of who connects.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use opentelemetry_sdk::error::OTelSdkResult;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tonic::transport::Uri;
use tower_service::Service;

/// What ends the third connection may be what is sent.
const REPEATS: usize = 2;

/// How many connections of one exporter have ended: at least one is counted for each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Breaks {
    count: Arc<AtomicU64>,
    /// What an export may take.
    timeout: Duration,
}

impl Breaks {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { count: Arc::default(), timeout }
    }

    fn add(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Runs `export`, and anew where a connection broke meanwhile, it failed, and there is time left.
    pub(crate) async fn survive<F: Future<Output = OTelSdkResult>>(
        &self,
        export: impl Fn() -> F,
    ) -> OTelSdkResult {
        let begun = Instant::now();
        for _ in 0..REPEATS {
            let before = self.count();
            let result = export().await;
            if result.is_ok() || self.count() == before || begun.elapsed() >= self.timeout {
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
            self.breaks.add();
        }
        Poll::Ready(result)
    }
}

/// TLS that was ended in order, or a peer that no longer answers, comes to no end in reading or writing.
impl<T> Drop for Noticed<T> {
    fn drop(&mut self) {
        self.breaks.add();
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
        let sent_within = |timeout: u64, breaks_first: usize, taken: bool| {
            let (breaks, count) = (Breaks::new(Duration::from_secs(timeout)), Cell::new(0));
            let export = || {
                count.set(count.get() + 1);
                let broke = count.get() <= breaks_first;
                if broke {
                    breaks.add();
                }
                let failed = broke || !taken;
                let result = if failed { Err(OTelSdkError::AlreadyShutdown) } else { Ok(()) };
                std::future::ready(result)
            };
            let result = pin!(breaks.survive(export)).poll(&mut Context::from_waker(Waker::noop()));
            let Poll::Ready(result) = result else { panic!("waits") };
            (count.get(), result.is_ok())
        };
        let sent = |breaks_first, taken| sent_within(10, breaks_first, taken);
        assert_eq!(sent(0, true), (1, true));
        assert_eq!(sent(0, false), (1, false), "refused, not lost");
        assert_eq!(sent(1, true), (2, true));
        assert_eq!(sent(1, false), (2, false));
        assert_eq!(sent(9, true), (3, false));
        assert_eq!(sent_within(0, 1, true), (1, false), "no time is left");
    }

    /// As TLS that was ended in order and a peer that no longer answers end it.
    #[test]
    fn a_connection_that_is_let_go_has_ended() {
        let breaks = Breaks::default();
        let connection = Noticed { connection: tokio::io::empty(), breaks: breaks.clone() };
        assert_eq!(breaks.count(), 0);
        drop(connection);
        assert_eq!(breaks.count(), 1);
    }

    /// Takes TLS and requests of HTTP/2, and ends each connection in order in place of an answer. Says each request.
    #[cfg(feature = "tls")]
    async fn hangs_up(
        listener: std::net::TcpListener,
        acceptor: tokio_rustls::TlsAcceptor,
        asked: std::sync::mpsc::SyncSender<()>,
    ) -> io::Result<()> {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        const PREFACE: usize = 24;
        const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        const HEADERS: u8 = 1;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let mut peer = acceptor.accept(listener.accept().await?.0).await?;
            peer.write_all(&SETTINGS).await?;
            peer.flush().await?;
            peer.read_exact(&mut [0; PREFACE]).await?;
            loop {
                let mut head = [0; 9];
                peer.read_exact(&mut head).await?;
                let [a, b, c, kind, ..] = head;
                if kind == HEADERS {
                    break;
                }
                let length = u32::from_be_bytes([0, a, b, c]) as usize;
                peer.read_exact(&mut vec![0; length]).await?;
            }
            _ = asked.send(());
            // With a close_notify, and no error of the socket's after it.
            peer.shutdown().await?;
            _ = peer.read_to_end(&mut Vec::new()).await;
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn what_a_connection_by_tls_held_that_was_ended_in_order_is_sent_again() {
        use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
        use tokio_rustls::rustls::ServerConfig;
        use tokio_rustls::rustls::crypto::ring;
        use tokio_rustls::rustls::pki_types::PrivateKeyDer;

        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let authority = directory.path().join("authority.pem");
        std::fs::write(&authority, own.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, asked) = std::sync::mpsc::sync_channel(8);
        let peer = crate::init::io::IoThread::start().unwrap();
        peer.handle().spawn(hangs_up(listener, Arc::new(config).into(), tell));

        let lookup = |name: &str| match name {
            "OTEL_EXPORTER_OTLP_CERTIFICATE" => Some(authority.to_str().unwrap().to_owned()),
            "OTEL_METRICS_EXPORTER" | "OTEL_LOGS_EXPORTER" => Some("none".to_owned()),
            _ => None,
        };
        let telemetry = crate::init::init("held")
            .local()
            .endpoint(format!("https://localhost:{port}"))
            .shutdown_timeout(Duration::from_millis(100));
        let telemetry = telemetry.start_with(&lookup).unwrap();
        let tracer = telemetry.tracer_provider().tracer("held");
        // A batch, which leaves at once.
        (0..512).for_each(|_| tracer.start("work").end());
        for _ in 0..=REPEATS {
            asked.recv_timeout(Duration::from_secs(10)).unwrap();
        }
        drop(telemetry);
        assert!(peer.stop(Duration::from_secs(10)));
    }
}
