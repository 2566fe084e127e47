//! A client of the running agent's admin endpoint: one request on one connection.
//!
//! Limits: 64 MiB of answer, `--timeout` for all of it.

use std::error::Error;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Body as _;
use hyper_util::rt::TokioIo;
use rustix::fs::{Mode, OFlags};
use tokio::net::TcpStream;

use crate::cli::exit::{Exit, Failure};
use crate::config::Config;

const ANSWER_BYTES_MAX: usize = 64 << 20;
/// What a token that the agent made has: hexadecimal digits.
const OWN_BYTES: u64 = 64;

/// How to reach the running agent.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Connection {
    /// The agent's admin endpoint. Default: what `SIDELIGHT_URL` or `SIDELIGHT__ADMIN__ENDPOINT` says, or
    /// http://127.0.0.1:9464.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// A file with the token that the agent asks for: `admin.token_file`, or `admin.token` in the directory of its store,
    /// which is found by itself on the agent's own machine. Default: what `SIDELIGHT_TOKEN_FILE` or
    /// `SIDELIGHT__ADMIN__TOKEN_FILE` says.
    #[arg(long, value_name = "FILE", env = "SIDELIGHT_TOKEN_FILE", hide_env = true)]
    token_file: Option<PathBuf>,
    /// How long to wait for an answer.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = some_time)]
    timeout: Duration,
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    crate::config::parse_duration(text)
        .ok_or_else(|| "expected a duration such as `30s`".to_owned())
}

/// A duration in which something can happen.
///
/// # Errors
/// It is none.
pub(crate) fn some_time(text: &str) -> Result<Duration, String> {
    let long = duration(text)?;
    if long.is_zero() { Err("expected a duration above 0".to_owned()) } else { Ok(long) }
}

/// What the agent answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl Connection {
    /// Whether an address was typed: one in the environment is only where to ask, where that is wanted.
    pub(crate) const fn is_named(&self) -> bool {
        self.url.is_some()
    }

    /// Whether an address was given, typed or by `SIDELIGHT_URL`: then no other place is meant.
    pub(crate) fn has_address(&self) -> bool {
        self.is_named() || variable(URL).is_some()
    }

    /// The same, where the agent of this configuration listens unless an address was given, with its token.
    pub(crate) fn for_agent(&self, config: &Config) -> Self {
        let mut connection = self.clone();
        if variable(URL).is_none() {
            connection.url.get_or_insert_with(|| url_of(&config.api.endpoint.to_string()));
        }
        connection.token_file = connection.token_file.or_else(|| config.api.token_file.clone());
        connection
    }

    /// How long to wait for an answer.
    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Asks for `path`.
    ///
    /// # Errors
    /// A [`Failure`] when there is no answer, or when it asks for a token.
    pub(crate) async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    /// Sends `body` to `path`, with a method that may change something.
    ///
    /// # Errors
    /// A [`Failure`] when there is no answer, or when it asks for a token.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let (url, named_by) = self.place();
        let uri = uri(&url, named_by)?;
        // A token that cannot be read matters only to an agent that asks for it.
        let (token, unread) = match self.token_file(&uri).as_deref().map(token) {
            Some(Ok(token)) => (Some(token), None),
            Some(Err(failure)) => (None, Some(failure)),
            None => (None, None),
        };
        let given = token.is_some();
        let again = (method.clone(), body.clone());
        let mut answer = self.asked(&url, ask(&uri, method, path, body, token)).await?;
        if let Some(own) = own_token(&uri, &answer).filter(|_| !given) {
            answer = self.asked(&url, ask(&uri, again.0, path, again.1, Some(own))).await?;
        }
        if matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            let what = format!("the agent at {url} refuses: {}", message(&answer));
            let refused = Failure::new(Exit::NotAuthorised, what);
            return Err(match unread {
                Some(Failure { what, why, .. }) => {
                    let why = std::iter::once(what).chain(why).collect();
                    Failure { why, ..refused }.help("name a file that this user may read with `--token-file`")
                }
                None if given => refused.help("the file that `--token-file` names holds another token than this agent asks for"),
                None => refused.help(
                    "give the file of its token with `--token-file`: `admin.token_file`, or `admin.token` in the directory of \
                     its store",
                ),
            });
        }
        Ok(answer)
    }

    async fn asked(
        &self,
        url: &str,
        ask: impl Future<Output = Result<Answer, Unanswered>>,
    ) -> Result<Answer, Failure> {
        let waited = self.timeout;
        match tokio::time::timeout(waited, ask).await {
            Ok(answer) => answer.map_err(|why| why.failure(url)),
            Err(_) => {
                let what = format!("the agent at {url} did not answer within {waited:?}");
                Err(Failure::new(Exit::Unreachable, what))
            }
        }
    }

    /// Asks for the JSON document at `path`.
    ///
    /// # Errors
    /// A [`Failure`] when there is none.
    pub(crate) async fn document(&self, path: &str) -> Result<Bytes, Failure> {
        taken(self.get(path).await?)
    }

    /// Asks for a change, and for the document of what it made.
    ///
    /// # Errors
    /// A [`Failure`] when it was not made.
    pub(crate) async fn change(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Bytes, Failure> {
        taken(self.ask(method, path, body).await?)
    }

    /// The file with the token, for an agent at `uri`: what is meant for the agent beside is shown to no other.
    fn token_file(&self, uri: &Uri) -> Option<PathBuf> {
        let configured = || variable("SIDELIGHT__ADMIN__TOKEN_FILE").map(PathBuf::from);
        let its = self.url.is_none() && variable(URL).is_none() || is_here(uri);
        self.token_file.clone().or_else(|| configured().filter(|_| its))
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        self.place().0
    }

    /// Where it is, and what says so.
    fn place(&self) -> (String, &'static str) {
        place(self.url.as_deref(), variable)
    }
}

/// Names the agent's address.
const URL: &str = "SIDELIGHT_URL";
/// Names where the agent listens, and so its address.
const ENDPOINT: &str = "SIDELIGHT__ADMIN__ENDPOINT";

/// A variable of the environment; an empty one is none.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(is_set)
}

fn is_set(value: &OsString) -> bool {
    !value.is_empty()
}

fn place(
    typed: Option<&str>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> (String, &'static str) {
    // One that is not UTF-8 is no address, and is refused as such.
    let named = |name: &str| Some(variable(name)?.to_string_lossy().into_owned());
    if let Some(url) = typed {
        (url.to_owned(), "`--url`")
    } else if let Some(url) = named(URL) {
        (url, "`SIDELIGHT_URL`")
    } else if let Some(endpoint) = named(ENDPOINT) {
        (url_of(&endpoint), "`SIDELIGHT__ADMIN__ENDPOINT`")
    } else {
        ("http://127.0.0.1:9464".to_owned(), "the default")
    }
}

fn url_of(endpoint: &str) -> String {
    let reached = endpoint.parse().map(|address| reachable(address).to_string());
    format!("http://{}", reached.as_deref().unwrap_or(endpoint))
}

/// Where to connect to for what listens on every address.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let local = match address {
        _ if !address.ip().is_unspecified() => return address,
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(local, address.port())
}

/// The body of an answer that is no refusal.
fn taken(answer: Answer) -> Result<Bytes, Failure> {
    if answer.status.is_success() {
        return Ok(answer.body);
    }
    let what = format!("the agent answered {}: {}", answer.status, message(&answer));
    let typed = answer.status == StatusCode::BAD_REQUEST;
    let failure = Failure::new(if typed { Exit::Usage } else { Exit::Failed }, what);
    let missed = matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
    // Every path that is asked for is there, though what it names may not be; what takes OTLP answers so.
    Err(if missed && !names_a_thing(&answer) { failure.help(OTHER_PORT) } else { failure })
}

/// What to try where something else answers.
pub(crate) const OTHER_PORT: &str = "\
    `--url` names the admin endpoint, port 9464 unless configured: is this a port for OTLP, or an older agent?";

/// Whether it is an agent that knows the path, and not what the path names.
fn names_a_thing(answer: &Answer) -> bool {
    let document: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
    let error = document.as_ref().and_then(|document| document.get("error"));
    let said = error.and_then(|error| error.as_str().or_else(|| error.get("message")?.as_str()));
    said.is_some_and(|said| !said.starts_with("no such path"))
}

/// The token in a file, as a header.
fn token(path: &Path) -> Result<HeaderValue, Failure> {
    let what = || format!("cannot use the token file {}", path.display());
    let token = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(Exit::Failed, what()).because(&error))?;
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim()))
        .map_err(|_| Failure::new(Exit::Failed, what()).help("it holds one line of text"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The token that the agent made for itself, where it is on this machine and says which file it is in. Whoever else listens
/// there is shown no other file.
fn own_token(uri: &Uri, answer: &Answer) -> Option<HeaderValue> {
    let document: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    let path = Path::new(document.get("error")?.get("token_file")?.as_str()?);
    let named = path.file_name().is_some_and(|name| name == "admin.token");
    let refused = answer.status == StatusCode::UNAUTHORIZED;
    let token = own_file(path).filter(|_| is_here(uri) && named && refused)?;
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether it is on this machine.
fn is_here(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The token in a file that somebody else named: only where it is such a file as the agent makes, so that it is no other secret
/// of whoever runs this, and nothing that a reader waits at.
fn own_file(path: &Path) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    let found = file.metadata().ok()?;
    let of_directory = std::fs::metadata(path.parent()?).ok()?.uid();
    let user = rustix::process::geteuid();
    let owned = found.uid() == user.as_raw() || user.is_root() && found.uid() == of_directory;
    if !found.is_file() || !owned || found.mode() & 0o077 != 0 {
        return None;
    }
    let mut text = String::new();
    file.take(OWN_BYTES + 2).read_to_string(&mut text).ok()?;
    let token = text.strip_suffix('\n').unwrap_or(&text);
    let made = token.len() as u64 == OWN_BYTES && token.bytes().all(|b| b.is_ascii_hexdigit());
    made.then(|| token.to_owned())
}

/// The address that `url` is, which `named_by` names. What would be left out of it is refused: a port that is none is not that of
/// another agent.
fn uri(url: &str, named_by: &str) -> Result<Uri, Failure> {
    let refuse = |why: &str| {
        // A password may stand before the host.
        let host = url.rsplit_once('@').map(|(_, host)| format!("…@{host}"));
        let shown = host.as_deref().unwrap_or(url);
        let what = format!("`{shown}`, from {named_by}, is not the address of an agent{why}");
        Failure::new(Exit::Usage, what).help("write http://HOST:PORT")
    };
    if url.contains('@') {
        return Err(refuse(": it takes no user; a token is given with `--token-file`"));
    }
    let text = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let uri: Uri = text.parse().map_err(|_| refuse(""))?;
    let (Some("http"), Some(host)) = (uri.scheme_str(), uri.host().filter(|it| !it.is_empty()))
    else {
        return Err(refuse(""));
    };
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    if authority != host && uri.port_u16().is_none() {
        return Err(refuse(": its port is no number up to 65535"));
    }
    if !matches!(uri.path(), "" | "/") || text.contains(['?', '#']) {
        return Err(refuse(": it has no path"));
    }
    Ok(uri)
}

/// Why there is no answer.
#[derive(Debug)]
enum Unanswered {
    /// Nobody takes the connection.
    Unreached(std::io::Error),
    /// What took it says something else.
    Foreign(hyper::Error),
    /// It ended before the answer did.
    BrokenOff(Box<dyn Error + Send + Sync>),
    /// More than [`ANSWER_BYTES_MAX`].
    TooLarge,
}

impl Unanswered {
    fn failure(&self, url: &str) -> Failure {
        match self {
            Self::Unreached(error) => {
                let what = format!("cannot reach the agent at {url}");
                let failure =
                    Failure { is_absent: nobody(error), ..Failure::new(Exit::Unreachable, what) };
                failure
                    .because(error)
                    .help("start it with `sidelight run`, or name its address with `--url`")
            }
            Self::Foreign(error) => {
                Failure::new(Exit::Failed, format!("what answers at {url} does not speak HTTP/1.1"))
                    .because(error)
                    .help(OTHER_PORT)
            }
            Self::BrokenOff(error) => {
                let what = format!("the answer of the agent at {url} broke off");
                Failure::new(Exit::Unreachable, what)
                    .because(&**error)
                    .help("it may be stopping or starting: try again, and see its log")
            }
            Self::TooLarge => {
                let max = ANSWER_BYTES_MAX >> 20;
                let what = format!("the answer of the agent at {url} is larger than {max} MiB");
                Failure::new(Exit::Failed, what).help("narrow it with `--range` or `-n`")
            }
        }
    }

    fn of(error: hyper::Error) -> Self {
        if error.is_parse() { Self::Foreign(error) } else { Self::BrokenOff(error.into()) }
    }
}

/// Whether it says that nobody listens there. What else fails may be a host that is far, or an agent that is slow.
fn nobody(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{AddrNotAvailable, ConnectionRefused, NotFound};
    matches!(error.kind(), ConnectionRefused | AddrNotAvailable | NotFound)
}

async fn ask(
    uri: &Uri,
    method: Method,
    path: &str,
    body: Bytes,
    token: Option<HeaderValue>,
) -> Result<Answer, Unanswered> {
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().unwrap_or(9464);
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await;
    let stream = stream.map_err(Unanswered::Unreached)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(Unanswered::of)?;
    let request = Request::builder().method(method).uri(path);
    let request = request.header(header::HOST, format!("{host}:{port}"));
    let request = request.body(Full::new(body));
    let mut request =
        request.map_err(|error| Unanswered::Unreached(std::io::Error::other(error)))?;
    if let Some(token) = token {
        request.headers_mut().insert(header::AUTHORIZATION, token);
    }
    let exchange = async {
        let response = sender.send_request(request).await.map_err(Unanswered::of)?;
        let status = response.status();
        // One that says so is not waited for.
        if response.body().size_hint().lower() > ANSWER_BYTES_MAX as u64 {
            return Err(Unanswered::TooLarge);
        }
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => Unanswered::TooLarge,
            false => Unanswered::BrokenOff(error),
        })?;
        Ok(Answer { status, body: body.to_bytes() })
    };
    tokio::pin!(exchange, connection);
    let mut open = true;
    loop {
        tokio::select! {
            answer = &mut exchange => return answer,
            _ = &mut connection, if open => open = false,
        }
    }
}

/// The text of a refusal: `error` of its JSON as the Prometheus API has it, `message` as ours has, or the whole of it.
pub(crate) fn message(answer: &Answer) -> String {
    let document: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
    let message = document.as_ref().and_then(|document| {
        let error = document.get("error").unwrap_or(document);
        error.as_str().or_else(|| error.get("message")?.as_str())
    });
    let text = message.map_or_else(|| String::from_utf8_lossy(&answer.body), Into::into);
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests;
