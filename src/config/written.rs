//! Typed values as text again: for people, and as YAML that means the same. Secrets never.

use std::fmt::Write as _;

use super::check::Val;
use super::option::Kind;
use super::value::{show_byte_size, show_duration};
pub(super) use crate::yaml::REDACTED;

/// A value for people.
pub(super) fn shown(kind: &Kind, value: &Val) -> String {
    let list =
        |parts: Vec<String>, open: char, close: char| format!("{open}{}{close}", parts.join(", "));
    match (kind, value) {
        (Kind::Size { .. }, Val::Int(bytes)) => show_byte_size(*bytes),
        (Kind::Mode, Val::Int(bits)) => format!("{bits:04o}"),
        (_, Val::Bool(it)) => it.to_string(),
        (_, Val::Int(it)) => it.to_string(),
        (_, Val::Float(it)) => it.to_string(),
        (_, Val::Time(it)) => show_duration(*it),
        (_, Val::Text(it)) => it.clone(),
        (_, Val::Listen(it)) => it.to_string(),
        (kind, Val::List(entries)) => {
            let each = if let Kind::List(each) = kind { each } else { kind };
            list(entries.iter().map(|entry| shown(each, entry)).collect(), '[', ']')
        }
        (_, Val::Pairs(pairs)) => {
            list(pairs.iter().map(|(name, value)| format!("{name}: {value}")).collect(), '{', '}')
        }
        (_, Val::Headers(headers)) => {
            list(headers.iter().map(|(name, _)| format!("{name}: {REDACTED}")).collect(), '{', '}')
        }
        (_, Val::Url(url)) => redacted_url(url),
    }
}

/// A value as YAML in one line.
pub(super) fn yaml(kind: &Kind, value: &Val) -> String {
    let list =
        |parts: Vec<String>, open: char, close: char| format!("{open}{}{close}", parts.join(", "));
    match (kind, value) {
        (kind, Val::List(entries)) => {
            let each = if let Kind::List(each) = kind { each } else { kind };
            list(entries.iter().map(|entry| yaml(each, entry)).collect(), '[', ']')
        }
        (_, Val::Pairs(pairs)) => {
            let pair =
                |(name, value): &(String, String)| format!("{}: {}", scalar(name), scalar(value));
            list(pairs.iter().map(pair).collect(), '{', '}')
        }
        (_, Val::Headers(headers)) => {
            let pair = |(name, _): &(String, _)| format!("{}: {}", scalar(name), scalar(REDACTED));
            list(headers.iter().map(pair).collect(), '{', '}')
        }
        (Kind::Mode, _) => format!("\"{}\"", shown(kind, value)),
        (
            Kind::Bool
            | Kind::Integer { .. }
            | Kind::Float { .. }
            | Kind::Size { .. }
            | Kind::Time { .. },
            _,
        ) => shown(kind, value),
        _ => scalar(&shown(kind, value)),
    }
}

/// A default of the table as YAML.
pub(super) fn preset(kind: &Kind, text: &str) -> String {
    match kind {
        Kind::Mode => format!("\"{text}\""),
        Kind::Bool
        | Kind::Integer { .. }
        | Kind::Float { .. }
        | Kind::Size { .. }
        | Kind::Time { .. } => text.to_owned(),
        _ => scalar(text),
    }
}

/// A text as a YAML scalar that can stand anywhere. `$` is written twice: once would begin `${env:…}`.
pub(super) fn scalar(text: &str) -> String {
    let text = text.replace('$', "$$");
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_');
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-@=+~$".contains(c);
    // A colon is only special before white space, and in flow before what ends an entry.
    let word = begins && text.chars().all(|c| plain(c) || c == ':') && !text.ends_with(':');
    let meant_otherwise = ["true", "false", "null", "yes", "no", "on", "off"];
    if word && !meant_otherwise.contains(&text.to_ascii_lowercase().as_str()) {
        return text;
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Scheme and host: what else there is may be a secret.
fn redacted_url(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, path) = match rest.find(['/', '?', '#']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let host = authority.rsplit('@').next().unwrap_or_default();
    if path.is_empty() && host.len() == authority.len() {
        return url.to_owned();
    }
    format!("{scheme}://{host}/{REDACTED}")
}
