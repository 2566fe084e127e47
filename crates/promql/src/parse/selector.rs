//! `metric{label="value", "a b"=~"c.*"}`.

use crate::ast::{BinaryOp, Duration, MatchOp, Matcher, StringLiteral, VectorSelector};
use crate::labels::NAME;
use crate::parse::error::Failure;
use crate::parse::token::{Lexeme, Token};
use crate::parse::{Parser, REGEXES_MAX};

const CONTEXT: &str = "label matching";

impl Parser<'_> {
    /// A selector, from its name or brace.
    pub(super) fn selector(&mut self) -> Result<VectorSelector, Failure> {
        let first = self.peek()?;
        let mut name = None;
        if first.token.is_metric_name() {
            self.take()?;
            name = Some(self.text_of(first).to_owned());
        }
        self.selector_named(first, name)
    }

    /// A selector whose name, if it has one, has been read.
    pub(super) fn selector_named(
        &mut self,
        first: Lexeme,
        name: Option<String>,
    ) -> Result<VectorSelector, Failure> {
        let mut matchers = match self.peek()?.token {
            Token::LeftBrace => self.matchers()?,
            _ if name.is_some() => Vec::new(),
            _ => return Err(self.unexpected()),
        };
        if let Some(name) = &name {
            matchers.push(Matcher::equal(NAME, name));
        }
        let span = self.span_from(first.span.start);
        Ok(VectorSelector { name, matchers, offset: Duration::Fixed(0), at: None, span })
    }

    fn matchers(&mut self) -> Result<Vec<Matcher>, Failure> {
        self.take()?;
        let mut matchers = Vec::new();
        loop {
            if self.take_if(Token::RightBrace)? {
                return Ok(matchers);
            }
            matchers.push(self.matcher()?);
            if self.take_if(Token::RightBrace)? {
                return Ok(matchers);
            }
            if !self.take_if(Token::Comma)? {
                return Err(self.unexpected_in(CONTEXT, "\",\" or \"}\""));
            }
        }
    }

    fn matcher(&mut self) -> Result<Matcher, Failure> {
        let label = self.peek()?;
        let name = match label.token {
            Token::Identifier => {
                self.take()?;
                self.text_of(label).to_owned()
            }
            Token::String => {
                self.take()?;
                self.utf8(label)?.value
            }
            _ => return Err(self.unexpected_in(CONTEXT, "identifier or \"}\"")),
        };
        let op = match self.peek()?.token {
            Token::Assign => MatchOp::Equal,
            Token::Operator(BinaryOp::NotEqual) => MatchOp::NotEqual,
            Token::Regex => MatchOp::Regex,
            Token::NotRegex => MatchOp::NotRegex,
            // A text alone is the metric's name.
            _ if label.token == Token::String => return Ok(Matcher::equal(NAME, &name)),
            _ => return Err(self.unexpected_in(CONTEXT, "label matching operator")),
        };
        self.take()?;
        let value = self.peek()?;
        if value.token != Token::String {
            return Err(self.unexpected_in(CONTEXT, "string"));
        }
        self.take()?;
        let value = self.utf8(value)?.value;
        let span = self.span_from(label.span.start);
        let matcher = Matcher::new(name, op, value)
            .map_err(|error| Failure::new(span, format!("error parsing regexp: {error}")))?;
        self.regexes += u32::from(matcher.is_compiled());
        if self.regexes > REGEXES_MAX {
            let message = format!("more than {REGEXES_MAX} regular expressions in one expression");
            return Err(Failure::new(span, message));
        }
        Ok(matcher)
    }

    /// A quoted text that is UTF-8, as all labels are.
    fn utf8(&self, lexeme: Lexeme) -> Result<StringLiteral, Failure> {
        let literal = self.string(lexeme)?;
        match &literal.invalid {
            Some(quoted) => {
                let message = format!("invalid UTF-8 in label matching: {quoted}");
                Err(Failure::new(lexeme.span, message))
            }
            None => Ok(literal),
        }
    }
}
