//! The bytes of one connection: plain or TLS, with the first of them looked at.
//!
//! The first bytes decide between HTTP/1.1 and HTTP/2 (its preface), so every listener speaks both,
//! with or without ALPN. They are handed to hyper as if nobody had read them. What a Unix socket says of its authority is
//! mended on the way ([`authority`](super::authority)).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use super::activity::Activity;
use super::authority::Mender;

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// An accepted socket.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Of a simulated network.
    Within(DuplexStream),
}

/// A socket, or TLS over one.
pub(super) enum Transport {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// A transport whose first bytes were looked at.
pub(super) struct Stream {
    inner: Transport,
    first: [u8; PREFACE.len()],
    /// What of `first` hyper has not read yet.
    start: u8,
    end: u8,
    /// Of HTTP/2 over a Unix socket.
    mender: Option<Box<Mender>>,
    activity: Arc<Activity>,
}

impl Stream {
    /// Reads until the version is clear.
    ///
    /// # Errors
    /// The transport's; `UnexpectedEof` when the peer leaves before that.
    pub(super) async fn open(
        mut inner: Transport,
        activity: Arc<Activity>,
    ) -> io::Result<(Self, Version)> {
        let mut first = [0; PREFACE.len()];
        let mut end = 0;
        let version = loop {
            let room = first.get_mut(end..).unwrap_or_default();
            let n = inner.read(room).await?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            end += n;
            match (first.get(..end), PREFACE.get(..end)) {
                (Some(read), Some(expected)) if read != expected => break Version::Http1,
                _ if end == PREFACE.len() => break Version::Http2,
                _ => {}
            }
        };
        #[expect(clippy::cast_possible_truncation, reason = "at most 24")]
        let end = end as u8;
        let mends = version == Version::Http2 && inner.is_unix();
        let mender = mends.then(Box::default);
        Ok((Self { inner, first, start: 0, end, mender, activity }, version))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let first = this.first.get(this.start.into()..this.end.into()).unwrap_or_default();
        if !first.is_empty() {
            let (now, _) = first.split_at(first.len().min(buf.remaining()));
            buf.put_slice(now);
            this.start = this.start.saturating_add(u8::try_from(now.len()).unwrap_or(u8::MAX));
            this.activity.read(now.len());
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(cx, buf);
        if let Some(came) = buf.filled_mut().get_mut(before..).filter(|came| !came.is_empty()) {
            this.activity.read(came.len());
            if let Some(mender) = &mut this.mender {
                mender.mend(came);
            }
        }
        polled
    }
}

/// Passes writes through to what each variant holds.
macro_rules! write_through {
    ($type:ty { $($variant:pat => $inner:ident),+ }) => {
        impl AsyncWrite for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() { $($variant => Pin::new($inner).poll_write(cx, buf)),+ }
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    $($variant => Pin::new($inner).poll_write_vectored(cx, bufs)),+
                }
            }

            fn is_write_vectored(&self) -> bool {
                match self { $($variant => $inner.is_write_vectored()),+ }
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $($variant => Pin::new($inner).poll_flush(cx)),+ }
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $($variant => Pin::new($inner).poll_shutdown(cx)),+ }
            }
        }
    };
}

write_through!(Socket {
    Socket::Tcp(inner) => inner,
    Socket::Unix(inner) => inner,
    Socket::Within(inner) => inner
});
write_through!(Transport { Transport::Plain(inner) => inner, Transport::Tls(inner) => inner });
write_through!(Stream { Stream { inner, .. } => inner });

impl Transport {
    fn is_unix(&self) -> bool {
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_ref().0,
        };
        matches!(socket, Socket::Unix(_))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(inner) => Pin::new(inner).poll_read(cx, buf),
            Self::Unix(inner) => Pin::new(inner).poll_read(cx, buf),
            Self::Within(inner) => Pin::new(inner).poll_read(cx, buf),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(inner) => Pin::new(inner).poll_read(cx, buf),
            Self::Tls(inner) => Pin::new(inner).poll_read(cx, buf),
        }
    }
}
