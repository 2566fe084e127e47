//! Strings and numbers as JSON writes them.

use std::io::Write as _;

use super::scan;
use super::text;

/// Appends `text` in quotes. Bytes that are not UTF-8 become U+FFFD.
pub(super) fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    if crate::utf8::is_valid(text) {
        escaped(text, out);
    } else {
        escaped(String::from_utf8_lossy(text).as_bytes(), out);
    }
    out.push(b'"');
}

/// The most bytes that [`string`] appends.
pub(super) fn len_max(text: &[u8]) -> usize {
    let beyond = if crate::utf8::is_valid(text) { 1 } else { '\u{fffd}'.len_utf8() };
    let len = |byte: &u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..0x20 | 0x7f => "\\u0000".len(),
        0x80.. => beyond,
        _ => 1,
    };
    text.iter().map(len).sum::<usize>() + 2
}

fn escaped(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at(scan::plain_prefix(rest).min(rest.len()));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else { return };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                text::write_hex(&[byte], out);
            }
        }
        rest = after;
    }
}

/// Appends `value` in decimal.
pub(super) fn unsigned(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut len = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
        len += 1;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - len..).unwrap_or_default());
}

/// Appends `value` in decimal.
pub(super) fn signed(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    unsigned(value.unsigned_abs(), out);
}

/// Appends the shortest decimal that reads back as `value`, or its name in quotes if it has none. Negative zero keeps its
/// fraction: decoders that read `-0` as a whole number lose its sign.
pub(super) fn double(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" });
    } else {
        let start = out.len();
        // Writing to a Vec cannot fail.
        let _ = write!(out, "{value:?}");
        let text = out.get(start..).unwrap_or_default();
        if text.ends_with(b".0") && text != b"-0.0" {
            out.truncate(out.len() - 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_escaped_only_where_json_demands_it() {
        for (text, expected) in [
            ("", r#""""#),
            (
                "a longer text without anything special",
                r#""a longer text without anything special""#,
            ),
            ("say \"hi\" \\ / \u{7f}é日", "\"say \\\"hi\\\" \\\\ / \u{7f}é日\""),
            ("\n\r\t\0\u{1f}", r#""\n\r\t\u0000\u001f""#),
        ] {
            assert_eq!(written(|out| string(text.as_bytes(), out)), expected);
            assert_eq!(serde_json::from_str::<String>(expected).unwrap(), text);
        }
        assert_eq!(written(|out| string(b"a\xffb", out)), "\"a\u{fffd}b\"");
    }

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0.0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (1e16, "1e16"),
            (f64::MAX, "1.7976931348623157e308"),
            (5e-324, "5e-324"),
            (f64::NAN, "\"NaN\""),
            (f64::NEG_INFINITY, "\"-Infinity\""),
        ] {
            assert_eq!(written(|out| double(value, out)), expected);
        }
        assert_eq!(written(|out| unsigned(u64::MAX, out)), u64::MAX.to_string());
        assert_eq!(written(|out| unsigned(0, out)), "0");
        assert_eq!(written(|out| signed(i64::MIN, out)), i64::MIN.to_string());
    }
}
