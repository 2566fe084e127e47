//! Where the admin endpoint listens and what it takes in.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// `admin` in the configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The address to listen on (`endpoint`). Default 127.0.0.1:9464.
    pub endpoint: SocketAddr,
    /// A file with a bearer token that every route but /healthz and /readyz then asks for; read
    /// again when it changes. Default none.
    pub token_file: Option<PathBuf>,
    /// `Host` names that requests may carry besides `localhost`, IP addresses and the endpoint's own
    /// (`allowed_hosts`): anything else may be a page that rebound its name to this address.
    pub allowed_hosts: Vec<String>,
    /// The most connections at once. Default 64.
    pub connections_max: usize,
    /// The most bytes of a request's head. Default 16 KiB.
    pub header_bytes_max: usize,
    /// The time a request's head may take, and a connection may be idle. Default 10 s.
    pub header_timeout: Duration,
    /// The time a response may take. Default 30 s.
    pub response_timeout: Duration,
    /// The time a query may take, where it does not ask for less (`query_timeout`). Default 10 s.
    pub query_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: SocketAddr::from((Ipv4Addr::LOCALHOST, 9464)),
            token_file: None,
            allowed_hosts: Vec::new(),
            connections_max: 64,
            header_bytes_max: 16 << 10,
            header_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(30),
            query_timeout: Duration::from_secs(10),
        }
    }
}
