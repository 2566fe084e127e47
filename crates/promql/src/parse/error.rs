//! What is wrong with an expression, and where.

use std::fmt::Write as _;

use crate::ast::{AggregateOp, Span};
use crate::functions::FUNCTIONS;

/// An expression that cannot be parsed. Displayed as Prometheus words it: `1:5: parse error: ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong.
    pub message: String,
    /// Where it is.
    pub span: Span,
    /// The line of the span's start, from 1; 0 for the empty text, which has no lines.
    pub line: u32,
    /// The byte in that line, from 1.
    pub column: u32,
    /// What was probably meant, if a name is unknown.
    pub suggestion: Option<&'static str>,
}

impl ParseError {
    /// The line of `text`, the expression that was parsed, with a caret below what is wrong:
    ///
    /// ```text
    /// 1:5: parse error: unknown function with name "rat"
    ///   |
    /// 1 | 1 + rat(foo[5m])
    ///   |     ^^^ did you mean "rate"?
    /// ```
    #[must_use]
    pub fn render(&self, text: &str) -> String {
        let start = text.floor_char_boundary(self.span.start as usize);
        let end = text.floor_char_boundary((self.span.end as usize).max(start));
        let (before, after) = text.split_at(start);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = start + after.find('\n').unwrap_or(after.len());
        let line = text.get(line_start..line_end).unwrap_or_default();
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let marked = text.get(start..end.min(line_end)).unwrap_or_default();
        let carets = "^".repeat(marked.chars().count().max(1));
        // A tab stays one, so that the caret stands where the eye expects it.
        let indent: String = text
            .get(line_start..start)
            .unwrap_or_default()
            .chars()
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let mut rendered =
            format!("{self}\n{margin} |\n{number} | {line}\n{margin} | {indent}{carets}");
        if let Some(suggestion) = self.suggestion {
            // Writing to a text does not fail.
            let _ = write!(rendered, " did you mean \"{suggestion}\"?");
        }
        rendered
    }
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => f.write_str("unknown position")?,
            line => write!(f, "{line}:{}", self.column)?,
        }
        write!(f, ": parse error: {}", self.message)
    }
}

impl std::error::Error for ParseError {}

/// An error before its line is known.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) message: String,
    pub(super) span: Span,
    /// Whether what surrounds the place may still add in what it was found.
    pub(super) open: bool,
    pub(super) suggestion: Option<&'static str>,
}

impl Failure {
    pub(super) fn new(span: Span, message: impl Into<String>) -> Self {
        Self { message: message.into(), span, open: false, suggestion: None }
    }

    /// Adds that it was found within `context`, unless more is known already.
    pub(super) fn within(mut self, context: &str) -> Self {
        if self.open {
            self.message.push_str(" in ");
            self.message.push_str(context);
            self.open = false;
        }
        self
    }

    pub(super) fn locate(self, text: &str) -> ParseError {
        let before = text.get(..self.span.start as usize).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let position = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        ParseError {
            line: if text.is_empty() { 0 } else { position(before.matches('\n').count() + 1) },
            column: position(before.len() - line_start + 1),
            message: self.message,
            span: self.span,
            suggestion: self.suggestion,
        }
    }
}

/// The function or aggregation whose name is most like `name`, if one is much like it.
pub(super) fn suggest(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let functions = FUNCTIONS.iter().map(|function| function.name);
    let known = functions.chain(AggregateOp::ALL.map(AggregateOp::name));
    let scored = known.map(|known| (strsim::jaro_winkler(known, &name), known));
    let (score, best) = scored.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (score > 0.85).then_some(best)
}
