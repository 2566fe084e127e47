//! `alerting`: receivers of notifications, each checked for what it needs.

use std::collections::BTreeMap;

use super::at::At;
use super::check::{Given, Val, Values};
use crate::alert::Pairs;
use crate::net::endpoint::{Address, Endpoint};
use crate::net::secret::Secret;
use crate::net::tls::TlsConfig;
use crate::notify::config::{Config, Peer, Webhook};
use crate::yaml::{Finding, Span};

pub(super) fn resolve(values: &Values, base: &Config, findings: &mut Vec<Finding>) -> Config {
    let at = values.at("alerting");
    let mut config = base.clone();
    at.set("otlp", &mut config.otlp);
    at.set("external_url", &mut config.external_url);
    at.set("alerts_max", &mut config.alerts_max);
    at.set("retry_time_max", &mut config.retry_time_max);
    at.set("history.age", &mut config.history_age);
    at.set("history.rows_max", &mut config.history_rows_max);
    if let Some(Given { value: Val::Pairs(labels), .. }) = at.given("external_labels") {
        let mut labels: Pairs = labels.clone();
        labels.sort();
        config.external_labels = labels;
    }
    let mut names = BTreeMap::new();
    for (at, span) in values.entries("alerting.alertmanagers") {
        let Some(mut peer) = peer("alertmanager", &at, span, findings) else { continue };
        unique(&mut peer, &at, &mut names, findings);
        config.alertmanagers.push(peer);
    }
    for (at, span) in values.entries("alerting.webhooks") {
        let Some(mut peer) = peer("webhook", &at, span, findings) else { continue };
        unique(&mut peer, &at, &mut names, findings);
        config.webhooks.push(webhook(peer, &at, findings));
    }
    config
}

fn webhook(peer: Peer, at: &At<'_>, findings: &mut Vec<Finding>) -> Webhook {
    let mut it =
        Webhook { peer, grouping: crate::notify::config::Grouping::default(), alerts_max: 1_000 };
    let grouping = &mut it.grouping;
    at.set("group_by", &mut grouping.by);
    at.set("group_wait", &mut grouping.wait);
    at.set("group_interval", &mut grouping.interval);
    at.set("repeat_interval", &mut grouping.repeat);
    at.set("send_resolved", &mut grouping.send_resolved);
    at.set("max_alerts", &mut it.alerts_max);
    if grouping.repeat < grouping.interval
        && let Some(given) = at.given("repeat_interval").or_else(|| at.given("group_interval"))
    {
        let message = "`repeat_interval` is below `group_interval`";
        let help = "a group is told at most once per `group_interval`";
        findings.push(Finding::warning(given.span, message).help(help));
    }
    it
}

/// A receiver; what is wrong with it goes to `findings`.
fn peer(kind: &str, at: &At<'_>, span: Span, findings: &mut Vec<Finding>) -> Option<Peer> {
    let Some(given) = at.given("url") else {
        let message = format!("this {kind} has no `url`");
        let help = "add one, for example `url: http://127.0.0.1:9093`";
        findings.push(Finding::error(span, message).help(help));
        return None;
    };
    let Val::Url(url) = &given.value else { return None };
    let refuse = |message: String, help: &str| Finding::error(given.span, message).help(help);
    let (base, query) = url.split_once('?').map_or((url.as_str(), None), |(a, b)| (a, Some(b)));
    let http = ["http://", "https://"].iter().any(|scheme| {
        base.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    if !http {
        let help = "write `http://host:port/path` or `https://host/path`";
        findings.push(refuse(format!("the `url` of this {kind} is not one of HTTP"), help));
        return None;
    }
    let endpoint = match Endpoint::parse(base, false, 80) {
        Ok(endpoint) => endpoint,
        Err(error) => {
            let help = "write `http://host:port/path`; credentials go into `headers` or `auth`";
            findings.push(refuse(error.to_string(), help));
            return None;
        }
    };
    if kind == "alertmanager" && (query.is_some() || endpoint.path.ends_with("/api/v2/alerts")) {
        let help = "the URL of the Alertmanager itself; `/api/v2/alerts` is appended";
        findings.push(refuse("this is not the URL of an Alertmanager".to_owned(), help));
        return None;
    }
    let sendable = |c: char| c.is_ascii_graphic() && c != '#';
    if query.is_some_and(|query| !query.chars().all(sendable)) {
        let message = "what follows `?` holds a character that no URL has".to_owned();
        findings.push(refuse(message, "write it percent-encoded"));
        return None;
    }
    let mut it = Peer::new(format!("{kind}/{}", host_and_port(&endpoint)), endpoint);
    it.query = Secret::new(query.map_or_else(String::new, |query| format!("?{query}")));
    at.set("name", &mut it.name);
    at.set("timeout", &mut it.timeout);
    at.set("auth.bearer_token_file", &mut it.bearer_token_file);
    if let Some(Given { value: Val::Headers(headers), .. }) = at.given("headers") {
        it.headers = headers.iter().map(|(n, v)| (n.clone(), Secret::new(v.as_str()))).collect();
    }
    it.tls = tls(at, &it.endpoint, findings);
    Some(it)
}

fn host_and_port(endpoint: &Endpoint) -> String {
    match &endpoint.address {
        Address::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
        Address::Tcp { host, port } => format!("{host}:{port}"),
        Address::Unix(path) => path.display().to_string(),
        Address::Within(_) => endpoint.authority(),
    }
}

fn tls(at: &At<'_>, endpoint: &Endpoint, findings: &mut Vec<Finding>) -> TlsConfig {
    let mut tls = TlsConfig::default();
    at.set("tls.ca_file", &mut tls.ca_file);
    at.set("tls.cert_file", &mut tls.cert_file);
    at.set("tls.key_file", &mut tls.key_file);
    at.set("tls.server_name_override", &mut tls.server_name_override);
    at.set("tls.insecure_skip_verify", &mut tls.insecure_skip_verify);
    let keys = ["tls.cert_file", "tls.key_file", "tls.ca_file"];
    let given = keys.iter().find_map(|key| at.given(key));
    if tls.cert_file.is_some() != tls.key_file.is_some()
        && let Some(given) = given
    {
        let message = "a client certificate needs both `cert_file` and `key_file`";
        findings.push(Finding::error(given.span, message));
    }
    if let Some(given) = given.filter(|_| !endpoint.tls) {
        let message = "`tls` has no effect on an http:// URL";
        findings.push(Finding::warning(given.span, message).help("write https://"));
    }
    if let Some(given) = at.given("tls.insecure_skip_verify").filter(|_| tls.insecure_skip_verify) {
        let message = "the server's certificate is not verified";
        let help = "for tests only; name its authority with `tls.ca_file`";
        findings.push(Finding::warning(given.span, message).help(help));
    }
    tls
}

/// A name given twice is an error; one that was made up gets a number.
fn unique(
    peer: &mut Peer,
    at: &At<'_>,
    names: &mut BTreeMap<String, usize>,
    findings: &mut Vec<Finding>,
) {
    let count = names.entry(peer.name.clone()).or_default();
    *count += 1;
    if *count == 1 {
        return;
    }
    if let Some(given) = at.given("name") {
        let message = format!("another receiver is called `{}`", peer.name);
        findings.push(Finding::error(given.span, message).help("give each its own `name`"));
    } else {
        peer.name = format!("{}#{count}", peer.name);
    }
}
