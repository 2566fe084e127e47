//! `printf`, `print` and `println` of templates, as Go's `fmt` has them.
//!
//! Verbs `%v %d %b %o %O %x %X %c %q %U %e %E %f %F %g %G %s %t %T %%`, flags `+ - # 0` and space, width
//! and precision, also `*`. What does not fit is written into the text, as in `%!d(string=x)`.
//!
//! Limits: width and precision up to [`WIDTH_MAX`].

use sidelight_promql::quote::{quote, quote_char};

use super::number::{Style, write};
use super::value::Value;

/// The widest field.
const WIDTH_MAX: usize = 4096;

#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// The texts of `values` in a row, with a space between two of which neither is a text.
pub(super) fn print(values: &[Value]) -> String {
    let mut text = String::new();
    let mut previous: Option<&Value> = None;
    for value in values {
        let apart = |value: &Value| !matches!(value, Value::Text(_));
        if previous.is_some_and(apart) && apart(value) {
            text.push(' ');
        }
        text += &value.plain();
        previous = Some(value);
    }
    text
}

/// The texts of `values` with spaces between them and a line break at the end.
pub(super) fn println(values: &[Value]) -> String {
    let each: Vec<String> = values.iter().map(Value::plain).collect();
    each.join(" ") + "\n"
}

/// `values` as `format` says.
///
/// # Errors
/// The text would have more than `bytes_max` bytes.
pub(super) fn printf(format: &str, values: &[Value], bytes_max: usize) -> Result<String, String> {
    let mut text = String::new();
    let mut values = Arguments { all: values, next: 0, numbered: false };
    let mut rest = format;
    while let Some((plain, verb)) = rest.split_once('%') {
        text += plain;
        rest = directive(verb, &mut values, &mut text);
        if text.len() > bytes_max {
            return Err(format!("the text has more than {bytes_max} bytes"));
        }
    }
    text += rest;
    let left = values.all.get(values.next..).unwrap_or_default();
    if !left.is_empty() && !values.numbered {
        let left: Vec<String> = left.iter().map(described).collect();
        text += &format!("%!(EXTRA {})", left.join(", "));
    }
    Ok(text)
}

struct Arguments<'a> {
    all: &'a [Value],
    next: usize,
    /// Whether any was asked for by its number, so that those never asked for are not missed.
    numbered: bool,
}

impl<'a> Arguments<'a> {
    fn next(&mut self) -> Option<&'a Value> {
        let value = self.all.get(self.next);
        self.next += usize::from(value.is_some());
        value
    }

    /// Goes to the argument that `[n]` in front of `text` asks for: the text behind it.
    fn seek<'t>(&mut self, text: &'t str) -> &'t str {
        let number = text.strip_prefix('[').and_then(|text| text.split_once(']'));
        let Some((number, after)) = number else { return text };
        let number = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let Some(number) = number.filter(|number| *number < self.all.len()) else { return text };
        self.next = number;
        self.numbered = true;
        after
    }

    /// The number for a `*`.
    fn star(&mut self) -> Option<i64> {
        match self.next() {
            Some(Value::Int(number)) if number.unsigned_abs() <= WIDTH_MAX as u64 => Some(*number),
            _ => None,
        }
    }
}

fn described(value: &Value) -> String {
    match value {
        Value::Nil => "<nil>".to_owned(),
        value => format!("{}={}", value.kind(), value.plain()),
    }
}

/// Writes what the directive after `%` stands for: the text behind it.
fn directive<'a>(text: &'a str, values: &mut Arguments<'_>, to: &mut String) -> &'a str {
    let mut flags = Flags::default();
    let mut rest = text;
    while let Some(c) = rest.chars().next().filter(|c| "+-# 0".contains(*c)) {
        match c {
            '+' => flags.plus = true,
            '-' => flags.minus = true,
            '#' => flags.sharp = true,
            ' ' => flags.space = true,
            _ => flags.zero = true,
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    if let Some(after) = rest.strip_prefix('*') {
        rest = after;
        let star = values.star();
        flags.minus |= star.is_some_and(|star| star < 0);
        flags.width = star.and_then(|star| usize::try_from(star.unsigned_abs()).ok());
        if star.is_none() {
            *to += "%!(BADWIDTH)";
        }
    } else {
        (flags.width, rest) = number(rest);
    }
    if let Some(after) = rest.strip_prefix('.') {
        if let Some(after) = after.strip_prefix('*') {
            rest = after;
            let star = values.star();
            flags.precision = star.and_then(|star| usize::try_from(star).ok());
            if star.is_none() {
                *to += "%!(BADPREC)";
            }
        } else {
            let (precision, after) = number(after);
            flags.precision = Some(precision.unwrap_or(0));
            rest = after;
        }
    }
    rest = values.seek(rest);
    let Some(verb) = rest.chars().next() else {
        *to += "%!(NOVERB)";
        return rest;
    };
    let after = rest.get(verb.len_utf8()..).unwrap_or_default();
    if verb == '%' {
        to.push('%');
    } else if let Some(value) = values.next() {
        // With `%v` a plus asks for the names of fields, which nothing here has.
        let plus = flags.plus && verb != 'v';
        *to += &formatted(value, verb, Flags { plus, ..flags });
    } else {
        *to += &format!("%!{verb}(MISSING)");
    }
    after
}

fn number(text: &str) -> (Option<usize>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    (digits.parse().ok().map(|number: usize| number.min(WIDTH_MAX)), rest)
}

fn formatted(value: &Value, verb: char, flags: Flags) -> String {
    match (value, verb) {
        (value, 'T') => return padded(value.kind(), flags),
        (Value::Nil, 'v') => return padded("<nil>", flags),
        (Value::Bool(value), 't' | 'v') => return padded(&value.to_string(), flags),
        (Value::Int(value), verb) => {
            if let Some(text) = integer(*value, verb, flags) {
                return text;
            }
        }
        (Value::Byte(value), verb) => {
            if let Some(text) = integer(i64::from(*value), verb, flags) {
                return text;
            }
        }
        (Value::Float(value), verb) => {
            if let Some(text) = float(*value, verb, flags) {
                return text;
            }
        }
        (Value::Text(value), verb) => {
            if let Some(text) = text(value, verb, flags) {
                return text;
            }
        }
        (Value::Time(_) | Value::Duration(_) | Value::Histogram(_), 'v' | 's' | 'q') => {
            let written = value.plain();
            return text(&written, verb, flags).unwrap_or(written);
        }
        (Value::Labels(labels), verb) => {
            let each = |text: &str| formatted(&Value::text(text), verb, flags);
            let each = labels.iter().map(|(name, value)| format!("{}:{}", each(name), each(value)));
            return format!("map[{}]", each.collect::<Vec<_>>().join(" "));
        }
        (value, 'v') => return padded(&value.plain(), flags),
        _ => {}
    }
    match value {
        Value::Nil => format!("%!{verb}(<nil>)"),
        value => format!("%!{verb}({}={})", value.kind(), formatted(value, 'v', flags)),
    }
}

/// Filled up to the width, with spaces, or with zeros on the left.
fn padded(text: &str, flags: Flags) -> String {
    let missing = flags.width.unwrap_or(0).saturating_sub(text.chars().count());
    if flags.minus {
        text.to_owned() + &" ".repeat(missing)
    } else {
        let fill = if flags.zero { "0" } else { " " };
        fill.repeat(missing) + text
    }
}

/// The same for what has a sign, which stays in front of the zeros.
fn padded_number(sign: &str, digits: &str, flags: Flags) -> String {
    if flags.zero && !flags.minus {
        let width = flags.width.map(|width| width.saturating_sub(sign.len()));
        sign.to_owned() + &padded(digits, Flags { width, ..flags })
    } else {
        padded(&format!("{sign}{digits}"), flags)
    }
}

fn sign(negative: bool, flags: Flags) -> &'static str {
    match (negative, flags) {
        (true, _) => "-",
        (_, Flags { plus: true, .. }) => "+",
        (_, Flags { space: true, .. }) => " ",
        _ => "",
    }
}

fn integer(value: i64, verb: char, flags: Flags) -> Option<String> {
    let magnitude = value.unsigned_abs();
    let letter = u32::try_from(value).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
    let (prefix, mut digits) = match verb {
        'd' | 'v' => ("", magnitude.to_string()),
        'b' => ("0b", format!("{magnitude:b}")),
        'o' => ("0", format!("{magnitude:o}")),
        'O' => ("0o", format!("{magnitude:o}")),
        'x' => ("0x", format!("{magnitude:x}")),
        'X' => ("0X", format!("{magnitude:X}")),
        'c' => return Some(padded(&letter.to_string(), flags)),
        'q' => return Some(padded(&quote_char(letter), flags)),
        'U' => return Some(padded(&format!("U+{value:04X}"), flags)),
        _ => return None,
    };
    let mut flags = flags;
    if let Some(precision) = flags.precision {
        flags.zero = false;
        digits = "0".repeat(precision.saturating_sub(digits.len())) + &digits;
        if precision == 0 && value == 0 {
            digits.clear();
        }
    }
    let shown = (flags.sharp && !(verb == 'o' && digits.starts_with('0'))) || verb == 'O';
    let prefix = if shown { prefix } else { "" };
    let sign = sign(value < 0, flags).to_owned() + prefix;
    Some(padded_number(&sign, &digits, flags))
}

fn float(value: f64, verb: char, flags: Flags) -> Option<String> {
    let (style, precision) = match verb {
        'e' | 'E' => (Style::Exponent, Some(flags.precision.unwrap_or(6))),
        'f' | 'F' => (Style::Fixed, Some(flags.precision.unwrap_or(6))),
        'g' | 'G' | 'v' => (Style::General, flags.precision),
        _ => return None,
    };
    let magnitude = write(value.abs(), style, precision);
    let mut digits = magnitude.trim_start_matches('+').to_owned();
    if verb == 'E' || (verb == 'G' && value.is_finite()) {
        digits = digits.replace('e', "E");
    }
    let negative = value.is_sign_negative() && !value.is_nan();
    // An infinity always says its sign where it is printed alone, and is never filled with zeros.
    let infinite = !value.is_finite();
    let plus = flags.plus || (value.is_infinite() && !flags.space);
    let flags = Flags { zero: flags.zero && !infinite, plus, ..flags };
    Some(padded_number(sign(negative, flags), &digits, flags))
}

fn text(value: &str, verb: char, flags: Flags) -> Option<String> {
    let cut: String = match flags.precision {
        Some(precision) => value.chars().take(precision).collect(),
        None => value.to_owned(),
    };
    let hex = |upper: bool| {
        let limit = flags.precision.unwrap_or(usize::MAX);
        let gap = if flags.space { " " } else { "" };
        let bytes = value.bytes().take(limit).map(|byte| match upper {
            true => format!("{byte:02X}"),
            false => format!("{byte:02x}"),
        });
        let prefix = match (flags.sharp, upper) {
            (false, _) => "",
            (true, false) => "0x",
            (true, true) => "0X",
        };
        prefix.to_owned() + &bytes.collect::<Vec<_>>().join(gap)
    };
    Some(match verb {
        'v' if flags.sharp => padded(&quote(value), flags),
        's' | 'v' => padded(&cut, flags),
        'q' if flags.sharp && !cut.contains(['`', '\n']) => padded(&format!("`{cut}`"), flags),
        'q' if flags.plus => padded(&ascii(&quote(&cut)), flags),
        'q' => padded(&quote(&cut), flags),
        'x' => padded(&hex(false), flags),
        'X' => padded(&hex(true), flags),
        _ => return None,
    })
}

/// Without what is not ASCII.
fn ascii(text: &str) -> String {
    let escape = |c: char| match u32::from(c) {
        0..0x80 => c.to_string(),
        code @ 0x80..0x1_0000 => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    };
    text.chars().map(escape).collect()
}
