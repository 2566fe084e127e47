//! `exporters`: destinations, each with the defaults of its type.

use std::collections::BTreeMap;

use http::HeaderName;

use super::at::At;
use super::check::{Exporter, Given, Val, Values};
use super::value::bracketed;
use crate::export::config::{
    ClientConfig, Compression, Config, DebugConfig, Destination, Encoding, FileConfig, Protocol,
    Target,
};
use crate::journal::{SignalSet, Start, WhenFull};
use crate::net::endpoint::{Address, Endpoint};
use crate::net::secret::Secret;
use crate::signal::Signal;
use crate::yaml::{Finding, Span};

pub(super) fn resolve(values: &Values, findings: &mut Vec<Finding>) -> Config {
    let journal = values.at("journal").when_full("when_full").unwrap_or(WhenFull::Reject);
    let destinations = values.exporters.iter().filter_map(|exporter| {
        let at = values.at(&format!("exporters.{}", exporter.name));
        let target = target(exporter, &at, findings)?;
        let mut destination = Destination::new(exporter.name.clone(), target);
        destination.queue.when_full = journal;
        common(&at, &mut destination, findings);
        Some(destination)
    });
    let config = Config { destinations: destinations.collect() };
    one_writer_per_file(&config, values, findings);
    config
}

/// Two destinations that rotate one file would lose each other's lines.
fn one_writer_per_file(config: &Config, values: &Values, findings: &mut Vec<Finding>) {
    let files = config.destinations.iter().filter_map(|destination| match &destination.target {
        Target::File(file) => Some((&file.path, &destination.name)),
        Target::Otlp(_) | Target::Debug(_) => None,
    });
    let mut writers = BTreeMap::new();
    for (path, name) in files {
        let Some(first) = writers.insert(path, name) else { continue };
        if let Some(given) = values.at(&format!("exporters.{name}")).given("path") {
            let message = format!("`{first}` writes to the same file");
            findings.push(Finding::error(given.span, message).help("give each its own `path`"));
        }
    }
}

/// Every header that some destination passes on, once.
pub(super) fn headers_from_context(config: &Config) -> Vec<HeaderName> {
    let names = config.destinations.iter().flat_map(|d| &d.headers_from_context);
    let mut names: Vec<&String> = names.collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().filter_map(|name| HeaderName::try_from(name).ok()).collect()
}

fn common(at: &At<'_>, it: &mut Destination, findings: &mut Vec<Finding>) {
    if let Some(Given { value: Val::List(words), span, .. }) = at.given("signals") {
        let named =
            |signal: &Signal| words.iter().any(|word| *word == Val::Text(signal.name().to_owned()));
        it.signals = SignalSet::of(|signal| named(&signal));
        if words.is_empty() {
            let message = format!("`{}` gets no signals", it.name);
            findings.push(Finding::error(*span, message).help("remove the exporter, or name one"));
        }
    }
    at.set("headers_from_context", &mut it.headers_from_context);
    let queue = &mut it.queue;
    at.set("sending_queue.num_consumers", &mut queue.num_consumers);
    if let Some(when_full) = at.when_full("sending_queue.when_full") {
        queue.when_full = when_full;
    }
    if at.word("sending_queue.start") == Some("oldest") {
        queue.start = Start::Oldest;
    }
    let batch = &mut queue.batch;
    at.set("sending_queue.batch.max_size", &mut batch.max_size);
    at.set("sending_queue.batch.max_request_size", &mut batch.max_request_size);
    at.set("sending_queue.batch.flush_timeout", &mut batch.flush_timeout);
    if batch.max_size > batch.max_request_size {
        let keys = ["sending_queue.batch.max_size", "sending_queue.batch.max_request_size"];
        if let Some(given) = keys.iter().find_map(|key| at.given(key)) {
            let message = "`batch.max_size` is above `batch.max_request_size`";
            let help = "requests are merged up to the first and never sent above the second";
            findings.push(Finding::error(given.span, message).help(help));
        }
    }
    let retry = &mut it.retry;
    at.set("retry_on_failure.enabled", &mut retry.enabled);
    at.set("retry_on_failure.initial_interval", &mut retry.policy.initial_interval);
    at.set("retry_on_failure.max_interval", &mut retry.policy.max_interval);
    at.set("retry_on_failure.multiplier", &mut retry.policy.multiplier);
    at.set("retry_on_failure.randomization_factor", &mut retry.policy.randomization_factor);
    at.set("retry_on_failure.max_elapsed_time", &mut retry.max_elapsed_time);
    at.set("retry_on_failure.hold_on_config_error", &mut retry.hold_on_config_error);
    at.set("retry_on_failure.extra_http_statuses", &mut retry.extra_http_statuses);
    if retry.policy.initial_interval > retry.policy.max_interval {
        let keys = ["retry_on_failure.initial_interval", "retry_on_failure.max_interval"];
        if let Some(given) = keys.iter().find_map(|key| at.given(key)) {
            let message = "`initial_interval` is above `max_interval`";
            findings.push(Finding::error(given.span, message));
        }
    }
}

fn target(exporter: &Exporter, at: &At<'_>, findings: &mut Vec<Finding>) -> Option<Target> {
    match exporter.kind {
        "otlp_grpc" => client(exporter, Protocol::Grpc, at, findings),
        "otlp_http" => client(exporter, Protocol::Http, at, findings),
        "debug" => {
            let detailed = at.word("verbosity") == Some("detailed");
            Some(Target::Debug(DebugConfig { detailed }))
        }
        _ => {
            let Some(path) = at.word("path") else {
                if !at.is_refused("path") {
                    findings.push(missing(exporter, "path", "path: /var/lib/sidelight/out.jsonl"));
                }
                return None;
            };
            let mut file = FileConfig::new(path);
            at.set("rotation.max_size", &mut file.max_size);
            at.set("rotation.max_backups", &mut file.max_backups);
            Some(Target::File(file))
        }
    }
}

fn missing(exporter: &Exporter, key: &str, example: &str) -> Finding {
    let message = format!("`{}` has no `{key}`", exporter.name);
    Finding::error(exporter.span, message).help(format!("add one, for example `{example}`"))
}

fn client(
    exporter: &Exporter,
    protocol: Protocol,
    at: &At<'_>,
    findings: &mut Vec<Finding>,
) -> Option<Target> {
    let mut insecure = false;
    at.set("tls.insecure", &mut insecure);
    let mut own = Vec::new();
    for signal in Signal::ALL {
        let key = format!("{}_endpoint", signal.name());
        if let Some(endpoint) = endpoint(at, &key, insecure, protocol, findings) {
            own.push((signal, endpoint));
        }
    }
    let main = endpoint(at, "endpoint", insecure, protocol, findings);
    // With endpoints of single signals alone, the first stands for the rest, which are then not sent.
    let Some(main) = main.or_else(|| own.first().map(|(_, endpoint)| endpoint.clone())) else {
        if at.given("endpoint").is_none() && !at.is_refused("endpoint") {
            findings.push(missing(exporter, "endpoint", "endpoint: http://127.0.0.1:14317"));
        }
        return None;
    };
    let mut it = ClientConfig::new(protocol, main);
    it.signal_endpoints = own;
    it.compression = compression(at, findings);
    if at.word("encoding") == Some("json") {
        it.encoding = Encoding::Json;
    }
    if let Some(Given { value: Val::Headers(headers), .. }) = at.given("headers") {
        it.headers = headers.iter().map(|(n, v)| (n.clone(), Secret::new(v.as_str()))).collect();
    }
    at.set("auth.bearer_token_file", &mut it.bearer_token_file);
    if let Some(given) = at.given("auth.bearer_token_file")
        && it.headers.iter().any(|(name, _)| name == "authorization")
    {
        let message = "`headers` has an `authorization` as well";
        let help = "leave one of them out: the token of the file would stand in its place";
        findings.push(Finding::error(given.span, message).help(help));
    }
    if let (Some(_), Some(given)) = (&it.bearer_token_file, at.given("headers_from_context"))
        && let Val::List(names) = &given.value
        && names.iter().any(
            |name| matches!(name, Val::Text(name) if name.eq_ignore_ascii_case("authorization")),
        )
    {
        let message = "`authorization` of senders would be passed on in place of the token of `auth.bearer_token_file`";
        let help = "leave it out here, or the file";
        findings.push(Finding::error(given.span, message).help(help));
    }
    at.set("timeout", &mut it.timeout);
    at.set("keepalive.time", &mut it.keepalive_time);
    at.set("keepalive.timeout", &mut it.keepalive_timeout);
    at.set("tls.ca_file", &mut it.tls.ca_file);
    at.set("tls.cert_file", &mut it.tls.cert_file);
    at.set("tls.key_file", &mut it.tls.key_file);
    at.set("tls.server_name_override", &mut it.tls.server_name_override);
    at.set("tls.insecure", &mut it.tls.insecure);
    at.set("tls.insecure_skip_verify", &mut it.tls.insecure_skip_verify);
    if it.tls.cert_file.is_some() != it.tls.key_file.is_some()
        && let Some(given) = at.given("tls.cert_file").or_else(|| at.given("tls.key_file"))
    {
        let message = "a client certificate needs both `cert_file` and `key_file`";
        findings.push(Finding::error(given.span, message));
    }
    warn_of_tls(at, &it, findings);
    Some(Target::Otlp(Box::new(it)))
}

fn endpoint(
    at: &At<'_>,
    key: &str,
    insecure: bool,
    protocol: Protocol,
    findings: &mut Vec<Finding>,
) -> Option<Endpoint> {
    let given = at.given(key)?;
    match Endpoint::parse(at.word(key)?, insecure, protocol.default_port()) {
        Ok(endpoint) if protocol == Protocol::Grpc && endpoint.path != "/" => {
            let message = "a gRPC endpoint has no path";
            let help = "remove the path, or use `otlp_http`";
            findings.push(Finding::error(given.span, message).help(help));
            None
        }
        Ok(_) if protocol == Protocol::Http && is_bare_name(at.word(key)?) => {
            let name = at.word(key)?.trim();
            let message = format!("`{name}` is not a URL");
            let help = format!("write `http://{name}:4318` or `https://{name}`");
            findings.push(Finding::error(given.span, message).help(help));
            None
        }
        Ok(endpoint) => {
            if key == "endpoint" {
                warn_of_place(given, protocol, &endpoint, findings);
            }
            Some(endpoint)
        }
        Err(error) => {
            let mut help = format!("expected {}", given.option.kind.describe());
            if let Some(meant) = at.word(key).and_then(bracketed) {
                help = format!("an IPv6 address stands in brackets: `{meant}`; {help}");
            }
            findings.push(Finding::error(given.span, error.to_string()).help(help));
            None
        }
    }
}

/// Where an endpoint is legal and hardly meant.
fn warn_of_place(
    given: &Given,
    protocol: Protocol,
    endpoint: &Endpoint,
    findings: &mut Vec<Finding>,
) {
    let of_signal = Signal::ALL.iter().find(|signal| {
        let path = format!("/v1/{}", signal.name());
        endpoint.path.trim_end_matches('/').ends_with(&path)
    });
    let Address::Tcp { port, .. } = endpoint.address else { return };
    let (message, help) = match (protocol, of_signal, port) {
        (Protocol::Http, Some(signal), _) => (
            format!(
                "`/v1/{0}` is added to this `endpoint`: requests would go to `{1}/v1/{0}`",
                signal.name(),
                endpoint.path
            ),
            format!("leave the path out, or name it as `{}_endpoint`", signal.name()),
        ),
        (Protocol::Http, None, 4317) => (
            "port 4317 takes gRPC where nobody changed it".to_owned(),
            "`otlp_http` goes to port 4318 there".to_owned(),
        ),
        (Protocol::Grpc, _, 4318) => (
            "port 4318 takes HTTP where nobody changed it".to_owned(),
            "`otlp_grpc` goes to port 4317 there".to_owned(),
        ),
        _ => return,
    };
    findings.push(Finding::warning(given.span, message).help(help));
}

/// Whether there is neither a scheme nor a port.
fn is_bare_name(endpoint: &str) -> bool {
    let host = endpoint.rsplit(']').next().unwrap_or(endpoint);
    !endpoint.starts_with("unix:") && !host.contains(':')
}

fn compression(at: &At<'_>, findings: &mut Vec<Finding>) -> Compression {
    let mut level = 1_u32;
    at.set("compression_params.level", &mut level);
    let too_high = |max: u32, span: Span| {
        let message = format!("{level} is not a compression level of gzip");
        Finding::error(span, message).help(format!("from 1 to {max}"))
    };
    match (at.word("compression").unwrap_or("gzip"), at.given("compression_params.level")) {
        ("none", Some(given)) => {
            let message = "a compression level without compression has no effect";
            findings.push(Finding::warning(given.span, message));
            Compression::None
        }
        ("none", None) => Compression::None,
        ("zstd", _) => Compression::Zstd(i32::try_from(level).unwrap_or(1)),
        (_, Some(given)) if level > 9 => {
            findings.push(too_high(9, given.span));
            Compression::Gzip(9)
        }
        _ => Compression::Gzip(level),
    }
}

fn warn_of_tls(at: &At<'_>, it: &ClientConfig, findings: &mut Vec<Finding>) {
    if let Some(given) = at.given("tls.insecure_skip_verify")
        && it.tls.insecure_skip_verify
    {
        let message = "the server's certificate is not verified";
        let help = "for tests only; name its authority with `tls.ca_file`";
        findings.push(Finding::warning(given.span, message).help(help));
    }
    if let (Some(given), Some(endpoint)) = (at.given("tls.insecure"), at.word("endpoint"))
        && it.tls.insecure
        && endpoint.starts_with("https://")
    {
        let message = "`tls.insecure` has no effect on an https:// endpoint: TLS is used";
        findings.push(Finding::warning(given.span, message).help("write http:// for plain text"));
    }
}
