//! TLS: the files that the environment names, and connections to `https://` for OTLP over HTTP.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::transport::Uri;
use tower_service::Service;

use super::connector::Patient;
use super::env::{Named, TlsFiles};
use super::error::StartError;
use super::signal::Signal;

impl Named {
    pub(crate) fn read(&self) -> Result<Vec<u8>, StartError> {
        std::fs::read(&self.path).map_err(|source| self.refuse(source))
    }

    fn refuse(&self, source: io::Error) -> StartError {
        StartError::Tls { variable: self.variable.clone(), path: self.path.clone(), source }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, StartError> {
        let pem = self.read()?;
        let all = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
        let all = all.map_err(|error| self.refuse(invalid(error)))?;
        if all.is_empty() {
            return Err(self.refuse(invalid("there is no certificate in it")));
        }
        Ok(all)
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Connects to hosts by TLS over TCP.
#[derive(Clone)]
pub(crate) struct Https {
    by: Patient<HttpConnector>,
    config: Arc<ClientConfig>,
}

impl fmt::Debug for Https {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Https")
    }
}

impl Https {
    /// With the roots of the system, or those that `files` have.
    pub(crate) fn new(
        signal: Signal,
        files: &TlsFiles,
        by: Patient<HttpConnector>,
    ) -> Result<Self, StartError> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(signal, &error))?
            .with_root_certificates(roots(files)?);
        let mut config = match &files.client {
            Some((certificate, key)) => {
                let chain = certificate.certificates()?;
                let private = PrivateKeyDer::from_pem_slice(&key.read()?)
                    .map_err(|error| key.refuse(invalid(error)))?;
                config
                    .with_client_auth_cert(chain, private)
                    .map_err(|error| key.refuse(invalid(error)))?
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { by, config: Arc::new(config) })
    }
}

fn roots(files: &TlsFiles) -> Result<RootCertStore, StartError> {
    let mut roots = RootCertStore::empty();
    if let Some(named) = &files.authority {
        for certificate in named.certificates()? {
            roots.add(certificate).map_err(|error| named.refuse(invalid(error)))?;
        }
    } else {
        // Systems have some that do not parse.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    Ok(roots)
}

fn failed(signal: Signal, error: &impl fmt::Display) -> StartError {
    StartError::Exporter { signal: signal.as_str(), reason: error.to_string() }
}

impl Service<Uri> for Https {
    type Response = TokioIo<Encrypted>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let connecting = self.by.call(uri.clone());
        Box::pin(async move {
            let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
            let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
            let socket = connecting.await.map_err(io::Error::other)?.into_inner();
            Ok(TokioIo::new(Encrypted(connector.connect(name, socket).await?)))
        })
    }
}

/// A connection that hyper takes.
#[derive(Debug)]
pub(crate) struct Encrypted(TlsStream<TcpStream>);

impl Connection for Encrypted {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
