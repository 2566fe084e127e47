//! TLS from files that may change: the certificate chain, the key and, for mutual TLS, the client CA.
//!
//! The files are read every `reload_interval` and used for connections from then on when they differ
//! and fit together; otherwise the ones in use stay, which is said once, and a reason until it is over.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::config::Tls;
use crate::net::certificate;
use crate::telemetry::{Registry, desc};

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} holds no usable {what}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// A certificate or a private key.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The certificate and the key do not belong together, or use what is not supported.
    #[error("the certificate in {} and its key cannot be used", cert_file.display())]
    Config {
        /// The certificate's file.
        cert_file: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

/// The files and what was last made of them.
pub(super) struct TlsFiles {
    pub(super) config: Tls,
    registry: Registry,
    current: ArcSwap<Loaded>,
}

struct Loaded {
    contents: Contents,
    server: Arc<ServerConfig>,
}

#[derive(PartialEq, Eq)]
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl fmt::Debug for TlsFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsFiles").field("config", &self.config).finish_non_exhaustive()
    }
}

impl TlsFiles {
    /// Reads the files for the first time.
    pub(super) fn load(config: Tls, registry: &Registry) -> Result<Self, TlsError> {
        let contents = Contents::read(&config)?;
        let server = contents.build(&config)?;
        contents.show_validity(&config, registry);
        let (registry, current) =
            (registry.clone(), ArcSwap::from_pointee(Loaded { contents, server }));
        Ok(Self { config, registry, current })
    }

    /// Reads the files again. Says whether they changed.
    pub(super) fn reload(&self) -> Result<bool, TlsError> {
        let contents = Contents::read(&self.config)?;
        if contents == self.current.load().contents {
            return Ok(false);
        }
        let server = contents.build(&self.config)?;
        contents.show_validity(&self.config, &self.registry);
        self.current.store(Arc::new(Loaded { contents, server }));
        Ok(true)
    }

    /// For the next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.current.load().server).into()
    }
}

impl Contents {
    fn read(config: &Tls) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
        };
        Ok(Self {
            cert: read(&config.cert_file)?,
            key: read(&config.key_file)?,
            client_ca: config.client_ca_file.as_deref().map(read).transpose()?,
        })
    }

    /// A certificate that is not valid is used all the same: whether to refuse it is the peer's to say.
    fn show_validity(&self, config: &Tls, registry: &Registry) {
        let (begins, ends): (Vec<_>, Vec<_>) = certificate::validities(&self.cert).unzip();
        let chain = (&config.cert_file, begins.into_iter().max(), ends.into_iter().min());
        // Bundles carry authorities that ended long ago: the first one to begin and the last one to end decide.
        let ca = config.client_ca_file.as_ref().zip(self.client_ca.as_ref());
        let ca = ca.map(|(path, pem)| {
            let (begins, ends): (Vec<_>, Vec<_>) = certificate::validities(pem).unzip();
            (path, begins.into_iter().min(), ends.into_iter().max())
        });
        for (path, begin, end) in [chain].into_iter().chain(ca) {
            let file = path.display().to_string();
            let (start, expiry) = (&desc::TLS_CERTIFICATE_START, &desc::TLS_CERTIFICATE_EXPIRY);
            for (desc, seconds) in [(start, begin), (expiry, end)] {
                if let Some(seconds) = seconds {
                    #[expect(clippy::cast_precision_loss, reason = "seconds are exact below 2^53")]
                    registry.gauge(desc, &[&file]).set(seconds as f64);
                }
            }
        }
    }

    fn build(&self, config: &Tls) -> Result<Arc<ServerConfig>, TlsError> {
        let chain = certificates(&config.cert_file, &self.cert)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|error| pem_error(&config.key_file, "private key", error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let unusable = |source| TlsError::Config { cert_file: config.cert_file.clone(), source };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match (&self.client_ca, &config.client_ca_file) {
            (Some(pem), Some(path)) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path, pem)? {
                    roots
                        .add(certificate)
                        .map_err(|error| pem_error(path, "certificate", error))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .map_err(|error| pem_error(path, "certificate", error))?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut server = builder.with_single_cert(chain, key).map_err(unusable)?;
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(server))
    }
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(pem_error(path, "certificate", "none found")),
        Ok(chain) => Ok(chain),
        Err(error) => Err(pem_error(path, "certificate", error)),
    }
}

fn pem_error(
    path: &Path,
    what: &'static str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> TlsError {
    TlsError::Pem { path: path.to_owned(), what, source: source.into() }
}
