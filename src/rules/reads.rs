//! Which metrics rules read: whether one must wait until the results before it can be queried, and what the store needs.

use std::collections::BTreeSet;

use sidelight_promql::Expr;
use sidelight_promql::ast::{MatchOp, Matcher};
use sidelight_promql::labels::NAME;

use super::file;
use super::file::Kind;

/// The names of the metrics that a rule reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    /// It cannot be told.
    Any,
    /// These only.
    Names(BTreeSet<String>),
}

impl Reads {
    pub(super) fn of(rule: &file::Rule) -> Self {
        let mut names = BTreeSet::new();
        // A template can ask for anything.
        let annotations = match &rule.kind {
            Kind::Recording => &[][..],
            Kind::Alerting(alerting) => &alerting.annotations,
        };
        let asks = |pair: &file::Pair| pair.value.text.contains("query");
        if annotations.iter().chain(&rule.labels).any(asks) || !gather(&rule.expr, &mut names) {
            return Self::Any;
        }
        Self::Names(names)
    }

    /// The names of the metrics that an expression reads.
    pub(super) fn of_expr(expr: &Expr) -> Self {
        let mut names = BTreeSet::new();
        if gather(expr, &mut names) { Self::Names(names) } else { Self::Any }
    }

    /// Whether there are none.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Names(names) if names.is_empty())
    }

    /// Whether one of `names` may be among them.
    pub(super) fn any_of(&self, names: &BTreeSet<String>) -> bool {
        match self {
            Self::Any => !names.is_empty(),
            Self::Names(own) => !own.is_disjoint(names),
        }
    }
}

/// The metrics that the rules that come with the agent read, but for what they record themselves.
#[must_use]
pub fn of_builtin() -> BTreeSet<String> {
    let groups = file::parse(super::BUILTIN).map(|file| file.groups).unwrap_or_default();
    let mut names = BTreeSet::new();
    for rule in groups.iter().flat_map(|group| &group.rules) {
        // A selector without a name names nothing.
        let _ = gather(&rule.expr, &mut names);
    }
    names.retain(|name| !name.contains(':'));
    names
}

/// The metrics that the selectors of `expr` ask for; `None` when one asks for none in particular.
#[must_use]
pub fn of(expr: &Expr) -> Option<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    gather(expr, &mut names).then_some(names)
}

/// Adds the names that the selectors of `expr` ask for; false when one asks for none in particular.
fn gather(expr: &Expr, names: &mut BTreeSet<String>) -> bool {
    let mut all_named = true;
    expr.selectors(&mut |selector, _| {
        let is_name = |matcher: &&Matcher| &*matcher.name == NAME && matcher.op == MatchOp::Equal;
        let name = selector.matchers.iter().find(is_name);
        all_named &= name.is_some();
        names.extend(name.map(|name| name.value.to_string()));
    });
    all_named
}
