//! Functions, aggregations, and lists of labels.

use crate::ast::{Aggregate, AggregateOp, Call, Expr};
use crate::functions;
use crate::parse::Parser;
use crate::parse::error::{Failure, suggest};
use crate::parse::expr::{Node, Parsed};
use crate::parse::token::{Keyword, Lexeme, Token};
use crate::quote::quote;

const CONTEXT: &str = "grouping opts";

/// Expressions in parentheses.
struct Arguments {
    exprs: Vec<Expr>,
    height: u32,
}

/// The labels by which is aggregated, and whether they are those that go.
type Grouping = (Vec<String>, bool);

impl Parser<'_> {
    /// A call if a parenthesis follows the word, else a selector of that name.
    pub(super) fn call_or_selector(&mut self, name: Lexeme) -> Parsed {
        self.take()?;
        if self.peek()?.token != Token::LeftParen {
            return self.named(name);
        }
        let arguments = self.arguments()?;
        self.call(name, arguments)
    }

    fn named(&mut self, name: Lexeme) -> Parsed {
        let text = self.text_of(name).to_owned();
        Ok(Node::boxed(Expr::Vector(self.selector_named(name, Some(text))?), 1))
    }

    fn call(&self, name: Lexeme, arguments: Arguments) -> Parsed {
        let Arguments { exprs: args, height } = arguments;
        let text = self.text_of(name);
        let Some(function) = functions::find(text) else {
            let message = format!("unknown function with name {}", quote(text));
            return Err(Failure { suggestion: suggest(text), ..Failure::new(name.span, message) });
        };
        if function.experimental && !self.options.experimental {
            let message = format!("function {} is not enabled", quote(text));
            return Err(Failure::new(name.span, message));
        }
        let height = self.grown(height + 1, name.span)?;
        let call = Call { function, args, span: self.span_from(name.span.start) };
        Ok(Node::boxed(Expr::Call(call), height))
    }

    /// An aggregation if a parenthesis or grouping follows the word, else a selector of that name.
    pub(super) fn aggregate_or_selector(&mut self, name: Lexeme, op: AggregateOp) -> Parsed {
        self.take()?;
        match self.peek()?.token {
            Token::LeftParen | Token::Keyword(Keyword::By | Keyword::Without) => {
                self.aggregate(name, op)
            }
            _ => self.named(name),
        }
    }

    fn aggregate(&mut self, name: Lexeme, op: AggregateOp) -> Parsed {
        let in_context = |failure: Failure| failure.within("aggregation");
        let before = self.aggregate_grouping().map_err(in_context)?;
        let arguments = self.arguments().map_err(in_context)?;
        let grouping = match before {
            Some(before) => Some(before),
            None => self.aggregate_grouping().map_err(in_context)?,
        };
        self.aggregation(name, op, grouping.unwrap_or_default(), arguments)
    }

    fn aggregation(
        &self,
        name: Lexeme,
        op: AggregateOp,
        (grouping, without): Grouping,
        arguments: Arguments,
    ) -> Parsed {
        let span = self.span_from(name.span.start);
        let mut args = arguments.exprs;
        if args.is_empty() {
            return Err(Failure::new(span, "no arguments for aggregate expression provided"));
        }
        if op.is_experimental() && !self.options.experimental {
            let flag = "--enable-feature=promql-experimental-functions";
            let name = op.name();
            let message = format!("{name}() is experimental and must be enabled with {flag}");
            return Err(Failure::new(span, message));
        }
        let wanted = if op.param().is_some() { 2 } else { 1 };
        let got = args.len();
        let (Some(expr), true) = (args.pop(), got == wanted) else {
            let message = format!(
                "wrong number of arguments for aggregate expression provided, expected {wanted}, got {got}"
            );
            return Err(Failure::new(span, message));
        };
        let height = self.grown(arguments.height + 1, name.span)?;
        let aggregate = Aggregate { op, param: args.pop(), expr, grouping, without, span };
        Ok(Node::boxed(Expr::Aggregate(Box::new(aggregate)), height))
    }

    /// `by (...)` or `without (...)`, if one is there.
    fn aggregate_grouping(&mut self) -> Result<Option<Grouping>, Failure> {
        let without = match self.peek()?.token {
            Token::Keyword(Keyword::By) => false,
            Token::Keyword(Keyword::Without) => true,
            _ => return Ok(None),
        };
        self.take()?;
        Ok(Some((self.grouping()?, without)))
    }

    fn arguments(&mut self) -> Result<Arguments, Failure> {
        self.require(Token::LeftParen)?;
        let mut arguments = Arguments { exprs: Vec::new(), height: 0 };
        if self.take_if(Token::RightParen)? {
            return Ok(arguments);
        }
        loop {
            let argument = self.expr(0)?;
            arguments.height = arguments.height.max(argument.height);
            arguments.exprs.push(argument.expr);
            if self.take_if(Token::RightParen)? {
                return Ok(arguments);
            }
            let comma = self.require(Token::Comma)?;
            if !self.begins_expression()? {
                let message = "trailing commas not allowed in function call args";
                return Err(Failure::new(comma.span, message));
            }
        }
    }

    fn begins_expression(&mut self) -> Result<bool, Failure> {
        use crate::ast::BinaryOp::{Add, Sub};
        Ok(match self.peek()?.token {
            Token::Number | Token::Duration | Token::String | Token::LeftParen => true,
            Token::LeftBrace | Token::Operator(Add | Sub) => true,
            token => token.is_metric_name(),
        })
    }

    /// Labels in parentheses.
    pub(super) fn grouping(&mut self) -> Result<Vec<String>, Failure> {
        if !self.take_if(Token::LeftParen)? {
            return Err(self.unexpected_in(CONTEXT, "\"(\""));
        }
        let mut labels = Vec::new();
        loop {
            // After a comma as well as at once.
            if self.take_if(Token::RightParen)? {
                return Ok(labels);
            }
            labels.push(self.grouping_label()?);
            if self.take_if(Token::RightParen)? {
                return Ok(labels);
            }
            if !self.take_if(Token::Comma)? {
                return Err(self.unexpected_in(CONTEXT, "\",\" or \")\""));
            }
        }
    }

    fn grouping_label(&mut self) -> Result<String, Failure> {
        let lexeme = self.peek()?;
        if lexeme.token.is_label() {
            self.take()?;
            return Ok(self.text_of(lexeme).to_owned());
        }
        if lexeme.token != Token::String {
            return Err(self.unexpected_in(CONTEXT, "label"));
        }
        self.take()?;
        let literal = self.string(lexeme)?;
        if literal.invalid.is_some() || literal.value.is_empty() {
            let quoted = literal.invalid.unwrap_or_else(|| quote(&literal.value));
            let message = format!("invalid label name for grouping: {quoted}");
            return Err(Failure::new(lexeme.span, message));
        }
        Ok(literal.value)
    }
}
