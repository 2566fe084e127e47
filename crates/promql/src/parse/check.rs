//! Types: whether every expression stands where one of its kind may.

use crate::ast::{Aggregate, Binary, Call, Cardinality, Expr, Matching, Span, VectorSelector};
use crate::functions::Id;
use crate::labels::NAME;
use crate::parse::error::Failure;
use crate::quote::quote;
use crate::types::Type;

/// Checks `expr`, which was parsed from `text`, and says its type. What a match of vectors says is taken off
/// where no vectors are matched.
pub(super) fn check(expr: &mut Expr, text: &str) -> Result<Type, Failure> {
    let span = expr.span();
    match expr {
        Expr::Number(_) => Ok(Type::Scalar),
        Expr::String(_) => Ok(Type::String),
        Expr::Vector(selector) => check_selector(selector).map(|()| Type::Vector),
        Expr::Matrix(matrix) => check_selector(&matrix.selector).map(|()| Type::Matrix),
        Expr::Paren(paren) => check(&mut paren.expr, text),
        Expr::Aggregate(aggregate) => check_aggregate(aggregate, text),
        Expr::Binary(binary) => check_binary(binary, text),
        Expr::Call(call) => check_call(call, text),
        Expr::Subquery(subquery) => match check(&mut subquery.expr, text)? {
            Type::Vector => Ok(Type::Matrix),
            other => {
                let got = type_name(other);
                let message =
                    format!("subquery is only allowed on instant vector, got {got} instead");
                Err(Failure::new(span, message))
            }
        },
        Expr::Unary(unary) => match check(&mut unary.expr, text)? {
            found @ (Type::Scalar | Type::Vector) => Ok(found),
            other => {
                let got = quote(other.name());
                let allowed = "expressions of type scalar or instant vector";
                let message = format!("unary expression only allowed on {allowed}, got {got}");
                Err(Failure::new(span, message))
            }
        },
    }
}

/// The name of a type where Prometheus does not write out the documented one.
fn type_name(of: Type) -> &'static str {
    match of {
        Type::Vector => "vector",
        Type::Matrix => "matrix",
        other => other.name(),
    }
}

fn expect(expr: &mut Expr, wanted: Type, context: &str, text: &str) -> Result<(), Failure> {
    let found = check(expr, text)?;
    if found == wanted {
        return Ok(());
    }
    let (wanted, found) = (wanted.name(), found.name());
    let message = format!("expected type {wanted} in {context}, got {found}");
    Err(Failure::new(expr.span(), message))
}

fn check_selector(selector: &VectorSelector) -> Result<(), Failure> {
    if let Some(name) = &selector.name {
        let mut earlier = selector.matchers.iter().rev().skip(1).rev();
        return match earlier.find(|matcher| matcher.name == NAME) {
            None => Ok(()),
            Some(other) => {
                let (name, other) = (quote(name), quote(&other.value));
                let message = format!("metric name must not be set twice: {name} or {other}");
                Err(Failure::new(selector.span, message))
            }
        };
    }
    if selector.matchers.iter().all(|matcher| matcher.matches("")) {
        let message = "vector selector must contain at least one non-empty matcher";
        return Err(Failure::new(selector.span, message));
    }
    Ok(())
}

fn check_aggregate(aggregate: &mut Aggregate, text: &str) -> Result<Type, Failure> {
    expect(&mut aggregate.expr, Type::Vector, "aggregation expression", text)?;
    if let (Some(param), Some(wanted)) = (&mut aggregate.param, aggregate.op.param()) {
        expect(param, wanted, "aggregation parameter", text)?;
    }
    Ok(Type::Vector)
}

fn check_binary(binary: &mut Binary, text: &str) -> Result<Type, Failure> {
    let op = binary.op;
    let lhs = check(&mut binary.lhs, text)?;
    let rhs = check(&mut binary.rhs, text)?;
    let at_operator = |message| Err(Failure::new(operator_span(binary, text), message));
    if binary.return_bool && !op.is_comparison() {
        return at_operator("bool modifier can only be used on comparison operators".to_owned());
    }
    let scalars = (lhs, rhs) == (Type::Scalar, Type::Scalar);
    if op.is_comparison() && !binary.return_bool && scalars {
        return at_operator("comparisons between scalars must use BOOL modifier".to_owned());
    }
    let Matching { on, labels, include, cardinality } = &binary.matching;
    if *on && let Some(both) = labels.iter().find(|label| include.contains(label)) {
        let label = quote(both);
        return at_operator(format!("label {label} must not occur in ON and GROUP clause at once"));
    }
    for (side, found) in [(&binary.lhs, lhs), (&binary.rhs, rhs)] {
        if !matches!(found, Type::Scalar | Type::Vector) {
            let message = "binary expression must contain only scalar and instant vector types";
            return Err(Failure::new(side.span(), message));
        }
    }
    let vectors = (lhs, rhs) == (Type::Vector, Type::Vector);
    let failed = |message: String| Err(Failure::new(binary.span, message));
    if !vectors && !labels.is_empty() {
        return failed("vector matching only allowed between instant vectors".to_owned());
    }
    let name = quote(op.name());
    if vectors && op.is_set() && *cardinality != Cardinality::ManyToMany {
        return failed(format!("no grouping allowed for {name} operation"));
    }
    if !vectors && op.is_set() {
        return failed(format!("set operator {name} not allowed in binary scalar expression"));
    }
    if !vectors {
        binary.matching = Matching::default();
    }
    Ok(if scalars { Type::Scalar } else { Type::Vector })
}

/// The operator with its modifiers: what is between the two sides.
fn operator_span(binary: &Binary, text: &str) -> Span {
    let Span { end: start, .. } = binary.lhs.span();
    let Span { start: end, .. } = binary.rhs.span();
    let between = text.get(start as usize..end as usize).unwrap_or_default();
    let indent = between.len() - between.trim_ascii_start().len();
    let start = start + u32::try_from(indent).unwrap_or(0);
    let length = u32::try_from(between.trim_ascii().len()).unwrap_or(0);
    Span { start, end: start + length }
}

fn check_call(call: &mut Call, text: &str) -> Result<Type, Failure> {
    let function = call.function;
    let name = quote(function.name);
    let got = call.args.len();
    let (least, most) = (function.args.len() - function.optional, function.args_max);
    let count = match got {
        got if least == most && got != most => Some(format!("{most}")),
        got if got < least => Some(format!("at least {least}")),
        got if got > most => Some(format!("at most {most}")),
        _ => None,
    };
    if let Some(count) = count {
        let message = format!("expected {count} argument(s) in call to {name}, got {got}");
        return Err(Failure::new(call.span, message));
    }
    let context = format!("call to function {name}");
    let labels_only = function.id == Id::Info;
    for (index, arg) in call.args.iter_mut().enumerate() {
        let Some(wanted) = function.args.get(index).or(function.args.last()) else { break };
        if labels_only && index == 1 {
            check_label_selectors(arg, call.span, &context)?;
        } else {
            expect(arg, *wanted, &context, text)?;
        }
    }
    Ok(function.returns)
}

/// The second argument of `info`: a selector without a name, which may match anything.
fn check_label_selectors(arg: &Expr, call: Span, context: &str) -> Result<(), Failure> {
    let found = arg.value_type();
    if found != Type::Vector {
        let message = format!("expected type instant vector in {context}, got {}", found.name());
        return Err(Failure::new(call, message));
    }
    match arg {
        Expr::Vector(selector) if selector.name.is_none() => Ok(()),
        Expr::Vector(_) => {
            let message = "expected label selectors only, got vector selector instead";
            Err(Failure::new(arg.span(), message))
        }
        _ => Err(Failure::new(arg.span(), "expected label selectors only")),
    }
}
