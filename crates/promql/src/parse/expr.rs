//! Operators and what they stand between.

use crate::ast::{
    Binary, BinaryOp, Cardinality, Expr, Matching, NumberLiteral, Paren, Span, StringLiteral, Unary,
};
use crate::parse::error::Failure;
use crate::parse::token::{Keyword, Lexeme, Token};
use crate::parse::{DEPTH_MAX, Parser, number};
use crate::{duration, quote};

/// An expression and how many expressions are within each other in it, itself included.
pub(super) struct Node {
    pub(super) expr: Expr,
    pub(super) height: u32,
}

/// Boxed, and joined in functions of their own, so that what waits on the stack for an inner expression is
/// small: the depth that is allowed must fit the stack of any thread.
pub(super) type Parsed = Result<Box<Node>, Failure>;

impl Node {
    pub(super) fn boxed(expr: Expr, height: u32) -> Box<Self> {
        Box::new(Self { expr, height })
    }
}

/// An operator with what is said of how series match.
struct Operator {
    op: BinaryOp,
    span: Span,
    return_bool: bool,
    matching: Matching,
}

impl Parser<'_> {
    /// An expression whose operators bind at least as strongly as `floor`.
    pub(super) fn expr(&mut self, floor: u8) -> Parsed {
        self.depth += 1;
        let start = self.peek()?.span;
        self.grown(self.depth, start)?;
        let mut lhs = self.unary()?;
        while let Some(operator) = self.operator(floor, lhs.expr.span().start)? {
            let op = operator.op;
            let tighter = if op == BinaryOp::Pow { op.precedence() } else { op.precedence() + 1 };
            let rhs = self.expr(tighter)?;
            lhs = self.join(*lhs, *operator, *rhs)?;
        }
        self.depth -= 1;
        Ok(lhs)
    }

    /// `height`, unless it is beyond what is allowed.
    pub(super) fn grown(&self, height: u32, span: Span) -> Result<u32, Failure> {
        if height > DEPTH_MAX {
            let message = format!("more than {DEPTH_MAX} expressions within each other");
            return Err(Failure::new(span, message));
        }
        Ok(height)
    }

    /// The operator that is next, if it binds at least as strongly as `floor`, after what begins at `start`.
    fn operator(&mut self, floor: u8, start: u32) -> Result<Option<Box<Operator>>, Failure> {
        let lexeme = self.peek()?;
        let op = match lexeme.token {
            Token::Operator(op) if op.precedence() >= floor => op,
            _ => return Ok(None),
        };
        self.take()?;
        let return_bool = self.take_if(Token::Keyword(Keyword::Bool))?;
        let mut matching = self.matching()?;
        if op.is_set() && matching.cardinality == Cardinality::OneToOne {
            matching.cardinality = Cardinality::ManyToMany;
        }
        if self.peek()?.token == Token::Keyword(Keyword::Fill) {
            let message = "binop fill modifiers are experimental and not enabled";
            return Err(Failure::new(self.span_from(start), message));
        }
        Ok(Some(Box::new(Operator { op, span: lexeme.span, return_bool, matching })))
    }

    fn join(&self, lhs: Node, operator: Operator, rhs: Node) -> Parsed {
        let Operator { op, span, return_bool, matching } = operator;
        let height = self.grown(lhs.height.max(rhs.height) + 1, span)?;
        let (lhs, rhs) = (lhs.expr, rhs.expr);
        let span = Span { start: lhs.span().start, end: rhs.span().end };
        let binary = Binary { op, lhs, rhs, matching, return_bool, span };
        Ok(Node::boxed(Expr::Binary(Box::new(binary)), height))
    }

    /// `on (...)` or `ignoring (...)`, `group_left (...)` or `group_right (...)`, if they are there.
    fn matching(&mut self) -> Result<Matching, Failure> {
        let mut matching = Matching::default();
        matching.on = match self.peek()?.token {
            Token::Keyword(Keyword::On) => true,
            Token::Keyword(Keyword::Ignoring) => false,
            _ => return Ok(matching),
        };
        self.take()?;
        matching.labels = self.grouping()?;
        matching.cardinality = match self.peek()?.token {
            Token::Keyword(Keyword::GroupLeft) => Cardinality::ManyToOne,
            Token::Keyword(Keyword::GroupRight) => Cardinality::OneToMany,
            _ => return Ok(matching),
        };
        self.take()?;
        if self.peek()?.token == Token::LeftParen {
            matching.include = self.grouping()?;
        }
        Ok(matching)
    }

    /// A sign binds as `*` does: weaker than `^`.
    fn unary(&mut self) -> Parsed {
        let sign = self.peek()?;
        if !matches!(sign.token, Token::Operator(BinaryOp::Add | BinaryOp::Sub)) {
            return self.operand();
        }
        self.take()?;
        let operand = self.expr(BinaryOp::Pow.precedence())?;
        self.signed(sign, operand)
    }

    /// A sign before a number belongs to the number.
    fn signed(&self, sign: Lexeme, mut operand: Box<Node>) -> Parsed {
        let negative = sign.token == Token::Operator(BinaryOp::Sub);
        let start = sign.span.start;
        if let Expr::Number(number) = &mut operand.expr {
            number.span.start = start;
            number.value = if negative { -number.value } else { number.value };
            return Ok(operand);
        }
        let height = self.grown(operand.height + 1, sign.span)?;
        let span = Span { start, end: operand.expr.span().end };
        let unary = Unary { negative, expr: operand.expr, span };
        Ok(Node::boxed(Expr::Unary(Box::new(unary)), height))
    }

    /// What stands between operators, with the ranges, offsets and times after it.
    fn operand(&mut self) -> Parsed {
        let first = self.peek()?;
        let node = match first.token {
            Token::LeftParen => self.paren()?,
            Token::Aggregate(op) => self.aggregate_or_selector(first, op)?,
            Token::Identifier => self.call_or_selector(first)?,
            Token::Keyword(keyword) if keyword.is_function() => self.call_or_selector(first)?,
            _ => self.leaf(first)?,
        };
        self.modifiers(node)
    }

    /// A number, text or selector.
    fn leaf(&mut self, first: Lexeme) -> Parsed {
        let expr = match first.token {
            Token::Number | Token::Duration => {
                self.take()?;
                Expr::Number(self.number(first)?)
            }
            Token::String => {
                self.take()?;
                Expr::String(self.string(first)?)
            }
            token if token == Token::LeftBrace || token.is_metric_name() => {
                Expr::Vector(self.selector()?)
            }
            _ => return Err(self.unexpected()),
        };
        Ok(Node::boxed(expr, 1))
    }

    fn paren(&mut self) -> Parsed {
        let start = self.take()?.span;
        let inner = self.expr(0)?;
        self.require(Token::RightParen)?;
        self.wrap(start, *inner)
    }

    fn wrap(&self, start: Span, inner: Node) -> Parsed {
        let height = self.grown(inner.height + 1, start)?;
        let paren = Paren { expr: inner.expr, span: self.span_from(start.start) };
        Ok(Node::boxed(Expr::Paren(Box::new(paren)), height))
    }

    /// The value of a number or duration.
    pub(super) fn number(&self, lexeme: Lexeme) -> Result<NumberLiteral, Failure> {
        let text = self.text_of(lexeme);
        let duration = lexeme.token == Token::Duration;
        let value = if duration {
            duration::parse(text).map(|milliseconds| milliseconds as f64 / 1000.0)
        } else {
            number::parse(text)
        };
        let value = value.map_err(|message| Failure::new(lexeme.span, message))?;
        Ok(NumberLiteral { value, duration, span: lexeme.span })
    }

    /// What a quoted text stands for.
    pub(super) fn string(&self, lexeme: Lexeme) -> Result<StringLiteral, Failure> {
        let text = self.text_of(lexeme);
        let Some(quote::Unquoted { text: value, invalid }) = quote::unquote(text) else {
            let message = format!("error unquoting string {}: invalid syntax", quote::quote(text));
            return Err(Failure::new(lexeme.span, message));
        };
        Ok(StringLiteral { value, invalid, span: lexeme.span })
    }
}
