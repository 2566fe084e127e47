//! The labels of `absent(...)`: those that a series would have if there were one.

use crate::ast::{Expr, MatchOp};
use crate::labels::NAME;
use crate::{Labels, ast};

/// The labels that `expr` asks for with `=`, where that is the last and the only such condition.
pub(super) fn labels(expr: &Expr) -> Labels {
    let matchers: &[ast::Matcher] = match expr.inner() {
        Expr::Vector(selector) => &selector.matchers,
        Expr::Matrix(matrix) => &matrix.selector.matchers,
        _ => return Labels::default(),
    };
    let mut labels: Vec<(&str, Option<&str>)> = Vec::new();
    for matcher in matchers.iter().filter(|matcher| matcher.name != NAME) {
        let equal = matcher.op == MatchOp::Equal;
        let value = equal.then_some(matcher.value.as_str());
        match labels.iter_mut().find(|(name, _)| *name == matcher.name) {
            Some(known) => known.1 = None,
            None if equal => labels.push((&matcher.name, value)),
            None => {}
        }
    }
    Labels::new(labels.into_iter().filter_map(|(name, value)| Some((name, value?))))
}
