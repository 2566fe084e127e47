//! A template's text to tokens: what stands outside of `{{` and `}}` as it is, what stands inside by word.
//!
//! Trim markers (`{{- ` and ` -}}`) are applied here and comments end here. What cannot be read becomes
//! an [`Kind::Wrong`] token at its place, so that an earlier mistake of grammar is reported first.

use sidelight_promql::quote::quote_char;

/// A stretch of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// The byte it begins at …
    pub(super) at: usize,
    /// … and the one after its last.
    pub(super) end: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Outside of actions.
    Text,
    Open,
    Close,
    /// Between the words of an action; it separates `$x .y` from `$x.y`.
    Space,
    Assign,
    Declare,
    Comma,
    Pipe,
    LeftParen,
    RightParen,
    Dot,
    /// `.name`.
    Field,
    /// `$` or `$name`.
    Variable,
    /// A function, or a keyword.
    Word,
    Char,
    Number,
    Quoted,
    RawQuoted,
    /// A printable character without a meaning.
    Other,
    /// What is wrong.
    Wrong(String),
    End,
}

const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

/// The tokens of `text`; the last is [`Kind::End`] or [`Kind::Wrong`].
pub(super) fn lex(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { text, pos: 0, tokens: Vec::new(), parens: 0 };
    if let Err(message) = lexer.outside() {
        let at = lexer.pos.min(text.len());
        lexer.tokens.push(Token { kind: Kind::Wrong(message), at, end: at });
    } else {
        lexer.push(Kind::End, text.len(), text.len());
    }
    lexer.tokens
}

struct Lexer<'a> {
    text: &'a str,
    pos: usize,
    tokens: Vec<Token>,
    parens: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.pos..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn push(&mut self, kind: Kind, at: usize, end: usize) {
        self.tokens.push(Token { kind, at, end });
    }

    /// Text up to the next action, and that, until there is none.
    fn outside(&mut self) -> Result<(), String> {
        while let Some(open) = self.rest().find("{{") {
            let (start, open) = (self.pos, self.pos + open);
            let trim = marks_trim(self.text.get(open + 2..).unwrap_or_default());
            let text = self.text.get(start..open).unwrap_or_default();
            let kept = if trim { text.trim_end_matches(SPACES) } else { text };
            if !kept.is_empty() {
                self.push(Kind::Text, start, start + kept.len());
            }
            self.pos = open + if trim { 4 } else { 2 };
            if self.rest().starts_with("/*") {
                self.comment()?;
            } else {
                self.push(Kind::Open, open, open + 2);
                self.inside()?;
            }
        }
        let (start, end) = (self.pos, self.text.len());
        if start < end {
            self.push(Kind::Text, start, end);
        }
        self.pos = end;
        Ok(())
    }

    fn comment(&mut self) -> Result<(), String> {
        let inside = self.rest().get(2..).unwrap_or_default();
        let end = inside.find("*/").ok_or("unclosed comment")?;
        self.pos += end + 4;
        if self.close().is_some() {
            return Ok(());
        }
        Err("comment ends before closing delimiter".to_owned())
    }

    /// Moves behind `}}` or ` -}}` and the space that it trims, if it is next: where the delimiter begins.
    fn close(&mut self) -> Option<usize> {
        let rest = self.rest();
        if rest.starts_with("}}") {
            let at = self.pos;
            self.pos += 2;
            return Some(at);
        }
        let after = rest.strip_prefix(SPACES)?.strip_prefix("-}}")?;
        let at = self.pos + 2;
        self.pos = self.text.len() - after.trim_start_matches(SPACES).len();
        Some(at)
    }

    fn inside(&mut self) -> Result<(), String> {
        self.parens = 0;
        loop {
            let start = self.pos;
            if let Some(at) = self.close() {
                if self.parens > 0 {
                    self.pos = start;
                    return Err("unclosed left paren".to_owned());
                }
                self.push(Kind::Close, at, at + 2);
                return Ok(());
            }
            let Some(c) = self.peek() else { return Err("unclosed action".to_owned()) };
            self.pos += c.len_utf8();
            let kind = self.word(c).inspect_err(|_| self.pos = start)?;
            self.push(kind, start, self.pos);
        }
    }

    /// The rest of the token that `c` begins.
    fn word(&mut self, c: char) -> Result<Kind, String> {
        Ok(match c {
            c if SPACES.contains(&c) => {
                self.spaces();
                Kind::Space
            }
            '=' => Kind::Assign,
            ':' if self.accept('=') => Kind::Declare,
            ':' => return Err("expected :=".to_owned()),
            '|' => Kind::Pipe,
            ',' => Kind::Comma,
            '(' => {
                self.parens += 1;
                Kind::LeftParen
            }
            ')' => {
                self.parens = self.parens.checked_sub(1).ok_or("unexpected right paren")?;
                Kind::RightParen
            }
            '"' => self.quoted('"', "unterminated quoted string").map(|()| Kind::Quoted)?,
            '\'' => self.quoted('\'', "unterminated character constant").map(|()| Kind::Char)?,
            '`' => {
                let end = self.rest().find('`').ok_or("unterminated raw quoted string")?;
                self.pos += end + 1;
                Kind::RawQuoted
            }
            '$' => self.name(Kind::Variable, Kind::Variable)?,
            '.' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                self.name(Kind::Field, Kind::Dot)?
            }
            '.' | '+' | '-' | '0'..='9' => self.number(c)?,
            c if is_letter(c) => self.name(Kind::Word, Kind::Word)?,
            c if c.is_ascii_graphic() => Kind::Other,
            c => {
                let code = u32::from(c);
                return Err(format!(
                    "unrecognized character in action: U+{code:04X} {}",
                    quote_char(c)
                ));
            }
        })
    }

    fn accept(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.pos += if found { wanted.len_utf8() } else { 0 };
        found
    }

    /// A run of spaces, but for the last one when it belongs to ` -}}`.
    fn spaces(&mut self) {
        while let Some(after) = self.rest().strip_prefix(SPACES) {
            if after.starts_with("-}}") {
                return;
            }
            self.pos += 1;
        }
    }

    fn quoted(&mut self, delimiter: char, unterminated: &str) -> Result<(), String> {
        loop {
            let c = self.peek().filter(|c| *c != '\n').ok_or(unterminated)?;
            self.pos += c.len_utf8();
            if c == delimiter {
                return Ok(());
            }
            if c == '\\' {
                let c = self.peek().filter(|c| *c != '\n').ok_or(unterminated)?;
                self.pos += c.len_utf8();
            }
        }
    }

    /// A run of letters and digits, `alone` when there is none.
    fn name(&mut self, kind: Kind, alone: Kind) -> Result<Kind, String> {
        let rest = self.rest();
        let length = rest.find(|c| !is_letter(c)).unwrap_or(rest.len());
        self.pos += length;
        self.terminated()?;
        Ok(if length == 0 { alone } else { kind })
    }

    /// What follows a name must be able to.
    fn terminated(&self) -> Result<(), String> {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => Ok(()),
            Some(c) if SPACES.contains(&c) || self.rest().starts_with("}}") => Ok(()),
            Some(c) => Err(format!("bad character U+{:04X} {}", u32::from(c), quote_char(c))),
        }
    }

    /// What looks like a number; whether it is one is seen when it is read.
    fn number(&mut self, first: char) -> Result<Kind, String> {
        let start = self.pos - first.len_utf8();
        let mut previous = first;
        let hex = self.text.get(start..).unwrap_or_default().trim_start_matches(['+', '-']);
        let hex = hex.starts_with("0x") || hex.starts_with("0X");
        while let Some(c) = self.peek() {
            let exponent = matches!((previous, hex), ('e' | 'E', false) | ('p' | 'P', true));
            if !(is_letter(c) || c == '.' || (exponent && matches!(c, '+' | '-'))) {
                break;
            }
            previous = c;
            self.pos += c.len_utf8();
        }
        let text = self.text.get(start..self.pos).unwrap_or_default();
        if text.contains(|c: char| !c.is_ascii()) || matches!(self.peek(), Some('+' | '-')) {
            return Err(format!("bad number syntax: {text:?}"));
        }
        Ok(Kind::Number)
    }
}

fn is_letter(c: char) -> bool {
    c == '_' || c.is_alphabetic() || c.is_numeric()
}

/// Whether what follows `{{` trims the text before it.
fn marks_trim(rest: &str) -> bool {
    rest.strip_prefix('-').is_some_and(|rest| rest.starts_with(SPACES))
}
