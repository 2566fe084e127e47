//! The configuration: its findings, and the variable that other programs read.

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
    let files = loaded.sources.files().collect::<Vec<_>>().join(" and ");
    let counts = [
        (of(SourceKind::File), format!("from {files}")),
        (of(SourceKind::Environment), "from the environment".to_owned()),
        (of(SourceKind::Flag), "from flags".to_owned()),
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
        let help = finding.help.clone().unwrap_or_else(|| EXPLAIN.to_owned());
        if finding.stops_start || finding.refuses_peers {
            group.failed("file", text, help);
        } else {
            group.warning("odd", text, help);
        }
    }
    own_variable(
        &loaded.config,
        std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").ok().as_deref(),
        group,
    );
}

/// A variable that means other programs points at ourselves.
fn own_variable(config: &Config, value: Option<&str>, group: &mut Group<'_>) {
    let Some(value) = value else { return };
    let shown = without_secrets(value);
    let port = value.trim_end_matches('/').rsplit(':').next().unwrap_or_default();
    let ours = config.receive.listeners.iter().any(|listener| match &listener.bind {
        Bind::Tcp(address) => address.rsplit(':').next() == Some(port),
        Bind::Unix { .. } => false,
    });
    if ours && (value.contains("localhost") || value.contains("127.0.0.1")) {
        group.passed(
            "loop",
            format!("OTEL_EXPORTER_OTLP_ENDPOINT={shown} is this agent: not used as a destination"),
        );
    } else {
        group.warning(
            "loop",
            format!("OTEL_EXPORTER_OTLP_ENDPOINT={shown} configures SDKs, not this agent"),
            "to send there, name it under `exporters`",
        );
    }
}

/// A URL without its user and what follows `?`.
fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let authority = rest.find('/').unwrap_or(rest.len());
    let host = rest.get(..authority).and_then(|it| it.rfind('@')).map_or(0, |at| at + 1);
    let rest = rest.get(host..).unwrap_or_default();
    let rest: String = rest.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if scheme.is_empty() { rest } else { format!("{scheme}://{rest}") }
}

#[cfg(test)]
mod tests {
    use super::super::report::{Report, Verdict};
    use super::*;
    use crate::config::{Inputs, load};

    fn verdicts(variable: Option<&str>) -> Vec<(Verdict, &'static str)> {
        let loaded = load(&Inputs::default()).unwrap();
        let mut report = Report::default();
        own_variable(&loaded.config, variable, &mut report.group("configuration"));
        report.checks.iter().map(|check| (check.verdict, check.name)).collect()
    }

    #[test]
    fn a_url_is_shown_without_its_user_and_its_query() {
        for (url, shown) in [
            ("http://u:hunter2@tempo:4318/v1", "http://tempo:4318/v1"),
            ("https://tempo?key=hunter2", "https://tempo"),
            ("u:hunter2@tempo:4318", "tempo:4318"),
            ("http://tempo:4318", "http://tempo:4318"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }

    #[test]
    fn a_listener_whose_certificate_is_over_fails_and_one_of_a_destination_is_a_warning() {
        let directory = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        let (cert_file, key_file) =
            (directory.path().join("c.pem"), directory.path().join("k.pem"));
        std::fs::write(&cert_file, params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        let (cert_file, key_file) = (cert_file.display(), key_file.display());
        let tls = format!("tls: {{cert_file: '{cert_file}', key_file: '{key_file}'}}");
        let now = Some(crate::time::UnixNano(1_795_000_000_000_000_000));
        for (text, expected) in [
            (format!("receivers: {{otlp: {{protocols: {{grpc: {{{tls}}}}}}}}}"), Verdict::Failed),
            (format!("exporters: {{otlp_grpc/x: {{endpoint: 'a:1', {tls}}}}}"), Verdict::Warning),
        ] {
            let files = vec![("config.yaml".to_owned(), text)];
            let loaded = load(&Inputs { files, now, ..Inputs::default() }).unwrap();
            let mut report = Report::default();
            look(&loaded, &mut report.group("configuration"));
            let expired = report.checks.iter().find(|it| it.text.contains("expired")).unwrap();
            assert_eq!(expired.verdict, expected, "{report:?}");
            assert_eq!(expired.help.as_deref(), Some("renew it"));
        }
    }

    #[test]
    fn the_variable_of_sdks_is_fine_where_it_is_this_agent() {
        assert_eq!(verdicts(Some("http://localhost:4318")), [(Verdict::Passed, "loop")]);
        assert_eq!(verdicts(Some("http://tempo:4318")), [(Verdict::Warning, "loop")]);
    }
}
