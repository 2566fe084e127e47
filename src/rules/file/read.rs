//! The tree of a rule file to [`Group`]s.

use std::time::Duration;

use sidelight_promql::ast::Type;
use sidelight_promql::labels::NAME;
use sidelight_promql::{Expr, duration};

use super::{Alerting, Group, Kind, Pair, Rule, Text};
use crate::rules::template;
use crate::yaml;
use crate::yaml::{Entry, Finding, Node, SourceId, Span, Value, nearest};

const FILE: &[&str] = &["groups"];
const GROUP: &[&str] = &["name", "interval", "query_offset", "limit", "labels", "rules"];
const RULE: &[&str] =
    &["record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"];

/// What could be read, and what is wrong.
pub(super) fn read(text: &str) -> (Vec<Group>, Vec<Finding>) {
    let mut reader = Reader { text, findings: Vec::new() };
    let root = yaml::parse(text, SourceId::FIRST, &mut reader.findings);
    let groups = root.map(|root| reader.file(&root)).unwrap_or_default();
    (groups, reader.findings)
}

struct Reader<'a> {
    text: &'a str,
    findings: Vec<Finding>,
}

/// The entries of a mapping by name.
struct Fields<'n>(&'n [Entry]);

impl<'n> Fields<'n> {
    /// The value of `key`, unless it is absent or nothing.
    fn get(&self, key: &str) -> Option<&'n Node> {
        let entry = self.0.iter().find(|entry| entry.key == key)?;
        Some(&entry.node).filter(|node| node.value != Value::Null)
    }

    fn span(&self, key: &str) -> Option<Span> {
        self.0.iter().find(|entry| entry.key == key).map(|entry| entry.key_span)
    }
}

impl Reader<'_> {
    fn error(&mut self, span: Span, message: impl Into<String>) {
        self.findings.push(Finding::error(span, message));
    }

    fn error_help(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.findings.push(Finding::error(span, message).help(help));
    }

    fn file(&mut self, root: &Node) -> Vec<Group> {
        if root.value == Value::Null {
            return Vec::new();
        }
        let Some(fields) = self.fields(root, "a rule file", FILE) else { return Vec::new() };
        let Some(nodes) = fields.get("groups").and_then(|node| self.list(node, "groups")) else {
            return Vec::new();
        };
        let mut groups: Vec<Group> = Vec::new();
        for node in nodes {
            let Some(group) = self.group(node) else { continue };
            if let Some(first) = groups.iter().find(|known| known.name.text == group.name.text) {
                let line = first.name.span.line;
                self.error_help(
                    group.name.span,
                    format!("groupname: \"{}\" is repeated in the same file", group.name.text),
                    format!("the first one is in line {line}"),
                );
            }
            groups.push(group);
        }
        groups
    }

    fn group(&mut self, node: &Node) -> Option<Group> {
        let fields = self.fields(node, "a group", GROUP)?;
        let name = self.required(&fields, node, "name", "groupname must not be empty");
        let interval = self.duration(&fields, "interval").filter(|time| !time.is_zero());
        let query_offset = self.duration(&fields, "query_offset");
        let limit = fields.get("limit").map_or(0, |node| self.limit(node));
        let labels = self.labels(&fields);
        let nodes = fields.get("rules").and_then(|node| self.list(node, "rules"));
        let rules = nodes.unwrap_or_default().iter();
        let rules = rules.filter_map(|node| self.rule(node, &labels)).collect();
        Some(Group { name: name?, interval, query_offset, limit, labels, rules })
    }

    fn rule(&mut self, node: &Node, of_group: &[Pair]) -> Option<Rule> {
        let fields = self.fields(node, "a rule", RULE)?;
        let name = self.name(&fields, node);
        let query = self.required(&fields, node, "expr", "field 'expr' must be set in rule");
        let expr = query.as_ref().and_then(|query| self.expr(query));
        let mut labels = self.labels(&fields);
        for pair in of_group {
            if !labels.iter().any(|own| own.name == pair.name) {
                labels.push(pair.clone());
            }
        }
        labels.sort_by(|a, b| a.name.cmp(&b.name));
        let recording = name.as_ref().is_some_and(|(_, recording)| *recording);
        let hold = self.duration(&fields, "for");
        let keep_firing_for = self.duration(&fields, "keep_firing_for");
        let annotations = self.pairs(&fields, "annotations", "annotation");
        if recording {
            for key in ["for", "keep_firing_for", "annotations"] {
                let given = match key {
                    "annotations" => !annotations.is_empty(),
                    "for" => hold.is_some_and(|time| !time.is_zero()),
                    _ => keep_firing_for.is_some_and(|time| !time.is_zero()),
                };
                if let Some(span) = fields.span(key).filter(|_| given) {
                    let help = "it belongs to alerting rules";
                    self.error_help(span, format!("invalid field '{key}' in recording rule"), help);
                }
            }
        }
        let (name, _) = name?;
        let kind = if recording {
            Kind::Recording
        } else {
            for pair in labels.iter().chain(&annotations) {
                self.template(&pair.value);
            }
            Kind::Alerting(Alerting {
                hold: hold.unwrap_or_default(),
                keep_firing_for: keep_firing_for.unwrap_or_default(),
                annotations,
            })
        };
        Some(Rule { name, query: query?, expr: expr?, labels, kind })
    }

    /// The rule's name, and whether it is that of a series to record.
    fn name(&mut self, fields: &Fields<'_>, node: &Node) -> Option<(Text, bool)> {
        let one = |reader: &mut Self, key| {
            fields.get(key).and_then(|node| reader.text(node)).filter(|name| !name.text.is_empty())
        };
        let (record, alert) = (one(self, "record"), one(self, "alert"));
        match (record, alert) {
            (Some(_), Some(alert)) => {
                let message = "only one of 'record' and 'alert' must be set";
                self.error_help(alert.span, message, "write two rules");
                None
            }
            (None, None) => {
                self.error(node.span, "one of 'record' or 'alert' must be set");
                None
            }
            (None, Some(alert)) => Some((alert, false)),
            (Some(record), None) => {
                if record.text.contains(['{', '}']) {
                    let message =
                        "braces present in the recording rule name; should it be in expr?: ";
                    self.error_help(
                        record.span,
                        message.to_owned() + &record.text,
                        "labels are set under `labels`",
                    );
                }
                Some((record, true))
            }
        }
    }

    fn expr(&mut self, query: &Text) -> Option<Expr> {
        match sidelight_promql::parse(&query.text) {
            Err(error) => {
                let range = error.span.start as usize..error.span.end as usize;
                let span = query.place(self.text, range);
                let message = format!("could not parse expression: {}", error.message);
                let mut finding = Finding::error(span, message);
                if let Some(meant) = error.suggestion {
                    finding = finding.help(format!("did you mean `{meant}`?"));
                }
                self.findings.push(finding);
                None
            }
            Ok(expr) => match expr.value_type() {
                Type::Scalar | Type::Vector => Some(expr),
                other => {
                    let message = format!(
                        "the expression is a {}, and a rule needs an instant vector or a scalar",
                        other.name()
                    );
                    self.error(query.place(self.text, 0..query.text.len()), message);
                    None
                }
            },
        }
    }

    /// Reports a text that is no template.
    fn template(&mut self, value: &Text) {
        let Err(error) = template::parse(&value.text) else { return };
        let end = value.text.get(error.offset..).map(|rest| {
            let word = |c: char| c.is_alphanumeric() || matches!(c, '$' | '_' | '.');
            error.offset + rest.find(|c| !word(c)).unwrap_or(rest.len()).max(1)
        });
        let range = error.offset..end.unwrap_or(error.offset + 1).min(value.text.len());
        let unknown = error.message.strip_prefix("function \"");
        let meant = unknown.and_then(|rest| rest.split('"').next()).and_then(template::like);
        let message = format!("not a template: {}", error.message);
        let mut finding = Finding::error(value.place(self.text, range), message);
        if let Some(meant) = meant {
            finding = finding.help(format!("did you mean `{meant}`?"));
        }
        self.findings.push(finding);
    }

    fn labels(&mut self, fields: &Fields<'_>) -> Vec<Pair> {
        let labels = self.pairs(fields, "labels", "label");
        let named = match fields.get("labels").map(|node| &node.value) {
            Some(Value::Mapping(entries)) => entries.iter().find(|entry| entry.key == NAME),
            _ => None,
        };
        if let Some(entry) = named {
            self.error(entry.key_span, format!("invalid label name: {NAME}"));
        }
        labels
    }

    /// The names and values under `key`, sorted by name; of each `what` it is one.
    fn pairs(&mut self, fields: &Fields<'_>, key: &str, what: &str) -> Vec<Pair> {
        let Some(node) = fields.get(key) else { return Vec::new() };
        let Value::Mapping(entries) = &node.value else {
            let message =
                format!("`{key}` is a mapping of names to values, not {}", node.value.kind());
            self.error(node.span, message);
            return Vec::new();
        };
        let mut pairs = Vec::new();
        for entry in entries {
            if entry.key.is_empty() {
                self.error(entry.key_span, format!("invalid {what} name: "));
            }
            let value = match &entry.node.value {
                Value::Null => Some(Text { text: String::new(), span: entry.node.span }),
                _ => self.text(&entry.node),
            };
            if let Some(value) = value {
                pairs.push(Pair { name: entry.key.clone(), value });
            }
        }
        pairs.sort_by(|a, b| a.name.cmp(&b.name));
        pairs
    }

    /// The fields of a mapping; those that are not `known` are reported.
    fn fields<'n>(&mut self, node: &'n Node, what: &str, known: &[&str]) -> Option<Fields<'n>> {
        let Value::Mapping(entries) = &node.value else {
            let message = format!("{what} is a mapping, not {}", node.value.kind());
            self.error(node.span, message);
            return None;
        };
        for entry in entries.iter().filter(|entry| !known.contains(&&*entry.key)) {
            let help = match nearest(&entry.key, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("known here: `{}`", known.join("`, `")),
            };
            self.error_help(entry.key_span, format!("unknown field `{}`", entry.key), help);
        }
        Some(Fields(entries))
    }

    fn list<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        let Value::Sequence(nodes) = &node.value else {
            let message = format!("`{what}` is a list, not {}", node.value.kind());
            self.error_help(node.span, message, "begin each with `- `");
            return None;
        };
        Some(nodes)
    }

    fn text(&mut self, node: &Node) -> Option<Text> {
        match &node.value {
            Value::Null => None,
            Value::Scalar(text) => Some(Text { text: text.clone(), span: node.span }),
            other => {
                self.error(node.span, format!("a single value belongs here, not {}", other.kind()));
                None
            }
        }
    }

    /// The text of `key`, which must not be empty.
    fn required(
        &mut self,
        fields: &Fields<'_>,
        of: &Node,
        key: &str,
        absent: &str,
    ) -> Option<Text> {
        let text = match fields.get(key) {
            None => None,
            Some(node) => Some(self.text(node)?),
        };
        let found = text.filter(|text| !text.text.is_empty());
        if found.is_none() {
            self.error(fields.span(key).unwrap_or(of.span), absent);
        }
        found
    }

    fn duration(&mut self, fields: &Fields<'_>, key: &str) -> Option<Duration> {
        let text = self.text(fields.get(key)?)?;
        match duration::parse(&text.text) {
            Ok(milliseconds) => Some(Duration::from_millis(milliseconds.unsigned_abs())),
            Err(error) => {
                let number = text.text.bytes().all(|b| b.is_ascii_digit());
                let mut finding = Finding::error(text.span, error);
                if number && !text.text.is_empty() {
                    finding = finding.help(format!("give the unit: `{}s`", text.text));
                }
                self.findings.push(finding);
                None
            }
        }
    }

    /// A whole number; the fraction of any other is cut off, as Prometheus does without a word.
    fn limit(&mut self, node: &Node) -> usize {
        let Some(text) = self.text(node) else { return 0 };
        if let Ok(limit) = text.text.parse() {
            return limit;
        }
        match text.text.parse::<f64>() {
            Ok(number) if (0.0..1e15).contains(&number) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "checked"
                )]
                let limit = number as usize;
                let message = format!("a limit is a whole number: {limit} is used");
                self.findings.push(Finding::warning(text.span, message));
                limit
            }
            _ => {
                self.error(text.span, format!("`{}` is not a limit: a whole number is", text.text));
                0
            }
        }
    }
}
