//! Tokens to a [`Tree`]: the grammar of Go's `text/template`, with its words for what is wrong.
//!
//! Parsing stops at the first mistake. Limits: [`DEPTH_MAX`].

use sidelight_promql::quote;

use super::TemplateError;
use super::ast::{Command, Operand, Pipe, Place, Step, Term, Tree};
use super::functions;
use super::lex::{Kind, Token, lex};
use super::number;

/// Blocks within blocks and parentheses within parentheses.
const DEPTH_MAX: usize = 100;

/// The variables that the outermost template begins with.
pub(super) const GIVEN: [&str; 4] = ["$labels", "$externalLabels", "$externalURL", "$value"];

const KEYWORDS: [&str; 11] = [
    "block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with",
];

/// Parses `text`.
pub(super) fn parse(text: &str) -> Result<Tree, TemplateError> {
    let mut parser = Parser {
        text,
        tokens: lex(text),
        next: 0,
        variables: GIVEN.iter().map(ToString::to_string).collect(),
        ranges: 0,
        depth: 0,
        tree: Tree { main: Vec::new(), defined: std::collections::BTreeMap::new() },
    };
    parser.tree.main = parser.outermost()?;
    Ok(parser.tree)
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    next: usize,
    /// Those in sight.
    variables: Vec<String>,
    ranges: usize,
    depth: usize,
    tree: Tree,
}

/// What ended a list of steps.
enum Ended {
    End,
    /// Followed by the rest of the action: nothing, `if` or `with`.
    Else,
}

type Parsed<T> = Result<T, TemplateError>;

impl<'a> Parser<'a> {
    fn peek(&self) -> &Token {
        // The last token ends the text, and stays.
        static END: Token = Token { kind: Kind::End, at: 0, end: 0 };
        self.tokens.get(self.next).or(self.tokens.last()).unwrap_or(&END)
    }

    fn skip(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn after_space(&mut self) -> Token {
        while self.peek().kind == Kind::Space {
            self.next += 1;
        }
        self.peek().clone()
    }

    fn source(&self, token: &Token) -> &'a str {
        self.text.get(token.at..token.end).unwrap_or_default()
    }

    /// The keyword that is next, if one is.
    fn keyword(&mut self) -> Option<&'static str> {
        let token = self.after_space();
        let word = self.source(&token);
        KEYWORDS.into_iter().find(|known| token.kind == Kind::Word && *known == word)
    }

    /// The same, if it is `wanted`, and moves behind it.
    fn accept(&mut self, wanted: &str) -> bool {
        let found = self.keyword() == Some(wanted);
        self.next += usize::from(found);
        found
    }

    fn wrong<T>(offset: usize, message: impl Into<String>) -> Parsed<T> {
        Err(TemplateError { offset, message: message.into() })
    }

    fn unexpected<T>(&self, token: &Token, context: &str) -> Parsed<T> {
        match &token.kind {
            Kind::Wrong(message) => Self::wrong(token.at, message.clone()),
            Kind::End => Self::wrong(self.text.len(), format!("unexpected EOF in {context}")),
            _ => {
                let shown = match (&token.kind, self.source(token)) {
                    (Kind::Word, word) if KEYWORDS.contains(&word) => format!("<{word}>"),
                    (_, text) => quote::quote(text),
                };
                Self::wrong(token.at, format!("unexpected {shown} in {context}"))
            }
        }
    }

    fn expect_close(&mut self, context: &str) -> Parsed<Token> {
        let token = self.after_space();
        if token.kind != Kind::Close {
            return self.unexpected(&token, context);
        }
        Ok(self.skip())
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEPTH_MAX {
            return Self::wrong(self.peek().at, "max expression depth exceeded");
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// The whole text, with definitions.
    fn outermost(&mut self) -> Parsed<Vec<Step>> {
        let mut steps = Vec::new();
        loop {
            let token = self.skip();
            match token.kind {
                Kind::End => return Ok(steps),
                Kind::Text => steps.push(Step::Text { at: token.at, end: token.end }),
                Kind::Open if self.accept("define") => self.definition()?,
                Kind::Open => match self.keyword() {
                    Some(word @ ("end" | "else")) => {
                        return Self::wrong(self.peek().at, format!("unexpected {{{{{word}}}}}"));
                    }
                    _ => steps.push(self.action()?),
                },
                _ => return self.unexpected(&token, "input"),
            }
        }
    }

    /// Steps up to `{{end}}` or `{{else`.
    fn steps(&mut self) -> Parsed<(Vec<Step>, Ended)> {
        let mut steps = Vec::new();
        loop {
            let token = self.after_space();
            self.next += 1;
            match token.kind {
                Kind::Text => steps.push(Step::Text { at: token.at, end: token.end }),
                Kind::Open if self.accept("end") => {
                    self.expect_close("end")?;
                    return Ok((steps, Ended::End));
                }
                Kind::Open if self.accept("else") => return Ok((steps, Ended::Else)),
                Kind::Open => steps.push(self.action()?),
                Kind::End => return Self::wrong(self.text.len(), "unexpected EOF"),
                _ => return self.unexpected(&token, "input"),
            }
        }
    }

    fn action(&mut self) -> Parsed<Step> {
        let token = self.after_space();
        let Some(word) = self.keyword().filter(|word| *word != "nil") else {
            return Ok(Step::Action(self.pipe("command", &Kind::Close)?));
        };
        self.next += 1;
        match word {
            "if" | "with" | "range" => self.deeper(|parser| parser.control(word)),
            "template" => self.template(),
            "block" => self.block(),
            "break" | "continue" => {
                let context = format!("{{{{{word}}}}}");
                self.expect_close(&context)?;
                if self.ranges == 0 {
                    return Self::wrong(token.at, format!("{context} outside {{{{range}}}}"));
                }
                Ok(if word == "break" { Step::Break } else { Step::Continue })
            }
            _ => self.unexpected(&token, "command"),
        }
    }

    /// `if`, `with` or `range`, whose keyword is past, with its `else` and up to its `end`.
    fn control(&mut self, word: &'static str) -> Parsed<Step> {
        let known = self.variables.len();
        let ranging = usize::from(word == "range");
        let pipe = self.pipe(word, &Kind::Close)?;
        self.ranges += ranging;
        let (then, ended) = self.steps()?;
        self.ranges -= ranging;
        let mut otherwise = Vec::new();
        if matches!(ended, Ended::Else) {
            let token = self.after_space();
            if word != "range" && self.accept(word) {
                otherwise.push(self.deeper(|parser| parser.control(word))?);
            } else if self.keyword().is_some() {
                return self.unexpected(&token, "input");
            } else {
                self.expect_close("else")?;
                let (steps, ended) = self.steps()?;
                if matches!(ended, Ended::Else) {
                    return Self::wrong(self.peek().at, "expected end; found {{else}}");
                }
                otherwise = steps;
            }
        }
        self.variables.truncate(known);
        Ok(match word {
            "if" => Step::If { pipe, then, otherwise },
            "with" => Step::With { pipe, then, otherwise },
            _ => Step::Range { pipe, body: then, otherwise },
        })
    }

    fn name(&mut self, context: &str) -> Parsed<(Token, String)> {
        let token = self.after_space();
        if !matches!(token.kind, Kind::Quoted | Kind::RawQuoted) {
            return self.unexpected(&token, context);
        }
        self.next += 1;
        let name = self.unquote(&token)?;
        Ok((token, name))
    }

    fn unquote(&self, token: &Token) -> Parsed<String> {
        let unquoted = quote::unquote(self.source(token));
        unquoted.map_or_else(|| Self::wrong(token.at, "invalid syntax"), |found| Ok(found.text))
    }

    fn template(&mut self) -> Parsed<Step> {
        let context = "template clause";
        let (token, name) = self.name(context)?;
        let mut pipe = None;
        if self.after_space().kind == Kind::Close {
            self.next += 1;
        } else {
            pipe = Some(self.pipe(context, &Kind::Close)?);
        }
        Ok(Step::Template { place: whole(&token), name, pipe })
    }

    /// A definition that is executed where it stands.
    fn block(&mut self) -> Parsed<Step> {
        let context = "block clause";
        let (token, name) = self.name(context)?;
        let pipe = self.pipe(context, &Kind::Close)?;
        self.body(token.at, name.clone(), context)?;
        Ok(Step::Template { place: whole(&token), name, pipe: Some(pipe) })
    }

    fn definition(&mut self) -> Parsed<()> {
        let context = "define clause";
        let (token, name) = self.name(context)?;
        self.expect_close(context)?;
        self.body(token.at, name, context)
    }

    /// What a definition holds. It sees no variables but `$`.
    fn body(&mut self, at: usize, name: String, context: &str) -> Parsed<()> {
        let variables = std::mem::take(&mut self.variables);
        let ranges = std::mem::take(&mut self.ranges);
        let (steps, ended) = self.deeper(Self::steps)?;
        self.variables = variables;
        self.ranges = ranges;
        if matches!(ended, Ended::Else) {
            return Self::wrong(self.peek().at, format!("unexpected {{{{else}}}} in {context}"));
        }
        let blank = |steps: &[Step]| steps.iter().all(|step| self.is_blank(step));
        match self.tree.defined.get(&name) {
            Some(known) if !blank(known) && !blank(&steps) => {
                let name = quote::quote(&name);
                Self::wrong(at, format!("template: multiple definition of template {name}"))
            }
            Some(known) if !blank(known) => Ok(()),
            _ => {
                self.tree.defined.insert(name, steps);
                Ok(())
            }
        }
    }

    fn is_blank(&self, step: &Step) -> bool {
        match step {
            Step::Text { at, end } => self.text.get(*at..*end).is_some_and(|t| t.trim().is_empty()),
            _ => false,
        }
    }

    /// Declarations and commands up to and with `end`.
    fn pipe(&mut self, context: &str, end: &Kind) -> Parsed<Pipe> {
        let first = self.after_space();
        let (variables, assigns) = self.declarations(context)?;
        let mut commands: Vec<Command> = Vec::new();
        loop {
            let token = self.after_space();
            if token.kind == *end {
                self.next += 1;
                if commands.is_empty() {
                    return Self::wrong(token.at, format!("missing value for {context}"));
                }
                let place = Place { at: first.at, from: first.at, end: token.at };
                return Ok(Pipe { place, variables, assigns, commands });
            }
            let command = self.command(&token, context)?;
            let executable = match &command.first.term {
                Term::Function(_) | Term::Variable(_) | Term::Pipe(_) => true,
                Term::Dot => !command.first.fields.is_empty(),
                _ => false,
            };
            if !commands.is_empty() && !executable {
                let stage = commands.len() + 1;
                let message = format!("non executable command in pipeline stage {stage}");
                return Self::wrong(token.at, message);
            }
            commands.push(command);
        }
    }

    /// `$x :=`, `$x =`, and in a range `$i, $x :=`.
    fn declarations(&mut self, context: &str) -> Parsed<(Vec<String>, bool)> {
        let mut declared = Vec::new();
        loop {
            let token = self.after_space();
            let before = self.next;
            if token.kind != Kind::Variable {
                return Ok((declared, false));
            }
            self.next += 1;
            let operator = self.after_space();
            let name = self.source(&token).to_owned();
            match operator.kind {
                Kind::Assign if !self.sees(&name) => return self.undefined(&token),
                Kind::Declare | Kind::Assign => {
                    self.next += 1;
                    declared.push(name);
                    self.variables.extend(declared.iter().cloned());
                    return Ok((declared, operator.kind == Kind::Assign));
                }
                Kind::Comma if context == "range" && declared.is_empty() => {
                    self.next += 1;
                    declared.push(name);
                    if self.after_space().kind != Kind::Variable {
                        return Self::wrong(operator.at, "range can only initialize variables");
                    }
                }
                Kind::Comma => {
                    let message = format!("too many declarations in {context}");
                    return Self::wrong(operator.at, message);
                }
                _ => {
                    self.next = before;
                    return Ok((declared, false));
                }
            }
        }
    }

    fn sees(&self, name: &str) -> bool {
        name == "$" || self.variables.iter().any(|known| known == name)
    }

    fn undefined<T>(&self, token: &Token) -> Parsed<T> {
        let name = quote::quote(self.source(token));
        Self::wrong(token.at, format!("undefined variable {name}"))
    }

    /// Words up to `|`, which is taken, or to what ends the pipe, which is not.
    fn command(&mut self, start: &Token, context: &str) -> Parsed<Command> {
        let mut operands = Vec::new();
        let end = loop {
            let token = self.after_space();
            if let Some(operand) = self.operand(&token)? {
                operands.push(operand);
            } else if operands.is_empty() {
                return self.unexpected(&token, context);
            }
            let after = self.peek().clone();
            match after.kind {
                Kind::Space => {}
                Kind::Close | Kind::RightParen => break after.at,
                Kind::Pipe => {
                    self.next += 1;
                    break after.at;
                }
                _ => return self.unexpected(&after, "operand"),
            }
        };
        let mut operands = operands.into_iter();
        let Some(first) = operands.next() else { return Self::wrong(start.at, "empty command") };
        let place = Place { at: start.at, from: start.at, end };
        Ok(Command { place, first, arguments: operands.collect() })
    }

    /// A term with the fields behind it; `None` and nothing taken when `token` begins none.
    fn operand(&mut self, token: &Token) -> Parsed<Option<Operand>> {
        let mut place = whole(token);
        let mut fields = Vec::new();
        let Some(term) = self.term(token)? else { return Ok(None) };
        if let Term::Pipe(pipe) = &term {
            place = Place { at: pipe.place.at, ..place };
        }
        if token.kind == Kind::Field {
            fields.push(self.source(token).trim_start_matches('.').to_owned());
        }
        let chains = matches!(term, Term::Function(_) | Term::Variable(_) | Term::Pipe(_));
        let mut first = true;
        while self.peek().kind == Kind::Field {
            let field = self.skip();
            if !chains && fields.is_empty() {
                let term = quote::quote(self.source(token));
                return Self::wrong(field.at, format!("unexpected . after term {term}"));
            }
            if std::mem::take(&mut first) {
                place.at = field.at;
            }
            fields.push(self.source(&field).trim_start_matches('.').to_owned());
        }
        place.end = self
            .next
            .checked_sub(1)
            .and_then(|at| self.tokens.get(at))
            .map_or(place.end, |token| token.end);
        Ok(Some(Operand { place, term, fields }))
    }

    fn term(&mut self, token: &Token) -> Parsed<Option<Term>> {
        let text = self.source(token);
        let term = match token.kind {
            Kind::Word if text == "nil" => Term::Nil,
            Kind::Word if text == "true" || text == "false" => Term::Bool(text == "true"),
            Kind::Word if KEYWORDS.contains(&text) => return Ok(None),
            Kind::Word if functions::is_known(text) => Term::Function(text.to_owned()),
            Kind::Word => {
                let name = quote::quote(text);
                return Self::wrong(token.at, format!("function {name} not defined"));
            }
            Kind::Dot | Kind::Field => Term::Dot,
            Kind::Variable if self.sees(text) => Term::Variable(text.to_owned()),
            Kind::Variable => return self.undefined(token),
            Kind::Char => {
                let unquoted = quote::unquote(text).map(|unquoted| unquoted.text);
                let mut letters = unquoted.as_deref().unwrap_or_default().chars();
                match (letters.next(), letters.next()) {
                    (Some(letter), None) => Term::Int(i64::from(u32::from(letter))),
                    _ => {
                        return Self::wrong(
                            token.at,
                            format!("malformed character constant: {text}"),
                        );
                    }
                }
            }
            Kind::Number => match number::constant(text) {
                Some(number) => number,
                None => return Self::wrong(token.at, format!("illegal number syntax: {text:?}")),
            },
            Kind::Quoted | Kind::RawQuoted => Term::Text(self.unquote(token)?),
            Kind::LeftParen => {
                self.next += 1;
                let pipe =
                    self.deeper(|parser| parser.pipe("parenthesized pipeline", &Kind::RightParen))?;
                return Ok(Some(Term::Pipe(Box::new(pipe))));
            }
            _ => return Ok(None),
        };
        self.next += 1;
        Ok(Some(term))
    }
}

fn whole(token: &Token) -> Place {
    Place { at: token.at, from: token.at, end: token.end }
}
