//! A file of tests, as promtool reads it.
//!
//! Source: Prometheus 3.15, configuration/unit_testing_rules.

use std::time::Duration;

use sidelight_promql::notation;
use sidelight_promql::{Expr, Histogram, Labels, duration};

use crate::alert::Pairs;
use crate::time::parse_unix_ms;
use crate::yaml;
use crate::yaml::{Entry, Finding, Node, SourceId, Span, Value, nearest};

/// A file of tests.
#[derive(Debug)]
pub struct TestFile {
    /// Paths and patterns, relative to the file.
    pub rule_files: Vec<String>,
    /// The time between two evaluations.
    pub evaluation_interval: Duration,
    /// Groups in the order in which they are evaluated.
    pub group_eval_order: Vec<String>,
    /// Whether floats may differ in their last bit.
    pub fuzzy_compare: bool,
    /// In the order of the file.
    pub tests: Vec<Test>,
}

/// One test: series, and what rules and expressions make of them.
#[derive(Debug)]
pub struct Test {
    /// Its name, or `unnamed#N`.
    pub name: String,
    /// The time between two samples.
    pub interval: Duration,
    /// The time of the first sample and evaluation, in milliseconds since the Unix epoch.
    pub start: i64,
    /// What there is.
    pub series: Vec<notation::Line>,
    /// Alerts that must fire, and no others.
    pub alerts: Vec<AlertTest>,
    /// Expressions and their answers.
    pub exprs: Vec<ExprTest>,
    /// `$externalLabels`.
    pub external_labels: Pairs,
    /// `$externalURL`.
    pub external_url: String,
}

/// The alerts of a name that fire at a time.
#[derive(Debug)]
pub struct AlertTest {
    /// Since the start.
    pub eval_time: Duration,
    /// Their name.
    pub alertname: String,
    /// Labels, with `alertname`, and annotations of each.
    pub expected: Vec<(Pairs, Pairs)>,
}

/// An expression at a time.
#[derive(Debug)]
pub struct ExprTest {
    /// Since the start.
    pub eval_time: Duration,
    /// As it is written.
    pub text: String,
    /// What that means.
    pub expr: Expr,
    /// Its answer, in any order.
    pub expected: Vec<(Labels, Expected)>,
}

/// A value that is expected.
#[derive(Clone, Debug)]
pub enum Expected {
    /// A float.
    Float(f64),
    /// A native histogram.
    Histogram(Box<Histogram>),
}

const FILE: &[&str] =
    &["rule_files", "evaluation_interval", "group_eval_order", "fuzzy_compare", "tests"];
const TEST: &[&str] = &[
    "name",
    "interval",
    "input_series",
    "alert_rule_test",
    "promql_expr_test",
    "external_labels",
    "external_url",
    "start_timestamp",
];

/// Reads the text of a file.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(text: &str) -> Result<TestFile, Vec<Finding>> {
    let mut reader = Reader { findings: Vec::new() };
    let root = yaml::parse(text, SourceId::FIRST, &mut reader.findings);
    let file = root.and_then(|root| reader.file(&root));
    match file {
        Some(file) if reader.findings.is_empty() => Ok(file),
        _ => {
            reader.findings.sort_by_key(|finding| finding.span);
            Err(reader.findings)
        }
    }
}

struct Reader {
    findings: Vec<Finding>,
}

/// A mapping's values by key.
struct Fields<'n>(Span, &'n [Entry]);

impl<'n> Fields<'n> {
    fn get(&self, key: &str) -> Option<&'n Node> {
        let entry = self.1.iter().find(|entry| entry.key == key)?;
        Some(&entry.node).filter(|node| node.value != Value::Null)
    }
}

impl Reader {
    fn wrong<T>(&mut self, span: Span, message: impl Into<String>) -> Option<T> {
        self.findings.push(Finding::error(span, message));
        None
    }

    fn fields<'n>(&mut self, node: &'n Node, what: &str, known: &[&str]) -> Option<Fields<'n>> {
        let Value::Mapping(entries) = &node.value else {
            let found = node.value.kind();
            return self.wrong(node.span, format!("{what} is a mapping, not {found}"));
        };
        for entry in entries.iter().filter(|entry| !known.contains(&&*entry.key)) {
            let help = match nearest(&entry.key, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("known here: `{}`", known.join("`, `")),
            };
            let message = format!("unknown field `{}`", entry.key);
            self.findings.push(Finding::error(entry.key_span, message).help(help));
        }
        Some(Fields(node.span, entries))
    }

    fn list<'n>(&mut self, fields: &Fields<'n>, key: &str) -> &'n [Node] {
        let Some(node) = fields.get(key) else { return &[] };
        match &node.value {
            Value::Sequence(nodes) => nodes,
            other => {
                let message = format!("`{key}` is a list, not {}", other.kind());
                self.findings.push(Finding::error(node.span, message).help("begin each with `- `"));
                &[]
            }
        }
    }

    fn scalar<'n>(&mut self, node: &'n Node) -> Option<&'n str> {
        match &node.value {
            Value::Scalar(text) => Some(text),
            Value::Null => Some(""),
            other => {
                let found = other.kind();
                self.wrong(node.span, format!("a single value belongs here, not {found}"))
            }
        }
    }

    fn text(&mut self, fields: &Fields<'_>, key: &str) -> Option<String> {
        fields.get(key).and_then(|node| self.scalar(node)).map(str::to_owned)
    }

    fn texts(&mut self, fields: &Fields<'_>, key: &str) -> Vec<String> {
        let nodes = self.list(fields, key);
        nodes.iter().filter_map(|node| self.scalar(node)).map(str::to_owned).collect()
    }

    fn duration(&mut self, fields: &Fields<'_>, key: &str) -> Option<Duration> {
        let node = fields.get(key)?;
        match duration::parse(self.scalar(node)?) {
            Ok(milliseconds) => Some(Duration::from_millis(milliseconds.unsigned_abs())),
            Err(error) => self.wrong(node.span, error),
        }
    }

    fn pairs(&mut self, fields: &Fields<'_>, key: &str) -> Pairs {
        let Some(node) = fields.get(key) else { return Pairs::new() };
        let Value::Mapping(entries) = &node.value else {
            let found = node.value.kind();
            self.wrong::<()>(node.span, format!("`{key}` is a mapping, not {found}"));
            return Pairs::new();
        };
        let pair = |reader: &mut Self, entry: &Entry| {
            Some((entry.key.clone(), reader.scalar(&entry.node)?.to_owned()))
        };
        let mut pairs: Pairs = entries.iter().filter_map(|entry| pair(self, entry)).collect();
        pairs.sort();
        pairs
    }

    fn file(&mut self, root: &Node) -> Option<TestFile> {
        let fields = self.fields(root, "a file of tests", FILE)?;
        let interval = self.duration(&fields, "evaluation_interval");
        let interval = interval.filter(|interval| !interval.is_zero());
        let evaluation_interval = interval.unwrap_or(Duration::from_secs(60));
        let group_eval_order = self.texts(&fields, "group_eval_order");
        let mut seen = Vec::new();
        for name in &group_eval_order {
            if seen.contains(&name) {
                let message = format!("group name repeated in evaluation order: {name}");
                self.wrong::<()>(fields.get("group_eval_order")?.span, message);
            }
            seen.push(name);
        }
        let fuzzy = fields.get("fuzzy_compare");
        let fuzzy_compare = match fuzzy.map(|node| (node, self.scalar(node))) {
            None | Some((_, Some("false"))) => false,
            Some((_, Some("true"))) => true,
            Some((node, _)) => self.wrong(node.span, "`true` or `false` belongs here")?,
        };
        let tests = self.list(&fields, "tests").iter().enumerate();
        let tests =
            tests.filter_map(|(at, node)| self.test(node, at, evaluation_interval)).collect();
        let rule_files = self.texts(&fields, "rule_files");
        Some(TestFile { rule_files, evaluation_interval, group_eval_order, fuzzy_compare, tests })
    }

    fn test(&mut self, node: &Node, at: usize, interval: Duration) -> Option<Test> {
        let fields = self.fields(node, "a test", TEST)?;
        let own = self.duration(&fields, "interval").filter(|own| !own.is_zero());
        let start = match fields.get("start_timestamp") {
            None => 0,
            Some(node) => {
                let time = parse_unix_ms(self.scalar(node)?).filter(|time| *time >= 0);
                let message = "a time is seconds since 1970, or like 2024-01-02T15:04:05Z";
                time.or_else(|| self.wrong(node.span, message))?
            }
        };
        let name = self.text(&fields, "name").filter(|name| !name.is_empty());
        Some(Test {
            name: name.unwrap_or_else(|| format!("unnamed#{at}")),
            interval: own.unwrap_or(interval),
            start,
            series: self.each(&fields, "input_series", Self::series),
            alerts: self.each(&fields, "alert_rule_test", Self::alert),
            exprs: self.each(&fields, "promql_expr_test", Self::expr),
            external_labels: self.pairs(&fields, "external_labels"),
            external_url: self.text(&fields, "external_url").unwrap_or_default(),
        })
    }

    fn each<T>(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        read: fn(&mut Self, &Node) -> Option<T>,
    ) -> Vec<T> {
        self.list(fields, key).iter().filter_map(|node| read(self, node)).collect()
    }

    fn series(&mut self, node: &Node) -> Option<notation::Line> {
        let fields = self.fields(node, "a series", &["series", "values"])?;
        let labels = self.text(&fields, "series").unwrap_or_default();
        let labels = match notation::labels(labels.trim()) {
            Ok(labels) => labels,
            Err(error) => {
                let span = fields.get("series").map_or(fields.0, |node| node.span);
                return self.wrong(span, format!("not a series: {error}"));
            }
        };
        let values = self.text(&fields, "values").unwrap_or_default();
        match notation::values(&values) {
            Ok(values) => Some(notation::Line { labels, values }),
            Err(error) => {
                let span = fields.get("values").map_or(fields.0, |node| node.span);
                self.wrong(span, error)
            }
        }
    }

    fn alert(&mut self, node: &Node) -> Option<AlertTest> {
        let fields = self.fields(node, "a test", &["eval_time", "alertname", "exp_alerts"])?;
        let name = self.text(&fields, "alertname").filter(|name| !name.is_empty());
        let Some(alertname) = name else {
            return self.wrong(node.span, "`alertname` must be set");
        };
        let eval_time = self.duration(&fields, "eval_time").unwrap_or_default();
        let mut expected = Vec::new();
        for node in self.list(&fields, "exp_alerts") {
            let known = &["exp_labels", "exp_annotations"];
            let Some(fields) = self.fields(node, "an alert", known) else { continue };
            let mut labels = self.pairs(&fields, "exp_labels");
            labels.retain(|(name, _)| name != "alertname");
            labels.push(("alertname".to_owned(), alertname.clone()));
            labels.sort();
            expected.push((labels, self.pairs(&fields, "exp_annotations")));
        }
        Some(AlertTest { eval_time, alertname, expected })
    }

    fn expr(&mut self, node: &Node) -> Option<ExprTest> {
        let fields = self.fields(node, "a test", &["expr", "eval_time", "exp_samples"])?;
        let eval_time = self.duration(&fields, "eval_time").unwrap_or_default();
        let text = self.text(&fields, "expr").unwrap_or_default();
        let expr = match sidelight_promql::parse(&text) {
            Ok(expr) => expr,
            Err(error) => {
                let span = fields.get("expr").map_or(fields.0, |node| node.span);
                return self.wrong(span, format!("could not parse expression: {error}"));
            }
        };
        let expected = self.each(&fields, "exp_samples", Self::sample);
        Some(ExprTest { eval_time, text, expr, expected })
    }

    fn sample(&mut self, node: &Node) -> Option<(Labels, Expected)> {
        let fields = self.fields(node, "a sample", &["labels", "value", "histogram"])?;
        let written = self.text(&fields, "labels").unwrap_or_default();
        let labels = match notation::labels(written.trim()) {
            _ if written.trim().is_empty() => Labels::default(),
            Ok(labels) => labels,
            Err(error) => return self.wrong(node.span, format!("labels {written:?}: {error}")),
        };
        let histogram = self.text(&fields, "histogram").filter(|text| !text.is_empty());
        if let Some(text) = histogram {
            return match text.parse::<Histogram>() {
                Ok(histogram) => Some((labels, Expected::Histogram(Box::new(histogram)))),
                Err(error) => self.wrong(node.span, format!("labels {written:?}: {error}")),
            };
        }
        let Some(node) = fields.get("value") else { return Some((labels, Expected::Float(0.0))) };
        match number(self.scalar(node)?) {
            Some(value) => Some((labels, Expected::Float(value))),
            None => self.wrong(node.span, "a number belongs here"),
        }
    }
}

/// A number as YAML writes it: also `.inf` and `.nan`, and with `_` between digits.
fn number(text: &str) -> Option<f64> {
    let plain = text.replace('_', "");
    let spelled = plain.replacen(".inf", "inf", 1).replacen(".Inf", "inf", 1);
    let spelled = spelled.replacen(".nan", "nan", 1).replacen(".NaN", "nan", 1);
    match spelled.strip_prefix("0x") {
        #[expect(clippy::cast_precision_loss, reason = "a float is wanted")]
        Some(hex) => u64::from_str_radix(hex, 16).ok().map(|number| number as f64),
        None => spelled.parse().ok(),
    }
}
