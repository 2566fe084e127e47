//! A Prometheus rule file: groups of recording and alerting rules, with the place of everything in it.
//!
//! Everything that is wrong is found at once, each with line and column. What Prometheus refuses is refused; so
//! are, beyond it, a second document, a rule that is `null`, and an expression that can never be a rule's (a range vector
//! or a text). Limits: those of [`yaml`] and of PromQL's parser.
//!
//! Source: Prometheus 3.15, configuration/recording_rules and `model/rulefmt`.

mod read;

use std::time::Duration;

use sidelight_promql::Expr;

use crate::yaml;
use crate::yaml::{Finding, Severity, Span};

/// A whole file.
#[derive(Clone, Debug)]
pub struct RuleFile {
    /// In the order of the file; names are unique.
    pub groups: Vec<Group>,
    /// What can be lived with.
    pub warnings: Vec<Finding>,
}

/// Rules that are evaluated together, in order.
#[derive(Clone, Debug)]
pub struct Group {
    /// Unique within the file; not empty.
    pub name: Text,
    /// How often it is evaluated; `None`: as often as the configuration says. At least 1 ms.
    pub interval: Option<Duration>,
    /// How long before an evaluation the data is looked at.
    pub query_offset: Option<Duration>,
    /// The most series or alerts that a rule may make; 0: no limit.
    pub limit: usize,
    /// Labels of every rule; already in [`Rule::labels`].
    pub labels: Vec<Pair>,
    /// In the order of the file.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The series that is recorded, or the alert's name.
    pub name: Text,
    /// As it is written.
    pub query: Text,
    /// What that means: a scalar or an instant vector.
    pub expr: Expr,
    /// Labels that are set, the group's among them, sorted by name; of an alert they may be templates.
    pub labels: Vec<Pair>,
    /// What is done with the result.
    pub kind: Kind,
}

/// What a rule does with its result.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Keeps it as series.
    Recording,
    /// Makes alerts of it.
    Alerting(Alerting),
}

/// What only alerting rules have.
#[derive(Clone, Debug, Default)]
pub struct Alerting {
    /// `for`: how long it must be there before it fires.
    pub hold: Duration,
    /// How long it fires on when it is not there any more.
    pub keep_firing_for: Duration,
    /// Templates, sorted by name.
    pub annotations: Vec<Pair>,
}

/// A single value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The value: quotes, escapes and folding undone.
    pub text: String,
    /// Where it begins.
    pub span: Span,
}

impl Text {
    /// The place of `self.text[range]` in the `file` that it was read from.
    #[must_use]
    pub fn place(&self, file: &str, range: std::ops::Range<usize>) -> Span {
        yaml::place(file, self.span, &self.text, range)
    }
}

/// A label or annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Text,
}

/// Reads the text of a rule file. An empty one has no groups.
///
/// # Errors
/// Everything that is wrong, in the order of the file; at least one is an error.
pub fn parse(text: &str) -> Result<RuleFile, Vec<Finding>> {
    let (groups, mut findings) = read::read(text);
    findings.sort_by_key(|finding| finding.span);
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(findings);
    }
    Ok(RuleFile { groups, warnings: findings })
}

#[cfg(test)]
mod tests;
