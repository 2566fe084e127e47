//! Ports and sockets: free, the running agent's, or somebody else's.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::agent::Running;
use super::report::Group;
use crate::cli::read::client::reachable;
use crate::config::Config;
use crate::export::itself::reaches;
use crate::receive::Bind;

/// `may_bind`: whether a port may be taken for a moment, to see that it is free; not where an agent may want it meanwhile.
pub(super) async fn look(
    config: &Config,
    running: &Running,
    may_bind: bool,
    group: &mut Group<'_>,
) {
    for listener in &config.receive.listeners {
        match &listener.bind {
            Bind::Tcp(address) => match address.parse() {
                Ok(address) => {
                    let own = running.listens(|at| {
                        at.parse().is_ok_and(|at| reaches(at, address) || reaches(address, at))
                    });
                    port(address, "OTLP", own, may_bind, group).await;
                }
                Err(_) => {
                    group.failed("port", format!("{address} is not an address"), "write IP:PORT")
                }
            },
            Bind::Unix { path, .. } => {
                let own =
                    running.listens(|at| at.strip_prefix("unix://").map(Path::new) == Some(path));
                socket(path, own, group).await;
            }
        }
    }
    port(config.api.endpoint, "admin", running.listens(|_| true), may_bind, group).await;
}

impl Running {
    /// Whether the agent that runs should listen at an address that `is` it: `None` where none runs.
    fn listens(&self, is: impl Fn(&str) -> bool) -> Option<bool> {
        match self {
            Self::Agent(Some(told)) => Some(told.listeners.iter().any(|at| is(at))),
            // It answers, and does not say more.
            Self::Agent(None) => Some(true),
            Self::Foreign | Self::Nobody => None,
        }
    }
}

/// `own`: whether the agent that runs says that it listens there.
async fn port(
    address: SocketAddr,
    what: &str,
    own: Option<bool>,
    may_bind: bool,
    group: &mut Group<'_>,
) {
    if address.port() == 0 {
        return group.passed("port", format!("{what} {address} takes a free port"));
    }
    let in_use = |group: &mut Group<'_>| {
        group.failed(
            "port",
            format!("{what} {address} is in use by another process"),
            format!(
                "stop it (`ss -ltnp sport = :{}` names it), or configure another port",
                address.port()
            ),
        );
    };
    match (TcpStream::connect(reachable(address)).await.is_ok(), own) {
        (true, Some(true)) => {
            return group.passed("port", format!("{what} {address}: the running agent has it"));
        }
        (true, _) => return in_use(group),
        (false, Some(_)) => {
            return group.warning(
                "port",
                format!("{what} {address}: the running agent does not listen there"),
                "restart the agent with this configuration",
            );
        }
        (false, None) if !may_bind => {
            return group.passed("port", format!("{what} {address}: nobody listens there"));
        }
        (false, None) => {}
    }
    let help = |text: &str| text.to_owned();
    match TcpListener::bind(address).await {
        Ok(_) => group.passed("port", format!("{what} {address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => in_use(group),
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

async fn socket(path: &Path, own: Option<bool>, group: &mut Group<'_>) {
    let shown = path.display();
    let parent = path.parent().unwrap_or(Path::new("/"));
    match UnixStream::connect(path).await {
        Ok(_) if own == Some(true) => {
            group.passed("socket", format!("{shown}: the running agent has it"))
        }
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

    async fn looked(address: SocketAddr, own: Option<bool>, may_bind: bool) -> Verdict {
        let mut report = Report::default();
        port(address, "OTLP", own, may_bind, &mut report.group("network")).await;
        let check = report.checks.remove(0);
        let wrong = matches!(check.verdict, Verdict::Failed | Verdict::Warning);
        assert_eq!(check.help.is_some(), wrong, "{check:?}");
        check.verdict
    }

    #[tokio::test]
    async fn a_port_that_another_process_has_fails_and_a_free_one_does_not() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        for (own, verdict) in [
            (None, Verdict::Failed),
            (Some(true), Verdict::Passed),
            // An agent runs, and says that it is elsewhere.
            (Some(false), Verdict::Failed),
        ] {
            assert_eq!(looked(address, own, true).await, verdict, "{own:?}");
        }
        drop(taken);
        assert_eq!(looked(address, None, true).await, Verdict::Passed);
        assert_eq!(looked(address, Some(true), true).await, Verdict::Warning);
    }

    #[tokio::test]
    async fn a_port_is_not_taken_from_an_agent_that_is_waited_for() {
        let away = "192.0.2.1:4317".parse().unwrap();
        assert_eq!(looked(away, None, true).await, Verdict::Failed, "it was tried");
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = nobody.local_addr().unwrap();
        drop(nobody);
        // A socket that is bound and does not listen: nobody else can be.
        let bound = tokio::net::TcpSocket::new_v4().unwrap();
        bound.bind(address).unwrap();
        assert_eq!(looked(address, None, false).await, Verdict::Passed);
        assert_eq!(looked(address, None, true).await, Verdict::Failed);
    }
}
