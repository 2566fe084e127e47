//! Texts in quotes as Go writes and reads them, since PromQL's strings and messages are Go's.
//!
//! Source: the Go specification, "String literals"; `strconv.Quote`.

use std::fmt::Write as _;

/// What a quoted text stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unquoted {
    /// The text; where escapes made bytes that are no UTF-8 they are U+FFFD.
    pub text: String,
    /// The text quoted byte for byte, if it is not UTF-8.
    pub invalid: Option<String>,
}

/// `text` within double quotes.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        push_escaped(&mut quoted, c, '"');
    }
    quoted.push('"');
    quoted
}

/// `c` within single quotes.
#[must_use]
pub fn quote_char(c: char) -> String {
    let mut quoted = String::from('\'');
    push_escaped(&mut quoted, c, '\'');
    quoted.push('\'');
    quoted
}

fn push_escaped(to: &mut String, c: char, delimiter: char) {
    match c {
        '\\' => to.push_str("\\\\"),
        '\u{7}' => to.push_str("\\a"),
        '\u{8}' => to.push_str("\\b"),
        '\u{c}' => to.push_str("\\f"),
        '\n' => to.push_str("\\n"),
        '\r' => to.push_str("\\r"),
        '\t' => to.push_str("\\t"),
        '\u{b}' => to.push_str("\\v"),
        c if c == delimiter => to.extend(['\\', c]),
        c if is_printed(c) => to.push(c),
        // Writing to a text does not fail.
        c if u32::from(c) < 0x80 => {
            let _ = write!(to, "\\x{:02x}", u32::from(c));
        }
        c if u32::from(c) < 0x1_0000 => {
            let _ = write!(to, "\\u{:04x}", u32::from(c));
        }
        c => {
            let _ = write!(to, "\\U{:08x}", u32::from(c));
        }
    }
}

/// Whether Go prints `c` as it is. A letter in front keeps marks that extend it from being escaped.
fn is_printed(c: char) -> bool {
    match c {
        ' '..='~' => true,
        c if c.is_ascii() => false,
        '\u{fffd}' => true,
        c => String::from_iter(['a', c]).escape_debug().count() == 2 && !c.is_whitespace(),
    }
}

/// `bytes` within double quotes; bytes that are no UTF-8 as `\x..`.
fn quote_bytes(bytes: &[u8]) -> String {
    let mut quoted = String::from('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            push_escaped(&mut quoted, c, '"');
        }
        for byte in chunk.invalid() {
            let _ = write!(quoted, "\\x{byte:02x}");
        }
    }
    quoted.push('"');
    quoted
}

/// What `quoted`, within `"`, `'` or backticks, stands for; `None` if it is not one whole quoted text.
#[must_use]
pub fn unquote(quoted: &str) -> Option<Unquoted> {
    let delimiter = quoted.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    let inner = quoted.strip_prefix(delimiter)?.strip_suffix(delimiter)?;
    if delimiter == '`' {
        return (!inner.contains('`')).then(|| Unquoted { text: inner.to_owned(), invalid: None });
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => push_escape(&mut bytes, &mut rest, delimiter)?,
            '\n' => return None,
            c if c == delimiter => return None,
            c => push_char(&mut bytes, c),
        }
    }
    Some(match String::from_utf8(bytes) {
        Ok(text) => Unquoted { text, invalid: None },
        Err(error) => {
            let bytes = error.as_bytes();
            Unquoted {
                text: String::from_utf8_lossy(bytes).into_owned(),
                invalid: Some(quote_bytes(bytes)),
            }
        }
    })
}

fn push_char(to: &mut Vec<u8>, c: char) {
    to.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Reads what follows a backslash.
fn push_escape(to: &mut Vec<u8>, rest: &mut std::str::Chars<'_>, delimiter: char) -> Option<()> {
    let byte = match rest.next()? {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        c if c == delimiter => u8::try_from(c).ok()?,
        'x' => u8::try_from(digits(rest, 2, 16)?).ok()?,
        c @ '0'..='7' => u8::try_from(c.to_digit(8)? * 64 + digits(rest, 2, 8)?).ok()?,
        c @ ('u' | 'U') => {
            let count = if c == 'u' { 4 } else { 8 };
            push_char(to, char::from_u32(digits(rest, count, 16)?)?);
            return Some(());
        }
        _ => return None,
    };
    to.push(byte);
    Some(())
}

fn digits(rest: &mut std::str::Chars<'_>, count: u32, radix: u32) -> Option<u32> {
    (0..count).try_fold(0_u32, |value, _| {
        value.checked_mul(radix)?.checked_add(rest.next()?.to_digit(radix)?)
    })
}

#[cfg(test)]
mod tests {
    use super::{quote, quote_char, unquote};

    #[test]
    fn a_quoted_text_reads_back() {
        for text in ["", "a", "\"", "'`", "\\", "\n\t\u{7}\u{1}\u{7f}", "é𝄞\u{301}", "\u{200b}"]
        {
            assert_eq!(unquote(&quote(text)).unwrap().text, text);
        }
    }

    #[test]
    fn quotes_are_those_of_go() {
        let odd = "a\"\u{1}e\u{301}\u{200b}\u{e000}é\u{1f600}";
        assert_eq!(quote(odd), "\"a\\\"\\x01e\u{301}\\u200b\\ue000é\u{1f600}\"");
        assert_eq!(quote_char('\''), r"'\''");
        assert_eq!(quote_char('"'), "'\"'");
    }

    #[test]
    fn every_escape_of_go_is_read() {
        let text = |quoted: &str| unquote(quoted).map(|unquoted| unquoted.text);
        let all = "\u{7}\u{8}\u{c}\n\r\t\u{b}\\\"";
        assert_eq!(text(r#""\a\b\f\n\r\t\v\\\"""#).as_deref(), Some(all));
        assert_eq!(text(r"'\x41\101\u00e9\U0001d11e\''").as_deref(), Some("AAé𝄞'"));
        assert_eq!(text(r"`\n`").as_deref(), Some(r"\n"));
        let bad = [r#""\'""#, r#""\x4""#, r#""\400""#, r#""\ud800""#, r#""\q""#];
        for bad in bad.into_iter().chain(["\"", "", "a", "\"a'", "\"\n\"", "\"a\"b\""]) {
            assert_eq!(unquote(bad), None, "{bad}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_are_kept_in_the_quoted_form() {
        let unquoted = unquote(r#""a\xc5z""#).unwrap();
        assert_eq!(unquoted.invalid.as_deref(), Some(r#""a\xc5z""#));
        assert_eq!(unquoted.text, "a\u{fffd}z");
    }
}
