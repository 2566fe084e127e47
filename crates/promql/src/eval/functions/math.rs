//! Functions of one number.

use crate::functions::Id;

/// The function, if it is one.
pub(super) fn find(id: Id) -> Option<fn(f64) -> f64> {
    Some(match id {
        Id::Abs => f64::abs,
        Id::Acos => f64::acos,
        Id::Acosh => f64::acosh,
        Id::Asin => f64::asin,
        Id::Asinh => f64::asinh,
        Id::Atan => f64::atan,
        Id::Atanh => f64::atanh,
        Id::Ceil => f64::ceil,
        Id::Cos => f64::cos,
        Id::Cosh => f64::cosh,
        Id::Deg => |value| value * 180.0 / std::f64::consts::PI,
        Id::Exp => f64::exp,
        Id::Floor => f64::floor,
        Id::Ln => f64::ln,
        Id::Log10 => f64::log10,
        Id::Log2 => f64::log2,
        Id::Rad => |value| value * std::f64::consts::PI / 180.0,
        Id::Sgn => |value| {
            if value < 0.0 {
                -1.0
            } else if value > 0.0 {
                1.0
            } else {
                value
            }
        },
        Id::Sin => f64::sin,
        Id::Sinh => f64::sinh,
        Id::Sqrt => f64::sqrt,
        Id::Tan => f64::tan,
        Id::Tanh => f64::tanh,
        _ => return None,
    })
}

/// The smaller of two numbers; NaN if either is.
pub(super) fn min(a: f64, b: f64) -> f64 {
    match (a, b) {
        (f64::NEG_INFINITY, _) | (_, f64::NEG_INFINITY) => f64::NEG_INFINITY,
        _ if a.is_nan() || b.is_nan() => f64::NAN,
        _ => a.min(b),
    }
}

/// The larger of two numbers; NaN if either is.
pub(super) fn max(a: f64, b: f64) -> f64 {
    match (a, b) {
        (f64::INFINITY, _) | (_, f64::INFINITY) => f64::INFINITY,
        _ if a.is_nan() || b.is_nan() => f64::NAN,
        _ => a.max(b),
    }
}

/// `value` to the nearest multiple of `nearest`, halves up.
pub(super) fn round(value: f64, nearest: f64) -> f64 {
    // By the inverse, since 0.1 and its like are not exact but 10 is.
    let inverse = 1.0 / nearest;
    (value * inverse + 0.5).floor() / inverse
}
