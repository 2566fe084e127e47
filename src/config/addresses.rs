//! Addresses against each other: two listeners on one, and exporters that point at the agent itself.
//!
//! Only what is written is looked at; names are resolved when the agent starts, which asks again.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use super::Config;
use super::check::Values;
use crate::export::config::Target;
use crate::export::itself::reaches;
use crate::net::endpoint::{Address, Endpoint};
use crate::receive::Bind;
use crate::yaml::{Finding, Span};

pub(super) fn check(values: &Values, config: &Config, findings: &mut Vec<Finding>) {
    duplicates(values, config, findings);
    open(values, config, findings);
    own(values, config, findings);
}

/// The OTLP listeners' addresses.
fn receivers(config: &Config) -> Vec<SocketAddr> {
    let addresses = config.receive.listeners.iter().filter_map(|listener| match &listener.bind {
        Bind::Tcp(address) => address.parse().ok(),
        Bind::Unix { .. } => None,
    });
    addresses.collect()
}

fn duplicates(values: &Values, config: &Config, findings: &mut Vec<Finding>) {
    let protocols = super::receivers::TCP.map(|(protocol, default)| {
        let key = format!("receivers.otlp.protocols.{protocol}.endpoint");
        let mut address = default.parse().ok();
        values.at("").set(&key, &mut address);
        (key, address)
    });
    let admin = ("admin.endpoint".to_owned(), Some(config.api.endpoint));
    let bound = receivers(config);
    let mut seen: Vec<(String, SocketAddr, Option<Span>)> = Vec::new();
    for (key, address) in protocols.into_iter().chain([admin]) {
        let given = values.given.get(&key);
        let Some(address) = address else { continue };
        if key != "admin.endpoint" && !bound.contains(&address) {
            continue;
        }
        let span = given.map(|given| given.span);
        let clash = seen.iter().find(|(_, other, _)| {
            // Two listeners clash when either takes the other's connections.
            reaches(address, *other) || reaches(*other, address)
        });
        if let Some((other, _, other_span)) = clash
            && let Some(span) = span.or(*other_span)
        {
            let message = format!("`{key}` and `{other}` are both {address}");
            findings.push(Finding::error(span, message).help("give each a port of its own"));
        }
        seen.push((key, address, span));
    }
}

/// Warns of listeners that other machines reach and that ask for nothing.
fn open(values: &Values, config: &Config, findings: &mut Vec<Finding>) {
    let mut warn = |key: &str, what: &str, help: &str| {
        if let Some(given) = values.given.get(key) {
            let message = format!("everybody who reaches this address may {what}");
            findings.push(Finding::warning(given.span, message).help(help));
        }
    };
    for (protocol, _) in super::receivers::TCP {
        let key = format!("receivers.otlp.protocols.{protocol}.endpoint");
        let mut address = None::<SocketAddr>;
        values.at("").set(&key, &mut address);
        let Some(address) = address.filter(|address| !address.ip().is_loopback()) else { continue };
        let text = address.to_string();
        let open = config.receive.listeners.iter().any(|listener| {
            let asks = listener.auth.is_some()
                || listener.tls.as_ref().is_some_and(|tls| tls.client_ca_file.is_some());
            !asks && matches!(&listener.bind, Bind::Tcp(bound) if *bound == text)
        });
        if open {
            warn(&key, "send", "set `auth.bearer_token_file` or `tls.client_ca_file`");
        }
    }
    if !config.api.endpoint.ip().is_loopback() && config.api.token_file.is_none() {
        let help =
            "all else asks for the agent's own token; `admin.token_file` guards `/metrics` too";
        warn("admin.endpoint", "read `/metrics`", help);
    }
}

fn own(values: &Values, config: &Config, findings: &mut Vec<Finding>) {
    let listeners = receivers(config);
    let sockets = config.receive.listeners.iter().filter_map(|listener| match &listener.bind {
        Bind::Unix { path, .. } => Some(path.as_path()),
        Bind::Tcp(_) => None,
    });
    let sockets: Vec<&Path> = sockets.collect();
    for destination in &config.export.destinations {
        let Target::Otlp(client) = &destination.target else { continue };
        let others = client.signal_endpoints.iter().map(|(_, endpoint)| endpoint);
        let Some(endpoint) = std::iter::once(&client.endpoint).chain(others).find(|endpoint| {
            literal(endpoint).is_some_and(|to| listeners.iter().any(|own| reaches(*own, to)))
                || matches!(&endpoint.address, Address::Unix(path) if sockets.contains(&path.as_path()))
        }) else {
            continue;
        };
        let place = format!("exporters.{}", destination.name);
        let at = values.at(&place);
        let keys = ["endpoint", "traces_endpoint", "metrics_endpoint", "logs_endpoint"];
        let span = keys.iter().find_map(|key| at.given(key)).map(|given| given.span);
        let exporter = values.exporters.iter().find(|e| e.name == destination.name);
        if let Some(span) = span.or(exporter.map(|exporter| exporter.span)) {
            let (name, shown) = (&destination.name, endpoint.authority());
            let message = format!("`{name}` exports to this agent itself ({shown})");
            let help =
                "everything would go round for ever: name the backend or collector behind it";
            findings.push(Finding::error(span, message).help(help));
        }
    }
}

/// The address of an endpoint whose host is an IP address or `localhost`.
fn literal(endpoint: &Endpoint) -> Option<SocketAddr> {
    match &endpoint.address {
        Address::Tcp { host, port } if host.eq_ignore_ascii_case("localhost") => {
            Some((Ipv4Addr::LOCALHOST, *port).into())
        }
        Address::Tcp { host, port } => Some((host.parse::<IpAddr>().ok()?, *port).into()),
        Address::Unix(_) | Address::Within(_) => None,
    }
}
