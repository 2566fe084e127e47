//! Numbers as Go reads them: decimal, hexadecimal, octal after a leading zero, `Inf`, `NaN`, with
//! underscores between digits.

use crate::quote::quote;

/// The value of `text`.
///
/// # Errors
/// What is wrong, as Prometheus words it.
pub(super) fn parse(text: &str) -> Result<f64, String> {
    let failed =
        |what| format!("error parsing number: strconv.ParseFloat: parsing {}: {what}", quote(text));
    let invalid = || failed("invalid syntax");
    if matches!(text.to_ascii_lowercase().as_str(), "inf" | "nan") {
        return text.parse().map_err(|_| invalid());
    }
    if !are_underscores_between_digits(text) {
        return Err(invalid());
    }
    let digits = text.replace('_', "");
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return i64::from_str_radix(hex, 16).map(|value| value as f64).map_err(|_| invalid());
    }
    if digits.starts_with('0')
        && let Ok(value) = i64::from_str_radix(&digits, 8)
    {
        return Ok(value as f64);
    }
    let value: f64 = digits.parse().map_err(|_| invalid())?;
    if value.is_infinite() { Err(failed("value out of range")) } else { Ok(value) }
}

/// Whether every underscore stands between two digits, or between `0x` and one.
fn are_underscores_between_digits(text: &str) -> bool {
    let hex = text.starts_with("0x") || text.starts_with("0X");
    let is_digit = |c: char| if hex { c.is_ascii_hexdigit() } else { c.is_ascii_digit() };
    let mut before = false;
    let mut chars = text.chars().enumerate().peekable();
    while let Some((at, c)) = chars.next() {
        if c == '_' && !(before && chars.peek().is_some_and(|(_, next)| is_digit(*next))) {
            return false;
        }
        before = is_digit(c) || (hex && at == 1);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn every_form_of_a_number_is_read() {
        for (text, value) in [
            ("0", 0.0),
            ("1_000.5", 1000.5),
            ("1e1_0", 1e10),
            ("0x1f", 31.0),
            ("0X_1F", 31.0),
            ("010", 8.0),
            ("0_1", 1.0),
            ("08", 8.0),
            ("010.5", 10.5),
            (".5", 0.5),
            ("2.", 2.0),
            ("1E-3", 0.001),
            ("iNf", f64::INFINITY),
            ("9223372036854775808", 9_223_372_036_854_775_808.0),
        ] {
            assert_eq!(parse(text), Ok(value), "{text}");
        }
        assert!(parse("NaN").unwrap().is_nan());
        for text in ["1e", "1e+", "1_", "1__0", "_1", "1_.5", "0x", "1e999", "0xffffffffffffffff"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
