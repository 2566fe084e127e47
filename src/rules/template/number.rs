//! Numbers as Go reads and writes them: constants; `%e`, `%f`, `%g`.
//!
//! Source: the Go specification of `fmt` and `strconv.FormatFloat`.

use sidelight_promql::value::exponent;

use super::ast::Term;

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `1.5e+03`.
    Exponent,
    /// `1500`.
    Fixed,
    /// Whichever suits the size.
    General,
}

/// As `%v` writes it: as many digits as it takes, with an exponent from seven digits before the point on.
pub(super) fn shortest(value: f64) -> String {
    write(value, Style::General, None)
}

/// `value` with `precision` digits after the point, or in all for [`Style::General`]; `None` is as many as
/// it takes.
pub(super) fn write(value: f64, style: Style, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    match (style, precision) {
        (Style::Fixed, None) => format!("{value}"),
        (Style::Fixed, Some(digits)) => format!("{value:.digits$}"),
        (Style::Exponent, None) => exponent(&format!("{value:e}")),
        (Style::Exponent, Some(digits)) => exponent(&format!("{value:.digits$e}")),
        (Style::General, precision) => general(value, precision),
    }
}

fn general(value: f64, precision: Option<usize>) -> String {
    // Zero digits mean one.
    let after = precision.map(|digits| digits.max(1) - 1);
    let rounded = match after {
        None => format!("{value:e}"),
        Some(after) => format!("{value:.after$e}"),
    };
    let (mantissa, power) = rounded.split_once('e').unwrap_or((&rounded, "0"));
    let mantissa = match mantissa.contains('.') {
        true => mantissa.trim_end_matches('0').trim_end_matches('.'),
        false => mantissa,
    };
    let power: i32 = power.parse().unwrap_or_default();
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let digits = i32::try_from(digits).unwrap_or(i32::MAX);
    let limit = precision.map_or(6, |digits| i32::try_from(digits.max(1)).unwrap_or(i32::MAX));
    if power < -4 || power >= limit {
        return exponent(&format!("{mantissa}e{power}"));
    }
    let after = usize::try_from(digits - 1 - power).unwrap_or(0);
    match precision {
        None => format!("{value}"),
        // The rounded number and not the value, whose digits beyond the precision are gone.
        Some(_) => {
            let rounded: f64 = rounded.parse().unwrap_or(value);
            format!("{rounded:.after$}")
        }
    }
}

/// A constant as Go reads it: `12`, `1_000`, `0x1F`, `0b1`, `017`, `1e3`, `.5`.
pub(super) fn constant(text: &str) -> Option<Term> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, digits.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, digits.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, digits.get(2..)?),
        [b'0', b'0'..=b'9' | b'_', ..] if !digits.contains(['.', 'e', 'E']) => {
            (8, digits.get(1..)?)
        }
        _ => (10, digits),
    };
    if digits.contains("__") || digits.ends_with('_') || (radix == 10 && digits.starts_with('_')) {
        return None;
    }
    let digits = digits.replace('_', "");
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit() || c == '.') {
        return None;
    }
    if radix == 10 && digits.contains(['.', 'e', 'E']) {
        let float: f64 = digits.parse().ok().filter(|float: &f64| float.is_finite())?;
        return Some(Term::Float(float * f64::from(sign)));
    }
    let magnitude = i128::from_str_radix(&digits, radix).ok()?;
    i64::try_from(magnitude * i128::from(sign)).ok().map(Term::Int)
}
