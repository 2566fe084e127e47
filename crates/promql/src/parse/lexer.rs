//! From text to words, one at a time: what a character means depends on whether a brace or a bracket is
//! open, as in Prometheus, whose messages these are.

use crate::ast::{BinaryOp, Span};
use crate::parse::error::Failure;
use crate::parse::token::{Keyword, Lexeme, Token, classify};
use crate::quote::{quote, quote_char};

/// Reads words off a text.
pub(super) struct Lexer<'a> {
    text: &'a str,
    /// The byte to be read next.
    at: usize,
    parens: u32,
    brace: bool,
    bracket: Option<Bracket>,
}

/// What has been read since `[`.
#[derive(Clone, Copy, Default)]
struct Bracket {
    number: bool,
    colon: bool,
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, parens: 0, brace: false, bracket: None }
    }

    /// The next word; [`Token::End`] again and again after the last.
    pub(super) fn next(&mut self) -> Result<Lexeme, Failure> {
        self.skip_space_and_comments();
        let start = self.at;
        let token = match (self.brace, self.bracket) {
            (true, _) => self.in_braces(start),
            (false, Some(bracket)) => self.in_brackets(start, bracket),
            (false, None) => self.in_open(start),
        }?;
        Ok(Lexeme { token, span: self.since(start) })
    }

    fn skip_space_and_comments(&mut self) {
        loop {
            self.take_while(is_space);
            if self.peek() != Some('#') || self.bracket.is_some_and(|bracket| !bracket.number) {
                return;
            }
            self.take_while(|c| !matches!(c, '\n' | '\r'));
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn take_if(&mut self, wanted: impl Fn(char) -> bool) -> bool {
        let found = self.peek().is_some_and(wanted);
        if found {
            self.take();
        }
        found
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.take_if(&wanted) {}
    }

    fn since(&self, start: usize) -> Span {
        let position = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span { start: position(start), end: position(self.at) }
    }

    fn text_since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn fail<T>(&self, start: usize, message: impl Into<String>) -> Result<T, Failure> {
        Err(Failure::new(self.since(start), message))
    }

    fn in_open(&mut self, start: usize) -> Result<Token, Failure> {
        let Some(c) = self.peek() else {
            return match self.parens {
                0 => Ok(Token::End),
                _ => self.fail(start, "unclosed left parenthesis"),
            };
        };
        if is_letter(c) || c == ':' {
            return Ok(self.word());
        }
        self.symbol(start)
    }

    /// Within `[...]`. Until the first number all that is not of a duration is an error.
    fn in_brackets(&mut self, start: usize, bracket: Bracket) -> Result<Token, Failure> {
        match self.peek() {
            None if bracket.number => {
                let unclosed = if self.parens > 0 { "parenthesis" } else { "bracket" };
                self.fail(start, format!("unclosed left {unclosed}"))
            }
            None => self.fail(start, "unexpected end of input in duration expression"),
            Some(':') => {
                self.take();
                if !bracket.number {
                    return self
                        .fail(self.at, "unexpected colon before duration in duration expression");
                }
                if bracket.colon {
                    return self.fail(start, "unexpected colon ':'");
                }
                self.bracket = Some(Bracket { number: true, colon: true });
                Ok(Token::Colon)
            }
            Some(c) if is_letter(c) => self.word_in_brackets(start, c, bracket),
            Some('[') if bracket.number => {
                self.take();
                self.fail(start, "unexpected left bracket '['")
            }
            Some(c) if bracket.number || "]()+-*/%^,.".contains(c) || c.is_ascii_digit() => {
                self.symbol(start)
            }
            Some(_) => self.unexpected_in_duration(start),
        }
    }

    fn unexpected_in_duration<T>(&mut self, start: usize) -> Result<T, Failure> {
        let c = quote_char(self.take().unwrap_or_default());
        self.fail(start, format!("unexpected character in duration expression: {c}"))
    }

    fn word_in_brackets(
        &mut self,
        start: usize,
        first: char,
        bracket: Bracket,
    ) -> Result<Token, Failure> {
        self.take_while(is_letter);
        match classify(self.text_since(start)) {
            Token::Keyword(
                keyword @ (Keyword::Step | Keyword::Range | Keyword::MaxOf | Keyword::MinOf),
            ) => Ok(Token::Keyword(keyword)),
            _ if !bracket.number => {
                self.at = start;
                self.unexpected_in_duration(start)
            }
            _ => {
                let c = quote_char(first);
                self.fail(start, format!("unexpected character: {c}, expected ':'"))
            }
        }
    }

    fn in_braces(&mut self, start: usize) -> Result<Token, Failure> {
        let Some(c) = self.peek() else {
            return self.fail(start, "unexpected end of input inside braces");
        };
        if is_letter(c) {
            self.take_while(is_word);
            return Ok(Token::Identifier);
        }
        self.take();
        Ok(match c {
            ',' => Token::Comma,
            '"' | '\'' | '`' => return self.string(start, c),
            '=' if self.take_if(|c| c == '~') => Token::Regex,
            '=' => Token::Assign,
            '!' => match self.take() {
                Some('~') => Token::NotRegex,
                Some('=') => Token::Operator(BinaryOp::NotEqual),
                other => {
                    let c = quote_or_end(other);
                    let message = format!("unexpected character after '!' inside braces: {c}");
                    return self.fail(start, message);
                }
            },
            '{' => return self.fail(start, "unexpected left brace '{'"),
            '}' => {
                self.brace = false;
                Token::RightBrace
            }
            c => {
                let c = quote_char(c);
                return self.fail(start, format!("unexpected character inside braces: {c}"));
            }
        })
    }

    /// An identifier, keyword, operator or aggregation.
    fn word(&mut self) -> Token {
        let start = self.at;
        self.take_while(|c| is_word(c) || c == ':');
        match classify(self.text_since(start)) {
            // These are keywords only where a parenthesis follows.
            Token::Keyword(Keyword::Fill)
                if !self.rest().trim_start_matches(is_space).starts_with('(') =>
            {
                Token::Identifier
            }
            token => token,
        }
    }

    fn symbol(&mut self, start: usize) -> Result<Token, Failure> {
        let Some(c) = self.take() else { return Ok(Token::End) };
        Ok(match c {
            ',' => Token::Comma,
            '@' => Token::At,
            '(' => {
                self.parens += 1;
                Token::LeftParen
            }
            ')' => {
                let Some(parens) = self.parens.checked_sub(1) else {
                    return self.fail(self.at, "unexpected right parenthesis ')'");
                };
                self.parens = parens;
                Token::RightParen
            }
            '{' => {
                self.brace = true;
                Token::LeftBrace
            }
            '[' => {
                self.bracket = Some(Bracket::default());
                Token::LeftBracket
            }
            ']' if self.bracket.take().is_some() => Token::RightBracket,
            ']' => return self.fail(start, "unexpected right bracket ']'"),
            '"' | '\'' | '`' => return self.string(start, c),
            '0'..='9' => return self.number(start),
            '.' if self.peek().is_some_and(|c| c.is_ascii_digit()) => return self.number(start),
            c => return self.operator(start, c),
        })
    }

    fn operator(&mut self, start: usize, c: char) -> Result<Token, Failure> {
        Ok(Token::Operator(match c {
            '*' => BinaryOp::Mul,
            '/' => BinaryOp::Div,
            '%' => BinaryOp::Mod,
            '+' => BinaryOp::Add,
            '-' => BinaryOp::Sub,
            '^' => BinaryOp::Pow,
            '=' => match self.peek() {
                Some('=') => {
                    self.take();
                    BinaryOp::Equal
                }
                Some('~') => return self.fail(start, "unexpected character after '=': '~'"),
                _ => return Ok(Token::Assign),
            },
            '!' => match self.take() {
                Some('=') => BinaryOp::NotEqual,
                other => {
                    let c = quote_or_end(other);
                    return self.fail(start, format!("unexpected character after '!': {c}"));
                }
            },
            '<' if self.take_if(|c| c == '=') => BinaryOp::LessOrEqual,
            '>' if self.take_if(|c| c == '=') => BinaryOp::GreaterOrEqual,
            '<' if self.take_if(|c| c == '/') => BinaryOp::TrimUpper,
            '>' if self.take_if(|c| c == '/') => BinaryOp::TrimLower,
            '<' => BinaryOp::Less,
            '>' => BinaryOp::Greater,
            c => return self.fail(start, format!("unexpected character: {}", quote_char(c))),
        }))
    }

    /// A text, after its first quote.
    fn string(&mut self, start: usize, delimiter: char) -> Result<Token, Failure> {
        loop {
            match self.take() {
                None if delimiter == '`' => return self.fail(start, "unterminated raw string"),
                Some('\\') if delimiter != '`' => self.escape(start, delimiter)?,
                Some(c) if c == delimiter => return Ok(Token::String),
                Some('\n') if delimiter == '`' => {}
                None | Some('\n') => return self.fail(start, "unterminated quoted string"),
                Some(_) => {}
            }
        }
    }

    /// An escape, after its backslash.
    fn escape(&mut self, start: usize, delimiter: char) -> Result<(), Failure> {
        let (digits, radix, max, first) = match self.take() {
            Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\') => return Ok(()),
            Some(c) if c == delimiter => return Ok(()),
            Some(c @ '0'..='7') => (2, 8, 255, c.to_digit(8).unwrap_or(0)),
            Some('x') => (2, 16, 255, 0),
            Some('u') => (4, 16, u32::from(char::MAX), 0),
            Some('U') => (8, 16, u32::from(char::MAX), 0),
            None => return self.fail(start, "escape sequence not terminated"),
            Some(c) => {
                return self.fail(start, format!("unknown escape sequence {}", code_point(c)));
            }
        };
        let mut value = first;
        for _ in 0..digits {
            let Some(c) = self.take() else {
                return self.fail(start, "escape sequence not terminated");
            };
            let Some(digit) = c.to_digit(radix) else {
                let c = code_point(c);
                return self.fail(start, format!("illegal character {c} in escape sequence"));
            };
            value = value.saturating_mul(radix).saturating_add(digit);
        }
        if value > max || (0xd800..0xe000).contains(&value) {
            return self.fail(start, "escape sequence is an invalid Unicode code point");
        }
        Ok(())
    }

    /// A number or duration, after its first character. Whether a number is one is seen when it is read.
    fn number(&mut self, start: usize) -> Result<Token, Failure> {
        if let Some(bracket) = &mut self.bracket {
            bracket.number = true;
        }
        if self.text_since(start) == "0" && self.take_if(|c| matches!(c, 'x' | 'X')) {
            self.take_while(|c| c.is_ascii_hexdigit() || c == '_');
        } else {
            self.take_decimal(start);
        }
        let unfinished =
            self.text_since(start).ends_with(['e', 'E', '_']) || self.peek() == Some('.');
        if !unfinished && !self.peek().is_some_and(is_word) {
            return Ok(Token::Number);
        }
        if !self.take_if(|c| c == '.') && self.take_units() {
            return Ok(Token::Duration);
        }
        let text = quote(self.text_since(start));
        self.fail(start, format!("bad number or duration syntax: {text}"))
    }

    fn take_decimal(&mut self, start: usize) {
        let digits = |c: char| c.is_ascii_digit() || c == '_';
        self.take_while(digits);
        if !self.text_since(start).contains('.') && self.take_if(|c| c == '.') {
            self.take_while(digits);
        }
        if self.take_if(|c| matches!(c, 'e' | 'E')) {
            self.take_if(|c| matches!(c, '+' | '-'));
            self.take_while(digits);
        }
    }

    /// The first unit of a duration and what follows of it; whether that is one. If not, what was taken ends
    /// with the character that is wrong.
    fn take_units(&mut self) -> bool {
        let mut units = "smhdwy";
        loop {
            if !self.take_if(|c| units.contains(c)) {
                return false;
            }
            self.take_if(|c| c == 's');
            if !self.peek().is_some_and(|c| c.is_ascii_digit()) {
                return !self.take_if(is_word);
            }
            self.take_while(|c| c.is_ascii_digit());
            // Years come first.
            units = "smhdw";
        }
    }
}

fn quote_or_end(c: Option<char>) -> String {
    c.map_or_else(|| "end of input".to_owned(), quote_char)
}

fn code_point(c: char) -> String {
    format!("U+{:04X} '{c}'", u32::from(c))
}
