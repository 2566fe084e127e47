//! Every option of the table changes the configuration.

use std::collections::BTreeSet;

use super::*;
use crate::config::option::{Kind, Opt, Preset};
use crate::config::table;

/// A configuration with `option` at `place` set to `value`, and what it needs beside it.
pub(in crate::config) fn with(place: &str, option: &Opt, value: &str) -> String {
    if let Some(list) = place.strip_suffix("[]") {
        let required = match (list, option.key) {
            (_, "url" | "threshold") => "",
            ("slos", "name") => "service: shop, ",
            ("slos", "service") => "name: checkout, ",
            ("slos", _) => "name: checkout, service: shop, ",
            ("aggregate.thresholds.operations", _) => "threshold: 1s, ",
            _ => "url: 'http://a.example:1', ",
        };
        let keys: Vec<&str> = option.key.split('.').collect();
        let own = format!("{}: {value}{}", keys.join(": {"), "}".repeat(keys.len() - 1));
        let pair = match option.key {
            "tls.cert_file" => ", tls: {key_file: /pem}",
            "tls.key_file" => ", tls: {cert_file: /pem}",
            _ => "",
        };
        if list == "slos" {
            return format!("slos: [{{{required}{own}}}]");
        }
        // Two mappings of one name are one in YAML; the second file adds what the first lacks.
        let (section, name) = list.split_once('.').unwrap();
        let own = match pair.strip_prefix(", tls: {") {
            Some(rest) => own.replace('}', &format!(", {rest}")),
            None => own,
        };
        let nested = name
            .rsplit('.')
            .fold(format!("[{{{required}{own}}}]"), |inner, part| format!("{{{part}: {inner}}}"));
        return format!("{section}: {nested}");
    }
    let mut set = vec![(format!("{place}.{}", option.key), value.to_owned())];
    if place.starts_with("exporters.otlp") && !option.key.ends_with("endpoint") {
        set.push((format!("{place}.endpoint"), "'http://b.example:1'".to_owned()));
    }
    match (place, option.key) {
        ("exporters.file", key) if key != "path" => {
            set.push(("exporters.file.path".into(), "/x".into()));
        }
        ("receivers.otlp.protocols.unix", key) if key != "path" => {
            set.push(("receivers.otlp.protocols.unix.path".into(), "/s".into()));
        }
        ("journal", "when_full") => set.push(("exporters.debug.verbosity".into(), "basic".into())),
        ("journal", "memory_size") => set.push(("journal.durability".into(), "memory".into())),
        ("telemetry", key) if !key.starts_with("logs") && !key.ends_with("exporter") => {
            let signal = key.split('.').next().unwrap_or_default();
            set.push((format!("telemetry.{signal}.exporter"), "otlp".into()));
        }
        _ => {}
    }
    for (key, other) in [("tls.cert_file", "tls.key_file"), ("tls.key_file", "tls.cert_file")] {
        let others = ["tls.reload_interval", "tls.client_ca_file"];
        if option.key == key || (others.contains(&option.key) && key == "tls.cert_file") {
            set.push((format!("{place}.{other}"), "/pem".into()));
        }
        if others.contains(&option.key) && key == "tls.key_file" {
            set.push((format!("{place}.{other}"), "/pem".into()));
        }
    }
    set.sort();
    set.dedup();
    set.iter()
        .map(|(key, value)| {
            let keys: Vec<&str> = key.split('.').filter(|k| !k.is_empty()).collect();
            format!("{}: {value}{}", keys.join(": {"), "}".repeat(keys.len() - 1))
        })
        .collect::<Vec<_>>()
        .join("\u{0}")
}

/// Resolves configurations made of several single settings, as text of the whole `Config`.
fn resolved(settings: &str) -> String {
    let files: Vec<&str> = settings.split('\u{0}').collect();
    format!("{:?}", loaded(&files, &[], &[]).config)
}

pub(in crate::config) fn other_than_default(option: &Opt) -> &'static str {
    match (option.kind, option.default) {
        (Kind::Bool, Preset::Value("true")) => "false",
        (Kind::Bool, _) => "true",
        (Kind::Integer { .. }, _) => "7",
        (Kind::Float { .. }, Preset::Value("0.5")) => "0.25",
        (Kind::Float { .. }, _) => "2.5",
        (Kind::Size { min, .. }, _) if min > 32 << 20 => "64MiB",
        (Kind::Size { min, .. }, _) if min > 1 << 20 => "33MiB",
        (Kind::Size { min, .. }, _) if min == 1 << 20 => "5MiB",
        (Kind::Size { .. }, _) if option.key.ends_with("max_request_size") => "5MiB",
        (Kind::Size { .. }, _) => "48KiB",
        (Kind::Time { .. }, _) if option.key == "group_window" => "9ms",
        (Kind::Time { .. }, _) if option.key == "latency" => "300ms",
        (Kind::Time { .. }, _) if option.key == "series_ttl" => "17m",
        (Kind::Time { .. }, _) => "17s",
        (Kind::Enum(words), Preset::Value(default)) => {
            words.iter().find(|word| **word != default).unwrap()
        }
        (Kind::Enum(words), _) => words.last().unwrap(),
        (Kind::Listen, _) => "127.0.0.1:777",
        (Kind::Endpoint, _) => "'http://other.example:1'",
        (Kind::Mode, _) => "'0600'",
        (Kind::List(Kind::Enum(_)), _) if option.key == "export.families" => "[cache]",
        (Kind::List(Kind::Enum(words)), _) => words.first().map_or("[]", |_| "[traces]"),
        (Kind::List(Kind::Integer { .. }), _) => "[418]",
        (Kind::List(_) | Kind::HeaderNames, _) => "[x-y]",
        (Kind::Headers, _) => "{x-y: z}",
        (Kind::Labels, _) => "{x_y: z}",
        (Kind::Url, _) => "'http://other.example:1/x'",
        (Kind::Text, _) if option.key == "logs.level" => "debug",
        (Kind::Text, _) if option.key.ends_with("path") => "/other",
        (Kind::Text, _) if option.key.ends_with("endpoint") => "http://other:4317",
        (Kind::Text | Kind::Path, _) => "/other",
    }
}

#[test]
fn every_option_changes_the_configuration_and_every_default_does_not() {
    let mut checked = BTreeSet::new();
    for section in table::SECTIONS {
        for (place, option) in
            section.places.iter().flat_map(|p| section.options.iter().map(move |o| (p, o)))
        {
            let name = format!("{place}.{}", option.key);
            let changed = with(place, option, other_than_default(option));
            let plain = with(place, option, "");
            assert!(resolved(&changed) != resolved_or_empty(&plain), "{name} has no effect");
            if let Preset::Value(default) = option.default {
                let quoted = format!("'{default}'");
                let text = if default.starts_with(['[', '{']) { default } else { &quoted };
                let written = with(place, option, text);
                assert_eq!(resolved(&written), resolved(&plain), "{name}: another default");
            }
            checked.insert(name);
        }
    }
    assert!(checked.len() > 150, "{}", checked.len());
}

/// As [`resolved`]; empty where the option is required.
fn resolved_or_empty(settings: &str) -> String {
    let files: Vec<&str> = settings.split('\u{0}').collect();
    load(&inputs(&files, &[], &[])).map_or_else(|_| String::new(), |l| format!("{:?}", l.config))
}
