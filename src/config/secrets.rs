//! Where secrets stand in a configuration, so that no finding shows them.
//!
//! Decided by the table of options: values of headers and URLs are secrets, what else an option takes is none, and what stands
//! where no option is known may be one.

use super::check::join;
use super::option::{Kind, Opt};
use super::schema::{Schema, schema};
use crate::yaml::{Node, Sources, Value};

/// Keeps from being shown what is a secret in a text: values of headers, URLs, and whatever stands where no option is known.
pub(super) fn hide(node: &Node, sources: &mut Sources) {
    walk(node, Some(schema()), "", sources);
}

fn walk(node: &Node, schema: Option<&'static Schema>, path: &str, sources: &mut Sources) {
    let public = |option: &Opt, text: &str| match option.kind {
        Kind::Headers | Kind::Url => false,
        // What none has: a user, a query.
        Kind::Endpoint | Kind::Text => !text.contains(['@', '?', '#']),
        _ => true,
    };
    match (&node.value, schema) {
        (Value::Null, _) => {}
        (Value::Scalar(text), Some(Schema::Option(option))) if public(option, text) => {}
        // No secret is as short.
        (Value::Scalar(text), _) if text.len() <= 4 => {}
        // Its length is not known.
        (Value::Scalar(text), _) if node.span.length <= 1 && text.chars().nth(1).is_some() => {
            sources.hide_values(node.span.source);
        }
        (Value::Scalar(_), _) => sources.hide(node.span),
        (Value::Sequence(nodes), schema) => {
            let each = match schema {
                Some(Schema::List(each)) => Some(&**each),
                other => other,
            };
            nodes.iter().for_each(|node| walk(node, each, path, sources));
        }
        (Value::Mapping(entries), schema) => {
            for entry in entries {
                let key = match path {
                    "exporters" => entry.key.split('/').next().unwrap_or_default(),
                    _ => entry.key.as_str(),
                };
                let below = match schema {
                    Some(option @ Schema::Option(Opt { kind: Kind::Headers, .. })) => {
                        // A forgotten colon makes the value a part of the name.
                        if http::HeaderName::try_from(key).is_err() {
                            sources.hide(entry.key_span);
                        }
                        Some(option)
                    }
                    Some(option @ Schema::Option(_)) => Some(option),
                    other => other.and_then(|schema| schema.child(key)),
                };
                walk(&entry.node, below, &join(path, key), sources);
            }
        }
    }
}
