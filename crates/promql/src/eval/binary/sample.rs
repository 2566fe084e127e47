//! Binary operators on single samples of which at least one is a native histogram.

use super::super::context::Context;
use crate::ast::{BinaryOp, Span};
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
    let name = |side: &SampleValue| match side {
        SampleValue::Float(_) => "float",
        SampleValue::Histogram(_) => "histogram",
    };
    context.info(
        format_args!(
            "incompatible sample types encountered for binary operator \"{op}\": {} {op} {}",
            name(left),
            name(right),
            op = op.name(),
        ),
        span,
    );
    None
}

/// What of a result goes on: 0 or 1 with `bool`, nothing where a comparison does not hold.
pub(crate) fn kept((value, holds): (SampleValue, bool), return_bool: bool) -> Option<SampleValue> {
    if return_bool {
        return Some(SampleValue::Float(f64::from(u8::from(holds))));
    }
    holds.then_some(value)
}
