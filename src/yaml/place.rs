//! Where a part of a value stands in the text that the value was written in: quotes, escapes, folding and
//! indentation undone.
//!
//! Characters other than white space are written one to one in every style but for escapes, so the two texts
//! are walked side by side over those. Cost: linear in the text before the part.
//!
//! Source: YAML 1.2.2, chapters 7 (flow scalars) and 8 (block scalars).

use std::ops::Range;

use super::Span;

/// The place of `value[range]`, where `value` is the scalar that begins at `span` in `text`; of a part over several
/// lines what is in the first. `span` itself where the two cannot be matched.
#[must_use]
pub fn place(text: &str, span: Span, value: &str, range: Range<usize>) -> Span {
    let mut written = Written::at(text, span);
    let end = range.end.max(range.start + 1);
    let mut found: Option<Span> = None;
    let mut after = Span { length: 1, ..span };
    for (at, wanted) in value.char_indices().filter(|(_, c)| !c.is_whitespace()) {
        let Some((c, width, here)) = written.next() else { return found.unwrap_or(span) };
        if c != wanted {
            return found.unwrap_or(span);
        }
        after = Span { column: here.column + width, length: 1, ..here };
        if at >= end && found.is_some() {
            break;
        }
        if at + wanted.len_utf8() <= range.start {
            continue;
        }
        match &mut found {
            None => found = Some(Span { length: width, ..here }),
            Some(first) if first.line == here.line => {
                first.length = here.column + width - first.column;
            }
            Some(_) => break,
        }
    }
    found.unwrap_or(after)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    AsIs,
    Single,
    Double,
}

/// The characters of a scalar as they are written, white space left out.
struct Written<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    at: Span,
    style: Style,
}

impl<'a> Written<'a> {
    fn at(text: &'a str, span: Span) -> Self {
        let lines = text.split_inclusive('\n').take(span.line.saturating_sub(1));
        let start: usize = lines.map(str::len).sum();
        let rest = text.get(start..).unwrap_or_default();
        let skip =
            rest.char_indices().nth(span.column.saturating_sub(1)).map_or(rest.len(), |c| c.0);
        let rest = rest.get(skip..).unwrap_or_default();
        let mut written = Self { rest: rest.chars().peekable(), at: span, style: Style::AsIs };
        match rest.chars().next() {
            Some('"') => written.style = Style::Double,
            Some('\'') => written.style = Style::Single,
            // The header of a block scalar is the rest of its line.
            Some('|' | '>') => while written.step().is_some_and(|c| c != '\n') {},
            _ => {}
        }
        if written.style != Style::AsIs {
            written.step();
        }
        written
    }

    fn step(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        if c == '\n' {
            self.at.line += 1;
            self.at.column = 1;
        } else {
            self.at.column += 1;
        }
        Some(c)
    }

    /// The next character that is not white space, how many are written for it, and where they begin.
    fn next(&mut self) -> Option<(char, usize, Span)> {
        loop {
            let here = self.at;
            let c = self.step()?;
            let c = match (self.style, c) {
                (Style::Double, '\\') => self.escaped()?,
                (Style::Single, '\'') => {
                    let c = self.rest.next_if_eq(&'\'')?;
                    self.at.column += 1;
                    c
                }
                (Style::Double, '"') => return None,
                _ => c,
            };
            if !c.is_whitespace() {
                return Some((c, self.at.column.saturating_sub(here.column).max(1), here));
            }
        }
    }

    /// What the escape after a backslash means; a space for everything that is white space.
    fn escaped(&mut self) -> Option<char> {
        let digits = match self.step()? {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            '0' => return Some('\0'),
            'a' => return Some('\u{7}'),
            'b' => return Some('\u{8}'),
            'e' => return Some('\u{1b}'),
            't' | 'n' | 'v' | 'f' | 'r' | 'N' | '_' | 'L' | 'P' => return Some(' '),
            other => return Some(other),
        };
        let code: String = (0..digits).map_while(|_| self.step()).collect();
        u32::from_str_radix(&code, 16).ok().and_then(char::from_u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{SourceId, Value, parse};

    /// Where `part` of the value of `k` stands: the text that the span covers, and its line.
    fn located(text: &str, part: &str) -> (usize, String) {
        let node = parse(text, SourceId::FIRST, &mut Vec::new()).unwrap();
        let Value::Mapping(entries) = &node.value else { panic!("{node:?}") };
        let Value::Scalar(value) = &entries[0].node.value else { panic!("{node:?}") };
        let at = value.find(part).unwrap();
        let span = place(text, entries[0].node.span, value, at..at + part.len());
        let line = text.lines().nth(span.line - 1).unwrap();
        (span.line, line.chars().skip(span.column - 1).take(span.length).collect())
    }

    #[test]
    fn a_part_is_found_in_every_style() {
        for (text, line) in [
            ("k: one + rat(two)\n", 1),
            ("k: 'it''s one + rat(two)'\n", 1),
            ("k: \"one\\n \\\"x\\\" + \\u0041 rat(two)\"\n", 1),
            ("k: one +\n  rat(two)\n", 2),
            ("k: |\n  one +\n\n    rat(two)\n", 4),
            ("k: >-\n  one\n  + rat(two)\n", 3),
            ("k: 'one\n  + é rat(two)'\n", 2),
            ("k: |2-\n   one + rat(two)\n", 2),
        ] {
            assert_eq!(located(text, "rat"), (line, "rat".to_owned()), "{text}");
        }
    }

    #[test]
    fn the_end_of_a_value_is_after_its_last_character() {
        let text = "k: |\n  sum(\n";
        let node = parse(text, SourceId::FIRST, &mut Vec::new()).unwrap();
        let Value::Mapping(entries) = &node.value else { panic!("{node:?}") };
        let span = place(text, entries[0].node.span, "sum(\n", 5..5);
        assert_eq!((span.line, span.column, span.length), (2, 7, 1));
    }
}
