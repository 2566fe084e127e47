//! JSON numbers: their extent, whole values exactly, doubles correctly rounded.
//!
//! Whole numbers never pass through a double: `9007199254740993`, `1.8446744073709551615e19` and `100e-2` are exact.
//! Cost: about 10 ns for a timestamp.

/// A whole number: its sign and its magnitude.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) negative: bool,
    pub(super) magnitude: u64,
}

/// Why a number is not the value asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// No number by JSON's grammar.
    Malformed,
    /// A fraction.
    NotWhole,
    /// Too large.
    OutOfRange,
}

/// The length of the JSON number that `text` starts with.
pub(super) fn token(text: &[u8]) -> Option<usize> {
    let mut at = usize::from(text.first() == Some(&b'-'));
    let whole = digits(text, at);
    if whole == 0 || (whole > 1 && text.get(at) == Some(&b'0')) {
        return None;
    }
    at += whole;
    if text.get(at) == Some(&b'.') {
        let fraction = digits(text, at + 1);
        if fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(text, at + 1 + sign);
        if exponent == 0 {
            return None;
        }
        at += 1 + sign + exponent;
    }
    Some(at)
}

fn digits(text: &[u8], at: usize) -> usize {
    text.get(at..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// The whole number that `text` starts with, and its length.
#[inline]
pub(super) fn whole(text: &[u8]) -> Result<(Whole, usize), Unfit> {
    let negative = text.first() == Some(&b'-');
    let start = usize::from(negative);
    let mut magnitude = 0_u64;
    let mut at = start;
    let mut rest = text.get(start..).unwrap_or_default();
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let Some(eight) = eight_digits(u64::from_le_bytes(*word)) else { break };
        if at - start > 8 {
            // 24 digits: beyond the quick way.
            return whole_slow(text);
        }
        magnitude = magnitude * 100_000_000 + eight;
        at += 8;
        rest = after;
    }
    while let Some((digit @ b'0'..=b'9', after)) = rest.split_first() {
        if at - start == 19 {
            return whole_slow(text);
        }
        magnitude = magnitude * 10 + u64::from(digit - b'0');
        at += 1;
        rest = after;
    }
    let leading_zero = at - start > 1 && text.get(start) == Some(&b'0');
    if at == start || leading_zero || matches!(rest.first(), Some(b'.' | b'e' | b'E')) {
        return whole_slow(text);
    }
    Ok((Whole { negative, magnitude }, at))
}

/// The value of eight ASCII digits, the first in the lowest byte.
#[inline(always)]
fn eight_digits(word: u64) -> Option<u64> {
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    let high_nibbles = word & 0xf0f0_f0f0_f0f0_f0f0;
    let above_nine = word.wrapping_add(0x0606_0606_0606_0606) & 0xf0f0_f0f0_f0f0_f0f0;
    if high_nibbles != ZEROS || above_nine != ZEROS {
        return None;
    }
    let digits = word & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = (digits.wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(10_000 << 32 | 1) >> 32)
}

/// Fractions, exponents, and more digits than fit at once.
#[cold]
fn whole_slow(text: &[u8]) -> Result<(Whole, usize), Unfit> {
    let len = token(text).ok_or(Unfit::Malformed)?;
    let token = text.get(..len).unwrap_or_default();
    let negative = token.first() == Some(&b'-');
    let (mantissa, exponent) = match token.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(e) => (token.get(..e), exponent(token.get(e + 1..).unwrap_or_default())),
        None => (Some(token), 0),
    };
    let mantissa = mantissa.unwrap_or_default();
    let point = mantissa.iter().position(|&byte| byte == b'.').unwrap_or(mantissa.len());
    let places = mantissa.len().saturating_sub(point + 1);
    // Trailing zeros move into the exponent, so that only digits that matter are multiplied out.
    let significant = mantissa.iter().filter(|byte| byte.is_ascii_digit());
    let count = significant.clone().count();
    let zeros = significant.clone().rev().take_while(|&&digit| digit == b'0').count();
    let mut magnitude = 0_u64;
    for digit in significant.take(count - zeros) {
        let next =
            magnitude.checked_mul(10).and_then(|ten| ten.checked_add(u64::from(digit - b'0')));
        magnitude = next.ok_or(Unfit::OutOfRange)?;
    }
    if magnitude == 0 {
        return Ok((Whole { negative, magnitude }, len));
    }
    let shift = exponent.saturating_add(signed(zeros)).saturating_sub(signed(places));
    if shift < 0 {
        return Err(Unfit::NotWhole);
    }
    let scale = u32::try_from(shift).ok().and_then(|shift| 10_u64.checked_pow(shift));
    let scale = scale.ok_or(Unfit::OutOfRange)?;
    let magnitude = magnitude.checked_mul(scale).ok_or(Unfit::OutOfRange)?;
    Ok((Whole { negative, magnitude }, len))
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The value of an exponent's digits and sign; a huge one stays huge.
fn exponent(text: &[u8]) -> i64 {
    let negative = text.first() == Some(&b'-');
    let digits = text.iter().filter(|byte| byte.is_ascii_digit());
    let value = digits.fold(0_i64, |value, digit| {
        value.saturating_mul(10).saturating_add(i64::from(digit - b'0'))
    });
    if negative { -value } else { value }
}

/// The double that `text` starts with, and its length.
#[inline]
pub(super) fn double(text: &[u8]) -> Result<(f64, usize), Unfit> {
    let len = token(text).ok_or(Unfit::Malformed)?;
    let token = text.get(..len).and_then(|token| std::str::from_utf8(token).ok());
    let value: f64 = token.and_then(|token| token.parse().ok()).ok_or(Unfit::Malformed)?;
    if value.is_finite() { Ok((value, len)) } else { Err(Unfit::OutOfRange) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_exact_in_every_spelling() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("-0", Ok(0)),
            ("7", Ok(7)),
            ("12345678", Ok(12_345_678)),
            ("123456789", Ok(123_456_789)),
            ("1700000000123456789", Ok(1_700_000_000_123_456_789)),
            ("9999999999999999999", Ok(9_999_999_999_999_999_999)),
            ("18446744073709551615", Ok(u64::MAX)),
            ("18446744073709551616", Err(Unfit::OutOfRange)),
            ("99999999999999999999999999", Err(Unfit::OutOfRange)),
            ("1.8446744073709551615e19", Ok(u64::MAX)),
            ("1e3", Ok(1000)),
            ("1E+3", Ok(1000)),
            ("1.5e1", Ok(15)),
            ("100e-2", Ok(1)),
            ("2.000", Ok(2)),
            ("0e999999999999999999999", Ok(0)),
            ("0.0", Ok(0)),
            ("10000000000000000000000000e-10", Ok(1_000_000_000_000_000)),
            ("1e999999999999999999999", Err(Unfit::OutOfRange)),
            ("1e-999999999999999999999", Err(Unfit::NotWhole)),
            ("1.5", Err(Unfit::NotWhole)),
            ("15e-1", Err(Unfit::NotWhole)),
            ("", Err(Unfit::Malformed)),
            ("-", Err(Unfit::Malformed)),
            ("007", Err(Unfit::Malformed)),
            ("00000000000", Err(Unfit::Malformed)),
            ("+1", Err(Unfit::Malformed)),
            ("1.", Err(Unfit::Malformed)),
            (".5", Err(Unfit::Malformed)),
            ("1e", Err(Unfit::Malformed)),
            ("1e+", Err(Unfit::Malformed)),
            ("x", Err(Unfit::Malformed)),
        ] {
            let whole = whole(text.as_bytes());
            assert_eq!(whole.map(|(whole, _)| whole.magnitude), expected, "{text}");
            if let Ok((_, len)) = whole {
                assert_eq!(len, text.len(), "{text}");
            }
        }
    }

    #[test]
    fn every_length_of_digits_agrees_with_the_standard_library() {
        let digits = "98765432109876543210";
        for len in 1..=20 {
            let text = &digits[..len];
            let expected = text.parse::<u64>().ok();
            assert_eq!(whole(text.as_bytes()).ok().map(|(whole, _)| whole.magnitude), expected);
            assert_eq!(whole(format!("{text},").as_bytes()).is_ok(), expected.is_some());
        }
    }

    #[test]
    fn doubles_round_correctly_and_stay_finite() {
        assert_eq!(double(b"0.1,"), Ok((0.1, 3)));
        assert_eq!(double(b"-1.5e-300]"), Ok((-1.5e-300, 9)));
        assert_eq!(double(b"5e-324"), Ok((5e-324, 6)));
        assert_eq!(double(b"1e400"), Err(Unfit::OutOfRange));
        assert_eq!(double(b"1.e5"), Err(Unfit::Malformed));
        assert_eq!(double(b"inf"), Err(Unfit::Malformed));
    }
}
