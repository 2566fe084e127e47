//! `receivers.otlp`: three listeners of one shape.

use super::at::At;
use super::check::Values;
use super::value::show_byte_size;
use crate::memory::Budget;
use crate::receive::{Auth, Bind, Config, InvalidUtf8, Listener, Tls};
use crate::yaml::Finding;

const SHARED: &str = "receivers.otlp";
/// The longest path of a Unix socket, in bytes. The system takes 107, and the agent makes the socket under a name with a dot and
/// its process number behind, which has one digit in a container. Source: unix(7), `sun_path`.
const SOCKET_PATH_MAX: usize = 105;
/// The listeners on ports, and where they are unless told otherwise.
pub(super) const TCP: [(&str, &str); 2] = [("grpc", "127.0.0.1:4317"), ("http", "127.0.0.1:4318")];

pub(super) fn resolve(values: &Values, budget: &Budget, findings: &mut Vec<Finding>) -> Config {
    let mut config = Config::with_budget(budget);
    values.at("limits").set("connections_max", &mut config.connections_max);
    config.listeners = Vec::new();
    for (protocol, endpoint) in TCP {
        let at = values.at(&format!("{SHARED}.protocols.{protocol}"));
        let (mut enabled, mut endpoint) = (true, endpoint.to_owned());
        at.set("enabled", &mut enabled);
        if let Some(address) = address_of(&at) {
            endpoint = address;
        }
        if enabled {
            config.listeners.push(listener(values, &at, Bind::Tcp(endpoint), budget, findings));
        }
    }
    let at = values.at(&format!("{SHARED}.protocols.unix"));
    if let Some(path) = at.word("path") {
        if path.len() > SOCKET_PATH_MAX
            && let Some(given) = at.given("path")
        {
            let message = format!("the path of a Unix socket has at most {SOCKET_PATH_MAX} bytes");
            let help = format!("this one has {}: take a shorter one", path.len());
            findings.push(Finding::error(given.span, message).help(help));
        }
        let mut mode = 0o660;
        at.set("mode", &mut mode);
        let bind = Bind::Unix { path: path.into(), mode };
        config.listeners.push(listener(values, &at, bind, budget, findings));
    }
    let disabled = values.at(&format!("{SHARED}.protocols.http"));
    if let Some(given) = disabled.given("enabled")
        && config.listeners.is_empty()
    {
        let message = "no receiver is left: nothing can send to this agent";
        let help = "enable `grpc` or `http`, or give `unix` a `path`";
        findings.push(Finding::warning(given.span, message).help(help));
    }
    config
}

fn address_of(at: &At<'_>) -> Option<String> {
    let mut address = None::<std::net::SocketAddr>;
    at.set("endpoint", &mut address);
    address.map(|address| address.to_string())
}

fn listener(
    values: &Values,
    own: &At<'_>,
    bind: Bind,
    budget: &Budget,
    findings: &mut Vec<Finding>,
) -> Listener {
    let unix = matches!(bind, Bind::Unix { .. });
    let shared = values.at(SHARED);
    let mut it = Listener { message_bytes_max: budget.message, ..Listener::new(bind) };
    for key in ["max_recv_msg_size", "max_request_body_size"] {
        own.set(key, &mut it.message_bytes_max);
        if let Some(given) = own.given(key)
            && it.message_bytes_max > budget.message
        {
            it.message_bytes_max = budget.message;
            let message = format!(
                "`{key}` is lowered to {}, its part of `limits.memory`",
                show_byte_size(budget.message as u64)
            );
            let help = "raise `limits.memory` to take larger messages";
            findings.push(Finding::warning(given.span, message).help(help));
        }
    }
    own.set("traces_url_path", &mut it.paths.traces);
    own.set("metrics_url_path", &mut it.paths.metrics);
    own.set("logs_url_path", &mut it.paths.logs);
    own.set("profiles_url_path", &mut it.paths.profiles);
    for (key, path) in [
        ("traces_url_path", &it.paths.traces),
        ("metrics_url_path", &it.paths.metrics),
        ("logs_url_path", &it.paths.logs),
        ("profiles_url_path", &it.paths.profiles),
    ] {
        if let Some(given) = own.given(key)
            && !path.starts_with('/')
        {
            let message = format!("`{key}` does not begin with `/`");
            findings.push(Finding::error(given.span, message).help(format!("write `/{path}`")));
        }
    }
    own.set("cors.allowed_origins", &mut it.cors.allowed_origins);
    own.set("cors.allowed_headers", &mut it.cors.allowed_headers);
    own.set("cors.max_age", &mut it.cors.max_age);
    for at in [&shared, own] {
        match at.word("invalid_utf8") {
            Some("reject") => it.invalid_utf8 = InvalidUtf8::Reject,
            Some(_) => it.invalid_utf8 = InvalidUtf8::Repair,
            None => {}
        }
        at.set("timeouts.header", &mut it.timeouts.header);
        at.set("timeouts.body", &mut it.timeouts.body);
        at.set("timeouts.idle", &mut it.timeouts.idle);
        at.set("keepalive.time", &mut it.keepalive.time);
        at.set("keepalive.timeout", &mut it.keepalive.timeout);
        at.set("keepalive.max_connection_age", &mut it.keepalive.max_connection_age);
        at.set("keepalive.max_connection_age_grace", &mut it.keepalive.max_connection_age_grace);
    }
    it.keepalive.max_connection_age = it.keepalive.max_connection_age.filter(|age| !age.is_zero());
    it.tls = if unix { tls(&[own], findings) } else { tls(&[&shared, own], findings) };
    it.auth = auth(&[&shared, own]);
    it
}

fn tls(places: &[&At<'_>], findings: &mut Vec<Finding>) -> Option<Tls> {
    let (mut cert_file, mut key_file, mut client_ca_file) = (None, None, None);
    let mut reload_interval = std::time::Duration::from_secs(60);
    for at in places {
        at.set("tls.cert_file", &mut cert_file);
        at.set("tls.key_file", &mut key_file);
        at.set("tls.client_ca_file", &mut client_ca_file);
        at.set("tls.reload_interval", &mut reload_interval);
    }
    match (cert_file, key_file) {
        (Some(cert_file), Some(key_file)) => {
            Some(Tls { cert_file, key_file, client_ca_file, reload_interval })
        }
        (None, None) if client_ca_file.is_none() => None,
        _ => {
            let keys = ["tls.cert_file", "tls.key_file", "tls.client_ca_file"];
            let given = places.iter().rev().find_map(|at| keys.iter().find_map(|k| at.given(k)));
            if let Some(given) = given {
                let message = "TLS needs both `cert_file` and `key_file`";
                findings.push(Finding::error(given.span, message));
            }
            None
        }
    }
}

fn auth(places: &[&At<'_>]) -> Option<Auth> {
    let mut file = None;
    let mut reload_interval = std::time::Duration::from_secs(60);
    for at in places {
        at.set("auth.bearer_token_file", &mut file);
        at.set("tls.reload_interval", &mut reload_interval);
    }
    file.map(|bearer_token_file| Auth { bearer_token_file, reload_interval })
}
