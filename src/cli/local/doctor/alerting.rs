//! Receivers of alerts: the name, the connection and the certificate. Nobody is told of anything.

use std::time::Duration;

use super::destinations::expiry;
use super::report::Group;
use crate::net::connect;
use crate::net::connect::{Pool, Settings};
use crate::notify::config::{Config, Peer};
use crate::time::{Clock as _, SystemClock};

pub(super) async fn look(config: &Config, timeout: Duration, group: &mut Group<'_>) {
    let webhooks = config.webhooks.iter().map(|webhook| &webhook.peer);
    let mut peers = config.alertmanagers.iter().chain(webhooks).peekable();
    if peers.peek().is_none() {
        group.skipped("receiver", "no Alertmanagers and no webhooks: alerts are kept here");
    }
    for peer in peers {
        match tokio::time::timeout(peer.timeout.min(timeout), reach(peer)).await {
            Ok(Ok(certificate)) => {
                let tls = if peer.endpoint.tls { "TLS" } else { "plain text" };
                let to = peer.endpoint.authority();
                group.passed("receiver", format!("{}: {to} is reached ({tls})", peer.name));
                if let Some(certificate) = certificate {
                    expiry(&peer.name, &certificate, SystemClock::new().unix_nano(), group);
                }
            }
            Ok(Err(error)) => {
                let text = format!("{}: {}", peer.name, crate::telemetry::chain(&error));
                group.failed(
                    "receiver",
                    text,
                    "start it, or mend its `url` or `tls` under `alerting`",
                );
            }
            Err(_) => {
                let text = format!("{}: no connection in {timeout:?}", peer.name);
                group.failed("receiver", text, "a firewall may drop it: try from another machine");
            }
        }
    }
}

/// Connects; gives the certificate that the server proved itself with, with TLS.
async fn reach(peer: &Peer) -> Result<Option<Vec<u8>>, connect::ConnectError> {
    let settings = Settings {
        tls: peer.tls.clone(),
        http2_only: false,
        keepalive_time: Duration::ZERO,
        keepalive_timeout: Duration::ZERO,
    };
    drop(Pool::new(&peer.endpoint, &settings).link().await?);
    connect::certificate(&peer.endpoint, &peer.tls).await
}

#[cfg(test)]
mod tests {
    use super::super::report::{Report, Verdict};
    use super::*;
    use crate::config::{Inputs, load};

    #[tokio::test]
    async fn receivers_of_alerts_are_connected_to_and_told_nothing() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let away = nobody.local_addr().unwrap();
        drop(nobody);
        let text = format!(
            "alerting: {{alertmanagers: [{{url: 'http://{here}'}}], \
             webhooks: [{{url: 'http://{away}/x?key=hunter2'}}]}}"
        );
        let files = vec![("config.yaml".to_owned(), text)];
        let loaded = load(&Inputs { files, ..Inputs::default() }).unwrap();
        let mut report = Report::default();
        let group = &mut report.group("alerting");
        look(&loaded.config.notify, Duration::from_secs(5), group).await;
        let verdicts: Vec<_> = report.checks.iter().map(|check| check.verdict).collect();
        assert_eq!(verdicts, [Verdict::Passed, Verdict::Failed], "{report:?}");
        assert!(!format!("{report:?}").contains("hunter2"));
    }
}
