//! Whether a destination is this agent: its telemetry would go round for ever.
//!
//! `check config` compares what is written ([`reaches`]); a start and a reload resolve names and
//! know this host's addresses too ([`refuse`]).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

use super::config::{Config, Target};
use crate::net::endpoint::{Address, Endpoint};

/// Where this agent listens.
#[derive(Clone, Debug, Default)]
pub struct Listeners {
    /// OTLP listeners, as bound.
    pub tcp: Vec<SocketAddr>,
    /// OTLP sockets.
    pub unix: Vec<PathBuf>,
}

/// A destination is one of our own listeners.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "exporter {exporter} sends to {endpoint}, which is this agent's own receiver: every request \
     would come back for ever; name the backend's address, or remove the exporter"
)]
pub struct Loop {
    /// The destination's name.
    pub exporter: String,
    /// Where it leads.
    pub endpoint: String,
}

/// Refuses a configuration of which a destination leads back to this agent. A name that cannot be
/// resolved leads nowhere, for now.
///
/// # Errors
/// [`Loop`], naming the first.
pub async fn refuse(config: &Config, listeners: &Listeners) -> Result<(), Loop> {
    for destination in &config.destinations {
        let Target::Otlp(client) = &destination.target else { continue };
        let own = client.signal_endpoints.iter().map(|(_, endpoint)| endpoint);
        for endpoint in std::iter::once(&client.endpoint).chain(own) {
            if is_itself(endpoint, listeners).await {
                let exporter = destination.name.clone();
                return Err(Loop { exporter, endpoint: endpoint.to_string() });
            }
        }
    }
    Ok(())
}

/// Whether `endpoint` leads to one of `listeners`.
async fn is_itself(endpoint: &Endpoint, listeners: &Listeners) -> bool {
    match &endpoint.address {
        Address::Unix(path) => listeners.unix.iter().any(|own| same_file(own, path)),
        Address::Within(_) => false,
        Address::Tcp { port, .. } if listeners.tcp.iter().all(|own| own.port() != *port) => false,
        Address::Tcp { host, port } => {
            let Ok(resolved) = tokio::net::lookup_host((host.as_str(), *port)).await else {
                return false;
            };
            let resolved: Vec<_> = resolved.collect();
            resolved.iter().any(|to| listeners.tcp.iter().any(|own| arrives(*own, *to, is_local)))
        }
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Whether a connection to `to` arrives at the listener `own`, as far as the addresses alone tell.
#[must_use]
pub fn reaches(own: SocketAddr, to: SocketAddr) -> bool {
    arrives(own, to, |_| false)
}

fn arrives(own: SocketAddr, to: SocketAddr, is_local: impl Fn(IpAddr) -> bool) -> bool {
    if own.port() != to.port() || own.port() == 0 {
        return false;
    }
    let (own, to) = (own.ip().to_canonical(), to.ip().to_canonical());
    // Connecting to "any address" connects to this host.
    let to = if to.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { to };
    if own.is_unspecified() {
        return to.is_loopback() || is_local(to);
    }
    own == to
}

/// Whether this host has the address: only then can a socket be bound to it, but for hosts with `ip_nonlocal_bind`, as load
/// balancers have.
fn is_local(ip: IpAddr) -> bool {
    let binds = |ip: IpAddr| UdpSocket::bind((ip, 0)).is_ok();
    // Of the documentation's networks, which no host is in.
    let nobodys = match ip {
        IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    };
    if binds(nobodys) {
        // Of a network's addresses all but the first are missed: that one is the source for all.
        return source_towards(ip).is_ok_and(|source| source == ip);
    }
    binds(ip)
}

/// The address that what is sent to `ip` has as its source. Nothing is sent.
fn source_towards(ip: IpAddr) -> io::Result<IpAddr> {
    let any = if ip.is_ipv4() { IpAddr::from([0; 4]) } else { IpAddr::from([0; 16]) };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect((ip, 9))?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_reached_by_its_addresses_and_its_port() {
        let local = |ip: IpAddr| ip == IpAddr::from([10, 0, 0, 1]);
        for (own, to, want) in [
            ("127.0.0.1:4317", "127.0.0.1:4317", true),
            ("127.0.0.1:4317", "127.0.0.1:4318", false),
            ("127.0.0.1:4317", "0.0.0.0:4317", true),
            ("127.0.0.1:4317", "127.0.0.2:4317", false),
            ("127.0.0.1:4317", "10.0.0.1:4317", false),
            ("127.0.0.1:4317", "[::1]:4317", false),
            ("0.0.0.0:4317", "127.0.0.1:4317", true),
            ("0.0.0.0:4317", "10.0.0.1:4317", true),
            ("0.0.0.0:4317", "10.0.0.2:4317", false),
            ("[::]:4317", "127.0.0.1:4317", true),
            ("[::]:4317", "10.0.0.1:4317", true),
            ("10.0.0.1:4317", "[::ffff:10.0.0.1]:4317", true),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ] {
            let got = arrives(own.parse().unwrap(), to.parse().unwrap(), local);
            assert_eq!(got, want, "{own} ← {to}");
        }
    }

    #[test]
    fn this_host_has_its_loopback_addresses_and_none_of_those_for_examples() {
        for (text, want) in [("127.0.0.1", true), ("192.0.2.1", false), ("2001:db8::1", false)] {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(is_local(ip), want, "{ip}");
            assert_eq!(source_towards(ip).is_ok_and(|source| source == ip), want, "{ip}");
        }
    }

    #[tokio::test]
    async fn names_are_resolved_and_sockets_compared() {
        let listeners = Listeners {
            tcp: vec!["127.0.0.1:4317".parse().unwrap()],
            unix: vec!["/run/sidelight/otlp.sock".into()],
        };
        for (text, want) in [
            ("http://localhost:4317", true),
            ("http://localhost:5317", false),
            ("unix:///run/sidelight/otlp.sock", true),
            ("unix:///run/other.sock", false),
        ] {
            let endpoint = Endpoint::parse(text, true, 4317).unwrap();
            assert_eq!(is_itself(&endpoint, &listeners).await, want, "{text}");
        }
    }
}
