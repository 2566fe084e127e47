//! One POST of JSON to one receiver, every stage of it bounded, and what went wrong in words that help.
//!
//! Limits: half of the receiver's timeout to connect, all of it from there to the last byte of the answer, 64 KiB of
//! an answer; what is longer is not read, and its connection not used again. A minute of the wait that it asks for. Redirects
//! are never followed: they would carry alerts and credentials to a host that nobody configured.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::config::Peer;
use super::message::cut;
use crate::net::body::Chunks;
use crate::net::connect::{ConnectError, Link, Pool, Settings};
use crate::net::retry::parse_retry_after;
use crate::net::token::{TokenError, TokenFile};
use crate::telemetry;
use crate::time::UnixNano;

/// The most bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Of its words, that are kept.
const WORDS_BYTES_MAX: usize = 300;
/// The longest wait that it may ask for: alerts hold for four minutes, and must be said again within them.
const ASKED_MAX: Duration = Duration::from_secs(60);

/// Why a receiver did not take what was sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostError {
    /// It answered, but not with success.
    #[error("it answered {status}{}", words_after(.words))]
    Answered { status: u16, words: String, retry_after: Option<Duration> },
    /// It wants us elsewhere.
    #[error(
        "it answered {status} and redirects to {to}, which is not followed: set `url` to where it leads"
    )]
    Redirect { status: u16, to: String },
    /// No connection in time.
    #[error("no connection within {} s: is the address right, and does a firewall drop what is sent there?", .0.as_secs_f64())]
    ConnectTimeout(Duration),
    /// No answer in time.
    #[error("no answer within {} s: it accepts connections and does not answer", .0.as_secs_f64())]
    Timeout(Duration),
    /// No connection.
    #[error("cannot connect")]
    Connect(#[from] ConnectError),
    /// It hung up.
    #[error("it hung up before it answered (wrong port, or does it want TLS, `https://`?)")]
    HungUp(#[source] hyper::Error),
    /// Its answer is not HTTP, or ended early.
    #[error("its answer cannot be read: is this an HTTP server?")]
    Garbage(#[source] hyper::Error),
    /// Our own token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// What is configured cannot be sent.
    #[error("the request cannot be made: {0}")]
    Request(#[from] http::Error),
}

fn words_after(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {words}") }
}

impl PostError {
    /// Whether the same may be taken a little later.
    pub(super) fn passes(&self) -> bool {
        match self {
            Self::Answered { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            Self::Redirect { .. } | Self::Request(_) => false,
            _ => true,
        }
    }

    /// Whether less at once may be taken.
    pub(super) const fn is_too_large(&self) -> bool {
        matches!(self, Self::Answered { status: 413, .. })
    }

    /// The delay that it asked for.
    pub(super) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answered { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The value of the label `reason`.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Answered { status: 400..=499, .. } => "refused",
            Self::Answered { .. } => "server_error",
            Self::Redirect { .. } => "redirect",
            Self::ConnectTimeout(_) | Self::Timeout(_) => "timeout",
            Self::Connect(_) => "connect",
            Self::HungUp(_) | Self::Garbage(_) => "protocol",
            Self::Token(_) | Self::Request(_) => "configuration",
        }
    }

    /// The whole chain in one line, with what to do where it is known; nothing in it steers a terminal.
    pub(super) fn say(&self) -> String {
        let help = match self {
            Self::Answered { status: 401 | 403, .. } => {
                "; give a token with `auth.bearer_token_file`, or `headers`"
            }
            Self::Answered { status: 404 | 405, .. } => "; is the path of `url` right?",
            _ => "",
        };
        printable(&format!("{}{help}", telemetry::chain(self)), 2 * WORDS_BYTES_MAX)
    }
}

/// A client of one receiver.
#[derive(Debug)]
pub(super) struct Client {
    peer: Peer,
    pool: Pool,
    path: String,
    token: Option<TokenFile>,
    headers: HeaderMap,
}

impl Client {
    /// A client that posts to the receiver's path followed by `suffix`. Headers that HTTP does not allow, which the
    /// configuration refuses, are left out.
    pub(super) fn new(peer: &Peer, suffix: &str) -> Self {
        let settings = Settings {
            tls: peer.tls.clone(),
            http2_only: false,
            keepalive_time: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(10),
        };
        let mut headers = HeaderMap::new();
        let agent = concat!("Sidelight/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in &peer.headers {
            let name = HeaderName::from_bytes(name.as_bytes());
            let value = HeaderValue::from_str(value.expose());
            if let (Ok(name), Ok(mut value)) = (name, value) {
                value.set_sensitive(true);
                headers.append(name, value);
            }
        }
        let base = &peer.endpoint.path;
        let path = if suffix.is_empty() {
            format!("{base}{}", peer.query.expose())
        } else {
            format!("{}{suffix}", base.trim_end_matches('/'))
        };
        let token = peer.bearer_token_file.clone().map(TokenFile::new);
        let pool = Pool::new(&peer.endpoint, &settings);
        Self { pool, peer: peer.clone(), token, path, headers }
    }

    /// Posts `body`. `now` is for what the answer says of times.
    ///
    /// # Errors
    /// [`PostError`]; then the receiver may have taken it all the same, unless it answered.
    pub(super) async fn post(&self, body: &Bytes, now: UnixNano) -> Result<(), PostError> {
        let limit = self.peer.timeout;
        let posted = tokio::time::timeout(limit, self.exchange(body, now)).await;
        posted.unwrap_or_else(|_| {
            self.pool.distrust();
            Err(PostError::Timeout(limit))
        })
    }

    /// One exchange. A connection that was idle may be gone without our knowing: then, once, another.
    async fn exchange(&self, body: &Bytes, now: UnixNano) -> Result<(), PostError> {
        let mut headers = self.headers.clone();
        if let Some(file) = &self.token {
            let limit = self.peer.timeout / 2;
            headers.insert(header::AUTHORIZATION, file.authorization(limit).await?);
        }
        let mut again = true;
        loop {
            let limit = self.peer.timeout / 2;
            let connected = tokio::time::timeout(limit, self.pool.link()).await;
            let (mut link, reused) = match connected {
                Ok(link) => link?,
                Err(_) => {
                    self.pool.distrust();
                    return Err(PostError::ConnectTimeout(limit));
                }
            };
            let request = self.request(&link, headers.clone(), body)?;
            let answered = match &mut link {
                Link::H2(sender, _) => sender.send_request(request).await,
                Link::H1(sender, _) => sender.send_request(request).await,
            };
            match answered {
                Ok(response) => return read(link, response, now).await,
                Err(_) if reused && again => {
                    again = false;
                    self.pool.distrust();
                }
                Err(error) => return Err(self.lost(error)),
            }
        }
    }

    fn lost(&self, error: hyper::Error) -> PostError {
        match self.pool.tls.as_ref().and_then(|tls| tls.lost_for(&error)) {
            Some(refused) => PostError::Connect(refused.into()),
            None if error.is_parse() => PostError::Garbage(error),
            None => PostError::HungUp(error),
        }
    }

    fn request(
        &self,
        link: &Link<'_>,
        mut headers: HeaderMap,
        body: &Bytes,
    ) -> Result<Request<Chunks>, http::Error> {
        let builder = Request::builder().method(Method::POST);
        let builder = match link {
            Link::H2(..) => {
                let scheme = if self.pool.endpoint.tls { "https" } else { "http" };
                let uri = format!("{scheme}://{}{}", self.pool.authority, self.path);
                builder.uri(uri).version(Version::HTTP_2)
            }
            Link::H1(..) => {
                headers.insert(header::HOST, HeaderValue::from_str(&self.pool.authority)?);
                builder.uri(&self.path).version(Version::HTTP_11)
            }
        };
        let mut request = builder.body(Chunks::new(None, std::slice::from_ref(body)))?;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// Reads an answer as far as it is of use.
async fn read(
    link: Link<'_>,
    response: Response<Incoming>,
    now: UnixNano,
) -> Result<(), PostError> {
    let (head, body) = response.into_parts();
    let status = head.status.as_u16();
    let text = |name| head.headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    let body = bounded(body).await;
    // The status has arrived: it is the answer, whatever becomes of the rest.
    if body.complete {
        link.keep();
    }
    if head.status.is_success() {
        return Ok(());
    }
    if let (300..=399, Some(location)) = (status, text(header::LOCATION)) {
        return Err(PostError::Redirect { status, to: host_of(location) });
    }
    let asked = text(header::RETRY_AFTER).and_then(|value| parse_retry_after(value, now));
    let retry_after = asked.map(|asked| asked.min(ASKED_MAX));
    let words = printable(&words(&body.bytes), WORDS_BYTES_MAX);
    Err(PostError::Answered { status, words, retry_after })
}

struct Bounded {
    bytes: Vec<u8>,
    complete: bool,
}

async fn bounded(mut body: Incoming) -> Bounded {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Bounded { bytes, complete: false } };
        if let Ok(chunk) = frame.into_data() {
            let room = ANSWER_BYTES_MAX - bytes.len();
            bytes.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
            if chunk.len() > room {
                return Bounded { bytes, complete: false };
            }
        }
    }
    Bounded { bytes, complete: true }
}

/// What an error body says: a JSON string, the message of a JSON object, or its text.
fn words(body: &[u8]) -> String {
    let value: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let message = value.as_ref().and_then(|value| {
        let named = ["message", "error"].iter().find_map(|name| value.get(name)?.as_str());
        value.as_str().or(named)
    });
    let head = body.get(..4 * WORDS_BYTES_MAX).unwrap_or(body);
    message.map_or_else(|| String::from_utf8_lossy(head).into_owned(), str::to_owned)
}

/// Scheme and host of a redirect's target: the rest may be a secret of somebody's.
fn host_of(location: &str) -> String {
    let uri: Option<http::Uri> = location.parse().ok();
    let host = uri.and_then(|uri| {
        let authority = uri.authority()?;
        let port = authority.port().map_or_else(String::new, |port| format!(":{port}"));
        Some(format!("{}://{}{port}", uri.scheme_str()?, authority.host()))
    });
    host.unwrap_or_else(|| "another path".to_owned())
}

/// One line of at most `bytes_max` that steers no terminal.
pub(super) fn printable(text: &str, bytes_max: usize) -> String {
    let mut line = String::new();
    for character in text.trim().chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
        if line.len() > bytes_max {
            break;
        }
    }
    cut(&line, bytes_max)
}
