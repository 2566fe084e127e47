//! The table of options as a JSON Schema, for editors and other checkers. Draft 2020-12.
//!
//! It says what the check says of one value: names, types, ranges. What needs more than one value, or the process
//! around it, is for `sidelight check config`. Every scalar may also be a `${env:…}` reference.

use serde_json::{Map, Value, json};

use super::option::{Kind, Opt, Preset, Reload};
use super::schema::{Schema, schema};

/// What a scalar of a file may be instead of its own type.
const REFERENCE: &str = r"\$\{env:[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}";
const SIZE: &str = r"^[0-9][0-9_]*(\.[0-9]+)?\s*([kKmMgGtT]?[bB]|[kKmMgGtT][iI]?[bB]?)?$";
const TIME: &str = r"^(0|([0-9]+(\.[0-9]+)?(ns|us|µs|μs|ms|s|m|h|d|w|y))+)$";
const LISTEN: &str = r"^(\d+\.\d+\.\d+\.\d+|\[[0-9a-fA-F:.]+\]|localhost):[0-9]{1,5}$";
const URL: &str = "^https?://";
const LABEL: &str = "^[A-Za-z_][A-Za-z0-9_]*$";
const HEADER: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

/// The schema.
#[must_use]
pub fn json_schema() -> Value {
    let mut root = group(schema(), "");
    if let Value::Object(root) = &mut root {
        root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        root.insert("title".to_owned(), json!("Sidelight configuration"));
        root.insert(
            "$defs".to_owned(),
            json!({ "reference": { "type": "string", "pattern": REFERENCE } }),
        );
    }
    root
}

fn node(schema: &Schema, path: &str) -> Value {
    match schema {
        Schema::Option(option) => leaf(option),
        Schema::List(each) => json!({ "type": ["array", "null"], "items": group(each, path) }),
        Schema::Group(_) => group(schema, path),
    }
}

fn group(schema: &Schema, path: &str) -> Value {
    let mut properties = Map::new();
    for name in schema.names() {
        let Some(child) = schema.child(name) else { continue };
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        properties.insert(name.to_owned(), node(child, &path));
    }
    // The names of exporters are one's own.
    if path == "exporters" {
        let patterns = properties
            .into_iter()
            .map(|(kind, schema)| (format!("^{kind}(/[A-Za-z0-9_-]{{1,64}})?$"), schema));
        return json!({
            "type": ["object", "null"],
            "patternProperties": patterns.collect::<Map<_, _>>(),
            "additionalProperties": false,
        });
    }
    json!({ "type": ["object", "null"], "properties": properties, "additionalProperties": false })
}

fn leaf(option: &Opt) -> Value {
    let mut schema = value(&option.kind);
    if let Value::Object(schema) = &mut schema {
        let reload = match option.reload {
            Reload::Live => "",
            Reload::Restart => " A change needs a restart.",
        };
        let default = match option.default {
            Preset::Value(_) => String::new(),
            Preset::Words(words) => format!(" Default: {words}."),
        };
        schema.insert("description".to_owned(), json!(format!("{}{default}{reload}", option.doc)));
        if let Some(default) = default_of(option) {
            schema.insert("default".to_owned(), default);
        }
    }
    schema
}

/// The default as JSON, where it is a value.
fn default_of(option: &Opt) -> Option<Value> {
    let Preset::Value(text) = option.default else { return None };
    let words = |text: &str| {
        let inner = text.trim_matches(['[', ']', '{', '}']);
        inner
            .split(',')
            .map(str::trim)
            .filter(|w| !w.is_empty())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    Some(match option.kind {
        Kind::Bool | Kind::Integer { .. } | Kind::Float { .. } => {
            serde_json::from_str(text).ok()?
        }
        Kind::List(_) | Kind::HeaderNames => json!(words(text)),
        Kind::Headers | Kind::Labels if words(text).is_empty() => json!({}),
        Kind::Headers | Kind::Labels => return None,
        _ => json!(text),
    })
}

/// What may stand for a value of this type: itself, a reference, or nothing at all.
fn value(kind: &Kind) -> Value {
    let scalar = |own: Vec<Value>| {
        let mut any = own;
        any.push(json!({ "$ref": "#/$defs/reference" }));
        any.push(json!({ "type": "null" }));
        json!({ "anyOf": any })
    };
    let pattern = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    let names = |pattern: &str| {
        json!({
            "type": ["object", "null"],
            "propertyNames": { "pattern": pattern },
            "additionalProperties": { "type": ["string", "number", "boolean"] },
        })
    };
    match kind {
        // A quoted number or boolean is one.
        Kind::Bool => scalar(vec![
            json!({ "type": "boolean" }),
            pattern("^(true|True|TRUE|false|False|FALSE)$"),
        ]),
        Kind::Integer { min, max } => {
            scalar(vec![bounded("integer", json!(min), json!(max)), pattern("^[0-9][0-9_]*$")])
        }
        Kind::Float { min, max } => scalar(vec![
            bounded("number", json!(min), json!(max)),
            pattern(r"^[-+]?[0-9.]+([eE][-+]?[0-9]+)?$"),
        ]),
        Kind::Size { min, max } => {
            scalar(vec![bounded("integer", json!(min), json!(max)), pattern(SIZE)])
        }
        Kind::Time { .. } => scalar(vec![json!({ "const": 0 }), pattern(TIME)]),
        Kind::Enum(words) => scalar(vec![json!({ "enum": words })]),
        Kind::Text | Kind::Path | Kind::Endpoint => {
            scalar(vec![json!({ "type": ["string", "number", "boolean"] })])
        }
        Kind::Listen => scalar(vec![pattern(LISTEN)]),
        // Octal digits that YAML reads as a number.
        Kind::Mode => scalar(vec![json!({ "type": "integer" }), pattern("^(0o)?[0-7]+$")]),
        Kind::Url => scalar(vec![pattern(URL)]),
        Kind::HeaderNames => json!({ "type": ["array", "null"], "items": pattern(HEADER) }),
        Kind::List(each) => json!({ "type": ["array", "null"], "items": value(each) }),
        Kind::Headers => names(HEADER),
        Kind::Labels => names(LABEL),
    }
}

fn bounded(kind: &str, min: Value, max: Value) -> Value {
    let mut schema =
        Map::from_iter([("type".to_owned(), json!(kind)), ("minimum".to_owned(), min)]);
    // Above this no JSON number is exact, and nobody has so much.
    if max.as_u64().is_none_or(|max| max < 1 << 53) {
        schema.insert("maximum".to_owned(), max);
    }
    Value::Object(schema)
}

#[cfg(test)]
mod tests;
