//! The configuration: its findings, who can reach what, and variables that other programs read.

use super::report::Group;
use crate::config::{Config, Findings, Loaded, Severity, SourceKind};
use crate::receive::Bind;

/// A configuration that cannot be used.
pub(super) fn refused(findings: &Findings, group: &mut Group<'_>) {
    for finding in &findings.list {
        let text = format!("{}: {}", findings.sources.place(finding.span), finding.message);
        let help = finding.help.clone().unwrap_or_else(|| EXPLAIN.to_owned());
        match finding.severity {
            Severity::Error => group.failed("valid", text, help),
            Severity::Warning => group.warning("odd", text, help),
        }
    }
}

const EXPLAIN: &str = "`sidelight config explain KEY` says what an option takes";

/// One that can.
pub(super) fn look(loaded: &Loaded, group: &mut Group<'_>) {
    let options = loaded.effective();
    let of = |kind| options.iter().filter(|option| option.origin == kind).count();
    let counts = [
        (of(SourceKind::File), "from files"),
        (of(SourceKind::Environment), "from the environment"),
        (of(SourceKind::Flag), "from flags"),
    ];
    let counts: Vec<String> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, from)| format!("{n} {from}")).collect();
    let given = if counts.is_empty() {
        "everything is a default".to_owned()
    } else {
        format!("options: {}", counts.join(", "))
    };
    group.passed("valid", format!("the configuration is valid; {given}"));
    for finding in &loaded.warnings {
        let text = format!("{}: {}", loaded.sources.place(finding.span), finding.message);
        group.warning("odd", text, finding.help.clone().unwrap_or_else(|| EXPLAIN.to_owned()));
    }
    exposed(&loaded.config, group);
    own_variable(
        &loaded.config,
        std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").ok().as_deref(),
        group,
    );
}

/// What others than this machine can reach without a secret.
fn exposed(config: &Config, group: &mut Group<'_>) {
    let admin = config.api.endpoint;
    if !admin.ip().is_loopback() {
        let (text, help) = match &config.api.token_file {
            None => (
                format!("admin.endpoint is {admin}: whoever reaches it can read everything"),
                "set admin.token_file, or listen on 127.0.0.1",
            ),
            Some(_) => (
                format!("admin.endpoint is {admin} with a token, but in plain text"),
                "put a proxy with TLS in front of it, or listen on 127.0.0.1",
            ),
        };
        group.warning("exposed", text, help);
    }
    for listener in &config.receive.listeners {
        let Bind::Tcp(address) = &listener.bind else { continue };
        let open = address.parse::<std::net::SocketAddr>().is_ok_and(|a| !a.ip().is_loopback());
        if open && listener.auth.is_none() && listener.tls.is_none() {
            group.warning(
                "exposed",
                format!("{address} takes data from whoever reaches it, in plain text"),
                "fine inside a pod or a container's own network; else set receivers.otlp.auth.bearer_token_file and tls",
            );
        }
    }
}

/// A variable that means other programs points at ourselves.
fn own_variable(config: &Config, value: Option<&str>, group: &mut Group<'_>) {
    let Some(value) = value else { return };
    let port = value.trim_end_matches('/').rsplit(':').next().unwrap_or_default();
    let ours = config.receive.listeners.iter().any(|listener| match &listener.bind {
        Bind::Tcp(address) => address.rsplit(':').next() == Some(port),
        Bind::Unix { .. } => false,
    });
    if ours && (value.contains("localhost") || value.contains("127.0.0.1")) {
        group.passed(
            "loop",
            format!("OTEL_EXPORTER_OTLP_ENDPOINT={value} is this agent: not used as a destination"),
        );
    } else {
        group.warning(
            "loop",
            format!("OTEL_EXPORTER_OTLP_ENDPOINT={value} configures SDKs, not this agent"),
            "to send there, name it under `exporters`",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::{Report, Verdict};
    use super::*;
    use crate::config::{Inputs, load};

    fn verdicts(text: &str, variable: Option<&str>) -> Vec<(Verdict, &'static str)> {
        let files = vec![("config.yaml".to_owned(), text.to_owned())];
        let loaded = load(&Inputs { files, ..Inputs::default() }).unwrap();
        let mut report = Report::default();
        exposed(&loaded.config, &mut report.group("configuration"));
        own_variable(&loaded.config, variable, &mut report.group("configuration"));
        report.checks.iter().map(|check| (check.verdict, check.name)).collect()
    }

    #[test]
    fn what_others_can_reach_without_a_secret_is_a_warning() {
        assert_eq!(verdicts("", None), []);
        let open = "admin: {endpoint: 0.0.0.0:9464}\n\
                    receivers: {otlp: {protocols: {grpc: {endpoint: 0.0.0.0:4317}}}}";
        let warning = (Verdict::Warning, "exposed");
        assert_eq!(verdicts(open, None), [warning, warning]);
    }

    #[test]
    fn the_variable_of_sdks_is_fine_where_it_is_this_agent() {
        assert_eq!(verdicts("", Some("http://localhost:4318")), [(Verdict::Passed, "loop")]);
        assert_eq!(verdicts("", Some("http://tempo:4318")), [(Verdict::Warning, "loop")]);
    }
}
