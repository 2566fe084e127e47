//! An OTLP client on hyper: requests go out as lists of chunks, answers come back as what they mean.
//!
//! ```text
//! chunks ─ encode (JSON, compress; once) ─▶ Encoded ─ send_encoded (any number of times) ─▶ Response
//! ```
//!
//! Limits: a request has at most 64 MiB before and after compression, an answer 4 MiB, a header list 64 KiB.
//! Connections are made when first needed and again when lost; names are resolved each time.

mod grpc;
mod http;
pub mod reply;

use std::sync::Arc;
use std::time::Duration;

use ::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;

pub use reply::Partial;

use super::compress::{Compressor, Encoded};
use super::config::{ClientConfig, Encoding, Protocol, REQUEST_BYTES_MAX, Retry};
use super::disposition::{Disposition, Status};
use super::endpoint::{grpc_path, http_path};
use crate::blocking;
use crate::net::connect::{ConnectError, Link, Pool, Settings};
use crate::net::token::{TokenError, TokenFile};
use crate::signal::Signal;
use crate::telemetry;
use crate::time::Clock;

/// The most bytes of an answer that are read.
pub const RESPONSE_BYTES_MAX: usize = 4 << 20;

/// A request was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// What the receiver said about individual items.
    pub partial: Option<Partial>,
    /// When it answered by its own clock, if it says so (`Date`).
    pub date: Option<HeaderValue>,
}

/// A request was not taken, or nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The receiver answered.
    #[error("{status}: {message}")]
    Answered {
        /// How.
        status: Status,
        /// Its words, as sent: escape them before they are shown.
        message: String,
        /// The delay that it asked for.
        retry_after: Option<Duration>,
    },
    /// No answer in time.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// No connection.
    #[error("cannot connect")]
    Connect(#[from] ConnectError),
    /// No token to show.
    #[error("nothing is sent without the token")]
    Token(#[from] TokenError),
    /// The connection ended before the answer did.
    #[error("the connection was lost before the answer")]
    Transport(#[source] hyper::Error),
    /// The same on a connection without TLS on which nothing was ever answered.
    #[error("the peer hung up without an answer (wrong port, or does it want TLS, `https://`?)")]
    HungUp(#[source] hyper::Error),
    /// A web page stands where the receiver should be: whatever its status says, nothing was taken.
    #[error(
        "{0} with a web page, so what answers is no OTLP receiver: look at the URL of the endpoint"
    )]
    WebPage(Status),
    /// The connection ended properly, but without a status.
    #[error("the answer ended without a status")]
    NoStatus,
    /// The answer is larger than [`RESPONSE_BYTES_MAX`].
    #[error("the answer is larger than {RESPONSE_BYTES_MAX} bytes")]
    ResponseTooLarge,
    /// The request is larger than may be sent.
    #[error("the request has {bytes} bytes, more than may be sent")]
    RequestTooLarge {
        /// Its size before or after compression.
        bytes: usize,
    },
    /// The request cannot be written in the configured encoding.
    #[error("the request cannot be encoded: {0}")]
    Encode(String),
    /// A file does not take it.
    #[error("cannot write")]
    Write(#[source] std::io::Error),
}

impl SendError {
    /// What to do with the batch. Every loss without an answer is retried.
    #[must_use]
    pub fn disposition(&self, policy: &Retry) -> Disposition {
        match self {
            Self::Answered { status, retry_after, .. } => {
                status.disposition(retry_after.is_some(), policy)
            }
            Self::WebPage(_) => Disposition::Hold.under(policy),
            // Nobody has refused anything: no policy gives data up for that at once.
            Self::Token(_) if policy.hold_on_config_error => Disposition::Hold,
            Self::Token(_) => Disposition::Retry,
            Self::Timeout(_)
            | Self::Connect(_)
            | Self::Transport(_)
            | Self::HungUp(_)
            | Self::NoStatus
            | Self::Write(_)
                if policy.enabled =>
            {
                Disposition::Retry
            }
            _ => Disposition::Refused,
        }
    }

    /// Whether it condemns these bytes, not the destination, the connection or the answer: then a part of
    /// them may be taken, whatever the policy says of the rest.
    #[must_use]
    pub fn faults_the_data(&self) -> bool {
        matches!(self, Self::Answered { .. } | Self::Encode(_))
            && self.disposition(&Retry::default()) == Disposition::Refused
    }

    /// The delay that the receiver asked for.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answered { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The whole chain in one line, not escaped.
    #[must_use]
    pub fn chain(&self) -> String {
        telemetry::chain(self)
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A header name or value that HTTP does not allow.
    #[error("header `{0}` is not one that HTTP allows")]
    Header(String),
}

/// A client of one receiver. Cheap to share, not to clone.
#[derive(Debug)]
pub struct Client {
    protocol: Protocol,
    encoding: Encoding,
    timeout: Duration,
    routes: [Route; 4],
    headers: HeaderMap,
    token: Option<TokenFile>,
    compressor: Compressor,
    clock: Arc<dyn Clock>,
}

#[derive(Clone, Debug)]
struct Route {
    pool: Arc<Pool>,
    path: String,
}

impl Route {
    /// The next request takes another connection than one that did not answer: a shared one is known by its number.
    fn leave(&self, shared: Option<u64>) {
        match shared {
            Some(number) => self.pool.forget(number),
            None => self.pool.distrust(),
        }
    }
}

impl Client {
    /// A client for `config`. Nothing is connected yet.
    ///
    /// # Errors
    /// [`ClientError`] for a header that cannot be sent: show it to who configured it.
    pub fn new(config: &ClientConfig, clock: Arc<dyn Clock>) -> Result<Self, ClientError> {
        let settings = Settings {
            tls: config.tls.clone(),
            http2_only: config.protocol == Protocol::Grpc,
            keepalive_time: config.keepalive_time,
            keepalive_timeout: config.keepalive_timeout,
        };
        let mut pools: Vec<Arc<Pool>> = Vec::new();
        let routes = Signal::ALL.map(|signal| {
            let (endpoint, own) = config.endpoint_of(signal);
            let pool = match pools.iter().find(|p| p.serves(endpoint)) {
                Some(pool) => Arc::clone(pool),
                None => {
                    let pool = Arc::new(Pool::new(endpoint, &settings));
                    pools.push(Arc::clone(&pool));
                    pool
                }
            };
            let path = match config.protocol {
                Protocol::Grpc => grpc_path(signal).to_owned(),
                Protocol::Http => http_path(endpoint, signal, own),
            };
            Route { pool, path }
        });
        Ok(Self {
            protocol: config.protocol,
            encoding: match config.protocol {
                Protocol::Grpc => Encoding::Proto,
                Protocol::Http => config.encoding,
            },
            timeout: config.timeout,
            routes,
            headers: fixed_headers(config)?,
            token: config.bearer_token_file.clone().map(TokenFile::new),
            compressor: Compressor::new(config.compression),
            clock,
        })
    }

    /// Memory that a byte of payload and the body made of it hold, in percent. JSON is some 2.3 times as
    /// large as protobuf, compressed bodies a fifth.
    #[must_use]
    pub const fn weight_percent(&self) -> usize {
        let plain = self.compressor.is_identity();
        match (self.encoding, plain) {
            (Encoding::Proto, true) => 100,
            (Encoding::Proto, false) => 130,
            (Encoding::Json, true) => 350,
            (Encoding::Json, false) => 150,
        }
    }

    /// Sends one request, given as protobuf in any number of chunks.
    ///
    /// # Errors
    /// [`SendError`]; its disposition says what to do.
    pub async fn send(&self, signal: Signal, chunks: Vec<Bytes>) -> Result<Response, SendError> {
        let body = self.encode(signal, chunks).await?;
        self.send_encoded(signal, &body, &[]).await
    }

    /// The path that requests of `signal` go to.
    #[must_use]
    pub fn path_of(&self, signal: Signal) -> &str {
        self.routes.get(signal.index()).map_or("", |route| &route.path)
    }

    /// Makes the body of a request: transcoded if need be, compressed, to be sent any number of times.
    ///
    /// # Errors
    /// [`SendError::RequestTooLarge`] and [`SendError::Encode`].
    pub async fn encode(&self, signal: Signal, chunks: Vec<Bytes>) -> Result<Encoded, SendError> {
        let chunks = match self.encoding {
            Encoding::Proto => chunks,
            // Milliseconds, in which a worker's connections would wait.
            Encoding::Json => {
                vec![blocking::run(move || to_json(signal, &chunks)).await?]
            }
        };
        let bytes = chunks.iter().map(Bytes::len).sum();
        if bytes > REQUEST_BYTES_MAX {
            return Err(SendError::RequestTooLarge { bytes });
        }
        let encoded = self.compressor.encode(chunks).await;
        let encoded = encoded.map_err(|e| SendError::Encode(e.to_string()))?;
        if encoded.bytes > REQUEST_BYTES_MAX {
            return Err(SendError::RequestTooLarge { bytes: encoded.bytes });
        }
        Ok(encoded)
    }

    /// Sends a body that [`Client::encode`] made, with `passed` headers besides the configured ones.
    ///
    /// # Errors
    /// [`SendError`]; its disposition says what to do.
    ///
    /// # Cancel safety
    /// A cancelled call may or may not have been received.
    pub async fn send_encoded(
        &self,
        signal: Signal,
        body: &Encoded,
        passed: &[(String, Bytes)],
    ) -> Result<Response, SendError> {
        let Some(route) = self.routes.get(signal.index()) else {
            return Err(SendError::Encode(format!("no route for {signal}")));
        };
        let mut headers = self.headers.clone();
        if let Some(file) = &self.token {
            let value = file.authorization(self.timeout).await?;
            headers.insert(header::AUTHORIZATION, value);
        }
        add_passed(&mut headers, passed);
        let mut shared = None;
        let exchange = self.exchange(route, body, &headers, &mut shared);
        let sent = tokio::time::timeout(self.timeout, exchange).await;
        sent.unwrap_or_else(|_| {
            route.leave(shared);
            Err(SendError::Timeout(self.timeout))
        })
    }

    /// One exchange. A connection that was idle may be gone without our knowing: then, once, another. The number of one that
    /// it shares with other requests is in `shared`, however it ends.
    async fn exchange(
        &self,
        route: &Route,
        body: &Encoded,
        headers: &HeaderMap,
        shared: &mut Option<u64>,
    ) -> Result<Response, SendError> {
        let mut again = true;
        loop {
            let (link, reused) = route.pool.link().await?;
            *shared = match &link {
                Link::H2(_, number) => Some(*number),
                Link::H1(..) => None,
            };
            let (headers, now) = (headers.clone(), self.clock.unix_nano());
            let attempt = match self.protocol {
                Protocol::Grpc => grpc::send(link, route, headers, body, now).await,
                Protocol::Http => http::send(link, route, headers, body, self.encoding, now).await,
            };
            match attempt {
                Err(SendError::Transport(_)) if reused && again => {
                    again = false;
                    route.leave(*shared);
                }
                Err(SendError::Transport(error)) if !reused && route.pool.is_plain_tcp() => {
                    return Err(SendError::HungUp(error));
                }
                Err(SendError::Transport(error)) => {
                    let tls = route.pool.tls.as_ref().and_then(|tls| tls.lost_for(&error));
                    return Err(match tls {
                        Some(refused) => SendError::Connect(refused.into()),
                        None => SendError::Transport(error),
                    });
                }
                outcome => return outcome,
            }
        }
    }
}

fn fixed_headers(config: &ClientConfig) -> Result<HeaderMap, ClientError> {
    let mut headers = HeaderMap::new();
    for (name, value) in std::iter::once(("user-agent", config.user_agent.as_str()))
        .chain(config.headers.iter().map(|(name, value)| (name.as_str(), value.expose())))
    {
        let refuse = || ClientError::Header(name.to_owned());
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refuse())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| refuse())?;
        if reserved(&key) {
            return Err(refuse());
        }
        value.set_sensitive(name != "user-agent");
        if key == header::USER_AGENT {
            headers.insert(key, value);
        } else {
            headers.append(key, value);
        }
    }
    Ok(headers)
}

/// Headers that belong to the framing.
fn reserved(name: &HeaderName) -> bool {
    let framing = [
        header::CONNECTION,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::HOST,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    framing.contains(name) || name.as_str().starts_with("grpc-")
}

/// Adds the headers of the journalled request; one of the same name that was configured gives way.
fn add_passed(headers: &mut HeaderMap, passed: &[(String, Bytes)]) {
    let named: Vec<_> = passed
        .iter()
        .filter_map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok().filter(|n| !reserved(n))?;
            let mut value = HeaderValue::from_maybe_shared(value.clone()).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        })
        .collect();
    for (name, _) in &named {
        headers.remove(name);
    }
    for (name, value) in named {
        headers.append(name, value);
    }
}

fn to_json(signal: Signal, chunks: &[Bytes]) -> Result<Bytes, SendError> {
    let joined = match chunks {
        [single] => single.clone(),
        several => several.concat().into(),
    };
    let mut json = Vec::with_capacity(2 * joined.len());
    sidelight_wire::json::from_protobuf(signal, &joined, &mut json)
        .map_err(|error| SendError::Encode(error.to_string()))?;
    Ok(json.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::endpoint::Endpoint;
    use crate::net::secret::Secret;

    fn config() -> ClientConfig {
        let endpoint = Endpoint::parse("http://127.0.0.1:1", true, 4317).unwrap();
        ClientConfig::new(Protocol::Grpc, endpoint)
    }

    #[test]
    fn headers_that_cannot_be_sent_are_refused_when_configured() {
        for (name, value) in [("a b", "x"), ("x", "a\nb"), ("content-type", "x"), ("grpc-x", "x")] {
            let mut config = config();
            config.headers.push((name.to_owned(), Secret::new(value)));
            assert!(fixed_headers(&config).is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn passed_headers_replace_configured_ones_and_never_the_framing() {
        let mut config = config();
        config.headers.push(("x-tenant".to_owned(), Secret::new("all")));
        let mut headers = fixed_headers(&config).unwrap();
        let passed = [("x-tenant", "shop"), ("content-type", "text/plain"), ("te", "x")]
            .map(|(n, v)| (n.to_owned(), Bytes::from_static(v.as_bytes())));
        add_passed(&mut headers, &passed);
        assert_eq!(headers.get("x-tenant").unwrap(), "shop");
        assert!(headers.get("content-type").is_none());
        let agent = headers.get("user-agent").unwrap().to_str().unwrap();
        assert!(agent.starts_with("Sidelight/") && agent.contains(" OTel-OTLP-Exporter-Rust/"));
        assert!(!format!("{headers:?}").contains("shop"));
    }

    #[test]
    fn every_loss_without_an_answer_is_retried() {
        let policy = Retry::default();
        for error in [
            SendError::Timeout(Duration::from_secs(1)),
            SendError::NoStatus,
            SendError::Connect(ConnectError::NoAddress),
            SendError::Write(std::io::ErrorKind::StorageFull.into()),
        ] {
            assert_eq!(error.disposition(&policy), Disposition::Retry, "{error}");
        }
        assert_eq!(SendError::ResponseTooLarge.disposition(&policy), Disposition::Refused);
    }

    #[test]
    fn a_web_page_condemns_the_destination_as_404_does() {
        let page = SendError::WebPage(Status::Http(200));
        let letter = Retry { hold_on_config_error: false, ..Retry::default() };
        let off = Retry { enabled: false, ..Retry::default() };
        for policy in [Retry::default(), letter, off] {
            let wrong_path = Status::Http(404).disposition(false, &policy);
            assert_eq!(page.disposition(&policy), wrong_path, "{policy:?}");
        }
        assert_eq!(page.disposition(&Retry::default()), Disposition::Hold);
        assert!(!page.faults_the_data());
    }

    #[test]
    fn only_an_answer_about_the_bytes_faults_them() {
        let answered = |status| {
            let message = String::new();
            SendError::Answered { status, message, retry_after: None }.faults_the_data()
        };
        for status in [Status::Grpc(2), Status::Grpc(3), Status::Grpc(8), Status::Grpc(13)] {
            assert!(answered(status), "{status}");
        }
        for status in [Status::Http(400), Status::Http(413), Status::Http(500)] {
            assert!(answered(status), "{status}");
        }
        for status in [Status::Grpc(14), Status::Grpc(16), Status::Http(503), Status::Http(401)] {
            assert!(!answered(status), "{status}");
        }
        assert!(SendError::Encode(String::new()).faults_the_data());
        assert!(!SendError::ResponseTooLarge.faults_the_data());
        assert!(!SendError::Timeout(Duration::from_secs(1)).faults_the_data());
    }
}
