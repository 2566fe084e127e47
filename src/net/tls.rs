//! TLS towards a peer: rustls with ring, the platform's authorities or a file's.
//!
//! Files are read on every connect; when they cannot be, the last ones that could hold.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{AlertDescription, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::blocking;

/// TLS towards one destination. The files are read again on every connect, so that rotated
/// certificates are taken up without a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// Certificate authorities in PEM; the platform's when absent.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate chain in PEM.
    pub cert_file: Option<PathBuf>,
    /// The client's key in PEM.
    pub key_file: Option<PathBuf>,
    /// The name that the server's certificate must carry, instead of the endpoint's host.
    pub server_name_override: Option<String>,
    /// Whether an endpoint without a scheme is plain text.
    pub insecure: bool,
    /// Whether the server's certificate is taken unseen.
    pub insecure_skip_verify: bool,
}

/// What is wrong with the files or the handshake.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds no PEM of the kind wanted.
    #[error("{} holds no usable PEM: {why}", .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A certificate without a key or the other way round.
    #[error("cert_file and key_file go together")]
    Pair,
    /// The platform has no authorities.
    #[error("the platform has no certificate authorities: set tls.ca_file")]
    NoAuthorities,
    /// rustls refuses the certificates.
    #[error("the certificates cannot be used")]
    Rustls(#[from] rustls::Error),
    /// Not a host name.
    #[error("`{0}` is not a server name")]
    ServerName(String),
    /// The handshake failed.
    #[error("handshake")]
    Handshake(#[source] std::io::Error),
    /// What answers is not TLS.
    #[error(
        "the peer does not speak TLS at this port (did you mean `http://`, or `tls.insecure: true`?)"
    )]
    PlainText,
    /// Nobody known signed for the peer.
    #[error("no known authority signed the peer's certificate (is it the one in `tls.ca_file`?)")]
    UnknownAuthority,
    /// Its certificate has ended, or this machine's clock is ahead.
    #[error("the peer's certificate has expired, or this machine's clock is wrong: {0}")]
    Expired(rustls::CertificateError),
    /// Its certificate has not begun, or this machine's clock is behind.
    #[error("the peer's certificate is not valid yet, or this machine's clock is behind: {0}")]
    NotValidYet(rustls::CertificateError),
    /// Its certificate is another name's.
    #[error(
        "the peer's certificate is for another name (is it the one for `tls.server_name_override`?): {0}"
    )]
    OtherName(rustls::CertificateError),
    /// Its certificate may sign others, and so is none of a server.
    #[error(
        "the server's certificate is itself an authority (CA:TRUE), as `openssl req -x509` makes them: make one with `-addext \
         basicConstraints=critical,CA:FALSE`"
    )]
    Authority,
    /// It wants a certificate, and none is configured.
    #[error("the peer wants a client certificate: set tls.cert_file and tls.key_file")]
    CertificateWanted,
    /// It does not trust ours.
    #[error("the peer refused our certificate ({0:?}): did its authority sign tls.cert_file?")]
    CertificateRefused(AlertDescription),
}

fn refused(error: std::io::Error, shown: bool) -> TlsError {
    use rustls::{CertificateError, Error, InvalidMessage};
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => TlsError::PlainText,
        // The signature is bad when another authority has the same name.
        Some(Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        )) => TlsError::UnknownAuthority,
        Some(Error::InvalidCertificate(
            why @ (CertificateError::Expired | CertificateError::ExpiredContext { .. }),
        )) => TlsError::Expired(why.clone()),
        Some(Error::InvalidCertificate(
            why @ (CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }),
        )) => TlsError::NotValidYet(why.clone()),
        Some(Error::InvalidCertificate(
            why @ (CertificateError::NotValidForName
            | CertificateError::NotValidForNameContext { .. }),
        )) => TlsError::OtherName(why.clone()),
        // rustls has no word of its own for it.
        Some(Error::InvalidCertificate(CertificateError::Other(why)))
            if why.to_string() == "CaUsedAsEndEntity" =>
        {
            TlsError::Authority
        }
        Some(Error::AlertReceived(alert)) => {
            about_certificates(*alert, shown).unwrap_or(TlsError::Handshake(error))
        }
        _ => TlsError::Handshake(error),
    }
}

/// Those that may be about our certificate.
const ALERTS: [AlertDescription; 9] = [
    AlertDescription::CertificateRequired,
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::UnknownCA,
    AlertDescription::AccessDenied,
    AlertDescription::DecryptError,
];

/// What an alert says about our certificate, if it does.
fn about_certificates(alert: AlertDescription, shown: bool) -> Option<TlsError> {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired => Some(TlsError::CertificateWanted),
        // What TLS 1.2 says of none.
        Alert::HandshakeFailure | Alert::BadCertificate if !shown => {
            Some(TlsError::CertificateWanted)
        }
        _ if shown && ALERTS.contains(&alert) => Some(TlsError::CertificateRefused(alert)),
        _ => None,
    }
}

/// The protocols offered in a handshake, the preferred one first.
pub(super) type Alpn = &'static [&'static [u8]];

/// What a handshake needs.
#[derive(Debug)]
pub struct Tls {
    config: TlsConfig,
    alpn: Alpn,
    last: Mutex<Option<Arc<rustls::ClientConfig>>>,
}

impl Tls {
    pub(super) fn new(config: &TlsConfig, alpn: Alpn) -> Self {
        Self { config: config.clone(), alpn, last: Mutex::default() }
    }

    /// Does the handshake over `tcp` with the server that should be `host`.
    pub(super) async fn connect(
        &self,
        host: &str,
        tcp: TcpStream,
    ) -> Result<TlsStream<TcpStream>, TlsError> {
        let name = self.config.server_name_override.as_deref().unwrap_or(host);
        let server = ServerName::try_from(name.to_owned())
            .map_err(|_| TlsError::ServerName(name.to_owned()))?;
        let config = self.current().await?;
        let connector = tokio_rustls::TlsConnector::from(config);
        connector.connect(server, tcp).await.map_err(|error| refused(error, self.shows()))
    }

    const fn shows(&self) -> bool {
        self.config.cert_file.is_some()
    }

    /// Whether a connection was lost because of our certificate: with TLS 1.3 a client hears of it only after
    /// the handshake.
    #[must_use]
    pub fn lost_for(&self, error: &hyper::Error) -> Option<TlsError> {
        // h2 keeps an error's words and not its type.
        let words = crate::telemetry::chain(error);
        let said = |alert: &&AlertDescription| {
            words.ends_with(&rustls::Error::AlertReceived(**alert).to_string())
        };
        let alert = ALERTS.iter().find(said)?;
        about_certificates(*alert, self.shows())
    }

    async fn current(&self) -> Result<Arc<rustls::ClientConfig>, TlsError> {
        let has_files = self.config.ca_file.is_some() || self.config.cert_file.is_some();
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(last) = last.as_ref().filter(|_| !has_files) {
            return Ok(Arc::clone(last));
        }
        let (config, alpn) = (self.config.clone(), self.alpn);
        let loaded = blocking::run(move || load(&config, alpn)).await;
        match (loaded, last) {
            (Ok(loaded), _) => {
                let loaded = Arc::new(loaded);
                let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
                *last = Some(Arc::clone(&loaded));
                Ok(loaded)
            }
            (Err(error), Some(last)) => {
                tracing::warn!(%error, "TLS files cannot be used: the last ones hold");
                Ok(last)
            }
            (Err(error), None) => Err(error),
        }
    }
}

fn load(config: &TlsConfig, alpn: Alpn) -> Result<rustls::ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = if config.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Unseen(provider)))
    } else {
        builder.with_root_certificates(authorities(config.ca_file.as_deref())?)
    };
    let mut tls = match (&config.cert_file, &config.key_file) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key_path)) => {
            let key = PrivateKeyDer::from_pem_slice(&read(key_path)?)
                .map_err(|e| TlsError::Pem { path: key_path.clone(), why: e.to_string() })?;
            builder.with_client_auth_cert(certificates(cert)?, key)?
        }
        _ => return Err(TlsError::Pair),
    };
    tls.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(tls)
}

fn authorities(ca_file: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            for certificate in certificates(path)? {
                store.add(certificate)?;
            }
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if store.is_empty() { Err(TlsError::NoAuthorities) } else { Ok(store) }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let refuse = |why: String| TlsError::Pem { path: path.to_owned(), why };
    let pem = read(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let all = all.map_err(|e| refuse(e.to_string()))?;
    if all.is_empty() { Err(refuse("no certificate".to_owned())) } else { Ok(all) }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

/// `insecure_skip_verify`: whoever answers is believed, but must hold the key of the certificate shown.
#[derive(Debug)]
struct Unseen(Arc<CryptoProvider>);

impl ServerCertVerifier for Unseen {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_whose_certificate_is_an_authority_is_told_how_to_make_one_that_is_not() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let ca_file = directory.path().join("ca.pem");
        std::fs::write(&ca_file, certificate.pem()).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let served = tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.unwrap();
            drop(tokio_rustls::TlsAcceptor::from(Arc::new(server)).accept(tcp).await);
        });
        let config = TlsConfig { ca_file: Some(ca_file), ..TlsConfig::default() };
        let error = Tls::new(&config, &[]).connect("localhost", tcp).await.unwrap_err();
        assert!(matches!(error, TlsError::Authority), "{error:?}");
        served.await.unwrap();
    }
}
