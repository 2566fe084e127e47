//! The subscriber of `tracing` that an application gets which has none of its own.

use std::io::Write;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;

use super::env::Lookup;
use super::error::StartError;
use super::telemetry::Telemetry;
use crate::logs::{LogFormat, stdout};

/// What speaks while records are exported. What it says at `debug` would be exported in turn, without end.
const EXPORTERS: [&str; 8] = [
    "h2",
    "hyper",
    "hyper_util",
    "tonic",
    "tower",
    "opentelemetry",
    "opentelemetry_sdk",
    "opentelemetry_otlp",
];

/// `RUST_LOG`, else what code said, else `info`; the exporters' crates are silent unless named there.
pub(crate) fn filter(lookup: Lookup<'_>, code: Option<&str>) -> Result<EnvFilter, StartError> {
    let asked = lookup("RUST_LOG").filter(|asked| !asked.trim().is_empty());
    let directives = asked.as_deref().or(code).unwrap_or("info");
    let mut all = directives.to_owned();
    for target in EXPORTERS {
        if !named(directives, target) {
            all.push_str(&format!(",{target}=off"));
        }
    }
    if asked.is_some() {
        // As the filter's own reading of the variable does, what does not parse is left out with a word on it.
        return Ok(EnvFilter::builder().parse_lossy(all));
    }
    EnvFilter::builder().parse(&all).map_err(|error| StartError::Filter {
        filter: directives.to_owned(),
        reason: error.to_string(),
    })
}

fn named(directives: &str, target: &str) -> bool {
    let names = directives
        .split(',')
        .map(|directive| directive.split(['=', '[']).next().unwrap_or("").trim());
    names.into_iter().any(|name| {
        name == target || name.strip_prefix(target).is_some_and(|rest| rest.starts_with("::"))
    })
}

/// Makes it the process's.
pub(crate) fn install(
    telemetry: &Telemetry,
    format: LogFormat,
    filter: EnvFilter,
) -> Result<(), StartError> {
    let subscriber = tracing_subscriber::registry()
        .with(filter)
        .with(telemetry.layer())
        .with(stdout(format, telemetry.resource()));
    tracing::subscriber::set_global_default(subscriber).map_err(|_| StartError::SubscriberInstalled)
}

/// Through `tracing` where there is a subscriber, else to standard error.
pub(crate) fn warn(warning: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::warn!(target: "sidelight", "{warning}");
    } else {
        _ = writeln!(std::io::stderr(), "sidelight: {warning}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exporters_are_silent_unless_named() {
        let shown =
            |asked: Option<&str>| filter(&|_| asked.map(str::to_owned), None).unwrap().to_string();
        let default = shown(None);
        assert!(
            default.contains("info") && default.contains("hyper=off") && default.contains("h2=off"),
            "{default}"
        );
        let named = shown(Some("debug,hyper=trace,tonic::transport=info"));
        assert!(named.contains("hyper=trace") && !named.contains("hyper=off"), "{named}");
        assert!(!named.contains("tonic=off") && named.contains("h2=off"), "{named}");
    }

    #[test]
    fn a_filter_in_code_that_does_not_parse_is_refused() {
        let refused = filter(&|_| None, Some("checkout=loud")).unwrap_err().to_string();
        assert!(refused.contains("checkout=loud"), "{refused}");
    }
}
