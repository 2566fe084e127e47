//! Refuses destinations that are the agent itself: one span would go round for ever.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::config;
use crate::export;
use crate::export::config::Target;
use crate::export::endpoint::{Address, Endpoint};
use crate::receive;

/// A destination is one of our own listeners.
#[derive(Debug, thiserror::Error)]
#[error(
    "exporter {exporter} sends to {endpoint}, which is this agent's own receiver: every request would \
     come back for ever; name the backend's address, or remove the exporter"
)]
pub struct Loop {
    exporter: String,
    endpoint: String,
}

/// Compares every destination, by resolved address, with what is listened on. A name that does not
/// resolve is left to the exporter, which will try again.
///
/// # Errors
/// [`Loop`], naming the first.
pub(super) async fn refuse(
    exporters: &export::Config,
    listening: &[receive::Endpoint],
) -> Result<(), Loop> {
    for destination in &exporters.destinations {
        let Target::Otlp(client) = &destination.target else { continue };
        let of_signals = client.signal_endpoints.iter().map(|(_, endpoint)| endpoint);
        for endpoint in std::iter::once(&client.endpoint).chain(of_signals) {
            if is_own(endpoint, listening).await {
                let (exporter, endpoint) = (destination.name.clone(), endpoint.authority());
                return Err(Loop { exporter, endpoint });
            }
        }
    }
    Ok(())
}

async fn is_own(endpoint: &Endpoint, listening: &[receive::Endpoint]) -> bool {
    match &endpoint.address {
        Address::Unix(path) => {
            let address = format!("unix://{}", path.display());
            listening.iter().any(|own| own.address == address)
        }
        Address::Tcp { host, port } => {
            let listeners: Vec<SocketAddr> =
                listening.iter().filter_map(|own| own.address.parse().ok()).collect();
            let Ok(resolved) = tokio::net::lookup_host((host.as_str(), *port)).await else {
                return false;
            };
            resolved.into_iter().any(|to| reaches(&listeners, to.ip(), *port))
        }
    }
}

/// A listener on every address also takes what is sent to any address of this machine.
fn reaches(listeners: &[SocketAddr], ip: IpAddr, port: u16) -> bool {
    let everywhere = listeners.iter().any(|own| own.ip().is_unspecified() && own.port() == port);
    config::is_own(listeners, ip, port) || (everywhere && is_local(ip))
}

/// Only an address of this machine can be bound.
fn is_local(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}
