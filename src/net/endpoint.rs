//! Where a peer listens: parsed once.
//!
//! Source: OTLP exporter specification, "Endpoint URLs for OTLP/HTTP"; gRPC naming for `unix:`.
//!
//! ```text
//! http://host[:port][/path]    plain text; port 80 unless given
//! https://host[:port][/path]   TLS; port 443 unless given
//! unix:///path, unix:path      a Unix socket, plain text
//! host[:port]                  TLS, or plain text when `insecure`; the port that the caller gives
//! ```

use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::DuplexStream;

/// Where a receiver listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The address to connect to.
    pub address: Address,
    /// Whether the connection uses TLS.
    pub tls: bool,
    /// The path of the URL: starts with `/`.
    pub path: String,
}

/// What to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A host (name or address, without brackets) and a port.
    Tcp {
        /// A name or an IP address.
        host: String,
        /// 1 to 65535.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
    /// A listener in this process: a simulated network.
    #[doc(hidden)]
    Within(Dial),
}

/// Makes connections without a network. Cloning shares it; each is equal to itself alone.
#[doc(hidden)]
#[derive(Clone)]
pub struct Dial(Arc<dyn Fn() -> Dialing + Send + Sync>);

/// A connection on its way.
type Dialing = Pin<Box<dyn Future<Output = io::Result<DuplexStream>> + Send>>;

impl Dial {
    /// Connections are what `connect` gives.
    pub fn new<F>(connect: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<DuplexStream>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(connect())))
    }

    pub(super) fn connect(&self) -> Dialing {
        (self.0)()
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dial")
    }
}

impl PartialEq for Dial {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Dial {}

impl Hash for Dial {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

/// An endpoint that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Nothing was given.
    #[error("the endpoint is empty")]
    Empty,
    /// A scheme other than http, https and unix.
    #[error("unknown scheme `{0}`: use http, https or unix")]
    Scheme(String),
    /// No host.
    #[error("the endpoint has no host")]
    Host,
    /// A port that is not a number from 1 to 65535.
    #[error("`{0}` is not a port")]
    Port(String),
    /// User information, a query or a fragment.
    #[error("an endpoint has no user, query or fragment")]
    Extra,
    /// Characters that no URL has.
    #[error("the endpoint holds a character that no URL has")]
    Character,
}

impl Endpoint {
    /// Parses `text`. Without a scheme, `insecure` decides whether TLS is used, and `default_port` is the
    /// port when none is written.
    ///
    /// # Errors
    /// [`EndpointError`] says what is wrong; show it beside the text.
    pub fn parse(text: &str, insecure: bool, default_port: u16) -> Result<Self, EndpointError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(EndpointError::Empty);
        }
        if !text.bytes().all(|b| (0x21..0x7f).contains(&b)) {
            return Err(EndpointError::Character);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err(EndpointError::Host);
            }
            let address = Address::Unix(path.into());
            return Ok(Self { address, tls: false, path: "/".to_owned() });
        }
        let (tls, port, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, 80, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, 443, rest),
            Some((scheme, _)) => return Err(EndpointError::Scheme(scheme.to_owned())),
            None => (!insecure, default_port, text),
        };
        if rest.contains(['@', '?', '#']) {
            return Err(EndpointError::Extra);
        }
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let (host, port) = split_port(authority, port)?;
        Ok(Self { address: Address::Tcp { host, port }, tls, path: path.to_owned() })
    }

    /// The host and port as they go into `:authority` or `Host`.
    #[must_use]
    pub fn authority(&self) -> String {
        match &self.address {
            Address::Unix(_) | Address::Within(_) => "localhost".to_owned(),
            Address::Tcp { host, port } => {
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                match (self.tls, port) {
                    (false, 80) | (true, 443) => host,
                    _ => format!("{host}:{port}"),
                }
            }
        }
    }
}

fn split_port(authority: &str, default_port: u16) -> Result<(String, u16), EndpointError> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(EndpointError::Host)?;
        (host, rest)
    } else {
        match authority.find(':') {
            Some(at) => authority.split_at(at),
            None => (authority, ""),
        }
    };
    if host.is_empty() {
        return Err(EndpointError::Host);
    }
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => default_port,
        None => return Err(EndpointError::Port(port.to_owned())),
        Some(digits) => match digits.parse() {
            Ok(port) if port != 0 => port,
            _ => return Err(EndpointError::Port(digits.to_owned())),
        },
    };
    Ok((host.to_owned(), port))
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
            Address::Within(_) => f.write_str("within"),
            Address::Tcp { .. } => {
                let scheme = if self.tls { "https" } else { "http" };
                let path = if self.path == "/" { "" } else { &self.path };
                write!(f, "{scheme}://{}{path}", self.authority())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, insecure: bool, default_port: u16) -> String {
        match Endpoint::parse(text, insecure, default_port) {
            Ok(endpoint) => endpoint.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn endpoints_are_read_as_the_specification_says() {
        for (text, insecure, port, want) in [
            ("http://h:4318", false, 4318, "http://h:4318"),
            ("http://h:4318/", false, 4318, "http://h:4318"),
            ("http://h:4318/otlp", false, 4318, "http://h:4318/otlp"),
            ("http://h:4318/otlp/", false, 4318, "http://h:4318/otlp/"),
            ("http://h", false, 4318, "http://h"),
            ("http://h:80", false, 4318, "http://h"),
            ("https://h", false, 4318, "https://h"),
            ("https://h:443/x", false, 4318, "https://h/x"),
            ("HTTPS://h:4317", true, 4317, "https://h:4317"),
            ("h:4317", false, 4317, "https://h:4317"),
            ("h:4317", true, 4317, "http://h:4317"),
            ("h", true, 4317, "http://h:4317"),
            ("h", true, 4318, "http://h:4318"),
            ("[::1]:4317", true, 4317, "http://[::1]:4317"),
            ("http://[::1]", true, 4317, "http://[::1]"),
            ("unix:///run/x.sock", false, 4317, "unix:///run/x.sock"),
            ("unix:run/x.sock", false, 4318, "unix://run/x.sock"),
            ("ftp://h", false, 4318, "unknown scheme `ftp`: use http, https or unix"),
            ("http://", false, 4318, "the endpoint has no host"),
            ("http://h:0", false, 4318, "`0` is not a port"),
            ("http://h:x", false, 4318, "`x` is not a port"),
            ("http://h:70000", false, 4318, "`70000` is not a port"),
            ("http://u:p@h", false, 4318, "an endpoint has no user, query or fragment"),
            ("http://h/?a=b", false, 4318, "an endpoint has no user, query or fragment"),
            ("http://h /x", false, 4318, "the endpoint holds a character that no URL has"),
            ("", false, 4318, "the endpoint is empty"),
            ("unix:", false, 4318, "the endpoint has no host"),
        ] {
            assert_eq!(shown(text, insecure, port), want, "{text}");
        }
    }
}
