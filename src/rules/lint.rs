//! What is odd about a rule file that is valid: warnings.
//!
//! What the series of a running agent show is given as [`Seen`]: metrics that nobody sends, labels that they do not have,
//! in matchers, in what is matched or grouped by, and in templates; ranges too short for their samples.

mod labels;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use labels::{Looking, Unknown};
use sidelight_promql::ast::{MatchOp, Matcher, VectorSelector};
use sidelight_promql::duration;
use sidelight_promql::labels::NAME;

use super::file::{Kind, Rule, RuleFile, Text};
use crate::yaml::{Finding, Span, nearest};

/// What is known of metrics.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The names of all metrics.
    pub names: BTreeSet<String>,
    /// Those that were asked for and have series.
    pub metrics: BTreeMap<String, Metric>,
}

/// What is known of one metric.
#[derive(Clone, Debug, Default)]
pub struct Metric {
    /// The labels of its series.
    pub labels: BTreeSet<String>,
    /// The usual distance of its samples.
    pub interval: Option<Duration>,
}

/// The name of a rule, and its labels.
type Identity<'a> = (&'a str, Vec<(&'a str, &'a str)>);

/// What is odd about `file`, whose text is `text`, in the order of the file. Groups without an interval of their own have
/// `interval`. Metrics of `recorded` are made by rules.
#[must_use]
pub fn lint(
    text: &str,
    file: &RuleFile,
    interval: Duration,
    seen: Option<&Seen>,
    recorded: &BTreeSet<String>,
) -> Vec<Finding> {
    let mut linter = Linter { text, seen, recorded, findings: Vec::new() };
    let mut known: BTreeMap<Identity<'_>, Span> = BTreeMap::new();
    for group in &file.groups {
        for rule in &group.rules {
            let labels = rule.labels.iter().map(|pair| (&*pair.name, &*pair.value.text));
            let identity = (&*rule.name.text, labels.collect());
            if let Some(first) = known.get(&identity) {
                let message = format!("`{}` is there twice with the same labels", rule.name.text);
                let help = format!("the first one is in line {}", first.line);
                linter.findings.push(Finding::warning(rule.name.span, message).help(help));
            }
            known.entry(identity).or_insert(rule.name.span);
            linter.rule(rule, group.interval.unwrap_or(interval));
        }
    }
    linter.findings.sort_by_key(|finding| finding.span);
    linter.findings
}

/// The metrics that the rules of `file` make.
pub fn recorded(file: &RuleFile) -> impl Iterator<Item = &str> {
    let rules = file.groups.iter().flat_map(|group| &group.rules);
    rules.filter(|rule| matches!(rule.kind, Kind::Recording)).map(|rule| &*rule.name.text)
}

/// The metrics that the rules of `file` ask for.
#[must_use]
pub fn asked(file: &RuleFile) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for rule in file.groups.iter().flat_map(|group| &group.rules) {
        rule.expr.selectors(&mut |selector, _| names.extend(name(selector).map(str::to_owned)));
    }
    names
}

struct Linter<'a> {
    text: &'a str,
    seen: Option<&'a Seen>,
    recorded: &'a BTreeSet<String>,
    findings: Vec<Finding>,
}

impl Linter<'_> {
    fn rule(&mut self, rule: &Rule, interval: Duration) {
        if let Kind::Alerting(alerting) = &rule.kind {
            if !rule.labels.iter().any(|pair| pair.name == "severity") {
                let message = format!("the alert `{}` has no label `severity`", rule.name.text);
                let help = "receivers route by it: `labels: {severity: warning}`";
                self.findings.push(Finding::warning(rule.name.span, message).help(help));
            }
            if !alerting.hold.is_zero() && alerting.hold < interval {
                let (hold, interval) = (shown(alerting.hold), shown(interval));
                let message = format!(
                    "`for: {hold}` is shorter than the {interval} between two evaluations: it fires at the second one"
                );
                self.findings.push(Finding::warning(rule.name.span, message));
            }
        }
        let Some(seen) = self.seen else { return };
        let mut findings = Vec::new();
        rule.expr.selectors(&mut |selector, range| {
            let range = range.and_then(|range| range.fixed());
            if let Some(finding) = self.selector(&rule.query, seen, selector, range) {
                findings.push(finding);
            }
        });
        self.findings.append(&mut findings);
        self.labels(rule, seen);
    }

    /// Labels that are named and that nothing has.
    fn labels(&mut self, rule: &Rule, seen: &Seen) {
        let of = |selector: &VectorSelector| {
            let name = name(selector)?;
            let metric = seen.metrics.get(name).filter(|_| !self.recorded.contains(name))?;
            Some(metric.labels.clone())
        };
        let mut looking = Looking { of: &of, unknown: Vec::new() };
        let given = looking.labels(&rule.expr);
        let mut findings = Vec::new();
        for Unknown { label, within, known } in looking.unknown {
            let place = word(&rule.query.text, &label, within.clone()).unwrap_or(within);
            let message = format!("nothing here has the label `{label}`");
            let place = rule.query.place(self.text, place);
            findings.push(Finding::warning(place, message).help(instead(&label, &known)));
        }
        if let (Kind::Alerting(alerting), Some(given)) = (&rule.kind, given) {
            for pair in alerting.annotations.iter().chain(&rule.labels) {
                for (label, place) in asked_of_sample(&pair.value.text) {
                    if !given.contains(label) {
                        let message =
                            format!("the alert has no label `{label}` where this is made");
                        let place = pair.value.place(self.text, place);
                        let help = instead(label, &given);
                        findings.push(Finding::warning(place, message).help(help));
                    }
                }
            }
        }
        self.findings.append(&mut findings);
    }

    fn selector(
        &self,
        query: &Text,
        seen: &Seen,
        selector: &VectorSelector,
        range: Option<i64>,
    ) -> Option<Finding> {
        let name = name(selector)?;
        if self.recorded.contains(name) {
            return None;
        }
        let span = selector.span.start as usize..selector.span.end as usize;
        let place = query.place(self.text, span);
        let Some(metric) = seen.metrics.get(name) else {
            let finding = Finding::warning(place, format!("the agent has no series of `{name}`"));
            let meant = nearest(name, seen.names.iter().map(String::as_str));
            return Some(match meant.filter(|meant| *meant != name) {
                Some(meant) => finding.help(format!("did you mean `{meant}`?")),
                None => finding,
            });
        };
        let absent = |matcher: &&Matcher| {
            let own = &*matcher.name;
            own != NAME && !metric.labels.contains(own) && !matcher.matches("")
        };
        if let Some(matcher) = selector.matchers.iter().find(absent) {
            let message = format!("no series of `{name}` has the label `{}`", matcher.name);
            let help = instead(&matcher.name, &metric.labels);
            return Some(Finding::warning(place, message).help(help));
        }
        let range = Duration::from_millis(range?.unsigned_abs());
        let interval = metric.interval.filter(|interval| range < *interval * 2)?;
        let (range, interval) = (shown(range), shown(interval));
        let message = format!(
            "[{range}] often holds fewer than two samples of `{name}`, which come every {interval}"
        );
        Some(
            Finding::warning(place, message)
                .help("a range of four intervals also survives a lost one"),
        )
    }
}

/// What a label that is not there was probably meant to be.
fn instead(label: &str, known: &BTreeSet<String>) -> String {
    let labels = || known.iter().map(String::as_str).filter(|known| *known != NAME);
    match nearest(label, labels()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if labels().next().is_none() => "there are no labels".to_owned(),
        None => format!("there are `{}`", labels().collect::<Vec<_>>().join("`, `")),
    }
}

/// Where `label` stands as a word of its own in `text[within]`.
fn word(text: &str, label: &str, within: Range<usize>) -> Option<Range<usize>> {
    let begin = within.start;
    let text = text.get(within)?;
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut found = text.match_indices(label).filter(|(at, _)| {
        let before = text.get(..*at).and_then(|text| text.chars().next_back());
        let after = text.get(at + label.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(part) && !after.is_some_and(part)
    });
    let at = begin + found.next()?.0;
    Some(at..at + label.len())
}

/// The labels that a template asks of the sample, and where: those of `$labels.x`.
fn asked_of_sample(template: &str) -> impl Iterator<Item = (&str, Range<usize>)> {
    let part = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    template.match_indices("$labels.").filter_map(move |(at, before)| {
        let rest = template.get(at + before.len()..)?;
        let label = rest.get(..rest.find(part).unwrap_or(rest.len()))?;
        (!label.is_empty()).then(|| (label, at..at + before.len() + label.len()))
    })
}

fn shown(time: Duration) -> String {
    duration::format(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

fn name(selector: &VectorSelector) -> Option<&str> {
    let named = |matcher: &&Matcher| &*matcher.name == NAME && matcher.op == MatchOp::Equal;
    match selector.matchers.iter().find(named) {
        Some(matcher) => Some(&matcher.value),
        None => selector.name.as_deref(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn linted(text: &str, seen: Option<&Seen>) -> Vec<String> {
        let file = file::parse(text).unwrap();
        let recorded = recorded(&file).map(str::to_owned).collect();
        let findings = lint(text, &file, Duration::from_secs(60), seen, &recorded);
        let line = |finding: &Finding| {
            let Span { line, column, length, .. } = finding.span;
            let help = finding.help.as_deref().unwrap_or("-");
            format!("{line}:{column}+{length} {} | {help}", finding.message)
        };
        findings.iter().map(line).collect()
    }

    #[test]
    fn what_is_odd_without_series_is_found() {
        let text = "\
groups:
  - name: a
    interval: 1m
    rules:
      - alert: X
        expr: up == 0
        for: 30s
        annotations: {summary: 'down: {{ $labels.instance | humanize }}'}
      - alert: Y
        expr: up == 0
        labels: {severity: page, x: '{{ $value }}'}
      - alert: Y
        expr: up == 1
        labels: {severity: page, x: '{{ $value }}'}
";
        assert_eq!(
            linted(text, None),
            [
                "5:16+1 the alert `X` has no label `severity` | receivers route by it: `labels: {severity: warning}`",
                "5:16+1 `for: 30s` is shorter than the 1m between two evaluations: it fires at the second one | -",
                "12:16+1 `Y` is there twice with the same labels | the first one is in line 9",
            ]
        );
    }

    #[test]
    fn what_is_odd_about_series_is_found() {
        let text = "\
groups:
  - name: a
    rules:
      - record: made
        expr: rate(requests_total{code=\"5\"}[1m]) + rate(requests_totl[5m]) + rate(requests_total{cod=\"5\"}[5m])
      - record: x
        expr: made + requests_total{nothing=\"\"} + up{a=\"b\"} + sum_over_time(up[2m])
";
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let interval = Some(Duration::from_secs(60));
        let metrics = [
            ("requests_total", Metric { labels: set(&["code", "job"]), interval }),
            ("up", Metric { labels: set(&["job"]), interval }),
        ];
        let metrics = metrics.map(|(name, metric)| (name.to_owned(), metric));
        let seen = Seen { names: set(&["requests_total", "up"]), metrics: metrics.into() };
        assert_eq!(
            linted(text, Some(&seen)),
            [
                "5:20+24 [1m] often holds fewer than two samples of `requests_total`, which come every 1m \
                 | a range of four intervals also survives a lost one",
                "5:57+13 the agent has no series of `requests_totl` | did you mean `requests_total`?",
                "5:83+23 no series of `requests_total` has the label `cod` | did you mean `code`?",
                "7:51+9 no series of `up` has the label `a` | there are `job`",
            ]
        );
    }

    #[test]
    fn labels_that_nothing_has_are_found_where_series_are_grouped_matched_and_shown() {
        let text = "\
groups:
  - name: a
    rules:
      - alert: X
        expr: sum by (servce_name) (flood) > 0 and on (jobb) other
        labels: {severity: page}
        annotations:
          summary: '{{ $labels.servcename }} of {{ $labels.servce_name }}'
      - record: fine
        expr: label_replace(flood, \"x\", \"$1\", \"job\", \"(.+)\") * on (x) group_left (code) count_values by (job) (\"x\", other)
      - record: unknown
        expr: sum by (nothing) (flood or made) + sum by (nothing) (never_seen)
      - alert: Y
        expr: max by (job) (flood) * on (job) group_left (code) other > 0
        labels: {severity: page, team: '{{ $labels.code }}'}
        annotations: {summary: '{{ $labels.job }} {{ $labels.service_name }}'}
      - alert: Z
        expr: absent(flood{code=\"500\"}) or absent_over_time((other{job=\"a\",code!=\"\"})[5m:])
        labels: {severity: page}
        annotations: {summary: '{{ $labels.code }} {{ $labels.job }}'}
";
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let metrics = [
            ("flood", set(&["__name__", "job", "service_name"])),
            ("other", set(&["code", "job"])),
        ];
        let metrics =
            metrics.map(|(name, labels)| (name.to_owned(), Metric { labels, interval: None }));
        let seen = Seen { names: set(&["flood", "other", "never_seen"]), metrics: metrics.into() };
        let mut found = linted(text, Some(&seen));
        found.retain(|line| !line.contains("never_seen"));
        expect_test::expect![[r#"
            5:23+11 nothing here has the label `servce_name` | did you mean `service_name`?
            5:56+4 nothing here has the label `jobb` | did you mean `job`?
            8:24+18 the alert has no label `servcename` where this is made | did you mean `servce_name`?
            10:83+4 nothing here has the label `code` | there are `job`, `x`
            12:42+4 the agent has no series of `made` | -
            16:54+20 the alert has no label `service_name` where this is made | there are `code`, `job`
            18:22+17 no series of `flood` has the label `code` | there are `job`, `service_name`
            20:55+11 the alert has no label `job` where this is made | there are `code`"#]].assert_eq(&found.join("\n"));
    }
}
