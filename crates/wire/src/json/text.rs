//! What strings stand for: escapes, hex, base64.
//!
//! Each function appends to the output, never more bytes than the string has. Faults carry the position within
//! the string.

use super::error::Reason;

/// A fault within a string: its position there, and what it is.
pub(super) type TextFault = (usize, Reason);

/// Appends the text that `raw` spells, and returns how many lone surrogates became U+FFFD.
pub(super) fn unescape(raw: &[u8], out: &mut Vec<u8>) -> Result<Surrogates, TextFault> {
    let mut lone = Surrogates::default();
    let mut at = 0;
    loop {
        let rest = raw.get(at..).unwrap_or_default();
        let Some(plain) = memchr::memchr(b'\\', rest) else {
            out.extend_from_slice(rest);
            return Ok(lone);
        };
        out.extend_from_slice(rest.get(..plain).unwrap_or_default());
        at += plain;
        let short = match raw.get(at + 1) {
            Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let (character, len) = unicode(raw, at)?;
                if character.is_none() {
                    lone.count += 1;
                    lone.first = lone.first.or(Some(at));
                }
                let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                at += len;
                continue;
            }
            _ => return Err((at, Reason::MalformedEscape)),
        };
        out.push(short);
        at += 2;
    }
}

/// The halves of surrogate pairs that stood alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Surrogates {
    pub(super) count: u32,
    /// Where the first one is escaped.
    pub(super) first: Option<usize>,
}

/// The character that the `\u` at `at` begins, or `None` for a lone surrogate, and the length of what spells it.
fn unicode(raw: &[u8], at: usize) -> Result<(Option<char>, usize), TextFault> {
    let unit = hex_unit(raw, at).ok_or((at, Reason::MalformedEscape))?;
    if !(0xd800..0xe000).contains(&unit) {
        return Ok((char::from_u32(unit), 6));
    }
    let low = (unit < 0xdc00).then(|| hex_unit(raw, at + 6)).flatten();
    match low {
        Some(low @ 0xdc00..0xe000) => {
            let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            Ok((char::from_u32(code), 12))
        }
        // Whatever follows is read on its own.
        _ => Ok((None, 6)),
    }
}

/// The number that `\uXXXX` at `at` holds.
fn hex_unit(raw: &[u8], at: usize) -> Option<u32> {
    let (&[b'\\', b'u', ref digits @ ..], _) = raw.get(at..)?.split_first_chunk::<6>()? else {
        return None;
    };
    digits.iter().try_fold(0, |unit, &digit| Some((unit << 4) | u32::from(hex_digit(digit)?)))
}

fn hex_digit(byte: u8) -> Option<u8> {
    match HEX.get(usize::from(byte)) {
        Some(&value) if value < 16 => Some(value),
        _ => None,
    }
}

/// Appends the bytes that the hex digits `text` spell.
pub(super) fn hex(text: &[u8], out: &mut Vec<u8>) -> Result<(), TextFault> {
    let (pairs, odd) = text.as_chunks::<2>();
    for (index, &[high, low]) in pairs.iter().enumerate() {
        match (hex_digit(high), hex_digit(low)) {
            (Some(high), Some(low)) => out.push((high << 4) | low),
            (high, _) => {
                return Err((index * 2 + usize::from(high.is_some()), Reason::MalformedHex));
            }
        }
    }
    if odd.is_empty() { Ok(()) } else { Err((text.len() - 1, Reason::MalformedHex)) }
}

/// Appends the bytes that the base64 `text` spells: standard or URL-safe alphabet, padded or not. Bits left over
/// in the last digit are ignored.
pub(super) fn base64(text: &[u8], out: &mut Vec<u8>) -> Result<(), TextFault> {
    let padding = text.iter().rev().take(2).take_while(|&&byte| byte == b'=').count();
    let malformed = |at| (at, Reason::MalformedBase64);
    let end = text.len() - padding;
    let digits = text.get(..end).unwrap_or_default();
    if (padding > 0 && !text.len().is_multiple_of(4)) || digits.len() % 4 == 1 {
        return Err(malformed(end));
    }
    let (quads, rest) = digits.as_chunks::<4>();
    for (index, quad) in quads.iter().enumerate() {
        let bits = sextets(quad).map_err(|at| malformed(index * 4 + at))?;
        let [_, bytes @ ..] = bits.to_be_bytes();
        out.extend_from_slice(&bytes);
    }
    if !rest.is_empty() {
        let bits = sextets(rest).map_err(|at| malformed(quads.len() * 4 + at))?;
        let [_, first, second, _] = (bits << (6 * (4 - rest.len()))).to_be_bytes();
        out.push(first);
        if rest.len() == 3 {
            out.push(second);
        }
    }
    Ok(())
}

/// The bits of up to four base64 digits, or the index of what is none.
#[inline]
fn sextets(digits: &[u8]) -> Result<u32, usize> {
    let mut bits = 0;
    for (index, &digit) in digits.iter().enumerate() {
        match BASE64.get(usize::from(digit)) {
            Some(&value) if value < 64 => bits = (bits << 6) | u32::from(value),
            _ => return Err(index),
        }
    }
    Ok(bits)
}

const NONE: u8 = 0xff;
const HEX: [u8; 256] = values(b"0123456789abcdef", b"0123456789ABCDEF");
const BASE64_DIGITS: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_URL_DIGITS: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static BASE64: [u8; 256] = values(BASE64_DIGITS, BASE64_URL_DIGITS);

/// The value of each byte as a digit of either alphabet, or [`NONE`].
#[expect(clippy::indexing_slicing, reason = "evaluated at compile time, where a panic is an error")]
const fn values<const N: usize>(digits: &[u8; N], also: &[u8; N]) -> [u8; 256] {
    let mut table = [NONE; 256];
    let mut value = 0;
    while value < N {
        table[digits[value] as usize] = value as u8;
        table[also[value] as usize] = value as u8;
        value += 1;
    }
    table
}

/// Appends `bytes` in lower-case hex.
pub(super) fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
        out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
}

/// Appends `bytes` in padded standard base64.
pub(super) fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let digit = |bits: u32| BASE64_DIGITS.get((bits & 63) as usize).copied().unwrap_or(b'=');
    let (triples, rest) = bytes.as_chunks::<3>();
    for &[first, second, third] in triples {
        let bits = u32::from_be_bytes([0, first, second, third]);
        out.extend_from_slice(&[
            digit(bits >> 18),
            digit(bits >> 12),
            digit(bits >> 6),
            digit(bits),
        ]);
    }
    match *rest {
        [first] => {
            let bits = u32::from(first) << 16;
            out.extend_from_slice(&[digit(bits >> 18), digit(bits >> 12), b'=', b'=']);
        }
        [first, second] => {
            let bits = u32::from_be_bytes([0, first, second, 0]);
            out.extend_from_slice(&[digit(bits >> 18), digit(bits >> 12), digit(bits >> 6), b'=']);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_their_characters() {
        for (raw, expected) in [
            (r"plain", "plain"),
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r"\u0041\u00e9\u65E5", "Aé日"),
            (r"a\ud83d\ude00b", "a😀b"),
            (r"\u0000", "\0"),
        ] {
            let mut out = Vec::new();
            assert_eq!(unescape(raw.as_bytes(), &mut out), Ok(Surrogates::default()));
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn a_lone_surrogate_is_replaced_and_what_follows_is_kept() {
        for (raw, expected, count, first) in [
            (r"a\ud800", "a\u{fffd}", 1, 1),
            (r"\udc00b", "\u{fffd}b", 1, 0),
            (r"\ud800\u0041", "\u{fffd}A", 1, 0),
            (r"\ud800\ud83d\ude00", "\u{fffd}😀", 1, 0),
            (r"\ud800\n\udfff", "\u{fffd}\n\u{fffd}", 2, 0),
        ] {
            let mut out = Vec::new();
            let lone = Surrogates { count, first: Some(first) };
            assert_eq!(unescape(raw.as_bytes(), &mut out), Ok(lone));
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn malformed_escapes_are_found_where_they_are() {
        for (raw, at) in [(r"ab\x", 2), (r"\u12", 0), (r"\u12g4", 0), (r"\\\", 2), (r"\u+123", 0)] {
            assert_eq!(
                unescape(raw.as_bytes(), &mut Vec::new()),
                Err((at, Reason::MalformedEscape))
            );
        }
    }

    #[test]
    fn base64_is_read_in_both_alphabets_with_and_without_padding() {
        for (text, expected) in [
            ("", &[][..]),
            ("AA==", &[0]),
            ("AA", &[0]),
            ("+/8=", &[0xfb, 0xff]),
            ("-_8", &[0xfb, 0xff]),
            ("c2lkZQ", b"side"),
            ("c2lkZWxpZ2h0", b"sidelight"),
        ] {
            let mut out = Vec::new();
            assert_eq!(base64(text.as_bytes(), &mut out), Ok(()));
            assert_eq!(out, expected);
            let mut padded = Vec::new();
            write_base64(expected, &mut padded);
            out.clear();
            assert_eq!(base64(&padded, &mut out), Ok(()));
            assert_eq!(out, expected);
        }
        for (text, at) in
            [("A", 1), ("AA=", 2), ("A===", 1), ("AAAA=", 4), ("A!AA", 1), ("AAAAA*", 5)]
        {
            let result = base64(text.as_bytes(), &mut Vec::new());
            assert_eq!(result, Err((at, Reason::MalformedBase64)), "{text}");
        }
    }

    #[test]
    fn hex_is_read_in_both_cases_and_written_in_lower_case() {
        let mut out = Vec::new();
        assert_eq!(hex(b"00fFaB9", &mut out), Err((6, Reason::MalformedHex)));
        assert_eq!(hex(b"0g", &mut out), Err((1, Reason::MalformedHex)));
        out.clear();
        assert_eq!(hex(b"00fFaB", &mut out), Ok(()));
        assert_eq!(out, [0, 0xff, 0xab]);
        let mut text = Vec::new();
        write_hex(&out, &mut text);
        assert_eq!(text, b"00ffab");
    }
}
