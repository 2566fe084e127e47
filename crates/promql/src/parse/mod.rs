//! From text to expression: a Pratt parser over the words of the lexer, then a check of types.
//!
//! Accepts what Prometheus 3.15 accepts and words its errors alike; of several it reports the first.
//! Limits: [`TEXT_BYTES_MAX`] bytes, [`DEPTH_MAX`] expressions within each other (so that nothing that walks
//! one can run out of stack), [`REGEXES_MAX`] compiled regular expressions. Cost: linear in the text but for
//! the regular expressions. Source: Prometheus 3.15, querying/basics and querying/operators.

mod call;
mod check;
mod duration;
mod error;
mod expr;
mod lexer;
mod number;
mod range;
mod selector;
#[cfg(test)]
mod tests;
mod token;

pub use error::ParseError;

use crate::ast::{Expr, Matcher, Span};
use crate::quote::quote;
use error::Failure;
use lexer::Lexer;
use token::{Lexeme, Token};

/// The longest expression, in bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// How many expressions may be within each other.
pub const DEPTH_MAX: u32 = 256;

/// How many regular expressions one expression may have; alternatives of plain texts do not count.
pub const REGEXES_MAX: u32 = 64;

/// What is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether functions and aggregations may be used that Prometheus has behind
    /// `--enable-feature=promql-experimental-functions`.
    pub experimental: bool,
}

/// The expression that `text` is, types checked, without experimental functions.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    parse_with(text, Options::default())
}

/// The expression that `text` is, types checked.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn parse_with(text: &str, options: Options) -> Result<Expr, ParseError> {
    whole(text, options, |parser| {
        if parser.peek()?.token == Token::End {
            return Err(Failure::new(Span::default(), "no expression found in input"));
        }
        let mut expr = parser.expr(0)?.expr;
        parser.end()?;
        check::check(&mut expr, text)?;
        Ok(expr)
    })
}

/// The matchers of the selector that `text` is, as in `match[]`. They may match series of any labels.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    whole(text, Options::default(), |parser| {
        let selector = parser.selector()?;
        parser.end()?;
        Ok(selector.matchers)
    })
}

fn whole<T>(
    text: &str,
    options: Options,
    parse: impl FnOnce(&mut Parser<'_>) -> Result<T, Failure>,
) -> Result<T, ParseError> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("expression is longer than {TEXT_BYTES_MAX} bytes");
        return Err(Failure::new(Span::default(), message).locate(text));
    }
    let lexer = Lexer::new(text);
    let mut parser =
        Parser { text, lexer, options, peeked: None, last_end: 0, depth: 0, regexes: 0 };
    parse(&mut parser).map_err(|failure| failure.locate(text))
}

/// Reads one expression.
struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    options: Options,
    /// The word that is next, if it has been looked at.
    peeked: Option<Lexeme>,
    /// Where the last word that was taken ends.
    last_end: u32,
    /// How many expressions are open.
    depth: u32,
    regexes: u32,
}

impl Parser<'_> {
    fn peek(&mut self) -> Result<Lexeme, Failure> {
        if let Some(lexeme) = self.peeked {
            return Ok(lexeme);
        }
        let lexeme = self.lexer.next()?;
        self.peeked = Some(lexeme);
        Ok(lexeme)
    }

    fn take(&mut self) -> Result<Lexeme, Failure> {
        let lexeme = self.peek()?;
        self.peeked = None;
        self.last_end = lexeme.span.end;
        Ok(lexeme)
    }

    /// Takes the next word if it is `token`.
    fn take_if(&mut self, token: Token) -> Result<bool, Failure> {
        let found = self.peek()?.token == token;
        if found {
            self.take()?;
        }
        Ok(found)
    }

    /// Takes `token`; another is unexpected in whatever is around it.
    fn require(&mut self, token: Token) -> Result<Lexeme, Failure> {
        if self.peek()?.token == token { self.take() } else { Err(self.unexpected()) }
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.require(Token::End).map(drop)
    }

    fn text_of(&self, lexeme: Lexeme) -> &str {
        self.text.get(lexeme.span.start as usize..lexeme.span.end as usize).unwrap_or_default()
    }

    /// From `start` to the end of the last word that was taken.
    fn span_from(&self, start: u32) -> Span {
        Span { start, end: self.last_end.max(start) }
    }

    /// That the next word should not be where it is.
    fn unexpected(&mut self) -> Failure {
        match self.peek() {
            Ok(lexeme) => {
                let message = format!("unexpected {}", self.describe(lexeme));
                Failure { open: true, ..Failure::new(lexeme.span, message) }
            }
            Err(failure) => failure,
        }
    }

    /// That the next word should not be where it is, within `context`, where `expected` should be.
    fn unexpected_in(&mut self, context: &str, expected: &str) -> Failure {
        let mut failure = self.unexpected();
        if failure.open {
            failure = failure.within(context);
            failure.message.push_str(", expected ");
            failure.message.push_str(expected);
        }
        failure
    }

    fn describe(&self, lexeme: Lexeme) -> String {
        let text = self.text_of(lexeme);
        let short = || match text.char_indices().nth(10) {
            Some((end, _)) => format!("{}...", quote(text.get(..end).unwrap_or_default())),
            None => quote(text),
        };
        match lexeme.token {
            Token::End => "end of input".to_owned(),
            Token::Identifier => format!("identifier {}", quote(text)),
            Token::MetricIdentifier => format!("metric identifier {}", quote(text)),
            Token::String => format!("string {}", short()),
            Token::Number => format!("number {}", short()),
            Token::Duration => format!("duration {}", short()),
            Token::Keyword(keyword) if keyword.is_function() => short(),
            Token::Keyword(_) => format!("<{text}>"),
            Token::Operator(_) | Token::At | Token::Regex | Token::NotRegex => {
                format!("<op:{text}>")
            }
            Token::Aggregate(_) => format!("<aggr:{text}>"),
            _ => short(),
        }
    }
}
