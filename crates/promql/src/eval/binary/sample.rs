//! Binary operators on single samples of which at least one is a native histogram, or should be for `</` and `>/`.

use std::sync::Arc;

use super::super::context::Context;
use crate::Histogram;
use crate::ast::{BinaryOp, Span};
use crate::histogram::ResetHint;
use crate::histogram::trim::Keep;
use crate::value::SampleValue;

/// What stands on either side of an operator.
pub(crate) type Sides<'a> = (&'a SampleValue, &'a SampleValue);

/// The result of `op`, and of a comparison whether it holds: its value is the left side then. `None` if the
/// sides do not go together, which is noted.
pub(crate) fn apply(
    op: BinaryOp,
    (left, right): Sides<'_>,
    span: Span,
    context: &Context<'_>,
) -> Option<(SampleValue, bool)> {
    use SampleValue::{Float, Histogram};
    match (left, right, op) {
        (Histogram(histogram), Float(by), BinaryOp::Mul)
        | (Float(by), Histogram(histogram), BinaryOp::Mul) => {
            Some(changed(histogram, |histogram| histogram.multiply(*by)))
        }
        (Histogram(histogram), Float(by), BinaryOp::Div) => {
            Some(changed(histogram, |histogram| histogram.divide(*by)))
        }
        (Histogram(histogram), Float(at), BinaryOp::TrimUpper) => {
            Some(trimmed(histogram, Keep::Below(*at)))
        }
        (Histogram(histogram), Float(at), BinaryOp::TrimLower) => {
            Some(trimmed(histogram, Keep::Above(*at)))
        }
        (Histogram(left), Histogram(right), BinaryOp::Add | BinaryOp::Sub) => {
            combined(op, left, right, span, context)
        }
        (Histogram(l), Histogram(r), BinaryOp::Equal) => Some((left.clone(), l.same(r))),
        (Histogram(l), Histogram(r), BinaryOp::NotEqual) => Some((left.clone(), !l.same(r))),
        _ => {
            let (left, right, op) = (kind(left), kind(right), op.name());
            context.info(
                format_args!(
                    "incompatible sample types encountered for binary operator \"{op}\": {left} {op} {right}"
                ),
                span,
            );
            None
        }
    }
}

const fn kind(side: &SampleValue) -> &'static str {
    match side {
        SampleValue::Float(_) => "float",
        SampleValue::Histogram(_) => "histogram",
    }
}

fn changed(histogram: &Histogram, change: impl Fn(&mut Histogram)) -> (SampleValue, bool) {
    let mut histogram = histogram.clone();
    change(&mut histogram);
    histogram.compact();
    (SampleValue::Histogram(Arc::new(histogram)), true)
}

fn trimmed(histogram: &Histogram, keep: Keep) -> (SampleValue, bool) {
    let mut histogram = histogram.clone();
    histogram.trim(keep);
    (SampleValue::Histogram(Arc::new(histogram)), true)
}

fn combined(
    op: BinaryOp,
    left: &Histogram,
    right: &Histogram,
    span: Span,
    context: &Context<'_>,
) -> Option<(SampleValue, bool)> {
    let mut result = left.clone();
    let adds = op == BinaryOp::Add;
    let added = if adds { result.add(right) } else { result.subtract(right) };
    let Ok(added) = added else {
        let op = op.name();
        let message = "incompatible bucket layout encountered for binary operator";
        context.warn(format_args!("{message} {op}"), span);
        return None;
    };
    let operation = if adds { "addition" } else { "subtraction" };
    if added.reset_collision {
        context.warn(format_args!("conflicting counter resets during histogram {operation}"), span);
    }
    if added.bounds_reconciled {
        let message = "mismatched custom buckets were reconciled during";
        context.info(format_args!("{message} {operation}"), span);
    }
    if !adds {
        result.reset_hint = ResetHint::Gauge;
    }
    result.compact();
    Some((SampleValue::Histogram(Arc::new(result)), true))
}

/// What of a result goes on: 0 or 1 with `bool`, nothing where a comparison does not hold.
pub(crate) fn kept((value, holds): (SampleValue, bool), return_bool: bool) -> Option<SampleValue> {
    if return_bool {
        return Some(SampleValue::Float(f64::from(u8::from(holds))));
    }
    holds.then_some(value)
}
