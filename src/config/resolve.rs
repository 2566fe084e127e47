//! Typed values to the configuration of every module, and the checks that need more than one value.
//!
//! Each module's own `Default` is what is not written; a value that is written replaces it.

use super::check::Values;
use super::surroundings::Surroundings;
use super::{Config, receivers};
use crate::aggregate;
use crate::aggregate::metrics::Promotion;
use crate::journal::{self, Durability};
use crate::memory::{Budget, PROGRAM_BYTES};
use crate::net::endpoint::Endpoint;
use crate::store;
use crate::telemetry;
use crate::yaml::{Finding, nearest};

/// Makes the configuration. What is wrong goes to `findings`; then the result is not to be used.
pub(super) fn resolve(
    values: &Values,
    surroundings: &Surroundings,
    findings: &mut Vec<Finding>,
) -> Config {
    let mut config = Config::with_surroundings(surroundings);
    let limits = values.at("limits");
    let mut total = config.memory.total as u64;
    limits.set("memory", &mut total);
    if let Some(given) = limits.given("memory")
        && surroundings.memory_limit.is_some_and(|limit| total > limit)
    {
        let message = "`limits.memory` is above the cgroup's memory limit";
        let help = "the process would be killed first: leave it out for 75 % of the limit";
        findings.push(Finding::warning(given.span, message).help(help));
    }
    if let Some(given) = limits.given("memory")
        && total < 2 * PROGRAM_BYTES as u64
    {
        let message = "`limits.memory` leaves little: the program itself takes about 24 MiB";
        let help = "many senders at once may take it past the limit: 64MiB is enough for a service, 128MiB is the default";
        findings.push(Finding::warning(given.span, message).help(help));
    }
    config.memory = Budget::split(usize::try_from(total).unwrap_or(usize::MAX));
    let journal = values.at("journal");
    if journal.word("durability") == Some("memory") {
        // That journal takes no larger one, so nobody needs to send it.
        journal.set("memory_size", &mut config.memory.memory_journal);
        let largest = (config.memory.memory_journal / 2).saturating_sub(4 << 10);
        config.memory.message = config.memory.message.min(largest);
    }
    config.receive = receivers::resolve(values, &config.memory, findings);
    config.journal = self::journal(values, &config, findings);
    config.export = super::exporters::resolve(values, findings);
    config.receive.headers_from_context = super::exporters::headers_from_context(&config.export);
    let admin = values.at("admin");
    admin.set("endpoint", &mut config.api.endpoint);
    admin.set("token_file", &mut config.api.token_file);
    admin.set("allowed_hosts", &mut config.api.allowed_hosts);
    admin.set("connections_max", &mut config.api.connections_max);
    admin.set("header_size_max", &mut config.api.header_bytes_max);
    admin.set("header_timeout", &mut config.api.header_timeout);
    admin.set("response_timeout", &mut config.api.response_timeout);
    admin.set("query_timeout", &mut config.api.query_timeout);
    config.aggregate.series_max = config.memory.span_series();
    spans(values, &mut config.aggregate, findings);
    let store = values.at("store");
    store.set("entries_max", &mut config.entries.entries_max);
    store.set("entries_ttl", &mut config.entries.ttl);
    store.set("cleanup_interval", &mut config.entries.cleanup_interval);
    values.at("aggregate.host_metrics").set("enabled", &mut config.host.enabled);
    local(values, &mut config);
    config.aggregate.promote = config.metrics.promote.clone();
    config.notify = super::alerting::resolve(values, &config.notify, findings);
    config.notify.database =
        config.store.as_ref().map(|store| store.directory.join("notifications.db"));
    rules(values, &mut config);
    config.rules.slos = super::slos::resolve(values, findings);
    config.rules.external_labels.clone_from(&config.notify.external_labels);
    config.rules.external_url.clone_from(&config.notify.external_url);
    config.rules.routes_exclude.clone_from(&config.aggregate.routes_exclude);
    config.telemetry = telemetry(values, findings);
    values.at("").set("shutdown_timeout", &mut config.shutdown_timeout);
    super::addresses::check(values, &config, findings);
    config
}

fn journal(values: &Values, config: &Config, findings: &mut Vec<Finding>) -> journal::Config {
    let at = values.at("journal");
    let mut journal = config.journal.clone();
    journal.tail_size = config.memory.tail;
    journal.memory_size = config.memory.memory_journal;
    at.set("directory", &mut journal.directory);
    match at.word("durability") {
        Some("os") => journal.durability = Durability::Os,
        Some("memory") => journal.durability = Durability::Memory,
        _ => {}
    }
    at.set("group_window", &mut journal.group_window);
    at.set("max_size", &mut journal.max_size);
    at.set("retention.age", &mut journal.retention_age);
    at.set("retention.size", &mut journal.retention_size);
    at.set("memory_size", &mut journal.memory_size);
    if let Some(given) = at.given("memory_size") {
        if journal.memory_size > config.memory.total / 2 {
            let message = "`journal.memory_size` is more than half of `limits.memory`";
            findings.push(Finding::error(given.span, message).help("lower it, or raise the limit"));
        } else if journal.durability != Durability::Memory {
            let message = "`journal.memory_size` has no effect without `durability: memory`";
            findings.push(Finding::warning(given.span, message));
        }
    }
    if let (Some(given), Some(max)) = (at.given("retention.size"), journal.max_size)
        && journal.retention_size > max
    {
        let message = "`journal.retention.size` is above `journal.max_size`";
        findings.push(Finding::error(given.span, message).help("it is a part of it"));
    }
    let largest = config.receive.listeners.iter().map(|listener| listener.message_bytes_max).max();
    if let (Some(given), Some(largest)) = (at.given("max_size"), largest)
        && journal.record_bytes_max().is_some_and(|record| record < largest)
    {
        let message = "`journal.max_size` has no room for two messages as large as receivers take";
        let help = "larger ones are refused: raise it, or lower the receivers' largest message";
        findings.push(Finding::warning(given.span, message).help(help));
    }
    journal
}

/// What is made of spans.
fn spans(values: &Values, config: &mut aggregate::Config, findings: &mut Vec<Finding>) {
    let at = values.at("aggregate");
    at.set("series_max", &mut config.series_max);
    at.set("series_per_service_max", &mut config.series_per_service_max);
    at.set("series_ttl", &mut config.series_ttl);
    at.set("label_value_size_max", &mut config.label_value_bytes_max);
    at.set("dimensions", &mut config.dimensions);
    if let Some(given) = at.given("dimensions") {
        for (key, why) in aggregate::useless_dimensions(&config.dimensions) {
            let message = format!("`{key}` in `aggregate.dimensions` {why}");
            findings.push(Finding::error(given.span, message).help("leave it out"));
        }
    }
    at.set("exemplars", &mut config.exemplars);
    at.set("exemplars_max", &mut config.exemplars_max);
    at.set("thresholds.default", &mut config.thresholds.default);
    for (at, span) in values.entries("aggregate.thresholds.operations") {
        let mut own = aggregate::config::Threshold::default();
        at.set("service", &mut own.service);
        at.set("operation", &mut own.operation);
        at.set("threshold", &mut own.threshold);
        if at.given("threshold").is_none() {
            let message = "this operation has no `threshold`";
            findings.push(Finding::error(span, message).help("add one, for example `500ms`"));
        }
        config.thresholds.operations.push(own);
    }
    at.set("routes.exclude", &mut config.routes_exclude);
    at.set("graph.enabled", &mut config.graph.enabled);
    at.set("graph.wait", &mut config.graph.wait);
    at.set("graph.pending_max", &mut config.graph.pending_max);
    at.set("graph.edges_max", &mut config.graph.edges_max);
    at.set("graph.virtual_nodes_max", &mut config.graph.virtual_nodes_max);
    at.set("export.enabled", &mut config.export.enabled);
    at.set("export.families", &mut config.export.families);
    at.set("export.interval", &mut config.export.interval);
}

/// The metric store, and what goes into it.
fn local(values: &Values, config: &mut Config) {
    let at = values.at("store");
    let mut store = store::Config::new(config.journal.directory.with_file_name("store"));
    at.set("directory", &mut store.directory);
    at.set("series_max", &mut store.series_max);
    at.set("series_ttl", &mut store.series_ttl);
    at.set("raw", &mut store.retention);
    at.set("rollup_5m", &mut store.retention_5m);
    at.set("rollup_1h", &mut store.retention_1h);
    at.set("max_size", &mut store.max_size);
    at.set("checkpoint_interval", &mut store.checkpoint_interval);
    store.memory = config.memory.store;
    store.exemplars_max = config.aggregate.exemplars_max * 4;
    let metrics = &mut config.metrics;
    metrics.series_max = store.series_max;
    metrics.memory = config.memory.store;
    metrics.future_ms_max = i64::try_from(store.future_max.as_millis()).unwrap_or(i64::MAX);
    metrics.label_value_bytes_max = config.aggregate.label_value_bytes_max;
    let mut promote: Option<Vec<String>> = None;
    at.set("promote_resource_attributes", &mut promote);
    if let Some(promote) = promote {
        metrics.promote = Promotion::new(promote);
    }
    at.set("promote_scope_metadata", &mut metrics.scope_labels);
    // Who keeps the journal in memory wants nothing on disk that was not asked for.
    let in_memory = config.journal.durability == Durability::Memory;
    let mut enabled = !in_memory || at.given("directory").is_some();
    at.set("enabled", &mut enabled);
    config.store = enabled.then_some(store);
}

/// Rules: which, how often, and what they compare with.
fn rules(values: &Values, config: &mut Config) {
    let at = values.at("rules");
    let rules = &mut config.rules;
    at.set("files", &mut rules.files);
    at.set("builtin.enabled", &mut rules.builtin);
    at.set("builtin.disable", &mut rules.builtin_disable);
    at.set("evaluation_interval", &mut rules.evaluation_interval);
    at.set("resend_delay", &mut rules.resend_delay);
    at.set("expected_services", &mut rules.expected_services);
    for (name, value) in &mut rules.thresholds {
        at.set(&format!("thresholds.{name}"), value);
    }
    if let Some(store) = &config.store {
        rules.directory.clone_from(&store.directory);
    }
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

fn telemetry(values: &Values, findings: &mut Vec<Finding>) -> telemetry::Config {
    let at = values.at("telemetry");
    let mut config = telemetry::Config::default();
    at.set("logs.level", &mut config.logs.level);
    if let Some(given) = at.given("logs.level") {
        let level = config.logs.level.as_str();
        // A lone word that is no level would be read as a target's name, and silence the rest.
        let word = !level.contains(['=', ',', ':', '[']);
        if (word && !LEVELS.contains(&level)) || telemetry::logs::parse(level).is_err() {
            let message = format!("`{level}` is not a log level");
            let meant = nearest(level, LEVELS.iter().copied());
            let meant = meant.map_or_else(String::new, |meant| format!("did you mean `{meant}`? "));
            let help = format!("{meant}one of {}, or directives", LEVELS.join(", "));
            findings.push(Finding::error(given.span, message).help(help));
        }
    }
    match at.word("logs.format") {
        Some("pretty") => config.logs.format = telemetry::config::LogFormat::Pretty,
        Some("json") => config.logs.format = telemetry::config::LogFormat::Json,
        _ => {}
    }
    let mut otlp = |signal: &str| {
        let at = values.at(&format!("telemetry.{signal}"));
        let mut otlp = telemetry::config::Otlp::default();
        at.set("endpoint", &mut otlp.endpoint);
        if let Some(given) = at.given("endpoint") {
            let http = otlp.endpoint.starts_with("http://");
            let wrong = match Endpoint::parse(&otlp.endpoint, true, 4317) {
                Ok(endpoint) => (!http || endpoint.path != "/")
                    .then(|| "it is not `http://host:port`".to_owned()),
                Err(error) => Some(error.to_string()),
            };
            if let Some(why) = wrong {
                let message = format!("the agent's own {signal} cannot be sent there: {why}");
                let help = "write `http://host:4317`; for TLS send it to this agent, which exports over TLS";
                findings.push(Finding::error(given.span, message).help(help));
            }
        }
        at.set("timeout", &mut otlp.timeout);
        at.set("interval", &mut otlp.interval);
        (at.word("exporter") == Some("otlp")).then_some(otlp)
    };
    config.traces = otlp("traces");
    config.metrics = otlp("metrics");
    config
}
