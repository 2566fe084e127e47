//! Ports and sockets: free, the running agent's, or somebody else's.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::report::Group;
use crate::config::Config;
use crate::receive::Bind;

pub(super) async fn look(config: &Config, running: bool, group: &mut Group<'_>) {
    for listener in &config.receive.listeners {
        match &listener.bind {
            Bind::Tcp(address) => match address.parse() {
                Ok(address) => port(address, "OTLP", running, group).await,
                Err(_) => {
                    group.failed("port", format!("{address} is not an address"), "write IP:PORT")
                }
            },
            Bind::Unix { path, .. } => socket(path, running, group).await,
        }
    }
    port(config.api.endpoint, "admin", running, group).await;
}

async fn port(address: SocketAddr, what: &str, running: bool, group: &mut Group<'_>) {
    if running && TcpStream::connect(reachable(address)).await.is_ok() {
        return group.passed("port", format!("{what} {address}: the running agent has it"));
    }
    let help = |text: &str| text.to_owned();
    match TcpListener::bind(address).await {
        Ok(_) if running => group.warning(
            "port",
            format!("{what} {address}: the running agent does not listen there"),
            help("restart the agent with this configuration"),
        ),
        Ok(_) => group.passed("port", format!("{what} {address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => group.failed(
            "port",
            format!("{what} {address} is in use by another process"),
            format!(
                "stop it (`ss -ltnp sport = :{}` names it), or configure another port",
                address.port()
            ),
        ),
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable => group.failed(
            "port",
            format!("{what} {address}: this machine has no such address"),
            help("write one of this machine's, or 0.0.0.0 for all of them"),
        ),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => group.failed(
            "port",
            format!("{what} {address}: this user may not listen there"),
            help("take a port above 1023, or give the agent CAP_NET_BIND_SERVICE"),
        ),
        Err(error) => group.failed(
            "port",
            format!("{what} {address}: {error}"),
            help("configure another address"),
        ),
    }
}

/// Where to connect to for what listens on every address.
fn reachable(address: SocketAddr) -> SocketAddr {
    let local = match address {
        _ if !address.ip().is_unspecified() => return address,
        SocketAddr::V4(_) => [127, 0, 0, 1].into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(local, address.port())
}

async fn socket(path: &Path, running: bool, group: &mut Group<'_>) {
    let shown = path.display();
    let parent = path.parent().unwrap_or(Path::new("/"));
    match UnixStream::connect(path).await {
        Ok(_) if running => group.passed("socket", format!("{shown}: the running agent has it")),
        Ok(_) => group.failed(
            "socket",
            format!("{shown} is in use by another process"),
            "stop it, or configure another path",
        ),
        Err(error) if error.kind() == ErrorKind::NotFound && !parent.is_dir() => group.failed(
            "socket",
            format!("{shown}: there is no directory {}", parent.display()),
            format!("mkdir -p {}", parent.display()),
        ),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => group.failed(
            "socket",
            format!("{shown}: this user may not use it"),
            "run this as the agent's user",
        ),
        // A stale one is replaced.
        Err(_) => group.passed("socket", format!("{shown} is free")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::{Report, Verdict};
    use super::*;

    #[tokio::test]
    async fn a_port_that_another_process_has_fails_and_a_free_one_does_not() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let verdict = async |running| {
            let mut report = Report::default();
            port(address, "OTLP", running, &mut report.group("network")).await;
            report.checks.remove(0)
        };
        let check = verdict(false).await;
        assert_eq!(check.verdict, Verdict::Failed);
        assert!(check.help.unwrap().contains(&address.port().to_string()));
        assert_eq!(verdict(true).await.verdict, Verdict::Passed);
        drop(taken);
        assert_eq!(verdict(false).await.verdict, Verdict::Passed);
        assert_eq!(verdict(true).await.verdict, Verdict::Warning);
    }

    #[tokio::test]
    async fn an_address_that_is_not_this_machines_fails() {
        let mut report = Report::default();
        port("192.0.2.1:4317".parse().unwrap(), "OTLP", false, &mut report.group("network")).await;
        assert_eq!(report.checks[0].verdict, Verdict::Failed);
        assert!(report.checks[0].text.contains("no such address"), "{report:?}");
    }
}
