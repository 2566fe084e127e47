//! The start block: what a person wants to know once the agent runs.

use std::fmt::Write as _;

use crate::agent::Started;
use crate::cli::exit::Failure;
use crate::config::{Config, Loaded};
use crate::export::config::{Protocol, Target};
use crate::journal;
use crate::journal::{Durability, Recovery};
use crate::receive::Endpoint;

/// The start block, with a line end after each line.
pub(in crate::cli) fn block(started: &Started) -> String {
    lines(started).iter().fold(String::new(), |mut out, (what, text)| {
        let _ = writeln!(out, "{what:<10} {text}");
        out
    })
}

/// The same as log lines, where standard error is JSON for a program.
pub(in crate::cli) fn log(started: &Started) {
    for (what, text) in lines(started) {
        tracing::info!("{what} {text}");
    }
}

/// What is odd about the configuration, as log lines.
pub(in crate::cli) fn log_warnings(loaded: &Loaded) {
    for finding in &loaded.warnings {
        let place = loaded.sources.place(finding.span);
        let help = finding.help.as_deref().unwrap_or_default();
        tracing::warn!(place, help, "configuration: {}", finding.message);
    }
}

/// Why a start failed, as a log line.
pub(in crate::cli) fn log_failure(failure: &Failure) {
    let because = failure.why.join(": ");
    let help = failure.help.as_deref().unwrap_or_default();
    tracing::error!(because, help, "{}", failure.what);
}

fn lines(started: &Started) -> Vec<(&'static str, String)> {
    let config = &started.loaded.config;
    let mut lines = vec![("sidelight", env!("CARGO_PKG_VERSION").to_owned())];
    for Endpoint { address, tls, auth } in &started.receivers {
        let tls = if *tls { ", TLS" } else { "" };
        let auth = if *auth { ", with the token" } else { "" };
        lines.push(("receiving", format!("OTLP on {address} (gRPC and HTTP{tls}{auth})")));
    }
    lines.push(("journal", journal(config)));
    lines.extend(found(&started.recovery).map(|text| ("", text)));
    if let Some(why) = config.why_no_store() {
        lines.push(("store", format!("off, and with it queries, rules and alerts: {why}")));
    }
    if config.export.destinations.is_empty() {
        lines.push(("exporting", "nowhere: no exporters, everything stays here".to_owned()));
    }
    for destination in &config.export.destinations {
        let target = target(&destination.target);
        lines.push(("exporting", format!("{} to {target}", destination.name)));
    }
    let admin = started.admin;
    let token = if config.api.token_file.is_some() { " (with the token)" } else { "" };
    let ledger = "/api/sidelight/v1/ledger";
    lines.push(("look at", format!("http://{admin}/readyz, /metrics{token}, {ledger}{token}")));
    lines.push(("next", next(started)));
    lines
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

/// What the journal held, where there is something to say.
fn found(recovery: &Recovery) -> impl Iterator<Item = String> {
    let lanes = recovery.undelivered.iter().filter(|(reader, _)| journal::is_lane(reader));
    let undelivered: u64 = lanes.map(|(_, count)| count.items).sum();
    let held = (recovery.records > 0).then(|| {
        format!("{} requests kept, {undelivered} items still to be delivered", recovery.records)
    });
    let lost = (recovery.lost_records > 0).then(|| {
        let lost = recovery.lost_records;
        format!("lost: {lost} requests in it cannot be read; the rest of their files is read, and kept as .corrupt")
    });
    let missing = (recovery.missing_records > 0).then(|| {
        let missing = recovery.missing_records;
        format!("missing: {missing} requests are in no file of it, and not noted as delivered; see /readyz")
    });
    let removed =
        recovery.removed.iter().filter(|removed| removed.dropped.items > 0).map(|removed| {
            let items = removed.dropped.items;
            format!("dropped {items} items of {}, which is not configured any more", removed.reader)
        });
    let quarantined = recovery
        .quarantined
        .iter()
        .map(|path| format!("set aside as unreadable: {}", path.display()));
    held.into_iter()
        .chain(lost)
        .chain(missing)
        .chain(removed)
        .chain(quarantined)
        .collect::<Vec<_>>()
        .into_iter()
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
    let admin = match &started.loaded.config.api.token_file {
        Some(file) => {
            format!("-H \"Authorization: Bearer $(cat '{}')\" {admin}", file.display())
        }
        None => admin.to_string(),
    };
    if started.receivers.iter().any(|endpoint| endpoint.address.ends_with(":4317")) {
        format!("point an OpenTelemetry SDK here, then: curl {admin}/metrics")
    } else {
        format!("set OTEL_EXPORTER_OTLP_ENDPOINT to an address above, then: curl {admin}/metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Inputs, load};
    use crate::journal::Count;

    fn shown(text: &str, recovery: Recovery) -> String {
        let files = vec![("x".to_owned(), text.to_owned())];
        let loaded = load(&Inputs { files, ..Inputs::default() }).unwrap();
        let endpoint =
            |address: &str, auth| Endpoint { address: address.to_owned(), tls: false, auth };
        let receivers = vec![endpoint("127.0.0.1:4317", false), endpoint("unix:///s", true)];
        let admin = ([127, 0, 0, 1], 9464).into();
        block(&Started { loaded, receivers, admin, recovery, within: None })
    }

    #[test]
    fn the_block_says_where_everything_is_and_what_to_do_next() {
        expect_test::expect![[r#"
            sidelight  0.1.0
            receiving  OTLP on 127.0.0.1:4317 (gRPC and HTTP)
            receiving  OTLP on unix:///s (gRPC and HTTP, with the token)
            journal    /var/lib/sidelight/journal (fsync: acknowledged data survives power loss)
            exporting  nowhere: no exporters, everything stays here
            look at    http://127.0.0.1:9464/readyz, /metrics, /api/sidelight/v1/ledger
            next       point an OpenTelemetry SDK here, then: curl 127.0.0.1:9464/metrics
        "#]]
        .assert_eq(&shown("", Recovery::default()));
    }

    #[test]
    fn what_asks_for_the_configured_token_is_shown_with_it() {
        let shown = shown("admin: {token_file: /run/token}", Recovery::default());
        assert!(shown.contains("/readyz, /metrics (with the token), "), "{shown}");
        assert!(
            shown.contains("curl -H \"Authorization: Bearer $(cat '/run/token')\" 127"),
            "{shown}"
        );
    }

    #[test]
    fn what_the_journal_held_for_destinations_and_what_it_lost_is_said() {
        let count = Count { requests: 2, items: 30 };
        let recovery = Recovery {
            records: 7,
            lost_records: 1,
            undelivered: vec![
                ("otlp_grpc:traces".to_owned(), count),
                ("aggregate".to_owned(), Count { requests: 7, items: 70 }),
            ],
            quarantined: vec!["/j/1.corrupt".into()],
            ..Recovery::default()
        };
        let shown = shown("", recovery);
        assert!(shown.contains("7 requests kept, 30 items still to be delivered"), "{shown}");
        assert!(shown.contains("lost: 1 requests in it cannot be read"), "{shown}");
        assert!(shown.contains("/j/1.corrupt"), "{shown}");
    }

    #[test]
    fn a_store_that_is_off_is_said_with_what_it_takes_along() {
        let shown = shown("store: {enabled: false}\n", Recovery::default());
        assert!(shown.contains("rules and alerts: store.enabled is false\n"), "{shown}");
    }

    #[test]
    fn a_memory_journal_says_that_it_keeps_nothing_and_exporters_are_listed() {
        let text = "journal: {durability: memory}\nexporters:\n  debug:\n  \
                    otlp_grpc/t: {endpoint: 'https://tempo.example:4317', headers: {a: hunter2}}\n";
        let shown = shown(text, Recovery::default());
        assert!(shown.contains("survives nothing"), "{shown}");
        assert!(
            shown.contains("store      off, and with it queries, rules and alerts: with"),
            "{shown}"
        );
        assert!(shown.contains("otlp_grpc/t to tempo.example:4317 (gRPC, TLS)"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
