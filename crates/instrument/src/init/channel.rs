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

use super::endpoint::Endpoint;
use super::env::TlsFiles;
use super::error::StartError;

/// A connection that is not there after this long is tried anew.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A channel to `endpoint`; must be called in the runtime that will drive it.
pub(crate) fn connect(
    endpoint: &Endpoint,
    tls: &TlsFiles,
    timeout: Duration,
) -> Result<Channel, StartError> {
    match endpoint {
        Endpoint::Unix(path) => {
            // The authority that the agent sees; no name is resolved.
            let peer = Peer::from_static("http://localhost")
                .timeout(timeout)
                .connect_timeout(CONNECT_TIMEOUT);
            Ok(peer.connect_with_connector_lazy(Socket(path.clone())))
        }
        Endpoint::Grpc(uri) | Endpoint::Http(uri) => {
            let refuse = |reason: String| StartError::Endpoint { endpoint: uri.clone(), reason };
            let peer = Peer::from_shared(uri.clone()).map_err(|error| refuse(error.to_string()))?;
            let peer = peer.timeout(timeout).connect_timeout(CONNECT_TIMEOUT);
            let peer = if uri.starts_with("https:") { encrypted(peer, tls, uri)? } else { peer };
            Ok(peer.connect_lazy())
        }
    }
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
