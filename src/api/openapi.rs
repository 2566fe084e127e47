//! The routes as an `OpenAPI` 3.1 document: `/api/sidelight/v1/openapi.json`, and docs/openapi.json.
//!
//! Made of the table of routes and of the views' columns, so that it cannot say anything else than they do.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::guard::Access;
use super::route::{Answer, Methods, Route};
use super::views::BASE;
use crate::views::{Shows, View};

/// The whole document, of all routes.
pub(super) fn document(routes: impl Iterator<Item = &'static Route>) -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in routes {
        // A path may be that of several routes, of other methods each.
        let operations: &mut Map<_, _> = paths.entry(route.path).or_default();
        for method in operations_of(route.methods) {
            operations.insert((*method).to_owned(), operation(route, *method == "post"));
        }
    }
    let paths: Map<_, _> = paths
        .into_iter()
        .map(|(path, operations)| (path.to_owned(), Value::Object(operations)))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Sidelight",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "description": "Paths below /api/v1/ and /federate are those of the Prometheus HTTP API and take its parameters.",
        },
        "servers": [{ "url": "http://127.0.0.1:9464" }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": { "Error": error(), "Failure": failure(), "Silence": silence() },
        },
    })
}

/// The names of methods as the document has them; HEAD goes without saying.
pub(super) const fn operations_of(methods: Methods) -> &'static [&'static str] {
    match methods {
        Methods::Get => &["get"],
        Methods::Post => &["post"],
        Methods::Delete => &["delete"],
        Methods::GetOrForm => &["get", "post"],
    }
}

fn error() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "type": "object",
        "properties": { "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": { "code": text, "message": text },
        }},
    })
}

/// What a query answers where it fails: the form of the Prometheus API.
fn failure() -> Value {
    let kinds = ["bad_data", "execution", "timeout", "canceled", "unavailable", "internal"];
    json!({
        "type": "object",
        "required": ["status", "errorType", "error"],
        "properties": {
            "status": { "const": "error" },
            "errorType": { "type": "string", "enum": kinds },
            "error": { "type": "string" },
        },
    })
}

/// A silence as it is asked for, in Alertmanager's names.
fn silence() -> Value {
    let (text, time) =
        (json!({ "type": "string" }), json!({ "type": "string", "format": "date-time" }));
    let flag = |default: bool| json!({ "type": "boolean", "default": default });
    json!({
        "type": "object",
        "required": ["matchers"],
        "additionalProperties": false,
        "description": "It has either `endsAt` or `durationSeconds`.",
        "properties": {
            "matchers": {
                "type": "array",
                "minItems": 1,
                "maxItems": 32,
                "items": {
                    "type": "object",
                    "required": ["name", "value"],
                    "properties": {
                        "name": text, "value": text, "isRegex": flag(false), "isEqual": flag(true),
                    },
                },
            },
            "startsAt": time,
            "endsAt": time,
            "durationSeconds": { "type": "number", "minimum": 1 },
            "createdBy": text,
            "comment": text,
        },
    })
}

fn operation(route: &Route, post: bool) -> Value {
    let mut operation = Map::new();
    operation.insert("summary".to_owned(), json!(route.purpose));
    if route.access != Access::Open {
        // The token where one is set, else none.
        operation.insert("security".to_owned(), json!([{ "token": [] }, {}]));
    }
    let view = view(route.path);
    let mut parameters = Vec::new();
    if let Some((_, after)) = route.path.split_once('{') {
        let name = after.split('}').next().unwrap_or_default();
        parameters.push(json!({
            "name": name, "in": "path", "required": true, "schema": { "type": "string" },
        }));
    }
    // With POST they may be in the form as well.
    if !post && (view.is_some() || route.path == "/api/sidelight/v1/export.json") {
        parameters.extend(PARAMETERS_OF_VIEWS.iter().map(parameter));
    }
    parameters.extend(route.parameters.iter().map(parameter));
    if !parameters.is_empty() {
        operation.insert("parameters".to_owned(), json!(parameters));
    }
    let content = match view {
        _ if route.path.ends_with(".csv") => json!({ "text/csv": {} }),
        Some(view) => json!({ "application/json": { "schema": schema(view) } }),
        None => json!({}),
    };
    if route.path == SILENCES && post {
        let body = json!({ "schema": { "$ref": "#/components/schemas/Silence" } });
        let body = json!({ "required": true, "content": { "application/json": body } });
        operation.insert("requestBody".to_owned(), body);
    }
    let refused = json!({ "$ref": "#/components/schemas/Error" });
    let refused = match route.answer {
        Answer::Query(_) | Answer::Tell(_) => {
            json!({ "oneOf": [{ "$ref": "#/components/schemas/Failure" }, refused] })
        }
        _ => refused,
    };
    operation.insert(
        "responses".to_owned(),
        json!({
            "2XX": { "description": "What was asked for.", "content": content },
            "default": { "description": "Why not.", "content": { "application/json": { "schema": refused } } },
        }),
    );
    Value::Object(operation)
}

/// Where silences are made.
const SILENCES: &str = "/api/sidelight/v1/silences";

fn view(path: &str) -> Option<&'static View> {
    let name = path.strip_prefix(BASE)?;
    View::find(name.strip_suffix(".csv").unwrap_or(name))
}

const PARAMETERS_OF_VIEWS: &[(&str, &str)] = &[
    ("range", "The window, such as 1h or 7d, from 1m to 92d."),
    ("time", "Its end: seconds since the Unix epoch or RFC 3339. Default: now."),
    ("step", "The distance of rows of a view that goes through time. Default: 1h."),
    ("service", "Only this service."),
    ("sort", "The column to sort by; `-` before it: the largest first."),
    ("limit", "The most rows. Default: 1000."),
];

fn parameter((name, what): &(&str, &str)) -> Value {
    json!({ "name": name, "in": "query", "description": what, "schema": { "type": "string" } })
}

fn schema(view: &View) -> Value {
    let number = json!({ "type": "number" });
    let mut row = Map::new();
    let timed = "Of a view that goes through time: the end of the row's step.";
    row.insert("time_unix_seconds".to_owned(), json!({ "type": "number", "description": timed }));
    for key in view.keys {
        row.insert((*key).to_owned(), json!({ "type": "string" }));
    }
    for column in view.columns {
        let kind = if column.shows == Shows::Value { "number" } else { "string" };
        let described = json!({ "type": [kind, "null"], "description": column.help });
        row.insert(column.name.to_owned(), described);
    }
    let text = json!({ "type": "string" });
    let column = json!({
        "type": "object",
        "required": ["name", "unit", "help"],
        "properties": { "name": text, "unit": text, "help": text },
    });
    json!({
        "type": "object",
        "required": ["schema_version", "view", "keys", "columns", "rows"],
        "properties": {
            "schema_version": { "const": 1 },
            "view": { "const": view.name },
            "start_unix_seconds": number,
            "end_unix_seconds": number,
            "keys": { "const": view.keys },
            "columns": { "type": "array", "items": column },
            "rows_total": { "type": "integer" },
            "truncated": { "type": "boolean" },
            "rows": { "type": "array", "items": { "type": "object", "properties": row } },
        },
    })
}
