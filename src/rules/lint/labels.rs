//! Labels that an expression names beside its matchers and that nothing it selects has: in `by`, in `on`, in `group_left`.
//!
//! What series have is known of metrics that were seen; where one was not, nothing is said about what depends on it. The
//! labels of a result are at most those found here: what is said to be absent is.

use std::collections::BTreeSet;
use std::ops::Range;

use sidelight_promql::Expr;
use sidelight_promql::ast::{
    Aggregate, AggregateOp, Binary, BinaryOp, Call, Cardinality, MatchOp, VectorSelector,
};
use sidelight_promql::labels::NAME;

/// Names of labels.
pub(super) type Labels = BTreeSet<String>;

/// A label that nothing has.
#[derive(Debug)]
pub(super) struct Unknown {
    pub(super) label: String,
    /// What it is named in.
    pub(super) within: Range<usize>,
    /// What there is instead.
    pub(super) known: Labels,
}

/// Looks at one expression.
pub(super) struct Looking<'a> {
    /// The labels of what a selector selects, where they are known.
    pub(super) of: &'a dyn Fn(&VectorSelector) -> Option<Labels>,
    pub(super) unknown: Vec<Unknown>,
}

impl Looking<'_> {
    /// The labels that what `expr` gives may have; `None` where that is not known.
    pub(super) fn labels(&mut self, expr: &Expr) -> Option<Labels> {
        match expr {
            Expr::Number(_) | Expr::String(_) => Some(Labels::new()),
            Expr::Vector(vector) => (self.of)(vector),
            Expr::Matrix(matrix) => (self.of)(&matrix.selector),
            Expr::Subquery(subquery) => self.labels(&subquery.expr),
            Expr::Unary(unary) => self.labels(&unary.expr),
            Expr::Paren(paren) => self.labels(&paren.expr),
            Expr::Call(call) => self.call(call),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate),
            Expr::Binary(binary) => self.binary(binary),
        }
    }

    fn call(&mut self, call: &Call) -> Option<Labels> {
        let of: Vec<Option<Labels>> = call.args.iter().map(|arg| self.labels(arg)).collect();
        if matches!(call.function.name, "absent" | "absent_over_time") {
            return Some(call.args.first().map(matched).unwrap_or_default());
        }
        let all: Option<Vec<Labels>> = of.into_iter().collect();
        let mut all: Labels = all?.into_iter().flatten().collect();
        match call.function.name {
            "label_replace" | "label_join" => match call.args.get(1) {
                Some(Expr::String(name)) => all.extend([name.value.clone()]),
                _ => return None,
            },
            // It adds what it finds.
            "info" => return None,
            _ => {}
        }
        Some(all)
    }

    fn aggregate(&mut self, aggregate: &Aggregate) -> Option<Labels> {
        if let Some(param) = &aggregate.param {
            self.labels(param);
        }
        let of = self.labels(&aggregate.expr);
        let span = aggregate.span;
        if !aggregate.without {
            self.check(&aggregate.grouping, of.as_ref(), span.start as usize..span.end as usize);
        }
        match aggregate.op {
            AggregateOp::Topk
            | AggregateOp::Bottomk
            | AggregateOp::Limitk
            | AggregateOp::LimitRatio => of,
            _ if aggregate.without => of,
            AggregateOp::CountValues => match &aggregate.param {
                Some(Expr::String(name)) => {
                    let by = aggregate.grouping.iter().cloned();
                    Some(by.chain([name.value.clone()]).collect())
                }
                _ => None,
            },
            _ => Some(aggregate.grouping.iter().cloned().collect()),
        }
    }

    fn binary(&mut self, binary: &Binary) -> Option<Labels> {
        let (left, right) = (self.labels(&binary.lhs), self.labels(&binary.rhs));
        let within = binary.span.start as usize..binary.span.end as usize;
        let both = left.as_ref().zip(right.as_ref()).map(|(left, right)| left | right);
        let matching = &binary.matching;
        if matching.on {
            self.check(&matching.labels, both.as_ref(), within.clone());
        }
        let one = match matching.cardinality {
            Cardinality::OneToMany => left.as_ref(),
            _ => right.as_ref(),
        };
        self.check(&matching.include, one, within);
        let included = |many: Option<Labels>| {
            Some(many?.into_iter().chain(matching.include.iter().cloned()).collect())
        };
        match (binary.op, matching.cardinality) {
            (BinaryOp::And | BinaryOp::Unless, _) => left,
            (_, Cardinality::ManyToOne) => included(left),
            (_, Cardinality::OneToMany) => included(right),
            (_, Cardinality::OneToOne) if matching.on => {
                Some(matching.labels.iter().cloned().collect())
            }
            _ => both,
        }
    }

    fn check(&mut self, labels: &[String], known: Option<&Labels>, within: Range<usize>) {
        let Some(known) = known else { return };
        for label in labels.iter().filter(|label| !known.contains(*label)) {
            let (label, known, within) = (label.clone(), known.clone(), within.clone());
            self.unknown.push(Unknown { label, within, known });
        }
    }
}

/// The labels that a selector itself gives a value: what there is none of has these.
fn matched(expr: &Expr) -> Labels {
    let matchers = match expr {
        Expr::Paren(paren) => return matched(&paren.expr),
        Expr::Vector(vector) => &vector.matchers,
        Expr::Matrix(matrix) => &matrix.selector.matchers,
        _ => return Labels::new(),
    };
    let equal = matchers.iter().filter(|of| of.op == MatchOp::Equal && &*of.name != NAME);
    equal.map(|of| of.name.to_string()).collect()
}
