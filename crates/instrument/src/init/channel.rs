//! gRPC channels: over TCP, TLS, or the agent's Unix socket. They connect when first used, and again whenever they must.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint as Peer, Uri};
use tower_service::Service;

use super::broken::{Breaks, Noticing};
use super::connector::{CONNECT_TIMEOUT, Hurry, Patient, tcp};
use super::endpoint::Endpoint;
use super::env::TlsFiles;
use super::error::StartError;

/// After half of what an export may take without a word, but within these, a peer is asked whether it is there: one that
/// vanished says nothing, and the kernel would wait for it for a quarter of an hour. Servers in Go hang up on who asks more
/// than twice in an export.
const ASKED_AFTER: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];
/// And so much later it is given up.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A channel to `endpoint`, on which an export may take `timeout`; must be called in the runtime that will drive it.
pub(crate) fn connect(
    endpoint: &Endpoint,
    tls: &TlsFiles,
    timeout: Duration,
    (hurry, breaks): (&Hurry, &Breaks),
) -> Result<Channel, StartError> {
    match endpoint {
        Endpoint::Unix(path) => {
            // The authority that the agent sees; no name is resolved.
            let peer = limited(Peer::from_static("http://localhost"), timeout);
            let socket = Patient::new(Socket(path.clone()), timeout, hurry.clone());
            Ok(peer.connect_with_connector_lazy(Noticing::new(socket, breaks.clone())))
        }
        Endpoint::Grpc(uri) | Endpoint::Http(uri) => {
            let refuse = |reason: String| StartError::Endpoint { endpoint: uri.clone(), reason };
            let peer = Peer::from_shared(uri.clone()).map_err(|error| refuse(error.to_string()))?;
            let peer = limited(peer, timeout);
            let peer = if uri.starts_with("https:") { encrypted(peer, tls, uri)? } else { peer };
            let tcp = Patient::new(tcp(), timeout, hurry.clone());
            Ok(peer.connect_with_connector_lazy(Noticing::new(tcp, breaks.clone())))
        }
    }
}

fn limited(peer: Peer, timeout: Duration) -> Peer {
    let [at_least, at_most] = ASKED_AFTER;
    peer.timeout(timeout)
        // Of all attempts, and of TLS after the last.
        .connect_timeout(timeout.saturating_add(CONNECT_TIMEOUT))
        .http2_keep_alive_interval((timeout / 2).clamp(at_least, at_most))
        .keep_alive_timeout(ANSWER_WITHIN)
}

#[cfg(not(feature = "tls"))]
fn encrypted(_peer: Peer, _tls: &TlsFiles, uri: &str) -> Result<Peer, StartError> {
    Err(without_tls(uri))
}

#[cfg(not(feature = "tls"))]
pub(crate) fn without_tls(uri: &str) -> StartError {
    StartError::Endpoint {
        endpoint: uri.to_owned(),
        reason: "https needs the feature `tls` of sidelight-instrument".to_owned(),
    }
}

#[cfg(feature = "tls")]
fn encrypted(peer: Peer, tls: &TlsFiles, uri: &str) -> Result<Peer, StartError> {
    use tonic::transport::{Certificate, ClientTlsConfig, Identity};

    let mut config = ClientTlsConfig::new();
    config = match &tls.authority {
        Some(file) => config.ca_certificate(Certificate::from_pem(file.read()?)),
        None => config.with_enabled_roots(),
    };
    if let Some((certificate, key)) = &tls.client {
        config = config.identity(Identity::from_pem(certificate.read()?, key.read()?));
    }
    peer.tls_config(config).map_err(|error| StartError::Endpoint {
        endpoint: uri.to_owned(),
        reason: error.to_string(),
    })
}

/// Connects to a path, whatever URI is asked for.
#[derive(Clone)]
struct Socket(PathBuf);

impl Service<Uri> for Socket {
    type Response = TokioIo<UnixStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let path = self.0.clone();
        Box::pin(async move { UnixStream::connect(path).await.map(TokioIo::new) })
    }
}
