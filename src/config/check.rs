//! The tree against the table of options: unknown keys, wrong types, values out of range; all at once.
//!
//! `${env:NAME}` and `${env:NAME:-default}` are replaced here, in scalars of files only, after YAML
//! is parsed: what a variable holds is never read as YAML. `$$` is a dollar sign.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::option::{Kind, Opt};
use super::schema::{Schema, schema};
use super::value;
use super::{refused, table};
use crate::yaml::{Entry, Node, Value, nearest};
use crate::yaml::{Finding, SourceKind, Sources, Span};

/// A value of the type that its option asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Val {
    Bool(bool),
    /// Also bytes and permission bits.
    Int(u64),
    Float(f64),
    Time(Duration),
    /// Also paths, endpoints and words of an enumeration.
    Text(String),
    Listen(SocketAddr),
    List(Vec<Val>),
    Headers(Vec<(String, String)>),
    /// Labels.
    Pairs(Vec<(String, String)>),
    /// May hold a secret.
    Url(String),
}

/// A value, where it was written and for which option.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) value: Val,
    pub(super) span: Span,
    pub(super) option: &'static Opt,
}

/// An entry of `exporters`.
#[derive(Clone, Debug)]
pub(super) struct Exporter {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) span: Span,
}

/// Entries of one list of mappings.
const LIST_ENTRIES_MAX: usize = 1_000;

/// Everything that was written, typed, by its full path.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    pub(super) given: BTreeMap<String, Given>,
    /// What was written and cannot be used, for example for want of a variable: there is a finding about it.
    pub(super) refused: BTreeSet<String>,
    pub(super) exporters: Vec<Exporter>,
    /// Where the entries of each list of mappings were written: `alerting.webhooks` to a span per entry. What an entry
    /// holds stands at `alerting.webhooks[0]`, and so on.
    pub(super) lists: BTreeMap<String, Vec<Span>>,
}

/// Checks the merged tree. What is wrong goes to `findings`; the rest is in the result.
pub(super) fn check(
    root: &Node,
    sources: &Sources,
    variables: &BTreeMap<String, String>,
    findings: &mut Vec<Finding>,
) -> Values {
    let mut check = Check { sources, variables, findings, values: Values::default() };
    check.node(root, schema(), "");
    check.values
}

struct Check<'a> {
    sources: &'a Sources,
    variables: &'a BTreeMap<String, String>,
    findings: &'a mut Vec<Finding>,
    values: Values,
}

impl Check<'_> {
    fn node(&mut self, node: &Node, schema: &'static Schema, path: &str) {
        match (schema, &node.value) {
            (_, Value::Null) => {}
            (Schema::Option(option), _) => {
                let before = self.findings.len();
                if let Some(value) = self.typed(&option.kind, node, path) {
                    let given = Given { value, span: node.span, option };
                    self.values.given.insert(path.to_owned(), given);
                } else if self.findings.len() > before {
                    self.values.refused.insert(path.to_owned());
                }
            }
            (Schema::List(each), Value::Sequence(nodes)) => {
                for (index, node) in nodes.iter().take(LIST_ENTRIES_MAX).enumerate() {
                    self.node(node, each, &format!("{path}[{index}]"));
                }
                self.list(nodes, path);
            }
            (Schema::List(each), other) => {
                let message = format!("`{path}` is a list of mappings, not {}", other.kind());
                self.findings.push(Finding::error(node.span, message).help(known(each)));
            }
            (Schema::Group(_), Value::Mapping(entries)) if path == "exporters" => {
                for entry in entries {
                    self.exporter(entry, schema);
                }
            }
            (Schema::Group(_), Value::Mapping(entries)) => {
                for entry in entries {
                    self.entry(entry, schema, path);
                }
            }
            (Schema::Group(_), other) => {
                let name = if path.is_empty() { "a configuration" } else { &format!("`{path}`") };
                let message = format!("{name} is a mapping, not {}", other.kind());
                self.findings.push(Finding::error(node.span, message).help(known(schema)));
            }
        }
    }

    fn list(&mut self, nodes: &[Node], path: &str) {
        if let Some(beyond) = nodes.get(LIST_ENTRIES_MAX) {
            let message = format!("`{path}` has more than {LIST_ENTRIES_MAX} entries");
            self.findings.push(Finding::error(beyond.span, message));
        }
        let spans = nodes.iter().map(|node| node.span).collect();
        self.values.lists.insert(path.to_owned(), spans);
    }

    fn entry(&mut self, entry: &Entry, schema: &'static Schema, path: &str) {
        let full = join(path, &entry.key);
        if let Some(child) = schema.child(&entry.key) {
            return self.node(&entry.node, child, &full);
        }
        let finding = match refused::why(&full) {
            Some(why) => Finding::error(entry.key_span, format!("`{full}` cannot be set: {why}"))
                .help("remove it"),
            None => Finding::error(entry.key_span, format!("unknown key `{}`", entry.key))
                .help(suggestion(&entry.key, schema)),
        };
        self.findings.push(finding);
    }

    fn exporter(&mut self, entry: &Entry, types: &'static Schema) {
        let (kind, id) = entry.key.split_once('/').unwrap_or((&entry.key, "x"));
        let Some((kind, schema)) = table::EXPORTER_TYPES
            .iter()
            .find(|known| **known == kind)
            .and_then(|known| Some((*known, types.child(known)?)))
        else {
            let collector = match kind {
                "otlp" => Some("otlp_grpc"),
                "otlphttp" => Some("otlp_http"),
                "logging" => Some("debug"),
                _ => nearest(kind, table::EXPORTER_TYPES.iter().copied()),
            };
            let help = match collector {
                Some(meant) => format!("did you mean `{meant}`? {}", known(types)),
                None => known(types),
            };
            let message = format!("unknown exporter type `{kind}`");
            return self.findings.push(Finding::error(entry.key_span, message).help(help));
        };
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if id.is_empty() || id.len() > 64 || !id.bytes().all(legal) {
            let message = format!("`{}` is not an exporter name", entry.key);
            let help = "write `type` or `type/name`; a name has letters, digits, `_` and `-`";
            return self.findings.push(Finding::error(entry.key_span, message).help(help));
        }
        let name = entry.key.clone();
        self.node(&entry.node, schema, &format!("exporters.{name}"));
        self.values.exporters.push(Exporter { name, kind, span: entry.key_span });
    }

    fn typed(&mut self, kind: &'static Kind, node: &Node, path: &str) -> Option<Val> {
        match (kind, &node.value) {
            (Kind::List(item), Value::Sequence(nodes)) => {
                let typed = nodes.iter().filter_map(|node| self.typed(item, node, path)).collect();
                Some(Val::List(typed))
            }
            (Kind::HeaderNames, Value::Sequence(nodes)) => {
                let names = nodes.iter().filter_map(|node| self.header_name(node)).collect();
                Some(Val::List(names))
            }
            (Kind::Headers, Value::Mapping(entries)) => {
                Some(Val::Headers(entries.iter().filter_map(|entry| self.header(entry)).collect()))
            }
            (Kind::Labels, Value::Mapping(entries)) => {
                Some(Val::Pairs(entries.iter().filter_map(|entry| self.label(entry)).collect()))
            }
            (Kind::List(_) | Kind::HeaderNames | Kind::Headers | Kind::Labels, other)
            | (_, other @ (Value::Sequence(_) | Value::Mapping(_) | Value::Null)) => {
                let message = format!("`{path}` is {}, not {}", kind.describe(), other.kind());
                let finding = Finding::error(node.span, message);
                self.findings.push(match (kind, other) {
                    (Kind::List(_) | Kind::HeaderNames, Value::Scalar(text)) => {
                        finding.help(as_list(text))
                    }
                    _ => finding,
                });
                None
            }
            (_, Value::Scalar(text)) => {
                let text = self.expanded(text, node.span)?;
                if let (Kind::Path, Some(below)) = (kind, text.trim().strip_prefix("~/")) {
                    let message =
                        format!("`~` in `{path}` is a directory of that name, not your home");
                    let help = format!("write the whole path; in a file `${{env:HOME}}/{below}`");
                    self.findings.push(Finding::warning(node.span, message).help(help));
                }
                match scalar(kind, text.trim()) {
                    Ok(value) => Some(value),
                    Err(wrong) => {
                        self.findings.push(refusal(kind, &text, path, node.span, wrong));
                        None
                    }
                }
            }
        }
    }

    fn header_name(&mut self, node: &Node) -> Option<Val> {
        let Value::Scalar(text) = &node.value else {
            self.findings.push(Finding::error(node.span, "a header name is a single value"));
            return None;
        };
        let text = self.expanded(text, node.span)?.to_ascii_lowercase();
        if http::HeaderName::try_from(text.as_str()).is_err() {
            self.findings.push(Finding::error(node.span, "this is not a header name"));
            return None;
        }
        Some(Val::Text(text))
    }

    fn header(&mut self, entry: &Entry) -> Option<(String, String)> {
        const OURS: [&str; 9] = [
            "connection",
            "content-encoding",
            "content-length",
            "content-type",
            "grpc-encoding",
            "host",
            "te",
            "transfer-encoding",
            "user-agent",
        ];
        let name = entry.key.to_ascii_lowercase();
        if http::HeaderName::try_from(name.as_str()).is_err() {
            let message = "this is not a header name";
            self.findings.push(Finding::error(entry.key_span, message));
            return None;
        }
        if OURS.contains(&name.as_str()) || name.starts_with("grpc-") {
            let message = format!("header `{name}` is set by the exporter itself");
            self.findings.push(Finding::error(entry.key_span, message).help("remove it"));
            return None;
        }
        let span = entry.node.span;
        let Value::Scalar(text) = &entry.node.value else {
            let message = format!("the value of header `{name}` is a single value");
            self.findings.push(Finding::error(span, message));
            return None;
        };
        let text = self.expanded(text, span)?;
        if http::HeaderValue::try_from(text.as_str()).is_err() {
            let message = format!("the value of header `{name}` holds a character that none may");
            self.findings.push(Finding::error(span, message));
            return None;
        }
        Some((name, text))
    }

    fn label(&mut self, entry: &Entry) -> Option<(String, String)> {
        let name = entry.key.as_str();
        let legal = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !name.starts_with("__");
        if !legal {
            let message = format!("`{name}` is not a label name");
            let help = "letters, digits and `_`, beginning with a letter";
            self.findings.push(Finding::error(entry.key_span, message).help(help));
            return None;
        }
        let Value::Scalar(text) = &entry.node.value else {
            let message = format!("the value of label `{name}` is a single value");
            self.findings.push(Finding::error(entry.node.span, message));
            return None;
        };
        Some((name.to_owned(), self.expanded(text, entry.node.span)?))
    }

    /// The scalar with its variables replaced; `None` where one is missing, or where all that was
    /// written gave nothing: then the option is not set.
    fn expanded(&mut self, text: &str, span: Span) -> Option<String> {
        let from_file = self.sources.of(span).is_some_and(|s| s.kind == SourceKind::File);
        if !from_file || !text.contains('$') {
            return Some(text.to_owned());
        }
        match expand(text, self.variables) {
            Ok(expanded) if expanded.is_empty() => None,
            Ok(expanded) => Some(expanded),
            Err((message, help)) => {
                self.findings.push(Finding::error(span, message).help(help));
                None
            }
        }
    }
}

pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn known(schema: &Schema) -> String {
    let names: Vec<String> = schema.names().map(|name| format!("`{name}`")).collect();
    format!("known here: {}", names.join(", "))
}

fn suggestion(key: &str, schema: &'static Schema) -> String {
    if let Some(meant) = nearest(key, schema.names()) {
        return format!("did you mean `{meant}`?");
    }
    let elsewhere = table::SECTIONS.iter().flat_map(|section| {
        let places = section.places.iter().filter(|place| !place.starts_with("exporters"));
        places.flat_map(|place| section.options.iter().map(|option| join(place, option.key)))
    });
    let suffix = format!(".{key}");
    match elsewhere.into_iter().find(|full| full.ends_with(&suffix)) {
        Some(full) => format!("`{key}` is known as `{full}`; {}", known(schema)),
        None => known(schema),
    }
}

/// How to write as a list what was written as one value.
fn as_list(text: &str) -> String {
    let shown: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
    let parts: Vec<&str> =
        shown.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    format!("write `[{}]`", parts.join(", "))
}

/// Why a text is not a value of its option.
#[derive(Clone, Copy)]
enum Wrong {
    /// It is of another type.
    Type,
    /// It is below or above what is accepted.
    Range,
}

fn scalar(kind: &Kind, text: &str) -> Result<Val, Wrong> {
    fn within<T: PartialOrd>(value: T, min: &T, max: &T) -> Result<T, Wrong> {
        if value < *min || value > *max { Err(Wrong::Range) } else { Ok(value) }
    }
    match kind {
        Kind::Bool => value::boolean(text).map(Val::Bool).ok_or(Wrong::Type),
        Kind::Integer { min, max } => {
            let number = value::integer(text).ok_or_else(|| match text.parse::<f64>() {
                Ok(number) if number.fract() == 0.0 => Wrong::Range,
                _ => Wrong::Type,
            })?;
            within(number, min, max).map(Val::Int)
        }
        Kind::Float { min, max } => {
            within(value::float(text).ok_or(Wrong::Type)?, min, max).map(Val::Float)
        }
        Kind::Size { min, max } => {
            within(value::byte_size(text).ok_or(Wrong::Type)?, min, max).map(Val::Int)
        }
        Kind::Time { min, max } => {
            within(value::duration(text).ok_or(Wrong::Type)?, min, max).map(Val::Time)
        }
        Kind::Enum(words) => {
            let word = words.iter().find(|word| **word == text).ok_or(Wrong::Type)?;
            Ok(Val::Text((*word).to_owned()))
        }
        Kind::Mode => {
            let bits = u64::from_str_radix(text.trim_start_matches("0o"), 8);
            within(bits.map_err(|_| Wrong::Type)?, &0, &0o777).map(Val::Int)
        }
        Kind::Listen => value::listen(text).map(Val::Listen).ok_or(Wrong::Type),
        Kind::Text | Kind::Path | Kind::Endpoint if !text.is_empty() && !text.contains('\0') => {
            Ok(Val::Text(text.to_owned()))
        }
        Kind::Url if !text.is_empty() => Ok(Val::Url(text.to_owned())),
        _ => Err(Wrong::Type),
    }
}

fn refusal(kind: &Kind, text: &str, path: &str, span: Span, wrong: Wrong) -> Finding {
    let shown: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
    let message = match wrong {
        Wrong::Range => format!("`{shown}` is out of range for `{path}`"),
        Wrong::Type => format!("`{shown}` is not a value of `{path}`"),
    };
    let mut help = format!("expected {}", kind.describe());
    match kind {
        Kind::Time { .. } if value::integer(text).is_some() => {
            help = format!("give the unit: `{0}s` or `{0}ms`; {help}", text.trim());
        }
        Kind::Enum(words) => {
            if let Some(meant) = nearest(text, words.iter().copied()) {
                help = format!("did you mean `{meant}`? {help}");
            }
        }
        Kind::Listen => {
            if let Some(meant) = value::bracketed(text) {
                help = format!("an IPv6 address stands in brackets: `{meant}`; {help}");
            } else if text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()) {
                help = format!("for every interface write `0.0.0.0{text}`; {help}");
            }
        }
        Kind::Bool if matches!(text, "yes" | "no" | "on" | "off") => {
            help = format!("`{shown}` is text in YAML 1.2; {help}");
        }
        _ => {}
    }
    Finding::error(span, message).help(help)
}

/// Replaces `${env:NAME}`, `${env:NAME:-default}` and `$$`. The error is a message and help.
fn expand(text: &str, variables: &BTreeMap<String, String>) -> Result<String, (String, String)> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = after;
        if let Some(tail) = rest.strip_prefix('$') {
            out.push('$');
            rest = tail;
            continue;
        }
        let Some(body) = rest.strip_prefix('{') else {
            out.push('$');
            continue;
        };
        let Some((reference, tail)) = body.split_once('}') else {
            let help = "write `${env:NAME}`, or `$$` for a dollar sign".to_owned();
            return Err(("`${` without its `}`".to_owned(), help));
        };
        rest = tail;
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        let Some(name) = name.strip_prefix("env:").filter(|name| is_name(name)) else {
            let help = "write `${env:NAME}` or `${env:NAME:-default}`, or `$$` for a dollar sign";
            // What is written may be a part of a secret.
            return Err((
                "this holds a `${…}` that is not a reference".to_owned(),
                help.to_owned(),
            ));
        };
        match (variables.get(name), default) {
            (Some(value), None) => out.push_str(value),
            (Some(value), Some(_)) if !value.is_empty() => out.push_str(value),
            (_, Some(default)) => out.push_str(default),
            (None, None) => {
                let help = format!("set it, or give a default: `${{env:{name}:-default}}`");
                return Err((format!("the environment variable `{name}` is not set"), help));
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_with_defaults_and_escapes() {
        let set = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let variables: BTreeMap<String, String> = set(&[("HOST", "h"), ("EMPTY", "")]);
        let cases = [
            ("${env:HOST}:4317", Ok("h:4317")),
            ("${env:NONE:-d}", Ok("d")),
            ("${env:EMPTY:-d}", Ok("d")),
            ("${env:EMPTY}", Ok("")),
            ("${env:HOST:-d}", Ok("h")),
            ("$$HOST $5 $", Ok("$HOST $5 $")),
            ("$${env:HOST}", Ok("${env:HOST}")),
            ("${env:NONE}", Err("the environment variable `NONE` is not set")),
            ("${HOST}", Err("this holds a `${…}` that is not a reference")),
            ("${env:1X}", Err("this holds a `${…}` that is not a reference")),
            ("${env:HOST", Err("`${` without its `}`")),
        ];
        for (text, expected) in cases {
            let got = expand(text, &variables);
            assert_eq!(got.as_deref().map_err(|(m, _)| m.as_str()), expected, "{text}");
        }
    }

    #[test]
    fn what_a_variable_holds_is_not_expanded_again() {
        let variables = BTreeMap::from([("A".to_owned(), "${env:B}".to_owned())]);
        assert_eq!(expand("${env:A}", &variables).unwrap(), "${env:B}");
    }
}
