//! Numbers as people read them.

use super::number::{Style, write};

/// Four digits, as `%.4g` writes them.
pub(super) fn four(value: f64) -> String {
    write(value, Style::General, Some(4))
}

/// A value below one, scaled up, with its metric prefix.
pub(super) fn small(mut value: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1000.0;
    }
    (value, prefix)
}

/// A value scaled down by `base` as often as it takes, with its prefix.
fn large(mut value: f64, base: f64, prefixes: [&'static str; 8]) -> (f64, &'static str) {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < base {
            break;
        }
        prefix = next;
        value /= base;
    }
    (value, prefix)
}

/// With metric prefixes: `1.235M`.
pub(super) fn metric(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return four(value);
    }
    let (value, prefix) = match value.abs() >= 1.0 {
        true => large(value, 1000.0, ["k", "M", "G", "T", "P", "E", "Z", "Y"]),
        false => small(value),
    };
    four(value) + prefix
}

/// With binary prefixes: `1.5Mi`.
pub(super) fn binary(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return four(value);
    }
    let prefixes = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
    let (value, prefix) = large(value, 1024.0, prefixes);
    four(value) + prefix
}

/// A ratio in percent.
pub(super) fn percentage(value: f64) -> String {
    four(value * 100.0) + "%"
}

/// The first letter of each word in upper case, the others as they are.
pub(super) fn title(text: &str) -> String {
    let mut titled = String::with_capacity(text.len());
    let (mut word, mut done, mut previous) = (false, false, ' ');
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        let next = letters.peek().is_some_and(|next| next.is_alphabetic());
        // A word goes on over an apostrophe or a point between letters.
        let joins = matches!(c, '\'' | '’' | '.' | ':') && previous.is_alphabetic() && next;
        let goes_on = c.is_alphanumeric() || c == '_' || (word && joins);
        done &= word && goes_on;
        if goes_on && !done && c.is_alphabetic() {
            done = true;
            titled.push(upper(c));
        } else {
            titled.push(c);
        }
        (word, previous) = (goes_on, c);
    }
    titled
}

/// `c` in upper case, where that is one letter.
pub(super) fn upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) => upper,
        _ => c,
    }
}

/// `c` in lower case, where that is one letter.
pub(super) fn lower(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) => lower,
        _ => c,
    }
}

/// A whole number as Go converts it: the smallest there is where `value` is outside of the range.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
pub(super) fn whole(value: f64) -> i64 {
    if value.abs() < 9_223_372_036_854_775_807.0 { value as i64 } else { i64::MIN }
}
