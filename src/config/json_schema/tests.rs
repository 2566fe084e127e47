use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::Value;

use super::json_schema;
use crate::config::table;
use crate::config::tests::options::{other_than_default, with};

/// What is wrong with `value`: the keywords that the schema uses, and a panic for any other.
fn check(schema: &Value, root: &Value, value: &Value, path: &str, wrong: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().unwrap() {
        let fine = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "default" => true,
            "type" => {
                let types = rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
                types.iter().any(|name| is_a(name.as_str().unwrap(), value))
            }
            "$ref" => {
                let pointer = rule.as_str().unwrap().trim_start_matches('#');
                check(root.pointer(pointer).unwrap(), root, value, path, wrong);
                true
            }
            "anyOf" => rule.as_array().unwrap().iter().any(|one| {
                let mut none = Vec::new();
                check(one, root, value, path, &mut none);
                none.is_empty()
            }),
            "enum" => rule.as_array().unwrap().contains(value),
            "const" => rule == value,
            "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap()),
            "pattern" => value
                .as_str()
                .is_none_or(|text| Regex::new(rule.as_str().unwrap()).unwrap().is_match(text)),
            "items" => {
                for (nth, entry) in value.as_array().into_iter().flatten().enumerate() {
                    check(rule, root, entry, &format!("{path}[{nth}]"), wrong);
                }
                true
            }
            "propertyNames" => {
                for name in value.as_object().into_iter().flat_map(|object| object.keys()) {
                    check(rule, root, &Value::from(name.as_str()), path, wrong);
                }
                true
            }
            "properties" | "patternProperties" | "additionalProperties" => true,
            other => panic!("the test does not know `{other}`"),
        };
        if !fine {
            wrong.push(format!("{path}: {keyword}"));
        }
    }
    for (name, entry) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let own = schema.get("properties").and_then(|properties| properties.get(name));
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        let by_pattern =
            patterns.into_iter().flatten().find(|(p, _)| Regex::new(p).unwrap().is_match(name));
        match (own.or(by_pattern.map(|(_, schema)| schema)), schema.get("additionalProperties")) {
            (Some(child), _) => check(child, root, entry, &path, wrong),
            (None, Some(Value::Bool(false))) => wrong.push(format!("{path}: unknown")),
            (None, Some(child)) => check(child, root, entry, &path, wrong),
            (None, None) => {}
        }
    }
}

fn is_a(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        other => panic!("there is no type {other}"),
    }
}

fn wrong(text: &str) -> Vec<String> {
    let schema = json_schema();
    let value: Value =
        serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let mut wrong = Vec::new();
    check(&schema, &schema, &value, "", &mut wrong);
    wrong
}

#[test]
fn every_value_that_an_option_takes_is_one_by_the_schema() {
    for section in table::SECTIONS {
        for (place, option) in
            section.places.iter().flat_map(|p| section.options.iter().map(move |o| (p, o)))
        {
            for text in with(place, option, other_than_default(option)).split('\u{0}') {
                assert_eq!(wrong(text), Vec::<String>::new(), "{text}");
            }
        }
    }
}

/// Every `config.yaml` below a directory.
fn configurations(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            configurations(&path, found);
        } else if path.ends_with("config.yaml") {
            found.push(path);
        }
    }
}

#[test]
fn every_configuration_of_this_repository_is_one_by_the_schema() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = ["docs/config.example.yaml", "src/cli/local/config/starter.yaml"];
    let mut paths = own.map(|path| root.join(path)).to_vec();
    configurations(&root.join("deploy"), &mut paths);
    assert!(paths.len() >= 7, "{paths:?}");
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(wrong(&text), Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn what_the_check_refuses_of_a_single_value_the_schema_refuses_too() {
    for (text, where_) in [
        ("journall: {}", ".journall: unknown"),
        ("journal: {durability: disk}", ".journal.durability: anyOf"),
        ("journal: {max_size: 5 apples}", ".journal.max_size: anyOf"),
        ("journal: {max_size: 17}", ".journal.max_size: anyOf"),
        ("journal: {group_window: 4}", ".journal.group_window: anyOf"),
        ("journal: []", ".journal: type"),
        ("admin: {endpoint: 9464}", ".admin.endpoint: anyOf"),
        ("exporters: {otlp: {endpoint: 'http://a:1'}}", ".exporters.otlp: unknown"),
        ("exporters: {otlp_grpc/a/b: {}}", ".exporters.otlp_grpc/a/b: unknown"),
        ("exporters: {debug: {endpoint: x}}", ".exporters.debug.endpoint: unknown"),
        ("alerting: {webhooks: {url: 'http://a'}}", ".alerting.webhooks: type"),
        ("alerting: {webhooks: [{url: 'ftp://a'}]}", ".alerting.webhooks[0].url: anyOf"),
        (
            "receivers: {otlp: {auth: {bearer_token_file: [a]}}}",
            ".receivers.otlp.auth.bearer_token_file: anyOf",
        ),
    ] {
        assert_eq!(wrong(text), [where_], "{text}");
    }
    for text in ["journal: {max_size: '${env:SIZE:-64MiB}'}", "journal:", "exporters: {debug: }"] {
        assert_eq!(wrong(text), Vec::<String>::new(), "{text}");
    }
}
