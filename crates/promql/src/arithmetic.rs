//! Binary operators on floats.

use crate::ast::BinaryOp;

/// The result of an operator on two numbers; a comparison gives 0 or 1.
pub(crate) fn scalars(op: BinaryOp, left: f64, right: f64) -> f64 {
    if op.is_comparison() {
        return f64::from(u8::from(compare(op, left, right)));
    }
    let mut value = [left];
    apply(op, &mut value, &[right]);
    let [value] = value;
    value
}

/// Whether a comparison holds. Of another operator: no.
pub(crate) fn compare(op: BinaryOp, left: f64, right: f64) -> bool {
    #[expect(clippy::float_cmp, reason = "`==` of PromQL is exact")]
    match op {
        BinaryOp::Equal => left == right,
        BinaryOp::NotEqual => left != right,
        BinaryOp::Less => left < right,
        BinaryOp::LessOrEqual => left <= right,
        BinaryOp::Greater => left > right,
        BinaryOp::GreaterOrEqual => left >= right,
        _ => false,
    }
}

/// Replaces each of `left` by the result of an arithmetic operator on it and its partner.
pub(crate) fn apply(op: BinaryOp, left: &mut [f64], right: &[f64]) {
    match op {
        BinaryOp::Add => zip(left, right, |l, r| l + r),
        BinaryOp::Sub => zip(left, right, |l, r| l - r),
        BinaryOp::Mul => zip(left, right, |l, r| l * r),
        BinaryOp::Div => zip(left, right, |l, r| l / r),
        BinaryOp::Mod => zip(left, right, |l, r| l % r),
        BinaryOp::Pow => zip(left, right, f64::powf),
        BinaryOp::Atan2 => zip(left, right, f64::atan2),
        _ => {}
    }
}

#[inline]
fn zip(left: &mut [f64], right: &[f64], f: impl Fn(f64, f64) -> f64) {
    for (left, right) in left.iter_mut().zip(right) {
        *left = f(*left, *right);
    }
}
