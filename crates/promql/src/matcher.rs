//! Conditions on labels, compiled.
//!
//! A regular expression is Go's RE2: it must match the whole label, its dot matches a line feed as well, and
//! its classes `\d`, `\s`, `\w` are of ASCII. It is translated to the syntax of the `regex` crate, which differs
//! in little else. The commonest, `.*`, `.+` and `a|b|c` of plain texts, are compared without one.

use regex::{Regex, RegexBuilder};

/// The largest size of a compiled regular expression, and of what it may hold while it matches.
pub(crate) const REGEX_BYTES_MAX: usize = 1 << 20;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// As written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }

    /// Whether it holds where the comparison does not: `!=` and `!~`.
    #[must_use]
    pub fn is_negative(self) -> bool {
        matches!(self, Self::NotEqual | Self::NotRegex)
    }
}

/// One condition on one label.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label.
    pub name: String,
    /// How it compares.
    pub op: MatchOp,
    /// With what.
    pub value: String,
    pattern: Pattern,
}

/// What a label's value must be for the condition, or for its opposite.
#[derive(Clone, Debug)]
enum Pattern {
    Anything,
    NotEmpty,
    /// In order.
    OneOf(Vec<String>),
    Regex(Regex),
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Matcher {
    /// The condition that label `name` compares so with `value`.
    ///
    /// # Errors
    /// `value` is not a regular expression, or compiles to more than [`REGEX_BYTES_MAX`].
    pub fn new(
        name: impl Into<String>,
        op: MatchOp,
        value: impl Into<String>,
    ) -> Result<Self, RegexError> {
        let value = value.into();
        let pattern = match op {
            MatchOp::Equal | MatchOp::NotEqual => Pattern::OneOf(vec![value.clone()]),
            MatchOp::Regex | MatchOp::NotRegex => Pattern::of(&value)?,
        };
        Ok(Self { name: name.into(), op, value, pattern })
    }

    /// The condition that label `name` is `value`.
    #[must_use]
    pub fn equal(name: &str, value: &str) -> Self {
        let pattern = Pattern::OneOf(vec![value.to_owned()]);
        Self { name: name.to_owned(), op: MatchOp::Equal, value: value.to_owned(), pattern }
    }

    /// The condition that label `name` is one of `values`, of which there is one at least.
    #[must_use]
    pub fn one_of(name: &str, values: &[&str]) -> Self {
        let value = values.iter().map(|value| regex::escape(value)).collect::<Vec<_>>().join("|");
        let pattern = Pattern::one_of(values.iter().map(|&value| value.to_owned()));
        Self { name: name.to_owned(), op: MatchOp::Regex, value, pattern }
    }

    /// Whether a label of this value (empty: absent) meets the condition.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        let found = match &self.pattern {
            Pattern::Anything => true,
            Pattern::NotEmpty => !value.is_empty(),
            Pattern::OneOf(values) => values.binary_search_by(|one| (**one).cmp(value)).is_ok(),
            Pattern::Regex(regex) => regex.is_match(value),
        };
        found != self.op.is_negative()
    }

    /// The only values that meet the condition, of a negative one those that do not, if they are known: of `=`, `!=`,
    /// and of the others with plain texts. In order, each once.
    #[must_use]
    pub fn named(&self) -> Option<&[String]> {
        if let Pattern::OneOf(values) = &self.pattern { Some(values) } else { None }
    }

    pub(crate) fn is_compiled(&self) -> bool {
        matches!(self.pattern, Pattern::Regex(_))
    }
}

impl Pattern {
    fn one_of(values: impl Iterator<Item = String>) -> Self {
        let mut values: Vec<_> = values.collect();
        values.sort_unstable();
        values.dedup();
        Self::OneOf(values)
    }

    fn of(regex: &str) -> Result<Self, RegexError> {
        const META: &[char] = &['\\', '.', '+', '*', '?', '(', ')', '[', ']', '{', '}', '^', '$'];
        Ok(match regex {
            ".*" => Self::Anything,
            ".+" => Self::NotEmpty,
            plain if !plain.contains(META) => Self::one_of(plain.split('|').map(str::to_owned)),
            regex => Self::Regex(anchored(regex)?),
        })
    }
}

/// How often Go lets a part of a pattern be repeated.
const REPEATS_MAX: u32 = 1_000;

/// A regular expression that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegexError(String);

impl std::fmt::Display for RegexError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RegexError {}

/// `pattern` compiled so that it matches a whole text, and its dot any character.
///
/// # Errors
/// It is not a regular expression, or compiles to more than [`REGEX_BYTES_MAX`].
pub fn anchored(pattern: &str) -> Result<Regex, RegexError> {
    RegexBuilder::new(&format!("^(?s:{})$", translated(pattern)?))
        .size_limit(REGEX_BYTES_MAX)
        .dfa_size_limit(REGEX_BYTES_MAX)
        .nest_limit(100)
        .build()
        .map_err(|error| {
            let what = match &error {
                regex::Error::Syntax(report) => {
                    let last = report.lines().last().unwrap_or_default();
                    last.trim_start_matches("error: ").to_owned()
                }
                regex::Error::CompiledTooBig(limit) => {
                    format!("compiled to more than {limit} bytes")
                }
                other => other.to_string(),
            };
            RegexError(format!("{what}: `{pattern}`"))
        })
}

/// `pattern` of Go in the syntax of the `regex` crate.
fn translated(pattern: &str) -> Result<String, RegexError> {
    let mut to = String::with_capacity(pattern.len());
    let mut rest = pattern;
    let mut class = false;
    let mut range = Range::No;
    let mut repeats = Repeats::default();
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        if !class {
            repeats.see(c, after)?;
        }
        range = range.after(c, after);
        let taken = match c {
            '\\' => c.len_utf8() + push_escape(&mut to, after, class),
            '[' if class => {
                // Go has no classes within classes but for the named ones.
                to.push_str(if after.starts_with(':') { "[" } else { "\\[" });
                1
            }
            '[' => {
                class = true;
                // What stands first is part of the class, a closing bracket too.
                let negation = if after.starts_with('^') { "^" } else { "" };
                let first = after.get(negation.len()..).unwrap_or_default();
                let bracket = first.starts_with(']');
                to.push('[');
                to.push_str(negation);
                to.push_str(if bracket { "\\]" } else { "" });
                range = if bracket { Range::Low } else { Range::No };
                1 + negation.len() + usize::from(bracket)
            }
            ']' if class => {
                // The end of a named class is not that of the one around it.
                class = to.ends_with(':')
                    && to
                        .rfind("[:")
                        .is_some_and(|at| !to.get(at..).unwrap_or_default().contains(']'));
                to.push(']');
                1
            }
            '-' if class => {
                // Two in a row are a difference of classes here.
                to.push_str(if range == Range::Dash { "-" } else { "\\-" });
                1
            }
            '&' | '~' if class => {
                to.extend(['\\', c]);
                1
            }
            '{' if !class && !is_repetition(after) => {
                to.push_str("\\{");
                1
            }
            c => {
                to.push(c);
                c.len_utf8()
            }
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    Ok(to)
}

/// Where in a range of a class of characters the next one is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Range {
    /// In none: a dash is a dash.
    No,
    /// After what it may begin with.
    Low,
    /// After its dash.
    Dash,
}

impl Range {
    /// Where it is after `c`, which `after` follows.
    fn after(self, c: char, after: &str) -> Self {
        match (self, c) {
            (Self::Low, '-') if !after.starts_with(']') => Self::Dash,
            (Self::Dash, _) | (_, ']') => Self::No,
            (_, '\\') if after.starts_with(['d', 's', 'w', 'D', 'S', 'W']) => Self::No,
            _ => Self::Low,
        }
    }
}

/// Writes the escape whose backslash stands before `after`, and says how many bytes of `after` it took.
fn push_escape(to: &mut String, after: &str, class: bool) -> usize {
    let ascii = match after.chars().next() {
        Some('d') => "0-9",
        Some('s') => r"\t\n\f\r ",
        Some('w') => "0-9A-Za-z_",
        Some('D') => "^0-9",
        Some('S') => r"^\t\n\f\r ",
        Some('W') => "^0-9A-Za-z_",
        Some('b') if !class => {
            to.push_str(r"(?-u:\b)");
            return 1;
        }
        Some('Q') if !class => {
            let quoted = after.get(1..).unwrap_or_default();
            let end = quoted.find(r"\E");
            to.push_str(&regex::escape(
                quoted.get(..end.unwrap_or(quoted.len())).unwrap_or_default(),
            ));
            return end.map_or(after.len(), |end| 1 + end + 2);
        }
        // Of a word's beginning and end only this syntax knows.
        Some(c @ ('<' | '>')) => {
            to.push(c);
            return 1;
        }
        Some(c) => {
            to.extend(['\\', c]);
            return c.len_utf8();
        }
        None => {
            to.push('\\');
            return 0;
        }
    };
    to.extend(["[", ascii, "]"]);
    1
}

/// How often the parts of a pattern are repeated, in all: Go counts what repetitions within repetitions come to.
#[derive(Default)]
struct Repeats {
    /// By the groups that are open but for the innermost: what is repeated most often of what is before in them.
    around: Vec<u32>,
    /// The same of the innermost, without what was last.
    most: u32,
    last: u32,
}

impl Repeats {
    /// Takes the next character outside of classes, and what is after it.
    ///
    /// # Errors
    /// A part is repeated more often than Go lets it be.
    fn see(&mut self, c: char, after: &str) -> Result<(), RegexError> {
        match c {
            '(' => {
                self.around.push(self.most.max(self.last));
                (self.most, self.last) = (0, 0);
            }
            ')' => {
                self.last = self.last.max(self.most).max(1);
                self.most = self.around.pop().unwrap_or_default();
            }
            '{' if is_repetition(after) => {
                let count = after.split('}').next().unwrap_or_default();
                let too_often = || RegexError(format!("invalid repeat count: `{{{count}}}`"));
                let (least, most) = count.split_once(',').unwrap_or((count, count));
                let number = |text: &str| {
                    let number = text.parse::<u32>().ok().filter(|number| *number <= REPEATS_MAX);
                    number.ok_or_else(too_often)
                };
                let least = number(least)?;
                // Without an upper bound the lower one counts, and none at all is once.
                let times = if most.is_empty() { least.max(1) } else { number(most)? };
                self.last = self.last.saturating_mul(times);
                if self.last > REPEATS_MAX {
                    return Err(too_often());
                }
            }
            '*' | '+' | '?' => {}
            _ => {
                self.most = self.most.max(self.last);
                self.last = 1;
            }
        }
        Ok(())
    }
}

/// Whether `after`, what follows a `{`, makes it a repetition; else it is a plain character.
fn is_repetition(after: &str) -> bool {
    let Some((count, _)) = after.split_once('}') else { return false };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match count.split_once(',') {
        Some((least, most)) => is_number(least) && (most.is_empty() || is_number(most)),
        None => is_number(count),
    }
}

#[cfg(test)]
mod tests {
    use super::{MatchOp, Matcher};

    fn matches(pattern: &str, value: &str) -> bool {
        Matcher::new("l", MatchOp::Regex, pattern).unwrap().matches(value)
    }

    #[test]
    fn a_pattern_matches_the_whole_value_and_its_dot_everything() {
        assert!(matches("a.c", "a\nc"));
        assert!(!matches("a.", "abc"));
        assert!(!matches("b|ab", "abc"));
        assert!(matches("b|ab", "ab"));
        assert!(matches("b|", ""));
        assert!(matches("(?i)abc", "ABC"));
    }

    #[test]
    fn a_part_may_be_repeated_a_thousand_times_as_in_go() {
        let made = |pattern: &str| {
            Matcher::new("l", MatchOp::Regex, pattern).map_err(|error| error.to_string())
        };
        for pattern in ["a{1000}", "a{0,1000}", r"a\{1001}", "[{]1001}"] {
            made(pattern).unwrap();
        }
        for count in ["{1001}", "{1,1001}", "{1001,}", "{99999999999}"] {
            let error = made(&format!("a{count}")).unwrap_err();
            assert!(error.ends_with(&format!("invalid repeat count: `{count}`")), "{error}");
        }
    }

    #[test]
    fn repetitions_within_repetitions_are_a_thousand_together_as_in_go() {
        let made = |pattern: &str| {
            Matcher::new("l", MatchOp::Regex, pattern).map_err(|error| error.to_string())
        };
        for pattern in [
            "(a{10}){100}",
            "((a{10}){10}){10}",
            "(a{2,40}){25}",
            "(a{2,}){500}",
            "(a{100}){10,}",
            "(x*){1000}",
            "(a{0}){1000}",
            "((a{1000}){0}){1000}",
            "(?:a{40}b{40}){25}",
            "(a{100}|(b{2}){6}){10}",
            "(a{1000}b){1}",
            "[a{40}]{26}",
            r"(a\{40}){26}",
            r"(\Qa{40}\E){26}",
            "(a{40})(b{40})",
        ] {
            made(pattern).unwrap_or_else(|error| panic!("{error}"));
        }
        for (pattern, count) in [
            ("(a{40}){40}", "{40}"),
            ("(a{10}){101}", "{101}"),
            ("((a{10}){10}){11}", "{11}"),
            ("(a{2,40}){26}", "{26}"),
            ("(a{2,}){501}", "{501}"),
            ("(a{100}){11,}", "{11,}"),
            ("((x*){1000}){2}", "{2}"),
            ("((a{0}b{3}){400}){2}", "{400}"),
            ("(a{40}|b){26}", "{26}"),
            ("(?i:a{40}b){26}", "{26}"),
            ("((a{40})?){26}", "{26}"),
            ("((a{100}){0,1}){11}", "{11}"),
            ("(c(a{100}|b)d){11}", "{11}"),
        ] {
            assert_eq!(made(pattern).unwrap_err(), format!("invalid repeat count: `{count}`"));
        }
    }

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        for (pattern, yes, no) in [
            (r"\d+", "12", "٣"),
            (r"[\d-]+", "1-2", "a"),
            (r"\w", "_", "é"),
            (r"[^\W]", "a", "-"),
            (r"\S+", "a", "a b"),
            (r"a{b}", "a{b}", "ab"),
            (r"a{,2}", "a{,2}", "aa"),
            (r"a{2,}", "aaa", "a"),
            (r"[[]x", "[x", "x"),
            (r"[]]x", "]x", "x"),
            (r"[^]]x", "ax", "]x"),
            (r"[[:alpha:]x&&y]+", "a&y", "1"),
            (r"[a~~b]+", "~", "c"),
            (r"\<a\>[\<b]", "<a><", "a<"),
            (r"[+--]+", "+,-", "."),
            (r"[--/]+", "-./", ","),
            (r"[a-c--/]+", "b./", ","),
            (r"[]-a]+", "]^a", "b"),
            (r"[\d-]+-[a-]", "1--a", "1-b"),
            (r"\Qa.b\E+", "a.bb", "axb"),
            (r"\Q(", "(", ""),
            (r"a\bé?", "a", "b"),
            (r"\pL+", "é", "1"),
            (r"(?P<x>a)", "a", "b"),
        ] {
            assert!(matches(pattern, yes), "{pattern} {yes}");
            assert!(!matches(pattern, no), "{pattern} {no}");
        }
    }

    #[test]
    fn plain_alternatives_are_known_values() {
        let matcher = |op, value: &str| Matcher::new("l", op, value).unwrap();
        assert_eq!(matcher(MatchOp::Regex, "a|b").named().unwrap(), ["a", "b"]);
        assert_eq!(matcher(MatchOp::Equal, "a|b").named().unwrap(), ["a|b"]);
        assert_eq!(matcher(MatchOp::NotRegex, "a|b").named().unwrap(), ["a", "b"]);
        assert_eq!(matcher(MatchOp::Regex, "b|a|b").named().unwrap(), ["a", "b"]);
        assert!(matcher(MatchOp::Regex, "a.").named().is_none());
        let one_of = Matcher::one_of("l", &["b.c", "a|b", ""]);
        assert_eq!(one_of.named().unwrap(), ["", "a|b", "b.c"]);
        let same = Matcher::new("l", one_of.op, &*one_of.value).unwrap();
        for value in ["b.c", "bxc", "a|b", "a", "b", ""] {
            assert_eq!(one_of.matches(value), ["b.c", "a|b", ""].contains(&value), "{value}");
            assert_eq!(one_of.matches(value), same.matches(value), "{value}");
        }
        assert!(!matcher(MatchOp::NotRegex, "a|b").matches("b"));
        assert!(matcher(MatchOp::NotRegex, ".+").matches(""));
        assert!(!matcher(MatchOp::NotRegex, ".*").matches(""));
    }

    #[test]
    fn a_pattern_that_is_none_or_too_large_is_refused_in_one_line() {
        for (pattern, message) in [
            ("a(", "unclosed group: `a(`"),
            (r"\C", r"unrecognized escape sequence: `\C`"),
            (r"(\pL{30}){30}", r"compiled to more than 1048576 bytes: `(\pL{30}){30}`"),
        ] {
            let error = Matcher::new("l", MatchOp::Regex, pattern).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        let nested = format!("{}a{}", "(".repeat(10_000), ")".repeat(10_000));
        assert!(Matcher::new("l", MatchOp::Regex, nested).is_err());
    }
}
