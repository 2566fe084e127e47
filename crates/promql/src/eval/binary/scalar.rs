//! Operators between a vector and a number.

use super::super::bits::Bits;
use super::super::column::Column;
use super::super::context::Context;
use super::sample;
use crate::arithmetic;
use crate::ast::{BinaryOp, Span};
use crate::value::SampleValue;

/// An operator with a number on one side.
#[derive(Clone, Copy)]
pub(crate) struct WithScalar<'a> {
    pub(crate) op: BinaryOp,
    /// The number at each step.
    pub(crate) scalar: &'a [f64],
    /// Whether the number is the left side.
    pub(crate) scalar_left: bool,
    pub(crate) return_bool: bool,
    pub(crate) span: Span,
}

impl WithScalar<'_> {
    /// Applies the operator to `column`.
    pub(crate) fn apply(self, column: &mut Column, context: &Context<'_>) {
        let histograms = self.histograms(column, context);
        column.drop_histograms();
        if self.op.is_trim() {
            column.present = Bits::none(column.len());
        } else if self.op.is_comparison() {
            self.compare(column);
        } else {
            self.arithmetic(column);
        }
        for (step, value) in histograms {
            column.set(step, value);
        }
    }

    fn arithmetic(self, column: &mut Column) {
        if self.scalar_left {
            let right = std::mem::replace(&mut column.values, self.scalar.to_vec());
            arithmetic::apply(self.op, &mut column.values, &right);
        } else {
            arithmetic::apply(self.op, &mut column.values, self.scalar);
        }
        column.drop_name = true;
    }

    fn compare(self, column: &mut Column) {
        for (step, (value, scalar)) in column.values.iter_mut().zip(self.scalar).enumerate() {
            let (left, right) =
                if self.scalar_left { (*scalar, *value) } else { (*value, *scalar) };
            let holds = arithmetic::compare(self.op, left, right);
            if self.return_bool {
                *value = f64::from(u8::from(holds));
            } else if !holds {
                column.present.clear(step);
            }
        }
        column.drop_name |= self.return_bool;
    }

    /// The results at the steps that hold a histogram. Nothing else can be trimmed, which is noted.
    fn histograms(self, column: &Column, context: &Context<'_>) -> Vec<(usize, SampleValue)> {
        let mut results = Vec::new();
        let trim = self.op.is_trim();
        if column.histograms.is_empty() && !trim {
            return results;
        }
        let is_histogram = |step: &usize| column.histogram(*step).is_some();
        // One of the floats says what all of them would.
        let float = column.present.ones().find(|step| trim && !is_histogram(step));
        for step in float.into_iter().chain(column.present.ones().filter(is_histogram)) {
            let (Some(vector), Some(scalar)) = (column.get(step), self.scalar.get(step)) else {
                continue;
            };
            let scalar = SampleValue::Float(*scalar);
            let sides = if self.scalar_left { (&scalar, &vector) } else { (&vector, &scalar) };
            let result = sample::apply(self.op, sides, self.span, context);
            if let Some(value) = result.and_then(|result| sample::kept(result, self.return_bool)) {
                results.push((step, value));
            }
        }
        results
    }
}
