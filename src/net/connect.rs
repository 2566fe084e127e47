//! Connections to one endpoint: made when needed, names resolved each time, one HTTP/2 connection for all
//! requests or as many HTTP/1.1 connections as there are requests at a time.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::body::Chunks;
use super::endpoint::{Address, Endpoint};
use super::tls::{Tls, TlsConfig, TlsError};

/// Idle HTTP/1.1 connections kept.
const IDLE_MAX: usize = 16;
/// How long one of several addresses may take to accept.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(3);

/// No connection could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name could not be resolved.
    #[error("cannot resolve {host}")]
    Resolve {
        /// The name.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// The name has no address.
    #[error("the name has no address")]
    NoAddress,
    /// Nobody accepted.
    #[error("cannot reach {to}")]
    Reach {
        /// The last address tried.
        to: String,
        /// Why.
        source: io::Error,
    },
    /// The TLS files or the handshake.
    #[error("TLS")]
    Tls(#[from] TlsError),
    /// The HTTP handshake.
    #[error("HTTP handshake")]
    Handshake(#[source] hyper::Error),
}

/// How connections are made, besides where to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For endpoints that use TLS.
    pub tls: TlsConfig,
    /// Whether HTTP/2 is spoken without asking (gRPC); else TLS negotiates, and plain text is HTTP/1.1.
    pub http2_only: bool,
    /// Silence during a request after which an HTTP/2 connection is probed with a ping; zero is never.
    pub keepalive_time: Duration,
    /// How long the answer to a ping may take.
    pub keepalive_timeout: Duration,
}

/// A connection on which a request can be sent.
#[derive(Debug)]
pub enum Link<'p> {
    /// HTTP/2: shared by all requests; which of the pool's connections it is, for [`Pool::forget`].
    H2(http2::SendRequest<Chunks>, u64),
    /// HTTP/1.1: this request's, until it is kept.
    H1(http1::SendRequest<Chunks>, &'p Pool),
}

impl Link<'_> {
    /// Keeps an HTTP/1.1 connection whose response was read to its end for the next request.
    pub fn keep(self) {
        if let Self::H1(sender, pool) = self {
            let mut idle = pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < IDLE_MAX && !sender.is_closed() {
                idle.push(sender);
            }
        }
    }
}

/// The connections to one endpoint.
#[derive(Debug)]
pub struct Pool {
    /// Where they lead.
    pub endpoint: Endpoint,
    /// The host and port as requests name them.
    pub authority: String,
    /// Present where the endpoint uses TLS.
    pub tls: Option<Tls>,
    http2_only: bool,
    keepalive: (Duration, Duration),
    shared: tokio::sync::Mutex<Option<Shared>>,
    /// HTTP/2 connections made so far.
    made: AtomicU64,
    /// Those with lower numbers are not used again.
    trusted_from: AtomicU64,
    speaks_http1: AtomicBool,
    /// Which of the name's addresses is tried first: the one after those that did not accept.
    first_address: AtomicUsize,
    idle: Mutex<Vec<http1::SendRequest<Chunks>>>,
}

/// An HTTP/2 connection and its number.
type Shared = (http2::SendRequest<Chunks>, u64);

impl Pool {
    /// No connection yet.
    #[must_use]
    pub fn new(endpoint: &Endpoint, settings: &Settings) -> Self {
        let alpn: &[&[u8]] = if settings.http2_only { &[b"h2"] } else { &[b"h2", b"http/1.1"] };
        Self {
            endpoint: endpoint.clone(),
            authority: endpoint.authority(),
            tls: endpoint.tls.then(|| Tls::new(&settings.tls, alpn)),
            http2_only: settings.http2_only,
            keepalive: (settings.keepalive_time, settings.keepalive_timeout),
            shared: tokio::sync::Mutex::default(),
            made: AtomicU64::default(),
            trusted_from: AtomicU64::default(),
            speaks_http1: (!settings.http2_only && !endpoint.tls).into(),
            first_address: AtomicUsize::default(),
            idle: Mutex::default(),
        }
    }

    /// Whether requests to `endpoint` go over this pool's connections.
    #[must_use]
    pub fn serves(&self, endpoint: &Endpoint) -> bool {
        self.endpoint.address == endpoint.address && self.endpoint.tls == endpoint.tls
    }

    /// Whether it is neither TLS nor a Unix socket.
    #[must_use]
    pub const fn is_plain_tcp(&self) -> bool {
        self.tls.is_none() && matches!(self.endpoint.address, Address::Tcp { .. })
    }

    /// After a timeout: none of the connections made so far is used again. The next request makes a new one, to whatever
    /// address the name has then.
    pub fn distrust(&self) {
        self.trusted_from.fetch_max(self.made.load(Ordering::Relaxed), Ordering::Relaxed);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// After a request that one HTTP/2 connection did not answer: the next one makes another, unless that was made already.
    pub fn forget(&self, number: u64) {
        self.trusted_from.fetch_max(number.saturating_add(1), Ordering::Relaxed);
    }

    /// A connection, and whether it had been used before.
    ///
    /// # Errors
    /// [`ConnectError`] when none could be made.
    pub async fn link(&self) -> Result<(Link<'_>, bool), ConnectError> {
        if self.speaks_http1.load(Ordering::Relaxed) {
            while let Some(mut sender) = self.pop_idle() {
                if sender.ready().await.is_ok() {
                    return Ok((Link::H1(sender, self), true));
                }
            }
            let link = self.connect().await?;
            // Others may hold the lock while they connect.
            if matches!(link, Link::H2(..)) {
                self.learn(&link, &mut *self.shared.lock().await);
            }
            return Ok((link, false));
        }
        let mut shared = self.shared.lock().await;
        let trusted_from = self.trusted_from.load(Ordering::Relaxed);
        shared.take_if(|(sender, number)| sender.is_closed() || *number < trusted_from);
        if let Some((sender, number)) = &*shared {
            return Ok((Link::H2(sender.clone(), *number), true));
        }
        let link = self.connect().await?;
        self.learn(&link, &mut shared);
        Ok((link, false))
    }

    /// What the server chose this time is asked for next time.
    fn learn(&self, link: &Link<'_>, shared: &mut Option<Shared>) {
        self.speaks_http1.store(matches!(link, Link::H1(..)), Ordering::Relaxed);
        if let Link::H2(sender, number) = link {
            *shared = Some((sender.clone(), *number));
        }
    }

    fn pop_idle(&self) -> Option<http1::SendRequest<Chunks>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    async fn connect(&self) -> Result<Link<'_>, ConnectError> {
        let h2 = self.http2_only;
        match &self.endpoint.address {
            Address::Unix(path) => self.handshake(connect_unix(path).await?, h2).await,
            Address::Within(dial) => {
                let connected = dial.connect().await;
                let to = || self.authority.clone();
                let io = connected.map_err(|source| ConnectError::Reach { to: to(), source })?;
                self.handshake(io, h2).await
            }
            Address::Tcp { host, port } => {
                let tcp = connect_tcp(host, *port, &self.first_address).await?;
                match &self.tls {
                    None => self.handshake(tcp, h2).await,
                    Some(tls) => {
                        let stream = tls.connect(host, tcp).await?;
                        let chosen = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                        self.handshake(stream, h2 || chosen).await
                    }
                }
            }
        }
    }

    async fn handshake<Io>(&self, io: Io, h2: bool) -> Result<Link<'_>, ConnectError>
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(io);
        if h2 {
            let (interval, timeout) = self.keepalive;
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .initial_stream_window_size(256 << 10)
                .initial_connection_window_size(1 << 20)
                .max_header_list_size(64 << 10)
                .keep_alive_interval(Some(interval).filter(|i| !i.is_zero()))
                .keep_alive_timeout(timeout)
                .handshake(io)
                .await
                .map_err(ConnectError::Handshake)?;
            tokio::spawn(connection);
            return Ok(Link::H2(sender, self.made.fetch_add(1, Ordering::Relaxed)));
        }
        let (sender, connection) = http1::Builder::new()
            .max_header_size(64 << 10)
            .handshake(io)
            .await
            .map_err(ConnectError::Handshake)?;
        tokio::spawn(connection);
        Ok(Link::H1(sender, self))
    }
}

/// Connects to `endpoint` and gives the certificate in DER that its server proved itself with; `None` without TLS.
///
/// # Errors
/// [`ConnectError`] when there is no connection, or the server is not believed.
pub async fn certificate(
    endpoint: &Endpoint,
    tls: &TlsConfig,
) -> Result<Option<Vec<u8>>, ConnectError> {
    let Address::Tcp { host, port } = &endpoint.address else { return Ok(None) };
    if !endpoint.tls {
        return Ok(None);
    }
    let tcp = connect_tcp(host, *port, &AtomicUsize::default()).await?;
    let stream = Tls::new(tls, &[b"h2", b"http/1.1"]).connect(host, tcp).await?;
    let chain = stream.get_ref().1.peer_certificates();
    Ok(chain.and_then(|chain| chain.first()).map(|first| first.to_vec()))
}

async fn connect_unix(path: &PathBuf) -> Result<UnixStream, ConnectError> {
    let connected = UnixStream::connect(path).await;
    connected.map_err(|source| ConnectError::Reach { to: path.display().to_string(), source })
}

/// Resolves `host` and takes the first of its addresses that accepts, beginning with `first`.
async fn connect_tcp(
    host: &str,
    port: u16,
    first: &AtomicUsize,
) -> Result<TcpStream, ConnectError> {
    let resolved = tokio::net::lookup_host((host, port)).await;
    let addresses: Vec<_> = resolved
        .map_err(|source| ConnectError::Resolve { host: host.to_owned(), source })?
        .collect();
    let stream = first_that_accepts(&addresses, first, TcpStream::connect).await?;
    // Batches are written whole; waiting to fill a segment only adds latency.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Tries one after the other. Each that does not accept moves `first` on, also where the caller waits no longer for it: who runs
/// out of time among them begins behind them the next time.
async fn first_that_accepts<T, F: Future<Output = io::Result<T>>>(
    addresses: &[SocketAddr],
    first: &AtomicUsize,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<T, ConnectError> {
    let mut last = ConnectError::NoAddress;
    for _ in addresses {
        let at = first.load(Ordering::Relaxed);
        let Some(&address) = addresses.get(at % addresses.len()) else { break };
        let mut trying = Trying { first, at, accepted: false };
        let connecting = connect(address);
        let connected = if addresses.len() > 1 {
            let limited = tokio::time::timeout(ADDRESS_TIMEOUT, connecting).await;
            limited.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        } else {
            connecting.await
        };
        match connected {
            Ok(stream) => {
                trying.accepted = true;
                return Ok(stream);
            }
            Err(source) => last = ConnectError::Reach { to: address.to_string(), source },
        }
    }
    Err(last)
}

/// An address that is being tried. Dropped before it accepted, it is not the first any more, unless another is by then.
struct Trying<'a> {
    first: &'a AtomicUsize,
    at: usize,
    accepted: bool,
}

impl Drop for Trying<'_> {
    fn drop(&mut self) {
        if !self.accepted {
            let (at, next) = (self.at, self.at.wrapping_add(1));
            // It fails where others that tried the same address have moved on.
            let _ = self.first.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::endpoint::Dial;

    /// A pool whose connections lead to a peer that holds them and says nothing.
    fn pool(http2_only: bool) -> Pool {
        let dial = Dial::new(|| {
            let (near, far) = tokio::io::duplex(64 << 10);
            tokio::spawn(async move {
                let _far = far;
                std::future::pending::<()>().await;
            });
            std::future::ready(Ok(near))
        });
        let endpoint = Endpoint { address: Address::Within(dial), tls: false, path: "/".into() };
        let (tls, keepalive_time) = (TlsConfig::default(), Duration::ZERO);
        let settings =
            Settings { tls, http2_only, keepalive_time, keepalive_timeout: Duration::from_secs(1) };
        Pool::new(&endpoint, &settings)
    }

    /// The number of the connection that the next request gets, and whether it had been used before.
    async fn next(pool: &Pool) -> (u64, bool) {
        match pool.link().await.unwrap() {
            (Link::H2(_, number), reused) => (number, reused),
            (Link::H1(..), _) => panic!("HTTP/1.1 was not asked for"),
        }
    }

    #[tokio::test]
    async fn a_connection_that_is_forgotten_takes_none_along_that_was_made_since() {
        let pool = pool(true);
        assert_eq!(next(&pool).await, (0, false));
        assert_eq!(next(&pool).await, (0, true));
        pool.forget(0);
        assert_eq!(next(&pool).await, (1, false));
        pool.forget(0);
        assert_eq!(next(&pool).await, (1, true), "others that used the first say nothing of it");
        pool.forget(1);
        assert_eq!(next(&pool).await, (2, false));
    }

    #[tokio::test]
    async fn a_pool_that_is_distrusted_makes_a_connection_of_either_version_once() {
        let shared = pool(true);
        assert_eq!(next(&shared).await, (0, false));
        shared.distrust();
        assert_eq!((next(&shared).await, next(&shared).await), ((1, false), (1, true)));
        let pool = pool(false);
        let used_before = async || {
            let (link, reused) = pool.link().await.unwrap();
            link.keep();
            reused
        };
        assert!(!used_before().await && used_before().await);
        pool.distrust();
        assert!(!used_before().await && used_before().await);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_behind_many_that_never_answer_is_reached_by_who_has_ten_seconds() {
        let addresses: Vec<SocketAddr> = (1..=6).map(|n| ([10, 0, 0, n], 1).into()).collect();
        let first = AtomicUsize::default();
        let connect = |address: SocketAddr| async move {
            if address != SocketAddr::from(([10, 0, 0, 6], 1)) {
                std::future::pending::<()>().await;
            }
            Ok(address)
        };
        let reach = || {
            let reaching = first_that_accepts(&addresses, &first, connect);
            tokio::time::timeout(Duration::from_secs(10), reaching)
        };
        assert!(reach().await.is_err());
        assert!(reach().await.unwrap().is_ok());
        let began = tokio::time::Instant::now();
        assert!(reach().await.unwrap().is_ok(), "and from then on at once");
        assert!(began.elapsed().is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_less_time_than_an_address_may_take_begins_behind_it_the_next_time() {
        let silent = SocketAddr::from(([10, 0, 0, 1], 1));
        let addresses = [silent, ([10, 0, 0, 2], 1).into()];
        let first = AtomicUsize::default();
        let connect = |address: SocketAddr| async move {
            if address == silent {
                std::future::pending::<()>().await;
            }
            Ok(address)
        };
        let reach = || {
            let reaching = first_that_accepts(&addresses, &first, connect);
            tokio::time::timeout(Duration::from_secs(1), reaching)
        };
        // Two at once, as requests are: they move on by one address, not by two.
        let (one, other) = tokio::join!(reach(), reach());
        assert!(one.is_err() && other.is_err());
        for _ in 0..2 {
            assert_eq!(reach().await.unwrap().unwrap(), addresses[1]);
        }
    }
}
