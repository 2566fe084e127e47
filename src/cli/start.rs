//! The start block: what a person wants to know once the agent runs.

use std::fmt::Write as _;

use crate::agent::Started;
use crate::config::Config;
use crate::export::config::{Protocol, Target};
use crate::journal::Durability;

/// The start block, with a line end after each line.
#[must_use]
pub(super) fn block(started: &Started) -> String {
    let config = &started.loaded.config;
    let mut lines = vec![("sidelight", env!("CARGO_PKG_VERSION").to_owned())];
    for receiver in &started.receivers {
        let tls = if receiver.tls { ", TLS" } else { "" };
        let auth = if receiver.auth { ", token" } else { "" };
        let address = &receiver.address;
        lines.push(("receiving", format!("OTLP on {address} (gRPC and HTTP{tls}{auth})")));
    }
    lines.push(("journal", journal(config)));
    if config.export.destinations.is_empty() {
        lines.push(("exporting", "nowhere: no exporters, everything stays here".to_owned()));
    }
    for destination in &config.export.destinations {
        lines.push((
            "exporting",
            format!("{} to {}", destination.name, target(&destination.target)),
        ));
    }
    let admin = started.admin;
    lines.push(("look at", format!("http://{admin}/metrics, /readyz, /api/sidelight/v1/ledger")));
    lines.push(("next", next(started)));
    lines.iter().fold(String::new(), |mut out, (what, text)| {
        let _ = writeln!(out, "{what:<10} {text}");
        out
    })
}

fn journal(config: &Config) -> String {
    let directory = config.journal.directory.display();
    match config.journal.durability {
        Durability::Fsync => format!("{directory} (fsync: acknowledged data survives power loss)"),
        Durability::Os => format!("{directory} (os: acknowledged data survives SIGKILL)"),
        Durability::Memory => {
            "in memory: acknowledged data survives nothing, not even a restart".to_owned()
        }
    }
}

fn target(target: &Target) -> String {
    match target {
        Target::Otlp(client) => {
            let protocol = match client.protocol {
                Protocol::Grpc => "gRPC",
                Protocol::Http => "HTTP",
            };
            let tls = if client.endpoint.tls { "TLS" } else { "plain text" };
            format!("{} ({protocol}, {tls})", client.endpoint.authority())
        }
        Target::Debug(_) => "standard error".to_owned(),
        Target::File(file) => file.path.display().to_string(),
    }
}

fn next(started: &Started) -> String {
    let admin = started.admin;
    if started.receivers.iter().any(|receiver| receiver.address.ends_with(":4317")) {
        format!("point an OpenTelemetry SDK here, then: curl {admin}/metrics")
    } else {
        format!("set OTEL_EXPORTER_OTLP_ENDPOINT to an address above, then: curl {admin}/metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Inputs, load};
    use crate::journal::Recovery;
    use crate::receive::Endpoint;

    fn shown(text: &str) -> String {
        let files = vec![("x".to_owned(), text.to_owned())];
        let loaded = load(&Inputs { files, ..Inputs::default() }).unwrap();
        let receivers = ["127.0.0.1:4317", "127.0.0.1:4318"].map(|address| Endpoint {
            address: address.to_owned(),
            tls: false,
            auth: false,
        });
        block(&Started {
            loaded,
            receivers: receivers.into(),
            admin: ([127, 0, 0, 1], 9464).into(),
            recovery: Recovery::default(),
        })
    }

    #[test]
    fn the_block_says_where_everything_is_and_what_to_do_next() {
        expect_test::expect![[r#"
            sidelight  0.1.0
            receiving  OTLP on 127.0.0.1:4317 (gRPC and HTTP)
            receiving  OTLP on 127.0.0.1:4318 (gRPC and HTTP)
            journal    /var/lib/sidelight/journal (fsync: acknowledged data survives power loss)
            exporting  nowhere: no exporters, everything stays here
            look at    http://127.0.0.1:9464/metrics, /readyz, /api/sidelight/v1/ledger
            next       point an OpenTelemetry SDK here, then: curl 127.0.0.1:9464/metrics
        "#]]
        .assert_eq(&shown(""));
    }

    #[test]
    fn a_memory_journal_says_that_it_keeps_nothing_and_exporters_are_listed() {
        let text = "journal: {durability: memory}\nexporters:\n  debug:\n  \
                    otlp_grpc/t: {endpoint: 'https://tempo.example:4317', headers: {a: hunter2}}\n";
        let shown = shown(text);
        assert!(shown.contains("survives nothing"), "{shown}");
        assert!(shown.contains("otlp_grpc/t to tempo.example:4317 (gRPC, TLS)"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
