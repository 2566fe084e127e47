//! Durations as Prometheus writes them: `1h30m`, in milliseconds.
//!
//! Source: Prometheus 3.15, querying/basics, "Time durations".

use crate::quote::quote;

/// The units from the largest to the smallest, in milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 60 * 60 * 1000),
    ("w", 7 * 24 * 60 * 60 * 1000),
    ("d", 24 * 60 * 60 * 1000),
    ("h", 60 * 60 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

/// The longest duration there is, about 292 years: what fits a signed 64-bit number of nanoseconds.
pub const MAX: i64 = i64::MAX / 1_000_000;
/// The same in seconds, before it is rounded to milliseconds.
pub(crate) const SECONDS_MAX: f64 = 9_223_372_036.854_775;

/// The milliseconds of `text`: whole numbers with units, each unit once, from large to small.
///
/// # Errors
/// What is wrong, as Prometheus words it.
pub fn parse(text: &str) -> Result<i64, String> {
    if text == "0" {
        return Ok(0);
    }
    if text.is_empty() {
        return Err("empty duration string".to_owned());
    }
    let invalid = || format!("not a valid duration string: {}", quote(text));
    let mut total: u64 = 0;
    let mut units = UNITS.iter();
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit());
        let (name, after) = split(after, |c| !c.is_ascii_digit());
        let number: u64 = number.parse().map_err(|_| invalid())?;
        if name.is_empty() {
            return Err(invalid());
        }
        if !UNITS.iter().any(|(unit, _)| *unit == name) {
            return Err(format!("unknown unit {} in duration {}", quote(name), quote(text)));
        }
        let (_, unit) = units.find(|(unit, _)| *unit == name).ok_or_else(invalid)?;
        total = number
            .checked_mul(*unit)
            .and_then(|part| total.checked_add(part))
            .filter(|total| *total <= MAX.cast_unsigned())
            .ok_or("duration out of range")?;
        rest = after;
    }
    Ok(total.cast_signed())
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at(end)
}

/// `milliseconds` as a duration. Years and weeks are written only where nothing is left over.
#[must_use]
pub fn format(milliseconds: i64) -> String {
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    let mut text = String::from(if milliseconds < 0 { "-" } else { "" });
    let mut rest = milliseconds.unsigned_abs();
    for (name, unit) in UNITS {
        let exact = matches!(name, "y" | "w");
        if rest >= unit && (!exact || rest.is_multiple_of(unit)) {
            text.push_str(&(rest / unit).to_string());
            text.push_str(name);
            rest %= unit;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{MAX, format, parse};

    #[test]
    fn durations_read_and_print() {
        for (text, milliseconds, printed) in [
            ("0", 0, "0s"),
            ("5m", 300_000, "5m"),
            ("1h30m", 5_400_000, "1h30m"),
            ("90m", 5_400_000, "1h30m"),
            ("7d", 604_800_000, "1w"),
            ("8d", 691_200_000, "8d"),
            ("365d", 31_536_000_000, "1y"),
            ("1y2w3d4h5m6s7ms", 33_019_506_007, "382d4h5m6s7ms"),
            ("0s5ms", 5, "5ms"),
        ] {
            assert_eq!(parse(text), Ok(milliseconds));
            assert_eq!(format(milliseconds), printed);
        }
        assert_eq!(format(-1500), "-1s500ms");
        assert_eq!(format(i64::MIN).chars().next(), Some('-'));
    }

    #[test]
    fn what_is_no_duration_is_refused_in_the_words_of_prometheus() {
        for (text, message) in [
            ("", "empty duration string"),
            ("5", "not a valid duration string: \"5\""),
            ("m", "not a valid duration string: \"m\""),
            ("1m1h", "not a valid duration string: \"1m1h\""),
            ("1m1m", "not a valid duration string: \"1m1m\""),
            ("5hs", "unknown unit \"hs\" in duration \"5hs\""),
            ("293y", "duration out of range"),
            ("99999999999999999999y", "not a valid duration string: \"99999999999999999999y\""),
        ] {
            assert_eq!(parse(text).unwrap_err(), message);
        }
        assert_eq!(parse(&std::format!("{MAX}ms")), Ok(MAX));
    }
}
