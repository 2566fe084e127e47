//! What recorded names stand for, and which of them an expression needs.

use std::collections::HashSet;

use sidelight_promql::Expr;
use sidelight_promql::ast::Duration;

/// A recording rule.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The name of its series.
    pub record: String,
    /// Labels that they get.
    pub labels: Vec<(String, String)>,
    /// What it records.
    pub expr: Expr,
}

/// An expression, and the names of the metrics that it selects.
#[derive(Debug)]
pub(super) struct Windowed {
    pub(super) expr: Expr,
    names: Vec<String>,
}

/// `expr` with every range that ends where it is evaluated made `window` milliseconds long.
pub(super) fn over(expr: &Expr, window: Option<i64>) -> Windowed {
    let mut windowed = Windowed { expr: expr.clone(), names: Vec::new() };
    let names = &mut windowed.names;
    windowed.expr.walk_mut(&mut |expr| match expr {
        Expr::Vector(selector) => names.extend(selector.name.clone()),
        Expr::Matrix(matrix) => {
            names.extend(matrix.selector.name.clone());
            let selector = &matrix.selector;
            if let (Some(window), true, None) = (window, selector.offset.is_nothing(), selector.at)
            {
                matrix.range = Duration::Fixed(window);
            }
        }
        _ => {}
    });
    windowed
}

/// The definitions that `columns` need, with those that they need, in the order of `all`: a rule names
/// those before it.
pub(super) fn needed<'a>(
    columns: &[Windowed],
    all: &'a [Definition],
    window: Option<i64>,
) -> Vec<(&'a Definition, Expr)> {
    let mut names: HashSet<String> =
        columns.iter().flat_map(|column| column.names.iter().cloned()).collect();
    let mut found = Vec::new();
    for definition in all.iter().rev() {
        if names.contains(&definition.record) {
            let windowed = over(&definition.expr, window);
            names.extend(windowed.names);
            found.push((definition, windowed.expr));
        }
    }
    found.reverse();
    found
}
