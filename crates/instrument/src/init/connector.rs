//! What connects for exports: each address of a name has its part of the time, and who does not listen yet is waited for.
//!
//! An agent that is restarted is away for seconds in which the queues have room: what is being sent waits here, as long as
//! one export may take. The exporters' own retries are over after one second. Nobody who flushes or ends telemetry is kept
//! waiting for somebody who may never come: see [`Hurry`].
//!
//! Limits: [`CONNECT_TIMEOUT`] for one attempt over all addresses; from 0.1 s to a good second between two attempts.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tonic::transport::Uri;
use tower_service::Service;

/// A connection that is not there after this long is tried anew.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Between the first two attempts, and the most between two.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Whether somebody waits for what is being sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hurry(watch::Sender<usize>);

impl Hurry {
    /// There is one who waits, until this is dropped.
    pub(crate) fn begin(&self) -> Hurried {
        self.0.send_modify(|waiting| *waiting += 1);
        Hurried(self.clone())
    }

    async fn begun(&self) {
        _ = self.0.subscribe().wait_for(|waiting| *waiting > 0).await;
    }
}

/// One who waits.
#[derive(Debug)]
#[must_use = "nobody waits any longer when this is dropped"]
pub(crate) struct Hurried(Hurry);

impl Drop for Hurried {
    fn drop(&mut self) {
        self.0.0.send_modify(|waiting| *waiting = waiting.saturating_sub(1));
    }
}

/// Connects to hosts over TCP.
pub(crate) fn tcp() -> HttpConnector {
    limited(HttpConnector::new(), CONNECT_TIMEOUT)
}

/// With a limit for all addresses of a name together, of which each has its part.
fn limited<R>(mut connector: HttpConnector<R>, bound: Duration) -> HttpConnector<R> {
    // TLS comes above it.
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(bound));
    connector
}

/// Connects by another, which it asks again until somebody listens.
#[derive(Clone, Debug)]
pub(crate) struct Patient<C> {
    by: C,
    patience: Duration,
    hurry: Hurry,
}

impl<C> Patient<C> {
    pub(crate) fn new(by: C, patience: Duration, hurry: Hurry) -> Self {
        Self { by, patience, hurry }
    }
}

impl<C> Service<Uri> for Patient<C>
where
    C: Service<Uri> + Clone + Send + 'static,
    C::Response: Send,
    C::Error: Send,
    C::Future: Send,
{
    type Response = C::Response;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, C::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { mut by, patience, hurry } = self.clone();
        Box::pin(async move {
            let (begun, mut pause) = (Instant::now(), PAUSE);
            loop {
                poll_fn(|context| by.poll_ready(context)).await?;
                let refused = match by.call(uri.clone()).await {
                    Ok(connection) => return Ok(connection),
                    Err(error) => error,
                };
                // A part more, so that not all clients of a server that is back come at once.
                let wait = pause.mul_f64(1.0 + fastrand::f64() / 4.0);
                // To the end: whoever is told earlier has time left, asks again, and waits as long once more.
                let left = patience.saturating_sub(begun.elapsed());
                if left.is_zero() || timeout(wait.min(left), hurry.begun()).await.is_ok() {
                    return Err(refused);
                }
                pause = (pause * 2).min(PAUSE_MAX);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use tokio::net::{TcpListener, TcpSocket};

    /// Refuses as often as it is told to, and counts.
    #[derive(Clone)]
    struct Away(Arc<AtomicUsize>, usize);

    impl Service<Uri> for Away {
        type Response = usize;
        type Error = usize;
        type Future = std::future::Ready<Result<usize, usize>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), usize>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Uri) -> Self::Future {
            let asked = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            std::future::ready(if asked > self.1 { Ok(asked) } else { Err(asked) })
        }
    }

    fn away(refusals: usize, hurry: &Hurry) -> Patient<Away> {
        Patient::new(Away(Arc::default(), refusals), Duration::from_secs(10), hurry.clone())
    }

    fn uri() -> Uri {
        Uri::from_static("http://agent.test:4317")
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_listen_yet_is_waited_for_as_long_as_an_export_may_take() {
        let (hurry, begun) = (Hurry::default(), Instant::now());
        assert_eq!(away(8, &hurry).call(uri()).await, Ok(9));
        let waited = begun.elapsed();
        assert!((5..9).contains(&waited.as_secs()), "{waited:?}");
        let begun = Instant::now();
        assert!(away(usize::MAX, &hurry).call(uri()).await.is_err());
        // Whoever asks has no time left to ask again.
        let waited = begun.elapsed().as_millis();
        assert!((10_000..10_100).contains(&waited), "{waited}");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_flushes_is_not_kept_waiting() {
        let (hurry, begun) = (Hurry::default(), Instant::now());
        let waiting = tokio::spawn(away(usize::MAX, &hurry).call(uri()));
        tokio::time::sleep(Duration::from_secs(2)).await;
        let flush = hurry.begin();
        assert!(waiting.await.unwrap().is_err());
        assert_eq!(away(usize::MAX, &hurry).call(uri()).await, Err(1));
        assert_eq!(begun.elapsed().as_secs(), 2);
        drop(flush);
        assert_eq!(away(2, &hurry).call(uri()).await, Ok(3));
    }

    /// Two addresses of one name; the first takes no connection and does not refuse it.
    #[derive(Clone)]
    struct Both;

    impl Service<hyper_util::client::legacy::connect::dns::Name> for Both {
        type Response = std::array::IntoIter<SocketAddr, 2>;
        type Error = std::io::Error;
        type Future = std::future::Ready<std::io::Result<Self::Response>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: hyper_util::client::legacy::connect::dns::Name) -> Self::Future {
            let of = |last| SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
            std::future::ready(Ok([of(2), of(1)].into_iter()))
        }
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_leaves_time_for_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let full = TcpSocket::new_v4().unwrap();
        full.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), port))).unwrap();
        let full = full.listen(1).unwrap();
        let filling = (0..8)
            .map(|_| tokio::spawn(tokio::net::TcpStream::connect(full.local_addr().unwrap())));
        let filling: Vec<_> = filling.collect();
        let stuck = timeout(Duration::from_millis(200), async {
            for filled in filling {
                _ = filled.await;
            }
        });
        assert!(stuck.await.is_err(), "its queue has room");
        let mut connector =
            limited(HttpConnector::new_with_resolver(Both), Duration::from_millis(600));
        let connected = connector.call(format!("https://agent.test:{port}").parse().unwrap());
        let connected = connected.await.unwrap().into_inner();
        assert_eq!(connected.peer_addr().unwrap(), listener.local_addr().unwrap());
    }
}
